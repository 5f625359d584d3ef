"""Making long reads stop when a job is cancelled."""

from typing import Any

from numpy.typing import NDArray

from napari_tessera.core.image import DerivedSource, ImageSource
from napari_tessera.core.jobs import CancelToken
from napari_tessera.core.regions import Region


class CancellableSource(DerivedSource):
    """An image whose every read checks a cancel token first."""

    def __init__(self, source: ImageSource, cancel: CancelToken) -> None:
        super().__init__(source)
        self._cancel = cancel

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region`, or raise JobCancelledError."""
        self._cancel.raise_if_cancelled()
        return self.base.read(region)
