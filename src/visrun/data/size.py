"""The training size: what the user said, else what the model was made for, but never larger than the images are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from visrun.errors import ConfigError


def training_size(
    wanted: int | Sequence[int] | None,
    *,
    usual: int,
    multiple: int,
    fixed: bool,
    whole: bool,
    sizes: Iterable[tuple[int, int]],
) -> tuple[int, int]:
    """Height and width of the training image in pixels.

    Enlarging small images costs time and adds nothing, so an untold size is the smaller of ``usual`` and the
    images' own median side, rounded up to ``multiple``.

    Args:
        wanted: A side, ``[height, width]``, or None.
        usual: The side the model or the task is usually trained at.
        multiple: The rounding, in pixels.
        fixed: The model takes ``usual`` only, as a square, unless the user names a size.
        whole: Images are shown whole (their longer side counts) rather than cropped (their shorter side counts).
        sizes: Width and height of the images.

    Raises:
        ConfigError: A wanted size that is no multiple of what the model can take.
    """
    if wanted is not None:
        height, width = (wanted, wanted) if isinstance(wanted, int) else (int(wanted[0]), int(wanted[1]))
        if fixed and (height != width or height % multiple):
            raise ConfigError(
                f"data.image_size={wanted}: this model takes square images of a multiple of {multiple} pixels"
            )
        return height, width
    if fixed:
        return usual, usual
    side = median(max(size) if whole else min(size) for size in sizes)
    side = min(usual, -(-int(side) // multiple) * multiple)
    return side, side
