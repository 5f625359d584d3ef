"""Operations in the frequency domain."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import model_validator

from napari_tessera.core.image import ImageSpec
from napari_tessera.core.lengths import pixel_lengths
from napari_tessera.operations.base import Block, Global, Input, PlaneOrVolume
from napari_tessera.operations.fourier.checking import Real, working_dtype
from napari_tessera.operations.fourier.memory import bytes_needed
from napari_tessera.operations.parameters import OddSize, parameter
from napari_tessera.operations.registry import register

GROUP = "Fourier"
ROUNDING = "float rounding: about a millionth of the brightest pixel"

_BUTTERWORTH = {"profile": ["butterworth"]}
_UNIT = "cycles per pixel"
_CENTRES = Input("centres", "frequencies", "Points on the spikes of the spectrum; one of each opposite pair is enough.")


class Fourier(PlaneOrVolume, Global):
    """What all operations in the frequency domain have in common."""

    group: ClassVar = GROUP
    in_spectrum: ClassVar = True
    bound: ClassVar = ROUNDING

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return float64 for float64 and integers of 32 bits or more, float32 for all others."""
        return working_dtype(dtype)


class SpectrumView(Fourier):
    """A layer of the spectrum, in cycles per unit."""

    menu: ClassVar = "transform"

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the spectrum's calibration: steps of 1 / (pixels · pixel size), zero frequency at 0."""
        from napari_tessera.operations.fourier.spectrum import frequency_calibration

        lies = frequency_calibration(spec.shape, spec.scale, spec.units)
        return replace(super().output_spec(spec), scale=lies.scale, translate=lies.translate, units=lies.units)

    def memory(self, spec: ImageSpec) -> int:
        """Count two complex spectra, the image and the result."""
        return bytes_needed(spec, 4.5)


@register
class SpectrumModulus(SpectrumView):
    """Show the logarithm of the spectrum's modulus, ln(1 + |F|), zero frequency in the middle.

    Together with the phase it can be edited and taken back to an image.
    """

    title: ClassVar = "Spectrum: modulus"
    also: ClassVar = ("fft", "fourier transform", "power spectrum", "magnitude")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return ln(1 + |F|)."""
        from napari_tessera.operations.fourier.spectrum import log_modulus

        return log_modulus(block.image)


@register
class SpectrumPhase(SpectrumView):
    """Show the phase of the spectrum in radians, zero frequency in the middle."""

    title: ClassVar = "Spectrum: phase"
    also: ClassVar = ("fft", "fourier transform")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return angles from −π to π."""
        from napari_tessera.operations.fourier.spectrum import phase

        return phase(block.image)


@register
class InverseSpectrum(Fourier):
    """Take a spectrum, edited or not, back to the image.

    An untouched spectrum returns the image to float rounding.
    """

    title: ClassVar = "Image from spectrum"
    also: ClassVar = ("ifft", "inverse fft", "fourier transform")
    menu: ClassVar = "transform"
    inputs: ClassVar = (
        Input("image", "image", "The logarithm of the modulus, as `spectrum_modulus` gives it."),
        Input("phase", "image", "The phase, as `spectrum_phase` gives it."),
    )

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the image's calibration; its origin is at 0."""
        from napari_tessera.operations.fourier.spectrum import image_calibration

        lies = image_calibration(spec.shape, spec.scale, spec.units)
        return replace(super().output_spec(spec), scale=lies.scale, translate=lies.translate, units=lies.units)

    def memory(self, spec: ImageSpec) -> int:
        """Count phase, magnitude, two complex spectra and the result."""
        return bytes_needed(spec, 8.2)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the image."""
        from napari_tessera.operations.fourier.spectrum import image_from

        phase = block.others["phase"].astype(working_dtype(block.image.dtype), copy=False)
        return image_from(block.image, phase)


Profile = Literal["ideal", "butterworth", "gaussian"]


class RadialFilter(Fourier):
    """A filter that treats all directions alike."""

    profile: Profile = parameter(
        "butterworth", "How the filter ends: at once (ideal; rings), by a power (butterworth) or as a bell (gaussian)."
    )
    order: int = parameter(2, "Steepness of the Butterworth filter.", needs=_BUTTERWORTH, ge=1, le=20)
    physical: bool = parameter(
        False, "Count in cycles per smallest pixel size, so that a volume is treated alike along z."
    )

    def check_frame(self, spec: ImageSpec) -> None:
        """Refuse frequencies in physical space where nobody knows how lengths along the axes compare."""
        if self.physical:
            pixel_lengths(spec)

    @abstractmethod
    def gain(self, radius2: Real) -> Real:
        """Return the transfer function for squared frequencies, in cycles per pixel."""

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the frame with each frequency multiplied by its gain."""
        from napari_tessera.operations.fourier.filtering import filter_radially

        spacing = pixel_lengths(block.spec) if self.physical else None
        return filter_radially(block.image, self.gain, spacing)

    def memory(self, spec: ImageSpec) -> int:
        """Count the frame in floats, its transform, the gain and temporary arrays."""
        return bytes_needed(spec, 6.2)


