"""Forms made from operation classes, and the chooser of operations."""

from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from pydantic import Field
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QLabel, QLineEdit

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.napari_plugin.filtering.operation_form import OperationForm
from napari_tessera.napari_plugin.filtering.operation_picker import OperationPicker, match
from napari_tessera.napari_plugin.forms.config_form import defaults_in
from napari_tessera.operations.base import Block, Local, PlaneOrVolume
from napari_tessera.operations.describe import describe_operation
from napari_tessera.operations.parameters import OddSize, parameter
from napari_tessera.operations.registry import all_operations, find_operation, register, unregister

pytestmark = pytest.mark.gui

GREEK = {"alpha", "beta", "gamma"}


class EveryKind(PlaneOrVolume, Local):
    """Do nothing, with a parameter of every kind."""

    title: ClassVar = "Every kind of parameter"
    group: ClassVar = "Tests"

    flag: bool = parameter(True, "A flag.")
    way: Literal["one", "other_way"] = parameter("other_way", "A choice.")
    size: OddSize = parameter(5, "A window.", unit="pixels", ge=1, le=99)
    small: float = parameter(1e-7, "A small number.", gt=0)
    share: float = parameter(1 / 3, "A share.", unit="%", ge=0, lt=1)
    large: float = parameter(123456.789, "A large number.")
    limit: int | None = parameter(None, "An optional number.", ge=2)
    level: float | None = parameter(0.25, "An optional number that is set.")
    row: tuple[float, ...] = parameter((1.0, 0.5), "A row of numbers.")
    pair: tuple[int, int] = parameter((3, 4), "Two numbers.")
    rows: tuple[tuple[float, ...], ...] = parameter(((1.0, 2.0), (3.0, 4.5)), "Rows of numbers.")
    text: str = parameter("1 0; 0 1", "A text.")

    def compute(self, block: Block) -> np.ndarray[Any, Any]:
        return block.image


@pytest.fixture
def every_kind():
    register(EveryKind)
    yield EveryKind
    unregister(EveryKind.name())


@pytest.mark.parametrize("name", [*all_operations()])
def test_the_untouched_form_of_every_operation_gives_the_defaults(name, qtbot):
    operation = find_operation(name)
    form = OperationForm(operation)
    qtbot.addWidget(form)
    values = form.values()
    assert set(values) == set(operation.model_fields)
    for field, default in defaults_in(operation.model_fields).items():
        assert values[field] == default, field
    if len(defaults_in(operation.model_fields)) == len(values):
        assert form.build() == operation()


def test_a_class_of_ones_own_has_a_form(every_kind, qtbot):
    form = OperationForm(every_kind)
    qtbot.addWidget(form)
    assert form.build() == every_kind()
    assert list(form.values())[-1] == "per_plane"  # what belongs to many operations stands last


def test_values_that_are_set_come_back(every_kind, qtbot):
    form = OperationForm(every_kind)
    qtbot.addWidget(form)
    changed = {
        "flag": False,
        "way": "one",
        "size": 7,
        "small": 0.02,
        "share": 0.75,
        "large": -3e8,
        "limit": 12,
        "level": None,
        "row": (2.0, 3.25, 1.0),
        "pair": (5, 6),
        "rows": ((1.0,), (2.5,)),
        "text": "x",
        "per_plane": True,
    }
    form.set_values(changed)
    assert form.build() == every_kind(**changed)
    form.reset()
    assert form.build() == every_kind()


def test_bounds_units_and_steps(every_kind, qtbot):
    form = OperationForm(every_kind)
    qtbot.addWidget(form)
    size, share = form.controls["size"].box, form.controls["share"].box
    assert (size.minimum(), size.maximum(), size.singleStep()) == (1, 99, 2)
    assert size.text() == "5 pixels"
    assert share.maximum() < 1
    assert share.text().endswith("%")
    form.set_values({"small": 0.0})
    assert form.values()["small"] > 0
    form.set_values({"size": 6})
    with pytest.raises(InvalidInputError, match="must be odd"):
        form.build()


def test_steps_suit_the_value(every_kind, qtbot):
    form = OperationForm(every_kind)
    qtbot.addWidget(form)
    box = form.controls["share"].box
    box.setValue(0.3)
    box.stepUp()
    assert box.value() == pytest.approx(0.31)
    box.setValue(0.02)
    box.stepUp()
    assert box.value() == pytest.approx(0.021)


