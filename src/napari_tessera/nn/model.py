"""A model on disk: ``model.yaml`` and ``weights.safetensors`` in one folder."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import safetensors
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors

from napari_tessera.config.files import write_atomically
from napari_tessera.config.model import HEADER_FILE, ModelSpec, load_model_spec
from napari_tessera.core.errors import ModelError, StorageError
from napari_tessera.nn.networks import build_network
from napari_tessera.nn.unet import UNet
from napari_tessera.nn.weights import check_weights

WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True)
class Model:
    """A trained network with everything needed to apply it."""

    spec: ModelSpec
    network: UNet


def save_model(folder: Path, model: Model) -> ModelSpec:
    """Write `model` into `folder`, weights first, so that a header never stands without them.

    Returns
    -------
    ModelSpec
        The header as written, with the hash of the weights.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.network.state_dict().items()}
    weights = dump_tensors(tensors)
    spec = model.spec.model_copy(update={"weights_sha256": sha256(weights).hexdigest()})
    write_atomically(folder / WEIGHTS_FILE, weights)
    spec.save(folder / HEADER_FILE)
    return spec


def load_model(folder: Path) -> Model:
    """Read a model folder, check it, and build its network with the trained weights.

    Raises
    ------
    ModelError
        If the folder is missing, not ours, of a newer schema, or damaged.
    """
    spec = load_model_spec(folder)
    path = folder / WEIGHTS_FILE
    try:
        weights = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"The model {folder} has no {WEIGHTS_FILE}: copy the whole folder again.") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    damaged = f"The weights of the model {folder} are damaged: copy the whole folder again, or continue its training."
    if sha256(weights).hexdigest() != spec.weights_sha256:
        raise ModelError(damaged)
    try:
        tensors = load_tensors(weights)
        check_weights(tensors, spec, str(folder))
        network = build_network(spec.network, channels=spec.channels, classes=len(spec.classes))
        network.load_state_dict(tensors)
    except (RuntimeError, KeyError, safetensors.SafetensorError) as error:
        raise ModelError(damaged) from error
    return Model(spec, network.eval())
