"""The prediction job: exact whatever the tiles, any kind of image, every way to fail or to be stopped."""

import json
import platform
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_tessera.config.model import ClassSpec, ModelSpec
from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.config.training import Annotation, IntensityConfig, TrainingConfig
from napari_tessera.core.axes import move_axes
from napari_tessera.core.errors import (
    InvalidInputError,
    JobCancelledError,
    ModelError,
    OutputExistsError,
    StorageError,
)
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.core.jobs import CancelToken, Progress, Warning, drain
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import TileNeeds
from napari_tessera.io import levels, room, zarr_sink
from napari_tessera.io.arrays import ArraySource, MemorySink
from napari_tessera.io.opening import open_image
from napari_tessera.nn.model import Model, save_model
from napari_tessera.nn.networks.building import build_network
from napari_tessera.nn.tasks.encoding import encode_classes
from napari_tessera.pipeline.api import predict
from napari_tessera.pipeline.predicting import prediction
from napari_tessera.pipeline.predicting.intensity import fit_intensity
from napari_tessera.pipeline.predicting.planning import PredictionPlan, output_spec, plan_prediction, plan_request
from napari_tessera.pipeline.predicting.prediction import predict_into, prediction_job
from napari_tessera.pipeline.requests import InputFile, PredictRequest
from napari_tessera.pipeline.results import PredictResult

CLASSES = (("background", 0), ("nucleus", 2), ("membrane", 7))


