"""The further inputs of an operation: layers to choose by what they are to be, and their data as operations take it."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QWidget

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource
from napari_tessera.io.arrays import ArraySource
from napari_tessera.napari_plugin.forms.controls import words
from napari_tessera.napari_plugin.forms.layer_picker import LayerPicker
from napari_tessera.napari_plugin.layers.images import axes_like, full_resolution, layer_image
from napari_tessera.napari_plugin.layers.looking import Look, thinned_source
from napari_tessera.napari_plugin.recipes.recording_layers import remembered
from napari_tessera.operations.base import Input, Operation
from napari_tessera.operations.registry import all_operations

KINDS: Mapping[str, tuple[type[Layer], ...]] = {
    "image": (Image,),
    "labels": (Labels,),
    "kernel": (Image,),
    "points": (Points,),
    "seeds": (Points, Labels),
    "frequencies": (Points,),
}
"""Which layers can be what."""

_NONE_YET = "Choose a layer"

LONGEST_KERNEL = 1024
"""Pixels along an axis of what can be a kernel."""

_EMPTY = {
    "image": "Open an image first",
    "labels": "Make labels first",
    "kernel": "Open a small image first",
    "points": "Add a Points layer first",
    "seeds": "Add Points or Labels first",
    "frequencies": "Put points on a spectrum first",
}
_HINTS = {
    "kernel": "Choose a layer with a small image.",
    "points": "Choose a Points layer on the image.",
    "seeds": "Choose a Points layer on the image, or a Labels layer of its size.",
    "frequencies": "Choose a Points layer that was placed on a spectrum of the image.",
}


_HOW_TO_ADD = {
    "frequencies": "press + in its controls and click on the bright spikes of the spectrum.",
    "points": "press + in its controls and click on the image.",
}


def in_spectrum(layer: Layer) -> bool:
    """Return whether the points of `layer` are known to be frequencies: found as such, or in units of that."""
    if any(str(unit).startswith("1 /") for unit in layer.units):
        return True
    recipe = remembered(layer).recipe if isinstance(layer, Points) else None
    if recipe is None or len(recipe.outputs) != 1:
        return False
    (output,) = recipe.outputs.values()
    made_by = {step.id: all_operations().get(step.operation) for step in recipe.steps}.get(output)
    return made_by is not None and made_by.output == "points" and made_by.in_spectrum


def _suits(kind: str, layer: Layer) -> bool:
    """Return whether `layer` may be an input of a kind: frequencies are no places in an image."""
    return kind not in ("points", "seeds") or not (isinstance(layer, Points) and in_spectrum(layer))


@dataclass(frozen=True)
class Given:
    """Further inputs, ready for an operation.

    Attributes
    ----------
    layers
        By name, where each comes from.
    sources
        Images and labels of the size of the image.
    arrays
        Kernels, and positions (N, columns).
    points
        Which of `arrays` are positions in pixels of the image.
    """

    layers: Mapping[str, Layer] = field(default_factory=dict)
    sources: Mapping[str, ImageSource] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    points: frozenset[str] = frozenset()


class InputRow(QWidget):
    """A layer to choose for one input; with a checkbox if it can be left out."""

    changed = Signal()

    def __init__(self, viewer: ViewerModel, declared: Input, *others: Layer) -> None:
        super().__init__()
        self.declared = declared
        kinds = KINDS[declared.kind]
        self.picker = LayerPicker(
            viewer,
            kinds,
            _EMPTY[declared.kind],
            accepts=lambda layer: _suits(declared.kind, layer),
            none=_NONE_YET if Image in kinds else "",
            follow=Points in kinds,  # one starts new points for it
        )
        self.picker.setToolTip(f"{declared.help} {_HINTS.get(declared.kind, '')}".strip())
        self.picker.layer_changed.connect(self.changed)
        self.box = QCheckBox()
        self.box.setToolTip(f"Use one: {declared.help}")
        self.box.setVisible(declared.optional)
        self.box.setChecked(not declared.optional)
        self.picker.setEnabled(not declared.optional)
        self.box.toggled.connect(self.picker.setEnabled)
        self.box.toggled.connect(self.changed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.box)
        layout.addWidget(self.picker, 1)
        if Image in kinds:  # rarely is an image combined with itself: that must be asked for
            self.picker.layer = next((layer for layer in self.picker.layers if layer not in others), None)
        if declared.kind == "frequencies":
            self.picker.layer = next(filter(in_spectrum, self.picker.layers), self.picker.layer)

    @property
    def layer(self) -> Layer | None:
        """The chosen layer; None if there is none or none is wanted."""
        return self.picker.layer if self.box.isChecked() else None


class OperationInputs(QWidget):
    """The further inputs of `operation`.

    Signals
    -------
    changed()
        Another layer is chosen.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, operation: type[Operation], first: Layer | None) -> None:
        super().__init__()
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.rows: dict[str, InputRow] = {}
        for declared in operation.inputs[1:]:
            row = InputRow(viewer, declared, *([first] if first is not None else []))
            row.changed.connect(self.changed)
            same = declared.name in operation.model_fields  # as a parameter, which has a row of its own
            layout.addRow(f"{words(declared.name)} (layer)" if same else words(declared.name), row)
            self.rows[declared.name] = row
        self.setVisible(bool(self.rows))

    @property
    def why_not(self) -> str:
        """What is lacking; empty if nothing is."""
        for row in self.rows.values():
            if row.layer is None and not row.declared.optional:
                remedy = f"{_NONE_YET} here, or open one." if row.picker.layers else f"{_EMPTY[row.declared.kind]}."
                return f"This needs {words(row.declared.name).lower()}: {row.declared.help} {remedy}"
        return ""

    def layers(self) -> dict[str, Layer]:
        """Return the chosen layers by name."""
        return {name: row.layer for name, row in self.rows.items() if row.layer is not None}

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer; to be called before the widget goes."""
        for row in self.rows.values():
            row.picker.disconnect_viewer()


def gather(layers: Mapping[str, Layer], operation: Operation, image: Layer, axes: str, look: Look | None) -> Given:
    """Return the data of further inputs.

    Parameters
    ----------
    layers
        By the name of the input.
    operation, image, axes
        What they are for.
    look
        At its resolution images are given; None for full resolution.

    Raises
    ------
    InvalidInputError
        If points have other dimensions than the image, if there are none, or seeds lie outside; if a kernel is large.
    """
    kinds = {declared.name: declared.kind for declared in operation.inputs}
    sources: dict[str, ImageSource] = {}
    arrays: dict[str, NDArray[Any]] = {}
    points = set()
    for name, layer in layers.items():
        if isinstance(layer, Points) and len(layer.data) == 0:
            how = _HOW_TO_ADD.get(kinds[name], _HOW_TO_ADD["points"])
            raise InvalidInputError(f"The Points layer {layer.name!r} has no points: {how}")
        if kinds[name] == "kernel":
            arrays[name] = _kernel(layer)
        elif kinds[name] == "frequencies":
            arrays[name] = frequencies(layer, image, axes, operation)
        elif isinstance(layer, Points):
            arrays[name] = pixel_positions(layer, image, axes, operation)
            points.add(name)
            if kinds[name] == "seeds":
                _check_inside(arrays[name], layer, image, axes, operation)
        else:
            sources[name] = _source(layer, image, axes, look)
    return Given(dict(layers), sources, arrays, frozenset(points))


def data_key(given: Given, versions: Mapping[Hashable, int]) -> Hashable:
    """Return what tells whether the data of further inputs are the same; `versions` counts changes by layer."""
    layers = {name: layer.unique_id for name, layer in given.layers.items()}
    return tuple((name, layer, versions.get(layer, 0)) for name, layer in layers.items())


def _kernel(layer: Layer) -> NDArray[Any]:
    """Return the pixels of a kernel; a large image is refused before it is read, for this is done in the GUI thread."""
    array = full_resolution(layer)
    if max(array.shape, default=0) > LONGEST_KERNEL or math.prod(array.shape) > LONGEST_KERNEL**2:
        raise InvalidInputError(
            f"{layer.name!r} is too large for a kernel ({' x '.join(map(str, array.shape))} pixels): choose a small "
            f"image, of up to {LONGEST_KERNEL} pixels along each axis and {LONGEST_KERNEL**2} in all."
        )
    return np.asarray(array)


def _looped_and_spatial(operation: Operation, axes: str) -> tuple[str, str]:
    """Return which axes are gone through one by one, and those along which a point of one frame lies."""
    frame = operation.frame_axes(axes)
    return "".join(axis for axis in axes if axis not in frame), "".join(axis for axis in frame if axis in "zyx")


def _check_inside(positions: NDArray[Any], layer: Layer, image: Layer, axes: str, operation: Operation) -> None:
    looped, spatial = _looped_and_spatial(operation, axes)
    names = (looped + spatial)[-positions.shape[1] :]
    sizes = dict(zip(axes, full_resolution(image).shape, strict=True))
    outside = (np.rint(positions) < 0) | (np.rint(positions) >= [sizes[axis] for axis in names])
    if outside.any():
        index = int(outside.any(axis=1).argmax())
        where = ", ".join(f"{axis} = {value:.4g}" for axis, value in zip(names, positions[index], strict=True))
        raise InvalidInputError(
            f"Point {index} of {layer.name!r} lies outside the image ({where} in its pixels): move it or delete it."
        )


def _source(layer: Layer, image: Layer, axes: str, look: Look | None) -> ImageSource:
    own = axes_like(layer, image, axes)
    if look is None:
        found = layer_image(layer, own)
        return ArraySource(found.array, found.spec)
    factor = look.spec.by_axis(look.factors)
    return thinned_source(layer, own, tuple(factor.get(axis, 1.0) for axis in own[: layer.ndim]))


def world_positions(layer: Layer) -> NDArray[np.float64]:
    """Return where the points of `layer` lie in the world, (N, dimensions of the layer)."""
    probes = np.vstack([np.zeros(layer.ndim), np.eye(layer.ndim)])
    moved = np.array([layer.data_to_world(tuple(probe)) for probe in probes], float)
    return np.asarray(layer.data, float).reshape(-1, layer.ndim) @ (moved[1:] - moved[0]) + moved[0]


def frequencies(layer: Layer, image: Layer, axes: str, operation: Operation) -> NDArray[np.float64]:
    """Return the points of `layer`, which lie on a spectrum, in cycles per unit: (N, spatial axes).

    Of a layer with all dimensions of the image, the columns of those that are gone through one by one stand before, in
    pixels: its points belong to one time point or plane each.

    Raises
    ------
    InvalidInputError
        If the layer has fewer dimensions than one frame of the image.
    """
    looped, spatial = _looped_and_spatial(operation, axes)
    own = axes[: image.ndim]
    world = world_positions(layer)
    labels = "".join(str(label) for label in layer.axis_labels)
    names = labels if set(labels) == set(own) and len(labels) == layer.ndim else own[-layer.ndim :]
    if layer.ndim < len(spatial):
        raise InvalidInputError(_too_flat(layer, image))
    if layer.ndim != image.ndim or any(axis not in names for axis in looped + spatial):
        return _as_they_are(layer, world[:, -len(spatial) :])
    wide = np.zeros((len(world), image.ndim))
    for axis in looped:
        wide[:, own.index(axis)] = world[:, names.index(axis)]
    places = np.rint(_to_pixels(image, wide)[:, [own.index(axis) for axis in looped]])
    return _as_they_are(layer, np.hstack([places, world[:, [names.index(axis) for axis in spatial]]]))


def _as_they_are(layer: Layer, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coordinates of the points themselves where `positions` differ from them by rounding alone.

    So what an operation has found is known again, bit by bit.
    """
    data = np.asarray(layer.data, np.float64)
    same = data.shape == positions.shape and np.allclose(data, positions, rtol=1e-9, atol=1e-9)
    return (data if same else positions) + 0.0  # without negative zeros


