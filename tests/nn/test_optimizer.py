"""AdamW as it is defined, without the compiler that torch would import for it."""

import sys

import numpy as np
import pytest
import torch

from napari_tessera.nn.optimizer import AdamW

RATE, DECAY, FIRST, SECOND, EPSILON = 0.1, 0.2, 0.9, 0.999, 1e-8


@pytest.mark.parametrize("fused", [False, True])
def test_steps_are_those_of_the_definition_and_import_no_compiler(monkeypatch, fused):
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # importing it is an error from here on
    weights = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = AdamW([weights], lr=RATE, weight_decay=DECAY, fused=fused)
    expected, mean, square = weights.detach().numpy().copy(), np.zeros(2), np.zeros(2)
    for step in range(1, 4):
        if step == 3:  # go on as a training does that is resumed
            saved = optimizer.state_dict()
            optimizer = AdamW([weights], lr=RATE, weight_decay=DECAY, fused=fused)
            optimizer.load_state_dict(saved)
        optimizer.zero_grad(set_to_none=True)
        assert weights.grad is None
        (weights**3).sum().backward()
        optimizer.step()
        gradient = 3 * expected**2
        mean = FIRST * mean + (1 - FIRST) * gradient
        square = SECOND * square + (1 - SECOND) * gradient**2
        expected = expected * (1 - RATE * DECAY)
        corrected = mean / (1 - FIRST**step), square / (1 - SECOND**step)
        expected = expected - RATE * corrected[0] / (np.sqrt(corrected[1]) + EPSILON)
        np.testing.assert_allclose(weights.detach().numpy(), expected, rtol=1e-12)
    assert weights.requires_grad
    assert weights.is_leaf
