import json

import numpy as np
import pytest
import tifffile
import yaml

import napari_tessera as nt
from napari_tessera.cli.train import training_config
from napari_tessera.config.model import ModelSpec
from napari_tessera.config.training import Annotation, TrainingConfig


def test_training_writes_a_model_and_says_so(call, train_arguments, tmp_path):
    outcome = call(*train_arguments, "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json["model"] == str(tmp_path / "model")
    events = [json.loads(line) for line in outcome.err.splitlines() if line.startswith("{")]
    assert {"progress", "metric"} <= {event["event"] for event in events}
    spec = ModelSpec.load(tmp_path / "model" / "model.yaml")
    assert spec.training.stop.max_steps == 6
    assert spec.training.annotation is Annotation.SCRIBBLES


def test_an_existing_model_is_kept_unless_told_otherwise(call, train_arguments):
    assert call(*train_arguments).status == 0
    refused = call(*train_arguments)
    assert refused.status == 1
    assert "--overwrite" in refused.err
    assert call(*train_arguments, "--overwrite").status == 0


def test_resume_goes_on(call, train_arguments):
    first = call(*train_arguments, "--json")
    assert first.json["steps"] == 6
    outcome = call(*train_arguments, "--resume", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json["steps"] > first.json["steps"]


def test_two_pairs(call, train_arguments, pair):
    outcome = call(*train_arguments, "--image", pair["image"], "--labels", pair["labels"])
    assert outcome.status == 0, outcome.err


def test_channels_are_named_by_axes(call, train_arguments, pair, tmp_path):
    np.save(tmp_path / "c.npy", np.stack([tifffile.imread(pair["image"])[:, :88]] * 3))
    np.save(tmp_path / "l.npy", tifffile.imread(pair["labels"])[:, :88].T)
    words = {str(pair["image"]): tmp_path / "c.npy", str(pair["labels"]): tmp_path / "l.npy"}
    arguments = [words.get(str(word), word) for word in train_arguments]
    assert call(*arguments).status == 1  # three planes do not fit labels of one
    assert call(*arguments, "--axes", "cyx").status == 1  # the labels lie on their side
    outcome = call(*arguments, "--axes", "cyx", "--labels-axes", "xy")
    assert outcome.status == 0, outcome.err
    spec = ModelSpec.load(tmp_path / "model" / "model.yaml")
    assert spec.channels == 3


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (["--image", "another.tif"], "2 --image and 1 --labels"),
        (["--resume", "--overwrite"], "choose one"),
        (["--axes", "cx"], "lack y or x"),
        (["--labels-axes", "yxx"], "twice"),
        (["--set", "max_seconds"], "name=value"),
        (["--set", "max_step=3"], "max_step"),
        (["--set", "max_steps=-3"], "max_steps"),
        (["--set", "patch_size=100"], "patch_size"),
        (["--set", "device=toaster"], "device"),
        (["--set", "network.depth.more=1"], "depth"),
    ],
)
def test_wrong_usage_names_the_option(call, train_arguments, tmp_path, extra, reason):
    depth = ["--set", "network.depth=3"] if "patch_size=100" in extra else []
    outcome = call(*train_arguments, *depth, *extra)
    assert outcome.status == 2
    assert reason in outcome.err
    assert not (tmp_path / "model").exists()


def test_annotation_is_never_guessed(call, train_arguments):
    without = [word for word in train_arguments if word not in {"--annotation", "scribbles"}]
    outcome = call(*without)
    assert outcome.status == 2
    assert "--annotation scribbles, dense or objects" in outcome.err


@pytest.mark.parametrize("missing", ["--image", "--labels", "--out"])
def test_required_options(call, train_arguments, missing):
    at = train_arguments.index(missing)
    outcome = call(*train_arguments[:at], *train_arguments[at + 2 :])
    assert outcome.status == 2
    assert missing in outcome.err


@pytest.mark.parametrize("what", ["image", "labels"])
def test_missing_files(call, train_arguments, pair, what, tmp_path):
    pair[what].unlink()
    outcome = call(*train_arguments)
    assert outcome.status == 1
    assert str(pair[what]) in outcome.err
    assert not (tmp_path / "model" / "model.yaml").exists()


def test_settings_come_from_file_then_set_then_annotation(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"annotation": "dense", "max_steps": 50, "augmentation": {"flips": False}}))
    config = training_config("objects", path, ("max_steps=70", "augmentation.scale=2"))
    assert config.annotation is Annotation.OBJECTS
    assert config.stop.max_steps == 70
    assert config.augmentation.scale == 2
    assert config.augmentation.flips is False
    assert training_config(None, path, ()).annotation is Annotation.DENSE


def test_a_saved_configuration_can_be_used_again(tmp_path):
    saved = TrainingConfig(annotation=Annotation.DENSE, max_steps=12, learning_rate=0.01)
    saved.save(tmp_path / "config.yaml")
    assert training_config(None, tmp_path / "config.yaml", ()) == saved


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("max_step: 3", "max_step"),
        ("max_steps: 0", "max_steps"),
        ("[1, 2]", "holds no settings"),
        ("a: [", "not a readable YAML"),
        ("kind: tessera-model", "not a tessera-training file"),
        ("schema_version: 99", "newer"),
    ],
)
def test_a_bad_file_is_a_failure_that_names_it(call, train_arguments, tmp_path, text, reason):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    outcome = call(*train_arguments, "--config", path)
    assert outcome.status == 1
    assert reason in outcome.err
    assert str(path) in outcome.err


def test_a_config_file_that_is_not_there(call, train_arguments, tmp_path):
    outcome = call(*train_arguments, "--config", tmp_path / "none.yaml")
    assert outcome.status == 1
    assert "none.yaml" in outcome.err


def test_no_model_goes_among_the_labels_of_an_image(call, pair, tmp_path):
    nt.apply(nt.operations.Invert(), pair["image"], out=tmp_path / "cells.ome.zarr")
    nt.apply(nt.operations.Invert(), pair["truth"], out=tmp_path / "cells.ome.zarr" / "labels" / "truth")
    files = ["--image", pair["image"], "--labels", pair["labels"], "--annotation", "scribbles"]
    out = tmp_path / "cells.ome.zarr" / "labels" / "model"
    outcome = call("train", *files, "--out", out)
    assert outcome.status == 1
    assert "lies inside the zarr" in outcome.err
    assert not out.exists()


def test_colours_are_explained_without_a_pattern(call, train_arguments):
    outcome = call(*train_arguments, "--set", "class_colors={2: red}")
    assert outcome.status == 2
    assert "= 'red': a colour is # and six digits" in outcome.err