def test_typing_into_the_form(every_kind, qtbot):
    form = OperationForm(every_kind)
    qtbot.addWidget(form)
    form.show()
    heard = []
    form.changed.connect(lambda: heard.append(1))
    box = form.controls["large"].box
    box.selectAll()
    qtbot.keyClicks(box, "12.5")
    assert not heard  # 1 and 12 are not meant
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert form.values()["large"] == 12.5
    assert heard
    line = form.controls["row"].line
    line.clear()
    qtbot.keyClicks(line, "1, 2 3.5")
    assert form.values()["row"] == (1, 2, 3.5)
    line.clear()
    qtbot.keyClicks(line, "one, two")
    with pytest.raises(InvalidInputError, match="row"):
        form.build()


def test_an_optional_value_is_switched_on_with_its_box(every_kind, qtbot):
    form = OperationForm(every_kind)
    qtbot.addWidget(form)
    limit = form.controls["limit"]
    assert not limit.inner.isEnabled()
    limit.box.click()
    assert limit.inner.isEnabled()
    assert form.values()["limit"] == 2


def test_what_does_not_apply_is_disabled_and_says_why(every_kind, qtbot):
    form = OperationForm(every_kind)
    qtbot.addWidget(form)
    form.set_why_not("per_plane", "There are no planes.")
    assert not form.controls["per_plane"].isEnabled()
    assert "There are no planes." in form.controls["per_plane"].box.toolTip()
    form.set_why_not("per_plane", "")
    assert form.controls["per_plane"].isEnabled()
    assert "no planes" not in form.controls["per_plane"].box.toolTip()


def test_what_other_parameters_leave_without_effect_is_disabled(qtbot):
    class Blur(EveryKind):
        """Blur."""

        kind: Literal["gaussian", "motion"] = parameter("gaussian", "Kind of blur.")
        length: float = Field(1.0, description="Path.", json_schema_extra={"needs": {"kind": ["motion"]}})

    form = OperationForm(Blur)
    qtbot.addWidget(form)
    assert not form.controls["length"].isEnabled()
    assert "Only used if Kind is motion." in form.controls["length"].toolTip()
    form.set_values({"kind": "motion"})
    assert form.controls["length"].isEnabled()


def test_every_control_explains_itself(every_kind, qtbot):
    form = OperationForm(every_kind)
    qtbot.addWidget(form)
    for kind in (QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit):
        for control in form.findChildren(kind):
            assert control.toolTip(), control
    assert "1 to 99, odd" in form.controls["size"].toolTip()


def test_parameters_are_called_by_what_they_do_where_their_name_is_a_letter(qtbot):
    told = [(name, one) for name in all_operations() for one in describe_operation(find_operation(name)).parameters]
    letters = [(name, one) for name, one in told if one.name in GREEK or len(one.name) <= 2]
    assert {(name, one.name) for name, one in letters} >= {("frangi", "beta"), ("niblack", "k")}
    for name, one in letters:
        assert f"({one.name})" in one.title or (name, one.name) == ("gamma", "gamma")
    form = OperationForm(find_operation("frangi"))
    qtbot.addWidget(form)
    assert {label.text() for label in form.findChildren(QLabel)} >= {"Plate sensitivity (alpha)", "Largest"}
    assert form.build() == find_operation("frangi")(alpha=0.5, beta=0.5)


def test_the_chooser_lists_every_operation_under_its_group(every_kind, qtbot):
    picker = OperationPicker()
    qtbot.addWidget(picker)
    groups = {}
    for index in range(picker.tree.topLevelItemCount()):
        branch = picker.tree.topLevelItem(index)
        groups[branch.text(0)] = [branch.child(at).text(0) for at in range(branch.childCount())]
    assert sum(map(len, groups.values())) == len(all_operations())
    assert groups["Tests"] == ["Every kind of parameter"]
    assert "Median filter" in groups["Smoothing and background"]


def test_typing_and_enter_choose(qtbot):
    picker = OperationPicker()
    qtbot.addWidget(picker)
    picker.show()
    chosen, accepted = [], []
    picker.operation_changed.connect(lambda: chosen.append(picker.operation.name()))
    picker.accepted.connect(lambda: accepted.append(1))
    qtbot.keyClicks(picker.search, "otsu")
    assert not chosen
    item = picker.tree.findItems("Otsu threshold", Qt.MatchFlag.MatchRecursive)[0]
    assert item.font(0).bold()
    qtbot.keyClick(picker.search, Qt.Key.Key_Return)
    assert chosen == ["otsu"]
    assert accepted
    assert picker.search.text() == ""
    assert picker.tree.currentItem().text(0) == "Otsu threshold"
    assert not item.font(0).bold()
    qtbot.keyClicks(picker.search, "no such thing")
    qtbot.keyClick(picker.search, Qt.Key.Key_Return)
    assert chosen == ["otsu"]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("noise", "Gaussian blur"),
        ("denoise", "Gaussian blur"),
        ("fft", "Spectrum: modulus"),
        ("deconvolution", "Wiener filter"),
        ("blur", "Gaussian blur"),
        ("sharpen", "Unsharp mask"),
        ("background", "Rolling ball background"),
        ("watershed", "Split touching objects"),
        ("bandpass", "Band-pass filter"),
        ("edges", "Sobel edges"),
        ("median", "Median filter"),
        ("add noise", "Gaussian noise"),
    ],
)
def test_what_people_call_it_finds_it(typed, first, qtbot):
    picker = OperationPicker()
    qtbot.addWidget(picker)
    picker.search.setText(typed)
    qtbot.keyClick(picker.search, Qt.Key.Key_Return)
    assert picker.operation.title == first


