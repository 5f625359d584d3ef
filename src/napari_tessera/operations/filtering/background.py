"""What lies under the objects: flat morphology and the rolling ball."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tessera.operations.casting import fit_into
from napari_tessera.operations.filtering.smoothing import volume_shape

Shape = Literal["disk", "square"]


def opening(image: NDArray[Any], radius: int, shape: Shape) -> NDArray[Any]:
    """Return the image without bright parts that the footprint does not fit into; borders are mirrored."""
    return extreme(extreme(image, radius, shape, largest=False), radius, shape, largest=True)


def closing(image: NDArray[Any], radius: int, shape: Shape) -> NDArray[Any]:
    """Return the image without dark parts that the footprint does not fit into; borders are mirrored."""
    return extreme(extreme(image, radius, shape, largest=True), radius, shape, largest=False)


def extreme(image: NDArray[Any], radius: int, shape: Shape, *, largest: bool) -> NDArray[Any]:
    """Return the largest or smallest pixel under the footprint.

    Beyond the border nothing is looked at. Mirrored borders would give the same: whatever is mirrored into a disk or
    square lies nearer to its centre itself, so inside it too.
    """
    if shape == "square":
        from scipy import ndimage

        if image.dtype.kind in "iu" and image.dtype.itemsize == 8:  # which scipy takes through floats
            levels, ranks = np.unique(image, return_inverse=True)
            return np.asarray(
                levels[extreme(ranks.reshape(image.shape).astype(np.int32), radius, shape, largest=largest)]
            )
        along_one = ndimage.maximum_filter1d if largest else ndimage.minimum_filter1d
        for axis, length in enumerate(image.shape):
            image = along_one(image, 2 * min(radius, length) + 1, axis, mode="reflect")
        return image
    from napari_tessera.operations.filtering import neighbourhood_kernels as kernels

    reach = _reach(image, radius)
    limits = np.finfo(image.dtype) if image.dtype.kind == "f" else np.iinfo(image.dtype)
    neutral = limits.min if largest else limits.max
    padded = np.pad(image, [(length, length) for length in reach[-image.ndim :]], constant_values=neutral)
    out = np.empty(volume_shape(image), image.dtype)
    kernels.extreme_over_runs(padded.reshape(volume_shape(padded)), _runs(reach, radius), largest, out)
    return out.reshape(image.shape)


def _reach(image: NDArray[Any], radius: int) -> tuple[int, ...]:
    """Return how far a ball of `radius` reaches along (z, y, x) before it leaves the image altogether."""
    return tuple(min(radius, length - 1) for length in volume_shape(image))


def _runs(reach: tuple[int, ...], radius: int) -> NDArray[np.int64]:
    """Return the ball as runs along x, (n, 3): z and y, from 0 at the outermost, and half the length of the run."""
    across = np.indices((2 * reach[0] + 1, 2 * reach[1] + 1)).reshape(2, -1).T
    left = radius**2 - ((across - reach[:2]) ** 2).sum(axis=1)
    inside = left >= 0
    halves = np.minimum(np.floor(np.sqrt(left[inside])), reach[2])
    return np.column_stack([across[inside], halves]).astype(np.int64)


def rolling_ball(image: NDArray[Any], radius: int, height: float) -> NDArray[Any]:
    """Return the surface that the top of a ball follows when it rolls below the image.

    The same as ``skimage.restoration.rolling_ball`` (Sternberg 1983, "Biomedical image processing") with an ellipsoid
    of `radius` pixels and `height` grey levels; integers are cut off to whole numbers as there. Beyond the border
    nothing stops the ball.

    Parameters
    ----------
    image
        (y, x) or (z, y, x), integer or float.
    radius
        In pixels.
    height
        Radius along the intensities, in grey levels.

    Returns
    -------
    Same shape and dtype.
    """
    from napari_tessera.operations.filtering import neighbourhood_kernels as kernels

    reach = _reach(image, radius)
    offsets = np.indices([2 * length + 1 for length in reach]).reshape(3, -1).T.astype(np.int64)
    squared = ((offsets - reach) ** 2).sum(axis=1)
    inside = squared <= radius**2
    gaps = height - height / radius * np.sqrt(radius**2 - squared[inside])
    offsets = offsets[inside].copy()
    if image.dtype.kind in "iu" and image.dtype.itemsize == 8:
        return _integer_contact(image, reach, offsets, gaps)
    dtype = image.dtype if image.dtype.kind == "f" else np.dtype(np.float64)
    out = np.empty(volume_shape(image), dtype)
    padded = np.pad(image.reshape(volume_shape(image)).astype(dtype), _margins(reach), constant_values=np.inf)
    kernels.lowest_contact(padded, offsets, gaps.astype(dtype), out)
    background = out.reshape(image.shape)
    return background if image.dtype.kind == "f" else np.floor(background, out=background).astype(image.dtype)


def _integer_contact(
    image: NDArray[Any], reach: tuple[int, ...], offsets: NDArray[np.int64], gaps: NDArray[np.float64]
) -> NDArray[Any]:
    """Return the surface below 64-bit integers, which float64 cannot tell apart beyond 2^53.

    A whole number plus a gap, cut off, is the number plus the gap cut off. Signed pixels are shifted so that their
    order is that of unsigned ones.
    """
    from napari_tessera.operations.filtering import neighbourhood_kernels as kernels

    shift = np.uint64(2**63 if image.dtype.kind == "i" else 0)
    limits = np.iinfo(np.uint64)
    whole = image.reshape(volume_shape(image)).view(np.uint64) ^ shift
    padded = np.pad(whole, _margins(reach), constant_values=limits.max)
    out = np.empty(whole.shape, np.uint64)
    kernels.lowest_contact_of_integers(padded, offsets, fit_into(np.floor(gaps), np.uint64), out)
    return (out ^ shift).view(image.dtype).reshape(image.shape)


def _margins(reach: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(length, length) for length in reach]


def flat_field(image: NDArray[Any], flat: NDArray[Any], dark: NDArray[Any] | None, mean: float) -> NDArray[np.float64]:
    """Return ``(image − dark) / (flat − dark) · mean``, 0 where the flat image is no brighter than the dark one."""
    corrected = image.astype(np.float64)
    gain = flat.astype(np.float64)
    if dark is not None:
        corrected -= dark
        gain -= dark
    lit = gain > 0
    return np.divide(corrected * mean, gain, out=np.zeros_like(corrected), where=np.broadcast_to(lit, corrected.shape))
