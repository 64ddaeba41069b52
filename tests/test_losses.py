"""Losses: hand-derived values, torch's or numpy's own computation, the papers' limits, inputs where nothing counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from visrun import losses
from visrun.build import load
from visrun.tables import TASKS

WEIGHT = torch.tensor([0.5, 2.0, 1.0, 3.0])


def table(task: str) -> dict[str, Callable[..., Any]]:
    return {name: load(ref) for name, ref in TASKS[task].losses.items()}


def total(loss: Tensor | dict[str, Tensor]) -> Tensor:
    return torch.stack(list(loss.values())).sum() if isinstance(loss, dict) else loss


def logits(*shape: int, seed: int = 0, scale: float = 2.0) -> Tensor:
    return (torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale).requires_grad_()


def classes(*shape: int, count: int = 4, seed: int = 1) -> Tensor:
    return torch.randint(count, shape, generator=torch.Generator().manual_seed(seed))


def masks(*shape: int) -> Tensor:
    target = classes(*shape)
    target[torch.rand(shape, generator=torch.Generator().manual_seed(5)) < 0.2] = 255
    return target


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_cross_entropy_agrees_with_torch(weight: Tensor | None) -> None:
    x, y = logits(32, 4), classes(32)
    torch.testing.assert_close(losses.cross_entropy(x, y, weight=weight), F.cross_entropy(x, y, weight=weight))
    torch.testing.assert_close(
        losses.label_smoothing(x, y, weight=weight, smoothing=0.0), losses.cross_entropy(x, y, weight=weight)
    )
    for smoothing in (0.1, 0.9):
        ours = losses.label_smoothing(x, y, smoothing=smoothing)
        torch.testing.assert_close(ours, F.cross_entropy(x, y, label_smoothing=smoothing))
    pixels, mask = logits(2, 4, 5, 6), masks(2, 5, 6)
    ours = losses.pixel_cross_entropy(pixels, mask, weight=weight)
    torch.testing.assert_close(ours, F.cross_entropy(pixels, mask, weight=weight, ignore_index=255))


@pytest.mark.parametrize("weight", [[1.0, 1.0], [0.5, 15.0], [0.0, 7.0]])
def test_a_class_weight_says_how_much_an_image_counts_and_not_what_it_shows(weight: list[float]) -> None:
    """The best answer is 0.95 for the true class at any weights; the mean is over the images' weights."""
    best = torch.tensor([[0.95, 0.05], [0.05, 0.95]]).log().requires_grad_()
    target, counts = torch.tensor([0, 1]), torch.tensor(weight)
    loss = losses.label_smoothing(best, target, weight=counts, smoothing=0.1)
    (slope,) = torch.autograd.grad(loss, best)
    torch.testing.assert_close(slope, torch.zeros(2, 2), atol=1e-6, rtol=0)
    each = F.cross_entropy(best, target, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(loss, (each * counts).sum() / counts.sum())


def test_shares_of_classes_mix_the_losses_of_the_classes() -> None:
    x, a, b = logits(16, 4), classes(16), classes(16, seed=2)
    mixed = 0.3 * F.one_hot(a, 4) + 0.7 * F.one_hot(b, 4)
    for loss in (losses.cross_entropy, losses.label_smoothing, losses.focal):
        torch.testing.assert_close(loss(x, mixed), 0.3 * loss(x, a) + 0.7 * loss(x, b))
    torch.testing.assert_close(losses.cross_entropy(x, mixed), F.cross_entropy(x, mixed))


@pytest.mark.parametrize("task", ["classification"])
def test_one_hot_targets_equal_class_targets(task: str) -> None:
    x, y = logits(16, 4), classes(16)
    for loss in table(task).values():
        torch.testing.assert_close(loss(x, F.one_hot(y, 4).float(), weight=WEIGHT), loss(x, y, weight=WEIGHT))


def test_focal_by_hand() -> None:
    # p = 3/4 for the true class: (1 - p)^2 * -log p = log(4/3) / 16.
    x = torch.tensor([[math.log(3.0), 0.0]])
    assert losses.focal(x, torch.tensor([0])).item() == pytest.approx(math.log(4 / 3) / 16)
    assert losses.focal(x, torch.tensor([1]), gamma=1.0).item() == pytest.approx(0.75 * math.log(4))
    assert losses.focal(x, torch.tensor([1]), alpha=0.25).item() == pytest.approx(0.25 * 0.75**2 * math.log(4))
    assert losses.focal(x, torch.tensor([0]), alpha=0.25).item() == pytest.approx(0.75 * math.log(4 / 3) / 16)


@pytest.mark.parametrize("alpha", [None, 0.25, 0.9])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_of_two_classes_is_the_papers_binary_form(gamma: float, alpha: float | None) -> None:
    z, y = logits(64), classes(64, count=2)
    expected = sigmoid_focal_loss(z, y.float(), -1 if alpha is None else alpha, gamma, "mean")
    both = torch.stack([torch.zeros(64), z], 1)
    torch.testing.assert_close(losses.focal(both, y, gamma=gamma, alpha=alpha), expected)
    pixels = both.reshape(4, 4, 4, 2).permute(0, 3, 1, 2)
    ours = losses.pixel_focal(pixels, y.reshape(4, 4, 4), gamma=gamma, alpha=alpha)
    torch.testing.assert_close(ours, expected)


def test_focal_without_focus_is_cross_entropy() -> None:
    x, y = logits(32, 4), classes(32)
    torch.testing.assert_close(losses.focal(x, y, gamma=0.0, weight=WEIGHT), losses.cross_entropy(x, y, weight=WEIGHT))
    pixels, mask = logits(2, 4, 5, 6), masks(2, 5, 6)
    ours = losses.pixel_focal(pixels, mask, gamma=0.0, weight=WEIGHT)
    torch.testing.assert_close(ours, losses.pixel_cross_entropy(pixels, mask, weight=WEIGHT))


def test_bce_agrees_with_torch() -> None:
    x, y = logits(32, 4), classes(32)
    one_hot, several = F.one_hot(y, 4).float(), classes(32, 4, count=2).float()
    torch.testing.assert_close(losses.bce(x, y), F.binary_cross_entropy_with_logits(x, one_hot))
    torch.testing.assert_close(losses.bce(x, several), F.binary_cross_entropy_with_logits(x, several))
    weighted = F.binary_cross_entropy_with_logits(x, several, weight=WEIGHT) / WEIGHT.mean()
    torch.testing.assert_close(losses.bce(x, several, weight=WEIGHT), weighted)
    assert losses.bce(torch.zeros(1, 3), torch.tensor([1])).item() == pytest.approx(math.log(2))


def test_regression_by_hand() -> None:
    # errors 0.5, -3, 0, 2
    x, y = torch.tensor([[0.5, -3.0], [1.0, 2.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    expected = {
        "mse": (0.25 + 9 + 0 + 4) / 4,
        "mae": (0.5 + 3 + 0 + 2) / 4,
        "huber": (0.125 + 2.5 + 0 + 1.5) / 4,
        "smooth_l1": (0.125 + 2.5 + 0 + 1.5) / 4,
    }
    assert {name: loss(x, y).item() for name, loss in table("regression").items()} == pytest.approx(expected)
    assert losses.huber(x, y, delta=2.0).item() == pytest.approx((0.125 + 4 + 0 + 2) / 4)
    assert losses.smooth_l1(x, y, beta=2.0).item() == pytest.approx((0.0625 + 2 + 0 + 1) / 4)


def test_regression_agrees_with_torch() -> None:
    x, y = logits(16, 3), logits(16, 3, seed=3).detach()
    for ours, theirs in (
        (losses.mse, F.mse_loss),
        (losses.mae, F.l1_loss),
        (partial(losses.huber, delta=0.7), partial(F.huber_loss, delta=0.7)),
        (partial(losses.smooth_l1, beta=0.7), partial(F.smooth_l1_loss, beta=0.7)),
    ):
        torch.testing.assert_close(ours(x, y), theirs(x, y))


def numpy_dice(x: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    scores, weights = [], []
    for k in range(x.shape[1]):
        pixels = [(p[b, k, i, j], target[b, i, j] == k) for b, i, j in np.argwhere(target != 255)]
        if any(true for _, true in pixels):
            overlap = sum(q for q, true in pixels if true)
            scores.append(2 * overlap / (sum(q * q for q, _ in pixels) + sum(true for _, true in pixels)))
            weights.append(weight[k])
    return float(1 - np.average(scores, weights=weights))


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_dice_agrees_with_numpy(weight: Tensor | None) -> None:
    x, y = logits(2, 4, 5, 6), masks(2, 5, 6)
    y[y == 2] = 255  # class 2 has no pixel
    expected = numpy_dice(x.detach().numpy(), y.numpy(), (torch.ones(4) if weight is None else weight).numpy())
    assert losses.dice(x, y, weight=weight).item() == pytest.approx(expected, rel=1e-5)


def test_dice_by_hand() -> None:
    y = torch.tensor([[[0, 0], [1, 255]]])
    sure = 100.0 * F.one_hot(y.clamp(max=1), 2).permute(0, 3, 1, 2).float()
    assert losses.dice(sure, y).item() == pytest.approx(0.0, abs=1e-6)
    assert losses.dice(-sure, y).item() == pytest.approx(1.0, abs=1e-6)
    # p = 1/2 everywhere: class 0: 2 * 1 / (3/4 + 2) = 8/11, class 1: 2 * 1/2 / (3/4 + 1) = 4/7
    assert losses.dice(torch.zeros(1, 2, 2, 2), y).item() == pytest.approx(1 - (8 / 11 + 4 / 7) / 2)


def test_ce_dice_names_its_parts() -> None:
    x, y = logits(2, 4, 5, 6), masks(2, 5, 6)
    parts = losses.ce_dice(x, y, weight=WEIGHT, dice_weight=0.5)
    assert list(parts) == ["ce", "dice"]
    torch.testing.assert_close(parts["ce"], losses.pixel_cross_entropy(x, y, weight=WEIGHT))
    torch.testing.assert_close(parts["dice"], 0.5 * losses.dice(x, y, weight=WEIGHT))


@pytest.mark.parametrize("name", TASKS["segmentation"].losses)
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_an_ignored_mask_gives_zero_and_no_gradient(name: str, weight: Tensor | None) -> None:
    x = logits(2, 4, 5, 6)
    loss = total(table("segmentation")[name](x, torch.full((2, 5, 6), 255), weight=weight))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("name", TASKS["segmentation"].losses)
def test_ignored_pixels_change_nothing(name: str) -> None:
    loss, x, y = table("segmentation")[name], logits(2, 4, 5, 6), masks(2, 5, 6)
    other = torch.where((y == 255).unsqueeze(1), torch.full_like(x, 9.0), x)
    torch.testing.assert_close(total(loss(x, y)), total(loss(other, y)))
    total(loss(x, y)).backward()
    assert x.grad.permute(0, 2, 3, 1)[y == 255].abs().max() == 0.0


@pytest.mark.parametrize("name", TASKS["classification"].losses)
def test_an_empty_batch_gives_zero(name: str) -> None:
    assert table("classification")[name](torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)).item() == 0.0


@pytest.mark.parametrize("name", sorted({*TASKS["classification"].losses} - {"bce"}))  # which decides each class
def test_images_whose_classes_count_nothing_give_zero_and_no_gradient(name: str) -> None:
    x = logits(4, 3)
    weight = torch.tensor([0.0, 1.0, 1.0])
    loss = table("classification")[name](x, torch.zeros(4, dtype=torch.long), weight=weight)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("name", TASKS["regression"].losses)
def test_an_empty_regression_batch_gives_zero(name: str) -> None:
    assert table("regression")[name](torch.zeros(0, 2), torch.zeros(0, 2)).item() == 0.0


@pytest.mark.parametrize("task", ["classification", "segmentation"])
@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_extreme_logits_stay_finite(task: str, scale: float) -> None:
    shape = (8, 4) if task == "classification" else (2, 4, 3, 3)
    for name, loss in table(task).items():
        for options in ({"gamma": 0.5}, {"gamma": 0.0}) if name == "focal" else ({},):
            x = logits(*shape, scale=scale)
            value = total(loss(x, classes(shape[0], *shape[2:]), **options))
            value.backward()
            assert torch.isfinite(value) and torch.isfinite(x.grad).all(), name


@pytest.mark.parametrize("task", ["classification", "segmentation", "regression"])
def test_bf16_predictions_are_computed_in_float32(task: str) -> None:
    shape = {"classification": (64, 4), "segmentation": (2, 4, 16, 16), "regression": (64, 4)}[task]
    x = logits(*shape).detach().bfloat16()
    y = logits(64, 4, seed=7).detach() if task == "regression" else classes(shape[0], *shape[2:])
    for name, loss in table(task).items():
        with torch.autocast("cpu", torch.bfloat16):
            value = total(loss(x, y))
        assert value.dtype == torch.float32, name
        torch.testing.assert_close(value, total(loss(x.float(), y)))


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_equal_class_weights_change_nothing(task: str) -> None:
    shape = (16, 4) if task == "classification" else (2, 4, 5, 6)
    x, y = logits(*shape), classes(shape[0], *shape[2:])
    for name, loss in table(task).items():
        weighted = total(loss(x, y, weight=torch.full((4,), 7.0)))
        torch.testing.assert_close(weighted, total(loss(x, y)), msg=name)


@pytest.mark.parametrize("task", ["classification", "segmentation", "regression"])
def test_gradients_are_those_of_the_value(task: str) -> None:
    shape = {"classification": (3, 4), "segmentation": (2, 4, 2, 2), "regression": (3, 2)}[task]
    y = logits(3, 2, seed=7).detach().double() if task == "regression" else classes(shape[0], *shape[2:])
    for loss in table(task).values():
        x = logits(*shape).detach().double().requires_grad_()
        assert torch.autograd.gradcheck(lambda z, loss=loss: total(loss(z, y)), x)


@given(st.integers(0, 10_000), st.floats(0.0, 1.0), st.floats(0.0, 5.0))
@settings(max_examples=50, deadline=None)
def test_bounds(seed: int, smoothing: float, gamma: float) -> None:
    x, y = logits(8, 4, seed=seed, scale=5.0), classes(8, seed=seed)
    assert losses.focal(x, y, gamma=gamma) <= losses.cross_entropy(x, y) + 1e-6
    assert losses.label_smoothing(x, y, smoothing=smoothing) >= 0.0
    mask = classes(2, 4, 4, seed=seed)
    assert -1e-6 <= losses.dice(logits(2, 4, 4, 4, seed=seed), mask) <= 1.0 + 1e-6


@given(st.permutations(range(8)), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_the_order_of_images_does_not_matter(order: list[int], seed: int) -> None:
    x, y = logits(8, 4, seed=seed), classes(8, seed=seed)
    for loss in table("classification").values():
        torch.testing.assert_close(loss(x[order], y[order], weight=WEIGHT), loss(x, y, weight=WEIGHT))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("task", ["classification", "segmentation", "regression"])
def test_a_graph_captures_every_loss(task: str) -> None:
    shape = {"classification": (8, 4), "segmentation": (2, 4, 16, 16), "regression": (8, 4)}[task]
    y = (logits(8, 4, seed=7).detach() if task == "regression" else classes(shape[0], *shape[2:])).cuda()
    for name, loss in table(task).items():
        x = logits(*shape).detach().cuda().requires_grad_()
        options = {} if task == "regression" else {"weight": WEIGHT.cuda()}
        expected = torch.autograd.grad(total(loss(x, y, **options)), x)[0]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = torch.autograd.grad(total(loss(x, y, **options)), x)[0]
        graph.replay()
        torch.testing.assert_close(found, expected, msg=name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("task", ["classification", "segmentation", "regression"])
def test_every_loss_has_a_deterministic_gradient_on_cuda(task: str) -> None:
    shape = {"classification": (8, 4), "segmentation": (2, 4, 64, 64), "regression": (8, 4)}[task]
    y = (logits(8, 4, seed=7).detach() if task == "regression" else classes(shape[0], *shape[2:])).cuda()
    x = logits(*shape).detach().cuda().requires_grad_()
    torch.use_deterministic_algorithms(True)
    try:
        for name, loss in table(task).items():
            first, second = (torch.autograd.grad(total(loss(x, y)), x)[0] for _ in range(2))
            assert torch.equal(first, second), name
    finally:
        torch.use_deterministic_algorithms(False)
