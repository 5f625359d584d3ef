"""What the window knows of a kind of job: whose it is, what it shows of itself, and what helps if its process dies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


def no_figures(_figures: Mapping[str, float]) -> str:
    """Show none."""
    return ""


@dataclass(frozen=True)
class Figures:
    """What a kind of job shows of its metrics.

    Attributes
    ----------
    text
        Returns a line on the newest value of each metric, by name; empty if none of them is to be shown.
    help
        What the figures mean.
    """

    text: Callable[[Mapping[str, float]], str] = no_figures
    help: str = ""


@dataclass(frozen=True)
class JobKind:
    """A kind of job, as runner and panel treat it.

    Attributes
    ----------
    title
        What it is called in front of a person.
    figures
        What is shown of its metrics.
    remedy
        What to do when its process has died, as the end of a sentence.
    saves
        Whether it saves what it has when it is told to stop: its process is then left to it, not killed.
    """

    title: str
    figures: Figures = Figures()
    remedy: str = "start it again."
    saves: bool = False
