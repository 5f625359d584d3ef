"""Components across tiles: joined over faces, edges and corners, described and numbered as in the whole frame."""

from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

from napari_tessera.core.image import ImageSpec
from napari_tessera.io.opening import open_image
from napari_tessera.operations.base import Block, Components, Connected, Input
from napari_tessera.operations.labels import components as numbering
from napari_tessera.operations.whole import run_whole
from napari_tessera.pipeline.api import apply
from napari_tessera.pipeline.applying import merging


class Recording(Connected):
    """Number components and keep what was said of them; parts are the pixels, marks and surroundings come along."""

    title: ClassVar = "Recording"
    group: ClassVar = "Tests"
    inputs: ClassVar = (
        Input("image", "labels", "Parts."),
        Input("marked", "labels", "Marks.", optional=True),
        Input("beside", "labels", "Surroundings.", optional=True),
    )
    output: ClassVar = "labels"
    seen: ClassVar[list[Components]] = []

    connectivity: int = 1

    def connections(self, spec: ImageSpec) -> int:
        return self.connectivity

    def parts(self, block: Block) -> NDArray[Any]:
        return block.image

    def marks(self, block: Block) -> NDArray[np.bool_] | None:
        return block.others["marked"] != 0 if "marked" in block.others else None

    def surroundings(self, block: Block) -> NDArray[Any] | None:
        return block.others.get("beside")

    def decide(self, components: Components) -> NDArray[Any]:
        self.seen.append(components)
        return np.arange(1, len(components) + 1)

    def output_dtype(self, dtype: Any) -> Any:
        return np.uint32


def described(operation: Recording, image: NDArray[Any], **options: Any) -> tuple[NDArray[Any], Components]:
    Recording.seen.clear()
    result = apply(operation, open_image(image, axes="zyx"[-image.ndim :]), **options)
    assert len(Recording.seen) == 1
    return result, Recording.seen[0]


