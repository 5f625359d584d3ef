"""What an operation is: a frozen set of parameters, six families, and what each is given to work on.

========== ================================================================= =======================
family     how it is applied                                                  equals the whole image
========== ================================================================= =======================
local      tile by tile, each read with a halo                                yes
fitted     a survey of the whole frame gives a local operation                yes
connected  tile by tile, then merged across faces                             yes
mapped     tile by tile of the result, each made of what it comes from        yes
paged      in windows where something is found (`operations.paging`)          yes
global     on the whole frame, after saying how much memory that takes        it is the whole
========== ================================================================= =======================

The families are siblings: none is a kind of another. Who treats them differently has an entry for each and asks
`of_family` for that of an operation.

A *frame* is what an operation works on at a time: the spatial axes of an image, or ``yx`` if it goes plane by plane.
Time points and channels are frames of their own unless the operation takes them in (`Operation.frame_axes`).
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import ConfigDict

from napari_tessera.config.base import Config
from napari_tessera.core.image import ImageSpec
from napari_tessera.core.regions import Region
from napari_tessera.operations.parameters import parameter

T = TypeVar("T")

Kind = Literal["image", "labels", "points"]
"""What an operation gives: intensities, integers that name objects or classes, or positions (N, dimensions)."""

InputKind = Literal["image", "labels", "kernel", "points", "seeds", "frequencies"]
"""What an operation takes.

``image`` and ``labels`` have the shape of the frame and are read with it. ``kernel`` is a small image (a PSF, weights)
read whole. ``points`` are positions in pixels of the frame, float64 (N, dimensions of the frame); ``seeds`` are such
points or labels of the frame's shape; ``frequencies`` are positions in a spectrum, in cycles per unit of the image
(N, dimensions).
"""

Family = Literal["local", "fitted", "connected", "mapped", "paged", "global"]
"""How an operation is applied."""

Menu = Literal["filter", "segment", "transform", "measure"]
"""The submenu of napari's Layers menu in which an operation stands."""


@dataclass(frozen=True)
class Input:
    """One named input.

    Attributes
    ----------
    name
        Keyword in Python, ``--input NAME=PATH`` on the command line.
    kind
        What it is; see `InputKind`.
    help
        One sentence in plain words.
    optional
        Whether the operation does without.
    """

    name: str
    kind: InputKind
    help: str
    optional: bool = False


def _never() -> None:
    """Stand in for the check of a job that nobody can cancel."""


@dataclass(frozen=True)
class Block:
    """A piece of a frame, with everything that belongs to it.

    Attributes
    ----------
    image
        Pixels of the first input, dimensions named by ``spec.axes``: never bool or float16 (they come as uint8 and
        float32), never NaN or infinite unless the operation says that it takes them.
    others
        The further inputs by name, as far as given: images and labels over the same region and of the same axes
        (without ``c`` where the input has none), the others whole.
    spec
        Specification of the whole frame.
    region
        Where `image` lies in the frame.
    check
        Raises if the job has been cancelled; for long work to call now and then.
    """

    image: NDArray[Any]
    spec: ImageSpec
    region: Region
    others: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    check: Callable[[], None] = _never


class Survey(Protocol):
    """The whole of a frame to a fitted operation: read in pieces, as often as needed."""

    @property
    def spec(self) -> ImageSpec:
        """Specification of the frame."""
        ...

    @property
    def others(self) -> Mapping[str, NDArray[Any]]:
        """Inputs that are read whole: kernels and points."""
        ...

    def reduce(self, measure: Callable[[Block], T], combine: Callable[[T, T], T]) -> T:
        """Measure every piece and combine the results.

        `combine` must give the same for any cut into pieces and any order: integer sums, minima, sets, not float sums
        (`statistics.exact_sum` helps).
        """
        ...

    def reduce_around(
        self, measure: Callable[[Block, Region], T], combine: Callable[[T, T], T], halo: Sequence[int]
    ) -> T:
        """Measure every piece together with `halo` pixels around it, per axis of the frame, and combine the results.

        `measure` is told which part of the block's pixels is the piece itself; what lies around it belongs to others.
        """
        ...


