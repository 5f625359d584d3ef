import numpy as np
import pytest
import tifffile
import yaml

from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import open_image


@pytest.fixture
def model(call, train_arguments, tmp_path):
    assert call(*train_arguments).status == 0
    return tmp_path / "model"


def read(path):
    image = open_image(path)
    return image.read(image.spec.full_region)


def test_a_folder_of_a_folder_that_is_not_there_is_a_slip(call, model, pair, tmp_path):
    outcome = call("predict", model, pair["image"], tmp_path / "typo" / "deep" / "out.tif", "--device", "cpu")
    assert outcome.status == 1
    assert f"There is no folder {tmp_path / 'typo'}: create it first, or correct the path" in outcome.err
    assert not (tmp_path / "typo").exists()
    assert call("predict", model, pair["image"], tmp_path / "new" / "out.tif", "--device", "cpu").status == 0


@pytest.mark.parametrize("name", ["out.tif", "out.npy", "out.png", "out.ome.zarr"])
def test_labels_in_each_format(call, model, pair, tmp_path, name):
    outcome = call("predict", model, pair["image"], tmp_path / name, "--device", "cpu", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json["out"] == str(tmp_path / name)
    labels = read(tmp_path / name)
    assert labels.shape == (96, 96)
    assert set(np.unique(labels)) <= {0, 2}


def test_tiles_change_nothing(call, model, pair, tmp_path):
    for name, options in (("whole.npy", []), ("tiled.npy", ["--tile", "32"])):
        out = ["--output", "probabilities", tmp_path / name]
        assert call("predict", model, pair["image"], *out, "--device", "cpu", *options).status == 0
    np.testing.assert_array_equal(read(tmp_path / "whole.npy"), read(tmp_path / "tiled.npy"))


def test_quantised_probabilities(call, model, pair, tmp_path):
    options = ["--output", "probabilities", "--probability-dtype", "uint8", "--device", "cpu"]
    options += ["--pixel-size", "0.5", "--pixel-unit", "um"]
    inside = call("predict", model, pair["image"], model / "p.ome.zarr", *options)
    assert inside.status == 1
    assert "lies inside the model" in inside.err
    outcome = call("predict", model, pair["image"], tmp_path / "p.ome.zarr", *options)
    assert outcome.status == 0
    assert "as only one of the two has a unit" in outcome.err  # the model was trained on pixels without one
    assert open_image(tmp_path / "p.ome.zarr").scale[-2:] == (0.5, 0.5)
    probabilities = read(tmp_path / "p.ome.zarr")
    assert probabilities.dtype == np.uint8
    assert probabilities.shape == (2, 96, 96)
    assert np.abs(probabilities.sum(axis=0, dtype=int) - 255).max() <= 1


def test_existing_output_is_kept_unless_told_otherwise(call, model, pair, tmp_path):
    out = tmp_path / "out.tif"
    out.write_text("mine")
    refused = call("predict", model, pair["image"], out, "--device", "cpu")
    assert refused.status == 1
    assert "--overwrite" in refused.err
    assert out.read_text() == "mine"
    assert call("predict", model, pair["image"], out, "--device", "cpu", "--overwrite").status == 0
    assert read(out).shape == (96, 96)


def test_dry_run_says_what_would_be_done_and_writes_nothing(call, model, pair, tmp_path):
    before = set(tmp_path.rglob("*"))
    out = tmp_path / "out.ome.zarr"
    outcome = call("predict", model, pair["image"], out, "--dry-run", "--tile", "32", "--device", "cpu", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json["dry_run"] is True
    assert outcome.json["tiles"] == 9
    assert outcome.json["output_shape"] == [96, 96]
    assert set(tmp_path.rglob("*")) == before
    lines = call("predict", model, pair["image"], out, "--dry-run", "--device", "cpu").out
    assert "would write" in lines
    assert "uint8" in lines


@pytest.mark.parametrize(
    "wrong",
    [
        ["--tile", "0"],
        ["--tile", "big"],
        ["--device", "toaster"],
        ["--output", "paths"],
        ["--precision", "float8"],
        ["--scheduler", "tcp://host:1"],
    ],
)
def test_wrong_usage(call, tmp_path, wrong):
    assert call("predict", tmp_path / "model", tmp_path / "in.tif", tmp_path / "out.tif", *wrong).status == 2


def test_a_scheduler_is_refused_by_name(call, model, pair, tmp_path):
    outcome = call("predict", model, pair["image"], tmp_path / "out.tif", "--scheduler", "tcp://host:1")
    assert outcome.status == 2
    assert "dask cluster is not available yet" in outcome.err
    assert not (tmp_path / "out.tif").exists()


def test_planes_that_may_be_channels_are_named_by_axes(call, model, pair, tmp_path):
    np.save(tmp_path / "c.npy", np.stack([tifffile.imread(pair["image"])] * 3))
    guessed = call("predict", model, tmp_path / "c.npy", tmp_path / "a.npy", "--device", "cpu")
    assert guessed.status == 0
    assert "name the axes cyx" in guessed.err
    assert np.load(tmp_path / "a.npy").shape == (3, 96, 96)
    named = call("predict", model, tmp_path / "c.npy", tmp_path / "b.npy", "--device", "cpu", "--axes", "tyx")
    assert named.status == 0
    assert "name the axes" not in named.err
    channels = call("predict", model, tmp_path / "c.npy", tmp_path / "c_out.npy", "--axes", "cyx")
    assert channels.status == 1
    assert "channel" in channels.err
    wrong = call("predict", model, tmp_path / "c.npy", tmp_path / "d.npy", "--axes", "xyz!")
    assert wrong.status == 2
    assert "tczyx" in wrong.err


def test_an_unfinished_output_is_kept_unless_told_otherwise(call, model, pair, tmp_path):
    out = tmp_path / "out.ome.zarr"
    other = create_image(out, open_image(pair["truth"]).spec)
    other.write(other.spec.full_region, np.ones(other.spec.shape, np.uint8))
    other.abort()
    refused = call("predict", model, pair["image"], out, "--device", "cpu")
    assert refused.status == 1
    assert "out.ome.zarr.partial exists" in refused.err
    assert "--overwrite" in refused.err
    assert call("predict", model, pair["image"], out, "--device", "cpu", "--overwrite").status == 0
    assert not (tmp_path / "out.ome.zarr.partial").exists()


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(call, model, pair, tmp_path, dry):
    rgb = tmp_path / "rgb.tif"
    tifffile.imwrite(rgb, np.zeros((40, 40, 3), np.uint8), photometric="rgb")
    out = tmp_path / "out.tif"
    cases = [
        (tmp_path / "no-model", pair["image"], out, "no-model"),
        (tmp_path, pair["image"], out, "not a model"),
        (model, tmp_path / "none.tif", out, "none.tif"),
        (model, rgb, out, "channel"),
    ]
    for folder, image, result, reason in cases:
        outcome = call("predict", folder, image, result, "--device", "cpu", *dry)
        assert outcome.status == 1, reason
        assert reason in outcome.err
        assert outcome.err.splitlines()[-1].startswith("napari-tessera: error: ")
        assert not out.exists()


def test_unknown_suffix_is_refused(call, model, pair, tmp_path):
    outcome = call("predict", model, pair["image"], tmp_path / "out.jpeg", "--device", "cpu")
    assert outcome.status == 1
    assert ".tif" in outcome.err


@pytest.mark.parametrize("harm", ["truncated", "newer", "foreign"])
def test_damaged_models(call, model, pair, tmp_path, harm):
    (weights,), header = model.glob("weights-*.safetensors"), model / "model.yaml"
    if harm == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        fields = yaml.safe_load(header.read_text())
        fields.update({"schema_version": 99} if harm == "newer" else {"kind": "something"})
        header.write_text(yaml.safe_dump(fields))
    outcome = call("predict", model, pair["image"], tmp_path / "out.tif", "--device", "cpu")
    assert outcome.status == 1
    expected = {"truncated": "damaged", "newer": "update napari-tessera", "foreign": "is not a tessera-model"}
    assert expected[harm] in outcome.err
    assert not (tmp_path / "out.tif").exists()


def test_a_blank_image_is_background_with_a_warning(call, model, tmp_path):
    tifffile.imwrite(tmp_path / "blank.tif", np.full((64, 64), 3.0, np.float32))
    outcome = call("predict", model, tmp_path / "blank.tif", tmp_path / "out.tif", "--device", "cpu")
    assert outcome.status == 0
    assert "warning: blank has the same intensity everywhere" in outcome.err
    assert not tifffile.imread(tmp_path / "out.tif").any()


def test_images_with_nan(call, model, tmp_path):
    image = np.full((64, 64), 3.0, np.float32)
    image[5, 5] = np.nan
    tifffile.imwrite(tmp_path / "bad.tif", image)
    outcome = call("predict", model, tmp_path / "bad.tif", tmp_path / "out.tif", "--device", "cpu")
    assert outcome.status == 1
    assert "NaN" in outcome.err
    assert not (tmp_path / "out.tif").exists()
