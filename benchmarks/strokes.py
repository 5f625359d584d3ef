"""From strokes to masks on many kinds of images: Otsu, a forest, and our defaults from strokes and from every pixel.

Run: ``python benchmarks/strokes.py DATA``, where DATA has the folders that `stroke_sets.py` names; sets whose folder
is missing are left out. Which pictures train and which test is fixed there. Settings are chosen on training pictures,
never on this table, but for brightfield, histology and phase contrast, of which there are two or three pictures each:
they are tested two-fold, so every one of them is a training picture of the other fold.

Every cell (set, fold, hand, seed, method) is kept in ``.benchmarks/strokes/LABEL``, and a run goes on where one
stopped: the whole table takes hours. Change the learner, change the label. ``--against OTHER`` compares cells that both
labels have, paired by strokes and seed. ``--choose`` divides the training pictures, for choosing settings, which are
given by ``--set``. ``--quick`` takes some ten minutes.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from stroke_hands import human_hand, skeleton_hand, sparse_hands
from stroke_methods import Learnt, Mask, forest, network, otsu
from stroke_sets import Picture, read_sets

from napari_tessera.config.base import parse_assignments

CACHE = Path(__file__).parents[1] / ".benchmarks" / "strokes"
HANDS = ("skeleton", "human", "sparse")
METHODS = ("otsu", "forest", "strokes", "dense")
WITHOUT_HANDS = ("otsu", "dense")
CHOOSING = 9
"""Number of the fold, of training pictures alone, by which settings are chosen."""

SPARSE_STROKES = 10
"""Strokes per class in the sparse case, all pictures together."""


@dataclass(frozen=True)
class Cell:
    """One training and what it is tested on."""

    kind: str
    fold: int
    hand: str
    seed: int
    method: str

    @property
    def file(self) -> str:
        """Name of the file that keeps its outcome."""
        return f"{self.kind}-{self.fold}-{self.hand}-{self.seed}-{self.method}.json"


@dataclass(frozen=True)
class Outcome:
    """Figures of a cell: per tested picture Dice of the foreground and of the rarer class, share of wrong pixels."""

    dice: list[float]
    minority: list[float]
    error: list[float]
    painted: float
    cpu_seconds: float
    steps: int


def dice(found: Mask, truth: Mask) -> float:
    return float(2 * (found & truth).sum() / max(found.sum() + truth.sum(), 1))


def draw(hand: str, learnt: Sequence[Picture], seed: int) -> list[NDArray[np.uint8]]:
    """Paint all learnt pictures of a cell."""
    rng = np.random.default_rng(seed)
    if hand == "sparse":
        return sparse_hands([one.objects for one in learnt], rng, SPARSE_STROKES)
    paint = {"skeleton": skeleton_hand, "human": human_hand}[hand]
    return [paint(one.objects, rng) for one in learnt]


def run_cell(data: Path, cell: Cell, settings: dict[str, Any], threads: int) -> Outcome:
    """Learn and test one cell."""
    torch.set_num_threads(threads)
    kind = read_sets(data)[cell.kind]
    fold = kind.chosen_on() if cell.fold == CHOOSING else kind.folds[cell.fold]
    learnt, tested = ([kind.read(name) for name in names] for names in (fold.learnt, fold.tested))
    labels: list[NDArray[Any]] = []
    if cell.method == "otsu":
        result = otsu(learnt, tested)
    elif cell.method == "dense":
        labels = [one.objects for one in learnt]
        result = network(learnt, labels, tested, cell.seed, "objects", settings)
    else:
        labels = list(draw(cell.hand, learnt, cell.seed))
        if cell.method == "forest":
            result = forest(learnt, labels, tested, cell.seed)
        else:
            result = network(learnt, labels, tested, cell.seed, "scribbles", settings)
    painted = 1.0 if cell.method == "dense" else float(np.mean([(one > 0).mean() for one in labels] or [0]))
    return judge(result, tested, painted)


def judge(result: Learnt, tested: Sequence[Picture], painted: float) -> Outcome:
    """Compare masks with the truth; which class is rarer is decided by all tested pictures together."""
    rare = float(np.mean([one.mask.mean() for one in tested])) <= 0.5
    pairs = list(zip(result.masks, (one.mask for one in tested), strict=True))
    return Outcome(
        dice=[dice(found, truth) for found, truth in pairs],
        minority=[dice(found == rare, truth == rare) for found, truth in pairs],
        error=[float((found != truth).mean()) for found, truth in pairs],
        painted=painted,
        cpu_seconds=result.cpu_seconds,
        steps=result.steps,
    )


def cells(options: argparse.Namespace) -> Iterator[Cell]:
    """Yield every cell that was asked for; methods that strokes do not matter to have no hand."""
    kinds = read_sets(options.data)
    for seed in options.seeds:
        for kind in options.sets or kinds:
            for fold in [CHOOSING] if options.choose else range(len(kinds[kind].folds)):
                for method in options.methods:
                    for hand in ("none",) if method in WITHOUT_HANDS else options.hands:
                        if method != "otsu" or seed == options.seeds[0]:
                            yield Cell(kind, fold, hand, seed, method)


def compute(options: argparse.Namespace, folder: Path, wanted: Sequence[Cell]) -> None:
    """Compute the cells that are not kept yet, and keep each as soon as it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    check_settings(folder, sorted(options.settings))
    missing = [cell for cell in wanted if not (folder / cell.file).exists()]
    settings = parse_assignments(tuple(options.settings))
    with ProcessPoolExecutor(options.jobs) as pool:
        tasks = {pool.submit(run_cell, options.data, cell, settings, options.threads): cell for cell in missing}
        for done, task in enumerate(as_completed(tasks), 1):
            cell, outcome = tasks[task], task.result()
            partial = folder / f"{cell.file}.partial"
            partial.write_text(json.dumps(asdict(outcome)))
            partial.rename(folder / cell.file)
            print(f"{done}/{len(tasks)} {cell.file}: Dice {np.mean(outcome.dice):.3f}", flush=True)


