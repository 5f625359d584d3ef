"""Exact tiled prediction against the bare forward pass, the whole image at once, and MONAI's sliding window.

    python benchmarks/tiled_prediction.py [--size 2048] [--depth 3] [--width 16] [--tile N] [--rounds 3] [--device cpu]

Every round times all of them one after the other; the table gives the best of each and its ratio to the bare forward
pass over the same tiles. The two rows of ours run the whole job: intensities measured, read, normalised, computed,
written. The exit status is 1 if either of them misses the limit.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from limits import reached

from napari_tessera.config.model import ClassSpec, ModelSpec
from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.config.training import Annotation, IntensityConfig, TrainingConfig
from napari_tessera.core.image import ImageSource
from napari_tessera.core.jobs import CancelToken, drain
from napari_tessera.io.arrays import ArraySource, MemorySink
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import open_image
from napari_tessera.nn.devices import choose_device
from napari_tessera.nn.model import Model
from napari_tessera.nn.needs import free_memory, tile_needs
from napari_tessera.nn.networks.building import build_network
from napari_tessera.pipeline.predicting.intensity import fit_intensity
from napari_tessera.pipeline.predicting.planning import plan_prediction
from napari_tessera.pipeline.predicting.prediction import OpenSink, predict_into

try:
    from monai.inferers import sliding_window_inference
except ImportError:
    sliding_window_inference = None

BARE = "bare forward pass, same tiles"
OURS = ("ours, memory to memory", "ours, zarr to zarr")
LIMIT = 1.1
"""Times the bare forward pass."""


def make_model(depth: int, width: int) -> Model:
    """Return a network whose running statistics are not those that it was born with."""
    config = UNetConfig(depth=depth, base_width=width)
    torch.manual_seed(0)
    network = build_network(config, channels=1, outputs=2).train()
    for _ in range(5):
        network(torch.rand(4, 1, 64, 64))
    spec = ModelSpec(
        name="benchmark",
        package_version="0",
        created="",
        network=config,
        input_axes="cyx",
        channel_names=(),
        channels=1,
        pixel_size={},
        units={},
        intensity=IntensityConfig(),
        classes=tuple(ClassSpec(id=index, name=str(index), color="#ffffff") for index in (0, 1)),
        training=TrainingConfig(annotation=Annotation.DENSE, network=config),
        metrics={},
        finished=True,
        weights_sha256="",
    )
    return Model(spec, network.eval())


class Contest:
    """The image, the network, and the ways to bring them together."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.model = make_model(arguments.depth, arguments.width)
        self.config = PredictionConfig(device=arguments.device, tile=arguments.tile, precision=arguments.precision)
        self.device = choose_device(arguments.device)
        pixels = np.random.default_rng(0).integers(0, 4000, (arguments.size, arguments.size), dtype=np.uint16)
        memory = open_image(pixels)
        assert isinstance(memory, ArraySource)
        self.memory = memory
        self.folder = folder
        sink = create_image(folder / "image.ome.zarr", memory.spec, chunks=(512, 512))
        sink.write(memory.spec.full_region, pixels)
        sink.finish()
        needs = tile_needs(self.model.network, channels=1, device=self.device, precision=arguments.precision)
        self.plan = plan_prediction(
            self.model.spec, needs, memory.spec, self.config, str(self.device), free_memory(self.device)
        )
        self.dtype = getattr(torch, arguments.precision)
        self.network = self.model.network.fold().to(self.device, self.dtype)
        self.network = self.network.to(memory_format=torch.channels_last)
        scaled = fit_intensity(memory, IntensityConfig()).apply(pixels[None])
        self.scaled = torch.from_numpy(scaled)[None]
        self.tiles = [self.scaled[..., *tile.outer].clone() for tile in self.plan]

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network(pixels.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last))

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def bare(self) -> None:
        """Run the network on each tile, without anything around it."""
        with torch.inference_mode():
            for pixels in self.tiles:
                self._forward(pixels)
            self._wait()

    def whole(self) -> None:
        """Run the network on everything at once."""
        with torch.inference_mode():
            self._forward(self.scaled)
            self._wait()

    def monai(self) -> None:
        """Run MONAI's sliding window over the same network, with windows of the size of our tiles."""
        edge = self.plan.tile[0]
        with torch.inference_mode():
            sliding_window_inference(self.scaled, (edge, edge), 1, self._forward, overlap=0.25)
            self._wait()

    def in_memory(self) -> None:
        """Run the job from array to array."""
        self._run(self.memory, lambda plan: MemorySink(plan.output))

    def from_disk_to_disk(self) -> None:
        """Run the job from an OME-Zarr to an OME-Zarr."""
        image = open_image(self.folder / "image.ome.zarr")
        out = self.folder / "labels.ome.zarr"
        self._run(image, lambda plan: create_image(out, plan.output, chunks=plan.chunks, overwrite=True))

    def _run(self, image: ImageSource, open_sink: OpenSink) -> None:
        drain(predict_into(self.model, image, open_sink, self.config, CancelToken()))


def timed(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--tile", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--threads", type=int, help="threads of torch")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        contest = Contest(arguments, Path(folder))
        ways: dict[str, Callable[[], None]] = {
            BARE: contest.bare,
            OURS[0]: contest.in_memory,
            OURS[1]: contest.from_disk_to_disk,
            "whole image, one forward pass": contest.whole,
        }
        if sliding_window_inference is None:
            print("MONAI is not installed: its sliding window is left out.", file=sys.stderr)
        else:
            ways["MONAI sliding window, overlap 0.25"] = contest.monai
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                best[name] = min(best[name], timed(way))
    plan = contest.plan
    network = f"U-Net of depth {arguments.depth} and width {arguments.width}"
    print(f"{arguments.size}², {network}, {arguments.precision} on {plan.device};")
    print(f"{plan.tiles} tiles of {plan.tile}, halo {plan.needs.halo}, {torch.get_num_threads()} threads;")
    print(f"memory estimated at {plan.memory / 2**20:.0f} MiB\n")
    for name, seconds in best.items():
        ratio = seconds / best[BARE]
        print(f"{name:36s} {seconds:8.2f} s {ratio:6.2f}×")
    print()
    kept = [reached(f"{name}, to bare", best[name] / best[BARE], LIMIT, "×") for name in OURS]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
