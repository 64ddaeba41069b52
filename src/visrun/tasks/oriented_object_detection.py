"""Oriented object detection: a class and a turned box for each object.

>>> task = OrientedObjectDetection(classes=["plane", "ship"], loss=default_rotated)
>>> task.predict(model, images)["boxes"]  # (B, D, 5) centre, width, height, angle (le90); scores and labels beside them
"""

from __future__ import annotations

from visrun.boxes import le90_to_quads
from visrun.detection.decode import SAME_ROTATED
from visrun.detection.metrics import RotatedMetric
from visrun.detection.restore import restore_rotated
from visrun.detection.results import of_file
from visrun.tasks.base import Metric, Place, Prediction
from visrun.tasks.object_detection import ObjectDetection


class OrientedObjectDetection(ObjectDetection):
    """As :class:`ObjectDetection`, with boxes le90 (B, D, 5) and targets (B, M, 8); the loss takes boxes (..., 5).

    In a record, angles are in degrees, clockwise as drawn.
    """

    same = SAME_ROTATED

    def restore(self, prediction: Prediction, i: int, place: Place) -> Prediction:
        """What was found in sample ``i`` of what the file shows, its boxes in the pixels of that."""
        return of_file(prediction, i, place, restore_rotated)

    def metric(self) -> Metric:
        """Average precision by the exact IoU of turned boxes."""
        return RotatedMetric(self.classes)

    def shapes(self, objects: Prediction) -> Prediction:
        """Objects with their corners."""
        rest = {name: values for name, values in objects.items() if name != "boxes"}
        return rest | {"quads": le90_to_quads(objects["boxes"])}
