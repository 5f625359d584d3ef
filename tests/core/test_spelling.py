"""What may have been meant by a name that there is not."""

import pytest

from napari_tessera.core.spelling import did_you_mean, nearest

KNOWN = ("max_steps", "max_seconds", "network.depth", "augmentation.depth_of_focus", "Median")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("max_stepz", ["max_steps"]),
        ("--max-steps", ["max_steps"]),
        ("MEDAIN", ["Median"]),
        ("depth", ["network.depth"]),
        ("network.depht", ["network.depth"]),
        ("colour", []),
    ],
)
def test_the_nearest_names_are_found(name: str, near: list[str]) -> None:
    assert nearest(name, KNOWN) == near


def test_what_nothing_is_near_to_gets_other_advice() -> None:
    assert did_you_mean("colour", KNOWN, "look at the list") == "look at the list."
    assert did_you_mean("max_step", KNOWN, "look at the list") == "did you mean max_steps?"
    assert nearest("a", ["b.a", "c.a", "d.a", "e.a"]) == ["b.a", "c.a", "d.a"]
