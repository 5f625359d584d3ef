"""The training job, from arrays and files to a model folder."""

import errno
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_tessera.config.model import ModelSpec, load_model_spec
from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.training import TrainingConfig
from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.errors import (
    AnnotationError,
    InvalidInputError,
    JobCancelledError,
    ModelError,
    OutputExistsError,
    StorageError,
)
from napari_tessera.core.jobs import CancelToken, Metric, Preview, Progress, Result, Warning, drain
from napari_tessera.io.model_lock import LOCK_FILE, ModelTakenError
from napari_tessera.io.opening import open_image
from napari_tessera.nn.model import load_model
from napari_tessera.pipeline.learning import dataset as dataset_module
from napari_tessera.pipeline.learning.dataset import load_dataset, split_dataset
from napari_tessera.pipeline.learning.training import train_pairs
from napari_tessera.pipeline.learning.viewport import View, Viewport
from napari_tessera.pipeline.results import TrainResult

CONFIG = TrainingConfig(
    annotation="scribbles",
    network=UNetConfig(depth=1, base_width=4),
    patch_size=32,
    batch_size=2,
    max_steps=12,
    validate_every=4,
    device="cpu",
)


def squares(shape: tuple[int, ...] = (64, 80), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return an image with bright squares and scribbles on a tenth of it: 1 background, 2 squares."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, dtype=np.uint8)
    for y, x in rng.integers(0, 52, (8, 2)):
        truth[..., y : y + 12, x : x + 12] = 1
    image = (1000 + 500.0 * truth + rng.normal(0, 60, shape)).astype(np.uint16)
    return image, np.where(rng.random(shape) < 0.1, truth + 1, 0).astype(np.uint8)


def pair(image: np.ndarray, labels: np.ndarray, axes: str | None = None):
    return open_image(image, axes=axes, scale=(0.5,) * image.ndim), open_image(labels)


def test_model_folder_holds_all_that_prediction_needs(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"class_names": {2: "square"}})
    result = drain(train_pairs([pair(*squares())], config, tmp_path / "m"), None, TrainResult)
    assert result.model == tmp_path / "m"
    model = load_model(tmp_path / "m")
    assert [entry.id for entry in model.spec.classes] == [0, 2]
    assert model.spec.classes[1].name == "square"
    assert model.spec.pixel_size == {"y": 0.5, "x": 0.5}
    assert model.spec.training == config
    assert model.spec.finished
    assert model.spec.metrics.keys() == {
        "validation loss",
        "validation Dice",
        "validation weakest Dice",
        "validation error",
    }


def test_events_tell_how_it_goes(tmp_path: Path) -> None:
    events = list(train_pairs([pair(*squares())], CONFIG, tmp_path / "m"))
    assert isinstance(events[-1], Result)
    # from two thirds on what judged is learnt as well
    assert [event.step for event in events if isinstance(event, Metric) and event.name == "validation Dice"] == [4, 8]
    assert [event.step for event in events if isinstance(event, Metric) and event.name == "training loss"] == [4, 8, 12]
    held_out = load_model(tmp_path / "m").spec.held_out
    assert held_out is not None
    assert held_out.learnt_later


@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 64, 80), "cyx"), ((64, 80, 3), "yxc"), ((2, 64, 80), "zyx"), ((2, 2, 64, 80), "tcyx")]
)
def test_axes_of_every_kind(tmp_path: Path, shape: tuple[int, ...], axes: str) -> None:
    image, labels = squares((64, 80))
    order = "".join(axis for axis in axes if axis != "c")
    pixels = np.broadcast_to(np.expand_dims(image, [axes.index(a) for a in axes if a not in "yx"]), shape)
    planes = np.broadcast_to(labels, [n for n, axis in zip(shape, axes, strict=True) if axis != "c"])
    pairs = [(open_image(pixels, axes=axes), open_image(planes, axes=order))]
    result = drain(train_pairs(pairs, CONFIG, tmp_path / "m"), None, TrainResult)
    assert load_model_spec(result.model).channels == (shape[axes.index("c")] if "c" in axes else 1)


