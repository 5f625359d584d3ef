"""Min/max networks that select the median of a window from lists that neighbouring windows share.

The method is that of A. Adams, "Fast median filters using separable sorting networks", ACM Transactions on Graphics 40
(2021): what several windows have in common is sorted once, and of the rest only what can still be the median is kept.
The merges are K. E. Batcher's, "Sorting networks and their applications" (1968). Everything here runs when a kernel is
compiled, never per pixel.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

BELOW = -1
"""A value below all others."""

ABOVE = -2
"""A value above all others."""


class Slot(NamedTuple):
    """Where a list lies: its first row in the working buffer depends on a running index.

    Attributes
    ----------
    first, length, ring : int
        The buffer holds `ring` lists of `length` rows from row `first` on; list i takes the place of list i − `ring`.
    scale, delta : int
        The list is number `scale` · index + `delta`.
    """

    first: int
    length: int
    ring: int = 1
    scale: int = 1
    delta: int = 0


class Circuit:
    """Values and the min/max steps that make them; equal steps are made once.

    A value is a number: loaded values and results count from 0 in the order in which they were made.
    """

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.made: list[tuple[str, int, int, int]] = []
        self._known: dict[tuple[str, int, int, int], int] = {}

    def copy(self) -> "Circuit":
        """Return a circuit of the same values, to try things with."""
        other = Circuit()
        other.slots, other.made, other._known = list(self.slots), list(self.made), dict(self._known)
        return other

    def _make(self, kind: str, first: int, second: int, third: int = 0) -> int:
        key = (kind, first, second, third)
        if key not in self._known:
            self._known[key] = len(self.made)
            self.made.append(key)
        return self._known[key]

    def fetch(self, slot: Slot, shift: int = 0) -> list[int]:
        """Return the sorted list that lies in `slot`, `shift` pixels to the right."""
        if slot not in self.slots:
            self.slots.append(slot)
        return [self._make("load", self.slots.index(slot), row, shift) for row in range(slot.length)]

    def smaller(self, a: int, b: int) -> int:
        """Return the smaller of two values."""
        if BELOW in {a, b}:
            return BELOW
        if ABOVE in {a, b}:
            return b if a == ABOVE else a
        return a if a == b else self._make("min", min(a, b), max(a, b))

    def larger(self, a: int, b: int) -> int:
        """Return the larger of two values."""
        if ABOVE in {a, b}:
            return ABOVE
        if BELOW in {a, b}:
            return b if a == BELOW else a
        return a if a == b else self._make("max", min(a, b), max(a, b))

    def smallest(self, values: Iterable[int]) -> int:
        """Return the smallest of several values."""
        return reduce(self.smaller, values)

    def largest(self, values: Iterable[int]) -> int:
        """Return the largest of several values."""
        return reduce(self.larger, values)


@dataclass(frozen=True)
class Program:
    """The steps that a stage takes for each pixel, in order, and where its results go.

    Attributes
    ----------
    slots : tuple of Slot
        The lists that are read or written.
    steps : tuple of (kind, first, second, third)
        "load" (slot, row, shift), "min" or "max" (value, value, 0); the position of a step is its value's number.
    stores : tuple of (slot, row, value)
        What is written where.
    """

    slots: tuple[Slot, ...]
    steps: tuple[tuple[str, int, int, int], ...]
    stores: tuple[tuple[int, int, int], ...]

    @property
    def cost(self) -> int:
        """Number of min/max steps."""
        return sum(kind != "load" for kind, *_ in self.steps)


def finish(circuit: Circuit, wanted: Sequence[int], target: Slot) -> Program:
    """Keep of a circuit only what the wanted values need, each made just before it is used, and store them."""
    order: dict[int, int] = {}
    for end in wanted:
        pending = [end]
        while pending:
            value = pending[-1]
            kind, first, second, _ = circuit.made[value]
            missing = [] if kind == "load" else [v for v in (second, first) if v not in order]
            if value in order or not missing:
                order.setdefault(value, len(order))
                pending.pop()
            else:
                pending.extend(missing)
    steps = []
    for value in order:
        kind, first, second, third = circuit.made[value]
        steps.append((kind, first, second, third) if kind == "load" else (kind, order[first], order[second], 0))
    stores = tuple((len(circuit.slots), row, order[value]) for row, value in enumerate(wanted))
    return Program((*circuit.slots, target), tuple(steps), stores)


ANYWHERE = Slot(0, 0)
"""The target of a program that is only counted."""


def merge(circuit: Circuit, a: Sequence[int], b: Sequence[int]) -> list[int]:
    """Merge two sorted lists into one (Batcher's odd-even merge, any lengths)."""
    if not a or not b:
        return [*a, *b]
    if len(a) == len(b) == 1:
        return [circuit.smaller(a[0], b[0]), circuit.larger(a[0], b[0])]
    even = merge(circuit, a[::2], b[::2])
    odd = merge(circuit, a[1::2], b[1::2])
    merged = [even[0]]
    for i in range(max(len(even) - 1, len(odd))):
        if i < len(odd) and i + 1 < len(even):
            merged += [circuit.smaller(odd[i], even[i + 1]), circuit.larger(odd[i], even[i + 1])]
        else:
            merged.append(odd[i] if i < len(odd) else even[i + 1])
    return merged


def merge_all(circuit: Circuit, lists: Sequence[Sequence[int]]) -> list[int]:
    """Merge any number of sorted lists, the shortest first."""
    waiting = sorted((list(values) for values in lists), key=len)
    while len(waiting) > 1:
        waiting = sorted([merge(circuit, waiting[0], waiting[1]), *waiting[2:]], key=len)
    return waiting[0] if waiting else []


def sort_bitonic(circuit: Circuit, values: Sequence[int]) -> list[int]:
    """Sort a list of 2ⁿ values that first rises and then falls, or a rotation of such a list."""
    if len(values) == 1:
        return list(values)
    half = len(values) // 2
    pairs = list(zip(values[:half], values[half:], strict=True))
    return [
        *sort_bitonic(circuit, [circuit.smaller(a, b) for a, b in pairs]),
        *sort_bitonic(circuit, [circuit.larger(a, b) for a, b in pairs]),
    ]


def split_middle(circuit: Circuit, a: Sequence[int], b: Sequence[int], first: int, last: int) -> list[int]:
    """Return the ranks `first` to `last` of two sorted lists, sorted, by splitting them between the two ranks."""
    at = (first + last + 1) // 2
    size = 1
    while size < max(at, len(a) + len(b) - at):
        size *= 2

    def value(values: Sequence[int], index: int) -> int:
        return BELOW if index < 0 else ABOVE if index >= len(values) else values[index]

    # Of the pairs a[i], b[at - 1 - i] the smaller ones are the `at` lowest values, the larger ones all others.
    pairs = [(value(a, i), value(b, at - 1 - i)) for i in range(min(0, at - len(b)), max(len(a), at))]
    low = [v for v in (circuit.smaller(*pair) for pair in pairs) if v != BELOW]
    high = [v for v in (circuit.larger(*pair) for pair in pairs) if v != ABOVE]
    low_sorted = sort_bitonic(circuit, [BELOW] * (size - len(low)) + low)[size - len(low) :]
    high_sorted = sort_bitonic(circuit, high + [ABOVE] * (size - len(high)))[: len(high)]
    return [*low_sorted, *high_sorted][first : last + 1]


def middle(circuit: Circuit, a: Sequence[int], b: Sequence[int], first: int, last: int) -> list[int]:
    """Return the ranks `first` to `last` (from 0, inclusive) of two sorted lists, sorted, in as few steps as known."""
    # The lowest of one list are below the wanted ranks even if all of the other list are lower; likewise the highest.
    low_a, low_b = max(0, first - len(b)), max(0, first - len(a))
    a, b = a[low_a : last + 1], b[low_b : last + 1]
    first, last = first - low_a - low_b, last - low_a - low_b
    by_merging, by_splitting = circuit.copy(), circuit.copy()
    merged = merge(by_merging, a, b)[first : last + 1]
    split = split_middle(by_splitting, a, b, first, last)
    if finish(by_merging, merged, ANYWHERE).cost <= finish(by_splitting, split, ANYWHERE).cost:
        return merge(circuit, a, b)[first : last + 1]
    return split_middle(circuit, a, b, first, last)


def middle_of_all(circuit: Circuit, lists: Sequence[Sequence[int]], first: int, last: int) -> list[int]:
    """Return the ranks `first` to `last` of any number of sorted lists, sorted."""
    waiting = sorted((list(values) for values in lists), key=len)
    while len(waiting) > 1:
        a, b, *others = waiting
        rest = sum(len(values) for values in others)
        low = max(0, first - rest)
        kept = middle(circuit, a, b, low, min(last, len(a) + len(b) - 1))
        waiting = sorted([kept, *others], key=len)
        first, last = first - low, last - low
    return waiting[0][first : last + 1]


def between(circuit: Circuit, a: Sequence[int], b: Sequence[int]) -> int:
    """Return the median of two sorted lists of n + 1 and n values.

    It is the least of the largest values of all ways to take n + 1 from the bottom of the two lists.
    """
    n = len(b)
    return circuit.smallest([a[n], *(circuit.larger(a[i - 1], b[n - i]) for i in range(1, n + 1))])
