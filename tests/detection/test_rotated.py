"""Turned boxes: values by hand, COCO's where nothing is turned, DOTA's by a loop, and what must not matter."""

from __future__ import annotations

from math import pi
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from visrun import boxes as geometry
from visrun.detection.metrics import BoxMetric, RotatedMetric

CLASSES = ["ship", "plane"]


def random_split(kit: SimpleNamespace, seed: int, *, angle: float = pi, images: int = 10) -> tuple[list, list]:
    """Objects as (n, 5) with their classes and whether they are ignored, and detections, the same way."""
    random = np.random.default_rng(seed)
    truths, answers = [], []
    for _ in range(images):
        n = int(random.integers(0, 9))
        turned = np.concatenate(
            [random.uniform(30, 200, (n, 2)), random.uniform(12, 60, (n, 2)), random.uniform(-angle, angle, (n, 1))], 1
        )
        again = np.concatenate([np.arange(n), random.integers(0, max(n, 1), n)]).astype(int)[: 2 * n]
        moved = turned[again] + random.normal(0, 1, (len(again), 5)) * [3, 3, 3, 3, angle / 40]
        lost = np.concatenate([random.uniform(30, 200, (3, 2)), random.uniform(8, 40, (3, 2)), np.zeros((3, 1))], 1)
        labels = random.integers(0, 2, n)
        found = np.concatenate([moved, lost])
        found[:, 2:4] = found[:, 2:4].clip(1)
        truths.append((turned, labels, random.random(n) < 0.2))
        said = np.concatenate([labels[again], random.integers(0, 2, 3)])
        answers.append((found, random.permutation(len(said) * 5)[: len(said)] / len(said) / 5, said))
    return truths, answers


def measured(kit: SimpleNamespace, truths: list, answers: list, **options: Any) -> dict[str, float]:
    scenes = [
        kit.objects(None, labels, ignored, quads=kit.rotated_to_quads(turned)) for turned, labels, ignored in truths
    ]
    found = [kit.answer(turned, scores, labels, columns=5) for turned, scores, labels in answers]
    place = [kit.place_of(size=(400, 400))] * len(scenes)
    return kit.feed(RotatedMetric(CLASSES, **options), scenes, found, places=place).compute()


@pytest.mark.parametrize("seed", range(4))
def test_without_angles_it_equals_coco(kit: SimpleNamespace, seed: int) -> None:
    truths, answers = random_split(kit, seed, angle=0.0)
    answers = [(found.astype(np.float32).astype(float), scores, labels) for found, scores, labels in answers]
    # An ignored turned box is an object like others, not a crowd: COCO's measure of crowds differs.
    truths = [(turned, labels, np.zeros(len(labels), bool)) for turned, labels, _ in truths]

    def upright(turned: np.ndarray) -> np.ndarray:
        return np.concatenate([turned[:, :2] - turned[:, 2:4] / 2, turned[:, :2] + turned[:, 2:4] / 2], 1)

    scenes = [kit.objects(upright(turned), labels) for turned, labels, _ in truths]
    found = [kit.answer(upright(turned), scores, labels) for turned, scores, labels in answers]
    place = [kit.place_of(size=(400, 400))] * len(scenes)
    coco = kit.feed(BoxMetric(CLASSES), scenes, found, places=place).compute()
    rotated = measured(kit, truths, answers)
    assert {name: rotated[name] for name in ("map", "map50", "map75")} == pytest.approx(
        {name: coco[name] for name in ("map", "map50", "map75")}, abs=1e-6
    )
    others = {"dota_map50", "dota_ap50/ship", "dota_ap50/plane", "probiou_map", "probiou_map50"}
    assert set(rotated) == {"map", "map50", "map75", "ap50/ship", "ap50/plane"} | others


@pytest.mark.parametrize("dota", [False, True])
@pytest.mark.parametrize("turn", [0.3, pi / 2, 2.0])
def test_turning_everything_changes_nothing(kit: SimpleNamespace, turn: float, dota: bool) -> None:
    def turned(values: np.ndarray) -> np.ndarray:
        x, y = values[:, 0] - 115, values[:, 1] - 115
        cos, sin = np.cos(turn), np.sin(turn)
        return np.stack([200 + cos * x - sin * y, 200 + sin * x + cos * y, *values[:, 2:4].T, values[:, 4] + turn], 1)

    truths, answers = random_split(kit, 1)
    before = measured(kit, truths, answers, dota=dota)
    after = measured(
        kit,
        [(turned(boxes), *rest) for boxes, *rest in truths],
        [(turned(boxes), *rest) for boxes, *rest in answers],
        dota=dota,
    )
    assert after == pytest.approx(before, abs=1e-9)
    assert 0.1 < before["map50"] < 0.99


