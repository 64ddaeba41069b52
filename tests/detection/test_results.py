"""Detections padded, taken out, written down and merged."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from faster_coco_eval import mask as coco
from torch import Tensor

from visrun.data.placement import Place
from visrun.detection.results import alone, best, drawn, merged, outlined, padded, recorded, truth, whole

CLASSES = ("cat", "dog")


def found(count: int, *, width: int = 4) -> dict[str, torch.Tensor]:
    """``count`` detections, far apart, ever worse."""
    low = 30.0 * torch.arange(count).float()[:, None]
    boxes = (
        torch.cat([low, low, low + 20, low + 10], 1)
        if width == 4
        else torch.cat([low, low, low * 0 + 20, low * 0 + 10, low * 0 + 0.5], 1)
    )
    return {"boxes": boxes, "scores": 0.9 - 0.1 * torch.arange(count), "labels": torch.arange(count) % 2}


def test_images_are_filled_up_or_cut() -> None:
    page = padded([found(1), found(5), found(0)], 3)
    assert page["boxes"].shape == (3, 3, 4)
    assert page["labels"].tolist() == [[0, -1, -1], [0, 1, 0], [-1, -1, -1]]
    assert page["scores"][0, 1:].tolist() == [0, 0]
    assert page["labels"].dtype == torch.int64


def test_one_image_without_its_empty_rows() -> None:
    page = padded([found(1), found(2)], 3)
    one = alone(page, 1)
    assert {name: values.shape for name, values in one.items()} == {
        "boxes": (1, 2, 4),
        "scores": (1, 2),
        "labels": (1, 2),
    }
    assert alone(padded([found(0)], 3), 0)["boxes"].shape == (1, 0, 4)
    assert best(page, 1, 0.85)["labels"].tolist() == [0]


@pytest.mark.parametrize("width", [4, 5])
def test_a_picture_shows_one_class_at_a_place(width: int) -> None:
    """Four detections: the second is the first in another class, the third is apart, the last unlikely."""
    page = found(4, width=width)
    page["boxes"][1] = page["boxes"][0]
    page["scores"] = torch.tensor([0.8, 0.7, 0.5, 0.2])
    shown = drawn(padded([page], 6), 0)
    assert shown["scores"].tolist() == pytest.approx([0.8, 0.5])
    assert shown["labels"].tolist() == [0, 0]
    assert torch.equal(shown["boxes"], page["boxes"][[0, 2]])
    assert drawn(padded([found(0, width=width)], 6), 0)["boxes"].shape == (0, width)


def test_a_picture_shows_neighbours_that_overlap_less() -> None:
    """Boxes that share a half of both have an IoU of 1/3."""
    page = found(2)
    page["boxes"] = torch.tensor([[0.0, 0, 20, 20], [10, 0, 30, 20]])
    assert len(drawn(padded([page], 2), 0)["scores"]) == 2


def test_records_are_json_in_the_users_words() -> None:
    page = padded([found(2)], 4)
    assert recorded(page, 0, CLASSES) == [
        {"label": "cat", "score": 0.9, "box": [0.0, 0.0, 20.0, 10.0]},
        {"label": "dog", "score": 0.8, "box": [30.0, 30.0, 50.0, 40.0]},
    ]
    turned = recorded(padded([found(1, width=5)], 2), 0, CLASSES)
    assert turned[0]["box"] == [0.0, 0.0, 20.0, 10.0, pytest.approx(math.degrees(0.5), abs=0.01)]
    json.dumps(turned)
    assert recorded(padded([found(0)], 2), 0, CLASSES) == []


def test_masks_are_written_as_cocos_runs() -> None:
    masks = torch.zeros(2, 6, 9, dtype=torch.bool)
    masks[0, 1:4, 2:5] = True
    runs = outlined(masks)
    assert runs[0]["size"] == [6, 9]
    json.dumps(runs)
    assert np.array_equal(coco.decode(runs[0]), masks[0].numpy())
    assert outlined(masks[:0]) == []


def test_small_masks_are_enlarged() -> None:
    masks = torch.zeros(1, 4, 6, dtype=torch.uint8)
    masks[0, 1:3, 2:4] = 255
    large = whole(masks)
    assert large.shape == (1, 16, 24)
    assert large.dtype == torch.bool
    assert large[0, 4:12, 8:16].float().mean() > 0.9
    assert not large[0, :2].any()
    assert whole(masks[:0]).shape == (0, 16, 24)


def test_the_truth_of_a_target() -> None:
    rows = torch.full((4, 7), -1.0)
    rows[0] = torch.tensor([1.0, 0, 1, 5, 6, 7, 8])
    rows[1] = torch.tensor([0.0, 1, 2, 1, 2, 3, 4])
    boxes, labels = truth(rows)
    assert boxes.tolist() == [[5, 6, 7, 8]]
    assert labels.tolist() == [1]
    assert truth(np.asarray(rows))[0].shape == (1, 4)
    assert truth(torch.full((2, 8), -1.0))[0].shape == (0, 5)


@pytest.mark.parametrize("width", [4, 5])
def test_what_two_tiles_see_is_one(width: int) -> None:
    first, second = padded([found(2, width=width)], 2), padded([found(3, width=width)], 3)
    second["scores"] = second["scores"] - 0.05
    full = Place((0, 0, 64, 64), (64, 64))
    page = merged([first, second], [full, full], (64, 64))
    assert page["scores"][0].tolist() == pytest.approx([0.9, 0.8, 0.65])
    assert page["boxes"].shape == (1, 3, width)
    other = dict(second, labels=1 - second["labels"])
    assert merged([first, other], [full, full], (64, 64))["boxes"].shape[1] == 5  # of another class


@pytest.mark.parametrize("width", [4, 5])
def test_what_the_border_of_a_tile_cuts_is_found_once(width: int) -> None:
    """Tiles from 0 to 96 and from 64 to 160 of a file of 160 x 64 pixels; the object from 82 to 146."""

    def one(left: float, right: float, score: float) -> dict[str, Tensor]:
        box = [left, 10, right, 50] if width == 4 else [(left + right) / 2, 30, right - left, 40, 0]
        return {"boxes": torch.tensor([[box]]), "scores": torch.tensor([[score]]), "labels": torch.tensor([[0]])}

    places = [Place((0, 0, 160, 64), (64, 160)), Place((-64, 0, 96, 64), (64, 160))]
    page = merged([one(82, 96, 0.9), one(82, 146, 0.8)], places, (64, 96))
    assert page["scores"].tolist() == [[pytest.approx(0.8)]]
    assert merged([one(76, 90, 0.9), one(76, 140, 0.8)], places, (64, 96))["scores"].shape == (1, 2)  # nothing cut it
