"""Formats there and back, the canonical form, and what is cut off at an image's edge."""

from __future__ import annotations

from math import pi

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from visrun import boxes

BOX = st.tuples(*(st.floats(-500, 500),) * 2, *(st.floats(0, 300),) * 2, st.floats(-20, 20))
TO = [
    (boxes.xyxy_to_cxcywh, 4, 4),
    (boxes.xyxy_to_le90, 4, 5),
    (boxes.canonical, 5, 5),
    (boxes.le90_to_quads, 5, 8),
    (boxes.le90_to_xyxy, 5, 4),
    (boxes.polygons_to_xyxy, 8, 4),
    (boxes.quads_to_le90, 8, 5),
]


def apart(one: Tensor, two: Tensor) -> float:
    """The greatest distance of a corner of one quad (8,) from the nearest corner of the other."""
    distances = (one.reshape(4, 1, 2) - two.reshape(1, 4, 2)).norm(dim=2)
    return float(torch.maximum(distances.amin(0), distances.amin(1)).max())


def test_formats_by_hand() -> None:
    xyxy = torch.tensor([[10.0, 20.0, 50.0, 30.0], [0.0, 0.0, 2.0, 6.0]])
    assert boxes.xyxy_to_cxcywh(xyxy).tolist() == [[30, 25, 40, 10], [1, 3, 2, 6]]
    assert boxes.xyxy_to_le90(xyxy).tolist() == [[30, 25, 40, 10, 0], [1, 3, 2, 6, 0]]
    le90 = torch.tensor([[30, 25, 40, 10, 0], [1, 3, 6, 2, -pi / 2]])
    torch.testing.assert_close(boxes.le90_to_xyxy(le90), xyxy)
    quads = boxes.le90_to_quads(le90)
    assert quads[0].tolist() == [10, 20, 50, 20, 50, 30, 10, 30]
    torch.testing.assert_close(boxes.polygons_to_xyxy(quads), xyxy)
    # A quarter of a quarter turn is clockwise as drawn: the right end of the long side goes down.
    quad = boxes.le90_to_quads(torch.tensor([0.0, 0.0, 10.0, 0.0, pi / 4]))
    torch.testing.assert_close(quad[2:4], torch.tensor([5.0, 5.0]) / 2**0.5)
    torch.testing.assert_close(
        boxes.le90_to_xyxy(torch.tensor([0, 0, 2.0, 2.0, pi / 4])).abs(), torch.full((4,), 2**0.5)
    )


def test_vectors_turn_clockwise_as_drawn() -> None:
    one, none = torch.ones(1), torch.zeros(1)
    for angle, expected in ((0.0, (1, 0)), (pi / 2, (0, 1)), (-pi / 2, (0, -1)), (pi / 6, (0.75**0.5, 0.5))):
        there = boxes.turn(one, none, torch.tensor([angle]))
        assert torch.cat(there).tolist() == pytest.approx(expected, abs=1e-6)
        assert torch.cat(boxes.turn(*there, torch.tensor([-angle]))).tolist() == pytest.approx((1, 0), abs=1e-6)
    along, across = boxes.turn(torch.rand(3, 1, 4), torch.rand(4), torch.rand(2, 1))
    assert along.shape == across.shape == (3, 2, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_canonical_form_by_hand(dtype: torch.dtype) -> None:
    angles = {
        0.0: 0.0,
        pi / 2: -pi / 2,
        -pi / 2: -pi / 2,
        pi: 0.0,
        3 * pi / 4: -pi / 4,
        -1e-20: -1e-20,
        100 * pi + 1: 1.0,
    }
    for angle, expected in angles.items():
        long = boxes.canonical(torch.tensor([1, 2, 9, 4, angle], dtype=dtype))
        torch.testing.assert_close(long, torch.tensor([1, 2, 9, 4, expected], dtype=dtype), rtol=0, atol=2e-5)
        high = boxes.canonical(torch.tensor([1, 2, 4, 9, angle - pi / 2], dtype=dtype))
        turn = high[4] - expected
        assert high[2] == 9 and min(abs(turn), abs(turn - pi), abs(turn + pi)) < 2e-5
        for angle_out in (long[4], high[4]):
            assert angle_out >= -pi / 2 and angle_out < pi / 2


@settings(max_examples=200, deadline=None)
@given(BOX, st.sampled_from([torch.float32, torch.float64]))
def test_the_canonical_form_is_the_same_rectangle(box: tuple[float, ...], dtype: torch.dtype) -> None:
    given_box = torch.tensor(box, dtype=dtype)
    canonical = boxes.canonical(given_box)
    assert canonical[2] >= canonical[3]
    assert canonical[4] >= -pi / 2 and canonical[4] < pi / 2
    assert boxes.canonical(canonical).equal(canonical)
    apart = torch.cdist(boxes.le90_to_quads(canonical).view(4, 2), boxes.le90_to_quads(given_box).view(4, 2))
    assert apart.amin(0).max() < (1e-2 if dtype is torch.float32 else 1e-9)


@settings(max_examples=200, deadline=None)
@given(BOX)
@example((0.0, 0.0, 2.0, 0.0, 5e-324))  # nearly level: its corners differ by less than a slope can say
def test_quads_there_and_back(box: tuple[float, ...]) -> None:
    given_box = torch.tensor(box, dtype=torch.float64)
    quad = boxes.le90_to_quads(given_box)
    back = boxes.quads_to_le90(quad)
    assert apart(boxes.le90_to_quads(back), quad) <= 1e-6
    torch.testing.assert_close(back[2:4], boxes.canonical(given_box)[2:4], rtol=0, atol=1e-9)
    torch.testing.assert_close(boxes.le90_to_xyxy(given_box), boxes.polygons_to_xyxy(quad), rtol=0, atol=1e-9)


def test_the_order_of_corners_does_not_matter() -> None:
    box = torch.tensor([40.0, 30.0, 20.0, 8.0, 0.5], dtype=torch.float64)
    corners = boxes.le90_to_quads(box).view(4, 2)
    for start in range(4):
        for points in (corners.roll(start, 0), corners.roll(start, 0).flip(0)):
            torch.testing.assert_close(boxes.quads_to_le90(points.flatten()), box)


@pytest.mark.parametrize(("convert", "columns", "result"), TO, ids=[to[0].__name__ for to in TO])
def test_shapes_and_precision(convert, columns: int, result: int) -> None:
    for shape in ((), (0,), (3,), (2, 0), (2, 3)):
        assert convert(torch.rand(*shape, columns)).shape == (*shape, result)
    exact = torch.rand(5, columns, dtype=torch.float64) * 100
    assert convert(exact).dtype == torch.float64
    for half in (torch.bfloat16, torch.float16):
        assert convert(exact.to(half)).equal(convert(exact.to(half).float()))


def test_cutting_upright_boxes() -> None:
    given_boxes = torch.tensor([[-5.0, -5, 5, 5], [90, 40, 120, 60], [200, 200, 300, 300], [1, 2, 3, 4]])
    cut = boxes.clip_xyxy(given_boxes, (50, 100))
    assert cut.tolist() == [[0, 0, 5, 5], [90, 40, 100, 50], [100, 50, 100, 50], [1, 2, 3, 4]]
    assert boxes.clip_xyxy(given_boxes[:0], (5, 5)).shape == (0, 4)
