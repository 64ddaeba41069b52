"""One way into pixels: whatever the file's mode, the same upright RGB uint8 array comes out.

| in the file                    | becomes                                                                         |
|--------------------------------|---------------------------------------------------------------------------------|
| grey, 1-bit                    | three equal channels (1-bit: 0 and 255)                                          |
| palette                        | its colours                                                                      |
| an alpha channel, transparency | laid over white, as it looks on a page                                           |
| CMYK, YCbCr, HSV               | Pillow's conversion to RGB                                                       |
| 16-bit grey                    | scaled by the true range: the smallest of 8, 10, 12, 14 and 16 bits (the depths  |
|                                | that cameras and scanners deliver) that holds the largest value, of a dataset in |
|                                | any of its images: one file's own would have two equal greys differ by file      |
| 16-bit colour, grey with alpha | the high byte                                                                    |
| float, 32-bit integers, below 0| refused: their range is not known                                                |
| 16-bit TIFF, channels apart    | refused: Pillow takes half their bytes for the whole                             |
| 16-bit TIFF in which 0 is white| refused: Pillow takes white for black                                            |
| several frames                 | the first                                                                        |

EXIF orientation is applied, so that sizes, pixels and masks share the frame that people see. Images above
`opening.MAX_PIXELS` are refused from the header, before memory is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from visrun.data import labelmap
from visrun.data.ids import ABSENT, IGNORE, NUMBERED
from visrun.data.objects import Objects, painted
from visrun.data.opening import DEEP_GREY, opened, orientation, turned
from visrun.data.verdicts import BESIDE, DEFECT, GOOD, SOMEWHERE, Verdict
from visrun.errors import DataError

Pixels = npt.NDArray[np.uint8]
Truth = Path | Objects | Verdict  # what a plane of ids is made from

WHITES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))  # the largest values of 16-bit grey
_MASK_MODES = ("1", "L", "P", *DEEP_GREY)
_LOSSY = ("JPEG", "MPO", "WEBP")
# Pillow stretches the greys of 2- and 4-bit PNG to 0..255; a mask's ids are the numbers as they were written.
_STRETCH = {"L;2": 85, "L;4": 17}
WHITE_FROM = 128  # the grey that is nearer to white than to black
STRIP = 512  # rows of an image that are copied at once
GREYISH = 16  # by how much the channels of a grey picture may differ that was saved as a JPEG


def white_of(brightest: int) -> int:
    """The value of 16-bit grey that becomes 255 where ``brightest`` is the largest of all."""
    return next((white for white in WHITES if brightest <= white), WHITES[-1])


def load_rgb(
    path: Path,
    *,
    size: tuple[int, int] | None = None,
    noted: tuple[int, int] | None = None,
    white: int | None = None,
) -> Pixels:
    """The image as an upright, writable uint8 array (H, W, 3).

    Args:
        path: Any file that Pillow reads; the table above says what becomes of its mode.
        size: (height, width) it is resized to, smoothly. A JPEG is decoded at 1/2, 1/4 or 1/8 of its size first where
            that is no less.
        noted: The (height, width) it had when it was looked at, if it was.
        white: The value of 16-bit grey that becomes 255, as do those above; None = :func:`white_of` its own.

    Raises:
        DataError: As :func:`visrun.data.opening.header`, for pixels that are cut short, and for a size that is not the
            one noted.
    """
    with opened(path) as image:
        turn = orientation(image)
        if noted and noted != (image.size if turn >= 5 else image.size[::-1]):
            raise DataError(f"{path}: of another size than when the images were looked at; has it been replaced?")
        wanted = size and (size[::-1] if turn < 5 else size)  # (width, height) in the file's own frame
        drafted = image.draft(None, wanted) if wanted and image.format == "JPEG" else None
        image.load()
        pixels = as_rgb(path, image, white)
        # A side that is no multiple of the decoder's step ends in a pixel that only partly belongs to the picture.
        box = drafted[1] if drafted else (0, 0, *image.size)
        if wanted and (wanted != image.size or box[2:] != image.size):
            pixels = np.asarray(Image.fromarray(pixels).resize(wanted, Image.Resampling.BILINEAR, box=box))
        return np.require(turned(pixels, turn), requirements=["C", "W"])  # Pillow's own memory is read-only


def load_mask(path: Path, *, ids: Sequence[int] = ()) -> Pixels:
    """The class ids of a mask as an upright uint8 array (H, W); 255 = ignore.

    Args:
        path: A one-channel image (modes 1, L, P, or 16-bit with values up to 255), colours that a ``labelmap.txt``
            in its folder or above gives ids, or, without one, nothing but greys.
        ids: The id in the file of each class, in the order of the classes; every other id becomes 255. () keeps all.

    Raises:
        DataError: As :func:`visrun.data.opening.header`, and for ids above 255 and colours without an id.
    """
    with opened(path) as image:
        turn = orientation(image)
        array = _indices(path, image) if image.mode in _MASK_MODES else _by_colour(path, image)
        upright = np.array(turned(array, turn), order="C")
    return chosen_ids(ids)[upright] if ids else upright


def load_ids(path: Path) -> npt.NDArray[np.int64]:
    """The objects' numbers in a map, as an upright array (H, W); 0 = none.

    Args:
        path: A one-channel image of 8 or 16 bits; of a palette image 255 is the border between objects, so 0. Or
            colours: each is one object, black none, numbered red + 256 green + 65536 blue.

    Raises:
        DataError: As :func:`visrun.data.opening.header`.
    """
    with opened(path) as image:
        turn = orientation(image)
        if image.mode in _MASK_MODES:
            stretch = _stretch(image)
            ids = np.asarray(image).astype(np.int64) // stretch
            ids = np.where(ids == IGNORE, 0, ids) if image.mode == "P" else ids
        else:
            ids = np.asarray(image.convert("RGB")).astype(np.int64) @ np.array([1, 1 << 8, 1 << 16])
        return np.array(turned(ids, turn), order="C")


def load_flags(first: Path, *others: Path) -> npt.NDArray[np.bool_]:
    """True where any of an image's masks marks something, as an upright array (H, W): any id but 0, any colour but
    black that is not transparent; in a lossy file, which blurs, what is nearer to white than to black.

    Raises:
        DataError: As :func:`visrun.data.opening.header`, and for masks of different sizes.
    """
    with opened(first) as image:
        turn = orientation(image)
        flags = np.asarray(image if image.mode in _MASK_MODES else image.convert("L")) >= _least(image)
        if image.has_transparency_data and image.mode not in DEEP_GREY:
            flags = flags & (np.asarray(image.convert("RGBA"))[:, :, 3] > 0)
        flags = np.array(turned(flags, turn), order="C")
    for path in others:
        more = load_flags(path)
        if more.shape != flags.shape:
            sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (more, flags)]
            raise DataError(
                f"{path}: mask of {sizes[0]} pixels, {first.name} beside it has {sizes[1]}: save both at one size"
            )
        flags |= more
    return flags


def _least(image: Image.Image) -> int:
    """The grey from which on a mask marks something."""
    return WHITE_FROM if image.format in _LOSSY else 1


def mask_of(target: Truth, ids: Sequence[int], size: tuple[int, int]) -> Pixels:
    """The class ids (h, w) that are learnt for an image: those of its mask's file, or painted from its objects.

    Of a verdict they are the codes of `visrun.data.verdicts`.

    Where outlines overlap, the smaller object lies on top; ignored ones become 255, and where none is stands 0.

    Args:
        target: A mask's path, objects with outlines whose labels are ids from 1 on, or a verdict.
        ids: As :func:`load_mask` takes them.
        size: (h, w) of the upright image.

    Raises:
        DataError: As :func:`load_mask`.
    """
    if isinstance(target, Path):
        return load_mask(target, ids=ids)
    if isinstance(target, Verdict):
        if target.masks:
            return np.where(load_flags(*target.masks), DEFECT, BESIDE).astype(np.uint8)
        if target.outlined is not None:
            page = painted(target.outlined, size)
            return np.where(page == IGNORE, page, np.where(page, DEFECT, BESIDE)).astype(np.uint8)
        return np.full(size, SOMEWHERE if target.defective else GOOD, np.uint8)
    page = painted(target, size)
    return chosen_ids(ids)[page] if ids else page


def _indices(path: Path, image: Image.Image) -> Pixels:
    stretch = _stretch(image)
    array = np.asarray(image)  # decodes
    if array.dtype != np.uint8:
        if array.size and (int(array.max()) > 255 or int(array.min()) < 0):
            raise DataError(f"{path}: mask id {int(array.max())} is above 255; {NUMBERED}")
        array = array.astype(np.uint8)
    return array // stretch


def _by_colour(path: Path, image: Image.Image) -> Pixels:
    pixels = np.asarray(image.convert("RGB"))
    if image.format in _LOSSY:
        if np.ptp(pixels, axis=2).max() > GREYISH:
            raise DataError(f"{path}: a JPEG in colours, which blurs them: export the masks anew as PNG")
        return np.asarray(image.convert("L"))
    ids = labelmap.ids(path, pixels)
    if ids is None and (pixels == pixels[..., :1]).all():
        ids = np.array(pixels[..., 0])
    if ids is None:
        raise DataError(f"{path}: colour mask (mode {image.mode}): needs {labelmap.NEEDED}")
    return ids


def chosen_ids(ids: Sequence[int]) -> Pixels:
    """The table (256,) that maps a mask's ids to class indices: ``ids[k]`` becomes k unless ABSENT, all else 255; where
    255 is a class, masks are black and white, and a value between is what it is nearer to."""
    table = np.full(256, IGNORE, dtype=np.uint8)
    for index, id_ in enumerate(ids):
        if id_ != ABSENT:
            table[id_] = index
    if IGNORE in ids and {*ids} <= {0, IGNORE, ABSENT}:
        table[:WHITE_FROM], table[WHITE_FROM:] = table[0], table[IGNORE]
    return table


def as_rgb(path: Path, image: Image.Image, white: int | None) -> Pixels:
    """The pixels of an opened file, over white where it is transparent; ``white`` is as :func:`load_rgb` takes it.

    Raises:
        DataError: It is of floats, or of grey that cannot be scaled.
    """
    if image.mode == "F":
        raise DataError(f"{path}: float image: save it with 8 or 16 bits a channel")
    if image.mode in DEEP_GREY:
        deep = np.asarray(image)
        grey = _scaled(path, deep, white)
        if "transparency" in image.info:  # the one value of a PNG
            grey[deep == image.info["transparency"]] = 255
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return _unpacked(image if image.mode == "RGB" else image.convert("RGB"))


def in_16_bits(image: Image.Image) -> Image.Image:
    """An image of one of the modes ``DEEP_GREY`` as mode "I;16".

    Raises:
        DataError: It holds numbers that 16 bits do not, which Pillow would clip.
    """
    whole = image.convert("I")  # else Pillow swaps the bytes of some
    pixels = np.asarray(whole)
    low, high = pixels.min(initial=0), pixels.max(initial=0)
    if low < 0 or high > WHITES[-1]:
        told = f"an image of 32-bit integers from {low} to {high}"
        raise DataError(f"{told}: its range is not known; convert it to uint8")
    return whole.convert("I;16")


def _unpacked(image: Image.Image) -> Pixels:
    """The pixels (H, W, 3) of an RGB image, by strips: at once, Pillow makes two more copies of them on the way."""
    wide, high = image.size
    pixels = np.empty((high, wide, 3), np.uint8)
    for top in range(0, high, STRIP):
        bottom = min(high, top + STRIP)
        pixels[top:bottom] = np.asarray(image.crop((0, top, wide, bottom)))
    return pixels


def _scaled(path: Path, deep: npt.NDArray[np.generic], white: int | None) -> Pixels:
    """Grey integers (H, W) to uint8."""
    low, high = int(deep.min()), int(deep.max())
    if low < 0 or high > WHITES[-1]:
        what = "save it with 8 or 16 bits a channel" if low >= 0 else "add an offset, and save it with 8 or 16 bits"
        raise DataError(f"{path}: integers from {low} to {high}, beyond 0 to {WHITES[-1]}: {what}")
    full = white or white_of(high)
    return np.rint(np.minimum(deep, full).astype(np.float32) * (255.0 / full)).astype(np.uint8)


def _stretch(image: Image.Image) -> int:
    if image.format != "PNG" or not getattr(image, "tile", None):
        return 1
    return _STRETCH.get(str(image.tile[0][3]), 1)  # type: ignore[attr-defined]
