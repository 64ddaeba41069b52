"""Metrics of the tasks, by torchmetrics where it has them.

``update`` keeps what it is given on the device and never waits for it; ``compute`` waits once. A value that is not
defined (no samples, a class nobody has seen) is left out rather than reported as NaN. Legend: N samples, B of them in a
batch, K classes, T regression targets, H x W pixels.

torchmetrics is imported when the first value is computed: importing it takes seconds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from visrun.batch import Prediction
from visrun.data.ids import IGNORE
from visrun.data.placement import Scene

CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv 1706.04599
PREDICTED = 0.5  # with several labels an image, the probability from which a label counts as predicted


class Samples:
    """Predictions and targets of the samples seen so far, one row a sample, on the device they came from."""

    def __init__(self) -> None:
        self._rows: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, predicted: Tensor, batch: Any) -> None:
        """Keep a batch; rows that ``batch.valid`` calls padding are dropped when the rows are gathered."""
        self._rows.append((predicted.detach(), batch.target, batch.valid))

    def gather(self) -> tuple[Tensor, Tensor] | None:
        """All rows: predictions (N, ...) and targets (N, ...); None where there are none."""
        if not self._rows:
            return None
        predicted, target, valid = (torch.cat(column) for column in zip(*self._rows, strict=True))
        return (predicted[valid], target[valid]) if bool(valid.any()) else None


class ClassificationMetric:
    """``accuracy``, macro ``f1``, macro ``auroc`` (one class against the rest), ``ece`` (expected calibration error).

    With several labels an image, a label counts as predicted from a probability of 0.5 on, and accuracy is the share
    of right yes-or-no answers. A class that lacks positive or negative samples is left out of the mean AUROC, one that
    is neither shown nor predicted out of the mean F1.
    """

    def __init__(self, num_classes: int, *, multilabel: bool = False) -> None:
        self.num_classes, self.multilabel = num_classes, multilabel
        self.reset()

    def reset(self, scenes: Sequence[Scene] = ()) -> None:  # noqa: ARG002
        """Forget all samples."""
        self.samples = Samples()

    def update(self, prediction: Prediction, batch: Any) -> None:
        """Add ``probabilities`` (B, K); ``batch.target`` is (B,) classes, or (B, K) zeros and ones if multilabel."""
        self.samples.add(prediction["probabilities"], batch)

    def compute(self) -> dict[str, float]:
        """The four values in [0, 1], without those that are undefined."""
        rows = self.samples.gather()
        if rows is None:
            return {}
        probabilities, target = rows
        measure = self._multilabel if self.multilabel else self._multiclass
        return _defined({**measure(probabilities, target.long()), "auroc": self._auroc(probabilities, target.long())})

    def confusion(self) -> Tensor:
        """Counts (K, K) int64 on the CPU: rows are the truth, columns the predictions. Not for several labels."""
        rows, k = self.samples.gather(), self.num_classes
        if rows is None:
            return torch.zeros(k, k, dtype=torch.int64)
        return (rows[1].long() * k + rows[0].argmax(1)).cpu().bincount(minlength=k * k).view(k, k)

    def _multiclass(self, probabilities: Tensor, target: Tensor) -> dict[str, Tensor]:
        from torchmetrics.functional import classification as tm

        k, predicted = self.num_classes, probabilities.argmax(1)
        # Counted here, since torchmetrics compares all samples with all classes where results must be deterministic.
        columns = (target, predicted, target[target == predicted])
        shown, said, right = (column.cpu().bincount(minlength=k) for column in columns)
        f1 = 2 * right / (shown + said)  # NaN of a class that is neither shown nor predicted
        return {
            "accuracy": tm.multiclass_accuracy(predicted, target, k, average="micro", validate_args=False),
            "f1": f1.nanmean(),
            "ece": tm.multiclass_calibration_error(probabilities, target, k, CALIBRATION_BINS, validate_args=False),
        }

    def _multilabel(self, probabilities: Tensor, target: Tensor) -> dict[str, Tensor]:
        from torchmetrics.functional import classification as tm

        k = self.num_classes
        flat = probabilities.flatten(), target.flatten()
        predicted = (probabilities >= PREDICTED).long()
        f1 = tm.multilabel_f1_score(predicted, target, k, average=None, validate_args=False)
        seen = ((target > 0) | (predicted > 0)).any(0)  # a label neither shown nor predicted has no F1
        return {
            "accuracy": tm.multilabel_accuracy(predicted, target, k, average="micro", validate_args=False),
            "f1": f1[seen].mean(),
            "ece": tm.binary_calibration_error(*flat, CALIBRATION_BINS, validate_args=False),
        }

    def _auroc(self, probabilities: Tensor, target: Tensor) -> Tensor:
        from torchmetrics.functional import classification as tm

        auroc = tm.multilabel_auroc if self.multilabel else tm.multiclass_auroc
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes without positives or negatives, which are left out here
            each = auroc(probabilities, target, self.num_classes, average=None, validate_args=False)
        truth = target if self.multilabel else torch.nn.functional.one_hot(target, self.num_classes)
        defined = (truth.sum(0) > 0) & (truth.sum(0) < len(truth))
        return each[defined].mean()


class RegressionMetric:
    """``mae``, ``rmse`` and ``r2`` in the targets' own units; with several targets their mean and ``mae/TARGET`` etc.

    R2 is undefined for fewer than two samples and for a target that does not vary.
    """

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = tuple(targets)
        self.reset()

    def reset(self, scenes: Sequence[Scene] = ()) -> None:  # noqa: ARG002
        """Forget all samples."""
        self.samples = Samples()

    def update(self, prediction: Prediction, batch: Any) -> None:
        """Add ``value`` (B, T); ``batch.target`` is (B, T) in the same units."""
        self.samples.add(prediction["value"], batch)

    def compute(self) -> dict[str, float]:
        """The values, without those that are undefined."""
        predicted, target = self.pairs()
        if not len(target):
            return {}
        each = {name: _errors(predicted[:, i], target[:, i]) for i, name in enumerate(self.targets)}
        values = {
            key: _mean([errors[key] for errors in each.values() if key in errors]) for key in ("mae", "rmse", "r2")
        }
        if len(self.targets) > 1:
            values |= {f"{key}/{name}": value for name, errors in each.items() for key, value in errors.items()}
        return _defined(values)

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Predicted and true values, (N, T) float64 on the CPU each."""
        rows = self.samples.gather()
        if rows is None:
            empty = torch.zeros(0, len(self.targets), dtype=torch.float64)
            return empty, empty
        return rows[0].double().cpu(), rows[1].double().cpu()


