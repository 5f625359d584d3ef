"""An image whose channels stand in another order than the model's, or whose pixels are of another size, is told."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from napari_tessera.config.model import ClassSpec, ModelSpec
from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.config.training import Annotation, IntensityConfig, TrainingConfig
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.jobs import CancelToken, Warning
from napari_tessera.io.arrays import MemorySink
from napari_tessera.io.opening import open_image
from napari_tessera.nn.model import Model, save_model
from napari_tessera.nn.networks.building import build_network
from napari_tessera.pipeline.learning.training import train_pairs
from napari_tessera.pipeline.predicting.likeness import by_name, mixed_pixels, other_pixels
from napari_tessera.pipeline.predicting.prediction import predict_into

PIXELS = np.random.default_rng(0).integers(0, 250, (3, 20, 24), np.uint8)
NAMES = ("DAPI", "GFP", "actin")


def _image(names: tuple[str, ...], axes: str = "cyx", **fields: Any) -> Any:
    return open_image(np.moveaxis(PIXELS, 0, axes.index("c")), axes=axes, channel_names=names, name="other", **fields)


def _spec(**fields: Any) -> ModelSpec:
    config = UNetConfig(depth=1, base_width=4)
    known = {
        "name": "toy",
        "package_version": "0",
        "created": "2026-01-01T00:00:00+00:00",
        "network": config,
        "input_axes": "cyx",
        "channel_names": NAMES,
        "channels": 3,
        "pixel_size": {"y": 0.325, "x": 0.325},
        "units": {"y": "micrometer", "x": "micrometer"},
        "intensity": IntensityConfig(),
        "classes": tuple(ClassSpec(id=number, name=f"class {number}", color="#ff0000") for number in (0, 2)),
        "training": TrainingConfig(annotation=Annotation.DENSE, network=config),
        "metrics": {},
        "finished": True,
        "weights_sha256": "",
    }
    return ModelSpec(**{**known, **fields})


@pytest.mark.parametrize("axes", ["cyx", "yxc"])
def test_channels_of_the_same_names_are_taken_by_name(axes: str) -> None:
    image, warnings = by_name(_image(("actin", " dapi", "GFP"), axes), NAMES, "the model 'toy'")
    expected = PIXELS[[1, 2, 0]]
    at = axes.index("c")
    assert image.spec.channel_names == (" dapi", "GFP", "actin")
    assert np.array_equal(np.moveaxis(image.read(image.spec.full_region), at, 0), expected)
    for channels in (slice(0, 1), slice(1, 3), slice(2, 2)):
        region = tuple(channels if axis == "c" else slice(3, 9) for axis in axes)
        assert np.array_equal(np.moveaxis(image.read(region), at, 0), expected[channels, 3:9, 3:9])
    assert warnings == (
        "other has the channels actin, dapi, GFP, and the model 'toy' DAPI, GFP, actin: they are taken by name.",
    )


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (NAMES, ""),
        (("dapi", "gfp", "Actin"), ""),
        ((), ""),
        (("DAPI", "GFP", "RFP"), "in this order, so make sure that they show the same"),
        (("GFP", "GFP", "DAPI"), "in this order, so make sure that they show the same"),
    ],
)
def test_other_names_leave_the_channels_where_they_are(names: tuple[str, ...], told: str) -> None:
    image = _image(names) if names else open_image(PIXELS, axes="cyx")
    found, warnings = by_name(image, NAMES, "the model")
    assert found is image
    assert told in "".join(warnings)
    assert bool(warnings) == bool(told)
    assert by_name(image, (), "the model") == (image, ())


@pytest.mark.parametrize(
    ("scale", "unit", "told"),
    [
        ((0.325, 0.325), "micrometer", ""),
        ((325.0, 325.0), "nanometer", ""),
        ((0.4, 0.4), "micrometer", ""),
        ((3.25, 0.325), "micrometer", "along y 10 times as long (3.25 µm instead of 0.325 µm). Resize"),
        ((0.0325, 0.0325), "micrometer", "along x 0.1 times as long (0.0325 µm instead of 0.325 µm)"),
        ((3.25, 3.25), None, "The pixels of other (3.25, 3.25) cannot be compared with those that the model 'toy'"),
        ((3.25, 3.25), "second", ""),
    ],
)
def test_pixels_of_another_size_are_told(scale: tuple[float, float], unit: str | None, told: str) -> None:
    spec = ImageSpec(axes="yx", shape=(5, 6), dtype=np.dtype("uint8"), scale=scale, units=(unit, unit), name="other")
    warnings = list(other_pixels(_spec(), spec))
    assert len(warnings) == bool(told)
    assert told in "".join(warnings)


def test_sizes_without_a_unit_are_compared_with_their_like() -> None:
    model = _spec(pixel_size={"y": 1.0, "x": 1.0}, units={"y": None, "x": None})
    spec = ImageSpec(axes="zyx", shape=(9, 5, 6), dtype=np.dtype("uint8"), scale=(7, 4, 1))
    assert "along y 4 times as long (4 instead of 1)." in next(other_pixels(model, spec))
    assert not list(other_pixels(model, replace(spec, scale=(7, 1, 1))))


def test_sizes_of_which_one_alone_has_a_unit_are_not_taken_for_equal() -> None:
    model = _spec(pixel_size={"y": 1.0, "x": 1.0}, units={"y": None, "x": None})
    units = ("micrometer", "micrometer")
    spec = ImageSpec(axes="yx", shape=(5, 6), dtype=np.dtype("uint8"), scale=(0.5, 0.5), units=units, name="other")
    (told,) = other_pixels(model, spec)
    assert "(0.5 µm, 0.5 µm)" in told
    assert "trained on (1, 1), as only one of the two has a unit" in told
    assert not list(other_pixels(model, replace(spec, units=(None, None), scale=(1.2, 1.2))))
    bare = [replace(spec, units=(None, None), name=f"bare {number}") for number in range(3)]
    (told,) = mixed_pixels([spec, *bare, replace(spec, name="like")])
    assert "The pixels of bare 0 and 2 more cannot be compared with those of the first image, other," in told
    assert not list(mixed_pixels(bare))


def _predicted(model: Model, image: Any) -> tuple[np.ndarray, list[str]]:
    sinks: list[MemorySink] = []

    def open_sink(plan: Any) -> MemorySink:
        sinks.append(MemorySink(plan.output))
        return sinks[0]

    events = list(
        predict_into(model, image, open_sink, PredictionConfig(device="cpu", output="probabilities"), CancelToken())
    )
    return sinks[0].array, [event.text for event in events if isinstance(event, Warning)]


def test_a_prediction_takes_channels_by_name_and_tells_of_pixels_of_another_size() -> None:
    torch.manual_seed(3)
    model = Model(_spec(), build_network(_spec().network, channels=3, outputs=2).eval())
    size: dict[str, Any] = {"scale": (1, 3.25, 3.25), "units": (None, "micrometer", "micrometer")}
    alike: dict[str, Any] = {"scale": (1, 0.3, 0.3), "units": (None, "micrometer", "micrometer")}
    expected, quiet = _predicted(model, _image(NAMES, **alike))
    other = open_image(PIXELS[[2, 0, 1]], axes="cyx", channel_names=("actin", "DAPI", "GFP"), name="other", **size)
    found, told = _predicted(model, other)
    assert not np.array_equal(_predicted(model, open_image(PIXELS[[2, 0, 1]], axes="cyx"))[0], expected)
    assert np.array_equal(found, expected)
    assert quiet == []
    assert len(told) == 2
    assert "they are taken by name" in told[0]
    assert "10 times as long" in told[1]


@pytest.mark.parametrize("resume", [False, True])
def test_images_of_a_training_are_brought_into_one_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: bool
) -> None:
    seen = SimpleNamespace(names=[])

    def load(pairs: Any, config: Any) -> None:
        seen.names = [image.spec.channel_names for image, _ in pairs]
        raise InterruptedError

    monkeypatch.setattr("napari_tessera.pipeline.learning.training.load_dataset", load)
    first = NAMES
    if resume:
        first = NAMES[::-1]
        save_model(
            tmp_path / "model", Model(_spec(channel_names=first), build_network(_spec().network, channels=3, outputs=2))
        )
    images = [_image(NAMES), _image(("GFP", "actin", "DAPI"))]
    labels = np.zeros((20, 24), np.uint8)
    job = train_pairs(
        [(image, open_image(labels)) for image in images], _spec().training, tmp_path / "model", resume=resume
    )
    with pytest.raises(InterruptedError):
        list(job)
    assert seen.names == [first, first]


def test_what_is_odd_about_a_file_is_told_by_a_prediction(tmp_path: Path) -> None:
    path = tmp_path / "two.tif"
    tifffile.imwrite(path, PIXELS[0])
    tifffile.imwrite(path, PIXELS[0, :9], append=True)
    torch.manual_seed(3)
    units = {"y": None, "x": None}
    spec = _spec(channels=1, channel_names=(), pixel_size={"y": 1.0, "x": 1.0}, units=units)
    model = Model(spec, build_network(spec.network, channels=1, outputs=2).eval())
    assert "two.tif holds 2 images" in _predicted(model, open_image(path))[1][0]
    assert _predicted(model, open_image(path / "1"))[1] == []


def test_images_of_a_training_with_other_pixels_are_told() -> None:
    def spec(size: float, unit: str | None, name: str) -> ImageSpec:
        return ImageSpec(axes="yx", shape=(4, 5), dtype=np.dtype("u1"), scale=(size,) * 2, units=(unit,) * 2, name=name)

    images = [spec(0.5, "micrometer", "a"), spec(500, "nanometer", "b"), spec(1, None, "c"), spec(5, "micrometer", "d")]
    told = list(mixed_pixels([images[0], images[1], images[3]]))
    assert len(told) == 1
    assert told[0].startswith("The pixels of d are not of the size of those of the first image, a: along y 10 times")
    assert len(list(mixed_pixels(images))) == 2
    assert list(mixed_pixels(images[:2])) == []
    assert len(list(mixed_pixels(images[:1], _spec(pixel_size={"y": 5.0, "x": 5.0})))) == 1
