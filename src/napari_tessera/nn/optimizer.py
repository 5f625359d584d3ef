"""The optimiser AdamW without what torch wraps around it for ``torch.compile``.

The wrappers import that compiler at the first call, which takes seconds at the start of each training; it is never used
here. The methods beneath them are the same, and so is every bit that they compute.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch


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
