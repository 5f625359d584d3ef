"""From what is chosen in the Train widget to the request that the worker gets."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels, Layer

from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import AnnotationError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.jobs import CancelToken
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.home import Home
from napari_tessera.napari_plugin.jobs.inputs import count_numbers, write_input
from napari_tessera.napari_plugin.layers.images import LayerImage, layer_image
from napari_tessera.napari_plugin.layers.notes import is_annotation
from napari_tessera.napari_plugin.training.fitting import Fit, fit, take_over
from napari_tessera.napari_plugin.training.rasterize import Mark, draw_marks, read_marks
from napari_tessera.pipeline.learning.annotation import class_numbers
from napari_tessera.pipeline.learning.painted import Doubt, find_doubt, listed
from napari_tessera.pipeline.requests import InputFile, TrainRequest


@dataclass(frozen=True)
class Pair:
    """One image layer and one layer that annotates it.

    Attributes
    ----------
    number
        The class of points and shapes that have none of their own.
    """

    image: Layer
    axes: str
    annotation: Layer
    number: int = 2

    @property
    def problem(self) -> str:
        """What keeps the two from being a pair, in a sentence; empty if nothing does."""
        if not isinstance(self.annotation, Labels):
            return ""
        found = fit(self.annotation, self.image, self.axes)
        return found if isinstance(found, str) else ""

    @property
    def remark(self) -> str:
        """What is done so that the two fit, in a sentence; empty if nothing is."""
        found = fit(self.annotation, self.image, self.axes) if isinstance(self.annotation, Labels) else ""
        if isinstance(found, str) or found.exact:
            return ""
        size = "each pixel of the image takes the nearest of its pixels" if found.resampled else ""
        part = "" if found.whole else f"nothing is learnt from the part of {self.image.name!r} beside it"
        told = "; ".join(filter(None, (size, part)))
        return f"{self.annotation.name!r} is learnt where it is seen: {told}." if told else ""


@dataclass
class _Annotated:
    """An image and everything that annotates it, read in the GUI thread."""

    image: LayerImage
    labels: list[tuple[LayerImage, Fit]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


class TrainingInputs:
    """Called in a thread, writes layers to scratch files and returns the request.

    Parameters
    ----------
    pairs
        Rows with the same image layer annotate it together, later rows over earlier ones.
    classes
        Name and colour by number; those that are not painted are left out.
    settings
        Values of `TrainingConfig` by dotted name.
    sure
        Whether the person knows what is painted: nothing is doubted then.

    Attributes
    ----------
    starts
        Per image, at which pixel of the layer's labels what is learnt from begins.
    doubt
        Why nothing was begun, if the annotation looks like something else than was meant.
    """

    def __init__(
        self,
        pairs: list[Pair],
        annotation: Annotation,
        classes: Mapping[int, tuple[str, str]],
        settings: Mapping[str, Any],
        out: Path,
        home: Home,
        *,
        resume: bool = False,
        sure: bool = False,
    ) -> None:
        self._sure = sure
        self._begun_here = all(is_annotation(pair.annotation) for pair in pairs)
        self.doubt: Doubt | None = None
        self._annotation = annotation
        self._classes = dict(classes)
        self._settings = dict(settings)
        self._out = out
        self._home = home
        self._resume = resume
        self._scratch: Path | None = None
        self._annotated = _gather(pairs)
        regions = [_learnt_region(entry, annotation) for entry in self._annotated]
        self._regions = regions
        self.starts = [tuple(part.start for part in region) for region in regions]
        self.shapes = [tuple(part.stop - part.start for part in region) for region in regions]

    def __call__(self, cancel: CancelToken) -> TrainRequest:
        """Write the inputs and return the request.

        Raises
        ------
        AnnotationError
            If there is nothing to learn from.
        JobCancelledError
            If `cancel` is set.
        """
        self._scratch = self._home.make_scratch()
        try:
            return self._write(self._scratch, cancel)
        except BaseException:
            self.clean()
            raise

    def clean(self) -> None:
        """Remove the scratch files."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _write(self, scratch: Path, cancel: CancelToken) -> TrainRequest:
        found: dict[int, int] = {}
        labels: list[InputFile] = []
        # annotation first: it is small, and what is wrong with it is told before a large image is copied
        for index, (entry, region) in enumerate(zip(self._annotated, self._regions, strict=True)):
            drawn = _cut(_labels(entry, cancel), region)
            for number, count in count_numbers(drawn.array, cancel).items():
                found[number] = found.get(number, 0) + count
            labels.append(write_input(drawn, scratch / f"labels-{index}", cancel))
        config = self._config(found)
        images = [
            write_input(_cut(entry.image, region), scratch / f"image-{index}", cancel)
            for index, (entry, region) in enumerate(zip(self._annotated, self._regions, strict=True))
        ]
        return TrainRequest(
            images=tuple(images), labels=tuple(labels), config=config, out=self._out, resume=self._resume
        )

    def _config(self, found: Mapping[int, int]) -> TrainingConfig:
        if found and min(found) < 0:
            raise AnnotationError(f"The annotation holds the negative number {min(found)}: use 0 and above.")
        self.doubt = None
        if not self._sure:
            self.doubt = find_doubt(found, self._annotation, self._classes, begun_here=self._begun_here)
        if self.doubt is not None:
            raise AnnotationError(self.doubt.sentence)
        numbers = class_numbers(sorted(found), self._annotation)
        named = {number: entry for number, entry in self._classes.items() if number in numbers}
        return TrainingConfig(annotation=self._annotation).with_overrides(
            {
                **self._settings,
                "class_names": {number: name for number, (name, _) in named.items()},
                "class_colors": {number: color for number, (_, color) in named.items()},
            }
        )


