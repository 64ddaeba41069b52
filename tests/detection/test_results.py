"""Detections padded, taken out, written down and merged."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.emptied import nothing
from visrun.data.objects import MOST_MASKED, Objects, corners_of
from visrun.data.placement import Place
from visrun.detection.results import (
    alone,
    best,
    drawn,
    merged,
    padded,
    recorded,
    target_in,
    target_of,
    true_masks,
    truth,
    whole,
)

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


@pytest.mark.parametrize("most", [1000, 20])
def test_labelled_objects_as_a_target_in_pixels_of_the_file(most: int) -> None:
    """Of a file of 31 x 53 pixels; the second object is a crowd."""
    boxes = np.array([[5.0, 6, 25, 16], [30, 2, 50, 30], [40, 20, 53, 31]])
    outlines = tuple((corners_of(box[None])[0],) for box in boxes)
    objects = Objects(np.array([1, 0, 1]), boxes, np.array([False, True, False]), corners_of(boxes), outlines)
    shown, labels = truth(target_of(objects, (31, 53), kind="boxes", most=most))
    assert (shown.tolist(), labels.tolist()) == (boxes[[0, 2]].tolist(), [1, 1])
    turned = truth(target_of(objects, (31, 53), kind="rotated_boxes", most=most))[0]
    assert turned[0].tolist() == pytest.approx([15, 11, 20, 10, 0])
    rows, layers = target_of(objects, (31, 53), kind="instances", most=most)
    masks = true_masks(rows, layers)
    assert max(masks.shape[1:]) == min(53, most) and len(masks) == 2
    assert masks[0].float().mean() == pytest.approx(200 / (31 * 53), rel=0.15)
    assert target_of(nothing(outlines=True), (31, 53), kind="instances", most=most)[0].shape == (0, 7)


def test_objects_beyond_the_bytes_have_no_mask() -> None:
    boxes = np.tile([[2.0, 2, 6, 6]], (MOST_MASKED + 2, 1))
    outlines = ((corners_of(boxes[:1])[0],),) * len(boxes)
    objects = Objects(np.zeros(len(boxes), np.int64), boxes, np.zeros(len(boxes), bool), outlines=outlines)
    rows, layers = target_of(objects, (9, 9), kind="instances", most=9)
    assert len(truth(rows)[0]) == len(boxes)
    assert not true_masks(rows, layers)[MOST_MASKED:].any()


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (
            (0.0, 8.0, 64.0, 40.0),
            [[16, 16, 48, 24], [60, 28, 64, 40]],
        ),  # between stripes, two pixels of the file for one
        ((-64.0, 0.0, 64.0, 64.0), [[0, 16, 32, 32], [56, 40, 64, 64]]),  # a tile: the right half
    ],
)
def test_the_truth_of_a_picture_is_drawn_at_all_its_pixels(
    box: tuple[float, float, float, float], expected: list[list[int]]
) -> None:
    """A file of 64 x 128 pixels in a training image of 48 x 64, or of 64 x 64."""
    size = (64, 64) if box[0] < 0 else (48, 64)
    boxes = np.array([[32.0, 16, 96, 32], [120, 40, 128, 64], [0, 0, 20, 10]])
    ignored = np.array([False, False, True])
    outlines = tuple((quad,) for quad in corners_of(boxes))
    objects = Objects(np.array([1, 0, 1]), boxes, ignored, outlines=outlines)
    rows, layers = target_in(objects, Place(box, (64, 128)), size)
    assert layers.shape == (2, *size)
    shown, labels = truth(rows)
    assert (shown.tolist(), labels.tolist()) == (expected, [1, 0])
    for mask, (left, top, right, bottom) in zip(true_masks(rows, layers), expected, strict=True):
        assert mask[top:bottom, left:right].all() and mask.sum() == (bottom - top) * (right - left)


@pytest.mark.parametrize("width", [4, 5])
def test_what_two_tiles_see_is_one(width: int) -> None:
    first, second = padded([found(2, width=width)], 2), padded([found(3, width=width)], 3)
    second["scores"] = second["scores"] - 0.05
    full = Place((0, 0, 64, 64), (64, 64))
    page = merged([first, second], [full, full])
    assert page["scores"][0].tolist() == pytest.approx([0.9, 0.8, 0.65])
    assert page["boxes"].shape == (1, 3, width)
    other = dict(second, labels=1 - second["labels"])
    assert merged([first, other], [full, full])["boxes"].shape[1] == 5  # of another class


@pytest.mark.parametrize("beside", [0, 24])
@pytest.mark.parametrize("width", [4, 5])
def test_what_the_border_of_a_tile_cuts_is_found_once(width: int, beside: int) -> None:
    """Tiles from 0 to 96 and from 64 to 160 of a file of 160 x 64 pixels; the object from 82 to 146.

    Their training images show ``beside`` pixels of nothing on either side.
    """

    def one(left: float, right: float, score: float) -> dict[str, Tensor]:
        box = [left, 10, right, 50] if width == 4 else [(left + right) / 2, 30, right - left, 40, 0]
        return {"boxes": torch.tensor([[box]]), "scores": torch.tensor([[score]]), "labels": torch.tensor([[0]])}

    places = [
        Place((beside + shift, 0, beside + shift + 160, 64), (64, 160), borders)
        for shift, borders in ((0, (-math.inf, -math.inf, 96, math.inf)), (-64, (64, -math.inf, math.inf, math.inf)))
    ]
    page = merged([one(82, 96, 0.9), one(82, 146, 0.8)], places)
    assert page["scores"].tolist() == [[pytest.approx(0.8)]]
    assert merged([one(76, 90, 0.9), one(76, 140, 0.8)], places)["scores"].shape == (1, 2)  # nothing cut it
