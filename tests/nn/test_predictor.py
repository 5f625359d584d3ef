"""The predictor: exact on parts, within the memory that there is, leaving the network and torch's switches alone."""

import math
import platform
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_tessera.config.networks import UNetConfig
from napari_tessera.core import regions
from napari_tessera.core.errors import JobCancelledError, OutOfMemoryError
from napari_tessera.core.jobs import CancelToken
from napari_tessera.core.tiles import round_up
from napari_tessera.nn.extents import grow, least_extents, split
from napari_tessera.nn.needs import tile_needs
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.networks.building import build_network
from napari_tessera.nn.predictor import Predictor, is_out_of_memory
from napari_tessera.nn.tasks.encoding import encode_classes

CPU = torch.device("cpu")


def train_briefly(config: UNetConfig, channels: int, classes: int, steps: int = 12) -> Network:
    """Return a network that has learnt to sort pixels by brightness, with running statistics far from 0 and 1."""
    torch.manual_seed(3)
    network = build_network(config, channels=channels, outputs=classes).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(steps):
        pixels = torch.randn(4, channels, 64, 64) * 1.5 + 0.7
        edges = torch.linspace(-0.5, 1.5, classes - 1)
        target = torch.bucketize(nn.functional.avg_pool2d(pixels.mean(1, keepdim=True), 3, 1, 1)[:, 0], edges)
        loss = nn.functional.cross_entropy(network(pixels), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def trained() -> Network:
    return train_briefly(UNetConfig(depth=3, base_width=8), channels=1, classes=3)


def whole(network: Network, pixels: np.ndarray) -> torch.Tensor:
    """Return the scores (1, classes, y, x) of one call of the folded network on everything."""
    folded = network.fold().to(memory_format=torch.channels_last)
    with torch.inference_mode():
        return folded(torch.from_numpy(pixels)[None].contiguous(memory_format=torch.channels_last))


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    """Assert equality to the last bit; to rounding on processors whose kernels sum in an order that depends on size."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        np.testing.assert_array_equal(got, expected)
    elif got.dtype.kind == "f":
        np.testing.assert_allclose(got, expected, atol=1e-5 if got.dtype == np.float32 else 1e-3)
    else:
        assert np.abs(got.astype(int) - expected.astype(int)).mean() < 1e-3


def random_pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.5, 1.2, shape).astype(np.float32)


@pytest.mark.parametrize("output", ["classes", "float32", "float16", "uint8"])
def test_a_part_equals_the_same_part_of_one_call_on_everything(trained: Network, output: str) -> None:
    pixels = random_pixels(1, 333, 270)
    inner = (slice(96, 168), slice(104, 270))
    outer = grow(regions.grown(inner, 48, (333, 270)), (333, 270), least_extents((333, 270), 40961), (8, 8))
    with Predictor(trained, channels=1) as predictor:
        assert predictor.needs.least_pixels == 40961
        part = predictor.predict(pixels[:, *outer], regions.relative(inner, outer), output)
    expected = encode_classes(whole(trained, pixels)[..., *inner], output)[0].numpy()
    assert part.dtype == expected.dtype
    assert_same(part, expected)


@settings(max_examples=15, deadline=None)
@given(shape=st.tuples(st.integers(1, 420), st.integers(1, 420)), share=st.integers(1, 3), seed=st.integers(0, 5))
def test_parts_equal_the_whole_for_any_size(trained: Network, shape: tuple[int, int], share: int, seed: int) -> None:
    pixels = random_pixels(1, *shape, seed=seed)
    with Predictor(trained, channels=1) as predictor:
        predictor.edge = round_up(max(shape) // share + 1, 8)
        parts = predictor.predict(pixels, output="float32")
    assert_same(parts, encode_classes(whole(trained, pixels), "float32")[0].numpy())


@pytest.mark.parametrize(
    ("config", "channels"),
    [
        (UNetConfig(depth=1, base_width=3), 3),
        (UNetConfig(depth=2, base_width=5), 1),
        (UNetConfig(depth=3, base_width=6, upsampling="interpolated"), 2),
        (UNetConfig(depth=4, base_width=4), 1),
        (UNetConfig(depth=2, base_width=4, normalization="batch"), 1),
        (UNetConfig(depth=2, base_width=4, normalization="none"), 1),
    ],
)
def test_every_kind_of_network_is_exact_in_parts(config: UNetConfig, channels: int) -> None:
    network = train_briefly(config, channels, 4, steps=4)
    pixels = random_pixels(channels, 301, 423)
    with Predictor(network, channels=channels) as predictor:
        predictor.edge = 150
        parts = predictor.predict(pixels, output="float32")
    assert_same(parts, encode_classes(whole(network, pixels), "float32")[0].numpy())


def test_a_halo_shorter_by_one_stride_is_seen(trained: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(trained), "halo", property(lambda self: (40, 40)))
    pixels = random_pixels(1, 400, 400)
    with Predictor(trained, channels=1) as predictor:
        predictor.edge = 200
        parts = predictor.predict(pixels, output="float32")
    assert np.abs(parts - torch.softmax(whole(trained, pixels), 1)[0].numpy()).max() > 0


def test_parts_are_as_big_as_the_choice_of_algorithm_asks(trained: Network) -> None:
    needs = tile_needs(trained, channels=1, device=CPU)
    smallest = min(inputs * (160 / 2**level) ** 2 for level, inputs in enumerate([1, 8, 16, 32]))
    assert needs.least_pixels == math.floor(20480 / (smallest / 160**2)) + 1
    assert tile_needs(trained, channels=1, device=torch.device("cuda")).least_pixels == 1
    assert tile_needs(trained, channels=1, device=CPU, precision="bfloat16").least_pixels == 1


def test_folding_changes_scores_by_rounding_only(trained: Network) -> None:
    pixels = random_pixels(1, 200, 200)
    with torch.inference_mode():
        unfolded = trained(torch.from_numpy(pixels)[None])
    assert (whole(trained, pixels) - unfolded).abs().max() < 1e-4 * unfolded.abs().max()


@pytest.mark.parametrize(("precision", "bound"), [("bfloat16", 0.1), ("float16", 0.02)])
def test_lower_precision_stays_close(trained: Network, precision: str, bound: float) -> None:
    pixels = random_pixels(1, 96, 112)
    with Predictor(trained, channels=1, precision=precision) as predictor:
        low = predictor.predict(pixels, output="float32")
    exact = torch.softmax(whole(trained, pixels), 1)[0].numpy()
    assert low.dtype == np.float32
    assert 0 < np.abs(low - exact).max() < bound


def test_the_network_and_its_mode_are_left_alone(trained: Network) -> None:
    trained.train()
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    with Predictor(trained, channels=1) as predictor:
        predictor.predict(random_pixels(1, 40, 40))
    assert trained.training
    trained.eval()
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())
    assert all(parameter.requires_grad for parameter in trained.parameters())
    assert not torch.is_inference_mode_enabled()


def test_classes_of_part_of_an_array(trained: Network) -> None:
    pixels = random_pixels(1, 120, 130)
    with Predictor(trained, channels=1) as predictor:
        classes = predictor.predict(pixels, (slice(48, 100), slice(40, 130)))
    assert classes.dtype == np.uint8
    assert_same(classes, whole(trained, pixels)[0, :, 48:100, 40:130].argmax(0).numpy())


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(2, 6), st.integers(1, 90), st.integers(1, 90)),
    seed=st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_probabilities_do_not_depend_on_where_a_pixel_lies(shape: tuple[int, ...], seed: int) -> None:
    scores = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    everything = encode_classes(scores, "float32")
    torch.testing.assert_close(everything, torch.softmax(scores, 1), rtol=0, atol=2e-7)
    part = (..., slice(shape[2] // 3, None), slice(shape[3] // 2, None))
    assert torch.equal(encode_classes(scores[part], "float32"), everything[part])
    assert torch.equal(encode_classes(scores.contiguous(memory_format=torch.channels_last), "float32"), everything)


def test_probabilities_are_those_of_torch() -> None:
    scores = torch.randn(1, 3, 256, 256)
    assert torch.equal(encode_classes(scores, "float32"), torch.softmax(scores, 1))


def test_encoding_of_scores() -> None:
    scores = torch.tensor([[[[2.0, -1.0]], [[2.0, 1.0]], [[0.0, 0.5]]]])
    assert encode_classes(scores, "classes").tolist() == [[[0, 1]]]
    assert encode_classes(scores[:, :2], "classes").tolist() == [[[0, 1]]]
    exact = encode_classes(scores, "float32")
    torch.testing.assert_close(exact.sum(1), torch.ones(1, 1, 2))
    assert torch.equal(encode_classes(scores, "uint8"), (exact * 255).round().to(torch.uint8))
    assert torch.equal(encode_classes(scores, "float16"), exact.half())
    assert encode_classes(torch.randn(1, 300, 1, 1), "classes").dtype == torch.int32


class Brightness(Network):
    """A network of no reach that runs out of memory above `most` pixels; `seen` lists the shapes it was given."""

    stages = ()
    stride, halo = (4, 4), (4, 4)
    most = 10**9
    seen: list[tuple[int, ...]] = []  # noqa: RUF012

    def __init__(self, error: type[Exception] = torch.cuda.OutOfMemoryError) -> None:
        super().__init__(2)
        self.conv = nn.Conv2d(1, 2, 1)
        self.error = error
        with torch.no_grad():
            self.conv.weight[:, 0, 0, 0] = torch.tensor([0.0, 1.0])
            self.conv.bias[:] = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] * x.shape[2] * x.shape[3] > self.most:
            raise self.error("CUDA out of memory")
        type(self).seen.append(tuple(x.shape))
        return self.conv(x)


@pytest.fixture
def brightness(monkeypatch: pytest.MonkeyPatch) -> type[Brightness]:
    monkeypatch.setattr(Brightness, "seen", [])
    monkeypatch.setattr("napari_tessera.nn.needs.ONEDNN_ELEMENTS", 0)
    return Brightness


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError, RuntimeError, MemoryError])
def test_a_batch_is_halved_until_it_fits(
    brightness: type[Brightness], monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    monkeypatch.setattr(brightness, "most", 2 * 32 * 32)
    tiles = [random_pixels(1, 32, 32, seed=seed) for seed in range(7)]
    with Predictor(brightness(error), channels=1, batch=7) as predictor:
        results = [pending() for pending in predictor.submit(tiles)]
        assert predictor.batch == 1
        assert predictor.edge is None
    for tile, result in zip(tiles, results, strict=True):
        assert_same(result, tile[0] > 0)


def test_a_tile_too_big_is_predicted_in_parts_from_then_on(
    brightness: type[Brightness], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brightness, "most", 40 * 40)
    pixels = random_pixels(1, 128, 101)
    with Predictor(brightness(), channels=1, batch=4) as predictor:
        first = predictor.predict(pixels, (slice(4, 124), slice(0, 101)))
        assert predictor.edge == 32
        calls = len(brightness.seen)
        second, third = (pending() for pending in predictor.submit([pixels, -pixels]))
        assert len(brightness.seen) - calls == 2 * 16
    assert_same(first, pixels[0, 4:124] > 0)
    assert_same(second, pixels[0] > 0)
    assert_same(third, pixels[0] < 0)


def test_memory_for_nothing_is_said_in_one_sentence(
    brightness: type[Brightness], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(brightness(), channels=1)
    monkeypatch.setattr(brightness, "most", 1)
    with predictor, pytest.raises(OutOfMemoryError, match="smaller tile"):
        predictor.predict(random_pixels(1, 64, 64))


def test_a_network_too_big_for_the_device_is_said_in_one_sentence(
    brightness: type[Brightness], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    predictor = Predictor(brightness(), channels=1)
    monkeypatch.setattr(brightness, "to", full)
    with pytest.raises(OutOfMemoryError, match="network itself"):
        predictor.__enter__()


def test_other_errors_of_torch_are_not_taken_for_lack_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with Predictor(Brightness(), channels=1) as predictor, pytest.raises(RuntimeError, match="channels"):
        predictor.predict(random_pixels(2, 8, 8))


def test_cancelling_stops_within_a_tile(trained: Network) -> None:
    cancel = CancelToken()
    layers: list[int] = []

    def check() -> None:
        layers.append(1)
        if len(layers) == 5:
            threading.Thread(target=cancel.cancel).run()
        cancel.raise_if_cancelled()

    with Predictor(trained, channels=1, check=check) as predictor, pytest.raises(JobCancelledError):
        predictor.predict(random_pixels(1, 64, 64))
    assert len(layers) == 5


@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=3),
    pixels=st.integers(0, 30_000),
)
def test_least_extents_hold_enough_pixels_or_everything(lengths: list[int], pixels: int) -> None:
    extents = least_extents(lengths, pixels)
    assert all(1 <= extent <= length for extent, length in zip(extents, lengths, strict=True))
    assert math.prod(extents) >= min(pixels, math.prod(lengths))


@given(
    length=st.integers(1, 300),
    stride=st.sampled_from([1, 4, 8]),
    data=st.data(),
)
def test_grown_regions_contain_what_they_grew_from(length: int, stride: int, data: st.DataObject) -> None:
    start = stride * data.draw(st.integers(0, (length - 1) // stride))
    stop = data.draw(st.sampled_from([length, min(start + stride, length)]))
    extent = data.draw(st.integers(1, length))
    (grown,) = grow((slice(start, stop),), (length,), (extent,), (stride,))
    assert grown.start % stride == 0
    assert grown.stop == length or grown.stop % stride == 0
    assert grown.start <= start < stop <= grown.stop <= length
    assert grown.stop - grown.start >= extent


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    starts=st.lists(st.integers(0, 9), min_size=3, max_size=3),
    edge=st.integers(1, 50),
)
def test_splitting_partitions(sizes: list[int], starts: list[int], edge: int) -> None:
    inner = tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=False))
    count = np.zeros([part.stop for part in inner], int)
    for part in split(inner, [edge] * len(inner)):
        assert max(regions.size(part)) <= edge
        count[part] += 1
    assert count[inner].min() == count[inner].max() == 1
    assert count.sum() == math.prod(sizes)
