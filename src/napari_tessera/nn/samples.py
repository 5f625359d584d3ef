"""What a training sees: pieces of images with targets, and how some are held out for validation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core import regions
from napari_tessera.core.regions import Region

IGNORED = 255
"""Target of pixels that take part in no loss and no metric."""

MAX_CLASSES = IGNORED

LEAST_KEPT = 0.5
"""Share of each class's annotation that must stay for training when some is held out."""


class Stored(Protocol):
    """Pixels that lie in a file, and are read part by part; safe to read from several threads."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As that of an array in memory would be."""

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region`, (y, x) or (z, y, x); all channels if there are any."""

    def cropped(self, region: Region) -> "Stored":
        """Return the part in `region`, of which nothing is read."""


@dataclass(frozen=True)
class Sample:
    """A piece of an image with its targets, both in memory or both in files.

    Attributes
    ----------
    image
        Normalised intensities, float32, (c, y, x) or (c, z, y, x).
    target
        Class index per pixel, uint8, (y, x) or (z, y, x); `IGNORED` where nothing is known.
    source
        Index of the image it comes from.
    place
        Position (y, x) or (z, y, x) of its first pixel in the image; planes on top of each other have the same.
    """

    image: NDArray[np.float32] | Stored
    target: NDArray[np.uint8] | Stored
    source: int = 0
    place: tuple[int, ...] = (0, 0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths (y, x) or (z, y, x)."""
        return self.target.shape

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def in_memory(self) -> bool:
        """Whether reading costs nothing."""
        return isinstance(self.image, np.ndarray)

    def intensities(self, region: Region | None = None) -> NDArray[np.float32]:
        """Return the intensities in `region` of the sample, (y, x) or (z, y, x), or all of them."""
        region = regions.whole(self.shape) if region is None else region
        return self.image[:, *region] if isinstance(self.image, np.ndarray) else self.image.read(region)

    def targets(self, region: Region | None = None) -> NDArray[np.uint8]:
        """Return the targets in `region` of the sample, (y, x) or (z, y, x), or all of them."""
        region = regions.whole(self.shape) if region is None else region
        return self.target[region] if isinstance(self.target, np.ndarray) else self.target.read(region)

    def held(self) -> "Sample":
        """Return the same in memory."""
        return replace(self, image=self.intensities(), target=self.targets())

    def within(self, axis: int, span: range) -> "Sample":
        """Return the part, maybe empty, that lies in `span` of the image along the spatial axis `axis`."""
        first = self.place[axis]
        part = list(regions.whole(self.shape))
        part[axis] = slice(max(span.start - first, 0), max(span.stop - first, 0))
        kept = regions.clipped(tuple(part), self.shape)
        place = (*self.place[:axis], max(first, span.start), *self.place[axis + 1 :])
        image = self.intensities(kept) if isinstance(self.image, np.ndarray) else self.image.cropped(kept)
        target = self.targets(kept) if isinstance(self.target, np.ndarray) else self.target.cropped(kept)
        return replace(self, image=image, target=target, place=place)

    @property
    def annotated(self) -> bool:
        """Whether any pixel has a target."""
        return bool((self.targets() != IGNORED).any())

    def class_counts(self, classes: int) -> NDArray[np.int64]:
        """Return the number of annotated pixels per class."""
        return np.bincount(self.targets().ravel(), minlength=IGNORED + 1)[:classes]


@dataclass(frozen=True)
class Split:
    """Samples to learn from and samples to judge by, which share no pixel."""

    training: tuple[Sample, ...]
    validation: tuple[Sample, ...]


def split_by_source(samples: Sequence[Sample], fraction: float, classes: int, rng: np.random.Generator) -> Split | None:
    """Hold out all samples of about `fraction` of the sources; None if a class would be missing on either side."""
    sources = rng.permutation(sorted({sample.source for sample in samples}))
    held_out = set(sources[: max(1, round(fraction * len(sources)))].tolist())
    split = Split(
        tuple(sample for sample in samples if sample.source not in held_out),
        tuple(sample for sample in samples if sample.source in held_out),
    )
    complete = all((_total(part, classes) > 0).all() for part in (split.training, split.validation))
    return split if complete else None


def split_by_blocks(samples: Sequence[Sample], fraction: float, classes: int, gap: int) -> Split | None:
    """Hold out a block at one side of each image, about `fraction` of its annotation, `gap` pixels from the rest.

    All pieces and planes of an image are cut at the same place, so that no held-out pixel has a trained one beside or
    above it. Returns None if no image has enough annotation to spare.
    """
    training: list[Sample] = []
    validation: list[Sample] = []
    for source in sorted({sample.source for sample in samples}):
        group = [sample for sample in samples if sample.source == source]
        cut = _best_cut(group, fraction, classes, gap)
        if cut is None:
            training += group
            continue
        training += [sample.within(cut.axis, cut.kept) for sample in group]
        validation += [sample.within(cut.axis, cut.held_out) for sample in group]
    training = [sample for sample in training if sample.annotated]
    validation = [sample for sample in validation if sample.annotated]
    return Split(tuple(training), tuple(validation)) if validation else None


@dataclass(frozen=True)
class Cut:
    """Where an image is divided along one of the spatial axes, in pixels of the image."""

    axis: int
    kept: range
    held_out: range


def _best_cut(group: Sequence[Sample], fraction: float, classes: int, gap: int) -> Cut | None:
    """Return the cut along an axis, at either end, that holds out closest to `fraction` of each class.

    None if every cut is more than three quarters of `fraction` off for some class, or leaves less than `LEAST_KEPT` of
    one for training.
    """
    best, best_error = None, 0.75 * fraction
    for axis, share in enumerate(_shares_before(group, classes)):
        length = share.shape[1] - 1
        positions = np.arange(gap + 1, length - gap)
        if not len(positions):
            continue
        for at_end in (False, True):
            near, far = (positions, positions - gap) if at_end else (positions, positions + gap)
            held = 1 - share[:, near] if at_end else share[:, near]
            kept = share[:, far] if at_end else 1 - share[:, far]
            error = np.abs(held - fraction).max(axis=0) + (kept.min(axis=0) < LEAST_KEPT)
            if error.min() < best_error:
                best_error, position = float(error.min()), int(positions[error.argmin()])
                parts = range(position - gap), range(position, length)
                best = Cut(axis, *parts) if at_end else Cut(axis, range(position + gap, length), range(position))
    return best


def _shares_before(group: Sequence[Sample], classes: int) -> list[NDArray[np.float64]]:
    """Return which share of each class's annotation lies before each position of the image along each axis.

    Returns
    -------
    list of ndarray
        One per axis, (classes that occur, length + 1).
    """
    axes = range(len(group[0].shape))
    lengths = [max(sample.place[axis] + sample.shape[axis] for sample in group) for axis in axes]
    profiles = [np.zeros((classes, length)) for length in lengths]
    for sample in group:
        target = sample.targets()
        for index in range(classes):
            found = target == index
            for axis, profile in enumerate(profiles):
                along = np.count_nonzero(found, axis=tuple(other for other in axes if other != axis))
                first = sample.place[axis]
                profile[index, first : first + len(along)] += along
    shares = []
    for profile in profiles:
        known = profile[profile.sum(axis=1) > 0]
        share = (known / known.sum(axis=1, keepdims=True)).cumsum(axis=1)
        shares.append(np.pad(share, ((0, 0), (1, 0))))
    return shares


def _total(samples: Sequence[Sample], classes: int) -> NDArray[np.int64]:
    return sum((sample.class_counts(classes) for sample in samples), start=np.zeros(classes, dtype=np.int64))
