"""Copying the array that a layer begins with into chunks, piece by piece, while it may change."""

from collections.abc import Callable, Iterator

import numpy as np

from napari_tessera.config.session import LayerHeader
from napari_tessera.io.arrays import ArrayLike
from napari_tessera.io.journal.chunks import ChunkStore, Index


class BaseCopy:
    """An array on its way into a generation of chunks of its own.

    Parameters
    ----------
    array
        What is copied; None for zeros.
    make_store
        Makes empty chunks of its shape and dtype, when the first is needed.
    generation
        Their number.
    header
        What the layer is with this array.
    folded
        Sequence number of the record that brought it: those after it are to be replayed over the chunks.
    private
        Whether nobody changes the array any more.
    """

    def __init__(
        self,
        array: ArrayLike | None,
        make_store: Callable[[], ChunkStore],
        generation: int,
        header: LayerHeader,
        *,
        folded: int,
        private: bool,
    ) -> None:
        self._array, self._make_store = array, make_store
        self.generation, self.header = generation, header
        self.folded, self.private = folded, private
        self.store: ChunkStore | None = None
        self._left: Iterator[Index] = iter(())
        self._next: Index | None = None

    @property
    def copied(self) -> bool:
        """Whether all chunks are copied."""
        return self.store is not None and self._next is None

    def copy(self, stop: Callable[[], bool]) -> bool:
        """Copy chunks until `stop` says so; return whether all are copied.

        Raises
        ------
        OSError
            If one cannot be written; it is the first of the next call.
        """
        store = self.store or self._make_store()
        if self.store is None:
            self.store = store
            self._left = iter(()) if self._array is None else store.everywhere()
            self._next = next(self._left, None)
        while self._next is not None:
            assert self._array is not None
            pixels = np.asarray(self._array[store.region(self._next)])
            if pixels.any():  # zeros need no chunk, and reading them makes no pages of an array that is all zeros
                store.write(self._next, pixels)
            self._next = next(self._left, None)
            if self._next is not None and stop():
                return False
        self._array = None
        return True
