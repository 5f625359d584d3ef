"""What does not fit into memory is refused before it is taken."""

import numpy as np
import pytest

import napari_tessera as nt
from napari_tessera.core.errors import OutOfMemoryError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io import memory
from napari_tessera.io.arrays import MemorySink


def test_a_result_that_does_not_fit_is_refused_with_the_remedy():
    spec = ImageSpec(axes="yx", shape=(10**7, 10**7), dtype=np.dtype(np.uint8))
    with pytest.raises(OutOfMemoryError, match=r"10000000 × 10000000 pixels .* needs 100 TB .* ends in \.ome\.zarr"):
        MemorySink(spec)


def test_nothing_is_computed_for_a_result_that_does_not_fit(monkeypatch):
    image = np.zeros((50, 40), np.uint8)
    monkeypatch.setattr(memory, "free_memory", lambda: 10**6)
    assert nt.apply(nt.operations.Resize(factor=10), image).shape == (500, 400)
    events = []
    with pytest.raises(OutOfMemoryError, match="5000 × 4000 pixels"):
        nt.apply(nt.operations.Resize(factor=100), image, on_event=events.append)
    assert not events


def test_an_input_that_is_taken_as_a_whole_has_to_fit(monkeypatch):
    image, kernel = np.zeros((50, 40), np.uint8), nt.open_image(np.ones((9, 9)))
    monkeypatch.setattr(memory, "free_memory", lambda: 100)
    with pytest.raises(OutOfMemoryError, match=r"'kernel' is taken as a whole, which needs 1 kB .* crop it"):
        nt.apply(nt.operations.Convolve(), image, kernel=kernel)
