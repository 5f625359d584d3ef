"""Where the plugin keeps its files: journals, models, predictions, the worker's log, scratch space of running jobs."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import platformdirs
import psutil

from napari_tessera.config.model import HEADER_FILE
from napari_tessera.core.paths import expand_home
from napari_tessera.io.journal.naming import file_name, free_name
from napari_tessera.io.journal.session_folder import SESSIONS
from napari_tessera.io.partial import partial_of
from napari_tessera.napari_plugin.preferences import preferred

__all__ = ["HOME_VARIABLE", "Home", "changed", "current_home", "file_name", "next_name", "worker_log"]

_NUMBERED = re.compile(r"(.*\S) (\d{1,3})")
HOME_VARIABLE = "NAPARI_TESSERA_HOME"
"""Environment variable that names another folder."""


@dataclass(frozen=True)
class Home:
    """The folder of everything that the plugin keeps: what all sessions share, and the journals of each.

    Attributes
    ----------
    folder
        Holds everything else; made when first needed.
    """

    folder: Path

    @property
    def models(self) -> Path:
        """One folder per trained model."""
        return self.folder / "models"

    @property
    def predictions(self) -> Path:
        """One file or zarr store per prediction."""
        return self.folder / "predictions"

    @property
    def sessions(self) -> Path:
        """One folder per annotation effort, written while someone paints (`io/journal`)."""
        return self.folder / SESSIONS

    @property
    def compiled(self) -> Path:
        """Notes on what has been compiled for this person on this computer."""
        return self.folder / "compiled"

    @property
    def log(self) -> Path:
        """What the worker writes to standard error."""
        return self.folder / "log.txt"

    def model_folders(self) -> list[Path]:
        """Return the folders that hold a model that can predict, the last changed first."""
        headers = [(header, changed(header)) for header in self.models.glob(f"[!.]*/{HEADER_FILE}")]
        return [header.parent for header, _ in sorted(headers, key=lambda entry: entry[1], reverse=True)]

    def free_model_name(self, name: str) -> str:
        """Return `name`, or the next free of ``name 2``, ``name 3``, … if there is such a model."""
        return next_name(name, lambda candidate: (self.models / candidate).exists())

    def prediction_path(self, name: str, suffix: str) -> Path:
        """Return a path in `predictions` that is not taken, for a result called `name`."""
        self.predictions.mkdir(parents=True, exist_ok=True)
        stem = file_name(name)

        def taken(candidate: str) -> bool:
            path = self.predictions / f"{candidate}{suffix}"
            return path.exists() or partial_of(path).exists()  # what a cancelled one left may be shown in a layer

        return self.predictions / f"{free_name(stem, taken)}{suffix}"

    def make_scratch(self) -> Path:
        """Return a new empty folder for the inputs of one job; whoever asked for it removes it."""
        parent = self.folder / "scratch"
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.iterdir():
            owner = left.name.partition("-")[0]
            if owner.isdigit() and not psutil.pid_exists(int(owner)):
                shutil.rmtree(left, ignore_errors=True)  # of a napari that was killed
        return Path(tempfile.mkdtemp(dir=parent, prefix=f"{os.getpid()}-"))


def current_home() -> Home:
    """Return the home that the widgets work in."""
    home = os.environ.get(HOME_VARIABLE) or _preferred_home()
    return Home(Path(home) if home else platformdirs.user_data_path("napari-tessera", appauthor=False))


@cache
def _preferred_home() -> str:
    """Return the folder of napari's preferences; read once, so that one napari keeps all in one place."""
    home = preferred("files", "home")
    return str(expand_home(home)) if home else ""


def worker_log() -> Path:
    """Return the file for the worker's log."""
    return current_home().log


def next_name(name: str, taken: Callable[[str], bool]) -> str:
    """Return `name`, or the first free one of ``name 2``, ``name 3``, …; after ``name 3`` comes ``name 4``."""
    if not taken(name):
        return name
    numbered = _NUMBERED.fullmatch(name)
    stem, number = (numbered[1], int(numbered[2]) + 1) if numbered else (name, 2)
    while taken(f"{stem} {number}"):
        number += 1
    return f"{stem} {number}"


def changed(path: Path) -> float:
    """Return when a file was changed; 0 if there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
