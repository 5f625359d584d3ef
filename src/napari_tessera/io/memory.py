"""How much memory this process may still take."""

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import OutOfMemoryError
from napari_tessera.core.image import ImageSpec

RESULT_REMEDY = "write it to a file that ends in .ome.zarr, or make it smaller"
"""What helps where a result does not fit into memory."""

_GROUP = Path("/sys/fs/cgroup")
_STATM = Path("/proc/self/statm")
_MEMINFO = Path("/proc/meminfo")


def free_memory() -> int | None:
    """Return how many bytes can still be taken without swapping or being refused; None where nothing tells.

    The least of what the computer has free, what the limits of this process leave, and what its control group leaves
    (a container, a job on a cluster).
    """
    return min((max(0, number) for number in (*_computer(), *_limits(), *_control_group())), default=None)


def check_memory(need: int, what: str, remedy: str) -> None:
    """Refuse, before any work, what takes more memory than there is.

    Parameters
    ----------
    need
        In bytes.
    what
        Begins the sentence: ``"The result of shape (3, 4)"``.
    remedy
        Ends it.

    Raises
    ------
    OutOfMemoryError
        If `need` is more than what is free; the system would grant the memory, and end the process once it is used.
    """
    free = free_memory()
    if free is not None and need > free:
        raise OutOfMemoryError(
            f"{what} needs {describe_bytes(need)} of memory, and {describe_bytes(free)} are free: {remedy}."
        )


def zeros(spec: ImageSpec) -> NDArray[Any]:
    """Return an image of zeros in memory.

    Raises
    ------
    OutOfMemoryError
        If it does not fit.
    """
    shape = " × ".join(map(str, spec.shape))
    need = math.prod(spec.shape) * spec.dtype.itemsize
    check_memory(need, f"The result of {shape} pixels ({spec.dtype})", RESULT_REMEDY)
    return np.zeros(spec.shape, spec.dtype)


def describe_bytes(number: int) -> str:
    """Return `number` of bytes for a person: ``"1.5 GB"``."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if number >= size:
            return f"{number / size:.{0 if number >= 100 * size else 1}f} {unit}"
    return f"{max(number, 0) / 1000:.0f} kB"


def _computer() -> Iterator[int]:
    if _MEMINFO.exists():
        fields = dict(line.split(":", 1) for line in _MEMINFO.read_text(encoding="ascii").splitlines() if ":" in line)
        if "MemAvailable" in fields:
            yield int(fields["MemAvailable"].split()[0]) * 1024
            return
    try:
        import psutil
    except ImportError:
        return
    yield int(psutil.virtual_memory().available)


def _limits() -> Iterator[int]:
    """Yield what ``ulimit -v`` and ``ulimit -d`` leave."""
    if sys.platform == "win32" or not _STATM.exists():
        return
    import resource

    pages = _STATM.read_text(encoding="ascii").split()
    for kind, taken in ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5])):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - int(taken) * os.sysconf("SC_PAGE_SIZE")


def _control_group() -> Iterator[int]:
    limit, taken = _GROUP / "memory.max", _GROUP / "memory.current"
    if limit.exists() and taken.exists():
        text = limit.read_text(encoding="ascii").strip()
        if text != "max":
            yield int(text) - int(taken.read_text(encoding="ascii")) + _reclaimable()


def _reclaimable() -> int:
    """Return how much of the group's memory holds copies of files, which the system gives up when asked for more."""
    statistics = _GROUP / "memory.stat"
    if not statistics.exists():
        return 0
    fields = dict(line.split() for line in statistics.read_text(encoding="ascii").splitlines())
    return int(fields.get("inactive_file", 0))
