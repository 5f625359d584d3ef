"""From what is chosen in the Train widget to the request that the worker gets."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels, Layer

from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import AnnotationError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.jobs import CancelToken
from napari_tessera.napari_plugin.jobs.inputs import numbers_in, write_input
from napari_tessera.napari_plugin.layers import LayerImage, full_resolution, layer_image
from napari_tessera.napari_plugin.session import Session
from napari_tessera.napari_plugin.training.rasterize import Mark, draw_marks, read_marks
from napari_tessera.pipeline.annotation import class_numbers
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
        expected = layer_image(self.image, self.axes).spec.without("c").shape
        labels = full_resolution(self.annotation)
        if tuple(labels.shape) == expected:
            return ""
        return (
            f"{self.annotation.name!r} has shape {tuple(labels.shape)} but {self.image.name!r} needs {expected}: "
            "press New annotation layer."
        )


@dataclass
class _Annotated:
    """An image and everything that annotates it, read in the GUI thread."""

    image: LayerImage
    labels: list[LayerImage] = field(default_factory=list)
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
    """

    def __init__(
        self,
        pairs: list[Pair],
        annotation: Annotation,
        classes: Mapping[int, tuple[str, str]],
        settings: Mapping[str, Any],
        out: Path,
        session: Session,
        *,
        resume: bool = False,
    ) -> None:
        self._annotation = annotation
        self._classes = dict(classes)
        self._settings = dict(settings)
        self._out = out
        self._session = session
        self._resume = resume
        self._scratch: Path | None = None
        self._annotated = _gather(pairs)

    def __call__(self, cancel: CancelToken) -> TrainRequest:
        """Write the inputs and return the request.

        Raises
        ------
        AnnotationError
            If there is nothing to learn from.
        JobCancelledError
            If `cancel` is set.
        """
        self._scratch = self._session.make_scratch()
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
        found: set[int] = set()
        labels: list[InputFile] = []
        # annotation first: it is small, and what is wrong with it is told before a large image is copied
        for index, entry in enumerate(self._annotated):
            drawn = _labels(entry)
            found |= numbers_in(drawn.array, cancel)
            labels.append(write_input(drawn, scratch / f"labels-{index}", cancel))
        config = self._config(found)
        images = [
            write_input(entry.image, scratch / f"image-{index}", cancel) for index, entry in enumerate(self._annotated)
        ]
        return TrainRequest(
            images=tuple(images), labels=tuple(labels), config=config, out=self._out, resume=self._resume
        )

    def _config(self, found: set[int]) -> TrainingConfig:
        if found and min(found) < 0:
            raise AnnotationError(f"The annotation holds the negative number {min(found)}: use 0 and above.")
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
            axes = entry.image.spec.without("c").axes
            entry.labels.append(layer_image(pair.annotation, axes))
        else:
            entry.marks.extend(read_marks(pair.annotation, pair.image, pair.axes, pair.number))
    return list(entries.values())


def _labels(entry: _Annotated) -> LayerImage:
    """Return one labels array for an image: the layer itself if it is alone, otherwise all drawn into one."""
    if len(entry.labels) == 1 and not entry.marks:
        return entry.labels[0]
    spec: ImageSpec = entry.image.spec.without("c")
    numbers = [mark.number for mark in entry.marks]
    dtypes = [np.min_scalar_type(max(numbers, default=0)), *(labels.array.dtype for labels in entry.labels)]
    array = np.zeros(spec.shape, np.result_type(*dtypes))
    for labels in entry.labels:
        pixels = np.asarray(labels.array)
        np.copyto(array, pixels, where=pixels != 0)
    draw_marks(entry.marks, array)
    return LayerImage(array, spec.with_dtype(array.dtype))
