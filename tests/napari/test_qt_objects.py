"""Work in a thread is told of as long as there is somebody to tell; what Qt has deleted meanwhile is no error."""

import threading

import pytest
from qtpy.QtCore import QCoreApplication, QEvent, QObject, QTimer, Signal

from napari_tessera.napari_plugin.jobs.qt_objects import disconnect, stop_timers, unless_deleted
from napari_tessera.napari_plugin.jobs.worker_thread import WorkerThread

pytestmark = pytest.mark.gui


class Listener(QObject):
    arrived = Signal(object)

    def take(self, value):
        raise AssertionError(value)


def deleted(item):
    item.deleteLater()
    QCoreApplication.sendPostedEvents(item, QEvent.Type.DeferredDelete)
    return item


@pytest.fixture
def thread(qapp):
    thread = WorkerThread("tessera-test")
    yield thread
    thread.close()


def test_who_is_there_is_told_and_who_is_gone_is_not(qapp) -> None:
    listener, heard = Listener(), []
    listener.arrived.connect(heard.append)
    assert unless_deleted(lambda: listener.arrived.emit(3))
    assert heard == [3]
    deleted(listener)
    assert not unless_deleted(lambda: listener.arrived.emit(4))


def test_what_qt_has_deleted_is_let_go_of_quietly(qapp) -> None:
    listener, timer, running = Listener(), QTimer(), QTimer()
    running.start(1000)
    stop_timers(deleted(timer), running)
    assert not running.isActive()
    sender = Listener()
    disconnect(sender.arrived, listener.take)  # was never connected
    sender.arrived.connect(listener.take)
    deleted(listener)
    disconnect(sender.arrived, listener.take)
    assert not unless_deleted(listener.deleteLater)


def test_results_and_errors_are_told_in_order(thread) -> None:
    told, last = [], threading.Event()
    for work in (lambda: 1, lambda: 1 // 0, lambda: threading.current_thread().name):
        thread.submit(work, told.append)
    thread.submit(lambda: None, lambda _: last.set())
    assert last.wait(10)
    assert told[0] == 1
    assert isinstance(told[1], ZeroDivisionError)
    assert told[2].startswith("tessera-test")


def test_what_waits_is_dropped_when_it_is_closed(thread) -> None:
    begun, go, told = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        go.wait(10)
        return "slow"

    ended = threading.Event()
    thread.submit(slow, lambda found: (told.append(found), ended.set()))
    thread.submit(lambda: "late", told.append)
    assert begun.wait(10)
    thread.close()
    go.set()
    assert ended.wait(10)
    again = threading.Event()
    thread.submit(lambda: "anew", lambda found: (told.append(found), again.set()))  # it can be used again
    assert again.wait(10)
    assert told == ["slow", "anew"]
