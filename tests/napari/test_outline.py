"""The outline over the canvas: where the region is, one screen pixel wide, whatever moves the layer; or as a layer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_tessera.napari_plugin.clicking.outline import Outline
from napari_tessera.napari_plugin.clicking.outline_image import INNER, OUTER, outline_picture
from napari_tessera.napari_plugin.layers.view_tracker import camera_of

pytestmark = pytest.mark.gui


def screen_of(picture, size):
    """Return the whole screen with a picture on it."""
    screen = np.zeros((size[0] + 8, size[1] + 8), np.uint32)
    if picture is not None:
        height, width = picture.pixels.shape
        assert picture.left >= -4
        assert picture.top >= -4
        screen[picture.top + 4 : picture.top + 4 + height, picture.left + 4 : picture.left + 4 + width] = picture.pixels
    return screen[4:-4, 4:-4]


@given(
    st.integers(0, 99), st.tuples(st.integers(1, 30), st.integers(1, 30)), st.floats(0.3, 7), st.floats(0, 6.3),
    st.tuples(st.floats(-40, 60), st.floats(-40, 60)), st.booleans(),
)  # fmt: skip
def test_the_picture_is_that_of_the_mask(seed, shape, zoom, angle, move, flip):
    """Against the mask looked up pixel by pixel, wherever no rounding decides."""
    mask = np.random.default_rng(seed).random(shape) < 0.8
    size = (50, 70)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * zoom
    matrix = np.column_stack([turn * [1, -1 if flip else 1], move])
    back = np.linalg.inv(matrix[:, :2])
    y, x = np.mgrid[-1 : size[0] + 1, -1 : size[1] + 1]
    place = np.stack([x + 0.5, y + 0.5], -1) - move
    place = place @ back.T
    index = np.floor(place).astype(int)
    inside = (index >= 0).all(-1) & (index < shape[::-1]).all(-1)
    seen = np.zeros(inside.shape, bool)
    seen[inside] = mask[index[inside][:, 1], index[inside][:, 0]]
    sure = (np.abs(place - np.round(place)) > 0.02).all(-1)

    def neighbours(array):
        return np.stack([array[1:-1, 1:-1], array[:-2, 1:-1], array[2:, 1:-1], array[1:-1, :-2], array[1:-1, 2:]])

    around = neighbours(seen)
    expected = np.where(around[0] & ~around.all(0), INNER, np.where(~around[0] & around.any(0), OUTER, 0))
    picture = outline_picture(mask, matrix, size)
    known = neighbours(sure).all(0)
    if zoom > 0.5:  # further out the mask is thinned
        np.testing.assert_array_equal(screen_of(picture, size)[known], expected[known])


def test_a_huge_region_zoomed_out():
    mask = np.zeros((40_000, 3000), bool)
    mask[1000:39_000, 100:2900] = True
    screen = screen_of(outline_picture(mask, np.array([[0.02, 0, 5], [0, 0.02, 10.0]]), (900, 100)), (900, 100))
    rows, columns = np.nonzero(screen == INNER)
    assert (abs(rows.min() - 30), abs(rows.max() - 789)) <= (1, 1)
    assert (abs(columns.min() - 7), abs(columns.max() - 62)) <= (1, 1)


def test_what_is_not_on_screen_costs_nothing():
    mask = np.ones((10, 10), bool)
    for move in (-2000, 2000):
        assert outline_picture(mask, np.array([[1, 0, move], [0, 1, 0.0]]), (50, 50)) is None
    assert outline_picture(mask, np.array([[1, 0, 0], [1, 0, 0.0]]), (50, 50)) is None  # seen edge-on


# On a real canvas


def process():
    for _ in range(5):
        QApplication.processEvents()


def grabbed(widget):
    """Return what a person sees of the canvas and what lies on it, as 0xRRGGBB."""
    process()
    image = widget.parentWidget().grab().toImage().convertToFormat(QImage.Format.Format_ARGB32)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes()) if hasattr(bits, "setsize") else None
    array = np.frombuffer(bits, np.uint32).reshape(image.height(), image.bytesPerLine() // 4)
    return array[:, : image.width()].copy() & 0xFFFFFF


def yellow(widget):
    """Return where the outline's bright pixels are on the canvas, as (x, y) of their centres."""
    y, x = np.nonzero(grabbed(widget) == INNER & 0xFFFFFF)
    return np.column_stack([x, y]) + 0.5


