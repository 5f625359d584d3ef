from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask.array
import numpy as np
import pytest
import zarr

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSink, ImageSource, ImageSpec
from napari_tessera.io.arrays import ArraySource, MemorySink
from napari_tessera.io.opening import open_image

ARRAY = np.arange(6 * 7 * 8, dtype=np.uint16).reshape(6, 7, 8)
REGION = (slice(1, 4), slice(0, 7), slice(3, 5))


def _numpy(_: Path) -> object:
    return ARRAY


def _dask(_: Path) -> object:
    return dask.array.from_array(ARRAY, chunks=(2, 3, 8))


def _zarr(folder: Path) -> object:
    return zarr.array(ARRAY, store=str(folder / "array.zarr"), chunks=(2, 3, 8))


@pytest.mark.parametrize("make", [_numpy, _dask, _zarr])
def test_any_array_is_an_image(tmp_path: Path, make: object) -> None:
    image = open_image(make(tmp_path))  # type: ignore[operator]
    assert isinstance(image, ImageSource)
    assert (image.axes, image.shape, image.dtype) == ("zyx", (6, 7, 8), np.uint16)
    part = image.read(REGION)
    assert type(part) is np.ndarray
    assert np.array_equal(part, ARRAY[REGION])


@pytest.mark.parametrize("make", [_dask, _zarr])
def test_chunks_are_known(tmp_path: Path, make: object) -> None:
    image = open_image(make(tmp_path))  # type: ignore[operator]
    assert isinstance(image, ArraySource)
    assert image.chunks == (2, 3, 8)
    assert open_image(image, name="other").chunks == (2, 3, 8)


def test_dask_computes_only_what_is_read() -> None:
    computed = []

    def block(data: np.ndarray, block_info: object = None) -> np.ndarray:
        computed.append(block_info)
        return data

    lazy = dask.array.from_array(ARRAY, chunks=(1, 7, 8)).map_blocks(block, dtype=np.uint16, meta=ARRAY[:0])
    open_image(lazy).read((slice(2, 3), slice(0, 7), slice(0, 8)))
    assert len(computed) == 1


def test_an_image_says_what_it_is() -> None:
    spec = ImageSpec(axes="zyx", shape=(2, 3, 4), dtype=np.dtype("uint8"), name="cells")
    assert repr(ArraySource(np.zeros((2, 3, 4), np.uint8), spec)) == (
        "<ArraySource 'cells': z 2 × y 3 × x 4, uint8, of ndarray>"
    )


def test_what_is_read_is_a_copy() -> None:
    array = ARRAY.copy()
    image = open_image(array)
    image.read(image.spec.full_region)[...] = 0
    assert np.array_equal(array, ARRAY)


def test_reading_in_threads_gives_the_same() -> None:
    image = open_image(_dask(Path()))
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda z: image.read((slice(z, z + 1), slice(0, 7), slice(0, 8))), range(6)))
    assert np.array_equal(np.concatenate(parts), ARRAY)


def test_foreign_byte_order_becomes_native() -> None:
    image = open_image(ARRAY.astype(">u2"))
    assert image.dtype == np.dtype("=u2")
    assert image.dtype.isnative
    assert np.array_equal(image.read(image.spec.full_region), ARRAY)


@pytest.mark.parametrize(
    "region",
    [
        (slice(0, 1), slice(0, 1)),
        (slice(0, 7), slice(0, 1), slice(0, 1)),
        (slice(-1, 1), slice(0, 1), slice(0, 1)),
        (slice(2, 1), slice(0, 1), slice(0, 1)),
        (slice(0, 4, 2), slice(0, 1), slice(0, 1)),
    ],
)
def test_a_region_outside_the_image_is_refused(region: tuple[slice, ...]) -> None:
    with pytest.raises(InvalidInputError, match="does not lie within"):
        open_image(ARRAY).read(region)


@pytest.mark.parametrize(
    "array",
    [np.zeros((3, 4), complex), np.array([["a", "b"]]), np.array([[None, 1]]), np.zeros((0, 4)), np.zeros(4)],
    ids=["complex", "text", "object", "empty", "1D"],
)
def test_what_is_no_image_is_refused(array: np.ndarray) -> None:
    with pytest.raises(InvalidInputError):
        open_image(array)


def test_a_memory_sink_collects_regions() -> None:
    sink = MemorySink(ImageSpec(axes="zyx", shape=ARRAY.shape, dtype=np.uint32))
    assert isinstance(sink, ImageSink)
    sink.write(REGION, ARRAY[REGION])
    sink.finish()
    expected = np.zeros(ARRAY.shape, np.uint32)
    expected[REGION] = ARRAY[REGION]
    assert np.array_equal(sink.array, expected)


def test_pixels_that_do_not_fit_are_refused() -> None:
    sink = MemorySink(ImageSpec(axes="zyx", shape=ARRAY.shape, dtype=np.uint16))
    with pytest.raises(InvalidInputError, match="do not fill"):
        sink.write(REGION, ARRAY)
    with pytest.raises(InvalidInputError, match="int64 do not fit into uint16"):
        sink.write(REGION, ARRAY[REGION].astype(np.int64))
    assert not sink.array.any()
