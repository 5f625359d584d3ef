"""A worker with jobs made for the tests; started as ``python fake_worker.py``."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.jobs import CancelToken, Job, Metric, Preview, Progress, Result
from napari_tessera.pipeline.results import TrainResult
from napari_tessera.pipeline.worker import serve


class FakeBackend:
    def __init__(self) -> None:
        self.view: Any = None

    def prepare(self) -> None:
        pass

    def look_at(self, image: int, region: Any) -> None:
        self.view = None if region is None else (image, region)

    def start(self, fields: Mapping[str, Any], cancel: CancelToken) -> Job:
        if fields.get("job") == "compile":
            return self.compiles(cancel, str(fields["operation"]), Path(fields["notes"]))
        return getattr(self, fields["kind"])(cancel, float(fields.get("seconds", 0.0)))

    def compiles(self, cancel: CancelToken, operation: str, notes: Path) -> Job:
        """Note what is asked for, and wait until there is a file that lets it through."""
        with (notes / "asked").open("a") as file:
            file.write(f"{operation}\n")
        while not (notes / "gate").exists():
            cancel.raise_if_cancelled()
            time.sleep(0.01)
        yield Result()

    def quick(self, cancel: CancelToken, seconds: float) -> Job:
        print("a library prints this to standard output")  # noqa: T201
        yield Progress(1, 2)
        yield Metric(1, "validation Dice", 0.5)
        yield TrainResult(Path("model"), steps=os.getpid())

    def slow(self, cancel: CancelToken, seconds: float) -> Job:
        end = time.monotonic() + (seconds or 60)
        step = 0
        while time.monotonic() < end:
            cancel.raise_if_cancelled()
            time.sleep(0.01)
            step += 1
            yield Progress(step, 6000, seconds_left=60.0)
        yield Result()

    def views(self, cancel: CancelToken, seconds: float) -> Job:
        while self.view is None:
            cancel.raise_if_cancelled()
            time.sleep(0.01)
        yield TrainResult(Path("model"), doubt=repr(self.view))

    def previews(self, cancel: CancelToken, seconds: float) -> Job:
        folder = Path(tempfile.mkdtemp())
        for number in range(1000):
            path = folder / f"{number}.npy"
            np.save(path, np.ones((2, 2), np.uint8))
            yield Preview(0, ((0, 2), (0, 2)), str(path))
            time.sleep(0.01)

    def saves(self, cancel: CancelToken, seconds: float) -> Job:
        """Write a file, with some delay, once it is cancelled, as a training does."""
        yield Progress(0, 1)
        while not cancel.cancelled:
            time.sleep(0.01)
        time.sleep(0.1)
        Path(os.environ["FAKE_WORKER_SAVES"]).write_text("saved")
        cancel.raise_if_cancelled()

    def deaf(self, cancel: CancelToken, seconds: float) -> Job:
        yield Progress(0, None)
        time.sleep(60)
        yield Result()

    def refuses(self, cancel: CancelToken, seconds: float) -> Job:
        yield Progress(0, 1)
        raise InvalidInputError("The annotation is empty: paint something.")

    def cuda_memory(self, cancel: CancelToken, seconds: float) -> Job:
        yield Progress(0, 1)
        raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB\nand more lines")

    def surprises(self, cancel: CancelToken, seconds: float) -> Job:
        yield Progress(0, 1)
        raise ZeroDivisionError("division by zero\nand more")

    def dies(self, cancel: CancelToken, seconds: float) -> Job:
        yield Progress(1, 10)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        yield Result()

    def flood(self, cancel: CancelToken, seconds: float) -> Job:
        for step in range(20000):
            yield Progress(step, 20000)
        yield Result()


if __name__ == "__main__":
    serve(FakeBackend(), grace=0.5)
