"""A list of the viewer's layers of some kinds, to choose one from."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Layer
from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.napari_plugin.forms.hand_selection import HandSelection
from napari_tessera.napari_plugin.layers.images import possible_axes, real_viewer
from napari_tessera.napari_plugin.layers.notes import is_preview, taken_unasked
from napari_tessera.napari_plugin.shown_text import as_plain, shown_name

_AXIS_WORDS = {"t": "time", "c": "channel", "z": "plane", "y": "y", "x": "x"}


_LEAST_WIDTH = 160
"""Of a picker, in pixels."""


class LayerPicker(QComboBox):
    """Shows the layers of `kinds`, keeps up with the viewer, and keeps the choice while its layer is there.

    Previews are never among them: they show what is being tried, and go with it.

    Signals
    -------
    layer_changed()
        Another layer is chosen, or none is left.
    listed()
        The list has been brought up to date.

    Parameters
    ----------
    viewer
        Whose layers.
    kinds
        Layer classes to list.
    empty
        What to show when there is none: it says what to do.
    none
        Text of a first entry that stands for no layer; empty for no such entry.
    prefix
        Stands before the name of each layer.
    accepts
        Leaves further layers out, for which it returns false.
    follow
        Whether a layer that the person selects, or that is added and thereby selected, is chosen.
    unasked
        Which layers may be chosen without the person's doing.
    usual
        Returns which of the listed layers to choose where nothing is chosen, or None; without it the selected layer
        or the uppermost one is.
    """

    layer_changed = Signal()
    listed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        kinds: tuple[type[Layer], ...],
        empty: str,
        accepts: Callable[[Layer], bool] = lambda _: True,
        *,
        none: str = "",
        prefix: str = "",
        follow: bool = False,
        unasked: Callable[[Layer], bool] = taken_unasked,
        usual: Callable[[tuple[Layer, ...]], Layer | None] | None = None,
    ) -> None:
        super().__init__()
        self._viewer = viewer = real_viewer(viewer)
        self._follow, self._held, self._unasked, self._usual_layer = follow, False, unasked, usual
        self._seen = _weakly(viewer.layers.selection.active)
        self._kinds = kinds
        self._accepts = accepts
        self._none, self._prefix = none, prefix
        self._listed: list[Layer] = []
        self.setPlaceholderText(empty)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        view = self.view()
        assert view is not None
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names of results begin alike and differ at the end
        self.currentIndexChanged.connect(self._choose)
        for event in self._events():
            event.connect(self.update_layers)
        self.by_hand = HandSelection(viewer, self)
        if follow:
            viewer.layers.selection.events.active.connect(self.follow)
        self._chosen: Layer | None = None
        self.update_layers()

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt calls it by this name
        """Return a width for some letters of a name: Qt asks for as much as all that is said where there is none."""
        least = super().minimumSizeHint()
        return QSize(min(least.width(), _LEAST_WIDTH), least.height())

    @property
    def layer(self) -> Layer | None:
        """The chosen layer."""
        return self._chosen

    @layer.setter
    def layer(self, layer: Layer | None) -> None:
        if layer in self._listed:
            self.setCurrentIndex(self._listed.index(layer) + self._first)

    def choose(self, layer: Layer | None) -> None:
        """Choose `layer`; None for nothing, until something is chosen or comes that is usual."""
        if layer is None:
            self.setCurrentIndex(self._first - 1)
        self.layer = layer

    @property
    def selected(self) -> Layer | None:
        """The layer that is selected in the viewer."""
        return self._viewer.layers.selection.active

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that can be chosen, the uppermost first."""
        return tuple(self._listed)

    @property
    def _first(self) -> int:
        """Index of the first layer among the entries."""
        return 1 if self._none else 0

    @property
    def _usual(self) -> int:
        """Index of the entry to choose where nothing is chosen: the selected layer, or the uppermost to go on with."""
        if self._usual_layer is not None:
            wanted = self._usual_layer(self.layers)
            return self._listed.index(wanted) if wanted in self._listed else -1
        if self._none or not (self._follow or self._kinds == (Image,)):
            return 0
        welcome = [layer for layer in self._listed if self._unasked(layer)]
        active = self._viewer.layers.selection.active if self._follow else None
        return self._listed.index(active if active in welcome else welcome[0]) if welcome else 0

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer; to be called before the widget goes."""
        for event in self._events():
            event.disconnect(self.update_layers)
        self.by_hand.disconnect_viewer()
        self.stop_following()
        for layer in self._listed:
            layer.events.name.disconnect(self.update_layers)

    def follow(self, _event: object = None) -> None:
        """Choose the layer that has been selected, if it can be chosen and is one to go on with unasked."""
        active = self._viewer.layers.selection.active
        if active is None or is_preview(active) or active is self._seen():
            return  # a preview that comes gives the selection back, which is none by the person
        self._seen = _weakly(active)
        self.by_hand.note(active)
        if not self._held and self._unasked(active):
            self.layer = active

    def stop_following(self) -> None:
        """Keep the choice from now on, whatever is selected."""
        if self._follow:
            self._viewer.layers.selection.events.active.disconnect(self.follow)
        self._follow = False

    def hold(self, on: bool) -> None:
        """Keep the choice, whatever is selected, until it is let go again."""
        self._held = on

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the choice while layers are added and selected."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _events(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered

    def update_layers(self, _event: object = None) -> None:
        """List what can be chosen now."""
        for layer in self._listed:
            layer.events.name.disconnect(self.update_layers)
        self._listed = [layer for layer in reversed(self._viewer.layers) if self._lists(layer)]
        for layer in self._listed:
            layer.events.name.connect(self.update_layers)
        with QSignalBlocker(self):
            self.clear()
            self.addItems(
                [self._none] * self._first + [f"{self._prefix}{shown_name(layer.name)}" for layer in self._listed]
            )
            at = self._listed.index(self._chosen) + self._first if self._chosen in self._listed else self._usual
            self.setCurrentIndex(at if self.count() else -1)
            for index, layer in enumerate(self._listed, self._first):
                self.setItemData(index, as_plain(layer.name), Qt.ItemDataRole.ToolTipRole)
        self._choose(self.currentIndex())
        self.listed.emit()

    def paintEvent(self, event: Any) -> None:  # noqa: N802  Qt calls it by this name
        """Draw the chosen name with its beginning and its end where it is too long."""
        if self.currentIndex() < 0:
            super().paintEvent(event)
            return
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        painter, style, field = QStylePainter(self), self.style(), QStyle.SubControl.SC_ComboBoxEditField
        assert style is not None
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        room = style.subControlRect(QStyle.ComplexControl.CC_ComboBox, option, field, self).width()
        option.currentText = self.fontMetrics().elidedText(option.currentText, Qt.TextElideMode.ElideMiddle, room - 4)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def _lists(self, layer: Layer) -> bool:
        return isinstance(layer, self._kinds) and not is_preview(layer) and self._accepts(layer)

    def _choose(self, index: int) -> None:
        index -= self._first
        layer = self._listed[index] if 0 <= index < len(self._listed) else None
        if layer is not self._chosen:
            self._chosen = layer
            self.layer_changed.emit()


class AxesPicker(QComboBox):
    """Asks what the leading dimensions of a layer are, where the layer itself does not say."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: tuple[str, ...] = ()
        self._answers: dict[Layer, str] = {}
        self._layer: Layer | None = None
        self.currentIndexChanged.connect(self._remember)

    @property
    def axes(self) -> str | None:
        """The chosen axes; None if the layer can be no image."""
        index = self.currentIndex()
        return self._choices[index] if 0 <= index < len(self._choices) else None

    @axes.setter
    def axes(self, axes: str) -> None:
        self.setCurrentIndex(self._choices.index(axes))

    @property
    def in_doubt(self) -> bool:
        """Whether there is something to ask."""
        return len(self._choices) > 1

    def show_layer(self, layer: Layer | None) -> None:
        """Offer what the dimensions of `layer` may be."""
        self._layer = layer
        try:
            self._choices = possible_axes(layer) if layer is not None else ()
        except InvalidInputError:
            self._choices = ()
        answer = self._answers.get(layer) if layer is not None else None
        with QSignalBlocker(self):
            self.clear()
            self.addItems([", ".join(_AXIS_WORDS[axis] for axis in axes) for axes in self._choices])
            if answer in self._choices:
                self.setCurrentIndex(self._choices.index(answer))
        self.setEnabled(self.in_doubt)
        self.setToolTip(
            "What the dimensions of this layer are. Planes and time points are worked on one by one; "
            "channels are looked at together."
            if self.in_doubt
            else "The layer itself says what its dimensions are."
        )

    def _remember(self) -> None:
        if self._layer is not None and self.axes is not None:
            self._answers[self._layer] = self.axes


def _weakly(layer: Layer | None) -> Callable[[], Layer | None]:
    """Return what gives `layer` as long as somebody else keeps it."""
    return weakref.ref(layer) if layer is not None else lambda: None
