"""A model on disk: ``model.yaml``, and the weights that it names, in one folder."""

import errno
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import safetensors
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors

from napari_tessera.config.model import HEADER_FILE, OLD_WEIGHTS_FILE, ModelSpec, load_model_spec
from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.errors import ModelError, StorageError
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.networks.building import build_network
from napari_tessera.nn.weights import check_weights

_WEIGHTS_FILE = re.compile(r"weights(-[0-9a-f]+)?\.safetensors")
_HASH_DIGITS = 16

_TRIES = 4
"""How often a folder is read that is being written: each time it has got another model meanwhile."""


@dataclass(frozen=True)
class Model:
    """A trained network with everything needed to apply it."""

    spec: ModelSpec
    network: Network


def save_model(folder: Path, model: Model) -> ModelSpec:
    """Write `model` into `folder`; until its last step the model that is there can be used, after it the new one.

    The weights get a name of their own, by their hash, and are on the disk before the header names them; what that
    makes needless, and what a program that was killed has left, is removed afterwards.

    Returns
    -------
    ModelSpec
        The header as written, with name and hash of the weights.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written; the model that was there is still there.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.network.state_dict().items()}
    weights = dump_tensors(tensors)
    digest = sha256(weights).hexdigest()
    name = f"weights-{digest[:_HASH_DIGITS]}.safetensors"
    spec = model.spec.model_copy(update={"weights": name, "weights_sha256": digest})
    write_atomically(folder / name, weights, family=folder / OLD_WEIGHTS_FILE)
    spec.save(folder / HEADER_FILE)
    for path in weight_files(folder):
        if path.name != name:
            with suppress(OSError):  # on Windows, while somebody reads it: the next one removes it
                path.unlink()
    return spec


def weight_files(folder: Path) -> Iterator[Path]:
    """Yield all files of weights in a model folder, whether its header names them or not."""
    if folder.is_dir():
        yield from [path for path in folder.iterdir() if _WEIGHTS_FILE.fullmatch(path.name)]


def load_model(folder: Path) -> Model:
    """Read a model folder, check it, and build its network with the trained weights.

    Raises
    ------
    ModelError
        If the folder is missing, not ours, of a newer schema, or damaged.
    StorageError
        If the weights cannot be read.
    """
    spec = load_model_spec(folder)
    for _ in range(_TRIES):
        try:
            return _load(folder, spec)
        except (ModelError, StorageError):
            found = load_model_spec(folder)
            if found == spec:
                raise
            spec = found  # its training has gone on meanwhile, and has removed the weights of before
    return _load(folder, spec)


def _load(folder: Path, spec: ModelSpec) -> Model:
    path = folder / spec.weights
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "it is no ordinary file")
        weights = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"The model {folder} has no {spec.weights}: copy the whole folder again.") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    damaged = (
        f"The weights of the model {folder} are damaged, or those of another training: continue its training, or copy "
        "the whole folder again."
    )
    if sha256(weights).hexdigest() != spec.weights_sha256:
        raise ModelError(damaged)
    try:
        tensors = load_tensors(weights)
        check_weights(tensors, spec, str(folder))
        network = build_network(spec.network, channels=spec.channels, outputs=spec.outputs)
        network.load_state_dict(tensors)
    except (RuntimeError, KeyError, safetensors.SafetensorError) as error:
        raise ModelError(damaged) from error
    return Model(spec, network.eval())