def test_too_little_annotation_is_said(tmp_path: Path) -> None:
    image, _ = squares()
    labels = np.zeros(image.shape, dtype=np.uint8)
    labels[30, 30:40] = 1
    labels[34, 30:40] = 2
    events = list(train_pairs([pair(image, labels)], CONFIG, tmp_path / "m"))
    assert "too little annotation" in next(event.text for event in events if isinstance(event, Warning))
    metrics = [event for event in events if isinstance(event, Metric)]
    assert {event.name for event in metrics} == {
        "training loss",
        "training Dice",
        "training weakest Dice",
        "training error",
    }
    assert "learnt from" in next(event.note for event in metrics if event.name == "training Dice")


def test_intensities_in_place_of_labels_are_doubted_before_anything_is_learnt(tmp_path: Path) -> None:
    image, _ = squares()
    wrong = np.where(np.arange(image.shape[1]) < 70, image, 0)
    job: Any = train_pairs([pair(image, wrong)], CONFIG.with_overrides({"annotation": "objects"}), tmp_path / "m")
    told = []
    for event in job:
        told += [event.text] if isinstance(event, Warning) else []
        if isinstance(event, Progress) and event.done:
            break
    job.close()
    assert any("look like intensities and not like labels" in text for text in told)


def test_preview_shows_the_view(tmp_path: Path) -> None:
    image, labels = squares((3, 64, 80))
    viewport = Viewport(View(0, ((1, 3), (10, 40), (-5, 90))))
    events = list(train_pairs([pair(image, labels)], CONFIG, tmp_path / "m", viewport=viewport))
    shown = [event for event in events if isinstance(event, Preview)]
    assert shown
    assert shown[-1].region == ((1, 2), (10, 40), (0, 80))
    pixels = np.load(shown[-1].path, allow_pickle=False)
    assert pixels.shape == (1, 30, 80)
    assert set(np.unique(pixels)) <= {0, 2}


def test_cancelled_training_keeps_a_model_and_goes_on(tmp_path: Path) -> None:
    cancel = CancelToken()
    with pytest.raises(JobCancelledError):
        for event in train_pairs([pair(*squares())], CONFIG, tmp_path / "m", cancel=cancel):
            if isinstance(event, Metric) and event.step == 4:
                cancel.cancel()
    assert not load_model(tmp_path / "m").spec.finished
    result = drain(train_pairs([pair(*squares())], CONFIG, tmp_path / "m", resume=True), None, TrainResult)
    assert result.steps == 12
    assert load_model(tmp_path / "m").spec.finished


def test_cancelled_before_the_first_validation_there_is_a_model(tmp_path: Path) -> None:
    cancel = CancelToken()
    job = train_pairs([pair(*squares())], CONFIG, tmp_path / "m", cancel=cancel)
    with pytest.raises(JobCancelledError):
        for event in job:
            if isinstance(event, Progress) and event.done == 1:
                cancel.cancel()
    spec = load_model(tmp_path / "m").spec
    assert (spec.finished, spec.metrics) == (False, {})


def test_cancel_is_noticed_while_reading(tmp_path: Path) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(JobCancelledError):
        drain(train_pairs([pair(*squares())], CONFIG, tmp_path / "m", cancel=cancel))
    assert not (tmp_path / "m").exists()


def test_a_checkpoint_is_there_before_the_first_step(tmp_path: Path) -> None:
    job: Any = train_pairs([pair(*squares())], CONFIG, tmp_path / "m")
    for event in job:
        if isinstance(event, Progress) and event.done == 1:
            break
    job.close()
    assert (tmp_path / "m" / "checkpoint" / "state.safetensors").exists()
    assert drain(train_pairs([pair(*squares())], CONFIG, tmp_path / "m", resume=True), None, TrainResult).steps == 12


@pytest.mark.parametrize("change", [{"annotation": "dense"}, {"intensity.low_percentile": 5.0}])
def test_going_on_with_other_settings_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    image, labels = squares()
    drain(train_pairs([pair(image, labels)], CONFIG, tmp_path / "m"))
    with pytest.raises(ModelError, match="cannot go on with other"):
        drain(train_pairs([pair(image, labels)], CONFIG.with_overrides(change), tmp_path / "m", resume=True))


