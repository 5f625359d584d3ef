"""From file to file in little memory: in a process that the system lets take no more than a fraction of the image."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_tessera.core.image import ImageSpec
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import open_image
from napari_tessera.operations.base import Block
from napari_tessera.operations.registry import build_operation
from napari_tessera.pipeline.api import apply

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process may take"),
    pytest.mark.timeout(1200),
]

CHUNK = 1024


@dataclass(frozen=True)
class Large:
    """An image that is larger than the memory it may take.

    Attributes
    ----------
    edge
        Its lengths, in pixels of two bytes.
    allowed
        Bytes for all tiles: beyond those of the program with its libraries, which it has taken for a small image.
    path
        Where it lies.
    """

    edge: int
    allowed: int
    path: Path = Path()


SIZES = [Large(14_336, 300 * 10**6), pytest.param(Large(18_432, 400 * 10**6), marks=pytest.mark.long)]
"""411 · 10⁶ bytes, and 679 · 10⁶; four times as many as float64."""

PROGRAM = """
import json, resource, sys
from contextlib import suppress
from napari_tessera.core.errors import TesseraError
from napari_tessera.core.jobs import CancelToken, drain
from napari_tessera.pipeline.dispatch import run_request
from napari_tessera.pipeline.requests import parse_request

def run(request):
    try:
        return drain(run_request(parse_request.validate_python(json.loads(request)), CancelToken())).value
    except MemoryError as error:
        return {"memory": f"{type(error).__name__}: {error}"}

def taken(what):
    # not getrusage: its peak is inherited from the process that started this one
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    return int(status[what].split()[0]) * 1024

allowed, small, large = sys.argv[1:]
with suppress(TesseraError):  # a crop may lie beyond the small image
    run(small)
