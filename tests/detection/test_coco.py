"""Boxes and masks: values by hand, and agreement with pycocotools on random data."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from visrun.data.objects import MASK_STRIDE
from visrun.detection.metrics import BoxMetric, MaskMetric

CLASSES = ["cat", "dog", "cow"]
KEYS = ("map", "map50", "map75", "map_small", "map_medium", "map_large")
SIDE = 256


def reference(truths: list[Any], answers: list[Any], classes: int, *, masks: bool = False) -> dict[str, float]:
    """What pycocotools says of the same."""
    gt, dt = [], []
    for image, (truth, found) in enumerate(zip(truths, answers, strict=True)):
        for row in range(len(truth)):
            gt.append(annotation(image, truth.boxes[row], truth.labels[row], len(gt), crowd=truth.ignored[row]))
            if masks:
                runs = coco_mask.frPyObjects([part.ravel().tolist() for part in truth.outlines[row]], SIDE, SIDE)
                add_mask(gt[-1], coco_mask.merge(runs))
        for row in range(len(found["scores"])):
            label = found["labels"][row]
            dt.append(annotation(image, found["boxes"][row].numpy(), label, len(dt), score=found["scores"][row]))
            if masks:
                add_mask(dt[-1], coco_mask.encode(np.asfortranarray(found["whole"][row].numpy())))
    shared = {
        "images": [{"id": i, "height": SIDE, "width": SIDE} for i in range(len(truths))],
        "categories": [{"id": k, "name": str(k)} for k in range(classes)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        pair = []
        for rows in (gt, dt):
            pair.append(COCO())
            pair[-1].dataset = {**shared, "annotations": rows}
            pair[-1].createIndex()
        evaluation = COCOeval(*pair, "segm" if masks else "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = dict(zip(KEYS, evaluation.stats[:6], strict=True)) | {"ar100": evaluation.stats[8]}
    for k in range(classes):
        precision = evaluation.eval["precision"][:, :, k, 0, 2]
        values[f"ap/{CLASSES[k]}"] = precision[precision > -1].mean() if (precision > -1).any() else -1
    return {name: float(value) for name, value in values.items() if value > -1}


def annotation(image: int, box: Any, label: Any, number: int, *, crowd: Any = False, score: Any = None) -> dict:
    x, y, right, bottom = (float(v) for v in box)
    row = {"id": number + 1, "image_id": image, "category_id": int(label), "iscrowd": int(crowd)}
    row |= {"bbox": [x, y, right - x, bottom - y], "area": (right - x) * (bottom - y)}
    return row if score is None else {**row, "score": float(score)}


def add_mask(row: dict, runs: dict) -> None:
    row["segmentation"], row["area"] = runs, float(coco_mask.area(runs))


def random_split(kit: SimpleNamespace, seed: int, *, images: int, objects: int, noise: float) -> tuple[list, list]:
    """Objects of all sizes, and detections that are some of them moved, others of them twice, or nothing."""
    random = np.random.default_rng(seed)
    truths, answers = [], []
    for _ in range(images):
        n = int(random.integers(0, objects + 1))
        centre, side = random.uniform(20, SIDE - 20, (n, 2)), np.exp(random.uniform(2.3, 5.2, (n, 2)))
        boxes = np.concatenate([centre - side / 2, centre + side / 2], 1).clip(0, SIDE)
        truth = kit.objects(boxes, random.integers(0, 2, n), random.random(n) < 0.15)
        again = np.concatenate([np.arange(n), random.integers(0, max(n, 1), n), []]).astype(int)[: 2 * n]
        moved = boxes[again] + random.normal(0, noise, (len(again), 4)) * np.concatenate([side, side], 1)[again]
        lost = random.uniform(0, SIDE - 60, (4, 2))
        moved = np.concatenate([moved, np.concatenate([lost, lost + random.uniform(5, 60, (4, 2))], 1)])
        labels = np.concatenate([truth.labels[again], random.integers(0, 3, 4)])
        labels = np.where(random.random(len(labels)) < 0.1, random.integers(0, 3, len(labels)), labels)
        low, high = np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])
        moved = np.concatenate([low, high], 1).clip(0, SIDE)
        scores = random.integers(1, 30, len(labels)) / 30  # with ties
        truths.append(truth)
        answers.append(kit.answer(moved, scores, labels))
    return truths, answers


def in_order(answers: list[Any]) -> list[Any]:
    """As predictions come: sorted by score."""
    orders = [one["scores"].argsort(descending=True, stable=True) for one in answers]
    return [{name: values[order] for name, values in one.items()} for one, order in zip(answers, orders, strict=True)]


@pytest.mark.parametrize("seed", range(6))
def test_boxes_agree_with_pycocotools(kit: SimpleNamespace, seed: int) -> None:
    truths, answers = random_split(kit, seed, images=12, objects=2 + 2 * seed, noise=0.02 * seed)
    answers = in_order(answers)
    found = kit.feed(BoxMetric(CLASSES), truths, answers, size=(SIDE, SIDE)).compute()
    expected = reference(truths, answers, 3)
    assert found == pytest.approx(expected, abs=1e-9)
    assert "ap/cow" not in found  # the truth has none


def test_more_than_a_hundred_detections_count_as_in_pycocotools(kit: SimpleNamespace) -> None:
    random = np.random.default_rng(0)
    low = random.uniform(0, 200, (150, 2))
    boxes = np.concatenate([low, low + random.uniform(5, 50, (150, 2))], 1)
    truths = [kit.objects(boxes, [0] * 150)]
    found = np.concatenate([boxes[random.permutation(150)] + random.normal(0, 0.5, (150, 4)), boxes * 0.1 + 100])
    answers = in_order([kit.answer(found.clip(0, SIDE), random.random(300), [0] * 300)])
    found = kit.feed(BoxMetric(CLASSES), truths, answers, size=(SIDE, SIDE)).compute()
    assert found == pytest.approx(reference(truths, answers, 3), abs=1e-9)


def ellipse(box: Any) -> np.ndarray:
    """(24, 2) points of the ellipse in a box."""
    left, top, right, bottom = (float(v) for v in box)
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    x, y = left + (right - left) * (1 + np.cos(t)) / 2, top + (bottom - top) * (1 + np.sin(t)) / 2
    return np.stack([x, y], 1)


def blobs(boxes: torch.Tensor) -> torch.Tensor:
    """(n, SIDE / 4, SIDE / 4) uint8: soft ellipses in boxes (n, 4)."""
    y, x = torch.meshgrid(*[torch.arange(SIDE // MASK_STRIDE) * MASK_STRIDE + 2.0] * 2, indexing="ij")
    left, top, right, bottom = boxes[:, :, None, None].unbind(1)
    u, v = (2 * x - left - right) / (right - left + 1), (2 * y - top - bottom) / (bottom - top + 1)
    return (255 * (4 * (1 - u**2 - v**2)).sigmoid()).round().to(torch.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_masks_agree_with_pycocotools(kit: SimpleNamespace, seed: int) -> None:
    truths, answers = random_split(kit, seed, images=6, objects=6, noise=0.05)
    truths = [
        kit.objects(one.boxes, one.labels, one.ignored, outlines=[(ellipse(box),) for box in one.boxes])
        for one in truths
    ]
    place = kit.place_of(size=(SIDE, SIDE))
    in_maps = replace(place, box=tuple(edge / MASK_STRIDE for edge in place.box))
    for one in answers:
        one["masks"] = blobs(one["boxes"])
        one["whole"] = (in_maps.back_maps(one["masks"].float()) >= 127.5).to(torch.uint8)
    answers = in_order(answers)
    shown = [without(one, "whole") for one in answers]
    found = kit.feed(MaskMetric(CLASSES), truths, shown, size=(SIDE, SIDE)).compute()
    boxes = reference(truths, answers, 3)
    expected = reference(truths, answers, 3, masks=True) | {f"box_{name}": boxes[name] for name in ("map", "map50")}
    assert found == pytest.approx(expected, abs=1e-9)
    assert 0.2 < found["map"] < 1


@pytest.mark.parametrize("seed", range(3))
def test_the_curves_are_those_behind_the_numbers(kit: SimpleNamespace, seed: int) -> None:
    truths, answers = random_split(kit, 40 + seed, images=10, objects=8, noise=0.05)
    metric = kit.feed(BoxMetric(CLASSES), truths, answers, size=(SIDE, SIDE))
    curves, point = metric.curves()
    assert np.mean([curve.average for curve in curves.values()]) == pytest.approx(metric.compute()["map50"], abs=1e-9)
    counts = metric.confusion()
    right, objects = int(counts[:3, :3].diag().sum()), int(counts[:3].sum())
    detections = int(counts[:, :3].sum())
    assert point is not None and point.f1 == pytest.approx(2 * right / (objects + detections), abs=1e-9)


def without(one: dict, name: str) -> dict:
    return {key: value for key, value in one.items() if key != name}


BOX, FAR = [10, 10, 30, 30], [50, 50, 70, 70]


def small(value: float, **others: float) -> dict[str, float]:
    """The values where the objects are small cats: all alike but for ``others``."""
    return dict.fromkeys(("map", "map50", "map75", "map_small", "ar100", "ap/cat"), value) | others


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ([(BOX, 0, 0)], [(BOX, 0.9, 0)], small(1.0)),
        ([(BOX, 0, 0)], [], small(0.0)),
        ([], [(BOX, 0.9, 0)], {}),
        ([(BOX, 0, 1)], [(BOX, 0.9, 0)], {}),  # a crowd is nothing to be found
        # Half as wide: IoU 0.5, which only the first threshold takes.
        ([(BOX, 0, 0)], [([10, 10, 20, 30], 0.9, 0)], small(0.1, map50=1.0, map75=0.0)),
        # The better of two is elsewhere: precision 1/2 at every recall.
        ([(BOX, 0, 0)], [(BOX, 0.5, 0), (FAR, 0.9, 0)], small(0.5, ar100=1.0)),
        # Another class's detection finds nothing; dogs are not to be found, so theirs count nowhere.
        ([(BOX, 0, 0)], [(BOX, 0.9, 1)], small(0.0)),
        # In a crowd: neither right nor wrong, however many.
        ([(BOX, 0, 0), ([40, 40, 90, 90], 0, 1)], [(BOX, 0.5, 0), (FAR, 0.9, 0), ([70, 70, 90, 90], 0.8, 0)], small(1)),
    ],
)
def test_boxes_by_hand(kit: SimpleNamespace, truth: list, found: list, expected: dict[str, float]) -> None:
    def columns(rows: list, count: int) -> list[list]:
        return [list(column) for column in zip(*rows, strict=True)] or [[]] * count

    truths = [kit.objects(*columns(truth, 2)), kit.objects([], [])]
    answers = [kit.answer(*columns(found, 3)), kit.answer([], [], [])]
    assert kit.feed(BoxMetric(CLASSES), truths, answers).compute() == pytest.approx(expected)


@pytest.mark.parametrize("metric", [BoxMetric(CLASSES), MaskMetric(CLASSES)])
def test_nothing_seen_gives_nothing(kit: SimpleNamespace, metric: Any) -> None:
    assert metric.compute() == {}
    assert metric.confusion().sum() == 0
    assert metric.curves() == ({}, None)
    empty = kit.objects([], [], outlines=[])
    one = kit.answer([], [], [], torch.zeros(0, 25, 25, dtype=torch.uint8))
    assert kit.feed(metric, [empty] * 2, [one] * 2).compute() == {}
    metric.reset()
    assert metric.compute() == {}


def test_images_are_measured_in_their_own_pixels(kit: SimpleNamespace) -> None:
    """A file of 400 x 300, shown at half its size under 10 rows of padding."""
    place = kit.place_of(size=(300, 400), scale=2.0, shift=(0.0, 10.0))
    truth = kit.objects([[100, 100, 200, 200]], [0])
    inside = kit.answer([[50, 60, 100, 110]], [0.9], [0])
    found = kit.feed(BoxMetric(CLASSES), [truth], [inside], places=[place], size=(170, 200)).compute()
    assert found["map"] == 1.0 and "map_large" in found and "map_medium" not in found
    beyond = kit.objects([[300, 200, 400, 300]], [0])  # what sticks out of the file is cut off
    sticking = kit.answer([[150, 110, 230, 170]], [0.9], [0])
    assert kit.feed(BoxMetric(CLASSES), [beyond], [sticking], places=[place]).compute()["map"] == 1.0


def test_the_order_and_the_cut_into_batches_do_not_matter(kit: SimpleNamespace) -> None:
    truths, answers = random_split(kit, 7, images=7, objects=6, noise=0.05)
    whole = kit.feed(BoxMetric(CLASSES), truths, answers, batch=7, size=(SIDE, SIDE)).compute()
    assert kit.feed(BoxMetric(CLASSES), truths, answers, batch=2, size=(SIDE, SIDE)).compute() == pytest.approx(whole)


def test_nothing_is_printed(kit: SimpleNamespace, capfd: pytest.CaptureFixture[str]) -> None:
    truths, answers = random_split(kit, 1, images=3, objects=3, noise=0.05)
    kit.feed(BoxMetric(CLASSES), truths, answers, size=(SIDE, SIDE)).compute()
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_boxes_are_taken_in_without_waiting(kit: SimpleNamespace) -> None:
    truths, answers = random_split(kit, 1, images=3, objects=3, noise=0.05)
    host = kit.feed(BoxMetric(CLASSES), truths, answers, size=(SIDE, SIDE))
    device = BoxMetric(CLASSES)
    device.reset(host.seen.scenes)
    prediction = {name: values.cuda() for name, values in kit.padded(answers).items()}
    batch = SimpleNamespace(
        images=torch.zeros(3, 3, SIDE, SIDE), index=torch.arange(3).cuda(), valid=torch.ones(3).cuda() > 0
    )
    torch.cuda.set_sync_debug_mode("error")
    try:
        device.update(prediction, batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert device.compute() == pytest.approx(host.compute())
