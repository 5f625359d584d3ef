"""Keeps the live preview in step with the viewer: with the view, the slice, and the pixels of the layers used."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_tessera.core.errors import TesseraError
from napari_tessera.napari_plugin.filtering.histogram_data import HistogramTask
from napari_tessera.napari_plugin.filtering.live_preview import LivePreview, Task
from napari_tessera.napari_plugin.filtering.operation_inputs import data_key, gather
from napari_tessera.napari_plugin.filtering.preview_computing import PreviewResult, PreviewTask
from napari_tessera.napari_plugin.filtering.shown_preview import ShownPreview
from napari_tessera.napari_plugin.jobs.qt_objects import stop_timers
from napari_tessera.napari_plugin.layers.looking import Look, look_at
from napari_tessera.napari_plugin.layers.view_tracker import camera_of
from napari_tessera.operations.base import Operation

NO_POINTS_PREVIEW = "The points that are found come with Apply; there is no preview of them."


@dataclass(frozen=True)
class Target:
    """What is to be previewed: an operation on a layer, an image with `axes`, and further layers by input."""

    layer: Layer
    axes: str
    operation: Operation
    layers: Mapping[str, Layer] = field(default_factory=dict)


class FilterPreview(QObject):
    """Shows a preview of a target, as long as there is one.

    Signals
    -------
    said(str, bool)
        A sentence about the preview, empty if there is nothing to say, and whether something went wrong.
    levels_found(tuple)
        The thresholds of the preview that is shown.
    counted(HistogramData)
        A histogram.
    removed()
        The person has taken the preview out of the viewer.
    """

    said = Signal(str, bool)
    levels_found = Signal(object)
    counted = Signal(object)
    removed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._target: Target | None = None
        self._with_histogram = False
        self._asked: Any = None
        self._counted: Any = None
        self._versions: dict[Hashable, int] = {}
        self._watched: list[tuple[Layer, Any]] = []
        self._taken_from: Layer | None = None
        self._taken = QTimer(self)
        self._taken.setSingleShot(True)
        self._taken.timeout.connect(self._tell_removed)
        self._orphans: list[Layer | None] = []
        self._sweep = QTimer(self)
        self._sweep.setSingleShot(True)
        self._sweep.timeout.connect(self._remove_orphans)
        self.shown = ShownPreview(viewer)
        self.engine = LivePreview(self._make_tasks, self)
        self.engine.arrived.connect(self._show)
        self.engine.counted.connect(self.counted)
        self.engine.slow.connect(self._say_slow)
        for event in self._view_events():
            event.connect(self._view_moved)
        viewer.dims.events.ndisplay.connect(self._display_changed)
        viewer.layers.events.removed.connect(self._layer_removed)

    def aim(self, target: Target | None, *, histogram: bool = False) -> None:
        """Preview `target` from now on; None for nothing.

        Parameters
        ----------
        target
            What to preview.
        histogram
            Whether its histogram is wanted too.
        """
        before, self._target = self._target, target
        self._with_histogram = histogram
        if target is None:
            self.engine.stop()
            self._asked = None
            self._watch([])
            self._take_away(before)
            return
        same = before is not None and before.layer is target.layer and before.axes == target.axes
        self._watch([target.layer, *target.layers.values()])
        if not same or before is None or type(before.operation) is not type(target.operation):
            self._asked = None
            self._take_away(before)
            self.engine.ask(fresh=True)
        else:
            self.engine.ask()

    def set_visible(self, visible: bool) -> None:
        """Show the preview, or the image as it is."""
        self.shown.set_visible(visible)

    def close(self) -> None:
        """Let go of the viewer, and end the thread."""
        self._target = None
        self.engine.close()
        stop_timers(self._taken, self._sweep)
        for event in self._view_events():
            event.disconnect(self._view_moved)
        self._viewer.dims.events.ndisplay.disconnect(self._display_changed)
        self._viewer.layers.events.removed.disconnect(self._layer_removed)
        self._watch([])
        self.shown.remove()
        self._remove_orphans()

    def _take_away(self, before: Target | None) -> None:
        """Take the preview of `before` out of the viewer.

        If its image has just been deleted, napari may be in the midst of deleting all that is selected, and stumbles
        over a layer that has gone meanwhile: the preview goes afterwards.
        """
        if before is None or before.layer in self._viewer.layers:
            self.shown.remove()
            return
        self._orphans.append(self.shown.let_go())
        self._sweep.start()

    def _remove_orphans(self) -> None:
        for layer in self._orphans:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._orphans = []

    def _view_events(self) -> tuple[Any, ...]:
        camera, dims = camera_of(self._viewer).events, self._viewer.dims.events
        return camera.center, camera.zoom, dims.point, dims.order

    def _view_moved(self, _event: object = None) -> None:
        if self._target is not None:
            self.engine.ask()

    def _display_changed(self, _event: object = None) -> None:
        """Take the preview away before napari draws: a plane that is in a volume's 3D view crashes it when it goes."""
        if self._target is not None:
            self._asked = None
            self.shown.remove()
            self.engine.ask(fresh=True)

    def _layer_removed(self, event: Any) -> None:
        if self.shown.layer is not None and event.value is self.shown.layer:
            self.shown.remove()
            self._taken_from = self._target.layer if self._target is not None else None
            self._taken.start()

    def _tell_removed(self) -> None:
        """Say that the preview was taken out; not if its image went with it, as when all layers are deleted."""
        if self._taken_from in self._viewer.layers:
            self.removed.emit()
        self._taken_from = None

    def _watch(self, layers: list[Layer]) -> None:
        """Notice when the pixels or positions in `layers` change, or where they lie."""
        wanted = list(dict.fromkeys(layers))
        if [layer for layer, _ in self._watched] == wanted:
            return
        before = {layer.unique_id for layer, _ in self._watched}
        for layer, changed in self._watched:
            for event in _data_events(layer):
                event.disconnect(changed)
        self._watched = []
        for layer in wanted:
            if layer.unique_id not in before:  # it may have changed while nobody listened
                self._versions[layer.unique_id] = self._versions.get(layer.unique_id, 0) + 1

            def changed(_event: object = None, layer: Layer = layer) -> None:
                self._versions[layer.unique_id] = self._versions.get(layer.unique_id, 0) + 1
                self._asked = None
                if self._target is not None:
                    self.engine.ask()

            for event in _data_events(layer):
                event.connect(changed)
            self._watched.append((layer, changed))

    def _make_tasks(self, number: int) -> list[Task]:
        target = self._target
        if target is None or target.layer not in self._viewer.layers:
            return []
        if target.operation.output == "points":
            self.said.emit(NO_POINTS_PREVIEW, False)
            return []
        look = look_at(self._viewer, target.layer, target.axes, self._versions.get(target.layer.unique_id, 0))
        if isinstance(look, str):
            self._asked = None
            self._take_back(look, wrong=False)
            return []
        try:
            task = self._task(number, target, look)
        except TesseraError as error:
            self._asked = None
            self._take_back(str(error), wrong=True)
            return []
        signature = (task.operation, look.key, look.region, task.key)
        if signature == self._asked:
            return []
        self._asked = signature
        tasks: list[Task] = [task]
        if self._with_histogram:
            counting = HistogramTask(number, target.operation, look)
            if counting.key != self._counted:
                self._counted = counting.key
                tasks.append(counting)
        return tasks

    def _task(self, number: int, target: Target, look: Look) -> PreviewTask:
        given = gather(target.layers, target.operation, target.layer, target.axes, look)
        key = data_key(given, self._versions)
        return PreviewTask(number, target.operation, look, given.sources, given.arrays, given.points, key)

    def _show(self, result: PreviewResult) -> None:
        target = self._target
        if target is None or target.layer not in self._viewer.layers:
            return
        if result.error:
            self._take_back(result.error, wrong=True)
            return
        self.shown.show(result, target.layer)
        self.levels_found.emit(result.levels)
        self.said.emit(" ".join(result.notes), False)

    def _take_back(self, text: str, *, wrong: bool) -> None:
        """Say why there is no preview; the last one goes, for it is of what was set or seen before."""
        self.shown.remove()
        self.levels_found.emit(())
        self.said.emit(text, wrong)

    def _say_slow(self, text: str) -> None:
        if text:
            self.said.emit(text, False)

    def forget_histogram(self) -> None:
        """Count again when a histogram is next wanted."""
        self._counted = None


def _data_events(layer: Layer) -> tuple[Any, ...]:
    events = layer.events
    moved = (events.scale, events.translate, events.rotate, events.shear, events.affine)
    # Strokes emit no `data`, undo emits only `set_data`; images emit that at every slice as well.
    names = ("data", "paint", "set_data", "labels_update") if isinstance(layer, Labels) else ("data",)
    return (*moved, *(event for name in names if (event := getattr(events, name, None)) is not None))