@pytest.mark.parametrize("dota", [False, True])
def test_sides_swapped_and_a_quarter_turn_are_the_same_box(kit: SimpleNamespace, dota: bool) -> None:
    truths, answers = random_split(kit, 2)

    def swapped(values: np.ndarray) -> np.ndarray:
        x, y, w, h, t = values.T
        return np.stack([x, y, h, w, t + pi / 2], 1)

    other = [(swapped(boxes), *rest) for boxes, *rest in answers]
    assert measured(kit, truths, other, dota=dota) == pytest.approx(measured(kit, truths, answers, dota=dota), abs=1e-9)


def loop_dota(truths: list, answers: list, quads: Any, label: int) -> float | None:
    """Average precision as voc_eval of DOTA_devkit computes it, one detection after the other."""
    objects: dict[int, list[list]] = {}
    for image, (turned, labels, ignored) in enumerate(truths):
        rows = zip(quads(turned), labels, ignored, strict=True)
        objects[image] = [[quad, bool(skip), False] for quad, of, skip in rows if of == label]
    total = sum(not skip for rows in objects.values() for _, skip, _ in rows)
    found = [
        (score, image, quad)
        for image, (turned, scores, labels) in enumerate(answers)
        for quad, score, of in zip(quads(turned), scores, labels, strict=True)
        if of == label
    ]
    right, wrong = [], []
    for _, image, quad in sorted(found, key=lambda row: -row[0]):
        rows = objects[image]
        mine = torch.from_numpy(quad.reshape(1, 8))
        overlaps = [float(geometry.polygon_iou(mine, torch.from_numpy(row[0].reshape(1, 8)))) for row in rows]
        best = int(np.argmax(overlaps)) if rows else -1
        right.append(0.0)
        wrong.append(0.0)
        if best >= 0 and overlaps[best] > 0.5:
            if not rows[best][1]:
                (right if not rows[best][2] else wrong)[-1] = 1.0
                rows[best][2] = True
        else:
            wrong[-1] = 1.0
    if not total:
        return None
    hits, misses = np.cumsum(right), np.cumsum(wrong)
    recall, precision = hits / total, hits / np.maximum(hits + misses, 1e-12)
    at = [precision[recall >= t].max() if (recall >= t).any() else 0.0 for t in np.arange(0.0, 1.1, 0.1)]
    return float(np.mean(at))


@pytest.mark.parametrize("seed", range(4))
def test_dotas_way_agrees_with_its_loop(kit: SimpleNamespace, seed: int) -> None:
    truths, answers = random_split(kit, 20 + seed)
    answers = [(found.astype(np.float32).astype(float), scores, labels) for found, scores, labels in answers]
    found = measured(kit, truths, answers, dota=True)
    expected = {name: loop_dota(truths, answers, kit.rotated_to_quads, k) for k, name in enumerate(CLASSES)}
    assert all(value is not None for value in expected.values())
    assert found == pytest.approx(
        {f"ap50/{name}": value for name, value in expected.items()} | {"map50": np.mean(list(expected.values()))},
        abs=1e-9,
    )


LEVEL, BELOW, TILTED = [50, 50, 40, 20, 0.0], [50, 90, 40, 20, 0.0], [50, 50, 40, 20, 0.5]


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ([(TILTED, 0, 0)], [(TILTED, 0.9, 0)], (1.0, 1.0, 1.0)),
        ([(TILTED, 0, 0)], [([50, 50, 20, 40, 0.5 - pi / 2], 0.9, 0)], (1.0, 1.0, 1.0)),
        ([(TILTED, 0, 0)], [([50, 50, 40, 20, 0.5 + pi], 0.9, 0)], (1.0, 1.0, 1.0)),
        ([(LEVEL, 0, 0)], [], (0.0, 0.0, 0.0)),
        # Half the box: IoU 0.5, which COCO's first threshold takes and DOTA's does not.
        ([(LEVEL, 0, 0)], [([40, 50, 20, 20, 0.0], 0.9, 0)], (1.0, 0.1, 0.0)),
        # A square turned by 45 degrees: the octagon is 2 (sqrt 2 - 1) of its area, IoU 0.707.
        ([([50, 50, 20, 20, 0.0], 0, 0)], [([50, 50, 20, 20, pi / 4], 0.9, 0)], (1.0, 0.5, 1.0)),
        # An ignored object is neither to be found nor wrong to find; the other is missed.
        ([(LEVEL, 0, 1), (BELOW, 0, 0)], [(LEVEL, 0.9, 0)], (0.0, 0.0, 0.0)),
        ([(LEVEL, 0, 1), (BELOW, 0, 0)], [(LEVEL, 0.9, 0), (BELOW, 0.5, 0)], (1.0, 1.0, 1.0)),
        # Found twice: the second is wrong, but nothing is left to be found after it.
        ([(LEVEL, 0, 0)], [(LEVEL, 0.9, 0), (LEVEL, 0.8, 0)], (1.0, 1.0, 1.0)),
    ],
)
def test_by_hand(kit: SimpleNamespace, truth: list, found: list, expected: tuple[float, float, float]) -> None:
    truths = [tuple(np.array(column) for column in zip(*truth, strict=True)), (np.zeros((0, 5)), [], [])]
    rows = list(zip(*found, strict=True)) or [np.zeros((0, 5)), [], []]
    answers = [tuple(np.array(column) for column in rows), (np.zeros((0, 5)), [], [])]
    values = measured(kit, truths, answers)
    assert (values["map50"], values["map"]) == pytest.approx(expected[:2])
    dota = measured(kit, truths, answers, dota=True)
    assert set(dota) == {"map50", "ap50/ship"}
    assert dota["map50"] == values["dota_map50"] == pytest.approx(expected[2])


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        (TILTED, TILTED, (1.0, 1.0)),
        # Half the box: centres 10 apart along the sum of variances 2000 / 12, and so a distance of 0.15 and
        # log(1.25) / 2; sqrt(1 - exp(-0.2616)) is 0.48.
        (LEVEL, [40, 50, 20, 20, 0.0], (1.0, 0.1)),
        # The Gaussian of a square has no angle.
        ([50, 50, 20, 20, 0.0], [50, 50, 20, 20, pi / 4], (1.0, 1.0)),
        (LEVEL, BELOW, (0.0, 0.0)),
    ],
)
def test_by_probiou(kit: SimpleNamespace, truth: list, found: list, expected: tuple[float, float]) -> None:
    values = measured(kit, [(np.array([truth]), [0], [False])], [(np.array([found]), [0.9], [0])])
    assert (values["probiou_map50"], values["probiou_map"]) == pytest.approx(expected)


