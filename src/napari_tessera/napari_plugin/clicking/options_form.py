"""The settings of a click as a small form."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QLabel, QSpinBox, QWidget

from napari_tessera.napari_plugin.clicking.options import ClickOptions, Criterion
from napari_tessera.napari_plugin.forms.controls import FloatBox

CRITERIA: tuple[tuple[Criterion, str], ...] = (
    ("running_mean", "Near the region's mean"),
    ("fixed_range", "Near the clicked pixel"),
    ("edge_stopped", "Up to strong edges"),
)


class OptionsForm(QWidget):
    """Shows settings; left untouched, it gives the defaults of `ClickOptions`, but for extent and channels.

    Signals
    -------
    changed()
        Something is set otherwise.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.criterion = QComboBox()
        self.criterion.addItems([words for _, words in CRITERIA])
        # unfolding the form must not need more width than the widget has
        self.criterion.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.criterion.setMinimumContentsLength(8)
        self.criterion.setToolTip(
            "When a neighbouring pixel joins the region. The mean follows slow changes; the clicked pixel does not; "
            "edges take in everything up to where the image changes sharply."
        )
        self.tolerance = FloatBox()
        self.tolerance.setRange(0, 1e12)
        self.tolerance.setSpecialValueText("automatic")
        self.tolerance.setToolTip(
            "How far from the region a pixel may be and still join, in grey levels, when you press the button. "
            "0 is automatic: it is estimated from the noise there. Dragging widens or narrows it."
        )
        self.smoothing = QDoubleSpinBox()
        self.smoothing.setRange(-0.5, 50)  # below 0: automatic
        self.smoothing.setSingleStep(0.5)
        self.smoothing.setDecimals(1)
        self.smoothing.setSuffix(" px")
        self.smoothing.setSpecialValueText("automatic")
        self.smoothing.setValue(self.smoothing.minimum())
        self.smoothing.setToolTip(
            "Sigma of a Gaussian by which the image is smoothed before a region grows in it; the layer stays as it is. "
            "Automatic, below 0, smooths where an object hardly stands out from the noise; 0 never does."
        )
        self.max_size = QSpinBox()
        self.max_size.setRange(0, 2**31 - 1)
        self.max_size.setSpecialValueText("none")
        self.max_size.setGroupSeparatorShown(True)
        self.max_size.setSuffix(" px")
        self.max_size.setSingleStep(1000)
        self.max_size.setToolTip("The region stops growing at that many pixels. 0 is no limit.")
        self.radius = QSpinBox()
        self.radius.setRange(1, 50)
        self.radius.setValue(2)
        self.radius.setSuffix(" px")
        self.radius.setToolTip("How strongly the tool Smooth rounds an outline.")
        self.fill_holes = self._box("Fill holes", "What a region encloses becomes part of it.")
        self.corners = self._box("Grow over corners", "Pixels that touch at a corner only are neighbours too.")
        self.stay_out = self._box(
            "Stay out of other objects", "A region does not enter other objects. Without it, it takes pixels from them."
        )
        self.stay_out.setChecked(True)
        self._arrange()

    def _arrange(self) -> None:
        layout = QFormLayout(self)
        layout.setContentsMargins(12, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        # beneath its name: in a narrow window its words would be cut off beside it
        layout.addRow(QLabel("Pixels join"))
        layout.addRow(self.criterion)
        layout.addRow("First tolerance", self.tolerance)
        layout.addRow("Smoothing", self.smoothing)
        layout.addRow("Size limit", self.max_size)
        layout.addRow(self.stay_out)
        layout.addRow(self.fill_holes)
        layout.addRow(self.corners)
        layout.addRow("Radius of Smooth", self.radius)
        self.criterion.currentIndexChanged.connect(self.changed)
        for box in (self.tolerance, self.smoothing, self.max_size, self.radius):
            box.setMinimumWidth(60)
            box.valueChanged.connect(self.changed)

    def _box(self, text: str, tooltip: str) -> QCheckBox:
        box = QCheckBox(text)
        box.setToolTip(tooltip)
        box.toggled.connect(self.changed)
        return box

    def options(self) -> ClickOptions:
        """Return what is set."""
        return ClickOptions(
            criterion=CRITERIA[self.criterion.currentIndex()][0],
            tolerance=self.tolerance.value() or None,
            smoothing=self.smoothing.value() if self.smoothing.value() >= 0 else None,
            fill_holes=self.fill_holes.isChecked(),
            max_size=self.max_size.value() or None,
            corners=self.corners.isChecked(),
            enter_others=not self.stay_out.isChecked(),
            radius=self.radius.value(),
        )
