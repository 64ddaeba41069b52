"""One set of detections for an image that was looked at in overlapping tiles.

What the border of a tile cuts is found in part there and whole in its neighbour: the part goes, and first, since a part
with the better score would suppress the whole. What two tiles see whole they find twice: suppression keeps the better,
and leaves alone what one tile has found, where the network has suppressed already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from visrun.boxes import (
    le90_to_xyxy,
    nms,
    overlap_share,
    polygon_nms,
    polygons_to_xyxy,
    rotated_intersection,
    rotated_nms,
)
from visrun.boxes.numbers import ratio
from visrun.boxes.pairing import near_pairs
from visrun.data.placement import Place
from visrun.detection.matching import Bools, Ints
from visrun.detection.rows import Detections, Seen

EDGE = 4.0  # pixels of the training image from a tile's border within which a detection may have been cut by it
MOST = 4000  # detections of an image that are merged, the best: suppression compares each with each
COVERED = 0.7  # of a cut detection's area in a larger one of another tile, above which it is a part of it
CREDIBLE = 0.5  # of a part's score that the larger one has at least: a network says much around an object in a whisper


@dataclass(frozen=True)
class Rule:
    """How boxes of one form are merged.

    Args:
        suppress: Non-maximum suppression, as :func:`visrun.boxes.nms`.
        above: IoU above which detections of two tiles are one object.
        hull: The axis-aligned boxes (N, 4) around (N, C) boxes.
        share: Of the first boxes' area that lies in the second, pair by pair; None leaves what a border has cut.
    """

    suppress: Callable[..., Tensor]
    above: float
    hull: Callable[[Tensor], Tensor]
    share: Callable[[Tensor, Tensor], Tensor] | None


def _share_of_turned(a: Tensor, b: Tensor) -> Tensor:
    return ratio(rotated_intersection(a, b), (a[:, 2] * a[:, 3]).double())


UPRIGHT = Rule(nms, 0.5, lambda boxes: boxes, overlap_share)
TURNED = Rule(rotated_nms, 0.3, le90_to_xyxy, _share_of_turned)  # 0.3 is DOTA's
QUADS = Rule(polygon_nms, 0.3, polygons_to_xyxy, None)


def merged(found: Detections, seen: Seen, rule: Rule) -> Detections:
    """``found`` with the detections of tiled images merged, class by class; other images stay as they are.

    Args:
        found: Image by image.
        seen: Where ``found`` comes from.
    """

    def place(scene: int) -> Place:
        return seen.scenes[scene].place

    _, first = np.unique(found.scene, return_index=True)
    images, rows_of_split = np.unique(found.image[first], return_counts=True)
    tiled = images[rows_of_split > 1]
    kept = [np.flatnonzero(~np.isin(found.image, tiled))]
    for begin, end in zip(*(np.searchsorted(found.image, tiled, side) for side in ("left", "right")), strict=True):
        rows = begin + np.argsort(-found.scores[begin:end], kind="stable")[:MOST]
        one = found.pick(rows)
        scores, labels = torch.from_numpy(one.scores), torch.from_numpy(one.labels)
        kept.append(rows[once(one.boxes, scores, labels, one.scene, place, rule)])
    return found.pick(np.sort(np.concatenate(kept)))


def once(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    tile: Ints,
    place: Callable[[int], Place],
    rule: Rule,
) -> Ints:
    """The detections of one image that stay, best first: each object once, and as a whole.

    Args:
        boxes: (N, C) in pixels of the file.
        scores: (N,); labels: (N,).
        tile: (N,) the number of the tile that found each.
        place: Number of a tile -> where the file's picture lies in it.
    """
    whole = np.arange(len(boxes))
    if rule.share is not None:
        cut = _cut(rule.hull(boxes), tile, place)
        whole = np.flatnonzero(~_parts(boxes, scores, labels, tile, cut, rule.hull, rule.share))
    left = torch.from_numpy(whole)
    sources = torch.from_numpy(tile[whole])
    keep = rule.suppress(boxes[left], scores[left], labels[left], threshold=rule.above, sources=sources)
    return whole[keep.cpu().numpy()]


def _parts(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    tile: Ints,
    cut: Tensor,
    hull: Callable[[Tensor], Tensor],
    share: Callable[[Tensor, Tensor], Tensor],
) -> Bools:
    """(N,) which detections of one image, of those that a border may have ``cut``, are parts of others."""
    around = hull(boxes)
    centre, half = (around[:, :2] + around[:, 2:]) / 2, (around[:, 2:] - around[:, :2]) / 2
    part, other = near_pairs(centre[cut], half[cut], centre, half, labels=(labels[cut], labels))
    part = torch.from_numpy(np.flatnonzero(cut.numpy()))[part]
    tiles = torch.from_numpy(tile)
    likely = (tiles[part] != tiles[other]) & (scores[other] >= CREDIBLE * scores[part])
    part, other = part[likely], other[likely]
    inside, outside = share(boxes[part], boxes[other]), share(boxes[other], boxes[part])
    gone = np.zeros(len(boxes), bool)
    gone[part[(inside > COVERED) & (inside > outside)].numpy()] = True
    return gone


def _cut(boxes: Tensor, tile: Ints, place: Callable[[int], Place]) -> Tensor:
    """(N,) whether an edge of a box lies on a border of its tile that is no border of the image."""
    numbers, which = np.unique(tile, return_inverse=True)
    places = [place(number) for number in numbers.tolist()]
    if not places:
        return torch.zeros(0, dtype=torch.bool)
    rows = torch.tensor([(*one.borders, EDGE * one.scale) for one in places], dtype=torch.float64)
    rows = rows[torch.from_numpy(which)]
    return ((boxes - rows[:, :4]).abs() <= rows[:, 4:]).any(1)
