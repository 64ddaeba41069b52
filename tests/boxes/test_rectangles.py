"""Smallest rectangles: by hand, against every direction tried, and of masks against their pixels."""

from __future__ import annotations

from math import pi

import pytest
import torch
from torch import Tensor

from visrun import boxes


def least_area(points: Tensor, directions: int = 3600) -> float:
    """Of all rectangles around (P, 2), by trial."""
    angle = torch.linspace(0, pi / 2, directions, dtype=torch.float64)
    c, s = angle.cos(), angle.sin()
    u, v = points[:, :1] * c + points[:, 1:] * s, points[:, 1:] * c - points[:, :1] * s
    return ((u.amax(0) - u.amin(0)) * (v.amax(0) - v.amin(0))).min().item()


def outside(box: Tensor, points: Tensor) -> float:
    """How far the furthest of the points sticks out."""
    away, c, s = points - box[:2], box[4].cos(), box[4].sin()
    u, v = c * away[:, 0] + s * away[:, 1], c * away[:, 1] - s * away[:, 0]
    return max((u.abs() - box[2] / 2).max().item(), (v.abs() - box[3] / 2).max().item())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 30, 120])
def test_around_points(count: int) -> None:
    g = torch.Generator().manual_seed(count)
    points = torch.randn(20, count, 2, generator=g, dtype=torch.float64) * torch.tensor([30.0, 10.0]) + 100
    for box, inside in zip(boxes.points_to_le90(points), points, strict=True):
        assert outside(box, inside) < 1e-9
        area, tried = (box[2] * box[3]).item(), least_area(inside)
        assert area <= tried + 1e-9
        assert area >= tried - 5e-4 * (box[2] ** 2 + box[3] ** 2).item()  # trial is up to 0.013 degrees off


