"""Patches: small squares or cubes around annotation, moved, turned, mirrored and scaled at random."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_tessera.config.training import AugmentationConfig
from napari_tessera.core import regions
from napari_tessera.core.regions import Region
from napari_tessera.nn.samples import IGNORED, Sample

_PLAIN = AugmentationConfig(flips=False, rotations=False, scale=1)

PLAIN_PATCHES = 16
"""About so many patches show whether a network knows the classes; at least one of each class."""


MOST_POSITIONS = 2**26
"""Most annotated pixels that are remembered, of all samples and classes together (four bytes each); of more, pixels
spread evenly over each sample."""


class PatchSampler:
    """Draws batches of patches, each around an annotated pixel of a class chosen at random.

    Every image and, inside it, every class is as likely as the other, whatever the number of its pixels: a few strokes
    on a rare structure count as much as a filled background.
    """

    def __init__(self, samples: Sequence[Sample], classes: int, size: int, augmentation: AugmentationConfig) -> None:
        self._samples = tuple(_contiguous(sample) if sample.in_memory else sample for sample in samples)
        most = max(1, MOST_POSITIONS // (classes * max(1, len(samples))))
        self._annotated = [_pixels_by_class(sample.targets(), classes, most) for sample in samples]
        self._size = size
        self._augmentation = augmentation

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return `count` patches: images float32 (n, c, …) and targets int64 (n, …), … being (y, x) or (z, y, x)."""
        patches = []
        for _ in range(count):
            index = int(rng.integers(len(self._samples)))
            classes = list(self._annotated[index])
            patches.append(self._cut(index, classes[int(rng.integers(len(classes)))], rng, self._augmentation))
        return _stacked(patches)

    def plain(self, most: int = PLAIN_PATCHES) -> tuple[Tensor, Tensor]:
        """Return patches as they lie in the images, as `draw` does: the same ones each time, of each class as many."""
        rng = np.random.default_rng(0)
        classes = sorted({index for pixels in self._annotated for index in pixels})
        patches = []
        for of_class in classes:
            images = [index for index, pixels in enumerate(self._annotated) if of_class in pixels]
            chosen = rng.integers(len(images), size=max(1, most // len(classes)))
            patches += [self._cut(images[index], of_class, rng, _PLAIN) for index in chosen]
        return _stacked(patches)

    def _cut(
        self, index: int, of_class: int, rng: np.random.Generator, augmentation: AugmentationConfig
    ) -> tuple[Tensor, Tensor]:
        pixels, sample = self._annotated[index][of_class], self._samples[index]
        shape = sample.shape
        focus = np.array(np.unravel_index(int(pixels[int(rng.integers(len(pixels)))]), shape), np.float64)
        turn = random_turn(rng, augmentation, len(shape))
        # the annotated pixel lands exactly on a pixel in the inner half of the patch, so that shrinking cannot skip it
        at = rng.integers(self._size // 4, self._size - self._size // 4, size=len(shape))
        centre = focus - turn @ (at - (self._size - 1) / 2)
        window = regions.whole(shape) if sample.in_memory else window_of(centre, turn, self._size, shape)
        image, target = torch.from_numpy(sample.intensities(window)), torch.from_numpy(sample.targets(window))
        return cut_patch(image, target, centre - regions.start(window), turn, self._size)


def _stacked(patches: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.stack([image for image, _ in patches]), torch.stack([target for _, target in patches])


def _contiguous(sample: Sample) -> Sample:
    """Return a sample in memory whose pixels lie one after the other, as they are read quickest."""
    image, target = np.ascontiguousarray(sample.intensities()), np.ascontiguousarray(sample.targets())
    return replace(sample, image=image, target=target)


def _pixels_by_class(target: NDArray[np.uint8], classes: int, most: int) -> dict[int, NDArray[np.uint32]]:
    """Return the positions, row by row, of the annotated pixels of each class that is there: `most`, spread evenly."""
    found = ((index, np.flatnonzero(target == index).astype(np.uint32)) for index in range(classes))
    return {index: _thinned(positions, most) for index, positions in found if len(positions)}


def _thinned(positions: NDArray[np.uint32], most: int) -> NDArray[np.uint32]:
    if len(positions) <= most:
        return positions
    return positions[np.linspace(0, len(positions) - 1, most).astype(np.int64)]


def window_of(centre: NDArray[np.float64], turn: NDArray[np.float64], size: int, shape: Sequence[int]) -> Region:
    """Return the part of an image that a patch is made of, with what is mirrored at the borders of the image.

    Parameters
    ----------
    centre, turn, size
        As `cut_patch` has them.
    shape
        Lengths of the image, (y, x) or (z, y, x).

    Returns
    -------
    Region
        It ends at a border of the image or beyond the patch, so that the patch is the same from it as from the image.
    """
    reach = np.abs(turn).sum(axis=1) * (size - 1) / 2
    first, last = np.floor(centre - reach).astype(int) - 1, np.ceil(centre + reach).astype(int) + 2
    before, beyond = np.maximum(0, -first), np.maximum(0, last - np.array(shape))
    first, last = np.minimum(first, np.array(shape) - beyond), np.maximum(last, before)
    return regions.clipped(tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True)), shape)


def random_turn(rng: np.random.Generator, augmentation: AugmentationConfig, dimensions: int = 2) -> NDArray[np.float64]:
    """Return a random square matrix from patch to image coordinates: right angles, mirroring, scale.

    Right angles turn y into x. Neither is turned into z, along which volumes are mostly measured otherwise; they are
    mirrored along it.
    """
    angle = int(rng.integers(4)) if augmentation.rotations else 0
    turn = np.eye(dimensions)
    turn[-2:, -2:] = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), angle)
    for axis in (-1, *range(dimensions - 2)):
        if augmentation.flips and rng.random() < 0.5:
            turn[:, axis] *= -1
    limit = math.log(augmentation.scale)
    scaled: NDArray[np.float64] = turn * math.exp(rng.uniform(-limit, limit))
    return scaled


