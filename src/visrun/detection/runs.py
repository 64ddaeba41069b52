"""Masks as runs (COCO's compressed run-length encoding): a thousandth of the memory, and made where the mask lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from visrun.data.outlines import Outline, Rle
from visrun.detection.matching import Floats

Runs = dict[str, Any]  # {"size": [h, w], "counts": bytes}


def encoded(masks: Tensor) -> list[Runs]:
    """(n, h, w) bool, on any device, as n runs; only the ends of the runs leave the device."""
    from faster_coco_eval import mask as coco

    count, height, width = masks.shape
    flat = masks.transpose(1, 2).reshape(count, height * width)
    changes = torch.empty_like(flat)
    changes[:, :1] = flat[:, :1]  # runs begin with one of zeros, which may be empty
    torch.ne(flat[:, 1:], flat[:, :-1], out=changes[:, 1:])
    mask, end = changes.nonzero().cpu().numpy().T
    result: list[Runs] = []
    for ends in np.split(end, np.searchsorted(mask, np.arange(1, count))) if count else ():
        counts = np.diff(ends, prepend=0, append=height * width)
        result += coco.frPyObjects([{"counts": counts.tolist(), "size": [height, width]}], height, width)
    return result


def runs_of(outline: Outline, size: tuple[int, int]) -> Runs:
    """A labelled outline in an image of ``size`` (h, w), as COCO's own tools draw it."""
    from faster_coco_eval import mask as coco

    if isinstance(outline, Rle):
        return dict(coco.frPyObjects({"counts": list(outline.counts), "size": list(outline.size)}, *outline.size))
    return dict(coco.merge(coco.frPyObjects([part.ravel().tolist() for part in outline], *size)))


def areas(masks: Sequence[Runs]) -> Floats:
    """(n,) pixels of each."""
    from faster_coco_eval import mask as coco

    return np.asarray(coco.area(list(masks)) if masks else [], np.float64)
