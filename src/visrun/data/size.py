"""The training size: what the user said, else what the model was made for, but never larger than the images are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

ALIKE = 1.1  # ratio up to which two aspects count as one
SHARED = 0.9  # of the images must have an aspect for the training image to have it
LONG = 0.5  # times its longer side is the shorter one of an image of which a square shows too little


def training_size(
    wanted: int | Sequence[int] | None,
    *,
    usual: int,
    multiple: int,
    smallest: int,
    fixed: bool,
    square: bool,
    whole: bool,
    sizes: Iterable[tuple[int, int]],
) -> tuple[int, int]:
    """Height and width of the training image in pixels.

    Enlarging small images costs time and adds nothing, so an untold size is the smaller of ``usual`` and the
    images' own median side, rounded up to ``multiple``. Images that are shown whole and nearly all have one shape are
    trained on in that shape, so that little of it is padding; cropped ones, too, where that is longer than 2:1, so that
    little is cut away. Then the longer side may be twice ``usual``: it has fewer pixels than the square all the same.

    Args:
        wanted: A side, ``[height, width]``, or None.
        usual: The side the model or the task is usually trained at.
        multiple: The rounding, in pixels.
        smallest: The least side in pixels that the model takes: the shorter one of a long image is no less.
        fixed: The model takes ``usual`` only, as a square, unless the user names a size.
        square: The model may take squares only where images are cropped, however long they are.
        whole: Images are shown whole (their longer side counts) rather than cropped (their shorter side counts, unless
            they are longer than 2:1).
        sizes: Width and height of the images.
    """
    if wanted is not None:
        return (wanted, wanted) if isinstance(wanted, int) else (int(wanted[0]), int(wanted[1]))
    if fixed:
        return usual, usual
    every = list(sizes)
    ratio = shape_of(every)
    long = not (whole or square) and min(ratio) < LONG
    if not (whole or long):
        ratio = 1.0, 1.0
    side = min(usual, median(max(size) if whole or long else min(size) for size in every))
    if long:  # of an image that fills the shorter side rounded up, this much is the longer one
        side = _up(max(smallest, min(ratio) * side), multiple) / min(ratio)
    most = 2 * usual if long else usual
    height, width = (min(most, _up(part * side, multiple)) for part in ratio)
    return height, width


def hides_most(size: tuple[int, int], sizes: Iterable[tuple[int, int]]) -> bool:
    """Whether ``size`` (height, width) holds less than half of most images of ``sizes`` (width, height) filling it."""
    shape = size[1] / size[0]
    aspects = [wide / high / shape for wide, high in sizes]
    return median(min(aspect, 1 / aspect) for aspect in aspects) < LONG


def _up(side: float, multiple: int) -> int:
    return max(1, -(-int(side) // multiple)) * multiple


def shape_of(sizes: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Height and width of the rectangle that nearly all images of ``sizes`` (width, height) share, the longer as 1; a
    square where there is none."""
    aspects = [wide / high for wide, high in sizes]
    middle = median(aspects)
    alike = sum(1 / ALIKE <= aspect / middle <= ALIKE for aspect in aspects)
    if alike < SHARED * len(sizes):
        return 1.0, 1.0
    return min(1.0, 1 / middle), min(1.0, middle)
