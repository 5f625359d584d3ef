"""The check that every operation is held to, whoever wrote it: tiles give what the whole image gives, bit for bit.

``check_exact(operation, …)`` is one comparison; ``examples_of(operation_class)`` draws what it needs: parameters from
the class's own schema, images of odd shapes and all dtypes, further inputs by their kind, tiles and threads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_tessera.core.axes import spatial_axes
from napari_tessera.core.errors import InvalidInputError, NoContrastError
from napari_tessera.core.image import ImageSource
from napari_tessera.io.opening import open_image
from napari_tessera.operations.base import Input, Operation
from napari_tessera.operations.whole import run_whole
from napari_tessera.pipeline.api import apply
from napari_tessera.pipeline.applying.frames import make_frames
from napari_tessera.pipeline.applying.inputs import gather_inputs
from napari_tessera.pipeline.applying.plain_frames import StandIn

IMAGE_DTYPES = ("bool", "uint8", "uint16", "int16", "int32", "float32", "float64")
LABEL_DTYPES = ("uint8", "uint16", "uint32", "int64")


@dataclass(frozen=True)
class Example:
    """One comparison: an operation, its inputs, and how the image is cut."""

    operation: Operation
    image: NDArray[Any]
    axes: str
    tile: int
    threads: int = 1
    others: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __repr__(self) -> str:
        others = {name: (array.shape, str(array.dtype)) for name, array in self.others.items()}
        return (
            f"Example({self.operation!r}, {self.image.dtype}{self.image.shape} {self.axes}, tile={self.tile}, "
            f"threads={self.threads}, {others})"
        )


def check_exact(example: Example) -> bool:
    """Assert that tiles give what whole frames give; return whether that was a result, not a refusal."""
    operation, image = example.operation, opened(example)
    before = {name: array.copy() for name, array in {"": example.image, **example.others}.items()}
    try:
        expected = whole_result(example)
    except InvalidInputError:
        try:
            apply(operation, image, tile=example.tile, threads=example.threads, **example.others)
        except InvalidInputError:
            return False
        raise AssertionError(f"the whole image is refused, tiles are not: {example}") from None
    result = apply(operation, image, tile=example.tile, threads=example.threads, **example.others)
    for name, array in {"": example.image, **example.others}.items():
        np.testing.assert_array_equal(array, before[name], err_msg=f"{example} wrote into its input {name!r}")
        assert not np.may_share_memory(array, result), f"{example} handed out its input {name!r}"
    assert_identical(result, expected, repr(example))
    return True


def opened(example: Example) -> ImageSource:
    """Return the image with the scale of a microscope: planes further apart than pixels are long."""
    scale = {"z": 1.5, "y": 0.5, "x": 0.5}
    units = ["micrometer" if axis in scale else None for axis in example.axes]
    return open_image(example.image, axes=example.axes, scale=[scale.get(a, 1.0) for a in example.axes], units=units)


def whole_result(example: Example) -> NDArray[Any]:
    """Apply the operation to whole frames, one by one, and put them together."""
    image = opened(example)
    inputs = gather_inputs(example.operation, {example.operation.inputs[0].name: image, **example.others})
    frames = make_frames(example.operation, inputs)
    results, plain = [], []
    for position in frames:
        block = frames.block(position)
        try:
            results.append((position, run_whole(example.operation, block)))
        except NoContrastError as error:
            plain.append(error)
            results.append((position, StandIn.of(example.operation, frames.spec).compute(block)))
    if len(plain) == len(results):
        raise plain[0]
    if frames.output is None:
        rows = [np.hstack([np.tile([*position.values()], (len(r), 1)), r]) for position, r in results]
        return np.concatenate(rows)
    whole = np.zeros(frames.output.shape, frames.output.dtype)
    for position, result in results:
        assert result.dtype == frames.output.dtype, f"{example}: {result.dtype}, announced {frames.output.dtype}"
        whole[frames.output_region(position, {})] = frames.arranged(result)
    return whole


def assert_identical(result: NDArray[Any], expected: NDArray[Any], what: str) -> None:
    """Assert equal dtype, shape and bits (any NaN equals any other)."""
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape), what
    if result.dtype.kind == "f":
        result, expected = (np.where(np.isnan(one), np.nan, one).astype(one.dtype) for one in (result, expected))
    if result.tobytes() != expected.tobytes():
        differ = np.argwhere(result != expected)
        at = tuple(differ[0]) if len(differ) else ()
        raise AssertionError(
            f"{what}\n{len(differ)} pixels differ, the first at {at}: {result[at]!r}, not {expected[at]!r}"
        )


@st.composite
def examples_of(draw: st.DrawFn, operation_class: type[Operation]) -> Example:
    """Draw an example for an operation class."""
    operation = draw(operations_of(operation_class))
    axes = draw(st.sampled_from(["yx", "yx", "zyx", "tyx", "cyx", "yxc"]))
    longest = 40 if len(axes) == 2 else 14
    lengths = st.sampled_from([1, 2, 7, longest // 2, longest - 1, longest])
    shape = tuple(draw(lengths) if axis in "zyx" else 2 for axis in axes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    first = operation.inputs[0]
    image = make_pixels(
        rng, shape, draw(st.sampled_from(IMAGE_DTYPES if first.kind == "image" else LABEL_DTYPES)), first
    )
    others = {}
    for one in operation.inputs[1:]:
        if not one.optional or draw(st.booleans()):
            others[one.name] = make_other(rng, one, image, axes, operation)
    tile = draw(st.sampled_from([1, 2, 3, 5, 8, 13]))
    return Example(operation, image, axes, max(tile, longest // 12), draw(st.sampled_from([1, 3])), others)


def plain_example(operation_class: type[Operation], axes: str = "yx") -> Example:
    """Return an example that no operation has a reason to refuse."""
    operation = build_default(operation_class)
    if operation_class.name() == "adaptive_median":  # networks of larger windows take minutes to compile
        operation = operation.model_copy(update={"largest": 3 if axes == "zyx" else 5})
    rng = np.random.default_rng(7)
    shape = {"yx": (45, 38), "zyx": (9, 22, 19), "tyx": (3, 32, 29), "yxc": (32, 29, 3)}[axes]
    first = operation.inputs[0]
    image = make_pixels(rng, shape, "uint8" if first.kind == "image" else "uint16", first)
    others = {
        one.name: make_other(rng, one, image, axes, operation) for one in operation.inputs[1:] if not one.optional
    }
    return Example(operation, image, axes, 8 if axes == "zyx" else 16, 2, others)


def make_pixels(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, one: Input) -> NDArray[Any]:
    """Return blobs with noise: few labels, or intensities over a good part of the range of `dtype`."""
    coarse = rng.random(tuple(-(-n // 3) for n in shape))
    blobs = coarse[np.ix_(*[np.arange(n) // 3 for n in shape])]
    if one.kind in ("labels", "seeds"):
        return (np.floor(blobs * 6) * (blobs > 0.4)).astype(dtype)
    pixels = 0.8 * blobs + 0.2 * rng.random(shape)
    if dtype == "bool":
        return pixels > 0.5
    if dtype.startswith("float"):
        return (pixels * 1000 - 100).astype(dtype)
    limits = np.iinfo(dtype)
    top = min(int(limits.max), 40_000)
    return (pixels * top + (max(int(limits.min), -1000))).clip(limits.min, top).astype(dtype)


def make_other(
    rng: np.random.Generator, one: Input, image: NDArray[Any], axes: str, operation: Operation
) -> NDArray[Any]:
    """Return a further input of the kind that is asked for."""
    frame = spatial_axes(operation.frame_axes(axes))
    lengths = np.array([image.shape[axes.index(axis)] for axis in frame])
    match one.kind:
        case "image":
            return make_pixels(rng, image.shape, str(image.dtype), one)
        case "labels":
            return make_pixels(rng, image.shape, "uint16", one)
        case "kernel":
            weights = rng.random((3,) * len(frame)) + 0.1
            return weights / weights.sum()
        case "frequencies":
            return rng.uniform(-0.4, 0.4, (2, len(frame)))
        case _ if one.name in ("points", "targets") and "targets" in [each.name for each in operation.inputs]:
            # pairs that are not far from each other, enough for a map that bends
            return np.random.default_rng(5).random((12, len(frame))) * lengths + rng.normal(size=(12, len(frame)))
        case _:
            return np.unique(np.floor(rng.random((3, len(frame))) * lengths), axis=0)


def build_default(operation_class: type[Operation]) -> Operation:
    """Return an operation with its defaults; parameters without one get the first value that their bounds allow."""
    schema = operation_class.model_json_schema()
    required = {name: _example_value(schema["properties"][name], 0.5) for name in schema.get("required", ())}
    return operation_class(**required)


@st.composite
def operations_of(draw: st.DrawFn, operation_class: type[Operation]) -> Operation:
    """Draw parameters by the class's own schema: near the defaults, within the bounds."""
    schema = operation_class.model_json_schema()
    given = {}
    for name, about in schema["properties"].items():
        if name in schema.get("required", ()) or draw(st.booleans()):
            strategy = _values(about)
            if strategy is not None:
                given[name] = draw(strategy)
    try:
        return operation_class(**given)
    except (ValidationError, InvalidInputError):
        try:
            return build_default(operation_class)
        except (ValidationError, InvalidInputError):
            assume(False)
            raise


