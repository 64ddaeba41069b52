"""Tiles of one image are one image to the metrics."""

from __future__ import annotations

from math import inf, pi
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from visrun.detection import tiles
from visrun.detection.metrics import BoxMetric, MaskMetric, RotatedMetric

# A file of 100 x 180 in two tiles of 100 x 100, which overlap by 20; and an image that is whole.
WIDE, WHOLE = (100, 180), (100, 100)


def tiled(kit: SimpleNamespace, metric: Any, truth: Any, left: list, right: list) -> Any:
    """``metric`` after two tiles, whose detections (box in the file, score, label) are given, and another image."""
    places = [
        kit.place_of(size=WIDE, borders=(-inf, -inf, 100, inf)),
        kit.place_of(size=WIDE, shift=(-80.0, 0.0), borders=(80, -inf, inf, inf)),
        kit.place_of(size=WHOLE),
    ]
    columns = 5 if isinstance(metric, RotatedMetric) else 4
    answers = []
    for rows, shift in ((left, 0), (right, 80), ([], 0)):
        boxes = [[v - shift * (i == 0 or (i == 2 and columns == 4)) for i, v in enumerate(box)] for box, *_ in rows]
        masks = torch.stack([square(box) for box in boxes]) if isinstance(metric, MaskMetric) and boxes else None
        empty = torch.zeros(0, 25, 25, dtype=torch.uint8) if isinstance(metric, MaskMetric) else None
        answers.append(
            kit.answer(
                boxes, [s for _, s, _ in rows], [k for *_, k in rows], masks if boxes else empty, columns=columns
            )
        )
    other = kit.objects([], [], outlines=[])
    return kit.feed(metric, [truth, truth, other], answers, places=places, images=[5, 5, 9])


def square(box: list[float]) -> torch.Tensor:
    mask = torch.zeros(25, 25, dtype=torch.uint8)
    left, top, right, bottom = (max(round(v / 4), 0) for v in box)
    mask[top:bottom, left:right] = 255
    return mask


def outlines(boxes: list) -> list:
    return [(np.array([[a, b], [c, b], [c, d], [a, d]], float),) for a, b, c, d in boxes]


@pytest.mark.parametrize("metric", [BoxMetric(["a"]), MaskMetric(["a"])])
def test_what_both_tiles_see_counts_once(kit: SimpleNamespace, metric: Any) -> None:
    boxes = [[84, 20, 96, 40], [20, 60, 40, 80], [120, 60, 140, 80]]
    truth = kit.objects(boxes, [0, 0, 0], outlines=outlines(boxes))
    left, right = [(boxes[0], 0.9, 0), (boxes[1], 0.8, 0)], [(boxes[0], 0.95, 0), (boxes[2], 0.7, 0)]
    tiled(kit, metric, truth, left, right)
    assert metric.compute()["map50"] == 1.0
    assert metric.confusion().tolist() == [[3, 0], [0, 0]]


@pytest.mark.parametrize("metric", [BoxMetric(["a"]), MaskMetric(["a"])])
def test_what_a_border_has_cut_goes_though_its_score_is_higher(kit: SimpleNamespace, metric: Any) -> None:
    whole, part = [84, 20, 164, 60], [84, 20, 100, 60]
    truth = kit.objects([whole], [0], outlines=outlines([whole]))
    tiled(kit, metric, truth, [(part, 0.9, 0)], [(whole, 0.5, 0)])
    assert metric.compute()["map"] == pytest.approx(1.0, abs=0.11)
    assert metric.confusion().tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("metric", [BoxMetric(["a"]), MaskMetric(["a"])])
def test_a_part_goes_though_it_overlaps_the_whole_as_much_as_twins_do(kit: SimpleNamespace, metric: Any) -> None:
    whole, part = [84, 20, 108, 60], [84, 20, 100, 60]  # an IoU of 2/3
    truth = kit.objects([whole], [0], outlines=outlines([whole]))
    tiled(kit, metric, truth, [(part, 0.9, 0)], [(whole, 0.8, 0)])
    assert metric.compute()["map75"] == 1.0
    assert metric.confusion().tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("metric", [BoxMetric(["a"]), MaskMetric(["a"])])
