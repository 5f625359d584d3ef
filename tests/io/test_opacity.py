"""Opacity, palettes and transparent colours in TIFF and PNG: never intensities."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_tessera.core.image import ImageSpec
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import image_levels, open_image

COLORS = np.random.default_rng(0).integers(0, 250, (20, 30, 3), np.uint8)
OPACITY = np.random.default_rng(1).integers(0, 250, (20, 30, 1), np.uint8)


def _pixels(path: Path, **options: Any) -> np.ndarray:
    image = open_image(path, **options)
    pixels = image.read(image.spec.full_region)
    assert pixels.shape == image.shape
    return pixels


@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib", "tile": (16, 16)}, {"byteorder": ">"}, {"metadata": None}], ids=str
)
@pytest.mark.parametrize("kind", ["UNASSALPHA", "ASSOCALPHA"])
def test_the_opacity_of_colours_is_left_out(tmp_path: Path, options: dict[str, Any], kind: str) -> None:
    path = tmp_path / "rgba.tif"
    tifffile.imwrite(path, np.dstack([COLORS, OPACITY]), photometric="rgb", extrasamples=[kind], **options)
    assert open_image(path).axes == "yxc"
    assert np.array_equal(_pixels(path), COLORS)
    image = open_image(path)
    assert np.array_equal(image.read((slice(3, 9), slice(5, 6), slice(1, 3))), COLORS[3:9, 5:6, 1:3])
    assert image.read((slice(3, 9), slice(5, 6), slice(1, 1))).shape == (6, 1, 0)
    assert np.array_equal(_pixels(path, axes="yxc"), COLORS)


def test_the_opacity_of_separate_planes_and_of_stacks_is_left_out(tmp_path: Path) -> None:
    rgba = np.dstack([COLORS, OPACITY])
    planes = np.moveaxis(rgba, -1, 0)
    options = {"photometric": "rgb", "extrasamples": ["UNASSALPHA"]}
    tifffile.imwrite(tmp_path / "planar.tif", planes, planarconfig="separate", **options)
    assert open_image(tmp_path / "planar.tif").axes == "cyx"
    assert np.array_equal(_pixels(tmp_path / "planar.tif"), planes[:3])
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([rgba, rgba // 2]), planarconfig="contig", **options)
    assert open_image(tmp_path / "stack.tif").axes == "zyxc"
    assert np.array_equal(_pixels(tmp_path / "stack.tif"), np.stack([COLORS, COLORS // 2]))


def test_the_opacity_of_a_pyramid_is_left_out_at_every_level(tmp_path: Path) -> None:
    rgba = np.dstack([COLORS, OPACITY]).repeat(4, 0).repeat(4, 1)
    options: dict[str, Any] = {"photometric": "rgb", "extrasamples": ["UNASSALPHA"], "tile": (16, 16)}
    with tifffile.TiffWriter(tmp_path / "p.ome.tif") as tif:
        tif.write(rgba, subifds=1, metadata={"axes": "YXS"}, **options)
        tif.write(rgba[::2, ::2], subfiletype=1, **options)
    assert [spec.shape for spec in image_levels(tmp_path / "p.ome.tif")] == [(80, 120, 3), (40, 60, 3)]
    assert np.array_equal(_pixels(tmp_path / "p.ome.tif", level=1), rgba[::2, ::2, :3])


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=str)
def test_grey_with_opacity_is_one_channel(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "grey.tif"
    both = np.dstack([COLORS[..., 0], OPACITY])
    tifffile.imwrite(
        path, both, photometric="minisblack", planarconfig="contig", extrasamples=["UNASSALPHA"], **options
    )
    image = open_image(path)
    assert image.axes == "yx"
    assert np.array_equal(_pixels(path), COLORS[..., 0])
    assert np.array_equal(image.read((slice(2, 5), slice(1, 7))), COLORS[2:5, 1:7, 0])
    assert np.array_equal(_pixels(path, axes="yx"), COLORS[..., 0])


def test_further_samples_that_are_no_opacity_are_channels(tmp_path: Path) -> None:
    five = np.dstack([COLORS, OPACITY, OPACITY + 1])
    tifffile.imwrite(
        tmp_path / "five.tif",
        five,
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["UNSPECIFIED"] * 4,
    )
    assert np.array_equal(_pixels(tmp_path / "five.tif"), five)


@pytest.mark.parametrize("dtype", ["uint8", "int64"])
def test_four_channels_that_we_write_stay_four(tmp_path: Path, dtype: str) -> None:
    pixels = np.dstack([COLORS, OPACITY]).astype(dtype)
    sink = create_image(tmp_path / "a.tif", ImageSpec(axes="yxc", shape=pixels.shape, dtype=np.dtype(dtype)))
    sink.write(sink.spec.full_region, pixels)
    sink.finish()
    assert np.array_equal(_pixels(tmp_path / "a.tif"), pixels)
    assert np.array_equal(_pixels(tmp_path / "a.tif", axes="yxc"), pixels)


def test_a_tiff_with_a_palette_is_its_numbers(tmp_path: Path) -> None:
    numbers = COLORS[..., 0]
    ramp = np.random.default_rng(2).integers(0, 2**16, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "palette.tif", numbers, photometric="palette", colormap=ramp)
    assert open_image(tmp_path / "palette.tif").axes == "yx"
    assert np.array_equal(_pixels(tmp_path / "palette.tif"), numbers)
