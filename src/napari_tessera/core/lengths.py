"""How long pixels are: the one check of all that measures along several axes."""

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.units import MICROMETERS


def pixel_lengths(spec: ImageSpec, axes: str | None = None) -> tuple[float, ...]:
    """Return how long a pixel is along each of `axes` (the spatial ones by default), all in the unit of the last.

    Raises
    ------
    InvalidInputError
        If the units differ and are not all lengths, so that nobody knows how they compare.
    """
    axes = spec.spatial if axes is None else axes
    steps = spec.by_axis(spec.scale)
    lengths = [abs(steps[axis]) for axis in axes]
    units = _units(spec, axes)
    if len(set(units)) <= 1:
        return tuple(lengths)
    known = [MICROMETERS.get(unit or "") for unit in units]
    last = known[-1]
    if last is None or None in known:
        raise _differ(spec, axes)
    return tuple(length * ((of_one or last) / last) for length, of_one in zip(lengths, known, strict=True))


def require_one_unit(spec: ImageSpec) -> None:
    """Raise InvalidInputError if the spatial axes differ in unit: "the unit of the image" would mean nothing."""
    if len(set(_units(spec, spec.spatial))) > 1:
        raise _differ(spec, spec.spatial)


def _units(spec: ImageSpec, axes: str) -> list[str | None]:
    units = spec.by_axis(spec.units)
    return [units[axis] for axis in axes]


def _differ(spec: ImageSpec, axes: str) -> InvalidInputError:
    units = _units(spec, axes)
    names = ", ".join(sorted({unit or "pixel" for unit in units}))
    known = next((unit for unit in reversed(units) if unit in MICROMETERS), "micrometer")
    return InvalidInputError(
        f"The axes of the image have different units ({names}): set the same for all first (--pixel-size "
        f"{','.join(spec.spatial.upper())} --pixel-unit {known} on the command line, scale and units of the layer in "
        "napari)."
    )
