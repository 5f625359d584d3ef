"""Results of operations as layers: where they lie, and how they look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.napari_plugin.layers.images import class_colormap
from napari_tessera.napari_plugin.layers.view_tracker import camera_of
from napari_tessera.operations.base import Operation
from napari_tessera.pipeline.learning.annotation import CLASS_COLORS

MOST_CLASSES = 10
"""Results of thresholds with up to this number of classes have colours of their own."""
_SAMPLED = 2**15

LOST = 20
"""So many times smaller than all layers together, a layer is a spot on the screen."""


@dataclass(frozen=True)
class Place:
    """How the array of a layer is put into the world; `keywords` are those of napari's layers."""

    keywords: Mapping[str, Any]

    def plane(self, count: int = 2) -> "Place":
        """Return the place of the last `count` dimensions alone."""
        keywords: dict[str, Any] = {}
        for name, value in self.keywords.items():
            if name in ("rotate", "shear"):
                keywords[name] = np.asarray(value)[-count:, -count:]
            elif name == "affine":
                keywords[name] = np.asarray(value)[-count - 1 :, -count - 1 :]
            else:
                keywords[name] = list(value)[-count:]
        return Place(keywords)


def place_in(
    layer: Layer, axes: str, out: str, start: Mapping[str, float] = {}, step: Mapping[str, float] = {}
) -> Place:
    """Return where an array made from `layer` lies.

    Parameters
    ----------
    layer, axes
        The image and what its dimensions are.
    out
        The axes of the array that the layer has too, without the colours of RGB.
    start, step
        By axis, which pixel of `layer` the first of the array is, 0 by default, and how many it goes on by, 1 by
        default; fractions too.
    """
    kept = [axes.index(axis) for axis in out]
    rows = [*kept, layer.ndim]
    rotate = np.asarray(layer.rotate, float)
    shear = np.asarray(layer.shear, float)
    matrix = np.eye(layer.ndim)
    if shear.ndim == 2:
        matrix = shear
    elif shear.size:
        matrix[np.triu_indices(layer.ndim, 1)] = shear
    first = np.array([start.get(axis, 0.0) for axis in axes[: layer.ndim]])
    translate = np.asarray(layer.translate) + rotate @ matrix @ np.diag(layer.scale) @ first
    labels = layer.axis_labels
    named = {"axis_labels": [labels[index] for index in kept]} if all(name in "tczyx" for name in labels) else {}
    return Place(
        {
            "scale": [float(layer.scale[index]) * step.get(axes[index], 1.0) for index in kept],
            "translate": [float(translate[index]) for index in kept],
            "units": [str(layer.units[index]) for index in kept],
            "rotate": rotate[np.ix_(kept, kept)],
            "shear": matrix[np.ix_(kept, kept)],
            "affine": np.asarray(layer.affine.affine_matrix)[np.ix_(rows, rows)],
            **named,
        }
    )


def place_result(layer: Layer, source: ImageSpec, result: ImageSpec, *, rgb: bool) -> Place:
    """Return where a result of an operation on `layer`, which is the image `source`, lies.

    A result in the units of the image is turned and sheared as the image is. One in other units, a spectrum, has the
    coordinates that its specification says.
    """
    out = result.axes.replace("c", "") if rgb else result.axes
    own = source.axes[: layer.ndim]
    unit = {axis: source.units[source.axes.index(axis)] for axis in source.axes}
    here = [result.axes.index(axis) for axis in out]
    if any(axis not in own or result.units[at] != unit[axis] for axis, at in zip(out, here, strict=True)):
        return Place(
            {
                "scale": [result.scale[at] for at in here],
                "translate": [result.translate[at] for at in here],
                "units": [result.units[at] or "pixel" for at in here],
                "axis_labels": list(out),
            }
        )
    start, step = {}, {}
    for axis, at in zip(out, here, strict=True):
        theirs = source.axes.index(axis)
        start[axis] = (result.translate[at] - source.translate[theirs]) / source.scale[theirs]
        step[axis] = result.scale[at] / source.scale[theirs]
    return place_in(layer, source.axes, out, start, step)


def place_points(layer: Layer, source: ImageSpec, operation: Operation, columns: int) -> Place:
    """Return where points lie that `operation` found in `layer`, with so many columns.

    Frequencies lie where they do in the spectrum; positions where the pixels are.
    """
    frame = operation.frame_axes(source.axes)
    axes = [*(axis for axis in source.axes if axis not in frame), *(axis for axis in frame if axis in "zyx")]
    axes = axes[len(axes) - columns :]
    spec = operation.output_spec(source.ordered(frame))
    if spec.units == source.ordered(frame).units and spec.scale != (1.0,) * len(frame):
        return place_in(layer, source.axes, "".join(axes))
    found = [spec if axis in frame else source for axis in axes]
    at = [one.axes.index(axis) for one, axis in zip(found, axes, strict=True)]
    return Place(
        {
            "scale": [one.scale[index] for one, index in zip(found, at, strict=True)],
            "translate": [one.translate[index] for one, index in zip(found, at, strict=True)],
            "units": [one.units[index] or "pixel" for one, index in zip(found, at, strict=True)],
            "axis_labels": axes,
        }
    )


