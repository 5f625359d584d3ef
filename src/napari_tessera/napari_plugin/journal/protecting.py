"""Which layers are protected, and by whom: the part of the journal that lives in the GUI thread."""

import atexit
import itertools
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from napari_tessera.io.journal.session_folder import SessionFolder
from napari_tessera.napari_plugin.forms.plain_text import show_warning
from napari_tessera.napari_plugin.home import current_home
from napari_tessera.napari_plugin.jobs.qt_objects import stop_timers, unless_deleted
from napari_tessera.napari_plugin.jobs.worker_thread import Post
from napari_tessera.napari_plugin.journal.describing import annotated_image
from napari_tessera.napari_plugin.journal.messages import Barrier, Command, Key, Pictured
from napari_tessera.napari_plugin.journal.picturing import picture_of
from napari_tessera.napari_plugin.journal.watching import LayerWatch, real, why_not_protected
from napari_tessera.napari_plugin.journal.writing import CLOSE_SECONDS, LayerState, SessionWriter
from napari_tessera.napari_plugin.painting.history import bound_history

TICK_MS = 200
"""How often a stroke that goes on is passed to the writer, and the state is looked at."""
PICTURE_SECONDS = 5.0
"""How often a session that is painted in gets a new picture; it costs a few milliseconds."""
LAST_BARRIER = 2**62

_keys = itertools.count(1)


