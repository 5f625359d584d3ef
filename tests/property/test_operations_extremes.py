"""Every operation on every type of pixels, with values near the type's limits and with what is no number.

What comes out is a result that is finite where the image is, or one sentence; never a number that has wrapped around.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from extremes import DTYPES, check_as_floats, check_extreme, check_wide, extreme_example, kinds_of

from napari_tessera.operations.registry import all_operations

NAMES = sorted(all_operations())


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_values_near_the_limits_give_a_result_or_a_sentence(name: str) -> None:
    for dtype in DTYPES:
        for kind in kinds_of(np.dtype(dtype)):
            example = extreme_example(all_operations()[name], dtype, kind)
            if example is not None:
                check_extreme(example, kind)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32"])
def test_integers_near_the_limits_give_what_floats_give(name: str, dtype: str) -> None:
    for kind in ("top", "bottom", "ends"):
        example = extreme_example(all_operations()[name], dtype, kind)
        assert example is not None
        check_as_floats(example, kind)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in NAMES if all_operations()[name].keeps_wide])
@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_that_floats_do_not_hold_count_in_full(name: str, dtype: str) -> None:
    example = extreme_example(all_operations()[name], dtype, "beyond floats")
    if example is not None and all_operations()[name].inputs[0].kind == "image":
        check_wide(example)


@pytest.mark.parametrize("name", ["add", "median", "project", "sato", "variance"])
@pytest.mark.parametrize(("dtype", "kind"), [("int64", "ends"), ("float32", "no data"), ("float64", "ends")])
def test_some_of_them_in_the_short_lane(name: str, dtype: str, kind: str) -> None:
    example = extreme_example(all_operations()[name], dtype, kind)
    assert example is not None
    check_extreme(example, kind)
