"""Put single faults into a copy of the package, one after another, and see that the tests beside each notice it.

usage: mutants.py [--list] [NAME ...]     a part of a fault's name chooses it; without names all are tried

The table is `mutants.toml`. Tests that fail without any fault would notice nothing: all that are named are run once on
the unchanged copy first. Ends with 1 if a fault survives.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / ".ci" / "mutants.toml"
PACKAGE = Path("src") / "napari_tessera"
SECONDS = 900
FAILED = 1
"""What pytest ends with when tests have failed; other numbers mean that it could not run them."""
UNDECIDED = -1


@dataclass(frozen=True)
class Fault:
    """One wrong place.

    Attributes
    ----------
    name
        What is wrong, in words.
    file
        Of the package.
    before, after
        What stands there, once, and what is put in its place.
    tests
        Paths of the tests that must notice, with blanks between.
    """

    name: str
    file: str
    before: str
    after: str
    tests: str

    def put_into(self, text: str) -> str:
        """Return the text of the file with the fault in it.

        Raises
        ------
        ValueError
            If `before` does not occur once.
        """
        count = text.count(self.before)
        if count != 1:
            raise ValueError(f"{self.file}: {self.before!r} occurs {count} times (fault: {self.name})")
        return text.replace(self.before, self.after)


def read_faults(path: Path = TABLE) -> list[Fault]:
    """Return the table."""
    return [Fault(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8"))["fault"]]


def run_tests(copy: Path, tests: Iterable[str], cache: Path) -> tuple[int, str]:
    """Return what pytest ends with, and the last line that it says."""
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "NUMBA_CACHE_DIR": str(cache), "CI": "true"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not long", *tests]
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return UNDECIDED, f"no end within {SECONDS} s: name fewer tests"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return done.returncode, lines[-1] if lines else ""


def is_noticed(copy: Path, fault: Fault, caches: Path) -> tuple[bool, str]:
    """Return whether the tests of `fault` fail with it, and what they say last."""
    path = copy / PACKAGE / fault.file
    right, stamp = path.read_text(encoding="utf-8"), path.stat()
    path.write_text(fault.put_into(right), encoding="utf-8")
    # numba does not see that a function which it has compiled into another one has changed
    compiled = "numba" in right or "kernels" in path.name
    try:
        with tempfile.TemporaryDirectory() as own:
            status, said = run_tests(copy, fault.tests.split(), Path(own) if compiled else caches)
    finally:
        path.write_text(right, encoding="utf-8")
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    return status == FAILED, said


def main() -> int:
    """Try the chosen faults, and tell of each."""
    parser = argparse.ArgumentParser(description="Put single faults into a copy, and see that tests notice them.")
    parser.add_argument("names", nargs="*", help="parts of the names of faults")
    parser.add_argument("--list", action="store_true", help="only name them")
    chosen = parser.parse_args()
    faults = [fault for fault in read_faults() if not chosen.names or any(name in fault.name for name in chosen.names)]
    if chosen.list:
        print("\n".join(f"{fault.file}: {fault.name}" for fault in faults))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        copy, caches = Path(folder) / "copy", Path(folder) / "compiled"
        for part in ("src", "tests", "benchmarks", "sample_data", "docs", ".ci"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("pyproject.toml", "README.md", "Makefile"):
            shutil.copy(ROOT / part, copy / part)
        every = sorted({test for fault in faults for test in fault.tests.split()})
        status, said = run_tests(copy, every, caches)
        if status:
            print(f"The tests fail without any fault: {said}")
            return 1
        survivors = [fault for fault in faults if not _tried(copy, fault, caches)]
    print(f"{len(faults) - len(survivors)} of {len(faults)} faults noticed.")
    for fault in survivors:
        print(f"survived: {fault.file}: {fault.name} ({fault.tests})")
    return 1 if survivors else 0


def _tried(copy: Path, fault: Fault, caches: Path) -> bool:
    noticed, said = is_noticed(copy, fault, caches)
    print(f"{'noticed ' if noticed else 'SURVIVED'}  {fault.file}: {fault.name}  [{said}]", flush=True)
    return noticed


if __name__ == "__main__":
    sys.exit(main())
