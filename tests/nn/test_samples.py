"""Held-out pixels stay apart from trained ones."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_tessera.nn.samples import IGNORED, Sample, split_by_blocks, split_by_source


def numbered(target: np.ndarray, source: int = 0, place: tuple[int, int] = (0, 0)) -> Sample:
    """Return a sample whose image holds the number of each pixel, so that crops can be traced."""
    image = np.arange(target.size, dtype=np.float32).reshape(1, *target.shape)
    return Sample(image, target.astype(np.uint8), source, place)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(20, 90),
    width=st.integers(20, 90),
    seed=st.integers(0, 1000),
    density=st.floats(0.01, 1),
    gap=st.integers(0, 8),
)
def test_blocks_share_no_pixel_and_keep_the_gap(height: int, width: int, seed: int, density: float, gap: int) -> None:
    rng = np.random.default_rng(seed)
    target = np.where(rng.random((height, width)) < density, rng.integers(0, 2, (height, width)), IGNORED)
    split = split_by_blocks([numbered(target)], 0.25, 2, gap)
    assume(split is not None)
    assert split is not None
    kept = np.array([divmod(int(n), width) for n in split.training[0].image.ravel()])
    held = np.array([divmod(int(n), width) for n in split.validation[0].image.ravel()])
    apart = np.maximum(np.maximum(held.min(0) - kept.max(0), kept.min(0) - held.max(0)), 0)
    assert apart.max() > gap
    for part in (split.training[0], split.validation[0]):
        rows = [divmod(int(n), width) for n in part.image.ravel()]
        assert [target[y, x] for y, x in rows] == part.target.ravel().tolist()
    annotated = numbered(target).class_counts(2)
    share = split.validation[0].class_counts(2)[annotated > 0] / annotated[annotated > 0]
    assert (np.abs(share - 0.25) < 0.2).all()


def test_planes_on_top_of_each_other_are_cut_alike() -> None:
    rng = np.random.default_rng(0)
    planes = [numbered(rng.integers(0, 2, (64, 64))) for _ in range(4)]
    split = split_by_blocks(planes, 0.2, 2, 4)
    assert split is not None
    assert len({tuple(sample.image.ravel()) for sample in split.validation}) == 1
    assert len({tuple(sample.image.ravel()) for sample in split.training}) == 1


def test_squares_of_one_image_are_cut_as_one() -> None:
    rng = np.random.default_rng(0)
    whole = numbered(rng.integers(0, 2, (120, 60)))
    squares = [whole.within(0, range(50)), whole.within(0, range(50, 120))]
    split = split_by_blocks(squares, 0.2, 2, 6)
    assert split is not None
    rows = [
        {int(number) // 60 for sample in part for number in sample.image.ravel()}
        for part in (split.training, split.validation)
    ]
    columns = [
        {int(number) % 60 for sample in part for number in sample.image.ravel()}
        for part in (split.training, split.validation)
    ]
    gaps = [min(abs(a - b) for a in one for b in other) for one, other in (rows, columns)]
    assert max(gaps) > 6


def test_parts_know_where_they_lie() -> None:
    sample = numbered(np.zeros((20, 30)), place=(100, 200))
    part = sample.within(1, range(205, 212))
    assert part.place == (100, 205)
    assert part.image[0, 0].tolist() == [5, 6, 7, 8, 9, 10, 11]
    assert sample.within(0, range(50)).target.size == 0


def test_too_little_annotation_is_not_split() -> None:
    target = np.full((64, 64), IGNORED)
    target[30:34, 30] = 0
    target[30:34, 33] = 1
    assert split_by_blocks([numbered(target)], 0.2, 2, 16) is None


def test_whole_images_are_held_out() -> None:
    samples = [numbered(np.tile([0, 1], (8, 4)), source) for source in range(10)]
    split = split_by_source(samples, 0.2, 2, np.random.default_rng(0))
    assert split is not None
    assert len(split.validation) == 2
    assert not {s.source for s in split.training} & {s.source for s in split.validation}


def test_images_are_not_held_out_if_a_class_would_be_lost() -> None:
    samples = [numbered(np.full((8, 8), k), k) for k in range(2)]
    assert split_by_source(samples, 0.5, 2, np.random.default_rng(0)) is None


def test_volumes_are_cut_along_z_too() -> None:
    """Each plane is one colour, in y and x nothing can be cut, so that the block is one of whole planes."""
    target = np.full((30, 4, 4), IGNORED, np.uint8)
    target[:, 1, 1], target[:, 2, 2] = 0, 1
    image = np.arange(target.size, dtype=np.float32).reshape(1, *target.shape)
    split = split_by_blocks([Sample(image, target, 0, (5, 0, 0))], 0.2, 2, gap=3)
    assert split is not None
    (kept,), (held_out,) = split.training, split.validation
    first, second = sorted((kept, held_out), key=lambda sample: sample.place[0])
    assert second.place[0] - (first.place[0] + len(first.target)) == 3
    assert (kept.place[1:], held_out.place[1:]) == ((0, 0), (0, 0))
    assert held_out.target.shape[0] == 6
    whole = {float(value) for sample in (kept, held_out) for value in sample.image.ravel()}
    assert len(whole) == (30 - 3) * 16
