"""Sample images with ready-made scribbles: what File ▸ Open Sample, `demo` and the tutorial show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSpec
from napari_tessera.io.creating import create_image
from napari_tessera.io.places import check_place
from napari_tessera.pipeline.samples.membranes import MembranesConfig, make_membranes
from napari_tessera.pipeline.samples.nuclei import NucleiConfig, make_nuclei
from napari_tessera.pipeline.samples.strokes import draw_lines, draw_scribbles

SEED = 1
"""Of the synthetic samples; the image that is held out has the next one."""

NUCLEI_PIXEL_SIZE = 0.325
"""Micrometres; what a camera with 6.5 µm pixels gives behind a 20× objective."""

MEMBRANES_PIXEL_SIZE = 0.004
"""Micrometres; as usual for electron micrographs of brain tissue."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An image with scribbles to learn from.

    Attributes
    ----------
    name, title
        One word for the command line and file names; a line for menus.
    image
        Pixels with the axes of `spec`.
    spec
        Axes, scale and units.
    scribbles
        ``uint8``, the image's axes without ``c``: 0 unlabelled, 1 background, 2… classes.
    truth
        Instance labels with the axes of the scribbles, or None for a real image that nobody has outlined.
    held_out
        Makes another image of the same kind, to try on it what was learnt here; wherever there is truth.
    class_names, class_colors
        By the number in the scribbles.
    """

    name: str
    title: str
    image: NDArray[Any]
    spec: ImageSpec
    scribbles: NDArray[np.uint8]
    truth: NDArray[np.uint16] | None = None
    held_out: "Callable[[], Sample] | None" = None
    class_names: Mapping[int, str] = field(default_factory=dict)
    class_colors: Mapping[int, str] = field(default_factory=dict)

    @property
    def scribbles_spec(self) -> ImageSpec:
        """Axes, scale and units of `scribbles` and `truth`."""
        return self.spec.without("c").with_dtype(self.scribbles.dtype)


def nuclei(seed: int = SEED, config: NucleiConfig | None = None) -> Sample:
    """Return synthetic fluorescent nuclei with truth and scribbles on at most one percent of the pixels."""
    image, truth = make_nuclei(seed, config)
    return Sample(
        name="nuclei",
        title="Fluorescent nuclei (synthetic, with truth)",
        image=image,
        spec=_plane("nuclei", image, NUCLEI_PIXEL_SIZE),
        scribbles=draw_scribbles(truth, seed=seed, share=0.01),
        truth=truth,
        held_out=partial(nuclei, seed + 1, config),
        class_names={1: "background", 2: "nucleus"},
        class_colors={1: "#00c8ff", 2: "#ffb000"},
    )


def membranes(seed: int = SEED, config: MembranesConfig | None = None) -> Sample:
    """Return a synthetic electron micrograph of brain tissue: cells, the membranes between them, truth and scribbles.

    The membranes are the background of the cells, and are scribbled as such.
    """
    image, truth = make_membranes(seed, config)
    return Sample(
        name="membranes",
        title="Membranes (synthetic, with truth)",
        image=image,
        spec=_plane("membranes", image, MEMBRANES_PIXEL_SIZE),
        scribbles=draw_scribbles(truth, seed=seed, share=0.01),
        truth=truth,
        held_out=partial(membranes, seed + 1, config),
        class_names={1: "membrane", 2: "cell"},
        class_colors={1: "#ffb000", 2: "#00c8ff"},
    )


def _plane(name: str, image: NDArray[Any], pixel_size: float) -> ImageSpec:
    """Return the spec of an image ``(y, x)`` whose pixels are squares of `pixel_size` micrometres."""
    return ImageSpec(
        axes="yx",
        shape=image.shape,
        dtype=image.dtype,
        scale=(pixel_size,) * 2,
        units=("micrometer",) * 2,
        name=name,
    )


def tissue() -> Sample:
    """Return a stained section of colon that comes with scikit-image, with scribbles on glands and on the rest.

    The image is `skimage.data.immunohistochemistry`: brown marks the glands (FHL2 antibody with DAB), blue the cell
    nuclei (haematoxylin). It is part of scikit-image's wheel: nothing is downloaded.
    """
    from skimage.data import immunohistochemistry

    image: NDArray[np.uint8] = np.ascontiguousarray(immunohistochemistry())
    return Sample(
        name="tissue",
        title="Glands in stained tissue (real)",
        image=image,
        spec=ImageSpec(
            axes="yxc",
            shape=image.shape,
            dtype=image.dtype,
            channel_names=("red", "green", "blue"),
            name="tissue",
        ),
        scribbles=draw_lines((image.shape[0], image.shape[1]), _TISSUE_STROKES),
        class_names={1: "background", 2: "gland"},
        class_colors={1: "#ffb000", 2: "#00c8ff"},
    )


SAMPLES: Mapping[str, Callable[[], Sample]] = {"nuclei": nuclei, "membranes": membranes, "tissue": tissue}


def load_sample(name: str) -> Sample:
    """Return a sample by its name.

    Raises
    ------
    InvalidInputError
        If there is none of that name.
    """
    if name not in SAMPLES:
        raise InvalidInputError(f"There is no sample {name!r}: choose one of {', '.join(SAMPLES)}.")
    return SAMPLES[name]()


def write_sample(sample: Sample, folder: Path, *, overwrite: bool = False) -> dict[str, Path]:
    """Write the arrays of a sample as TIFF files.

    Returns
    -------
    dict
        Paths under ``image``, ``scribbles`` and, if there is one, ``truth``.

    Raises
    ------
    OutputExistsError, StorageError
        If a file is there already, or cannot be written.
    """
    arrays: dict[str, tuple[NDArray[Any], ImageSpec]] = {
        "image": (sample.image, sample.spec),
        "scribbles": (sample.scribbles, sample.scribbles_spec),
    }
    if sample.truth is not None:
        arrays["truth"] = (sample.truth, sample.scribbles_spec.with_dtype(sample.truth.dtype))
    check_place(folder / f"{sample.name}_image.tif")
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for what, (array, spec) in arrays.items():
        paths[what] = folder / f"{sample.name}_{what}.tif"
        sink = create_image(paths[what], spec, overwrite=overwrite)
        sink.write(spec.full_region, array)
        sink.finish()
    return paths


_GLAND_LINES = (
    ((60, 20), (95, 50), (70, 75)),
    ((150, 70), (195, 110), (225, 165)),
    ((70, 215), (125, 240), (185, 235)),
    ((160, 305), (210, 330), (250, 370)),
    ((45, 390), (110, 425), (180, 430)),
    ((25, 265), (75, 280)),
    ((350, 285), (420, 280), (465, 320)),
    ((365, 350), (420, 365)),
    ((185, 20), (250, 60), (310, 100)),
    ((375, 80), (430, 130), (480, 85)),
)
_BACKGROUND_LINES = (
    ((240, 110), (275, 150), (335, 165)),
    ((400, 180), (440, 205), (490, 230)),
    ((225, 285), (260, 250), (300, 225)),
    ((290, 330), (320, 390), (400, 400), (460, 415)),
    ((150, 480), (250, 475), (370, 490)),
    ((20, 450), (90, 475)),
    ((310, 10), (370, 25), (440, 15)),
    ((50, 305), (110, 325), (165, 360)),
    ((8, 75), (10, 115)),
)
_TISSUE_STROKES = tuple((1, corners) for corners in _BACKGROUND_LINES) + tuple((2, corners) for corners in _GLAND_LINES)
"""Drawn by hand on the image, as ``(y, x)`` corners; three pixels wide."""
