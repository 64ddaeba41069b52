"""Instance segmentation: a class, a box and a mask for each object.

>>> task = InstanceSegmentation(classes=["nucleus"], loss=default_mask)
>>> task.predict(model, images)["masks"]  # (B, D, H / 4, W / 4); boxes, scores and labels beside them
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from visrun.detection.losses import giou
from visrun.detection.metrics import MaskMetric
from visrun.detection.objective import learn
from visrun.detection.restore import restore_masks
from visrun.detection.results import drawn, true_masks, truth, whole
from visrun.detection.runs import areas, as_rows, of_rows, windows, written
from visrun.figures.shapes import Part, beside_truth
from visrun.tasks.base import Batch, Forward, Place, Prediction
from visrun.tasks.object_detection import ObjectDetection


class InstanceSegmentation(ObjectDetection):
    """As :class:`ObjectDetection`, with masks; its boxes learn by GIoU.

    Targets have the numbers of their objects beside them, and the loss is of masks: (..., h, w) logits, true masks and
    pixels that count -> (...). `predict` adds ``masks`` (B, D, H / 4, W / 4) uint8, 255 times a probability; `propose`
    ``coefficients`` (B, C, P) and ``prototypes`` (B, P, H / 4, W / 4), whose sum weighted by these is a mask's logit.
    """

    def losses(self, model: Forward, batch: Batch) -> dict[str, Tensor]:
        """``class``, ``box`` (GIoU) and ``mask``; another detector's own parts; {} of one that only predicts."""
        return learn(
            model(batch.images),
            batch,
            box_loss=giou,
            mask_loss=self.loss,
            class_weight=self.class_weight,
            chosen=None,
        )

    def restore(self, prediction: Prediction, i: int, place: Place) -> Prediction:
        """What was found in sample ``i``, its boxes in the pixels of the file, and in the place of masks ``runs``.

        These (1, n, L) are as :func:`visrun.detection.runs.as_rows` has them, of what is too faint for a record none.
        What else has no pixel, or lies in the padding alone, is left out.
        """
        found = super().restore(prediction, i, place)
        faint = found["scores"][0] < self.recorded_from
        masks = found.pop("masks")[0].where(~faint[:, None, None], 0)
        runs = restore_masks(masks, place)
        there = faint | torch.from_numpy(areas(runs) > 0).to(faint.device)
        found["runs"] = as_rows(runs).to(faint.device).unsqueeze(0)
        return {name: values[:, there] for name, values in found.items()}

    def merge(self, parts: Sequence[Prediction], places: Sequence[Place]) -> Prediction:
        """One prediction of a file from those of its tiles."""
        most = max(part["runs"].shape[2] for part in parts)
        alike = [part | {"runs": F.pad(part["runs"], (0, most - part["runs"].shape[2]))} for part in parts]
        return super().merge(alike, places)

    def metric(self) -> MaskMetric:
        """COCO's mean average precision of masks, and of boxes beside it."""
        return MaskMetric(self.classes)

    def record(self, prediction: Prediction, i: int) -> dict[str, Any]:
        """``objects``: label, score, box and ``mask`` of each, best first; masks are COCO's runs in the file's pixels.

        A prediction that was not restored to a file has no masks here.
        """
        found = super().record(prediction, i)
        if "runs" not in prediction:
            return found
        masks = of_rows(prediction["runs"][i, : len(found["objects"])])
        return {"objects": [one | {"mask": written(runs)} for one, runs in zip(found["objects"], masks, strict=True)]}

    def draw(self, image: Image.Image, prediction: Prediction, i: int, target: Any = None) -> Image.Image:
        """The image with what was found; where the truth is known, it stands beside.

        Args:
            image: In whose pixels the boxes are; masks are stretched over it.
            target: The true objects (M, 7) and layers (L, h, w) of the whole image with their numbers, or None.
        """
        found: dict[str, Any] = drawn(prediction, i, least=self.drawn_from)
        runs = of_rows(found.pop("runs")) if "runs" in found else None
        masks = whole(found["masks"]) if runs is None else [Part(*one) for one in windows(runs)]
        real = None
        if target is not None:
            rows, layers = target
            boxes, labels = truth(rows)
            real = {"boxes": boxes, "labels": labels, "masks": true_masks(rows, layers)}
        return beside_truth(image, found | {"masks": masks}, real, classes=self.classes)
