"""How large the results of a recipe's steps will be, before any of them is computed."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from napari_tessera.core.errors import TesseraError
from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.operations.base import Operation
from napari_tessera.pipeline.applying.frames import make_frames
from napari_tessera.pipeline.applying.inputs import gather_inputs


class _Planned(ImageSource):
    """A result that is not there yet: all that is known is what it will be."""

    def __init__(self, spec: ImageSpec) -> None:
        self._spec = spec

    @property
    def spec(self) -> ImageSpec:
        """What it will be."""
        return self._spec

    def read(self, region: Region) -> NDArray[Any]:
        """Refuse: there are no pixels yet."""
        raise TesseraError(f"The region {region} of {self._spec.name!r} is not there yet: run the steps first.")


def forecast(
    steps: Sequence[tuple[str, Operation, Mapping[str, str]]], given: Mapping[str, ImageSpec]
) -> dict[str, ImageSpec]:
    """Return what each step will give, as far as it follows from the sizes of the inputs alone.

    Parameters
    ----------
    steps
        Id, operation, and per input the name of a step or of an entry of `given`.
    given
        The images that the recipe begins with. Steps that need anything else are left out, with all that follow on
        them; so are those that will be refused.
    """
    known = dict(given)
    results: dict[str, ImageSpec] = {}
    for name, operation, inputs in steps:
        if not all(source in known for source in inputs.values()):
            continue
        sources = {entry: _Planned(known[source]) for entry, source in inputs.items()}
        try:
            output = make_frames(operation, gather_inputs(operation, sources)).output
        except TesseraError:
            continue
        if output is not None:
            known[name] = results[name] = output
    return results
