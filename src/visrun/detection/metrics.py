"""Metrics of the three detection tasks. All are measured in the pixels of the files, tiles of an image merged.

    metric = BoxMetric(["cat", "dog"])
    metric.reset(scenes)
    metric.update(prediction, batch)
    metric.compute()  # {"map": 0.41, "map50": 0.63, ..., "ap/cat": 0.45, "ap/dog": 0.37}

``update`` leaves boxes on the device and never waits for it; masks are brought to the CPU as runs. ``compute`` waits.
A value without an object to be found is left out. Legend: B images in a batch, D detections an image has room for,
K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from visrun.batch import Batch, Prediction
from visrun.boxes import le90_to_quads, quads_to_le90
from visrun.data.objects import Objects
from visrun.data.placement import Scene
from visrun.detection import overlaps
from visrun.detection.coco import coco_values
from visrun.detection.matched import IOU, Matched, matched
from visrun.detection.matching import SLACK, Overlap, candidates, first_choice
from visrun.detection.restore import restore_boxes, restore_rotated
from visrun.detection.rows import Detections, Seen, Truth, best_of, of_one_class, ranked
from visrun.detection.scoring import COCO_POINTS, VOC_POINTS, Curve, WorkingPoint
from visrun.detection.tiles import QUADS, TURNED, UPRIGHT, merged

OverlapOf = Callable[[Detections, Truth], Overlap]
THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
MOST = 2000  # turned boxes of an image that count: an aerial image holds many more than COCO's 100


class BoxMetric:
    """COCO's ``map``, ``map50``, ``map75``, ``map_small``, ``_medium``, ``_large``, ``ar100`` and ``ap/CLASS``.

    Ignored objects count as crowds. Sizes are those of the boxes, in pixels of the file.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.reset()

    def reset(self, scenes: Sequence[Scene] = ()) -> None:
        """Forget all images; ``scenes`` are those of the rows that ``batch.index`` will name."""
        self.seen = Seen(scenes)

    def update(self, prediction: Prediction, batch: Batch) -> None:
        """Add ``boxes`` (B, D, 4) xyxy, ``scores`` and ``labels`` (B, D), in pixels of the training image."""
        self.seen.add(prediction, batch)

    def compute(self) -> dict[str, float]:
        """The values in [0, 1], without those that are undefined."""
        return coco_values(*_boxes(self.seen), self.classes)

    def matched(self) -> Matched:
        """Which detection found which object, at IoU 0.5."""
        found, truth = _boxes(self.seen)
        return _matched(ranked(found), truth, overlaps.of_boxes)

    def confusion(self) -> Tensor:
        """Counts (K + 1, K + 1), background last; see :meth:`visrun.detection.matched.Matched.confusion`."""
        return self.matched().confusion(len(self.classes))

    def by_image(self) -> list[dict[str, int]]:
        """What was missed and what is false in each image; see :meth:`visrun.detection.matched.Matched.by_image`."""
        return self.matched().by_image()

    def curves(self) -> tuple[dict[str, Curve], WorkingPoint | None]:
        """Precision over recall of each class at IoU 0.5, and the score with the best F1."""
        found = self.matched()
        return found.curves(self.classes), found.working_point()


class MaskMetric(BoxMetric):
    """As :class:`BoxMetric`, of masks; and ``box_map``, ``box_map50`` of the boxes that the network gives to them.

    A prediction has ``masks`` (B, D, H / 4, W / 4) uint8 as well, 255 times a probability.
    """

    def reset(self, scenes: Sequence[Scene] = ()) -> None:
        """Forget all images; ``scenes`` are those of the rows that ``batch.index`` will name."""
        self.seen = Seen(scenes, masks=True)

    def compute(self) -> dict[str, float]:
        """The values in [0, 1], without those that are undefined."""
        found, truth = _boxes(self.seen)
        boxes = coco_values(found, truth, self.classes)
        masks = coco_values(found, truth, self.classes, masks=True)
        return masks | {f"box_{name}": boxes[name] for name in ("map", "map50") if name in boxes}

    def matched(self) -> Matched:
        """Which detection found which object, by the IoU of their masks, at 0.5."""
        found, truth = _boxes(self.seen)
        return _matched(ranked(found), truth, overlaps.of_masks)


