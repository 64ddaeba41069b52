"""Augmentation of whole batches: what is drawn, on the host, for many steps at once.

`plan` packs what the device needs into one small table; :mod:`visrun.data.rendering` turns kept pixels into training
images by it, :mod:`visrun.data.boxing` the boxes with them.

Colour is one affine map of RGB per sample: brightness, then saturation and hue (a turn in the YIQ plane; Haeberli,
"Matrix operations for image processing", 1993), then contrast about the mean colour the network expects, then
normalisation. Erasing is Zhong et al., arXiv 1708.04896, with the mean colour as the fill.

Legend: S steps, B samples, Q pictures a sample (4 where there are mosaics, else 1), H x W training image, Hc x Wc
canvas, P columns of the table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visrun.data import geometry, mixing
from visrun.data.geometry import Array
from visrun.tables import TARGETS
from visrun.tables.words import Fit

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
ERASED_AREA = (0.02, 0.33)
ERASED_ASPECT = math.log(1 / 0.3)
# Columns of the table. First, for each of the Q pictures: the view, the picture's end in the canvas, the way back.
VIEW, END, BACK, SLOT = slice(0, 6), slice(6, 8), slice(8, 14), 14
# Then, for the sample: colour, the erased box, the mixing weight and box, the point where the Q pictures meet.
COLOUR, ERASED, MIX, SPLIT, REST = slice(0, 12), slice(12, 16), slice(16, 21), slice(21, 23), 23
TILES = 4  # pictures of a mosaic
MEET = (0.3, 0.7)  # where they do, in shares of the training image
MOSAIC_AREA = (0.25, 1.0)  # of its letterbox that each covers
MIXES = ("mixup", "cutmix", "erase", "mosaic")


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How training images vary; the defaults vary nothing.

    Args:
        crop_scale: Low and high share of the picture's area that a random crop or zoom keeps (of a letterbox: that
            the picture covers, at least 0.64); above 1 a zoom shows it smaller. (1, 1) = evaluation's view.
        hflip: Mirror left and right in half of the samples; vflip: top and bottom.
        rotate: Largest turn to either side, degrees in [0, 180].
        brightness: Largest relative change, in [0, 1]; so contrast and saturation.
        hue: Largest turn of the colour circle, in [0, 0.5] turns.
        mixup: Alpha of mixup, cutmix: of CutMix; 0 = off. With both, each batch takes one of them.
        erase: Probability of erasing a rectangle, in [0, 1].
        mosaic: Probability that a sample shows four pictures, in [0, 1].
    """

    crop_scale: tuple[float, float] = (1.0, 1.0)
    hflip: bool = False
    vflip: bool = False
    rotate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    erase: float = 0.0
    mosaic: float = 0.0

    @property
    def pictures(self) -> int:
        """Q."""
        return TILES if self.mosaic else 1


@dataclass(frozen=True)
class Plan:
    """What happens to the batches of S steps, decided on the host.

    Args:
        table: (S, B, P) float32, the only part that the device sees, P = Q * SLOT + REST.
        corner: (top, left) where a slice of the canvas is the view of every sample, else None.
        tints: Whether channels mix (saturation, hue), or are only scaled.
        pads: Whether a view can reach beyond its picture.
        erases: Whether any sample may lose a rectangle.
        mix: For each step "", "mixup" or "cutmix".
        pictures: Q.
    """

    table: NDArray[np.float32]
    corner: tuple[int, int] | None
    tints: bool
    pads: bool
    erases: bool
    mix: tuple[str, ...]
    pictures: int


def fitting(augment: Augment, kind: str) -> tuple[Augment, tuple[str, ...]]:
    """``augment`` without the parts that a target of ``kind`` cannot take, and the names of those that were on."""
    dropped = tuple(name for name in MIXES if getattr(augment, name) and name not in TARGETS[kind].mixes)
    off: dict[str, Any] = dict.fromkeys(dropped, 0.0)
    return replace(augment, **off), dropped


def plan(
    rngs: Sequence[np.random.Generator],
    sizes: Array,
    *,
    image_size: tuple[int, int],
    canvas: tuple[int, int],
    fit: Fit,
    augment: Augment | None,
    mean: Sequence[float],
    std: Sequence[float],
    crowded: NDArray[np.bool_] | None = None,
) -> Plan:
    """Draw everything for the batches of S steps.

    Args:
        rngs: One for each step, keyed on it; every part draws its numbers also when it is off, so switching one off
            leaves the others as they were.
        sizes: (S, B, Q, 2) height and width of the pictures in their canvas.
        augment: None for evaluation.
        mean: 3 floats in [0, 1], with ``std`` what the network's weights expect.
        crowded: (S, B) samples whose pictures together hold too many objects, and which so are no mosaics.
    """
    how = augment or Augment()
    steps, n, pictures, _ = sizes.shape
    draws = np.concatenate([rng.random((n, 16)) for rng in rngs])
    mixes = [mixing.draw(rng, n, mixup=how.mixup, cutmix=how.cutmix) for rng in rngs]
    flat = sizes.reshape(-1, pictures, 2)
    view, meet = _view(flat[:, 0], image_size, fit, how, draws), np.ones((len(flat), 2))
    corner = geometry.window(view, image_size, canvas)
    if pictures > 1:
        numbers = np.concatenate([np.hstack([rng.random((n, 15)), rng.random((n, TILES))]) for rng in rngs])
        chosen = numbers[:, 0] < how.mosaic
        chosen &= True if crowded is None else ~crowded.ravel()
        view, meet = _mosaics(view, flat, image_size, how, chosen, numbers[:, 1:])
    slots = np.empty((len(flat) * pictures, SLOT), np.float32)
    slots[:, VIEW] = geometry.matrices(view, canvas).reshape(-1, 6)
    slots[:, END] = 2 * flat.reshape(-1, 2)[:, ::-1] / (canvas[1], canvas[0]) - 1
    slots[:, BACK] = geometry.inverses(view, image_size).reshape(-1, 6)
    rest = np.empty((len(flat), REST), np.float32)
    rest[:, COLOUR] = colour(draws[:, 7:11], how, mean, std).reshape(-1, 12)
    rest[:, ERASED] = _erased(draws[:, 11:16], how.erase)
    rest[:, MIX] = np.concatenate([numbers for _, numbers in mixes])
    rest[:, SPLIT] = meet
    return Plan(
        table=np.concatenate([slots.reshape(len(flat), -1), rest], 1).reshape(steps, n, -1),
        corner=None if pictures > 1 else corner,
        tints=bool(how.saturation or how.hue),
        pads=fit != "crop" or pictures > 1,
        erases=bool(how.erase),
        mix=tuple(name for name, _ in mixes),
        pictures=pictures,
    )


