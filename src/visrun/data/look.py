"""What of a picture a network sees, and in which size and colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from visrun.data import geometry, tiles
from visrun.data.outlines import Window
from visrun.errors import DataError
from visrun.numbers import is_int
from visrun.tables.words import Fit

ASIDE = 1e-4  # far less than one of 255 steps


def are_colours(mean: Sequence[float], std: Sequence[float]) -> bool:
    """Whether pixels can have this mean and standard deviation in red, green and blue."""
    return len(mean) == len(std) == 3 and all(map(math.isfinite, (*mean, *std))) and min(std) > 0


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a network sees a picture.

    Args:
        image_size: (height, width) in pixels.
        fit: How a picture meets that size.
        mean: 3 floats in [0, 1]; with ``std``, what its weights expect. A mean that a pixel can have exactly,
            such as black, is moved aside, so that only padding is 0 in all channels: `rendering.seen` relies on it.
        tile: Side of the tiles into which larger pictures are cut, or None.
        overlap: Of neighbouring tiles, in pixels.
        white: The value of 16-bit grey that is white; None = of each file its own, see `visrun.data.images`.

    Raises:
        ValueError: One of them is none, as in a checkpoint that somebody else wrote.
    """

    image_size: tuple[int, int]
    fit: Fit
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tile: int | None = None
    overlap: int = 0
    white: int | None = None

    def __post_init__(self) -> None:
        cut = () if self.tile is None else (self.tile, self.tile - self.overlap, self.overlap + 1)
        sides = (*self.image_size, *cut, 1 if self.white is None else self.white)
        sized = len(self.image_size) == 2 and all(map(is_int, sides)) and min(sides) > 0
        if self.fit not in geometry.MARGIN or not sized or not are_colours(self.mean, self.std):
            raise ValueError(f"no way to see a picture: {self}")
        if all(abs(255 * part - round(255 * part)) < 255 * ASIDE / 10 for part in self.mean):
            object.__setattr__(self, "mean", tuple(part + ASIDE for part in self.mean))

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Look:
        """What `plain` gave, whatever stands beside it.

        Raises:
            KeyError, TypeError, ValueError: A part of it is missing, or of another kind.
        """
        values: dict[str, Any] = {field.name: written[field.name] for field in fields(cls)}
        return cls(**values | {name: tuple(value) for name, value in values.items() if isinstance(value, list)})

    def plain(self) -> dict[str, Any]:
        """It in plain types, as a checkpoint has it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def windows(self, size: tuple[int, int]) -> list[Window]:
        """The parts of a picture of ``size`` (width, height) that are looked at."""
        if self.tile is None:
            return [(0, 0, *size)]
        return tiles.windows(size, tile=self.tile, overlap=self.overlap)

    def visible(self, size: tuple[int, int], path: Path) -> tuple[int, int]:
        """``size`` (width, height) as it is.

        Raises:
            DataError: The picture, fitted in as a whole or in tiles, would be thinner than one pixel: nothing is seen.
        """
        (high, wide), part = self.image_size, [min(side, self.tile or side) for side in size]
        if min(part) < geometry.fitted(np.array([part]), self.image_size, self.fit)[0]:
            told = f"{size[0]}x{size[1]} pixels: at {wide}x{high} thinner than one, so that nothing is seen"
            raise DataError(f"{path}: {told}; cut it into squarer pieces")
        return size
