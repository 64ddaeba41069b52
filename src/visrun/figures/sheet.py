"""A contact sheet: sample predictions side by side on one picture."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from visrun.files import write_atomic

SAMPLES = 12  # pictures of a usual sheet: full rows of 3, 4 or 6
SMALLEST, LARGEST = 160, 320  # pixels of a cell's longer side
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
FAST = 3  # of zlib: a third of the time of its default for a tenth more bytes
PANELS = 1.6  # width over height from which pictures are taken for several side by side, and get twice the room
GAP = 8
WIDER = 1.4  # width of a sheet over its height, about
BACKGROUND = (245, 246, 247)


def sheet(pictures: Sequence[Image.Image], path: Path) -> None:
    """Write the :func:`arranged` pictures; a reader sees the file whole or as it was before.

    Raises:
        ValueError: There is no picture.
    """
    data = arranged(pictures)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)


def arranged(pictures: Sequence[Image.Image], suffix: str = ".png") -> memoryview:
    """``pictures`` row by row, as the content of one file of this ``suffix``, one of `FORMATS`.

    Large ones are shrunk and tiny ones enlarged in whole steps, all alike, so that pixels stay square. The sheet is
    somewhat wider than high, and few cells of its last row are empty.

    Raises:
        ValueError: There is no picture.
    """
    if not pictures:
        raise ValueError("a sheet needs a picture")
    longest = max(max(picture.size) for picture in pictures)
    largest = 2 * LARGEST if all(picture.width >= PANELS * picture.height for picture in pictures) else LARGEST
    tiles = [fit(picture.convert("RGB"), longest, largest) for picture in pictures]
    width, height = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    across = full_rows(len(tiles), math.sqrt(WIDER * len(tiles) * height / width))
    down = math.ceil(len(tiles) / across)
    page = Image.new("RGB", (across * (width + GAP) + GAP, down * (height + GAP) + GAP), BACKGROUND)
    for number, tile in enumerate(tiles):
        left = GAP + (number % across) * (width + GAP) + (width - tile.width) // 2
        top = GAP + (number // across) * (height + GAP) + (height - tile.height) // 2
        page.paste(tile, (left, top))
    file = io.BytesIO()
    page.save(file, FORMATS[suffix], compress_level=FAST)  # which is of PNG alone
    return file.getbuffer()


def full_rows(count: int, wanted: float) -> int:
    """A number of columns near ``wanted`` under which ``count`` cells leave few gaps."""
    return min(range(1, count + 1), key=lambda columns: abs(math.log(columns / wanted)) + -count % columns / count)


def fit(picture: Image.Image, longest: int, largest: int = LARGEST) -> Image.Image:
    """``picture`` at the scale that brings a side of ``longest`` pixels between SMALLEST and ``largest``."""
    if longest > largest:
        scale = largest / longest
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        return picture.resize(size, Image.Resampling.LANCZOS)
    times = math.ceil(SMALLEST / longest)
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
