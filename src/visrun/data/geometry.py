"""Which part of a picture a sample shows: one view per sample, drawn on the host, the same for images and masks.

A view is a rectangle over the picture, turned by an angle; the training image is what the rectangle shows.
``crop`` takes a rectangle inside the picture (random-resized crop, Szegedy et al., arXiv 1409.4842, section 6);
``letterbox`` takes one that holds the whole picture, so nothing leaves it and counts and boxes stay true; ``zoom``
starts from that one and looks closer or from further away, for targets that can be cut: pixels and objects. A mosaic
shows corners of four pictures around one point.

Coordinates are continuous pixels, x to the right and y down; pixel i covers [i, i + 1].
Shapes: B samples, N images. Sizes are (height, width) unless a name says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visrun.tables.words import Fit

Array = NDArray[np.float64]
# How much larger than the training size a picture is kept. A crop of 44 % of the area then still has full resolution,
# and most views shrink the kept pixels by less than 2, up to which bilinear sampling stays within a few grey levels of
# an antialiased resize (the kept picture was shrunk by one). The furthest zoom and the smallest part of a mosaic shrink
# them by 3, where lines of one pixel break up. A letterbox always shows the whole picture.
MARGIN = {"crop": 1.5, "letterbox": 1.0, "zoom": 1.5}
LONGEST = 2.0  # a kept side is at most this many times its usual length: panoramas must not blow up every canvas
SMALLEST_LETTERBOX = 0.64  # a letterboxed picture covers at least this share of the area it could
ASPECT = math.log(4 / 3)
ROUNDING = 1e-6  # of a pixel, far above that of float64: a side that fits exactly must not begin a pixel early


@dataclass(frozen=True)
class View:
    """What each of B samples shows: ``centre`` (B, 2) xy, ``extent`` (B, 2) width and height, negative where flipped,
    ``angle`` (B,) in radians, all in pixels of the kept picture."""

    centre: Array
    extent: Array
    angle: Array


def working_size(size: tuple[int, int], image_size: tuple[int, int], fit: Fit) -> tuple[int, int]:
    """The (height, width) at which a picture of ``size`` is kept: aspect kept, never larger than it is."""
    (h, w), (height, width) = size, image_size
    high, wide = MARGIN[fit] * height, MARGIN[fit] * width
    if fit == "crop":
        scale = min(1.0, max(high / h, wide / w), LONGEST * high / h, LONGEST * wide / w)
    else:
        scale = min(1.0, high / h, wide / w)
    return max(1, round(h * scale)), max(1, round(w * scale))


def centred(sizes: Array, image_size: tuple[int, int], fit: Fit) -> View:
    """The view of evaluation: the largest crop, or the smallest letterbox, of the training aspect in the middle."""
    scale = fitted(sizes[:, ::-1], image_size, fit)
    extent = scale[:, None] * _xy(image_size)
    # Whole training pixels, so that a picture kept at its training scale is copied exactly.
    corner = np.floor((sizes[:, ::-1] - extent) / 2 / scale[:, None] + ROUNDING) * scale[:, None]
    return View(corner + extent / 2, extent, np.zeros(len(sizes)))


def random_crop(
    sizes: Array, image_size: tuple[int, int], draws: Array, area: tuple[float, float], turn: Array
) -> View:
    """A rectangle of ``area`` (share of the picture, low to high, at most 1) inside the picture, also when turned.

    Args:
        sizes: (B, 2) of the kept pictures.
        draws: (B, 4) uniform in [0, 1): area, aspect (3/4 to 4/3 of the training aspect), x, y.
        turn: (B,) radians.
    """
    high, wide = image_size
    share = np.minimum(area[0] + draws[:, 0] * (area[1] - area[0]), 1.0)
    aspect = wide / high * np.exp((2 * draws[:, 1] - 1) * ASPECT)
    pixels = share * sizes.prod(1)
    extent = np.stack([np.sqrt(pixels * aspect), np.sqrt(pixels / aspect)], 1)
    bounds = _turned(extent, turn)
    shrink = np.minimum(1.0, (sizes[:, ::-1] / bounds).min(1))[:, None]
    free = np.maximum(sizes[:, ::-1] - bounds * shrink, 0.0)
    return View(bounds * shrink / 2 + draws[:, 2:4] * free, extent * shrink, turn)


def random_letterbox(
    sizes: Array, image_size: tuple[int, int], draws: Array, area: tuple[float, float], turn: Array
) -> View:
    """A rectangle that holds the whole picture, also when turned, somewhere in it. Arguments as for `random_crop`;
    the picture covers ``area`` of what it could, never less than 64 %."""
    low, high = (min(max(end, SMALLEST_LETTERBOX), 1.0) for end in area)
    bounds = _turned(sizes[:, ::-1], -turn)
    scale = fitted(bounds, image_size, "letterbox") / np.sqrt(low + draws[:, 0] * (high - low))
    extent = scale[:, None] * _xy(image_size)
    shift = (draws[:, 2:4] - 0.5) * np.maximum(extent - bounds, 0.0)
    return View(sizes[:, ::-1] / 2 + _along(shift, turn), extent, turn)


def random_zoom(
    sizes: Array, image_size: tuple[int, int], draws: Array, area: tuple[float, float], turn: Array
) -> View:
    """A rectangle of ``area`` (share of the letterbox, low to high; above 1 = from further away) that holds the whole
    picture where it can, and else lies in it, or reaches over it at both ends, along each of its sides. Arguments as
    for `random_crop`; the aspect is always the training image's."""
    kept = area[0] + draws[:, 0] * (area[1] - area[0])
    scale = fitted(sizes[:, ::-1], image_size, "zoom") * np.sqrt(kept)
    extent = scale[:, None] * _xy(image_size)
    bounds, share = _turned(sizes[:, ::-1], -turn), draws[:, 2:4] - 0.5
    holds = (extent - bounds).min(1, keepdims=True) >= 0
    shift = np.where(
        holds, _along(share * (extent - bounds), turn), share * np.abs(sizes[:, ::-1] - _turned(extent, turn))
    )
    return View(sizes[:, ::-1] / 2 + shift, extent, turn)


