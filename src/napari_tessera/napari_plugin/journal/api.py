"""What the other widgets need of the journal."""

import napari
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from qtpy.QtCore import QCoreApplication, QTimer

from napari_tessera.napari_plugin.journal.protecting import shared_journal
from napari_tessera.napari_plugin.journal.watching import why_not_protected
from napari_tessera.napari_plugin.layers.notes import notes_of

__all__ = ["is_protected", "offer_found", "protect_layer", "protect_marked_soon", "why_not_protected"]


def protect_layer(layer: Labels, image: Layer | None = None, *, empty: bool = False) -> str:
    """Write down what is painted in `layer` from now on; nothing happens if that is done already, or cannot be.

    Parameters
    ----------
    layer
        Best added to the viewer before.
    image
        What it annotates; None guesses.
    empty
        Whether it was just made of zeros.

    Returns
    -------
    Why it cannot be protected, as a sentence; an empty text if it is.
    """
    return shared_journal().protect(layer, image, empty=empty)


def protect_marked_soon() -> None:
    """Protect layers that ask for it in their notes, once napari has added them; for samples, which have no viewer."""
    if QCoreApplication.instance() is not None:
        QTimer.singleShot(0, _protect_marked)


def _protect_marked() -> None:
    viewer = napari.current_viewer()
    for layer in viewer.layers if viewer is not None else ():
        if isinstance(layer, Labels) and notes_of(layer).wants_protection:
            shared_journal().protect(layer)


def is_protected(layer: Layer) -> bool:
    """Return whether what is painted in `layer` is written down."""
    return shared_journal().watch_of(layer) is not None


def offer_found(viewer: ViewerModel) -> None:
    """Offer what a crash has left behind, once per napari; a widget calls it when it opens."""
    from napari_tessera.napari_plugin.journal.offering import offer

    offer(viewer)
