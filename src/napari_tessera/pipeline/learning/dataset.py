"""From images and labels to what a training sees."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core import regions
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource
from napari_tessera.core.regions import Region
from napari_tessera.nn.samples import Sample, Split, split_by_blocks, split_by_source
from napari_tessera.nn.tasks.base import Task
from napari_tessera.nn.tasks.classes import ClassesTask
from napari_tessera.pipeline.learning.annotation import class_numbers, find_painted, fit_labels, scan_grid
from napari_tessera.pipeline.learning.stored import StoredPart
from napari_tessera.pipeline.predicting.intensity import IntensityRange, fit_intensity
from napari_tessera.pipeline.running.chunk_cache import cached
from napari_tessera.pipeline.running.spreading import spread_blocks

MOST_HELD = 2**27
"""Most intensities that a training keeps in memory (four bytes each); of more, it reads what each patch needs."""

MOST_LEARNT = 2**33
"""Most intensities that a training looks at, since it looks for annotation in all of them before it begins; of more,
squares spread evenly over the images are taken."""

SURVEYED = 32
"""Pieces of the size of a patch, spread over all images, that show how common each class is: with the usual patches
half a million pixels, which are scored in about a second."""

GAP = 16
"""Width of the band between trained and held-out pixels, in pixels."""

IMAGES_TO_HOLD_OUT = 8
"""With so many images or more, whole ones are held out; with fewer, a block of each."""

Pair = tuple[ImageSource, ImageSource]


@dataclass(frozen=True)
class Dataset:
    """Annotated pieces of images, ready for a network.

    Attributes
    ----------
    samples
        The annotated pieces.
    task
        What the targets of the samples mean.
    channels
        Number of channels of every image.
    ranges
        The intensity range of each image.
    warnings
        What the person should know about the annotation.
    survey
        Pieces spread evenly over the whole images, annotated or not; none if the annotation itself shows how common
        each class is, or the settings take all classes for equally common.
    """

    samples: tuple[Sample, ...]
    task: ClassesTask
    channels: int
    ranges: tuple[IntensityRange, ...]
    warnings: tuple[str, ...]
    survey: tuple[Sample, ...] = ()


def load_dataset(pairs: Sequence[Pair], config: TrainingConfig) -> Dataset:
    """Read the annotated squares of all images.

    Raises
    ------
    AnnotationError
        If nothing can be learnt from the annotation, or it does not fit its image.
    InvalidInputError
        If images differ in channels, or hold NaN or nothing, or the network is not two-dimensional.
    """
    if config.network.dimensions != 2:
        raise InvalidInputError("Networks over 3 dimensions cannot be trained yet: set network.dimensions to 2.")
    pairs = [(image, fit_labels(image, labels)) for image, labels in pairs]
    channels = {image.spec.channels for image, _ in pairs}
    if len(channels) > 1:
        raise InvalidInputError(f"The images have {sorted(channels)} channels: train on images with the same channels.")
    painted = find_painted([labels for _, labels in pairs])
    task = ClassesTask(class_numbers(painted, config.annotation), config.annotation)
    places = [(index, region) for index, (_, labels) in enumerate(pairs) for region in _annotated(labels, config)]
    taken, warnings = _in_budget(places, max(channels))
    ranges = tuple(fit_intensity(image, config.data.intensity) for image, _ in pairs)
    empty = tuple(
        f"Channel {channel} of the image {image.name!r} has the same intensity everywhere: nothing is learnt from it."
        for (image, _), intensity in zip(pairs, ranges, strict=True)
        for channel in intensity.empty
    )
    sources = _sources(pairs)
    stored = [(cached(image), cached(labels)) for image, labels in pairs]
    samples = tuple(_sample(stored[index], ranges[index], region, sources[index], task) for index, region in taken)
    if _intensities(taken, max(channels)) <= MOST_HELD:
        samples = tuple(sample.held() for sample in samples)
    survey = _read_survey(pairs, ranges, sources, task, config.data.patch_size) if _needs_survey(config) else ()
    return Dataset(samples, task, channels.pop(), ranges, warnings + empty, survey)


def split_dataset(dataset: Dataset, config: TrainingConfig) -> tuple[Split, tuple[str, ...]]:
    """Hold out what `config` asks for.

    Returns
    -------
    Split, warnings
        With too little annotation nothing is held out, and a warning says so.
    """
    everything, asked = Split(dataset.samples, ()), config.validation
    if asked.hold_out == "none":
        return everything, ()
    classes = dataset.task.strata
    sources = len({sample.source for sample in dataset.samples})
    split = None
    by_images = asked.hold_out == "images" or (asked.hold_out == "auto" and sources >= IMAGES_TO_HOLD_OUT)
    if by_images and sources > 1:
        rng = np.random.default_rng(config.seed)
        split = split_by_source(dataset.samples, asked.fraction, classes, rng)
    if split is None and asked.hold_out != "images":
        split = split_by_blocks(dataset.samples, asked.fraction, classes, GAP)
    if split is None:
        text = (
            "There is too little annotation to hold some of it out, so the figures shown are those of the annotation "
            "that was learnt from: annotate more places or images to see how good the model really is."
        )
        return everything, (text,)
    return split, ()


def _annotated(labels: ImageSource, config: TrainingConfig) -> list[Region]:
    """Return the squares in which something is annotated; all of them if every pixel counts."""
    if config.annotation != "scribbles":
        return [tile.inner for tile in scan_grid(labels)]
    return [tile.inner for tile in scan_grid(labels) if labels.read(tile.inner).any()]


def _needs_survey(config: TrainingConfig) -> bool:
    """Whether the share of each class is unknown: complete annotation tells it, strokes do not."""
    return config.annotation is Annotation.SCRIBBLES and config.data.prior == "images"


def _read_survey(
    pairs: Sequence[Pair],
    ranges: Sequence[IntensityRange],
    sources: Sequence[int],
    task: Task,
    edge: int,
) -> tuple[Sample, ...]:
    """Read about `SURVEYED` pieces of the length `edge` of all images together, from each by its size."""
    sizes = np.array([math.prod(labels.shape) for _, labels in pairs])
    counts = np.maximum(1, np.round(SURVEYED * sizes / sizes.sum())).astype(int)
    picked = np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), SURVEYED)).round().astype(int))
    pieces = []
    for index in picked:
        labels = pairs[index][1]
        for block in spread_blocks(labels.spec.sizes, edge, int(counts[index]), scattered=True):
            region = tuple(
                _whole_piece(side, labels.spec.sizes[axis], edge) if axis in "yx" else side
                for axis, side in block.items()
            )
            pieces.append(_sample(pairs[index], ranges[index], region, sources[index], task).held())
    return tuple(pieces)


def _whole_piece(side: slice, length: int, edge: int) -> slice:
    """Move a side at the far end of the image back, so that it is as long as the others."""
    start = max(0, min(side.start, length - edge))
    return slice(start, min(start + edge, length))


def _sources(pairs: Sequence[Pair]) -> list[int]:
    """Return the index of each pair's image, the same for an image that is annotated in several pairs."""
    images = [id(image) for image, _ in pairs]
    return [images.index(identity) for identity in images]


