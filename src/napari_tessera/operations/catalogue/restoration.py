"""Operations that restore blurred images."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Global, Input, PlaneOrVolume
from napari_tessera.operations.fourier.checking import working_dtype
from napari_tessera.operations.fourier.memory import bytes_needed
from napari_tessera.operations.parameters import OddSize, parameter
from napari_tessera.operations.registry import register

GROUP = "Restoration"
ROUNDING = "float rounding, amplified as far as the blur is undone: about a thousandth of the brightest pixel"

_NO_PSF: dict[str, list[Any]] = {"psf": [None]}
_GAUSSIAN = {"blur": ["gaussian"], **_NO_PSF}
_MOTION = {"blur": ["motion"], **_NO_PSF}

_USUAL_REACH = 16
"""Pixels that a PSF is taken to reach from its centre, at least, to estimate memory: its size is not known by then."""


class Restoration(PlaneOrVolume, Global):
    """What all restoring operations have in common."""

    group: ClassVar = GROUP
    bound: ClassVar = ROUNDING
    arrays: ClassVar[float] = 3.2
    """Extended arrays that exist at once."""

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return float64 for float64 and integers of 32 bits or more, float32 for all others."""
        return working_dtype(dtype)

    def reach(self, ndim: int) -> tuple[int, ...]:
        """Return how far the PSF reaches from its centre in a frame of `ndim` dimensions, about."""
        return (_USUAL_REACH,) * ndim

    def memory(self, spec: ImageSpec) -> int:
        """Count the frame in floats and extended, spectra of it and of the PSF, and what the method needs besides."""
        margin = (2 * reach + min(max(2 * reach, 32), 64) for reach in self.reach(len(spec.shape)))
        return bytes_needed(spec, 1.5, self.arrays, tuple(margin))


class KnownBlur(Restoration):
    """Restoring with a point spread function that is given or follows a formula."""

    inputs: ClassVar = (
        Input("image", "image", "The blurred image."),
        Input("psf", "kernel", "The image of a point (PSF); takes the place of the formula.", optional=True),
    )

    blur: Literal["gaussian", "motion"] = parameter(
        "gaussian",
        "Kind of blur, unless a PSF is given: out of focus (gaussian) or moved in a straight line (motion).",
        needs=_NO_PSF,
    )
    sigma: float = parameter(
        2.0, "Standard deviation of the Gaussian blur along y and x.", unit="pixels", needs=_GAUSSIAN, gt=0, le=100
    )
    sigma_z: float = parameter(
        2.0, "Standard deviation of the Gaussian blur along z.", unit="pixels", needs=_GAUSSIAN, gt=0, le=100
    )
    length: float = parameter(10.0, "Path of the motion.", unit="pixels", needs=_MOTION, gt=0, le=500)
    angle: float = parameter(
        0.0,
        "Direction of the motion, counter-clockwise from the x axis.",
        unit="degrees",
        needs=_MOTION,
        ge=-360,
        le=360,
    )

    def reach(self, ndim: int) -> tuple[int, ...]:
        """Return where the formula ends, if that is beyond what is usual."""
        plane = self.length / 2 if self.blur == "motion" else 4 * self.sigma
        along_z = 0 if self.blur == "motion" else 4 * self.sigma_z
        formula = (along_z,) * (ndim - 2) + (plane,) * 2
        return tuple(max(int(np.ceil(r)), usual) for r, usual in zip(formula, super().reach(ndim), strict=True))

    def check_given(self, spec: ImageSpec, given: Mapping[str, NDArray[Any]]) -> None:
        """Refuse a PSF that does not fit the frame, or that cannot be one."""
        from napari_tessera.operations.restoration.psf import checked_psf

        if "psf" in given:
            checked_psf(fitted_to(given["psf"], len(spec.shape)), spec.shape)

    def psf(self, block: Block) -> NDArray[Any]:
        """Return the PSF for the frame of `block`."""
        from napari_tessera.operations.restoration.psf import gaussian_psf, motion_psf

        ndim = block.image.ndim
        given = block.others.get("psf")
        if given is not None:
            return fitted_to(given, ndim)
        if self.blur == "motion":
            return motion_psf(self.length, self.angle, ndim)
        return gaussian_psf([self.sigma_z] * (ndim - 2) + [self.sigma] * 2, shape=block.image.shape)