def in_data(viewer, layer, points):
    """Return points of the canvas as floating indices of the layer, as napari's own mouse events give them."""
    canvas = viewer.window._qt_viewer.canvas
    return np.array([layer.world_to_data(canvas._map_canvas2world(tuple(point), canvas.view)) for point in points])


def check_on_edge(viewer, layer, outline, mask_at, axes=(0, 1)):
    """Every bright pixel lies in the mask, and within three of the screen's pixels of what is not the mask."""
    points = yellow(outline.widget)
    assert len(points) > 20
    extremes = [order[end] for order in (points[:, 0].argsort(), points[:, 1].argsort()) for end in (0, -1)]
    points = points[np.unique([*extremes, *range(0, len(points), 1 + len(points) // 50)])]
    places = in_data(viewer, layer, points)
    inside = mask_at(places)
    assert inside.mean() > 0.98
    steps = [(3, 0), (-3, 0), (0, 3), (0, -3)]
    near = np.array([mask_at(in_data(viewer, layer, points + step)) for step in steps])
    assert (~near).any(0).mean() > 0.98
    reach = places[:, list(axes)]
    return reach.min(0), reach.max(0)


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 700)
    return viewer


def box_at(origin, shape):
    low, high = np.array(origin) - 0.5, np.array(origin) + shape - 0.5
    return lambda places: ((places > low - 0.05) & (places < high + 0.05)).all(1)


def test_it_follows_camera_and_layer(viewer):
    layer = viewer.add_labels(np.zeros((300, 400), np.uint16))
    outline = Outline(viewer, layer)
    assert not yellow(outline.widget).size
    mask, origin = np.ones((60, 80), bool), (100, 150)
    inside = box_at(origin, mask.shape)
    camera = camera_of(viewer)
    outline.show(origin, mask)
    for change in (
        lambda: None,
        lambda: setattr(camera, "zoom", camera.zoom * 2.7),
        lambda: setattr(camera, "center", (0, 110, 170)),
        lambda: setattr(layer, "scale", (0.5, 0.7)),
        lambda: setattr(layer, "translate", (30, 60)),
        lambda: setattr(layer, "rotate", 20),
        lambda: setattr(layer, "affine", [[1, 0.2, 3], [0, 1.1, -4], [0, 0, 1]]),
        viewer.reset_view,
        lambda: viewer.window.resize(1000, 800),
    ):
        change()
        low, high = check_on_edge(viewer, layer, outline, inside)
        # All of it is in view or cut by the border of the canvas, and as thin as before.
        assert (high - low > 15).all()
    outline.hide()
    assert not yellow(outline.widget).size
    outline.show(origin, mask)
    assert yellow(outline.widget).size
    layer.visible = False
    assert not yellow(outline.widget).size
    layer.visible = True
    viewer.layers.remove(layer)
    assert not yellow(outline.widget).size
    outline.close()


def test_it_follows_the_slices(viewer):
    layer = viewer.add_labels(np.zeros((20, 60, 90), np.uint8), scale=(2, 1, 1))
    outline = Outline(viewer, layer)
    z, y, x = np.indices((9, 30, 40))
    mask = (z - 4) ** 2 / 20 + (y - 15) ** 2 / 200 + (x - 20) ** 2 / 380 < 1
    origin = np.array([5, 10, 20])
    outline.show(tuple(origin), mask)

    def inside(places):
        at = np.round(places - origin).astype(int)
        held = ((at >= 0) & (at < mask.shape)).all(1)
        held[held] = mask[tuple(at[held].T)]
        return held

    for order, step, axes in (
        ((0, 1, 2), 9, (1, 2)), ((0, 1, 2), 7, (1, 2)), ((1, 0, 2), 30, (0, 2)), ((2, 1, 0), 41, (1, 0)),
    ):  # fmt: skip
        viewer.dims.order = order
        viewer.dims.set_current_step(order[0], step)
        viewer.reset_view()
        low, high = check_on_edge(viewer, layer, outline, inside, axes)
        section = np.take(mask, step - origin[order[0]], order[0])
        for axis, (first, last) in zip(sorted(axes), zip(low, high, strict=True), strict=True):
            at = sorted(axes).index(axis)
            held = np.flatnonzero(section.any(1 - at)) + origin[axis]
            position = list(axes).index(axis)
            assert low[position] == pytest.approx(held[0] - 0.5, abs=0.5)
            assert high[position] == pytest.approx(held[-1] + 0.5, abs=0.5)
            assert first <= last
    viewer.dims.set_current_step(2, 5)
    assert not yellow(outline.widget).size


def test_in_3d_the_edges_of_the_box_are_drawn(viewer):
    layer = viewer.add_labels(np.zeros((30, 40, 50), np.uint8))
    viewer.add_labels(np.zeros((40, 50), np.uint8))
    viewer.dims.ndisplay = 3
    outline = Outline(viewer, layer)
    outline.show((10, 10, 10), np.ones((8, 12, 20), bool))
    before = yellow(outline.widget)
    assert len(before) > 50
    camera_of(viewer).angles = (30, 40, 20)
    after = yellow(outline.widget)
    assert len(after) > 50
    assert len(after) != len(before)
    flat = Outline(viewer, viewer.layers[1])
    outline.hide()
    flat.show((10, 10), np.ones((12, 20), bool))
    assert len(yellow(flat.widget)) > 20


def test_the_mouse_goes_through(viewer):
    layer = viewer.add_labels(np.zeros((40, 50), np.uint8))
    outline = Outline(viewer, layer)
    outline.show((0, 0), np.ones((40, 50), bool))
    process()
    seen = []
    viewer.mouse_drag_callbacks.append(lambda _viewer, event: seen.append(tuple(event.position)))
    canvas = viewer.window._qt_viewer.canvas.native
    centre = QPoint(canvas.width() // 2, canvas.height() // 2)
    assert canvas.childAt(centre) is None
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, centre)
    assert len(seen) == 1


def test_it_is_drawn_without_the_scene(viewer, qtbot):
    """Showing a region anew draws neither images nor labels; what is shown twice before a frame costs one."""
    layer = viewer.add_labels(np.zeros((400, 500), np.uint8))
    outline = Outline(viewer, layer)
    mask = np.ones((200, 200), bool)
    outline.show((0, 0), mask)
    draws, painted = [], []
    viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(draws.append)
    while True:  # until the window has come to rest
        draws.clear()
        qtbot.wait(100)
        if not draws:
            break
    outline.widget.painted.connect(lambda: painted.append(1))
    for start in range(5):
        with qtbot.waitSignal(outline.widget.painted):
            outline.show((start, 0), mask)
            outline.show((start + 1, 0), mask)
    assert len(draws) == 0
    assert len(painted) == 5


def test_closing_takes_everything_away(viewer, qtbot):
    layer = viewer.add_labels(np.zeros((40, 50), np.uint8))
    canvas = viewer.window._qt_viewer.canvas.native
    before = len(canvas.children())
    outline = Outline(viewer, layer)
    outline.show((0, 0), np.ones((40, 50), bool))
    process()
    with qtbot.waitSignal(outline.widget.destroyed):
        outline.close()
    assert len(canvas.children()) == before
    camera_of(viewer).zoom = 3
    layer.scale = (2, 2)


# Without a canvas that is known


def test_a_layer_shows_it_where_there_is_no_canvas():
    viewer = ViewerModel()
    layer = viewer.add_labels(np.zeros((10, 40, 50), np.uint16), scale=(3, 1, 2), translate=(1, 2, 3))
    points = viewer.add_points(ndim=3)
    viewer.layers.selection.active = layer
    outline = Outline(viewer, layer)
    outline.hide()
    assert outline.widget is None
    assert len(viewer.layers) == 2
    mask = np.zeros((2, 10, 10), bool)
    mask[1, 2:8, 2:8] = True
    outline.show((4, 10, 20), mask)
    shown = viewer.layers[-1]
    np.testing.assert_array_equal(shown.data, mask)
    np.testing.assert_allclose(shown.data_to_world((1, 2, 2)), layer.data_to_world((5, 12, 22)))
    outline.show((5, 11, 21), mask[:, ::-1])
    np.testing.assert_allclose(shown.data_to_world((1, 2, 2)), layer.data_to_world((6, 13, 23)))
    assert shown.contour == 1
    assert viewer.layers.selection.active is layer
    assert set(viewer.layers) == {layer, points, shown}
    outline.hide()
    assert not shown.visible
    outline.show((5, 11, 21), mask)
    assert shown.visible
    viewer.layers.remove(shown)
    outline.show((5, 11, 21), mask)
    assert len(viewer.layers) == 3
    outline.close()
    assert set(viewer.layers) == {layer, points}
