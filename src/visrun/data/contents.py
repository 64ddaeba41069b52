"""What a cache holds: the files, the size at which each is kept, and the key that changes with any of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from visrun.data import geometry, labelmap, opening
from visrun.data.images import Truth
from visrun.data.look import Look
from visrun.data.objects import Objects
from visrun.data.outlines import Window
from visrun.data.stream import Source
from visrun.data.verdicts import Verdict
from visrun.errors import DataError

FORMAT = "5"  # of the arrays; part of the key, so that older ones are not read


def describe(
    paths: Sequence[Path],
    look: Look,
    *,
    masks: Sequence[Truth] | None = None,
    mask_ids: Sequence[int] = (),
    sizes: Mapping[Path, tuple[int, int]] | None = None,
    windows: Sequence[Window | None] | None = None,
) -> Source:
    """The files with the size at which each is kept, and the canvas that holds the largest.

    Args:
        paths: Image files.
        look: What the network is to see of them, which gives the size kept, see `geometry`.
        masks: Their masks, or the objects or verdicts of which masks are wanted.
        mask_ids: As `visrun.data.images.mask_of` takes them; () = numbers of objects, not classes.
        sizes: (width, height) of upright images where known; the others' headers are read.
        windows: The part of its file that each picture is; None = the whole.
    """
    known = sizes or {}
    kept, shown, wholes = [], [], []
    for path, window in zip(paths, windows or [None] * len(paths), strict=True):
        try:
            w, h = known[path] if path in known else opening.header(path)
        except DataError:
            w, h = 1, 1  # decoding it will say what is wrong
        left, top, right, bottom = window or (0, 0, w, h)
        kept.append(geometry.working_size((bottom - top, right - left), look.image_size, look.fit))
        shown.append((left, top, right, bottom))
        wholes.append((h, w))
    array = np.array(kept, np.int64).reshape(-1, 2)
    return Source(
        paths=tuple(paths),
        masks=None if masks is None else tuple(masks),
        sizes=array,
        canvas=(int(array[:, 0].max(initial=1)), int(array[:, 1].max(initial=1))),
        mask_ids=tuple(mask_ids),
        windows=np.array(shown, np.int64).reshape(-1, 4),
        wholes=np.array(wholes, np.int64).reshape(-1, 2),
        white=look.white,
    )


def needed(source: Source) -> int:
    """Bytes of the arrays."""
    return sum(int(np.prod(shape)) for shape in source.shapes if shape is not None)


def key(source: Source) -> str:
    """64 hex digits that change when a file, the sizes kept or the format do."""
    digest = hashlib.sha256(repr((FORMAT, source.canvas, source.mask_ids, source.masks is None, source.white)).encode())
    digest.update(source.sizes.tobytes() + source.windows.tobytes())
    masks = [mask for mask in source.masks or () if isinstance(mask, Path)]
    masks += [path for mask in source.masks or () if isinstance(mask, Verdict) for path in mask.masks]
    digest.update("".join(repr(mask) for mask in source.masks or () if isinstance(mask, Objects | Verdict)).encode())
    for path in (*source.paths, *masks, *labelmap.of(masks)):
        length, changed = opening.stamp(path)  # of one that is missing decoding will say it
        digest.update(f"{path.absolute()}\0{length}\0{changed}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
