"""The pieces of pictures: sizes, colours, and text that always fits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visrun.figures.drawing import (
    BASE,
    LEAST,
    MOST,
    OPACITY,
    Line,
    caption,
    class_colors,
    fitted,
    font,
    legend,
    overlay,
    palette,
    scaled,
    side_by_side,
)


@given(st.integers(1, 3000), st.integers(1, 3000))
@settings(max_examples=40, deadline=None)
def test_pictures_are_neither_tiny_nor_huge(width: int, height: int) -> None:
    found = scaled(Image.new("L", (width, height)))
    assert found.mode == "RGB" and min(found.size) >= 1
    assert LEAST <= max(found.size) <= MOST
    if min(width, height) > 20:
        assert found.width / found.height == pytest.approx(width / height, rel=0.05)


def test_tiny_images_keep_their_pixels() -> None:
    found = scaled(Image.fromarray(np.array([[0, 255]], np.uint8)))
    assert sorted(set(np.asarray(found).flatten().tolist())) == [0, 255]


@pytest.mark.parametrize("count", [1, 2, 8, 30, 255])
def test_classes_have_different_colours(count: int) -> None:
    colors = palette(count)
    assert len(set(colors)) == count and all(0 <= part <= 255 for color in colors for part in color)
    assert palette(count + 1)[:count] == colors


@given(st.text(max_size=300), st.integers(20, 200))
@settings(max_examples=60, deadline=None)
def test_text_fits(text: str, room: int) -> None:
    found = fitted(text, room)
    used = font(text=" ".join(text.split()))
    assert used.getlength(found) <= max(room, used.getlength("…"))
    assert "\n" not in found


@pytest.mark.parametrize("name", ["", "猫", "x" * 500, "two\nlines", "<b>"])
@pytest.mark.parametrize("share", [None, 0.0, 1.0])
def test_any_name_can_be_drawn(name: str, share: float | None) -> None:
    page = caption(Image.new("RGB", (5, 400)), [Line(name, share=share)] * 3)
    assert page.width >= LEAST and page.height > 400
    many = legend(page, [(name, (255, 0, 0))] * 40)
    assert many.width == page.width and many.height > page.height


def test_a_narrow_picture_stands_in_the_middle_above_names_that_can_be_read() -> None:
    page = legend(Image.new("RGB", (12, 300), "white"), [("background", (255, 0, 0)), ("straight", (0, 0, 255))])
    assert page.width == LEAST
    white = (np.asarray(page)[:300] == 255).all(2)
    assert white[:, 122:134].all() and not white[:, :122].any() and not white[:, 134:].any()
    wide = legend(Image.new("RGB", (300, 20)), [("background", (255, 0, 0))])
    assert wide.width == 300


def test_a_share_that_is_no_number_is_said_and_has_no_bar() -> None:
    page, empty = (np.asarray(caption(Image.new("RGB", (300, 300)), [Line("", share=x)])) for x in (math.nan, 0.0))
    right = page.shape[1] - 60
    assert (page[:, :right] == empty[:, :right]).all()
    assert (page[:, right:] != empty[:, right:]).any()


def test_bars_are_as_long_as_their_share() -> None:
    def blue(share: float) -> int:
        page = np.asarray(caption(Image.new("RGB", (300, 300)), [Line("", share=share)]), int)[300:]
        return int((page[page.shape[0] // 2, :, 2] > page[page.shape[0] // 2, :, 0] + 80).sum())

    assert blue(0.0) == 0
    assert blue(0.5) * 2 == pytest.approx(blue(1.0), abs=3)
    assert blue(1.5) == blue(1.0)


def test_ignored_pixels_stay_as_they_are() -> None:
    image = Image.new("RGB", (2, 1), (10, 20, 30))
    found = np.asarray(overlay(image, np.array([[0, 255]]), [(255, 255, 255)], ignored=255))
    assert found[0, 1].tolist() == [10, 20, 30] and (found[0, 0] > 100).all()


def test_a_line_thinner_than_a_pixel_of_the_picture_is_still_seen_in_it() -> None:
    image, colors = Image.new("RGB", (4, 4), (0, 0, 0)), [(0, 0, 0), (200, 100, 40)]
    for row in range(4):
        mask = np.zeros((16, 16), np.uint8)
        mask[row] = 1
        mask[8:, :8] = 255
        found = np.asarray(overlay(image, mask, colors, ignored=255)).astype(int)
        assert np.abs(found[0] - np.array(colors[1]) * OPACITY / 4).max() <= 1 and not found[1:].any()
    plain = np.asarray(overlay(Image.new("RGB", (4, 4), (80, 80, 80)), mask, colors, ignored=255))
    assert (plain[2:, :2] == 80).all() and (plain[2:, 2:] == round(80 * (1 - OPACITY))).all()


def test_panels_stand_in_a_row() -> None:
    image = Image.new("RGB", (300, 200))
    assert side_by_side({"a": image, "b": image}).width > 600


@pytest.mark.parametrize(
    ("classes", "quiet"),
    [
        (("background", "cat", "dog"), 0),
        (("cat", "Unlabelled", "dog"), 1),
        (("class_0", "class_1"), 0),
        (("building", "land", "road"), None),
        ((), None),
    ],
)
def test_the_quiet_colour_is_that_of_what_is_left(classes: tuple[str, ...], quiet: int | None) -> None:
    colors = class_colors(classes)
    assert len({*colors}) == len(classes)
    assert [i for i, color in enumerate(colors) if color == BASE[0]] == ([] if quiet is None else [quiet])
    rest = [color for color in colors if color != BASE[0]]
    assert rest == palette(len(rest) + 1)[1:]
