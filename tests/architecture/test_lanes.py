"""Tests of the window lie where `.ci/test` looks for them."""

from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_tests_of_the_window_lie_where_their_lane_looks():
    marked = [path for path in TESTS.rglob("test_*.py") if "mark." + "gui" in path.read_text(encoding="utf-8")]
    assert len(marked) > 20
    looked_for = {*TESTS.glob("napari/test_[a-z]*.py"), *TESTS.glob("cli/test_*.py")}
    assert set(marked) <= looked_for