class Journal(QObject):
    """Protects layers of this napari.

    Signals
    -------
    changed()
        A layer is protected, or is not any more, or something about that is different.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._watches: dict[Key, LayerWatch] = {}
        self._writers: dict[Key, SessionWriter] = {}
        self._current: SessionWriter | None = None
        self._told: dict[Key, str] = {}
        self._pictured = 0.0
        self._followed: list[weakref.ref[Any]] = []
        self._shown: Any = None
        self._barriers = Post(self._answer)  # a writer wants everything told that was done until now
        self._outcomes = Post(self._pass_on)  # a command has been done: whom to tell, and what has come of it
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    # what is protected

    def protect(
        self,
        layer: Labels,
        image: Layer | None = None,
        *,
        empty: bool = False,
        at_once: bool = False,
        folder: Path | None = None,
        writer: SessionWriter | None = None,
    ) -> str:
        """Write down what is painted in `layer`, from now on; return why that cannot be, or an empty text.

        Parameters
        ----------
        layer
            What is painted in; nothing happens if it is protected already.
        image
            What it annotates; None guesses from the viewer.
        empty
            Whether all of it is 0, which saves reading it.
        at_once
            Whether to write what is in it already now, rather than with the first change.
        folder, writer
            The journal that it goes on with, and the session it lies in; None begins a new journal.
        """
        layer = real(layer)
        why_not = why_not_protected(layer)
        if why_not or self.watch_of(layer) is not None:
            return why_not
        bound_history(layer)  # undo of steps that belong to another array would change pixels in ways that nobody tells
        image = image if image is not None else annotated_image(layer, _layers_beside(layer))
        writer = writer if writer is not None else self.current_writer()
        key = next(_keys)
        path = image.source.path if image is not None else None
        watch = LayerWatch(layer, key, writer.put, image.name if image is not None else "", str(path) if path else None)
        watch.put_at(_place_of(layer))
        self._follow(_viewer_of(layer))
        message = watch.protect(empty=empty, at_once=at_once, folder=folder)
        if message.facts.odd_classes:
            show_warning(
                f"The names of classes in the metadata of {layer.name!r} are of an unknown form: they are not saved, "
                "but everything that is painted is. Name the classes in the widget Train."
            )
        self._watches[key], self._writers[key] = watch, writer
        writer.put(message)
        self._timer.start()
        self.changed.emit()
        return ""

    def watch_of(self, layer: object) -> LayerWatch | None:
        """Return what watches over `layer`; None if it is not protected."""
        wanted = real(layer)
        return next((watch for watch in self.watches() if watch.layer is wanted), None)

    def watches(self) -> list[LayerWatch]:
        """Return what watches over layers that are still there."""
        return [watch for watch in self._watches.values() if watch.layer is not None]

    def shown(self, path: Path | None = None) -> list[LayerWatch]:
        """Return what watches over layers that are in a viewer; with `path`, those of the session that lies there.

        A script may hold a layer that was taken out, which is then watched over still.
        """
        lists = [layers for known in self._followed if (layers := known()) is not None]
        return [
            watch
            for watch in self.watches()
            if any(watch.layer in layers for layers in lists)
            and (path is None or self._writers[watch.key].path == path)
        ]

    def state(self, watch: LayerWatch) -> LayerState:
        """Return how well a layer is protected."""
        return self._writers[watch.key].states.get(watch.key, LayerState())

    def release(self, layer: Labels) -> None:
        """Protect `layer` no more; what was written stays."""
        watch = self.watch_of(layer)
        if watch is not None:
            watch.collect()
            watch.release()

    # sessions

    def writers(self) -> list[SessionWriter]:
        """Return the writers that are at work, each once."""
        found = dict.fromkeys(self._writers.values())
        if self._current is not None and self._current.alive:
            found.setdefault(self._current)
        return [writer for writer in found if writer.alive]

    def writer_at(self, path: Path) -> SessionWriter | None:
        """Return the writer that has the session at `path` open; None if this napari has not."""
        return next((writer for writer in self.writers() if writer.path == path), None)

    def current_writer(self) -> SessionWriter:
        """Return the writer of the session that newly protected layers go into; begins one if there is none."""
        home = current_home().folder
        if self._current is None or not self._current.alive or self._current.home != home:
            self._current = self._new_writer(None)
        return self._current

    def adopt(self, session: SessionFolder) -> SessionWriter:
        """Go on with a session that is open; new layers go into it too, if there is no other session."""
        writer = self._new_writer(session)
        if self._current is None or self._current.path is None:
            self._current = writer
        return writer

    def _new_writer(self, session: SessionFolder | None) -> SessionWriter:
        barriers = self._barriers

        def want_barrier(number: int) -> None:
            unless_deleted(lambda: barriers.arrived.emit(writer, number))

        writer = SessionWriter(current_home().folder, want_barrier, session)
        return writer

    def command(self, writer: SessionWriter, run: Callable[[SessionWriter], Any], done: Callable[[Any], None]) -> None:
        """Have `run` called in the writer's thread, and then `done` in this one, with its result or its error."""
        self.flush()
        outcomes = self._outcomes

        def tell(outcome: Any) -> None:
            unless_deleted(lambda: outcomes.arrived.emit(done, outcome))

        writer.put(Command(run, tell))

    def flush(self) -> None:
        """Pass everything on to the writers."""
        for watch in list(self._watches.values()):
            watch.look()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write what is left and end all sessions, as when napari closes; doing so twice does no harm."""
        stop_timers(self._timer)
        self.flush()
        end = time.monotonic() + seconds
        writers = self.writers()
        for writer in writers:
            writer.put_if_started(Barrier(LAST_BARRIER))
            writer.close(seconds)
        for writer in writers:
            writer.join(max(0.1, end - time.monotonic()))
        for watch in self._watches.values():
            watch.stop()
        self._watches, self._writers, self._current = {}, {}, None
        for layers in [known() for known in self._followed]:
            if layers is not None:
                layers.events.removed.disconnect(self._taken_out)
                layers.events.inserted.disconnect(self._put_back)
        self._followed = []

    # what happens by itself

    def _answer(self, writer: SessionWriter, number: int) -> None:
        self.flush()
        if writer.alive:
            writer.put(Barrier(number))

    def _pass_on(self, done: Callable[[Any], None], outcome: Any) -> None:
        done(outcome)

    def _tick(self) -> None:
        for writer in self.writers():
            writer.seen = time.monotonic()
        for watch in self.watches():
            watch.put_at(_place_of(watch.layer))
            self._follow(_viewer_of(watch.layer))
        self.flush()
        self._drop_the_gone()
        self._tell_problems()
        self._picture()
        seen = {watch.key for watch in self.shown()}
        shown = [
            (key, watch.why_stopped, self._writers[key].states.get(key), key in seen)
            for key, watch in self._watches.items()
        ]
        if shown != self._shown:
            self._shown = shown
            self.changed.emit()
        if not self._watches:
            self._timer.stop()

    def _follow(self, viewer: Any) -> None:
        """Notice from now on what a person takes out of `viewer`, or puts back."""
        layers = viewer.layers if viewer is not None else None
        if layers is None or any(known() is layers for known in self._followed):
            return
        self._followed = [known for known in self._followed if known() is not None] + [weakref.ref(layers)]
        layers.events.removed.connect(self._taken_out)
        layers.events.inserted.connect(self._put_back)

    def _taken_out(self, event: Any) -> None:
        watch = self.watch_of(event.value)
        if watch is not None:
            watch.put_out(removed=True)

    def _put_back(self, event: Any) -> None:
        watch = self.watch_of(event.value)
        if watch is not None:
            watch.put_out(removed=False)

    def _drop_the_gone(self) -> None:
        """Forget layers that are gone once their writers have done with them, and end sessions without layers."""
        for key, watch in list(self._watches.items()):
            if (watch.layer is None or watch.why_stopped) and key not in self._writers[key].states:
                del self._watches[key]
        for writer in self.writers():
            if writer.started and not any(self._writers[key] is writer for key in self._watches):
                writer.close()
        self._writers = {key: writer for key, writer in self._writers.items() if key in self._watches}

    def _tell_problems(self) -> None:
        for key, watch in self._watches.items():
            state = self._writers[key].states.get(key, LayerState())
            problem = state.problem
            if not problem and state.moved_to is not None:
                problem = f"Its folder was removed: it is written again, to {state.moved_to}."
            layer = watch.layer
            if problem and self._told.get(key) != problem:
                name = layer.name if layer is not None else "a deleted layer"
                show_warning(f"What is painted in {name!r} could not be saved. {problem}")
            self._told[key] = problem

    def _picture(self) -> None:
        """Give the sessions a picture now and then, when nobody is painting."""
        now = time.monotonic()
        painted = [watch for watch in self.watches() if watch.changed is not None]
        if not painted or now - self._pictured < PICTURE_SECONDS:
            return
        watch = max(painted, key=lambda watch: watch.changed or 0.0)
        assert watch.changed is not None
        layer = watch.layer
        viewer = _viewer_of(layer)
        if now - watch.changed < 1.0 or watch.changed < self._pictured or viewer is None or layer is None:
            return
        self._pictured = now
        picture = picture_of(viewer, layer, annotated_image(layer, list(viewer.layers)))
        if picture is not None:
            self._writers[watch.key].put(Pictured(picture))


def _viewer_of(layer: Layer | None) -> Any:
    """Return the viewer that shows `layer`; None if none does."""
    if layer is None:
        return None
    viewer = napari.current_viewer()
    return viewer if viewer is not None and layer in viewer.layers else None


def _place_of(layer: Layer | None) -> int | None:
    viewer = _viewer_of(layer)
    return viewer.layers.index(layer) if viewer is not None else None


def _layers_beside(layer: Layer) -> list[Layer]:
    viewer = _viewer_of(layer)
    return [other for other in viewer.layers if isinstance(other, Image)] if viewer is not None else []


_shared: Journal | None = None


def shared_journal() -> Journal:
    """Return the one journal of this napari; made when first asked for, closed when the application quits."""
    global _shared  # noqa: PLW0603  one per process, as there is one QApplication
    if _shared is None:
        _shared = Journal()
        atexit.unregister(_close_shared)
        atexit.register(_close_shared)  # a script may end without ever having run Qt's event loop
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(_shared.close)
    return _shared


def _close_shared() -> None:
    if _shared is not None:
        _shared.close()