class Operation(Config):
    """Base of all operations: the fields are the parameters, the class variables say what it is.

    The first line of the docstring is the summary that people read. Subclass one of the families, not this.
    """

    model_config = ConfigDict(defer_build=True)  # of nearly two hundred classes a person uses a few

    title: ClassVar[str]
    """What a person calls it: ``"Gaussian blur"``."""
    group: ClassVar[str]
    """Heading in lists: ``"Smoothing and background"``. People read it; nothing else hangs on it."""
    menu: ClassVar[Menu] = "filter"
    version: ClassVar[int] = 1
    """Raised when the same parameters give another result than before; recipes hold it."""
    family: ClassVar[Family]
    inputs: ClassVar[tuple[Input, ...]] = (Input("image", "image", "The image to work on."),)
    """The first is the one whose frames are gone through."""
    output: ClassVar[Kind] = "image"
    needs_finite: ClassVar[bool] = True
    """Whether NaN and infinite pixels are refused before the operation sees them."""
    keeps_wide: ClassVar[bool] = False
    """Whether integers beyond 2^53, which floats hold only some of, are told apart as well as smaller ones are."""
    one_channel: ClassVar[bool] = False
    """Whether an image with several channels is refused: results per channel would make no sense."""
    one_color: ClassVar[bool] = False
    """Whether an image in colours (the last axis ``c``, 3 or 4 long) is refused; channels are frames of their own."""
    keeps_depth: ClassVar[bool] = False
    """Whether a volume of one plane is handed over as a volume, not as a plane: it may come out with more planes."""
    changes_grid: ClassVar[bool] = False
    """Whether the pixels of its result lie elsewhere than those of the image: it turns, stretches or crops."""
    in_spectrum: ClassVar[bool] = False
    """Whether it works on frequencies: points that it finds, or needs, lie in a spectrum and not in the image."""
    is_threshold: ClassVar[bool] = False
    """Whether it divides grey levels into classes, which a histogram shows."""
    foremost: ClassVar[tuple[str, ...]] = ()
    """Parameters that are asked for first; the others follow, its own before those of its bases."""
    also: ClassVar[tuple[str, ...]] = ()
    """Other words that people search for it by, in small letters: ``("denoise", "despeckle")``."""
    bound: ClassVar[str] = ""
    """How far results may differ on another type of processor; empty for not at all."""

    @classmethod
    def name(cls) -> str:
        """Return the name in recipes and on the command line: ``AdaptiveMedian`` is ``adaptive_median``."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the docstring without its full stop."""
        return (cls.__doc__ or "").strip().partition("\n")[0].rstrip(".")

    @property
    def blends(self) -> bool:
        """Whether values of neighbours are mixed on another grid, which would make false ids out of labels."""
        return False

    def frame_axes(self, axes: str) -> str:
        """Return which of the image's `axes` make one frame, in the order in which arrays are handed over.

        A ``z`` of length 1 is taken out again unless `keeps_depth`, or unless the operation refuses or changes that.
        """
        return "".join(axis for axis in "zyx" if axis in axes)

    def check_frame(self, spec: ImageSpec) -> None:
        """Raise InvalidInputError if a frame of `spec` cannot be worked on; for subclasses."""

    def check_given(self, spec: ImageSpec, given: Mapping[str, NDArray[Any]]) -> None:
        """Raise InvalidInputError if kernels or points do not fit a frame of `spec`; for subclasses.

        So that they are refused before a pixel of the image is read. What lies on some frames alone is not `given`.
        """

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:
        """Return the dtype of the result for images of `dtype` (never bool or float16)."""
        return dtype

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return what comes out of a frame of `spec`: the same shape unless an operation says otherwise."""
        return spec.with_dtype(self.output_dtype(spec.dtype))


def of_family(entries: Mapping[Family, T], operation: Operation) -> T:
    """Return what `entries` has for the family of `operation`.

    Raises
    ------
    TypeError
        If it is derived from no family.
    """
    family = getattr(operation, "family", None)
    if family is None:
        raise TypeError(f"{type(operation).__name__} belongs to no family: derive it from one.")
    return entries[family]


class Local(Operation):
    """Works on any piece of a frame on its own, given a halo around it."""

    family: ClassVar = "local"

    def halo(self, spec: ImageSpec) -> tuple[int, ...]:
        """Return how far around a pixel the result looks, per spatial dimension of the frame `spec`; 0 by default."""
        return (0,) * len(spec.spatial)

    @abstractmethod
    def compute(self, block: Block) -> NDArray[Any]:
        """Return the result over the whole region of `block`, dtype as `output_dtype` says.

        At the frame's borders the block ends with the frame; elsewhere whatever lies within the halo of the block's
        edge is cut away afterwards. The same must come out wherever the block lies: no float running sums, no FFT.
        """


class Fitted(Operation):
    """Becomes a local operation once it has seen the whole frame."""

    family: ClassVar = "fitted"

    @abstractmethod
    def fit(self, survey: Survey) -> Local:
        """Return the local operation that this is on the surveyed frame; it need not be registered."""


@dataclass(frozen=True)
class Components:
    """The connected parts of a frame, numbered from 1 in the order of their first pixel (raster order).

    Every array has one entry per component, without an entry for 0.

    Attributes
    ----------
    values
        The value that the component's pixels have in `Connected.parts`.
    sizes
        Number of pixels, int64.
    on_border
        Whether it touches the border of the frame.
    marked
        Whether one of its pixels is set in `Connected.marks`.
    around
        Lowest and highest non-zero value of `Connected.surroundings` among the pixels next to the component
        (by its connectivity), int64 (n, 2); 0 where there is none.
    spec
        Specification of the frame.
    """

    values: NDArray[Any]
    sizes: NDArray[np.int64]
    on_border: NDArray[np.bool_]
    marked: NDArray[np.bool_]
    around: NDArray[np.int64]
    spec: ImageSpec

    def __len__(self) -> int:
        return len(self.sizes)


class Connected(Operation):
    """Finds connected parts of a frame, decides on each as a whole, and paints what it decided."""

    family: ClassVar = "connected"

    def connections(self, spec: ImageSpec) -> int:  # noqa: ARG002  subclasses look at it
        """Return the connectivity: how many coordinates neighbours may differ in, 1 to the number of dimensions."""
        return 1

    @abstractmethod
    def parts(self, block: Block) -> NDArray[Any]:
        """Return integers or a mask of the block's shape: neighbours of equal, non-zero value are connected."""

    def marks(self, block: Block) -> NDArray[np.bool_] | None:  # noqa: ARG002
        """Return a mask of pixels that mark the component they lie in."""
        return None

    def surroundings(self, block: Block) -> NDArray[Any] | None:  # noqa: ARG002
        """Return labels of the block's shape whose presence next to a component matters."""
        return None

    @abstractmethod
    def decide(self, components: Components) -> NDArray[Any]:
        """Return one value per component."""

    def paint(self, block: Block, decided: NDArray[Any]) -> NDArray[Any]:
        """Return the result, given the value decided for each pixel's component (0 outside all components)."""
        return decided.astype(self.output_dtype(block.spec.dtype), copy=False)


