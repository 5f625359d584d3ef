"""Which pixels are neighbours: the parameter that operations share, and its check."""

from typing import Annotated

from pydantic import Field

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec

Connectivity = Annotated[
    int,
    Field(
        ge=1,
        le=3,
        description="Which pixels are neighbours: 1 those that share a side (a face in volumes), 2 those that touch at "
        "a corner too (an edge in volumes), 3 at corners of voxels.",
    ),
]
"""How many coordinates neighbours may differ in; `check_connectivity` refuses more than there are."""


def check_connectivity(connectivity: int, spec: ImageSpec) -> None:
    """Raise InvalidInputError if neighbours cannot differ in so many coordinates in a frame of `spec`."""
    ndim = len(spec.spatial)
    if connectivity > ndim:
        raise InvalidInputError(f"Connectivity {connectivity} needs a volume: choose 1 to {ndim} for planes.")
