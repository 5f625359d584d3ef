"""Operations that group pixels by their intensities in one or several channels."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tessera.core.image import ImageSpec
from napari_tessera.operations.base import Block, Fitted, Local, Operation, Survey
from napari_tessera.operations.parameters import parameter
from napari_tessera.operations.reductions.surveying import survey_histogram
from napari_tessera.operations.registry import register
from napari_tessera.operations.thresholding.clustering import (
    Gaussians,
    by_brightness,
    check_distinct,
    fit_gaussians,
    kmeans,
    nearest_centres,
    sample_pixels,
    scores_of,
)
from napari_tessera.operations.thresholding.levels import classify
from napari_tessera.operations.thresholding.thresholds import multi_otsu

GROUP = "Threshold and cluster"


class Clustering(Operation):
    """Mixed into operations that take all channels at once and give one class per pixel."""

    group: ClassVar = GROUP
    is_threshold: ClassVar = True
    menu: ClassVar = "segment"
    output: ClassVar = "labels"

    def frame_axes(self, axes: str) -> str:
        """Return the channels, if there are any, and the spatial axes."""
        return "c" * ("c" in axes) + super().frame_axes(axes)

    def output_dtype(self, dtype: np.dtype[Any]) -> DTypeLike:  # noqa: ARG002
        """Return uint8, whatever the image."""
        return np.uint8

    def output_spec(self, spec: ImageSpec) -> ImageSpec:
        """Return the frame without its channels."""
        return super().output_spec(spec.without("c"))


def channels_of(block: Block) -> NDArray[Any]:
    """Return the pixels of a block with the channels first, one of them if the image has none."""
    return block.image if "c" in block.spec.axes else block.image[None]


class FromIntensities(Clustering, Fitted):
    """Base of clusterings fitted to the intensities of the whole image."""

    keeps_wide: ClassVar = True

    clusters: int = parameter(3, "Number of clusters, background included.", ge=2, le=10)
    sample: int = parameter(
        50_000,
        "Number of pixels to learn from if there are several channels; one channel is learnt from as a whole.",
        unit="pixels",
        ge=1000,
        le=10_000_000,
    )
    seed: int = parameter(0, "Another number chooses other pixels and starts elsewhere.", ge=0, le=2**32 - 1)


@register
class KMeans(FromIntensities):
    """Group pixels into clusters of similar intensity (k-means), in one or several channels.

    Result 0 is the darkest cluster, usually the background. Of one channel it is the best division there is (that of
    multi-Otsu). Several channels are made to vary equally first, unless ``equal_weights`` is off.
    """

    title: ClassVar = "K-means clusters"
    also: ClassVar = ("segmentation",)

    equal_weights: bool = parameter(True, "Let every channel count the same, however bright it is.")

    def fit(self, survey: Survey) -> Local:
        """Find the clusters."""
        if survey.spec.channels == 1:
            return ClusterLevels(levels=multi_otsu(survey_histogram(survey), self.clusters))
        values = sample_pixels(survey, self.sample, self.seed)
        check_distinct(values, self.clusters)
        spreads = values.std(axis=1) if self.equal_weights else np.ones(len(values))
        spreads[spreads == 0] = 1
        scaled = values / spreads[:, None]
        centres = kmeans(scaled, np.ones(scaled.shape[1]), self.clusters, self.seed)
        order = by_brightness(centres * spreads)
        return NearestCentre(centres=as_tuples(centres[order]), spreads=tuple(spreads.tolist()))


@register
class GaussianMixture(FromIntensities):
    """Group pixels by a mixture of Gaussians fitted to their intensities, in one or several channels.

    Unlike k-means, clusters may differ in width and size: a wide, dim cluster beside a narrow background. Result 0 is
    the cluster with the lowest mean. An image of floats is counted in 65,536 bins if it has one channel.
    """

    title: ClassVar = "Gaussian mixture clusters"
    also: ClassVar = ("segmentation", "gmm")
    bound: ClassVar = "Pixels about equally likely in two clusters may fall to the other on another type of processor."

    def fit(self, survey: Survey) -> Local:
        """Find the Gaussians."""
        if survey.spec.channels == 1:
            histogram = survey_histogram(survey)
            occupied = np.flatnonzero(histogram.counts)
            values, weights = histogram.centers[occupied][None], histogram.counts[occupied].astype(np.float64)
        else:
            values = sample_pixels(survey, self.sample, self.seed)
            weights = np.ones(values.shape[1])
        check_distinct(values, self.clusters)
        mixture = fit_gaussians(values, weights, self.clusters, self.seed)
        order = by_brightness(mixture.means)
        return LikeliestGaussian(
            shares=tuple(mixture.shares[order].tolist()),
            means=as_tuples(mixture.means[order]),
            covariances=tuple(as_tuples(covariance) for covariance in mixture.covariances[order]),
        )


def as_tuples(matrix: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """Return the rows of a matrix as tuples."""
    return tuple(tuple(row) for row in matrix.tolist())


class ClusterLevels(Clustering, Local):
    """Divide one channel at grey levels."""

    title: ClassVar = "Clusters of grey levels"

    levels: tuple[float | int, ...] = parameter(
        ..., "Grey levels, ascending; a pixel is counted above if it is greater."
    )

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the clusters from 0 on."""
        return classify(channels_of(block)[0], self.levels)


class NearestCentre(Clustering, Local):
    """Give each pixel the number of the cluster whose centre is nearest."""

    title: ClassVar = "Nearest cluster"

    centres: tuple[tuple[float, ...], ...] = parameter(..., "Centre of each cluster, in units of the spreads.")
    spreads: tuple[float, ...] = parameter(..., "What each channel is divided by.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the clusters from 0 on."""
        scaled = np.stack([channel / spread for channel, spread in zip(channels_of(block), self.spreads, strict=True)])
        return nearest_centres(scaled, np.array(self.centres))[0]


class LikeliestGaussian(Clustering, Local):
    """Give each pixel the number of the Gaussian that it most likely belongs to."""

    title: ClassVar = "Likeliest cluster"

    shares: tuple[float, ...] = parameter(..., "Part of all pixels that belongs to each Gaussian.")
    means: tuple[tuple[float, ...], ...] = parameter(..., "Mean of each Gaussian, per channel.")
    covariances: tuple[tuple[tuple[float, ...], ...], ...] = parameter(..., "Covariances of each Gaussian.")

    def compute(self, block: Block) -> NDArray[Any]:
        """Return the clusters from 0 on."""
        mixture = Gaussians(np.array(self.shares), np.array(self.means), np.array(self.covariances))
        return np.asarray(scores_of(channels_of(block), mixture).argmax(axis=0), np.uint8)
