"""What an order and a confidence are worth: values by hand, and agreement with torchmetrics to the last digit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchmetrics.functional import classification as tm

from visrun.ranking import auroc, average_precision, calibration_error


def column(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


@pytest.mark.parametrize(
    ("scores", "truth", "area", "precision"),
    [
        ((0.9, 0.8, 0.2, 0.1), (1, 1, 0, 0), 1.0, 1.0),
        ((0.1, 0.2, 0.8, 0.9), (1, 1, 0, 0), 0.0, (1 / 3 + 2 / 4) / 2),
        ((0.9, 0.8, 0.7, 0.6), (1, 0, 1, 0), 3 / 4, (1 + 2 / 3) / 2),
        ((0.5, 0.5, 0.5, 0.5), (1, 0, 0, 0), 1 / 2, 1 / 4),  # equals are one step, wherever they stand
        ((0.7, 0.5, 0.5), (0, 1, 0), 1 / 4, 1 / 3),
    ],
)
def test_by_hand(scores: tuple[float, ...], truth: tuple[int, ...], area: float, precision: float) -> None:
    given = (column(*scores), column(*truth).long())
    assert auroc(*given).tolist() == pytest.approx([area])
    assert average_precision(*given).tolist() == pytest.approx([precision])


def test_calibration_by_hand() -> None:
    confidence, right = torch.tensor([0.9, 0.9, 0.3, 1.0]), torch.tensor([True, False, True, True])
    assert calibration_error(confidence, right, 5).item() == pytest.approx((2 * 0.4 + 0.7) / 4)
    assert calibration_error(confidence, right, 1).item() == pytest.approx((0.9 + 0.9 + 0.3 - 2) / 4)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("digits", [1, 7])
def test_they_are_torchmetrics_to_the_last_digit(seed: int, digits: int) -> None:
    random = torch.Generator().manual_seed(seed)
    n, k = (int(torch.randint(*span, (1,), generator=random)) for span in ((2, 300), (2, 9)))
    scores = torch.randn(n, k, generator=random).mul(2).softmax(1).round(decimals=digits)
    truth = torch.randint(2, (n, k), generator=random)
    truth[0], truth[1] = 0, 1
    theirs = {"average": None, "validate_args": False}
    assert torch.equal(auroc(scores, truth), tm.multilabel_auroc(scores, truth, k, **theirs))
    assert torch.equal(average_precision(scores, truth), tm.multilabel_average_precision(scores, truth, k, **theirs))
    flat = (scores.flatten(), truth.flatten())
    assert torch.equal(calibration_error(*flat, 15), tm.binary_calibration_error(*flat, 15, validate_args=False))
