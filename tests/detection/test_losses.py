"""Losses of boxes, turned boxes and masks: hand-derived values, naive implementations, gradients that stay finite."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from visrun.boxes import probiou
from visrun.build import load
from visrun.detection import losses
from visrun.tables import TASKS

BOXES = TASKS["object_detection"].losses
ROTATED = TASKS["oriented_object_detection"].losses
MASKS = TASKS["instance_segmentation"].losses
A = torch.tensor([0.0, 0.0, 10.0, 10.0])


def random_boxes(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * 50
    return torch.cat([low, low + 1 + torch.rand(count, 2, generator=generator) * 40], 1)


def random_rotated(count: int, seed: int) -> Tensor:
    numbers = torch.rand(count, 5, generator=torch.Generator().manual_seed(seed))
    return numbers * torch.tensor([30.0, 30.0, 40.0, 20.0, 3.0]) + torch.tensor([0.0, 0.0, 20.0, 5.0, -1.5])


@pytest.mark.parametrize(
    ("name", "other", "value"),
    [
        ("iou", [5.0, 0.0, 15.0, 10.0], 1 - 1 / 3),
        ("giou", [5.0, 0.0, 15.0, 10.0], 1 - 1 / 3),  # the hull is all covered
        ("giou", [20.0, 0.0, 30.0, 10.0], 1 + 100 / 300),  # apart: a third of the hull lies between
        ("diou", [5.0, 0.0, 15.0, 10.0], 1 - 1 / 3 + 25 / (225 + 100)),
        ("ciou", [5.0, 0.0, 15.0, 10.0], 1 - 1 / 3 + 25 / (225 + 100)),  # both are squares
        ("default", [5.0, 0.0, 15.0, 10.0], 1 - 1 / 3),
        ("smooth_l1", [0.0, 0.0, 20.0, 10.0], 0.5 - 0.05),  # the right side is off by half of the width
    ],
)
def test_values_of_boxes(name: str, other: list[float], value: float) -> None:
    assert load(BOXES[name])(A, torch.tensor(other)).item() == pytest.approx(value, rel=1e-5)


def test_smooth_l1_is_quadratic_below_beta_tenths() -> None:
    target = torch.tensor([0.0, 0.0, 10.0, 10.0])
    assert losses.smooth_l1(torch.tensor([0.5, 0.0, 10.0, 10.0]), target).item() == pytest.approx(0.5**2 / 2 / 10)
    assert losses.smooth_l1(torch.tensor([0.5, 0.0, 10.0, 10.0]), target, beta=0.25).item() == pytest.approx(
        (0.5 - 0.125) / 10
    )


@pytest.mark.parametrize("name", ["giou", "ciou", "diou"])
def test_boxes_agree_with_torchvision(name: str) -> None:
    from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

    theirs = {"giou": generalized_box_iou_loss, "ciou": complete_box_iou_loss, "diou": distance_box_iou_loss}[name]
    a, b = random_boxes(100, 0), random_boxes(100, 1)
    torch.testing.assert_close(load(BOXES[name])(a, b), theirs(a, b), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BOXES)
def test_a_perfect_box_costs_nothing_and_a_far_one_is_drawn_near(name: str) -> None:
    loss = load(BOXES[name])
    assert loss(A, A).item() == pytest.approx(0, abs=1e-6)
    start = torch.tensor([30.0, 30.0, 44.0, 42.0], requires_grad=True)
    loss(start, A).backward()
    assert start.grad is not None
    if name != "iou":  # which has no slope there
        assert (start.grad[:2] > 0).all()


@pytest.mark.parametrize("name", ROTATED)
def test_a_perfect_turned_box_costs_nothing_in_any_spelling(name: str) -> None:
    loss = load(ROTATED[name])
    target = torch.tensor([10.0, 12.0, 20.0, 6.0, 0.4])
    assert loss(target, target).item() == pytest.approx(0, abs=1e-5)
    assert loss(target + torch.tensor([0, 0, 0, 0, math.pi]), target).item() == pytest.approx(0, abs=1e-4)
    if name not in ("default", "smooth_l1"):  # which want the longer side first
        swapped = torch.tensor([10.0, 12.0, 6.0, 20.0, 0.4 + math.pi / 2])
        assert loss(swapped, target).item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", ROTATED)
def test_the_angle_of_a_long_box_counts_and_that_of_a_square_up_to_quarter_turns(name: str) -> None:
    loss = load(ROTATED[name])
    long, square = torch.tensor([0.0, 0.0, 40.0, 8.0, 0.1]), torch.tensor([0.0, 0.0, 20.0, 20.0, 0.1])
    turned, quarter = (torch.tensor([0.0, 0.0, 0.0, 0.0, angle]) for angle in (0.3, math.pi / 2))
    assert loss(long + turned, long).item() > 0.05
    assert loss(square + quarter, square).item() == pytest.approx(0, abs=1e-4)
    if name == "kld":  # Gaussians do not see it
        assert loss(square + turned, square).item() == pytest.approx(0, abs=1e-4)
    else:
        assert loss(square + turned, square).item() > 0.05


def test_the_angle_in_the_default_loss_by_hand() -> None:
    """A square turned by 22.5 degrees, and 2 : 1 by 45: no Gaussian of a square is different, half of 1 - cos 90."""
    square = torch.tensor([0.0, 0.0, 20.0, 20.0, 0.0])
    turned = torch.tensor([0.0, 0.0, 20.0, 20.0, math.pi / 8])
    assert losses.default_rotated(turned, square).item() == pytest.approx(0.5 * 0.5, abs=1e-4)
    longer, other = torch.tensor([[0.0, 0.0, 40.0, 20.0, 0.0], [0.0, 0.0, 40.0, 20.0, math.pi / 4]])
    gaussians = 1 - probiou(other, longer).item()
    share = math.log(2)
    assert losses.default_rotated(other, longer).item() == pytest.approx(
        gaussians + 0.5 * (share * 1 + (1 - share) * 1), abs=1e-4
    )


def test_values_of_turned_boxes() -> None:
    """Two upright 10 x 10 boxes half over each other: IoU 1/3, hull covered; apart, as of upright boxes."""
    a, b = torch.tensor([5.0, 5.0, 10.0, 10.0, 0.0]), torch.tensor([10.0, 5.0, 10.0, 10.0, math.pi / 2])
    assert losses.rotated_iou(a, b).item() == pytest.approx(2 / 3, abs=1e-5)
    far = torch.tensor([25.0, 5.0, 10.0, 10.0, 0.0])
    assert losses.rotated_iou(a, far).item() == pytest.approx(1 + 1 / 3, abs=1e-5)
    # Gaussians of equal shape with centres one side apart: 4 (10 / 10)^2 / 2 = 2.
    near = torch.tensor([15.0, 5.0, 10.0, 10.0, 0.0])
    assert losses.kld(a, near).item() == pytest.approx(1 - 1 / (1 + math.log(3)), abs=1e-5)


def test_smooth_l1_of_turned_boxes_agrees_with_a_loop() -> None:
    prediction, target = random_rotated(20, 0), random_rotated(20, 1)
    found = losses.smooth_l1_rotated(prediction, target, beta=0.7)
    for value, p, t in zip(found.tolist(), prediction.tolist(), target.tolist(), strict=True):
        dx, dy, cos, sin = p[0] - t[0], p[1] - t[1], math.cos(t[4]), math.sin(t[4])
        errors = [
            (cos * dx + sin * dy) / t[2],
            (cos * dy - sin * dx) / t[3],
            (p[2] - t[2]) / t[2],
            (p[3] - t[3]) / t[3],
        ]
        length = min(1.0, abs(math.log(t[2] / t[3])))
        for turns, share in ((2, length), (4, 1 - length)):
            errors += [share / turns * (f(turns * p[4]) - f(turns * t[4])) for f in (math.cos, math.sin)]
        terms = [e * e / 1.4 if e < 0.7 else e - 0.35 for e in (abs(10 * e) for e in errors)]
        assert value == pytest.approx(sum(terms) / 10, rel=1e-4)


EXTREME_BOXES = [[0, 0, 0, 0], [5, 5, 5, 9], [0, 0, 1e4, 1e4], [0, 0, 1e-3, 1e-3], [50, 50, 60, 60], [0, 0, 10, 10]]
EXTREME_ROTATED = [
    *([0, 0, 0, 0, 0], [5, 5, 8, 0, 1], [0, 0, 1e4, 1e-2, 0], [0, 0, 1e-3, 1e-3, 9]),
    *([500, 50, 9, 9, 0], [1, 2, 30, 10, 0.5], [1, 2, 10, 30, 0.5 + math.pi / 2]),
]


@pytest.mark.parametrize(
    ("ref", "extremes"),
    [*((ref, EXTREME_BOXES) for ref in BOXES.values()), *((ref, EXTREME_ROTATED) for ref in ROTATED.values())],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_gradients_are_finite_for_any_pair_of_boxes(ref: str, extremes: list[list[float]]) -> None:
    boxes = torch.tensor(extremes, dtype=torch.float32)
    prediction = boxes.repeat_interleave(len(boxes), 0).requires_grad_()
    value = load(ref)(prediction, boxes.repeat(len(boxes), 1))
    value.sum().backward()
    assert value.shape == (len(boxes) ** 2,)
    assert torch.isfinite(value).all()
    assert torch.isfinite(prediction.grad).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("ref", [*BOXES.values(), *ROTATED.values()])
def test_half_precision_is_widened_and_no_rows_are_fine(ref: str) -> None:
    columns = 5 if ref in ROTATED.values() else 4
    none = torch.zeros(0, columns, dtype=torch.bfloat16)
    assert load(ref)(none, none).dtype == torch.float32
    some = torch.rand(3, 2, columns)
    assert load(ref)(some, some).shape == (3, 2)


def mask_case() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 6, 7, generator=generator)
    target = (torch.rand(2, 3, 6, 7, generator=generator) > 0.6).float()
    inside = torch.rand(2, 3, 6, 7, generator=generator) > 0.3
    return logits, target, inside


def naive(name: str, logits: Tensor, target: Tensor, inside: Tensor) -> float:
    """Of one mask."""
    x, y = logits[inside].double(), target[inside].double()
    p = x.sigmoid()
    bce = -(y * p.log() + (1 - y) * (1 - p).log())
    right = y * p + (1 - y) * (1 - p)
    values = {
        "bce": bce.mean(),
        "dice": 1 - (2 * (p * y).sum() + 1) / (p.square().sum() + y.sum() + 1),
        "focal": ((1 - right) ** 2 * bce).mean(),
    }
    values["default"] = values["bce"] + values["dice"]
    return float(values[name])


@pytest.mark.parametrize("name", MASKS)
def test_masks_agree_with_a_loop(name: str) -> None:
    logits, target, inside = mask_case()
    found = load(MASKS[name])(logits, target, inside)
    assert found.shape == (2, 3)
    for b in range(2):
        for n in range(3):
            assert found[b, n].item() == pytest.approx(naive(name, logits[b, n], target[b, n], inside[b, n]), rel=1e-4)


def test_a_mask_by_hand() -> None:
    logits = torch.zeros(1, 2, 2)
    target, inside = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]), torch.tensor([[[True, True], [False, False]]])
    assert losses.bce_mask(logits, target, inside).item() == pytest.approx(math.log(2))
    assert losses.dice_mask(logits, target, inside).item() == pytest.approx(1 - (2 * 0.5 + 1) / (0.5 + 1 + 1))
    assert losses.focal_mask(logits, target, inside).item() == pytest.approx(0.25 * math.log(2))
    assert losses.focal_mask(logits, target, inside, gamma=0).item() == pytest.approx(math.log(2))
    one, other = torch.tensor([[[True, False]] * 2]), torch.tensor([[[False, True]] * 2])  # the object's, and around it
    for pixels, share in ((one, 0.9), (other, 0.1)):
        found = losses.focal_mask(logits, target, pixels, gamma=0, alpha=0.9)
        assert found.item() == pytest.approx(share * losses.bce_mask(logits, target, pixels).item())


@pytest.mark.parametrize("name", MASKS)
def test_masks_without_a_pixel_and_certain_ones_have_finite_gradients(name: str) -> None:
    logits = torch.tensor([-200.0, -1.0, 0.0, 200.0]).repeat(3, 2, 1).requires_grad_()
    target = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(3, 2, 1)
    inside = torch.zeros(3, 2, 4, dtype=torch.bool)
    inside[1] = True
    value = load(MASKS[name])(logits, torch.stack([target[0], target[1], 1 - target[2]]), inside)
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(logits.grad).all()  # type: ignore[arg-type]
    assert not logits.grad[0].any()  # type: ignore[index]


def test_focal_is_bce_times_its_weight_at_a_certain_pixel() -> None:
    logits, ones = torch.tensor([[[3.0]]]), torch.ones(1, 1, 1)
    p = torch.tensor(3.0).sigmoid()
    expected = (1 - p) ** 2 * F.softplus(torch.tensor(-3.0))
    assert losses.focal_mask(logits, ones, ones > 0).item() == pytest.approx(expected.item(), rel=1e-5)
