"""What is previewed equals what Apply gives; the engine shows the latest, and never waits."""

import threading
import time
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.napari_plugin.filtering import live_preview, preview_strips
from napari_tessera.napari_plugin.filtering.histogram_data import HistogramTask, compute_histogram
from napari_tessera.napari_plugin.filtering.live_preview import LivePreview
from napari_tessera.napari_plugin.filtering.preview_computing import Fits, PreviewTask, compute_preview
from napari_tessera.napari_plugin.filtering.preview_scaling import scaled_to
from napari_tessera.napari_plugin.layers.looking import Look, ThinnedSource
from napari_tessera.operations.base import Block, Local
from napari_tessera.operations.registry import build_operation
from napari_tessera.pipeline.api import apply

pytestmark = pytest.mark.gui


def look_at_array(array, axes="yx", region=None, step=1, scale=None, at=None) -> Look:
    """Return a look at `region` (y, x) of an array, of which every `step`-th pixel counts."""
    steps = tuple(step if axis in "yx" else 1 for axis in axes)
    shape = tuple(-(-n // s) for n, s in zip(array.shape, steps, strict=True))
    base = scale or (1.0,) * array.ndim
    spec = ImageSpec(
        axes=axes, shape=shape, dtype=array.dtype, scale=tuple(b * s for b, s in zip(base, steps, strict=True))
    )
    seen = {"y": slice(0, shape[axes.index("y")]), "x": slice(0, shape[axes.index("x")]), **(region or {})}
    for axis in axes:
        if axis not in seen:
            seen[axis] = slice((at or {}).get(axis, 0), (at or {}).get(axis, 0) + 1)
    if axes.endswith("c"):
        seen["c"] = slice(0, shape[-1])
    source = ThinnedSource(array, steps, spec)
    return Look(source, tuple(seen[axis] for axis in axes), tuple(map(float, steps)), (id(array), step))


def preview(operation, look, **kwargs: Any):
    return compute_preview(PreviewTask(1, operation, look, **kwargs), Fits())


def image(shape=(60, 50), dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(dtype)


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([("gaussian", {"sigma": 1.7}), ("median", {"size": 5}), ("otsu", {}), ("invert", {})]),
    st.integers(0, 50), st.integers(1, 40), st.integers(0, 40), st.integers(1, 30), st.sampled_from([1, 100, 10**9]),
)  # fmt: skip
def test_the_visible_part_is_that_of_the_whole(chosen, top, height, left, width, parallel):
    array = image()
    operation = build_operation(*chosen)
    region = {"y": slice(top, min(60, top + height)), "x": slice(left, min(50, left + width))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preview_strips, "PARALLEL_PIXELS", parallel)
        patch.setattr(preview_strips, "THREADS", 3)
        result = preview(operation, look_at_array(array, region=region))
    np.testing.assert_array_equal(result.plane, apply(operation, array)[region["y"], region["x"]])
    assert result.origin == (top, left)
    assert result.step == (1, 1)
    assert result.notes == ()


@pytest.mark.parametrize("name", ["median", "gaussian", "invert", "otsu"])
def test_planes_of_volumes(name):
    array = image((7, 40, 30))
    region = {"y": slice(5, 25), "x": slice(3, 30)}
    for per_plane in (False, True):
        operation = build_operation(name, {"per_plane": per_plane})
        result = preview(operation, look_at_array(array, "zyx", region, at={"z": 4}))
        np.testing.assert_array_equal(result.plane, apply(operation, array)[4, 5:25, 3:30])


def test_colours_are_channels_of_their_own():
    array = image((40, 30, 3))
    operation = build_operation("median", {"size": 3})
    result = preview(operation, look_at_array(array, "yxc", {"y": slice(2, 20), "x": slice(0, 30)}))
    whole = np.stack([apply(operation, array[..., channel]) for channel in range(3)], -1)
    np.testing.assert_array_equal(result.plane, whole[2:20])


def test_what_takes_one_channel_says_what_to_do():
    with pytest.raises(InvalidInputError, match="'channel'"):
        preview(build_operation("otsu", {}), look_at_array(image((20, 20, 3)), "yxc"))


def test_channels_taken_together():
    array = image((2, 30, 20))
    result = preview(build_operation("channel", {}), look_at_array(array, "cyx"))
    np.testing.assert_array_equal(result.plane, array[0])


def test_a_projection_sees_all_planes():
    array = image((5, 20, 20))
    operation = build_operation("project", {})
    result = preview(operation, look_at_array(array, "zyx", at={"z": 3}))
    assert result.plane.shape == (20, 20)
    from napari_tessera.io.opening import open_image

    np.testing.assert_array_equal(result.plane, apply(operation, open_image(array, axes="zyx")))


def test_a_fit_is_to_the_whole_frame_and_kept():
    array = image((50, 50))
    array[:25] //= 4
    fits = Fits()
    operation = build_operation("otsu", {})
    look = look_at_array(array, region={"y": slice(0, 10), "x": slice(0, 10)})
    first = compute_preview(PreviewTask(1, operation, look), fits)
    assert len(first.levels) == 1
    np.testing.assert_array_equal(first.plane, apply(operation, array)[:10, :10])

    def fail(*_args: object) -> None:
        raise AssertionError("fitted again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(operation), "fit", fail)
        again = compute_preview(PreviewTask(2, operation, look), fits)
    assert again.levels == first.levels


def test_connected_and_global_operations_are_shown_on_the_visible_part():
    labels = np.zeros((30, 30), np.uint8)
    labels[2:5, 2:5] = labels[20:25, 20:25] = 1
    look = look_at_array(labels, region={"y": slice(0, 15), "x": slice(0, 15)})
    result = preview(build_operation("connected_components", {}), look)
    assert result.plane.shape == (15, 15)
    assert result.plane.max() == 1
    assert any("visible part" in note for note in result.notes)
    spread = preview(build_operation("low_pass", {}), look_at_array(image(), region={"y": slice(8, 40)}))
    assert spread.plane.shape == (32, 50)
    assert spread.origin == (8, 0)


def test_geometry_is_shown_in_its_true_place():
    array = image((40, 60))
    region = {"y": slice(10, 30), "x": slice(10, 30)}
    result = preview(build_operation("flip", {}), look_at_array(array, region=region, scale=(2.0, 2.0)))
    np.testing.assert_array_equal(result.plane, apply(build_operation("flip", {}), array))
    halved = preview(build_operation("bin", {}), look_at_array(array, region=region, scale=(2.0, 2.0)))
    assert halved.plane.shape == (20, 30)
    assert halved.step == (2, 2)
    assert halved.origin == (0.5, 0.5)


def test_a_coarser_preview_says_so_and_shrinks_what_counts_pixels():
    operation = build_operation("median", {"size": 9})
    smaller, notes = scaled_to(operation, 4)
    assert smaller.size == 3
    assert "1/4" in notes[0]
    assert scaled_to(build_operation("gaussian", {"sigma": 2.0}), 4)[0].sigma == 0.5
    assert scaled_to(build_operation("remove_small", {"size": 64}), 4)[0].size == 4
    assert scaled_to(build_operation("low_pass", {}), 2)[0] != build_operation("low_pass", {})
    array = image((80, 80))
    result = preview(operation, look_at_array(array, step=4))
    np.testing.assert_array_equal(result.plane, apply(build_operation("median", {"size": 3}), array[::4, ::4]))
    assert result.step == (4, 4)


def test_points_are_moved_into_the_visible_part():
    array = np.zeros((40, 40), np.uint8)
    array[20:30, 20:30] = 200
    points = np.array([[25.0, 25.0], [5.0, 5.0]])
    look = look_at_array(array, region={"y": slice(15, 35), "x": slice(18, 40)})
    operation = build_operation("grow_regions", {})
    result = preview(operation, look, arrays={"seeds": points}, points=frozenset({"seeds"}))
    assert result.plane[10, 7] != 0
    assert (result.plane[:5] == 0).all()
    with pytest.raises(InvalidInputError, match="in view"):
        preview(operation, look, arrays={"seeds": points[1:]}, points=frozenset({"seeds"}))


def test_nan_is_refused_with_a_remedy():
    array = image().astype(np.float32)
    array[3, 3] = np.nan
    with pytest.raises(InvalidInputError, match="NaN"):
        preview(build_operation("gaussian", {}), look_at_array(array))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32, bool])
def test_histograms_count_every_pixel(dtype):
    array = image((70, 40), np.uint16).astype(dtype)
    data = compute_histogram(HistogramTask(1, build_operation("otsu", {}), look_at_array(array)), lambda: None)
    assert data.counts.sum() == array.size
    assert data.low <= array.min()
    assert array.max() <= data.high
    assert len(data.counts) <= 256


def test_a_histogram_of_a_huge_frame_is_thinned(monkeypatch):
    monkeypatch.setattr("napari_tessera.napari_plugin.filtering.histogram_data.MOST_COUNTED", 100)
    data = compute_histogram(
        HistogramTask(1, build_operation("otsu", {}), look_at_array(image((40, 40)))), lambda: None
    )
    assert data.step == 4
    assert data.counts.sum() == 100


class Slow(Local):
    """Take a while, and heed the check; `held`: not before `go` is set."""

    title: ClassVar = "Slow"
    group: ClassVar = "Tests"
    seconds: float = 0.0
    held: bool = False
    deaf: bool = False
    begun: ClassVar = threading.Event()
    go: ClassVar = threading.Event()

    def compute(self, block: Block) -> np.ndarray[Any, Any]:
        self.begun.set()
        end = time.monotonic() + self.seconds
        while time.monotonic() < end or (self.held and not self.go.is_set()):
            time.sleep(0.01)
            if not self.deaf:
                block.check()
        return block.image


@pytest.fixture
def engine(qtbot):
    wanted: list[Slow] = []
    array = image((10, 10))

    def make_tasks(number: int) -> list:
        return [PreviewTask(number, wanted[-1], look_at_array(array))]

    engine = LivePreview(make_tasks)
    engine.wanted = wanted
    engine.seen = []
    engine.arrived.connect(engine.seen.append)
    Slow.begun.clear()
    Slow.go.clear()
    yield engine
    Slow.go.set()
    engine.close()


def test_the_window_does_not_wait(engine, qtbot):
    engine.wanted.append(Slow(held=True))
    engine.ask()
    engine._submit()  # would never return if it waited for the operation
    assert Slow.begun.wait(60)
    assert not engine.seen
    Slow.go.set()
    qtbot.waitUntil(lambda: bool(engine.seen), timeout=120_000)


def test_many_changes_lead_to_few_previews_and_the_last_is_shown(engine, qtbot):
    for number in range(50):
        engine.wanted.append(Slow(seconds=0.001 * number, held=True))
        engine.ask()
        qtbot.wait(2)
    Slow.go.set()  # until now none could end
    qtbot.waitUntil(lambda: bool(engine.seen) and engine.seen[-1].task.operation == engine.wanted[-1], timeout=120_000)
    assert len(engine.seen) <= 5
    numbers = [result.task.number for result in engine.seen]
    assert numbers == sorted(numbers)


def test_long_work_is_given_up_for_a_newer_wish(engine, qtbot):
    engine.wanted.append(Slow(held=True))
    engine.ask()
    qtbot.waitUntil(Slow.begun.is_set, timeout=120_000)
    engine.wanted.append(Slow())
    engine.ask()
    qtbot.waitUntil(lambda: bool(engine.seen), timeout=120_000)
    assert engine.seen[0].task.operation == Slow()


def test_what_is_outdated_is_not_shown(engine, qtbot):
    engine.wanted.append(Slow(seconds=0.15, deaf=True))
    engine.ask()
    qtbot.waitUntil(lambda: engine._worker._current is not None, timeout=120_000)
    engine.wanted.append(Slow(seconds=0.01))
    engine.ask(fresh=True)
    qtbot.waitUntil(lambda: bool(engine.seen) and not engine.busy, timeout=120_000)
    assert all(result.task.operation == engine.wanted[-1] for result in engine.seen)


def test_a_library_that_does_not_end_does_not_block_the_next(engine, qtbot, monkeypatch):
    monkeypatch.setattr(live_preview, "DEAF_SECONDS", 0.1)
    engine.wanted.append(Slow(held=True, deaf=True))
    engine.ask()
    qtbot.waitUntil(Slow.begun.is_set, timeout=120_000)
    engine.wanted.append(Slow())
    engine.ask(fresh=True)
    qtbot.waitUntil(lambda: bool(engine.seen), timeout=120_000)  # while the first is still held
    assert engine.seen[0].task.operation == Slow()


def test_errors_are_sentences(engine, qtbot):
    class Broken(Slow):
        def compute(self, block: Block) -> np.ndarray[Any, Any]:
            raise ZeroDivisionError("division by zero\nand more")

    engine.wanted.append(Broken())
    engine.ask()
    qtbot.waitUntil(lambda: bool(engine.seen), timeout=120_000)
    assert "ZeroDivisionError" in engine.seen[0].error
    assert "\n" not in engine.seen[0].error


def test_the_person_is_told_when_it_takes_long(engine, qtbot):
    said = []
    engine.slow.connect(said.append)
    engine.wanted.append(Slow(seconds=0.9))
    engine.ask()
    qtbot.waitUntil(lambda: bool(engine.seen), timeout=120_000)
    assert said == ["Computing …", ""]


def test_compiling_is_called_getting_ready(engine, qtbot):
    said = []
    engine.slow.connect(said.append)
    engine.wanted.append(Slow(seconds=0.9))
    engine.ask()
    qtbot.waitUntil(lambda: engine._worker._current is not None, timeout=120_000)
    engine._worker.signals.compiling.emit()
    qtbot.waitUntil(lambda: bool(said), timeout=120_000)
    assert said[0] == "Getting ready (first use) …"


def test_closing_ends_the_thread(engine, qtbot):
    engine.wanted.append(Slow(seconds=60))
    engine.ask()
    qtbot.waitUntil(lambda: engine._worker._current is not None, timeout=120_000)
    thread = engine._worker._thread
    engine.close()
    thread.join(2)
    assert not thread.is_alive()
    assert thread not in threading.enumerate()


@pytest.mark.parametrize("name", ["gaussian", "otsu", "rolling_ball", "inverse_filter"])
def test_integers_that_are_rounded_are_told_of_as_by_apply(name):
    array = image().astype(np.int64) + 2**60
    operation = build_operation(name, {})
    told = [note for note in preview(operation, look_at_array(array)).notes if "2^53" in note]
    assert len(told) == (not operation.keeps_wide)
    assert all(operation.title in note for note in told)
    assert not any("2^53" in note for note in preview(operation, look_at_array(image().astype(np.int64))).notes)
