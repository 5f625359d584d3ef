"""Whether an image is like those that a model was trained on: its channels by their names, its pixels by their size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_tessera.config.model import ModelSpec
from napari_tessera.core.image import DerivedSource, ImageSource, ImageSpec, short_name
from napari_tessera.core.regions import Region
from napari_tessera.core.units import MICROMETERS, OME_SYMBOLS

OTHER_SIZE = 1.5
"""Pixels so many times as long, or as short, look like another tissue to a network; below it training varies sizes."""


class ReorderedChannels(DerivedSource):
    """An image with its channels in another order.

    Parameters
    ----------
    source
        An image with an axis ``c`` and names along it.
    order
        Positions in `source`, one for each channel.
    """

    def __init__(self, source: ImageSource, order: Sequence[int]) -> None:
        names = tuple(source.spec.channel_names[index] for index in order)
        super().__init__(source, replace(source.spec, channel_names=names))
        self._order = list(order)

    def read(self, region: Region) -> NDArray[np.generic]:
        """Return the pixels of `region`."""
        axis = self._spec.axes.index("c")
        wanted = np.array(self._order[region[axis]], int)
        first, stop = (int(wanted.min()), int(wanted.max()) + 1) if wanted.size else (0, 0)
        block = self.base.read((*region[:axis], slice(first, stop), *region[axis + 1 :]))
        return np.ascontiguousarray(block.take(wanted - first, axis))


def by_name(image: ImageSource, names: Sequence[str], whose: str) -> tuple[ImageSource, tuple[str, ...]]:
    """Return `image` with its channels in the order of `names`, where it has the same names in another order.

    Parameters
    ----------
    image
        Any image; one that does not name its channels, or has another number of them, stays as it is.
    names
        Names of channels in the order that is wanted; empty if they are not known.
    whose
        What these belong to, for the warning.

    Returns
    -------
    ImageSource, warnings
        The image, and a sentence if its channels are not called as `names`.
    """
    here = image.spec.channel_names
    mine, wanted = [_plain(name) for name in here], [_plain(name) for name in names]
    if mine == wanted or len(mine) != len(wanted) or not wanted:
        return image, ()
    listed, others = (", ".join(short_name(name.strip()) for name in one) for one in (here, names))
    differ = f"{image.name} has the channels {listed}, and {whose} {others}"
    if sorted(mine) == sorted(wanted) and len(set(mine)) == len(mine):
        return ReorderedChannels(image, [mine.index(name) for name in wanted]), (f"{differ}: they are taken by name.",)
    return image, (f"{differ}: they are taken in this order, so make sure that they show the same.",)


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def other_pixels(spec: ModelSpec, image: ImageSpec) -> Iterator[str]:
    """Yield a sentence if the pixels of `image` have another size than those that the model of `spec` was trained on.

    Also if that cannot be told, as only one of the two sizes has a unit; nothing is said where neither has.
    """
    axes = "yx" if spec.network.dimensions == 2 else "zyx"
    known = {axis: (size, spec.units.get(axis)) for axis, size in spec.pixel_size.items()}
    trained = _unlike(image, known, axes)
    if trained:
        ours, theirs = _sized(image, axes), ", ".join(_length(*known[axis]) for axis in trained)
        yield (
            f"The pixels of {image.name} ({ours}) cannot be compared with those that the model {spec.name!r} was "
            f"trained on ({theirs}), as only one of the two has a unit: give the image its pixel size and "
            "unit, or make sure that its objects are as many pixels long."
        )
    found = _differing(image, known, axes)
    if found:
        yield (
            f"The pixels of {image.name} are not of the size that the model {spec.name!r} was trained on: "
            f"{', '.join(found)}. Resize the image to that size first, or choose a level of it that has it."
        )


def mixed_pixels(images: Sequence[ImageSpec], model: ModelSpec | None = None) -> Iterator[str]:
    """Yield a sentence for each image of a training whose pixels have another size than those of the first.

    And one for all whose sizes cannot be compared with that, as only one of the two has a unit.

    Parameters
    ----------
    images
        All of them.
    model
        The one that the training goes on with, if any: then its size counts.
    """
    if model is not None:
        known, whose = {axis: (size, model.units.get(axis)) for axis, size in model.pixel_size.items()}, "the model"
    else:
        first = images[0]
        known = {axis: (size, unit) for axis, size, unit in zip(first.axes, first.scale, first.units, strict=True)}
        whose = f"the first image, {first.name}"
    unlike = [image.name for image in images if _unlike(image, known, "yx")]
    if unlike:
        others = f" and {len(unlike) - 1} more" * (len(unlike) > 1)
        yield (
            f"The pixels of {unlike[0]}{others} cannot be compared with those of {whose}, as only one of the two has a "
            "unit: give all images their pixel size and unit, or make sure that their objects are as many pixels long."
        )
    for image in images:
        if found := _differing(image, known, "yx"):
            yield (
                f"The pixels of {image.name} are not of the size of those of {whose}: {', '.join(found)}. A network "
                "learns objects by their size in pixels: resize the image first, or train on images of one size."
            )


def _differing(image: ImageSpec, known: Mapping[str, tuple[float, str | None]], axes: str) -> list[str]:
    """Return along which of `axes` the pixels of `image` differ from a `known` length and unit, in words."""
    found = []
    for axis in axes:
        if axis not in image.axes or axis not in known:
            continue
        at = image.axes.index(axis)
        here, there = (image.scale[at], image.units[at]), known[axis]
        factors = [1.0 if unit is None else MICROMETERS.get(unit, 0.0) for _, unit in (here, there)]
        if (here[1] is None) != (there[1] is None) or not all(factors) or not there[0]:
            continue
        ratio = abs(here[0] * factors[0] / (there[0] * factors[1]))
        if max(ratio, 1 / ratio) >= OTHER_SIZE:
            found.append(f"along {axis} {ratio:.3g} times as long ({_length(*here)} instead of {_length(*there)})")
    return found


def _unlike(image: ImageSpec, known: Mapping[str, tuple[float, str | None]], axes: str) -> str:
    """Return along which of `axes` either `image` or what is `known` has a unit of length, and the other none."""
    units = {
        axis: (image.units[image.axes.index(axis)], known[axis][1])
        for axis in axes
        if axis in image.axes and axis in known
    }
    return "".join(axis for axis, pair in units.items() if None in pair and any(unit in MICROMETERS for unit in pair))


def _sized(image: ImageSpec, axes: str) -> str:
    """Return the lengths of the pixels of `image` in words."""
    at = [image.axes.index(axis) for axis in axes if axis in image.axes]
    return ", ".join(_length(image.scale[index], image.units[index]) for index in at)


def _length(length: float, unit: str | None) -> str:
    return f"{length:.3g} {OME_SYMBOLS.get(unit, unit)}" if unit else f"{length:.3g}"
