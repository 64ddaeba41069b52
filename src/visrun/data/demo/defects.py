"""A demo dataset of flaws: bricks as they should be, and with stains, scratches and patches of another texture."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from visrun.data.demo.scenes import Floats, Mask, Studio, background, save

SIZE = 128
GOOD = {"train": 200, "test": 60}
BAD = 20  # of each kind


def mvtec(root: Path, studio: Studio) -> None:
    """train/good, test/good, test/KIND and ground_truth/KIND/NUMBER_mask.png (0 and 255), as MVTec AD lays them out."""
    for split, total in GOOD.items():
        folder = root / split / "good"
        folder.mkdir(parents=True)
        for number in range(total):
            save(_brick(studio), folder / f"{number:03d}.png")
    for kind, spoil in KINDS.items():
        images, masks = root / "test" / kind, root / "ground_truth" / kind
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for number in range(BAD):
            picture, mask = spoil(studio, _brick(studio))
            save(picture, images / f"{number:03d}.png")
            save(mask, masks / f"{number:03d}_mask.png")


def _brick(studio: Studio) -> Floats:
    """Bricks (128, 128, 3) from anywhere on the wall, in one tint and nearly one light, as one camera sees them."""
    rng = studio.rng
    grey = studio.textures["brick"]
    side = int(rng.integers(230, 280))
    top, left = (int(rng.integers(n - side + 1)) for n in grey.shape)
    piece = Image.fromarray(np.ascontiguousarray(grey[top : top + side, left : left + side]))
    small = np.asarray(piece.resize((SIZE, SIZE), Image.Resampling.BOX))
    tint = np.array(colorsys.hsv_to_rgb(0.05, 0.35, 1.0))
    light = small * rng.uniform(0.95, 1.1)
    return np.clip(light[:, :, None] * tint / tint.mean(), 0, 1).astype(np.float32)


def _stain(studio: Studio, picture: Floats) -> tuple[Floats, Mask]:
    mask, alpha = _blob(studio, 10, 22)
    colour = np.array(colorsys.hsv_to_rgb(studio.rng.uniform(), 0.5, studio.rng.uniform(0.1, 0.35)))
    return _blend(picture, np.broadcast_to(colour, picture.shape), 0.85 * alpha), mask


def _scratch(studio: Studio, picture: Floats) -> tuple[Floats, Mask]:
    rng = studio.rng
    start, angle, length = rng.uniform(24, SIZE - 24, 2), rng.uniform(0, 2 * np.pi), rng.uniform(35, 60)
    along = np.array([np.cos(angle), np.sin(angle)])
    bend = np.array([-along[1], along[0]]) * rng.uniform(-10, 10)
    steps = np.linspace(0, 1, 20)[:, None]
    path = start + steps * length * along + 4 * steps * (1 - steps) * bend
    big = Image.new("L", (4 * SIZE, 4 * SIZE))
    ImageDraw.Draw(big).line([tuple(4 * point) for point in path], fill=255, width=int(rng.integers(8, 15)))
    alpha = _alpha(big)
    return _blend(picture, np.full_like(picture, rng.uniform(0.9, 1.0)), alpha), alpha > 0.5


def _patch(studio: Studio, picture: Floats) -> tuple[Floats, Mask]:
    mask, alpha = _blob(studio, 14, 26)
    name = ("grass", "gravel")[int(studio.rng.integers(2))]
    return _blend(picture, background(studio.rng, studio.textures[name], SIZE), alpha), mask


def _blob(studio: Studio, low: float, high: float) -> tuple[Mask, Floats]:
    """An irregular disc of radius ``low`` to ``high`` inside the picture: its mask, and its softened alpha (H, W)."""
    rng = studio.rng
    radius = rng.uniform(low, high)
    centre = rng.uniform(high + 4, SIZE - high - 4, 2)
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    waves = np.zeros(48)
    for k in (2, 3, 4):
        waves += rng.uniform(0, 0.35 / k) * np.cos(k * angles + rng.uniform(0, 2 * np.pi))
    points = centre + (radius * (1 + waves))[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    big = Image.new("L", (4 * SIZE, 4 * SIZE))
    ImageDraw.Draw(big).polygon([tuple(4 * point) for point in points], fill=255)
    alpha = _alpha(big.filter(ImageFilter.GaussianBlur(3)))
    return alpha > 0.5, alpha


def _alpha(big: Image.Image) -> Floats:
    small: Floats = np.asarray(big.resize((SIZE, SIZE), Image.Resampling.BOX)).astype(np.float32) / np.float32(255)
    return small


def _blend(under: Floats, over: Floats, alpha: Floats) -> Floats:
    return (under * (1 - alpha[:, :, None]) + over * alpha[:, :, None]).astype(np.float32)


KINDS: dict[str, Callable[[Studio, Floats], tuple[Floats, Mask]]] = {
    "patch": _patch,
    "scratch": _scratch,
    "stain": _stain,
}
