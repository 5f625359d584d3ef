"""Dice of models from scribbles on real images, beside dense annotation and Otsu.

Run: ``python benchmarks/dsb2018.py FOLDER``, where FOLDER has ``images/*.png`` and ``labels/*.tif`` of the fluorescence
images of the 2018 Data Science Bowl (BBBC038v1). Every fifth image by name, six in all, is trained on with the default
settings; the others are predicted. ``--cross-validate`` looks at the six alone (train on four, judge the other two, as
they are and altered as another laboratory's might be): that is how defaults are chosen.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu
from skimage.io import imread
from skimage.measure import label
from skimage.morphology import skeletonize
from skimage.transform import rescale

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
    altered: dict[str, tuple[float, ...]] = field(default_factory=dict)


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


def alterations(
    image: NDArray[np.uint8], truth: NDArray[np.bool_]
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.bool_]]]:
    """Yield an image as other microscopes, cameras and stains might have shown it, with its truth."""
    low, high = np.percentile(image, [1, 99.8])
    pixels = ((image - low) / (high - low)).astype(np.float32)
    y, x = np.indices(image.shape)
    debris = (y - 20) ** 2 + (x - 20) ** 2 < 15**2
    noise = np.random.default_rng(0).normal(0, 0.12, image.shape)
    yield "as it is", pixels, truth
    yield "half the size", rescale(pixels, 0.5, anti_aliasing=True), rescale(truth.astype(float), 0.5) > 0.5
    yield "twice the size", rescale(pixels, 2), rescale(truth.astype(float), 2) > 0.5
    yield "dim beside bright debris", np.where(debris, 1.2, 0.3 * pixels), truth & ~debris
    yield "haze", pixels + 0.25 * (1 + np.sin(y / 60) * np.cos(x / 70)), truth
    yield "gamma 0.6", pixels.clip(0) ** 0.6, truth
    yield "gamma 1.7", pixels.clip(0) ** 1.7, truth
    yield "noise", pixels + noise, truth


def judge(folder: Path, model: Path, judged: Sequence[str], *, altered: bool) -> dict[str, list[float]]:
    """Return the Dice of each image, by kind of alteration."""
    scores: dict[str, list[float]] = {}
    for name in judged:
        image, objects = read_pair(folder, name)
        variants = alterations(image, objects > 0) if altered else [("as it is", image, objects > 0)]
        for kind, pixels, truth in variants:
            predicted = nt.predict(model, pixels) > 0
            if kind == "dim beside bright debris":
                predicted[:36, :36] &= truth[:36, :36]  # the debris itself is nobody's nucleus
            scores.setdefault(kind, []).append(dice(predicted, truth))
    return scores


def train_and_judge(
    folder: Path,
    method: str,
    seed: int,
    learnt: Sequence[str],
    judged: Sequence[str],
    overrides: dict[str, object],
    *,
    altered: bool,
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
        scores = judge(folder, model, judged, altered=altered)
    share = float(np.mean([(labels > 0).mean() for _, labels in pairs])) if method == "scribbles" else 1.0
    kinds = {kind: tuple(values) for kind, values in scores.items()}
    return Outcome(method, seed, seconds, share, kinds["as it is"], kinds)


def otsu(folder: Path, judged: Sequence[str]) -> Outcome:
    scores = []
    for name in judged:
        image, objects = read_pair(folder, name)
        scores.append(dice(image > threshold_otsu(image), objects > 0))
    return Outcome("Otsu", 0, 0.0, 0.0, tuple(scores))


def join(parts: Sequence[Outcome]) -> Outcome:
    """Put the folds of one cross-validation together."""
    altered = {kind: sum((part.altered[kind] for part in parts), ()) for kind in parts[0].altered}
    return Outcome(
        parts[0].method,
        parts[0].seed,
        float(np.mean([part.seconds for part in parts])),
        float(np.mean([part.scribbled for part in parts])),
        sum((part.dice for part in parts), ()),
        altered,
    )


HEADER = """| method | seed | annotated | training | mean Dice | ± between images | worst image |
|---|---|---|---|---|---|---|"""


def row(one: Outcome) -> str:
    """Return one line of the table."""
    scores = np.array(one.dice)
    return (
        f"| {one.method} | {one.seed} | {one.scribbled:.2%} | {one.seconds:.0f} s | {scores.mean():.3f} "
        f"| {scores.std():.3f} | {scores.min():.3f} |"
    )


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return mean and worst over the seeds of one method."""
    means = [float(np.mean(one.dice)) for one in outcomes]
    seconds = np.mean([one.seconds for one in outcomes])
    return (
        f"{outcomes[0].method}: mean over {len(means)} seeds {np.mean(means):.3f}, worst seed {min(means):.3f}, "
        f"training {seconds:.0f} s"
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
    print(HEADER, row(outcomes[0]), sep="\n", flush=True)
    for method in options.methods:
        for seed in options.seeds:
            parts = [
                train_and_judge(options.folder, method, seed, learnt, judged, overrides, altered=options.cross_validate)
                for learnt, judged in folds
            ]
            outcomes.append(join(parts))
            print(row(outcomes[-1]), flush=True)
    for method in options.methods:
        print(summary([one for one in outcomes if one.method == method]))
    if options.cross_validate:
        for one in outcomes[1:]:
            figures = ", ".join(f"{kind} {np.mean(scores):.3f}" for kind, scores in one.altered.items())
            print(f"{one.method}, seed {one.seed}, altered: {figures}")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))


if __name__ == "__main__":
    main()
