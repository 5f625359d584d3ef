"""Short work in a thread: its result arrives where it was asked for, or is dropped where nobody asks any more."""

import threading

import pytest
from qtpy.QtCore import QCoreApplication, QEvent, QObject

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.napari_plugin.jobs.background import in_thread

pytestmark = pytest.mark.gui


def asked_by(parent, work):
    """Return what became of `work`: results, sentences and what was dropped, as they come."""
    outcome = []
    in_thread(
        parent,
        work,
        lambda result: outcome.append(("done", result)),
        lambda sentence: outcome.append(("failed", sentence)),
        lambda result: outcome.append(("dropped", result)),
    )
    return outcome


def test_a_result_arrives_and_so_does_a_sentence(qapp, qtbot):
    def refuse():
        raise InvalidInputError("It is too large.")

    parent = QObject()
    done, failed = asked_by(parent, lambda: 7), asked_by(parent, refuse)
    qtbot.waitUntil(lambda: bool(done and failed), timeout=120_000)
    assert done == [("done", 7)]
    assert failed == [("failed", "It is too large.")]
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert parent.children() == []


@pytest.mark.parametrize("repetition", range(3))
def test_a_result_that_nobody_waits_for_any_more_is_dropped(qapp, qtbot, repetition):
    goes_on = threading.Event()
    parent = QObject()
    outcome = asked_by(parent, lambda: goes_on.wait(60))
    parent.deleteLater()
    QCoreApplication.sendPostedEvents(parent, QEvent.Type.DeferredDelete)
    goes_on.set()
    qtbot.waitUntil(lambda: bool(outcome), timeout=120_000)
    assert outcome == [("dropped", True)]
