"""Which network to build, as data: the name of an architecture and its parameters."""

from typing import Literal

from pydantic import Field

from napari_tessera.config.base import Config


class UNetConfig(Config):
    """A U-Net (Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28) with same-size convolutions."""

    architecture: Literal["unet"] = "unet"
    dimensions: Literal[2, 3] = Field(default=2, description="Spatial dimensions the network convolves over.")
    depth: int = Field(
        default=3, ge=1, le=6, description="Number of down-samplings; each doubles what the network sees."
    )
    base_width: int = Field(default=16, ge=1, le=256, description="Feature maps at full resolution; doubles per level.")
    upsampling: Literal["transposed", "interpolated"] = Field(
        default="transposed", description="How the decoder enlarges: a learnt transposed convolution or interpolation."
    )
    normalization: Literal["batch_renorm", "batch", "none"] = Field(
        default="batch_renorm",
        description="Feature normalisation; all choices are frozen at prediction, so that tiles leave no seams.",
    )


NetworkConfig = UNetConfig
"""Becomes a union discriminated by ``architecture`` when a second architecture comes."""
