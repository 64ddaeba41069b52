"""One way into an image file: opened in Pillow, its size known before memory is taken, whatever is wrong one line."""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile

from visrun.data.faults import reason
from visrun.errors import DataError
from visrun.files import stamp_of

MAX_PIXELS = 89_478_485  # Pillow's own threshold of suspicion: 256 MiB of RGB

BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError),
    *(struct.error, zlib.error),
)
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_PAGED = ("TIFF", "GIF")


class Facts(NamedTuple):
    """What is known of an image before it is decoded.

    Args:
        size: (width, height), upright.
        brightest: The largest value where it is 16-bit grey, which is decoded for that; else 0.
        frames: Frames, or pages of a TIFF.
    """

    size: tuple[int, int]
    brightest: int = 0
    frames: int = 1


def facts(path: Path) -> Facts:
    """What an image's header says.

    Raises:
        DataError: As :func:`header`; of 16-bit grey also for pixels that are cut short.
    """
    with opened(path) as image:
        brightest = int(np.asarray(image).max(initial=0)) if image.mode in DEEP_GREY else 0
        return Facts(_upright(path, image), brightest, _frames(image) if image.format in _PAGED else 1)


def _frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except BROKEN:  # behind the first frame, and no other is read
        return 1


def header(path: Path) -> tuple[int, int]:
    """Width and height in pixels, upright, from the header alone.

    Raises:
        DataError: ``path: reason`` for a file that is missing, no image, cut inside its header, above ``MAX_PIXELS`` or
            of a mode that :func:`visrun.data.images.load_rgb` refuses.
    """
    with opened(path) as image:
        return _upright(path, image)


def _upright(path: Path, image: Image.Image) -> tuple[int, int]:
    if image.mode == "F":
        raise DataError(f"{path}: float image: save it with 8 or 16 bits a channel")
    width, height = image.size
    return (height, width) if orientation(image) >= 5 else (width, height)


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does, as `visrun.files.stamp_of`; (0, 0) for one that is missing."""
    return stamp_of(path) or (0, 0)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The file open in Pillow, its size checked.

    Raises:
        DataError: Instead of whatever goes wrong with the file inside.
    """
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # to open a pipe is to wait until somebody writes into it
            raise DataError(f"{path}: a pipe or device, not an image: remove it")
        with Image.open(path) as image, unmapped(image):
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{path}: {_too_large(f'{image.width}x{image.height}')}")
            if said := misread(image):
                raise DataError(f"{path}: {said}")
            yield image
    except DataError:
        raise
    except BOMBS:
        raise DataError(f"{path}: {_too_large('the header')}") from None
    except BROKEN as error:
        raise DataError(f"{path}: {reason(path, error)}") from error


@contextmanager
def unmapped(image: Image.Image) -> Iterator[None]:
    """Within, an uncompressed TIFF is decoded: Pillow would map its file into memory as if it were not to be turned."""
    if not isinstance(image, ImageFile.ImageFile) or image.format != "TIFF":
        yield
        return
    name, image.filename = image.filename, ""
    try:
        yield
    finally:
        image.filename = name


def misread(image: Image.Image) -> str:
    """What in a TIFF Pillow reads wrongly without a word, and what to do, or nothing (TIFF 6.0, tags BitsPerSample,
    PhotometricInterpretation and PlanarConfiguration)."""
    tags: Any = getattr(image, "tag_v2", None) or {}
    bits = tags.get(258, (1,))
    if len(bits) > 1 and max(bits) > 8 and tags.get(284) == 2:
        return "16 bits a channel and the channels apart: save it with them interleaved"
    if image.mode in DEEP_GREY and tags.get(262) == 0:  # of 8 bits Pillow inverts it
        return "16-bit grey in which 0 is white: save it with 0 as black"
    return ""


def _too_large(what: str) -> str:
    limit = f"the limit of {MAX_PIXELS:,} pixels (decompression bomb?)"
    return f"{what} is above {limit}: shrink or cut the file, data.tile does not"


def orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8, without decoding."""
    if image.format == "TIFF":
        return 1  # Pillow turns TIFF itself
    exif = Image.Image.getexif(image)  # the base method: PNG's own would decode the pixels to look for late chunks
    turn = exif.get(ExifTags.Base.Orientation, 1)
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def turned(array: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """``array`` (H, W[, 3]) as seen, for an EXIF orientation (Exif 2.3, tag 274)."""
    if turn >= 5:  # rows of the file are columns of the picture
        array = array.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        array = array[::-1]
    if turn in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array
