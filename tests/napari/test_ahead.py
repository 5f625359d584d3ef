"""What previews and clicks need is compiled ahead of them, in a process that is there no longer than it must be."""

from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_tessera.core.jobs import CancelToken
from napari_tessera.napari_plugin.clicking import readiness as readiness_module
from napari_tessera.napari_plugin.clicking.click_widget import ClickWidget
from napari_tessera.napari_plugin.clicking.readiness import Readiness
from napari_tessera.napari_plugin.filtering.filter_widget import FilterWidget
from napari_tessera.napari_plugin.jobs.ahead import GETTING_READY, VARIABLE, Ahead, GettingReady, shared_ahead
from napari_tessera.operations.growing import clicking
from napari_tessera.operations.growing.clicking import ClickRule
from napari_tessera.pipeline.compiling import compiling_job
from napari_tessera.pipeline.requests import CompileRequest

from .conftest import FAKE_WORKER

pytestmark = pytest.mark.gui


@pytest.fixture
def notes(session_folder):
    """Return the folder of notes, where the fake worker waits for a file called ``gate``."""
    folder = session_folder / "compiled"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def ahead(qapp, no_process_left):
    ahead = Ahead(arguments=(FAKE_WORKER,))
    yield ahead
    ahead.close()


@pytest.fixture
def request_for(notes):
    return lambda operation: CompileRequest(operation=operation, dtype="uint8", notes=notes)


def wait_until_at_work(qtbot, ahead, notes, count=1):
    qtbot.waitUntil(lambda: ahead.busy and (notes / "asked").exists(), timeout=60_000)
    qtbot.waitUntil(lambda: len((notes / "asked").read_text().splitlines()) == count, timeout=60_000)


def wait_until_done(qtbot, ahead):
    qtbot.waitUntil(lambda: not ahead.busy, timeout=60_000)


def test_a_process_compiles_what_is_wanted_and_ends(qtbot, ahead, notes, request_for):
    assert not ahead.busy
    ahead.want([request_for("median"), request_for("otsu")])
    assert ahead.pending(request_for("otsu"))
    wait_until_at_work(qtbot, ahead, notes)
    process = psutil.Process(ahead.worker_pid)
    (notes / "gate").touch()
    wait_until_done(qtbot, ahead)
    assert (notes / "asked").read_text().split() == ["median", "otsu"]
    assert not ahead.pending(request_for("otsu"))
    psutil.wait_procs([process], timeout=60)
    assert not process.is_running()


def test_what_is_wanted_last_is_compiled_next(qtbot, ahead, notes, request_for):
    ahead.want([request_for("median"), request_for("otsu")])
    wait_until_at_work(qtbot, ahead, notes)
    ahead.want([request_for("gamma"), request_for("median")])
    with qtbot.waitSignal(ahead.changed, timeout=60_000):
        pass
    (notes / "gate").touch()
    wait_until_done(qtbot, ahead)
    assert (notes / "asked").read_text().split() == ["median", "gamma", "otsu"]


def test_where_all_is_compiled_no_process_is_started(qtbot, ahead, notes, request_for):
    for _ in compiling_job(request_for("invert"), CancelToken()):
        pass
    with qtbot.waitSignal(ahead.changed, timeout=60_000):
        ahead.want([request_for("invert")])
    assert ahead.worker_pid is None
    assert not ahead.busy
    assert not ahead.pending(request_for("invert"))


def test_the_process_goes_with_the_last_widget(qtbot, ahead, notes, request_for):
    ahead.attach("one")
    ahead.attach("other")
    ahead.want([request_for("median")])
    wait_until_at_work(qtbot, ahead, notes)
    pid = ahead.worker_pid
    ahead.detach("one")
    assert psutil.pid_exists(pid)
    ahead.detach("other")
    assert not psutil.pid_exists(pid)
    assert not ahead.busy


def test_a_process_that_dies_is_not_waited_for(qtbot, no_process_left, request_for):
    ahead = Ahead(arguments=("-c", ""))
    line = GettingReady(ahead)
    qtbot.addWidget(line)
    with qtbot.waitSignal(ahead.changed, timeout=60_000):
        ahead.want([request_for("median")])
    wait_until_done(qtbot, ahead)
    assert not ahead.pending(request_for("median"))
    assert line.isHidden()
    ahead.want([request_for("median")])  # not over and over
    assert not ahead.pending(request_for("median"))


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv(VARIABLE, "0")
    assert shared_ahead() is None


def test_a_line_that_is_made_meanwhile_shows_with_its_widget(qtbot, ahead, notes, request_for):
    ahead.want([request_for("median")])
    wait_until_at_work(qtbot, ahead, notes)
    line, widget = GettingReady(ahead), QWidget()
    qtbot.addWidget(widget)
    assert not line.isVisible()  # no window of its own
    QVBoxLayout(widget).addWidget(line)
    widget.show()
    assert line.isVisible()
    line.let_go()
    assert not ahead.busy


@pytest.mark.parametrize("widget_class", [FilterWidget, ClickWidget])
def test_the_widget_says_so_while_it_lasts(qtbot, viewer, runner, ahead, notes, widget_class):
    viewer.add_image(np.zeros((8, 8), np.uint16), name="cells")
    widget = widget_class(viewer, runner, ahead)
    viewer.window.add_dock_widget(widget)
    assert not widget.getting_ready.isVisible()
    wait_until_at_work(qtbot, ahead, notes)
    qtbot.waitUntil(widget.getting_ready.isVisible, timeout=60_000)
    assert widget.getting_ready.text() == GETTING_READY
    (notes / "gate").touch()
    qtbot.waitUntil(lambda: not widget.getting_ready.isVisible(), timeout=60_000)
    widget.close()
    assert not ahead.busy


def test_the_chosen_operation_is_compiled_first(qtbot, viewer, runner, ahead, notes):
    viewer.add_image(np.zeros((8, 8), np.uint16), name="cells")
    widget = FilterWidget(viewer, runner, ahead)
    viewer.window.add_dock_widget(widget)
    widget.choose("otsu")
    wait_until_at_work(qtbot, ahead, notes)
    assert (notes / "asked").read_text().split() == ["otsu"]
    widget.close()


def test_a_click_waits_for_the_process_and_loads_what_it_made(qtbot, ahead, notes, monkeypatch):
    loaded = []
    monkeypatch.setattr(readiness_module, "_warm", set())
    monkeypatch.setattr(clicking, "warm_up", lambda *click: loaded.append(click))
    readiness = Readiness(None, ahead)
    click = SimpleNamespace(ndim=2, dtype=np.dtype(np.uint8), channels=0, rule=ClickRule("fixed_range"))
    assert not readiness.ready(**vars(click))
    wait_until_at_work(qtbot, ahead, notes)
    assert readiness.busy
    assert not loaded
    (notes / "gate").touch()
    qtbot.waitUntil(lambda: not readiness.busy, timeout=60_000)
    assert loaded == [tuple(vars(click).values())]
    assert readiness.ready(**vars(click))
    readiness.close()
