"""Has compiled ahead what operations need for pixels like those of a layer, the chosen operation first."""

from pathlib import Path

from napari.layers import Layer

from napari_tessera.napari_plugin.jobs.ahead import Ahead, GettingReady
from napari_tessera.napari_plugin.layers.images import full_resolution
from napari_tessera.operations.base import Operation
from napari_tessera.operations.registry import all_operations
from napari_tessera.pipeline.requests import CompileRequest


class OperationsAhead(GettingReady):
    """The line that says so, which also asks for it.

    Parameters
    ----------
    ahead
        Compiles; None: nothing does, and the line never shows.
    notes
        Folder for notes on what has been done.
    """

    def __init__(self, ahead: Ahead | None, notes: Path) -> None:
        super().__init__(ahead)
        self._notes = notes
        self._wanted: tuple[str, int, type[Operation] | None] | None = None

    def want(self, layer: Layer | None, axes: str | None, chosen: type[Operation] | None) -> None:
        """Ask for all operations on layers of the kind of `layer`; may be called as often as anything changes."""
        if self.ahead is None or layer is None or axes is None:
            return
        kind = "labels" if chosen is not None and chosen.inputs[0].kind == "labels" else "image"
        dtype, dimensions = str(full_resolution(layer).dtype), max(2, sum(axis in "zyx" for axis in axes))
        if self._wanted == (dtype, dimensions, chosen):
            return
        self._wanted = dtype, dimensions, chosen
        names = [name for name, one in all_operations().items() if one.inputs[0].kind == kind]
        names.sort(key=lambda name: chosen is None or name != chosen.name())
        self.ahead.want(
            CompileRequest(operation=name, dtype=dtype, dimensions=dimensions, notes=self._notes) for name in names
        )