def fitted_to(psf: NDArray[Any], ndim: int) -> NDArray[Any]:
    """Return `psf` with `ndim` dimensions, leading ones of length 1 dropped.

    Raises
    ------
    InvalidInputError
        If it has more, or fewer: whether planes of a volume are blurred apart is for the user to say.
    """
    while psf.ndim > ndim and psf.shape[0] == 1:
        psf = psf[0]
    if psf.ndim > ndim:
        raise InvalidInputError(f"The PSF of shape {psf.shape} does not fit {ndim} dimensions: take one plane of it.")
    if psf.ndim < ndim:
        raise InvalidInputError(
            f"The PSF of shape {psf.shape} has fewer dimensions than the image: set per_plane, or give a PSF with z."
        )
    return psf


@register
class InverseFilter(KnownBlur):
    """Undo blur by plain division of spectra, up to a cut-off frequency.

    Only for images with hardly any noise.
    """

    title: ClassVar = "Inverse filter"
    also: ClassVar = ("direct deconvolution", "fft")
    arrays: ClassVar = 4

    cutoff: float = parameter(0.1, "Frequency beyond which nothing is restored.", unit="cycles per pixel", gt=0, le=1)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the restored frame."""
        from napari_tessera.operations.restoration.deconvolution import inverse_filter

        return inverse_filter(block.image, self.psf(block), self.cutoff)


@register
class Wiener(KnownBlur):
    """Undo blur with the least mean squared error (Wiener filter)."""

    title: ClassVar = "Wiener filter"
    also: ClassVar = ("deconvolution", "deblur", "sharpen")

    noise_to_signal: float | None = parameter(
        None,
        "Power of the noise over that of the image; smaller is sharper and noisier. Empty: estimated.",
        gt=0,
        le=1e6,
    )

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the restored frame."""
        from napari_tessera.operations.restoration.deconvolution import wiener

        return wiener(block.image, self.psf(block), self.noise_to_signal)


@register
class ConstrainedLeastSquares(KnownBlur):
    """Undo blur so that the result is as smooth as the noise demands (constrained least squares)."""

    title: ClassVar = "Constrained least squares"
    also: ClassVar = ("deconvolution", "deblur", "sharpen", "cls")
    arrays: ClassVar = 4

    gamma: float | None = parameter(
        None,
        "Weight of smoothness (squared Laplacian); larger is smoother. Empty: found from the noise.",
        title="Smoothness (gamma)",
        gt=0,
        le=1e9,
    )

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the restored frame."""
        from napari_tessera.operations.restoration.deconvolution import constrained_least_squares

        return constrained_least_squares(block.image, self.psf(block), self.gamma)


@register
class UnsupervisedWiener(KnownBlur):
    """Undo blur; the balance of sharpness and smoothness is found from the image.

    The most likely one under the model of Orieux, Giovannelli and Rodet (2010).
    """

    title: ClassVar = "Unsupervised Wiener filter"
    also: ClassVar = ("deconvolution", "deblur", "sharpen")
    arrays: ClassVar = 4

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the restored frame."""
        from napari_tessera.operations.restoration.unsupervised import unsupervised_wiener

        return unsupervised_wiener(block.image, self.psf(block))


