"""Print the pins of everything that ``napari-tessera[all,dev]`` needs, from the environment that runs this."""

import sys
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Requirement("napari-tessera[all,dev]")


def closure() -> dict[str, str]:
    """Return version by name of all distributions that the root needs here."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    todo = [(ROOT.name, extra) for extra in ("", *ROOT.extras)]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            found_one = distribution(name)
        except PackageNotFoundError:
            continue  # an optional part that this platform goes without
        found[canonicalize_name(found_one.metadata["Name"])] = found_one.version
        for line in found_one.requires or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                todo += [(canonicalize_name(needed.name), wanted) for wanted in ("", *needed.extras)]
    del found[canonicalize_name(ROOT.name)]
    return found


if __name__ == "__main__":
    lines = ["# Versions that the tests passed with. Written by `make constraints`."]
    # A local build tag (+cpu) is left out: the pin then admits the CPU build where one is at hand.
    lines += [f"{name}=={version.partition('+')[0]}" for name, version in sorted(closure().items())]
    sys.stdout.write("\n".join(lines) + "\n")
