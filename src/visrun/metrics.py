"""Metrics of the tasks, by torchmetrics where it has them.

``update`` keeps what it is given on the device and never waits for it; ``compute`` waits once. A value that is not
defined (no samples, a class nobody has seen) is left out rather than reported as NaN. Those of classified images stand
in `visrun.classification_metric`. Legend: N samples, B of them in a batch, T regression targets, H x W pixels.

torchmetrics is imported when the first value is computed: importing it takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from visrun.batch import Batch, Prediction
from visrun.data.ids import IGNORE
from visrun.data.placement import Scene
from visrun.numbers import single


class Samples:
    """Predictions and targets of the samples seen so far, one row a sample, on the device they came from."""

    def __init__(self) -> None:
        self._rows: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, predicted: Tensor, batch: Batch) -> None:
        """Keep ``predicted`` (B, ...) and the target; `gather` drops rows that ``batch.valid`` calls padding."""
        self._rows.append((predicted.detach(), batch.target, batch.valid))

    def gather(self) -> tuple[Tensor, Tensor] | None:
        """All rows: predictions (N, ...) and targets (N, ...); None where there are none."""
        if not self._rows:
            return None
        predicted, target, valid = (torch.cat(column) for column in zip(*self._rows, strict=True))
        kept = (predicted, target) if bool(valid.all()) else (predicted[valid], target[valid])  # all need no copy
        return kept if len(kept[1]) else None


class RegressionMetric:
    """``mae``, ``rmse`` and ``r2``; of several targets also ``mae/TARGET`` etc., each in its target's own unit.

    Of several targets ``mae`` and ``rmse`` are means of errors in standard deviations of each target, since a mean over
    units would be that of the largest numbers. R2 is undefined for fewer than two samples and for a target that does
    not vary.

    Args:
        targets: Names of the T targets.
        std: Standard deviation of each in the training split; None = 1. It plays no part with a single target.
    """

    def __init__(self, targets: Sequence[str], *, std: Sequence[float] | None = None) -> None:
        self.targets = tuple(targets)
        self.units = tuple(std or [1.0] * len(self.targets)) if len(self.targets) > 1 else (1.0,)
        self.reset()

    def reset(self, scenes: Sequence[Scene] = ()) -> None:  # noqa: ARG002
        """Forget all samples."""
        self.samples = Samples()

    def update(self, prediction: Prediction, batch: Batch) -> None:
        """Add ``value`` (B, T); ``batch.target`` is (B, T) in the same units."""
        self.samples.add(prediction["value"], batch)

    def compute(self) -> dict[str, float]:
        """The values, without those that are undefined."""
        predicted, target = self.pairs()
        if not len(target):
            return {}
        each = {name: _errors(predicted[:, i], target[:, i]) for i, name in enumerate(self.targets)}
        errors = list(zip(each.values(), self.units, strict=True))
        values = {key: _mean([one[key] / unit for one, unit in errors]) for key in ("mae", "rmse")}
        values["r2"] = _mean([one["r2"] for one in each.values() if "r2" in one])
        if len(self.targets) > 1:
            values |= {f"{key}/{name}": value for name, one in each.items() for key, value in one.items()}
        return defined(values)

    def by_image(self) -> list[dict[str, Any]]:
        """Of each sample its true values as the table has them (float32's shortest text), those of `visrun predict`,
        and as its ``error`` how far they are apart: in the target's unit, of several in standard deviations (mean)."""
        predicted, target = self.pairs()
        errors = ((predicted - target).abs() / predicted.new_tensor(self.units)).mean(1)
        true = [dict(zip(self.targets, map(float, row), strict=True)) for row in target.float().numpy().astype(str)]
        values = [dict(zip(self.targets, map(single, row), strict=True)) for row in predicted.tolist()]
        return in_rows(error=errors.tolist(), true=true, values=values)

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Predicted and true values, (N, T) float64 on the CPU each."""
        if (rows := self.samples.gather()) is None:
            empty = torch.zeros(0, len(self.targets), dtype=torch.float64)
            return empty, empty
        return rows[0].double().cpu(), rows[1].double().cpu()


class SegmentationMetric:
    """``miou``, ``iou/CLASS``, macro ``dice`` and ``pixel_accuracy`` over all pixels that are not ignored (255).

    Computed from one running confusion matrix over the whole split, in the pixels that the network saw. A class that
    neither the masks nor the predictions hold is left out; one that is only predicted has IoU 0.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.reset()

    def reset(self, scenes: Sequence[Scene] = ()) -> None:  # noqa: ARG002
        """Forget all pixels."""
        self._counts: Tensor | None = None
        self._wrong: list[tuple[Tensor, Tensor]] = []

    def update(self, prediction: Prediction, batch: Batch) -> None:
        """Add ``mask`` (B, H, W); ``batch.target`` is (B, H, W) with 255 = ignored."""
        k = len(self.classes)
        counted = (batch.target != IGNORE) & batch.valid.view(-1, 1, 1)
        # Cell of the matrix for every pixel; those that do not count go to one more cell. bincount would wait.
        cell = torch.where(counted, batch.target * k + prediction["mask"].long(), k * k).flatten()
        if self._counts is None:
            self._counts = torch.zeros(k * k + 1, dtype=torch.int64, device=cell.device)
        self._counts.scatter_add_(0, cell, torch.ones_like(cell))
        wrong = (counted & (batch.target != prediction["mask"])).flatten(1).sum(1)
        self._wrong.append((wrong / counted.flatten(1).sum(1).clamp_min(1), batch.valid))

    def compute(self) -> dict[str, float]:
        """The values in [0, 1], without those that are undefined."""
        counts = self.confusion().double()
        right, union = counts.diag(), counts.sum(0) + counts.sum(1) - counts.diag()
        iou, dice = right / union, 2.0 * right / (union + right)
        known = union > 0
        values = {"miou": iou[known].mean(), "dice": dice[known].mean(), "pixel_accuracy": right.sum() / counts.sum()}
        return defined(values | {f"iou/{name}": value for name, value in zip(self.classes, iou, strict=True)})

    def by_image(self) -> list[dict[str, Any]]:
        """Of each sample as its ``error`` the share of its pixels, without ignored ones, that are wrong."""
        if not self._wrong:
            return []
        error, valid = (torch.cat(column) for column in zip(*self._wrong, strict=True))
        return in_rows(error=error[valid].tolist())

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


def in_rows(**columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Columns of the same length as one mapping for each sample."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def defined(values: dict[str, Any]) -> dict[str, float]:
    """The finite ones of ``values``, as plain numbers."""
    numbers = {name: float(value) for name, value in values.items()}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}
