"""Metrics of the tasks, by torchmetrics where it has them.

``update`` keeps what it is given on the device and never waits for it; ``compute`` waits once. A value that is not
defined (no samples, a class nobody has seen) is left out rather than reported as NaN. Legend: N samples, B of them in a
batch, K classes, T regression targets, H x W pixels.

torchmetrics is imported when the first value is computed: importing it takes seconds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from visrun.anomaly.curves import by_class
from visrun.batch import Batch, Prediction
from visrun.data.ids import IGNORE
from visrun.data.placement import Scene
from visrun.numbers import single

CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv 1706.04599
PREDICTED = 0.5  # with several labels an image, the probability from which a label counts as predicted
TOP = 5  # likeliest classes among which top5 looks for the right one


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


class ClassificationMetric:
    """``accuracy``, macro ``f1``, ``precision``, ``recall`` and ``auroc``, and ``ece`` (expected calibration error).

    ``f1/CLASS``, ``precision/CLASS`` and ``recall/CLASS`` of each; of more than five classes also ``top5``: the share
    of samples whose class is among the five likeliest. A class that is neither shown nor predicted is left out; of one
    that is only shown, or only predicted, all three are 0.

    With several labels an image, a label counts as predicted from a probability of 0.5 on, accuracy is the share of
    right yes-or-no answers, and ``map`` the mean over the classes shown of the average precision: the precision at each
    probability, weighted by the recall gained there. A class that lacks positive or negative samples is left out of the
    mean AUROC.
    """

    def __init__(self, classes: Sequence[str], *, multilabel: bool = False) -> None:
        self.classes, self.multilabel = tuple(classes), multilabel
        self.reset()

    def reset(self, scenes: Sequence[Scene] = ()) -> None:  # noqa: ARG002
        """Forget all samples."""
        self.samples = Samples()

    def update(self, prediction: Prediction, batch: Batch) -> None:
        """Add ``probabilities`` (B, K); ``batch.target`` is (B,) classes, or (B, K) zeros and ones if multilabel."""
        self.samples.add(prediction["probabilities"], batch)

    def compute(self) -> dict[str, float]:
        """The values in [0, 1], without those that are undefined."""
        if (rows := self.samples.gather()) is None:
            return {}
        probabilities, target = rows[0], rows[1].long()
        each = self._each(probabilities, target)
        means = {key: column.nanmean() for key, column in each.items()}
        answers, ranked = self._answers(probabilities, target), self._ranked(probabilities, target)
        return _defined({**answers, **means, **ranked, **self._named(each)})

    def confusion(self) -> Tensor:
        """Counts (K, K) int64 on the CPU: rows are the truth, columns the predictions. Not for several labels."""
        rows, k = self.samples.gather(), len(self.classes)
        if rows is None:
            return torch.zeros(k, k, dtype=torch.int64)
        return (rows[1].long() * k + rows[0].argmax(1)).cpu().bincount(minlength=k * k).view(k, k)

    def by_image(self) -> list[dict[str, Any]]:
        """Of each sample the true and the predicted class or classes, and as its ``error`` what the true class lacks of
        a probability of 1; with several labels the mean of that over all yes-or-no answers."""
        if (rows := self.samples.gather()) is None:
            return []
        probabilities, target = (column.cpu() for column in rows)
        if not self.multilabel:
            lacking = 1 - probabilities.gather(1, target.long()[:, None])[:, 0]
            said = (probabilities.argmax(1), target.long())
            label, true = ([self.classes[k] for k in column.tolist()] for column in said)
            return _rows(error=lacking.tolist(), true=true, label=label)
        answers = (probabilities >= PREDICTED, target > 0)
        labels, true = ([[self.classes[k] for k in row.nonzero()[:, 0]] for row in column] for column in answers)
        return _rows(error=(probabilities - target).abs().mean(1).tolist(), true=true, labels=labels)

    def by_threshold(self) -> list[dict[str, Any]]:
        """Of each class what each of its probabilities would give as the threshold."""
        if (rows := self.samples.gather()) is None:
            return []
        probabilities, target = (column.cpu() for column in rows)
        truth = target > 0 if self.multilabel else target.long()[:, None] == torch.arange(len(self.classes))
        return by_class(self.classes, probabilities.double().numpy(), truth.numpy())

    def _named(self, each: Mapping[str, Tensor]) -> dict[str, float]:
        named = {key: zip(self.classes, column.tolist(), strict=True) for key, column in each.items()}
        return {f"{key}/{name}": value for key, pairs in named.items() for name, value in pairs}

    def _answers(self, probabilities: Tensor, target: Tensor) -> dict[str, Tensor]:
        """``accuracy``, of many classes ``top5``, and ``ece``."""
        from torchmetrics.functional import classification as tm

        if self.multilabel:
            right = (probabilities >= PREDICTED) == (target > 0)
            flat = probabilities.flatten(), target.flatten()
            ece = tm.binary_calibration_error(*flat, CALIBRATION_BINS, validate_args=False)
            return {"accuracy": right.float().mean(), "ece": ece}
        k, values = len(self.classes), {"accuracy": (probabilities.argmax(1) == target).float().mean()}
        if k > TOP:
            values["top5"] = (probabilities.topk(TOP).indices == target.unsqueeze(1)).any(1).float().mean()
        ece = tm.multiclass_calibration_error(probabilities, target, k, CALIBRATION_BINS, validate_args=False)
        return {**values, "ece": ece}

    def _each(self, probabilities: Tensor, target: Tensor) -> dict[str, Tensor]:
        """F1, precision and recall of every class, (K,) on the CPU; NaN of one that is neither shown nor predicted."""
        if self.multilabel:
            answers = probabilities >= PREDICTED
            counts = (target.sum(0), answers.sum(0), (answers & (target > 0)).sum(0))
            shown, said, right = (count.cpu() for count in counts)
        else:
            # Counted here: torchmetrics compares all samples with all classes where results must be deterministic.
            predicted, k = probabilities.argmax(1), len(self.classes)
            columns = (target, predicted, target[target == predicted])
            shown, said, right = (column.cpu().bincount(minlength=k) for column in columns)
        known = shown + said > 0
        return {
            "f1": 2 * right / (shown + said),
            "precision": right / (said.clamp_min(1) * known),
            "recall": right / (shown.clamp_min(1) * known),
        }

    def _ranked(self, probabilities: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What the order of the probabilities is worth: macro AUROC and, with several labels, average precision."""
        from torchmetrics.functional import classification as tm

        k, shape = len(self.classes), {"average": None, "validate_args": False}
        auroc = tm.multilabel_auroc if self.multilabel else tm.multiclass_auroc
        shown = target.sum(0).cpu() if self.multilabel else target.cpu().bincount(minlength=k)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes without positives or negatives, which are left out here
            values = {"auroc": auroc(probabilities, target, k, **shape)[(shown > 0) & (shown < len(target))].mean()}
            if self.multilabel:
                values["map"] = tm.multilabel_average_precision(probabilities, target, k, **shape)[shown > 0].mean()
        return values


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
        return _defined(values)

    def by_image(self) -> list[dict[str, Any]]:
        """Of each sample its true values as the table has them (float32's shortest text), those of `visrun predict`,
        and as its ``error`` how far they are apart: in the target's unit, of several in standard deviations (mean)."""
        predicted, target = self.pairs()
        errors = ((predicted - target).abs() / predicted.new_tensor(self.units)).mean(1)
        true = [dict(zip(self.targets, map(float, row), strict=True)) for row in target.float().numpy().astype(str)]
        values = [dict(zip(self.targets, map(single, row), strict=True)) for row in predicted.tolist()]
        return _rows(error=errors.tolist(), true=true, values=values)

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
        return _defined(values | {f"iou/{name}": value for name, value in zip(self.classes, iou, strict=True)})

    def by_image(self) -> list[dict[str, Any]]:
        """Of each sample as its ``error`` the share of its pixels, without ignored ones, that are wrong."""
        if not self._wrong:
            return []
        error, valid = (torch.cat(column) for column in zip(*self._wrong, strict=True))
        return _rows(error=error[valid].tolist())

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


def _rows(**columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Columns of the same length as one mapping for each sample."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _defined(values: dict[str, Any]) -> dict[str, float]:
    numbers = {name: float(value) for name, value in values.items()}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}
