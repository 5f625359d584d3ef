"""Dice of models from scribbles on real images, beside dense annotation and Otsu.

Run: ``python benchmarks/dsb2018.py FOLDER``, where FOLDER has ``images/*.png`` and ``labels/*.tif`` of the fluorescence
images of the 2018 Data Science Bowl (BBBC038v1). Every fifth image by name, six in all, is trained on with the default
settings; the others are predicted. ``--cross-validate`` looks at the six alone (train on four, judge the other two):
that is how defaults are chosen.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu
from skimage.io import imread
from skimage.measure import label
from skimage.morphology import skeletonize

import napari_tessera as nt
from napari_tessera.config.base import parse_assignments

SHARE = 0.013
"""Share of the pixels that is scribbled; half of it on nuclei, half on background."""

FRAGMENT = 41
"""Edge length of the square in which a fragment of a skeleton lies, in pixels."""


@dataclass(frozen=True)
class Outcome:
    """One training and its Dice coefficients on the images that it has not seen."""

    method: str
    seed: int
    seconds: float
    scribbled: float
    dice: tuple[float, ...]


def read_pair(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    return imread(folder / "images" / f"{name}.png"), imread(folder / "labels" / f"{name}.tif")


def dice(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2 * (predicted & truth).sum() / max(predicted.sum() + truth.sum(), 1))


def scribble(objects: NDArray[np.uint16], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw fragments of the skeletons of nuclei (2) and of the background (1) until `SHARE` of the pixels is used."""
    scribbles = np.zeros(objects.shape, np.uint8)
    # nuclei are thinned one by one, so that touching ones are not bridged
    nuclei = np.zeros(objects.shape, bool)
    for number in np.unique(objects)[1:]:
        nuclei |= skeletonize(objects == number)
    for value, skeleton in ((2, nuclei), (1, skeletonize(objects == 0))):
        budget = SHARE / 2 * objects.size
        points = rng.permutation(np.argwhere(skeleton))
        for y, x in points:
            if (scribbles == value).sum() >= budget:
                break
            square = np.s_[max(y - FRAGMENT // 2, 0) : y + FRAGMENT // 2, max(x - FRAGMENT // 2, 0) : x + FRAGMENT // 2]
            pieces = label(skeleton[square], connectivity=2)
            piece = pieces == pieces[y - square[0].start, x - square[1].start]
            left = int(budget - (scribbles == value).sum())
            scribbles[square][np.unravel_index(np.flatnonzero(piece)[:left], piece.shape)] = value
    return scribbles


def train_and_judge(
    folder: Path, method: str, seed: int, learnt: Sequence[str], judged: Sequence[str], overrides: dict[str, object]
) -> Outcome:
    rng = np.random.default_rng(seed)
    pairs = []
    for name in learnt:
        image, objects = read_pair(folder, name)
        pairs.append((image, scribble(objects, rng) if method == "scribbles" else objects))
    annotation = "scribbles" if method == "scribbles" else "objects"
    config = nt.TrainingConfig(annotation=annotation, seed=seed).with_overrides(overrides)
    with tempfile.TemporaryDirectory() as temporary:
        began = time.perf_counter()
        model = nt.train(pairs, config, out=Path(temporary) / "model")
        seconds = time.perf_counter() - began
        scores = []
        for name in judged:
            image, objects = read_pair(folder, name)
            scores.append(dice(nt.predict(model, image) > 0, objects > 0))
    share = float(np.mean([(labels > 0).mean() for _, labels in pairs])) if method == "scribbles" else 1.0
    return Outcome(method, seed, seconds, share, tuple(scores))


def otsu(folder: Path, judged: Sequence[str]) -> Outcome:
    scores = []
    for name in judged:
        image, objects = read_pair(folder, name)
        scores.append(dice(image > threshold_otsu(image), objects > 0))
    return Outcome("Otsu", 0, 0.0, 0.0, tuple(scores))


def report(outcomes: Sequence[Outcome]) -> None:
    print("| method | seed | annotated | training | mean Dice | ± between images | worst image |")
    print("|---|---|---|---|---|---|---|")
    for one in outcomes:
        scores = np.array(one.dice)
        print(
            f"| {one.method} | {one.seed} | {one.scribbled:.2%} | {one.seconds:.0f} s | {scores.mean():.3f} "
            f"| {scores.std():.3f} | {scores.min():.3f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=["scribbles", "dense"], choices=["scribbles", "dense"])
    parser.add_argument("--cross-validate", action="store_true", help="judge on the six training images only")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--json", type=Path, help="also write every figure here")
    options = parser.parse_args()
    names = sorted(path.stem for path in (options.folder / "images").glob("*.png"))
    six = names[::5][:6]
    folds = [(six, [name for name in names if name not in six])]
    if options.cross_validate:
        folds = [([name for name in six if name not in two], two) for two in (six[:2], six[2:4], six[4:])]
    overrides = parse_assignments(tuple(options.settings))
    outcomes = [otsu(options.folder, [name for _, judged in folds for name in judged])]
    report(outcomes)
    for method in options.methods:
        for seed in options.seeds:
            parts = [
                train_and_judge(options.folder, method, seed, learnt, judged, overrides) for learnt, judged in folds
            ]
            together = Outcome(
                method,
                seed,
                float(np.mean([part.seconds for part in parts])),
                float(np.mean([part.scribbled for part in parts])),
                tuple(score for part in parts for score in part.dice),
            )
            outcomes.append(together)
            report([together])
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))


if __name__ == "__main__":
    main()
