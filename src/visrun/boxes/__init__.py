"""Geometry of boxes: axis-aligned, rotated, and polygons. Pure tensor functions, on any device, also of 0 boxes.

Formats, all in pixels with x to the right and y down; columns are the last dimension:
    xyxy     (..., 4)  left, top, right, bottom
    cxcywh   (..., 4)  centre, width, height
    le90     (..., 5)  centre, width, height, angle in radians, clockwise as drawn. Canonical when width >= height and
                       -pi/2 <= angle < pi/2 (``canonical`` makes it so); only ``canonical`` cares, all else takes any.
    polygons (..., 2V) V corners x, y in order around, either way; quads have 8 numbers

Pairwise functions take leading dimensions that broadcast: ``iou(a, b)`` pairs boxes one to one, ``iou(a[:, None], b)``
gives (N, M).
Half precision is cast to float32; exact areas are computed in float64 and returned in at least float32.
"""

from visrun.boxes.aligned import box_area, ciou, clip_xyxy, diou, giou, iou, overlap_share
from visrun.boxes.formats import (
    canonical,
    le90_to_quads,
    le90_to_xyxy,
    polygons_to_xyxy,
    turn,
    xyxy_to_cxcywh,
    xyxy_to_le90,
)
from visrun.boxes.gaussian import kl_divergence, probiou
from visrun.boxes.nms import nms, polygon_nms, rotated_nms
from visrun.boxes.polygons import polygon_iou
from visrun.boxes.rectangles import masks_to_le90, points_to_le90, quads_to_le90
from visrun.boxes.rotated import rotated_intersection, rotated_iou

__all__ = [
    "box_area",
    "canonical",
    "ciou",
    "clip_xyxy",
    "diou",
    "giou",
    "iou",
    "kl_divergence",
    "le90_to_quads",
    "le90_to_xyxy",
    "masks_to_le90",
    "nms",
    "overlap_share",
    "points_to_le90",
    "polygon_iou",
    "polygon_nms",
    "polygons_to_xyxy",
    "probiou",
    "quads_to_le90",
    "rotated_intersection",
    "rotated_iou",
    "rotated_nms",
    "turn",
    "xyxy_to_cxcywh",
    "xyxy_to_le90",
]