def _in_budget(places: list[tuple[int, Region]], channels: int) -> tuple[list[tuple[int, Region]], tuple[str, ...]]:
    """Return the places that a training looks at, with what is to be said if they are not all."""
    total = _intensities(places, channels)
    if total <= MOST_LEARNT:
        return places, ()
    count = max(1, int(len(places) * MOST_LEARNT / total))
    chosen = np.linspace(0, len(places) - 1, count).round().astype(int)
    text = f"The images are larger than a training looks through: {count} of {len(places)} squares of them are used."
    return [places[index] for index in chosen], (text,)


def _intensities(places: Sequence[tuple[int, Region]], channels: int) -> int:
    return channels * sum(math.prod(regions.size(region)) for _, region in places)


def _sample(pair: Pair, intensity: IntensityRange, region: Region, source: int, task: Task) -> Sample:
    """Return what is annotated in `region` of the labels; nothing is read yet."""
    image, labels = pair
    by_axis = dict(zip(labels.axes, region, strict=True))
    reordered = tuple(by_axis[axis] for axis in image.axes.replace("c", ""))
    return Sample(
        StoredPart(image, reordered, "cyx", intensity.apply),
        StoredPart(labels, region, "yx", task.target),
        source,
        (by_axis["y"].start, by_axis["x"].start),
    )
