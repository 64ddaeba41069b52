"""What pictures of images are made of: captions with bars, colour overlays, panels side by side. Pillow only."""

from __future__ import annotations

import colorsys
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from visrun.figures import fonts

Color = tuple[int, int, int]

PAPER: Color = (24, 27, 32)
PLAIN: Color = (236, 239, 244)
FAINT: Color = (62, 68, 78)
BLUE: Color = (66, 133, 214)
GOOD: Color = (63, 185, 104)
BAD: Color = (240, 96, 88)

LEAST, MOST, PANEL = 256, 1024, 512  # longer side in pixels: least, most, and most of one panel among several
TEXT, ROW, PAD = 14, 22, 8  # height of text, of a row of text, and the space around
PLAIN_LETTERS = frozenset(map(chr, range(0x20, 0x7F)))
MOST_LINES = 6  # of a caption that lists what is labelled
OPACITY = 0.55  # of a class's colour over the image

# Colours that differ for colour-blind eyes too (Okabe & Ito 2008), the first one quiet: it is mostly background.
BASE: tuple[Color, ...] = (
    (70, 78, 96),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)


@dataclass(frozen=True)
class Line:
    """A row of a caption: a text and, with ``share`` in [0, 1], a bar behind it and the percentage at its end."""

    text: str
    color: Color = PLAIN
    share: float | None = None


LEFT = frozenset({"background", "unlabelled", "unlabeled", "void", "other", "others", "none", "nothing", "class_0"})


