"""The images that annotation was painted on, opened again where their files are known."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from napari_tessera.config.session import LayerHeader
from napari_tessera.napari_plugin.forms.plain_text import show_warning

_log = logging.getLogger(__name__)


def open_images(viewer: ViewerModel, headers: Sequence[LayerHeader]) -> None:
    """Add the images of `headers` to the viewer, beneath what comes next; those that are there already stay.

    One whose file is gone, or that napari cannot read by itself, is named in a warning.
    """
    missing = []
    for name, header in {header.image_name: header for header in headers if header.image_path}.items():
        path = Path(str(header.image_path))
        if _is_shown(viewer, name, path):
            continue
        if not _open(viewer, header, path):
            missing.append(str(path))
    if missing:
        show_warning(
            f"The image {' and '.join(missing)} could not be opened again: open it as you did before. The annotation "
            "is there."
        )


def _is_shown(viewer: ViewerModel, name: str, path: Path) -> bool:
    sources = [str(layer.source.path) for layer in viewer.layers if layer.source.path is not None]
    return name in viewer.layers or str(path) in sources


def _open(viewer: ViewerModel, header: LayerHeader, path: Path) -> bool:
    if not (path.is_file() or path.is_dir()):  # a pipe would be waited for
        return False
    try:
        added = viewer.open(path, plugin="napari")
    except Exception:  # noqa: BLE001  readers raise whatever they like, and none of it may cost the annotation
        _log.debug("%s cannot be opened", path, exc_info=True)
        return False
    images = [layer for layer in added if isinstance(layer, Image)]
    if len(images) == 1:
        images[0].name = header.image_name or images[0].name
        _place(images[0], header)
    return bool(images)


def _place(image: Image, header: LayerHeader) -> None:
    """Lay an image that comes without calibration where its annotation lies."""
    shape = image.data[0].shape if image.multiscale else image.data.shape
    plain = np.allclose(image.scale, 1) and np.allclose(image.translate, 0)
    if tuple(shape) != header.shape or not plain:
        return
    placed: dict[str, Any] = {"scale": header.scale, "translate": header.translate}
    for what, value in placed.items():
        if value:
            setattr(image, what, value)
    if header.units:
        image.units = [unit or "pixel" for unit in header.units]
