"""COCO's numbers for boxes and masks, computed by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visrun.detection.matching import Floats
from visrun.detection.rows import Detections, Truth, best_of, of_one_class
from visrun.detection.runs import areas

MOST = 100  # detections of a class in an image, as COCO counts them
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # pixels


def coco_values(found: Detections, truth: Truth, classes: Sequence[str], *, masks: bool = False) -> dict[str, float]:
    """``map``, ``map50``, ``map75``, ``map_small``, ``_medium``, ``_large``, ``ar100`` and ``ap/CLASS``, in [0, 1].

    Values without an object that they could count are left out, and with them classes without objects.

    Args:
        found: With xyxy boxes, image by image; of equal scores the first is the better.
        classes: Names of the classes.
        masks: Compare masks rather than boxes. The size of an object is that of what is compared.
    """
    if not (~truth.ignored).any():
        return {}
    found = best_of(found, of_one_class(found, truth)[0], MOST)
    evaluation = evaluated(found, truth, len(classes), masks=masks)
    precision, recall = (
        evaluation.eval["precision"][..., 0],
        evaluation.eval["recall"][..., 0],
    )  # (T, R, K, A), (T, K, A)
    values = {
        "map": _mean(precision[..., 0]),
        "map50": _mean(precision[0, ..., 0]),
        "map75": _mean(precision[5, ..., 0]),
        **{f"map_{name}": _mean(precision[..., area]) for area, name in enumerate(SIZES, 1)},
        "ar100": _mean(recall[..., 0]),
        **{f"ap/{name}": _mean(precision[:, :, k, 0]) for k, name in enumerate(classes)},
    }
    return {name: value for name, value in values.items() if value is not None}


def evaluated(found: Detections, truth: Truth, classes: int, *, masks: bool) -> Any:
    """faster-coco-eval's object after its evaluation, over all, small, medium and large objects."""
    from faster_coco_eval import COCO, COCOeval_faster

    shared = {
        "images": [{"id": image, "height": h, "width": w} for image, (h, w) in truth.sizes.items()],
        "categories": [{"id": k, "name": str(k)} for k in range(classes)],
    }
    objects = _annotations(truth, masks=masks)
    for row, crowd in zip(objects, truth.ignored.tolist(), strict=True):
        row["iscrowd"] = int(crowd)
    detections = _annotations(found, masks=masks)
    for row, score in zip(detections, found.scores.tolist(), strict=True):
        row["score"] = score
    gt, dt = (COCO({**shared, "annotations": rows}, print_function=_silent) for rows in (objects, detections))
    kind: Any = "segm" if masks else "bbox"
    ranges = {name: list(ends) for name, ends in SIZES.items()}
    evaluation = COCOeval_faster(gt, dt, kind, ranges=ranges, print_function=_silent)
    evaluation.params.maxDets = [MOST]
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def _annotations(rows: Detections | Truth, *, masks: bool) -> list[dict[str, Any]]:
    corners = rows.boxes.numpy()
    sides = corners[:, 2:] - corners[:, :2]
    boxes = np.concatenate([corners[:, :2], sides], 1).tolist()
    size = areas(rows.masks or ()) if masks else sides.prod(1)
    columns = zip(rows.image.tolist(), rows.labels.tolist(), boxes, size.tolist(), strict=True)
    found = [
        {"id": i, "image_id": image, "category_id": label, "bbox": box, "area": area, "iscrowd": 0}
        for i, (image, label, box, area) in enumerate(columns, 1)
    ]
    if masks:
        for row, runs in zip(found, rows.masks or (), strict=True):
            row["segmentation"] = runs
    return found


def _mean(values: Floats) -> float | None:
    """Of the values that are defined, which COCO says by -1 of the others."""
    known = values[values > -1]
    return float(known.mean()) if len(known) else None


def _silent(*_: object) -> None: ...
