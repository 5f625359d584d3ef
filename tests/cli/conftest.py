"""Ways to run the command line: in this process, and as a process of its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_tessera.cli.main import run


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of stdout."""
        return json.loads(self.out.splitlines()[-1])


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line in this process."""

    def call(*arguments: object) -> Outcome:
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call


@pytest.fixture
def start():
    """Start the command line as a process of its own, and end it with the test."""
    processes = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        code = "from napari_tessera.cli.main import main; main()"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def pair(tmp_path):
    """Paths of a small image of bright squares, and of scribbles on it."""
    rng = np.random.default_rng(0)
    truth = np.zeros((96, 96), bool)
    for y, x in [(10, 10), (10, 60), (55, 15), (60, 62)]:
        truth[y : y + 24, x : x + 24] = True
    image = (rng.normal(100, 5, truth.shape) + 200 * truth).astype(np.uint16)
    scribbles = np.zeros(truth.shape, np.uint8)
    scribbles[20:24, 12:30] = scribbles[64:68, 17:36] = scribbles[70:74, 64:84] = 2
    scribbles[45:49, 5:90] = scribbles[5:40, 44:48] = scribbles[90:93, 5:90] = 1
    paths = {"image": tmp_path / "image.tif", "labels": tmp_path / "labels.tif", "truth": tmp_path / "truth.tif"}
    tifffile.imwrite(paths["image"], image)
    tifffile.imwrite(paths["labels"], scribbles)
    tifffile.imwrite(paths["truth"], truth.astype(np.uint8))
    return paths


TINY = [
    word
    for setting in (
        "network.depth=1",
        "network.base_width=4",
        "patch_size=32",
        "batch_size=2",
        "max_steps=6",
        "validate_every=3",
        "device=cpu",
        "precision=float32",
    )
    for word in ("--set", setting)
]
"""Options that make a training take a second."""


@pytest.fixture
def train_arguments(pair, tmp_path):
    """A complete and quick training command, writing ``model``."""
    files = ["--image", pair["image"], "--labels", pair["labels"], "--out", tmp_path / "model"]
    return ["train", "--annotation", "scribbles", *files, *TINY]
