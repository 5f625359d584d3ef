"""What the pictures of the documentation claim about degraded real images."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "docs" / "make_figures.py"


@pytest.fixture(scope="module")
def figures():
    found = importlib.util.spec_from_file_location("make_figures", SCRIPT)
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


def test_adaptive_median_beats_the_median_on_heavy_noise(figures):
    noisy, median, adaptive = figures.salt_and_pepper().values()
    assert adaptive.psnr > median.psnr + 1 > noisy.psnr + 5
    assert adaptive.ssim > median.ssim + 0.05 > noisy.ssim


def test_notches_remove_periodic_interference(figures):
    striped, notch, optimum = figures.stripes().values()
    assert notch.psnr > striped.psnr + 6
    assert optimum.psnr > striped.psnr + 6
    assert min(notch.ssim, optimum.ssim) > striped.ssim + 0.1


def test_deconvolution_gains_over_the_blurred_image(figures):
    blurred, wiener, smooth = figures.blur().values()
    assert min(wiener.psnr, smooth.psnr) > blurred.psnr + 0.7
    assert min(wiener.ssim, smooth.ssim) > blurred.ssim
