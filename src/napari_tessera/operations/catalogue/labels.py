"""Operations on objects: count them, choose among them, fill, part and renumber them."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import ConfigDict

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.lengths import pixel_lengths
from napari_tessera.operations.base import Block, Components, Connected, Fitted, Global, Local, PlaneOrVolume, Survey
from napari_tessera.operations.labels.label_ids import replaced
from napari_tessera.operations.labels.neighbours import Connectivity, check_connectivity
from napari_tessera.operations.labels.on_labels import (
    Objects,
    OnLabels,
    Unit,
    check_unit,
    labels_of,
    objects_parameter,
    sizes_of,
    spread_to_objects,
    unit_parameter,
)
from napari_tessera.operations.labels.splitting import BYTES_PER_PIXEL, split
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.reductions.surveying import survey_ids
from napari_tessera.operations.registry import register


class Parts(PlaneOrVolume, OnLabels, Connected):
    """Base of operations that look at the connected parts of labels."""

    connectivity: Connectivity = 1

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse a connectivity that the frame is too flat for."""
        check_connectivity(self.connectivity, spec)

    def connections(self, spec: ImageSpec) -> int:  # noqa: ARG002
        """Return the connectivity chosen."""
        return self.connectivity

    def parts(self, block: Block) -> NDArray[Any]:
        """Return the labels: parts of different labels are not connected."""
        return labels_of(block)


@register
class ConnectedComponents(Parts):
    """Give every connected part of a mask, or of each label, a number of its own.

    Numbers are 1, 2, … in the order of the parts' first pixels. Neighbours hang together if they have the same value,
    as in scikit-image, so that an image of grey levels falls into as many parts as it has flat spots: divide it by a
    threshold first. Floats are refused.
    """

    title: ClassVar = "Connected components"
    also: ClassVar = ("label", "instances", "count", "blob", "count nuclei")

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return uint32, whatever the labels."""
        return np.uint32

    def decide(self, components: Components) -> NDArray[Any]:
        """Return the numbers of the components."""
        return np.arange(1, len(components) + 1, dtype=np.uint32)


class Choosing(Parts):
    """Base of operations that keep some objects as they are and remove the others."""

    objects: Objects = objects_parameter()

    def paint(self, block: Block, decided: NDArray[Any]) -> NDArray[Any]:
        """Return the labels of the objects kept."""
        return np.where(decided, block.image, block.image.dtype.type(0))


@register
class RemoveSmall(Choosing):
    """Remove objects that are too small."""

    title: ClassVar = "Remove small objects"
    also: ClassVar = ("area", "size", "filter", "debris")

    size: float = parameter(64, "Smallest size that stays.", ge=0, allow_inf_nan=False)
    unit: Unit = unit_parameter("Size")

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse also a size in a unit that only some axes have."""
        super().check_frame(spec)
        check_unit(self.unit, spec)

    def decide(self, components: Components) -> NDArray[Any]:
        """Keep what is not smaller."""
        return sizes_of(components, self.objects, self.unit) >= self.size


