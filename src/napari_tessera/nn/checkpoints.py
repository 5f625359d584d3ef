"""A training on disk: one safetensors file that is replaced in one step, so that it is always whole."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save as dump_tensors
from torch import Tensor

from napari_tessera.config.model import CHECKPOINT_FILE
from napari_tessera.core.atomic import write_atomically
from napari_tessera.core.errors import ModelError
from napari_tessera.nn.trainer import TrainingState
from napari_tessera.nn.validation import Score

FORMAT = "tessera-checkpoint-2"
READABLE = ("tessera-checkpoint-1", FORMAT)
"""Version 1 also held the network that had validated best, and its score: both are passed over."""

_PROGRESS = {
    "step": 0,
    "run_step": 0,
    "run_seconds": 0.0,
    "validated": 0,
    "quality": None,
    "best_quality": None,
    "stale": 0,
    "judges": "",
    "learnt_all": False,
    "ends": None,
    "to_beat": None,
    "finished": False,
}
"""Fields of the state that are plain values, and what they are where a run begins."""

_COUNTS = ("step", "run_step", "validated", "stale")

_OUTLAST = ("step", "judges", "learnt_all")
"""Those that outlast the run."""

_LATER = ("validated", "quality", "best_quality", "judges", "learnt_all", "ends", "to_beat")
"""Those that version 1, or version 2 at first, did not have."""


def save_checkpoint(folder: Path, state: TrainingState, context: Mapping[str, Any]) -> None:
    """Write `state` into the model folder `folder`.

    Parameters
    ----------
    folder
        The model folder; the file goes to `CHECKPOINT_FILE` inside it.
    state
        What to save.
    context
        JSON-ready facts that must be the same when the training goes on (network, classes, channels).
    """
    tensors: dict[str, Tensor] = {}
    for part, module in _modules(state).items():
        tensors |= {f"{part}/{name}": tensor.detach().cpu().contiguous() for name, tensor in module.items()}
    for index, slots in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value.detach().cpu().contiguous() for name, value in slots.items()}
    header = {
        "format": FORMAT,
        "context": json.dumps(context),
        "rng": json.dumps(state.rng.bit_generator.state),
        "progress": json.dumps({name: getattr(state, name) for name in _PROGRESS}),
        "score": json.dumps(asdict(state.score) if state.score else None),
    }
    write_atomically(folder / CHECKPOINT_FILE, dump_tensors(tensors, header))


def load_checkpoint(folder: Path, state: TrainingState, context: Mapping[str, Any]) -> None:
    """Bring `state` to where `save_checkpoint` left it.

    After a finished training the stop conditions count anew, so that going on means as many steps again.

    Raises
    ------
    ModelError
        If there is no checkpoint, it is damaged, or `context` differs from that of the training.
    """
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        raise ModelError(f"{folder} has no checkpoint to go on from: start the training anew.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelError(f"The checkpoint in {folder} is damaged: start the training anew.") from error
    if header.get("format") not in READABLE:
        raise ModelError(f"The checkpoint in {folder} is of another version: start the training anew.")
    try:
        saved = json.loads(header["context"])
    except (KeyError, ValueError, RecursionError) as error:
        raise ModelError(f"The checkpoint in {folder} is damaged: start the training anew.") from error
    _check_context(saved, context)
    try:
        for part, module in _modules(state).items():
            for name, tensor in module.items():
                tensor.copy_(tensors[f"{part}/{name}"])
        _restore_optimizer(state.optimizer, tensors)
        state.rng.bit_generator.state = json.loads(header["rng"])
        values = _read_progress(header["progress"])
        score = json.loads(header.get("score", "null"))
        state.score, state.offsets = Score(**score) if score else None, ()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"The checkpoint in {folder} is incomplete: start the training anew.") from error
    for name, value in values.items():
        setattr(state, name, value)
    if state.finished:
        _begin_anew(state)


def _read_progress(text: str) -> dict[str, Any]:
    """Return the plain values of a state; raises KeyError, TypeError or ValueError where they are none."""
    progress = {**{name: _PROGRESS[name] for name in _LATER}, **json.loads(text)}
    values = {name: progress[name] for name in _PROGRESS}
    if any(not isinstance(values[name], int) or values[name] < 0 for name in _COUNTS):
        raise ValueError("a count that is none")
    return values


def _begin_anew(state: TrainingState) -> None:
    """Begin a new run with what has been learnt: the stop conditions count anew, and figures are found anew."""
    for name, value in _PROGRESS.items():
        if name not in _OUTLAST:
            setattr(state, name, value)
    state.score = None


def _modules(state: TrainingState) -> Mapping[str, Mapping[str, Tensor]]:
    return {
        "network": state.network.state_dict(),
        "averaged": state.averaged.network.state_dict(),
    }


def _check_context(saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    for name, value in json.loads(json.dumps(current)).items():
        if saved.get(name) != value:
            raise ModelError(
                f"The training cannot go on with other {name} ({saved.get(name)} before, {value} now): undo the change "
                "or train a new model."
            )


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, slot = name.split("/")
            slots.setdefault(int(index), {})[slot] = _laid_out_like(parameters[int(index)], tensor)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """Give `tensor` the memory layout of its parameter: fused optimisers walk both as flat memory."""
    return torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor
