"""Object detection: a class and an upright box for each object.

>>> task = ObjectDetection(classes=["cat", "dog"], loss=giou)
>>> task.predict(model, images)["boxes"]  # (B, D, 4) left, top, right, bottom; scores and labels beside them
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from visrun.detection.decode import SAME, propose, report
from visrun.detection.metrics import BoxMetric
from visrun.detection.objective import learn
from visrun.detection.restore import restore_boxes
from visrun.detection.results import DRAWN, RECORDED, drawn, merged, of_file, recorded, truth
from visrun.figures.shapes import beside_truth
from visrun.tasks.base import Batch, Forward, Metric, Place, Prediction, probability


class ObjectDetection:
    """Targets are objects (B, M, 7), their columns as in :mod:`visrun.data.objects`.

    Args:
        classes: Names of the K classes.
        loss: Of boxes, xyxy found and true (..., 4) -> (...); None for a task that only predicts.
        class_weight: (K,) weight of each class in the losses, or None.
    """

    same = SAME
    recorded_from, drawn_from = RECORDED, DRAWN  # scores

    def __init__(
        self, *, classes: Sequence[str], loss: Callable[..., Tensor] | None = None, class_weight: Tensor | None = None
    ) -> None:
        self.classes, self.loss, self.class_weight = tuple(classes), loss, class_weight
        self.num_outputs = len(self.classes)

    def losses(self, model: Forward, batch: Batch) -> dict[str, Tensor]:
        """``class`` and ``box``; another detector's own parts; {} of one that only predicts in evaluation."""
        return learn(model(batch.images), batch, box_loss=self.loss, chosen=self.loss, class_weight=self.class_weight)

    def predict(self, model: Forward, images: Tensor) -> Prediction:
        """``boxes`` (B, D, 4), ``scores`` and ``labels`` (B, D), best first; empty rows have score 0 and label -1."""
        return report(model, images)

    def propose(self, model: Forward, images: Tensor) -> Prediction:
        """``boxes``, ``scores`` and ``labels`` of (B, C) pairs of place and class, before suppression."""
        return propose(model, images)

    def restore(self, prediction: Prediction, i: int, place: Place) -> Prediction:
        """What was found in sample ``i`` of what the file shows, its boxes in the pixels of that."""
        return of_file(prediction, i, place, restore_boxes)

    def merge(self, parts: Sequence[Prediction], places: Sequence[Place]) -> Prediction:
        """One prediction of a file from those of its tiles."""
        return merged(parts, places)

    def select(self, threshold: float) -> None:
        """Write and draw objects from this score on."""
        self.recorded_from = self.drawn_from = probability(threshold)

    def metric(self) -> Metric:
        """COCO's mean average precision."""
        return BoxMetric(self.classes)

    def record(self, prediction: Prediction, i: int) -> dict[str, Any]:
        """``objects``: label, score and box of each, best first."""
        return {"objects": recorded(prediction, i, self.classes, least=self.recorded_from)}

    def draw(self, image: Image.Image, prediction: Prediction, i: int, target: Any = None) -> Image.Image:
        """The image with what was found; where the truth is known, it stands beside.

        Args:
            image: In whose pixels the boxes are.
            target: The true objects (M, 7), or None.
        """
        real = None
        if target is not None:
            boxes, labels = truth(target)
            real = self.shapes({"boxes": boxes, "labels": labels})
        return beside_truth(image, self.shapes(drawn(prediction, i, least=self.drawn_from)), real, classes=self.classes)

    def shapes(self, objects: Prediction) -> Prediction:
        """Objects with the lines that a picture shows of them."""
        return objects

    def state(self) -> dict[str, Any]:
        """Class names."""
        return {"classes": list(self.classes)}
