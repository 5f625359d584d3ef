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
        Normalised patches (n, c, y, x), float32: 0 and 1 are the ends of the usual range.
    config
        How strong each change may be; neutral values leave the patches as they are.
    rng
        Source of chance.
    """
    count = len(images)
    images = _blur(images, rng.uniform(0, config.blur, count) * (rng.random(count) < 0.5))
    images = _gamma(images, _log_uniform(rng, config.gamma, count))
    images = images * _per_patch(_log_uniform(rng, config.contrast, count))
    images = images + _per_patch(rng.uniform(-config.brightness, config.brightness, count))
    if config.noise:
        strength = rng.uniform(0, config.noise, count) * (rng.random(count) < 0.5)
        noise = torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32))
        images = images + _per_patch(strength) * noise
    return images


def _log_uniform(rng: np.random.Generator, limit: float, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Draw factors between 1 / `limit` and `limit`, as likely above 1 as below."""
    return np.exp(rng.uniform(-math.log(limit), math.log(limit), count))


def _per_patch(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))[:, None, None, None]


def _gamma(images: Tensor, exponents: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Tensor:
    """Bend intensities above 0 by a power; what is below stays, so that dark noise is not folded."""
    positive = images.clamp(min=0)
    return positive.pow(_per_patch(exponents)) + (images - positive)


def _blur(images: Tensor, sigmas: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Tensor:
    """Blur each patch with its own Gaussian; sigma 0 leaves it as it is."""
    if not sigmas.any():
        return images
    radius = math.ceil(3 * sigmas.max())
    steps = np.arange(-radius, radius + 1)
    kernels = np.exp(-(steps**2) / (2 * np.maximum(sigmas, 1e-3)[:, None] ** 2))
    kernels = torch.from_numpy((kernels / kernels.sum(axis=1, keepdims=True)).astype(np.float32))
    count, channels, height, width = images.shape
    weights = kernels.repeat_interleave(channels, dim=0)
    stacked = functional.pad(images.reshape(1, count * channels, height, width), [radius] * 4, mode="replicate")
    stacked = functional.conv2d(stacked, weights[:, None, :, None], groups=count * channels)
    stacked = functional.conv2d(stacked, weights[:, None, None, :], groups=count * channels)
    return stacked.reshape(images.shape)
