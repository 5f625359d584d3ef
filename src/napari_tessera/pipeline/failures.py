"""Any error as one sentence for a person; the outermost boundaries of command line and worker use it."""

import errno
from pathlib import Path

from pydantic import ValidationError

from napari_tessera.config.base import describe_validation_error
from napari_tessera.core.errors import TesseraError
from napari_tessera.core.image import short_name


def describe_error(error: BaseException, *, report: str = "the worker's log") -> str:
    """Return one sentence for a person: what went wrong and what to do about it.

    Parameters
    ----------
    error
        Whatever was raised.
    report
        What to send along with a report of an error that nobody foresaw.
    """
    match error:
        case TesseraError():
            return str(error)
        case ValidationError():
            return describe_validation_error(error)
        case MemoryError():
            return "Memory ran out: close other programs, or work on a smaller image, tile, patch or batch."
        case OSError():
            return _describe_os_error(error)
        case _:
            return _describe_other(error, report)


def _describe_other(error: BaseException, report: str) -> str:
    first = next(iter(str(error).splitlines()), "")
    if isinstance(error, RuntimeError) and "out of memory" in str(error).lower():
        return (
            "The graphics card ran out of memory: close other programs that use it, or choose a smaller tile, patch or "
            "batch size, or the device cpu."
        )
    if isinstance(error, ImportError):
        return f"A library cannot be loaded ({first}): napari-tessera doctor says what to install."
    return (
        f"Something unforeseen happened ({type(error).__name__}: {first}): try again, and report it with {report} if "
        "it stays."
    )


def _describe_os_error(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "The disk is full: free some space and try again."
    if error.errno == errno.ENAMETOOLONG:
        name = short_name(Path(str(error.filename)).name)
        return f"The name {name!r} is too long for the disk, with what is added to it: choose a shorter one."
    about = f" ({error.filename})" if error.filename else ""
    reason = error.strerror or str(error) or type(error).__name__
    return f"A file could not be read or written{about}: {reason}; check the disk and its permissions."