@register
class RemoveLarge(Choosing):
    """Remove objects that are too large."""

    title: ClassVar = "Remove large objects"
    also: ClassVar = ("area", "size", "filter")

    size: float = parameter(10_000, "Largest size that stays.", ge=0, allow_inf_nan=False)
    unit: Unit = unit_parameter("Size")

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse also a size in a unit that only some axes have."""
        super().check_frame(spec)
        check_unit(self.unit, spec)

    def decide(self, components: Components) -> NDArray[Any]:
        """Keep what is not larger."""
        return sizes_of(components, self.objects, self.unit) <= self.size


@register
class KeepLargest(Choosing):
    """Keep the largest object, or the largest few.

    Of equally large ones it is the one whose first pixel comes first.
    """

    title: ClassVar = "Keep the largest objects"

    count: int = parameter(1, "How many objects stay.", unit="objects", ge=1)

    def decide(self, components: Components) -> NDArray[Any]:
        """Keep the first of the components ordered by size."""
        sizes = sizes_of(components, self.objects, "pixels")
        names = components.values if self.objects == "labels" else np.arange(len(components))
        found, first = np.unique(names, return_index=True)
        order = np.lexsort((first, -sizes[first]))
        return np.isin(names, found[order[: self.count]])


@register
class RemoveBorderObjects(Choosing):
    """Remove objects that touch the border of the image, since part of them may be missing."""

    title: ClassVar = "Remove objects at the border"
    also: ClassVar = ("clear border", "edge")

    margin: int = parameter(0, "Objects as near to the border as this are removed too.", unit="pixels", ge=0)
    sides: Literal["all", "yx"] = parameter(
        "all", "All borders, or only those in the plane: thin volumes touch the first and last plane everywhere."
    )

    def marks(self, block: Block) -> NDArray[np.bool_] | None:
        """Return what lies in the margin."""
        marks = np.zeros(block.image.shape, bool)
        for axis, (name, piece) in enumerate(zip(block.spec.axes, block.region, strict=True)):
            if name == "z" and self.sides == "yx":
                continue
            length = block.spec.sizes[name]
            at = np.arange(piece.start, piece.stop)
            near = (at <= self.margin) | (at >= length - 1 - self.margin)
            marks |= near.reshape([-1 if k == axis else 1 for k in range(marks.ndim)])
        return marks

    def decide(self, components: Components) -> NDArray[Any]:
        """Keep what has no pixel in the margin."""
        return np.asarray(~spread_to_objects(components.marked, components, self.objects))


@register
class FillHoles(Parts):
    """Fill holes in objects: background that an object encloses.

    A hole takes the label around it; one between several objects stays, and so does what touches the border of the
    image. In a volume, a hole must be closed above and below too.
    """

    title: ClassVar = "Fill holes"
    also: ClassVar = ("flood fill",)

    max_size: int | None = parameter(None, "Largest hole to fill; any if left out.", unit="pixels", ge=1)

    def parts(self, block: Block) -> NDArray[Any]:
        """Return the background."""
        return np.asarray(labels_of(block) == 0)

    def surroundings(self, block: Block) -> NDArray[Any] | None:
        """Return the labels."""
        return block.image

    def decide(self, components: Components) -> NDArray[Any]:
        """Return the label that fills each piece of background, 0 for none."""
        low, high = components.around.T
        stays = components.on_border | (low != high)
        if self.max_size is not None:
            stays |= components.sizes > self.max_size
        return np.where(stays, 0, low)

    def paint(self, block: Block, decided: NDArray[Any]) -> NDArray[Any]:
        """Return the labels with holes filled."""
        return np.where(block.image == 0, decided.astype(block.image.dtype), block.image)


@register
class SplitTouching(PlaneOrVolume, OnLabels, Global):
    """Split objects that touch where they are narrow: a watershed of the distance from the outline.

    Objects with different labels stay apart; in a mask, parts that touch at a corner are one object at first, as in
    connected components of the highest connectivity. Voxels that are longer along z are taken into account. Results are
    numbered 1, 2, … in the order of first pixels.
    """

    title: ClassVar = "Split touching objects"
    also: ClassVar = ("watershed", "separate", "nuclei", "touching nuclei")

    depth: float = parameter(
        1.0,
        "How much wider (in radius) both halves must be than the neck between them; larger splits less.",
        unit="pixels",
        ge=0,
        le=1000,
    )
    smoothing: float = parameter(
        1.0, "Evens out ragged outlines first; larger splits less.", unit="pixels", ge=0, le=100
    )

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return uint32, whatever the labels."""
        return np.uint32

    def memory(self, spec: ImageSpec) -> int:
        """Return the size of labels, distances, their order and the result."""
        return int(np.prod(spec.shape)) * (spec.dtype.itemsize + BYTES_PER_PIXEL)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse pixels of which nobody knows how long they are along one axis beside another."""
        pixel_lengths(spec)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the parts."""
        spacing = pixel_lengths(block.spec)
        finest = min(spacing)
        relative = [step / finest for step in spacing]
        return split(labels_of(block), self.depth, self.smoothing, relative, block.check)


@register
class Relabel(OnLabels, Fitted):
    """Number objects 1, 2, 3, … without gaps, in the order of their labels."""

    title: ClassVar = "Renumber labels"
    also: ClassVar = ("relabel", "sequential")

    def fit(self, survey: Survey) -> Local:
        """Find the labels that occur."""
        ids, _ = survey_ids(survey)
        return Renumbered(ids=ids, numbers=np.arange(1, ids.size + 1).astype(survey.spec.dtype))


class Renumbered(OnLabels, Local):
    """Give labels the numbers found for them."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    title: ClassVar = "Renumber labels"

    ids: NDArray[Any] = parameter(..., "Labels that occur, ascending.")
    numbers: NDArray[Any] = parameter(..., "The number of each.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the labels renumbered."""
        return replaced(labels_of(block), self.ids, self.numbers)


@register
class BinaryMask(OnLabels, Local):
    """Turn labels into a mask: 1 where there is an object, 0 in the background."""

    title: ClassVar = "Labels to mask"
    also: ClassVar = ("binary", "binarize")

    label: int | None = parameter(None, "The one label to keep; all but 0 if left out.", ge=0)

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return uint8, whatever the labels."""
        return np.uint8

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the mask."""
        labels = labels_of(block)
        return np.asarray(labels != 0 if self.label is None else labels == self.label).view(np.uint8)


@register
class ReplaceLabel(OnLabels, Local):
    """Give one label another number; the number of another object or class joins the two, 0 removes it."""

    title: ClassVar = "Replace or join a label"
    also: ClassVar = ("merge", "delete")

    label: int = parameter(1, "The label to replace.", ge=0)
    number: int = parameter(0, "What it becomes.", ge=0)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse a number that the dtype of the labels cannot hold."""
        highest = int(np.iinfo(spec.dtype).max)
        if self.number > highest:
            raise InvalidInputError(f"Labels of {spec.dtype} end at {highest}: choose a number up to that.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the labels with one replaced."""
        labels = labels_of(block)
        return np.where(labels == self.label, labels.dtype.type(self.number), labels)
