"""Operations from file to file on an image that is far larger than the memory they may take.

    python benchmarks/out_of_core.py [--gigabytes 8] [--limit 1.5] [--threads N] [--folder DIR] [--operations NAME ...]

An image of uint16 (65,536² for 8 GB) is written as OME-Zarr; then every operation runs in a process of its own, under
a hard limit of the system on the memory that it can take (``RLIMIT_DATA``: an allocation beyond it fails), from that
file to another one. The table gives time, pixels per second, and the most memory that was resident (which files that
the process has mapped are part of). The image and the results are removed at the end. The exit status is 1 if an
operation fails or is resident beyond the limit.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from limits import reached

OPERATIONS = ("median", "gaussian", "otsu", "contrast_stretch")
MEMORY_LIMITED = sys.platform == "linux"
CHUNK = 1024


def write_image(path: Path, gigabytes: float) -> tuple[int, int]:
    """Write blobs on a sloping, noisy ground: no two chunks alike, and nothing empty."""
    from napari_tessera.core.image import ImageSpec
    from napari_tessera.io.creating import create_image

    rows = max(1, round(math.sqrt(gigabytes * 2**30 / 2) / CHUNK))
    shape = (rows * CHUNK, rows * CHUNK)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 16, (2 * CHUNK, 2 * CHUNK), dtype=np.uint16)
    y, x = np.mgrid[:CHUNK, :CHUNK]
    blobs = (600 * (np.sin(y / 20) * np.sin(x / 23) > 0.6)).astype(np.uint16)
    spec = ImageSpec(axes="yx", shape=shape, dtype=np.dtype(np.uint16), name="large")
    sink = create_image(path, spec, chunks=(CHUNK, CHUNK), levels=False)
    for row in range(rows):
        for column in range(rows):
            at = rng.integers(0, CHUNK, 2)
            pixels = noise[at[0] : at[0] + CHUNK, at[1] : at[1] + CHUNK] + blobs + np.uint16(row + 2 * column)
            top, left = row * CHUNK, column * CHUNK
            sink.write((slice(top, top + CHUNK), slice(left, left + CHUNK)), pixels)
    sink.finish()
    return shape


def apply_here(name: str, image: Path, out: Path, limit: float, threads: int | None) -> dict[str, float]:
    """Apply an operation in this process, after limiting it."""
    if MEMORY_LIMITED:
        import resource

        size = int(limit * 10**9)
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    from napari_tessera.core.jobs import CancelToken, Progress, Warning
    from napari_tessera.pipeline.dispatch import run_request
    from napari_tessera.pipeline.requests import ApplyRequest, InputFile

    started = time.perf_counter()
    request = ApplyRequest(operation=name, inputs={"image": InputFile(path=image)}, out=out, threads=threads)
    told: dict[str, float] = {}
    for event in run_request(request, CancelToken()):
        if isinstance(event, Warning):
            print(event.text, file=sys.stderr)
        elif not isinstance(event, Progress):
            told = dict(event.value)
    return {"seconds": time.perf_counter() - started, "resident": peak_memory(), "tiles": told["tiles"]}


def peak_memory() -> float:
    """Return the most memory in GB that was resident in this process; NaN where nothing tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(fields["VmHWM"].split()[0]) * 1024 / 10**9


def apply_in_process(name: str, image: Path, out: Path, arguments: argparse.Namespace) -> dict[str, float] | None:
    """Apply an operation in a limited process; None if it failed."""
    command = [sys.executable, __file__, "--apply", name, str(image), str(out), "--limit", str(arguments.limit)]
    if arguments.threads:
        command += ["--threads", str(arguments.threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=8.0)
    parser.add_argument("--limit", type=float, default=1.5, help="GB that a process may take")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--folder", help="where to put the image; several GB must be free")
    parser.add_argument("--operations", nargs="+", default=OPERATIONS)
    parser.add_argument("--apply", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.apply:
        name, image, out = arguments.apply
        print(json.dumps(apply_here(name, Path(image), Path(out), arguments.limit, arguments.threads)))
        return 0
    kept = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        image = Path(folder) / "image.ome.zarr"
        started = time.perf_counter()
        shape = write_image(image, arguments.gigabytes)
        pixels = math.prod(shape)
        seconds = time.perf_counter() - started
        print(f"{shape[0]} × {shape[1]} uint16, {2 * pixels / 10**9:.1f} GB, written in {seconds:.0f} s")
        print(f"limit {arguments.limit} GB per process" if MEMORY_LIMITED else "no limit set: not on this system")
        for name in arguments.operations:
            out = Path(folder) / f"{name}.ome.zarr"
            told = apply_in_process(name, image, out, arguments)
            shutil.rmtree(out, ignore_errors=True)
            if told is None:
                print(f"{name}: failed")
                kept.append(False)
                continue
            rate = pixels / told["seconds"] / 10**6
            print(f"{name}: {told['seconds']:.0f} s, {rate:.0f} Mpx/s, {told['tiles']:.0f} tiles")
            kept.append(reached(f"{name}, resident", told["resident"], arguments.limit, " GB"))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
