"""Outlines: pixels as COCO's own tools fill them, compressed runs, and the points that hold an outline's hull."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from visrun.data.outlines import Rle, box_of, boxes_of, counts_of, drawn, hull_points, pixels, rle_of, runs, widths

MASKS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 1))
SQUARE = np.array([[1.0, 2], [4, 2], [4, 5], [1, 5]])


def encoded(mask: np.ndarray) -> tuple[Rle, bytes]:
    packed = coco.encode(np.asfortranarray(mask))
    return Rle(tuple(counts_of(packed["counts"]).tolist()), mask.shape), packed["counts"]


@given(MASKS)
def test_compressed_runs_and_masks_are_pycocotools(mask: np.ndarray) -> None:
    rle, text = encoded(mask)
    plain = coco.frPyObjects({"counts": list(rle.counts), "size": list(rle.size)}, *rle.size)
    assert plain["counts"] == text
    assert np.array_equal(drawn(rle, mask.shape), mask.astype(bool))
    assert counts_of(text.decode()).tolist() == list(rle.counts)


# Five characters a number at most: pycocotools has room for six, and none behind them for the end of the text.
@given(st.lists(st.integers(0, 2**23), min_size=1, max_size=30))
def test_compressed_runs_of_any_length(counts: list[int]) -> None:
    packed = coco.frPyObjects({"counts": counts, "size": [1, sum(counts)]}, 1, sum(counts))["counts"]
    assert counts_of(packed).tolist() == counts


@pytest.mark.parametrize("text", ["P", "\x7f", "0\x20", "oooooooooooooo0"])
def test_what_is_no_text_of_runs_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="compressed"):
        counts_of(text)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools itself
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(3, 8), st.just(2)), elements=st.floats(-20, 60)),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_polygons_are_filled_as_pycocotools_does(polygon: np.ndarray, height: int, width: int) -> None:
    expected = coco.decode(coco.frPyObjects([polygon.ravel().tolist()], height, width))[..., 0]
    assert np.array_equal(drawn((polygon,), (height, width)), expected.astype(bool))


def test_parts_make_one_object_and_every_pixel_counts_once() -> None:
    two = (SQUARE, SQUARE + 1)
    assert pixels(two, (8, 8)).tolist() == np.flatnonzero(drawn(two, (8, 8)).T).tolist()
    assert len(pixels(two, (8, 8))) == 9 + 9 - 4
    assert np.array_equal(drawn(two, (8, 8)), drawn((SQUARE,), (8, 8)) | drawn((SQUARE + 1,), (8, 8)))


@pytest.mark.parametrize("window", [(0, 0, 60, 60), (0, 0, 30, 60), (10, 20, 70, 80), (5, 5, 35, 35)])
def test_a_part_of_the_file_scaled(window: tuple[int, int, int, int]) -> None:
    mask = np.zeros((90, 80), np.uint8)
    mask[20:50, 10:40] = 1
    left, top, right, bottom = window
    shown = mask[top:bottom, left:right].astype(bool)
    for outline in (encoded(mask)[0], (SQUARE * 10,)):
        assert np.array_equal(drawn(outline, (bottom - top, right - left), window=window), shown)
        small = drawn(outline, (6, 6), window=window)
        fine = shown.repeat(60 // (bottom - top), 0).repeat(60 // (right - left), 1)
        assert np.array_equal(small, fine[5::10, 5::10])


def test_boxes_by_hand() -> None:
    assert box_of((SQUARE,)).tolist() == [1, 2, 4, 5]
    assert box_of((SQUARE, SQUARE + 3)).tolist() == [1, 2, 7, 8]
    mask = np.zeros((5, 7), np.uint8)
    assert box_of(encoded(mask)[0]).tolist() == [0, 0, 0, 0]
    mask[1, 2] = mask[4, 6] = 1
    assert box_of(encoded(mask)[0]).tolist() == [2, 1, 7, 5]
    assert boxes_of([]).shape == (0, 4)
    assert box_of(Rle((0, 6), (2, 3))).tolist() == [0, 0, 3, 2]  # one run over all columns


@given(MASKS)
def test_the_hull_points_of_runs_bound_every_pixel(mask: np.ndarray) -> None:
    points = hull_points(encoded(mask)[0])
    if not mask.any():
        assert points.shape == (0, 2)
        return
    y, x = np.nonzero(mask)
    corners = np.concatenate([np.stack([x + i, y + j], 1) for i in (0, 1) for j in (0, 1)])
    for angle in np.linspace(0, np.pi, 7):
        way = np.array([np.cos(angle), np.sin(angle)])
        assert np.isclose((points @ way).max(), (corners @ way).max())
        assert np.isclose((points @ way).min(), (corners @ way).min())


def test_widths_by_hand() -> None:
    """Twice the deviation: of a rectangle's corners, which lie half its width from the middle, the width itself."""
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    bar = np.array([[0.0, 0], [50, 0], [50, 2], [0, 2]]) @ turn
    line = np.array([[0.0, 0], [3, 3], [9, 9]]) + 1000
    runs_ = [Rle((6,), (2, 3)), Rle((0, 1, 5), (2, 3)), Rle((3, 0, 3), (2, 3))]
    found = widths([(bar,), (line,), (line, SQUARE), None, (), *runs_])
    assert found.round(6).tolist() == [2, 0, 3, np.inf, np.inf, 0, np.inf, 0]
    assert widths([]).tolist() == []
    assert not widths([(np.array([[0.0, 0], [np.nan, 1], [1, np.inf]]),)]) < 1


def test_runs_of_numbers() -> None:
    assert runs(np.array([3, 10]), np.array([2, 3])).tolist() == [3, 4, 10, 11, 12]
    assert runs(np.array([], np.int64), np.array([], np.int64)).tolist() == []


@given(hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_the_numbers_of_pixels_become_their_runs(mask: np.ndarray) -> None:
    found = rle_of(np.flatnonzero(mask.T), mask.shape)
    assert sum(found.counts) == mask.size and all(found.counts[1:-1])
    assert np.array_equal(drawn(found, mask.shape), mask)
