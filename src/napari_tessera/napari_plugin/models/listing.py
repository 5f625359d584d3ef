"""Which models there are, with what a person needs to know them again; a training that has only begun is one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_tessera.config.model import CHECKPOINT_FILE, HEADER_FILE, ModelSpec, load_model_spec
from napari_tessera.core.errors import TesseraError
from napari_tessera.io.folder_lock import find_holder
from napari_tessera.napari_plugin.home import changed


@dataclass(frozen=True)
class ModelEntry:
    """A model folder.

    Attributes
    ----------
    folder
        Where it lies; its name is what a person calls it.
    time
        Of the last change, in seconds since 1970.
    spec
        What its header says; None if there is none yet, or it cannot be read.
    problem
        Why its header cannot be read, as a sentence; empty if it can, or if there is none.
    begun
        Whether there is a checkpoint, so that its training can go on.
    training
        Whether a training writes into it now.
    """

    folder: Path
    time: float
    spec: ModelSpec | None
    problem: str
    begun: bool
    training: bool

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.folder.name

    @property
    def why_not_continued(self) -> str:
        """Why its training cannot go on, as a sentence; empty if it can."""
        if self.training:
            return "It is being trained just now."
        if not self.begun:
            return "It has no checkpoint to go on from, as a model that was copied without it: it can only predict."
        return ""

    @property
    def state(self) -> str:
        """What became of its training, in a few words."""
        if self.training:
            return "being trained"
        if self.problem:
            return self.problem
        if self.spec is None:
            return "begun, nothing learnt yet"
        if self.spec.finished:
            return "trained"
        return "stopped early" if self.spec.cancelled else "not at its end yet"


def list_models(models: Path) -> list[ModelEntry]:
    """Return what lies in the folder `models`, the last changed first; what cannot be read is listed with why."""
    found = []
    try:
        folders = [path for path in models.iterdir() if not path.name.startswith(".") and path.is_dir()]
    except OSError:
        return []
    for folder in folders:
        entry = read_entry(folder)
        if entry is not None:
            found.append(entry)
    return sorted(found, key=lambda entry: entry.time, reverse=True)


def read_entry(folder: Path) -> ModelEntry | None:
    """Return what there is to say about a folder; None if it is no model and none has begun in it."""
    header, checkpoint = folder / HEADER_FILE, folder / CHECKPOINT_FILE
    times = [changed(path) for path in (header, checkpoint)]
    if not any(times):
        return None
    spec, problem = None, ""
    if times[0]:
        try:
            spec = load_model_spec(folder)
        except TesseraError as error:
            problem = str(error)
    return ModelEntry(folder, max(times), spec, problem, bool(times[1]), find_holder(folder) is not None)


def fixed_settings(folder: Path) -> dict[str, Any]:
    """Return the settings that cannot change when the training in `folder` goes on, whatever a form says."""
    entry = read_entry(folder)
    if entry is None or entry.spec is None:
        return {}
    training = entry.spec.training
    fixed = {"network": training.network, "data.intensity": training.data.intensity}
    return {name: settings.model_dump(mode="json") for name, settings in fixed.items()}
