"""Batch renormalisation against its definition."""

import copy

import pytest
import torch
from torch import Tensor, nn

from napari_tessera.nn.networks.normalization import BatchRenorm, fold_normalization, make_normalization


def by_definition(norm: BatchRenorm, x: Tensor) -> Tensor:
    """Ioffe 2017, algorithm 1, with autograd doing the rest; r and d are constants."""
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    with torch.no_grad():
        running = torch.sqrt(norm.running_var + norm.eps)
        progress = min(max((norm.batches.item() - norm.warmup) / norm.warmup, 0), 1)
        r_max, d_max = 1 + 2 * progress, 5 * progress
        r = (torch.sqrt(var + norm.eps) / running).clamp(1 / r_max, r_max)
        d = ((mean - norm.running_mean) / running).clamp(-d_max, d_max)
    spread = [
        values[None, :, None, None] for values in (mean, torch.sqrt(var + norm.eps), r, d, norm.weight, norm.bias)
    ]
    mean, std, r, d, weight, bias = spread
    return ((x - mean) / std * r + d) * weight + bias


@pytest.mark.parametrize("seen", [1, 3, 6])
def test_value_and_gradients_follow_the_definition(seen: int) -> None:
    torch.manual_seed(0)
    norm = BatchRenorm(3, warmup=2).double()
    for _ in range(seen):
        norm(torch.randn(4, 3, 5, 6, dtype=torch.float64) * 2 + 1)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    twin = copy.deepcopy(norm)
    x = (torch.randn(4, 3, 5, 6, dtype=torch.float64) * 5 - 2).requires_grad_()
    y = x.detach().clone().requires_grad_()
    slope = torch.randn(4, 3, 5, 6, dtype=torch.float64)
    ours, theirs = norm(x), by_definition(twin, y)
    ours.backward(slope)
    theirs.backward(slope)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert x.grad is not None
    assert torch.allclose(x.grad, y.grad, atol=1e-5)
    assert torch.allclose(norm.weight.grad, twin.weight.grad, atol=1e-4)
    assert torch.allclose(norm.bias.grad, twin.bias.grad, atol=1e-5)


def test_devices_without_fused_statistics_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 6) * 3 + 7
    fused = BatchRenorm(3)(x)
    monkeypatch.setattr("napari_tessera.nn.networks.normalization.FUSED_STATISTICS", ())
    assert torch.allclose(BatchRenorm(3)(x), fused, atol=1e-5)


def test_starts_as_batch_normalisation() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 8, 8) * 3 + 2
    ours, theirs = BatchRenorm(4), nn.BatchNorm2d(4)
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)


def test_running_statistics_are_those_of_the_data() -> None:
    torch.manual_seed(0)
    norm = BatchRenorm(2)
    for _ in range(60):
        norm(torch.randn(8, 2, 16, 16) * 3 + 5)
    assert torch.allclose(norm.running_mean, torch.full((2,), 5.0), atol=0.2)
    assert torch.allclose(norm.running_var, torch.full((2,), 9.0), atol=0.6)


def test_prediction_uses_running_statistics_only() -> None:
    norm = BatchRenorm(1).eval()
    norm.running_mean.fill_(2.0)
    norm.running_var.fill_(4.0)
    before = copy.deepcopy(norm.state_dict())
    assert norm(torch.full((1, 1, 2, 2), 6.0)).flatten().tolist() == pytest.approx([2.0] * 4, abs=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_bfloat16_stays_close_to_float32(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = (torch.randn(4, 8, 16, 16) * 2 + 1).contiguous(memory_format=memory_format)
    exact, rough = BatchRenorm(8)(x), BatchRenorm(8)(x.bfloat16())
    assert rough.dtype == torch.bfloat16
    assert (exact - rough.float()).abs().max() < 0.05


@pytest.mark.parametrize("kind", ["batch_renorm", "batch"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_folded_convolution_equals_both(kind: str, dimensions: int) -> None:
    torch.manual_seed(0)
    convolution = (nn.Conv2d if dimensions == 2 else nn.Conv3d)(2, 3, 3, padding=1, bias=kind == "batch")
    norm = make_normalization(kind, 3, dimensions)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm(torch.randn(2, 3, *[6] * dimensions) * 4 + 3)
    norm.eval()
    x = torch.randn(1, 2, *[6] * dimensions)
    assert torch.allclose(fold_normalization(convolution, norm)(x), norm(convolution(x)), atol=1e-5)
