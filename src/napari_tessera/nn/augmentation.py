"""Random changes of intensity, drawn anew for every patch of a batch."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_tessera.config.training import AugmentationConfig


def augment_intensity(images: Tensor, config: AugmentationConfig, rng: np.random.Generator) -> Tensor:
    """Return patches with changed intensities.

    Parameters
    ----------
    images
        Normalised patches (n, c, y, x) or (n, c, z, y, x), float32: 0 and 1 are the ends of the usual range.
    config
        How strong each change may be; neutral values leave the patches as they are.
    rng
        Source of chance.
    """
    count = len(images)
    images = _blur(images, rng.uniform(0, config.blur, count) * (rng.random(count) < 0.5))
    images = _gamma(images, _log_uniform(rng, config.gamma, count))
    images = images * _per_patch(_log_uniform(rng, config.contrast, count), images)
    images = images + _per_patch(rng.uniform(-config.brightness, config.brightness, count), images)
    if config.noise:
        strength = rng.uniform(0, config.noise, count) * (rng.random(count) < 0.5)
        noise = torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32))
        images = images + _per_patch(strength, images) * noise
    return images


def _log_uniform(rng: np.random.Generator, limit: float, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Draw factors between 1 / `limit` and `limit`, as likely above 1 as below."""
    return np.exp(rng.uniform(-math.log(limit), math.log(limit), count))


def _per_patch(values: np.ndarray[tuple[int], np.dtype[np.float64]], images: Tensor) -> Tensor:
    """Return one value for each patch, in as many dimensions as `images` have."""
    return torch.from_numpy(values.astype(np.float32)).reshape(-1, *[1] * (images.ndim - 1))


def _gamma(images: Tensor, exponents: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Tensor:
    """Bend intensities above 0 by a power; what is below stays, so that dark noise is not folded."""
    positive = images.clamp(min=0)
    return positive.pow(_per_patch(exponents, images)) + (images - positive)


def _blur(images: Tensor, sigmas: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Tensor:
    """Blur each patch with its own Gaussian; sigma 0 leaves it as it is."""
    if not sigmas.any():
        return images
    radius = math.ceil(3 * sigmas.max())
    steps = np.arange(-radius, radius + 1)
    kernels = np.exp(-(steps**2) / (2 * np.maximum(sigmas, 1e-3)[:, None] ** 2))
    kernels = torch.from_numpy((kernels / kernels.sum(axis=1, keepdims=True)).astype(np.float32))
    count, channels, *lengths = images.shape
    weights = kernels.repeat_interleave(channels, dim=0)
    stacked = images.reshape(1, count * channels, *lengths)
    stacked = functional.pad(stacked, [radius] * (2 * len(lengths)), mode="replicate")
    convolve = functional.conv2d if len(lengths) == 2 else functional.conv3d
    for axis in range(len(lengths)):
        along = [-1 if axis == other else 1 for other in range(len(lengths))]
        stacked = convolve(stacked, weights.reshape(count * channels, 1, *along), groups=count * channels)
    return stacked.reshape(images.shape)
