import numpy as np
import pytest
import tifffile
import zarr

from napari_tessera.core.image import ImageSpec
from napari_tessera.io.creating import create_image


def test_info_of_a_calibrated_image(call, tmp_path):
    spec = ImageSpec(
        axes="cyx",
        shape=(2, 30, 40),
        dtype=np.dtype("uint16"),
        scale=(1, 0.5, 0.25),
        units=(None, "micrometer", "micrometer"),
        channel_names=("DAPI", "GFP"),
    )
    sink = create_image(tmp_path / "a.ome.zarr", spec, chunks=(1, 16, 20))
    sink.finish()
    value = call("info", tmp_path / "a.ome.zarr", "--json").json
    assert value["axes"] == "cyx"
    assert value["shape"] == [2, 30, 40]
    assert value["dtype"] == "uint16"
    assert value["scale"] == [1, 0.5, 0.25]
    assert value["units"][1:] == ["micrometer", "micrometer"]
    assert value["channel_names"] == ["DAPI", "GFP"]
    assert value["chunks"] == [1, 16, 20]
    assert len(value["levels"]) == 1
    text = call("info", tmp_path / "a.ome.zarr").out
    assert "2 × 30 × 40" in text
    assert "x 0.25 micrometer" in text
    assert "DAPI, GFP" in text


def test_info_of_a_plain_file_and_a_level(call, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 6, 7), np.float32))
    assert call("info", tmp_path / "a.npy", "--json").json["axes"] == "zyx"
    zarr.create_array(tmp_path / "plain.zarr", shape=(8, 9), chunks=(4, 9), dtype="uint8")
    assert call("info", tmp_path / "plain.zarr", "--json").json["chunks"] == [4, 9]


def test_info_says_when_axes_are_guessed_and_how_to_name_them(call, tmp_path):
    planes = np.zeros((3, 6, 7), np.uint16)
    np.save(tmp_path / "a.npy", planes)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="minisblack")
    zarr.save_array(tmp_path / "a.zarr", planes)
    for name in ("a.npy", "a.tif", "a.zarr"):
        assert (
            "zyx (guessed: the file does not name them; name them with --axes, e.g. --axes cyx)"
            in call("info", tmp_path / name).out
        )
        assert call("info", tmp_path / name, "--json").json["axes_guessed"] is True
        named = call("info", tmp_path / name, "--axes", "cyx")
        assert "axes:     cyx\n" in named.out
    np.save(tmp_path / "flat.npy", planes[0])
    tifffile.imwrite(tmp_path / "named.tif", planes, imagej=True, metadata={"axes": "CYX"})
    for name in ("flat.npy", "named.tif"):
        assert call("info", tmp_path / name, "--json").json["axes_guessed"] is False
        assert "guessed" not in call("info", tmp_path / name).out
    assert call("info", tmp_path / "a.npy", "--axes", "yx").status == 1
    assert call("info", tmp_path / "a.npy", "--axes", "abc").status == 2


def test_info_of_what_is_no_image(call, tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "b.tif").write_text("hello")
    for name in ("a.txt", "b.tif"):
        outcome = call("info", tmp_path / name)
        assert outcome.status == 1
        assert name in outcome.err


@pytest.fixture
def masks(tmp_path):
    truth = np.zeros((20, 20), np.uint8)
    truth[2:8, 2:8] = 1
    truth[12:18, 12:18] = 2
    predicted = truth.copy()
    predicted[2:8, 5:8] = 0
    for name, array in (("predicted", predicted), ("truth", truth)):
        tifffile.imwrite(tmp_path / f"{name}.tif", array)
    return tmp_path / "predicted.tif", tmp_path / "truth.tif"


def test_evaluate_gives_the_figures_computed_by_hand(call, masks):
    outcome = call("evaluate", *masks, "--json")
    assert outcome.status == 0
    assert outcome.json["dice"] == pytest.approx(2 * 54 / (54 + 72))
    assert outcome.json["jaccard"] == pytest.approx(54 / 72)
    assert outcome.json["pixel_error"] == pytest.approx(18 / 400)
    assert outcome.json["classes"]["1"]["dice"] == pytest.approx(2 * 18 / (18 + 36))
    assert "instances" not in outcome.json


def test_evaluate_for_a_person(call, masks):
    text = call("evaluate", *masks).out
    assert "dice: 0.8571" in text
    assert "minority dice: 0.6667 (class 1, the rarest in the truth)" in text
    assert "class 2: dice 1.0000" in text
    text = call("evaluate", *masks, "--instances").out
    assert "objects: 2 predicted, 2 true" in text
    assert "AP at IoU 0.95: 0.3333" in text


def test_numbers_of_objects_get_no_figures_of_classes(call, masks, tmp_path):
    truth = tifffile.imread(masks[1])
    tifffile.imwrite(tmp_path / "turned.tif", np.array([0, 2, 1], np.uint8)[truth])
    text = call("evaluate", tmp_path / "turned.tif", masks[1]).out
    assert "dice: 1.0000" in text
    assert "class 1" not in text
    assert "--instances compares ids as objects, --classes as classes" in text
    assert "class 1: dice 0.0000" in call("evaluate", tmp_path / "turned.tif", masks[1], "--classes").out
    assert call("evaluate", *masks, "--classes", "--instances").status == 2


def test_evaluate_takes_named_axes(call, masks, tmp_path):
    for path in masks:
        np.save(path.with_suffix(".npy"), np.moveaxis(tifffile.imread(path)[None], 0, -1))
    tifffile.imwrite(tmp_path / "turned.tif", tifffile.imread(masks[1]).T)
    predicted = masks[0].with_suffix(".npy")
    assert call("evaluate", predicted, masks[1]).status == 1
    named = call("evaluate", predicted, masks[1], "--axes", "yxz", "--json")
    assert named.json == call("evaluate", *masks, "--json").json
    assert call("evaluate", *masks, "--truth-axes", "cyx").status == 1


def test_evaluate_refuses_what_does_not_fit(call, masks, tmp_path):
    tifffile.imwrite(tmp_path / "small.tif", np.zeros((5, 5), np.uint8))
    outcome = call("evaluate", tmp_path / "small.tif", masks[1])
    assert outcome.status == 1
    assert outcome.err.count("\n") == 1


def test_axes_that_are_proposed_can_be_given(call, tmp_path):
    stack = np.zeros((2, 8, 9, 3), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="rgb")
    told = call("info", tmp_path / "stack.tif").out
    proposed = told.partition("e.g. --axes ")[2].partition(")")[0]
    assert call("info", tmp_path / "stack.tif", "--axes", proposed).status == 0


def test_a_name_that_is_too_long_is_told(call, tmp_path):
    outcome = call("info", tmp_path / f"{'x' * 300}.tif")
    assert outcome.status == 1
    assert "is too long for the disk" in outcome.err


def test_a_file_is_no_folder_for_results(call, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 5), np.uint8))
    outcome = call("apply", "invert", tmp_path / "a.npy", tmp_path / "a.npy" / "b.npy")
    assert outcome.status == 1
    assert "a.npy is a file, so nothing can be written into it" in outcome.err