def assert_same(one: Components, other: Components) -> None:
    for name in ("values", "sizes", "on_border", "marked", "around"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.spec == other.spec


@st.composite
def parts_of(draw: st.DrawFn) -> tuple[NDArray[Any], int]:
    dimensions = draw(st.sampled_from([2, 2, 3]))
    # a stack of one plane is worked on as that plane, so volumes begin at two
    lowest, highest = ((1, 1), 23) if dimensions == 2 else ((2, 1, 1), 9)
    shape = [draw(st.integers(low, highest)) for low in lowest]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = draw(st.integers(1, 3))
    image = rng.integers(1, kinds + 1, shape) * (rng.random(shape) < draw(st.sampled_from([0.2, 0.5, 0.7, 0.95])))
    return image.astype(draw(st.sampled_from([np.uint8, np.uint16, np.int32, np.uint64]))), dimensions


@settings(max_examples=150)
@given(parts_of(), st.data())
def test_tiles_give_what_the_whole_gives(case: tuple[NDArray[Any], int], data: st.DataObject) -> None:
    image, dimensions = case
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    operation = Recording(connectivity=data.draw(st.integers(1, dimensions)))
    others = {
        "marked": (rng.random(image.shape) < 0.1).astype(np.uint8),
        "beside": (rng.integers(1, 9, image.shape) * (rng.random(image.shape) < 0.3)).astype(np.uint16),
    }
    others = {name: array for name, array in others.items() if data.draw(st.booleans())}
    expected, whole = described(operation, image, **others)
    tile, threads = data.draw(st.integers(1, 9)), data.draw(st.sampled_from([1, 3]))
    kept = merging.KEPT_BYTES
    merging.KEPT_BYTES = data.draw(st.sampled_from([0, kept]))
    try:
        result, merged = described(operation, image, tile=tile, threads=threads, **others)
    finally:
        merging.KEPT_BYTES = kept
    np.testing.assert_array_equal(result, expected)
    assert_same(merged, whole)


@settings(max_examples=60)
@given(parts_of(), st.data())
def test_the_whole_is_what_scikit_image_gives(case: tuple[NDArray[Any], int], data: st.DataObject) -> None:
    image, dimensions = case
    connectivity = data.draw(st.integers(1, dimensions))
    result, components = described(Recording(connectivity=connectivity), image)
    numbers, count = label(image.astype(np.int64), background=0, connectivity=connectivity, return_num=True)
    # numbered by the first pixel in raster order, which scikit-image's are not beside dimensions of length 1
    firsts = [np.flatnonzero(numbers.ravel() == index)[0] for index in range(1, count + 1)]
    numbers = np.concatenate([[0], 1 + np.argsort(np.argsort(firsts))])[numbers] if count else numbers
    np.testing.assert_array_equal(result, numbers)
    for index in range(1, count + 1):
        mask = numbers == index
        assert components.sizes[index - 1] == mask.sum()
        assert components.values[index - 1] == image[mask][0]
        inside = ndimage.binary_erosion(np.ones(image.shape), np.ones((3,) * dimensions)) if image.size else mask
        assert components.on_border[index - 1] == (mask & ~inside).any()


@settings(max_examples=60)
@given(parts_of(), st.data())
def test_labels_around_are_those_that_a_dilation_reaches(case: tuple[NDArray[Any], int], data: st.DataObject) -> None:
    image, dimensions = case
    connectivity = data.draw(st.integers(1, dimensions))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    beside = (rng.integers(1, 9, image.shape) * (rng.random(image.shape) < 0.4)).astype(np.uint8)
    numbered = numbering.number_components(image, connectivity)
    around = numbering.labels_around(numbered.numbers, beside, len(numbered), connectivity)
    structure = ndimage.generate_binary_structure(dimensions, connectivity)
    for index, (low, high) in enumerate(around, start=1):
        mask = numbered.numbers == index
        # neighbours of its pixels, which may be pixels of it as well
        near = np.zeros(image.shape, bool)
        for offset in np.argwhere(structure) - 1:
            if offset.any():
                near |= ndimage.shift(mask.astype(np.uint8), offset, order=0) > 0
        near |= mask
        labels = beside[near & (beside != 0)]
        assert (low, high) == ((labels.min(), labels.max()) if labels.size else (0, 0))


@pytest.mark.parametrize(("shape", "at"), [((8, 8), (4, 4)), ((8, 8, 8), (4, 4, 4))])
def test_corners_of_tiles_connect_as_connectivity_says(shape: tuple[int, ...], at: tuple[int, ...]) -> None:
    """Two pixels that meet in the one point where all tiles meet, along every diagonal."""
    for signs in np.ndindex(*(2,) * len(shape)):
        image = np.zeros(shape, np.uint8)
        image[tuple(place - sign for place, sign in zip(at, signs, strict=True))] = 1
        image[tuple(place - 1 + sign for place, sign in zip(at, signs, strict=True))] = 1
        for connectivity in range(1, len(shape) + 1):
            _, components = described(Recording(connectivity=connectivity), image, tile=4)
            assert len(components) == (1 if connectivity == len(shape) else 2)


def test_a_spiral_through_many_tiles_is_one_component() -> None:
    size = 63
    image = np.zeros((size, size), np.uint8)
    low, high = 0, size - 1
    while low < high:
        image[low, low:high] = image[low:high, high] = image[high, low + 1 : high + 1] = 1
        image[low + 2 : high + 1, low] = 1
        image[low + 2, low : low + 3] = 1
        low, high = low + 2, high - 2
    expected, _ = described(Recording(), image)
    result, components = described(Recording(), image, tile=5, threads=3)
    np.testing.assert_array_equal(result, expected)
    assert components.sizes.sum() == image.sum()


def test_numbers_follow_the_first_pixel_beside_dimensions_of_length_one() -> None:
    image = np.zeros((3, 6, 1), np.uint8)
    image[1, 1], image[1, 3], image[0, 5] = 1, 1, 1
    result, _ = described(Recording(), image)
    assert [result[0, 5, 0], result[1, 1, 0], result[1, 3, 0]] == [1, 2, 3]
    result, _ = described(Recording(), image, tile=2)
    assert [result[0, 5, 0], result[1, 1, 0], result[1, 3, 0]] == [1, 2, 3]


def test_nothing_to_find() -> None:
    result, components = described(Recording(), np.zeros((20, 20), np.uint8), tile=6)
    assert not result.any()
    assert len(components) == 0


def test_shared_layers_do_not_stay() -> None:
    from napari_tessera.core.tiles import TileGrid
    from napari_tessera.pipeline.applying.frames import make_frames
    from napari_tessera.pipeline.applying.inputs import gather_inputs

    image = open_image(np.ones((40, 40), np.uint8))
    frames = make_frames(Recording(), gather_inputs(Recording(), {"image": image}))
    tiled = merging.TiledComponents(Recording(), frames, {}, TileGrid((40, 40), (8, 8), (1, 1)))
    most = 0
    for tile in tiled.grid:
        tiled.find(tile)
        most = max(most, len(tiled._shared))
    assert most <= 3 * 7
    assert not tiled._shared


def test_one_value_per_component_is_asked_for() -> None:
    class Mean(Recording):
        """Forget the components."""

        def decide(self, components: Components) -> NDArray[Any]:
            return np.ones(1 + len(components))

    image = np.eye(9, dtype=np.uint8)
    with pytest.raises(TypeError, match="not one each"):
        apply(Mean(), image)
    spec = ImageSpec(axes="yx", shape=image.shape, dtype=image.dtype)
    with pytest.raises(TypeError, match="not one each"):
        run_whole(Mean(), Block(image, spec, spec.full_region))