def cut_patch(
    image: Tensor, target: Tensor, centre: NDArray[np.float64], turn: NDArray[np.float64], size: int
) -> tuple[Tensor, Tensor]:
    """Resample a square or cube of `size` pixels around `centre`.

    Parameters
    ----------
    image, target
        (c, y, x) float32 and (y, x) uint8, or (c, z, y, x) and (z, y, x).
    centre
        (y, x) or (z, y, x), in pixels of the image.
    turn
        Matrix from patch to image coordinates.
    size
        Edge length of the patch.

    Returns
    -------
    image, target
        (c, size, …), mirrored at the borders of the image, and (size, …) int64, `IGNORED` beyond them.
    """
    lengths = target.shape
    steps = np.arange(size) - (size - 1) / 2
    grid = np.stack(np.meshgrid(*[steps] * len(lengths), indexing="ij"), axis=-1) @ turn.T + centre
    # grid_sample wants (x, y, z) with -1 and 1 at the outer edges of the first and last pixel
    normalised = (2 * grid[..., ::-1] + 1) / lengths[::-1] - 1
    positions = torch.from_numpy(normalised.astype(np.float32))[None]
    patch = functional.grid_sample(
        image[None], positions, mode="bilinear", padding_mode="reflection", align_corners=False
    )[0]
    nearest = torch.from_numpy(np.floor(grid + 0.5).astype(np.int64)).unbind(-1)
    inside = torch.ones_like(nearest[0], dtype=torch.bool)
    for position, length in zip(nearest, lengths, strict=True):
        inside &= (position >= 0) & (position < length)
    labels = torch.full((size,) * len(lengths), IGNORED, dtype=torch.int64)
    labels[inside] = target[tuple(position[inside] for position in nearest)].long()
    return patch, labels
