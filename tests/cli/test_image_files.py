"""What the commands make of files of several images, of palettes and opacity, and of axes that do not fit."""

import json
import warnings

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr

import napari_tessera
from napari_tessera.operations.registry import build_operation

GREY = np.random.default_rng(0).integers(0, 250, (24, 30), np.uint8)


@pytest.fixture
def two(tmp_path):
    tifffile.imwrite(tmp_path / "two.tif", GREY)
    tifffile.imwrite(tmp_path / "two.tif", GREY[:20], append=True)
    return tmp_path / "two.tif"


@pytest.fixture
def palette(tmp_path):
    """A TIFF and a PNG of the same labels; the PNG has a palette."""
    labels = np.zeros((24, 30), np.uint8)
    labels[2:9, 3:8], labels[12:20, 5:25] = 1, 2
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    grey = imagecodecs.png_encode(labels)
    colors = b"PLTE" + bytes([0, 0, 0, 200, 0, 0, 0, 0, 250])
    head = grey[12:25] + b"\x03" + grey[26:29]

    def chunk(content):
        return (len(content) - 4).to_bytes(4, "big") + content + imagecodecs.zlib_crc32(content).to_bytes(4, "big")

    (tmp_path / "labels.png").write_bytes(grey[:8] + chunk(head) + chunk(colors) + grey[33:])
    return tmp_path / "labels.tif", tmp_path / "labels.png"


def test_info_names_the_images_of_a_file(call, two):
    assert "note:     two.tif holds 2 images (/0 24 × 30; /1 20 × 30)" in call("info", two).out
    assert call("info", two, "--json").json["notes"][0].startswith("two.tif holds 2 images")
    assert call("info", two / "1", "--json").json["shape"] == [20, 30]
    assert call("info", two / "1", "--json").json["notes"] == []
    outcome = call("info", two / "2")
    assert outcome.status == 1
    assert "it holds 2, two.tif/0 to /1" in outcome.err


def test_a_job_warns_of_further_images_and_works_on_the_one_that_is_named(call, two, tmp_path):
    outcome = call("apply", "invert", two, tmp_path / "out.tif", "--json")
    told = [json.loads(line) for line in outcome.err.splitlines()]
    assert [event["text"][:24] for event in told if event["event"] == "warning"] == ["two.tif holds 2 images ("]
    outcome = call("apply", "invert", two / "1", tmp_path / "second.tif")
    assert "warning" not in outcome.err
    assert np.array_equal(tifffile.imread(tmp_path / "second.tif"), 255 - GREY[:20])
    outcome = call("apply", "invert", two / "1", two, "--overwrite")
    assert outcome.status == 1
    assert "is never replaced" in outcome.err


def test_a_python_program_is_warned_where_it_listens_to_no_events(two):
    invert = build_operation("invert", {})
    with pytest.warns(UserWarning, match=r"two\.tif holds 2 images"):
        napari_tessera.apply(invert, two)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        events = []
        napari_tessera.apply(invert, two, on_event=events.append)
    assert any("two.tif holds 2 images" in getattr(event, "text", "") for event in events)


def test_labels_with_a_palette_are_their_numbers(call, palette, tmp_path):
    tiff, png = palette
    assert call("evaluate", png, tiff, "--json").json["classes"]["2"]["dice"] == 1
    assert call("evaluate", tiff, png, "--json").json["dice"] == 1
    call("apply", "expand_labels", png, tmp_path / "of_png.tif", "--distance", 2)
    call("apply", "expand_labels", tiff, tmp_path / "of_tiff.tif", "--distance", 2)
    assert np.array_equal(tifffile.imread(tmp_path / "of_png.tif"), tifffile.imread(tmp_path / "of_tiff.tif"))
    tifffile.imwrite(tmp_path / "image.tif", GREY)
    for name, seeds in (("a", png), ("b", tiff)):
        call("apply", "grow_regions", tmp_path / "image.tif", tmp_path / f"{name}.tif", "--input", f"seeds={seeds}")
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), tifffile.imread(tmp_path / "b.tif"))


