"""A journalled layer as an image file that any program reads."""

from pathlib import Path

import numpy as np

from napari_tessera.config.session import LayerHeader
from napari_tessera.core.axes import guess_axes
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.tiles import TileGrid
from napari_tessera.io.creating import create_image
from napari_tessera.io.journal.recovery import FoldedMeanwhileError, Recovered, recover
from napari_tessera.io.places import check_apart

_TRIES = 4

METADATA_CLASSES = "classes"
"""Field of the file's metadata that lists id, name and colour of the classes."""


def export_labels(folder: Path, out: Path, *, overwrite: bool = False) -> Recovered:
    """Write the labels of a layer's journal to `out`, piece by piece.

    Parameters
    ----------
    folder
        Of the layer, in a session; it is not changed, and may be open elsewhere.
    out
        ``.ome.zarr``, ``.tif`` or another name that `create_image` takes.
    overwrite
        Replace what has that name.

    Returns
    -------
    Recovered
        What was exported; its `damage` tells whether pixels were missing.

    Raises
    ------
    InvalidInputError, OutputExistsError, StorageError, MissingInputError
        As `recover` and `create_image` do.
    """
    for _ in range(_TRIES):
        try:
            return _export(folder, out, overwrite=overwrite)
        except FoldedMeanwhileError:
            continue
    return _export(folder, out, overwrite=overwrite)


def _export(folder: Path, out: Path, *, overwrite: bool) -> Recovered:
    recovered = recover(folder)
    if recovered.header.image_path is not None:
        check_apart(out, [recovered.header.image_path])
    classes = [entry.model_dump(mode="json") for entry in recovered.header.classes]
    if 0 in recovered.shape:
        raise InvalidInputError(
            f"The layer {recovered.header.layer_name!r} has no pixels (its shape is {recovered.shape}): there is "
            "nothing to export."
        )
    spec = labels_spec(recovered.header)
    chunks = tuple(min(length, edge) for length, edge in zip(spec.shape, recovered.chunks, strict=True))
    sink = create_image(out, spec, overwrite=overwrite, chunks=chunks, metadata={METADATA_CLASSES: classes})
    try:
        for tile in TileGrid(spec.shape, chunks):
            sink.write(tile.inner, recovered.read(tile.inner))
        sink.finish()
    except BaseException:
        sink.abort()
        raise
    return recovered


def labels_spec(header: LayerHeader) -> ImageSpec:
    """Return a layer's header as the specification of an image; axes that are not known are guessed."""
    return ImageSpec(
        axes=header.axes or guess_axes(header.shape),
        shape=header.shape,
        dtype=np.dtype(header.dtype),
        scale=header.scale,
        translate=header.translate,
        units=header.units,
        name=header.layer_name,
    )