def check_settings(folder: Path, settings: list[str]) -> None:
    """Refuse to mix cells of other settings under one label."""
    path = folder / "settings.json"
    if not path.exists():
        path.write_text(json.dumps(settings))
    if json.loads(path.read_text()) != settings:
        raise SystemExit(f"The label {folder.name!r} has the settings {path.read_text()}: choose another --label.")


def read(folder: Path, cell: Cell) -> Outcome | None:
    """Return what is kept of a cell."""
    path = folder / cell.file
    return Outcome(**json.loads(path.read_text())) if path.exists() else None


def by_seed(folder: Path, wanted: Sequence[Cell], row: tuple[str, str, str]) -> dict[int, list[Outcome]]:
    """Return the outcomes of all folds per seed, for a row (set, hand, method); of seeds that are complete."""
    found: dict[int, list[Outcome | None]] = {}
    for cell in wanted:
        if (cell.kind, cell.hand, cell.method) == row:
            found.setdefault(cell.seed, []).append(read(folder, cell))
    return {seed: [one for one in folds if one] for seed, folds in found.items() if all(folds)}


def means(folds: Sequence[Outcome]) -> NDArray[np.float64]:
    """Return mean Dice, minority Dice and error over the tested pictures of all folds."""
    return np.array([np.mean([value for one in folds for value in getattr(one, name)]) for name in FIGURES])


FIGURES = ("dice", "minority", "error")
HEADER = """| set | strokes | method | painted | Dice | rarer class | error | steps | CPU s |
|---|---|---|---|---|---|---|---|---|"""


def table(folder: Path, wanted: Sequence[Cell]) -> str:
    """Return a line per set, hand and method: mean ± standard deviation (worst) over the seeds."""
    lines = [HEADER]
    for row in dict.fromkeys((cell.kind, cell.hand, cell.method) for cell in wanted):
        seeds = by_seed(folder, wanted, row)
        if not seeds:
            continue
        figures = np.array([means(folds) for folds in seeds.values()])
        every = [one for folds in seeds.values() for one in folds]
        worst = (*figures[:, :2].min(axis=0), figures[:, 2].max())
        spread = figures.std(axis=0, ddof=1) if len(figures) > 1 else np.zeros(3)
        columns = zip(figures.mean(axis=0), spread, worst, strict=True)
        told = [f"{mean:.3f} ± {deviation:.3f} ({bad:.3f})" for mean, deviation, bad in columns]
        cost = f"{np.mean([one.steps for one in every]):.0f} | {np.mean([one.cpu_seconds for one in every]):.0f}"
        painted = f"{np.mean([one.painted for one in every]):.2%}"
        lines.append(f"| {' | '.join(row)} | {painted} | {' | '.join(told)} | {cost} |")
    return "\n".join(lines)


def comparison(folder: Path, other: Path, wanted: Sequence[Cell]) -> str:
    """Return the differences of the network's rows from `other`, with their 95 % interval over the seeds."""
    lines = ["| set | strokes | method | Dice | rarer class | error |", "|---|---|---|---|---|---|"]
    for row in dict.fromkeys((cell.kind, cell.hand, cell.method) for cell in wanted):
        here, there = by_seed(folder, wanted, row), by_seed(other, wanted, row)
        both = sorted(here.keys() & there.keys())
        if not both or row[2] not in ("strokes", "dense"):
            continue
        differences = np.array([means(here[seed]) - means(there[seed]) for seed in both])
        lines.append(f"| {' | '.join(row)} | {' | '.join(interval(values) for values in differences.T)} |")
    return "\n".join(lines)


def interval(values: NDArray[np.float64]) -> str:
    """Return the mean of paired differences and its 95 % interval (Student's t)."""
    if len(values) < 2:
        return f"{values.mean():+.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():+.3f} ({values.mean() - half:+.3f} to {values.mean() + half:+.3f})"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--label", default="now", help="name of the state of the learner that is measured")
    parser.add_argument("--against", help="another label, to compare with")
    parser.add_argument("--sets", nargs="+", help="some kinds of images only")
    parser.add_argument("--hands", nargs="+", default=list(HANDS), choices=HANDS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--choose", action="store_true", help="train and test on training pictures alone")
    parser.add_argument("--quick", action="store_true", help="three sets, one hand, one seed: some ten minutes")
    parser.add_argument("--jobs", type=int, default=1, help="cells at once")
    parser.add_argument("--threads", type=int, default=2, help="threads per cell")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--show", action="store_true", help="compute nothing, show what is kept")
    options = parser.parse_args()
    if options.quick:
        options.sets, options.hands, options.seeds = ["membranes", "ovule3d", "histology"], ["skeleton"], [0]
    return options


def main() -> None:
    options = parse()
    folder = CACHE / options.label
    wanted = list(cells(options))
    if not options.show:
        compute(options, folder, wanted)
    print(table(folder, wanted))
    if options.against:
        print(f"\n{options.label} minus {options.against}:\n\n{comparison(folder, CACHE / options.against, wanted)}")


if __name__ == "__main__":
    main()