RANDOM = {"crop": random_crop, "letterbox": random_letterbox, "zoom": random_zoom}


def mosaic(
    sizes: Array, image_size: tuple[int, int], split: Array, share: Array, flips: NDArray[np.bool_], turn: Array
) -> View:
    """Four pictures around a point: top left, top right, bottom left and bottom right of it (YOLOv4, Bochkovskiy et
    al., arXiv 2004.10934, section 3.3). Each shows the corner that lies at the point, or where it is turned, touches
    both lines that meet there.

    Args:
        sizes: (B, 4, 2) of the kept pictures.
        split: (B, 2) xy of the point in the training image.
        share: (B, 4) of its letterbox's area that each picture covers, above 0.
        flips: (B, 4, 2) whether each is mirrored left and right, top and bottom.
        turn: (B, 4) radians.

    Returns:
        B * 4 views, a sample's four together.
    """
    scale = fitted(sizes[..., ::-1].reshape(-1, 2), image_size, "letterbox") / np.sqrt(share.ravel())
    extent = scale.reshape(-1, 4, 1) * _xy(image_size) * np.where(flips, -1.0, 1.0)
    before = np.array([[1, 1], [0, 1], [1, 0], [0, 0]], bool)  # the point, along x and y
    reach = _turned(sizes[..., ::-1], -turn) / 2  # from the picture's middle to the point
    corner = sizes[..., ::-1] / 2 + _along(np.where(before ^ flips, reach, -reach), turn)
    centre = corner + _along((_xy(image_size) / 2 - split[:, None]) * extent / _xy(image_size), turn)
    return View(centre.reshape(-1, 2), extent.reshape(-1, 2), turn.ravel())


def flipped(view: View, horizontal: NDArray[np.bool_], vertical: NDArray[np.bool_]) -> View:
    """The same views mirrored where the (B,) masks say so."""
    return View(view.centre, view.extent * np.where(np.stack([horizontal, vertical], 1), -1.0, 1.0), view.angle)


def matrices(view: View, canvas: tuple[int, int]) -> NDArray[np.float32]:
    """(B, 2, 3): from the training image to the canvas, both in [-1, 1] as `torch.nn.functional.grid_sample` has it
    (``align_corners=False``); column 0 multiplies x, 1 y, 2 is added."""
    cos, sin = np.cos(view.angle), np.sin(view.angle)
    columns = [
        np.stack([cos, sin], 1) * view.extent[:, :1],
        np.stack([-sin, cos], 1) * view.extent[:, 1:],
        2 * view.centre - _xy(canvas),
    ]
    return (np.stack(columns, 2) / _xy(canvas)[:, None]).astype(np.float32)


def inverses(view: View, image_size: tuple[int, int]) -> NDArray[np.float32]:
    """(B, 2, 3): from pixels of the kept picture to pixels of the training image; columns as in `matrices`."""
    cos, sin = np.cos(view.angle), np.sin(view.angle)
    turned = np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1)
    back = turned * (_xy(image_size) / view.extent)[:, :, None]
    shift = _xy(image_size) / 2 - np.einsum("bij,bj->bi", back, view.centre)
    return np.concatenate([back, shift[:, :, None]], 2).astype(np.float32)


def window(view: View, image_size: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int] | None:
    """(top, left) if every sample shows the same whole pixels, unscaled, so that a slice of the batch will do."""
    corner = view.centre - view.extent / 2
    if np.any(view.angle) or np.any(view.extent != _xy(image_size)) or np.any(corner != corner[0]):
        return None
    left, top = corner[0]
    inside = 0 <= top <= canvas[0] - image_size[0] and 0 <= left <= canvas[1] - image_size[1]
    return (int(top), int(left)) if inside and top % 1 == 0 and left % 1 == 0 else None


def _xy(size: tuple[int, int]) -> Array:
    return np.array([size[1], size[0]], np.float64)


def fitted(bounds: Array, image_size: tuple[int, int], fit: Fit) -> Array:
    """(B,) kept pixels per training pixel for boxes of (B, 2) ``bounds`` (width, height)."""
    ratio = bounds / _xy(image_size)
    return ratio.min(1) if fit == "crop" else ratio.max(1)


def _along(shift: Array, turn: Array) -> Array:
    """(..., 2) shifts along the sides of rectangles turned by ``turn``, in the picture's coordinates."""
    cos, sin = np.cos(turn), np.sin(turn)
    return np.stack([cos * shift[..., 0] - sin * shift[..., 1], sin * shift[..., 0] + cos * shift[..., 1]], -1)


def _turned(extent: Array, turn: Array) -> Array:
    """(..., 2) width and height of the upright boxes round boxes of ``extent`` turned by ``turn``."""
    cos, sin = np.abs(np.cos(turn))[..., None], np.abs(np.sin(turn))[..., None]
    return extent * cos + extent[..., ::-1] * sin
