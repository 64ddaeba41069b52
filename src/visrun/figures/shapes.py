"""Pictures of objects: boxes, turned boxes and masks with their classes, predictions beside the truth. Pillow only.

Legend: n objects, h x w pixels of the image they lie in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from visrun.data.objects import corners_of
from visrun.figures.drawing import MOST, PANEL, PLAIN, Color, fitted, font, legend, palette, scaled, side_by_side

DARK: Color = (16, 18, 22)
FILL = 0.4  # opacity of a mask
SMALL_TEXT = 12  # height of a tag's text
TIGHT = 3  # pixels around it
THIN = 16  # pixels of an object's shorter side below which its outline is thin
FEW = 12  # objects up to which all get their names
Area = tuple[int, int, int, int]  # left, top, right, bottom in the picture


class Part(NamedTuple):
    """Of a mask of ``size`` (h, w) the window that holds all its pixels, from its ``corner`` (left, top) on."""

    pixels: NDArray[np.bool_]
    corner: tuple[int, int]
    size: tuple[int, int]

    @property
    def box(self) -> Area:
        """Left, top, right, bottom in the mask."""
        (left, top), (height, width) = self.corner, self.pixels.shape
        return left, top, left + width, top + height


def beside_truth(
    image: Image.Image, found: Mapping[str, Any], truth: Mapping[str, Any] | None, *, classes: Sequence[str]
) -> Image.Image:
    """What was found and, where it is known, what is true: two pictures in a row above the classes' colours.

    Args:
        found: Arguments of :func:`draw_objects` beside the image and the classes; truth: likewise, or None.
    """
    sides = {"prediction": found} if truth is None else {"prediction": found, "truth": truth}
    most = MOST if truth is None else PANEL
    panels = {name: draw_objects(image, **side, classes=classes, most=most) for name, side in sides.items()}
    page = panels["prediction"] if truth is None else side_by_side(panels)
    if any(side.get("masks") is not None for side in sides.values()):
        return page  # colours tell objects apart there
    present = sorted({int(k) for side in sides.values() for k in side["labels"]})
    colors = colors_of(len(classes))
    return legend(page, [(classes[k], colors[k]) for k in present]) if present else page


def draw_objects(
    image: Image.Image,
    *,
    labels: Any,
    classes: Sequence[str],
    boxes: Any = None,
    quads: Any = None,
    masks: Any = None,
    scores: Any = None,
    most: int = MOST,
) -> Image.Image:
    """``image``, scaled to be readable, with its objects; at least one of boxes, quads and masks tells where they are.

    Masks are filled, in a colour for each object; boxes are outlined in the colour of their class. Names and scores
    stand at the objects as far as there is room for them, the best first; where boxes are many, only scores do.

    Args:
        labels: (n,) classes.
        classes: Their names.
        boxes: (n, 4) left, top, right, bottom in the image's pixels.
        quads: (n, 4, 2) or (n, 8) corners in order.
        masks: (n, h, w) bool, or one (h, w) or :class:`Part` after the other.
        scores: (n,), or None for the truth.
        most: Longer side of the picture, at most; small images are enlarged to half of it.
    """
    page = roomy(image, most)
    zoom = page.width / image.width, page.height / image.height
    colors = [colors_of(len(classes))[int(k)] for k in labels]
    parts = [] if masks is None else [one if isinstance(one, Part) else cut(array(one, bool)) for one in masks]
    if masks is not None:
        colors = colors_of(len(labels))
        page = filled(page, parts, colors)
    corners = shape_corners(boxes, quads, parts) * zoom
    order = sorted(range(len(labels)), key=lambda i: 0.0 if scores is None else -float(scores[i]))
    if masks is None:
        draw = ImageDraw.Draw(page)
        for i in reversed(order):
            outline(draw, corners[i], colors[i])
    crowded = len(labels) > FEW
    named = len(classes) > 1 and (masks is not None or not crowded)
    texts = [
        tag_text(classes[int(k)] if named else "", None if scores is None else scores[i]) for i, k in enumerate(labels)
    ]
    write_tags(page, [(texts[i], corners[i], colors[i]) for i in order if texts[i]], only_on_large=crowded)
    return page


def colors_of(count: int) -> list[Color]:
    """The palette without its first colour, which is that of a background."""
    return palette(count + 1)[1:]


def roomy(image: Image.Image, most: int) -> Image.Image:
    """``image`` in RGB with a longer side of half of ``most`` to ``most`` pixels, at least ``PANEL``."""
    page = scaled(image, most=most)
    least = min(most, max(most // 2, PANEL))
    if max(page.size) >= least:
        return page
    zoom = least / max(page.size)
    size = (max(1, round(page.width * zoom)), max(1, round(page.height * zoom)))
    return page.resize(size, Image.Resampling.BICUBIC)


def shape_corners(boxes: Any, quads: Any, parts: Sequence[Part]) -> NDArray[np.float64]:
    """(n, 4, 2): the corners that there are, those of the boxes, or those of the boxes around the masks."""
    if quads is not None:
        return array(quads).reshape(-1, 4, 2)
    return corners_of(array([part.box for part in parts] if boxes is None else boxes).reshape(-1, 4))


def cut(mask: NDArray[np.bool_]) -> Part:
    """The part of a mask (h, w) that has pixels; one of no size for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top, right, bottom = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else (0, 0, 0, 0)
    return Part(mask[top:bottom, left:right].copy(), (int(left), int(top)), mask.shape)


