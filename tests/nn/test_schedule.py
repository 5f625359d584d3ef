"""A run's schedule follows the steps that will really fit into it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tessera.nn.schedule import Pace


def paces(steps: int, most: int) -> list[Pace]:
    """Return the paces of a run that time ends after `steps` of at most `most` steps."""
    return [Pace(step, step / steps, most) for step in range(steps)]


def test_the_step_size_grows_in_and_dies_away() -> None:
    rates = [pace.learning_rate(1.0) for pace in paces(400, 400)]
    assert rates[0] < 0.1
    assert max(rates) > 0.95
    assert rates.index(max(rates)) < 40
    assert rates[-1] == pytest.approx(0.01, abs=0.002)
    assert all(later < earlier for earlier, later in pairwise(rates[40:]))


def test_a_run_that_time_cuts_short_warms_up_in_a_tenth_of_its_own_steps() -> None:
    rates = [pace.learning_rate(1.0) for pace in paces(60, 800)]
    assert rates.index(max(rates)) <= 6
    assert rates[-1] < 0.02


@given(steps=st.integers(10, 500), most=st.integers(500, 5000))
def test_terms_that_grow_in_are_there_by_the_middle_of_any_run(steps: int, most: int) -> None:
    grown = [pace.grown_in() for pace in paces(steps, most)]
    assert grown[0] == 0
    assert all(later >= earlier for earlier, later in pairwise(grown))
    assert grown[min(steps - 1, round(0.5 * steps) + 1)] == 1
    if steps >= 200:
        assert grown[99] < 1


def test_validations_come_as_wished_unless_time_cuts_the_run_short() -> None:
    assert Pace(0, 0.0, 800).validation_interval(50) == 50
    assert Pace(10, 10 / 800, 800).validation_interval(50) == 50
    assert Pace(10, 10 / 60, 800).validation_interval(50) == 12
    assert Pace(1, 0.9, 800).validation_interval(50) == 1
