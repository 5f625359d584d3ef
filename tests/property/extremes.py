"""Images whose values lie near the limits of their type, and what no operation may make of them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from exactness import Example, make_other, make_pixels, plain_example
from numpy.typing import NDArray

from napari_tessera.core.errors import TesseraError
from napari_tessera.io.opening import open_image
from napari_tessera.operations.base import Operation
from napari_tessera.pipeline.api import apply

INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
FLOATS = ("float16", "float32", "float64")
DTYPES = ("bool", *INTEGERS, *FLOATS)

KEEP_RANGE = frozenset(
    [
        *("adaptive_median", "bilateral", "channel", "gaussian", "maximum", "mean", "median", "minimum"),
        *("mean_shift", "non_local_means", "replace_label"),
    ]
)
"""Operations whose results lie between the lowest and the highest value of the image."""

GO_BY_TYPE = frozenset(
    [
        *("clahe", "contrast_stretch", "equalize_histogram", "fuse_exposures", "invert", "rolling_ball"),
        *("separate_stains", "spectrum_phase"),
    ]
)
"""Operations that ask what the type can hold, count integers level by level, or give angles of what is next to 0."""

MADE_OF_PYTHON = (
    *("unforeseen", "Traceback", "NoneType", "ufunc", "operand", "array(", "dtype(", "broadcast", "object at"),
    *("LinAlgError", "converge", "overflow"),
)
"""What no sentence for a person holds."""


def kinds_of(dtype: np.dtype[Any]) -> Iterator[str]:
    """Yield the kinds of images that there are in a dtype."""
    yield from ("top", "bottom", "ends", "constant", "one pixel")
    if dtype.kind == "f":
        yield from ("no data", "nan", "infinity", "tiny")
    elif dtype.itemsize == 8:
        yield "beyond floats"


def extreme_pixels(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], kind: str) -> NDArray[Any]:
    """Return an image of a kind: near the limits of its type, or with values that are no intensities."""
    if dtype == np.bool_:
        return np.full(shape, kind != "bottom") if kind in ("top", "bottom", "constant") else rng.random(shape) > 0.5
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    low, high = limits.min, limits.max
    parts = rng.random(shape)
    if dtype.kind == "f":
        return _extreme_floats(parts, dtype, kind, float(high))
    offsets = (parts * 100).astype(np.uint64).astype(dtype)
    top, bottom = np.array(high, dtype) - offsets, np.array(low, dtype) + offsets
    match kind:
        case "top" | "one pixel":
            return top
        case "bottom":
            return bottom
        case "ends":
            return np.where(parts > 0.5, top, bottom)
        case "beyond floats":
            return np.array(2**53 + 1, dtype) + offsets
    return np.full(shape, high, dtype)


def _extreme_floats(parts: NDArray[np.float64], dtype: np.dtype[Any], kind: str, high: float) -> NDArray[Any]:
    pixels = (parts * 100).astype(dtype)
    special = parts > 0.8
    match kind:
        case "top" | "one pixel":
            pixels = ((1 - parts / 100) * high).astype(dtype)
        case "bottom":
            pixels = -((1 - parts / 100) * high).astype(dtype)
        case "ends":
            pixels = np.where(parts > 0.5, high, -high).astype(dtype)
        case "constant":
            pixels[:] = high
        case "no data":
            pixels[special] = max(-3.4028235e38, -high)
        case "nan":
            pixels[special] = np.nan
        case "infinity":
            pixels[special] = np.where(parts[special] > 0.9, np.inf, -np.inf)
        case "tiny":
            pixels = (parts * 10 * float(np.finfo(dtype).tiny)).astype(dtype)
    return pixels


def extreme_example(operation_class: type[Operation], dtype: str, kind: str) -> Example | None:
    """Return an example with such an image, which takes the place of all inputs of its size; None where there is none.

    Labels have no floats.
    """
    plain = plain_example(operation_class, _axes_for(operation_class))
    operation, kind_of_first = plain.operation, plain.operation.inputs[0].kind
    number = np.dtype(dtype)
    if kind_of_first == "labels" and number.kind == "f":
        return None
    rng = np.random.default_rng(11)
    shape = tuple(
        1 if kind == "one pixel" and axis in "yx" else min(n, 19)
        for axis, n in zip(plain.axes, plain.image.shape, strict=True)
    )
    image = extreme_pixels(rng, shape, number, kind)
    if kind_of_first == "labels" and number.kind != "b":  # objects with such numbers on background
        first = operation.inputs[0]
        image = np.where(make_pixels(rng, shape, "uint8", first) > 0, image, np.array(0, number))
    others = {}
    for one in operation.inputs[1:]:
        if one.kind == "image":
            others[one.name] = extreme_pixels(rng, shape, number, kind)
        elif not one.optional:
            others[one.name] = make_other(rng, one, image, plain.axes, operation)
    return replace(plain, image=image, others=others)


def _axes_for(operation_class: type[Operation]) -> str:
    """Return axes that the operation takes: some need colours, others a series."""
    for axes in ("yx", "yxc", "tyx", "zyx"):
        plain = plain_example(operation_class, axes)
        try:
            apply(plain.operation, open_image(plain.image, axes=axes), **plain.others)
        except TesseraError:
            continue
        return axes
    return "yx"


def check_extreme(example: Example, kind: str) -> bool:
    """Assert that a result is one, or a refusal a sentence; return whether there is a result."""
    image = example.image
    try:
        result = apply(example.operation, open_image(image, axes=example.axes), tile=7, threads=1, **example.others)
    except TesseraError as error:
        told = str(error)
        assert told, f"{example}, {kind}: refused without a word"
        assert not any(word in told for word in MADE_OF_PYTHON), f"{example}, {kind}: {told!r}"
        return False
    taken = [image, *(one for one in example.others.values() if one.dtype.kind == "f")]
    if all(np.isfinite(one).all() for one in taken if one.dtype.kind == "f"):
        assert result.dtype.kind != "f" or np.isfinite(result).all(), f"{example}, {kind}: not finite"
        if example.operation.name() in KEEP_RANGE:
            low, high = float(image.min()), float(image.max())
            rounding = max(abs(low), abs(high)) * float(np.finfo(np.float64).eps) * 4
            assert float(result.min()) >= low - rounding, f"{example}, {kind}: {result.min()!r} is below {low!r}"
            assert float(result.max()) <= high + rounding, f"{example}, {kind}: {result.max()!r} is above {high!r}"
    return True


def check_as_floats(example: Example, kind: str) -> None:
    """Assert that integers, which floats hold exactly here, give what the same numbers as floats give, clipped."""
    operation = example.operation
    if operation.output != "image" or operation.inputs[0].kind != "image" or operation.name() in GO_BY_TYPE:
        return
    results = []
    for dtype in (example.image.dtype, np.dtype(np.float64)):
        others = {
            name: one.astype(dtype) if one.shape == example.image.shape else one for name, one in example.others.items()
        }
        image = open_image(example.image.astype(dtype), axes=example.axes)
        try:
            results.append(apply(operation, image, threads=1, **others))
        except TesseraError:
            return
    found, expected = results
    if found.dtype.kind in "iu":
        limits = np.iinfo(found.dtype)
        expected = np.clip(expected, float(limits.min), float(limits.max))
    extent = float(np.abs(expected).max()) or 1.0
    np.testing.assert_allclose(
        found.astype(np.float64), expected, rtol=1e-5, atol=1 + 1e-5 * extent, err_msg=f"{example}, {kind}"
    )


def check_wide(example: Example) -> None:
    """Assert that an operation that says so tells integers beyond 2^53 apart: rounded ones give something else."""

    def applied(change: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
        image = open_image(change(example.image), axes=example.axes)
        others = {name: change(one) if one.dtype.itemsize == 8 else one for name, one in example.others.items()}
        return apply(example.operation, image, threads=1, **others)

    exact, rounded = applied(lambda one: one), applied(lambda one: one.astype(np.float64).astype(one.dtype))
    assert not np.array_equal(exact, rounded), f"{example} rounds integers beyond 2^53 and does not say so"