def make_model(channels: int = 1, *, depth: int = 2, width: int = 4, ids: tuple[int, ...] = (0, 2, 7)) -> Model:
    """Return a network that has learnt for a few steps to sort pixels by brightness."""
    torch.manual_seed(5)
    config = UNetConfig(depth=depth, base_width=width)
    network = build_network(config, channels=channels, outputs=len(ids)).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(10):
        pixels = torch.rand(4, channels, 32, 32) * 1.4 - 0.2
        target = torch.bucketize(pixels.mean(1), torch.linspace(0.3, 0.7, len(ids) - 1))
        loss = nn.functional.cross_entropy(network(pixels), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    spec = ModelSpec(
        name="toy",
        package_version="0",
        created="2026-01-01T00:00:00+00:00",
        network=config,
        input_axes="cyx",
        channel_names=(),
        channels=channels,
        pixel_size={"y": 1.0, "x": 1.0},
        units={"y": None, "x": None},
        intensity=IntensityConfig(),
        classes=tuple(ClassSpec(id=number, name=f"class {number}", color="#ff0000") for number in ids),
        training=TrainingConfig(annotation=Annotation.DENSE, network=config),
        metrics={},
        finished=True,
        weights_sha256="",
    )
    return Model(spec, network.eval())


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model()


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    save_model(tmp_path / "model", model)
    return tmp_path / "model"


def random_image(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random(shape)
    if np.dtype(dtype).kind == "b":
        return values > 0.5
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    return (values * min(np.iinfo(dtype).max, 60000)).astype(dtype)


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    """Assert equality to the last bit; to rounding on processors whose kernels sum in an order that depends on size."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        np.testing.assert_array_equal(got, expected)
    elif got.dtype.kind == "f":
        np.testing.assert_allclose(got, expected, atol=1e-5 if got.dtype == np.float32 else 1e-3)
    else:
        assert np.abs(got.astype(int) - expected.astype(int)).mean() < 1e-3


def as_image(array: np.ndarray, axes: str, **fields: Any) -> ArraySource:
    return ArraySource(array, ImageSpec(axes=axes, shape=array.shape, dtype=array.dtype, **fields))


def reference(model: Model, image: ImageSource, output: str = "labels", dtype: str = "float32") -> np.ndarray:
    """Apply the folded network once to each whole plane; axes t, z, y, x for labels and c first for probabilities."""
    pixels = move_axes(image.read(image.spec.full_region), image.axes, "tzcyx")
    intensity = fit_intensity(image, model.spec.intensity)
    network = model.network.fold().to(memory_format=torch.channels_last)
    planes = []
    for plane in pixels.reshape(-1, *pixels.shape[2:]):
        batch = torch.from_numpy(intensity.apply(plane))[None].contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            scores = network(batch)
        if output == "labels":
            planes.append(np.array([entry.id for entry in model.spec.classes])[scores[0].argmax(0).numpy()])
        else:
            planes.append(encode_classes(scores, dtype)[0].numpy())
    stacked = np.stack(planes).reshape(*pixels.shape[:2], *planes[0].shape)
    return stacked if output == "labels" else np.moveaxis(stacked, 2, 0)


@settings(max_examples=12, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 330), st.integers(1, 330)).filter(lambda shape: shape != (1, 1)),
    tile=st.sampled_from([None, 60, 128, 201]),
    seed=st.integers(0, 3),
)
def test_tiles_equal_one_call_on_the_whole(model: Model, shape: tuple[int, int], tile: int | None, seed: int) -> None:
    image = as_image(random_image(*shape, dtype=np.uint16, seed=seed), "yx")
    config = PredictionConfig(output="probabilities", tile=tile, device="cpu")
    assert_same(predict(model, image, config=config), reference(model, image, "probabilities")[:, 0, 0])


@pytest.mark.parametrize("depth", [2, 3])
def test_a_halo_shorter_by_one_stride_is_seen(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = make_model(depth=depth)
    image = as_image(random_image(400, 300), "yx")
    config = PredictionConfig(output="probabilities", tile=128, device="cpu")
    expected = reference(deep, image, "probabilities")[:, 0, 0]
    assert_same(predict(deep, image, config=config), expected)
    short = tuple(
        (halo - 1) // stride * stride for halo, stride in zip(deep.network.halo, deep.network.stride, strict=True)
    )
    monkeypatch.setattr(type(deep.network), "halo", property(lambda self: short))
    assert np.abs(predict(deep, image, config=config) - expected).max() > 0


def test_one_pixel(model: Model) -> None:
    image = as_image(np.array([[[3]], [[5]]], np.uint8), "zyx")
    assert_same(predict(model, image, config=PredictionConfig(device="cpu")), reference(model, image)[0])


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_every_type_of_pixel(model: Model, dtype: Any) -> None:
    image = as_image(random_image(70, 45, dtype=dtype), "yx")
    labels = predict(model, image, config=PredictionConfig(tile=32, device="cpu"))
    assert labels.dtype == np.uint8
    assert_same(labels, reference(model, image)[0, 0])
    assert set(np.unique(labels)) <= {0, 2, 7}
    assert len(np.unique(labels)) > 1


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((3, 50, 41), "cyx"),
        ((50, 41, 3), "yxc"),
        ((2, 3, 50, 41), "tcyx"),
        ((2, 4, 3, 50, 41), "tzcyx"),
        ((3, 41, 2, 50), "cxzy"),
        ((50, 2, 41, 3), "ytxc"),
    ],
)
@pytest.mark.parametrize("output", ["labels", "probabilities"])
def test_any_order_of_axes(shape: tuple[int, ...], axes: str, output: str) -> None:
    model = make_model(3)
    image = as_image(random_image(*shape), axes, channel_names=("a", "b", "c"))
    got = predict(model, image, config=PredictionConfig(output=output, tile=20, device="cpu"))
    plain = axes.replace("c", "")
    if output == "labels":
        expected = move_axes(reference(model, image), "tzyx", plain)
    else:
        expected = np.moveaxis(reference(model, image, "probabilities"), 0, -1)
        expected = np.stack([move_axes(expected[..., k], "tzyx", plain) for k in range(3)])
    assert got.shape == expected.shape
    assert_same(got, expected)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_probabilities_in_every_number_format(model: Model, dtype: str) -> None:
    image = as_image(random_image(90, 61), "yx")
    config = PredictionConfig(output="probabilities", probability_dtype=dtype, tile=40, device="cpu")
    got = predict(model, image, config=config)
    assert got.dtype == np.dtype(dtype)
    assert_same(got, reference(model, image, "probabilities", dtype)[:, 0, 0])
    total = got.astype(float).sum(0)
    np.testing.assert_allclose(
        total, 255 if dtype == "uint8" else 1, atol={"uint8": 1.5, "float16": 2e-3}.get(dtype, 1e-6)
    )


def test_large_ids_take_wider_labels() -> None:
    model = make_model(ids=(0, 300))
    labels = predict(model, random_image(30, 30), config=PredictionConfig(device="cpu"))
    assert labels.dtype == np.uint16
    assert set(np.unique(labels)) == {0, 300}


def test_specification_of_the_output(model: Model) -> None:
    image = ImageSpec(
        axes="tzcyx",
        shape=(2, 3, 1, 40, 50),
        dtype=np.dtype("uint16"),
        scale=(5, 2, 1, 0.5, 0.25),
        translate=(0, 1, 0, 10, 20),
        units=("second", "micrometer", None, "micrometer", "micrometer"),
        channel_names=("DAPI",),
        name="cells",
    )
    labels = output_spec(model.spec, image, PredictionConfig())
    assert (labels.axes, labels.shape, labels.dtype) == ("tzyx", (2, 3, 40, 50), np.uint8)
    assert labels.scale == (5, 2, 0.5, 0.25)
    assert labels.translate == (0, 1, 10, 20)
    assert labels.units == ("second", "micrometer", "micrometer", "micrometer")
    assert (labels.name, labels.channel_names) == ("cells · labels", ())
    config = PredictionConfig(output="probabilities", probability_dtype="float16")
    probabilities = output_spec(model.spec, image, config)
    assert (probabilities.axes, probabilities.shape, probabilities.dtype) == ("ctzyx", (3, 2, 3, 40, 50), np.float16)
    assert probabilities.channel_names == ("class 0", "class 2", "class 7")
    assert (probabilities.name, probabilities.scale) == ("cells · probabilities", (1, 5, 2, 0.5, 0.25))


NEEDS = TileNeeds(dimensions=2, halo=(48, 48), stride=(8, 8), least_pixels=20481, bytes_per_pixel=288)


def plan_for(
    model: Model,
    shape: tuple[int, ...],
    *,
    device: str = "cpu",
    tile: int | None = None,
    memory: int | None = None,
    needs: TileNeeds = NEEDS,
) -> PredictionPlan:
    axes = "zyx" if len(shape) == 3 else "yx"
    image = ImageSpec(axes=axes, shape=shape, dtype=np.dtype("uint8"))
    return plan_prediction(model.spec, needs, image, PredictionConfig(tile=tile), device, memory)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 5000), st.integers(1, 5000)),
    tile=st.none() | st.integers(1, 3000),
    device=st.sampled_from(["cpu", "cuda"]),
)
def test_plans_are_sound(model: Model, shape: tuple[int, ...], tile: int | None, device: str) -> None:
    tile = None if tile is None else max(tile, max(shape) // 6)
    plan = plan_for(model, shape, device=device, tile=tile)
    assert all(edge % 8 == 0 for edge in plan.tile)
    if tile is None:
        assert all(
            edge % chunk == 0 or edge >= length
            for edge, chunk, length in zip(plan.tile, plan.chunks[1:], shape[1:], strict=True)
        )
        assert plan.memory < (2 if device == "cpu" else 8) * 2**30
    area = 0
    for tile_ in plan:
        z, y, x = tile_.outer
        area += np.prod([part.stop - part.start for part in tile_.inner])
        assert z.stop - z.start == 1
        assert y.start % 8 == x.start % 8 == 0
        assert (y.stop - y.start) * (x.stop - x.start) >= min(20481, shape[1] * shape[2])
    assert area == np.prod(shape)
    json.dumps(plan.describe())


def test_automatic_tiles_fit_the_device(model: Model) -> None:
    assert plan_for(model, (4096, 4096)).tile == (1024, 1024)
    assert plan_for(model, (300, 1000)).tile == (304, 1000)
    assert plan_for(model, (1100, 1100)).tiles == 4
    small = plan_for(model, (40960, 40960), device="cuda", memory=300 * 2**20)
    large = plan_for(model, (40960, 40960), device="cuda", memory=100 * 2**30)
    assert max(small.tile) < 1024 <= min(large.tile)
    assert small.memory < 300 * 2**20
    assert large.batch > 1
    wide = replace(NEEDS, bytes_per_pixel=100_000)
    assert plan_for(model, (4096, 4096), needs=wide).tile == (256, 256)


def write_image(path: Path, array: np.ndarray) -> InputFile:
    np.save(path, array)
    return InputFile(path=path)


def test_the_job_writes_a_file(folder: Path, model: Model, tmp_path: Path) -> None:
    array = random_image(2, 150, 130)
    request = PredictRequest(
        model=folder,
        image=write_image(tmp_path / "image.npy", array),
        out=tmp_path / "out.ome.zarr",
        config=PredictionConfig(tile=64, device="cpu"),
    )
    plan = plan_request(request)
    assert (plan.tiles, plan.tile, plan.output.shape) == (2 * 3 * 3, (64, 64), (2, 150, 130))
    assert not request.out.exists()
    events = list(prediction_job(request, CancelToken()))
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in progress] == [0, *range(19)]
    assert {(event.total, event.unit) for event in progress} == {(18, "tile")}
    assert progress[-1].seconds_left == 0
    result = events[-1]
    assert isinstance(result, PredictResult)
    assert json.loads(json.dumps(dict(result.value)))["out"] == str(request.out)
    assert (result.tiles, result.tile, result.device, result.out) == (18, (64, 64), "cpu", request.out)
    assert result.seconds > 0
    written = open_image(request.out)
    assert_same(written.read(written.spec.full_region), reference(model, as_image(array, "zyx"))[0])


def test_an_output_that_exists_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    out.write_bytes(b"mine")
    request = PredictRequest(model=tmp_path / "none", image=InputFile(path=tmp_path / "none.npy"), out=out)
    with pytest.raises(OutputExistsError):
        next(prediction_job(request, CancelToken()))
    assert out.read_bytes() == b"mine"
    with pytest.raises(OutputExistsError):
        predict(tmp_path / "none", np.zeros((4, 4)), out=out)


def test_an_output_is_replaced_when_asked_to(folder: Path, tmp_path: Path) -> None:
    array = random_image(40, 40)
    out = tmp_path / "out.npy"
    out.write_bytes(b"old")
    assert predict(folder, array, out=out, overwrite=True, config=PredictionConfig(device="cpu")) == out
    assert_same(np.load(out), predict(folder, array, config=PredictionConfig(device="cpu")))


def test_wrong_channels_name_both_numbers(folder: Path, tmp_path: Path) -> None:
    image = InputFile(path=write_image(tmp_path / "rgb.npy", random_image(20, 20, 3)).path, axes="yxc")
    request = PredictRequest(model=folder, image=image, out=tmp_path / "out.npy")
    with pytest.raises(ModelError, match=r"1 channel .* 3 channels"):
        drain(prediction_job(request, CancelToken()))
    with pytest.raises(ModelError, match="3 channels"):
        plan_request(request)
    assert not request.out.exists()


def test_a_result_that_the_disk_has_no_room_for_is_refused_before_any_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = InputFile(path=write_image(tmp_path / "image.npy", random_image(60, 60)).path)
    monkeypatch.setattr(room, "free_space", lambda _path: 60 * 60 - 1)
    monkeypatch.setattr(prediction, "load_model", lambda _folder: pytest.fail("the model was loaded"))
    request = PredictRequest(model=folder, image=image, out=tmp_path / "out.tif")
    with pytest.raises(StorageError, match="does not fit on the disk: 60 × 60 pixels"):
        drain(prediction_job(request, CancelToken()))
    assert not request.out.exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_no_numbers(folder: Path, tmp_path: Path, bad: float) -> None:
    array = random_image(60, 60, dtype=np.float32)
    array[50, 50] = bad
    with pytest.raises(InvalidInputError, match="NaN"):
        predict(folder, array, out=tmp_path / "out.ome.zarr", config=PredictionConfig(device="cpu"))
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("config", "certain"),
    [
        (PredictionConfig(device="cpu", tile=32), None),
        (PredictionConfig(device="cpu", tile=32, output="probabilities"), 1),
        (PredictionConfig(device="cpu", tile=32, output="probabilities", probability_dtype="uint8"), 255),
    ],
)
def test_a_blank_image_is_background(config: PredictionConfig, certain: int | None) -> None:
    image = as_image(np.full((3, 60, 70), 5, np.uint16), "zyx")
    known = make_model(ids=(0, 2))
    sink = RecordingSink(output_spec(known.spec, image.spec, config))
    events = list(predict_into(known, image, lambda _plan: sink, config, CancelToken()))
    assert [event.text for event in events if isinstance(event, Warning)] == [
        "image has the same intensity everywhere, so there is nothing in it but background."
    ]
    assert sink.ended == ["finish"]
    if certain is None:
        assert not sink.array.any()
    else:
        assert (sink.array[0] == certain).all()
        assert not sink.array[1].any()


def test_a_blank_image_is_refused_by_a_model_without_background() -> None:
    image = as_image(np.full((60, 70), 5, np.uint16), "yx")
    known = make_model(ids=(1, 2))
    sink = sink_for(known, np.zeros((60, 70), np.uint16))
    with pytest.raises(InvalidInputError, match="same intensity everywhere"):
        list(predict_into(known, image, lambda _plan: sink, PredictionConfig(), CancelToken()))
    assert (sink.regions, sink.ended) == ([], ["abort"])


def test_nan_that_the_sample_missed_is_found_in_its_tile(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    array = random_image(100, 100, dtype=np.float32)
    good = fit_intensity(as_image(array, "yx"), model.spec.intensity)
    monkeypatch.setattr("napari_tessera.pipeline.predicting.pixel_predictors.fit_intensity", lambda *_: good)
    array[90, 90] = np.nan
    sink = RecordingSink(output_spec(model.spec, as_image(array, "yx").spec, PredictionConfig()))
    with pytest.raises(InvalidInputError, match="NaN"):
        run(model, as_image(array, "yx"), sink)
    assert sink.ended == ["abort"]


class RecordingSink(MemorySink):
    """A sink that keeps what is done to it and may fail at one of the writes."""

    def __init__(self, spec: ImageSpec, fail_at: int | None = None) -> None:
        super().__init__(spec)
        self.fail_at = fail_at
        self.regions: list[Region] = []
        self.threads: set[str] = set()
        self.ended: list[str] = []

    def write(self, region: Region, pixels: np.ndarray) -> None:
        if len(self.regions) == self.fail_at:
            raise StorageError("The disk is full: free space.")
        super().write(region, pixels)
        self.regions.append(region)
        self.threads.add(threading.current_thread().name)

    def finish(self) -> None:
        self.ended.append("finish")

    def abort(self) -> None:
        self.ended.append("abort")


class HookedSource(ArraySource):
    """A source that calls `hook` with the number of reads so far, before each one."""

    def __init__(self, array: np.ndarray, hook: Callable[[int], None]) -> None:
        super().__init__(array, ImageSpec(axes="yx", shape=array.shape, dtype=array.dtype))
        self.hook = hook
        self.reads = 0

    def read(self, region: Region) -> np.ndarray:
        self.hook(self.reads)
        self.reads += 1
        return super().read(region)


def run(
    model: Model, image: ImageSource, sink: MemorySink, cancel: CancelToken | None = None, tile: int = 32
) -> list[Any]:
    config = PredictionConfig(tile=tile, device="cpu")
    return list(predict_into(model, image, lambda plan: sink, config, cancel or CancelToken()))


def sink_for(model: Model, array: np.ndarray, **fields: Any) -> RecordingSink:
    return RecordingSink(output_spec(model.spec, as_image(array, "yx").spec, PredictionConfig()), **fields)


def no_threads_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("tessera-")]


def test_reading_and_writing_have_threads_of_their_own_that_end(model: Model) -> None:
    array = random_image(100, 100)
    readers: set[str] = set()
    image = HookedSource(array, lambda count: readers.add(threading.current_thread().name) if count else None)
    sink = sink_for(model, array)
    run(model, image, sink)
    assert sink.ended == ["finish"]
    assert all(name.startswith("tessera-read") for name in readers)
    assert all(name.startswith("tessera-write") for name in sink.threads)
    assert len(readers) == len(sink.threads) == 1
    assert no_threads_left()


def test_an_error_in_reading_ends_the_job(model: Model) -> None:
    array = random_image(160, 160)

    def fail(count: int) -> None:
        if count == 4:
            raise StorageError("The disk has gone: plug it in.")

    sink = sink_for(model, array)
    with pytest.raises(StorageError, match="gone"):
        run(model, HookedSource(array, fail), sink)
    assert sink.ended == ["abort"]
    assert len(sink.regions) <= 3
    assert no_threads_left()


@pytest.mark.parametrize("fail_at", [0, 3, 24])
def test_a_disk_that_fills_ends_the_job(model: Model, fail_at: int) -> None:
    array = random_image(160, 160)
    sink = sink_for(model, array, fail_at=fail_at)
    with pytest.raises(StorageError, match="full"):
        run(model, as_image(array, "yx"), sink)
    assert sink.ended == ["abort"]
    assert no_threads_left()


def test_a_sink_that_cannot_finish_is_aborted(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    array = random_image(40, 40)
    sink = sink_for(model, array)

    def full() -> None:
        raise StorageError("The disk is full: free space.")

    monkeypatch.setattr(sink, "finish", full)
    with pytest.raises(StorageError):
        run(model, as_image(array, "yx"), sink)
    assert sink.ended == ["abort"]


@pytest.mark.parametrize("stage", ["before", "intensities", "first tile", "later", "read"])
def test_cancelling_keeps_what_is_finished(model: Model, stage: str) -> None:
    array = random_image(160, 160)
    cancel = CancelToken()
    image = HookedSource(array, lambda count: cancel.cancel() if stage == "read" and count == 6 else None)
    sink = sink_for(model, array)
    job = predict_into(model, image, lambda plan: sink, PredictionConfig(tile=32, device="cpu"), cancel)
    if stage == "before":
        cancel.cancel()
    with pytest.raises(JobCancelledError) as caught:
        for event in job:
            if isinstance(event, Progress) and (
                (stage == "intensities" and "Measuring" in event.message)
                or (stage == "first tile" and event.message.startswith("Predicting"))
                or (stage == "later" and event.done == 5)
            ):
                cancel.cancel()
    assert no_threads_left()
    if stage in ("before", "intensities"):
        assert sink.ended == []
        return
    assert sink.ended == ["abort"]
    assert f"{len(sink.regions)} of 25 tiles" in str(caught.value)
    assert {"first tile": len(sink.regions) == 0, "later": 5 <= len(sink.regions) <= 8}.get(
        stage, len(sink.regions) < 8
    )
    expected = reference(model, as_image(array, "yx"))[0, 0]
    for region in sink.regions:
        assert_same(sink.array[region], expected[region])


def test_cancelling_says_where_the_finished_tiles_lie(folder: Path, model: Model, tmp_path: Path) -> None:
    array = random_image(160, 160)
    image = write_image(tmp_path / "image.npy", array)
    config = PredictionConfig(tile=32, device="cpu")
    for name, place in (("out.ome.zarr", "out.ome.zarr.partial"), ("out.npy", "write to .ome.zarr")):
        cancel = CancelToken()
        request = PredictRequest(model=folder, image=image, out=tmp_path / name, config=config)
        with pytest.raises(JobCancelledError, match=place):
            for event in prediction_job(request, cancel):
                if isinstance(event, Progress) and event.done == 6:
                    cancel.cancel()
        assert not request.out.exists()
    kept = open_image(tmp_path / "out.ome.zarr.partial")
    first_row = kept.read((slice(0, 32), slice(0, 160)))
    assert_same(first_row, reference(model, as_image(array, "yx"))[0, 0, :32])


@pytest.mark.parametrize("after", [1, 2, 5])
def test_closing_the_job_cancels_it(model: Model, after: int) -> None:
    array = random_image(160, 160)
    sink = sink_for(model, array)
    job = predict_into(
        model, as_image(array, "yx"), lambda plan: sink, PredictionConfig(tile=32, device="cpu"), CancelToken()
    )
    for _ in range(after):
        next(job)
    job.close()
    assert sink.ended == ([] if after == 1 else ["abort"])
    assert no_threads_left()


def test_running_out_of_memory_is_survived_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model(depth=1)
    array = random_image(300, 260)
    image = as_image(array, "yx")
    expected = reference(model, image)[0, 0]
    forward = type(model.network).forward

    def hungry(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2] * x.shape[3] > 200 * 200:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(self, x)

    monkeypatch.setattr(type(model.network), "forward", hungry)
    sink = sink_for(model, array)
    events = run(model, image, sink, tile=300)
    assert_same(sink.array, expected)
    (warning,) = [event for event in events if isinstance(event, Warning)]
    assert "Memory ran out" in warning.text


def test_batches_of_a_stack_give_the_same_result(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU tiles go one by one; a GPU takes several, here with a plan that says so."""
    array = random_image(7, 70, 50)
    sizes: list[int] = []

    def plan_batches(*arguments: Any) -> PredictionPlan:
        return replace(plan_prediction(*arguments), batch=4)

    monkeypatch.setattr("napari_tessera.pipeline.predicting.prediction.plan_prediction", plan_batches)
    submit = "napari_tessera.nn.predictor.Predictor.submit"
    from napari_tessera.nn.predictor import Predictor

    original = Predictor.submit
    monkeypatch.setattr(submit, lambda self, tiles, *rest: sizes.append(len(tiles)) or original(self, tiles, *rest))
    labels = predict(model, as_image(array, "zyx"), config=PredictionConfig(device="cpu"))
    assert sizes == [4, 3]
    assert (labels == reference(model, as_image(array, "zyx"))[0]).mean() > 0.999


def predict_large(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cancel: CancelToken, **config: Any
) -> np.ndarray:
    """Predict an image that counts as large, and return its pixels."""
    monkeypatch.setattr(levels, "LARGE", 64)
    monkeypatch.setattr(levels, "SMALL", 32)
    array = random_image(70, 101)
    request = PredictRequest(
        model=folder,
        image=write_image(tmp_path / "in.npy", array),
        out=tmp_path / "out.ome.zarr",
        config=PredictionConfig(device="cpu", **config),
    )
    drain(prediction_job(request, cancel))
    return array


@pytest.mark.parametrize("output", ["labels", "probabilities"])
def test_large_results_have_levels(
    folder: Path, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    array = predict_large(folder, tmp_path, monkeypatch, CancelToken(), output=output)
    full = reference(model, as_image(array, "yx"), output).reshape((-1,) * (output != "labels") + array.shape)
    found = [open_image(tmp_path / "out.ome.zarr", level=level) for level in range(3)]
    assert [image.shape[-2:] for image in found] == [(70, 101), (35, 51), (18, 26)]
    pixels = found[1].read(found[1].spec.full_region)
    if output == "labels":
        np.testing.assert_array_equal(pixels, full[::2, ::2])
    else:
        whole = full[:, :, :100].reshape(len(full), 35, 2, 50, 2).mean((2, 4))
        np.testing.assert_allclose(pixels[:, :, :50], whole, atol=1e-6)


def test_cancelling_while_levels_are_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancel = CancelToken()
    shrink = levels.shrink

    def cancelling(*arguments: Any, **options: Any) -> np.ndarray:
        cancel.cancel()
        return shrink(*arguments, **options)

    monkeypatch.setattr(zarr_sink, "shrink", cancelling)
    with pytest.raises(JobCancelledError, match=r"lies in .*out\.ome\.zarr\.partial"):
        predict_large(folder, tmp_path, monkeypatch, cancel)
    assert not (tmp_path / "out.ome.zarr").exists()
    assert open_image(tmp_path / "out.ome.zarr.partial").shape == (70, 101)


@pytest.mark.parametrize(("planes", "axes", "warned"), [(3, None, True), (5, None, False), (3, "zyx", False)])
def test_planes_that_may_be_channels_are_asked_about(model: Model, planes: int, axes: str | None, warned: bool) -> None:
    events: list[Any] = []
    predict(model, open_image(random_image(planes, 32, 32), axes=axes), on_event=events.append)
    texts = [event.text for event in events if isinstance(event, Warning)]
    assert [text for text in texts if "name the axes cyx" in text] == texts
    assert bool(texts) == warned
