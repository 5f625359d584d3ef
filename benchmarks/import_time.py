"""Time that ``import napari_tessera`` adds to starting the interpreter.

Run: ``python benchmarks/import_time.py``.
"""

import statistics
import subprocess
import sys
import time

ROUNDS = 15


def seconds(code: str) -> float:
    """Return how long a new interpreter takes to run `code`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def main() -> None:
    pairs = [(seconds("pass"), seconds("import napari_tessera")) for _ in range(ROUNDS)]
    bare, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    added = statistics.median(b - a for a, b in pairs)
    print(f"bare interpreter {bare * 1e3:.0f} ms, with the import {ours * 1e3:.0f} ms")
    print(f"the import adds {added * 1e3:.0f} ms (reach: ≤ 150)")


if __name__ == "__main__":
    main()
