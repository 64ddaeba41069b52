"""The reference: overlaps in exact rational arithmetic, polygons as lists of points cut by one line after the other."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import cos, sin

import pytest

Point = tuple[Fraction, Fraction]
Measure = Callable[[list[float], list[float]], float]


@pytest.fixture(scope="session")
def rational_iou() -> Measure:
    """Of two rotated boxes (5 numbers)."""
    return exact_iou


@pytest.fixture(scope="session")
def rational_polygon_iou() -> Measure:
    """Of two simple polygons (2V numbers)."""
    return exact_polygon_iou


def exact_corners(box: list[float]) -> list[Point]:
    x, y, w, h = (Fraction(v) for v in box[:4])
    c, s = Fraction(cos(box[4])), Fraction(sin(box[4]))
    ends = [(-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2)]
    return [(x + c * u - s * v, y + s * u + c * v) for u, v in ends]


def closed(polygon: list[Point]) -> list[tuple[Point, Point]]:
    return list(pairwise([*polygon, *polygon[:1]]))


def signed_area(polygon: list[Point]) -> Fraction:
    return sum((p[0] * q[1] - q[0] * p[1] for p, q in closed(polygon)), Fraction(0)) / 2


def side(p: Point, q: Point, r: Point) -> Fraction:
    return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])


def cut(polygon: list[Point], p: Point, q: Point) -> list[Point]:
    """What lies on the inner side of the line from p to q (Sutherland and Hodgman 1974)."""
    kept = []
    for r, s in closed(polygon):
        at_r, at_s = side(p, q, r), side(p, q, s)
        if at_r >= 0:
            kept.append(r)
        if at_r * at_s < 0:
            share = at_r / (at_r - at_s)
            kept.append((r[0] + share * (s[0] - r[0]), r[1] + share * (s[1] - r[1])))
    return kept


def common_area(a: list[Point], b: list[Point]) -> Fraction:
    """Of two convex polygons, both in the direction of positive area."""
    for p, q in closed(b):
        a = cut(a, p, q)
    return signed_area(a)


def exact_iou(a: list[float], b: list[float]) -> float:
    p, q = exact_corners(a), exact_corners(b)
    area_p, area_q = signed_area(p), signed_area(q)
    if area_p == 0 or area_q == 0:
        return 0.0
    inside = common_area(p, q)
    return float(inside / (area_p + area_q - inside))


def exact_polygon_iou(a: list[float], b: list[float]) -> float:
    """Of simple polygons of either direction, convex or not: as signed sums of triangles from the first corner."""

    def fan(numbers: list[float]) -> tuple[list[tuple[int, list[Point]]], Fraction]:
        points = [(Fraction(x), Fraction(y)) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
        area = signed_area(points)
        triangles = []
        for p, q in pairwise(points[1:]):
            sign = 1 if side(points[0], p, q) * area > 0 else -1
            triangles.append((sign, [points[0], p, q] if side(points[0], p, q) > 0 else [points[0], q, p]))
        return triangles, abs(area)

    (first, area_a), (second, area_b) = fan(a), fan(b)
    inside = sum((s * t * common_area(p, q) for s, p in first for t, q in second), Fraction(0))
    return float(inside / (area_a + area_b - inside)) if area_a + area_b else 0.0