class Global(Operation):
    """Needs a whole frame at once."""

    family: ClassVar = "global"

    @abstractmethod
    def memory(self, spec: ImageSpec) -> int:
        """Return about how many bytes it takes to work on a frame of `spec`, input and result included."""

    @abstractmethod
    def compute(self, block: Block) -> NDArray[Any]:
        """Return the result; its shape is that of `output_spec` (of points: any number of rows)."""


class Mapped(Operation):
    """Puts a frame on another grid: any part of the result comes from a part of the frame that it can name.

    So it goes tile by tile of the result. What nothing of the result
    comes from is not read, and nothing in it refused.
    """

    family: ClassVar = "mapped"

    @abstractmethod
    def source_region(self, part: Region, spec: ImageSpec, others: Mapping[str, NDArray[Any]]) -> Region:
        """Return which pixels of a frame of `spec` the result over `part` looks at: not empty, inside the frame.

        Parameters
        ----------
        part
            Region of ``output_spec(spec)``, whose axes are those of `spec`.
        others
            Inputs that are read whole.
        """

    @abstractmethod
    def compute_part(self, block: Block, part: Region) -> NDArray[Any]:
        """Return the result over `part`, given the block over its `source_region` or a larger one.

        The same must come out whatever lies in `part` and `block` beside a pixel: positions are to be computed from
        those in the whole result, and shifted by whole pixels only.
        """

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the whole result."""
        return self.compute_part(block, self.output_spec(block.spec).full_region)


class PlaneOrVolume(Operation):
    """Mixed into operations for which neighbours along z matter; stands before the family among the bases."""

    per_plane: bool = parameter(False, "Treat each z plane on its own instead of the volume.")

    def frame_axes(self, axes: str) -> str:
        """Return the spatial axes, or ``yx`` where planes are treated one by one."""
        return "yx" if self.per_plane else super().frame_axes(axes)
