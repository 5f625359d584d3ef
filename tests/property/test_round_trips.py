"""What is written in any order of regions is read back with pixels, dtype, axes and calibration."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tessera.core.axes import CANONICAL, guess_axes, move_axes
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.tiles import TileGrid
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import open_image

DTYPES = (
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float16",
    "float32",
    "float64",
)
UNITS = {"t": ("second", "minute"), "c": (None,)}
FINITE = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False)


@st.composite
def specs(draw: st.DrawFn) -> ImageSpec:
    axes = "".join(draw(st.permutations(["y", "x", *draw(st.sets(st.sampled_from("tcz")))])))
    shape = tuple(draw(st.integers(1, 5 if axis in "tcz" else 19)) for axis in axes)
    channels = dict(zip(axes, shape, strict=True)).get("c", 0)
    names = tuple(draw(st.lists(st.text("abµ <&\"'1.0", min_size=1), min_size=channels, max_size=channels)))
    return ImageSpec(
        axes=axes,
        shape=shape,
        dtype=np.dtype(draw(st.sampled_from(DTYPES))),
        scale=tuple(draw(st.floats(1e-3, 1e3)) for _ in axes),
        translate=tuple(draw(FINITE) for _ in axes),
        units=tuple(draw(st.sampled_from((None, *UNITS.get(axis, ("micrometer", "nanometer"))))) for axis in axes),
        channel_names=names if draw(st.booleans()) else (),
    )


def _pixels(spec: ImageSpec, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if spec.dtype.kind == "f":
        return rng.normal(size=spec.shape).astype(spec.dtype)
    if spec.dtype.kind == "b":
        return rng.random(spec.shape) < 0.5
    limits = np.iinfo(spec.dtype)
    return rng.integers(limits.min, limits.max, spec.shape, spec.dtype, endpoint=True)


def _write(path: Path, spec: ImageSpec, pixels: np.ndarray, tile: int, seed: int) -> None:
    sink = create_image(path, spec)
    tiles = list(TileGrid(spec.shape, [tile] * len(spec.shape)))
    for index in np.random.default_rng(seed).permutation(len(tiles)):
        region = tiles[index].inner
        sink.write(region, pixels[region])
    sink.finish()


@settings(max_examples=40, deadline=None)
@given(specs(), st.integers(3, 20), st.integers(0, 99))
def test_tiff_gives_back_pixels_and_specification(spec: ImageSpec, tile: int, seed: int) -> None:
    pixels = _pixels(spec, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.tif"
        _write(path, spec, pixels, tile, seed)
        image = open_image(path)
        assert image.spec == spec
        read = image.read(image.spec.full_region)
        assert read.dtype == spec.dtype
        assert np.array_equal(read, pixels)
        del image


@settings(max_examples=25, deadline=None)
@given(specs(), st.integers(3, 20), st.integers(0, 99), st.sampled_from(("0.4", "0.5")))
def test_zarr_gives_back_pixels_and_calibration(spec: ImageSpec, tile: int, seed: int, version: str) -> None:
    pixels = _pixels(spec, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.ome.zarr"
        sink = create_image(path, spec, chunks=(tile,) * len(spec.shape), ngff_version=version)
        sink.write(spec.full_region, pixels)
        sink.finish()
        image = open_image(path)
        assert image.axes == "".join(axis for axis in CANONICAL if axis in spec.axes)
        assert image.spec.channel_names == spec.channel_names
        for what in ("shape", "scale", "translate", "units"):
            written = spec.by_axis(getattr(spec, what))
            assert dict(zip(image.axes, getattr(image.spec, what), strict=True)) == written
        read = image.read(image.spec.full_region)
        assert read.dtype == spec.dtype
        assert np.array_equal(move_axes(read, image.axes, spec.axes), pixels)


@settings(max_examples=30, deadline=None)
@given(specs(), st.integers(3, 20), st.integers(0, 99))
def test_npy_gives_back_pixels(spec: ImageSpec, tile: int, seed: int) -> None:
    pixels = _pixels(spec, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.npy"
        _write(path, spec, pixels, tile, seed)
        image = open_image(path, axes=spec.axes)
        assert image.axes == spec.axes
        assert image.dtype == spec.dtype
        assert np.array_equal(image.read(image.spec.full_region), pixels)
        if len(spec.shape) <= 4:
            assert open_image(path).axes == guess_axes(spec.shape)
        del image


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from(("uint8", "uint16")), st.integers(3, 20))
def test_png_gives_back_pixels(height: int, width: int, dtype: str, tile: int) -> None:
    spec = ImageSpec(axes="yx", shape=(height, width), dtype=np.dtype(dtype))
    pixels = _pixels(spec, height)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.png"
        _write(path, spec, pixels, tile, width)
        image = open_image(path)
        assert image.spec == spec
        assert np.array_equal(image.read(spec.full_region), pixels)


@settings(max_examples=40, deadline=None)
@given(specs(), st.data())
def test_any_region_is_that_part_of_the_whole(spec: ImageSpec, data: st.DataObject) -> None:
    pixels = _pixels(spec, 0)
    region = []
    for length in spec.shape:
        start = data.draw(st.integers(0, length - 1))
        region.append(slice(start, data.draw(st.integers(start + 1, length))))
    image = open_image(pixels, axes=spec.axes)
    assert np.array_equal(image.read(tuple(region)), pixels[tuple(region)])


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".ome.zarr"])
def test_one_pixel_survives(tmp_path: Path, suffix: str) -> None:
    spec = ImageSpec(axes="yx", shape=(1, 1), dtype=np.dtype(np.uint16))
    _write(tmp_path / f"dot{suffix}", spec, np.array([[7]], np.uint16), 4, 0)
    image = open_image(tmp_path / f"dot{suffix}")
    assert image.shape == (1, 1)
    assert image.read(image.spec.full_region)[0, 0] == 7
