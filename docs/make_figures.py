"""Make the pictures that compare the classical tools on degraded real images: ``make figures``.

Each demonstration takes a photograph shipped with scikit-image, spoils it in a known way, and restores it. What is
shown is held by ``tests/pipeline/test_demonstrations.py``, which runs the same functions.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter
from skimage.data import camera
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import napari_tessera as nt

IMAGES = Path(__file__).parent / "images"
CROP = (slice(60, 316), slice(130, 386))
"""What the pictures show; figures are of the whole image."""
PANEL, CAPTION, GAP = 384, 44, 6


@dataclass(frozen=True)
class Panel:
    """An image and how near it is to the original."""

    pixels: NDArray[np.uint8]
    psnr: float
    ssim: float


Demonstration = Mapping[str, Panel]
"""Panels by caption, the spoilt image first."""


def compare(pixels: NDArray[Any], original: NDArray[np.uint8]) -> Panel:
    """Return `pixels`, clipped to uint8, with peak signal-to-noise ratio (dB) and structural similarity."""
    shown = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return Panel(shown, peak_signal_noise_ratio(original, shown), structural_similarity(original, shown))


def salt_and_pepper() -> Demonstration:
    """35 % of the pixels black or white: where the adaptive median beats the median."""
    original = camera()
    noisy = nt.apply(nt.operations.SaltAndPepper(amount=35, seed=1), original)
    return {
        "35 % salt and pepper": compare(noisy, original),
        "median 5x5": compare(nt.apply(nt.operations.Median(size=5), noisy), original),
        "adaptive median, up to 9x9": compare(nt.apply(nt.operations.AdaptiveMedian(largest=9), noisy), original),
    }


def stripes() -> Demonstration:
    """Two waves laid over the image: found as spikes of the spectrum, taken out by notches."""
    original = camera()
    y, x = np.mgrid[: original.shape[0], : original.shape[1]]
    wave = 25 * np.sin(2 * np.pi * (0.11 * x + 0.07 * y)) + 20 * np.sin(2 * np.pi * (0.05 * x - 0.16 * y))
    striped = np.clip(np.rint(original + wave), 0, 255).astype(np.uint8)
    spikes = nt.apply(nt.operations.SuggestNotches(count=2), striped)
    return {
        "periodic interference": compare(striped, original),
        "notch filter": compare(nt.apply(nt.operations.NotchFilter(), striped, centres=spikes), original),
        "optimum notch filter": compare(nt.apply(nt.operations.OptimumNotch(), striped, centres=spikes), original),
    }


def blur() -> Demonstration:
    """Out of focus and noisy: what deconvolution gets back."""
    original = camera()
    rng = np.random.default_rng(0)
    blurred = gaussian_filter(original.astype(np.float32), 2) + rng.normal(0, 2, original.shape).astype(np.float32)
    wiener = nt.apply(nt.operations.Wiener(sigma=2, noise_to_signal=0.01), blurred)
    smooth = nt.apply(nt.operations.ConstrainedLeastSquares(sigma=2), blurred)
    return {
        "blur and noise": compare(blurred, original),
        "Wiener (K = 0.01)": compare(wiener, original),
        "constrained least squares": compare(smooth, original),
    }


DEMONSTRATIONS = {"salt_and_pepper": salt_and_pepper, "stripes": stripes, "blur": blur}


def draw(panels: Demonstration) -> Image.Image:
    """Return the panels side by side, each with its caption and figures."""
    width = len(panels) * (PANEL + GAP) - GAP
    picture = Image.new("L", (width, PANEL + CAPTION), 255)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=15)
    for index, (caption, panel) in enumerate(panels.items()):
        left = index * (PANEL + GAP)
        picture.paste(Image.fromarray(panel.pixels[CROP]).resize((PANEL, PANEL), Image.Resampling.NEAREST), (left, 0))
        pen.text((left + 2, PANEL + 4), caption, fill=0, font=font)
        pen.text((left + 2, PANEL + 23), f"PSNR {panel.psnr:.1f} dB, SSIM {panel.ssim:.3f}", fill=80, font=font)
    return picture


def main() -> None:
    """Write one picture per demonstration."""
    for name, demonstrate in DEMONSTRATIONS.items():
        path = IMAGES / f"{name}.png"
        draw(demonstrate()).save(path, optimize=True)
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
