"""What every architecture must keep to, so that everything that trains and applies networks can rely on it.

A new architecture gets a line in `CASES`: the first test fails without one.
"""

import platform
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tessera.config.networks import ARCHITECTURES, DilatedConfig, NetworkConfig, UNetConfig
from napari_tessera.config.training import Annotation, TrainingConfig
from napari_tessera.core.errors import JobCancelledError
from napari_tessera.core.jobs import CancelToken, Metric
from napari_tessera.nn.checkpoints import load_checkpoint, save_checkpoint
from napari_tessera.nn.networks.base import Network
from napari_tessera.nn.networks.building import BUILDERS, build_network, sketch_network
from napari_tessera.nn.predictor import Predictor
from napari_tessera.nn.samples import IGNORED, Sample, Split
from napari_tessera.nn.tasks.classes import ClassesTask
from napari_tessera.nn.tasks.encoding import encode_classes
from napari_tessera.nn.trainer import TrainingData, TrainingState, start_state, train_network

CASES: dict[str, list[NetworkConfig]] = {
    "unet": [
        UNetConfig(depth=1, base_width=4),
        UNetConfig(depth=2, base_width=3, upsampling="interpolated"),
        UNetConfig(depth=2, base_width=3, normalization="batch"),
        UNetConfig(depth=3, base_width=2, normalization="none"),
        UNetConfig(dimensions=3, depth=1, base_width=2),
        UNetConfig(dimensions=3, depth=2, base_width=2, flat_levels=1),
        UNetConfig(dimensions=3, depth=2, base_width=2, flat_levels=2, upsampling="interpolated"),
    ],
    "dilated": [
        DilatedConfig(layers=3, width=4),
        DilatedConfig(layers=2, width=3, normalization="none"),
        DilatedConfig(dimensions=3, layers=2, width=2),
    ],
}
ALL = [config for configs in CASES.values() for config in configs]


def test_every_architecture_is_held_to_the_contract() -> None:
    assert set(CASES) == set(ARCHITECTURES)
    assert set(BUILDERS) == set(ARCHITECTURES.values())
    for name, kind in ARCHITECTURES.items():
        assert kind().architecture == name
        assert {type(config) for config in CASES[name]} == {kind}
        assert set(kind.asked) <= set(kind.model_fields)


def settled(config: NetworkConfig, channels: int = 1, outputs: int = 3, steps: int = 4) -> Network:
    """Return a network that has learnt a few steps, so that no weight and no statistic is the initial one."""
    torch.manual_seed(3)
    network = build_network(config, channels=channels, outputs=outputs).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    sizes = [max(4 * step, 8) for step in network.stride]
    for _ in range(steps):
        pixels = torch.randn(2, channels, *sizes) * 1.5 + 0.7
        target = torch.bucketize(pixels.mean(1), torch.linspace(-0.5, 1.5, outputs - 1))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(pixels), target).backward()
        optimizer.step()
    return network.eval()


