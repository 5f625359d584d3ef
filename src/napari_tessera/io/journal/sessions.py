"""The sessions that there are, with what a person needs to know them again."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from napari_tessera.config.session import LAYER_FILE, SESSION_FILE, LayerSpec, SessionList, SessionSpec, is_removed
from napari_tessera.core.errors import MissingInputError, TesseraError
from napari_tessera.core.paths import expand_home
from napari_tessera.io.journal.disk import Disk
from napari_tessera.io.journal.segments import glance
from napari_tessera.io.journal.session_folder import SESSIONS, THUMBNAIL_FILE, layer_folders
from napari_tessera.io.journal.session_lock import Holder, SessionLock, find_holder
from napari_tessera.io.journal.state import save_spec
from napari_tessera.io.writing import writing

T = TypeVar("T")

_log = logging.getLogger(__name__)

LAST_MOMENT = 253_370_764_800.0
"""Beginning of the year 9999, in seconds since 1970: no calendar goes further."""

_ELSEWHERE = "sessions.yaml"
_REMOVED = ".removed"
"""How the name of a session's folder ends once a person has had it removed."""


@dataclass(frozen=True)
class LayerSummary:
    """A journalled layer.

    Attributes
    ----------
    folder
        For `recover`.
    image_name, layer_name, shape
        What it is.
    time
        Of its last change, in seconds since 1970.
    replaced
        When it got another array that was not written as a whole: what there was before it is what there is. None if
        nothing of that kind happened.
    removed
        Whether a person took it out of the viewer on purpose.
    """

    folder: Path
    image_name: str
    layer_name: str
    shape: tuple[int, ...]
    time: float
    replaced: float | None = None
    removed: bool = False


@dataclass(frozen=True)
class SessionSummary:
    """A session, as a list shows it.

    Attributes
    ----------
    path
        Of its folder.
    name
        As the person called it; empty if nobody has named it.
    time
        Of the last change to any of its layers, in seconds since 1970.
    thumbnail
        A PNG, or None.
    layers
        What is journalled in it.
    open_elsewhere
        The process that has it open (it may be this one), or None.
    closed
        False if the program that wrote it ended before it could close it.
    problem
        What cannot be read of it, as a sentence; None if all can.
    damaged
        Number of layers that cannot be read; the others can be opened all the same.
    readable
        Whether it can be opened: what is known of the session itself is not damaged.
    """

    path: Path
    name: str
    time: float
    thumbnail: Path | None
    layers: tuple[LayerSummary, ...]
    open_elsewhere: Holder | None
    closed: bool
    problem: str | None
    damaged: int = 0
    readable: bool = True

    @property
    def image_names(self) -> tuple[str, ...]:
        """Names of the images that were annotated, each once."""
        return tuple(dict.fromkeys(layer.image_name for layer in self.layers))

    @property
    def unsaved(self) -> bool:
        """Whether a crash left annotation here that is to be offered to the person."""
        return not self.closed and self.open_elsewhere is None and self.readable and bool(self.kept)

    @property
    def kept(self) -> tuple[LayerSummary, ...]:
        """The layers that were in the viewer in the end: not those that a person had removed."""
        return tuple(layer for layer in self.layers if not layer.removed)


def find_sessions(home: Path) -> list[SessionSummary]:
    """Return the sessions in `home` and those that were moved or opened elsewhere, the last changed first.

    Nothing is changed or locked. A session that cannot be read is listed with the reason.
    """
    paths = sorted((home / SESSIONS).glob("[!.]*"))  # a dot: half moved, or half removed
    known = {path.resolve(): path for path in paths if _holds_anything(path)}
    for path in _elsewhere(home):
        if _is_session(path):
            known.setdefault(path.resolve(), path)
    return sorted((summarize(path) for path in known.values()), key=lambda session: session.time, reverse=True)