def _to_pixels(image: Layer, world: NDArray[np.float64]) -> NDArray[np.float64]:
    probes = np.vstack([np.zeros(image.ndim), np.eye(image.ndim)])
    inverse = np.array([image.world_to_data(tuple(probe)) for probe in probes], float)
    return np.asarray(world @ (inverse[1:] - inverse[0]) + inverse[0])


def _too_flat(layer: Layer, image: Layer) -> str:
    return (
        f"{layer.name!r} has {layer.ndim} dimensions but the image {image.name!r} has {image.ndim}: add the points "
        "again while the image is selected."
    )


def pixel_positions(layer: Layer, image: Layer, axes: str, operation: Operation) -> NDArray[np.float64]:
    """Return the points of `layer` in pixels of `image`: (N, looped and spatial axes), or spatial ones alone.

    Raises
    ------
    InvalidInputError
        If the layer has fewer dimensions than one frame of the image.
    """
    own = axes[: image.ndim]
    world = world_positions(layer)
    wide = np.zeros((len(world), image.ndim))
    shared = min(image.ndim, world.shape[1])
    wide[:, image.ndim - shared :] = world[:, world.shape[1] - shared :]
    pixels = _to_pixels(image, wide)
    looped, spatial = _looped_and_spatial(operation, axes)
    known = own[len(own) - shared :]
    if any(axis not in known for axis in spatial):
        raise InvalidInputError(_too_flat(layer, image))
    wanted = looped + spatial if all(axis in known for axis in looped) else spatial
    return _as_they_are(layer, pixels[:, [own.index(axis) for axis in wanted]])
