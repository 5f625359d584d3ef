"""Press, drag, release: a region that grows from the clicked pixel and becomes an object."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.components import ViewerModel
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_tessera.core.errors import TesseraError
from napari_tessera.napari_plugin.clicking.click_source import LabelsFrame
from napari_tessera.napari_plugin.clicking.committing import pixels_words, replacing, write_region
from napari_tessera.napari_plugin.clicking.edit_runner import Edit, EditRunner
from napari_tessera.napari_plugin.clicking.growing_ahead import REST_MS, GrowingAhead
from napari_tessera.napari_plugin.clicking.intent import Intent, intent_of
from napari_tessera.napari_plugin.clicking.live_growth import Grown, LiveGrowth
from napari_tessera.napari_plugin.clicking.outline import Outline
from napari_tessera.napari_plugin.clicking.pending_region import Click, Pending, blocked_reader
from napari_tessera.napari_plugin.clicking.readiness import Readiness
from napari_tessera.napari_plugin.clicking.target import Mouse, Target, label_at, pixel_in
from napari_tessera.napari_plugin.forms.plain_text import show_info
from napari_tessera.napari_plugin.layers.images import full_resolution
from napari_tessera.napari_plugin.layers.locking import locked_labels

_ENDS = {
    "size": " It stopped at the size limit.",
    "loaded": " It stopped here: one click may not load more of the image. Click again where it ended.",
}


class GrowTool(QObject):
    """Makes objects.

    Signals
    -------
    said(str)
        What is happening.
    refused(str)
        Why a click does nothing.
    made(str)
        What has been done; nothing is pending any more.
    removal(Mouse)
        The object under the mouse is to be removed.

    Parameters
    ----------
    target
        Returns what is chosen; raises InvalidInputError if something is lacking.
    """

    said = Signal(str)
    refused = Signal(str)
    made = Signal(str)
    removal = Signal(object)

    def __init__(
        self,
        viewer: ViewerModel,
        target: Callable[[], Target],
        readiness: Readiness,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._target = target
        self._readiness = readiness
        self._pending: Pending | None = None
        self._outline: Outline | None = None
        self._outlined: Any = None
        self.growth = LiveGrowth(self)
        self.growth.grown.connect(self._take)
        self.growth.failed.connect(self._fail)
        self._ahead = GrowingAhead(self.growth)
        self._hovered: Mouse | None = None
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._prepare)
        self._runner = EditRunner(viewer, self)
        self._runner.made.connect(self.made)
        self._runner.refused.connect(self.refused)

    @property
    def busy(self) -> bool:
        """Whether something that was kept is still to be written."""
        return self._runner.busy

    @property
    def pending(self) -> bool:
        """Whether a region is being made."""
        return self._pending is not None

    @property
    def latest(self) -> Grown | None:
        """What has grown last of the region that is being made."""
        return self._pending.latest if self._pending is not None else None

    def intent(self, target: Target, frame: LabelsFrame, pixel: NDArray[np.int64], mouse: Mouse) -> Intent:
        """Return what a click does there."""
        labels = target.labels
        intent = intent_of(mouse.modifiers, label_at(frame, pixel), labels.selected_label, locked_labels(labels))
        if intent.problem or intent.action in {"new", "extend", "remove"} or target.options.enter_others:
            return intent
        under = label_at(frame, pixel)
        if under in {0, intent.label}:
            return intent
        return Intent(
            intent.action, under, f"Object {under} is in the way: click beside it, or untick Stay out of other objects."
        )

    def hover(self, mouse: Mouse) -> None:
        """Let grow, unseen, what a press would begin, as soon as the mouse rests."""
        if self._hovered is not None and self._hovered.canvas != mouse.canvas:
            self._ahead.forget()
        self._hovered = mouse
        self._rest.start()

    def press(self, mouse: Mouse) -> None:
        """Begin a region at the mouse, or remove the object there."""
        self._rest.stop()
        if self.busy or (self._pending is not None and self._pending.released):
            self.refused.emit("What was kept before is still being made: wait a moment, or press Esc to drop it.")
            return
        if self.pending:
            self.drop()
        try:
            click = self._click(mouse)
            if click.intent.problem:
                self._fail(click.intent.problem)
            elif click.intent.action == "remove":
                self.drop()
                self.removal.emit(mouse)
            else:
                self._begin(click, mouse)
        except (TesseraError, MemoryError, OSError) as error:
            self._fail(str(error) or type(error).__name__)

    def drag(self, mouse: Mouse) -> None:
        """Follow the mouse: to the right for more, to the left for less."""
        pending = self._pending
        if pending is not None and not pending.released:
            pending.dragged = mouse.canvas[0] - pending.pressed_at
            self._retune(pending)

    def scroll(self, notches: float) -> bool:
        """Take notches of the wheel, away from the person for more; return whether they are of use."""
        if self._pending is None or self._pending.released:
            return False
        self._pending.notches += notches
        self._retune(self._pending)
        return True

    def release(self, mouse: Mouse) -> None:
        """Keep the region, now or as soon as it has grown to its end."""
        if self._pending is None or self._pending.released:
            return
        self.drag(mouse)
        self._pending.released = True
        if self._pending.settled:
            self._commit(self._pending)
        else:
            self.said.emit("Growing … Esc or a right-click drops it.")

    def cancel(self) -> bool:
        """Drop what is being made, and what was kept and is still to be written; return whether there was anything."""
        kept = self._runner.cancel()
        return self.drop() or kept

    def drop(self) -> bool:
        """Drop the region that is being made; return whether there was one."""
        was = self._pending is not None
        self._pending = self._hovered = None
        self._rest.stop()
        self._ahead.forget()
        self.growth.stop()
        if self._outline is not None:
            self._outline.hide()
        return was

    def let_go(self) -> None:
        """Drop the region that is being made and keep no layer alive."""
        self.drop()
        if self._outline is not None:
            self._outline.close()
        self._outline = self._outlined = None

    def close(self) -> None:
        """Drop everything and let go of the viewer."""
        self.let_go()
        self.growth.close()
        self._runner.close()

    def _prepare(self) -> None:
        if self.pending or self.busy or self._hovered is None:
            return
        try:
            click = self._click(self._hovered)
            if click.intent.problem or click.intent.action == "remove" or self._what_waits(click) is not None:
                self._ahead.forget()
            elif not self._ahead.holds(click.key):
                layers = [layer for layer in (click.target.image, click.target.labels) if layer is not None]
                tolerance = click.target.options.tolerance
                self._ahead.begin(click.key, layers, click.engine, click.pixel[None], tolerance)
        except TesseraError:
            self._ahead.forget()  # the press will say so

    def _click(self, mouse: Mouse) -> Click:
        target = self._target()
        source = target.source()
        pixel = pixel_in(source.frame, mouse)
        return Click(target, source, pixel, self.intent(target, source.frame, pixel, mouse))

    def _what_waits(self, click: Click) -> str | None:
        """Return what has to be said if a region cannot begin in the GUI thread; None if it can.

        Pixels may have to be loaded, loops to be compiled, or the image to be smoothed, which cannot be cut in slices.
        """
        source, rule = click.source, click.settled_rule
        if not self._readiness.ready(len(source.frame.shape), source.dtype, source.channels, rule):
            return "Getting ready (a few seconds, once) …"
        if source.lazy:
            return "Loading the image …"
        return "Growing …" if rule.smoothing or rule.criterion == "edge_stopped" else None

    def _begin(self, click: Click, mouse: Mouse) -> None:
        target, waits = click.target, self._what_waits(click)
        self._pending = Pending(target, click.source, click.intent, mouse.canvas[0])
        if self._outlined is not target.labels:
            if self._outline is not None:
                self._outline.close()
            self._outline, self._outlined = Outline(target.viewer, target.labels), target.labels
        if self._ahead.take(click.key):
            self.growth.begin_prepared()
            return
        if waits is not None:
            self.said.emit(waits)
        engine, threaded = click.engine, waits is not None
        self.growth.begin(engine, click.pixel[None], target.options.tolerance, threaded=threaded)

    def _retune(self, pending: Pending) -> None:
        wanted = pending.wanted
        if wanted is not None and (pending.latest is None or pending.latest.tolerance != wanted):
            self.growth.retune(wanted)

    def _take(self, grown: Grown) -> None:
        pending = self._pending
        if pending is None:
            return
        pending.latest = grown
        if pending.base is None:
            pending.base = grown.tolerance or (1.0 if pending.source.dtype.kind in "iu" else 1e-6)
            self._retune(pending)
        assert self._outline is not None
        self._outline.show(*pending.source.frame.in_layer(grown.region.origin, grown.region.mask))
        if pending.released and (pending.settled or pending.background):
            self._commit(pending)
        elif pending.released:
            size = pixels_words(pending.source.frame, grown.region.size)
            self.said.emit(f"Growing … {size}. Esc or a right-click drops it.")
        else:
            self.said.emit(_describe(pending, grown))

    def _commit(self, pending: Pending) -> None:
        assert pending.latest is not None
        region, labels, frame, intent = (
            pending.latest.region,
            pending.target.labels,
            pending.source.frame,
            pending.intent,
        )
        self.drop()
        if pending.background:
            self.refused.emit(
                f"The region fills {pending.background} Click an object; "
                "to keep it all the same, drag to the right while you press."
            )
            return
        if not frame.valid:
            self._fail("The labels were replaced while the region grew: click again.")
            return
        image = pending.target.image
        if image is None or full_resolution(image) is not pending.source.array:
            self._fail("The image was replaced while the region grew: click again.")
            return
        # what has been written since it began to grow stays, too
        blocked = blocked_reader(frame, intent.label, enter_others=pending.target.options.enter_others)(region.box)
        mask = region.mask & ~blocked
        if intent.action == "replace":
            keep = locked_labels(labels) - {intent.label}
            work = replacing(intent.label, region.origin, mask, keep)
            words = f"Object {intent.label} is this region now: {pixels_words(frame, region.size)}."
            self._runner.run(Edit(frame, work, lambda _: words, words))
            return
        try:
            text = write_region(labels, frame, intent, region.origin, mask)
        except (TesseraError, MemoryError) as error:
            self._fail(str(error) or "Memory ran out: close other programs, or set a size limit.")
            return
        end = _ENDS.get(region.ended or "", "")
        if region.ended == "loaded":
            show_info(f"The region{end.removeprefix(' It')}")
        self.made.emit(f"{text}{end}")

    def _fail(self, text: str) -> None:
        self.drop()
        self.refused.emit(text)


def _describe(pending: Pending, grown: Grown) -> str:
    smoothed = f", smoothed by {grown.smoothing:g} px" if grown.smoothing else ""
    why = " as it is noisy here" if smoothed and pending.target.options.smoothing is None else ""
    size = f"{pixels_words(pending.source.frame, grown.region.size)}, tolerance {grown.tolerance:.3g}{smoothed}{why}."
    grows = "" if grown.done else " Still growing."
    end = _ENDS.get(grown.region.ended or "", "")
    if pending.background:
        return f"The region fills {pending.background} Left: less. Drag to the right to keep it all the same."
    keys = "Right: more, left: less. Release: keep it, right-click: drop it."
    return f"{pending.intent.title}: {size}{grows}{end} {keys}"