def test_what_hardly_counts_takes_no_whole_object_at_a_border_for_its_part(kit: SimpleNamespace, metric: Any) -> None:
    box, faint = [84, 20, 96, 60], [84, 20, 140, 60]
    truth = kit.objects([box], [0], outlines=outlines([box]))
    tiled(kit, metric, truth, [(box, 0.95, 0)], [(box, 0.9, 0), (faint, 0.02, 0)])
    assert metric.compute()["map"] == 1.0


CUT = [84, 20, 100, 60]  # what the left tile sees of something that goes on


@pytest.mark.parametrize(
    ("left", "right", "kept"),
    [
        ([([20, 20, 60, 60], 0.9, 0), ([30, 30, 40, 40], 0.8, 0)], [], 2),  # one in another, no border near
        # An IoU of 0.575, below that of the network's own suppression.
        ([([20, 20, 60, 60], 0.9, 0), ([20, 20, 60, 43], 0.8, 0)], [([150, 80, 170, 90], 0.7, 0)], 3),
        ([([85, 20, 95, 60], 0.9, 0)], [([85, 20, 95, 43], 0.8, 0)], 1),  # the same of two tiles
        ([(CUT, 0.9, 1)], [([84, 20, 164, 60], 0.5, 0)], 2),  # of another class
        ([([60, 20, 100, 60], 0.9, 0)], [([80, 20, 120, 60], 0.8, 0)], 2),  # each tile has its part of a long one
        ([([0, 20, 16, 60], 0.9, 0)], [], 1),  # the image itself ends there
        ([(CUT, 0.9, 0), ([70, 5, 100, 75], 0.8, 0)], [([150, 80, 170, 90], 0.7, 0)], 3),  # both of one tile
        ([(CUT, 0.9, 0)], [([84, 20, 164, 60], 0.5, 0)], 1),
    ],
)
def test_only_parts_of_what_another_tile_has_go(kit: SimpleNamespace, left: list, right: list, kept: int) -> None:
    metric = tiled(kit, BoxMetric(["a", "b"]), kit.objects([], []), left, right)
    assert len(metric.matched().found) == kept


def test_only_the_best_of_very_many_are_merged(kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "MOST", 2)
    left, right = [([0, 0, 9, 9], 0.5, 0), ([20, 0, 29, 9], 0.9, 0)], [([150, 0, 160, 9], 0.7, 0)]
    metric = tiled(kit, BoxMetric(["a"]), kit.objects([], []), left, right)
    assert metric.matched().found.scores.tolist() == pytest.approx([0.9, 0.7])


@pytest.mark.parametrize("dota", [False, True])
def test_turned_boxes_of_two_tiles_are_merged(kit: SimpleNamespace, dota: bool) -> None:
    box = [90, 50, 30, 10, pi / 2 + 0.1]
    truth = kit.objects(None, [0], quads=kit.rotated_to_quads(np.array([box])))
    near = [91, 52, 30, 10, pi / 2]
    metric = tiled(kit, RotatedMetric(["a"], dota=dota), truth, [(box, 0.9, 0)], [(near, 0.8, 0)])
    assert metric.compute()["map50"] == pytest.approx(1.0)
    assert len(metric.matched().found) == 1


def test_a_turned_part_goes(kit: SimpleNamespace) -> None:
    whole, part = [124, 50, 80, 20, 0.0], [92, 50, 16, 20, 0.0]
    truth = kit.objects(None, [0], quads=kit.rotated_to_quads(np.array([whole])))
    metric = tiled(kit, RotatedMetric(["a"]), truth, [(part, 0.9, 0)], [(whole, 0.5, 0)])
    assert metric.compute()["map"] == pytest.approx(1.0)


def test_a_turned_part_goes_though_it_overlaps_the_whole_as_much_as_twins_do(kit: SimpleNamespace) -> None:
    whole, part = [102, 50, 36, 20, 0.0], [92, 50, 16, 20, 0.0]  # an IoU of 0.44
    truth = kit.objects(None, [0], quads=kit.rotated_to_quads(np.array([whole])))
    metric = tiled(kit, RotatedMetric(["a"]), truth, [(part, 0.9, 0)], [(whole, 0.8, 0)])
    assert metric.compute()["map"] == pytest.approx(1.0)


def test_an_object_of_a_tiled_image_counts_once(kit: SimpleNamespace) -> None:
    metric = tiled(kit, BoxMetric(["a"]), kit.objects([[10, 10, 30, 30], [90, 10, 99, 30]], [0, 0]), [], [])
    assert len(metric.matched().truth) == 2
