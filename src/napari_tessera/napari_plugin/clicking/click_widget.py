"""The widget Click to segment: objects by click and drag, and tools to correct them."""

from dataclasses import replace

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QFormLayout, QPushButton, QVBoxLayout, QWidget

from napari_tessera.core.errors import InvalidInputError, TesseraError
from napari_tessera.napari_plugin.clicking.channel_button import ChannelButton
from napari_tessera.napari_plugin.clicking.click_mode import GROW, ClickMode
from napari_tessera.napari_plugin.clicking.click_source import Extent, channel_count, pixel_kind
from napari_tessera.napari_plugin.clicking.intent import KEYS
from napari_tessera.napari_plugin.clicking.message_lines import MessageLines, faint
from napari_tessera.napari_plugin.clicking.new_labels import new_labels
from napari_tessera.napari_plugin.clicking.object_bar import ObjectBar
from napari_tessera.napari_plugin.clicking.options_form import OptionsForm
from napari_tessera.napari_plugin.clicking.own_labels import (
    belongs,
    is_for_objects,
    left_alone,
    suits,
    usual_labels,
    why_changed,
)
from napari_tessera.napari_plugin.clicking.points_section import PointsSection
from napari_tessera.napari_plugin.clicking.status_text import StatusText
from napari_tessera.napari_plugin.clicking.target import Target
from napari_tessera.napari_plugin.clicking.tool_buttons import ToolButtons
from napari_tessera.napari_plugin.forms.folded_section import FoldedSection
from napari_tessera.napari_plugin.forms.layer_picker import AxesPicker, LayerPicker
from napari_tessera.napari_plugin.forms.plain_text import PlainLabel, set_tooltip, show_error
from napari_tessera.napari_plugin.jobs.ahead import Ahead, GettingReady, shared_ahead
from napari_tessera.napari_plugin.jobs.job_kind import JobKind
from napari_tessera.napari_plugin.jobs.job_widget import JobWidget
from napari_tessera.napari_plugin.jobs.runner import JobRunner
from napari_tessera.napari_plugin.journal.api import offer_found, protect_layer
from napari_tessera.napari_plugin.layers.belonging import image_of
from napari_tessera.napari_plugin.layers.images import real_viewer
from napari_tessera.napari_plugin.layers.notes import holds_classes, taken_unasked

DISPLAY_NAME = "Click to segment"
SHORTCUT = "G"
"""Not used by napari; *G* as in grow."""

_OFF = f"Press Click to segment, or {SHORTCUT} over the image; then click an object."
EXTENTS: tuple[tuple[Extent, str], ...] = (("plane", "The slice on screen"), ("volume", "The volume"))


