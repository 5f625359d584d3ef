"""Writing the labels of a session to files, one per layer."""

from dataclasses import dataclass
from pathlib import Path

from napari_tessera.core.errors import StorageError, TesseraError
from napari_tessera.io.journal.exporting import export_labels
from napari_tessera.io.journal.naming import free_name
from napari_tessera.io.journal.sessions import SessionSummary
from napari_tessera.napari_plugin.home import file_name
from napari_tessera.napari_plugin.journal.telling import listed, missing_words

FORMATS = {"OME-Zarr (*.ome.zarr)": ".ome.zarr", "TIFF (*.tif)": ".tif"}
"""What labels are exported as: how a file dialogue calls it, and the suffix."""


@dataclass(frozen=True)
class Exported:
    """What was written, and a sentence for each thing that is not in it."""

    paths: tuple[Path, ...]
    remarks: tuple[str, ...]

    def words(self) -> str:
        """Return what a person is told."""
        return " ".join([f"Exported: {listed([str(path) for path in self.paths])}.", *self.remarks])


def export_session(session: SessionSummary, path: Path, *, replace: bool = False, open_here: bool = False) -> Exported:
    """Write the labels of a session; may take long, so it is best done in a thread.

    A layer that cannot be exported is told, and the others are written. No file is replaced that nobody named: an
    output whose name is taken gets a number.

    Parameters
    ----------
    session
        What is exported.
    path
        Of a suffix of `FORMATS`; several layers are named after each.
    replace
        Whether a file that is called `path` may be replaced.
    open_here
        Whether this napari is writing the session.

    Raises
    ------
    StorageError
        If nothing could be exported.
    """
    suffix = next(end for end in FORMATS.values() if path.name.endswith(end))
    stem = path.name.removesuffix(suffix)
    several = len(session.layers) > 1
    written: list[Path] = []
    remarks: list[str] = []
    for layer in session.layers:
        name = f"{stem} {file_name(layer.layer_name)}" if several else stem
        overwrite = replace and not several and path.is_file()
        if not overwrite:
            name = free_name(name, lambda candidate: path.with_name(f"{candidate}{suffix}").exists())
        out = path.with_name(f"{name}{suffix}")
        try:
            recovered = export_labels(layer.folder, out, overwrite=overwrite)
        except TesseraError as error:
            remarks.append(f"{layer.layer_name!r} was not exported: {error}")
            continue
        written.append(out)
        remarks += missing_words(recovered, open_here=open_here)
    if not written:
        raise StorageError(" ".join(remarks) or f"No labels were saved in the session {session.path}.")
    return Exported(tuple(written), tuple(remarks))
