"""What follows from knowing which detection found which object: curves, a confusion matrix, the best score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from visrun.detection import scoring
from visrun.detection.matching import Bools, Floats, Ints, Overlap, Pairs, candidates, greedy
from visrun.detection.rows import Detections, Truth
from visrun.detection.scoring import COCO_POINTS, Curve, WorkingPoint

IOU = 0.5
SCORE = 0.25  # from which on a detection counts in a confusion matrix, where no score is better than another


@dataclass(frozen=True, eq=False)
class Matched:
    """Detections and the objects that they found.

    Args:
        found: N detections, best score first; truth: M objects.
        overlap: How much they overlap.
        match: (N,) the object of its own class that each found, -1 = none.
    """

    found: Detections
    truth: Truth
    overlap: Overlap
    match: Ints

    def curves(self, classes: Sequence[str], *, points: Floats = COCO_POINTS) -> dict[str, Curve]:
        """Precision over recall for each class with objects to be found."""
        labels, truth = self.found.labels, self.truth
        each = scoring.curves(self.match, labels, truth.labels, truth.ignored, len(classes), points=points)
        return {classes[k]: curve for k, curve in each.items()}

    def working_point(self) -> WorkingPoint | None:
        """The score from which on detections give the best F1; None where none is right."""
        return scoring.working_point(self.match, self.found.scores, self.truth.ignored)

    def confusion(self, classes: int) -> Tensor:
        """Counts (K + 1, K + 1) int64: rows are the truth, columns the detections; the last of each is background.

        Detections from the working point's score on count. What found no object of its class may still have found one
        of another; what is left is background: objects that were missed, detections of nothing.
        """
        taken, left, wrong = self._verdicts()
        other = self._other_classes(wrong, left)
        confused, nothing = wrong[other >= 0], wrong[other < 0]
        left[other[other >= 0]] = False
        true, said = self.truth.labels, self.found.labels
        cells = [
            (true[taken], true[taken]),
            (true[other[other >= 0]], said[confused]),
            (np.full(len(nothing), classes), said[nothing]),
            (true[left], np.full(int(left.sum()), classes)),
        ]
        rows, columns = (np.concatenate(part) for part in zip(*cells, strict=True))
        counts = np.bincount(rows * (classes + 1) + columns, minlength=(classes + 1) ** 2)
        return torch.from_numpy(counts).view(classes + 1, classes + 1)

    def by_image(self) -> list[dict[str, int]]:
        """Of each image that was looked at the objects that were ``missed``, the ``false`` detections, and their sum
        as ``error``; detections count from the working point's score on, and one of another class is both."""
        _, left, wrong = self._verdicts()
        numbers = sorted(self.truth.sizes)
        missed, false = (np.searchsorted(numbers, image) for image in (self.truth.image[left], self.found.image[wrong]))
        counts = [np.bincount(column, minlength=len(numbers)).tolist() for column in (missed, false)]
        return [{"error": a + b, "missed": a, "false": b} for a, b in zip(*counts, strict=True)]

    def _verdicts(self) -> tuple[Ints, Bools, Ints]:
        """The objects that were found, (M,) those that were not, and the detections that found nothing of their class;
        detections count from the working point's score on."""
        point = self.working_point()
        kept = self.found.scores >= (SCORE if point is None else point.score)
        right, counted = scoring.verdicts(self.match, self.truth.ignored)
        taken = self.match[right & kept]
        left = ~self.truth.ignored
        left[taken] = False
        return taken, left, np.flatnonzero(kept & counted & ~right)

    def _other_classes(self, wrong: Ints, left: Bools) -> Ints:
        """For the detections ``wrong`` the object, of those ``left``, of whatever class, that each found; -1 = none."""
        objects = np.flatnonzero(left)

        def overlap(i: Ints, j: Ints) -> Floats:
            return self.overlap(wrong[i], objects[j])

        pairs = candidates(self.found.image[wrong], self.truth.image[objects], overlap, least=IOU)
        match = greedy(pairs, np.zeros(len(objects), bool), len(wrong))
        return np.where(match >= 0, objects[match] if len(objects) else -1, -1)


def matched(found: Detections, truth: Truth, overlap: Overlap, pairs: Pairs) -> Matched:
    """By COCO's rule, from the pairs of one class that overlap enough."""
    return Matched(found, truth, overlap, greedy(pairs, truth.ignored, len(found)))