def colour(draws: Array, augment: Augment, mean: Sequence[float], std: Sequence[float]) -> Array:
    """(B, 3, 4): from RGB in [0, 255] and 1 to normalised RGB. ``draws`` (B, 4) in [0, 1): brightness, contrast,
    saturation, hue."""
    bright, contrast, saturation = (
        1 + (2 * draws[:, i] - 1) * part
        for i, part in enumerate((augment.brightness, augment.contrast, augment.saturation))
    )
    linear = np.broadcast_to(np.eye(3), (len(draws), 3, 3))
    if augment.saturation:
        grey = np.broadcast_to(LUMA, (3, 3))
        linear = grey + saturation[:, None, None] * (np.eye(3) - grey)
    if augment.hue:
        linear = _hue((2 * draws[:, 3] - 1) * augment.hue) @ linear
    gain = contrast[:, None] / np.asarray(std)
    matrix = linear * (bright[:, None] * gain / 255)[:, :, None]
    return np.concatenate([matrix, -(gain * mean)[:, :, None]], 2)


def _view(sizes: Array, image_size: tuple[int, int], fit: Fit, how: Augment, draws: Array) -> geometry.View:
    turn = np.radians((2 * draws[:, 4] - 1) * how.rotate)
    if tuple(how.crop_scale) == (1.0, 1.0) and not how.rotate:
        view = geometry.centred(sizes, image_size, fit)
    else:
        where = draws[:, :4] if tuple(how.crop_scale) != (1.0, 1.0) else np.full((len(sizes), 4), 0.5)
        view = geometry.RANDOM[fit](sizes, image_size, where, how.crop_scale, turn)
    return geometry.flipped(view, how.hflip & (draws[:, 5] < 0.5), how.vflip & (draws[:, 6] < 0.5))


def _mosaics(
    view: geometry.View,
    sizes: Array,
    image_size: tuple[int, int],
    how: Augment,
    chosen: NDArray[np.bool_],
    draws: Array,
) -> tuple[geometry.View, Array]:
    """The views of all pictures, a sample's four together, and where they meet in shares of the image: for samples that
    are no mosaic (1, 1), so that the first picture fills it.

    Args:
        view: Of each sample's first picture, alone.
        sizes: (B, 4, 2).
        chosen: (B,) which are.
        draws: (B, 18) in [0, 1): where they meet (2); area (4), mirrored left and right (4), up and down (4), turn (4).
    """
    meet = MEET[0] + draws[:, :2] * (MEET[1] - MEET[0])
    share = MOSAIC_AREA[0] + draws[:, 2:6] * (MOSAIC_AREA[1] - MOSAIC_AREA[0])
    flips = np.stack([how.hflip & (draws[:, 6:10] < 0.5), how.vflip & (draws[:, 10:14] < 0.5)], -1)
    whole = np.array([image_size[1], image_size[0]], np.float64)
    turn = np.radians((2 * draws[:, 14:18] - 1) * how.rotate)
    found = geometry.mosaic(sizes, image_size, meet * whole, share, flips, turn)
    alone = np.repeat(~chosen, TILES)  # the other three of these are never seen
    several = (np.repeat(part, TILES, 0) for part in (view.centre, view.extent, view.angle))
    pairs = zip(several, (found.centre, found.extent, found.angle), strict=True)
    parts = [np.where(alone.reshape(-1, *[1] * (one.ndim - 1)), one, other) for one, other in pairs]
    return geometry.View(*parts), np.where(chosen[:, None], meet, 1.0)


def _hue(turns: Array) -> Array:
    cos, sin = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    turned = np.zeros((len(turns), 3, 3))
    turned[:, 0, 0] = 1
    turned[:, 1, 1] = turned[:, 2, 2] = cos
    turned[:, 1, 2], turned[:, 2, 1] = -sin, sin
    return np.linalg.inv(YIQ) @ turned @ YIQ


def _erased(draws: Array, probability: float) -> Array:
    """(B, 4) top, bottom, left, right as shares of the image; an empty box where nothing is erased."""
    area = ERASED_AREA[0] + draws[:, 1] * (ERASED_AREA[1] - ERASED_AREA[0])
    aspect = np.exp((2 * draws[:, 2] - 1) * ERASED_ASPECT)
    high, wide = np.minimum(np.sqrt(area / aspect), 1.0), np.minimum(np.sqrt(area * aspect), 1.0)
    top, left = draws[:, 3] * (1 - high), draws[:, 4] * (1 - wide)
    return np.stack([top, top + high, left, left + wide], 1) * (draws[:, :1] < probability)