class CutoffFilter(RadialFilter):
    """A filter with one edge."""

    cutoff: float = parameter(
        0.1, "Frequency at which the filter ends; 0.1 is a period of 10 pixels, 0.5 the finest.", unit=_UNIT, gt=0, le=1
    )


@register
class LowPass(CutoffFilter):
    """Keep what varies slowly; the mean stays.

    Borders are mirrored; nothing wraps around.
    """

    title: ClassVar = "Low-pass filter"
    also: ClassVar = ("fft", "lowpass", "smooth", "blur")

    def gain(self, radius2: Real) -> Real:
        """Return one below the cut-off."""
        from napari_tessera.operations.fourier import transfer

        return transfer.low_pass(radius2, self.cutoff, self.profile, self.order)


@register
class HighPass(CutoffFilter):
    """Keep what varies quickly; the mean becomes 0.

    Borders are mirrored; nothing wraps around.
    """

    title: ClassVar = "High-pass filter"
    also: ClassVar = ("fft", "highpass", "sharpen", "background")

    def gain(self, radius2: Real) -> Real:
        """Return one beyond the cut-off."""
        from napari_tessera.operations.fourier import transfer

        return transfer.high_pass(radius2, self.cutoff, self.profile, self.order)


class BandFilter(RadialFilter):
    """A filter with two edges."""

    low: float = parameter(0.05, "Lower edge of the band.", unit=_UNIT, ge=0, lt=1)
    high: float = parameter(0.15, "Upper edge of the band.", unit=_UNIT, gt=0, le=1)

    @model_validator(mode="after")
    def _band_is_not_empty(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}: the band would be empty.")
        return self


@register
class BandPass(BandFilter):
    """Keep a band of frequencies; the mean becomes 0.

    Borders are mirrored; nothing wraps around.
    """

    title: ClassVar = "Band-pass filter"
    also: ClassVar = ("fft", "bandpass")

    def gain(self, radius2: Real) -> Real:
        """Return one within the band."""
        from napari_tessera.operations.fourier import transfer

        return transfer.band_pass(radius2, self.low, self.high, self.profile, self.order)


@register
class BandReject(BandFilter):
    """Remove a band of frequencies; the mean stays.

    Borders are mirrored; nothing wraps around.
    """

    title: ClassVar = "Band-reject filter"
    also: ClassVar = ("fft", "bandstop", "band-stop", "stripes")

    def gain(self, radius2: Real) -> Real:
        """Return one outside the band."""
        from napari_tessera.operations.fourier import transfer

        return transfer.band_reject(radius2, self.low, self.high, self.profile, self.order)


