import os
import struct
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import zarr

from napari_tessera.core.errors import InvalidInputError, MissingInputError, OutOfMemoryError, StorageError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import open_image, open_levels
from napari_tessera.pipeline.positions import read_array

GRAY = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)


def _pixels(path: Path) -> np.ndarray:
    image = open_image(path)
    return image.read(image.spec.full_region)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"nothing\.tif: check the path"):
        open_image(tmp_path / "nothing.tif")


@pytest.mark.parametrize("name", ["notes.txt", "image.jpg", "image"])
def test_an_unknown_type_lists_what_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(InvalidInputError, match=r"TIFF .*PNG, NPY, OME-Zarr or zarr"):
        open_image(tmp_path / name)


def test_an_ordinary_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="not a zarr"):
        open_image(tmp_path)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".npy"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    path.write_bytes(b"GIF89a, or anything else that is longer than a header")
    with pytest.raises(InvalidInputError, match="right suffix"):
        open_image(path)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".npy"])
def test_an_empty_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    path.write_bytes(b"")
    with pytest.raises((StorageError, InvalidInputError), match=path.name):
        open_image(path)


def test_a_suffix_may_be_in_capitals_and_a_path_a_string(tmp_path: Path) -> None:
    (tmp_path / "IMAGE.PNG").write_bytes(imagecodecs.png_encode(GRAY))
    image = open_image(str(tmp_path / "IMAGE.PNG"))
    assert image.name == "IMAGE"
    assert np.array_equal(image.read(image.spec.full_region), GRAY)


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour_png(tmp_path: Path, channels: int, dtype: type) -> None:
    color = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (5, 6, channels), dtype)
    (tmp_path / "color.png").write_bytes(imagecodecs.png_encode(color))
    image = open_image(tmp_path / "color.png")
    assert image.axes == ("yx" if channels == 2 else "yxc")
    assert image.dtype == dtype
    seen = color[..., 0] if channels == 2 else color[..., :3]  # opacity is no intensity
    assert np.array_equal(image.read(image.spec.full_region), seen)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_of_few_bits_keeps_its_values(tmp_path: Path, bits: int) -> None:
    values = np.arange(32).reshape(4, 8) % 2**bits
    packed = np.packbits(
        np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :].reshape(4, -1), axis=-1
    )
    (tmp_path / "few.png").write_bytes(_png(8, 4, bits, packed))
    pixels = _pixels(tmp_path / "few.png")
    assert pixels.dtype == (bool if bits == 1 else np.uint8)
    assert np.array_equal(pixels, values)


