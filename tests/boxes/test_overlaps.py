"""Axis-aligned overlaps by hand and against torchvision; Gaussian measures against covariances multiplied out."""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi

import pytest
import torch
import torchvision.ops as ops
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from visrun import boxes

Measure = Callable[[Tensor, Tensor], Tensor]
KINDS: list[Measure] = [boxes.iou, boxes.giou, boxes.diou, boxes.ciou]


def upright(count: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    r = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 60
    return torch.cat([r[:, :2], r[:, :2] + 1 + r[:, 2:]], 1)


def rotated(count: int, seed: int) -> Tensor:
    r = torch.rand(count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return r * torch.tensor([30, 30, 40, 20, 6.0]) + torch.tensor([0, 0, 3, 3, -3.0])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_agreement_with_torchvision(kind: Measure) -> None:
    a, b = upright(50, 0), upright(40, 1)
    if kind is boxes.iou:
        theirs = ops.box_iou(a, b)
    else:
        theirs = {
            boxes.giou: ops.generalized_box_iou,
            boxes.diou: ops.distance_box_iou,
            boxes.ciou: ops.complete_box_iou,
        }[kind](a, b)
    torch.testing.assert_close(kind(a[:, None], b), theirs, rtol=0, atol=1e-6)
    torch.testing.assert_close(kind(a[:40], b), theirs.diagonal(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_overlaps_of_boxes_without_area_empty_and_half_precision(kind: Measure) -> None:
    a = upright(6, 2)
    torch.testing.assert_close(kind(a, a), torch.ones(6, dtype=torch.float64))
    assert kind(a[:0, None], a).shape == (0, 6) and kind(a[:, None], a[:0]).shape == (6, 0)
    assert kind(a.bfloat16(), a.bfloat16()).dtype == torch.float32
    flat = torch.tensor([[3.0, 3, 3, 3], [3, 3, 3, 9], [9, 9, 3, 3], [0, 0, 4, 4]], requires_grad=True)
    every = kind(flat[:, None], flat)
    every.sum().backward()
    assert every.isfinite().all() and flat.grad is not None and flat.grad.isfinite().all()
    assert boxes.box_area(flat).tolist() == [0, 0, 0, 16]


def test_overlaps_by_hand() -> None:
    a, b = torch.tensor([0.0, 0, 2, 2]), torch.tensor([1.0, 1, 3, 3])
    assert boxes.iou(a, b).item() == pytest.approx(1 / 7)
    assert boxes.giou(a, b).item() == pytest.approx(1 / 7 - 2 / 9)
    assert boxes.diou(a, b).item() == pytest.approx(1 / 7 - 2 / 18)
    assert boxes.ciou(a, b).item() == pytest.approx(1 / 7 - 2 / 18)
    assert boxes.overlap_share(a, b).item() == 0.25
    wide, high = torch.tensor([0.0, 1, 4, 3]), torch.tensor([1.0, 0, 3, 4])
    gap = 4 / pi**2 * (torch.tensor(2.0).atan() - torch.tensor(0.5).atan()).item() ** 2
    assert boxes.ciou(wide, high).item() == pytest.approx(1 / 3 - gap * gap / (1 - 1 / 3 + gap))
    assert boxes.overlap_share(torch.zeros(4), b).item() == 0


def test_slopes_of_overlaps_are_the_numeric_ones() -> None:
    a, b = upright(6, 4).requires_grad_(), upright(6, 5).requires_grad_()
    for kind in (boxes.iou, boxes.giou, boxes.diou):
        assert torch.autograd.gradcheck(kind, (a, b))


def covariance(box: Tensor, share: float) -> Tensor:
    """(..., 5) -> (..., 2, 2) with variances ``share`` times the squared sides."""
    c, s = box[..., 4].cos(), box[..., 4].sin()
    turn = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    return turn @ torch.diag_embed(box[..., 2:4] ** 2 * share) @ turn.mT


def test_probiou_is_the_papers() -> None:
    a, b = rotated(200, 0), rotated(200, 1)
    p, q = covariance(a, 1 / 12), covariance(b, 1 / 12)
    mean = (p + q) / 2
    apart = (a - b)[:, :2, None]
    distance = (apart.mT @ mean.inverse() @ apart)[:, 0, 0] / 8
    distance = distance + (mean.det() / (p.det() * q.det()).sqrt()).log() / 2
    paper = 1 - (1 - (-distance).exp()).sqrt()
    torch.testing.assert_close(boxes.probiou(a, b), paper, rtol=0, atol=4e-4)  # softened by the root of 1e-7
    torch.testing.assert_close(boxes.probiou(a.float(), b.float()), paper.float(), rtol=0, atol=4e-4)


def test_kl_divergence_is_the_papers() -> None:
    a, b = rotated(200, 2), rotated(200, 3)
    first, second = (
        torch.distributions.MultivariateNormal(box[:, :2], covariance_matrix=covariance(box, 1 / 4)) for box in (a, b)
    )
    paper = torch.distributions.kl_divergence(first, second)
    torch.testing.assert_close(boxes.kl_divergence(a, b), paper)
    torch.testing.assert_close(boxes.kl_divergence(a.float(), b.float()), paper.float(), rtol=1e-4, atol=1e-4)


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(*(st.floats(0, 1000),) * 2, *(st.floats(0.1, 1000),) * 2, st.floats(-7, 7)),
    st.tuples(*(st.floats(0, 1000),) * 2, *(st.floats(0.1, 1000),) * 2, st.floats(-7, 7)),
)
def test_gaussian_measures_keep_their_range_in_float32(first: tuple[float, ...], second: tuple[float, ...]) -> None:
    a, b = torch.tensor(first, requires_grad=True), torch.tensor(second)
    likeness, divergence = boxes.probiou(a, b), boxes.kl_divergence(a, b)
    assert 0 <= likeness <= 1 and divergence >= 0 and divergence.isfinite()
    torch.testing.assert_close(likeness, boxes.probiou(b, a), rtol=0, atol=1e-4)
    torch.testing.assert_close(likeness, boxes.probiou(a.double(), b.double()).float(), rtol=0, atol=1e-3)
    (likeness - divergence.log1p()).backward()
    assert a.grad is not None and a.grad.isfinite().all()


@pytest.mark.parametrize("ratio", [1, 10, 1000])
def test_a_box_and_itself_in_float32(ratio: float) -> None:
    box = torch.tensor([[812.0, 333.0, 90.0, 90.0 / ratio, 0.7]], requires_grad=True)
    twin = box.detach().clone()
    likeness, divergence = boxes.probiou(box, twin), boxes.kl_divergence(box, twin)
    assert likeness.item() == 1 and divergence.item() == pytest.approx(0, abs=1e-6)
    (likeness + divergence).sum().backward()
    assert box.grad is not None and box.grad.abs().max() < 1e-3


def test_gaussian_measures_do_not_see_the_angle_of_a_square() -> None:
    square, turned = torch.tensor([0.0, 0, 8, 8, 0]), torch.tensor([0.0, 0, 8, 8, 0.6])
    assert boxes.probiou(square, turned).item() == pytest.approx(1, abs=1e-5)
    assert boxes.kl_divergence(square, turned).item() == pytest.approx(0, abs=1e-6)
    long, across = torch.tensor([0.0, 0, 8, 2, 0]), torch.tensor([0.0, 0, 8, 2, pi / 2])
    assert boxes.probiou(long, across).item() < 0.6
    assert boxes.kl_divergence(long, across).item() == pytest.approx((16 + 1 / 16) / 2 - 1)
    twice = torch.tensor([0.0, 0, 16, 4, 0])
    assert boxes.kl_divergence(long, twice).item() == pytest.approx((0.5 - 2 + 2 * log(4)) / 2)


def test_gaussian_measures_of_points_nothing_and_half_precision() -> None:
    points = torch.zeros(2, 5, requires_grad=True)
    total = boxes.probiou(points, torch.ones(2, 5)).sum() + boxes.kl_divergence(points, torch.ones(2, 5)).sum()
    total.backward()
    assert total.isfinite() and points.grad is not None and points.grad.isfinite().all()
    for measure in (boxes.probiou, boxes.kl_divergence):
        assert measure(torch.zeros(0, 1, 5), torch.zeros(3, 5)).shape == (0, 3)
        assert measure(torch.ones(3, 5).bfloat16(), torch.ones(3, 5).bfloat16()).dtype == torch.float32


def test_slopes_of_gaussian_measures_are_the_numeric_ones() -> None:
    a, b = rotated(5, 6).requires_grad_(), rotated(5, 7).requires_grad_()
    assert torch.autograd.gradcheck(boxes.probiou, (a, b))
    assert torch.autograd.gradcheck(boxes.kl_divergence, (a, b))