def opened(network: Network) -> Network:
    """Make all weights positive: ReLUs can hide a way through the network otherwise."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    return network


def reach(network: Network, axis: int, start: int, stop: int) -> tuple[int, int]:
    """Return the first and last row along `axis` whose pixels influence the output rows from `start` to `stop`."""
    length = start + stop
    sizes = [2 * step for step in network.stride]
    sizes[axis] = length
    # brighter away from the middle, so that the outermost pixel is the one that max-pooling lets through
    slope = (torch.arange(length, dtype=torch.float64) - (start + stop - 1) / 2).abs()
    along = [1] * len(sizes)
    along[axis] = length
    image = slope.reshape(1, 1, *along).expand(1, 1, *sizes).clone().requires_grad_()
    network.double()(image).narrow(2 + axis, start, stop - start).abs().sum().backward()
    assert image.grad is not None
    rows = image.grad[0, 0].movedim(axis, 0).flatten(1).abs().amax(dim=1).nonzero().flatten()
    return int(rows.min()), int(rows.max())


@pytest.mark.parametrize("config", ALL, ids=str)
def test_gradients_reach_to_the_halo_and_no_further(config: NetworkConfig) -> None:
    network = opened(settled(config))
    assert network.stride == config.stride
    assert len(network.halo) == len(network.stride) == network.dimensions == config.dimensions
    for axis, (halo, stride) in enumerate(zip(network.halo, network.stride, strict=True)):
        start = (halo // stride + 2) * stride
        stop = start + 2 * stride
        first, last = reach(network, axis, start, stop)
        assert (start - first, last - (stop - 1)) == (halo, halo), f"axis {axis}"


@pytest.mark.parametrize("config", ALL, ids=str)
def test_the_stride_is_the_grid_and_no_larger_than_it_has_to_be(config: NetworkConfig) -> None:
    """An image that is moved by the stride gives the same, moved; moved by half of it, it gives something else."""
    network = opened(settled(config)).double()
    for axis, (halo, step) in enumerate(zip(network.halo, network.stride, strict=True)):
        sizes = [2 * other for other in network.stride]
        start = (halo // step + 2) * step
        sizes[axis] = 2 * start + step
        image = torch.rand(1, 1, *sizes, dtype=torch.float64)
        with torch.no_grad():
            here, moved, beside = (
                network(image.roll(by, 2 + axis)).roll(-by, 2 + axis).narrow(2 + axis, start, step)
                for by in (0, step, step // 2)
            )
        assert torch.allclose(here, moved), f"axis {axis}"
        assert step == 1 or not torch.allclose(here, beside), f"axis {axis}"


@pytest.mark.parametrize("config", ALL, ids=str)
def test_folding_changes_nothing_but_rounding(config: NetworkConfig) -> None:
    network = settled(config, channels=2)
    image = torch.randn(1, 2, *[13, 37, 22][-config.dimensions :])
    with torch.no_grad():
        whole, folded = network(image), network.fold()(image)
    assert (whole - folded).abs().max() <= 2e-5 * whole.abs().max()
    assert not any("norm" in name for name, _ in network.fold().named_parameters())
    assert not any(parameter.requires_grad for parameter in network.fold().parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    """Assert equality to the last bit; to rounding on processors whose kernels sum in an order that depends on size."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("config", ALL, ids=str)
@pytest.mark.parametrize("sizes", [(23, 150, 171), (16, 96, 128)], ids=str)
def test_tiles_are_the_whole_bit_for_bit(config: NetworkConfig, sizes: tuple[int, ...]) -> None:
    sizes = sizes[-config.dimensions :] if config.dimensions == 3 else tuple(2 * n for n in sizes[1:])
    network = settled(config)
    pixels = np.random.default_rng(0).normal(0.5, 1.2, (1, *sizes)).astype(np.float32)
    folded = network.fold().to(memory_format=network.layout)
    with torch.inference_mode():
        whole = encode_classes(
            folded(torch.from_numpy(pixels)[None].contiguous(memory_format=network.layout)), "float32"
        )
    with Predictor(network, channels=1) as predictor:
        predictor.edge = 64
        parts = predictor.predict(pixels, output="float32")
    assert_same(parts, whole[0].numpy())


@settings(max_examples=10, deadline=None)
@given(data=st.data(), channels=st.integers(1, 3))
@pytest.mark.parametrize("config", ALL, ids=str)
def test_any_size_comes_out_as_it_went_in(config: NetworkConfig, data: st.DataObject, channels: int) -> None:
    sizes = data.draw(st.lists(st.integers(1, 21), min_size=config.dimensions, max_size=config.dimensions))
    network = build_network(config, channels=channels, outputs=4).eval()
    with torch.no_grad():
        for shape in (sizes, [1] * config.dimensions):
            assert network(torch.randn(2, channels, *shape)).shape == (2, 4, *shape)