@pytest.mark.parametrize("count", [9, 40])
def test_on_a_grid_points_repeat_and_line_up(count: int) -> None:
    g = torch.Generator().manual_seed(0)
    points = torch.randint(0, count // 3, (100, count, 2), generator=g).double()
    for box, inside in zip(boxes.points_to_le90(points), points, strict=True):
        assert outside(box, inside) < 1e-9
        assert (box[2] * box[3]).item() <= least_area(inside) + 1e-9


def large_sets() -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(0)
    along = torch.linspace(0, 1, 300, dtype=torch.float64)
    arc = torch.stack([-(pi * along).sin(), along], 1)
    behind = torch.cat([arc, torch.tensor([[-40.0, 1.5]], dtype=torch.float64)])  # hides most of the arc
    return {
        "cloud": torch.randn(1, 400, 2, generator=g, dtype=torch.float64),
        "circle": torch.stack([(2 * pi * along).cos(), (2 * pi * along).sin()], 1)[None],
        "arc behind a point": behind[None],
        "all the same": torch.full((2, 50, 2), 7.0, dtype=torch.float64),
        "line": torch.stack([along, 2 * along], 1)[None],
        "level line": torch.stack([along, 0 * along], 1)[None],
        "star": torch.stack([(1 + along * 40 % 1) * (7 * along).cos(), (1 + along * 40 % 1) * (7 * along).sin()], 1)[
            None
        ],
    }


@pytest.mark.parametrize("name", large_sets())
def test_thinning_loses_no_corner(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = large_sets()[name]
    points = points[:, torch.randperm(points.shape[1], generator=torch.Generator().manual_seed(1))]
    thinned = boxes.points_to_le90(points)
    monkeypatch.setattr("visrun.boxes.rectangles.FEW", 10_000)
    whole = boxes.points_to_le90(points)
    for box, other, inside in zip(thinned, whole, points, strict=True):
        assert outside(box, inside) < 1e-9
        torch.testing.assert_close(box[2] * box[3], other[2] * other[3], rtol=1e-9, atol=1e-12)


def test_only_valid_points_count() -> None:
    square = [[0.0, 0], [4, 0], [4, 2], [0, 2], [99, 99], [-7, 3]]
    valid = [[True] * 4 + [False] * 2, [False] * 6, [False] * 4 + [True, False]]
    found = boxes.points_to_le90(torch.tensor([square] * 3), torch.tensor(valid))
    torch.testing.assert_close(found, torch.tensor([[2.0, 1, 4, 2, 0], [0] * 5, [99, 99, 0, 0, 0]]))
    alone = boxes.points_to_le90(torch.tensor([square]).flip(1), torch.tensor(valid[:1]).flip(1))
    torch.testing.assert_close(alone, found[:1])


def test_points_on_a_line_and_none() -> None:
    line = torch.stack([torch.arange(5.0), torch.arange(5.0)], 1)[None]
    torch.testing.assert_close(boxes.points_to_le90(line), torch.tensor([[2, 2, 4 * 2**0.5, 0, pi / 4]]))
    assert boxes.points_to_le90(torch.zeros(0, 4, 2)).shape == (0, 5)
    assert boxes.points_to_le90(torch.zeros(2, 0, 2)).tolist() == [[0] * 5] * 2


def test_a_true_quad_gets_the_smallest_rectangle_around_it() -> None:
    trapezoid = torch.tensor([0.0, 0, 8, 0, 6, 3, 2, 3])
    torch.testing.assert_close(boxes.quads_to_le90(trapezoid), torch.tensor([4, 1.5, 8, 3, 0]))
    dart = torch.tensor([0.0, 0, 4, 4, 4, 0, 2, 1])
    found = boxes.quads_to_le90(dart)
    torch.testing.assert_close(found[2] * found[3], torch.tensor(16.0))


def rasterised(box: Tensor, height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    dx, dy, c, s = x - box[0], y - box[1], box[4].cos(), box[4].sin()
    return ((c * dx + s * dy).abs() <= box[2] / 2) & ((c * dy - s * dx).abs() <= box[3] / 2)


def test_masks_of_boxes_give_them_back() -> None:
    g = torch.Generator().manual_seed(1)
    truth = torch.rand(40, 5, generator=g) * torch.tensor([40, 30, 50, 20, 3.0]) + torch.tensor([40, 40, 20, 8, -1.5])
    masks = torch.stack([rasterised(box, 110, 130) for box in truth])
    found = boxes.masks_to_le90(masks)
    assert boxes.rotated_iou(found, truth).min() > 0.8  # the squares of the pixels stick out by up to 0.7 a side
    assert boxes.rotated_iou(found, truth).mean() > 0.9


def test_masks_are_their_pixels_squares() -> None:
    g = torch.Generator().manual_seed(2)
    masks = torch.rand(60, 9, 12, generator=g) < torch.linspace(0.01, 0.4, 60)[:, None, None]
    masks[:, :, 0] |= ~masks.flatten(1).any(1, keepdim=True)  # none empty
    found = boxes.masks_to_le90(masks)
    for box, mask in zip(found.double(), masks, strict=True):
        y, x = mask.nonzero().double().unbind(1)
        corners = torch.cat([torch.stack([x + i, y + j], 1) for i in (0, 1) for j in (0, 1)])
        assert outside(box, corners) < 1e-4
        whole = boxes.points_to_le90(corners[None])[0]
        assert (box[2] * box[3]).item() == pytest.approx((whole[2] * whole[3]).item(), rel=1e-5)


def test_masks_by_hand_and_none() -> None:
    masks = torch.zeros(4, 6, 8, dtype=torch.uint8)
    masks[0, 2, 3] = 1
    masks[1, 1:3, 2:7] = 255
    masks[2, 0, 0] = masks[2, 5, 0] = 1  # two parts
    torch.testing.assert_close(
        boxes.masks_to_le90(masks),
        torch.tensor([[3.5, 2.5, 1, 1, 0], [4.5, 2, 5, 2, 0], [0.5, 3, 6, 1, -pi / 2], [0] * 5]),
    )
    for shape in ((0, 4, 4), (2, 0, 4), (2, 4, 0)):
        assert boxes.masks_to_le90(torch.zeros(shape)).equal(torch.zeros(shape[0], 5))


def test_large_sets_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.Generator().manual_seed(4)
    points, masks = torch.rand(7, 10, 2, generator=g), torch.rand(7, 10, 10, generator=g) < 0.3
    whole = boxes.points_to_le90(points), boxes.masks_to_le90(masks)
    monkeypatch.setattr("visrun.boxes.rectangles.CHUNK", 1)
    assert boxes.points_to_le90(points).equal(whole[0]) and boxes.masks_to_le90(masks).equal(whole[1])
