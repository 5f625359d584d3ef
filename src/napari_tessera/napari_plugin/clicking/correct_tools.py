"""Tools that correct objects of any origin: a click on one, or a line drawn over some."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_tessera.core.errors import InvalidInputError, TesseraError
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.clicking.committing import new_label
from napari_tessera.napari_plugin.clicking.drawn_line import DrawnLine
from napari_tessera.napari_plugin.clicking.edit_runner import Edit, EditRunner, Found
from napari_tessera.napari_plugin.clicking.intent import locked_words
from napari_tessera.napari_plugin.clicking.target import Mouse, Target, label_at, pixel_in, place_in
from napari_tessera.napari_plugin.layers.locking import locked_labels, toggle_locked
from napari_tessera.pipeline.failures import describe_error


@dataclass(frozen=True)
class ToolInfo:
    """A tool as a person sees it.

    Attributes
    ----------
    title, tooltip
        Of its button.
    words
        What the next click does; ``{label}`` is the object under the mouse.
    done
        What it has done.
    nothing
        Why it changed nothing, and what to do.
    key
        The letter that takes it, over the canvas.
    line
        Whether a line is drawn, rather than an object clicked.
    """

    title: str
    tooltip: str
    words: str
    done: str
    nothing: str
    key: str
    line: bool = False


TOOLS: dict[str, ToolInfo] = {
    "merge": ToolInfo(
        "Merge",
        "Draw a line across objects: they become one.",
        "Draw a line across objects with the button held: they become one.",
        "Merged into object {label}.",
        "The line touches no two objects that may be merged: draw it from one into another.",
        "R",
        line=True,
    ),
    "split": ToolInfo(
        "Split",
        "Draw a line through an object: it becomes two. A line that does not cut right through is a hint: the "
        "border is sought along it.",
        "Draw a line through an object with the button held: it becomes two.",
        "Split: the smaller part is object {label}.",
        "The line goes through no object that may be split: draw it from one side to the other.",
        "S",
        line=True,
    ),
    "delete": ToolInfo(
        "Delete",
        "Click an object: it is removed.",
        "Click: object {label} is removed.",
        "Object {label} is removed.",
        "There is nothing to remove.",
        "D",
    ),
    "fill": ToolInfo(
        "Fill holes",
        "Click an object: background that it encloses becomes part of it.",
        "Click: holes in object {label} are filled.",
        "The holes of object {label} are filled.",
        "Object {label} has no holes.",
        "H",
    ),
    "smooth": ToolInfo(
        "Smooth",
        "Click an object: its outline becomes smooth. How strongly is set under Settings.",
        "Click: the outline of object {label} becomes smooth.",
        "The outline of object {label} is smoother.",
        "The outline of object {label} is smooth already.",
        "T",
    ),
    "lock": ToolInfo(
        "Lock",
        "Click a finished object: no tool changes it any more, until you click it again. A padlock marks it.",
        "Click: object {label} is locked, or unlocked.",
        "",
        "",
        "K",
    ),
}


class CorrectTool(QObject):
    """Corrects objects; what it changes is one step that Ctrl+Z undoes.

    Signals
    -------
    said(str), refused(str), made(str)
        As of `GrowTool`.
    """

    said = Signal(str)
    refused = Signal(str)
    made = Signal(str)

    def __init__(self, viewer: ViewerModel, target: Callable[[], Target], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._target = target
        self._drawn: DrawnLine | None = None
        self._line: list[Mouse] = []
        self._tool = ""
        self._runner = EditRunner(viewer, self)
        self._runner.made.connect(self.made)
        self._runner.refused.connect(self.refused)

    @property
    def busy(self) -> bool:
        """Whether a line is being drawn or a change worked out."""
        return bool(self._line) or self._runner.busy

    def words(self, tool: str, mouse: Mouse | None) -> str:
        """Return what the next click does with `tool`."""
        info = TOOLS[tool]
        if info.line:
            return info.words
        try:
            frame = self._target().frame()
            label = label_at(frame, pixel_in(frame, mouse)) if mouse is not None else 0
        except TesseraError as error:
            return str(error)
        if not label:
            return f"{info.title}: click an object."
        locked = label in locked_labels(frame.layer)
        if tool == "lock":
            return f"Click: object {label} is {'unlocked' if locked else 'locked'}."
        return locked_words(label) if locked else info.words.format(label=label)

    def press(self, tool: str, mouse: Mouse) -> None:
        """Begin a line, or change the object under the mouse."""
        if self._runner.busy:
            self.refused.emit("The last change is still being worked out: wait, or press Esc.")
            return
        self.cancel()
        self._tool = tool
        if TOOLS[tool].line:
            self._line = [mouse]
            return
        try:
            self._click(tool, mouse)
        except (TesseraError, MemoryError) as error:
            self.refused.emit(describe_error(error))

    def drag(self, mouse: Mouse) -> None:
        """Draw the line on."""
        if self._line:
            self._line.append(mouse)
            if self._drawn is None:
                self._drawn = DrawnLine(self._viewer)
            self._drawn.show([point.canvas for point in self._line])

    def release(self, mouse: Mouse) -> None:
        """Merge or split along the line."""
        if not self._line:
            return
        line = [*self._line, mouse]
        self._forget_line()
        try:
            self._draw(self._tool, line)
        except (TesseraError, MemoryError) as error:
            self.refused.emit(describe_error(error))

    def cancel(self) -> bool:
        """Drop the line, or the change that is being worked out; return whether there was any."""
        was = self._runner.cancel() or self.busy
        self._forget_line()
        return was

    def close(self) -> None:
        """Drop everything and let go of the viewer."""
        self.cancel()
        if self._drawn is not None:
            self._drawn.close()
            self._drawn = None
        self._runner.close()

    def _forget_line(self) -> None:
        self._line = []
        if self._drawn is not None:
            self._drawn.hide()

    def _click(self, tool: str, mouse: Mouse) -> None:
        from napari_tessera.operations.labels import editing

        target = self._target()
        frame = target.frame()
        pixel = pixel_in(frame, mouse)
        label = label_at(frame, pixel)
        if not label:
            raise InvalidInputError(f"{TOOLS[tool].title}: there is no object under the mouse, click on one.")
        if tool == "lock":
            locked = toggle_locked(target.labels, label, frame.index(pixel).tolist())
            self.made.emit(f"Object {label} is {'locked: no tool changes it' if locked else 'unlocked'}.")
            return
        locked_ids = locked_labels(target.labels)
        if label in locked_ids:
            raise InvalidInputError(locked_words(label))
        radius, point = target.options.radius, [int(at) for at in pixel]

        def work(labels: NDArray[Any]) -> tuple[Region, NDArray[Any]] | None:
            if tool == "delete":
                return editing.delete_at(labels, point, locked_ids)
            if tool == "fill":
                return editing.fill_holes_at(labels, point, locked_ids)
            return editing.smooth_outline_at(labels, point, radius * min(frame.spacing), locked_ids, frame.spacing)

        info = TOOLS[tool]
        self._runner.run(Edit(frame, work, lambda _: info.done.format(label=label), info.nothing.format(label=label)))

    def _draw(self, tool: str, line: list[Mouse]) -> None:
        from napari_tessera.operations.labels import cutting, editing

        target = self._target()
        frame = target.frame()
        offset = self._viewer.dims.ndim - frame.layer.ndim
        across = [at for at, dim in enumerate(frame.dims) if dim + offset not in self._viewer.dims.displayed]
        normal = across[0] if across else None
        points = np.array([place_in(frame, mouse) for mouse in line], float)
        locked = locked_labels(target.labels)
        if np.abs(np.diff(points, axis=0)).sum() < 1:
            raise InvalidInputError(f"{TOOLS[tool].title}: hold the button and draw a line.")
        free = new_label(target.labels) if tool == "split" else 0

        def work(labels: NDArray[Any]) -> tuple[Region, NDArray[Any]] | None:
            if tool == "merge":
                return editing.merge_across(labels, points, locked)
            return cutting.split_along(labels, points, free, locked, frame.spacing, normal)

        info = TOOLS[tool]
        self._runner.run(Edit(frame, work, lambda found: info.done.format(label=_merged(found)), info.nothing))


def _merged(found: Found) -> int:
    """Return the label that pixels have got."""
    changed = found.after[found.after != found.before]
    return int(changed.flat[0]) if changed.size else 0
