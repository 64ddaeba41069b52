"""Pictures of digits on textures, with everything about them known exactly.

Coordinates are pixels, x to the right and y down; (0, 0) is the corner of the top left pixel, (0.5, 0.5) its centre.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.measure import label

from visrun.data.files import SPLITS
from visrun.errors import DataError

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

FINE = 8  # a digit's pixel becomes 8x8 smooth ones, from which it is drawn at any size and angle
TEXTURES = ("brick", "grass", "gravel")
# Digits drawn alike share a class, so that a small set is enough to learn them, and a 6 stays one upside down.
GROUPS = {"round": (0, 6, 8, 9), "straight": (1, 4, 7), "curved": (2, 3, 5)}
CLASS_OF = {digit: name for name, digits in GROUPS.items() for digit in digits}
TRIES = 150  # places looked at for a digit before the picture is full


@dataclass(frozen=True)
class Glyph:
    """One handwritten digit: its ink 0..1 in an upright picture (64, 64), the tight box of what is above
    0.5, and whether that is one piece.
    """

    digit: int
    ink: Floats
    box: tuple[int, int, int, int]
    whole: bool


@dataclass(frozen=True)
class Placed:
    """A digit in a picture.

    Args:
        digit: 0..9.
        mask: Its pixels (H, W).
        corners: The tight rectangle in the digit's own frame, turned with it: (4, 2) x, y from its top left, clockwise.
    """

    digit: int
    mask: Mask
    corners: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Studio:
    """What pictures are made of: a generator, the digits of each split, and grey textures (512, 512) in 0..1."""

    rng: np.random.Generator
    glyphs: dict[str, list[Glyph]]
    textures: dict[str, Floats]

    def picture(
        self, split: str, *, size: int, count: int, height: tuple[float, float], turn: float
    ) -> tuple[Floats, list[Placed]]:
        """A picture (size, size, 3) in 0..1 with up to ``count`` digits that do not touch, and the digits.

        Args:
            split: Whose digits are used.
            size: Side in pixels.
            count: Digits to place; fewer where no room is left.
            height: Shortest and longest digit in pixels.
            turn: Largest angle either way in degrees.
        """
        picture = background(self.rng, self.textures[TEXTURES[self.rng.integers(len(TEXTURES))]], size)
        taken: Mask = np.zeros((size, size), bool)
        placed = []
        for _ in range(count):
            glyph = self._clear_glyph(split)
            ink, corners = self._fit(glyph, taken, height, turn)
            if ink is not None:
                picture = paint(self.rng, picture, ink)
                placed.append(Placed(glyph.digit, ink > 0.5, corners))
        return picture, placed

    def _clear_glyph(self, split: str) -> Glyph:
        """A digit in one piece: its faint strokes may not break the mask."""
        while True:
            glyph = self.glyphs[split][self.rng.integers(len(self.glyphs[split]))]
            if glyph.whole:
                return glyph

    def _fit(
        self, glyph: Glyph, taken: Mask, height: tuple[float, float], turn: float
    ) -> tuple[Floats | None, npt.NDArray[np.float64]]:
        """Draw ``glyph`` at a free place inside the picture and mark the place as taken."""
        size = taken.shape[0]
        for _ in range(TRIES):
            scale = self.rng.uniform(*height) / (glyph.box[3] - glyph.box[1])
            angle = np.deg2rad(self.rng.uniform(-turn, turn))
            corners = turned_box(glyph, scale, angle, self.rng.uniform(0, size, 2))
            low, high = np.floor(corners.min(0)).astype(int) - 2, np.ceil(corners.max(0)).astype(int) + 2
            room = (slice(low[1], high[1]), slice(low[0], high[0]))
            if low.min() >= 0 and high.max() <= size and not taken[room].any():
                taken[room] = True
                return draw(glyph, corners, size), corners
        return None, np.zeros((4, 2))


def studio(*, seed: Sequence[int]) -> Studio:
    """A generator, the digits of each split (70, 15, 15 % of every class) and the textures."""
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(seed)
    data = load_digits()
    glyphs: dict[str, list[Glyph]] = {name: [] for name in SPLITS}
    for digit in range(10):
        images = data.images[data.target == digit]
        order = rng.permutation(len(images))
        ends = np.rint(np.array([0.7, 0.85]) * len(images)).astype(int)
        for name, part in zip(SPLITS, np.split(order, ends), strict=True):
            glyphs[name] += [smooth(digit, images[i]) for i in sorted(part)]
    return Studio(rng, glyphs, {name: texture(name) for name in TEXTURES})


def smooth(digit: int, image: npt.NDArray[Any]) -> Glyph:
    """An 8x8 digit of 0..16 at 64x64, with a tight box around what is darker than half."""
    ink = Image.fromarray((image / image.max()).astype(np.float32))
    side = 8 * FINE
    fine = np.clip(np.asarray(ink.resize((side, side), Image.Resampling.BICUBIC)), 0, 1)
    rows, columns = np.flatnonzero((fine > 0.5).any(1)), np.flatnonzero((fine > 0.5).any(0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return Glyph(digit, fine, box, whole=int(label(fine > 0.5).max()) == 1)


def texture(name: str) -> Floats:
    """(h, w) a grey photograph of scikit-image's package data, in 0..1."""
    path = package_files("skimage") / "data" / f"{name}.png"
    if not path.is_file():
        raise DataError(
            f"data=demo: {path} is missing: reinstall scikit-image (pip install --force-reinstall scikit-image)"
        )
    with path.open("rb") as file, Image.open(file) as image:
        grey: Floats = np.asarray(image.convert("L")).astype(np.float32) / np.float32(255)
        return grey


