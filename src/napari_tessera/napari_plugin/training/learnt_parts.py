"""What of the images of a training is learnt from, and the preview of it that lies over what is in view."""

from collections.abc import Mapping, Sequence

from napari.components import ViewerModel
from napari.layers import Layer

from napari_tessera.napari_plugin.layers.images import displaced, placement
from napari_tessera.napari_plugin.layers.view_tracker import Spans, visible_region
from napari_tessera.napari_plugin.training.preview_layer import PreviewLayer

Learnt = tuple[tuple[int, ...], tuple[int, ...]]
"""Where the part of an image that is learnt from begins, and its shape."""


def part_of(region: Spans | None, learnt: Learnt) -> Spans | None:
    """Return what of `region` is learnt from, counted from where that begins; None if nothing is."""
    if region is None:
        return None
    sides = zip(region, *learnt, strict=True)
    part = tuple((max(first - start, 0), min(stop - start, n)) for (first, stop), start, n in sides)
    return part if all(first < stop for first, stop in part) else None


def preview_of(
    viewer: ViewerModel,
    images: Sequence[tuple[Layer, str]],
    learnt: Sequence[Learnt],
    classes: Mapping[int, tuple[str, str]],
    annotations: Sequence[Layer],
    *,
    dismissed: bool,
) -> PreviewLayer:
    """Return the layer of the previews, open over what is in view.

    Parameters
    ----------
    viewer
        Gets the layer.
    images
        Layers with their axes.
    learnt
        For each image, what of it is learnt from.
    classes
        Name and colour (#rrggbb) by number; the lowest is background.
    annotations
        Layers that stay above the preview.
    dismissed
        Whether the person has deleted the layer and does not want it.
    """
    colors = {number: color for number, (_, color) in classes.items() if number != min(classes)}
    places = [displaced(placement(*image), start) for image, (start, _) in zip(images, learnt, strict=True)]
    preview = PreviewLayer(viewer, [layer for layer, _ in images], places, colors, annotations, dismissed=dismissed)
    views = [part_of(visible_region(viewer, *image), part) for image, part in zip(images, learnt, strict=True)]
    shown = next(((index, region) for index, region in enumerate(views) if region is not None), None)
    if shown is not None:
        preview.open(*shown)
    return preview
