"""Rotated IoU against exact rational arithmetic, above all where boxes nearly coincide."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import pytest
import torch
from torch import Tensor

from visrun import boxes
from visrun.boxes.formats import half_extent
from visrun.boxes.pairing import near_pairs
from visrun.boxes.polygons import hulls, polygon_iou_of
from visrun.boxes.rotated import rotated_iou_of

Pairs = tuple[Tensor, Tensor]
Measure = Callable[[list[float], list[float]], float]


def uniform(count: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=g, dtype=torch.float64)


def random_boxes(count: int, g: torch.Generator, *, spread: float = 30, low: float = 5, high: float = 60) -> Tensor:
    centre = [uniform(count, -spread, spread, g) for _ in range(2)]
    size = [uniform(count, low, high, g) for _ in range(2)]
    return torch.stack([*centre, *size, uniform(count, -4, 4, g)], 1)


def moved(b: Tensor, along: Tensor | float, across: Tensor | float) -> Tensor:
    """Shifted in its own frame."""
    c, s = b[:, 4].cos(), b[:, 4].sin()
    b = b.clone()
    b[:, 0] += c * along - s * across
    b[:, 1] += s * along + c * across
    return b


def changed(b: Tensor, column: int, values: Tensor | float) -> Tensor:
    b = b.clone()
    b[:, column] = values
    return b


def powers(count: int, low: float, high: float, g: torch.Generator) -> Tensor:
    return 10 ** uniform(count, low, high, g)


def overlapping(n: int, g: torch.Generator) -> Pairs:
    return random_boxes(n, g), random_boxes(n, g)


def apart(n: int, g: torch.Generator) -> Pairs:
    return random_boxes(n, g, spread=300), random_boxes(n, g, spread=300)


def identical(n: int, g: torch.Generator) -> Pairs:
    b = random_boxes(n, g)
    return b, b.clone()


def shifted_slightly(n: int, g: torch.Generator) -> Pairs:
    b = random_boxes(n, g)
    return b, moved(b, powers(n, -12, -3, g), powers(n, -12, -3, g))


def turned_slightly(n: int, g: torch.Generator) -> Pairs:
    b = random_boxes(n, g)
    return b, changed(b, 4, b[:, 4] + powers(n, -16, -3, g))


def resized_slightly(n: int, g: torch.Generator) -> Pairs:
    b = random_boxes(n, g)
    return b, changed(changed(b, 2, b[:, 2] * (1 + powers(n, -15, -3, g))), 3, b[:, 3] * (1 - powers(n, -15, -3, g)))


def beyond_a_period(n: int, g: torch.Generator) -> Pairs:
    b = random_boxes(n, g)
    return b, changed(b, 4, b[:, 4] + pi * torch.randint(-9, 10, (n,), generator=g))


def swapped_sides(n: int, g: torch.Generator) -> Pairs:
    b = random_boxes(n, g)
    return b, torch.stack([b[:, 0], b[:, 1], b[:, 3], b[:, 2], b[:, 4] + pi / 2], 1)


def sharing_an_edge(n: int, g: torch.Generator) -> Pairs:
    b = random_boxes(n, g)
    return b, moved(b, b[:, 2], 0.0)


def sharing_a_corner(n: int, g: torch.Generator) -> Pairs:
    b = random_boxes(n, g)
    return b, moved(b, b[:, 2], b[:, 3])


def halves_of(n: int, g: torch.Generator) -> Pairs:
    """Three edges on one line with the other's."""
    b = random_boxes(n, g)
    return b, moved(changed(b, 2, b[:, 2] / 2), b[:, 2] / 4, 0.0)


def nested(n: int, g: torch.Generator) -> Pairs:
    b = random_boxes(n, g)
    inner = b.clone()
    inner[:, 2:4] *= 0.3
    return b, changed(inner, 4, uniform(n, -4, 4, g))


def degenerate(n: int, g: torch.Generator) -> Pairs:
    a, b = random_boxes(n, g), random_boxes(n, g)
    a[::2, 2] = 0
    b[::3, 3] = 0
    return a, b


def any_scale(n: int, g: torch.Generator) -> Pairs:
    a, b = overlapping(n, g)
    scale = powers(n, -9, 9, g)[:, None]
    return torch.cat([a[:, :4] * scale, a[:, 4:]], 1), torch.cat([b[:, :4] * scale, b[:, 4:]], 1)


def any_two_sizes(n: int, g: torch.Generator) -> Pairs:
    a, b = overlapping(n, g)
    a[:, 2:4] *= powers(n, -6, 2, g)[:, None]
    return a, b


