"""What a mode takes over of a viewer while it is on: mouse, keys, camera and cursor; and gives back afterwards."""

from collections.abc import Callable, Iterator
from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels

from napari_tessera.napari_plugin.clicking.target import Mouse
from napari_tessera.napari_plugin.layers.view_tracker import camera_of

LEFT, RIGHT = 1, 2

_NAPARIS = {"drag_to_zoom", "double_click_to_zoom"}
"""napari's own mouse functions of the viewer that a click with Alt, and two clicks in a row, would set off."""


class MouseBinding:
    """Takes the mouse over the canvas.

    Parameters
    ----------
    press, drag, release, hover
        Called with where the mouse is; `drag` and `release` with the left button held and let go.
    cancel
        Called for a press of the right button.
    scroll
        Called with notches of the wheel; returns whether it has used them.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        press: Callable[[Mouse], None],
        drag: Callable[[Mouse], None],
        release: Callable[[Mouse], None],
        hover: Callable[[Mouse], None],
        cancel: Callable[[], None],
        scroll: Callable[[float], bool],
    ) -> None:
        self._viewer = viewer
        self._press, self._drag, self._release, self._hover = press, drag, release, hover
        self._cancel, self._scroll = cancel, scroll
        self._replaced: list[tuple[list[Any], list[Any], Any]] = []
        self.paused = False

    def bind(self) -> None:
        """Take the mouse."""
        viewer = self._viewer
        for functions, own in (
            (viewer.mouse_drag_callbacks, self._on_press),
            (viewer.mouse_double_click_callbacks, self._on_double_click),
            (viewer.mouse_move_callbacks, self._on_move),
            (viewer.mouse_wheel_callbacks, self._on_wheel),
        ):
            taken = [function for function in functions if getattr(function, "__name__", "") in _NAPARIS]
            for function in taken:
                functions.remove(function)
            functions.insert(0, own)
            self._replaced.append((functions, taken, own))

    def release(self) -> None:
        """Give the mouse back."""
        for functions, taken, own in self._replaced:
            if own in functions:
                functions.remove(own)
            functions.extend(function for function in taken if function not in functions)
        self._replaced = []

    def _on_press(self, _viewer: ViewerModel, event: Any) -> Iterator[None]:
        if self.paused or self._viewer.dims.ndisplay == 3:
            return
        if event.button == RIGHT:
            event.handled = True
            self._cancel()
            return
        if event.button != LEFT:
            return
        event.handled = True
        self._press(_mouse(event))
        yield
        while event.type == "mouse_move":
            self._drag(_mouse(event))
            yield
        if event.button == LEFT:
            self._release(_mouse(event))
        else:  # napari tells nothing more of this press once any button is let go
            self._cancel()

    def _on_double_click(self, _viewer: ViewerModel, event: Any) -> None:
        """Take the second of two quick clicks, which Qt tells of in another way, as a click like any other."""
        if event.button == LEFT and not self.paused and self._viewer.dims.ndisplay == 2:
            event.handled = True
            self._press(_mouse(event))
            self._release(_mouse(event))

    def _on_move(self, _viewer: ViewerModel, event: Any) -> None:
        if not self.paused:
            self._hover(_mouse(event))

    def _on_wheel(self, _viewer: ViewerModel, event: Any) -> None:
        notches = float(event.delta[1]) or float(event.delta[0])
        if notches and not event.handled and not self.paused and self._scroll(notches):
            event.handled = True


class KeyBinding:
    """Keys that mean something else for a while, in a viewer and in one of its layers, whose own keys come first."""

    def __init__(self, viewer: ViewerModel, layer: Labels, keys: dict[str, Callable[[Any], Any]]) -> None:
        self._keys = keys
        self._keymaps = [viewer.keymap, layer.keymap]
        self._before = [dict(keymap) for keymap in self._keymaps]
        for holder in (viewer, layer):
            for key, function in keys.items():
                holder.bind_key(key, function, overwrite=True)

    def release(self) -> None:
        """Let the keys mean what they meant before."""
        for keymap, before in zip(self._keymaps, self._before, strict=True):
            for key in [key for key, function in keymap.items() if function in self._keys.values()]:
                del keymap[key]
                if key in before:
                    keymap[key] = before[key]


def hold_still(viewer: ViewerModel, layer: Labels, *, still: bool) -> None:
    """Keep the camera from being dragged, or leave it to the active layer; zooming with the wheel stays."""
    layer.mouse_pan = not still
    active = viewer.layers.selection.active
    camera_of(viewer).mouse_pan = not still and (active is None or active.mouse_pan)


def _mouse(event: Any) -> Mouse:
    held = frozenset(str(getattr(key, "name", key)) for key in event.modifiers)
    return Mouse(tuple(event.position), (float(event.pos[0]), float(event.pos[1])), held, event.button or LEFT)
