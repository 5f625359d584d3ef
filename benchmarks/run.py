"""Run all benchmarks one after the other and write what they say into one report.

Run: ``python benchmarks/run.py [FOLDER]``, or ``make bench DATA=FOLDER``; FOLDER holds the sets of images that
`stroke_sets.py` names, for `strokes.py` and `first_clicks.py`, which are left out without it. The report goes to
``.benchmarks/report.md`` and holds what every script said; the exit status is 1 if one of them missed a limit or
failed. Close everything else first.
"""

import argparse
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
REPORT = HERE.parent / ".benchmarks" / "report.md"
SCRIPTS = (
    "import_time",
    "rank_filters",
    "thresholds_and_growing",
    "click_engine",
    "fourier",
    "out_of_core",
    "training_step",
    "tiled_prediction",
    "live_preview",
    "label_writing",
    "gui_heartbeat",
    "journal_stall",
    "journal",
    "click_to_outline",
    "first_opening",
)


def run(script: str, *arguments: str) -> tuple[bool, str]:
    """Run one benchmark; return whether it ended well, and its section of the report."""
    path = HERE / f"{script}.py"
    print(f"== {script}", flush=True)
    done = subprocess.run([sys.executable, str(path), *arguments], stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, flush=True)
    well = done.returncode == 0
    verdict = "" if well else f"\n**Ended with status {done.returncode}: a limit was missed, or the script failed.**\n"
    return well, f"## {script}\n\n```\n{done.stdout.strip()}\n```\n{verdict}"


def describe_computer() -> str:
    """Return on what the figures were measured."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("napari-tessera", "torch", "numpy", "napari", "zarr"))
    return f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}; {libraries}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", nargs="?", help="folder of sets of images for strokes.py and first_clicks.py")
    data = parser.parse_args().data
    outcomes = [run(script) for script in SCRIPTS]
    if data:
        fluorescence = Path(data) / "dsb2018" / "fluorescence"
        outcomes += [run("strokes", data, "--quick"), run("first_clicks", str(fluorescence))]
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join(["# Benchmarks\n", describe_computer(), *(text for _, text in outcomes)]))
    print(f"written to {REPORT}")
    return 0 if all(well for well, _ in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
