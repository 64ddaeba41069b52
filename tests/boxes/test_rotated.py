"""Rotated IoU: by hand, its slopes, and what leaves it as it is."""

from __future__ import annotations

from math import cos, pi, sin

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from visrun import boxes

Pairs = tuple[Tensor, Tensor]


def overlapping(count: int, seed: int) -> Pairs:
    r = torch.rand(2, count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    a, b = r * torch.tensor([40, 40, 55, 55, 8.0]) + torch.tensor([0, 0, 5, 5, -4.0])
    return a, b


def test_rotated_iou_by_hand() -> None:
    def against(*other: float) -> float:
        unit = torch.tensor([0.0, 0.0, 2.0, 2.0, 0.0])
        return boxes.rotated_iou(unit, torch.tensor(other)).item()

    assert against(0, 0, 2, 2, 0) == 1
    assert against(1, 0, 2, 2, 0) == pytest.approx(1 / 3)
    assert against(0, 0, 1, 2, 0) == pytest.approx(1 / 2)
    assert against(0, 0, 2, 1, pi / 2) == pytest.approx(1 / 2)
    octagon = 8 * (2**0.5 - 1)
    assert against(0, 0, 2, 2, pi / 4) == pytest.approx(octagon / (8 - octagon))
    assert against(2, 0, 2, 2, 0) == against(2, 2, 2, 2, 0) == against(9, 0, 2, 2, 1) == 0
    assert against(0, 0, 0, 2, 0) == against(0, 0, 0, 0, 0) == against(0, 0, -2, 2, 0) == 0
    assert against(0, 0, 1e4, 1e4, 1) == pytest.approx(4e-8)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_any_precision_is_computed_in_float64(dtype: torch.dtype) -> None:
    a, b = (part.to(dtype) for part in overlapping(20, 0))
    ours = boxes.rotated_iou(a, b)
    assert ours.dtype == (torch.float64 if dtype is torch.float64 else torch.float32)
    torch.testing.assert_close(ours, boxes.rotated_iou(a.double(), b.double()).to(ours.dtype))
    assert boxes.polygon_iou(boxes.le90_to_quads(a), boxes.le90_to_quads(b)).dtype == ours.dtype


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 3), (3, 0)])
def test_of_nothing(rows: int, columns: int) -> None:
    a, b = torch.rand(rows, 5), torch.rand(columns, 5)
    assert boxes.rotated_iou(a[:, None], b).shape == (rows, columns)
    assert boxes.rotated_intersection(a[:0], b[:0]).shape == (0,)
    a, b = boxes.le90_to_quads(a), boxes.le90_to_quads(b)
    assert boxes.polygon_iou(a[:, None], b).shape == (rows, columns)


def test_slopes_are_the_numeric_ones() -> None:
    a, b = overlapping(12, 5)
    assert ((boxes.rotated_iou(a, b) > 0.05).sum()) >= 6
    a, b = a.requires_grad_(), b.requires_grad_()
    assert torch.autograd.gradcheck(boxes.rotated_iou, (a, b))
    upright = torch.tensor([[0.0, 0, 6, 4, 0]], dtype=torch.float64, requires_grad=True)
    other = torch.tensor([[1.3, 0.4, 5, 5, 0]], dtype=torch.float64, requires_grad=True)
    # Edges in parallel, upright ones among them: smooth there in all but the angles.
    first = torch.autograd.functional.jacobian(lambda v: boxes.rotated_iou(v, other).sum(), upright)
    steps = 1e-6 * torch.eye(5, dtype=torch.float64)
    around = boxes.rotated_iou(upright + steps, other) - boxes.rotated_iou(upright - steps, other)
    torch.testing.assert_close(first[0], (around / 2e-6).detach(), rtol=1e-6, atol=1e-8)


def test_descent_on_the_iou_finds_the_box() -> None:
    target = torch.tensor([[50.0, 40.0, 30.0, 12.0, 0.6]])
    box = torch.tensor([[44.0, 43.0, 22.0, 17.0, 0.1]], requires_grad=True)
    optimizer = torch.optim.Adam([box], lr=0.1)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        optimizer.zero_grad()
        (1 - boxes.rotated_iou(box, target)).sum().backward()
        optimizer.step()
    assert boxes.rotated_iou(box, target).item() > 0.99


BOX = st.tuples(*(st.floats(-50, 50),) * 2, *(st.floats(0.5, 80),) * 2, st.floats(-10, 10))


def pair(a: tuple[float, ...], b: tuple[float, ...]) -> Pairs:
    return torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)


def turned(b: Tensor, angle: float) -> Tensor:
    """About the origin."""
    x, y, w, h, t = b.unbind(1)
    return torch.stack([cos(angle) * x - sin(angle) * y, sin(angle) * x + cos(angle) * y, w, h, t + angle], 1)


@settings(max_examples=150, deadline=None)
@given(BOX, BOX, st.floats(-7, 7), st.floats(-500, 500), st.floats(0.01, 100))
def test_what_leaves_the_iou_as_it_is(
    first: tuple[float, ...], second: tuple[float, ...], angle: float, shift: float, scale: float
) -> None:
    a, b = pair(first, second)
    iou = boxes.rotated_iou(a, b)
    assert 0 <= iou.item() <= 1

    def same(p: Tensor, q: Tensor) -> None:
        torch.testing.assert_close(boxes.rotated_iou(p, q), iou, rtol=0, atol=1e-11)

    same(b, a)
    same(turned(a, angle), turned(b, angle))
    move = torch.tensor([shift, -2 * shift, 0, 0, 0], dtype=torch.float64)
    same(a + move, b + move)
    size = torch.tensor([scale] * 4 + [1.0], dtype=torch.float64)
    same(a * size, b * size)
    same(torch.stack([*a.unbind(1)[:2], a[:, 3], a[:, 2], a[:, 4] + pi / 2], 1), b)
    same(boxes.canonical(a), boxes.canonical(b))
    torch.testing.assert_close(boxes.rotated_iou(a, a), torch.ones(1, dtype=torch.float64), rtol=0, atol=1e-12)
