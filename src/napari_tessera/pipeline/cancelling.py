"""Making long reads stop when a job is cancelled."""

from typing import Any

from numpy.typing import NDArray

from napari_tessera.core.image import ImageSource, ImageSpec
from napari_tessera.core.jobs import CancelToken
from napari_tessera.core.regions import Region


class CancellableSource(ImageSource):
    """An image whose every read checks a cancel token first."""

    def __init__(self, source: ImageSource, cancel: CancelToken) -> None:
        self._source = source
        self._cancel = cancel

    @property
    def spec(self) -> ImageSpec:
        """The specification of the image."""
        return self._source.spec

    def read(self, region: Region) -> NDArray[Any]:
        """Return the pixels of `region`, or raise JobCancelledError."""
        self._cancel.raise_if_cancelled()
        return self._source.read(region)
