"""Tests of the window lie where `.ci/test` looks for them."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
LANES = TESTS.parent / ".ci" / "test"


def test_tests_of_the_window_lie_where_their_lane_looks():
    marked = [path for path in TESTS.rglob("test_*.py") if "mark." + "gui" in path.read_text(encoding="utf-8")]
    assert len(marked) > 20
    parts = re.findall(r"'(\[[a-z]-[a-z]\])'", LANES.read_text(encoding="utf-8"))
    assert len(parts) > 1
    files = [path for part in parts for path in TESTS.glob(f"napari/test_{part}*.py")]
    assert len(files) == len(set(files)), "a file of tests runs twice"
    assert set(marked) <= {*files, *TESTS.glob("cli/test_*.py")}
