"""Changes of objects, worked out in a thread and written as one step that Ctrl+Z undoes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from napari.components import ViewerModel
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_tessera.core.errors import TesseraError
from napari_tessera.core.regions import Region
from napari_tessera.napari_plugin.clicking.click_source import LabelsFrame
from napari_tessera.napari_plugin.forms.keys import CONTROL
from napari_tessera.napari_plugin.jobs.worker_thread import WorkerThread
from napari_tessera.napari_plugin.painting.label_writing import write_box
from napari_tessera.pipeline.failures import describe_error

UNDO = f"{CONTROL}+Z undoes it."


@dataclass(frozen=True)
class Found:
    """A change that has been worked out.

    Attributes
    ----------
    box, before, after
        Where in the frame, what stood there, and what is to stand there.
    """

    box: Region
    before: NDArray[Any]
    after: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Edit:
    """A change to be worked out.

    Attributes
    ----------
    frame
        The labels that it is about.
    work
        Gets them and returns a box and what is to stand in it, or None if nothing changes; called in a thread.
    done
        Returns a sentence on what was done.
    nothing
        A sentence for when nothing changes.
    """

    frame: LabelsFrame
    work: Callable[[NDArray[Any]], tuple[Region, NDArray[Any]] | None]
    done: Callable[[Found], str]
    nothing: str


class EditRunner(QObject):
    """Works out one change at a time.

    Signals
    -------
    made(str)
        It is written; the sentence says what.
    refused(str)
        Nothing has changed, and why.
    """

    made = Signal(str)
    refused = Signal(str)

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._edit: Edit | None = None
        self._thread = WorkerThread("tessera-edit", self._take)

    @property
    def busy(self) -> bool:
        """Whether something is being worked out."""
        return self._edit is not None

    def run(self, edit: Edit) -> None:
        """Work out `edit` in place of what is under way: an object may be as large as the image."""
        self._edit = edit
        self._thread.submit(edit, partial(_work_out, edit))

    def cancel(self) -> bool:
        """Let nothing come of what is under way; return whether there was anything."""
        was, self._edit = self.busy, None
        return was

    def close(self) -> None:
        """Wait for nothing any more."""
        self._edit = None
        self._thread.close()

    def _take(self, edit: Edit, found: Found | BaseException | None) -> None:
        if edit is not self._edit:
            return
        self._edit = None
        if isinstance(found, BaseException):
            self.refused.emit(describe_error(found, report="what you drew or clicked"))
        elif found is None:
            self.refused.emit(edit.nothing)
        elif edit.frame.layer in self._viewer.layers:
            self._write(edit, found)

    def _write(self, edit: Edit, found: Found) -> None:
        frame = edit.frame
        if not frame.valid:
            self.refused.emit("The labels were replaced meanwhile: try again.")
            return
        if not np.array_equal(frame.read(found.box), found.before):
            self.run(edit)  # something has changed there meanwhile
            return
        try:
            origin = tuple(part.start for part in found.box)
            write_box(frame.layer, frame.box_in_layer(found.box), frame.in_layer(origin, found.after)[1])
        except (TesseraError, MemoryError) as error:
            self.refused.emit(describe_error(error))
            return
        self.made.emit(f"{edit.done(found)} {UNDO}")


def _work_out(edit: Edit) -> Found | None:
    result = edit.work(edit.frame.pixels)
    if result is None:
        return None
    box, after = result
    return Found(box, edit.frame.read(box).copy(), after)
