"""Which image a layer was made of: results and annotation are named after their image."""

from collections.abc import Sequence

from napari.layers import Layer

PART = " · "
"""Between the name of a layer and what was made of it."""


def image_of(layer: Layer, images: Sequence[Layer]) -> Layer | None:
    """Return the one of `images` after which `layer` is named; None if there is none."""
    named = [image for image in images if made_of(layer, image)]
    return max(named, key=lambda image: len(image.name), default=None)


def made_of(layer: Layer, image: Layer) -> bool:
    """Return whether `layer` is named after `image`."""
    return layer.name.startswith(f"{image.name}{PART}")
