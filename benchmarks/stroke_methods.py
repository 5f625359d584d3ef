"""What `strokes.py` compares: each method learns from pictures with labels and gives a mask for each tested picture."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2gray
from skimage.feature import multiscale_basic_features
from skimage.filters import threshold_otsu
from sklearn.ensemble import RandomForestClassifier
from stroke_sets import Picture

import napari_tessera as nt
from napari_tessera.core.jobs import JobEvent, Result

FOREST_PIXELS = 3000
"""Most pixels of a class that the forest learns from."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Learnt:
    """Masks of the tested pictures and what they cost: processor time of the learning alone, steps of a network."""

    masks: list[Mask]
    cpu_seconds: float = 0.0
    steps: int = 0


def otsu(learnt: Sequence[Picture], tested: Sequence[Picture]) -> Learnt:
    """Threshold each tested picture by itself; the learnt ones say which side of the threshold is foreground."""
    votes = [_grey(one)[one.mask].mean() - _grey(one)[~one.mask].mean() for one in learnt if one.mask.any()]
    bright = sum(np.sign(votes)) >= 0
    return Learnt([(_grey(one) > threshold_otsu(_grey(one))) == bright for one in tested])


def forest(learnt: Sequence[Picture], labels: Sequence[NDArray[Any]], tested: Sequence[Picture], seed: int) -> Learnt:
    """Learn a random forest on features of several scales from strokes, and decide at one half."""
    began = time.process_time()
    rng = np.random.default_rng(seed)
    pixels, classes = [], []
    for picture, scribbles in zip(learnt, labels, strict=True):
        pixels.append(_features(picture)[scribbles > 0])
        classes.append(scribbles[scribbles > 0])
    every, truth = np.concatenate(pixels), np.concatenate(classes)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(truth == value))[:FOREST_PIXELS] for value in (1, 2)])
    trees = RandomForestClassifier(
        30, max_depth=10, min_samples_leaf=3, class_weight="balanced_subsample", random_state=seed
    )
    trees.fit(every[chosen], truth[chosen])
    seconds = time.process_time() - began
    masks = []
    for picture in tested:
        features = _features(picture)
        foreground = trees.predict_proba(features.reshape(-1, features.shape[-1]))[:, 1]
        masks.append((foreground > 0.5).reshape(picture.mask.shape))
    return Learnt(masks, seconds)


def network(
    learnt: Sequence[Picture],
    labels: Sequence[NDArray[Any]],
    tested: Sequence[Picture],
    seed: int,
    annotation: str,
    settings: Mapping[str, Any],
) -> Learnt:
    """Train with the default settings, but for `settings`, and predict."""
    config = nt.TrainingConfig(annotation=annotation, seed=seed).with_overrides(dict(settings))
    steps: list[int] = []

    def listen(event: JobEvent) -> None:
        if isinstance(event, Result):
            steps.append(event.value["steps"])

    with tempfile.TemporaryDirectory() as temporary:
        began = time.process_time()
        pairs = [(picture.opened, one) for picture, one in zip(learnt, labels, strict=True)]
        model = nt.train(pairs, config, out=Path(temporary) / "model", on_event=listen)
        seconds = time.process_time() - began
        return Learnt([nt.predict(model, picture.opened) > 0 for picture in tested], seconds, steps[0])


def _grey(picture: Picture) -> NDArray[np.floating[Any]]:
    image = picture.image
    return rgb2gray(image) if image.ndim == 3 else image.astype(np.float32)


def _features(picture: Picture) -> NDArray[np.floating[Any]]:
    """Return intensity, gradient and Hessian eigenvalues of eight scales, ``(y, x, features)``."""
    colour = picture.image.ndim == 3
    return multiscale_basic_features(
        picture.image, channel_axis=-1 if colour else None, sigma_min=0.7, sigma_max=20, num_sigma=8
    )