@register
class RichardsonLucy(KnownBlur):
    """Undo blur of an image made of counted photons (Richardson-Lucy); no result is negative."""

    title: ClassVar = "Richardson-Lucy"
    also: ClassVar = ("deconvolution", "deblur", "sharpen")
    arrays: ClassVar = 8

    iterations: int = parameter(20, "More are sharper and noisier.", ge=1, le=10_000)
    background: float = parameter(0.0, "Intensity that the camera shows without light; it is taken away.", ge=0)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the restored frame."""
        from napari_tessera.operations.restoration.richardson_lucy import richardson_lucy

        return richardson_lucy(block.image, self.psf(block), self.iterations, self.background, check=block.check)


class FoundPsf(Restoration):
    """What takes the point spread function from the image itself."""

    size: OddSize = parameter(
        15,
        "Edge of the window that holds the PSF, along y and x: about as large as the blur.",
        unit="pixels",
        ge=3,
        le=255,
    )
    size_z: OddSize = parameter(9, "The same along z.", unit="pixels", ge=1, le=255)

    def window(self, ndim: int) -> tuple[int, ...]:
        """Return the lengths of the PSF of a frame of `ndim` dimensions."""
        return (self.size_z,) * (ndim - 2) + (self.size,) * 2

    def reach(self, ndim: int) -> tuple[int, ...]:
        """Return half the window."""
        return tuple(k // 2 for k in self.window(ndim))


class PsfResult(FoundPsf):
    """What gives a PSF."""

    menu: ClassVar = "measure"
    one_channel: ClassVar = True

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return a small image of the same pixel size, its middle at the origin."""
        window = self.window(len(spec.shape))
        middle = tuple(-(k // 2) * step for k, step in zip(window, spec.scale, strict=True))
        return replace(spec.with_dtype(self.output_dtype(spec.dtype)), shape=window, translate=middle)


class Blind(FoundPsf):
    """What estimates the PSF by blind deconvolution."""

    arrays: ClassVar = 11

    rounds: int = parameter(10, "How often object and PSF are improved in turn.", ge=1, le=1000)
    background: float = parameter(0.0, "Intensity that the camera shows without light.", ge=0)

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse a PSF that is larger than the frame."""
        from napari_tessera.operations.restoration.blind import check_window

        check_window(self.window(len(spec.shape)), spec.shape)


@register
class BlindDeconvolution(Blind):
    """Undo blur that nobody has measured: the PSF is estimated from the image.

    Works for blur that looks like a bell. `estimate_psf` gives the PSF that was used.
    """

    title: ClassVar = "Blind deconvolution"
    also: ClassVar = ("deblur", "sharpen")

    iterations: int = parameter(20, "Richardson-Lucy iterations with the estimated PSF.", ge=1, le=10_000)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the restored frame."""
        from napari_tessera.operations.restoration.blind import blind_deconvolution

        window = self.window(block.image.ndim)
        return blind_deconvolution(
            block.image, window, self.iterations, self.rounds, self.background, check=block.check
        ).image


@register
class EstimatePsf(Blind, PsfResult):
    """Estimate the point spread function from a blurred image (blind deconvolution)."""

    title: ClassVar = "Estimate PSF"
    also: ClassVar = ("blind deconvolution", "point spread function")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the PSF, sum 1."""
        from napari_tessera.operations.restoration.blind import estimate_psf

        window = self.window(block.image.ndim)
        psf = estimate_psf(block.image, window, self.rounds, self.background, check=block.check)
        return psf.astype(working_dtype(block.image.dtype))


@register
class MeasurePsf(PsfResult):
    """Measure the point spread function from an image of beads.

    Beads that stand alone are centred to a fraction of a pixel, freed of their background and averaged.
    """

    title: ClassVar = "Measure PSF from beads"
    also: ClassVar = ("point spread function",)

    threshold: float = parameter(
        0.25, "How bright a bead must be: 0 is the median of the image, 1 its brightest pixel.", gt=0, lt=1
    )

    def memory(self, spec: ImageSpec) -> int:
        """Count the frame in floats, smoothed, and its maxima."""
        return bytes_needed(spec, 3.5)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the PSF, sum 1."""
        from napari_tessera.operations.restoration.beads import psf_from_beads

        psf = psf_from_beads(block.image, self.window(block.image.ndim), self.threshold)
        return psf.astype(working_dtype(block.image.dtype))