class Notching(Fourier):
    """What removes interference around given frequencies."""

    inputs: ClassVar = (Input("image", "image", "The image to work on."), _CENTRES)

    radius: float = parameter(
        0.01, "Radius of each notch; larger takes interference that drifts, and more of the image.",
        unit=_UNIT, gt=0, le=0.25,
    )  # fmt: skip
    profile: Profile = parameter("gaussian", "How a notch ends: as a bell (gaussian), by a power, or at once.")
    order: int = parameter(2, "Steepness of the Butterworth notch.", needs=_BUTTERWORTH, ge=1, le=20)

    def check_given(self, spec: ImageSpec, given: Mapping[str, NDArray[Any]]) -> None:
        """Refuse centres that are none: too far out, or so near the middle that the brightness would go."""
        from napari_tessera.operations.fourier.notch import check_centres

        if "centres" in given:
            check_centres(self.centres(spec, given), len(spec.shape), self.radius)

    def centres(self, spec: ImageSpec, given: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return the points of the spectrum layer in cycles per pixel of a frame."""
        from napari_tessera.operations.fourier.spectrum import to_cycles_per_pixel

        return to_cycles_per_pixel(given["centres"], spec.scale)

    def memory(self, spec: ImageSpec) -> int:
        """Count the extended frame, its spectrum, the gain and the interference."""
        reach = int(np.ceil(4 / (2 * np.pi * self.radius)))
        return bytes_needed(spec, 2.5, 2.4, tuple(min(n, reach) for n in spec.shape))


@register
class NotchFilter(Notching):
    """Remove periodic interference: stripes, grids, mains hum.

    The conjugate of each centre is added. Interference is taken away up to the border, and nothing wraps around.
    """

    title: ClassVar = "Notch filter"
    also: ClassVar = ("fft", "stripes", "periodic noise", "moire")

    keep: Literal["image", "interference"] = parameter("image", "What to return: the cleaned image, or what was in it.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the frame without, or of, what lies in the notches."""
        from napari_tessera.operations.fourier.notch import notch_filter

        mode: Literal["reject", "pass"] = "reject" if self.keep == "image" else "pass"
        centres = self.centres(block.spec, block.others)
        return notch_filter(block.image, centres, self.radius, self.profile, self.order, mode)


@register
class OptimumNotch(Notching):
    """Remove periodic interference that is stronger in some places than in others.

    Around each pixel the interference is subtracted with the weight that leaves least variance (Gonzalez & Woods,
    optimum notch filter).
    """

    title: ClassVar = "Optimum notch filter"
    also: ClassVar = ("fft", "stripes", "periodic noise", "moire")

    size: OddSize = parameter(
        31, "Window over which the weight is found; it should hold a few periods.", unit="pixels", ge=3, le=1001
    )

    def memory(self, spec: ImageSpec) -> int:
        """Count the local means as well."""
        return max(super().memory(spec), bytes_needed(spec, 9))

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the frame less its weighted interference."""
        from napari_tessera.operations.fourier.optimum_notch import optimum_notch

        centres = self.centres(block.spec, block.others)
        return optimum_notch(block.image, centres, self.radius, self.size, self.profile, self.order)


@register
class SuggestNotches(Fourier):
    """Find isolated spikes in the spectrum: centres for the notch filters, in cycles per unit.

    Of each opposite pair one point is given. There may be none.
    """

    title: ClassVar = "Suggest notches"
    also: ClassVar = ("fft", "stripes", "periodic noise", "spikes")
    menu: ClassVar = "measure"
    output: ClassVar = "points"
    one_channel: ClassVar = True

    count: int = parameter(8, "Most points to give, the strongest first.", ge=1, le=100)
    contrast: float = parameter(
        3.0, "How many times a spike must exceed the highest point around it; noise hardly reaches 3.", gt=1, le=1000
    )
    minimum_frequency: float = parameter(0.02, "Below, the frequencies belong to the image.", unit=_UNIT, ge=0, le=0.5)

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return float64, whatever the image."""
        return np.float64

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return a specification in which points are cycles per unit as they stand."""
        ndim = len(spec.shape)
        units = tuple(unit and f"1/{unit}" for unit in spec.units)
        return replace(spec.with_dtype(np.float64), scale=(1.0,) * ndim, translate=(0.0,) * ndim, units=units)

    def memory(self, spec: ImageSpec) -> int:
        """Count the tapered frame, its spectrum, the modulus and what finds its peaks."""
        return bytes_needed(spec, 5)

    def compute(self, block: Block) -> NDArray[Any]:
        """Return frequencies (n, dimensions), float64."""
        from napari_tessera.operations.fourier.spikes import suggest_notches

        found = suggest_notches(block.image, self.count, self.contrast, self.minimum_frequency)
        return np.asarray(found / np.asarray(block.spec.scale))
