import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_tessera.core.errors import StorageError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.creating import create_image
from napari_tessera.io.room import COMPRESSED

MEGAPIXEL = ImageSpec(axes="yx", shape=(1000, 1000), dtype=np.dtype(np.uint8))


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much the disk has free, to be changed."""
    told: list[int] = [10**9]
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=told[0]))
    return told


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_a_file_that_the_disk_has_no_room_for_is_refused(tmp_path: Path, free: list[int], suffix: str) -> None:
    out = tmp_path / "new" / f"out{suffix}"
    free[0] = 10**6 - 1
    with pytest.raises(StorageError, match=r"does not fit on the disk: 1000 × 1000 pixels take 1\.0 MB.*\.ome\.zarr"):
        create_image(out, MEGAPIXEL)
    assert not out.parent.exists()
    free[0] = 10**6
    create_image(out, MEGAPIXEL).abort()


def test_a_zarr_is_refused_where_compression_cannot_help(tmp_path: Path, free: list[int]) -> None:
    out = tmp_path / "out.ome.zarr"
    free[0] = 10**6 // COMPRESSED - 1
    with pytest.raises(StorageError, match="even when compressed"):
        create_image(out, MEGAPIXEL)
    assert list(tmp_path.iterdir()) == []
    free[0] = 10**6 // COMPRESSED
    create_image(out, MEGAPIXEL).abort()


@pytest.mark.parametrize(
    ("suffix", "said"), [(".tif", "larger than any file"), (".npy", "than any"), (".zarr", "free"), (".png", "free")]
)
def test_an_image_of_more_pixels_than_there_are_numbers_for(tmp_path: Path, suffix: str, said: str) -> None:
    spec = ImageSpec(axes="yx", shape=(2**40, 2**40), dtype=np.dtype(np.uint8))
    with pytest.raises(StorageError, match=said):
        create_image(tmp_path / f"out{suffix}", spec)