def _values(about: Mapping[str, Any]) -> st.SearchStrategy[Any] | None:
    if "enum" in about:
        return st.sampled_from(about["enum"])
    match about.get("type"):
        case "boolean":
            return st.booleans()
        case "integer":
            low, high = _bounds(about, 1)
            return st.integers(int(low), int(high))
        case "number":
            low, high = _bounds(about, 1e-3)
            return st.floats(low, high, allow_nan=False, allow_subnormal=False, width=32) if low < high else None
    return None


def _bounds(about: Mapping[str, Any], step: float) -> tuple[float, float]:
    """Return bounds narrow enough that windows and the like stay small."""
    low = about.get("minimum", about.get("exclusiveMinimum", -np.inf) + step)
    high = about.get("maximum", about.get("exclusiveMaximum", np.inf) - step)
    default = about.get("default") if isinstance(about.get("default"), int | float) else max(low, 1)
    reach = max(4, abs(default) / 2)
    low, high = max(low, default - reach), min(high, default + reach)
    return (float(np.float32(low)), float(np.float32(high))) if step < 1 else (low, max(low, high))


def _example_value(about: Mapping[str, Any], share: float) -> Any:
    if "enum" in about:
        return about["enum"][0]
    if about.get("type") in ("integer", "number"):
        low, high = _bounds(about, 1 if about["type"] == "integer" else 1e-3)
        value = low + share * (high - low)
        return int(value) if about["type"] == "integer" else value
    return about.get("type") == "boolean"


def is_tiled(operation_class: type[Operation]) -> bool:
    """Whether it goes tile by tile."""
    return operation_class.family not in ("global", "paged")