def image_look(source: Layer, pixels: NDArray[Any], *, rgb: bool) -> dict[str, Any]:
    """Return colours and contrast of an image made from the layer `source`.

    It looks as the source does where its intensities are of the same range, and is stretched where they are not.
    """
    if rgb:
        return {"rgb": True}
    look: dict[str, Any] = {"contrast_limits": contrast(source, pixels)}
    if isinstance(source, Image) and not source.rgb:
        look |= {"colormap": source.colormap, "gamma": source.gamma, "interpolation2d": source.interpolation2d}
    return look


def contrast(source: Layer, pixels: NDArray[Any]) -> tuple[float, float]:
    """Return contrast limits for `pixels`: those of `source` if they suit, otherwise nearly their own range."""
    step = max(1, int(np.sqrt(pixels.size / _SAMPLED)))
    sample = np.asarray(pixels[..., ::step, ::step], float)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    low, middle, high = (float(value) for value in np.percentile(sample, (0.2, 50, 99.8)))
    if isinstance(source, Image) and not source.rgb:
        first, last = (float(value) for value in source.contrast_limits)
        if first <= middle <= last and 0.2 * (last - first) <= high - low <= 1.5 * (last - first):
            return first, last
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    return (low, high) if high > low else (low, low + 1.0)


def labels_look(source: Layer, operation: Operation, dtype: Any) -> dict[str, Any]:
    """Return colours of labels made from the layer `source`: one per class for thresholds, napari's for objects.

    Labels made from labels keep their colours, unless those are of few classes and the result has objects.
    """
    if isinstance(source, Labels) and (
        isinstance(source.colormap, CyclicLabelColormap) or np.dtype(dtype) == source.dtype
    ):
        return {"colormap": source.colormap}
    if operation.menu == "segment" and np.dtype(dtype) == np.uint8:
        return {"colormap": class_colormap(class_colors(MOST_CLASSES))}
    return {}


def class_colors(count: int) -> dict[int, str]:
    """Return a colour for each of `count` classes from 1 on."""
    return {index + 1: CLASS_COLORS[index % len(CLASS_COLORS)] for index in range(count)}


def result_layer(
    data: Any, operation: Operation, source: Layer, place: Place, name: str, metadata: Mapping[str, Any], *, rgb: bool
) -> Layer:
    """Return the result of `operation` as a layer.

    Parameters
    ----------
    data
        An array, or the levels of a pyramid, largest first; of points their positions.
    """
    common = {"name": name, "metadata": dict(metadata), **place.keywords}
    if operation.output == "points":
        return Points(data, size=_point_size(data), face_color="transparent", border_color="#ffb000", **common)
    last = data[-1] if isinstance(data, Sequence) else data
    many = isinstance(data, Sequence)
    if operation.output == "labels" or (isinstance(source, Labels) and np.dtype(last.dtype).kind in "iu"):
        return Labels(data, multiscale=many, **labels_look(source, operation, last.dtype), **common)
    look = image_look(source, np.asarray(last[(-1,) * (last.ndim - 2)] if last.ndim > 2 and not rgb else last), rgb=rgb)
    return Image(data, multiscale=many, **look, **common)


def _point_size(points: NDArray[Any]) -> float:
    if len(points) == 0:
        return 1.0
    extent = float(np.ptp(points, axis=0).max())
    return extent / 40 or 1.0


def bring_into_view(viewer: ViewerModel, layer: Layer) -> None:
    """Show `layer` alone and fill the view with it if it is lost among the others.

    A spectrum is: its coordinates are frequencies, so that it covers a few units where an image covers hundreds.
    """
    shown = list(viewer.dims.displayed)
    own = np.ptp(np.asarray(layer.extent.world)[:, -len(shown) :], axis=0).max()
    all_ = np.ptp(np.asarray(viewer.layers.extent.world)[:, shown], axis=0).max()
    if not isinstance(layer, Image) or own <= 0 or own * LOST > all_:
        return
    for other in viewer.layers:
        other.visible = other is layer
    viewer.reset_view()
    camera = camera_of(viewer)
    camera.center = tuple(np.asarray(layer.extent.world)[:, -len(shown) :].mean(axis=0))
    camera.zoom *= all_ / own
