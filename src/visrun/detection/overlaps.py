"""How much detections and objects overlap: boxes, turned boxes, polygons and masks, pair by pair.

Each function gives an :data:`visrun.detection.matching.Overlap` of two sets. An ignored object counts as COCO's crowds
do where it is a box or a mask: by the share of the detection that lies in it, however large the object is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from visrun.boxes import iou, le90_to_xyxy, overlap_share, polygons_to_xyxy
from visrun.boxes.gaussian import probiou
from visrun.boxes.polygons import polygon_iou_of
from visrun.boxes.rotated import rotated_iou_of
from visrun.detection.matching import Floats, Ints, Overlap
from visrun.detection.rows import Detections, Truth

Exact = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # boxes, boxes, and the numbers of the pairs (K,)


def of_boxes(found: Detections, truth: Truth) -> Overlap:
    """IoU of xyxy."""
    ignored = torch.from_numpy(truth.ignored)

    def overlap(i: Ints, j: Ints) -> Floats:
        a, b = found.boxes[torch.from_numpy(i)], truth.boxes[torch.from_numpy(j)]
        return torch.where(ignored[torch.from_numpy(j)], overlap_share(a, b), iou(a, b)).numpy()

    return overlap


def of_rotated(found: Detections, truth: Truth) -> Overlap:
    """Exact IoU of le90."""
    return _where_hulls_meet(found.boxes, truth.boxes, le90_to_xyxy, rotated_iou_of)


def of_gaussians(found: Detections, truth: Truth) -> Overlap:
    """ProbIoU of le90, which is no IoU: for comparing with tools that count by it."""
    return _where_hulls_meet(found.boxes, truth.boxes, le90_to_xyxy, _probiou_of)


def of_polygons(found: Detections, truth: Truth) -> Overlap:
    """Exact IoU of quads, (N, 8) and (M, 8)."""
    return _where_hulls_meet(found.boxes, truth.boxes, polygons_to_xyxy, polygon_iou_of)


def of_masks(found: Detections, truth: Truth) -> Overlap:
    """IoU of pixels."""
    from faster_coco_eval import mask as coco

    masks, objects = found.masks, truth.masks
    assert masks is not None and objects is not None, "rows with masks"

    def overlap(i: Ints, j: Ints) -> Floats:
        result = np.zeros(len(i))
        image = found.image[i]
        order = np.argsort(image, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(image[order])) + 1) if len(order) else ():
            ours, row = np.unique(i[rows], return_inverse=True)
            theirs, column = np.unique(j[rows], return_inverse=True)
            crowd = truth.ignored[theirs].astype(int).tolist()
            shares = coco.iou([masks[k] for k in ours.tolist()], [objects[k] for k in theirs.tolist()], crowd)
            result[rows] = np.asarray(shares)[row, column]
        return result

    return overlap


def _probiou_of(a: Tensor, b: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return probiou(a.double()[first], b.double()[second])


def _where_hulls_meet(a: Tensor, b: Tensor, hull: Callable[[Tensor], Tensor], exact: Exact) -> Overlap:
    hull_a, hull_b = hull(a), hull(b)

    def overlap(i: Ints, j: Ints) -> Floats:
        first, second = torch.from_numpy(i), torch.from_numpy(j)
        near = (iou(hull_a[first], hull_b[second]) > 0).nonzero()[:, 0]
        result = torch.zeros(len(first), dtype=torch.float64)
        if len(near):
            result[near] = exact(a, b, first[near], second[near]).double()
        return result.numpy()

    return overlap
