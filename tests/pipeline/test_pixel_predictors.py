"""What predicts need not be a network: planning, prediction and tiles know only what every `PixelPredictor` says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from scipy import ndimage

from napari_tessera.config.model import ClassSpec, ModelSpec
from napari_tessera.config.prediction import PredictionConfig
from napari_tessera.config.training import Annotation, IntensityConfig, TrainingConfig
from napari_tessera.core.errors import InvalidInputError
from napari_tessera.core.image import ImageSource
from napari_tessera.core.jobs import CancelToken, Result, Warning
from napari_tessera.core.regions import Region, size
from napari_tessera.core.tiles import TileNeeds
from napari_tessera.io.creating import create_image
from napari_tessera.io.opening import open_image
from napari_tessera.nn.tasks.building import TASKS
from napari_tessera.pipeline.predicting.intensity import ConstantImageError
from napari_tessera.pipeline.predicting.planning import PredictionPlan
from napari_tessera.pipeline.predicting.prediction import predict_with

SPEC = ModelSpec(
    name="neighbours",
    package_version="0",
    created="2026-01-01T00:00:00+00:00",
    network={},
    input_axes="cyx",
    channel_names=(),
    channels=1,
    pixel_size={},
    units={},
    intensity=IntensityConfig(),
    classes=tuple(ClassSpec(id=number, name=str(number), color="#ffffff") for number in (0, 5)),
    training=TrainingConfig(annotation=Annotation.DENSE),
    metrics={},
    finished=True,
    weights_sha256="",
)


class Neighbours:
    """Bright is what has, within a box that is not square, a neighbour above the mean of the whole image.

    It also looks where it is: every hundredth row of the image is bright, so that the region counts.
    """

    needs = TileNeeds(dimensions=2, halo=(2, 12), stride=(1, 4), least_pixels=1, bytes_per_pixel=8)
    where, free_memory = "cpu", None
    inside = False

    def __init__(self) -> None:
        self.batch, self.edge = 1, None
        self.blocks: list[tuple[int, ...]] = []

    def __enter__(self) -> Self:
        self.inside = True
        return self

    def __exit__(self, *_: object) -> None:
        self.inside = False

    def prepare(self, survey: ImageSource) -> float:
        assert not self.inside
        mean = float(survey.read(survey.spec.full_region).mean())
        if mean == 0:
            raise ConstantImageError("nothing")
        return mean

    def pack(self, context: float) -> dict[str, Any]:
        return {"mean": context}

    def unpack(self, fields: Mapping[str, Any]) -> float:
        return float(fields["mean"])

    def arrange(self, block: np.ndarray, region: Region, context: float) -> np.ndarray:
        assert block.shape[1:] == size(region)[-2:]
        self.blocks.append(block.shape)
        bright = (block > context).astype(np.float32)
        rows = np.arange(region[-2].start, region[-2].stop)
        bright[:, rows % 100 == 0] = 1
        return bright

    def submit(self, tiles: Sequence[np.ndarray], inner: Region | None = None, output: str = "classes") -> list[Any]:
        assert self.inside
        assert output == "classes"
        found = [ndimage.maximum_filter(tile[0], (5, 25), mode="constant") > 0 for tile in tiles]
        return [lambda mask=mask: mask[inner].astype(np.uint8) for mask in found]


def predict(
    predictor: Neighbours, image: np.ndarray, out: Path, tile: int | None = None
) -> tuple[np.ndarray, list[Any]]:
    def open_sink(plan: PredictionPlan) -> Any:
        return create_image(out, plan.output, chunks=plan.chunks)

    config = PredictionConfig(tile=tile, device="cpu")
    events = list(predict_with(predictor, SPEC, open_image(image), open_sink, config, CancelToken()))
    assert isinstance(events[-1], Result)
    found = open_image(out)
    return found.read(found.spec.full_region), events


@pytest.mark.parametrize("tile", [None, 20, 64])
def test_tiles_of_what_is_no_network_are_the_whole(tmp_path: Path, tile: int | None) -> None:
    image = (np.random.default_rng(0).random((2, 211, 187)) > 0.999).astype(np.uint8) * 200
    predictor = Neighbours()
    found, events = predict(predictor, image, tmp_path / "out.ome.zarr", tile)
    bright = image > image.mean()
    bright[:, ::100] = True
    expected = np.stack([ndimage.maximum_filter(plane, (5, 25), mode="constant") for plane in bright])
    np.testing.assert_array_equal(found, expected * 5)
    assert not predictor.inside
    assert 0 < expected.mean() < 0.7
    if tile:
        assert events[-1].tile == (tile, tile)
        assert max(shape[1] for shape in predictor.blocks) == tile + 2 * 2
        assert max(shape[2] for shape in predictor.blocks) == tile + 2 * 12


def test_where_the_whole_image_shows_nothing_all_is_background(tmp_path: Path) -> None:
    found, events = predict(Neighbours(), np.zeros((30, 40), np.uint8), tmp_path / "out.npy")
    assert not found.any()
    assert any("nothing in it but background" in event.text for event in events if isinstance(event, Warning))


def test_what_a_header_may_name_there_is() -> None:
    assert set(TASKS) == {"classes"} == {SPEC.task}
    assert SPEC.method == "network"
    assert SPEC.outputs == 2
    for name in ("method", "task"):
        with pytest.raises(InvalidInputError, match=f"{name} = 'tealeaves'"):
            ModelSpec.parse({**SPEC.model_dump(), name: "tealeaves"})
