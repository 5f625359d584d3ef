"""A run that was killed goes on where it stopped when its command is given again, with the same bytes in the end."""

import json
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from napari_tessera.io.ledger import LEDGER

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is known elsewhere")

CHILD = Path(__file__).with_name("killed_child.py")


def run_child(folder: Path, last: int, arguments: list[object]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHILD), str(folder), str(last), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def content(path: Path) -> dict[str, bytes]:
    """Return all files of an output by name."""
    if path.is_file():
        return {path.name: path.read_bytes()}
    return {str(each.relative_to(path)): each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file()}


@pytest.fixture
def model(call, train_arguments, tmp_path):
    assert call(*train_arguments).status == 0
    return tmp_path / "model"


@pytest.fixture
def image(tmp_path):
    """An image whose prediction consists of nine chunks."""
    rng = np.random.default_rng(4)
    np.save(tmp_path / "in.npy", rng.integers(0, 400, (1040, 1100), dtype=np.uint16))
    return tmp_path / "in.npy"


@dataclass(frozen=True)
class Work:
    """A command with a place for its output, and what can be told of how far it came."""

    arguments: tuple[object, ...]
    others: tuple[object, ...]
    suffix: str
    in_flight: int

    def command(self, out: Path, *, other: bool = False) -> list[object]:
        return [*self.arguments, out, *(self.others if other else ())]


@pytest.fixture
def predicting(model, image):
    return Work(("predict", model, image), ("--tile", "160"), ".ome.zarr", in_flight=1)


def check_kills(call, work: Work, tmp_path: Path, times: int) -> None:
    whole = tmp_path / "whole" / f"out{work.suffix}"
    told = run_child(whole.parent, 0, work.command(whole))
    assert told.returncode == 0, told.stderr
    steps = int(told.stdout.splitlines()[-1])
    drawn = random.Random(11)
    for time in range(times):
        last = drawn.randint(1, steps)
        out = tmp_path / f"killed-{time}" / f"out{work.suffix}"
        killed = run_child(out.parent, last, work.command(out))
        assert killed.returncode == -signal.SIGKILL, (last, killed.stderr)
        partial = out.with_name(f"{out.name}.partial")
        before = recorded(partial)
        assert chunks_in(partial) - before <= work.in_flight, last
        if out.exists():
            assert not partial.exists() or not recorded(partial)
        else:
            other = time % 2 == 1
            done = call(*work.command(out, other=other), "--json")
            assert done.status == 0, (last, done.err)
            assert other or first_done(done.err) == before, last
        call(*work.command(out))  # refused: it is there; what is left of the run is removed
        assert content(out) == content(whole), (last, steps, before)
        assert [entry.name for entry in out.parent.iterdir()] == [out.name], last


def first_done(events: str) -> int:
    """Return how many tiles were done when the first one was to be computed."""
    told = [json.loads(line) for line in events.splitlines() if line.startswith("{")]
    return next(event["done"] for event in told if event.get("message", "").startswith(("Predicting", "Median")))


def chunks_in(partial: Path) -> int:
    """Return how many chunks of the full level an unfinished output has."""
    return sum(path.is_file() and path.suffix != ".partial" for path in (partial / "0" / "c").rglob("*"))


def recorded(partial: Path) -> int:
    """Return how many records of units an unfinished output has."""
    return sum(path.stat().st_size // 16 for path in (partial / LEDGER).glob("*.units"))


def test_a_killed_prediction_goes_on(call, predicting, tmp_path):
    check_kills(call, predicting, tmp_path, 3)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_killed_prediction_goes_on_wherever(call, predicting, tmp_path):
    check_kills(call, predicting, tmp_path, 50)