def _gather(pairs: list[Pair]) -> list[_Annotated]:
    """Bring together the rows of each image, in the order in which images first come."""
    entries: dict[Layer, _Annotated] = {}
    for pair in pairs:
        entry = entries.setdefault(pair.image, _Annotated(layer_image(pair.image, pair.axes)))
        if isinstance(pair.annotation, Labels):
            found = fit(pair.annotation, pair.image, pair.axes)
            if isinstance(found, str):
                raise AnnotationError(found)
            entry.labels.append((layer_image(pair.annotation), found))
        else:
            entry.marks.extend(read_marks(pair.annotation, pair.image, pair.axes, pair.number))
    return list(entries.values())


def _learnt_region(entry: _Annotated, annotation: Annotation) -> Region:
    """Return the part of an image that is learnt from: where every pixel counts, that under the annotation alone.

    Raises
    ------
    AnnotationError
        If layers in which every pixel counts cover different parts: what is background is not known there.
    """
    whole = entry.image.spec.without("c").full_region
    if annotation is Annotation.SCRIBBLES or not entry.labels:  # the rest is unpainted, and not learnt from anyway
        return whole
    regions = [found.region for _, found in entry.labels]
    if any(region != regions[0] for region in regions):
        raise AnnotationError(
            f"The layers that annotate {entry.image.spec.name!r} lie on different parts of it, where every pixel of "
            "each counts: choose strokes, or put them into one layer."
        )
    return regions[0]


def _cut(image: LayerImage, region: Region) -> LayerImage:
    """Return `region`, a part of the image without its channels, as an image of its own."""
    spec = image.spec
    if region == spec.without("c").full_region:
        return image
    parts = dict(zip(spec.without("c").axes, region, strict=True))
    index = tuple(parts.get(axis, slice(None)) for axis in spec.axes)
    array = image.array
    if not isinstance(array, np.ndarray) and not hasattr(array, "dask"):
        import dask.array

        array = dask.array.from_array(array)  # of a zarr array a slice would be read at once
    cut = array[index]
    starts = [part.start or 0 for part in index]
    translate = tuple(at + n * size for at, n, size in zip(spec.translate, starts, spec.scale, strict=True))
    return LayerImage(cut, replace(spec, shape=tuple(cut.shape), translate=translate))


def _labels(entry: _Annotated, cancel: CancelToken) -> LayerImage:
    """Return one labels array on the pixels of an image: the layer itself if it is alone, otherwise all in one."""
    spec: ImageSpec = entry.image.spec.without("c")
    arrays = [_on_pixels(labels, found, cancel) for labels, found in entry.labels]
    if len(arrays) == 1 and not entry.marks:
        return LayerImage(arrays[0], spec.with_dtype(arrays[0].dtype))
    numbers = [mark.number for mark in entry.marks]
    dtypes = [np.min_scalar_type(max(numbers, default=0)), *(array.dtype for array in arrays)]
    array = np.zeros(spec.shape, np.result_type(*dtypes))
    for drawn in arrays:
        pixels = np.asarray(drawn)
        np.copyto(array, pixels, where=pixels != 0)
    draw_marks(entry.marks, array)
    return LayerImage(array, spec.with_dtype(array.dtype))


def _on_pixels(labels: LayerImage, found: Fit, cancel: CancelToken) -> Any:
    """Return labels on the pixels of their image.

    Raises
    ------
    AnnotationError
        If a number would be lost, because it is painted between the pixels of the image.
    """
    array = take_over(labels.array, found, cancel)
    if found.resampled and any(abs(size) < 1 for size in found.size):
        lost = count_numbers(labels.array, cancel).keys() - count_numbers(array, cancel).keys() - {0}
        if lost and found.whole:
            raise AnnotationError(
                f"{listed(lost)} in {labels.spec.name!r} is painted so thinly that no pixel of the image lies under "
                "it: paint broader strokes."
            )
    return array
