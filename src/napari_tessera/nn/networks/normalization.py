"""Batch renormalisation: what a network sees in training is what it sees at prediction, on any tile.

Batch normalisation (BN) trains on the statistics of each batch and predicts with running averages; the disparity grows
as training goes on. Instance and group normalisation depend on the tile. Batch renormalisation (Ioffe 2017,
arXiv:1702.03275; recommended for tiled prediction by arXiv:2503.19545) corrects each batch by ``r`` and ``d`` towards
the running averages, and is a fixed affine map at prediction, so it folds into the convolution before it.
"""

import copy
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Normalization = Literal["batch_renorm", "batch", "none"]

FUSED_STATISTICS = ("cpu", "cuda")
"""Devices for which torch finds mean and variance in one pass."""


class _NormalizeByBatch(torch.autograd.Function):
    """``(x − mean) · invstd · weight + bias`` with the gradient of batch normalisation.

    The statistics are computed once, before the call, because `weight` and `bias` depend on them: thus a step costs
    what native batch normalisation costs, one pass for the statistics and one for the map.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(var + eps))
        ctx.eps = eps
        return torch.batch_norm(x, weight, bias, mean, var, False, 0.0, eps, False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, invstd = ctx.saved_tensors
        grads = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, None, None, mean, invstd, True, ctx.eps, list(ctx.needs_input_grad[:3])
        )
        return (*grads, None, None, None)


class BatchRenorm(nn.Module):
    """Batch renormalisation over all dimensions but the second.

    Parameters
    ----------
    features
        Length of the second dimension.
    eps
        Added to variances.
    momentum
        Smallest weight of a new batch in the running averages; early batches weigh ``1 / n``.
    warmup
        Batches during which `r` and `d` stay 1 and 0 (plain BN); their bounds then widen over as many again to 3, 5.
    """

    running_mean: Tensor
    running_var: Tensor
    batches: Tensor

    def __init__(self, features: int, *, eps: float = 1e-5, momentum: float = 0.1, warmup: int = 100) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.warmup = warmup
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` of shape (n, features, …)."""
        if not self.training:
            return torch.batch_norm(
                x, self.weight, self.bias, self.running_mean, self.running_var, False, 0.0, self.eps, False
            )
        with torch.no_grad():
            mean, var = _batch_statistics(x)
            r, d = self._correction(mean, var)
            self._update(mean, var, x.numel() // x.shape[1])
        weight, bias = self.weight * r, self.bias + self.weight * d
        out: Tensor = _NormalizeByBatch.apply(x, weight, bias, mean, var, self.eps)  # type: ignore[no-untyped-call]
        return out

    def _correction(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        running_std = torch.sqrt(self.running_var + self.eps)
        progress = ((self.batches - self.warmup) / self.warmup).clamp(0, 1)
        r_max, d_max = 1 + 2 * progress, 5 * progress
        r = torch.sqrt(var + self.eps) / running_std
        d = (mean - self.running_mean) / running_std
        return torch.minimum(torch.maximum(r, 1 / r_max), r_max), torch.minimum(torch.maximum(d, -d_max), d_max)

    def _update(self, mean: Tensor, var: Tensor, count: int) -> None:
        self.batches += 1
        weight = (1 / self.batches).clamp(min=self.momentum).to(mean.dtype)
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(var * (count / max(count - 1, 1)), weight)


def _batch_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance per feature, each of shape (features,), in float32 or better."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    if x.device.type not in FUSED_STATISTICS:
        var, mean = torch.var_mean(x.to(dtype), [0, *range(2, x.ndim)], correction=0)
        return mean, var
    unused = x.new_zeros(x.shape[1], dtype=dtype)  # in place of running averages, which are kept elsewhere
    mean, var = torch.batch_norm_update_stats(x, unused, unused.clone(), 0.0)
    return mean.to(dtype), var.to(dtype)


def make_normalization(kind: Normalization, features: int, dimensions: int) -> nn.Module:
    """Return the normalisation layer that `kind` names, for `dimensions` spatial dimensions."""
    if kind == "batch_renorm":
        return BatchRenorm(features)
    if kind == "batch":
        return nn.BatchNorm2d(features) if dimensions == 2 else nn.BatchNorm3d(features)
    return nn.Identity()


def fold_normalization(conv: nn.Conv2d | nn.Conv3d, norm: nn.Module) -> nn.Conv2d | nn.Conv3d:
    """Return a convolution that equals `norm` after `conv` at prediction; `conv` itself if there is nothing to fold."""
    if not isinstance(norm, BatchRenorm | nn.BatchNorm2d | nn.BatchNorm3d):
        return conv
    assert isinstance(norm.running_var, Tensor)
    assert isinstance(norm.running_mean, Tensor)
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    folded = copy.deepcopy(conv)
    folded.bias = nn.Parameter(torch.empty_like(norm.running_mean))
    bias = torch.zeros_like(norm.running_mean) if conv.bias is None else conv.bias
    with torch.no_grad():
        folded.weight.copy_(conv.weight * factor.reshape(-1, *[1] * (conv.weight.ndim - 1)))
        folded.bias.copy_((bias - norm.running_mean) * factor + norm.bias)
    return folded
