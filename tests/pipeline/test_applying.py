"""Applying an operation: frames, inputs of every kind, files in and out, and every way to fail or to be stopped."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

import napari_tessera as nt
from napari_tessera.core.errors import (
    InvalidInputError,
    JobCancelledError,
    MissingInputError,
    OutOfMemoryError,
    OutputExistsError,
    StorageError,
)
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.core.jobs import CancelToken, JobEvent, Progress, Warning, drain
from napari_tessera.core.regions import Region
from napari_tessera.io.arrays import ArraySource, MemorySink
from napari_tessera.io.memory import describe_bytes, free_memory
from napari_tessera.io.opening import open_image
from napari_tessera.operations.base import Block, Connected, Fitted, Global, Input, Local, Operation, Survey
from napari_tessera.operations.reductions.statistics import moments, value_range
from napari_tessera.operations.registry import build_operation, register, unregister
from napari_tessera.pipeline.applying import applying, engine
from napari_tessera.pipeline.applying.applying import ApplyOptions, apply_into
from napari_tessera.pipeline.applying.frames import check_finite, make_frames
from napari_tessera.pipeline.applying.inputs import gather_inputs
from napari_tessera.pipeline.dispatch import run_request
from napari_tessera.pipeline.positions import read_array
from napari_tessera.pipeline.requests import ApplyRequest, InputFile, parse_request
from napari_tessera.pipeline.results import ApplyResult
from napari_tessera.pipeline.running import chunk_cache, parallel, tiling
from napari_tessera.pipeline.running.chunk_cache import CachedSource
from napari_tessera.pipeline.running.parallel import Work
from napari_tessera.pipeline.running.tiling import plan_tiles

RNG = np.random.default_rng(3)


class Plain(Local):
    """Do as `work` says; for tests to derive from."""

    title: ClassVar = "Plain"
    group: ClassVar = "Tests"

    def compute(self, block: Block) -> NDArray[Any]:
        return self.work(block)

    def work(self, block: Block) -> NDArray[Any]:
        return block.image + block.image.dtype.type(1)


class Blurred(Plain):
    """Mean over three pixels along every axis of the frame, in whole numbers."""

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        return (1,) * len(spec.spatial)

    def work(self, block: Block) -> NDArray[Any]:
        return ndimage.maximum_filter(block.image, 3)


class PerPlane(Blurred):
    """The same plane by plane."""

    def frame_axes(self, axes: str) -> str:
        return "yx"


class TwoImages(Plain):
    """Subtract another image."""

    inputs: ClassVar = (
        Input("image", "image", "The image to work on."),
        Input("other", "image", "What is taken away."),
        Input("regions", "labels", "Where it is not.", optional=True),
    )

    def work(self, block: Block) -> NDArray[Any]:
        result = block.image - block.others["other"]
        return np.where(block.others["regions"] != 0, 0, result) if "regions" in block.others else result


class OverChannels(Plain):
    """Sum of the channels, minus another image that may have none."""

    inputs: ClassVar = (Input("image", "image", "The image."), Input("other", "image", "Another.", optional=True))

    def frame_axes(self, axes: str) -> str:
        return "".join(axis for axis in "czyx" if axis in axes)

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        return spec.without("c").with_dtype(np.int64)

    def work(self, block: Block) -> NDArray[Any]:
        result = block.image.sum(axis=block.spec.axes.index("c"), dtype=np.int64)
        return result - block.others["other"] if "other" in block.others else result


class WithArrays(Plain):
    """Keep what it is given."""

    inputs: ClassVar = (
        Input("image", "image", "The image."),
        Input("psf", "kernel", "A kernel.", optional=True),
        Input("points", "points", "Positions.", optional=True),
        Input("seeds", "seeds", "Positions or labels.", optional=True),
    )
    given: ClassVar[list[Block]] = []

    def frame_axes(self, axes: str) -> str:
        return "yx"

    def work(self, block: Block) -> NDArray[Any]:
        self.given.append(block)
        return block.image


class WithVolume(WithArrays):
    """The same with volumes."""

    given: ClassVar[list[Block]] = []

    def frame_axes(self, axes: str) -> str:
        return Operation.frame_axes(self, axes)


class Centred(Fitted):
    """Subtract the mean, then divide by the range: two passes."""

    title: ClassVar = "Centred"
    group: ClassVar = "Tests"
    passes: ClassVar[list[str]] = []

    def output_dtype(self, dtype: Any) -> Any:
        return np.float64

    def fit(self, survey: Survey) -> Local:
        self.passes.append(survey.spec.axes)
        return Centring(mean=moments(survey).mean, span=max(1.0, np.ptp(value_range(survey))))


class Centring(Local):
    """Subtract and divide."""

    mean: float
    span: float

    def compute(self, block: Block) -> NDArray[Any]:
        return (block.image - self.mean) / self.span


class Peaks(Global):
    """Positions of the brightest pixels."""

    title: ClassVar = "Peaks"
    group: ClassVar = "Tests"
    output: ClassVar = "points"

    def memory(self, spec: ImageSpec) -> int:
        return 100

    def compute(self, block: Block) -> NDArray[Any]:
        return np.argwhere(block.image == block.image.max())


class Flipped(Global):
    """Turn a frame upside down."""

    title: ClassVar = "Flipped"
    group: ClassVar = "Tests"
    need: ClassVar[int] = 100

    def memory(self, spec: ImageSpec) -> int:
        return self.need

    def compute(self, block: Block) -> NDArray[Any]:
        return block.image[::-1]


def image_of(shape: tuple[int, ...], dtype: str = "uint8") -> NDArray[Any]:
    return RNG.integers(0, 200, shape).astype(dtype)


# -- frames ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", ["yx", "zyx", "xyz", "tczyx", "yxc", "ctyx", "zxy"])
@pytest.mark.parametrize("tile", [None, 4])
def test_frames_of_any_axis_order(axes: str, tile: int | None) -> None:
    image = image_of(tuple({"t": 2, "c": 3, "z": 5, "y": 9, "x": 7}[axis] for axis in axes))
    spatial = [axis for axis in axes if axis in "zyx"]
    for operation, window in ((Blurred(), spatial), (PerPlane(), ["y", "x"])):
        size = tuple(3 if axis in window else 1 for axis in axes)
        result = nt.apply(operation, open_image(image, axes=axes), tile=tile)
        np.testing.assert_array_equal(result, ndimage.maximum_filter(image, size=size))


def test_frames_have_their_axes_in_the_order_asked_for_and_the_calibration() -> None:
    WithArrays.given.clear()
    image = open_image(image_of((6, 5, 2)), axes="xyc", scale=(0.5, 0.25, 1), units=("micrometer", "nanometer", None))
    outputs: list[ImageSpec] = []

    def open_sink(spec: ImageSpec) -> MemorySink:
        outputs.append(spec)
        return MemorySink(spec)

    drain(apply_into(WithArrays(), {"image": image}, open_sink, CancelToken()))
    spec = WithArrays.given[0].spec
    assert (spec.axes, spec.shape, spec.scale, spec.units) == ("yx", (5, 6), (0.25, 0.5), ("nanometer", "micrometer"))
    assert len(WithArrays.given) == 2
    assert replace(outputs[0], name="") == replace(image.spec, name="")
    assert outputs[0].name == "image · Plain"


def test_axes_that_an_operation_drops_and_adds() -> None:
    image = image_of((2, 3, 8, 9))
    result = nt.apply(OverChannels(), open_image(image, axes="tcyx"), tile=4)
    np.testing.assert_array_equal(result, image.sum(axis=1))
    other = image_of((8, 9))
    result = nt.apply(OverChannels(), open_image(image, axes="tcyx"), tile=4, other=other)
    np.testing.assert_array_equal(result, image.sum(axis=1, dtype=np.int64) - other)

    class Phases(Plain):
        """Two channels out of one image."""

        def output_spec(self, spec: ImageSpec) -> ImageSpec:
            return spec.with_leading("c", 2, ("real", "imaginary"))

        def work(self, block: Block) -> NDArray[Any]:
            return np.stack([block.image, block.image // 2])

    planes = image_of((3, 8, 9))
    result = nt.apply(Phases(), open_image(planes, axes="tyx"), tile=5)
    np.testing.assert_array_equal(result, np.stack([planes, planes // 2], axis=1))
    with pytest.raises(InvalidInputError, match="'c', which image has already"):
        nt.apply(Phases(), open_image(planes, axes="cyx"))


def test_a_dimension_that_changes_its_length_is_not_cut() -> None:
    class Highest(Plain):
        """Highest value along z."""

        def output_spec(self, spec: ImageSpec) -> ImageSpec:
            return spec.without("z")

        def work(self, block: Block) -> NDArray[Any]:
            return block.image.max(axis=0)

    image = image_of((7, 9, 8))
    np.testing.assert_array_equal(nt.apply(Highest(), image, tile=3), image.max(axis=0))


def test_pixels_come_prepared() -> None:
    WithArrays.given.clear()
    nt.apply(WithArrays(), np.eye(4, dtype=bool))
    nt.apply(WithArrays(), np.eye(4, dtype=np.float16))
    nt.apply(WithArrays(), np.eye(4, dtype=">u2"))
    assert [str(block.image.dtype) for block in WithArrays.given] == ["uint8", "float32", "uint16"]
    assert [block.spec.dtype for block in WithArrays.given] == [block.image.dtype for block in WithArrays.given]


def test_the_array_of_the_caller_is_neither_changed_nor_handed_out() -> None:
    image = image_of((20, 20))
    for tile in (None, 7):
        result = nt.apply(WithArrays(), image, tile=tile)
        result[:] = 0
        assert image.any()


# -- inputs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", ["tyx", "yx", "tczyx", "zyx", "cyx"])
@pytest.mark.parametrize("tile", [None, 4])
def test_other_inputs_lack_axes(axes: str, tile: int | None) -> None:
    lengths = {"t": 2, "c": 3, "z": 4, "y": 9, "x": 7}
    image = image_of((2, 3, 4, 9, 7), "int32")
    other = image_of(tuple(lengths[axis] for axis in axes), "int32")
    shape = tuple(lengths[axis] if axis in axes else 1 for axis in "tczyx")
    source = open_image(other, axes=axes)
    result = nt.apply(TwoImages(), open_image(image, axes="tczyx"), other=source, tile=tile)
    np.testing.assert_array_equal(result, image - other.reshape(shape))


def test_arrays_have_the_axes_of_the_image_if_they_have_as_many() -> None:
    image, other = image_of((3, 8, 9), "int16"), image_of((3, 8, 9), "int16")
    regions = np.ones((8, 9), bool)
    result = nt.apply(TwoImages(), open_image(image, axes="cyx"), other=other)
    np.testing.assert_array_equal(result, image - other)
    assert not nt.apply(TwoImages(), open_image(image, axes="cyx"), other=other, regions=regions).any()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "needs the input 'other': What is taken away."),
        ({"other": None}, "needs the input 'other'"),
        ({"others": np.ones((8, 8))}, r"no input 'others': did you mean other\?"),
        ({"other": np.ones((8, 7))}, "does not fit the image's .8, 8"),
        ({"other": np.ones((2, 8, 8))}, "does not fit"),
        ({"other": np.ones((8, 8), complex)}, "convert them"),
        ({"other": np.ones((0, 8))}, "no pixels"),
        ({"other": np.full((8, 8), np.nan)}, "'other' holds NaN or infinite pixels: .* 'replace_invalid'"),
        ({"other": np.ones((8, 8)), "regions": np.ones((8, 8))}, "'regions' must be labels, but"),
    ],
)
def test_inputs_that_do_not_fit(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        nt.apply(TwoImages(), np.ones((8, 8)), **inputs)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ones((0, 5)), "no pixels"),
        (np.ones((5, 5), complex), "convert"),
        (np.array([[1.0, np.inf]]), "The image holds NaN or infinite pixels: .*'replace_invalid'"),
        (np.array([[np.inf, -np.inf]], np.float32), "'replace_invalid'"),
        (np.array([["a", "b"]]), "convert"),
        (np.ones(5), "axes"),
    ],
)
def test_images_that_cannot_be_used(image: NDArray[Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        nt.apply(Plain(), image)


def test_sums_that_overflow_are_no_infinite_pixels() -> None:
    check_finite(np.full((100, 100), np.finfo(np.float32).max))
    check_finite(np.full((100, 100), np.finfo(np.float64).max))
    with pytest.raises(InvalidInputError):
        check_finite(np.array([np.finfo(np.float32).max, np.nan, np.finfo(np.float32).max], np.float32))


def test_nan_is_let_through_where_it_is_wanted() -> None:
    class Nans(Plain):
        """Mark NaN."""

        needs_finite: ClassVar = False

        def work(self, block: Block) -> NDArray[Any]:
            return np.nan_to_num(block.image)

    assert nt.apply(Nans(), np.array([[np.nan, 1.0]])).tolist() == [[0.0, 1.0]]


def test_several_channels_are_refused_where_they_make_no_sense() -> None:
    class One(Plain):
        """Work on one channel."""

        one_channel: ClassVar = True

    with pytest.raises(InvalidInputError, match="operation 'channel', or make one with 'grey'"):
        nt.apply(One(), open_image(image_of((3, 5, 5)), axes="cyx"))
    nt.apply(One(), open_image(image_of((1, 5, 5)), axes="cyx"))


def test_kernels_and_points() -> None:
    WithArrays.given.clear()
    image = open_image(image_of((2, 6, 6)), axes="tyx")
    nt.apply(WithArrays(), image, psf=[[1, 2], [3, 4]], points=[1.5, 2])
    first = WithArrays.given[0].others
    assert first["psf"].tolist() == [[1, 2], [3, 4]]
    assert (first["points"].dtype, first["points"].tolist()) == (np.float64, [[1.5, 2.0]])
    WithArrays.given.clear()
    nt.apply(WithArrays(), image, threads=1, points=[[0, 1, 2], [1, 3, 4], [1, 5, 0]])
    assert [block.others["points"].tolist() for block in WithArrays.given] == [[[1, 2]], [[3, 4], [5, 0]]]
    nt.apply(WithArrays(), image, points=np.zeros((0, 2)))
    nt.apply(WithArrays(), image, points=[])
    for name, value, message in (
        ("psf", np.zeros((0, 3)), "no pixels"),
        ("psf", np.array([[np.nan]]), "NaN"),
        ("psf", np.array([[1j]]), "convert"),
        ("points", [[1, 2, 3, 4]], "4 columns, but a point needs 2, along yx, or 3, with t before them"),
        ("points", [[np.nan, 2]], "NaN"),
        ("points", np.ones((2, 2, 2)), "one row per point"),
        ("points", [["a", "b"]], "numbers"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            nt.apply(WithArrays(), image, **{name: value})


@pytest.mark.parametrize(
    ("name", "others", "message"),
    [
        ("convolve", {"kernel": np.ones((1, 7))}, "larger than the image"),
        ("inverse_filter", {"psf": np.ones((3, 7))}, "larger than the image"),
        ("match_histogram", {"reference": np.full((2, 2), 300)}, "holds 0 to 255"),
        ("notch_filter", {"centres": [[0.0, 0.6]]}, "beyond 0.5 cycles"),
        ("polynomial_warp", {"points": [[1, 1]], "targets": [[1, 1]]}, "needs 6 pairs"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_pixel_is_read(name: str, others: dict[str, Any], message: str) -> None:
    class Unread(ArraySource):
        def read(self, region: Region) -> np.ndarray:
            raise AssertionError(f"{region} was read.")

    operation = build_operation(name, {})
    image = Unread(np.zeros((6, 6), np.uint8), open_image(np.zeros((6, 6), np.uint8)).spec)
    with pytest.raises(InvalidInputError, match=message):
        make_frames(operation, gather_inputs(operation, {"image": image, **others}))


def test_seeds_are_points_or_labels(tmp_path: Path) -> None:
    image = image_of((6, 9))
    for seeds, expected in (
        ([[1, 2], [3, 4]], (2, 2)),
        (np.eye(6, 9, dtype=np.uint8), (6, 9)),
        (open_image(np.eye(6, 9, dtype=np.uint8)), (6, 9)),
        (np.array([1.0, 2.0]), (1, 2)),
    ):
        WithArrays.given.clear()
        nt.apply(WithArrays(), image, seeds=seeds)
        assert WithArrays.given[0].others["seeds"].shape == expected
    WithArrays.given.clear()
    nt.apply(WithArrays(), image, tile=4, threads=1, seeds=np.eye(6, 9, dtype=np.uint8))
    assert WithArrays.given[0].others["seeds"].shape == (4, 4)
    with pytest.raises(InvalidInputError, match="must be labels"):
        nt.apply(WithArrays(), image, seeds=np.ones((6, 9)))
    with pytest.raises(InvalidInputError, match="does not fit"):
        nt.apply(WithArrays(), image, seeds=np.ones((6, 8), int))


def test_a_volume_of_one_plane_is_a_plane_to_operations_and_stays_a_volume() -> None:
    ring = np.zeros((1, 1, 9, 9), np.uint8)
    ring[..., 2:7, 2:7] = 1
    hole = ring.copy()
    hole[..., 4, 4] = 0
    np.testing.assert_array_equal(nt.apply(build_operation("fill_holes", {}), open_image(hole, axes="tzyx")), ring)
    kept = nt.apply(build_operation("remove_border_objects", {}), open_image(ring, axes="tzyx"))
    np.testing.assert_array_equal(kept != 0, ring != 0)
    for kernel in (np.eye(3), np.eye(3)[np.newaxis]):
        WithVolume.given.clear()
        nt.apply(WithVolume(), open_image(ring, axes="tzyx"), psf=kernel, points=[[0, 0, 3, 4]])
        (block,) = WithVolume.given
        assert (block.spec.axes, block.others["psf"].shape) == ("yx", (3, 3))
        assert block.others["points"].tolist() == [[3, 4]]
    assert nt.apply(Peaks(), open_image(ring, axes="tzyx")).shape == (25, 4)
    # what names or changes z gets it
    projected = nt.apply(build_operation("project", {"axis": "z"}), open_image(ring, axes="tzyx"))
    np.testing.assert_array_equal(projected, ring[:, 0])
    resized = nt.apply(build_operation("resize", {"factor": 1, "factor_z": 3}), open_image(ring, axes="tzyx"))
    assert resized.shape == (1, 3, 9, 9)


def test_points_on_frames_that_there_are_not_are_refused() -> None:
    image = open_image(image_of((2, 6, 6)), axes="tyx")
    for name in ("points", "seeds"):
        with pytest.raises(InvalidInputError, match=f"'{name}' has a point at t = 2, but image has only t = 0 to 1"):
            nt.apply(WithArrays(), image, **{name: [[0, 1, 1], [2, 3, 4]]})


def test_suggested_notches_go_into_the_notch_filter_frame_by_frame() -> None:
    x = np.arange(64)
    stripes = [np.broadcast_to(50 * np.sin(2 * np.pi * x * cycles / 64), (64, 64)) for cycles in (8, 16)]
    pixels = (RNG.normal(100, 1, (2, 64, 64)) + stripes).astype(np.float32)
    image = open_image(pixels, axes="tyx")
    centres = nt.apply(build_operation("suggest_notches", {}), image)
    assert (centres.shape[1], set(centres[:, 0])) == (3, {0.0, 1.0})
    result = nt.apply(build_operation("notch_filter", {}), image, centres=centres)
    for frame in (0, 1):
        own = centres[centres[:, 0] == frame, 1:]
        plane = open_image(pixels[frame], axes="yx")
        np.testing.assert_array_equal(result[frame], nt.apply(build_operation("notch_filter", {}), plane, centres=own))
    assert result.std() < 10
    with pytest.raises(InvalidInputError, match="'centres' has a point at t = 5"):
        nt.apply(build_operation("notch_filter", {}), image, centres=[[5, 0.1, 0.1]])


@pytest.mark.parametrize("family", [Plain, Flipped, Centred])
def test_a_frame_that_fails_is_named(family: type[Operation]) -> None:
    image = np.ones((3, 20, 20))
    image[1, 2, 3] = np.nan
    for tile in (None, 8):
        with pytest.raises(InvalidInputError, match=r"^t=1: The image holds NaN"):
            nt.apply(family(), open_image(image, axes="tyx"), tile=tile)
        with pytest.raises(InvalidInputError, match=r"^The image holds NaN"):
            nt.apply(family(), open_image(image[1:2], axes="tyx"), tile=tile)


# -- families ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 4])
def test_a_fitted_operation_is_fitted_frame_by_frame_whatever_the_tiles(threads: int) -> None:
    image = RNG.random((2, 33, 41)) * [[[1.0]], [[1000.0]]]
    source = open_image(image, axes="cyx")
    Centred.passes.clear()
    whole = nt.apply(Centred(), source)
    tiled = nt.apply(Centred(), source, tile=8, threads=threads)
    np.testing.assert_array_equal(whole, tiled)
    assert len(Centred.passes) == 4
    for plane in tiled:
        assert abs(plane.mean()) < 1e-12


def test_points_of_frames_have_their_place_before_them(tmp_path: Path) -> None:
    image = np.zeros((2, 3, 5, 6), np.uint8)
    image[0, :, 1, 2] = image[1, :, 4, 5] = 7
    image[1, 1, 0, 0] = 7
    source = open_image(image, axes="tzyx")
    expected = [[0, z, 1, 2] for z in range(3)] + [[1, 0, 4, 5], [1, 1, 0, 0], [1, 1, 4, 5], [1, 2, 4, 5]]
    points = nt.apply(Peaks(), source)
    assert points.dtype == np.float64
    assert points.tolist() == expected
    out = nt.apply(Peaks(), source, out=tmp_path / "points.csv")
    lines = out.read_text().splitlines()
    assert lines[0] == "index,axis-0,axis-1,axis-2,axis-3"
    assert lines[1] == "0,0.0,0.0,1.0,2.0"
    out = nt.apply(Peaks(), source, out=tmp_path / "points.npy")
    assert np.load(out).tolist() == expected
    with pytest.raises(InvalidInputError, match=r"name it .csv or .npy"):
        nt.apply(Peaks(), source, out=tmp_path / "points.tif")
    with pytest.raises(OutputExistsError):
        nt.apply(Peaks(), source, out=tmp_path / "points.csv")
    # what was written can be read back, and is dealt out to the frames it belongs to
    WithArrays.given.clear()
    nt.apply(WithArrays(), source, threads=1, points=tmp_path / "points.csv")
    assert [len(block.others["points"]) for block in WithArrays.given] == [1, 1, 1, 1, 2, 1]


def test_global_operations_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    image = image_of((8, 8))
    events: list[JobEvent] = []
    monkeypatch.setattr(applying, "free_memory", lambda: 1000)
    assert nt.apply(Flipped(), image, on_event=events.append).tolist() == image[::-1].tolist()
    assert not [event for event in events if isinstance(event, Warning)]
    assert isinstance(events[0], Progress)
    assert events[0].message.startswith("Flipped on image: needs about ")
    monkeypatch.setattr(Flipped, "need", 800)
    nt.apply(Flipped(), image, on_event=events.append)
    assert "needs about 1 kB of memory for one of image" in next(e.text for e in events if isinstance(e, Warning))
    monkeypatch.setattr(Flipped, "need", 2000)
    with pytest.raises(
        OutOfMemoryError, match=r"needs about 2 kB .* 1 kB are free: crop the image, use a coarser level"
    ):
        nt.apply(Flipped(), image)


def test_running_out_of_memory_is_one_sentence() -> None:
    class Greedy(Plain):
        """Ask for too much."""

        def work(self, block: Block) -> NDArray[Any]:
            raise MemoryError

    with pytest.raises(OutOfMemoryError, match="crop the image"):
        nt.apply(Greedy(), image_of((5, 5)))


def test_an_operation_that_breaks_its_word_is_found_out() -> None:
    class Wider(Plain):
        """Announce one dtype, give another."""

        def output_dtype(self, dtype: Any) -> Any:
            return np.uint16

    with pytest.raises(TypeError, match=r"wider gave uint8 .* says uint16"):
        nt.apply(Wider(), image_of((5, 5)))
    with pytest.raises(TypeError, match=r"wider gave uint8 .* says uint16"):
        nt.apply(Wider(), image_of((5, 5)), tile=2)


# -- files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".ome.zarr", ".tif", ".npy"])
@pytest.mark.parametrize("threads", [1, 4])
def test_file_to_file(tmp_path: Path, suffix: str, threads: int) -> None:
    image = image_of((3, 40, 50), "uint16")
    source = open_image(image, axes="zyx", scale=(2.0, 0.5, 0.5), units=("micrometer",) * 3)
    path = nt.apply(Plain(), source, out=tmp_path / f"in{suffix}")
    out = nt.apply(Blurred(), path, out=tmp_path / f"out{suffix}", tile=16, threads=threads)
    written = open_image(out)
    expected = ndimage.maximum_filter(image + 1, 3)
    np.testing.assert_array_equal(written.read(written.spec.full_region), expected)
    if suffix != ".npy":
        assert (written.axes, written.scale, written.units) == ("zyx", (2.0, 0.5, 0.5), ("micrometer",) * 3)
    with pytest.raises(OutputExistsError):
        nt.apply(Blurred(), path, out=out)
    nt.apply(Plain(), path, out=out, overwrite=True)
    assert not [entry for entry in tmp_path.iterdir() if "partial" in entry.name]


def test_a_request_runs_from_plain_data(tmp_path: Path) -> None:
    register(WithArrays)
    try:
        image = image_of((6, 9))
        np.save(tmp_path / "image.npy", image)
        np.save(tmp_path / "psf.npy", np.ones((2, 2)))
        (tmp_path / "points.csv").write_text("index,axis-0,axis-1\n0,1.5,2\n1,3,4\n")
        request = ApplyRequest(
            operation="with-arrays",
            inputs={
                "image": InputFile(path=tmp_path / "image.npy", name="cells"),
                "psf": tmp_path / "psf.npy",
                "points": tmp_path / "points.csv",
            },
            out=tmp_path / "out.ome.zarr",
        )
        again = parse_request.validate_python(json.loads(request.model_dump_json()))
        assert again == request
        WithArrays.given.clear()
        told = drain(run_request(again, CancelToken()), None, ApplyResult)
        assert (told.out, told.operation, told.tiles) == (request.out, "with_arrays", 1)
        assert WithArrays.given[0].others["points"].tolist() == [[1.5, 2], [3, 4]]
        assert WithArrays.given[0].others["psf"].shape == (2, 2)
        written = open_image(request.out)
        np.testing.assert_array_equal(written.read(written.spec.full_region), image)
        attributes = zarr.open_group(str(request.out)).attrs["napari-tessera"]
        assert attributes == {"operation": "with_arrays", "version": 1, "parameters": {}}
        with pytest.raises(OutputExistsError):
            drain(run_request(again, CancelToken()))
        with pytest.raises(InvalidInputError, match="no operation 'with_array'"):
            drain(run_request(request.model_copy(update={"operation": "with_array"}), CancelToken()))
        missing = {**request.inputs, "points": tmp_path / "none.csv"}
        with pytest.raises(MissingInputError):
            drain(run_request(request.model_copy(update={"inputs": missing, "overwrite": True}), CancelToken()))
    finally:
        unregister("with_arrays")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"index,axis-0\n0,a\n", "in line 2 'a', which is no number: correct it"),
        (b"1,2\n\n3\n", "in line 3 a cell that is empty or missing"),
        (b"y,x\n1,2,3\n", "in line 2 more cells than in its first line"),
        (b"y,x,note\n1,2,\xb5\n", "is not text in UTF-8: save the table again"),
        (b"y,x\n" + b"1" * 200_000 + b",2\n", "has a row that is none"),
        (b"axis-" + b"1" * 5000 + b",y\n1,2\n", "which column belongs to which axis"),
    ],
)
def test_tables_that_hold_no_points(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "points.csv").write_bytes(text)
    with pytest.raises(InvalidInputError, match=message):
        nt.apply(WithArrays(), image_of((5, 5)), points=tmp_path / "points.csv")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x,y\n9,4\n", [[4, 9]]),
        ("id,X, Y ,score\na,9,4,0.5\n", [[4, 9]]),
        ("x,y,t\n9,4,0\n", [[0, 4, 9]]),
        ("x,T,y,z,c\n9,1,4,3,2\n", [[1, 2, 3, 4, 9]]),
        ("column,row\n9,4\n", [[4, 9]]),
        ("index,axis-1,axis-0\n0,9,4\n", [[4, 9]]),
    ],
)
def test_the_header_of_a_table_decides_on_the_order(tmp_path: Path, text: str, expected: list[list[float]]) -> None:
    (tmp_path / "points.csv").write_text(text)
    assert read_array(tmp_path / "points.csv").tolist() == expected


@pytest.mark.parametrize("header", ["a,b", "x,y,x", "x,y,frame", "x (um),y (um)", "x,1", "axis-0,axis-0", ",", "z,x"])
def test_a_header_that_leaves_the_order_open_is_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "points.csv").write_text(f"{header}\n{','.join('12'[: header.count(',') + 1])}\n")
    with pytest.raises(InvalidInputError, match=r"which column belongs to which axis|names an axis twice"):
        read_array(tmp_path / "points.csv")


def test_a_table_may_name_no_axis_that_the_image_does_not_have(tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    points.write_text("t,y,x\n1,2,3\n")
    image = nt.apply(
        build_operation("flip", {}), open_image(image_of((4, 5, 5)), axes="zyx"), out=tmp_path / "image.ome.tif"
    )
    request = ApplyRequest(
        operation="grow_regions",
        inputs={"seeds": InputFile(path=points), "image": InputFile(path=image)},
        out=tmp_path / "out.tif",
    )
    with pytest.raises(InvalidInputError, match="positions along t, and the image has the axes z, y, x"):
        nt.apply(build_operation("grow_regions", {}), image, seeds=points)
    with pytest.raises(InvalidInputError, match="positions along t, and the image has the axes z, y, x"):
        drain(run_request(request, CancelToken()))
    points.write_text("x,y,z\n3,2,1\n")
    assert drain(run_request(request, CancelToken()), None, ApplyResult).out == request.out


def test_no_points_are_no_result_of_zeros(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("y,x\n")
    for nothing in (tmp_path / "points.csv", np.zeros((0, 2))):
        with pytest.raises(InvalidInputError, match="'seeds' holds no points: put some into the image"):
            nt.apply(build_operation("grow_regions", {}), image_of((5, 5)), seeds=nothing)


def test_a_table_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("1,2\n3,4\n")
    WithArrays.given.clear()
    nt.apply(WithArrays(), image_of((5, 5)), points=tmp_path / "points.csv")
    assert WithArrays.given[0].others["points"].tolist() == [[1, 2], [3, 4]]


def test_tiles_are_whole_chunks_so_that_no_chunk_is_written_twice(tmp_path: Path, monkeypatch: Any) -> None:
    written: list[Region] = []
    original = zarr.Array.__setitem__

    def note(self: Any, region: Any, value: Any) -> None:
        written.append(region)
        original(self, region, value)

    path = tmp_path / "in.zarr"
    array = zarr.create_array(str(path), shape=(6, 300, 500), chunks=(4, 150, 128), dtype="u1")
    array[:] = image_of((6, 300, 500))
    monkeypatch.setattr(zarr.Array, "__setitem__", note)
    monkeypatch.setattr(tiling, "SMALL", 1)
    monkeypatch.setattr(engine, "SMALL", 1)
    monkeypatch.setattr(tiling, "TILE_PIXELS", 2**14)
    out = nt.apply(Blurred(), open_image(path, axes="zyx"), out=tmp_path / "out.ome.zarr", threads=3)
    chunks = zarr.open_array(str(out / "0")).chunks
    assert len(written) > 5
    for region in written:
        assert all(part.start % chunk == 0 for part, chunk in zip(region, chunks, strict=True))


# -- tiles and memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lengths", "halo", "chunks", "threads", "budget"),
    [
        ((65536, 65536), (2, 2), (1024, 1024), 8, 2**28),
        ((2000, 4000, 4000), (4, 4, 4), (1, 1024, 1024), 8, 2**29),
        ((2000, 4000, 4000), (4, 4, 4), (16, 256, 256), 8, 2**28),
        ((2000, 4000, 4000), (0, 0, 0), (16, 256, 256), 2, 2**28),
        ((50_000, 50_000), (300, 300), (512, 512), 8, 2**28),
        ((10_000, 7), (1, 1), (64, 7), 4, 2**28),
        ((3000, 3000), (5, 5), (3000, 3000), 4, 2**26),
    ],
)
def test_tiles_fit_into_memory_and_are_mostly_not_halo(
    lengths: tuple[int, ...], halo: tuple[int, ...], chunks: tuple[int, ...], threads: int, budget: int
) -> None:
    plan = plan_tiles(lengths, halo=halo, chunks=chunks, bytes_per_pixel=40, threads=threads, budget=budget)
    read = np.prod([min(size + 2 * h, n) for size, h, n in zip(plan.tile, halo, lengths, strict=True)])
    assert plan.threads == 1 or read * 40 * plan.threads <= budget
    assert read / np.prod(plan.tile) <= 1.1 * tiling.DEAR_OVERHEAD
    for size, chunk, length in zip(plan.tile, chunks, lengths, strict=True):
        assert size == length or size % chunk == 0


def test_a_huge_halo_costs_threads_rather_than_time() -> None:
    few = plan_tiles((50_000, 50_000), halo=(600, 600), chunks=(64, 64), bytes_per_pixel=40, threads=8, budget=2**28)
    many = plan_tiles((50_000, 50_000), halo=(3, 3), chunks=(64, 64), bytes_per_pixel=40, threads=8, budget=2**28)
    assert few.threads < many.threads == 8
    assert np.prod(few.tile) > np.prod(many.tile)


def test_free_memory_is_known_here() -> None:
    free = free_memory()
    assert free is None or free > 2**20
    assert [describe_bytes(n) for n in (1500, 2_500_000, 1_500_000_000, 250 * 10**9, 10**13)] == [
        "2 kB",
        "2.5 MB",
        "1.5 GB",
        "250 GB",
        "10.0 TB",
    ]


def test_few_tiles_are_in_memory_at_a_time() -> None:
    alive, most, done, lock = 0, 0, 0, threading.Lock()
    together = threading.Barrier(3)

    class Counted(ArraySource):
        def read(self, region: Region) -> NDArray[Any]:
            nonlocal alive, most
            with lock:
                alive += 1
                most = max(most, alive)
            return super().read(region)

    class Slow(Plain):
        """Take a moment, the first three until each of them has its tile."""

        def work(self, block: Block) -> NDArray[Any]:
            nonlocal alive, done
            with lock:
                done += 1
                first = done <= 3
            if first:
                together.wait(60)
            with lock:
                alive -= 1
            return block.image

    array = image_of((64, 64))
    image = Counted(array, open_image(array).spec, path=Path("none"))
    nt.apply(Slow(), image, tile=8, threads=3)
    assert most == 3


# -- events, failure and cancel --------------------------------------------------------------------------------------


def test_progress_counts_tiles_and_the_result_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "POLL_SECONDS", 0.0)
    events: list[JobEvent] = []
    nt.apply(Blurred(), image_of((40, 40)), tile=8, threads=2, on_event=events.append)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in progress] == sorted(event.done for event in progress)
    assert (progress[0].done, progress[-1].done, progress[-1].total, progress[0].unit) == (0, 25, 25, "tile")
    assert progress[-1].seconds_left == 0
    assert isinstance(events[-1], ApplyResult)
    assert events[-1].tiles == 25


def test_guessed_axes_that_look_like_channels_are_doubted() -> None:
    for shape, meant in (((3, 20, 20), "cyx"), ((20, 20, 3), "yxc")):
        events: list[JobEvent] = []
        nt.apply(Plain(), image_of(shape), on_event=events.append)
        assert meant in next(event.text for event in events if isinstance(event, Warning))
    events = []
    nt.apply(Plain(), open_image(image_of((3, 20, 20)), axes="cyx"), on_event=events.append)
    assert not [event for event in events if isinstance(event, Warning)]


class Failing(Plain):
    """Fail on one tile."""

    def work(self, block: Block) -> NDArray[Any]:
        if block.region[0].start == 24:
            try:
                raise KeyError("deep inside")
            except KeyError as error:
                raise RuntimeError("it failed") from error
        return block.image


class Watched(MemorySink):
    """Notes how it ends, and whether it is written to afterwards."""

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__(spec)
        self.end = ""
        self.late = 0

    def write(self, region: Region, pixels: NDArray[Any]) -> None:
        self.late += self.end != ""
        super().write(region, pixels)

    def finish(self) -> None:
        self.end += "finished"

    def abort(self) -> None:
        self.end += "aborted"


@pytest.mark.parametrize("threads", [1, 3])
def test_a_failure_in_a_thread_reaches_the_caller_with_its_cause(threads: int) -> None:
    sinks: list[Watched] = []

    def open_sink(spec: ImageSpec) -> Watched:
        sinks.append(Watched(spec))
        return sinks[0]

    job = apply_into(Failing(), {"image": image_of((40, 40))}, open_sink, CancelToken(), ApplyOptions(8, threads))
    with pytest.raises(RuntimeError, match="it failed") as caught:
        drain(job)
    assert isinstance(caught.value.__cause__, KeyError)
    assert sinks[0].end == "aborted"


def test_failing_storage_reaches_the_caller() -> None:
    class Full(Watched):
        def write(self, region: Region, pixels: NDArray[Any]) -> None:
            raise StorageError("The disk is full.")

    with pytest.raises(StorageError):
        drain(apply_into(Plain(), {"image": image_of((40, 40))}, Full, CancelToken(), ApplyOptions(8, 2)))


class Endless(Plain):
    """Compute for long, and look up never."""

    started: ClassVar[threading.Event] = threading.Event()
    go: ClassVar[threading.Event] = threading.Event()
    ended: ClassVar[threading.Event] = threading.Event()

    def work(self, block: Block) -> NDArray[Any]:
        self.started.set()
        self.go.wait(60)
        self.ended.set()
        return block.image


def wait_for_threads() -> None:
    """Return once all threads of jobs have ended, those too that nobody waits for."""
    for thread in threading.enumerate():
        if thread.name.startswith("tessera") and thread is not threading.current_thread():
            thread.join(60)
            assert not thread.is_alive()


class EndlessFit(Fitted):
    """The same while surveying."""

    title: ClassVar = "Endless fit"
    group: ClassVar = "Tests"

    def fit(self, survey: Survey) -> Local:
        survey.reduce(lambda block: Endless().work(block).sum(), lambda one, other: one + other)
        return Plain()


class EndlessFrame(Flipped):
    """The same on a whole frame."""

    def compute(self, block: Block) -> NDArray[Any]:
        return Endless().work(block)


class EndlessParts(Connected):
    """The same while finding components."""

    title: ClassVar = "Endless parts"
    group: ClassVar = "Tests"

    def parts(self, block: Block) -> NDArray[Any]:
        return Endless().work(block)

    def decide(self, components: Any) -> NDArray[Any]:
        return components.values


@pytest.mark.parametrize("operation", [Endless(), EndlessFit(), EndlessFrame(), EndlessParts()], ids=lambda o: o.name())
@pytest.mark.parametrize("threads", [1, 3])
def test_cancel_is_heeded_amid_work_and_nothing_is_written_later(operation: Operation, threads: int) -> None:
    cancel, sinks = CancelToken(), []

    def open_sink(spec: ImageSpec) -> Watched:
        sinks.append(Watched(spec))
        return sinks[0]

    Endless.started.clear()
    Endless.go.clear()
    Endless.ended.clear()

    def stop() -> None:
        Endless.started.wait(60)
        cancel.cancel()

    threading.Thread(target=stop, daemon=True).start()
    try:
        with pytest.raises(JobCancelledError, match="nothing is kept"):
            drain(apply_into(operation, {"image": image_of((40, 40))}, open_sink, cancel, ApplyOptions(8, threads)))
        assert not Endless.ended.is_set()  # nobody waited for the work
        assert sinks[0].end == "aborted"
    finally:
        Endless.go.set()
    wait_for_threads()
    assert sinks[0].late == 0
    assert not sinks[0].array.any()


def test_a_job_that_is_closed_early_stops() -> None:
    sinks: list[Watched] = []

    def open_sink(spec: ImageSpec) -> Watched:
        sinks.append(Watched(spec))
        return sinks[0]

    job = apply_into(Blurred(), {"image": image_of((64, 64))}, open_sink, CancelToken(), ApplyOptions(4, 2))
    next(job)
    job.close()
    assert sinks[0].end == "aborted"
    wait_for_threads()
    assert sinks[0].late == 0


def test_a_cancelled_file_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    cancel, kept = CancelToken(), r"lies in .*partial|nothing was finished"
    for name in ("out.ome.zarr", "out.tif"):
        with pytest.raises(JobCancelledError, match=kept if "zarr" in name else "nothing is kept"):
            nt.apply(
                Blurred(),
                image_of((64, 64)),
                out=tmp_path / name,
                tile=4,
                cancel=cancel,
                on_event=lambda _: cancel.cancel(),
            )
        assert not (tmp_path / name).exists()


def test_check_stops_work_that_looks_up() -> None:
    cancel, outcomes = CancelToken(), []

    class Polite(Plain):
        """Check before and after a person has cancelled."""

        def work(self, block: Block) -> NDArray[Any]:
            block.check()
            cancel.cancel()
            try:
                block.check()
            except JobCancelledError as error:
                outcomes.append(error)
                raise
            return block.image

    with pytest.raises(JobCancelledError):
        nt.apply(Polite(), image_of((5, 5)), cancel=cancel)
    wait_for_threads()
    assert len(outcomes) == 1


def test_applying_loads_neither_torch_nor_a_screen() -> None:
    program = (
        "import sys, numpy, napari_tessera as nt\n"
        "assert nt.operations.Gaussian is not None\n"
        "nt.apply(nt.operations.Gaussian(), numpy.ones((5, 5)))\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'napari', 'qtpy'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_leaving_waits_for_what_is_being_written_and_lets_nothing_follow() -> None:
    work, writing, go, left = Work(CancelToken()), threading.Event(), threading.Event(), threading.Event()
    ended: list[str] = []

    def write() -> None:
        with work.writing():
            writing.set()
            go.wait(60)
            ended.append("written")

    def leave() -> None:
        work.leave()
        ended.append("left")
        left.set()

    threads = [threading.Thread(target=write), threading.Thread(target=leave)]
    threads[0].start()
    assert writing.wait(60)
    threads[1].start()
    assert not left.wait(0.05)  # however long that takes: something is being written
    go.set()
    for thread in threads:
        thread.join(60)
    with pytest.raises(JobCancelledError), work.writing():
        ended.append("late")
    assert ended == ["written", "left"]


def test_options_are_checked() -> None:
    for options in ({"tile": 0}, {"threads": 0}):
        with pytest.raises(InvalidInputError, match="choose 1 or more"):
            ApplyOptions(**options)


def test_small_images_cost_little_beside_the_operation() -> None:
    image = image_of((2048, 2048))
    operation, bare, ours = Plain(), [], []
    action: Callable[[], Any]
    for _ in range(15):
        for action, times in (
            (lambda: operation.work(Block(image, None, ())), bare),
            (lambda: nt.apply(operation, image), ours),
        ):
            started = time.perf_counter()
            action()
            times.append(time.perf_counter() - started)
    assert min(ours) < 20 * min(bare)  # a ratio of one run, with wide room for busy machines


def test_sources_that_are_no_arrays_are_read_region_by_region() -> None:
    regions: list[Region] = []

    class Lazy(ImageSource):
        @property
        def spec(self) -> ImageSpec:
            return ImageSpec(axes="zyx", shape=(4, 30, 30), dtype=np.dtype("u1"))

        def read(self, region: Region) -> NDArray[Any]:
            regions.append(region)
            return np.ones([part.stop - part.start for part in region], np.uint8)

    assert (nt.apply(Plain(), Lazy(), tile=10) == 2).all()
    assert len(regions) == 9
    assert max(part.stop - part.start for region in regions for part in region) == 10


# -- chunks that several tiles read ------------------------------------------------------------------------------------


class Chunked(ImageSource):
    """An image in chunks that counts how often each is decoded."""

    def __init__(self, array: NDArray[Any], axes: str, chunks: tuple[int, ...]) -> None:
        self.array, self._chunks = array, chunks
        self._spec = ImageSpec(axes=axes, shape=array.shape, dtype=array.dtype)
        self.decoded = 0
        self._lock = threading.Lock()

    @property
    def spec(self) -> ImageSpec:
        return self._spec

    @property
    def chunks(self) -> tuple[int, ...]:
        return self._chunks

    def read(self, region: Region) -> NDArray[Any]:
        counts = [-(-part.stop // n) - part.start // n for part, n in zip(region, self.chunks, strict=True)]
        with self._lock:
            self.decoded += int(np.prod(counts))
        time.sleep(0.002 * (threading.active_count() > 3))  # time for another thread to ask for the same
        return self.array[region].copy()


def test_a_cache_holds_no_more_chunks_than_it_may() -> None:
    """Of four chunks that are read in turn none is there any more where three fit; of three all are."""
    for chunks, decoded in ((3, 3), (4, 8)):
        image = Chunked(image_of((16, 16 * chunks)), "yx", (16, 16))
        cache = chunk_cache.CachedSource(image, (16, 16), 3 * 16 * 16 * image.dtype.itemsize)
        for left in 2 * [16 * chunk for chunk in range(chunks)]:
            part = (slice(2, 5), slice(left + 1, left + 4))
            np.testing.assert_array_equal(cache.read(part), image.array[part])
        assert image.decoded == decoded


@pytest.mark.parametrize("threads", [1, 3])
def test_chunks_are_decoded_once_though_halos_look_into_them(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_cache, "LEAST_CHUNK", 1)
    image = Chunked(image_of((90, 110)), "yx", (16, 16))
    result = nt.apply(Blurred(), image, tile=16, threads=threads)
    np.testing.assert_array_equal(result, ndimage.maximum_filter(image.array, 3))
    assert image.decoded == 6 * 7


def test_planes_of_a_chunk_are_worked_on_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_cache, "LEAST_CHUNK", 1)
    monkeypatch.setattr(chunk_cache, "LARGEST_CACHE", 40 * 8 * 16 * 16)  # not all that lie side by side
    image = Chunked(image_of((16, 256, 256)), "zyx", (8, 16, 16))
    result = nt.apply(PerPlane(), image, tile=16, threads=1)
    np.testing.assert_array_equal(result, ndimage.maximum_filter(image.array, (1, 3, 3)))
    assert image.decoded <= 3.2 * 2 * 16 * 16


@settings(max_examples=100)
@given(data=st.data())
def test_a_cache_reads_what_the_source_reads(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.integers(1, 30)) for _ in range(3))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    array = np.arange(np.prod(shape)).reshape(shape)
    cache = CachedSource(Chunked(array, "zyx", chunks), chunks, data.draw(st.sampled_from([0, 5000, 10**6])))
    for _ in range(5):
        starts = [data.draw(st.integers(0, n - 1)) for n in shape]
        region = tuple(
            slice(start, data.draw(st.integers(start + 1, n))) for start, n in zip(starts, shape, strict=True)
        )
        np.testing.assert_array_equal(cache.read(region), array[region])


def series_with_dark_frames(*dark: int) -> ImageSource:
    frames = np.random.default_rng(0).integers(0, 200, (4, 24, 30), np.uint8)
    frames[:, :10, :10] += 50
    frames[list(dark)] = 7
    return open_image(frames, axes="tyx", name="series")


def result_and_warnings(operation: Operation, image: ImageSource, tile: int | None) -> tuple[np.ndarray, list[str]]:
    sinks: list[MemorySink] = []

    def open_sink(spec: ImageSpec) -> MemorySink:
        sinks.append(MemorySink(spec))
        return sinks[0]

    events = apply_into(operation, {"image": image}, open_sink, CancelToken(), ApplyOptions(tile=tile))
    told = [event.text for event in events if isinstance(event, Warning)]
    return sinks[0].array, told


@pytest.mark.parametrize("tile", [None, 8])
def test_a_dark_frame_of_a_series_is_background_and_told_of(tile: int | None) -> None:
    otsu = build_operation("otsu", {})
    expected, told = result_and_warnings(otsu, series_with_dark_frames(), tile)
    assert not told
    result, told = result_and_warnings(otsu, series_with_dark_frames(2), tile)
    assert not result[2].any()
    np.testing.assert_array_equal(result[[0, 1, 3]], expected[[0, 1, 3]])
    assert told == ["One frame shows too little for Otsu threshold, and the result there is background: t=2."]
    _, told = result_and_warnings(otsu, series_with_dark_frames(0, 3), tile)
    assert told[0].startswith("2 frames show")
    assert told[0].endswith("t=0; t=3.")


def test_a_dark_frame_is_passed_on_where_an_image_comes_out() -> None:
    result, told = result_and_warnings(build_operation("wiener", {}), series_with_dark_frames(1), None)
    np.testing.assert_array_equal(result[1], np.full((24, 30), 7, np.float32))
    assert "is what it was: t=1" in told[0]


def test_a_series_of_dark_frames_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="t=0: The image is constant"):
        nt.apply(build_operation("otsu", {}), series_with_dark_frames(0, 1, 2, 3))


@pytest.mark.parametrize("name", ["low_pass", "unsharp_mask", "bilateral", "spectrum_modulus"])
def test_results_that_are_not_finite_are_refused(name: str) -> None:
    image = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    image[:2] = -3.4028235e38
    for tile in (None, 8):
        with pytest.raises(InvalidInputError, match=r"intensities are too large .* 'rescale'"):
            nt.apply(build_operation(name, {}), image, tile=tile)
