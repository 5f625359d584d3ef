"""Work in a thread is told of as long as there is somebody to tell; what Qt has deleted meanwhile is no error."""

import threading

import pytest
from qtpy.QtCore import QCoreApplication, QEvent, QObject, QTimer, Signal

from napari_tessera.napari_plugin.jobs.qt_objects import disconnect, stop_timers, unless_deleted
from napari_tessera.napari_plugin.jobs.worker_thread import Post, WorkerThread

pytestmark = pytest.mark.gui


class Listener(QObject):
    arrived = Signal(object)

    def take(self, value):
        raise AssertionError(value)


def deleted(item):
    item.deleteLater()
    QCoreApplication.sendPostedEvents(item, QEvent.Type.DeferredDelete)
    return item


class Told(QObject):
    """Notes what arrives, and in which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.told, self.threads = [], set()

    def take(self, about, what) -> None:
        self.told.append((about, what))
        self.threads.add(threading.current_thread())


@pytest.fixture
def listener(qapp):
    return Told()


@pytest.fixture
def thread(listener):
    thread = WorkerThread("tessera-test", listener.take)
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


def test_results_and_errors_are_told_in_order_in_the_thread_of_the_window(qtbot, thread, listener) -> None:
    for about, work in enumerate((lambda: 1, lambda: 1 // 0, lambda: threading.current_thread().name)):
        thread.submit(about, work)
    qtbot.waitUntil(lambda: len(listener.told) == 3, timeout=60_000)
    assert [about for about, _ in listener.told] == [0, 1, 2]
    one, error, name = [what for _, what in listener.told]
    assert one == 1
    assert isinstance(error, ZeroDivisionError)
    assert name.startswith("tessera-test")
    assert listener.threads == {threading.main_thread()}


@pytest.mark.parametrize("repetition", range(20))
def test_nothing_is_told_before_the_window_looks(qtbot, thread, listener, repetition) -> None:
    """Also where the work is done before `submit` returns: whoever has begun it is not called in the midst of that."""
    done = threading.Event()
    thread.submit("quick", done.set)
    assert done.wait(60)
    assert listener.told == []
    qtbot.waitUntil(lambda: listener.told == [("quick", None)], timeout=60_000)


def test_what_goes_on_may_tell_of_itself(qtbot, thread, listener) -> None:
    thread.submit("all", lambda: thread.tell("part", 1))
    qtbot.waitUntil(lambda: listener.told == [("part", 1), ("all", None)], timeout=60_000)


def test_what_waits_is_dropped_when_it_is_closed(qtbot, thread, listener) -> None:
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def slow():
        begun.set()
        go.wait(60)
        ended.set()
        return "slow"

    thread.submit(1, slow)
    thread.submit(2, lambda: "late")
    assert begun.wait(60)
    thread.close()
    thread.submit(3, lambda: "anew")  # it can be used again
    qtbot.waitUntil(lambda: listener.told == [(3, "anew")], timeout=60_000)
    go.set()
    ended.wait(60)
    qtbot.wait(0)
    assert listener.told == [(3, "anew")]


@pytest.mark.parametrize("repetition", range(20))
def test_who_is_deleted_while_a_thread_tells_is_told_nothing_and_nothing_crashes(qapp, repetition) -> None:
    """Qt used to delete the sender itself in the midst of an `emit`, which ended the process."""
    listener, begun = Told(), threading.Event()
    thread = WorkerThread("tessera-test", listener.take)

    def talk():
        for number in range(2000):
            thread.tell("part", number)
            begun.set()

    thread.submit("all", talk)
    assert begun.wait(60)
    deleted(listener)
    QCoreApplication.processEvents()
    known = len(listener.told)
    thread.close()
    QCoreApplication.processEvents()
    assert len(listener.told) == known == 0


def test_a_post_outlives_whom_it_tells(listener) -> None:
    post = Post(listener.take)
    post.arrived.emit("a", 1)
    deleted(listener)
    post.arrived.emit("b", 2)
    assert listener.told == [("a", 1)]
