"""Write the sample images, their scribbles and truth as compressed TIFF files beside this script.

Run ``make sample-data``, or ``python make_sample_data.py [FOLDER]``. The generators
themselves are ``napari_tessera.pipeline.samples.nuclei`` and ``membranes``; they are seeded, so the files come out
with the same pixels everywhere.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.pipeline.samples.samples import SAMPLES, load_sample


def write(path: Path, array: NDArray[Any], spec: ImageSpec) -> None:
    """Write one array as ImageJ TIFF with its pixel size."""
    scale = dict(zip(spec.axes, spec.scale, strict=True))
    calibrated = any(spec.units)
    tifffile.imwrite(
        path,
        array,
        imagej=True,
        compression="zlib",
        predictor=array.dtype.itemsize > 1 or array.ndim == 3,
        resolution=(1 / scale["x"], 1 / scale["y"]) if calibrated else None,
        metadata={"axes": spec.axes.upper().replace("C", "S"), **({"unit": "um"} if calibrated else {})},
    )
    sys.stdout.write(f"{path}: {path.stat().st_size // 1024} KiB\n")


def main(folder: Path) -> None:
    """Write all samples into `folder`, and a second image of those with truth to try a model on."""
    for name in SAMPLES:
        sample = load_sample(name)
        write(folder / f"{name}_image.tif", sample.image, sample.spec)
        write(folder / f"{name}_scribbles.tif", sample.scribbles, sample.scribbles_spec)
        if sample.truth is not None:
            write(folder / f"{name}_truth.tif", sample.truth.astype(np.uint16), sample.scribbles_spec)
        if sample.held_out is not None:
            other = sample.held_out()
            assert other.truth is not None
            write(folder / f"{name}_2_image.tif", other.image, other.spec)
            write(folder / f"{name}_2_truth.tif", other.truth, other.scribbles_spec)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
