"""Time that ``import napari_tessera`` adds to starting the interpreter.

Run: ``python benchmarks/import_time.py``. The exit status is 1 if the limit is missed.
"""

import statistics
import subprocess
import sys
import time

from limits import reached

ROUNDS = 15
LIMIT = 150
"""Milliseconds."""


def seconds(code: str) -> float:
    """Return how long a new interpreter takes to run `code`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def main() -> int:
    pairs = [(seconds("pass"), seconds("import napari_tessera")) for _ in range(ROUNDS)]
    bare, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    added = statistics.median(b - a for a, b in pairs)
    print(f"bare interpreter {bare * 1e3:.0f} ms, with the import {ours * 1e3:.0f} ms")
    return 0 if reached("added by the import", added * 1e3, LIMIT, " ms") else 1


if __name__ == "__main__":
    sys.exit(main())