def thin(n: int, g: torch.Generator) -> Pairs:
    a, b = overlapping(n, g)
    for part in (a, b):
        part[:, 3] = part[:, 2] / 1000
    b[: n // 2] = a[: n // 2]
    b[: n // 2, 4] += powers(n // 2, -12, -2, g)
    return a, b


def quarter_turns(n: int, g: torch.Generator) -> Pairs:
    """On a grid of half pixels, upright and lying."""
    a, b = (random_boxes(n, g, spread=8, low=1, high=12).mul(2).round().div(2) for _ in range(2))
    a[:, 4] = pi / 2 * torch.randint(-6, 7, (n,), generator=g)
    b[:, 4] = pi / 2 * torch.randint(-6, 7, (n,), generator=g)
    return a, b


def diagonal_grid(n: int, g: torch.Generator) -> Pairs:
    a, b = quarter_turns(n, g)
    return changed(a, 4, pi / 4), changed(b, 4, b[:, 4] + pi / 4)


def far_from_the_origin(n: int, g: torch.Generator) -> Pairs:
    a, b = overlapping(n, g)
    return changed(a, 0, a[:, 0] + 20_000), changed(b, 0, b[:, 0] + 20_000)


# The bound on the error. The corners of a thin box are rounded by a larger share of its height.
FAMILIES: dict[Callable[[int, torch.Generator], Pairs], float] = {
    overlapping: 1e-14,
    apart: 1e-14,
    identical: 1e-14,
    shifted_slightly: 1e-14,
    turned_slightly: 1e-14,
    resized_slightly: 1e-14,
    beyond_a_period: 1e-14,
    swapped_sides: 1e-14,
    sharing_an_edge: 1e-14,
    sharing_a_corner: 1e-14,
    halves_of: 1e-14,
    nested: 1e-14,
    degenerate: 1e-14,
    any_scale: 1e-14,
    any_two_sizes: 1e-14,
    thin: 1e-12,
    quarter_turns: 1e-14,
    diagonal_grid: 1e-14,
    far_from_the_origin: 1e-14,
}
EXACT = [pytest.param(40, id="few"), pytest.param(2000, id="many", marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", EXACT)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_rotated_iou_is_the_rational_one(
    family: Callable[[int, torch.Generator], Pairs], count: int, rational_iou: Measure
) -> None:
    a, b = family(count, torch.Generator().manual_seed(count))
    ours, other_way = boxes.rotated_iou(a, b), boxes.rotated_iou(b, a)
    assert (ours - other_way).abs().max() < FAMILIES[family]
    assert ours.min() >= 0 and ours.max() <= 1
    middle = slice(max(0, count // 2 - 125), count // 2 + 125)  # rational numbers take long
    a, b, ours = a[middle], b[middle], ours[middle]
    truth = torch.tensor([rational_iou(p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)], dtype=torch.float64)
    assert (ours - truth).abs().max() < FAMILIES[family]
    assert (other_way[middle] - truth).abs().max() < FAMILIES[family]
    polygons = boxes.polygon_iou(boxes.le90_to_quads(a), boxes.le90_to_quads(b))
    assert (polygons - truth).abs().max() < 1e-11  # corners are rounded before they are compared


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_no_pair_that_overlaps_is_left_out(family: Callable[[int, torch.Generator], Pairs]) -> None:
    a, b = family(50, torch.Generator().manual_seed(3))
    full = boxes.rotated_iou(a[:, None], b)
    first, second = near_pairs(a[:, :2], half_extent(a), b[:, :2], half_extent(b))
    found = torch.zeros(50, 50, dtype=torch.float64).index_put((first, second), rotated_iou_of(a, b, first, second))
    torch.testing.assert_close(found, full, rtol=0, atol=1e-13)
    a, b = boxes.le90_to_quads(a), boxes.le90_to_quads(b)
    first, second = near_pairs(*hulls(a), *hulls(b))
    found = torch.zeros(50, 50, dtype=torch.float64).index_put((first, second), polygon_iou_of(a, b, first, second))
    torch.testing.assert_close(found, boxes.polygon_iou(a[:, None], b), rtol=0, atol=1e-11)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_slopes_are_finite_everywhere(family: Callable[[int, torch.Generator], Pairs]) -> None:
    a, b = (part.requires_grad_() for part in family(200, torch.Generator().manual_seed(7)))
    boxes.rotated_iou(a, b).sum().backward()
    assert a.grad is not None and b.grad is not None
    assert a.grad.isfinite().all() and b.grad.isfinite().all()