class SegmentationMetric:
    """``miou``, ``iou/CLASS``, macro ``dice`` and ``pixel_accuracy`` over all pixels that are not ignored (255).

    Computed from one running confusion matrix over the whole split. A class that neither the masks nor the predictions
    hold is left out; one that is only predicted has IoU 0.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.reset()

    def reset(self, scenes: Sequence[Scene] = ()) -> None:  # noqa: ARG002
        """Forget all pixels."""
        self._counts: Tensor | None = None

    def update(self, prediction: Prediction, batch: Any) -> None:
        """Add ``mask`` (B, H, W); ``batch.target`` is (B, H, W) with 255 = ignored."""
        k = len(self.classes)
        counted = (batch.target != IGNORE) & batch.valid.view(-1, 1, 1)
        # Cell of the matrix for every pixel; those that do not count go to one more cell. bincount would wait.
        cell = torch.where(counted, batch.target * k + prediction["mask"].long(), k * k).flatten()
        if self._counts is None:
            self._counts = torch.zeros(k * k + 1, dtype=torch.int64, device=cell.device)
        self._counts.scatter_add_(0, cell, torch.ones_like(cell))

    def compute(self) -> dict[str, float]:
        """The values in [0, 1], without those that are undefined."""
        counts = self.confusion().double()
        right, union = counts.diag(), counts.sum(0) + counts.sum(1) - counts.diag()
        iou, dice = right / union, 2.0 * right / (union + right)
        known = union > 0
        values = {"miou": iou[known].mean(), "dice": dice[known].mean(), "pixel_accuracy": right.sum() / counts.sum()}
        return _defined(values | {f"iou/{name}": value for name, value in zip(self.classes, iou, strict=True)})

    def confusion(self) -> Tensor:
        """Pixel counts (K, K) int64 on the CPU: rows are the truth, columns the predictions."""
        k = len(self.classes)
        if self._counts is None:
            return torch.zeros(k, k, dtype=torch.int64)
        return self._counts[:-1].view(k, k).cpu()


def _errors(predicted: Tensor, target: Tensor) -> dict[str, float]:
    """MAE, RMSE and R2 of one target, (N,) float64 each."""
    from torchmetrics.functional import regression as tm

    errors = {
        "mae": float(tm.mean_absolute_error(predicted, target)),
        "rmse": float(tm.mean_squared_error(predicted, target, squared=False)),
    }
    if target.min() == target.max():
        return errors
    # R2 does not depend on the unit, but torchmetrics takes a small variance for none: give it unit variance.
    mean, spread = target.mean(), target.std(correction=0)
    return {**errors, "r2": float(tm.r2_score((predicted - mean) / spread, (target - mean) / spread))}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _defined(values: dict[str, Any]) -> dict[str, float]:
    numbers = {name: float(value) for name, value in values.items()}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}
