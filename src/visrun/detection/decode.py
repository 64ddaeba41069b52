"""From the dense detector's raw numbers to boxes, and to what it reports of a batch.

All in float32 whatever the network ran in. Legend: B images, L locations, K classes, C candidates and D detections an
image has room for, h x w pixels of a mask.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from visrun.boxes import canonical, clip_xyxy, nms, rotated_nms, turn
from visrun.detection.masks import as_bytes, logits_of, within
from visrun.device import full_precision
from visrun.tables.targets import TARGETS

Output = Mapping[str, Tensor]

# Pairs of location and class that suppression looks at, an image's best: some nine locations find each object.
CANDIDATES, CANDIDATES_ROTATED = 1000, 2000
MOST, MOST_ROTATED = TARGETS["boxes"].most, TARGETS["rotated_boxes"].most  # detections of an image
SAME, SAME_ROTATED = 0.6, 0.3  # IoU above which two detections of one class are one object
LEAST = 0.001  # score below which nothing is reported
LONGEST = 3.0  # logarithm of a side by the mean side beyond which it grows no more: 400 times as long as wide
SQUARE = 0.2  # logarithm of a side by the mean side, about 1.5 : 1, from which on the longer side tells the angle
MOST_RAW = 100.0  # of the vectors that tell the angle, so that their squares stay finite
FAINT = 1e-3  # length of a vector that tells an angle, below which it has no slope, which would be endless
MOST_REFINED = 2.0  # sides, logarithms and radians that a second look changes a box by at most
SMALLEST = 1.0  # side in pixels that it can still change by a share of itself
FARTHEST = 7.0  # logarithm of a distance in strides beyond which it grows no more, so that it stays finite


def boxes_of(output: Output) -> Tensor:
    """The box that each location means in the end: (B, L, 4) xyxy, or (B, L, 5) of any angle."""
    return looks(output)[-1]


def looks(output: Output) -> tuple[Tensor, ...]:
    """The boxes (B, L, 4 or 5) after each look; no gradient of a second look reaches the boxes of the first."""
    boxes = coarse_boxes(output)
    return (boxes, refined(boxes.detach(), output["refinements"])) if "refinements" in output else (boxes,)


def coarse_boxes(output: Output) -> Tensor:
    """The box that each location means before any second look, (B, L, 5) where the network gives stretches.

    Raw numbers of upright boxes are logarithms of the distances from the location to the left, top, right and lower
    side, in strides (Tian et al. 2019, arXiv 1904.01355, eq. 4). Those of turned boxes are the centre's offset in
    strides along x and y, and the logarithm of half the mean side in strides, to which :func:`stretched` adds the rest.
    """
    points, raw = output["points"].float(), output["boxes"].float()
    stride = points[..., 2:]
    if "stretches" not in output:
        before, after = (raw.clamp(max=FARTHEST).exp() * stride).split(2, -1)
        return torch.cat([points[..., :2] - before, points[..., :2] + after], -1)
    centre = points[..., :2] + raw[..., :2] * stride
    half = raw[..., 2:].clamp(max=FARTHEST).exp() * stride
    longer, angle = stretched(output["stretches"].float())
    return torch.cat([centre, 2 * half * longer, 2 * half / longer, angle], -1)


def stretched(raw: Tensor) -> tuple[Tensor, Tensor]:
    """How much longer than its mean side a box is, and in which direction: (..., 4) -> (..., 1) and (..., 1).

    Of ``raw``, the first two point to twice the angle and are as long as the logarithm of that factor, which makes the
    box's shape a matrix logarithm (Arsigny et al. 2006): it turns smoothly through every angle, without the jump that
    an angle or sides measured along it have where a box turned by half a turn is the same box. But of what is almost
    square they hardly tell the angle. The other two point to four times the angle, since a square turned by a quarter
    is the same (two frequencies, as in Yu & Da 2023, arXiv 2211.06368). The square of the first vector, as complex
    numbers, points there as well; the sum gives the angle up to quarter turns, and the first vector the rest.

    Returns:
        The factor, from 1 on, and the angle in [-pi/4, 3 pi/4].
    """
    cos, sin, square_cos, square_sin = raw.clamp(-MOST_RAW, MOST_RAW).split(1, -1)
    x = square_cos + (cos.square() - sin.square()) / SQUARE**2
    y = square_sin + 2 * cos * sin / SQUARE**2
    faint = x.square() + y.square() < FAINT**2
    x, y = torch.where(faint, x.detach(), x), torch.where(faint, y.detach(), y)
    twice = torch.atan2(y, x) / 2
    length = cos * twice.cos() + sin * twice.sin()
    angle = twice / 2 + torch.where(length < 0, math.pi / 2, 0.0)
    return length.abs().clamp(max=LONGEST).exp(), angle


def refined(boxes: Tensor, raw: Tensor) -> Tensor:
    """Turned boxes (..., 5), each changed by ``raw`` (..., 5): seen along the box, the centre moves by shares of its
    sides, these grow by powers of e (Ren et al. 2015, arXiv 1506.01497, eq. 2), and it turns by an angle in radians."""
    raw = raw.float().clamp(-MOST_REFINED, MOST_REFINED)
    sides = boxes[..., 2:4].clamp(min=SMALLEST)
    along, across = (raw[..., :2] * sides).split(1, -1)
    centre = boxes[..., :2] + torch.cat(turn(along, across, boxes[..., 4:]), -1)
    return torch.cat([centre, sides * raw[..., 2:4].exp(), boxes[..., 4:] + raw[..., 4:]], -1)


@torch.no_grad()
def report(model: Callable[[Tensor], Any], images: Tensor) -> dict[str, Tensor]:
    """The prediction of a detector for ``images`` (B, 3, H, W): decoded, or as it comes where it is decoded already."""
    output = model(images)
    return detections(output, (images.shape[2], images.shape[3])) if "points" in output else dict(output)


@torch.no_grad()
def propose(model: Callable[[Tensor], Any], images: Tensor) -> dict[str, Tensor]:
    """The candidates of a dense detector for ``images`` (B, 3, H, W)."""
    return candidates(model(images), (images.shape[2], images.shape[3]))


@torch.no_grad()
def detections(output: Output, size: tuple[int, int]) -> dict[str, Tensor]:
    """``boxes`` (B, D, 4) xyxy or (B, D, 5) le90, ``scores`` and ``labels`` (B, D), best first.

    With prototypes also ``masks`` (B, D, h, w) uint8, 255 times a probability. Rows without a detection have score 0
    and label -1.

    Args:
        size: (height, width) of the training image.
    """
    with full_precision(output["boxes"].device):
        every = candidates(output, size)
        boxes, scores, labels = every["boxes"], every["scores"], every["labels"]
        scores = torch.where(_kept(boxes, scores, labels) & (scores >= LEAST), scores, 0.0)
        scores, order = scores.topk(min(MOST_ROTATED if boxes.shape[2] == 5 else MOST, scores.shape[1]), 1)
        found = {
            "boxes": _rows(boxes, order),
            "scores": scores,
            "labels": torch.where(scores > 0, labels.gather(1, order), -1),
        }
        if "prototypes" not in every:
            return found
        return found | {"masks": _masks(_rows(every["coefficients"], order), every["prototypes"], found)}


def candidates(output: Output, size: tuple[int, int]) -> dict[str, Tensor]:
    """What suppression chooses among: ``boxes``, ``scores`` and ``labels`` as in :func:`detections`, of (B, C) pairs.

    With prototypes also these (B, P, h, w) and the ``coefficients`` (B, C, P) of each pair's mask.
    """
    turned = "stretches" in output
    scores, labels, location = _candidates(output["classes"], CANDIDATES_ROTATED if turned else CANDIDATES)
    boxes = _rows(boxes_of(output), location)
    found = {"boxes": canonical(boxes) if turned else clip_xyxy(boxes, size), "scores": scores, "labels": labels}
    if "prototypes" not in output:
        return found
    coefficients = _rows(output["coefficients"], location)
    return found | {"coefficients": coefficients, "prototypes": output["prototypes"]}


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """(B, L, N) and (B, C) of its rows -> (B, C, N)."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))


