"""Objects: picked, told apart, painted and layered."""

from __future__ import annotations

import numpy as np
import pytest

from tests.emptied import nothing
from visrun.data.objects import MOST_MASKED, Objects, corners_of, layered, painted
from visrun.data.outlines import Rle


def square(left: float, top: float, side: float) -> tuple[np.ndarray, ...]:
    return (np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]) * side + [left, top],)


def squares(*places: tuple[float, float, float], labels: list[int] | None = None, ignored: set[int] = frozenset()):
    n = len(places)
    return Objects(
        np.array(labels if labels is not None else range(n), np.int64),
        np.array([[x, y, x + s, y + s] for x, y, s in places]).reshape(n, 4),
        np.array([i in ignored for i in range(n)], bool),
        outlines=tuple(square(*place) for place in places),
    )


def test_corners_of_boxes_run_clockwise_from_the_top_left() -> None:
    assert corners_of(np.array([[1.0, 2, 5, 8]])).tolist() == [[[1, 2], [5, 2], [5, 8], [1, 8]]]
    assert corners_of(np.zeros((0, 4))).shape == (0, 4, 2)


@pytest.mark.parametrize("rows", [[1], np.array([False, True, False])])
def test_pick_takes_numbers_or_flags(rows: object) -> None:
    some = squares((0, 0, 2), (3, 3, 2), (6, 6, 2)).pick(rows)  # type: ignore[arg-type]
    assert some.labels.tolist() == [1]
    assert some.boxes.tolist() == [[3, 3, 5, 5]]
    assert some.outlines is not None
    assert some.outlines[0][0].tolist() == square(3, 3, 2)[0].tolist()
    assert some.corners().tolist() == corners_of(some.boxes).tolist()


def test_pick_nothing_and_nothing_itself() -> None:
    empty = squares((0, 0, 2)).pick([])
    assert len(empty) == 0
    assert empty.boxes.shape == (0, 4)
    assert empty.outlines == ()
    assert nothing().outlines is None
    assert nothing(quads=True).corners().shape == (0, 4, 2)


def test_a_digest_tells_every_change() -> None:
    base = squares((0, 0, 2), (3, 3, 2))
    quads = corners_of(base.boxes)
    others = [
        squares((0, 0, 2)),
        squares((0, 0, 2), (3, 3, 2), labels=[0, 2]),
        squares((0, 0, 2), (3, 3, 2), ignored={1}),
        squares((0, 0, 2), (3, 3, 2.5)),
        Objects(base.labels, base.boxes, base.ignored),
        Objects(base.labels, base.boxes, base.ignored, quads),
        Objects(base.labels, base.boxes, base.ignored, outlines=(Rle((1, 3), (2, 2)), Rle((4,), (2, 2)))),
        Objects(base.labels, base.boxes, base.ignored, outlines=(Rle((1, 3), (2, 2)), Rle((0, 4), (2, 2)))),
    ]
    digests = [base.digest(), *(other.digest() for other in others)]
    assert len(set(digests)) == len(digests)
    assert squares((0, 0, 2), (3, 3, 2)).digest() == base.digest()
    assert repr(base) == f"Objects(2, {base.digest()})"


def test_smaller_objects_are_painted_over_larger_ones() -> None:
    page = painted(squares((2, 2, 2), (0, 0, 6), labels=[5, 3]), (8, 8))
    assert page.shape == (8, 8)
    assert page.dtype == np.uint8
    assert (page == 5).sum() == 4
    assert (page == 3).sum() == 36 - 4
    assert (page[2:4, 2:4] == 5).all()


def test_ignored_objects_are_painted_as_ignored_and_nothing_as_background() -> None:
    page = painted(squares((0, 0, 3), (5, 5, 2), ignored={0}), (8, 8))
    assert ((page == 255).sum(), (page == 1).sum(), (page == 0).sum()) == (9, 4, 51)
    assert not painted(nothing(outlines=True), (3, 2)).any()


def test_two_layers_hold_what_overlaps_two_deep() -> None:
    layers = layered(squares((0, 0, 4), (2, 2, 4)), (8, 8))
    assert layers.shape == (2, 8, 8)
    for number in (1, 2):
        assert (layers == number).any(0).sum() == 16


def test_what_both_layers_have_is_lost_to_the_later_object() -> None:
    layers = layered(squares((0, 0, 4), (0, 0, 4), (0, 0, 5)), (8, 8))
    assert [int((layers == number).any(0).sum()) for number in (1, 2, 3)] == [16, 16, 9]


def test_layers_are_drawn_at_the_wanted_size_and_end_at_the_highest_number() -> None:
    layers = layered(squares((0, 0, 4), (4, 4, 4)), (4, 4), window=(0, 0, 8, 8))
    assert (layers == 1).any(0).sum() == (layers == 2).any(0).sum() == 4
    many = squares(*[(i % 20, i // 20, 1) for i in range(MOST_MASKED + 10)])
    layers = layered(many, (20, 20))
    assert np.unique(layers).tolist() == list(range(MOST_MASKED + 1))
