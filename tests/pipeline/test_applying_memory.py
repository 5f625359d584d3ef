"""From file to file in little memory: in a process that the system lets take no more than a fraction of the image."""

import json
import os
import subprocess
import sys
from pathlib import Path

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

EDGE, CHUNK = 18_432, 1024
LIMIT = 500 * 10**6
"""Bytes for the program with its libraries and all tiles; the image has 679 · 10⁶, and 2.7 · 10⁹ as float64."""

PROGRAM = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[1]),) * 2)
from napari_tessera.core.jobs import CancelToken, drain
from napari_tessera.pipeline.dispatch import run_request
from napari_tessera.pipeline.requests import parse_request
try:
    told = drain(run_request(parse_request.validate_python(json.loads(sys.argv[2])), CancelToken()))
except MemoryError as error:
    told = {"memory": f"{type(error).__name__}: {error}"}
# not getrusage: its peak is inherited from the process that started this one
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
peak = int(status["VmHWM"].split()[0]) * 1024
print(json.dumps({**told, "peak": peak}))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that is larger than the limit, every chunk of its own brightness."""
    path = tmp_path_factory.mktemp("large") / "large.ome.zarr"
    spec = ImageSpec(axes="yx", shape=(EDGE, EDGE), dtype=np.dtype(np.uint16))
    assert EDGE * EDGE * 2 > 1.3 * LIMIT
    sink = create_image(path, spec, chunks=(CHUNK, CHUNK), levels=False)
    for top in range(0, EDGE, CHUNK):
        for left in range(0, EDGE, CHUNK):
            sink.write((slice(top, top + CHUNK), slice(left, left + CHUNK)), chunk_of(top, left))
    sink.finish()
    return path


def chunk_of(top: int, left: int) -> np.ndarray:
    """Return what the image holds there: a slope, noise, and a few bright spots."""
    noise = np.random.default_rng(top * EDGE + left).integers(0, 16, (CHUNK, CHUNK), dtype=np.uint16)
    noise[::97, ::89] += 2000
    return noise + np.uint16((top + left) // CHUNK)


def apply_limited(limit: int, **fields: object) -> dict:
    request = json.dumps({"job": "apply", "overwrite": True, **fields}, default=str)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(limit), request],
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
    large: Path, tmp_path: Path, operation: str, parameters: dict[str, object]
) -> None:
    out = tmp_path / "out.ome.zarr"
    told = apply_limited(LIMIT, operation=operation, parameters=parameters, inputs={"image": large}, out=out, threads=2)
    assert "memory" not in told, told["memory"]
    assert told["peak"] < LIMIT
    assert told["tiles"] > 100
    written = open_image(out)
    assert written.shape == (EDGE, EDGE)
    # a window over the corner of four chunks
    window, inside = (slice(3 * CHUNK - 120, 3 * CHUNK + 120),) * 2, (slice(20, 220),) * 2
    pixels = written.read(window)[inside]
    assert pixels.std() > 0
    if operation in ("gaussian", "median"):
        expected = apply(build_operation(operation, parameters), open_image(large).read(window))
        np.testing.assert_array_equal(pixels, expected[inside])


def test_components_of_a_large_image_in_little_memory(large: Path, tmp_path: Path) -> None:
    mask = tmp_path / "mask.ome.zarr"
    apply_limited(
        LIMIT, operation="manual_threshold", parameters={"threshold": 1000}, inputs={"image": large}, out=mask
    )
    out = tmp_path / "out.ome.zarr"
    told = apply_limited(LIMIT, operation="connected_components", inputs={"labels": mask}, out=out, threads=2)
    assert "memory" not in told, told["memory"]
    assert told["peak"] < LIMIT
    spots = len(range(0, CHUNK, 97)) * len(range(0, CHUNK, 89))
    last = open_image(out).read((slice(EDGE - CHUNK, EDGE), slice(EDGE - CHUNK, EDGE)))
    assert last.max() == spots * (EDGE // CHUNK) ** 2


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
    large: Path, tmp_path: Path, operation: str, parameters: dict[str, object]
) -> None:
    out = tmp_path / "out.ome.zarr"
    made = build_operation(operation, parameters)
    inputs = {made.inputs[0].name: large}
    told = apply_limited(LIMIT, operation=operation, parameters=parameters, inputs=inputs, out=out, threads=2)
    assert "memory" not in told, told["memory"]
    assert told["peak"] < LIMIT
    written, source = open_image(out), open_image(large)
    assert written.shape == made.output_spec(source.spec).shape
    middle = [length // 2 for length in written.shape]
    window = tuple(slice(max(0, at - 20), at + 1) for at in middle)
    needed = made.source_region(window, source.spec, {})
    block = Block(source.read(needed), source.spec, needed)
    pixels = written.read(window)
    assert pixels.std() > 0
    np.testing.assert_array_equal(pixels, made.compute_part(block, window))


def test_a_region_of_a_large_image_grows_in_little_memory(large: Path, tmp_path: Path) -> None:
    out, points = tmp_path / "out.ome.zarr", tmp_path / "points.csv"
    points.write_text("y,x\n5000,6000\n")
    told = apply_limited(
        LIMIT,
        operation="grow_regions",
        parameters={"tolerance": 100.0, "max_size": 200_000},
        inputs={"image": large, "seeds": points},
        out=out,
    )
    assert "memory" not in told, told["memory"]
    assert told["peak"] < LIMIT
    assert np.count_nonzero(open_image(out).read((slice(4000, 6000), slice(5000, 7000)))) == 200_000


def test_the_limit_would_be_noticed(large: Path, tmp_path: Path) -> None:
    """What needs the whole frame is told so before it starts."""
    out = tmp_path / "out.ome.zarr"
    told = apply_limited(LIMIT, operation="spectrum_modulus", inputs={"image": large}, out=out)
    assert "OutOfMemoryError" in told["memory"]
    assert "crop the image" in told["memory"]
    assert not out.exists()
