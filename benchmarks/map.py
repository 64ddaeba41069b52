"""What a metric costs: COCO's numbers for boxes, and those of turned boxes, on detections as many as a model's.

    python benchmarks/map.py [--images 500] [--objects 3800] [--detections 46000] [--repeats 5]

Times ``compute()``, once ``update`` has taken everything in: median of the repeats, and the fastest. pycocotools gets
the same boxes in the same run, from its lists of annotations to its numbers. ``cpu`` are seconds of this process alone.
Needs the extra ``dev``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable
from statistics import median
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from common import report
from numpy.typing import NDArray

from visrun.boxes import le90_to_quads
from visrun.data.objects import Objects
from visrun.detection.metrics import BoxMetric, RotatedMetric

SIDE, BATCH, CLASSES = 640, 20, 80
NAMES = [f"class {k}" for k in range(CLASSES)]
Array = NDArray[Any]


class Answer(NamedTuple):
    """One image's detections: (n, 4) or (n, 5), (n,) falling, (n,)."""

    boxes: Array
    scores: Array
    labels: Array


class Place:
    """A file that is shown as it is."""

    size, scale = (SIDE, SIDE), 1.0

    def points(self, xy: torch.Tensor) -> torch.Tensor:
        return xy


def main() -> None:
    parser = argparse.ArgumentParser(description="seconds of a detection metric")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--objects", type=int, default=3800)
    parser.add_argument("--detections", type=int, default=46000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    truths, answers = split(options.images, options.objects, options.detections)
    facts = {"images": options.images, "objects": options.objects, "detections": options.detections}
    level = [answer._replace(boxes=upright(answer.boxes)) for answer in answers]
    theirs = timed(lambda: pycocotools(truths, level), 1)
    report("map/pycocotools", **theirs, **facts)
    ours = timed(fed(BoxMetric(NAMES), truths, level).compute, options.repeats)
    report("map/boxes", **ours, ratio=ours["value"] / theirs["value"], over="map/pycocotools", **facts)
    for name, dota in (("map/rotated", False), ("map/rotated_dota", True)):
        report(name, **timed(fed(RotatedMetric(NAMES, dota=dota), truths, answers).compute, options.repeats), **facts)


def split(images: int, objects: int, detections: int) -> tuple[list[Objects], list[Answer]]:
    """Turned objects, and detections: half of them an object moved a little, half of them anywhere."""
    random = np.random.default_rng(0)
    counts = [random.multinomial(total, np.ones(images) / images).tolist() for total in (objects, detections)]
    truths, answers = [], []
    for n, m in zip(*counts, strict=True):
        boxes, labels = random_boxes(random, n), random.integers(0, CLASSES, n)
        again = random.integers(0, n, m // 2) if n else np.zeros(0, int)
        spread = np.column_stack([boxes[again][:, [2, 3, 2, 3]], np.ones(len(again))])
        moved = boxes[again] + random.normal(0, 0.1, (len(again), 5)) * spread
        found = np.concatenate([moved, random_boxes(random, m - len(again))])
        found[:, 2:4] = found[:, 2:4].clip(2)
        said = np.concatenate([labels[again], random.integers(0, CLASSES, m - len(again))])
        quads = le90_to_quads(torch.from_numpy(boxes)).numpy().reshape(-1, 4, 2)
        truths.append(Objects(labels, upright(boxes), np.zeros(n, bool), quads))
        answers.append(Answer(found.astype(np.float32), np.sort(random.random(m, np.float32))[::-1].copy(), said))
    return truths, answers


def random_boxes(random: np.random.Generator, n: int) -> Array:
    centre, side = random.uniform(40, SIDE - 40, (n, 2)), np.exp(random.uniform(2.3, 5, (n, 2)))
    return np.concatenate([centre, side, random.uniform(-1.5, 1.5, (n, 1))], 1)


def upright(boxes: Array) -> Array:
    """(n, 4) xyxy of (n, 5) boxes whose angle is left out, cut to the image."""
    return np.concatenate([boxes[:, :2] - boxes[:, 2:4] / 2, boxes[:, :2] + boxes[:, 2:4] / 2], 1).clip(0, SIDE)


def fed(metric: Any, truths: list[Objects], answers: list[Answer]) -> Any:
    """``metric`` after it has been given everything, in batches of padded rows."""
    place = Place()
    metric.reset([SimpleNamespace(image=i, place=place, truth=truth) for i, truth in enumerate(truths)])
    room = max(len(answer.scores) for answer in answers)
    for index in torch.arange(len(truths)).split(BATCH):
        prediction = {
            "boxes": torch.zeros(len(index), room, answers[0].boxes.shape[1]),
            "scores": torch.zeros(len(index), room),
            "labels": torch.full((len(index), room), -1),
        }
        for row, i in enumerate(index.tolist()):
            for name, values in answers[i]._asdict().items():
                prediction[name][row, : len(values)] = torch.from_numpy(values)
        images, valid = torch.zeros(1, 3, SIDE, SIDE), torch.ones(len(index), dtype=torch.bool)
        metric.update(prediction, SimpleNamespace(images=images, index=index, valid=valid))
    return metric


def timed(work: Callable[[], dict[str, float]], times: int) -> dict[str, Any]:
    """Seconds of a call, and the first of the numbers it gave."""
    seconds, cpu, values = [], [], {}
    for _ in range(times):
        began = time.perf_counter(), time.process_time()
        values = work()
        seconds.append(time.perf_counter() - began[0])
        cpu.append(time.process_time() - began[1])
    name = next(iter(values))
    facts = {"fastest": round(min(seconds), 4), "cpu": round(median(cpu), 4), name: round(values[name], 6)}
    return {"value": median(seconds), "unit": "s", **facts}


def pycocotools(truths: list[Objects], answers: list[Answer]) -> dict[str, float]:
    """The same boxes in COCO's own tools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    objects = [Answer(truth.boxes, np.ones(len(truth)), truth.labels) for truth in truths]
    images, categories = [{"id": i} for i in range(len(truths))], [{"id": k, "name": NAMES[k]} for k in range(CLASSES)]
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for each in (objects, answers):
            sides.append(COCO())
            sides[-1].dataset = {"images": images, "categories": categories, "annotations": annotations(each)}
            sides[-1].createIndex()
        evaluation = COCOeval(*sides, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {"map": float(evaluation.stats[0])}


def annotations(answers: list[Answer]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for image, answer in enumerate(answers):
        for (x, y, right, bottom), score, label in zip(*(column.tolist() for column in answer), strict=True):
            box = {"bbox": [x, y, right - x, bottom - y], "area": (right - x) * (bottom - y), "iscrowd": 0}
            found.append({"id": len(found) + 1, "image_id": image, "category_id": label, "score": score, **box})
    return found


if __name__ == "__main__":
    main()
