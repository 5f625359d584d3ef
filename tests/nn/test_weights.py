"""Weights that are not those of a network, or that nothing can be predicted with, are refused with their reason."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from napari_tessera.config.model import HEADER_FILE, OLD_WEIGHTS_FILE, ClassSpec, ModelSpec, load_model_spec
from napari_tessera.config.networks import UNetConfig
from napari_tessera.config.training import Annotation, IntensityConfig, TrainingConfig
from napari_tessera.core.errors import InvalidInputError, ModelError
from napari_tessera.nn.model import Model, load_model, save_model
from napari_tessera.nn.networks.building import build_network

NETWORK = UNetConfig(depth=1, base_width=2)
CLASSES = (ClassSpec(id=0, name="background", color="#000000"), ClassSpec(id=2, name="cell", color="#ff0000"))


def _spec(**fields: Any) -> ModelSpec:
    known = {
        "name": "m",
        "package_version": "0.1.0",
        "created": "2026-01-02T03:04:05+00:00",
        "network": NETWORK,
        "input_axes": "cyx",
        "channel_names": (),
        "channels": 1,
        "pixel_size": {"y": 1.0, "x": 1.0},
        "units": {"y": None, "x": None},
        "intensity": IntensityConfig(),
        "classes": CLASSES,
        "training": TrainingConfig(annotation=Annotation.SCRIBBLES),
        "metrics": {},
        "finished": True,
        "weights_sha256": "",
    }
    return ModelSpec(**{**known, **fields})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", Model(_spec(), build_network(NETWORK, channels=1, outputs=2)))
    return tmp_path / "model"


def _store(folder: Path, tensors: dict[str, Tensor], **fields: Any) -> None:
    """Write weights that fit their hash, under a header with other `fields`."""
    weights = save(tensors)
    (folder / OLD_WEIGHTS_FILE).write_bytes(weights)
    _spec(weights_sha256=sha256(weights).hexdigest(), **fields).save(folder / HEADER_FILE)


def _tensors(folder: Path) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in load_model(folder).network.state_dict().items()}


def test_the_fixture_is_a_sound_model(folder: Path) -> None:
    _store(folder, _tensors(folder))
    assert load_model(folder).network(torch.zeros(1, 1, 8, 8)).shape == (1, 2, 8, 8)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
def test_one_value_that_cannot_be_is_enough(folder: Path, value: float) -> None:
    tensors = _tensors(folder)
    tensors["head.weight"].view(-1)[-1] = value
    _store(folder, tensors)
    with pytest.raises(ModelError, match=r"NaN, infinite or out of all bounds \(head\.weight\)"):
        load_model(folder)


def test_a_variance_below_zero_is_refused(folder: Path) -> None:
    tensors = _tensors(folder)
    name = next(name for name in tensors if name.endswith("running_var"))
    tensors[name][0] = -1
    _store(folder, tensors)
    with pytest.raises(ModelError, match=f"out of all bounds.*{name}"):
        load_model(folder)


@pytest.mark.parametrize("dtype", [torch.int32, torch.float64, torch.bfloat16])
def test_weights_of_another_type_are_refused(folder: Path, dtype: torch.dtype) -> None:
    _store(folder, {name: tensor.to(dtype) for name, tensor in _tensors(folder).items()})
    with pytest.raises(ModelError, match=f"stored as {str(dtype).removeprefix('torch.')}, where its network has float"):
        load_model(folder)


@pytest.mark.parametrize("change", ["missing", "more", "shape"])
def test_weights_of_another_network_are_refused(folder: Path, change: str) -> None:
    tensors = _tensors(folder)
    if change == "more":
        tensors["tail.weight"] = torch.zeros(3)
    else:
        bias = tensors.pop("head.bias")
        tensors |= {"head.bias": torch.cat([bias, bias])} if change == "shape" else {}
    _store(folder, tensors)
    with pytest.raises(ModelError, match=r"not those of the network .*(head\.bias|tail\.weight)"):
        load_model(folder)


@pytest.mark.parametrize(
    "fields",
    [{"network": UNetConfig(depth=6, base_width=256, dimensions=3)}, {"channels": 10_000}],
    ids=["network", "channels"],
)
def test_a_network_that_the_weights_do_not_fill_is_never_built(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    """The largest one would take 20 GB."""
    _store(folder, _tensors(folder), **fields)
    built: list[Any] = []
    monkeypatch.setattr("napari_tessera.nn.model.build_network", lambda *_, **__: built.append(1))
    with pytest.raises(ModelError, match="not those of the network"):
        load_model(folder)
    assert not built


def test_headers_that_ask_for_the_impossible_are_refused() -> None:
    for fields, says in (
        ({"channels": 10**9}, "at most 10000"),
        ({"classes": (*CLASSES, CLASSES[1])}, "Two classes have the number 2"),
        ({"classes": CLASSES[::-1]}, "stands first"),
        ({"classes": CLASSES * 100_000}, "at most 10000 entries"),
    ):
        with pytest.raises(InvalidInputError, match=says):
            _spec(**fields)
    with pytest.raises(InvalidInputError, match="at most 18446744073709551615"):
        ClassSpec(id=2**64, name="cell", color="#ff0000")


class _Killed(BaseException):
    """In place of SIGKILL: nothing catches it."""


@pytest.mark.parametrize("step", range(4))
def test_a_kill_at_any_step_leaves_the_old_model_or_the_new_one(
    folder: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps are the renames and removals in the order in which they happen."""
    done: list[str] = []

    def dying(name: str) -> None:
        method = getattr(Path, name)

        def call(self: Path, *args: Any, **keywords: Any) -> Any:
            hidden = name == "unlink" and self.name.startswith(".")  # a temporary file that has its name by now
            if len(done) >= step and not (hidden and len(done) == step):
                done.append("killed")
                raise _Killed
            if not hidden:
                done.append(name)
            return method(self, *args, **keywords)

        monkeypatch.setattr(Path, name, call)

    old = load_model_spec(folder)
    _age(folder, old)
    new = Model(_spec(name="new"), build_network(NETWORK, channels=1, outputs=2, seed=7))
    dying("replace")
    dying("unlink")
    try:
        save_model(folder, new)
        killed = False
    except _Killed:
        killed = True
    monkeypatch.undo()
    assert killed == (step < 3)  # two renames, one removal
    assert load_model(folder).spec.name == ("m" if step < 2 else "new")
    save_model(folder, new)  # the next one tidies up
    assert sorted(path.name for path in folder.iterdir()) == ["model.yaml", load_model_spec(folder).weights]


def _age(folder: Path, spec: ModelSpec) -> None:
    """Make the model one of schema 2, as the versions before wrote it."""
    (folder / spec.weights).rename(folder / OLD_WEIGHTS_FILE)
    text = (folder / HEADER_FILE).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("weights:", "cancelled:"))]
    old = "\n".join(lines).replace(f"schema_version: {ModelSpec.current_version}", "schema_version: 2", 1)
    (folder / HEADER_FILE).write_text(old + "\n", encoding="utf-8")


def test_a_model_that_is_saved_anew_while_it_is_read_is_read_as_the_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = Model(_spec(name="new"), build_network(NETWORK, channels=1, outputs=2, seed=7))
    read = Path.read_bytes

    def late(path: Path) -> bytes:
        monkeypatch.undo()
        save_model(folder, new)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", late)
    assert load_model(folder).spec.name == "new"
