"""Polygon IoU: by hand, and against exact rational arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import pytest
import torch
from torch import Tensor

from visrun import boxes

Measure = Callable[[list[float], list[float]], float]


def star(count: int, corners: int, g: torch.Generator) -> Tensor:
    """Polygons around a centre with radii from 0.2 to 1: simple, and mostly concave."""
    gaps = 0.2 + torch.rand(count, corners, generator=g, dtype=torch.float64)
    angle = 2 * pi * (gaps / gaps.sum(1, keepdim=True)).cumsum(1)
    radius = 20 * (0.2 + 0.8 * torch.rand(count, corners, generator=g, dtype=torch.float64))
    centre = 10 * torch.rand(count, 1, 2, generator=g, dtype=torch.float64)
    return (centre + torch.stack([radius * angle.cos(), radius * angle.sin()], -1)).flatten(1)


@pytest.mark.parametrize("count", [pytest.param(30, id="few"), pytest.param(150, id="many", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("corners", "others"), [(4, 4), (3, 5), (7, 4), (9, 8)])
def test_polygon_iou_is_the_rational_one(corners: int, others: int, count: int, rational_polygon_iou: Measure) -> None:
    g = torch.Generator().manual_seed(corners)
    a, b = star(count, corners, g), star(count, others, g)
    a[::2] = a[::2].unflatten(1, (corners, 2)).flip(1).flatten(1)  # the other way around
    if corners == others:
        b[::3] = a[::3] + 1e-9
    truth = [rational_polygon_iou(p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)]
    assert (boxes.polygon_iou(a, b) - torch.tensor(truth, dtype=torch.float64)).abs().max() < 1e-13
    assert (boxes.polygon_iou(a, a) - 1).abs().max() < 1e-13


def test_polygon_iou_by_hand() -> None:
    square = torch.tensor([[0.0, 0, 4, 0, 4, 4, 0, 4]])
    ell = torch.tensor([[0.0, 0, 4, 0, 4, 1, 1, 1, 1, 4, 0, 4]])  # 7 of the square's 16
    notch = torch.tensor([[1.0, 1, 4, 1, 4, 4, 1, 4]])  # what the L leaves out
    arrow = torch.tensor([[0.0, 0, 4, 4, 4, 0, 2, 1]])  # a dart: 8 less the 2 that the corner (2, 1) takes
    torch.testing.assert_close(boxes.polygon_iou(square, ell), torch.tensor([7 / 16]))
    assert boxes.polygon_iou(notch, ell).item() == 0
    torch.testing.assert_close(boxes.polygon_iou(square, arrow), torch.tensor([6 / 16]))
    padded = torch.cat([ell, ell[:, -2:], ell[:, -2:]], 1)  # a corner said three times
    torch.testing.assert_close(boxes.polygon_iou(square, padded), torch.tensor([7 / 16]))
    point = torch.ones(1, 8)
    assert boxes.polygon_iou(point, square).item() == boxes.polygon_iou(point, point).item() == 0