def test_a_failed_replacement_leaves_the_old_model(tmp_path: Path) -> None:
    image, labels = squares()
    drain(train_pairs([pair(image, labels)], CONFIG, tmp_path / "m"))
    before = load_model_spec(tmp_path / "m")
    with pytest.raises(AnnotationError):
        drain(train_pairs([pair(image, labels * 0)], CONFIG, tmp_path / "m", overwrite=True))
    assert load_model_spec(tmp_path / "m") == before
    assert load_model(tmp_path / "m")


def test_an_image_annotated_twice_is_one_image() -> None:
    image, labels = squares()
    opened = open_image(image)
    dataset = load_dataset([(opened, open_image(labels)), (opened, open_image(labels[::-1].copy()))], CONFIG)
    assert {sample.source for sample in dataset.samples} == {0}


def test_resuming_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no checkpoint"):
        drain(train_pairs([pair(*squares())], CONFIG, tmp_path / "m", resume=True))


def test_existing_model_is_kept_unless_told(tmp_path: Path) -> None:
    drain(train_pairs([pair(*squares())], CONFIG, tmp_path / "m"))
    before = load_model_spec(tmp_path / "m")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        drain(train_pairs([pair(*squares())], CONFIG, tmp_path / "m"))
    assert load_model_spec(tmp_path / "m") == before
    assert load_model(tmp_path / "m")
    drain(train_pairs([pair(*squares(seed=1))], CONFIG, tmp_path / "m", overwrite=True))
    assert load_model_spec(tmp_path / "m").weights_sha256 != before.weights_sha256
    assert len(list((tmp_path / "m").glob("*.safetensors"))) == 1  # the weights of before have gone


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_training_into_a_folder_is_told(tmp_path: Path, resume: bool) -> None:
    job = train_pairs([pair(*squares())], CONFIG, tmp_path / "m")
    next(job)
    with pytest.raises(ModelTakenError, match="'m' is being trained by another run of this program"):
        drain(train_pairs([pair(*squares(seed=1))], CONFIG, tmp_path / "m", resume=resume))
    first = drain(job, None, TrainResult)
    assert load_model(tmp_path / "m").spec.metrics == first.metrics
    drain(train_pairs([pair(*squares())], CONFIG, tmp_path / "m", resume=True))  # it has let go


def test_the_lock_of_a_dead_training_is_none(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    holder = {"pid": 1, "host": platform.node(), "started": 1.0, "since": ""}
    (tmp_path / "m" / LOCK_FILE).write_text(json.dumps(holder))
    drain(train_pairs([pair(*squares())], CONFIG, tmp_path / "m"))
    assert sorted(path.name for path in (tmp_path / "m").iterdir())[:2] == ["checkpoint", "model.yaml"]


def test_what_was_ended_on_purpose_is_noted_as_such(tmp_path: Path) -> None:
    cancel = CancelToken()
    with pytest.raises(JobCancelledError):
        for event in train_pairs([pair(*squares())], CONFIG, tmp_path / "m", cancel=cancel):
            if isinstance(event, Progress) and event.done:
                cancel.cancel()
    spec = load_model(tmp_path / "m").spec
    assert (spec.finished, spec.cancelled) == (False, True)
    drain(train_pairs([pair(*squares())], CONFIG, tmp_path / "m", resume=True))
    spec = load_model_spec(tmp_path / "m")
    assert (spec.finished, spec.cancelled) == (True, False)


def cancelled_continuation(folder: Path, steps: int, config: TrainingConfig = CONFIG) -> list[str]:
    """Go on with the training in `folder`, cancel after so many steps, and return what was warned of."""
    cancel, told = CancelToken(), []
    with pytest.raises(JobCancelledError):
        for event in train_pairs([pair(*squares())], config, folder, resume=True, cancel=cancel):
            told += [event.text] if isinstance(event, Warning) else []
            if isinstance(event, Progress) and event.done == steps:
                cancel.cancel()
    return told


def test_a_finished_model_stays_when_going_on_is_cancelled_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    drain(train_pairs([pair(*squares())], CONFIG, folder))
    before = load_model_spec(folder)
    assert "The model of before stays" in cancelled_continuation(folder, 1)[-1]
    assert load_model(folder).spec == before
    again = train_pairs([pair(*squares())], CONFIG, folder, resume=True)  # the checkpoint has gone on
    result = drain(again, None, TrainResult)
    assert result.steps == 24
    assert load_model(folder).spec.weights_sha256 != before.weights_sha256
    assert load_model_spec(folder).finished


def test_a_finished_model_that_has_been_lost_is_made_anew_from_its_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    drain(train_pairs([pair(*squares())], CONFIG, folder))
    before = load_model_spec(folder)
    (folder / before.weights).unlink()
    cancelled_continuation(folder, 1)
    spec = load_model(folder).spec
    assert (spec.weights_sha256, spec.finished) == (before.weights_sha256, True)


def test_foreign_folder_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputExistsError, match="other files"):
        drain(train_pairs([pair(*squares())], CONFIG, tmp_path, overwrite=True))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_bad_annotation_leaves_nothing_behind(tmp_path: Path) -> None:
    image, labels = squares()
    with pytest.raises(AnnotationError, match="empty"):
        drain(train_pairs([pair(image, labels * 0)], CONFIG, tmp_path / "m"))
    assert not (tmp_path / "m").exists()


