"""Time of restoration and of notch filters beside the real Fourier transform, forward and back, that they need.

Run: ``python benchmarks/fourier.py``. Transforms of the padded size are timed in turn with each filter, so that a busy
machine slows both alike. The exit status is 1 if a limit is missed. What has no limit is shown for comparison.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from limits import reached
from scipy.fft import irfftn, rfftn

from napari_tessera.operations.fourier import filtering, notch, optimum_notch, padding
from napari_tessera.operations.restoration import borders, deconvolution, psf
from napari_tessera.operations.restoration.richardson_lucy import richardson_lucy
from napari_tessera.operations.restoration.unsupervised import unsupervised_wiener

LIMIT = 1.5
"""Times the forward and the inverse transform."""

Case = tuple[str, Callable[[], Any], bool]


def compare(what: str, shape: tuple[int, ...], cases: list[Case], rounds: int) -> list[bool]:
    """Time `cases` beside the transforms of an array of `shape`; return which limits were kept."""
    array = np.random.default_rng(0).random(shape, np.float32)
    calls = [lambda: irfftn(rfftn(array), shape), *(call for _, call, _ in cases)]
    seconds: list[list[float]] = [[] for _ in calls]
    for round_ in range(rounds + 1):
        for call, taken in zip(calls, seconds, strict=True):
            began = time.perf_counter()
            call()
            if round_:
                taken.append(time.perf_counter() - began)
    print(f"{what}: transforms of {shape}, {statistics.median(seconds[0]) * 1e3:.0f} ms")
    kept = []
    for (name, _, limited), taken in zip(cases, seconds[1:], strict=True):
        ratio = statistics.median(mine / its for mine, its in zip(taken, seconds[0], strict=True))
        if limited:
            kept.append(reached(f"  {name}, to the transforms", ratio, LIMIT, "×"))
        else:
            print(f"  {name}: {ratio:.2f}×, {statistics.median(taken) * 1e3:.0f} ms")
    return kept


def measure(shape: tuple[int, ...], rounds: int) -> list[bool]:
    """Time everything on a float32 image of `shape`."""
    image = np.random.default_rng(0).random(shape, np.float32) * 1000
    volume = len(shape) == 3
    gaussian = psf.gaussian_psf((1.5, 2.5, 2.5) if volume else 2.5)
    restoring: list[Case] = [
        ("Wiener, K given", lambda: deconvolution.wiener(image, gaussian, 0.01), True),
        (
            "constrained least squares, γ given",
            lambda: deconvolution.constrained_least_squares(image, gaussian, 0.01),
            True,
        ),
        ("Wiener, noise estimated", lambda: deconvolution.wiener(image, gaussian), False),
        ("constrained least squares, γ found", lambda: deconvolution.constrained_least_squares(image, gaussian), False),
        ("unsupervised Wiener", lambda: unsupervised_wiener(image, gaussian), False),
        ("Richardson-Lucy, one iteration and its start", lambda: richardson_lucy(image, gaussian, 1), False),
    ]
    _, padded = borders.extended_spectrum(image, gaussian)
    kept = compare(f"Gaussian blur, image {shape}", padded, restoring, rounds)
    motion = psf.motion_psf(15, 30, len(shape))
    _, padded = borders.extended_spectrum(image, motion)
    oblique: list[Case] = [("Wiener, borders tapered", lambda: deconvolution.wiener(image, motion, 0.01), False)]
    kept += compare(f"oblique motion, image {shape}", padded, oblique, rounds)
    centres = np.array([(0.1, 0.2, 0.07)[-len(shape) :]])
    radius = 0.01
    padded = padding.fast_shape(shape, notch.margin_of(radius, shape))
    notches: list[Case] = [
        (f"notch, {profile}", lambda profile=profile: notch.notch_filter(image, centres, radius, profile), True)
        for profile in ("gaussian", "ideal", "butterworth")
    ]
    notches.append(("optimum notch", lambda: optimum_notch.optimum_notch(image, centres, radius), False))
    kept += compare(f"notches, image {shape}", padded, notches, rounds)
    bands: list[Case] = [("low-pass, Butterworth (mirrored)", lambda: filtering.low_pass(image, 0.1), False)]
    return kept + compare(f"bands, image {shape}", shape, bands, rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    kept = [*measure((2048, 2048), rounds), *measure((64, 512, 512), max(2, rounds // 2))]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
