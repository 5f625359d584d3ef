"""One napari window for the tests of a process, as new for each.

A window takes about a second of processor time to make and to close, and what napari keeps of it slows the next ones.
A test gets the window that the test before had, emptied; whatever it leaves in it fails it.
"""

import gc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import napari
import numpy as np
import pytest
from app_model import Application
from napari._app_model._app import NapariApplication
from napari._qt._qapp_model.qactions import init_qactions
from napari._qt.dialogs.qt_notification import NapariQtNotification
from napari._qt.qt_viewer import QtViewer
from napari.components import LayerList
from napari.plugins import _initialize_plugins
from napari.settings import get_settings
from napari.utils.events import EmitterGroup, EventedDict, EventedModel
from qtpy.QtCore import QAbstractAnimation, QEvent, QObject
from qtpy.QtWidgets import QApplication, QTabBar, QWidget

from napari_tessera.napari_plugin.forms.panel_shell import PanelShell

APPLICATION = "tests of the window"
BESIDE = "beside it: "
"""How windows of their own are called; one that a test before had left may go at any time."""


class OneWindow:
    """Napari's window, which is opened when a test first asks for it."""

    def __init__(self) -> None:
        self.viewer: Any = None
        self._new: Counter[str] = Counter()
        self._shown = False
        self._patch = pytest.MonkeyPatch()
        self._settings_changed = False
        self._worn = False

    def open(self, *, show: bool) -> Any:
        """Return the viewer of an empty window; one that is hidden was never shown."""
        if self.viewer is not None and self._shown != show:
            self.close()
        if self.viewer is None:
            self._make(show)
        for name in [each for each in self._new if each.startswith(BESIDE)]:
            del self._new[name]
        self._new.update(_beside())  # what earlier tests without this window have left is not the fault of this one
        return self.viewer

    def _make(self, show: bool) -> None:
        self._patch.setattr("napari._qt.threads.status_checker.StatusChecker.start", lambda _self: None)
        self._patch.setattr("napari._qt.qt_viewer.QtViewer._get_console", lambda _self: _no_console())
        application = NapariApplication(APPLICATION)
        self._patch.setattr(NapariApplication, "get_app_model", lambda *_: application)
        _forget_application()
        get_settings().reset()
        get_settings().events.connect(self._on_settings)
        self._settings_changed = False
        self.viewer, self._shown = napari.Viewer(show=show, show_welcome_screen=False), show
        QtViewer._instances.discard(self._qt_viewer)  # make_napari_viewer wants to know of its own alone
        QApplication.processEvents()
        self._native_size = self._qt_viewer.canvas.native.size()
        self._size = self._qt_window.size()
        self._docks = self._qt_window.saveState()
        self._values = {(path, name): _copy(getattr(model, name)) for path, model, name in _fields(self.viewer)}
        self._worn = False
        self._use()
        self.empty()
        self.viewer.dims.events.ndisplay.connect(self._wear)
        getattr(self.viewer, "canvas", self.viewer).grid.events.enabled.connect(self._wear)
        if self._shown:
            self.viewer.cursor.events.style.connect(self._wear)
        self._new = self._contents()

    @property
    def _qt_window(self) -> Any:
        return self.viewer.window._qt_window

    @property
    def _qt_viewer(self) -> Any:
        return self.viewer.window._qt_viewer

    def _on_settings(self) -> None:
        self._settings_changed = True

    def _use(self) -> None:
        """Do once what napari makes something for that then stays."""
        self.viewer.add_image(np.zeros((2, 2)))
        labels = self.viewer.add_labels(np.zeros((2, 2), int))
        if not self._shown:
            labels.mode = "paint"

    def _wear(self) -> None:
        self._worn = True

    def empty(self) -> None:
        """Take out what a test put into the window; close it if it was in 3D or a grid, or showed a brush.

        napari leaves cameras of a grid behind, and OpenGL may crash once layers are gone that were drawn in 3D, or that
        were painted in.
        """
        if self._worn:
            self.close()
            return
        if self._settings_changed:
            get_settings().reset()
            self._settings_changed = False
        self.viewer.layers.clear()
        for dock in list(self.viewer.window._wrapped_dock_widgets.values()):
            self._qt_window.removeDockWidget(dock)
            dock.deleteLater()
        self.viewer.window._wrapped_dock_widgets.clear()
        for panel in [each for each in QApplication.topLevelWidgets() if isinstance(each, PanelShell)]:
            panel.deleteLater()  # its dock was closed
        for note in self._qt_window.findChildren(NapariQtNotification):
            note.close()
            note.deleteLater()
        self._restore()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()
        self._restore()  # what came of the first time

    def what_is_left(self) -> list[str]:
        """Return in what the window is not as it was when it was new, once it is empty."""
        if self.viewer is None:
            return []
        gc.collect()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        now = self._contents()
        missing = [each for each in self._new - now if not each.startswith(BESIDE)]
        return [f"missing: {each}" for each in missing] + [f"left: {each}" for each in now - self._new]

    def _restore(self) -> None:
        for path, model, name in _fields(self.viewer):
            value = self._values[path, name]
            if repr(getattr(model, name)) != repr(value) and path != "viewer.canvas":  # it has the size of its widget
                setattr(model, name, _copy(value))
        self._qt_window.restoreState(self._docks)
        self._qt_window.resize(self._size)
        if not self._shown:
            self._qt_viewer.canvas.native.resize(self._native_size)

    def _contents(self) -> Counter[str]:
        """Return what is in the window, and beside it: names of things with their numbers."""
        fields = [field for field in _fields(self.viewer) if field[0] != "viewer.canvas"]  # as wide as docks leave it
        found = Counter(f"{path}.{name} = {getattr(model, name)!r}" for path, model, name in fields)
        found.update(_callbacks(self.viewer))
        found.update(f"key {key}" for key in self.viewer.keymap)
        objects = [each for each in self._qt_window.findChildren(QObject) if not _comes_and_goes(each)]
        found.update(f"{type(each).__name__} {each.objectName()!r}" for each in objects)
        found.update(_beside())
        found.update(f"drawn: {type(each).__name__}" for each in _nodes(self._qt_viewer.canvas.view.scene))
        return found

    def close(self, *, may_live_on: bool = False) -> None:
        """Close the window, of which nothing may live on, but where a test failed, whose traceback holds it."""
        if self.viewer is None:
            return
        viewer, self.viewer = self.viewer, None
        QtViewer._instances.add(viewer.window._qt_viewer)
        self._patch.setattr(viewer.window._qt_window, "_save_current_window_settings", lambda: None)
        viewer.close()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        self._patch.undo()
        Application.destroy(APPLICATION)
        _forget_application()
        del viewer
        self._values = {}
        self._new = Counter()
        gc.collect()
        left = len(QtViewer._instances)
        QtViewer._instances.clear()
        assert may_live_on or not left, "Something keeps the closed window alive."


