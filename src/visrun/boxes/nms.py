"""Greedy non-maximum suppression without a loop over boxes.

Greedy suppression keeps a box unless a kept, better box of its class overlaps it. That set is the only fixed point of
"keep what no kept, better box overlaps": the best box is settled at the start and every round settles at least the
next one; in practice 5 to 6 rounds settle all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from visrun.boxes.aligned import iou
from visrun.boxes.formats import half_extent, xyxy_to_cxcywh
from visrun.boxes.pairing import near_pairs
from visrun.boxes.polygons import hulls, polygon_iou_of
from visrun.boxes.rotated import rotated_iou_of

Pairs = Callable[[Tensor, Tensor], Tensor]  # indices (K,) and (K,) -> IoU (K,)


def nms(
    boxes: Tensor, scores: Tensor, labels: Tensor | None = None, *, threshold: float, sources: Tensor | None = None
) -> Tensor:
    """Indices of the boxes kept, best score first; of equal scores the first given is the better.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        labels: (N,); boxes of different labels leave each other alone. None = all are of one class.
        threshold: IoU above which the lower score is dropped.
        sources: (N,); boxes of one source leave each other alone: it has suppressed among them already.
    """
    boxes = boxes.double()
    centre, size = xyxy_to_cxcywh(boxes).split(2, -1)
    return _greedy(centre, size / 2, lambda i, j: iou(boxes[i], boxes[j]), scores, labels, threshold, sources)


def rotated_nms(
    boxes: Tensor, scores: Tensor, labels: Tensor | None = None, *, threshold: float, sources: Tensor | None = None
) -> Tensor:
    """:func:`nms` of (N, 5) le90 boxes by their exact IoU."""
    boxes = boxes.double()
    halves = half_extent(boxes)

    def pairs(i: Tensor, j: Tensor) -> Tensor:
        return rotated_iou_of(boxes, boxes, i, j)

    return _greedy(boxes[:, :2], halves, pairs, scores, labels, threshold, sources)


def polygon_nms(
    polygons: Tensor, scores: Tensor, labels: Tensor | None = None, *, threshold: float, sources: Tensor | None = None
) -> Tensor:
    """:func:`nms` of (N, 2V) simple polygons by their exact IoU."""
    polygons = polygons.double()

    def pairs(i: Tensor, j: Tensor) -> Tensor:
        return polygon_iou_of(polygons, polygons, i, j)

    return _greedy(*hulls(polygons), pairs, scores, labels, threshold, sources)


@torch.no_grad()
def _greedy(
    centres: Tensor,
    halves: Tensor,
    pairs: Pairs,
    scores: Tensor,
    labels: Tensor | None,
    threshold: float,
    sources: Tensor | None,
) -> Tensor:
    """Keep the best of the boxes with these hulls (N, 2), (N, 2) and overlaps."""
    order = scores.argsort(descending=True, stable=True)
    named = None if labels is None else (labels[order], labels[order])
    better, worse = near_pairs(centres[order], halves[order], centres[order], halves[order], labels=named, later=True)
    if sources is not None:
        foreign = sources[order[better]] != sources[order[worse]]
        better, worse = better[foreign], worse[foreign]
    over = pairs(order[better], order[worse]) > threshold
    return order[_unbeaten(better[over], worse[over], len(order))]


def _unbeaten(better: Tensor, worse: Tensor, count: int) -> Tensor:
    """(count,) bool: the fixed point, from pairs in which the first suppresses the second if it is kept itself."""
    keep = torch.ones(count, dtype=torch.bool, device=better.device)
    while True:
        survivors = torch.ones_like(keep)
        survivors.index_fill_(0, worse[keep[better]], value=False)  # assigning would copy False to the device
        if torch.equal(survivors, keep):
            return keep
        keep = survivors
