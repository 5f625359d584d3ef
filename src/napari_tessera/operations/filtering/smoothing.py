"""Smoothing of planes and volumes; borders are mirrored (scipy's ``reflect``), results do not depend on tiles."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.operations.casting import fit_into, has_few_levels, real_dtype
from napari_tessera.operations.filtering.correlation import correlate_axis, gaussian_blur
from napari_tessera.operations.wide_integers import WideIntegers, differences_from

TABLE_REACH = 5.0
"""Differences of intensity beyond so many standard deviations weigh nothing (e^−12.5 of the full weight)."""
_TABLE_STEPS = 4096


def gaussian(image: NDArray[Any], sigma: float) -> NDArray[Any]:
    """Blur with a Gaussian that is cut off at four standard deviations.

    Parameters
    ----------
    image
        (y, x) or (z, y, x), integer or float.
    sigma
        Standard deviation, in pixels.

    Returns
    -------
    Same shape and dtype; integers are blurred in float64 and rounded.
    """
    sigmas = (sigma,) * image.ndim
    if image.dtype.kind == "f":
        return gaussian_blur(image, sigmas, image.dtype)
    return fit_into(gaussian_blur(image, sigmas), image.dtype)


def gaussian_radius(sigma: float) -> int:
    """Return where scipy cuts a Gaussian off: at four standard deviations."""
    return int(4 * sigma + 0.5)


def box_mean(image: NDArray[Any], size: int) -> NDArray[Any]:
    """Return the mean over a square or cubic window of odd length `size`.

    Integers are summed exactly and halves rounded up; floats are averaged in float64.
    """
    if image.dtype.kind == "f":
        weights = np.full(size, 1 / size)
        mean = image.astype(np.float64)
        for axis in range(image.ndim):
            mean = correlate_axis(mean, weights, axis)
        return fit_into(mean, image.dtype)
    count = size**image.ndim
    if image.dtype.itemsize > 4:
        whole = WideIntegers.of(image)
        total = WideIntegers.carried(_cube_sums(whole.high, size), _cube_sums(whole.low, size))
        return total.divided(count, "up").clipped(image.dtype)
    sums = _cube_sums(image.astype(np.int64), size)
    return np.asarray((2 * sums + count) // (2 * count), image.dtype)


def window_variance(image: NDArray[Any], size: int, centre: float) -> NDArray[np.float64]:
    """Return the variance over a square or cubic window of odd length `size`, at least 0, computed in float64.

    Parameters
    ----------
    image
        (y, x) or (z, y, x), integer or float.
    size
        In pixels.
    centre
        What intensities are counted from: the nearer to them, the fewer digits are lost.
    """
    weights = np.full(size, 1 / size)
    mean = differences_from(image, centre)
    squares = mean * mean
    for axis in range(image.ndim):
        mean = correlate_axis(mean, weights, axis)
        squares = correlate_axis(squares, weights, axis)
    return np.maximum(squares - mean * mean, 0)


def _cube_sums(values: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    for axis in range(values.ndim):
        values = _window_sums(values, size, axis)
    return values


def _window_sums(values: NDArray[np.int64], size: int, axis: int) -> NDArray[np.int64]:
    """Return sums over windows along `axis`: differences of a running total, which is exact for integers."""
    width = [(0, 0)] * values.ndim
    width[axis] = (size // 2 + 1, size // 2)
    total = np.cumsum(np.pad(values, width, mode="symmetric"), axis=axis)
    upper = [slice(None)] * values.ndim
    lower = upper.copy()
    upper[axis], lower[axis] = slice(size, None), slice(0, -size)
    return np.asarray(total[tuple(upper)] - total[tuple(lower)])


def bilateral(image: NDArray[Any], sigma: float, sigma_range: float) -> NDArray[Any]:
    """Smooth without blurring edges: neighbours weigh by their distance and by their difference of intensity.

    Weights are ``exp(−d²/2σ²) · exp(−Δ²/2σ_r²)`` within a window of ``bilateral_radius`` (Tomasi & Manduchi 1998,
    "Bilateral filtering for gray and color images"); those of intensity come from a table with linear interpolation
    (error below 1e-6).

    Parameters
    ----------
    image
        (y, x) or (z, y, x), integer or float.
    sigma
        Standard deviation of the distance, in pixels.
    sigma_range
        Standard deviation of the difference of intensity, > 0.
    """
    from napari_tessera.operations.filtering import neighbourhood_kernels as kernels

    radius = bilateral_radius(sigma)
    offsets = window_offsets(image.ndim, radius)
    distances = ((offsets - offsets[len(offsets) // 2]) ** 2).sum(axis=1)
    dtype = real_dtype(image.dtype)
    steps = np.arange(_TABLE_STEPS) * (TABLE_REACH / (_TABLE_STEPS - 1))
    table = np.append(np.exp(-(steps**2) / 2), [0, 0]).astype(dtype)
    out = np.empty(volume_shape(image), dtype)
    weights = np.exp(-distances / (2 * sigma**2)).astype(dtype)
    scale = dtype.type((_TABLE_STEPS - 1) / (TABLE_REACH * sigma_range))
    if has_few_levels(image.dtype):
        by_level = _by_level(table, scale, image)
        kernels.bilateral_of_levels(padded_volume(image, radius, np.dtype(np.int32)), offsets, weights, by_level, out)
    else:
        kernels.bilateral(padded_volume(image, radius, dtype), offsets, weights, table, scale, out)
    return fit_into(out.reshape(image.shape), image.dtype)


def _by_level(table: NDArray[Any], scale: np.floating[Any], image: NDArray[Any]) -> NDArray[Any]:
    """Return the weight of every difference of whole grey levels that weighs anything, and one that weighs nothing.

    Computed as the kernel does between the entries of `table`, so that the results are the same to the last bit.
    """
    last = len(table) - 2
    most = 2 ** (8 * image.dtype.itemsize)
    levels = np.arange(min(most, int(last / scale) + 2) if scale * most > last else most)
    places = np.minimum(levels.astype(table.dtype) * scale, table.dtype.type(last))
    low = places.astype(np.int32)
    return np.asarray(table[low] + (table[low + 1] - table[low]) * (places - low.astype(table.dtype)))


def bilateral_radius(sigma: float) -> int:
    """Return half the length of the window: three standard deviations."""
    return max(1, int(3 * sigma + 0.5))


def non_local_means(image: NDArray[Any], patch_size: int, distance: int, h: float) -> NDArray[Any]:
    """Average pixels whose surroundings look alike.

    The weight of a pixel is ``exp(−D/h²)``, D being the mean squared difference between the patches around it and
    around the pixel in question (Buades, Coll & Morel 2005, "A non-local algorithm for image denoising"). Weights below
    e^−12 count as 0; they come from a table with linear interpolation.

    Parameters
    ----------
    image
        (y, x) or (z, y, x), integer or float.
    patch_size
        Odd length of a patch, in pixels.
    distance
        How far away patches are looked for, in pixels.
    h
        Difference of intensity that is taken for noise, > 0.
    """
    from napari_tessera.operations.filtering import neighbourhood_kernels as kernels

    flat = image.ndim == 2
    patch = np.array([0 if flat else patch_size // 2, patch_size // 2, patch_size // 2])
    reach = np.array([0 if flat else distance, distance, distance])
    dtype = real_dtype(image.dtype)
    reach_of_table = 12.0
    exponents = np.arange(_TABLE_STEPS) * (reach_of_table / (_TABLE_STEPS - 1))
    table = np.append(np.exp(-exponents), [0, 0]).astype(dtype)
    padded = padded_volume(image, patch_size // 2 + distance, dtype)
    out = np.empty(volume_shape(image), dtype)
    scale = dtype.type((_TABLE_STEPS - 1) / reach_of_table / (h * h * patch_size**image.ndim))
    kernels.non_local_means(padded, patch, reach, table, scale, out)
    return fit_into(out.reshape(image.shape), image.dtype)


def volume_shape(image: NDArray[Any]) -> tuple[int, ...]:
    """Return the shape as (z, y, x)."""
    return (1,) * (3 - image.ndim) + image.shape


def padded_volume(image: NDArray[Any], radius: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the image as (z, y, x) of `dtype` with a mirrored border of `radius` along its own axes."""
    padded = np.pad(image.astype(dtype), radius, mode="symmetric")
    return np.ascontiguousarray(padded.reshape(volume_shape(padded)))


def window_offsets(ndim: int, radius: int) -> NDArray[np.int64]:
    """Return the places of a window in an array padded by `radius`, (n, 3), raster order; the centre in the middle."""
    lengths: Sequence[int] = [1] * (3 - ndim) + [2 * radius + 1] * ndim
    return np.indices(lengths).reshape(3, -1).T.astype(np.int64).copy()
