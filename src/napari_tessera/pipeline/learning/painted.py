"""What an annotation holds, in words, and whether it looks like what it is said to be."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from napari_tessera.config.training import SCRIBBLED_BACKGROUND, Annotation

MANY_NUMBERS = 8
"""More numbers than this are rather objects than classes."""
_LISTED = 6


class Remedy(Enum):
    """What a person may want to do about a doubt; the value is what a button for it says."""

    OBJECTS = "They are objects"
    MASKS = "They are complete masks"
    STROKES = "They are strokes"
    PAINT = "Paint background"
    CLASS = "Paint what you look for"


@dataclass(frozen=True)
class Doubt:
    """An annotation that can be learnt from, but perhaps not what was meant.

    Attributes
    ----------
    sentence
        What was found.
    remedy
        What is proposed; None where only the person can tell.
    """

    sentence: str
    remedy: Remedy | None = None


def find_doubt(
    counts: Mapping[int, int], annotation: Annotation, known: Collection[int], *, begun_here: bool = False
) -> Doubt | None:
    """Return what speaks against learning from an annotation as it is; None if nothing does.

    Parameters
    ----------
    counts
        Pixels per number, 0 included.
    annotation
        What the numbers are said to mean.
    known
        Numbers of the classes that the person has been shown or has named.
    begun_here
        Whether the person painted in a layer that was made for strokes, in which 1 is called background: 1 alone then
        means that the rest is still to come.
    """
    numbers = sorted(number for number, count in counts.items() if number > 0 and count)
    if annotation is Annotation.OBJECTS or not numbers:
        return None
    if len(numbers) > MANY_NUMBERS and len(numbers) > len(set(known)):
        return Doubt(f"Found {len(numbers)} ids: these look like objects, not like classes.", Remedy.OBJECTS)
    stray = _strays(numbers, known)
    if stray and len(numbers) > 1:  # a mask of 0 and 255 is one
        pixels = sum(counts[number] for number in stray)
        return Doubt(
            f"Found {listed(numbers)}: is {listed(stray, 'or')} a class, painted with {_pixels(pixels)}? If not, erase "
            "it or paint over it."
        )
    if annotation is Annotation.SCRIBBLES:
        return _doubt_strokes(numbers, begun_here=begun_here)
    return _doubt_masks(numbers, counts.get(0, 0))


def _doubt_strokes(numbers: Sequence[int], *, begun_here: bool) -> Doubt | None:
    if numbers == [SCRIBBLED_BACKGROUND] and begun_here:
        return Doubt("Only 1, background, is painted so far: paint what you look for with 2.", Remedy.CLASS)
    if numbers == [SCRIBBLED_BACKGROUND]:
        return Doubt(
            "Found 1 alone, which is background in strokes: if 1 is what you look for and 0 is background, these are "
            "complete masks.",
            Remedy.MASKS,
        )
    if SCRIBBLED_BACKGROUND in numbers or len(numbers) == 1:  # a single class is refused, and with what is missing
        return None
    return Doubt(f"No background (1) is painted, found {listed(numbers)}.", Remedy.PAINT)


def _doubt_masks(numbers: Sequence[int], background: int) -> Doubt | None:
    if background:
        return None
    return Doubt(f"No pixel is 0, found {listed(numbers)}: if 1 is background, these are strokes.", Remedy.STROKES)


def describe_counts(counts: Mapping[int, int], annotation: Annotation) -> str:
    """Return what was found as a line: ``Found 1 (210 pixels) and 2 (95 pixels)``.

    Parameters
    ----------
    counts
        Pixels per number, 0 included.
    annotation
        What the numbers are said to mean.
    """
    numbers = sorted(number for number, count in counts.items() if count and (number or annotation is Annotation.DENSE))
    objects = [number for number in numbers if number]
    if not objects:
        return "Nothing is painted yet."
    if annotation is Annotation.OBJECTS:
        return f"Found {len(objects):,} object{'s' if len(objects) > 1 else ''}."
    if len(numbers) > MANY_NUMBERS:
        return f"Found {len(numbers):,} numbers, from {numbers[0]} to {numbers[-1]}."
    return f"Found {_and([f'{number} ({_pixels(counts[number])})' for number in numbers])}."


def listed(numbers: Collection[int], word: str = "and") -> str:
    """Return numbers as a person lists them: ``1, 2 and 7``."""
    shown = [str(number) for number in sorted(numbers)]
    if len(shown) > _LISTED:
        shown = [*shown[: _LISTED - 1], f"{len(shown) - _LISTED + 1} more"]
    return _and(shown, word)


def _strays(numbers: Sequence[int], known: Collection[int]) -> list[int]:
    """Return the numbers that neither are known nor come next after one that is."""
    accepted = {0, *known}
    for number in numbers:
        if number - 1 in accepted:
            accepted.add(number)
    return [number for number in numbers if number not in accepted]


def _and(parts: list[str], word: str = "and") -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def _pixels(count: int) -> str:
    return f"{count:,} pixel{'' if count == 1 else 's'}"
