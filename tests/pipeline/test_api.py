"""The Python functions: arrays and files in, arrays and files out."""

from pathlib import Path

import numpy as np
import pytest

import napari_tessera as nt
from napari_tessera.config.networks import UNetConfig
from napari_tessera.core.errors import JobCancelledError, OutputExistsError
from napari_tessera.core.jobs import CancelToken, JobEvent, Result
from napari_tessera.nn.model import load_model


def squares() -> tuple[np.ndarray, np.ndarray]:
    """Return noisy bright squares on a dark ground, and scribbles: 2 inside some, 1 beside them."""
    random = np.random.default_rng(1)
    truth = np.zeros((96, 96), bool)
    for y in range(8, 90, 24):
        for x in range(8, 90, 24):
            truth[y : y + 10, x : x + 10] = True
    image = (40 + 120 * truth + random.normal(0, 12, truth.shape)).clip(0, 255).astype(np.uint8)
    scribbles = np.zeros(truth.shape, np.uint8)
    scribbles[4:92:24, :] = 1
    scribbles[12:92:24, :][truth[12:92:24, :]] = 2
    return image, scribbles


CONFIG = nt.TrainingConfig(
    annotation=nt.Annotation.SCRIBBLES,
    network=UNetConfig(depth=1, base_width=4),
    patch_size=32,
    batch_size=8,
    max_steps=150,
    validate_every=50,
    validation="none",
    precision="float32",
    device="cpu",
)


def test_train_predict_evaluate(tmp_path: Path) -> None:
    image, scribbles = squares()
    events: list[JobEvent] = []
    model = nt.train([(image, scribbles)], CONFIG, out=tmp_path / "model", on_event=events.append)
    assert model == tmp_path / "model"
    assert isinstance(events[-1], Result)

    config = nt.PredictionConfig(device="cpu", tile=40)
    labels = nt.predict(model, image, config=config, on_event=events.append)
    assert isinstance(events[-1], Result)
    assert (labels.shape, labels.dtype) == (image.shape, np.uint8)
    figures = nt.evaluate(labels, image > 100)
    assert figures.dice > 0.8

    out = nt.predict(load_model(model), nt.open_image(image), out=tmp_path / "out.tif", config=config)
    assert out == tmp_path / "out.tif"
    written = nt.open_image(out)
    np.testing.assert_array_equal(written.read(written.spec.full_region), labels)

    with pytest.raises(OutputExistsError):
        nt.train([(image, scribbles)], CONFIG, out=model)


def test_a_model_without_a_name_goes_to_a_temporary_folder() -> None:
    image, scribbles = squares()
    first = nt.train([(image, scribbles)], CONFIG.with_overrides({"max_steps": 1}))
    second = nt.train([(image, scribbles)], CONFIG.with_overrides({"max_steps": 1}))
    assert first != second
    assert load_model(first).spec.channels == 1


def test_a_prediction_can_be_cancelled(tmp_path: Path) -> None:
    image, scribbles = squares()
    model = nt.train([(image, scribbles)], CONFIG.with_overrides({"max_steps": 1}), out=tmp_path / "model")
    cancel = CancelToken()
    with pytest.raises(JobCancelledError):
        nt.predict(model, image, cancel=cancel, on_event=lambda event: cancel.cancel())
