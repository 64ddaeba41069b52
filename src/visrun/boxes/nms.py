"""Greedy non-maximum suppression: on a CPU torchvision's of upright boxes, all else without a loop over boxes.

Greedy suppression keeps a box unless a kept, better box of its class overlaps it. That set is the only fixed point of
"keep what no kept, better box overlaps": the best box is settled at the start and every round settles at least the
next one; in practice 5 to 6 rounds settle all. Few overlaps are needed for it: most pairs are too far apart or of too
different sizes, and of the others most have a box that a third one suppresses.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from visrun.boxes.aligned import box_area, iou
from visrun.boxes.formats import half_extent, xyxy_to_cxcywh
from visrun.boxes.pairing import near_pairs
from visrun.boxes.polygons import hulls, polygon_area, polygon_iou_of
from visrun.boxes.rotated import rotated_iou_of

Pairs = Callable[[Tensor, Tensor], Tensor]  # indices (K,) and (K,) -> of each pair its IoU, or whether that is too much

# Pairs that are looked at in one go; more are thinned out first. On a GPU launches cost more than looking.
AT_ONCE, AT_ONCE_ON_GPU = 1 << 12, 1 << 22
LIBRARIES = ("_C", "_C_stable")  # names of torchvision's library of operators, by its version
LOOPED = 12  # boxes a class from which on a loop over the classes is quicker on a CPU
WORTH = 0.95  # share of the pairs up to which one more thinning has to leave


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
    if boxes.is_cpu and sources is None:  # a GPU would be waited for in each class
        counts = [len(boxes)] if labels is None else labels.unique(return_counts=True)[1].tolist()
        if labels is None or len(boxes) >= LOOPED * len(counts):
            return _one_by_one(boxes, scores, labels, counts, threshold)
    centre, size = xyxy_to_cxcywh(boxes).split(2, -1)
    around = centre, size / 2, box_area(boxes)
    return _greedy(around, lambda i, j: iou(boxes[i], boxes[j]), scores, labels, threshold, sources)


def rotated_nms(
    boxes: Tensor, scores: Tensor, labels: Tensor | None = None, *, threshold: float, sources: Tensor | None = None
) -> Tensor:
    """:func:`nms` of (N, 5) le90 boxes by their exact IoU."""
    boxes = boxes.double()
    around = boxes[:, :2], half_extent(boxes), boxes[:, 2:4].clamp(min=0).prod(-1)

    def pairs(i: Tensor, j: Tensor) -> Tensor:
        return rotated_iou_of(boxes, boxes, i, j)

    return _greedy(around, pairs, scores, labels, threshold, sources)


def polygon_nms(
    polygons: Tensor, scores: Tensor, labels: Tensor | None = None, *, threshold: float, sources: Tensor | None = None
) -> Tensor:
    """:func:`nms` of (N, 2V) simple polygons by their exact IoU."""
    polygons = polygons.double()

    def pairs(i: Tensor, j: Tensor) -> Tensor:
        return polygon_iou_of(polygons, polygons, i, j)

    return _greedy((*hulls(polygons), polygon_area(polygons)), pairs, scores, labels, threshold, sources)


@torch.no_grad()
def _one_by_one(
    boxes: Tensor, scores: Tensor, labels: Tensor | None, counts: Sequence[int], threshold: float
) -> Tensor:
    """:func:`nms` by a loop over the classes, of which each has so many boxes, and over the boxes of each."""
    order = scores.argsort(descending=True, stable=True)
    rows = order if labels is None else order[labels[order].argsort(stable=True)]
    classes = zip(*(values.split(counts) for values in (rows, boxes[rows], scores[rows].double())), strict=True)
    suppress = _loop()
    found = [row[suppress(box, score, threshold)] if len(row) > 1 else row for row, box, score in classes]
    kept = torch.zeros(len(order), dtype=torch.bool).index_fill(0, torch.cat([order[:0], *found]), True)
    return order[kept[order]]


@cache
def _loop() -> Any:
    """torchvision's operator: boxes (N, 4) and scores (N,) of one class and type, and an IoU -> the indices kept.

    Its library by itself, where that is found: the package has torch._dynamo and sympy with it, a second or two.
    """
    package = find_spec("torchvision")
    folder = package.submodule_search_locations if package else None
    libraries = (PathFinder.find_spec(f"torchvision.{name}", folder) for name in LIBRARIES)
    library = next((found.origin for found in libraries if found and found.origin), None)
    if library is None:
        importlib.import_module("torchvision")
    else:
        torch.ops.load_library(library)
    return torch.ops.torchvision.nms


@torch.no_grad()
def _greedy(
    around: tuple[Tensor, Tensor, Tensor],
    pairs: Pairs,
    scores: Tensor,
    labels: Tensor | None,
    threshold: float,
    sources: Tensor | None,
) -> Tensor:
    """Keep the best of the boxes whose hulls have these centres and half sizes, (N, 2) each, and that have these areas
    (N,) and overlaps."""
    order = scores.argsort(descending=True, stable=True)
    centres, halves, areas = (values[order] for values in around)
    named = None if labels is None else (labels[order], labels[order])
    likely = threshold, areas, areas
    better, worse = near_pairs(centres, halves, centres, halves, labels=named, later=True, above=likely)
    if sources is not None:
        foreign = sources[order[better]] != sources[order[worse]]
        better, worse = better[foreign], worse[foreign]

    def over(i: Tensor, j: Tensor) -> Tensor:
        return pairs(order[i], order[j]) > threshold

    return order[_kept(better, worse, over, len(order))]


def _kept(better: Tensor, worse: Tensor, over: Pairs, count: int) -> Tensor:
    """(count,) bool: which boxes stay. Of a pair the first suppresses the second if it is kept, and ``over`` says so.

    While there are many pairs, boxes that no other can suppress any more are settled, and so are those that they
    suppress; pairs with either need no look.
    """
    kept, unsettled = (torch.full((count,), value, device=better.device) for value in (False, True))
    most, before = (AT_ONCE_ON_GPU if better.is_cuda else AT_ONCE), math.inf
    while most < len(better) < WORTH * before:
        before = len(better)
        leading = unsettled.index_fill(0, worse, False)
        led = leading[better]
        first, second = better[led], worse[led]
        kept |= leading
        unsettled = (unsettled & ~leading).index_fill(0, second[over(first, second)], False)
        left = unsettled[better] & unsettled[worse]
        better, worse = better[left], worse[left]
    suppresses = over(better, worse)
    return kept | (unsettled & _unbeaten(better[suppresses], worse[suppresses], count))


def _unbeaten(better: Tensor, worse: Tensor, count: int) -> Tensor:
    """(count,) bool: the fixed point, from pairs in which the first suppresses the second if it is kept itself."""
    keep = torch.ones(count, dtype=torch.bool, device=better.device)
    while True:
        survivors = torch.ones_like(keep)
        survivors.index_fill_(0, worse[keep[better]], value=False)  # assigning would copy False to the device
        if torch.equal(survivors, keep):
            return keep
        keep = survivors
