"""Sessions and states in words."""

import time
from datetime import datetime

from napari_tessera.io.journal.recovery import Recovered
from napari_tessera.io.journal.sessions import SessionSummary
from napari_tessera.napari_plugin.journal.writing import LayerState
from napari_tessera.napari_plugin.shown_text import moment

_LONGEST_LIST = 3


def ago(seconds: float) -> str:
    """Return ``just now``, ``12 s ago``, ``5 min ago``, ``3 h ago``."""
    if seconds < 1:
        return "just now"
    if seconds < 60:
        return f"{seconds:.0f} s ago"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago"


def state_words(state: LayerState, now: float | None = None) -> str:
    """Return how well a layer is protected, in a few words."""
    if state.problem:
        return f"not saved: {state.problem}"
    if state.unsaved:
        return "saving …"
    if state.saved is None:
        return "saved" if state.folder is not None else "nothing painted yet"
    return f"saved {ago((time.time() if now is None else now) - state.saved)}"


def replaced_words(name: str, when: float) -> str:
    """Return a sentence about an array that the end of napari came before."""
    return (
        f"{name!r} got another array {_clock(when)}which had not been saved as a whole when napari ended: this is what "
        "it held before."
    )


def _clock(when: float) -> str:
    try:
        return f"at {datetime.fromtimestamp(when).astimezone():%H:%M:%S}, "
    except (ValueError, OverflowError, OSError):
        return ""


def missing_words(recovered: Recovered, *, open_here: bool = False) -> list[str]:
    """Return a sentence about each thing that is not there of a layer whose pixels were read.

    Parameters
    ----------
    recovered
        The layer.
    open_here
        Whether this napari is writing it: what is not saved as a whole is on its way then.
    """
    name, words = recovered.header.layer_name, list(recovered.damage)
    if not recovered.complete and open_here:
        words.append(f"{name!r} is still being saved, so pixels may be missing: do this again in a moment.")
    elif not recovered.complete:
        words.append(f"{name!r} had not been saved as a whole before the end: pixels may be missing.")
    if recovered.replaced is not None and open_here:
        words.append(
            f"{name!r} got another array that is still being saved, so this is what it held before: wait for it."
        )
    elif recovered.replaced is not None:
        words.append(replaced_words(name, recovered.replaced))
    return words


def session_title(session: SessionSummary) -> str:
    """Return what a person knows a session by: its name, its images, or else its folder."""
    images = [name for name in session.image_names if name]
    return session.name or listed(images) or listed([layer.layer_name for layer in session.layers]) or session.path.name


def session_words(session: SessionSummary, *, open_here: bool) -> str:
    """Return when a session was last changed, and what is in it."""
    layers = [layer.layer_name for layer in session.layers]
    count = f"{len(layers)} {'layer' if len(layers) == 1 else 'layers'}"
    words = f"{moment(session.time)} · {count}: {listed(layers)}" if layers else f"{moment(session.time)} · empty"
    state = session_state(session, open_here=open_here)
    return f"{words}\n{state}" if state else words


def session_state(session: SessionSummary, *, open_here: bool) -> str:
    """Return what is special about a session; empty if nothing is."""
    if open_here:
        return "open here"
    if session.open_elsewhere is not None:
        return f"open in {session.open_elsewhere.describe()}"
    if session.problem:
        return session.problem
    if not session.closed:
        return "napari ended before it could close it"
    return ""


def listed(names: list[str]) -> str:
    """Return ``a, b, c and 4 more``."""
    shown = ", ".join(names[:_LONGEST_LIST])
    rest = len(names) - _LONGEST_LIST
    return f"{shown} and {rest} more" if rest > 0 else shown