def summarize(path: Path) -> SessionSummary:
    """Return what there is to say about the session at `path`, without changing it.

    Whatever its folder holds becomes a problem of this session, or of one layer in it.
    """
    spec, problem = _judged(path, lambda: SessionSpec.load(path / SESSION_FILE))
    readable = spec is not None
    spec = spec or SessionSpec(created="", package_version="")
    layers, damaged = [], 0
    for folder in layer_folders(path):
        layer, why = _judged(folder, partial(_summarize_layer, folder))
        if layer is not None:
            layers.append(layer)
        else:
            problem, damaged = problem or why, damaged + 1
    begun = _seconds(spec.created)
    thumbnail = path / THUMBNAIL_FILE
    return SessionSummary(
        path=path,
        name=spec.name,
        time=max((layer.time for layer in layers), default=begun),
        thumbnail=thumbnail if thumbnail.is_file() else None,
        layers=tuple(layers),
        open_elsewhere=find_holder(path),
        closed=spec.closed,
        problem=problem,
        damaged=damaged,
        readable=readable,
    )


def _judged(path: Path, read: Callable[[], T]) -> tuple[T | None, str | None]:
    """Return what was read, or a sentence about why it could not be."""
    try:
        return read(), None
    except TesseraError as error:
        return None, str(error)
    except Exception:  # noqa: BLE001  the outermost boundary: one session must never hide the others
        _log.exception("%s cannot be read", path)
        return None, f"{path} is not as napari-tessera wrote it: move it elsewhere, or restore it from a backup."


def _seconds(moment: str) -> float:
    """Return a time of ISO 8601 in seconds since 1970; 0 if it is none."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _summarize_layer(folder: Path) -> LayerSummary:
    spec = LayerSpec.load(folder / LAYER_FILE)
    log = glance(folder, spec.folded)
    image, layer = (str(log.changes.get(name, getattr(spec.header, name))) for name in ("image_name", "layer_name"))
    time = min(max(spec.changed, log.time), LAST_MOMENT)
    removed = is_removed(log.changes.get("extra", spec.header.extra))
    return LayerSummary(folder, image, layer, spec.header.shape, time, log.replaced, removed)


def remember_session(home: Path, path: Path) -> None:
    """List the session at `path`, which lies elsewhere, among those of `home`; sessions that are gone are left out."""
    path = expand_home(path).absolute()
    known = [entry for entry in _elsewhere(home) if _is_session(entry) and entry != path]
    if path.parent != home / SESSIONS:
        known.append(path)
    disk = Disk()
    with writing(home):
        disk.make_folder(home)
    save_spec(SessionList(paths=tuple(map(str, known))), home / _ELSEWHERE, disk)


def remove_session(path: Path) -> None:
    """Remove a session with everything in its folder, because the person said so.

    Raises
    ------
    MissingInputError
        If there is none.
    SessionTakenError
        If somebody has it open.
    StorageError
        If it cannot be removed.
    """
    if not _holds_anything(path):
        raise MissingInputError(f"There is no session {path}: it may have been moved or removed already.")
    SessionLock(path).release()
    with writing(path):
        gone = _removed(path)
        shutil.rmtree(gone, ignore_errors=True)
        path.rename(gone)
        try:
            shutil.rmtree(gone)
        except FileNotFoundError:
            shutil.rmtree(gone, ignore_errors=True)  # another napari that has just started removes it as well


def remove_leftovers(home: Path) -> None:
    """Go on with the removal of sessions that a program which died had begun to remove."""
    known = [_removed(path) for path in _elsewhere(home)]
    for gone in (*(home / SESSIONS).glob(f".*{_REMOVED}"), *known):
        if gone.is_dir() and not gone.is_symlink():
            shutil.rmtree(gone, ignore_errors=True)


def _is_session(path: Path) -> bool:
    """Whether there is a session at `path`; one that may not be looked into counts, so that it is listed with why."""
    try:
        return (path / SESSION_FILE).is_file()
    except OSError:
        return True


def _holds_anything(path: Path) -> bool:
    """Whether there is a session at `path`, or annotation of one whose own file was lost."""
    return (path / SESSION_FILE).exists() or bool(layer_folders(path))


def _removed(path: Path) -> Path:
    return path.with_name(f".{path.name}{_REMOVED}")


def _elsewhere(home: Path) -> list[Path]:
    try:
        return [Path(path) for path in SessionList.load(home / _ELSEWHERE).paths]
    except TesseraError:
        return []