def test_dota_looks_at_the_corners_as_they_are(kit: SimpleNamespace) -> None:
    """A labelled triangle of half its rectangle's area: the rectangle finds it in one way, not in the other."""
    truth = kit.objects(None, [0], quads=[[[0, 0], [40, 0], [40, 20], [40, 20]]])
    found = kit.answer([[20, 10, 40, 20, 0.0]], [0.9], [0], columns=5)
    assert kit.feed(RotatedMetric(CLASSES), [truth], [found]).compute()["map"] == pytest.approx(1.0)
    assert kit.feed(RotatedMetric(CLASSES, dota=True), [truth], [found]).compute()["map50"] == 0.0
    better = kit.answer([[24, 8, 32, 16, 0.2]], [0.9], [0], columns=5)
    assert kit.feed(RotatedMetric(CLASSES, dota=True), [truth], [better]).compute()["map50"] == 1.0


def test_upright_labels_serve_as_corners(kit: SimpleNamespace) -> None:
    truth = kit.objects([[10, 20, 50, 40]], [1])
    found = kit.answer([[30, 30, 40, 20, 0.0]], [0.9], [1], columns=5)
    values = kit.feed(RotatedMetric(CLASSES), [truth], [found]).compute()
    assert "ap50/plane" in values and "ap50/ship" not in values and values == pytest.approx(dict.fromkeys(values, 1.0))


def test_a_scaled_image_is_measured_in_its_file(kit: SimpleNamespace) -> None:
    place = kit.place_of(size=(300, 400), scale=2.0, shift=(5.0, 10.0))
    truth = kit.objects(None, [0], quads=kit.rotated_to_quads(np.array([[100, 120, 80, 40, 0.7]])))
    found = kit.answer([[55, 70, 40, 20, 0.7]], [0.9], [0], columns=5)
    values = kit.feed(RotatedMetric(CLASSES), [truth], [found], places=[place]).compute()
    assert values["map"] == pytest.approx(1.0)


@pytest.mark.parametrize("dota", [False, True])
def test_nothing_seen_gives_nothing(kit: SimpleNamespace, dota: bool) -> None:
    metric = RotatedMetric(CLASSES, dota=dota)
    assert metric.compute() == {}
    assert metric.confusion().sum() == 0
    assert metric.curves() == ({}, None)
    empty = kit.objects([], [])
    assert kit.feed(metric, [empty], [kit.answer([], [], [], columns=5)]).compute() == {}
    assert kit.feed(metric, [empty], [kit.answer([LEVEL], [0.9], [0], columns=5)]).compute() == {}


def test_hundreds_of_detections_of_an_image_count(kit: SimpleNamespace) -> None:
    """COCO's 100 would stop here at a recall of 0.4."""
    x, y = (part.ravel() for part in np.meshgrid(np.arange(25) * 16.0, np.arange(10) * 16.0))
    turned = np.stack([x + 10, y + 10, np.full(250, 12.0), np.full(250, 6.0), np.full(250, 0.4)], 1)
    labels, scores = np.zeros(250, int), np.linspace(0.9, 0.1, 250)
    values = measured(kit, [(turned, labels, labels > 0)], [(turned, scores, labels)])
    assert values["map50"] == 1.0