class ClickWidget(JobWidget):
    """Makes objects where a person clicks, and corrects them."""

    def __init__(self, viewer: ViewerModel, runner: JobRunner | None = None, ahead: Ahead | None = None) -> None:
        super().__init__(JobKind(DISPLAY_NAME), runner, tab="Click")
        self.getting_ready = GettingReady(ahead or shared_ahead())
        self.viewer = viewer = real_viewer(viewer)
        self._bound = False
        self.mode = ClickMode(viewer, self.target, self, self.getting_ready.ahead)
        self._make_layers()
        self._make_mode()
        self.points = PointsSection(viewer, self.target_with_labels, self.panel, self.cancel_button)
        self.mode.happened.connect(self.points.forget)
        self.set_content(self._arrange(), self.mode_button, self.cancel_button)
        self._bind_shortcut()
        self._show_layers()
        offer_found(viewer)

    def _make_layers(self) -> None:
        self.images = LayerPicker(self.viewer, (Image,), "Open an image first", follow=True, unasked=self._may_follow)
        self.images.setToolTip("The image in which regions grow; an image of probabilities will do as well.")
        self.images.layer_changed.connect(self._take_own_labels)
        self.images.layer_changed.connect(self._show_layers)
        self._picked: Layer | None = None
        self.labels = LayerPicker(
            self.viewer,
            (Labels,),
            "Press New labels",
            follow=True,
            unasked=lambda layer: self._may_follow(layer) and is_for_objects(layer, self.labels, layer),
            usual=self._usual_labels,
        )
        self.labels.setToolTip("The Labels layer in which objects are made and corrected.")
        self.labels.layer_changed.connect(self._take_own_image)
        self.labels.layer_changed.connect(self._show_layers)
        self.labels.activated.connect(self._pick_labels)
        self.new_button = QPushButton("New labels")
        self.new_button.clicked.connect(lambda: self._new_labels())  # noqa: PLW0108  without what Qt hands over
        self.axes = AxesPicker()
        self.axes.currentIndexChanged.connect(self._show_axes)
        self.extent = QComboBox()
        self.extent.addItems([words for _, words in EXTENTS])
        self.extent.setToolTip("Whether clicks and tools work in the slice on screen or in all slices of the volume.")
        self.extent.currentIndexChanged.connect(self._options_changed)
        self.channels = ChannelButton()
        self.channels.changed.connect(self._options_changed)
        self.options = OptionsForm()
        self.options.changed.connect(self._options_changed)

    def _may_follow(self, layer: Layer) -> bool:
        """Whether `layer` is worked on once it is selected: not while the mode is on, in which it is only looked at."""
        return not self.mode.on and taken_unasked(layer) and not holds_classes(layer)

    def _make_mode(self) -> None:
        self.mode_button = QPushButton(DISPLAY_NAME)
        self.mode_button.setCheckable(True)
        self.mode_button.clicked.connect(self._switch)
        self.tools = ToolButtons()
        self.tools.chosen.connect(self._choose_tool)
        self.messages = MessageLines(_OFF)
        self.messages.shown.connect(self._show_help)
        self._status = StatusText(self.viewer)
        self.keys = PlainLabel(KEYS)
        self.keys.setWordWrap(True)
        self.keys.setGraphicsEffect(faint(self.keys))
        policy = self.keys.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # nothing below it jumps
        self.keys.setSizePolicy(policy)
        self.objects = ObjectBar(self.viewer, lambda: self.labels.layer)
        self.objects.said.connect(self.messages.tell)
        self.objects.changed.connect(self.mode.tell)
        self.mode.toggled.connect(self._on_toggled)
        self.mode.said.connect(self.messages.say)
        self.mode.happened.connect(self.messages.tell)
        self.mode.refused.connect(self._on_refused)
        self.mode.changed.connect(self.objects.refresh)
        self.mode.tool_asked.connect(self.tools.take)

    def _arrange(self) -> QWidget:
        content = QWidget()
        layout = QVBoxLayout(content)
        self._form = form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image", self.images)
        form.addRow("Dimensions", self.axes)
        form.addRow("Channels", self.channels)
        form.addRow("Labels", self.labels)
        form.addRow("", self.new_button)
        form.addRow("Grow in", self.extent)
        layout.addLayout(form)
        layout.addWidget(self.tools)
        layout.addWidget(self.getting_ready)
        layout.addWidget(self.messages)
        layout.addWidget(self.keys)
        layout.addWidget(self.objects)
        layout.addWidget(FoldedSection("Settings", self.options, "How regions grow, and how outlines are smoothed."))
        layout.addWidget(FoldedSection("From points", self.points, "All points of a layer grow at once."))
        layout.addStretch(1)
        return content

    def target(self) -> Target:
        """Return what is chosen.

        Raises
        ------
        InvalidInputError
            If there are no labels to work in.
        """
        labels, image = self.labels.layer, self.images.layer
        if not isinstance(labels, Labels):
            raise InvalidInputError(
                "There is no Labels layer to make objects in: press New labels."
                if image is not None
                else "Open an image: drop a file into napari."
            )
        options = replace(
            self.options.options(), extent=EXTENTS[self.extent.currentIndex()][0], channels=self.channels.channels
        )
        axes = self.axes.axes
        if image is not None and axes is None:
            raise InvalidInputError(f"{image.name!r} cannot be used: choose an image with 2 to 5 dimensions.")
        return Target(self.viewer, image, axes or "", labels, options)

    @property
    def why_not(self) -> str:
        """Why the mode cannot be switched on; empty if it can."""
        if self.images.layer is None and self.labels.layer is None:
            return "Open an image: drop a file into napari."
        if self.images.layer is not None and self.axes.axes is None:
            return f"{self.images.layer.name!r} cannot be used: choose an image with 2 to 5 dimensions."
        return ""

    def refresh(self) -> None:
        """Enable what applies and say why the rest does not."""
        super().refresh()
        why_not = self.why_not
        self.mode_button.setEnabled(not why_not or self.mode.on)
        set_tooltip(
            self.mode_button,
            why_not
            or "Take the mouse: press on an object, drag right for more or left for less, release. "
            f"Shortcut {SHORTCUT}; Esc leaves. Hold the space bar to move the image.",
        )
        self.tools.set_why_not(why_not)
        image = self.images.layer
        self.new_button.setEnabled(image is not None and self.axes.axes is not None)
        set_tooltip(
            self.new_button,
            "Add an empty Labels layer that lies on the image." if self.new_button.isEnabled() else why_not,
        )
        self.points.refresh(why_not)
        self.objects.refresh()
        if not self.mode.on:
            self.messages.say(why_not or _OFF)

    def toggle(self) -> None:
        """Switch the mode on or off."""
        self._switch(not self.mode.on)

    def cancel(self) -> None:
        """Stop growing from points."""
        self.points.cancel()

    def _switch(self, on: bool) -> None:
        if not on:
            self.mode.leave()
            return
        self.messages.tell("")
        self._find_labels()
        if not self.mode.enter():
            self._on_toggled(False)

    def _choose_tool(self, name: str) -> None:
        self.mode.choose_tool(name)
        self.keys.setVisible(name == GROW)
        if not self.mode.on:
            self._switch(True)

    def _on_toggled(self, on: bool) -> None:
        with QSignalBlocker(self.mode_button):
            self.mode_button.setChecked(on)
        self.mode_button.setText("Stop clicking (Esc)" if on else DISPLAY_NAME)
        if not on:
            self._status.show("")
            self.objects.outline.hide()
        if self._open:
            self.refresh()

    def _on_refused(self, text: str) -> None:
        self.messages.tell(text, wrong=True)
        self.mode.tell()

    def _show_help(self, text: str) -> None:
        if self.mode.on:
            self._status.show(text.partition(". ")[0])

    def _pick_labels(self, _index: int) -> None:
        self._picked = self.labels.layer

    def _suits(self, labels: Layer) -> bool:
        return suits(labels, self.images, getattr(self, "labels", None))  # there is no picker while it is being made

    def _usual_labels(self, layers: tuple[Layer, ...]) -> Layer | None:
        return usual_labels(layers, self.viewer.layers.selection.active, self._suits)

    def _take_own_labels(self) -> None:
        """Another image was chosen: go on in its labels."""
        chosen = self.labels.layer
        if not self.mode.on and chosen is not None and chosen is not self._picked and not self._suits(chosen):
            self.labels.choose(self._usual_labels(self.labels.layers))

    def _take_own_image(self) -> None:
        """Labels were selected: work on the image that they were made of."""
        labels = self.labels.layer
        if not self.mode.on and labels is not None and not belongs(labels, self.images.layer, self.images.layers):
            self.images.layer = image_of(labels, self.images.layers) or self.images.layer

    def _find_labels(self) -> None:
        """Choose labels for objects, or make some, unless the person has: annotation with classes is none by itself."""
        chosen = self.labels.layer
        if chosen is not None and (chosen is self._picked or self._suits(chosen)):
            return
        usual = self._usual_labels(self.labels.layers)
        if usual is not None:
            self.labels.layer = usual
            self.messages.tell(why_changed(chosen, usual, self.images.layer))
        elif self.new_button.isEnabled():
            self._new_labels(chosen)

    def _new_labels(self, chosen: Layer | None = None) -> None:
        if (image := self.images.layer) is None or (axes := self.axes.axes) is None:
            return
        try:
            layer = new_labels(self.viewer, image, axes)
        except (TesseraError, MemoryError, ValueError) as error:
            show_error(str(error))
            return
        self.labels.layer = layer
        why_not = protect_layer(layer, image, empty=True)
        left = why_changed(chosen, layer, image) or left_alone(self.labels.layers, self.images, layer)
        self.messages.tell(why_not or left, wrong=bool(why_not))

    def _show_layers(self) -> None:
        self.axes.show_layer(self.images.layer)
        self._show_axes()
        if self.mode.on and self.mode.labels is not self.labels.layer:
            self.mode.follow()

    def _show_axes(self) -> None:
        image, axes = self.images.layer, self.axes.axes or ""
        count = channel_count(image, axes) if image is not None else 1
        self.channels.set_count(count, colors=bool(getattr(image, "rgb", False)))
        self._form.setRowVisible(self.channels, count > 1)
        self._form.setRowVisible(self.axes, self.axes.in_doubt)
        volume = "z" in axes
        self._form.setRowVisible(self.extent, volume)
        if not volume:
            self.extent.setCurrentIndex(0)
        self._options_changed()
        self.refresh()

    def _options_changed(self) -> None:
        self._compile_ahead()
        if self.mode.on:
            self.mode.prepare()
            self.mode.tell()

    def _compile_ahead(self) -> None:
        """Have compiled what a click in the chosen image needs, long before there is one."""
        image, axes, options = self.images.layer, self.axes.axes, self.options.options()
        if self.getting_ready.ahead is None or image is None or axes is None:
            return
        ndim = 2 if EXTENTS[self.extent.currentIndex()][0] == "plane" else 3
        try:
            dtype, channels = pixel_kind(self.viewer, image, axes, self.channels.channels)
        except InvalidInputError:
            return  # the click itself will say so
        self.mode.readiness.compile_ahead(ndim, dtype, channels, options.rule(ndim))

    def target_with_labels(self) -> Target:
        """Return what is chosen, with new labels if there are none."""
        self._find_labels()
        return self.target()

    def _bind_shortcut(self) -> None:
        if SHORTCUT not in {str(key) for key in self.viewer.keymap}:
            self.viewer.bind_key(SHORTCUT, lambda _viewer: self.toggle())
            self._bound = True

    def on_close(self) -> None:
        """Give the mouse back and let go of the viewer."""
        self.getting_ready.let_go()
        self.mode.close()
        self.points.close_section()
        if self._bound:
            self.viewer.bind_key(SHORTCUT, None)
        self._bound = False
        self.objects.close_bar()
        for picker in (self.images, self.labels):
            picker.disconnect_viewer()
