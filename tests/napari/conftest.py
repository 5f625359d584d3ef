"""What the tests of the plugin share: a session folder of their own, a runner that is always closed, a window.

The window is the same for all tests of a process that do not ask for one of their own: see one_window.py.
"""

import gc
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from napari_tessera.config.base import Config
from napari_tessera.core.jobs import CancelToken

FINISHED = itertools.count(1)
FAKE_WORKER = str(Path(__file__).with_name("fake_worker.py"))


def pytest_runtest_logfinish() -> None:
    """Set aside what lives on, and now and then look through it before.

    napari collects garbage with each layer that goes, and with each window; so do we, to see what a test has left in
    the window. All that lives as long as the process need not be looked through each time.
    """
    if next(FINISHED) % 10 == 1:
        gc.collect()
    gc.freeze()


class FakeRequest(Config):
    kind: str
    seconds: float = 0.0


def fake_job(kind: str, seconds: float = 0.0) -> Callable[[CancelToken], Config]:
    return lambda cancel: FakeRequest(kind=kind, seconds=seconds)


@pytest.fixture(autouse=True)
def session_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window_as_new: list[Any]) -> Iterator[Path]:
    monkeypatch.setenv("NAPARI_TESSERA_HOME", str(tmp_path / "tessera"))
    yield tmp_path / "tessera"
    protecting: Any = sys.modules.get("napari_tessera.napari_plugin.journal.protecting")
    journal = getattr(protecting, "_shared", None)
    if journal is not None:  # the next test has another folder
        journal.close()
        protecting._shared = None


@pytest.fixture
def runner(qapp: Any) -> Iterator[Any]:
    from napari_tessera.napari_plugin.jobs.runner import JobRunner

    runner = JobRunner(arguments=(FAKE_WORKER,))
    yield runner
    runner.close()
    runner.deleteLater()


@pytest.fixture(scope="session", autouse=True)
def manifests_read_once() -> Iterator[None]:
    """Plugins do not change while tests run; napari looks for them and reads their manifests with every new window."""
    import npe2

    found: list[int] = []
    discover = npe2.PluginManager.discover

    def once(*args: Any, **kwargs: Any) -> int:
        if not found:
            found.append(discover(*args, **kwargs))
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npe2.PluginManager, "discover", once)
        yield


@pytest.fixture(scope="session")
def one_window(qapp: Any) -> Iterator[Any]:
    from .one_window import OneWindow

    window = OneWindow()
    yield window
    window.close()


@pytest.fixture
def window_as_new(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """Take the window that a test has used, emptied; fail the test if it is not as new then."""
    used: list[Any] = []
    yield used
    if not used:
        return
    called = getattr(request.node, "rep_call", None)
    if called is None or called.failed:
        used[0].close(may_live_on=True)
        return
    request.node.funcargs.clear()  # they are closed, and may go
    left = used[0].what_is_left()
    if left:
        used[0].close(may_live_on=True)
        pytest.fail("The test has changed the window:\n" + "\n".join(left))


@pytest.fixture
def open_viewer(one_window: Any, qtbot: Any, window_as_new: list[Any]) -> Iterator[Callable[..., Any]]:
    """Give what opens an empty window and returns its viewer; a test that closes it has ``make_napari_viewer``."""

    def open_window(*, show: bool = False) -> Any:
        window_as_new.append(one_window)
        return one_window.open(show=show)

    yield open_window
    if window_as_new:
        one_window.empty()


@pytest.fixture
def no_other_window(one_window: Any) -> None:
    """Close the window that tests share; the next one is new."""
    one_window.close()


@pytest.fixture
def make_napari_viewer(no_other_window: None, make_napari_viewer: Any) -> Any:
    """Make a window for one test alone, which may close it, or looks at how it opens."""
    return make_napari_viewer


@pytest.fixture
def viewer(open_viewer: Any) -> Any:
    """Return the viewer of a window, shown; files of tests with another have a fixture of their own of this name."""
    viewer = open_viewer(show=True)
    viewer.window.resize(1100, 800)
    return viewer


@pytest.fixture
def widget(viewer: Any, runner: Any) -> Iterator[Any]:
    """Give the widget Filter & threshold, docked; tests of other widgets have a fixture of their own of this name."""
    from napari_tessera.napari_plugin.filtering.filter_widget import DISPLAY_NAME, FilterWidget

    widget = FilterWidget(viewer, runner)
    viewer.window.add_dock_widget(widget, name=DISPLAY_NAME)
    yield widget
    widget.close()


@pytest.fixture
def no_process_left() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    children = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    _, alive = psutil.wait_procs(children, timeout=3)
    assert not alive, f"left behind: {alive}, python {sys.executable}"