before = taken("VmRSS")
resource.setrlimit(resource.RLIMIT_DATA, (taken("VmData") + int(allowed),) * 2)
told = run(large)
print(json.dumps({**told, "peak": taken("VmHWM") - before}))
"""


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: str(size.edge))
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Large:
    """An image that is larger than the limit, every chunk of its own brightness, and a small one in the same folder."""
    folder, edge = tmp_path_factory.mktemp("large"), request.param.edge
    assert edge * edge * 2 > 1.3 * request.param.allowed
    for name, shape in (("large", (edge, edge)), ("small", (64, 64))):
        spec = ImageSpec(axes="yx", shape=shape, dtype=np.dtype(np.uint16))
        sink = create_image(folder / f"{name}.ome.zarr", spec, chunks=(CHUNK, CHUNK), levels=False)
        for top in range(0, shape[0], CHUNK):
            for left in range(0, shape[1], CHUNK):
                window = tuple(slice(at, min(at + CHUNK, n)) for at, n in zip((top, left), shape, strict=True))
                sink.write(window, chunk_of(top, left, edge)[: shape[0], : shape[1]])
        sink.finish()
    return replace(request.param, path=folder / "large.ome.zarr")


def chunk_of(top: int, left: int, edge: int) -> np.ndarray:
    """Return what the image holds there: a slope, noise, and a few bright spots."""
    noise = np.random.default_rng(top * edge + left).integers(0, 16, (CHUNK, CHUNK), dtype=np.uint16)
    noise[::97, ::89] += 2000
    return noise + np.uint16((top + left) // CHUNK)


def apply_limited(large: Large, inputs: dict[str, Path], out: Path, **fields: object) -> dict:
    """Apply an operation under the limit, after it has been applied to the small image without one."""
    alike = {name: large.path.with_name("small.ome.zarr") for name in inputs}
    if "seeds" in inputs:
        alike["seeds"] = out.with_name("small.csv")
        alike["seeds"].write_text("y,x\n5,6\n")
    small, request = (
        json.dumps({"job": "apply", "overwrite": True, "inputs": files, "out": to, **fields}, default=str)
        for files, to in ((alike, out.with_name("small.ome.zarr")), (inputs, out))
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(large.allowed), small, request],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("median", {"size": 3}),
        ("otsu", {}),
        pytest.param("gaussian", {"sigma": 1.0}, marks=pytest.mark.long),
        pytest.param("contrast_stretch", {}, marks=pytest.mark.long),
    ],
)
def test_a_large_image_passes_through_little_memory(
    large: Large, tmp_path: Path, operation: str, parameters: dict[str, object]
) -> None:
    out = tmp_path / "out.ome.zarr"
    told = apply_limited(
        large, operation=operation, parameters=parameters, inputs={"image": large.path}, out=out, threads=2
    )
    assert "memory" not in told, told["memory"]
    assert told["peak"] < large.allowed
    assert told["tiles"] >= (large.edge // CHUNK) ** 2
    written = open_image(out)
    assert written.shape == (large.edge, large.edge)
    # a window over the corner of four chunks
    window, inside = (slice(3 * CHUNK - 120, 3 * CHUNK + 120),) * 2, (slice(20, 220),) * 2
    pixels = written.read(window)[inside]
    assert pixels.std() > 0
    if operation in ("gaussian", "median"):
        expected = apply(build_operation(operation, parameters), open_image(large.path).read(window))
        np.testing.assert_array_equal(pixels, expected[inside])


def test_components_of_a_large_image_in_little_memory(large: Large, tmp_path: Path) -> None:
    mask = tmp_path / "mask.ome.zarr"
    apply_limited(
        large, operation="manual_threshold", parameters={"threshold": 1000}, inputs={"image": large.path}, out=mask
    )
    out = tmp_path / "out.ome.zarr"
    told = apply_limited(large, operation="connected_components", inputs={"labels": mask}, out=out, threads=2)
    assert "memory" not in told, told["memory"]
    assert told["peak"] < large.allowed
    spots = len(range(0, CHUNK, 97)) * len(range(0, CHUNK, 89))
    last = open_image(out).read((slice(large.edge - CHUNK, large.edge), slice(large.edge - CHUNK, large.edge)))
    assert last.max() == spots * (large.edge // CHUNK) ** 2


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("bin", {"factor": 2}),
        pytest.param("rotate90", {"turns": 1}, marks=pytest.mark.long),
        pytest.param("crop", {"left": 1000, "bottom": 3000}, marks=pytest.mark.long),
        pytest.param("flip", {"axis": "y"}, marks=pytest.mark.long),
        pytest.param("resize_labels", {"factor": 0.3}, marks=pytest.mark.long),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_geometry_of_a_large_image_in_little_memory(
    large: Large, tmp_path: Path, operation: str, parameters: dict[str, object]
) -> None:
    out = tmp_path / "out.ome.zarr"
    made: Any = build_operation(operation, parameters)
    inputs = {made.inputs[0].name: large.path}
    told = apply_limited(large, operation=operation, parameters=parameters, inputs=inputs, out=out, threads=2)
    assert "memory" not in told, told["memory"]
    assert told["peak"] < large.allowed
    written, source = open_image(out), open_image(large.path)
    assert written.shape == made.output_spec(source.spec).shape
    middle = [length // 2 for length in written.shape]
    window = tuple(slice(max(0, at - 20), at + 1) for at in middle)
    needed = made.source_region(window, source.spec, {})
    block = Block(source.read(needed), source.spec, needed)
    pixels = written.read(window)
    assert pixels.std() > 0
    np.testing.assert_array_equal(pixels, made.compute_part(block, window))


def test_a_region_of_a_large_image_grows_in_little_memory(large: Large, tmp_path: Path) -> None:
    out, points = tmp_path / "out.ome.zarr", tmp_path / "points.csv"
    points.write_text("y,x\n5000,6000\n")
    told = apply_limited(
        large,
        operation="grow_regions",
        parameters={"tolerance": 100.0, "max_size": 200_000},
        inputs={"image": large.path, "seeds": points},
        out=out,
    )
    assert "memory" not in told, told["memory"]
    assert told["peak"] < large.allowed
    assert np.count_nonzero(open_image(out).read((slice(4000, 6000), slice(5000, 7000)))) == 200_000


def test_the_limit_would_be_noticed(large: Large, tmp_path: Path) -> None:
    """What needs the whole frame is told so before it starts."""
    out = tmp_path / "out.ome.zarr"
    told = apply_limited(large, operation="spectrum_modulus", inputs={"image": large.path}, out=out)
    assert "OutOfMemoryError" in told["memory"]
    assert "crop the image" in told["memory"]
    assert not out.exists()
