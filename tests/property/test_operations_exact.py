"""Every registered operation: tiles give what the whole image gives."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from exactness import Example, check_exact, examples_of, is_tiled, plain_example

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.io.opening import open_image
from napari_tessera.operations.base import Block, Local
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.registry import all_operations, register, unregister
from napari_tessera.pipeline.api import apply

NAMES = sorted(all_operations())
SLOW_TO_COMPILE = {"adaptive_median"}
"""Operations whose kernels for any type and window take a minute to compile: tests/operations has chosen ones."""


@pytest.mark.parametrize("name", NAMES)
def test_plain_images_are_not_refused_and_exact(name: str) -> None:
    operation = all_operations()[name]
    results = [check_exact(plain_example(operation, axes)) for axes in ("yx", "zyx", "tyx", "yxc")]
    # those that need a whole frame may need one of a kind: beads, a spectrum
    assert any(results) or not is_tiled(operation)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SLOW_TO_COMPILE])
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_tiles_are_exact(name: str, data: st.DataObject) -> None:
    check_exact(data.draw(examples_of(all_operations()[name])))


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in NAMES if name not in SLOW_TO_COMPILE])
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_tiles_are_exact_at_length(name: str, data: st.DataObject) -> None:
    check_exact(data.draw(examples_of(all_operations()[name])))


@pytest.fixture
def short_sighted() -> Iterator[type[Local]]:
    """Register an operation that says it looks less far than it does."""

    @register
    class ShortSighted(Local):
        """Sum a window that is larger than the halo."""

        title: ClassVar = "Short sighted"
        group: ClassVar = "Tests"
        size: int = parameter(2, "Half of the window.", ge=1, le=4)

        def halo(self, spec: Any) -> tuple[int, ...]:
            return (self.size - 1,) * len(spec.spatial)

        def compute(self, block: Block) -> np.ndarray:
            from scipy.ndimage import maximum_filter

            widest: np.ndarray = maximum_filter(block.image, 2 * self.size + 1)
            return widest

    yield ShortSighted
    unregister(ShortSighted.name())


def test_an_operation_registered_at_run_time_gets_the_same_check(short_sighted: type[Local]) -> None:
    image = np.zeros((20, 20), np.uint8)
    image[9, 9] = 1
    with pytest.raises(AssertionError, match="pixels differ"):
        check_exact(Example(short_sighted(), image, "yx", 8))

    @settings(max_examples=200, database=None, suppress_health_check=list(HealthCheck))
    @given(examples_of(short_sighted))
    def check(example: Example) -> None:
        check_exact(example)

    with pytest.raises(AssertionError, match="pixels differ"):
        check()


@pytest.mark.parametrize("name", NAMES)
def test_a_volume_of_one_plane_gives_what_the_plane_gives(name: str) -> None:
    operation = all_operations()[name]
    plane = plain_example(operation, "yx")
    inputs = {
        key: array[np.newaxis] if array.shape == plane.image.shape else array for key, array in plane.others.items()
    }
    try:
        expected = apply(plane.operation, open_image(plane.image, axes="yx"), tile=16, **plane.others)
    except InvalidInputError:
        return  # needs an axis that a plane does not have
    for tile in (None, 16):
        volume = open_image(plane.image[np.newaxis], axes="zyx")
        result = apply(plane.operation, volume, tile=tile, **inputs)
        if operation.output == "points":
            np.testing.assert_array_equal(result[:, 0], 0)
            result = result[:, 1:]
        if operation.keeps_depth:  # computed as a volume, so rounding may differ
            np.testing.assert_allclose(result.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(result.reshape(expected.shape), expected)
