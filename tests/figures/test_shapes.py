"""Pictures of objects: where colours and tags are, whatever the image and however many objects there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visrun.figures.drawing import MOST, PANEL
from visrun.figures.shapes import FEW, beside_truth, colors_of, cut, draw_objects, meet, outline, spots, tag_text

CLASSES = ["cat", "dog"]
BOXES = [[20, 30, 200, 220], [300, 100, 420, 180]]
GREY = Image.new("RGB", (512, 256), (128, 128, 128))


def pixels_of(picture: Image.Image, color: tuple[int, int, int]) -> np.ndarray:
    """(h, w) bool: where the picture has exactly this colour."""
    return (np.asarray(picture) == color).all(2)


def ends(mask: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


FORMS: dict[str, Any] = {
    "boxes": lambda boxes: {"boxes": boxes},
    "tensor": lambda boxes: {"boxes": torch.tensor(boxes)},
    "quads": lambda boxes: {"quads": [[[a, b], [c, b], [c, d], [a, d]] for a, b, c, d in boxes]},
    "flat quads": lambda boxes: {"quads": torch.tensor([[a, b, c, b, c, d, a, d] for a, b, c, d in boxes])},
}


@pytest.mark.parametrize("form", FORMS)
def test_boxes_are_outlined_in_the_colour_of_their_class(form: str) -> None:
    picture = draw_objects(GREY, **FORMS[form](BOXES), labels=[0, 1], classes=CLASSES, most=512)
    assert picture.size == GREY.size
    for box, color in zip(BOXES, colors_of(2), strict=True):
        left, top, right, bottom = ends(pixels_of(picture, color))
        assert [left, right, bottom] == pytest.approx([box[0], box[2], box[3]], abs=3)
        assert box[1] - 20 <= top <= box[1]  # its tag stands on it
        middle = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2
        assert picture.getpixel(middle) == (128, 128, 128)


def test_masks_are_filled_in_a_colour_each_and_scaled_with_the_image() -> None:
    masks = torch.zeros(3, 256, 512, dtype=torch.bool)
    masks[0, 50:100, 100:200] = True
    masks[1, 200:250, 400:500] = True
    image = Image.new("RGB", (1024, 512), (128, 128, 128))  # twice the masks
    picture = draw_objects(image, masks=masks, labels=[0, 0, 0], classes=["cell"], most=1024)
    first, second, _ = colors_of(3)
    assert ends(pixels_of(picture, first)) == [200, 100, 400, 200]
    assert ends(pixels_of(picture, second)) == [800, 400, 1000, 500]
    inside = picture.getpixel((300, 150))
    assert inside != (128, 128, 128) and inside != first
    assert picture.getpixel((600, 50)) == (128, 128, 128)


@pytest.mark.parametrize("most", [1024, 300])
def test_a_part_of_a_mask_is_drawn_as_the_whole(most: int) -> None:
    masks = np.random.default_rng(0).random((3, 100, 200)) < 0.5
    masks[0, :, 40:], masks[1, :90], masks[2] = False, False, False
    parts = [cut(mask) for mask in masks]
    assert [part.box for part in parts] == [(0, 0, 40, 100), (0, 90, 200, 100), (0, 0, 0, 0)]
    words: dict[str, Any] = {"labels": [0, 0, 0], "classes": ["cell"], "scores": [0.9, 0.8, 0.7], "most": most}
    whole, drawn = (draw_objects(GREY, masks=given, **words) for given in (masks, parts))
    assert (np.asarray(whole) == np.asarray(drawn)).all() and (np.asarray(whole) != 128).any()


@pytest.mark.parametrize(
    "nothing",
    [
        {"boxes": []},
        {"boxes": torch.zeros(0, 4)},
        {"quads": np.zeros((0, 4, 2))},
        {"masks": np.zeros((0, 256, 512), bool)},
    ],
)
def test_no_objects_leave_the_image_as_it_is(nothing: dict[str, Any]) -> None:
    picture = draw_objects(GREY, **nothing, labels=[], classes=CLASSES, most=512)
    assert picture.tobytes() == GREY.tobytes()
    rows = {**nothing, "labels": []}
    assert beside_truth(GREY, rows, rows, classes=CLASSES).width == 2 * PANEL + 8


@pytest.mark.parametrize("size", [(1, 1), (8, 5), (40, 400), (300, 200), (3000, 2000)])
@pytest.mark.parametrize("form", FORMS)
def test_any_image_is_enlarged_or_shrunk_with_its_objects(size: tuple[int, int], form: str) -> None:
    image = Image.new("L", size, 90)
    box = [[0.2 * size[0], 0.2 * size[1], 0.8 * size[0], 0.8 * size[1]]]
    picture = draw_objects(image, **FORMS[form](box), labels=[1], scores=[0.5], classes=CLASSES)
    assert PANEL <= max(picture.size) <= MOST
    color = pixels_of(picture, colors_of(2)[1])
    assert color.any() or min(picture.size) < 8


@given(
    st.lists(st.tuples(*[st.floats(-50, 600)] * 4, st.floats(0, 1)), max_size=40),
    st.sampled_from(["", "x" * 300, "猫", "two\nlines"]),
)
@settings(max_examples=40, deadline=None)
def test_anything_can_be_drawn(rows: list[tuple], name: str) -> None:
    boxes = [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d, _ in rows]
    found = {"boxes": boxes, "labels": [0] * len(rows), "scores": [score for *_, score in rows]}
    picture = beside_truth(GREY, found, {**found, "scores": None}, classes=[name, "other"])
    assert picture.width == 2 * PANEL + 8


def test_the_truth_stands_beside_in_the_same_size() -> None:
    found, truth = {"boxes": BOXES, "labels": [0, 1], "scores": [0.9, 0.5]}, {"boxes": BOXES[:1], "labels": [0]}
    pair = beside_truth(GREY, found, truth, classes=CLASSES)
    first, second = colors_of(2)
    assert pixels_of(pair.crop((PANEL + 8, 0, 2 * PANEL + 8, 280)), first).any()
    assert not pixels_of(pair.crop((PANEL + 8, 0, 2 * PANEL + 8, 278)), second).any()
    alone = beside_truth(GREY, found, None, classes=CLASSES)
    assert alone.width == PANEL and pixels_of(alone, second).any()


@given(
    st.lists(st.tuples(*[st.floats(-100, 700)] * 4), min_size=1, max_size=1), st.integers(5, 300), st.integers(5, 30)
)
@settings(max_examples=80, deadline=None)
def test_tags_stay_in_the_picture(box: list, width: int, height: int) -> None:
    a, b, c, d = box[0]
    corners = np.array([[min(a, c), min(b, d)], [max(a, c), max(b, d)]])
    for left, top, right, bottom in spots(corners, width, height, (512, 256)):
        assert min(left, top) >= 0 and right <= 512 and bottom <= 256
        assert (right - left, bottom - top) == (width, height)


def test_tags_do_not_lie_over_each_other_and_crowds_have_only_scores() -> None:
    assert meet((0, 0, 10, 10), (10, 10, 20, 20)) and not meet((0, 0, 10, 10), (11, 0, 20, 10))
    assert tag_text("cat", 0.876) == "cat 0.88" and tag_text("", torch.tensor(0.5)) == "0.50"
    assert tag_text("cat", None) == "cat" and tag_text("", None) == ""
    one, color = [[100, 100, 160, 160]], colors_of(2)[0]
    bare = pixels_of(draw_objects(GREY, boxes=one, labels=[0], classes=["only"], most=512), color).sum()
    few = pixels_of(draw_objects(GREY, boxes=one, labels=[0], classes=CLASSES, most=512), color).sum()
    many = pixels_of(
        draw_objects(GREY, boxes=one * (FEW + 1), labels=[0] * (FEW + 1), classes=CLASSES, most=512), color
    )
    assert few > bare == many.sum()


def test_small_objects_have_thin_outlines() -> None:
    from PIL import ImageDraw

    counts = []
    for side in (8, 40):
        page = Image.new("RGB", (100, 100))
        corners = np.array([[20, 20], [20 + side, 20], [20 + side, 20 + side], [20, 20 + side]], float)
        outline(ImageDraw.Draw(page), corners, (255, 0, 0))
        counts.append(pixels_of(page, (255, 0, 0)).sum() / (4 * side))
    assert counts == pytest.approx([1, 2], rel=0.15)
