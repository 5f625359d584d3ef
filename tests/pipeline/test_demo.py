import json

import imagecodecs
import numpy as np
import pytest

from napari_tessera.core.errors import JobCancelledError, OutputExistsError
from napari_tessera.core.jobs import CancelToken, Progress, drain
from napari_tessera.io.opening import open_image
from napari_tessera.pipeline.demo import TRAINING_SECONDS, check_demo_folder, demo_config, demo_job
from napari_tessera.pipeline.results import DemoResult
from napari_tessera.pipeline.samples.samples import SAMPLES, load_sample

TINY = {
    "network.depth": 1,
    "network.base_width": 4,
    "patch_size": 32,
    "batch_size": 2,
    "max_steps": 4,
    "validate_every": 2,
    "device": "cpu",
    "precision": "float32",
}


@pytest.mark.slow
def test_demo_leaves_everything_that_it_promises(tmp_path):
    events = []
    value = drain(demo_job(tmp_path, overrides=TINY), events.append).value
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert report["samples"] == value["samples"]
    assert set(report["samples"]) == {"nuclei", "membranes", "tissue"}
    for name in ("nuclei", "membranes"):
        assert 0 <= report["samples"][name]["dice_held_out"] <= 1
    assert "dice_held_out" not in report["samples"]["tissue"]
    assert {event.unit for event in events if isinstance(event, Progress)} == {"step", "tile"}
    for folder in ("nuclei", "membranes", "tissue"):
        sample = load_sample(folder)
        prediction = open_image(tmp_path / folder / f"{folder}_prediction.tif")
        assert prediction.shape == sample.scribbles.shape
        assert prediction.scale == pytest.approx(sample.scribbles_spec.scale)
        overlay = imagecodecs.png_decode((tmp_path / folder / f"{folder}_overlay.png").read_bytes())
        assert overlay.shape == (*sample.scribbles.shape, 3)
        assert (tmp_path / folder / "model" / "model.yaml").exists()
    for name in ("nuclei", "membranes"):
        held_out = open_image(tmp_path / name / "held_out" / f"{name}_image.tif")
        first = open_image(tmp_path / name / f"{name}_image.tif")
        assert held_out.dtype == first.dtype
        assert (held_out.read(held_out.spec.full_region) != first.read(first.spec.full_region)).mean() > 0.5
    drain(demo_job(tmp_path, samples=["tissue"], overrides=TINY))  # once more into the same folder


@pytest.mark.slow
def test_the_figures_are_those_of_the_files(tmp_path):
    learning = {**TINY, "max_steps": 60, "patch_size": 64, "learning_rate": 0.02}
    value = drain(demo_job(tmp_path, samples=["nuclei"], overrides=learning), None, DemoResult)
    folder = tmp_path / "nuclei"

    def read(name):
        image = open_image(folder / name)
        return image.read(image.spec.full_region)

    def dice(predicted, truth):
        return 2 * np.sum(predicted & truth) / max(predicted.sum() + truth.sum(), 1)

    predicted, truth, scribbles = (read(f"nuclei_{what}.tif") for what in ("prediction", "truth", "scribbles"))
    held_out = dice(read("held_out/nuclei_prediction.tif") > 0, read("held_out/nuclei_truth.tif") > 0)
    unlabelled = dice((predicted > 0)[scribbles == 0], (truth > 0)[scribbles == 0])
    assert unlabelled > 0.3  # something is predicted, or the figures below would be 0 whatever they are of
    assert value.samples["nuclei"]["dice_held_out"] == pytest.approx(held_out, abs=1e-4)
    assert value.samples["nuclei"]["dice_unlabelled"] == pytest.approx(unlabelled, abs=1e-4)
    wrong = ((predicted > 0) != (truth > 0))[scribbles == 0].mean()
    assert value.samples["nuclei"]["error_unlabelled"] == pytest.approx(wrong, abs=1e-4)
    # nuclei are the rarer class
    assert value.samples["nuclei"]["minority_dice_held_out"] == pytest.approx(held_out, abs=1e-4)


def test_settings_are_the_defaults_with_a_limit_on_time():
    sample = load_sample("tissue")
    config = demo_config(sample, {"max_steps": 3})
    assert config.stop.max_steps == 3
    assert config.stop.max_seconds is not None
    assert config.data.class_names == sample.class_names


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_has_its_limit_and_the_demo_stays_below_four_minutes(name):
    assert demo_config(load_sample(name), {}).stop.max_seconds == TRAINING_SECONDS[name]
    assert sum(TRAINING_SECONDS.values()) < 200


def test_other_peoples_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(OutputExistsError, match="--out"):
        drain(demo_job(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_new_empty_and_earlier_folders_are_taken(tmp_path):
    check_demo_folder(tmp_path / "new")
    check_demo_folder(tmp_path)
    (tmp_path / "nuclei").mkdir()
    check_demo_folder(tmp_path)
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(OutputExistsError, match="--out"):
        check_demo_folder(tmp_path)


def test_a_cancelled_demo_leaves_no_metrics(tmp_path):
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(JobCancelledError):
        drain(demo_job(tmp_path, cancel, overrides=TINY))
    assert not (tmp_path / "metrics.json").exists()
