"""Fusion of exposures: the best of each, blended in a pyramid."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Pyramid = list[NDArray[np.float32]]


def fuse_exposures(
    exposures: NDArray[np.float32],
    *,
    contrast: float,
    exposure: float,
    check: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Return one image that takes from every exposure what it shows best.

    A pixel's weight is its contrast (the modulus of the Laplacian) times how near it is to mid-grey (a Gaussian around
    0.5 of standard deviation 0.2), each to a power; weights are blended level by level of a Laplacian pyramid. Mertens,
    Kautz & Van Reeth 2007, "Exposure fusion"; colour saturation is left out.

    Parameters
    ----------
    exposures
        (exposures, channels, y, x), from 0 to 1. All channels of an exposure have the same weights.
    contrast, exposure
        Exponents of the two measures; 0 leaves one out.
    check
        Raises when the work is to stop.

    Returns
    -------
    (channels, y, x), about 0 to 1.
    """
    weights = np.stack([_weight(one.mean(axis=0), contrast, exposure) for one in exposures])
    # Where no exposure has contrast, rounding errors must not choose between them.
    weights += np.float32(1e-6)
    weights /= weights.sum(axis=0)
    levels = max(1, int(np.log2(min(exposures.shape[2:]))))
    return np.stack([_blend(exposures[:, channel], weights, levels, check) for channel in range(exposures.shape[1])])


def _weight(grey: NDArray[np.float32], contrast: float, exposure: float) -> NDArray[np.float32]:
    import cv2

    detail = np.abs(np.asarray(cv2.Laplacian(grey, cv2.CV_32F), np.float32))
    middle = np.exp(-((grey - 0.5) ** 2) / (2 * 0.2**2))
    return np.asarray(detail**contrast * middle**exposure, np.float32)


def _blend(
    images: NDArray[np.float32], weights: NDArray[np.float32], levels: int, check: Callable[[], None]
) -> NDArray[np.float32]:
    fused: Pyramid = []
    for image, weight in zip(images, weights, strict=True):
        check()
        parts = [detail * share for detail, share in zip(_details(image, levels), _means(weight, levels), strict=True)]
        fused = [one + other for one, other in zip(fused, parts, strict=True)] if fused else parts
    return _collapse(fused)


def _means(image: NDArray[np.float32], levels: int) -> Pyramid:
    """Return the image and its reductions by two."""
    import cv2

    pyramid = [image]
    for _ in range(levels):
        pyramid.append(np.asarray(cv2.pyrDown(pyramid[-1]), np.float32))
    return pyramid


def _details(image: NDArray[np.float32], levels: int) -> Pyramid:
    """Return what each reduction loses, and the last one."""
    means = _means(image, levels)
    return [fine - _enlarged(coarse, fine.shape) for fine, coarse in pairwise(means)] + means[-1:]


def _collapse(pyramid: Pyramid) -> NDArray[np.float32]:
    image = pyramid[-1]
    for detail in reversed(pyramid[:-1]):
        image = detail + _enlarged(image, detail.shape)
    return image


def _enlarged(image: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.pyrUp(image, dstsize=(shape[1], shape[0])), np.float32)
