"""What a run over a folder of images has finished, so that one that was ended early goes on where it stopped.

It stands in a hidden file beside the results, which goes once all images are done.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from napari_tessera.config.recipe import Recipe
from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.paths import expand_home
from napari_tessera.core.version import __version__
from napari_tessera.pipeline.requests import InputFile, RecipeRequest
from napari_tessera.pipeline.running.resuming import state_of

NAME = ".tessera-run.json"

_LARGEST = 64 << 20
"""A file of more bytes is none of ours."""

Finished = Mapping[str, str]
"""The name of each image that is done, and the state that it was in (`state_of`)."""


@dataclass(frozen=True)
class Noted:
    """How far an earlier run came.

    Attributes
    ----------
    finished
        Images that are done.
    begun
        Names of images that are not, and may have left something in the place of their results.
    """

    finished: Finished = field(default_factory=dict)
    begun: frozenset[str] = frozenset()


def work_of(recipe: Recipe, request: RecipeRequest) -> str:
    """Return a digest of all that results depend on besides the image."""
    paths = [given.path if isinstance(given, InputFile) else given for given in request.inputs.values()]
    described = {
        "recipe": recipe.model_dump(mode="json"),
        "inputs": {name: str(given) for name, given in request.inputs.items()},
        "states": [state_of(expand_home(path)) for path in paths],
        "image": request.image.model_dump(mode="json", exclude={"path"}),
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def read_noted(folder: Path, work: str) -> Noted:
    """Return what `note` has noted for the same `work`; nothing if that is not there or cannot be read."""
    path = folder / NAME
    with suppress(OSError, ValueError, RecursionError, AttributeError, KeyError):
        if path.is_file() and path.stat().st_size <= _LARGEST:
            noted = json.loads(path.read_text(encoding="utf-8"))
            if noted.get("work") == work:
                finished = {str(name): str(state) for name, state in noted["finished"].items()}
                begun = noted.get("begun")
                return Noted(finished, frozenset(map(str, begun if isinstance(begun, list) else ())))
    return Noted()


def note(folder: Path | None, work: str, noted: Noted) -> None:
    """Note which images are done and which are begun; nothing where there is no folder of images."""
    if folder is None:
        return
    fields = {"kind": "tessera-run", "schema": 1, "work": work}
    content = json.dumps({**fields, "finished": dict(noted.finished), "begun": sorted(noted.begun)}, indent=1)
    write_atomically(folder / NAME, content.encode())


def forget_finished(folder: Path | None) -> None:
    """Remove the note: all is done."""
    if folder is None:
        return
    with suppress(OSError):
        (folder / NAME).unlink(missing_ok=True)
