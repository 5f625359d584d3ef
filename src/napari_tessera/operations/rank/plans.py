"""The stages in which the medians of a row of pixels are found, for one size of window.

Two rows of output, y and y + 1, are made together. Of their windows, (depth, height, width) pixels each, all rows but
the first and the last are shared. Rows are visited from top to bottom, and for every x:

1. the depths of a row of pixels are sorted, and lists of 1, 2, 4, … neighbouring columns merged, each once for all
   windows that hold them, up to a list of the row's part of the window;
2. the lists of two rows are merged, and those of four where a window holds several fours: each serves several windows;
3. the lists of a window are merged; only as many values around the middle are kept as the row that is not shared can
   shift the median by; that row's list then decides.
"""

from dataclasses import dataclass
from functools import cache

from napari_tessera.operations.rank.networks import Circuit, Program, Slot, between, finish, merge_all, middle_of_all

Window = tuple[int, int, int]

ROWS, PAIRS, FOURS, LAST = range(4)
"""The stages: list of a row (index: row), of rows 2i + 1 and 2i + 2, of rows 2i + 1 … 2i + 4, and results of rows 2i
and 2i + 1; row 0 is the first one that the window of the first pixel reaches."""


@dataclass(frozen=True)
class Plan:
    """Stages for one size of window.

    Attributes
    ----------
    stages : tuple of tuple of Program
        What the stages `ROWS`, `PAIRS`, `FOURS` and `LAST` do, step after step; empty for those that are not needed.
    reach : tuple of int
        How many columns beyond the chunk each step of `ROWS` is needed for.
    rows : int
        Number of rows of the working buffer; the first ones take the depths of one row of pixels.
    results : int
        Row of the results: the medians of the two rows; with the extremes: smallest, median, largest of each.
    """

    stages: tuple[tuple[Program, ...], ...]
    reach: tuple[int, ...]
    rows: int
    results: int

    @property
    def cost(self) -> float:
        """Number of min/max steps per pixel."""
        rows, *others = (sum(program.cost for program in stage) for stage in self.stages)
        return rows + sum(others) / 2


class _Planner:
    """Lays out the lists in the working buffer and writes the stages."""

    def __init__(self, window: Window) -> None:
        self.depth, self.height, self.width = window
        self.extra = self.depth * self.width
        self.pairs = (self.height - 1) // 2
        self.rows = 0

    def place(self, length: int, ring: int = 1) -> Slot:
        """Take rows for lists."""
        slot = Slot(self.rows, length, ring)
        self.rows += length * ring
        return slot

    def row(self, pixels: Slot, target: Slot) -> tuple[list[Program], list[int]]:
        """Sort the pixels of a row that a window holds; return the steps and for how many columns beyond."""
        programs, reach = [], []
        blocks = {1: pixels}
        if self.depth > 1:
            circuit = Circuit()
            programs.append(finish(circuit, merge_all(circuit, [[v] for v in circuit.fetch(pixels)]), pixels))
            reach.append(self.width - 1)
        block = 1
        while self.width // (2 * block) >= 2:
            circuit = Circuit()
            values = merge_all(circuit, [circuit.fetch(blocks[block], shift) for shift in (0, block)])
            block *= 2
            blocks[block] = self.place(len(values))
            programs.append(finish(circuit, values, blocks[block]))
            reach.append(self.width - block)
        circuit = Circuit()
        pieces, shift = [], 0
        for width in sorted(blocks, reverse=True):
            while self.width - shift >= width:
                pieces.append(circuit.fetch(blocks[width], shift))
                shift += width
        return [*programs, finish(circuit, merge_all(circuit, pieces), target)], [*reach, 0]

    def merged(self, lists: Slot, scale: int, delta: int, target: Slot) -> Program:
        """Merge list number `scale` · index + `delta` with its successor."""
        circuit = Circuit()
        both = [circuit.fetch(lists._replace(scale=scale, delta=delta + i)) for i in (0, 1)]
        return finish(circuit, merge_all(circuit, both), target)

    def shared(self, circuit: Circuit, rows: Slot, pairs: Slot, fours: Slot | None) -> list[list[int]]:
        """Return the lists that make up the rows that two windows share."""
        if self.pairs == 1:
            return [circuit.fetch(rows._replace(scale=2, delta=delta)) for delta in (1, 2)]
        lists, at = [], 0
        while fours and self.pairs - at >= 2:
            lists.append(circuit.fetch(fours._replace(delta=at)))
            at += 2
        return [*lists, *(circuit.fetch(pairs._replace(delta=delta)) for delta in range(at, self.pairs))]

    def last(self, shared: list[list[int]], circuit: Circuit, rows: Slot, *, extremes: bool) -> Program:
        """Find the medians, and the extremes where they are wanted."""
        rank = self.extra * self.height // 2
        candidates = middle_of_all(circuit, shared, rank - self.extra, rank)
        results = []
        for row in (0, self.height):
            own = circuit.fetch(rows._replace(scale=2, delta=row))
            found = [between(circuit, candidates, own)]
            if extremes:
                found.insert(0, circuit.smallest(values[0] for values in (*shared, own)))
                found.append(circuit.largest(values[-1] for values in (*shared, own)))
            results += found
        return finish(circuit, results, self.place(len(results)))


@cache
def plan(window: Window, *, extremes: bool = False) -> Plan:
    """Return the stages for a window of (depth, height, width) pixels, each odd, height ≥ 3.

    Parameters
    ----------
    window : tuple of int
        Extents along z, y, x, in pixels.
    extremes : bool
        Whether the smallest and largest value of each window are wanted too.

    Returns
    -------
    Plan
    """
    planner = _Planner(window)
    pixels = planner.place(planner.depth)
    rows = planner.place(planner.extra, planner.height + 1)
    row_programs, reach = planner.row(pixels, rows)
    pair_programs: tuple[Program, ...] = ()
    four_programs: tuple[Program, ...] = ()
    pairs, fours = rows, None
    if planner.pairs >= 2:
        pairs = planner.place(2 * planner.extra, planner.pairs)
        pair_programs = (planner.merged(rows, 2, 1, pairs),)
    if planner.pairs >= 4:
        fours = planner.place(4 * planner.extra, planner.pairs - 1)
        four_programs = (planner.merged(pairs, 1, 0, fours),)
    circuit = Circuit()
    shared = planner.shared(circuit, rows, pairs, fours)
    results = planner.rows
    last = planner.last(shared, circuit, rows, extremes=extremes)
    stages = (tuple(row_programs), pair_programs, four_programs, (last,))
    return Plan(stages, tuple(reach), planner.rows, results)
