"""The step of the optimiser; and AdamW without what torch wraps around it for ``torch.compile``.

The wrappers import that compiler at the first call, which takes seconds at the start of each training; it is never used
here. The methods beneath them are the same, and so is every bit that they compute.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from napari_tessera.config.training import TrainingConfig

LONGEST_GRADIENT = 1.0
"""Longer gradients are shortened to it: one odd batch must not undo what has been learnt."""


class AdamW(torch.optim.AdamW):
    """`torch.optim.AdamW`, its methods unwrapped.

    See the module for the reason; where a version of torch wraps nothing, nothing is changed.
    """

    add_param_group: Any = inspect.unwrap(torch.optim.AdamW.add_param_group)
    zero_grad: Any = inspect.unwrap(torch.optim.AdamW.zero_grad)
    state_dict: Any = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict: Any = inspect.unwrap(torch.optim.AdamW.load_state_dict)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step without recording it for gradients, as the wrapper would see to."""
        with torch.no_grad():
            return inspect.unwrap(torch.optim.AdamW.step)(self, closure)


def make_optimizer(network: nn.Module, config: TrainingConfig) -> AdamW:
    """Return the optimiser of the weights of `network`, which lie where they will be trained."""
    fused = next(network.parameters()).device.type != "mps"
    settings = config.optimiser
    return AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=fused)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, learning_rate: float) -> None:
    """Move the weights of `optimizer` so that `loss` gets smaller, by a step of the size `learning_rate`."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    nn.utils.clip_grad_norm_(weights, LONGEST_GRADIENT)
    optimizer.step()
