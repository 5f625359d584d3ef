"""The sessions that there are, with what a person needs to know them again."""

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from napari_tessera.config.session import LAYER_FILE, SESSION_FILE, LayerSpec, SessionList, SessionSpec
from napari_tessera.core.errors import InvalidInputError, MissingInputError, TesseraError
from napari_tessera.core.paths import expand_home
from napari_tessera.io.journal.disk import Disk
from napari_tessera.io.journal.segments import glance
from napari_tessera.io.journal.session_folder import SESSIONS, THUMBNAIL_FILE, layer_folders
from napari_tessera.io.journal.session_lock import Holder, SessionLock, find_holder
from napari_tessera.io.journal.state import save_spec
from napari_tessera.io.writing import writing

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
    """

    folder: Path
    image_name: str
    layer_name: str
    shape: tuple[int, ...]
    time: float
    replaced: float | None = None


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
        Why it cannot be opened, as a sentence; None if it can.
    """

    path: Path
    name: str
    time: float
    thumbnail: Path | None
    layers: tuple[LayerSummary, ...]
    open_elsewhere: Holder | None
    closed: bool
    problem: str | None

    @property
    def image_names(self) -> tuple[str, ...]:
        """Names of the images that were annotated, each once."""
        return tuple(dict.fromkeys(layer.image_name for layer in self.layers))

    @property
    def unsaved(self) -> bool:
        """Whether a crash left annotation here that is to be offered to the person."""
        return not self.closed and self.open_elsewhere is None and self.problem is None and bool(self.layers)


def find_sessions(home: Path) -> list[SessionSummary]:
    """Return the sessions in `home` and those that were moved or opened elsewhere, the last changed first.

    Nothing is changed or locked. A session that cannot be read is listed with the reason.
    """
    paths = sorted((home / SESSIONS).glob(f"[!.]*/{SESSION_FILE}"))  # a dot: half moved, or half removed
    known = {path.parent.resolve(): path.parent for path in paths}
    for path in _elsewhere(home):
        if (path / SESSION_FILE).is_file():
            known.setdefault(path.resolve(), path)
    return sorted((summarize(path) for path in known.values()), key=lambda session: session.time, reverse=True)


def summarize(path: Path) -> SessionSummary:
    """Return what there is to say about the session at `path`, without changing it."""
    problem: str | None = None
    try:
        spec = SessionSpec.load(path / SESSION_FILE)
        begun = datetime.fromisoformat(spec.created).timestamp()
    except TesseraError as error:
        spec, problem, begun = SessionSpec(created="", package_version=""), str(error), 0.0
    except ValueError:
        begun = 0.0
    layers = []
    for folder in layer_folders(path):
        try:
            layers.append(_summarize_layer(folder))
        except TesseraError as error:
            problem = problem or str(error)
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
    )


def _summarize_layer(folder: Path) -> LayerSummary:
    spec = LayerSpec.load(folder / LAYER_FILE)
    log = glance(folder, spec.folded)
    image, layer = (str(log.changes.get(name, getattr(spec.header, name))) for name in ("image_name", "layer_name"))
    return LayerSummary(folder, image, layer, spec.header.shape, max(spec.changed, log.time), log.replaced)


def remember_session(home: Path, path: Path) -> None:
    """List the session at `path`, which lies elsewhere, among those of `home`; sessions that are gone are left out."""
    path = expand_home(path).absolute()
    known = [entry for entry in _elsewhere(home) if (entry / SESSION_FILE).is_file() and entry != path]
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
    if not (path / SESSION_FILE).is_file():
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


def _removed(path: Path) -> Path:
    return path.with_name(f".{path.name}{_REMOVED}")


def _elsewhere(home: Path) -> list[Path]:
    try:
        return [Path(path) for path in SessionList.load(home / _ELSEWHERE).paths]
    except (MissingInputError, InvalidInputError):
        return []
