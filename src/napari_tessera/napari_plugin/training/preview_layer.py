"""The layer in which a training shows what it has learnt so far, on the part of the image that is in view."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from qtpy.QtCore import QTimer

from napari_tessera.core.jobs import Preview
from napari_tessera.napari_plugin.layers.images import class_colormap, displaced
from napari_tessera.napari_plugin.layers.notes import noted
from napari_tessera.napari_plugin.layers.view_tracker import Spans


class PreviewLayer:
    """Shows previews; the layer covers just what was predicted, so that its size does not depend on the image's.

    Once the person has deleted the layer it stays away. It goes with the image that it shows a part of.

    Parameters
    ----------
    viewer
        Gets the layer with the first preview.
    images
        The images of the training; the layer is named after that which is shown, and lies above it.
    placements
        For each image, where its labels lie (see `layers.placement`).
    colors
        Colour (#rrggbb) by class id.
    annotations
        Layers that stay above the preview.

    Attributes
    ----------
    layer
        The layer, while it is in the viewer.
    dismissed
        Whether the person has deleted it.
    shown
        Whether a preview has come yet.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        images: Sequence[Layer],
        placements: Sequence[dict[str, Any]],
        colors: Mapping[int, str],
        annotations: Sequence[Layer] = (),
        *,
        dismissed: bool = False,
    ) -> None:
        self._viewer = viewer
        self._images, self._annotations = list(images), list(annotations)
        self._placements = placements
        self._colormap = class_colormap(colors)
        self.layer: Labels | None = None
        self.dismissed, self.shown = dismissed, False
        self._own_doing = False
        self._listens = True
        self._image = 0
        viewer.layers.events.removed.connect(self._on_removed)

    def open(self, image: int, region: Spans) -> None:
        """Add the layer, still empty, for a part of image number `image`.

        Adding a layer is the one slow step (napari builds its controls); done when the person presses Train, it does
        not come in between while they paint.
        """
        if self.dismissed:
            return
        self._image = image
        shape = [stop - start for start, stop in region]
        self._add(np.zeros(shape, np.uint8), displaced(self._placements[image], [start for start, _ in region]))

    def show(self, preview: Preview) -> None:
        """Show `preview` and remove its file."""
        path = Path(preview.path)
        try:
            labels = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):  # another preview has taken its place already: that one comes next
            return
        path.unlink(missing_ok=True)
        if self.dismissed or self._images[preview.image] not in self._viewer.layers:
            return
        self.shown = True
        placed = displaced(self._placements[preview.image], [start for start, _ in preview.region])
        if self.layer is None:
            self._image = preview.image
            self._add(labels, placed)
            return
        if self._image != preview.image:  # another scale, rotation or number of dimensions
            self._replace(preview.image, labels, placed)
            return
        if labels.shape == self.layer.data.shape and np.allclose(self.layer.translate, placed["translate"]):
            if not np.array_equal(self.layer.data, labels):
                self.layer.data = labels
            return
        self.layer.data = labels
        self.layer.translate = placed["translate"]

    def remove(self) -> None:
        """Take the layer out of the viewer for good."""
        if self._listens:
            self._listens = False
            self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._take_out()

    def _take_out(self) -> None:
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._own_doing = True
            self._viewer.layers.remove(layer)
            self._own_doing = False

    def _on_removed(self, event: Any) -> None:
        """Stay away once the person has deleted the layer; go with the image, and with the last annotation."""
        removed = event.value
        if removed is self.layer and not self._own_doing:
            self.layer, self.dismissed = None, True
        elif self.layer is not None and self._is_over(removed):
            # napari may be in the midst of deleting all that is selected, and stumbles over a layer that has gone
            QTimer.singleShot(0, self._take_out)

    def _is_over(self, removed: Layer) -> bool:
        there = [layer for layer in self._annotations if layer in self._viewer.layers]
        return removed is self._images[self._image] or (removed in self._annotations and not there)

    def _replace(self, image: int, labels: np.ndarray[Any, Any], placed: dict[str, Any]) -> None:
        """Show a preview of another image, as visible as the person has made the layer."""
        assert self.layer is not None
        visible, opacity = self.layer.visible, self.layer.opacity
        self._take_out()
        self._image = image
        self._add(labels, placed)
        self.layer.visible, self.layer.opacity = visible, opacity

    def _add(self, labels: np.ndarray[Any, Any], placed: dict[str, Any]) -> None:
        selected = set(self._viewer.layers.selection)
        active = self._viewer.layers.selection.active
        metadata = noted({"role": "preview"})
        name = f"{self._images[self._image].name} · preview of training"
        self.layer = Labels(labels, name=name, colormap=self._colormap, opacity=0.45, metadata=metadata, **placed)
        self._viewer.layers.insert(self._place(), self.layer)
        self.layer.editable = False
        self._viewer.layers.selection = selected  # the person goes on painting in the layer they were in
        self._viewer.layers.selection.active = active

    def _place(self) -> int:
        """Return the position above the image and below what is painted on it, so that strokes stay visible."""
        layers = list(self._viewer.layers)
        image = layers.index(self._images[self._image])
        above = [layers.index(layer) for layer in self._annotations if layer in layers]
        return min((index for index in above if index > image), default=image + 1)
