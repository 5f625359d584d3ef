"""Averaged weights: what is validated, previewed and saved is the mean of the recent past, not the last step."""

import copy

import torch

from napari_tessera.nn.networks.base import Network


class AveragedNetwork:
    """Exponential moving average of the weights and running statistics of a network.

    Parameters
    ----------
    network
        The network that is trained; the average starts as a copy of it.
    horizon
        Number of recent steps that the average spans; early in a run, a third of the steps so far.
    """

    def __init__(self, network: Network, horizon: int) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self._horizon = horizon

    @torch.no_grad()
    def update(self, network: Network, step: int) -> None:
        """Take the weights of `network` after `step` steps of the run into the average."""
        weight = 1 / min(self._horizon, 1 + step / 3)
        averaged = self.network.state_dict()
        floats = [(averaged[name], value) for name, value in network.state_dict().items() if value.is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in floats], [value for _, value in floats], weight)
        for name, value in network.state_dict().items():
            if not value.is_floating_point():
                averaged[name].copy_(value)
