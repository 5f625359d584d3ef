"""What is written into labels: undone step by step among strokes, shown at once, refused with a remedy; its history."""

import gc
import threading
import weakref

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import Dims, ViewerModel
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.jobs import CancelToken
from napari_tessera.napari_plugin.clicking.options import ClickOptions
from napari_tessera.napari_plugin.clicking.points_growing import PointsGrowth
from napari_tessera.napari_plugin.clicking.target import Target
from napari_tessera.napari_plugin.painting import highest_label, napari_private
from napari_tessera.napari_plugin.painting.history import MOST_BYTES, bound_history
from napari_tessera.napari_plugin.painting.label_writing import (
    boxes_of_step,
    next_label,
    widen_labels,
    write_box,
    write_mask,
)
from napari_tessera.napari_plugin.painting.stepping import _merged, take_step

pytestmark = pytest.mark.gui

SHAPES = {2: (14, 17), 3: (5, 9, 11), 4: (3, 4, 7, 8)}
SPOT = np.ones((2, 3), bool)


def shown(layer):
    """Return what napari keeps for the screen, having seen that a whole refresh would make the same."""
    view = layer._slice.image.view.copy()
    layer.refresh(thumbnail=False, extent=False)
    np.testing.assert_array_equal(view, layer._slice.image.view)
    return view


