"""Large images cut into overlapping tiles of one size, so that small objects stay as large as they are."""

from __future__ import annotations

import math

from visrun.data.outlines import Window

Borders = tuple[float, float, float, float]  # left, top, right, bottom
NO_BORDERS: Borders = (-math.inf, -math.inf, math.inf, math.inf)  # of a picture that is a whole file


def windows(size: tuple[int, int], *, tile: int, overlap: int) -> list[Window]:
    """The tiles of an image, row by row, evenly spaced and wholly inside; an image no larger is its one tile.

    Args:
        size: (width, height) of the image.
        tile: Side of a tile in pixels; along a side that is shorter, a tile has that side.
        overlap: By how many pixels neighbours overlap at least, below ``tile``.
    """
    wide, high = size
    return [
        (left, top, left + min(tile, wide), top + min(tile, high))
        for top in starts(high, tile, overlap)
        for left in starts(wide, tile, overlap)
    ]


def borders(window: Window, size: tuple[int, int]) -> Borders:
    """Where a tile ends and its image, (width, height) = ``size``, goes on; infinite where that ends, too."""
    left, top, right, bottom = window
    return (
        left if left > 0 else -math.inf,
        top if top > 0 else -math.inf,
        right if right < size[0] else math.inf,
        bottom if bottom < size[1] else math.inf,
    )


def starts(side: int, tile: int, overlap: int) -> list[int]:
    """Where the tiles along a side begin: as few as cover it, the first at 0 and the last ending with it."""
    if side <= tile:
        return [0]
    count = math.ceil((side - tile) / (tile - overlap)) + 1
    return [round(i * (side - tile) / (count - 1)) for i in range(count)]
