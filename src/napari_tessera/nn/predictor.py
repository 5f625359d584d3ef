"""Applying a trained network to arrays: folded, in the right memory layout, within the memory that there is."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_tessera.core import regions
from napari_tessera.core.errors import OutOfMemoryError
from napari_tessera.core.regions import Region
from napari_tessera.core.tiles import TileNeeds, round_up
from napari_tessera.nn.extents import grow, least_extents, split
from napari_tessera.nn.needs import tile_needs
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.priors import Offsets
from napari_tessera.nn.tasks.base import Output
from napari_tessera.nn.tasks.encoding import encode_classes

Precision = Literal["float32", "bfloat16", "float16"]

Pending = Callable[[], NDArray[Any]]
"""Waits for a prediction that may still run on a GPU, and returns it; may be called from another thread."""

_MEMORY_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "cudnn_status_alloc_failed")

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Predictor:
    """A network made ready to predict; use it in a ``with`` block.

    The network is copied, its normalisation folded into the convolutions, laid out channels last, and moved to the
    device. In float32 on the CPU the result for any `inner` region equals, bit for bit, that of one call of this folded
    network on the whole image, as long as the pixels meet `needs`. Folding itself changes scores by rounding only (3e-6
    at most was measured, on scores of order 1). On GPUs tiles and whole image differ by rounding, because cuDNN picks
    its algorithm by size.

    Parameters
    ----------
    network
        Left as it is.
    channels
        Number of channels of its input.
    device
        Where to predict.
    precision
        Arithmetic; TF32 is not used for ``"float32"``.
    batch
        Most tiles to hand to the device at once.
    encode
        What makes the wanted output of scores, as the task of the network says.
    offsets
        What is added to the score of each class: a constant, so that tiles stay exact.
    check
        Called before every layer; raises to stop in the middle of a tile, as ``CancelToken.raise_if_cancelled`` does.

    Attributes
    ----------
    batch
        As above; halved whenever memory runs out.
    edge
        Longest inner edge that fits into memory, once a tile did not; None before.
    """

    def __init__(
        self,
        network: Network,
        *,
        channels: int,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        batch: int = 1,
        encode: Callable[[Tensor, Output], Tensor] = encode_classes,
        offsets: Offsets = (),
        check: Callable[[], None] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.precision = precision
        self.needs: TileNeeds = tile_needs(network, channels=channels, device=self.device, precision=precision)
        self.batch = batch
        self.edge: int | None = None
        self._layout = network.layout
        self._source: Network = network
        self._shift = torch.tensor(offsets).reshape(1, -1, *[1] * network.dimensions) if offsets else None
        self._check = check
        self._encode = encode
        self._network: Network | None = None
        self._upload: torch.cuda.Stream | None = None

    def __enter__(self) -> Self:
        network = self._place(self._source.fold())
        if self._shift is not None:  # once: a copy for each batch would wait for the batch before
            self._shift = self._shift.to(device=self.device, dtype=_DTYPES[self.precision])
        if self._check is not None:
            check = self._check
            for module in network.modules():
                if next(module.children(), None) is None:
                    module.register_forward_pre_hook(lambda *_: check())
        if self.device.type == "cuda":
            self._upload = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self._network = network
        return self

    def _place(self, network: Network) -> Network:
        try:
            network = network.to(device=self.device, dtype=_DTYPES[self.precision])
            return network.to(memory_format=self._layout)  # type: ignore[call-overload,no-any-return]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemoryError(
                f"The network itself does not fit into the memory of {self.device}: close other programs or choose "
                "another device."
            ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._network = self._upload = None
        _release(self.device)

    def predict(
        self, pixels: NDArray[np.float32], inner: Region | None = None, output: Output = "classes"
    ) -> NDArray[Any]:
        """Predict one tile and wait for it; see `submit`."""
        return self.submit([pixels], inner, output)[0]()

    def submit(
        self, tiles: Sequence[NDArray[np.float32]], inner: Region | None = None, output: Output = "classes"
    ) -> list[Pending]:
        """Start predicting tiles of one shape.

        Parameters
        ----------
        tiles
            Normalised intensities (c, y, x) each, or (c, z, y, x); their first pixel lies at a multiple of the stride
            in the image.
        inner
            The part to return, starting at a multiple of the stride; everything if None.
        output
            What to return.

        Returns
        -------
        list of callables
            Each gives class indices (y, x), or probabilities (classes, y, x) that sum to 1.

        Raises
        ------
        OutOfMemoryError
            If not even a small part of one tile fits into memory.
        """
        inner = tuple(slice(0, n) for n in tiles[0].shape[1:]) if inner is None else inner
        if self.edge is not None and max(regions.size(inner)) > self.edge:
            return [self._in_parts(tile, inner, output) for tile in tiles]
        done: list[Pending] = []
        while len(done) < len(tiles):
            size = min(self.batch, len(tiles) - len(done))
            started = self._try(tiles[len(done) : len(done) + size], inner, output)
            if started is not None:
                done += started
                continue
            _release(self.device)
            if size == 1:
                return done + [self._in_parts(tile, inner, output) for tile in tiles[len(done) :]]
            self.batch = size // 2
        return done

    def _try(self, tiles: Sequence[NDArray[np.float32]], inner: Region, output: Output) -> list[Pending] | None:
        """Run one batch; None if memory ran out (only then are the exception's tensors free, back in the caller)."""
        try:
            return self._forward(np.stack(tiles), inner, output)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _in_parts(self, pixels: NDArray[np.float32], inner: Region, output: Output) -> Pending:
        """Predict one tile from overlapping parts of it, of half the edge until they fit; the result is the same."""
        least = max(*self.needs.halo, *self.needs.stride)
        if self.edge is None:
            self.edge = self._halved(max(regions.size(inner)), least)
        while True:
            result = self._by_edge(pixels, inner, output, self.edge)
            if result is not None:
                return lambda: result
            _release(self.device)
            self.edge = self._halved(self.edge, least)

    def _halved(self, edge: int, least: int) -> int:
        if edge <= least:
            raise OutOfMemoryError(
                f"Not even a tile of {edge} pixels fits into the memory of {self.device}: set a smaller tile, close "
                "other programs, choose another device, or train a network of less depth or width."
            )
        return max(round_up(edge // 2, max(self.needs.stride)), least)

    def _by_edge(self, pixels: NDArray[np.float32], inner: Region, output: Output, edge: int) -> NDArray[Any] | None:
        lengths = pixels.shape[1:]
        extents = least_extents(lengths, self.needs.least_pixels)
        whole: NDArray[Any] | None = None
        for part in split(inner, [round_up(edge, step) for step in self.needs.stride]):
            outer = grow(regions.grown(part, self.needs.halo, lengths), lengths, extents, self.needs.stride)
            started = self._try([pixels[:, *outer]], regions.relative(part, outer), output)
            if started is None:
                return None
            piece = started[0]()
            leading = piece.shape[: piece.ndim - len(inner)]
            if whole is None:
                whole = np.empty((*leading, *regions.size(inner)), piece.dtype)
            whole[(slice(None),) * len(leading) + regions.relative(part, inner)] = piece
        return whole

    def _forward(self, pixels: NDArray[np.float32], inner: Region, output: Output) -> list[Pending]:
        assert self._network is not None, "use the predictor in a with block"
        with torch.inference_mode(), _arithmetic(self.device, self.precision):
            scores = self._network(self._to_device(pixels))[..., *inner]
            if self._shift is not None:
                scores = scores + self._shift
            return self._to_host(self._encode(scores, output))

    def _to_device(self, pixels: NDArray[np.float32]) -> Tensor:
        tensor = torch.from_numpy(pixels)
        if self._upload is not None:
            # Pinned memory is cached by torch: this is a pair of buffers in turn. The copy runs beside the last batch.
            pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor)
            current = torch.cuda.current_stream(self.device)
            with torch.cuda.stream(self._upload):
                tensor = pinned.to(self.device, non_blocking=True)
            current.wait_stream(self._upload)
            tensor.record_stream(current)
        tensor = tensor.to(device=self.device, dtype=_DTYPES[self.precision])
        return tensor.contiguous(memory_format=self._layout)

    def _to_host(self, results: Tensor) -> list[Pending]:
        results = results.contiguous()
        if self.device.type != "cuda":
            arrays = results.cpu().numpy()
            return [lambda array=array: array for array in arrays]  # type: ignore[misc]
        pinned = torch.empty(results.shape, dtype=results.dtype, pin_memory=True)
        pinned.copy_(results, non_blocking=True)
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record(torch.cuda.current_stream(self.device))

        def wait(index: int) -> NDArray[Any]:
            copied.synchronize()
            array: NDArray[Any] = pinned[index].numpy()
            return array

        return [lambda index=index: wait(index) for index in range(len(results))]  # type: ignore[misc]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out: on the CPU and on Apple GPUs torch raises a plain RuntimeError then."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _MEMORY_SIGNS)


@contextmanager
def _arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Switch TF32 and cuDNN's choice by timing off for float32 on NVIDIA GPUs, and back to what they were."""
    if device.type != "cuda":
        yield
        return
    exact = precision == "float32"
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=not exact, deterministic=exact, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _release(device: torch.device) -> None:
    """Give cached memory back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
