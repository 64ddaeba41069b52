"""Which location learns which object: cases worked out by hand, and what holds for any."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from visrun.detection.assign import ANCHOR, LEAST, NEAR, Assigned, assign, offsets
from visrun.models.dense import points_of

SIDE = 128


def grid(*strides: int, side: int = SIDE) -> Tensor:
    return points_of([(-(-side // s), -(-side // s)) for s in strides], strides, torch.device("cpu"))


def given_to(points: Tensor, *boxes: list[float], ignored: tuple[int, ...] = ()) -> Assigned:
    """Of one image whose objects are these (x, y, w, h, angle)."""
    rows = torch.tensor([boxes], dtype=torch.float32).view(1, -1, 5)
    skip = torch.zeros(1, len(boxes), dtype=torch.bool)
    skip[0, list(ignored)] = True
    return assign(points, rows, real=~skip, ignored=skip)


def where(points: Tensor, found: Assigned, row: int) -> list[tuple[float, ...]]:
    """The locations that learn an object, as (x, y, stride)."""
    return sorted(tuple(p) for p in points[found.positive[0] & (found.row[0] == row)].tolist())


def test_an_object_that_nine_anchors_hold_is_learnt_by_the_nine_locations_at_its_centre() -> None:
    points = grid(8, 16, 32)
    found = given_to(points, [60.0, 60.0, 48.0, 48.0, 0.0])  # the centre of location 7 of the finest level
    assert where(points, found, 0) == [(x, y, 8.0) for x in (52.0, 60.0, 68.0) for y in (52.0, 60.0, 68.0)]


def test_a_larger_object_is_learnt_on_a_coarser_level() -> None:
    points = grid(8, 16, 32)
    levels = [
        {stride for *_, stride in where(points, given_to(points, [64.0, 64.0, s, s, 0.0]), 0)} for s in (40, 120, 250)
    ]
    assert levels == [{8.0}, {16.0}, {32.0}]


def test_candidates_must_overlap_more_than_most() -> None:
    """An object as large as the anchor: 1 at the centre, 56 * 64 / (2 * 64^2 - 56 * 64) = 0.78 beside it, 0.62 at the
    diagonals; on the next level 0.25. Mean plus deviation is 0.68."""
    points = grid(8, 16)
    found = given_to(points, [60.0, 60.0, 64.0, 64.0, 0.0])
    plus = [(52.0, 60.0, 8.0), (60.0, 52.0, 8.0), (60.0, 60.0, 8.0), (60.0, 68.0, 8.0), (68.0, 60.0, 8.0)]
    assert where(points, found, 0) == plus


def test_the_best_candidates_always_learn() -> None:
    """Between two levels, 90 pixels overlap the anchors of both by half, and on three levels mean plus deviation is
    above all of it."""
    points = grid(8, 16, 32, side=160)
    assert {s for *_, s in where(points, given_to(points, [76.0, 76.0, 90.0, 90.0, 0.0]), 0)} == {8.0}


def test_two_objects_share_no_location_and_the_smaller_has_it() -> None:
    points = grid(8)
    found = given_to(points, [60.0, 60.0, 48.0, 48.0, 0.0], [60.0, 60.0, 12.0, 12.0, 0.0])
    assert where(points, found, 1) == [(60.0, 60.0, 8.0)]
    assert len(where(points, found, 0)) == 8


def test_of_two_as_large_the_nearer_has_a_location() -> None:
    points = grid(8)
    near, far = [56.0, 60.0, 30.0, 30.0, 0.0], [72.0, 60.0, 30.0, 30.0, 0.0]  # the anchors hold both
    for one, other in ((near, far), (far, near)):
        found = given_to(points, one, other)
        for x, y, _ in where(points, found, 0):
            assert math.hypot(x - one[0], y - one[1]) <= math.hypot(x - other[0], y - other[1])
        assert len(where(points, found, 0)) == len(where(points, found, 1))


def test_of_two_that_fit_the_same_locations_the_larger_keeps_its_best_one() -> None:
    points = grid(8)
    found = given_to(points, [61.0, 60.0, 48.0, 48.0, 0.0], [60.0, 60.0, 40.0, 40.0, 0.0])
    assert len(where(points, found, 1)) == 8
    assert len(where(points, found, 0)) == 1


def test_of_two_that_fit_one_location_alone_the_smaller_has_it() -> None:
    points = grid(32)
    found = given_to(points, [48.0, 48.0, 12.0, 12.0, 0.0], [48.0, 48.0, 10.0, 10.0, 0.0])
    assert [where(points, found, row) for row in (0, 1)] == [[], [(48.0, 48.0, 32.0)]]


PLACES = st.tuples(st.floats(40, 88), st.floats(40, 88))


@settings(max_examples=60, deadline=None)
@given(PLACES, st.floats(16, 32), st.floats(1.2, 2.5), st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)))
def test_an_object_and_what_lies_within_it_are_both_learnt(
    centre: tuple[float, ...], side: float, ratio: float, aside: tuple[float, ...]
) -> None:
    points, whole = grid(8, 16, 32), side * ratio
    inner = [c + share * (whole - side) for c, share in zip(centre, aside, strict=True)]
    found = given_to(points, [*centre, whole, whole, 0.0], [*inner, side, side, 0.0])
    assert all(where(points, found, row) for row in (0, 1))


def test_an_object_smaller_than_the_finest_stride_has_a_location_all_the_same() -> None:
    points = grid(8, 16, 32)
    assert where(points, given_to(points, [61.0, 59.0, 1.0, 1.0, 0.0]), 0) == [(60.0, 60.0, 8.0)]
    assert len(where(points, given_to(points, [64.0, 64.0, 2.0, 1.0, 1.0]), 0)) == 4  # between four of them


def test_an_object_larger_than_the_image_is_learnt_on_the_coarsest_level() -> None:
    points = grid(8, 16, 32)
    assert {s for *_, s in where(points, given_to(points, [64.0, 64.0, 4000.0, 3000.0, 0.0]), 0)} == {32.0}


def test_a_turned_object_is_learnt_inside_of_itself() -> None:
    points = grid(8)
    found = given_to(points, [60.0, 60.0, 40.0, 14.0, math.pi / 4])
    assert {(60.0, 60.0, 8.0), (68.0, 68.0, 8.0), (52.0, 52.0, 8.0)} <= set(where(points, found, 0))
    assert (68.0, 52.0, 8.0) not in where(points, found, 0)


@pytest.mark.parametrize("shape", [(0, 5), (3, 5)])
def test_without_objects_all_is_background(shape: tuple[int, int]) -> None:
    rows = torch.full((2, *shape), -1.0)
    nothing = torch.zeros(2, shape[0], dtype=torch.bool)
    if not shape[0]:
        rows, nothing = torch.full((2, 1, 5), -1.0), torch.zeros(2, 1, dtype=torch.bool)
    found = assign(grid(8), rows, real=nothing, ignored=nothing)
    assert not found.positive.any()
    assert found.counted.all()
    assert not found.row.any()


def test_a_location_inside_an_ignored_object_is_neither_background_nor_an_example() -> None:
    points = grid(8)
    found = given_to(points, [60.0, 60.0, 40.0, 40.0, 0.0], ignored=(0,))
    assert not found.positive.any()
    inside = ((points[:, :2] - 60).abs() < 20).all(1)
    assert found.counted[0].tolist() == (~inside).tolist()


def test_a_real_object_inside_an_ignored_one_is_learnt() -> None:
    points = grid(8)
    found = given_to(points, [60.0, 60.0, 48.0, 48.0, 0.0], [60.0, 60.0, 120.0, 120.0, 0.0], ignored=(1,))
    assert len(where(points, found, 0)) == 9
    assert found.counted[0, found.positive[0]].all()
    assert not found.counted.all()


@pytest.mark.parametrize("box", [[60, 60, 0, 0, 0], [60, 60, 30, 0, 0], [-500, 40, 20, 20, 0], [-1, -1, -1, -1, -1]])
def test_boxes_without_an_area_or_outside_are_harmless(box: list[float]) -> None:
    found = given_to(grid(8, 16), box)
    assert not found.positive.any()
    assert found.counted.all()


def reference(points: Tensor, boxes: Tensor) -> list[list[int]]:
    """Locations of each object, by loops, an object at a time and without the rule of one object a location."""
    chosen = []
    for x, y, w, h, angle in boxes.tolist():
        cos, sin = math.cos(angle), math.sin(angle)
        overlaps = {}
        for i, (px, py, s) in enumerate(points.tolist()):
            u, v = cos * (px - x) + sin * (py - y), cos * (py - y) - sin * (px - x)
            if max(abs(u), abs(v)) > NEAR * s:
                continue
            side = ANCHOR * s / 2
            wide = max(0.0, min(u + side, w / 2) - max(u - side, -w / 2))
            high = max(0.0, min(v + side, h / 2) - max(v - side, -h / 2))
            overlaps[i] = (wide * high / (4 * side**2 + w * h - wide * high), u, v, s)
        values = torch.tensor([value for value, *_ in overlaps.values()], dtype=torch.float64)
        least = min(float(values.mean() + values.std()), float(values.max())) if len(values) > 1 else 0.0
        chosen.append(
            [
                i
                for i, (value, u, v, s) in overlaps.items()
                if value >= max(least - 1e-9, 1e-9)
                and abs(u) < max(w / 2, LEAST * s)
                and abs(v) < max(h / 2, LEAST * s)
            ]
        )
    return chosen


@settings(max_examples=40, deadline=None)
@given(st.floats(0, SIDE), st.floats(0, SIDE), st.floats(3, 200), st.floats(3, 200), st.floats(-1.5, 1.5))
def test_it_agrees_with_loops(x: float, y: float, w: float, h: float, angle: float) -> None:
    points, box = grid(8, 16, 32).double(), torch.tensor([[x, y, w, h, angle]], dtype=torch.float64)
    found = assign(
        points, box[None], real=torch.ones(1, 1, dtype=torch.bool), ignored=torch.zeros(1, 1, dtype=torch.bool)
    )
    expected = set(reference(points, box)[0])
    mine = set(found.positive[0].nonzero().flatten().tolist())
    assert len(mine ^ expected) <= 2  # what lies on the very threshold may fall on either side of it


def test_offsets_are_seen_in_the_boxs_own_frame() -> None:
    along, across = offsets(torch.tensor([[3.0, 5.0, 8.0]]), torch.tensor([[[1.0, 1.0, 9.0, 9.0, math.pi / 2]]]))
    assert along.item() == pytest.approx(4.0, abs=1e-6)
    assert across.item() == pytest.approx(-2.0, abs=1e-6)
