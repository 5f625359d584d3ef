"""What the undo history of a Labels layer says has changed, as the journal needs to know it.

napari notes every stroke as *atoms*: where, what was there, what came instead. The event ``paint`` hands them over, but
comes at the end of a stroke only, and neither undo nor redo sends it: they move a step from one stack of the history to
the other and refresh the layer. So the stacks are compared with what they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_tessera.napari_plugin.painting.napari_private import open_stroke, redo_steps, undo_steps

Atom = Any
Step = Sequence[Atom]


@dataclass(frozen=True)
class Edits:
    """Changes in the order in which they were made.

    Attributes
    ----------
    atoms
        Entries of napari's history. They are not changed any more once they are in it, so another thread may read
        them.
    forward
        True if the new values were written, False if the ones before them were written back.
    """

    atoms: tuple[Atom, ...]
    forward: bool


class HistoryReader:
    """Tells what has happened to a layer since it was last asked.

    Attributes
    ----------
    lost
        True if something happened that the history does not tell; whoever reads it sets it back.

    Parameters
    ----------
    layer
        Its history as it stands counts as known.
    """

    def __init__(self, layer: Any) -> None:
        self.lost = False
        self._open: list[Atom] | None = None  # the stroke that is being painted
        self._told = 0  # how many of its atoms have been handed out
        self.forget(layer)

    def forget(self, layer: Any) -> None:
        """Take the history as it stands for known."""
        self._undone, self._redone = _stacks(layer)
        self._undo_top, self._redo_top = _top(self._undone), _top(self._redone)

    def take_stroke(self, layer: Any, step: Step) -> list[Edits]:
        """Return what is new in `step`, which napari has just put on the history."""
        edits = self._take_silent_redo(layer)
        if step is self._open:
            fresh = tuple(step[self._told :])
            self._open, self._told = None, 0
        else:
            fresh = tuple(step)
        if fresh:
            edits.append(Edits(fresh, forward=True))
        self.forget(layer)
        return edits

    def take(self, layer: Any) -> list[Edits]:
        """Return what has been painted of a stroke that goes on, and what was undone or redone."""
        edits = self._take_open_stroke(layer)
        undo, redo = _stacks(layer)
        moved = _found(self._undo_top, redo, backwards=True)
        if moved is not None and not _same(_top(undo), self._undo_top):
            edits.extend(Edits(tuple(step), forward=False) for step in list(redo)[moved:])
        elif not _same(_top(undo), self._undo_top):
            moved = _found(self._redo_top, undo, backwards=True)
            if moved is not None:
                edits.extend(Edits(tuple(step), forward=True) for step in list(undo)[moved:])
            elif undo:
                self.lost = True
        self.forget(layer)
        return edits

    def _take_open_stroke(self, layer: Any) -> list[Edits]:
        staged = open_stroke(layer)
        if staged is None:
            return []
        edits = []
        if self._open is not None and staged is not self._open:
            # Given up without a paint event: napari has written back what was there before.
            edits.append(Edits(tuple(reversed(self._open[: self._told])), forward=False))
            self._open, self._told = None, 0
        if len(staged) > self._told or (self._open is None and staged):
            fresh = tuple(staged[self._told :])
            self._open, self._told = staged, self._told + len(fresh)
            edits.append(Edits(fresh, forward=True))
        return edits

    def _take_silent_redo(self, layer: Any) -> list[Edits]:
        """Return steps redone without a word (a hidden layer does not refresh) before the stroke that is on top now."""
        undo, _ = _stacks(layer)
        before = undo[-2] if len(undo) > 1 else None
        if _same(before, self._undo_top):
            return []
        older = list(undo)[:-1]
        moved = _found(self._redo_top, older, backwards=True)
        if moved is not None:
            return [Edits(tuple(step), forward=True) for step in older[moved:]]
        self.lost = True  # undone without a word, and then painted: what was undone is gone from the history
        return []


def _stacks(layer: Any) -> tuple[Sequence[Step], Sequence[Step]]:
    return undo_steps(layer), redo_steps(layer)


def _top(stack: Sequence[Step]) -> Step | None:
    return stack[-1] if stack else None


def _same(one: Step | None, other: Step | None) -> bool:
    """Whether two steps hold the same atoms in the same order; first and last say it."""
    if not one or not other:
        return not one and not other
    return len(one) == len(other) and one[0] is other[0] and one[-1] is other[-1]


def _found(step: Step | None, stack: Sequence[Step], *, backwards: bool) -> int | None:
    """Return where in `stack` the atoms of `step` are, in reverse order as undo and redo leave them."""
    if not step:
        return None
    wanted = [step[-1], step[0]] if backwards else [step[0], step[-1]]
    for index in range(len(stack) - 1, -1, -1):
        entry = stack[index]
        if len(entry) == len(step) and entry[0] is wanted[0] and entry[-1] is wanted[1]:
            return index
    return None