def test_labels_that_are_a_picture_are_told_what_helps(call, palette, tmp_path):
    tiff, _ = palette
    (tmp_path / "picture.png").write_bytes(imagecodecs.png_encode(np.dstack([tifffile.imread(tiff)] * 3)))
    tifffile.imwrite(tmp_path / "image.tif", GREY)
    train = ("train", "--annotation", "scribbles", "--image", tmp_path / "image.tif", "--out", tmp_path / "model")
    for command in ((*train, "--labels", tmp_path / "picture.png"), ("evaluate", tmp_path / "picture.png", tiff)):
        outcome = call(*command)
        assert outcome.status == 1
        assert "hold colours, and labels are numbers: save them as numbers" in outcome.err


def test_a_palette_of_a_tiff_taken_for_intensities_is_told(call, tmp_path):
    table = np.random.default_rng(1).integers(0, 2**16, (3, 256)).astype(np.uint16)
    ramp = np.stack([np.arange(256, dtype=np.uint16) * 257] * 3)
    for name, colormap in (("colors", table), ("ramp", ramp)):
        tifffile.imwrite(tmp_path / f"{name}.tif", GREY, photometric="palette", colormap=colormap)
        outcome = call("apply", "invert", tmp_path / f"{name}.tif", tmp_path / f"{name}_out.tif")
        assert ("shows its numbers in colours by a palette" in outcome.err) == (name == "colors")
    assert "palette" not in call("apply", "expand_labels", tmp_path / "colors.tif", tmp_path / "l.tif").err


def test_colours_with_opacity_give_what_the_colours_give(call, tmp_path):
    colors = np.dstack([GREY, GREY // 2, GREY // 3])
    tifffile.imwrite(tmp_path / "rgb.tif", colors, photometric="rgb")
    tifffile.imwrite(tmp_path / "rgba.tif", np.dstack([colors, 255 - GREY]), photometric="rgb")
    for name in ("rgb", "rgba"):
        call("apply", "gaussian", tmp_path / f"{name}.tif", tmp_path / f"{name}_out.tif")
    out = [tifffile.imread(tmp_path / f"{name}_out.tif") for name in ("rgb", "rgba")]
    assert out[0].shape == (24, 30, 3)
    assert np.array_equal(*out)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=str)
def test_labels_of_64_bits_from_a_tiff_go_into_a_zarr(call, tmp_path, dtype, options):
    labels = GREY.astype(dtype) + 2**40
    tifffile.imwrite(tmp_path / "labels.tif", labels, **options)
    assert call("apply", "crop", tmp_path / "labels.tif", tmp_path / "out.ome.zarr").status == 0
    written = zarr.open_array(tmp_path / "out.ome.zarr/0", mode="r")
    assert (str(written.dtype), np.array_equal(written[:], labels)) == (dtype, True)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".npy", ".png", ".zarr"])
@pytest.mark.parametrize("axes", ["zyx", "tzyx"])
def test_axes_of_another_number_are_no_damage(call, tmp_path, suffix, axes):
    path = tmp_path / f"cells{suffix}"
    if suffix == ".npy":
        np.save(path, GREY)
    elif suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(GREY))
    elif suffix == ".zarr":
        zarr.save_array(path, GREY)
    else:
        tifffile.imwrite(path, GREY, compression="zlib")
    outcome = call("info", path, "--axes", axes)
    assert outcome.status == 1
    assert f"Axes '{axes}' name {len(axes)} dimensions but the array has 2: name each dimension once." in outcome.err


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.png", "a.npy"])
def test_an_empty_file_is_called_empty(call, tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    outcome = call("info", tmp_path / name)
    assert outcome.status == 1
    assert f"{name} is empty: copy or export it again." in outcome.err


def test_text_from_a_file_does_not_steer_the_terminal(call, tmp_path):
    metadata = {"axes": "CYX", "Channel": {"Name": ["a\x9b2J", "b" * 300]}, "unit": "\x1b[31m"}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.stack([GREY, GREY]), photometric="minisblack", metadata=metadata)
    tifffile.imwrite(tmp_path / "b.tif", GREY, imagej=True, metadata={"unit": "\x1b[31m"}, resolution=(2, 2))
    for name in ("a.ome.tif", "b.tif"):
        out = call("info", tmp_path / name).out
        assert not set(out) & {"\x1b", "\x9b"}
        assert max(map(len, out.splitlines())) < 300
