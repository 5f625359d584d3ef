"""Layers out of sessions: reading them in a thread, adding them to the viewer, going on with their journals."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels
from numpy.typing import NDArray

from napari_tessera.config.session import LayerHeader
from napari_tessera.core.errors import MissingInputError, TesseraError
from napari_tessera.io.journal.recovery import recover
from napari_tessera.io.journal.session_folder import SessionFolder
from napari_tessera.io.journal.sessions import summarize
from napari_tessera.napari_plugin.forms.plain_text import show_warning
from napari_tessera.napari_plugin.journal.describing import PLACE, layer_from
from napari_tessera.napari_plugin.journal.images import open_images
from napari_tessera.napari_plugin.journal.protecting import Journal
from napari_tessera.napari_plugin.journal.telling import missing_words

_log = logging.getLogger(__name__)
MOST_PLACES = 10**6


@dataclass(frozen=True)
class ReadLayer:
    """A layer as it was read from its journal.

    Attributes
    ----------
    folder
        Of the journal.
    warnings
        Sentences about what is damaged or missing.
    whole
        Whether the journal holds all of the array; otherwise it is to be written again.
    """

    folder: Path
    header: LayerHeader
    array: NDArray[Any]
    warnings: tuple[str, ...]
    whole: bool


@dataclass(frozen=True)
class ReadSession:
    """A session that is open now, and what was read from it."""

    session: SessionFolder
    layers: tuple[ReadLayer, ...]
    problems: tuple[str, ...]
    """Why layers could not be read, a sentence each."""

    @property
    def remarks(self) -> list[str]:
        """Everything that a person should know about what is missing, a sentence each."""
        return [*self.problems, *(warning for layer in self.layers for warning in layer.warnings)]


def read_session(path: Path, stop: Callable[[], bool] = lambda: False) -> ReadSession:
    """Open the session at `path` and read its layers; may take long, so it is best done in a thread.

    Layers that a person had taken out of the viewer stay where they are, unless there are no others.

    Raises
    ------
    MissingInputError, InvalidInputError
        If there is no session or a newer version of the program wrote it.
    SessionTakenError
        If another napari has it open.
    StorageError
        If the folder cannot be written.
    """
    known = summarize(path)
    left_out = {layer.folder for layer in known.layers if layer.removed} if known.kept else set()
    session = SessionFolder.open(path)
    layers, problems = [], []
    try:
        for folder in session.layers():
            if stop():
                break
            if folder in left_out:
                continue
            try:
                layers.append(_read_layer(folder))
            except TesseraError as error:
                problems.append(str(error))
            except Exception:  # noqa: BLE001  whatever it is, it must not hide the other layers
                _log.debug("%s cannot be read", folder, exc_info=True)
                problems.append(f"{folder} is not as napari-tessera wrote it: it was left out.")
        if not layers:
            raise MissingInputError(" ".join(problems) or f"No labels were saved in the session {path}: remove it.")
    except BaseException:
        session.close(as_found=True)
        raise
    layers.sort(key=_order)
    return ReadSession(session, tuple(layers), tuple(problems))


def _order(layer: ReadLayer) -> tuple[float, str]:
    """Return what layers are sorted by: their place in the viewer, or else when they were first painted in."""
    place = layer.header.extra.get(PLACE)
    known = float(place) if isinstance(place, int) and abs(place) < MOST_PLACES else float("inf")
    return known, layer.header.created


def _read_layer(folder: Path) -> ReadLayer:
    recovered = recover(folder)
    array = recovered.load()
    warnings = missing_words(recovered)
    kept = recovered.keep_damaged()
    if kept is not None:
        warnings.append(f"What is damaged is kept in {kept}.")
    whole = recovered.complete and not recovered.damage
    return ReadLayer(folder, recovered.header, array, tuple(warnings), whole)


def show_session(viewer: ViewerModel, journal: Journal, read: ReadSession) -> list[Labels]:
    """Add the layers of a session to the viewer and go on with their journals."""
    open_images(viewer, [entry.header for entry in read.layers])
    writer = journal.adopt(read.session)
    layers = []
    for entry in read.layers:
        layer = _layer_of(entry)
        viewer.add_layer(layer)
        journal.protect(layer, folder=entry.folder, writer=writer, at_once=not entry.whole)
        watch = journal.watch_of(layer)
        if watch is not None and not watch.image_name:
            watch.image_name, watch.image_path = entry.header.image_name, entry.header.image_path
        layers.append(layer)
    return layers


def _layer_of(read: ReadLayer) -> Labels:
    """Return the layer; pixels at least, where the rest of its description is nothing that napari takes."""
    try:
        return layer_from(read.header, read.array)
    except Exception:  # noqa: BLE001  what a description says may be anything
        _log.debug("%s is described by what no layer has", read.folder, exc_info=True)
        show_warning(
            f"Colours, place and table of {read.header.layer_name!r} could not be restored: its pixels are all there."
        )
        return Labels(read.array, name=read.header.layer_name)