def _candidates(classes: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best of (B, L, K) logits: score, class and location, (B, C) each."""
    scores, index = classes.float().flatten(1).topk(min(most, classes[0].numel()), 1)
    return scores.sigmoid(), index % classes.shape[2], index // classes.shape[2]


def _kept(boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """(B, C) bool: what suppression keeps, the images of a batch at once, as if they were classes."""
    images = torch.arange(len(labels), device=labels.device)[:, None]
    named = (images * (labels.max() + 1) + labels).flatten()
    suppress, same = (rotated_nms, SAME_ROTATED) if boxes.shape[2] == 5 else (nms, SAME)
    keep = suppress(boxes.flatten(0, 1), scores.flatten(), named, threshold=same)
    return torch.zeros_like(named, dtype=torch.bool).index_fill(0, keep, True).view_as(labels)


def _masks(coefficients: Tensor, prototypes: Tensor, found: dict[str, Tensor]) -> Tensor:
    """(B, D, h, w) uint8 of detections with these coefficients (B, D, P), 0 outside of their boxes."""
    masks = logits_of(coefficients, prototypes).sigmoid()
    there = within(found["boxes"], (masks.shape[2], masks.shape[3])) & (found["scores"] > 0)[..., None, None]
    return as_bytes(torch.where(there, masks, 0.0))
