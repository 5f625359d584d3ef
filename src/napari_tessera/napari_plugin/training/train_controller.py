"""What Train decides: whether it may begin, what is doubted about the annotation, and which classes are shown.

Plain Python: the widget shows what is decided here and says what the person did. Tests put a mock in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from napari_tessera.config.training import SCRIBBLED_BACKGROUND, Annotation
from napari_tessera.io.journal.naming import naming_remark
from napari_tessera.napari_plugin.training.usual_classes import default_classes
from napari_tessera.pipeline.learning.painted import MANY_NUMBERS, Doubt, Remedy, find_doubt

Classes = Mapping[int, tuple[str, str]]
"""Name and colour (#rrggbb) per number."""

KINDS: Sequence[tuple[Annotation, str, str]] = (
    (
        Annotation.SCRIBBLES,
        "strokes",
        "Paint 1 = background and 2, 3, … = what you look for; a few strokes of each do. 0 is left out.",
    ),
    (Annotation.DENSE, "complete masks", "Every pixel counts: 0 = background, 1, 2, … = what you look for."),
    (Annotation.OBJECTS, "objects", "Every pixel counts: 0 = background, every other number is one object."),
)

_KIND_OF = {
    Remedy.OBJECTS: Annotation.OBJECTS,
    Remedy.MASKS: Annotation.DENSE,
    Remedy.STROKES: Annotation.SCRIBBLES,
}

_PAINTED_BY = {Remedy.PAINT: SCRIBBLED_BACKGROUND, Remedy.CLASS: SCRIBBLED_BACKGROUND + 1}


@dataclass(frozen=True)
class Facts:
    """What there is to learn from, and what else matters for whether that can begin.

    Attributes
    ----------
    why_busy, running, elsewhere
        Why no job can begin now, whether one of this widget runs, and whether one of any widget does.
    name, trained
        Of the model, as typed, and whether there is a training of that name to go on with.
    problem, unpainted
        What is wrong with images and annotation, and what is to be painted first; empty if nothing is.
    image, axes
        Whether an image is chosen, and whether its axes are known.
    """

    name: str
    why_busy: str = ""
    running: bool = False
    elsewhere: bool = False
    trained: bool = False
    problem: str = ""
    unpainted: str = ""
    image: bool = True
    axes: bool = True

    @property
    def why_not(self) -> str:
        """Why a training cannot be started; empty if it can."""
        if self.why_busy:
            return self.why_busy
        if not self.name.strip():
            return "Give the model a name."
        return self.problem or self.unpainted


@dataclass(frozen=True)
class Button:
    """Whether a button can be pressed, and what is said about it."""

    enabled: bool
    help: str


@dataclass(frozen=True)
class Offer:
    """What the widget offers: its buttons, and what has to be done next (None leaves what is said as it is)."""

    train: Button
    go_on: Button
    new_annotation: Button
    hint: str | None


def offer_of(facts: Facts) -> Offer:
    """Return what is offered as things are."""
    why_not = facts.why_not
    train = why_not or "Train a new network on the annotation. If the name is taken, the next free one is used."
    go_on = "There is no training of this name to go on with."
    if facts.trained:
        go_on = why_not or "Go on training this model from where it stopped, on the annotation as it is now."
    new = "Add an empty Labels layer that fits the image, ready to paint in." if facts.image else why_not
    hint = "" if facts.elsewhere else why_not or naming_remark(facts.name)
    return Offer(
        Button(not why_not, train),
        Button(facts.trained and not why_not, go_on),
        Button(facts.image and facts.axes, new),
        None if facts.running else hint,
    )


@dataclass(frozen=True)
class Painted:
    """What is painted.

    Attributes
    ----------
    counts
        Pixels per number, 0 included; None where they are not known.
    everything
        Whether all annotation has been counted.
    begun_here
        Whether all layers were made for strokes, in which 1 is called background.
    """

    counts: Mapping[int, int] | None = None
    everything: bool = True
    begun_here: bool = False


class TrainView(Protocol):
    """What the controller knows of the widget."""

    @property
    def shown_classes(self) -> Classes:
        """The classes in the table."""
        ...

    @property
    def unknown_numbers(self) -> list[int]:
        """Numbers that are painted but no classes."""
        ...

    def facts(self) -> Facts:
        """Return what matters for whether a training can begin."""
        ...

    def painted(self) -> Painted:
        """Return what is painted."""
        ...

    def show_offer(self, offer: Offer) -> None:
        """Enable what applies and say why the rest does not."""
        ...

    def show_kind(self, annotation: Annotation, explanation: str, classes: Classes) -> None:
        """Show what the numbers mean now, and the classes that go with it."""
        ...

    def show_painted(self, counts: Mapping[int, int] | None) -> None:
        """Show how much is painted."""
        ...

    def show_doubt(self, doubt: Doubt | None) -> None:
        """Show what speaks against learning from what is painted."""
        ...

    def recolor(self) -> None:
        """Give the annotation the colours of the classes."""
        ...

    def choose_kind(self, annotation: Annotation) -> None:
        """Choose what the numbers mean, as the person could."""
        ...

    def choose_number(self, number: int) -> None:
        """Choose what is painted with."""
        ...

    def add_classes(self, numbers: list[int]) -> None:
        """Make classes of painted numbers."""
        ...

    def start(self, *, resume: bool) -> None:
        """Begin a training, or go on with one."""
        ...


class TrainController:
    """Takes what the person does, and decides what is shown.

    Attributes
    ----------
    annotation
        What the numbers mean; None before anything is chosen.
    sure
        Whether the person wants to learn from what is painted in spite of a doubt.
    resuming
        Whether the training that was asked for last goes on with a model.
    """

    def __init__(self, view: TrainView) -> None:
        self.annotation: Annotation | None = None
        self.sure = self.resuming = False
        self._view = view
        self._seen: frozenset[int] = frozenset()
        self._classes_of: dict[Annotation, Classes] = {}

    def choose(self, annotation: Annotation) -> None:
        """Take the numbers to mean `annotation`; the classes of each meaning are there again for whoever comes back."""
        before, self.annotation = self.annotation, annotation
        shown = self._view.shown_classes
        if before is not None:
            self._classes_of[before] = shown
        usual = default_classes(annotation, max(2, len(shown)))
        explanation = next(text for kind, _, text in KINDS if kind is annotation)
        self._view.show_kind(annotation, explanation, self._classes_of.get(annotation, usual))
        if before is not None:
            self._view.recolor()
        self.sure = False
        self.look()

    def look(self) -> None:
        """Something is painted, or other layers are chosen: show it, what speaks against it, and what is offered."""
        painted = self._view.painted()
        numbers = frozenset(painted.counts or ())
        if painted.counts is None or numbers != self._seen:
            self.sure = False
        self._seen = numbers
        self._view.show_painted(painted.counts)
        self._view.show_doubt(self._doubt(painted))
        self.offer()

    def offer(self) -> None:
        """Show what is offered as things are."""
        self._view.show_offer(offer_of(self._view.facts()))

    def take_remedy(self, remedy: Remedy) -> None:
        """Do what was proposed about a doubt."""
        if remedy in _PAINTED_BY:
            self._view.choose_number(_PAINTED_BY[remedy])
        else:
            self._view.choose_kind(_KIND_OF[remedy])

    def train_all_the_same(self) -> None:
        """Learn from what is painted; what is no class yet becomes one."""
        unknown = self._view.unknown_numbers
        if self.annotation is not Annotation.OBJECTS and len(unknown) <= MANY_NUMBERS:
            self._view.add_classes(unknown)
        self.sure = True
        self._view.show_doubt(None)
        if not self._view.facts().why_not:
            self.start(resume=self.resuming)

    def start(self, *, resume: bool) -> None:
        """Begin a training, or go on with one."""
        self.resuming = resume
        self._view.start(resume=resume)

    def _doubt(self, painted: Painted) -> Doubt | None:
        if not painted.counts or self.sure or not painted.everything or self.annotation is None:
            return None
        return find_doubt(painted.counts, self.annotation, self._view.shown_classes, begun_here=painted.begun_here)
