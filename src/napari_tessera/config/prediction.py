"""What a prediction may be told."""

from typing import Literal

from pydantic import Field

from napari_tessera.config.base import Config, DeviceName


class PredictionConfig(Config):
    """All settings of a prediction; none changes the result but `output` and the precision."""

    output: Literal["labels", "probabilities"] = Field(
        default="labels", description="Class labels, or the probability of each class."
    )
    probability_dtype: Literal["float32", "float16", "uint8"] = Field(
        default="float32", description="Number format of probabilities; uint8 stores 255 for certainty."
    )
    tile: int | None = Field(
        default=None, ge=1, description="Edge length of a tile, in pixels; none: chosen by device."
    )
    shard: int | None = Field(
        default=None, ge=1, description="Edge length of a shard, a file of many chunks; none: a file for each chunk."
    )
    device: DeviceName = "auto"
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Arithmetic; float32 gives the same result on any tile size."
    )
