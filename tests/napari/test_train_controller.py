"""What Train decides, against a mock of its view: no window, no Qt."""

import subprocess
import sys
from dataclasses import replace
from unittest.mock import call, create_autospec

import pytest

from napari_tessera.config.training import Annotation
from napari_tessera.napari_plugin.training.train_controller import (
    KINDS,
    Button,
    Facts,
    Painted,
    TrainController,
    TrainView,
    offer_of,
)
from napari_tessera.pipeline.learning.painted import Remedy

READY = Facts(name="cells")
STROKES = {0: 500, 1: 40, 2: 30}
MANY = dict.fromkeys(range(40), 9)
CLASSES = {1: ("background", "#808080"), 2: ("cell", "#ff8000")}


@pytest.fixture
def view():
    view = create_autospec(TrainView, instance=True)
    view.shown_classes, view.unknown_numbers = CLASSES, []
    view.facts.return_value = READY
    view.painted.return_value = Painted(STROKES)
    return view


@pytest.fixture
def controller(view):
    controller = TrainController(view)
    controller.choose(Annotation.SCRIBBLES)
    view.reset_mock()
    return controller


def doubt_shown(view):
    return view.show_doubt.call_args.args[0]


def test_it_needs_no_window():
    code = "import sys; import napari_tessera.napari_plugin.training.train_controller; "
    code += "print([name for name in ('qtpy', 'PyQt6', 'napari', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"why_busy": "Predict is still running."}, "Predict is still running."),
        ({"name": "  "}, "Give the model a name."),
        ({"problem": "Open an image first."}, "Open an image first."),
        ({"unpainted": "Paint first."}, "Paint first."),
        ({"why_busy": "Busy.", "name": "", "problem": "None.", "unpainted": "Paint."}, "Busy."),
        ({"problem": "Open.", "unpainted": "Paint."}, "Open."),
    ],
)
def test_why_a_training_cannot_begin(change, why):
    facts = replace(READY, **change)
    assert facts.why_not == why
    offer = offer_of(replace(facts, trained=True))
    assert offer.train.enabled == offer.go_on.enabled == (why == "")
    if why:
        assert offer.train.help == offer.go_on.help == offer.hint == why


def test_going_on_needs_a_training_of_that_name():
    assert offer_of(READY).go_on == Button(False, "There is no training of this name to go on with.")
    assert offer_of(replace(READY, trained=True)).go_on.enabled


def test_a_new_annotation_layer_needs_an_image_of_known_axes():
    assert offer_of(READY).new_annotation.enabled
    assert not offer_of(replace(READY, axes=False)).new_annotation.enabled
    assert offer_of(replace(READY, image=False, problem="Open an image.")).new_annotation == Button(
        False, "Open an image."
    )


def test_hints_are_given_only_while_nothing_runs():
    assert offer_of(replace(READY, name="a/b")).hint.startswith("It is called 'a-b'")
    assert offer_of(replace(READY, elsewhere=True, why_busy="Busy.")).hint == ""
    assert offer_of(replace(READY, running=True)).hint is None


def test_each_meaning_keeps_its_classes(view, controller):
    controller.choose(Annotation.DENSE)
    annotation, explanation, classes = view.show_kind.call_args.args
    assert (annotation, explanation) == (Annotation.DENSE, KINDS[1][2])
    assert sorted(classes) == [0, 1]  # the usual ones
    view.recolor.assert_called_once_with()
    view.shown_classes = {0: ("nothing", "#000000"), 1: ("wall", "#ffffff")}
    controller.choose(Annotation.SCRIBBLES)
    assert view.show_kind.call_args.args[2] == CLASSES
    controller.choose(Annotation.DENSE)
    assert view.show_kind.call_args.args[2][1] == ("wall", "#ffffff")


def test_the_first_meaning_recolours_nothing(view):
    TrainController(view).choose(Annotation.SCRIBBLES)
    view.recolor.assert_not_called()


def test_what_is_painted_is_shown_with_what_is_doubted(view, controller):
    controller.look()
    view.show_painted.assert_called_once_with(STROKES)
    assert doubt_shown(view) is None
    view.painted.return_value = Painted(MANY)
    controller.look()
    assert doubt_shown(view).remedy is Remedy.OBJECTS
    view.show_offer.assert_called_with(offer_of(READY))


@pytest.mark.parametrize("painted", [Painted(None), Painted({}), Painted(MANY, everything=False)])
def test_what_is_not_known_is_not_doubted(view, controller, painted):
    view.painted.return_value = painted
    controller.look()
    assert doubt_shown(view) is None


@pytest.mark.parametrize(
    ("remedy", "asked"),
    [
        (Remedy.OBJECTS, ("choose_kind", Annotation.OBJECTS)),
        (Remedy.MASKS, ("choose_kind", Annotation.DENSE)),
        (Remedy.STROKES, ("choose_kind", Annotation.SCRIBBLES)),
        (Remedy.PAINT, ("choose_number", 1)),
        (Remedy.CLASS, ("choose_number", 2)),
    ],
)
def test_remedies(view, controller, remedy, asked):
    controller.take_remedy(remedy)
    name, value = asked
    assert view.mock_calls == [getattr(call, name)(value)]


def test_who_is_sure_is_not_asked_again_until_something_else_is_painted(view, controller):
    view.painted.return_value = Painted(MANY)
    controller.look()
    controller.train_all_the_same()
    assert doubt_shown(view) is None
    controller.look()
    assert doubt_shown(view) is None
    view.painted.return_value = Painted({**MANY, 77: 3})
    controller.look()
    assert doubt_shown(view).remedy is Remedy.OBJECTS


def test_who_is_sure_of_another_meaning_is_asked_again(view, controller):
    controller.train_all_the_same()
    controller.choose(Annotation.DENSE)
    assert not controller.sure


def test_training_all_the_same_makes_classes_of_few_numbers_and_goes_on_with_what_was_asked_for(view, controller):
    controller.start(resume=True)
    view.unknown_numbers = [3, 4]
    controller.train_all_the_same()
    view.add_classes.assert_called_once_with([3, 4])
    assert view.start.call_args_list == [call(resume=True)] * 2


def test_training_all_the_same_makes_no_classes_of_many_numbers_nor_of_objects(view, controller):
    view.unknown_numbers = list(range(3, 90))
    controller.train_all_the_same()
    controller.choose(Annotation.OBJECTS)
    view.unknown_numbers = [3]
    controller.train_all_the_same()
    view.add_classes.assert_not_called()


def test_training_all_the_same_waits_for_what_is_lacking(view, controller):
    view.facts.return_value = replace(READY, name="")
    controller.train_all_the_same()
    view.start.assert_not_called()
    assert controller.sure
