"""Short work of the Sessions widget that waits for the disk, in a thread."""

from collections.abc import Callable
from typing import TypeVar

from qtpy.QtCore import QObject

from napari_tessera.core.jobs import CancelToken, Job, Result
from napari_tessera.napari_plugin.jobs.qt_objects import unless_deleted
from napari_tessera.napari_plugin.jobs.thread_job import ThreadJob

T = TypeVar("T")

_under_way: set[ThreadJob] = set()
"""They outlive who asked for them, so that what comes out is not lost."""


def in_thread(
    parent: QObject,
    work: Callable[[], T],
    done: Callable[[T], None],
    failed: Callable[[str], None],
    dropped: Callable[[T], None] = lambda _: None,
) -> None:
    """Call `work` in a thread, then `done` with its result, or `failed` with a sentence, in this one.

    If `parent` is deleted meanwhile, neither is called, but `dropped` with a result.
    """
    results: list[T] = []

    def job(_cancel: CancelToken) -> Job:
        results.append(work())
        yield Result()

    thread, asked = ThreadJob(job), QObject(parent)
    _under_way.add(thread)

    def end(state: str, message: str) -> None:
        _under_way.discard(thread)
        thread.deleteLater()
        if not unless_deleted(asked.deleteLater):
            for result in results:
                dropped(result)
            return
        if state == "done":
            done(results[0])
        else:
            failed(message)

    thread.ended.connect(end)
    thread.start()