def test_images_of_other_channels_do_not_mix(tmp_path: Path) -> None:
    image, labels = squares()
    colour = np.stack([image] * 3)
    pairs = [pair(image, labels), (open_image(colour, axes="cyx"), open_image(labels))]
    with pytest.raises(InvalidInputError, match=r"\[1, 3\] channels"):
        drain(train_pairs(pairs, CONFIG, tmp_path / "m"))


def test_full_disk_is_one_sentence_and_nothing_looks_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="free space"):
        drain(train_pairs([pair(*squares())], CONFIG, tmp_path / "m"))
    assert not list((tmp_path / "m").glob("*.yaml"))
    assert not [path for path in (tmp_path / "m").rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", ["header", "weights", "newer", "foreign", "missing"])
def test_damaged_models_are_told_apart(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "m"
    drain(train_pairs([pair(*squares())], CONFIG, folder))
    header, weights = folder / "model.yaml", folder / load_model_spec(folder).weights
    changes = {
        "header": lambda: write_atomically(header, header.read_bytes()[:200]),
        "weights": lambda: write_atomically(weights, weights.read_bytes()[:-10]),
        "newer": lambda: header.write_text(
            header.read_text().replace(f"schema_version: {ModelSpec.current_version}", "schema_version: 9", 1)
        ),
        "foreign": lambda: header.write_text("kind: something else\n"),
        "missing": weights.unlink,
    }
    changes[damage]()
    words = {"header": "restore", "weights": "damaged", "newer": "update", "foreign": "not a", "missing": "copy the"}
    with pytest.raises(ModelError, match=words[damage]):
        load_model(folder)


def test_large_images_are_cut_into_squares_where_there_is_annotation(monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels = squares((64, 80))
    monkeypatch.setattr("napari_tessera.pipeline.learning.annotation.SCAN_TILE", 32)
    labels[:32] = 0
    dataset = load_dataset([pair(image, labels)], CONFIG)
    assert [sample.place for sample in dataset.samples] == [(32, 0), (32, 32), (32, 64)]
    assert [sample.target.shape for sample in dataset.samples] == [(32, 32), (32, 32), (32, 16)]


def test_what_is_looked_through_is_bounded_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels = squares((8, 64, 80))
    monkeypatch.setattr(dataset_module, "MOST_LEARNT", 3 * 64 * 80)
    dataset = load_dataset([pair(image, labels)], CONFIG)
    assert len(dataset.samples) == 3
    assert "3 of 8 squares" in dataset.warnings[0]


def test_with_many_images_whole_ones_are_held_out() -> None:
    dataset = load_dataset([pair(*squares(seed=seed)) for seed in range(10)], CONFIG)
    split, _ = split_dataset(dataset, CONFIG)
    assert not {s.source for s in split.training} & {s.source for s in split.validation}
    assert len(split.training) == 8