def array(values: Any, dtype: Any = np.float64) -> NDArray[Any]:
    """A tensor, an array or lists as an array on the CPU."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values, dtype=dtype)


def filled(page: Image.Image, parts: Sequence[Part], colors: Sequence[Color]) -> Image.Image:
    """``page`` with masks stretched over it: tinted inside, in full colour along their edges."""
    pixels = np.asarray(page, np.float32).copy()
    for part, color in zip(parts, colors, strict=True):
        if not part.pixels.size:
            continue
        zoom = page.width / part.size[1], page.height / part.size[0]
        x, y, across, down = (round(v * zoom[i % 2]) for i, v in enumerate(part.box))
        across, down = max(across, x + 1), max(down, y + 1)
        stretched = Image.fromarray(part.pixels).resize((across - x, down - y), Image.Resampling.NEAREST)
        inside = np.asarray(stretched)
        share = np.where(inside & ~eroded(inside), 1.0, FILL * inside)[..., None]
        window = pixels[y:down, x:across]
        window += (np.asarray(color, np.float32) - window) * share[: len(window), : window.shape[1]]
    return Image.fromarray(pixels.round().astype(np.uint8))


def eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask (h, w) whose four neighbours belong to it too."""
    frame = np.pad(mask, 1)
    return frame[:-2, 1:-1] & frame[2:, 1:-1] & frame[1:-1, :-2] & frame[1:-1, 2:]


def outline(draw: ImageDraw.ImageDraw, corners: NDArray[np.float64], color: Color) -> None:
    """A closed line through corners (4, 2), darkened around so that it shows on any ground; thin on small objects."""
    sides = np.hypot(*(corners - np.roll(corners, 1, axis=0)).T)
    width = 1 if sides.min() < THIN else 2
    points = [(float(x), float(y)) for x, y in corners]
    closed = [*points, points[0], points[1]]  # past the start, so that the first corner is joined as well
    draw.line(closed, fill=DARK, width=width + 2, joint="curve")
    draw.line(closed, fill=color, width=width, joint="curve")


def tag_text(name: str, score: Any) -> str:
    """What stands at an object."""
    return " ".join([*([name] if name else []), *([] if score is None else [f"{float(score):.2f}"])])


def write_tags(
    page: Image.Image, tags: Sequence[tuple[str, NDArray[np.float64], Color]], *, only_on_large: bool
) -> None:
    """Write texts at corners (4, 2) of objects, each on its colour; those that would lie over earlier ones are left.

    Args:
        only_on_large: Leave out those that are wider than their object, too.
    """
    draw, taken = ImageDraw.Draw(page), list[Area]()
    for text, corners, color in tags:
        text = fitted(text, page.width / 2, size=SMALL_TEXT)
        width, height = round(font(SMALL_TEXT, text).getlength(text)) + 2 * TIGHT, SMALL_TEXT + TIGHT
        if only_on_large and np.ptp(corners[:, 0]) < width:
            continue
        area = next((a for a in spots(corners, width, height, page.size) if not any(meet(a, b) for b in taken)), None)
        if area is None:
            continue
        taken.append(area)
        draw.rectangle(area, fill=color)
        ink = DARK if np.dot(color, (0.3, 0.59, 0.11)) > 120 else PLAIN
        draw.text((area[0] + TIGHT, (area[1] + area[3]) // 2), text, fill=ink, font=font(SMALL_TEXT, text), anchor="lm")


def spots(corners: NDArray[np.float64], width: int, height: int, size: tuple[int, int]) -> list[Area]:
    """Where a tag may stand, the best first: above the object, below it, inside at its top; always in the picture."""
    left, top = corners.min(0).round().astype(int)
    bottom = int(corners[:, 1].max().round())
    found = []
    for x, y in ((left, top - height - 1), (left, bottom + 2), (left + 2, top + 2)):
        x, y = min(max(int(x), 0), size[0] - width), int(y)
        if 0 <= y <= size[1] - height:
            found.append((x, y, x + width, y + height))
    return found


def meet(a: Area, b: Area) -> bool:
    """Whether two areas have a pixel in common."""
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]