class RotatedMetric(BoxMetric):
    """Turned boxes: ``map50``, ``map`` (mean over IoU 0.50 to 0.95), ``map75``, ``ap50/CLASS`` and what others count.

    COCO's rules with the exact IoU of rectangles, but up to 2,000 detections an image. Labelled corners that make no
    rectangle count as the smallest one around them. For comparing with other tools' figures there are ``dota_map50``,
    ``dota_ap50/CLASS``, and ``probiou_map`` and ``probiou_map50``: the same rules with ProbIoU (arXiv 2106.06072),
    which forgives more, in the place of the IoU, as Ultralytics' validator has it. A prediction's ``boxes`` are
    (B, D, 5) le90.

    Args:
        classes: Their names.
        dota: Only these two, then called ``map50`` and ``ap50/CLASS``, and the plots, as DOTA's own tools
            (https://github.com/CAPTAIN-WHU/DOTA_devkit) count them: IoU with the labelled corners as they are, above
            0.5 and not at it; Pascal VOC's rule of matching and its 11 points of 2007.
    """

    def __init__(self, classes: Sequence[str], *, dota: bool = False) -> None:
        super().__init__(classes)
        self.dota = dota

    def compute(self) -> dict[str, float]:
        """The values in [0, 1], without those that are undefined."""
        dota = self._dota()
        if self.dota:
            return dota
        found, truth = _rotated(self.seen)
        values = _coco(found, truth, self.classes, overlaps.of_rotated)
        kinder = _coco(found, truth, self.classes, overlaps.of_gaussians)
        values |= {f"probiou_{name}": kinder[name] for name in ("map", "map50") if name in kinder}
        return values | {f"dota_{name}": value for name, value in dota.items()}

    def matched(self) -> Matched:
        """Which detection found which object, at IoU 0.5."""
        if self.dota:
            return self._matched_by_dota()
        found, truth = _rotated(self.seen)
        return _matched(found, truth, overlaps.of_rotated)

    def _matched_by_dota(self) -> Matched:
        found, truth = _quads(self.seen)
        overlap = overlaps.of_polygons(found, truth)
        pairs = candidates(*of_one_class(found, truth), overlap, least=IOU)
        pairs = pairs.pick(pairs.overlap > IOU + SLACK)
        return Matched(found, truth, overlap, first_choice(pairs, truth.ignored, len(found)))

    def curves(self) -> tuple[dict[str, Curve], WorkingPoint | None]:
        """As :meth:`BoxMetric.curves`; of DOTA's rules with their 11 points."""
        found = self.matched()
        points = VOC_POINTS if self.dota else COCO_POINTS
        return found.curves(self.classes, points=points), found.working_point()

    def _dota(self) -> dict[str, float]:
        curves = self._matched_by_dota().curves(self.classes, points=VOC_POINTS)
        each = {name: curve.average for name, curve in curves.items()}
        return _values({"map50": list(each.values())}, each)


def _coco(found: Detections, truth: Truth, classes: Sequence[str], overlap_of: OverlapOf) -> dict[str, float]:
    overlap = overlap_of(found, truth)
    pairs = candidates(*of_one_class(found, truth), overlap, least=IOU)
    each = []
    for threshold in THRESHOLDS:
        enough = pairs.pick(pairs.overlap >= threshold - SLACK)
        curves = matched(found, truth, overlap, enough).curves(classes)
        each.append({name: curve.average for name, curve in curves.items()})
    half, strict = each[0], each[THRESHOLDS.index(0.75)]
    whole = [value for one in each for value in one.values()]
    return _values({"map50": list(half.values()), "map": whole, "map75": list(strict.values())}, half)


def _values(means: dict[str, list[float]], each: dict[str, float]) -> dict[str, float]:
    values = {name: float(np.mean(parts)) for name, parts in means.items() if parts}
    return values | {f"ap50/{name}": value for name, value in each.items()}


def _matched(found: Detections, truth: Truth, overlap_of: OverlapOf) -> Matched:
    overlap = overlap_of(found, truth)
    return matched(found, truth, overlap, candidates(*of_one_class(found, truth), overlap, least=IOU))


def _boxes(seen: Seen) -> tuple[Detections, Truth]:
    """Both as xyxy, with masks where there are any."""
    found = seen.found(restore_boxes, columns=4)
    found = merged(found, seen, UPRIGHT)
    return found, seen.truth(lambda objects: objects.boxes, columns=4)


def _rotated(seen: Seen) -> tuple[Detections, Truth]:
    """Both as le90, the detections best first."""
    found = seen.found(restore_rotated, columns=5)
    found = merged(found, seen, TURNED)
    truth = seen.truth(Objects.corners, columns=8)
    return ranked(best_of(found, found.image, MOST)), replace(truth, boxes=quads_to_le90(truth.boxes))


def _quads(seen: Seen) -> tuple[Detections, Truth]:
    """Both as quads, the detections best first."""
    found = seen.found(restore_rotated, columns=5)
    found = replace(found, boxes=le90_to_quads(found.boxes))
    found = merged(found, seen, QUADS)
    return ranked(best_of(found, found.image, MOST)), seen.truth(Objects.corners, columns=8)