def _beside() -> Iterator[str]:
    """Give the windows of their own that there are."""
    return (f"{BESIDE}{type(each).__name__} {each.objectName()!r}" for each in QApplication.topLevelWidgets())


def _copy(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def _comes_and_goes(thing: QObject) -> bool:
    """Tell what Qt keeps for a while: animations, and the tabs of docks."""
    return isinstance(thing, (QAbstractAnimation, QTabBar)) or isinstance(thing.parent(), QTabBar)


def _no_console() -> QWidget:
    widget: Any = QWidget()
    widget._update_theme = lambda **_: None
    return widget


def _forget_application() -> None:
    _initialize_plugins.cache_clear()
    init_qactions.cache_clear()


def _models(model: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Give the model of the viewer and all models in it, with the way from the viewer to each."""
    yield path, model
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, EventedModel):
            yield from _models(value, f"{path}.{name}")
        elif isinstance(value, EventedDict):
            for key, each in value.items():
                yield from _models(each, f"{path}.{name}.{key}")


def _fields(viewer: Any) -> Iterator[tuple[str, Any, str]]:
    """Give what can be set, as the way to a model, the model, and the name of the field."""
    for path, model in _models(viewer, "viewer"):
        for name in type(model).model_fields:
            if not isinstance(getattr(model, name), (EventedModel, EventedDict, LayerList)):
                yield path, model, name


def _callbacks(viewer: Any) -> Iterator[str]:
    """Give who listens to the viewer, its models and its layers."""
    groups = {path: model.events for path, model in _models(viewer, "viewer") if isinstance(model.events, EmitterGroup)}
    groups["viewer.layers"] = viewer.layers.events
    groups["viewer.layers.selection"] = viewer.layers.selection.events
    for path, group in groups.items():
        for name, emitter in {"": group, **group.emitters}.items():
            for callback in emitter.callbacks:
                listener = _listener(callback)
                if listener:
                    yield f"{path}.{name} is heard by {listener}"


def _listener(callback: Any) -> str:
    """Return who is called back; nothing for what is gone, which napari forgets later."""
    if not isinstance(callback, tuple):
        return str(getattr(callback, "__qualname__", type(callback).__name__))
    owner = callback[0]()
    return "" if owner is None else f"{type(owner).__name__}.{callback[1]}"


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in node.children:
        yield from _nodes(child)
