"""See that the least share of lines which the tests must run is not lower than where the change came from.

Run: ``python .ci/coverage_floor.py origin/main``
"""

import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def floor(project: str) -> float:
    """Return the floor that the text of a ``pyproject.toml`` sets, in percent."""
    return float(tomllib.loads(project)["tool"]["coverage"]["report"].get("fail_under", 0))


def main(base: str) -> None:
    """End with a sentence if the floor is lower than in the revision `base`."""
    before = subprocess.run(
        ["git", "show", f"{base}:pyproject.toml"], check=True, capture_output=True, text=True, cwd=PROJECT.parent
    ).stdout
    here, there = floor(PROJECT.read_text(encoding="utf-8")), floor(before)
    if here < there:
        sys.exit(f"The floor of coverage is {here} % here and {there} % in {base}: it may only rise.")


if __name__ == "__main__":
    main(*sys.argv[1:])