def palette(count: int) -> list[Color]:
    """``count`` colours, the same in every picture; past the base, hues step by the golden ratio of the circle."""
    more = []
    for i in range(count - len(BASE)):
        r, g, b = colorsys.hsv_to_rgb((0.75 + 0.618034 * i) % 1.0, (0.85, 0.5)[i % 2], (0.95, 0.7)[(i // 2) % 2])
        more.append((round(255 * r), round(255 * g), round(255 * b)))
    return [*BASE, *more][:count]


def class_colors(classes: Sequence[str]) -> list[Color]:
    """A colour for each class of pixels: the quiet one for that which is what is left, the others in their order."""
    quiet = next((i for i, name in enumerate(classes) if name.strip("_").lower() in LEFT), None)
    bold = iter(palette(len(classes) + 1)[1:])
    return [BASE[0] if i == quiet else next(bold) for i in range(len(classes))]


def scaled(image: Image.Image, *, most: int = MOST) -> Image.Image:
    """``image`` in RGB, enlarged or shrunk so that its longer side lies between LEAST and ``most`` pixels.

    Tiny images are enlarged by whole numbers without smoothing, so that their pixels can be seen.
    """
    image = image.convert("RGB")
    longer = max(image.size)
    if longer < LEAST:
        factor = -(-LEAST // longer)
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    image.thumbnail((most, most), Image.Resampling.LANCZOS, reducing_gap=None)  # leaves one that is no larger
    return image


def caption(image: Image.Image, lines: Sequence[Line]) -> Image.Image:
    """``image``, scaled to be readable, above ``lines``."""
    image = scaled(image)
    page = _page(image, len(lines))
    draw = ImageDraw.Draw(page)
    for row, line in enumerate(lines):
        _draw_line(draw, line, top=image.height + PAD + ROW * row, width=page.width)
    return page


def _page(image: Image.Image, rows: int) -> Image.Image:
    """``image`` in the middle above room for so many rows of text, which is no narrower than LEAST."""
    width = max(image.width, LEAST)
    page = Image.new("RGB", (width, image.height + 2 * PAD + ROW * rows), PAPER)
    page.paste(image, ((width - image.width) // 2, 0))
    return page


def _draw_line(draw: ImageDraw.ImageDraw, line: Line, *, top: int, width: int) -> None:
    middle, room = top + ROW // 2, width - 2 * PAD
    if line.share is not None:
        share, percent = (0.0, "NaN") if math.isnan(line.share) else (line.share, f"{line.share:.0%}")
        end = width - PAD - round(font().getlength("100%")) - PAD
        draw.rounded_rectangle((PAD, top + 2, end, top + ROW - 3), radius=3, fill=FAINT)
        full = PAD + round((end - PAD) * min(max(share, 0.0), 1.0))
        if full - PAD >= 2:
            fill = BLUE if line.color == PLAIN else _dark(line.color)
            draw.rounded_rectangle((PAD, top + 2, full, top + ROW - 3), radius=3, fill=fill)
        draw.text((width - PAD, middle), percent, fill=line.color, font=font(), anchor="rm")
        room = end - 2 * PAD
        text = fitted(line.text, room)
        draw.text((2 * PAD - 2, middle), text, fill=PLAIN, font=font(text=text), anchor="lm")
        return
    text = fitted(line.text, room)
    draw.text((PAD, middle), text, fill=line.color, font=font(text=text), anchor="lm")


def overlay(image: Image.Image, mask: np.ndarray, colors: Sequence[Color], *, ignored: int) -> Image.Image:
    """``image`` tinted by class.

    Args:
        mask: Class indices (h, w); stretched over the image, classes not mixed, or shrunk to it: colours are mixed by
            area then, or a thin line would be lost between the pixels.
        colors: Of each class.
        ignored: Index of pixels that stay as they are.
    """
    table = np.zeros((256, 4), np.uint8)  # of each index the colour, and whether it tints
    table[: len(colors), :3] = colors
    table[:, 3] = 255
    table[ignored] = 0
    indices = Image.fromarray(mask.astype(np.uint8))
    larger = indices.width > image.width or indices.height > image.height
    how = Image.Resampling.BOX if larger else Image.Resampling.NEAREST
    # one channel after another: a file may have a hundred times the pixels of its picture
    layers = [np.asarray(indices.point(column.tolist()).resize(image.size, how), np.float32) for column in table.T]
    tint, share = np.stack(layers[:3], axis=-1), layers[3][..., None] / 255
    pixels = np.asarray(image.convert("RGB"), np.float32)
    return Image.fromarray((pixels * (1 - OPACITY * share) + OPACITY * tint).round().astype(np.uint8))


def classes_over(image: Image.Image, mask: np.ndarray, names: Sequence[str], *, ignored: int) -> Image.Image:
    """``image`` tinted by the classes of ``mask``, as `overlay` has it, above the names of those that are in it."""
    colors = class_colors(names)
    shown = [k for k in np.unique(mask).tolist() if k < len(names)]
    return legend(overlay(image, mask, colors, ignored=ignored), [(names[k], colors[k]) for k in shown])


def side_by_side(panels: Mapping[str, Image.Image]) -> Image.Image:
    """Panels of one size in a row, each under its name."""
    images = {name: scaled(image, most=PANEL) for name, image in panels.items()}
    width, height = next(iter(images.values())).size
    page = Image.new("RGB", (len(images) * (width + PAD) - PAD, height + ROW), PAPER)
    draw = ImageDraw.Draw(page)
    for column, (name, image) in enumerate(images.items()):
        left = column * (width + PAD)
        text = fitted(name, width)
        draw.text((left + width // 2, ROW // 2), text, fill=PLAIN, font=font(text=text), anchor="mm")
        page.paste(image, (left, ROW))
    return page


def legend(image: Image.Image, keys: Sequence[tuple[str, Color]]) -> Image.Image:
    """``image`` above the names of ``keys``, each beside its colour, in as many rows as they need."""
    places, left, row, full = [], PAD, 0, max(image.width, LEAST)
    for name, _ in keys:
        text = fitted(name, full - 3 * PAD - TEXT)
        width = TEXT + PAD + round(font(text=text).getlength(text)) + 2 * PAD
        if left > PAD and left + width > full:
            left, row = PAD, row + 1
        places.append((left, row, text))
        left += width
    page = _page(image, row + 1)
    draw = ImageDraw.Draw(page)
    for (left, row, text), (_, color) in zip(places, keys, strict=True):
        middle = image.height + PAD + ROW * row + ROW // 2
        draw.rounded_rectangle((left, middle - TEXT // 2, left + TEXT, middle + TEXT // 2), radius=3, fill=color)
        draw.text((left + TEXT + PAD, middle), text, fill=PLAIN, font=font(text=text), anchor="lm")
    return page


def font(size: int = TEXT, text: str = "") -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans as matplotlib ships it, since it has Greek, Cyrillic and accents; else Pillow's own font.

    For a ``text`` with letters that it lacks an installed font that has them, and English ones too if there is one.
    """
    if rare := fonts.lacking(text):
        file = fonts.font_with(rare | PLAIN_LETTERS) or fonts.font_with(rare)
        if file is not None:
            return _installed(file, size)
    return _usual(size)


@cache
def _installed(file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


@cache
def _usual(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    spec = find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        file = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), size)
    return ImageFont.load_default(size)


def fitted(text: str, room: float, *, size: int = TEXT) -> str:
    """``text`` on one line, cut with an ellipsis where it is wider than ``room`` pixels."""
    text = " ".join(text.split())
    drawn = font(size, text)
    if drawn.getlength(text) <= room:
        return text
    fits = bisect_right(range(len(text)), room, key=lambda count: drawn.getlength(text[:count] + "…"))
    return text[: max(fits - 1, 0)] + "…"


def _dark(color: Color) -> Color:
    r, g, b = color
    return (r * 6 // 10, g * 6 // 10, b * 6 // 10)
