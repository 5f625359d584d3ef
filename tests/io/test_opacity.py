"""Opacity, palettes and transparent colours in TIFF and PNG: never intensities."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_tessera.core.errors import InvalidInputError, StorageError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import as_labels, notes_about, open_image, open_levels

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
    assert [level.shape for level in open_levels(tmp_path / "p.ome.tif")] == [(80, 120, 3), (40, 60, 3)]
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


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(path: Path, bits: int, color: int, numbers: np.ndarray, *chunks: tuple[bytes, bytes]) -> Path:
    """Write a PNG by hand: `numbers` has the shape (y, x) or (y, x, samples), `chunks` come before the pixels."""
    rows = numbers.reshape(len(numbers), -1)
    if bits == 16:
        packed = [row.astype(">u2").tobytes() for row in rows]
    else:
        digits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
        packed = [np.packbits(row.ravel()).tobytes() for row in digits]
    head = struct.pack(">IIBBBBB", numbers.shape[1], numbers.shape[0], bits, color, 0, 0, 0)
    parts = [
        (b"IHDR", head),
        *chunks,
        (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in packed))),
        (b"IEND", b""),
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts))
    return path


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_grey_level_changes_nothing(tmp_path: Path, bits: int) -> None:
    numbers = np.arange(6 * 8).reshape(6, 8) % 2**bits
    plain = _pixels(_png(tmp_path / "plain.png", bits, 0, numbers))
    transparent = _pixels(_png(tmp_path / "transparent.png", bits, 0, numbers, (b"tRNS", b"\0\0")))
    assert open_image(tmp_path / "transparent.png").axes == "yx"
    assert np.array_equal(transparent, numbers)
    assert np.array_equal(transparent, plain)
    assert transparent.dtype == plain.dtype


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_changes_nothing(tmp_path: Path, bits: int) -> None:
    path = _png(tmp_path / "a.png", bits, 2, COLORS, (b"tRNS", bytes(6)))
    assert open_image(path).axes == "yxc"
    assert np.array_equal(_pixels(path), COLORS)


PALETTE = np.random.default_rng(3).integers(0, 255, (256, 3), np.uint8)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("more", [(), ((b"tRNS", b"\0\x80"), (b"bKGD", b"\0"))], ids=["", "transparent"])
def test_a_png_with_a_palette_is_colours_as_an_image_and_numbers_as_labels(
    tmp_path: Path, bits: int, more: tuple[tuple[bytes, bytes], ...]
) -> None:
    numbers = np.arange(6 * 8).reshape(6, 8) % 2**bits
    path = _png(tmp_path / "a.png", bits, 3, numbers, (b"PLTE", PALETTE[: 2**bits].tobytes()), *more)
    assert np.array_equal(_pixels(path), PALETTE[numbers])
    labels = as_labels(open_image(path))
    assert (labels.axes, labels.dtype) == ("yx", np.uint8)
    assert np.array_equal(labels.read(labels.spec.full_region), numbers)
    assert np.array_equal(_pixels(path, axes="yx"), numbers)
    assert np.array_equal(_pixels(path, axes="xy"), numbers)
    scaled = as_labels(open_image(path, scale=(2, 3, 1), units=("micrometer", "micrometer", None)))
    assert (scaled.scale, scaled.units) == ((2, 3), ("micrometer", "micrometer"))
    assert np.array_equal(scaled.read(scaled.spec.full_region), numbers)
    plain = open_image(numbers)
    assert as_labels(plain) is plain


def test_axes_that_do_not_fit_a_png_are_named(tmp_path: Path) -> None:
    path = _png(tmp_path / "a.png", 8, 2, COLORS)
    with pytest.raises(InvalidInputError, match="Axes 'yx' name 2 dimensions but the array has 3"):
        open_image(path, axes="yx")


def test_an_animation_is_told(tmp_path: Path) -> None:
    path = _png(tmp_path / "a.png", 8, 0, COLORS[..., 0], (b"acTL", struct.pack(">II", 7, 0)))
    assert "an animation of 7 frames, of which the first is read" in notes_about(open_image(path))[0]
    path = _png(tmp_path / "b.png", 8, 0, COLORS[..., 0], (b"acTL", struct.pack(">II", 1, 0)))
    assert notes_about(open_image(path)) == ()


def _odd_png(data: bytes, *, color: int = 0, before: bytes = b"", interlaced: int = 0) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", len(content), name) + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 8, 8, 8, color, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_what_is_odd_in_a_png_writes_no_line_of_a_library(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = b"".join(b"\0" + bytes(range(8 * row, 8 * row + 8)) for row in range(8))
    whole = zlib.compress(rows)
    path = tmp_path / "odd.png"
    for encoded, told in (
        (_odd_png(whole), 0),
        (_odd_png(whole + b"more"), 0),
        (_odd_png(zlib.compress(rows + rows[:9])), 0),
        (_odd_png(whole[:-1] + b"\0"), 1),
        (_odd_png(whole, before=struct.pack(">I4s", 2, b"PLTE") + b"xx" + b"\0" * 4), 0),
    ):
        path.write_bytes(encoded)
        assert _pixels(path).tolist() == np.arange(64).reshape(8, 8).tolist()
        assert sum("checksum" in note for note in notes_about(open_image(path))) == told
    path.write_bytes(_odd_png(zlib.compress(rows), color=3, before=struct.pack(">I4s", 2, b"PLTE") + b"xx" + b"\0" * 4))
    with pytest.raises(StorageError, match="palette that is damaged"):
        open_image(path)
    assert capfd.readouterr().err == ""


def test_an_interlaced_png_with_more_than_its_pixels_is_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shape = (8, 8)
    steps = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    pixels = np.arange(64, dtype=np.uint8).reshape(shape)
    parts = [pixels[y::step_y, x::step_x] for y, x, step_y, step_x in steps]
    rows = b"".join(b"\0" + row.tobytes() for part in parts for row in part)
    for extra in (b"", b"\0" * 9):
        (tmp_path / "i.png").write_bytes(_odd_png(zlib.compress(rows + extra), interlaced=1))
        assert np.array_equal(_pixels(tmp_path / "i.png"), pixels)
    assert capfd.readouterr().err == ""
