"""The thread that writes what is painted: one per session. The GUI thread only puts messages into a queue."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_tessera.config.session import SESSION_FILE, LayerHeader
from napari_tessera.core.errors import TesseraError
from napari_tessera.io.journal.session_folder import SessionFolder
from napari_tessera.io.journal.sessions import remember_session
from napari_tessera.io.journal.writer import JournalWriter
from napari_tessera.napari_plugin.journal.layer_journal import LayerJournal
from napari_tessera.napari_plugin.journal.messages import (
    Barrier,
    Changed,
    Command,
    Gone,
    Key,
    Message,
    Pictured,
    Protect,
)
from napari_tessera.pipeline.failures import describe_error

PAUSE_SECONDS = 0.05
"""A stroke is written when nothing has come for so long …"""
LONGEST_WAIT_SECONDS = 0.3
"""… or, where strokes follow each other without a pause, after so long."""
IDLE_SECONDS = 1.0
"""Nobody has painted for so long: time to look for changes that nobody told, and to fold the log."""
AT_EASE_SECONDS = 0.3
"""A GUI thread that has not shown itself for so long is busy: showing a large layer, most likely."""
SLICE_SECONDS = 0.03
"""Background work looks at the queue so often …"""
COPY_SECONDS = 0.1
"""… and while an array is copied, so often."""
RETRY_SECONDS = 2.0
"""After an error it is tried again so often."""
CLOSE_SECONDS = 5.0
"""Closing napari waits no longer than this for the disk."""


@dataclass(frozen=True)
class LayerState:
    """How well a layer is protected.

    Attributes
    ----------
    saved
        When everything that was told had reached the disk, in seconds since 1970; None if nothing was told yet.
    unsaved
        Whether there is something that has not.
    problem
        Why it has not, as a sentence; empty if it is on its way.
    folder
        The layer's journal; None if there is none yet.
    moved_to
        Where it was begun anew because its folder was gone; None if it was not.
    """

    saved: float | None = None
    unsaved: bool = False
    problem: str = ""
    folder: Path | None = None
    moved_to: Path | None = None


class SessionWriter:
    """Writes the layers of one session, in a thread of its own that begins with the first message.

    Attributes
    ----------
    states
        How well each layer is protected; replaced as a whole, so any thread may read it.
    path
        Of the session's folder; None until something is written.
    started
        Whether it has been given anything.
    seen
        When the GUI thread last had time for its timers, on the monotonic clock; it sets this itself.

    Parameters
    ----------
    home
        Where a new session is to lie.
    want_barrier
        Called in the writer's thread: the GUI thread is to put a `Barrier` of that number, soon.
    session
        One that is open already; None begins a new one when there is something to write.
    """

    def __init__(self, home: Path, want_barrier: Callable[[int], None], session: SessionFolder | None = None) -> None:
        self.states: Mapping[Key, LayerState] = {}
        self.path: Path | None = session.path if session is not None else None
        self.home = home
        self.started = False
        self.seen = 0.0
        self._want_barrier = want_barrier
        self._session = session
        self._messages: deque[Message] = deque()
        self._arrived = threading.Event()
        self._journals: dict[Key, LayerJournal] = {}
        self._problems: dict[Key, tuple[Callable[..., Any], str]] = {}  # what failed, and why
        self._retry: dict[Key, float] = {}
        self._asked = self._passed = 0
        self._last_put = self._first_put = 0.0
        self._painted = 0.0
        self._closing = threading.Event()
        self._hurry = 0.0
        self._more = False
        self._put = self._taken = self._shown = 0  # messages: those that came, were handled, and show in the states
        self._picture: NDArray[Any] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="tessera-journal")

    # called by the GUI thread

    def put(self, message: Message) -> None:
        """Take a message; costs a few microseconds."""
        self._put += 1
        self._messages.append(message)
        if isinstance(message, Changed):
            self._painted = time.monotonic()
        if not self._arrived.is_set():
            self._arrived.set()
        if not self.started:
            self.started = True
            self._thread.start()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write what is left, note that all is well, and end; `join` waits for it.

        Parameters
        ----------
        seconds
            How long arrays that are still being copied, or a disk that refuses, are waited for.
        """
        self._hurry = time.monotonic() + seconds
        self._closing.set()
        self._arrived.set()
        if not self.started and self._session is not None:
            _close_quietly(self._session)

    def put_if_started(self, message: Message) -> None:
        """Take a message if there was one before."""
        if self.started:
            self.put(message)

    def join(self, seconds: float) -> bool:
        """Wait for the end after `close`; return whether it has come."""
        if self.started:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether messages are still taken."""
        return not self._closing.is_set()

    @property
    def up_to_date(self) -> bool:
        """Whether `states` tell of everything that was put."""
        return self._shown == self._put

    # opening journals, for `LayerJournal`

    def create_layer(self, header: LayerHeader, base: NDArray[Any] | None, *, private: bool) -> JournalWriter:
        """Begin the journal of a layer, and the session if there is none."""
        return self._open_session().create_layer(header, base, private=private)

    def open_layer(self, folder: Path) -> JournalWriter:
        """Go on with the journal of a layer."""
        return self._open_session().open_layer(folder)

    def _open_session(self) -> SessionFolder:
        if self._session is not None and not (self._session.path / SESSION_FILE).is_file():
            gone, self._session = self._session, None  # somebody removed it
            _close_quietly(gone)
        if self._session is None:
            self._session = SessionFolder.create(self.home)
            self.path = self._session.path
        return self._session

    # commands that the panel sends

    def rename(self, name: str) -> None:
        """Give the session a name."""
        self._open_session().rename(name)

    def move(self, target: Path) -> Path:
        """Move the session to another place, and go on there."""
        session = self._open_session()
        for journal in self._journals.values():
            journal.drop_writer()
        before = session.path
        remember_session(self.home, target)  # before: a crash in between leaves it listed
        session.move(target)
        self.path = session.path
        for journal in self._journals.values():
            if journal.folder is not None and journal.folder.is_relative_to(before):
                journal.folder = session.path / journal.folder.relative_to(before)
        return session.path

    # the thread

    def _run(self) -> None:
        try:
            self._write_until_closed()
        except Exception as error:  # noqa: BLE001  a thread that ends must say so
            words = describe_error(error, report="what you painted")
            problem = f"Saving has ended. {words} Save the layer with File ▸ Save Selected Layers."
            self.states = {key: replace(state, unsaved=True, problem=problem) for key, state in self.states.items()}
            self._shown = self._put

    def _write_until_closed(self) -> None:
        while True:
            self._wait()
            closing = self._closing.is_set()
            self._take_messages()
            self._save()
            busy = self._work()
            self._publish()
            if closing and not self._messages and (not busy or time.monotonic() > self._hurry):
                self._end()
                return

    def _wait(self) -> None:
        """Return when there is something to do: messages, after the pause that strokes are collected in, or time."""
        timeout = 0.02 if self._more else 0.25
        if not self._arrived.wait(timeout):
            return
        began = time.monotonic()
        longest = 0.02 if self._more else LONGEST_WAIT_SECONDS
        while not self._closing.is_set():
            now = time.monotonic()
            if now - self._painted >= PAUSE_SECONDS or now - began >= longest:
                break
            time.sleep(0.01)
        self._arrived.clear()

    def _take_messages(self) -> None:
        while self._messages:
            message = self._messages.popleft()
            self._taken += 1
            match message:
                case Barrier():
                    self._passed = max(self._passed, message.number)
                case Protect():
                    self._journals[message.key] = LayerJournal(message, self)
                case Gone():
                    journal = self._journals.get(message.key)
                    if journal is not None:
                        journal.leaving = True
                case Command():
                    self._save()
                    message.done(_outcome(lambda message=message: message.run(self)))  # type: ignore[misc]
                case Pictured():
                    self._picture = message.picture
                case _:
                    journal = self._journals.get(message.key)
                    if journal is not None:
                        journal.take(message)
                        self._make_way()

    def _make_way(self) -> None:
        """Let the GUI thread have the interpreter now, rather than when it has waited for as long as Python allows."""
        if not self._closing.is_set():
            time.sleep(0.001)

    def _save(self) -> None:
        for key, journal in self._journals.items():
            self._attempt(key, journal.save)
        if self._picture is not None and self._session is not None:
            picture, self._picture = self._picture, None
            try:
                self._session.set_thumbnail(picture)
            except TesseraError:
                return  # a picture is not worth a message: the next one comes in a while

    def _work(self) -> bool:
        """Do a slice of background work; return whether there is more."""
        now = time.monotonic()
        at_ease = now - self._painted > IDLE_SECONDS and now - self.seen < AT_EASE_SECONDS
        idle = at_ease and not self._closing.is_set()
        more = False
        for key, journal in list(self._journals.items()):
            self._attempt(key, journal.check_folder, now)
            copying = self._attempt(key, journal.copy, _after(COPY_SECONDS), self._ask, self._passed)
            more |= bool(copying) or journal.base_pending
            if idle:
                stop = self._disturbed(SLICE_SECONDS)
                looking = self._attempt(key, journal.look, stop, self._ask, self._passed)
                folding = self._attempt(key, journal.compact, now, stop)
                more |= bool(looking) or bool(folding)
            if journal.leaving and not journal.unsaved:
                self._forget(key)
        self._more = more
        return more

    def _disturbed(self, seconds: float) -> Callable[[], bool]:
        end = time.monotonic() + seconds
        return lambda: self._arrived.is_set() or time.monotonic() > end

    def _ask(self) -> int:
        self._asked += 1
        self._want_barrier(self._asked)
        return self._asked

    def _attempt(self, key: Key, what: Callable[..., Any], *arguments: Any) -> Any:
        """Do something with a journal; if the disk does not allow it, note why and when to try again."""
        now = time.monotonic()
        if now < self._retry.get(key, 0.0) and not self._closing.is_set():
            return None
        try:
            result = what(*arguments)
        except (TesseraError, OSError, MemoryError) as error:
            self._problems[key] = (what, str(error) or describe_error(error))
            self._retry[key] = now + RETRY_SECONDS
            return None
        failed, _ = self._problems.get(key, (None, ""))
        if failed == what and not result and not self._journals[key].unsaved:
            del self._problems[key]  # what failed is done: if less were enough, it would be told again and again
        return result

    def _forget(self, key: Key) -> None:
        journal = self._journals.pop(key, None)
        if journal is None:
            return
        self._journals[key] = journal
        self._attempt(key, journal.close)
        del self._journals[key]
        self._problems.pop(key, None)

    def _problem(self, key: Key) -> str:
        return self._problems[key][1] if key in self._problems else ""

    def _publish(self) -> None:
        states = {
            key: LayerState(journal.saved, journal.unsaved, self._problem(key), journal.folder, journal.moved_to)
            for key, journal in self._journals.items()
        }
        if states != self.states:
            self.states = states
        self._shown = self._taken

    def _end(self) -> None:
        for key in list(self._journals):
            self._forget(key)
        if self._session is not None:
            _close_quietly(self._session)


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _outcome(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except (TesseraError, OSError) as error:
        return error


def _close_quietly(session: SessionFolder) -> None:
    try:
        session.close()
    except (TesseraError, OSError):
        return  # the disk is full or gone: what could be written is written, and the session counts as not closed