@pytest.mark.parametrize("config", ALL, ids=str)
def test_a_pixel_far_away_changes_nothing(config: NetworkConfig) -> None:
    """Statistics are frozen at prediction, and nothing looks at the image as a whole."""
    network = settled(config)
    axis = network.dimensions - 1
    far = network.halo[axis] + 2 * network.stride[axis]
    image = torch.randn(1, 1, *[2 * step for step in network.stride[:-1]], far + 8)
    changed = image.clone()
    changed[..., far:] += 100
    with torch.no_grad():
        assert torch.equal(network(image)[..., : network.stride[axis]], network(changed)[..., : network.stride[axis]])


@pytest.mark.parametrize("config", ALL, ids=str)
def test_a_sketch_has_the_names_and_shapes_and_the_same_seed_the_same_weights(config: NetworkConfig) -> None:
    one, other, third = (build_network(config, channels=2, outputs=3, seed=seed).state_dict() for seed in (1, 1, 2))
    sketch = sketch_network(config, channels=2, outputs=3).state_dict()
    assert {name: value.shape for name, value in one.items()} == {name: value.shape for name, value in sketch.items()}
    assert all(value.device.type == "meta" for value in sketch.values())
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], third[name]) for name in one)


def bright_boxes(seed: int, shape: tuple[int, ...]) -> Sample:
    """Return a noisy image with bright boxes, a tenth of it annotated."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, dtype=np.uint8)
    for corner in rng.integers(0, np.subtract(shape, 12), (6, len(shape))):
        truth[tuple(slice(start, start + 12) for start in corner)] = 1
    image = truth + rng.normal(0, 0.2, truth.shape)
    target = np.where(rng.random(truth.shape) < 0.1, truth, IGNORED).astype(np.uint8)
    return Sample(image[None].astype(np.float32), target, seed, (0,) * len(shape))


SHAPES = {2: (64, 64), 3: (24, 40, 40)}


def data_for(config: NetworkConfig) -> TrainingData:
    samples = [bright_boxes(seed, SHAPES[config.dimensions]) for seed in range(3)]
    return TrainingData(ClassesTask((1, 2), Annotation.SCRIBBLES), Split(tuple(samples[:2]), tuple(samples[2:])))


def begun(config: NetworkConfig) -> tuple[TrainingState, TrainingConfig]:
    training = TrainingConfig(
        annotation="scribbles",
        network=config,
        patch_size=32 if config.dimensions == 2 else 16,
        learning_rate=2e-2,
        max_steps=30,
        validate_every=10,
        precision="float32",
        device="cpu",
    )
    return start_state(build_network(config, channels=1, outputs=2), training), training


LEARNERS = [
    UNetConfig(depth=2, base_width=8),
    UNetConfig(dimensions=3, depth=2, base_width=8, flat_levels=1),
    DilatedConfig(layers=3, width=12),
]


@pytest.mark.parametrize("config", LEARNERS, ids=str)
def test_it_learns_from_a_tenth_of_the_pixels(config: NetworkConfig) -> None:
    state, training = begun(config)
    training = training.with_overrides({"max_steps": 60})
    list(train_network(state, data_for(config), training, cancel=CancelToken()))
    assert state.score is not None
    assert state.score.dice > 0.9


@pytest.mark.parametrize("config", ALL, ids=str)
def test_an_interrupted_training_ends_as_an_uninterrupted_one(config: NetworkConfig, tmp_path: Path) -> None:
    state, training = begun(config)
    list(train_network(state, data_for(config), training, cancel=CancelToken()))
    cancel = CancelToken()
    interrupted, _ = begun(config)
    events = train_network(
        interrupted, data_for(config), training, cancel=cancel, save=lambda state: save_checkpoint(tmp_path, state, {})
    )
    with pytest.raises(JobCancelledError):
        for event in events:
            if isinstance(event, Metric) and event.step == 10:
                cancel.cancel()
    resumed, _ = begun(config)
    load_checkpoint(tmp_path, resumed, {})
    assert resumed.step == 10
    list(train_network(resumed, data_for(config), training, cancel=CancelToken()))
    for one, other in zip(
        state.averaged.network.state_dict().values(), resumed.averaged.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