def _png(width: int, height: int, bits: int, rows: np.ndarray) -> bytes:
    """Write a gray PNG by hand: encoders offer no small bit depths."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_a_truncated_png_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (50, 50), np.uint8)
    encoded = imagecodecs.png_encode(noise)
    (tmp_path / "half.png").write_bytes(encoded[: len(encoded) // 2])
    with pytest.raises(StorageError, match="copy or export it again"):
        open_image(tmp_path / "half.png")


def test_npy_is_mapped_and_guessed(tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", np.asfortranarray(GRAY.reshape(2, 10, 30)))
    image = open_image(tmp_path / "stack.npy")
    assert image.axes == "zyx"
    assert np.array_equal(image.read((slice(1, 2), slice(2, 4), slice(0, 30))), GRAY.reshape(2, 10, 30)[1:2, 2:4])


@pytest.mark.parametrize(
    "array", [np.array([[None, "x"]], object), np.zeros((3, 3), complex)], ids=["pickle", "complex"]
)
def test_npy_without_numbers_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "odd.npy", array)
    with pytest.raises((InvalidInputError, StorageError), match=r"odd\.npy"):
        open_image(tmp_path / "odd.npy")


def test_a_truncated_npy_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", GRAY)
    content = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / "half.npy").write_bytes(content[: len(content) // 2])
    with pytest.raises(StorageError, match="damaged or incomplete"):
        open_image(tmp_path / "half.npy")


def test_overrides_replace_what_the_file_says(tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", np.zeros((2, 10, 30), np.uint8))
    image = open_image(
        tmp_path / "stack.npy",
        axes="cyx",
        scale=(1, 0.5, 0.25),
        translate=(0, 3, 4),
        units=(None, "micrometer", "micrometer"),
        channel_names=("DNA", "actin"),
        name="cells",
    )
    assert image.axes == "cyx"
    assert image.scale == (1, 0.5, 0.25)
    assert image.spec.translate == (0, 3, 4)
    assert image.units == (None, "micrometer", "micrometer")
    assert image.spec.channel_names == ("DNA", "actin")
    assert image.name == "cells"
    assert image.read(image.spec.full_region).shape == (2, 10, 30)


def test_an_open_image_can_be_respecified() -> None:
    image = open_image(open_image(GRAY), scale=(2, 2))
    assert image.scale == (2, 2)
    assert np.array_equal(image.read((slice(3, 5), slice(0, 30))), GRAY[3:5])
    assert open_image(image) is image


@pytest.mark.parametrize(
    "wrong",
    [{"axes": "zyx"}, {"axes": "yq"}, {"scale": (1,)}, {"scale": (0, 1)}, {"units": ("a",)}, {"channel_names": ("a",)}],
)
def test_overrides_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        open_image(GRAY, **wrong)


def test_other_axes_drop_channel_names_that_no_longer_fit() -> None:
    image = open_image(GRAY.reshape(2, 10, 30), axes="cyx", channel_names=("a", "b"))
    assert open_image(image, axes="zyx").spec.channel_names == ()


@pytest.mark.parametrize("level", [-1, 1])
def test_a_level_that_is_not_there_is_refused(tmp_path: Path, level: int) -> None:
    (tmp_path / "image.png").write_bytes(imagecodecs.png_encode(GRAY))
    with pytest.raises(InvalidInputError, match="one level only"):
        open_image(tmp_path / "image.png", level=level)
    assert len(open_levels(tmp_path / "image.png")) == 1


def test_rows_of_different_lengths_are_no_image() -> None:
    with pytest.raises(InvalidInputError, match="not equally long"):
        open_image([[1, 2], [3]])


def _png_head(width: int, height: int, bits: int, color: int) -> bytes:
    """The first chunk of a PNG of that size, and a little of what may follow."""
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    chunk = b"IHDR" + head
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(head)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"0" * 90
    )


@pytest.mark.parametrize(("bits", "color"), [(8, 0), (1, 3), (16, 6)])
def test_a_png_that_says_more_than_it_can_hold_is_refused_before_memory_is_taken(
    tmp_path: Path, bits: int, color: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(_png_head(200_000, 150_000, bits, color))
    monkeypatch.setattr(imagecodecs, "png_decode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(StorageError, match=r"200000 × 150000 pixels.*cannot hold: it is damaged"):
        open_image(path)


def test_a_png_that_compresses_as_far_as_can_be_is_read(tmp_path: Path) -> None:
    path = tmp_path / "black.png"
    path.write_bytes(imagecodecs.png_encode(np.zeros((3000, 3000), np.uint8), level=9))
    assert path.stat().st_size < 20_000
    assert open_image(path).shape == (3000, 3000)


def test_a_png_that_does_not_fit_into_memory_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(imagecodecs.png_encode(np.zeros((1000, 1000), np.uint8)))
    monkeypatch.setattr("napari_tessera.io.png.free_memory", lambda: 10**6)
    with pytest.raises(OutOfMemoryError, match=r"large\.png has 1000 × 1000 pixels, which do not fit into memory"):
        open_image(path)


@pytest.mark.parametrize("content", [{"masks": GRAY}, [1, "a"], np.array([(1, None)], [("a", "i4"), ("b", "O")])])
def test_objects_of_a_program_are_no_damage(tmp_path: Path, content: object) -> None:
    path = tmp_path / "cells_seg.npy"
    np.save(path, np.asarray(content, getattr(content, "dtype", object)), allow_pickle=True)
    for read in (open_image, read_array):
        with pytest.raises(InvalidInputError, match=r"cells_seg\.npy holds objects.*save the image or the masks"):
            read(path)


def test_the_home_of_nobody_is_a_folder_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingInputError, match=r"no file or folder ~no-such-user-here/image\.npy"):
        open_image("~no-such-user-here/image.npy")
    Path("~no-such-user-here").mkdir()
    np.save("~no-such-user-here/image.npy", GRAY)
    assert np.array_equal(_pixels(Path("~no-such-user-here/image.npy")), GRAY)


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
@pytest.mark.parametrize("suffix", [".tif", ".npy", ".ome.zarr"])
def test_an_image_whose_name_is_no_text_is_written(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / os.fsdecode(b"n\xff\xfe\x07.npy")
    np.save(source, GRAY)
    image = open_image(source)
    assert image.name == "n???"
    sink = create_image(tmp_path / f"out{suffix}", image.spec)
    sink.write(image.spec.full_region, GRAY)
    sink.finish()
    assert np.array_equal(_pixels(tmp_path / f"out{suffix}"), GRAY)


def test_an_npy_without_pixels_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((0, 5), np.uint8))
    with pytest.raises(InvalidInputError, match=r"has shape \(0, 5\), so no pixels"):
        open_image(tmp_path / "a.npy")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", ["(((3, 10", "(100000000000, 100000000)", "(-1, 10)", "(1e3, 10)"])
def test_an_npy_whose_header_makes_no_sense_is_damaged(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header + bytes(99))
    with pytest.raises(StorageError, match="damaged or incomplete"):
        open_image(tmp_path / "a.npy")


def test_a_png_that_ends_in_its_header_is_told_without_python(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(12))
    with pytest.raises(StorageError, match=r"a\.png cannot be read: it is damaged"):
        open_image(tmp_path / "a.png")


def test_a_level_that_is_not_there_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "image.ome.zarr"
    sink = create_image(path, ImageSpec(axes="yx", shape=(64, 64), dtype=np.dtype(np.uint8)))
    sink.write((slice(0, 64), slice(0, 64)), np.zeros((64, 64), np.uint8))
    sink.finish()
    with pytest.raises(InvalidInputError, match=r"image.ome.zarr has one level only: choose level 0"):
        open_image(path / "7")
    with pytest.raises(MissingInputError, match="no file or folder"):
        open_image(path / "labels")
    with pytest.raises(MissingInputError, match="no file or folder"):
        open_image(tmp_path / "7")
    tree = tmp_path / "pyramid.zarr"
    group = zarr.create_group(tree, zarr_format=2)
    for level in range(3):
        group.create_array(str(level), shape=(8 >> level, 8 >> level), dtype="uint8")[...] = 0
    datasets: list[Any] = [
        {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": [2**level] * 2}]}
        for level in range(3)
    ]
    axes: list[Any] = [{"name": axis, "type": "space"} for axis in "yx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    with pytest.raises(InvalidInputError, match=r"pyramid.zarr has no level 7: choose one of 0 to 2"):
        open_image(tree / "7")
