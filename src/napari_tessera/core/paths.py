"""Paths as a person types them."""

from pathlib import Path


def expand_home(path: str | Path) -> Path:
    """Return `path` with ``~`` replaced by a home folder; unchanged where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # what follows ~ is the name of nobody here: a file may still be called so
        return Path(path)
