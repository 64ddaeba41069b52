"""Pictures of anomaly detection: heat over the image, a line around what is called a defect. Pillow only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visrun.data.verdicts import CLASSES
from visrun.figures.drawing import BAD, GOOD, PANEL, PLAIN, Color, Line, caption, scaled, side_by_side

# Colours of heat, by the square of its share of the threshold: from none over the threshold, in the middle, to 1.4
# times of it and more. Distances are never near 0, and what is good should look so.
RAMP = np.array([[32, 40, 96], [40, 110, 160], [240, 200, 60], [235, 110, 40], [190, 20, 30]], np.float32)
OPACITY = (0.25, 0.65)  # of the heat, from none to most
LINE: Color = (255, 255, 255)


def picture(
    image: Image.Image,
    heat: NDArray[np.float32] | None,
    *,
    score: float,
    threshold: float | None,
    pixel_threshold: float | None,
    defective: bool | None,
    marks: NDArray[np.bool_] | None,
) -> Image.Image:
    """The image beside its heat map and, where they are known, the marked defects, above lines that say the score.

    Args:
        heat: (h, w), stretched over the image; None where the model gives none.
        threshold: Of the score; pixel_threshold: of the heat.
        defective: The truth, or None.
        marks: (h, w) bool, the defects as they are labelled, or None.
    """
    panels = {"image": scaled(image, most=PANEL)}
    if heat is not None:
        panels["heat"] = warmed(panels["image"], heat, pixel_threshold)
    if marks is not None and marks.any():
        panels["truth"] = outlined(panels["image"], marks, GOOD)
    page = side_by_side(panels) if len(panels) > 1 else panels["image"]
    called = None if threshold is None else score >= threshold
    color = PLAIN if defective is None or called is None else GOOD if called == defective else BAD
    says = f"{CLASSES[called]}: " if called is not None else ""
    lines = [Line(f"{says}score {score:.4g}", color=color)]
    if threshold is not None:
        lines.append(Line(f"threshold: {threshold:.4g}"))
    if defective is not None:
        lines.append(Line(f"truth: {CLASSES[defective]}"))
    return caption(page, lines)


def warmed(image: Image.Image, heat: NDArray[np.float32], threshold: float | None) -> Image.Image:
    """``image`` under its heat (h, w); the threshold is the middle of the colours, the hottest where there is none."""
    stretched = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(image.size, Image.Resampling.BILINEAR))
    middle = threshold if threshold is not None and threshold > 0 else float(heat.max())
    share = np.clip((stretched / max(middle, 1e-12)) ** 2 / 2, 0, 1)[:, :, None]
    place = share[:, :, 0] * (len(RAMP) - 1)
    channels = [np.interp(place, np.arange(len(RAMP)), RAMP[:, c]) for c in range(3)]
    opacity = OPACITY[0] + (OPACITY[1] - OPACITY[0]) * share
    pixels = np.asarray(image.convert("RGB"), np.float32) * (1 - opacity) + np.stack(channels, -1) * opacity
    shown = Image.fromarray(pixels.round().astype(np.uint8))
    return shown if threshold is None else outlined(shown, stretched >= threshold, LINE)


def outlined(image: Image.Image, inside: NDArray[np.bool_], color: Color) -> Image.Image:
    """``image`` with a line along the inner edge of what is ``inside`` (h, w), stretched over it."""
    flags = Image.fromarray(inside.astype(np.uint8) * 255).resize(image.size, Image.Resampling.NEAREST)
    mask = np.asarray(flags) > 0
    padded = np.pad(mask, 2)
    size = mask.shape
    moved = [padded[2 + dy : 2 + dy + size[0], 2 + dx : 2 + dx + size[1]] for dy, dx in NEIGHBOURS]
    shown = image.copy()
    shown.paste(color, mask=Image.fromarray(mask & ~np.logical_and.reduce(moved)))
    return shown


NEIGHBOURS = [(-2, 0), (2, 0), (0, -2), (0, 2), (-1, -1), (1, 1), (-1, 1), (1, -1)]  # a line two pixels wide
