"""Tiles cover the image, lie in it and overlap enough."""

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visrun.data.tiles import NO_BORDERS, borders, starts, windows


@pytest.mark.parametrize(
    ("side", "expected"),
    [(50, [0]), (100, [0]), (101, [0, 1]), (180, [0, 80]), (181, [0, 40, 81]), (260, [0, 80, 160])],
)
def test_starts_by_hand(side, expected):
    assert starts(side, 100, 20) == expected


def test_windows_go_row_by_row_and_a_short_side_is_kept():
    assert windows((180, 50), tile=100, overlap=20) == [(0, 0, 100, 50), (80, 0, 180, 50)]
    assert windows((100, 180), tile=100, overlap=20) == [(0, 0, 100, 100), (0, 80, 100, 180)]
    assert windows((30, 40), tile=100, overlap=20) == [(0, 0, 30, 40)]


def test_a_border_is_where_the_image_goes_on():
    found = [borders(window, (180, 100)) for window in windows((180, 100), tile=100, overlap=20)]
    assert found == [(-inf, -inf, 100, inf), (80, -inf, inf, inf)]
    assert borders((10, 20, 30, 40), (100, 100)) == (10, 20, 30, 40)
    assert borders((0, 0, 180, 100), (180, 100)) == NO_BORDERS


@given(side=st.integers(1, 3000), tile=st.integers(32, 512), share=st.floats(0, 0.95))
def test_tiles_cover_a_side_and_overlap(side, tile, share):
    overlap = int(share * tile)
    found = starts(side, tile, overlap)
    assert found[0] == 0 and max(found) + min(tile, side) == side
    for one, other in pairwise(found):
        assert 0 < other - one <= tile - overlap
