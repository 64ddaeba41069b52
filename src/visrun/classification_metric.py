"""What classified images are worth: accuracy, F1 and the like, by the label that is likeliest or by thresholds.

``update`` keeps what it is given on the device and never waits for it; ``compute`` waits once. Legend: N samples, B of
them in a batch, K classes. torchmetrics is imported when the first value is computed: importing it takes seconds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from visrun.anomaly.curves import Counts, by_class
from visrun.batch import Batch, Prediction
from visrun.data.placement import Scene
from visrun.metrics import Samples, defined, in_rows

CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv 1706.04599
PREDICTED = 0.5  # with several labels an image, the probability from which a label counts where nothing was chosen
TOP = 5  # likeliest classes among which top5 looks for the right one
THRESHOLD = "threshold"  # begins the names of what is chosen, before that of the class
TUNED = "_tuned"  # ends the names of what is measured at the thresholds of the validation split


def called(probabilities: Tensor, preferred: tuple[int, float] | None = None) -> Tensor:
    """(B,) the one class of each row of (B, K): the likeliest.

    Args:
        preferred: A class and the probability from which on it is called, however likely others are; below it, the
            likeliest of these is.
    """
    if preferred is None:
        return probabilities.argmax(1)
    k, least = preferred
    others = probabilities.index_fill(1, torch.tensor([k], device=probabilities.device), -1.0).argmax(1)
    return others.masked_fill(probabilities[:, k].double() >= least, k)


def reached(probabilities: Tensor, thresholds: Sequence[float]) -> Tensor:
    """(B, K) which of the labels of (B, K) reach their thresholds (K,); compared in float64."""
    return probabilities.double() >= torch.tensor(thresholds, dtype=torch.float64, device=probabilities.device)


class ClassificationMetric:
    """``accuracy``, macro ``f1``, ``precision``, ``recall`` and ``auroc``, and ``ece`` (expected calibration error).

    ``f1/CLASS``, ``precision/CLASS`` and ``recall/CLASS`` of each; of more than five classes also ``top5``: the share
    of samples whose class is among the five likeliest. A class that is neither shown nor predicted is left out; of one
    that is only shown, or only predicted, all three are 0.

    With several labels an image, a label counts as predicted from a probability of 0.5 on, accuracy is the share of
    right yes-or-no answers, and ``map`` the mean over the classes shown of the average precision: the precision at each
    probability, weighted by the recall gained there. A class that lacks positive or negative samples is left out of the
    mean AUROC. ``f1_max`` is the mean over the classes shown of the best F1 that any threshold gives, and
    ``threshold/CLASS`` the one that was chosen on the validation split; while none was, the best of this split, of
    classes with positive and negative samples. At those that were chosen ``f1_tuned``, ``precision_tuned`` and
    ``recall_tuned``, with those of each class.

    Args:
        classes: Names of the K classes.
        multilabel: Whether an image can have several labels, or none.
        chosen: Gives the thresholds (K,) that were chosen on the validation split, None while there are none.
        asked: Of several labels, thresholds (K,) that count in place of 0.5 and of those that were chosen.
        preferred: Of one label, as :func:`called` has it; its threshold is ``threshold/CLASS``.
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        multilabel: bool = False,
        chosen: Callable[[], Sequence[float] | None] = lambda: None,
        asked: Sequence[float] | None = None,
        preferred: tuple[int, float] | None = None,
    ) -> None:
        self.classes, self.multilabel = tuple(classes), multilabel
        self.chosen, self.asked, self.preferred = chosen, asked, preferred
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
        if self.multilabel and self.asked is None and (chosen := self.chosen()) is not None:
            tuned = self._each_label(reached(probabilities, chosen), target)
            each |= {f"{key}{TUNED}": column for key, column in tuned.items()}
        means = {key: column.nanmean() for key, column in each.items()}
        answers, ranked = self._answers(probabilities, target), self._ranked(probabilities, target)
        graded = self._graded() if self.multilabel else self._preferred()
        return defined({**answers, **means, **ranked, **graded, **self._named(each)})

    def confusion(self) -> Tensor:
        """Counts (K, K) int64 on the CPU: rows are the truth, columns the predictions. Not for several labels."""
        rows, k = self.samples.gather(), len(self.classes)
        if rows is None:
            return torch.zeros(k, k, dtype=torch.int64)
        return (rows[1].long() * k + called(rows[0], self.preferred)).cpu().bincount(minlength=k * k).view(k, k)

    def by_image(self) -> list[dict[str, Any]]:
        """Of each sample the true and the predicted class or classes, and as its ``error`` what the true class lacks of
        a probability of 1; with several labels the mean of that over all yes-or-no answers."""
        if (rows := self.samples.gather()) is None:
            return []
        probabilities, target = (column.cpu() for column in rows)
        if not self.multilabel:
            lacking = 1 - probabilities.gather(1, target.long()[:, None])[:, 0]
            said = (called(probabilities, self.preferred), target.long())
            label, true = ([self.classes[k] for k in column.tolist()] for column in said)
            return in_rows(error=lacking.tolist(), true=true, label=label)
        answers = (reached(probabilities, self.asked or self.chosen() or self._plain()), target > 0)
        labels, true = ([[self.classes[k] for k in row.nonzero()[:, 0]] for row in column] for column in answers)
        return in_rows(error=(probabilities - target).abs().mean(1).tolist(), true=true, labels=labels)

    def counts(self) -> dict[str, Counts]:
        """Of each class how many samples of it and of others reach each of its probabilities."""
        if (rows := self.samples.gather()) is None:
            return {}
        probabilities, target = (column.cpu() for column in rows)
        truth = target > 0 if self.multilabel else target.long()[:, None] == torch.arange(len(self.classes))
        return by_class(self.classes, probabilities.double().numpy(), truth.numpy())

    def _graded(self) -> dict[str, float]:
        """``f1_max`` and ``threshold/CLASS``; none where a probability is no number."""
        found = {name: (each, *each.best_f1()) for name, each in self.counts().items() if each.positives}
        if any(math.isnan(each.thresholds.sum()) for each, *_ in found.values()):
            return {}
        best = {name: at for name, (each, _, at) in found.items() if each.negatives}
        known = self.asked or self.chosen()
        at = best if known is None else dict(zip(self.classes, known, strict=True))
        f1_max = sum(f1 for _, f1, _ in found.values()) / len(found) if found else math.nan
        return {"f1_max": f1_max, **{f"{THRESHOLD}/{name}": value for name, value in at.items()}}

    def _preferred(self) -> dict[str, float]:
        """``threshold/CLASS`` of the class that has one, where an image has one label."""
        if self.preferred is None:
            return {}
        k, least = self.preferred
        return {f"{THRESHOLD}/{self.classes[k]}": least}

    def _plain(self) -> list[float]:
        return [PREDICTED] * len(self.classes)

    def _named(self, each: Mapping[str, Tensor]) -> dict[str, float]:
        named = {key: zip(self.classes, column.tolist(), strict=True) for key, column in each.items()}
        return {f"{key}/{name}": value for key, pairs in named.items() for name, value in pairs}

    def _answers(self, probabilities: Tensor, target: Tensor) -> dict[str, Tensor]:
        """``accuracy``, of many classes ``top5``, and ``ece``."""
        from torchmetrics.functional import classification as tm

        if self.multilabel:
            right = reached(probabilities, self.asked or self._plain()) == (target > 0)
            flat = probabilities.flatten(), target.flatten()
            ece = tm.binary_calibration_error(*flat, CALIBRATION_BINS, validate_args=False)
            return {"accuracy": right.float().mean(), "ece": ece}
        k, values = len(self.classes), {"accuracy": (called(probabilities, self.preferred) == target).float().mean()}
        if k > TOP:
            values["top5"] = (probabilities.topk(TOP).indices == target.unsqueeze(1)).any(1).float().mean()
        ece = tm.multiclass_calibration_error(probabilities, target, k, CALIBRATION_BINS, validate_args=False)
        return {**values, "ece": ece}

    def _each(self, probabilities: Tensor, target: Tensor) -> dict[str, Tensor]:
        """F1, precision and recall of every class, (K,) on the CPU; NaN of one that is neither shown nor predicted."""
        if self.multilabel:
            return self._each_label(reached(probabilities, self.asked or self._plain()), target)
        # Counted here: torchmetrics compares all samples with all classes where results must be deterministic.
        predicted, k = called(probabilities, self.preferred), len(self.classes)
        columns = (target, predicted, target[target == predicted])
        return _of_classes(*(column.cpu().bincount(minlength=k) for column in columns))

    def _each_label(self, answers: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The same of several labels; both (N, K)."""
        counts = (target.sum(0), answers.sum(0), (answers & (target > 0)).sum(0))
        return _of_classes(*(count.cpu() for count in counts))

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


def _of_classes(shown: Tensor, said: Tensor, right: Tensor) -> dict[str, Tensor]:
    """F1, precision and recall of classes by how often they were shown, said and both, (K,) each."""
    known = shown + said > 0
    return {
        "f1": 2 * right / (shown + said),
        "precision": right / (said.clamp_min(1) * known),
        "recall": right / (shown.clamp_min(1) * known),
    }
