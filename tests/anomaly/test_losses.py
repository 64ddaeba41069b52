"""Losses of good against defective: one image is one pixel, and what is ignored counts for nothing."""

from __future__ import annotations

import math

import pytest
import torch

from visrun.anomaly.losses import bce, cross_entropy, focal

ALL = [cross_entropy, focal, bce]


@pytest.mark.parametrize("loss", ALL)
def test_pixels_are_as_many_images(loss):
    logits, target = torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1, 0, 0, 1])
    as_pixels = logits.T.reshape(1, 2, 2, 3)
    assert loss(as_pixels, target.view(1, 2, 3)) == pytest.approx(float(loss(logits, target)), rel=1e-5)


@pytest.mark.parametrize("loss", ALL)
def test_ignored_pixels_count_for_nothing_and_give_no_gradient(loss):
    logits = torch.zeros(1, 2, 1, 2, requires_grad=True)
    value = loss(logits, torch.tensor([[[1, 255]]]))
    value.backward()
    assert logits.grad is not None and logits.grad[0, :, 0, 1].tolist() == [0, 0] and logits.grad.abs().sum() > 0
    assert float(loss(logits.detach(), torch.full((1, 1, 2), 255))) == 0.0


def test_by_hand():
    logits = torch.zeros(1, 2)
    target = torch.tensor([1])
    assert float(cross_entropy(logits, target)) == pytest.approx(math.log(2))
    assert float(bce(logits, target)) == pytest.approx(math.log(2))
    assert float(focal(logits, target, gamma=2.0)) == pytest.approx(0.25 * math.log(2))
    assert float(focal(logits, target, gamma=0.0, alpha=0.3)) == pytest.approx(0.3 * math.log(2))
