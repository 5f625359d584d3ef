"""The layer in which a training shows what it has learnt so far, on the part of the image that is in view."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels

from napari_tessera.core.jobs import Preview
from napari_tessera.napari_plugin.layers import METADATA_KEY, class_colormap, displaced

NAME = "preview"

Region = tuple[tuple[int, int], ...]


class PreviewLayer:
    """Shows previews; the layer covers just what was predicted, so that its size does not depend on the image's.

    Parameters
    ----------
    viewer
        Gets the layer with the first preview.
    placements
        For each image of the training, where its labels lie (see `layers.placement`).
    colors
        Colour (#rrggbb) by class id.
    """

    def __init__(self, viewer: ViewerModel, placements: list[dict[str, Any]], colors: Mapping[int, str]) -> None:
        self._viewer = viewer
        self._placements = placements
        self._colormap = class_colormap(colors)
        self.layer: Labels | None = None
        self._image = 0

    def open(self, image: int, region: Region) -> None:
        """Add the layer, still empty, for a part of image number `image`.

        Adding a layer is the one slow step (napari builds its controls); done when the person presses Train, it does
        not come in between while they paint.
        """
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
        placed = displaced(self._placements[preview.image], [start for start, _ in preview.region])
        if self.layer is None or self.layer not in self._viewer.layers:
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
        """Take the layer out of the viewer."""
        if self.layer is not None and self.layer in self._viewer.layers:
            self._viewer.layers.remove(self.layer)
        self.layer = None

    def _replace(self, image: int, labels: np.ndarray[Any, Any], placed: dict[str, Any]) -> None:
        """Show a preview of another image, as visible as the person has made the layer."""
        assert self.layer is not None
        visible, opacity = self.layer.visible, self.layer.opacity
        self.remove()
        self._image = image
        self._add(labels, placed)
        self.layer.visible, self.layer.opacity = visible, opacity

    def _add(self, labels: np.ndarray[Any, Any], placed: dict[str, Any]) -> None:
        selected = set(self._viewer.layers.selection)
        active = self._viewer.layers.selection.active
        metadata = {METADATA_KEY: {"role": "preview"}}
        self.layer = Labels(labels, name=NAME, colormap=self._colormap, opacity=0.45, metadata=metadata, **placed)
        self._viewer.layers.insert(self._place(), self.layer)
        self.layer.editable = False
        self._viewer.layers.selection = selected  # the person goes on painting in the layer they were in
        self._viewer.layers.selection.active = active

    def _place(self) -> int:
        """Return the position above the images and below the annotation, so that strokes stay visible."""
        first = [index for index, layer in enumerate(self._viewer.layers) if isinstance(layer, Labels)]
        return first[0] if first else len(self._viewer.layers)
