"""Convolution, gradients and sharpening, as direct sums in float64; borders are mirrored (scipy's ``reflect``)."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.operations.casting import fit_into, real_dtype
from napari_tessera.operations.filtering.correlation import correlate_axis
from napari_tessera.operations.filtering.smoothing import gaussian

Gradient = Literal["sobel", "prewitt", "scharr"]

_ACROSS: dict[Gradient, tuple[float, ...]] = {
    "sobel": (1 / 4, 2 / 4, 1 / 4),
    "prewitt": (1 / 3, 1 / 3, 1 / 3),
    "scharr": (3 / 16, 10 / 16, 3 / 16),
}
"""Weights across the direction of the derivative; they sum to 1."""


def parse_kernel(text: str) -> NDArray[np.float64]:
    """Return the kernel typed as rows: numbers parted by spaces or commas, rows by semicolons or new lines.

    Raises
    ------
    InvalidInputError
        If rows differ in length or hold something else than numbers.
    """
    rows = [row.replace(",", " ").split() for row in text.replace("\n", ";").split(";") if row.strip()]
    try:
        numbers = [[float(number) for number in row] for row in rows]
    except ValueError as error:
        raise InvalidInputError(
            f"The kernel {text!r} holds something else than numbers: type rows like 0 1 0."
        ) from error
    if not numbers or len({len(row) for row in numbers}) != 1:
        raise InvalidInputError(
            f"The kernel {text!r} needs rows of equal length, parted by semicolons: for example 0 1 0; 1 -4 1; 0 1 0."
        )
    return np.array(numbers)


def kernel_for(kernel: NDArray[Any], shape: tuple[int, ...], *, normalise: bool) -> NDArray[np.float64]:
    """Return a kernel with as many dimensions as a frame of `shape`, its sum 1 if `normalise`.

    Raises
    ------
    InvalidInputError
        If it is empty, complex, not finite, has more dimensions than the frame or is longer than it along one, or is to
        be normalised and sums to zero.
    """
    if kernel.dtype.kind not in "biuf":
        raise InvalidInputError(f"A kernel of {kernel.dtype} cannot be used: give real numbers.")
    weights = kernel.astype(np.float64)
    while weights.ndim > len(shape) and weights.shape[0] == 1:
        weights = weights[0]
    if weights.ndim > len(shape) or weights.ndim == 0:
        raise InvalidInputError(
            f"A kernel of {weights.ndim} dimensions does not fit an image of {len(shape)}: choose one of no more."
        )
    weights = weights.reshape((1,) * (len(shape) - weights.ndim) + weights.shape)
    if weights.size == 0 or not np.isfinite(weights).all():
        raise InvalidInputError("The kernel is empty or holds NaN or infinity: give it finite weights.")
    if any(length > size for length, size in zip(weights.shape, shape, strict=True)):
        raise InvalidInputError(
            f"The kernel of shape {weights.shape} is larger than the image of shape {shape}: crop the kernel."
        )
    if not normalise:
        return weights
    total = float(weights.sum())
    if abs(total) <= 1e-12 * float(np.abs(weights).sum()):
        raise InvalidInputError("The kernel sums to zero and cannot be normalised: switch normalising off.")
    return weights / total


def convolve(image: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the convolution (kernel mirrored), computed in float64; the centre of an even length is length // 2."""
    from scipy.ndimage import convolve as scipy_convolve

    return np.asarray(scipy_convolve(image.astype(np.float64), weights, mode="reflect"))


def derivative(image: NDArray[Any], axis: int, kind: Gradient) -> NDArray[np.float64]:
    """Return the change of intensity per pixel along `axis`, smoothed across it."""
    result = correlate_axis(image, (-0.5, 0.0, 0.5), axis)
    for other in range(image.ndim):
        if other != axis:
            result = correlate_axis(result, _ACROSS[kind], other)
    return result


def gradient(image: NDArray[Any], kind: Gradient, axis: int | None) -> NDArray[Any]:
    """Return the derivative along `axis`, or the length of the gradient if None; grey levels per pixel, float."""
    dtype = real_dtype(image.dtype)
    if axis is not None:
        return fit_into(derivative(image, axis, kind), dtype)
    return fit_into(_length(derivative(image, each, kind) for each in range(image.ndim)), dtype)


def gaussian_gradient(image: NDArray[Any], sigma: float) -> NDArray[Any]:
    """Return the length of the gradient of the blurred image, grey levels per pixel, float."""
    from scipy.ndimage import gaussian_filter

    values = image.astype(np.float64)
    orders = np.eye(image.ndim, dtype=int).tolist()
    parts = (gaussian_filter(values, sigma, order=order, mode="reflect") for order in orders)
    return fit_into(_length(parts), real_dtype(image.dtype))


def _length(parts: Any) -> NDArray[np.float64]:
    total: Any = 0.0
    for part in parts:  # one by one: the same sum in any tile
        total = total + part * part
    return np.asarray(np.sqrt(total))


def laplacian(image: NDArray[Any], sigma: float | None) -> NDArray[Any]:
    """Return the sum of second derivatives, of the image blurred by `sigma` unless None; float."""
    from scipy.ndimage import gaussian_laplace, laplace

    values = image.astype(np.float64)
    result = laplace(values, mode="reflect") if sigma is None else gaussian_laplace(values, sigma, mode="reflect")
    return fit_into(np.asarray(result), real_dtype(image.dtype))


def difference_of_gaussians(image: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """Return the image blurred by `low` minus the image blurred by `high`, computed in float64; float."""
    values = image.astype(np.float64)
    return fit_into(gaussian(values, low) - gaussian(values, high), real_dtype(image.dtype))


def unsharp_mask(image: NDArray[Any], sigma: float, amount: float) -> NDArray[Any]:
    """Return ``image + amount · (image − blurred)`` in the image's type, integers rounded and clipped."""
    values = image.astype(np.float64)
    return fit_into(values + amount * (values - gaussian(values, sigma)), image.dtype)
