"""Whether the weights in a file are those of a network, found out before any memory is taken for the network."""

from collections.abc import Mapping

import torch
from torch import Tensor

from napari_tessera.config.model import ModelSpec
from napari_tessera.core.errors import ModelError
from napari_tessera.nn.networks.building import sketch_network

HUGE = 1e12
"""No weight that was learnt is as large. Sums of products of such overflow, and NaN looks like background."""


def check_weights(tensors: Mapping[str, Tensor], spec: ModelSpec, model: str) -> None:
    """Refuse weights that are not those of the network that `spec` describes, or that cannot have been learnt.

    Parameters
    ----------
    tensors
        As they stand in the file, by name.
    spec
        Header of the model; however large the network that it asks for, it is only sketched here.
    model
        What to call the model in a message.

    Raises
    ------
    ModelError
        For names, shapes or types that differ, and for values that are NaN, infinite or huge.
    """
    wanted = sketch_network(spec.network, channels=spec.channels, outputs=spec.outputs).state_dict()
    differing = next((name for name in wanted if not _same_place(wanted[name], tensors.get(name))), None)
    differing = differing or next((name for name in tensors if name not in wanted), None)
    if differing is not None:
        raise ModelError(
            f"The weights of the model {model} are not those of the network that its model.yaml describes (they differ "
            f"in {differing}): copy the whole folder again."
        )
    for name in wanted:
        tensor = tensors[name]
        if tensor.dtype != wanted[name].dtype:
            raise ModelError(
                f"The weights of the model {model} are stored as {_words(tensor.dtype)}, where its network has "
                f"{_words(wanted[name].dtype)} ({name}): export the model again, without converting it."
            )
        if tensor.is_floating_point() and not _is_sound(tensor, variance=name.endswith("running_var")):
            raise ModelError(
                f"The weights of the model {model} hold values that are NaN, infinite or out of all bounds ({name}): "
                "it cannot predict anything, train it again, or use another model."
            )


def _same_place(wanted: Tensor, found: Tensor | None) -> bool:
    return found is not None and found.shape == wanted.shape


def _words(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _is_sound(tensor: Tensor, *, variance: bool) -> bool:
    if tensor.numel() == 0:
        return True
    least, most = torch.aminmax(tensor)  # NaN if there is one
    return bool(least >= (0 if variance else -HUGE)) and bool(most <= HUGE)