def test_nothing_found_is_said(qtbot):
    picker = OperationPicker()
    qtbot.addWidget(picker)
    picker.show()
    picker.search.setText("xyzzy ")
    assert picker.nothing.isVisible()
    assert "Nothing found for “xyzzy”" in picker.nothing.text()
    picker.search.setText("median")
    assert not picker.nothing.isVisible()
    picker.search.clear()
    assert not picker.nothing.isVisible()


def test_synonyms_are_written_as_they_are_searched_for():
    for operation in all_operations().values():
        assert all(word == word.strip().lower() and word for word in operation.also), operation
        assert len(set(operation.also)) == len(operation.also), operation


def test_searching_hides_what_does_not_fit(qtbot):
    picker = OperationPicker()
    qtbot.addWidget(picker)
    picker.show()
    picker.search.setText("median")
    shown = [
        branch.child(at).text(0)
        for index in range(picker.tree.topLevelItemCount())
        if not (branch := picker.tree.topLevelItem(index)).isHidden()
        for at in range(branch.childCount())
        if not branch.child(at).isHidden()
    ]
    assert {"Median filter", "Adaptive median filter"} <= set(shown)
    assert "Otsu threshold" not in shown
    qtbot.keyClick(picker.search, Qt.Key.Key_Down)
    assert picker.operation.name() == "median"


def test_a_click_chooses(qtbot):
    picker = OperationPicker()
    qtbot.addWidget(picker)
    picker.show()
    item = picker.tree.findItems("Gaussian blur", Qt.MatchFlag.MatchRecursive)[0]
    item.parent().setExpanded(True)
    picker.tree.scrollToItem(item)
    qtbot.mouseClick(picker.tree.viewport(), Qt.MouseButton.LeftButton, pos=picker.tree.visualItemRect(item).center())
    assert picker.operation.name() == "gaussian"


def test_titles_count_more_than_descriptions():
    operations = all_operations()
    assert match(operations["median"], ["median"]) > match(operations["adaptive_median"], ["median"]) > 0
    assert match(operations["median"], ["median", "otsu"]) == 0
    assert match(operations["mean"], ["mean"]) > match(operations["mean_along"], ["mean"]) > 0


@pytest.mark.parametrize("typed", ["noi", "nois", "noise"])
def test_what_is_being_typed_finds_what_the_whole_word_would(typed):
    operations = all_operations()
    assert match(operations["median"], [typed]) > match(operations["gaussian_noise"], [typed]) > 0


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("z projection", "project"),
        ("rgb to gray", "grey"),
        ("laplace", "laplacian"),
        ("subtract background", "rolling_ball"),
        ("stain separation", "separate_stains"),
        ("h&e", "separate_stains"),
        ("difference of gaussians", "difference_of_gaussians"),
        ("dog", "difference_of_gaussians"),
        ("local maxima", "local_maxima"),
        ("h-maxima", "local_maxima"),
        ("distance transform", "distance_transform"),
        ("skeletonize", "skeleton"),
        ("frangi", "frangi"),
        ("sato", "sato"),
        ("meijering", "meijering"),
        ("minimum", "minimum"),
        ("maximum filter", "maximum"),
        ("variance", "variance"),
        ("yen", "yen"),
        ("isodata", "isodata"),
        ("mean shift", "mean_shift"),
        ("histogram matching", "match_histogram"),
        ("piecewise", "tone_curve"),
        ("curves", "tone_curve"),
        ("higher-order", "polynomial_warp"),
        ("polynomial warp", "polynomial_warp"),
    ],
)
def test_what_people_search_for_is_found_first(typed, name):
    found = {each: match(operation, typed.split()) for each, operation in all_operations().items()}
    best = [each for each in found if found[each] == max(found.values())]
    assert name in best


def test_nuclei_are_looked_for_among_what_finds_them():
    found = {name for name, operation in all_operations().items() if match(operation, ["nuclei"])}
    assert {"otsu", "split_touching", "local_maxima", "laplacian_of_gaussian"} <= found
