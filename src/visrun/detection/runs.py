"""Masks as runs (COCO's compressed run-length encoding): a thousandth of the memory, and made where the mask lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from visrun.data.outlines import Outline, Rle, counts_of, runs
from visrun.detection.matching import Floats, Ints

Runs = dict[str, Any]  # {"size": [h, w], "counts": bytes}


def encoded(crops: Tensor, corners: Ints, size: tuple[int, int]) -> list[Runs]:
    """Masks of a file as runs, from the parts of it outside of which they are empty.

    Args:
        crops: (n, a, b) bool, on any device; only the ends of the runs leave it.
        corners: (n, 2) top and left pixel of each; what a crop has beyond the file is False.
        size: (height, width) of the file.
    """
    from faster_coco_eval import mask as coco

    height, width = size
    frame = F.pad(crops, (0, 0, 1, 1))
    mask, column, row = (frame[:, 1:] != frame[:, :-1]).transpose(1, 2).nonzero().cpu().numpy().T
    end = (corners[mask, 1] + column) * height + corners[mask, 0] + row
    # What ends at the lower edge and goes on at the top of the next column is one run.
    meets = (end[1:] == end[:-1]) & (mask[1:] == mask[:-1])
    kept = ~(np.append(meets, False) | np.insert(meets, 0, False)) & (end < height * width)
    mask, end = mask[kept], end[kept]
    result: list[Runs] = []
    for ends in np.split(end, np.searchsorted(mask, np.arange(1, len(crops)))) if len(crops) else ():
        counts = np.diff(ends, prepend=0, append=height * width)
        result += coco.frPyObjects([{"counts": counts.tolist(), "size": [height, width]}], height, width)
    return result


def as_rows(masks: Sequence[Runs]) -> Tensor:
    """(n, 2 + L) int32: height, width and the bytes of each, filled up with zeros: a tensor, as predictions hold."""
    rows = [np.array([*mask["size"], *mask["counts"]], np.int32) for mask in masks]
    table = np.zeros((len(rows), max([2, *map(len, rows)])), np.int32)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(table)


def of_rows(rows: Tensor) -> list[Runs]:
    """What :func:`as_rows` was given."""
    return [
        {"size": [int(height), int(width)], "counts": bytes(text[text > 0].astype(np.uint8))}
        for height, width, text in ((row[0], row[1], row[2:]) for row in rows.cpu().numpy())
    ]


def written(mask: Runs) -> dict[str, Any]:
    """A mask for JSON: ``size`` [height, width] and ``counts`` as text."""
    return {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")}


def windows(masks: Sequence[Runs]) -> Iterator[tuple[NDArray[np.bool_], tuple[int, int], tuple[int, int]]]:
    """The pixels (a, b) of each in the window that holds them all, left and top of that, and the file's (h, w).

    A page of the file's size for each would take most of the time of a picture of many.
    """
    for mask in masks:
        height, width = mask["size"]
        counts = counts_of(mask["counts"])
        ends = np.cumsum(counts)
        places = runs(ends[:-1:2], counts[1::2])
        if not len(places):
            yield np.zeros((0, 0), bool), (0, 0), (height, width)
            continue
        left, right = places[0] // height, places[-1] // height + 1
        page = np.zeros((right - left) * height, bool)
        page[places - left * height] = True
        page = page.reshape(-1, height).T
        rows = np.flatnonzero(page.any(1))
        yield page[rows[0] : rows[-1] + 1], (int(left), int(rows[0])), (height, width)


def runs_of(outline: Outline, size: tuple[int, int]) -> Runs:
    """A labelled outline in an image of ``size`` (h, w), as COCO's own tools draw it."""
    from faster_coco_eval import mask as coco

    if isinstance(outline, Rle):
        return dict(
            coco.frPyObjects({"counts": np.asarray(outline.counts).tolist(), "size": list(outline.size)}, *outline.size)
        )
    return dict(coco.merge(coco.frPyObjects([part.ravel().tolist() for part in outline], *size)))


def areas(masks: Sequence[Runs]) -> Floats:
    """(n,) pixels of each."""
    from faster_coco_eval import mask as coco

    return np.asarray(coco.area(list(masks)) if masks else [], np.float64)