def background(rng: np.random.Generator, grey: Floats, size: int) -> Floats:
    """A random piece of a texture at a random scale, mirrored or not, in a faint tint: (size, size, 3)."""
    side = int(rng.integers(size, min(2 * size, min(grey.shape)) + 1))
    top, left = (int(rng.integers(n - side + 1)) for n in grey.shape)
    piece = grey[top : top + side, left : left + side][:, :: rng.choice([-1, 1])]
    piece = np.asarray(Image.fromarray(np.ascontiguousarray(piece)).resize((size, size), Image.Resampling.BOX))
    light = rng.uniform(*((0.25, 0.42), (0.58, 0.75))[rng.integers(2)]) + 0.1 * (piece - piece.mean()) / (
        piece.std() + 1e-6
    )
    tint = np.array(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.05, 0.25), 1.0))
    return np.clip(light[:, :, None] * tint / tint.mean(), 0, 1).astype(np.float32)


def turned_box(glyph: Glyph, scale: float, angle: float, centre: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The corners (4, 2) of the digit's box, scaled, turned clockwise by ``angle`` (radians) about its middle."""
    left, top, right, bottom = glyph.box
    half = scale * np.array([right - left, bottom - top]) / 2
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return square @ rotation + centre


def draw(glyph: Glyph, corners: npt.NDArray[np.float64], size: int) -> Floats:
    """The digit's ink (size, size) with its box laid on ``corners``."""
    left, top, right, bottom = glyph.box
    across = (corners[1] - corners[0]) / (right - left)
    down = (corners[3] - corners[0]) / (bottom - top)
    back = np.linalg.inv(np.column_stack([across, down]))  # picture -> digit
    shift = np.array([left, top]) - back @ corners[0]
    matrix = (*back[0], shift[0], *back[1], shift[1])
    ink = Image.fromarray(glyph.ink).transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return np.asarray(ink)


def paint(rng: np.random.Generator, picture: Floats, ink: Floats) -> Floats:
    """``picture`` with the digit in a colour well apart from what lies under it."""
    under = float(picture[ink > 0.5].mean())
    light = rng.uniform(0.85, 1.0) if under < 0.5 else rng.uniform(0.0, 0.12)
    colour = np.array(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.0, 0.4), light))
    alpha = np.clip(2 * ink - 0.5, 0, 1)[:, :, None]  # an edge half as wide, still 0.5 where the ink is 0.5
    return (picture * (1 - alpha) + colour * alpha).astype(np.float32)


def save(picture: Sequence[Any] | npt.NDArray[Any], path: Any) -> None:
    """Write a picture of 0..1 as PNG, lightly compressed: the time to build is zlib's."""
    Image.fromarray(np.rint(np.asarray(picture) * 255).astype(np.uint8)).save(path, compress_level=1)
