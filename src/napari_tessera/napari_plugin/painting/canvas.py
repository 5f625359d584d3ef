"""The canvas of a viewer: the one place that knows where napari keeps it.

napari has no public name for it, and has announced that the private ones will go. Who asks here is told None then, as
of a viewer without a window, and has to do without: an ordinary layer in place of a drawing on the canvas, for example.
"""

from typing import Any

from qtpy.QtWidgets import QWidget

_WAYS = (("window", "_qt_viewer"), ("window", "_qt_window", "_qt_viewer"))
"""Where versions of napari have what shows a viewer. ``window.qt_viewer`` is none of them: it warns of its own end."""


def canvas_of(viewer: Any) -> Any:
    """Return napari's canvas of a viewer: its widget is ``native``, and ``layer_to_visual`` tells what draws a layer.

    None if the viewer has no window, or napari keeps its canvas elsewhere or has another one by now.
    """
    for way in _WAYS:
        found = viewer
        for name in (*way, "canvas"):
            found = getattr(found, name, None)
        if isinstance(getattr(found, "native", None), QWidget) and hasattr(found, "layer_to_visual"):
            return found
    return None


def canvas_size(viewer: Any) -> tuple[int, int] | None:
    """Return height and width of the canvas in screen pixels; None if that is not known."""
    size = getattr(getattr(viewer, "canvas", None), "size", None)  # public since napari 0.9
    if size is None:
        canvas = canvas_of(viewer)
        size = None if canvas is None else (canvas.native.height(), canvas.native.width())
    return None if size is None else (int(size[0]), int(size[1]))
