"""The layer in which the live preview is seen, above all images and labels but what is being annotated."""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

from napari_tessera.napari_plugin.filtering.preview_computing import PreviewResult
from napari_tessera.napari_plugin.layers.notes import is_annotation, noted
from napari_tessera.napari_plugin.layers.result_layers import contrast, image_look, labels_look, place_in
from napari_tessera.operations.base import Operation

OPACITY = 0.6


class ShownPreview:
    """Shows one preview at a time; the layer covers just what is on screen.

    Labels that are previewed hide the labels that they are made from, as long as they are shown themselves.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._source: Layer | None = None
        self._hidden: Layer | None = None
        self._visible = True
        self._limits: tuple[float, float] | None = None
        self.layer: Layer | None = None

    @property
    def there(self) -> bool:
        """Whether the layer is in the viewer; a person may have removed it."""
        return self.layer is not None and self.layer in self._viewer.layers

    def show(self, result: PreviewResult, source: Layer) -> None:
        """Show `result`, made from the layer `source`."""
        assert result.plane is not None
        plane, look = _displayable(result.plane), result.task.look
        at = {axis: look.span(axis).start * factor for axis, factor in zip(look.spec.axes, look.factors, strict=True)}
        start = {**at, "y": result.origin[0], "x": result.origin[1]}
        place = place_in(source, look.spec.axes, "yx", start, {"y": result.step[0], "x": result.step[1]})
        as_labels = result.task.operation.output == "labels" or (
            isinstance(source, Labels) and plane.dtype.kind in "iu"
        )
        if not self._fits(plane, source, as_labels=as_labels):
            self.remove()
            self._add(plane, result.task.operation, source, place.keywords, as_labels=as_labels)
            return
        assert self.layer is not None
        self._update(plane, place.keywords)
        self._adjust_contrast(plane, source)

    def set_visible(self, visible: bool) -> None:
        """Show the preview, or what was there before."""
        self._visible = visible
        if self.there and self.layer is not None:
            self.layer.visible = visible
        self._hide_source()

    def remove(self) -> None:
        """Take the layer out of the viewer."""
        layer = self.let_go()
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def let_go(self) -> Layer | None:
        """Return the layer, which stays in the viewer but is no preview any more."""
        layer, self.layer = self.layer, None
        self._hide_source()
        self._limits = None
        return layer

    def _fits(self, plane: Any, source: Layer, *, as_labels: bool) -> bool:
        layer = self.layer
        if layer is None or layer not in self._viewer.layers or source is not self._source:
            return False
        if isinstance(layer, Labels) != as_labels or layer.data.dtype != plane.dtype:
            return False
        return as_labels or bool(layer.rgb) == (plane.ndim == 3)

    def _update(self, plane: Any, keywords: Any) -> None:
        layer = self.layer
        assert layer is not None
        layer.data = plane
        for name in ("translate", "scale"):
            if not np.allclose(getattr(layer, name), keywords[name], rtol=1e-9):
                setattr(layer, name, keywords[name])

    def _adjust_contrast(self, plane: Any, source: Layer) -> None:
        """Follow the intensities until the person has set limits of their own."""
        layer = self.layer
        if not isinstance(layer, Image) or layer.rgb or self._limits is None:
            return
        if tuple(layer.contrast_limits) != self._limits:
            self._limits = None
            return
        limits = contrast(source, plane)
        if limits != self._limits:
            layer.contrast_limits = limits
            self._limits = tuple(layer.contrast_limits)

    def _add(self, plane: Any, operation: Operation, source: Layer, keywords: Any, *, as_labels: bool) -> None:
        name = f"{source.name} · preview of {operation.title}"
        common = {"name": name, "metadata": noted({"role": "preview"}), **keywords}
        layer: Layer
        if as_labels:
            look = labels_look(source, operation, plane.dtype)
            layer = Labels(plane, opacity=OPACITY if isinstance(source, Image) else source.opacity, **look, **common)
        else:
            layer = Image(plane, **image_look(source, plane, rgb=plane.ndim == 3), **common)
            self._limits = None if layer.rgb else tuple(layer.contrast_limits)
        layer.visible = self._visible
        selected, active = set(self._viewer.layers.selection), self._viewer.layers.selection.active
        self._source, self.layer = source, layer
        # Above earlier results, which would hide it, and below points and annotation, which a person places on it.
        rasters = [
            at
            for at, other in enumerate(self._viewer.layers)
            if isinstance(other, Image | Labels) and (other is source or not is_annotation(other))
        ]
        self._viewer.layers.insert(rasters[-1] + 1, layer)
        if as_labels:
            layer.editable = False
        self._viewer.layers.selection = selected  # the person goes on in the layer they were in
        self._viewer.layers.selection.active = active
        self._hide_source()

    def _hide_source(self) -> None:
        """Hide the labels that a preview of labels is made from, or show again what was hidden."""
        replaced = self.layer is not None and self._visible and isinstance(self._source, Labels)
        if self._hidden is not None and not replaced:
            self._hidden.visible = True
            self._hidden = None
        if replaced and self._hidden is None and self._source is not None and self._source.visible:
            self._source.visible = False
            self._hidden = self._source


def _displayable(plane: NDArray[Any]) -> NDArray[Any]:
    """Return colours of a floating type between 0 and 1, as napari shows them; everything else as it is."""
    if plane.ndim < 3 or plane.dtype.kind != "f":
        return plane
    low, high = (float(value) for value in np.nanpercentile(plane[::4, ::4], (0.2, 99.8)))
    return np.clip((plane - low) / ((high - low) or 1.0), 0, 1).astype(np.float32)
