"""How far the figures of a training can be trusted, in words: on what they were measured, why they may say little."""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from scipy import ndimage

from napari_tessera.config.model import ClassSpec, HeldOut
from napari_tessera.config.training import Annotation
from napari_tessera.nn.samples import Sample
from napari_tessera.nn.validation import Score

LEAST_PIXELS = 100
"""With fewer held-out pixels of a class its figures are chance: at a Dice of 0.9, a hundred that lie side by side count
as some ten independent ones, whose standard error is 0.1."""

LEAST_STROKES = 2
"""The pixels of one stroke share one place: they are right or wrong together."""

LEARNT = "Measured on the annotation that was learnt from, which says little about other places."

LEARNT_LATER = "Measured before the end of the training, which then learnt the held-out annotation as well."

_EIGHT = np.ones((3, 3), bool)


def describe_held_out(
    samples: Sequence[Sample], classes: Sequence[ClassSpec], annotation: Annotation
) -> HeldOut | None:
    """Count what figures will be measured on; None if nothing is held out.

    Parameters
    ----------
    samples
        The samples that are judged and not learnt from.
    classes
        The classes by index.
    annotation
        What the labels mean: of strokes there have to be several, complete annotation has no strokes.
    """
    if not samples:
        return None
    pixels = sum((sample.class_counts(len(classes)) for sample in samples), start=np.zeros(len(classes), np.int64))
    strokes = [sum(_pieces(sample, index) for sample in samples) for index in range(len(classes))]
    few = [
        entry.name
        for entry, count, pieces in zip(classes, pixels, strokes, strict=True)
        if count < LEAST_PIXELS or (annotation is Annotation.SCRIBBLES and pieces < LEAST_STROKES)
    ]
    doubt = ""
    if few:
        doubt = (
            f"Only {int(pixels.sum())} pixels in {sum(strokes)} strokes are held out, too few of {_listed(few)} to say "
            "how good the model is: paint more strokes, in several places."
        )
    by_id = {entry.id: int(count) for entry, count in zip(classes, pixels, strict=True)}
    return HeldOut(pixels=by_id, strokes=sum(strokes), doubt=doubt)


def digest_of(samples: Sequence[Sample]) -> str:
    """Return a digest of where `samples` lie and what is annotated in them; empty if there are none."""
    if not samples:
        return ""
    digest = sha256()
    for sample in samples:
        digest.update(repr((sample.source, sample.place, sample.shape)).encode())
        digest.update(sample.targets().tobytes())
    return digest.hexdigest()


def with_score(held_out: HeldOut, score: Score | None) -> HeldOut:
    """Return `held_out` with what its `score` says about it: pixels that are all right are too easy."""
    if held_out.doubt or score is None or score.error > 0:
        return held_out
    doubt = (
        f"All {sum(held_out.pixels.values())} held-out pixels are right, so they are too easy to tell how good the "
        "model is: look where it is wrong, and paint there."
    )
    return held_out.model_copy(update={"doubt": doubt})


def _pieces(sample: Sample, index: int) -> int:
    return int(ndimage.label(sample.targets() == index, _EIGHT)[1])


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
