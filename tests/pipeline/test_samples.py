import numpy as np
import pytest

from napari_tessera.core.errors import InvalidInputError, OutputExistsError
from napari_tessera.io.opening import open_image
from napari_tessera.pipeline.samples.membranes import MembranesConfig, make_membranes
from napari_tessera.pipeline.samples.samples import SAMPLES, load_sample, membranes, nuclei, write_sample


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_fit_together(name):
    sample = load_sample(name)
    assert sample.name == sample.spec.name == name
    assert sample.image.shape == sample.spec.shape
    assert sample.image.dtype == sample.spec.dtype
    assert sample.scribbles.shape == sample.scribbles_spec.shape
    assert set(np.unique(sample.scribbles)) == {0, 1, 2}
    assert set(sample.class_names) == set(sample.class_colors) == {1, 2}
    for label in (1, 2):
        assert 0.004 < (sample.scribbles == label).mean() < 0.02


@pytest.mark.parametrize("make", [nuclei, membranes])
def test_synthetic_samples_are_scribbled_truly_on_one_percent(make):
    sample = make()
    assert sample.truth is not None
    assert (sample.truth[sample.scribbles == 2] > 0).all()
    assert (sample.truth[sample.scribbles == 1] == 0).all()
    assert (sample.scribbles > 0).mean() <= 0.0105
    assert sample.spec.units == ("micrometer", "micrometer")


@pytest.mark.parametrize("name", SAMPLES)
def test_where_there_is_truth_another_image_of_the_kind_is_held_out(name):
    sample = load_sample(name)
    assert (sample.held_out is None) == (sample.truth is None)
    if sample.held_out is not None:
        other = sample.held_out()
        assert (other.name, other.spec.scale) == (sample.name, sample.spec.scale)
        assert other.truth is not None
        assert other.image.shape == sample.image.shape
        assert (other.image != sample.image).mean() > 0.5


def test_what_is_held_out_follows_the_settings():
    small = MembranesConfig(shape=(200, 150))
    held_out = membranes(7, small).held_out
    assert held_out is not None
    np.testing.assert_array_equal(held_out().image, make_membranes(8, small)[0])


def test_tissue_strokes_lie_on_what_they_name():
    """Glands are brown: among the strokes, red exceeds blue on glands and not on the rest."""
    sample = load_sample("tissue")
    brown = sample.image[..., 0].astype(int) - sample.image[..., 2]
    assert np.median(brown[sample.scribbles == 2]) > 20
    assert np.median(brown[sample.scribbles == 1]) < 10


def test_unknown_sample_is_refused():
    with pytest.raises(InvalidInputError, match="nuclei, membranes, tissue"):
        load_sample("cats")


@pytest.mark.parametrize("name", SAMPLES)
def test_written_samples_read_back(name, tmp_path):
    sample = load_sample(name)
    paths = write_sample(sample, tmp_path)
    image, scribbles = open_image(paths["image"]), open_image(paths["scribbles"])
    np.testing.assert_array_equal(image.read(image.spec.full_region), sample.image)
    np.testing.assert_array_equal(scribbles.read(scribbles.spec.full_region), sample.scribbles)
    assert image.axes == sample.spec.axes
    assert image.scale == pytest.approx(sample.spec.scale)
    assert ("truth" in paths) == (sample.truth is not None)
    with pytest.raises(OutputExistsError):
        write_sample(sample, tmp_path)
    write_sample(sample, tmp_path, overwrite=True)


def test_files_of_the_repository_are_current():
    from pathlib import Path

    folder = Path(__file__).parents[2] / "sample_data"
    for name in SAMPLES:
        sample = load_sample(name)
        for what, array in (("image", sample.image), ("scribbles", sample.scribbles), ("truth", sample.truth)):
            if array is not None:
                stored = open_image(folder / f"{name}_{what}.tif")
                np.testing.assert_array_equal(stored.read(stored.spec.full_region), array)
        if sample.held_out is not None:
            stored = open_image(folder / f"{name}_2_image.tif")
            np.testing.assert_array_equal(stored.read(stored.spec.full_region), sample.held_out().image)