@st.composite
def masks(draw, ndim):
    shape = tuple(draw(st.integers(1, 4)) for _ in range(ndim))
    origin = tuple(draw(st.integers(-2, n)) for n in SHAPES[ndim])
    bits = draw(st.lists(st.booleans(), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    return origin, np.array(bits).reshape(shape)


@st.composite
def boxes(draw, ndim):
    box = []
    for n in SHAPES[ndim]:
        start = draw(st.integers(0, n - 1))
        box.append(slice(start, draw(st.integers(start, n))))
    return tuple(box)


def actions(ndim):
    number = st.integers(0, 5)
    points = st.lists(st.tuples(*(st.integers(0, n - 1) for n in SHAPES[ndim])), min_size=1, max_size=4)
    return st.one_of(
        st.tuples(st.just("mask"), masks(ndim), number),
        st.tuples(st.just("box"), boxes(ndim), st.integers(0, 2**32 - 1)),
        st.tuples(st.just("stroke"), points, number),
        st.tuples(st.just("pixels"), points, number),
        st.tuples(st.just("undo"), st.integers(1, 3)),
        st.tuples(st.just("redo"), st.integers(1, 3)),
    )


def perform(layer, action):
    kind, *arguments = action
    if kind == "mask":
        (origin, mask), number = arguments
        write_mask(layer, origin, mask, number)
    elif kind == "box":
        box, seed = arguments
        values = layer.data[box]
        write_box(layer, box, np.random.default_rng(seed).integers(0, 4, values.shape).astype(values.dtype))
    elif kind == "stroke":
        with layer.block_history():
            for point in arguments[0]:
                layer.paint(point, arguments[1], refresh=False)
            layer._partial_labels_refresh()
    elif kind == "pixels":
        layer.data_setitem(tuple(np.array(arguments[0]).T), arguments[1])


def check_sequence(layer, sequence, quick):
    """Do actions, keeping a plain list of states beside the layer."""
    step = {
        "undo": (lambda: take_step(layer, back=True)) if quick else layer.undo,
        "redo": (lambda: take_step(layer, back=False)) if quick else layer.redo,
    }
    states, at = [layer.data.copy()], 0
    for action in sequence:
        if action[0] in ("undo", "redo"):
            for _ in range(action[1]):
                at = max(at - 1, 0) if action[0] == "undo" else min(at + 1, len(states) - 1)
                step[action[0]]()
        else:
            perform(layer, action)
            if not np.array_equal(layer.data, states[at]):
                at += 1
                states[at:] = [layer.data.copy()]
        np.testing.assert_array_equal(layer.data, states[at])
        shown(layer)
        assert bound_history(layer).bytes_held < MOST_BYTES
    for _ in range(len(states)):
        step["undo"]()
    np.testing.assert_array_equal(layer.data, states[0])
    for _ in range(len(states)):
        step["redo"]()
    np.testing.assert_array_equal(layer.data, states[-1])


@settings(max_examples=25)
@given(
    st.data(), st.sampled_from([2, 3, 4]), st.sampled_from([np.uint8, np.uint16, np.uint32, np.int64]), st.booleans()
)
def test_undo_and_redo_among_strokes(data, ndim, dtype, public):
    """Whatever is done in whatever order, undo and redo walk along the states, and the screen follows."""
    layer = Labels(np.zeros(SHAPES[ndim], dtype))
    layer.brush_size = data.draw(st.integers(1, 5), label="brush")
    layer.n_edit_dimensions = data.draw(st.integers(2, ndim), label="edited")
    layer.contour = data.draw(st.sampled_from([0, 0, 1]), label="contour")
    if data.draw(st.booleans(), label="own colours"):
        layer.colormap = DirectLabelColormap(color_dict={0: "transparent", 1: "red", 2: "blue", None: "gray"})
    dims = Dims(
        ndim=ndim,
        range=[(0, n - 1, 1) for n in SHAPES[ndim]],
        order=data.draw(st.permutations(range(ndim)), label="order"),
        point=[data.draw(st.integers(0, n - 1), label="point") for n in SHAPES[ndim]],
        ndisplay=3 if ndim > 2 and layer.contour == 0 and data.draw(st.booleans(), label="in 3D") else 2,
    )
    layer._slice_dims(dims)
    sequence = data.draw(st.lists(actions(ndim), max_size=12), label="actions")
    with pytest.MonkeyPatch.context() as patch:
        if public:
            patch.setattr(napari_private, "MASKED_ATOM", None)
        check_sequence(layer, sequence, data.draw(st.booleans(), label="quick steps"))


@given(
    st.data(), st.sampled_from([2, 3, 4]), st.integers(0, 4), st.sets(st.integers(0, 400), max_size=12), st.booleans()
)
def test_what_a_mask_changes(data, ndim, number, keep, preserve):
    before = np.random.default_rng(0).integers(0, 4, SHAPES[ndim]).astype(np.uint8)
    layer = Labels(before.copy())
    layer.preserve_labels = preserve
    origin, mask = data.draw(masks(ndim))
    expected = before.copy()
    for offset in np.argwhere(mask):
        point = tuple(int(a) + o for a, o in zip(offset, origin, strict=True))
        if all(0 <= p < n for p, n in zip(point, before.shape, strict=True)):
            old = int(before[point])
            if old not in keep and not (preserve and number != 0 and old != 0):
                expected[point] = number
    steps = []
    layer.events.paint.connect(lambda event: steps.append((event.value, layer.data.copy())))
    assert write_mask(layer, origin, mask, number, keep=keep) == bool((expected != before).any())
    np.testing.assert_array_equal(layer.data, expected)
    assert len(steps) == int((expected != before).any())
    for step, seen in steps:  # told once it is done, with the smallest box
        np.testing.assert_array_equal(seen, expected)
        changed = np.nonzero(expected != before)
        assert boxes_of_step(step) == [tuple(slice(int(a.min()), int(a.max()) + 1) for a in changed)]


def test_listeners_hear_of_the_box_alone():
    layer = Labels(np.zeros((3, 50, 60), np.uint32))
    heard = []
    layer.events.labels_update.connect(lambda event: heard.append((event.offset, event.data.shape)))
    for name in ("set_data", "data", "refresh"):
        getattr(layer.events, name).connect(lambda _event: heard.append("everything"))
    write_mask(layer, (0, 10, 20), SPOT[None], 5)
    values = layer.data[:, 3:9, 4:9].copy()
    values[0] = np.arange(30).reshape(6, 5) + 1
    write_box(layer, (slice(0, 3), slice(3, 9), slice(4, 9)), values)
    assert heard == [([10, 20], (2, 3)), ([3, 4], (6, 5))]


def test_the_public_way_does_the_same(monkeypatch):
    layers = [Labels(np.zeros((20, 30), np.uint16)) for _ in range(2)]
    events = ([], [])
    for public in (0, 1):
        layer, heard = layers[public], events[public]
        layer.events.labels_update.connect(lambda event, h=heard: h.append((tuple(event.offset), event.data.tolist())))
        layer.events.paint.connect(lambda event, h=heard: h.append(boxes_of_step(event.value)))
        if public:
            monkeypatch.delattr(Labels, "_align_data_to_view")
            assert not napari_private.knows_history(layer)
        write_mask(layer, (3, 4), SPOT, 9)
        write_box(layer, (slice(2, 8), slice(2, 6)), np.arange(24, dtype=np.uint16).reshape(6, 4))
        layer.undo()
    np.testing.assert_array_equal(layers[0].data, layers[1].data)
    assert events[0] == events[1]


def test_a_write_within_a_stroke_belongs_to_it():
    layer = Labels(np.zeros((20, 20), np.uint8))
    with layer.block_history():
        layer.paint((3, 3), 1)
        write_mask(layer, (10, 10), SPOT, 2)
        layer.paint((15, 3), 1)
    layer.undo()
    assert not layer.data.any()


def test_a_click_on_background_costs_little_memory():
    layer = Labels(np.zeros((200, 200), np.uint64))
    mask = np.ones((200, 200), bool)
    mask[0, 0] = False
    write_mask(layer, (0, 0), mask, 3)
    assert bound_history(layer).bytes_held < 1.01 * mask.size
    layer.undo()
    assert not layer.data.any()


@pytest.mark.parametrize(
    ("layer", "remedy"),
    [
        (lambda: Labels(da.zeros((20, 20), dtype=np.uint8)), "new Labels layer"),
        (lambda: Labels(zarr.zeros((20, 20), dtype="u1")), "new Labels layer"),
        (lambda: Labels([np.zeros((40, 40), np.uint8), np.zeros((20, 20), np.uint8)], multiscale=True), "new Labels"),
        (lambda: Labels(np.broadcast_to(np.uint8(0), (20, 20))), "duplicate"),
        (lambda: uneditable(), "duplicate"),  # noqa: PLW0108  it stands below
    ],
)
def test_labels_that_cannot_be_written(layer, remedy):
    layer = layer()
    for write in (
        lambda: write_mask(layer, (2, 2), SPOT, 1),
        lambda: write_box(layer, (slice(0, 2), slice(0, 3)), SPOT.astype(np.uint8)),
        lambda: widen_labels(layer, 300),
        lambda: next_label(layer),
    ):
        with pytest.raises(InvalidInputError, match=remedy) as caught:
            write()
        assert str(caught.value).count(". ") == 0


def uneditable():
    layer = Labels(np.zeros((20, 20), np.uint8))
    layer.editable = False
    return layer


def test_what_does_not_fit_is_refused():
    layer = Labels(np.zeros((20, 20), np.uint8))
    with pytest.raises(InvalidInputError, match="widen"):
        write_mask(layer, (0, 0), SPOT, 256)
    with pytest.raises(InvalidInputError, match="widen"):
        write_box(layer, (slice(0, 2), slice(0, 3)), SPOT * 300)
    with pytest.raises(InvalidInputError, match="dimensions"):
        write_mask(layer, (0, 0, 0), SPOT[None], 1)
    with pytest.raises(InvalidInputError, match="out of"):
        write_box(layer, (slice(19, 21), slice(0, 3)), SPOT.astype(np.uint8))
    assert not layer.data.any()
    assert not layer._undo_history


# Numbers and types


@pytest.mark.parametrize(
    ("dtype", "value", "wide"),
    [
        ("u1", 255, "u1"),
        ("u1", 256, "u2"),
        ("u1", 70000, "u4"),
        ("i1", 128, "i2"),
        ("u4", 2**32, "u8"),
        ("i2", -9, "i2"),
    ],
)
def test_a_wider_type(dtype, value, wide):
    layer = Labels(np.zeros((20, 20), dtype))
    replaced = []
    layer.events.data.connect(lambda event: replaced.append(event.value.dtype))
    write_mask(layer, (1, 1), SPOT, 7)
    before = layer.data.copy()
    assert widen_labels(layer, value) == (dtype != wide)
    assert replaced == ([np.dtype(wide)] if dtype != wide else [])
    assert write_mask(layer, (5, 5), SPOT, value)
    assert layer.data.dtype == wide
    assert (layer.data == value).sum() == 6
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    layer.undo()
    assert not layer.data.any()
    layer.redo()
    layer.redo()
    assert (layer.data == value).sum() == 6
    shown(layer)


def test_no_type_is_wide_enough():
    with pytest.raises(InvalidInputError, match="number the objects anew"):
        widen_labels(Labels(np.zeros((3, 3), np.uint64)), 2**64)
    with pytest.raises(InvalidInputError, match="number the objects anew"):
        widen_labels(Labels(np.zeros((3, 3), np.uint8)), -1)


def test_the_array_of_a_hidden_layer_from_before_is_left_alone():
    array = np.ones((20, 20), np.uint8)
    layer = Labels(array)
    layer.visible = False
    assert widen_labels(layer, 300)
    assert write_mask(layer, (0, 0), np.ones((20, 20), bool), 300)
    assert (array == 1).all()
    layer.visible = True
    assert (np.asarray(layer._slice.image.raw) == 300).all()


@pytest.mark.parametrize("small", [0, 10**6])
def test_the_next_label_is_free(small, monkeypatch):
    monkeypatch.setattr(highest_label, "SMALL", small)
    viewer = ViewerModel()
    layer = viewer.add_labels(np.zeros((3, 20, 20), np.int16) - 5)
    assert next_label(layer) == 1
    write_mask(layer, (0, 2, 2), SPOT[None], 8)
    assert next_label(layer) == 9
    layer.paint((1, 10, 10), 12)
    assert next_label(layer) == 13
    layer.data_setitem((np.array([1]), np.array([1]), np.array([1])), 20)
    assert next_label(layer) == 21
    write_box(layer, (slice(0, 1),) * 3, np.full((1, 1, 1), 30, np.int16))
    layer.undo()
    layer.redo()
    viewer.dims.set_current_step(0, 2)
    assert next_label(layer) == 31
    layer.data[2, 3, 3] = 50
    layer.refresh()
    assert next_label(layer) == 51
    layer.data = np.zeros((4, 4, 4), np.uint8)
    assert next_label(layer) == 1


@pytest.fixture
def looks(monkeypatch):
    """Names of the threads that have looked through an array."""
    monkeypatch.setattr(highest_label, "SMALL", 0)
    looks = []
    real = highest_label._look_through

    def look(*args):
        looks.append(threading.current_thread().name)
        return real(*args)

    monkeypatch.setattr(highest_label, "_look_through", look)
    return looks


def test_large_labels_are_not_looked_through_for_every_click(looks):
    viewer = ViewerModel()
    layer = viewer.add_labels(np.zeros((5, 20, 20), np.uint8))
    for click in range(5):
        viewer.dims.set_current_step(0, click)
        write_mask(layer, (click, 2, 2), SPOT[None], next_label(layer))
    assert next_label(layer) == 6
    assert looks == ["tessera-highest-label"]


def test_undo_and_redo_do_not_make_large_labels_be_looked_through(looks):
    layer = Labels(np.zeros((20, 20), np.uint8))
    for number in (3, 9):
        layer.paint((5, 5), number)
        write_mask(layer, (9, number), SPOT, number)
    assert next_label(layer) == 10
    for _ in range(4):
        layer.undo()
        assert next_label(layer) == 10  # 9 may be brought back by a redo, and nothing else than it
    layer.redo()
    layer.data[3, 3] = 40  # a refresh from outside does
    layer.refresh()
    assert next_label(layer) == 41
    assert set(looks) == {"tessera-highest-label"}
    assert len(looks) == 2


def test_large_labels_are_looked_through_ahead_and_only_once(looks):
    layer = Labels(np.full((20, 20), 7, np.uint8))
    highest_label.look_ahead(layer)
    highest_label.look_ahead(layer)
    assert next_label(layer) == 8
    assert len(looks) == 1
    array = np.full((30, 40, 50), 3, np.uint16)
    array[7, 8, 9] = 500
    layer.data = array[::2, :, ::-1][:, 1:]  # neither contiguous nor of the first axis's order
    layer.data[1, 1, 1] = 900
    assert next_label(layer) in (4, 901)
    layer.refresh()
    assert next_label(layer) == 901


@pytest.fixture
def held_look(monkeypatch):
    """Hold each look until it is let go; it has looked by then."""
    monkeypatch.setattr(highest_label, "SMALL", 0)
    go = threading.Event()
    begun = threading.Event()
    real = highest_label._look_through

    def look(*args):
        found = real(*args)
        begun.set()
        assert go.wait(20)
        return found

    monkeypatch.setattr(highest_label, "_look_through", look)
    yield begun, go
    go.set()


def number_7(layer, way):
    """Paint 7 in one of the ways in which steps are made."""
    if way == "paint":
        layer.paint((5, 5), 7)
    elif way == "data_setitem":
        layer.data_setitem((np.array([5]), np.array([5])), 7)
    else:
        write_box(layer, (slice(4, 7), slice(4, 7)), np.full((3, 3), 7, layer.data.dtype))


@pytest.mark.parametrize("way", ["paint", "data_setitem", "box"])
@pytest.mark.parametrize("again", ["redo", "undo"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_a_number_that_comes_back_is_not_free(way, again, dtype, monkeypatch):
    monkeypatch.setattr(highest_label, "SMALL", 0)
    layer = Labels(np.zeros((20, 20), dtype))
    layer.data[15, 15] = 3
    number_7(layer, way)
    if again == "redo":
        layer.undo()
    else:
        write_box(layer, (slice(0, 10), slice(0, 10)), np.zeros((10, 10), dtype))
    highest_label.look_ahead(layer)
    assert next_label(layer) == 8
    getattr(layer, again)()
    assert (layer.data == 7).any()
    assert next_label(layer) == 8


def test_a_number_that_comes_back_after_its_step_has_gone_is_not_free(monkeypatch):
    monkeypatch.setattr(highest_label, "SMALL", 0)
    layer = Labels(np.zeros((20, 20), np.uint8))
    number_7(layer, "box")
    layer.undo()
    next_label(layer)
    layer.redo()
    layer._undo_history.clear()
    assert (layer.data == 7).any()
    assert next_label(layer) == 8


def test_an_object_deleted_while_labels_are_looked_through_comes_back(held_look):
    begun, go = held_look
    layer = Labels(np.zeros((20, 20), np.uint8))
    layer.data[15, 15] = 3
    layer.data[2:6, 2:6] = 9
    with pytest.MonkeyPatch.context() as patch:  # the look comes too late to see 9
        ready, real = threading.Event(), highest_label._look_through
        patch.setattr(highest_label, "_look_through", lambda *args: (ready.wait(20), real(*args))[1])
        highest_label.look_ahead(layer)
        write_box(layer, (slice(0, 10), slice(0, 10)), np.zeros((10, 10), np.uint8))
        ready.set()
        assert begun.wait(20)
    layer.undo()
    assert (layer.data == 9).any()
    go.set()
    assert next_label(layer) == 10


@pytest.mark.parametrize("back", ["undo", "redo"])
def test_a_number_that_comes_back_into_widened_labels_is_not_free(back, monkeypatch):
    monkeypatch.setattr(highest_label, "SMALL", 0)
    layer = Labels(np.zeros((20, 20), np.uint8))
    assert next_label(layer) == 1
    number_7(layer, "box")
    if back == "redo":
        layer.undo()
    else:
        write_box(layer, (slice(0, 10), slice(0, 10)), np.zeros((10, 10), np.uint8))
    assert widen_labels(layer, 300)
    assert next_label(layer) == 8
    getattr(layer, back)()
    assert (layer.data == 7).any()
    assert next_label(layer) == 8
    layer.data = np.zeros((20, 20), np.uint8)  # the steps of others are forgotten
    assert next_label(layer) == 1


def test_large_labels_are_looked_through_as_they_lie_in_memory():
    array = np.random.default_rng(0).integers(0, 2**16, (13, 17, 19)).astype(np.uint16)
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        for flips in (slice(None), slice(None, None, -1)):
            view = array.transpose(order)[:, flips]
            in_order = highest_label._along_memory(view)
            assert in_order.flags.c_contiguous
            assert np.shares_memory(in_order, array)
            assert highest_label._look_through(view, threading.Event()) == array.max()
    thinned = array[1::2, :, ::-3]
    assert highest_label._look_through(thinned, threading.Event()) == thinned.max()


# History


def test_the_history_is_bounded_in_bytes():
    layer = Labels(np.zeros((100, 100), np.uint32))
    history = bound_history(layer, 60_000)
    assert bound_history(layer) is history
    rng = np.random.default_rng(0)
    states = [layer.data.copy()]
    for turn in range(30):
        if turn % 3:
            write_box(layer, (slice(0, 100), slice(0, 30)), rng.integers(0, 99, (100, 30)).astype(np.uint32))
        else:
            layer.brush_size = 30
            layer.paint((50, 60), turn + 100)
        states.append(layer.data.copy())
        assert history.bytes_held <= 60_000
    steps = len(layer._undo_history)
    assert 1 <= steps < 30
    for state in states[-2 : -2 - steps : -1]:
        layer.undo()
        np.testing.assert_array_equal(layer.data, state)
        assert history.bytes_held <= 60_000
    layer.undo()
    np.testing.assert_array_equal(layer.data, states[-1 - steps])
    bound_history(layer, 30_000)
    assert 0 < history.bytes_held <= 30_000
    bound_history(layer, 10)
    assert len(layer._undo_history) + len(layer._redo_history) == 1
    layer.redo()
    layer.redo()
    np.testing.assert_array_equal(layer.data, states[-steps])


@pytest.mark.parametrize("all_changed", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint32])
def test_the_newest_step_stays_however_large(dtype, all_changed):
    layer = Labels(np.full((20, 30, 40), 3, dtype))
    layer.data[:, ::2] = 4
    layer.paint((5, 5, 5), 9)
    history = bound_history(layer, 10_000)
    before = [layer.data.copy()]
    for turn in range(3):
        values = np.random.default_rng(turn).integers(10 * turn + 10, 10 * turn + 19, layer.data.shape)
        if not all_changed:
            values[7, 7, 7] = layer.data[7, 7, 7]
        assert write_box(layer, (slice(0, 20), slice(0, 30), slice(0, 40)), values.astype(np.int64))
        before.append(layer.data.copy())
        assert len(layer._undo_history) == 1
        assert 10_000 < history.bytes_held <= (2 * layer.data.itemsize + 1) * layer.data.size
    assert history.can_undo
    take_step(layer, back=True)
    np.testing.assert_array_equal(layer.data, before[-2])
    assert not history.can_undo
    bound_history(layer)
    take_step(layer, back=False)
    np.testing.assert_array_equal(layer.data, before[-1])
    take_step(layer, back=True)
    write_mask(layer, (0, 0, 0), SPOT[None], 7)  # a small one takes its place, and the next beside that
    write_mask(layer, (9, 9, 9), SPOT[None], 7)
    assert len(layer._undo_history) == 2
    layer.undo()
    layer.undo()
    np.testing.assert_array_equal(layer.data, before[-2])


def test_a_stroke_over_strokes_is_bounded():
    layer = Labels(np.zeros((20, 20), np.uint8))
    history = bound_history(layer, 1000)
    for dabs in (1, 2):
        with layer.block_history():
            for dab in range(dabs):
                write_box(layer, (slice(0, 20),) * 2, (np.arange(400).reshape(20, 20) + 40 * dab + dabs) % 251)
        assert history.can_undo == (dabs == 1)


@pytest.mark.parametrize("other", [(20, 20), (5, 6), (3, 20, 20), (400,) * 2])
@pytest.mark.parametrize("blocked", [False, True])
def test_undo_after_the_data_were_replaced(other, blocked):
    viewer = ViewerModel()
    layer = viewer.add_labels(np.zeros((20, 20), np.uint8))
    for turn in range(3):
        write_mask(layer, (10, turn), SPOT, turn + 1)
        layer.paint((15, 15), turn + 1)
    layer.undo()
    fresh = np.full(other, 9, np.uint8)
    if blocked:
        with layer.events.data.blocker():
            layer.data = fresh
    else:
        layer.data = fresh
    write_mask(layer, (0,) * len(other), np.ones((1,) * len(other), bool), 4)
    for step in [layer.undo] * 4 + [layer.redo] * 4 + [layer.undo] * 9:
        step()
    assert (layer.data == 9).all()


def test_the_same_array_again_keeps_the_steps():
    layer = Labels(np.zeros((20, 20), np.uint8))
    write_mask(layer, (10, 1), SPOT, 1)
    layer.data = layer.data  # as some do to refresh
    layer.undo()
    assert not layer.data.any()


def test_steps_of_other_data_from_before_are_forgotten():
    layer = Labels(np.zeros((20, 20), np.uint8))
    layer.paint((15, 15), 1)
    layer.data = np.full((5, 5), 9, np.uint8)
    bound_history(layer)
    layer.undo()
    assert (layer.data == 9).all()


def test_without_private_names_nothing_is_bounded_and_nothing_fails(monkeypatch):
    layer = Labels(np.zeros((20, 20), np.uint8))
    del layer._undo_history, layer._redo_history
    monkeypatch.delattr(Labels, "_reset_history")
    history = bound_history(layer, 5)
    layer.data = np.ones((20, 20), np.uint8)
    assert history.bytes_held == 0


def test_layers_are_let_go():
    layer = Labels(np.zeros((20, 20), np.uint8))
    write_mask(layer, (10, 1), SPOT, 1)
    next_label(layer)
    gone = weakref.ref(layer)
    del layer
    gc.collect()
    assert gone() is None


# Steps on the screen


@st.composite
def strokes(draw):
    """Boxes of dabs, mostly beside each other."""
    ndim, seed = draw(st.integers(2, 3)), draw(st.integers(0, 2**32 - 1))
    count, far = draw(st.integers(0, 80)), draw(st.sampled_from([2, 10, 300]))
    rng = np.random.default_rng(seed)
    moved = rng.integers(-2, 3, (count, ndim)) * rng.choice([1, 1, 1, far], (count, 1))
    starts = np.maximum(np.cumsum(moved, axis=0) + 50, 0)
    lengths = rng.integers(1, 20, (count, ndim))
    return [
        tuple(slice(int(a), int(a + n)) for a, n in zip(start, length, strict=True))
        for start, length in zip(starts, lengths, strict=True)
    ]


def size_of(box):
    return int(np.prod([part.stop - part.start for part in box]))


def holds(outer, inner):
    return all(a.start <= b.start and b.stop <= a.stop for a, b in zip(outer, inner, strict=True))


@settings(max_examples=50)
@given(strokes())
def test_boxes_of_a_stroke_are_shown_together_and_not_much_more(given_boxes):
    shown_boxes = list(_merged(given_boxes))
    assert all(any(holds(box, one) for box in shown_boxes) for one in given_boxes)
    assert len(shown_boxes) <= len(given_boxes)
    assert sum(map(size_of, shown_boxes)) <= 2 * sum(map(size_of, given_boxes))


def test_dabs_beside_each_other_are_one_box_and_distant_ones_are_not():
    near = [(slice(place, place + 40), slice(place, place + 40)) for place in range(30)]
    assert list(_merged(near)) == [(slice(0, 69), slice(0, 69))]
    far = [(slice(place, place + 40), slice(place, place + 40)) for place in range(0, 20_000, 700)]
    assert list(_merged(far)) == far
    assert list(_merged(near + far[1:])) == [(slice(0, 69), slice(0, 69)), *far[1:]]
    assert list(_merged([])) == []


def test_a_long_stroke_does_not_show_all_of_the_layer_anew(monkeypatch):
    layer = Labels(np.zeros((2000, 2000), np.uint8))
    with layer.block_history():
        for place in range(50, 2000, 100):
            layer.paint((place, place), 5)
    heard = []
    layer.events.labels_update.connect(lambda event: heard.append(event.data.size))
    take_step(layer, back=True)
    assert not layer.data.any()
    assert len(heard) == 20
    assert sum(heard) < 20 * 200


# Regions from points


@pytest.mark.parametrize("fate", ["another shape", "removed"])
def test_points_into_labels_that_are_not_there_any_more(fate):
    viewer = ViewerModel()
    image = viewer.add_image(np.pad(np.full((10, 10), 200, np.uint8), ((2, 18), (2, 28))))
    layer = viewer.add_labels(np.zeros((30, 40), np.uint8))
    points = viewer.add_points([[5, 5]])
    growth = PointsGrowth(Target(viewer, image, "yx", layer, ClickOptions()), points)
    for _ in growth.run(CancelToken()):
        pass
    if fate == "removed":
        viewer.layers.remove(layer)
    else:
        layer.data = np.zeros((10, 10), np.uint8)
    with pytest.raises(InvalidInputError, match="removed" if fate == "removed" else "press the button again"):
        growth.write()
    assert not layer.data.any()
    if fate == "removed":
        viewer.add_layer(layer)
    else:
        layer.data = np.zeros((30, 40), np.uint8)
    assert "1 object from 1 point" in growth.write()
    np.testing.assert_array_equal(layer.data > 0, image.data > 0)


# On a real canvas


@pytest.mark.filterwarnings("ignore:data shape .* exceeds GL_MAX_TEXTURE_SIZE")
def test_a_box_of_huge_labels_is_uploaded_alone(make_napari_viewer, monkeypatch):
    """Thinned labels on the canvas are, after every write, as if all had been uploaded anew."""
    from napari._vispy.layers import base

    monkeypatch.setattr(base, "get_max_texture_sizes", lambda: (64, 64))
    viewer = make_napari_viewer(show=True)
    layer = viewer.add_labels(np.zeros((150, 200), np.uint32))
    viewer.screenshot(flash=False)  # the texture is made when it is first drawn
    visual = viewer.window._qt_viewer.canvas.layer_to_visual[layer]
    assert visual.node._texture.shape[:2] == (50, 50)
    texture = np.zeros((50, 50), np.uint8)
    upload = visual.node._texture.scale_and_set_data
    sizes = []

    def uploaded(data, offset=None, copy=False):
        offset = offset or (0, 0)
        texture[offset[0] : offset[0] + data.shape[0], offset[1] : offset[1] + data.shape[1]] = data
        sizes.append(data.size)
        upload(data, offset=offset, copy=copy)

    monkeypatch.setattr(visual.node._texture, "scale_and_set_data", uploaded)
    rng = np.random.default_rng(0)
    for _ in range(20):
        origin = tuple(int(rng.integers(-3, n)) for n in layer.data.shape)
        write_mask(layer, origin, rng.random((9, 7)) < 0.5, int(rng.integers(1, 99)))
        np.testing.assert_array_equal(texture, layer._slice.image.view[::3, ::4])
    assert max(sizes) <= 9
    assert layer._updated_slice is None


def test_one_step_on_the_screen(make_napari_viewer, qtbot):
    """What is written, undone and drawn with the brush is what the canvas shows, in slices of a transposed volume."""
    viewer = make_napari_viewer(show=True)
    layer = viewer.add_labels(np.zeros((30, 40, 50), np.uint8), opacity=1)
    viewer.dims.order = (2, 1, 0)
    viewer.dims.set_current_step(2, 25)
    viewer.reset_view()

    def picture():
        return viewer.screenshot(flash=False).astype(int)

    def changed(before):
        return (np.abs(picture() - before).max(-1) > 30).mean() > 0.02

    size = None
    while size != picture().shape:  # until the window has come to rest
        size = picture().shape
        qtbot.wait(100)
    pictures = [picture()]
    for number in (1, 2):
        write_mask(layer, (5 * number, 10, 20), np.ones((8, 9, 10), bool), number)
        qtbot.waitUntil(lambda: changed(pictures[-1]))
        pictures.append(picture())
    for before in pictures[-2::-1]:
        layer.undo()
        qtbot.waitUntil(lambda before=before: np.array_equal(picture(), before))


def test_a_step_back_shows_its_box_alone_and_is_heard_of(make_napari_viewer, qtbot):
    """Seen in what is sent to the screen: all of the layer for napari's own undo, the box for ours."""
    viewer = make_napari_viewer(show=True)
    layer = viewer.add_labels(np.zeros((300, 400), np.uint16))
    visual = viewer.window._qt_viewer.canvas.layer_to_visual[layer]
    texture = visual.node._texture
    sent, heard = [], []
    upload = texture.scale_and_set_data
    texture.scale_and_set_data = lambda data, **kwargs: (sent.append(data.shape[:2]), upload(data, **kwargs))
    changed = []
    visual.node.set_data = lambda data: changed.append(data.shape)
    layer.events.set_data.connect(lambda _: heard.append(1))
    write_mask(layer, (10, 20), np.ones((30, 40), bool), 3)
    take_step(layer, back=True)
    assert not layer.data.any()
    take_step(layer, back=False)
    assert layer.data.sum() == 3 * 30 * 40
    assert sent == [(30, 40)] * 3
    assert not changed
    assert len(heard) == 2
    layer.undo()
    assert changed
