"""The mode in which clicks on the canvas make and correct objects."""

from collections.abc import Callable, Iterator
from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QApplication

from napari_tessera.core.errors import TesseraError
from napari_tessera.napari_plugin.clicking.bindings import KeyBinding, MouseBinding, hold_still
from napari_tessera.napari_plugin.clicking.correct_tools import TOOLS, CorrectTool
from napari_tessera.napari_plugin.clicking.grow_tool import GrowTool
from napari_tessera.napari_plugin.clicking.intent import KEYS
from napari_tessera.napari_plugin.clicking.readiness import Readiness
from napari_tessera.napari_plugin.clicking.target import Mouse, Target, pixel_in
from napari_tessera.napari_plugin.clicking.tool_buttons import GROW, TOOL_KEYS
from napari_tessera.napari_plugin.jobs.ahead import Ahead
from napari_tessera.napari_plugin.painting.highest_label import look_ahead
from napari_tessera.napari_plugin.painting.label_writing import check_writable
from napari_tessera.napari_plugin.painting.stepping import take_step

_KEYS_EVERY_MS = 100
"""How often is looked which keys are held: no event tells of it while the mouse rests."""


class ClickMode(QObject):
    """Takes the mouse of a viewer while it is on.

    Signals
    -------
    toggled(bool)
        The mode is on, or off.
    said(str)
        What the next click does.
    happened(str)
        What the last one has done.
    refused(str)
        Why a click did nothing, or why the mode is off.
    changed()
        Labels have been changed, or locked.
    tool_asked(str)
        A key asks for a tool.

    Parameters
    ----------
    target
        Returns what is chosen; raises InvalidInputError if something is lacking.
    """

    toggled = Signal(bool)
    said = Signal(str)
    happened = Signal(str)
    refused = Signal(str)
    changed = Signal()
    tool_asked = Signal(str)

    def __init__(self, viewer: ViewerModel, target: Callable[[], Target], parent: QObject, ahead: Ahead | None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self._target = target
        self.labels: Labels | None = None
        self._other: Layer | None = None
        self.tool = GROW
        self._mouse: Mouse | None = None
        self._keys: KeyBinding | None = None
        self.readiness = Readiness(self, ahead)
        self.grow = GrowTool(viewer, target, self.readiness, self)
        self.correct = CorrectTool(viewer, target, self)
        self._binding = MouseBinding(
            viewer, self._press, self._drag, self._release, self._hover, self._cancel, self._scroll
        )
        self._watch = QTimer(self)
        self._watch.setInterval(_KEYS_EVERY_MS)
        self._watch.timeout.connect(self._look_at_keys)
        self._connect_tools()

    def _connect_tools(self) -> None:
        self.grow.removal.connect(lambda mouse: self.correct.press("delete", mouse))
        self.readiness.changed.connect(lambda _: self.tell())
        for tool in (self.grow, self.correct):
            tool.said.connect(self.said)
            tool.refused.connect(self.refused)
            tool.made.connect(self._on_made)

    @property
    def on(self) -> bool:
        """Whether the mode is on."""
        return self.labels is not None

    @property
    def _under_way(self) -> bool:
        """Whether something is being made, or written."""
        return self.grow.pending or self.grow.busy or self.correct.busy

    def enter(self) -> bool:
        """Switch the mode on for the chosen layers; return whether it is."""
        self.leave()
        try:
            target = self._target()
            check_writable(target.labels)
        except TesseraError as error:
            self.refused.emit(str(error))
            return False
        self.labels = labels = target.labels
        self.viewer.layers.selection.active = labels
        labels.mode = "pan_zoom"
        look_ahead(labels)
        self._binding.bind()
        keys: dict[str, Callable[[Any], Any]] = {
            "Escape": self._on_escape,
            "Space": self._on_space,
            "Control-Z": lambda _: self._step(back=True),
            "Control-Shift-Z": lambda _: self._step(back=False),
            **{key: self._taking(name) for name, key in TOOL_KEYS.items()},
        }
        self._keys = KeyBinding(self.viewer, labels, keys)
        hold_still(self.viewer, labels, still=True)
        labels.cursor = "crosshair"
        self._listen()
        self._watch.start()
        self.toggled.emit(True)
        self.prepare()
        self.tell()
        return True

    def leave(self) -> None:
        """Switch the mode off and drop what is pending."""
        labels, self.labels = self.labels, None
        if labels is None:
            return
        self._watch.stop()
        self.grow.let_go()
        self.correct.cancel()
        self._binding.release()
        if self._keys is not None:
            self._keys.release()
            self._keys = None
        self._unlisten(labels)
        if labels.mode == "pan_zoom":
            labels.cursor = "standard"
            hold_still(self.viewer, labels, still=False)
        self.happened.emit("")
        self.toggled.emit(False)
        self.viewer.help = labels.help

    def follow(self) -> None:
        """Go on in the labels that are chosen now; if those of before are gone, switch off and say so."""
        before = self.labels
        if before is None:
            return
        if before in self.viewer.layers:
            self.enter()
            return
        self.leave()
        self.refused.emit(f"The layer {before.name!r} is gone: choose other labels, or press New labels.")

    def close(self) -> None:
        """Switch off for good."""
        self.leave()
        self.grow.close()
        self.correct.close()
        self.readiness.close()

    def choose_tool(self, name: str) -> None:
        """Take another tool: ``"grow"``, or one of `TOOLS`."""
        self.grow.drop()
        self.correct.cancel()
        self.tool = name
        self.tell()

    def prepare(self) -> None:
        """Compile what the next click needs, in a thread."""
        try:
            target = self._target()
            source = target.source()
        except TesseraError:
            return  # the click itself will say so
        rule = target.options.rule(len(source.frame.shape))
        self.readiness.ready(len(source.frame.shape), source.dtype, source.channels, rule)

    def tell(self) -> None:
        """Say what the next click does."""
        if self.on and not self._under_way:
            self.said.emit(self._next_words())

    def _next_words(self) -> str:
        if self.tool != GROW:
            return self.correct.words(self.tool, self._mouse)
        getting = "Getting ready (a few seconds, once) … " if self.readiness.busy else ""
        try:
            target = self._target()
            frame = target.source().frame
            if self._mouse is None:
                return f"{getting}Click on an object: it grows from there."
            return getting + self.grow.intent(target, frame, pixel_in(frame, self._mouse), self._mouse).words
        except TesseraError as error:
            return str(error)

    def _press(self, mouse: Mouse) -> None:
        self._mouse = mouse
        self.happened.emit("")
        if self.tool == GROW:
            self.grow.press(mouse)
        else:
            self.correct.press(self.tool, mouse)

    def _drag(self, mouse: Mouse) -> None:
        self._mouse = mouse
        (self.grow if self.tool == GROW else self.correct).drag(mouse)

    def _release(self, mouse: Mouse) -> None:
        self._mouse = mouse
        (self.grow if self.tool == GROW else self.correct).release(mouse)

    def _hover(self, mouse: Mouse) -> None:
        self._mouse = mouse
        if self.tool == GROW:
            self.grow.hover(mouse)
        self.tell()

    def _scroll(self, notches: float) -> bool:
        return self.grow.scroll(notches)

    def _cancel(self) -> None:
        if self.grow.cancel() | self.correct.cancel():
            self.happened.emit("Dropped.")
        self.tell()

    def _taking(self, name: str) -> Callable[[object], None]:
        return lambda _: self.tool_asked.emit(name)

    def _on_escape(self, _holder: object) -> None:
        if self._under_way:
            self._cancel()
        else:
            self.leave()

    def _on_space(self, _holder: object) -> Iterator[None]:
        """Let the camera be dragged while the space bar is held."""
        labels = self.labels
        if labels is None:
            return
        self._binding.paused = True
        hold_still(self.viewer, labels, still=False)
        yield
        self._binding.paused = False
        if self.labels is labels:
            hold_still(self.viewer, labels, still=True)

    def _step(self, *, back: bool) -> None:
        """Undo or redo a step; what is pending is the last thing that was done, and is dropped first."""
        if self.labels is None:
            return
        if self._under_way:
            self._cancel()
            return
        self.happened.emit(take_step(self.labels, back=back))
        self.tell()

    def _look_at_keys(self) -> None:
        held = QApplication.queryKeyboardModifiers()
        names = {
            "Shift": Qt.KeyboardModifier.ShiftModifier,
            "Control": Qt.KeyboardModifier.ControlModifier,
            "Alt": Qt.KeyboardModifier.AltModifier,
        }
        modifiers = frozenset(name for name, flag in names.items() if held & flag)
        mouse = self._mouse
        if mouse is not None and mouse.modifiers != modifiers:
            self._hover(Mouse(mouse.world, mouse.canvas, modifiers, mouse.button))

    def _on_made(self, text: str) -> None:
        self.happened.emit(text)
        self.changed.emit()
        self.tell()

    def _listen(self) -> None:
        assert self.labels is not None
        self.viewer.layers.selection.events.active.connect(self._on_active)
        self.viewer.layers.events.removed.connect(self._on_removed)
        self.labels.events.mode.connect(self._on_layer_mode)
        self._listen_to(self.viewer.layers.selection.active)
        self.viewer.dims.events.connect(self._on_dims)

    def _listen_to(self, active: Layer | None) -> None:
        """Follow the mode of the active layer, if that is not the labels, in place of the one before."""
        if self._other is not None:
            self._other.events.mode.disconnect(self._on_layer_mode)
        self._other = None if active is self.labels else active
        if self._other is not None:
            self._other.events.mode.connect(self._on_layer_mode)

    def _unlisten(self, labels: Labels) -> None:
        self.viewer.layers.selection.events.active.disconnect(self._on_active)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self._listen_to(None)
        labels.events.mode.disconnect(self._on_layer_mode)
        self.viewer.dims.events.disconnect(self._on_dims)

    def _on_active(self, _event: object) -> None:
        """Keep the mode while another layer is looked at, and end it for the tools of another one."""
        if self.labels is None:
            return
        self._listen_to(self.viewer.layers.selection.active)
        self._on_layer_mode()
        if self.on:
            hold_still(self.viewer, self.labels, still=True)
            self.tell()

    def _on_layer_mode(self, _event: object = None) -> None:
        layers = self.labels, self._other
        if self.on and any(layer is not None and str(layer.mode) != "pan_zoom" for layer in layers):
            self.leave()  # the person has taken the brush, of this layer or of the one that is active

    def _on_removed(self, event: Any) -> None:
        if event.value is self.labels:
            self.follow()
        elif self.grow.pending:
            self._cancel()
        else:
            self.grow.drop()

    def _on_dims(self, _event: object) -> None:
        self._mouse = None
        self.tell()


__all__ = ["GROW", "KEYS", "TOOLS", "ClickMode"]
