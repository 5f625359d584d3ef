"""Time of one training step with batch renormalisation beside the same network with native batch normalisation.

Run: ``python benchmarks/training_step.py``. Both are timed in turn, so that a busy machine slows both alike.
The exit status is 1 if the limit is missed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from limits import reached

from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.nn.networks.building import build_network
from napari_tessera.nn.objectives.building import build_objective
from napari_tessera.nn.objectives.objective import Batch

LIMIT = 1.15
"""Times the step with native batch normalisation."""


def make_step(normalization: str, precision: torch.dtype, batch: int, edge: int) -> Callable[[], None]:
    """Return a function that takes one full step: forward, backward, optimiser."""
    torch.manual_seed(0)
    network = build_network(UNetConfig(normalization=normalization), channels=1, outputs=2)
    network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    images = torch.randn(batch, 1, edge, edge).contiguous(memory_format=torch.channels_last)
    targets = torch.randint(0, 2, (batch, edge, edge))
    objective = build_objective(TrainingConfig(annotation=Annotation.DENSE))

    def step() -> None:
        with torch.autocast("cpu", dtype=precision, enabled=precision is not torch.float32):
            scores = network(images)
        optimizer.zero_grad(set_to_none=True)
        objective(Batch(images, scores.float(), targets)).backward()
        optimizer.step()

    return step


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--edge", type=int, default=128)
    options = parser.parse_args()
    print(f"U-Net depth 3, width 16, batch {options.batch} × {options.edge}², {torch.get_num_threads()} threads")
    kept = []
    for precision in (torch.float32, torch.bfloat16):
        names = ("batch", "batch_renorm")
        steps = {name: make_step(name, precision, options.batch, options.edge) for name in names}
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for round_ in range(options.rounds + 2):
            for name in names:
                began = time.perf_counter()
                steps[name]()
                if round_ >= 2:
                    seconds[name].append(time.perf_counter() - began)
        native, ours = (statistics.median(seconds[name]) for name in names)
        ratio = statistics.median(b / a for a, b in zip(*seconds.values(), strict=True))
        name = str(precision).removeprefix("torch.")
        print(f"{name}: batch norm {native * 1e3:.1f} ms, BatchRenorm {ours * 1e3:.1f} ms")
        kept.append(reached(f"{name}, BatchRenorm to batch norm", ratio, LIMIT, "×"))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
