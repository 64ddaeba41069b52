"""One set of detections for an image that was looked at in overlapping tiles.

What two tiles see whole they find twice: suppression keeps the better. What the border of a tile cuts is found in part
there and whole in its neighbour, too different for suppression to see: the part goes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from visrun.boxes.pairing import near_pairs
from visrun.data.placement import Place
from visrun.detection.matching import Bools, Ints
from visrun.detection.rows import Found, Seen

Suppress = Callable[..., Tensor]  # as visrun.boxes.nms
Share = Callable[[Tensor, Tensor], Tensor]  # of the first boxes' area that lies in the second, pair by pair

SAME, SAME_ROTATED = 0.5, 0.3  # IoU above which detections of two tiles are one object; the latter is DOTA's
EDGE = 4.0  # pixels of the training image from a tile's border within which a detection may have been cut by it
MOST = 4000  # detections of an image that are merged, the best: suppression compares each with each
COVERED = 0.7  # of a cut detection's area in a larger one of another tile, above which it is a part of it


def merged(
    found: Found,
    seen: Seen,
    suppress: Suppress,
    *,
    above: float,
    hull: Callable[[Tensor], Tensor],
    share: Share | None = None,
) -> Found:
    """``found`` with the detections of tiled images merged, class by class; other images stay as they are.

    Args:
        found: Image by image.
        seen: Where ``found`` comes from.
        suppress: Non-maximum suppression of such boxes, at an IoU of ``above``.
        hull: The axis-aligned boxes (N, 4) around (N, C) boxes.
        share: Finds the parts that a border has cut; None leaves them.
    """
    _, first = np.unique(found.scene, return_index=True)
    images, rows_of_split = np.unique(found.image[first], return_counts=True)
    tiled = images[rows_of_split > 1]
    kept = [np.flatnonzero(~np.isin(found.image, tiled))]
    for begin, end in zip(*(np.searchsorted(found.image, tiled, side) for side in ("left", "right")), strict=True):
        rows = begin + np.argsort(-found.scores[begin:end], kind="stable")[:MOST]
        one = found.pick(rows)
        scores, labels = torch.from_numpy(one.scores), torch.from_numpy(one.labels)
        keep = suppress(one.boxes, scores, labels, threshold=above).numpy()
        if share is not None:
            keep = keep[~_parts(one.pick(keep), seen, hull, share)]
        kept.append(rows[keep])
    return found.pick(np.sort(np.concatenate(kept)))


def _parts(found: Found, seen: Seen, hull: Callable[[Tensor], Tensor], share: Share) -> Bools:
    """(N,) which detections of one image are cut parts of others."""
    boxes = hull(found.boxes)
    cut = _cut(boxes, found.scene, seen)
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    labels = torch.from_numpy(found.labels)
    part, whole = near_pairs(centre[cut], half[cut], centre, half, labels=(labels[cut], labels))
    part = torch.from_numpy(np.flatnonzero(cut.numpy()))[part]
    scene = torch.from_numpy(found.scene)
    inside, around = share(found.boxes[part], found.boxes[whole]), share(found.boxes[whole], found.boxes[part])
    gone = np.zeros(len(found), bool)
    gone[part[(scene[part] != scene[whole]) & (inside > COVERED) & (inside > around)].numpy()] = True
    return gone


def _cut(boxes: Tensor, scenes: Ints, seen: Seen) -> Tensor:
    """(N,) whether an edge of a box lies on a border of its tile that is no border of the image."""
    numbers, which = np.unique(scenes, return_inverse=True)
    places = [seen.scenes[number].place for number in numbers.tolist()]
    inner = torch.stack([_inner_borders(place, seen.size) for place in places])[torch.from_numpy(which)]
    reach = torch.tensor([EDGE * place.scale for place in places], dtype=torch.float64)[torch.from_numpy(which)]
    return ((boxes - inner).abs() <= reach[:, None]).any(1)


def _inner_borders(place: Place, size: tuple[int, int]) -> Tensor:
    """(4,) float64 left, top, right and bottom border of a tile in its file; infinite where the image ends too."""
    height, width = size
    corners = torch.tensor([[0.0, 0.0], [width, height]], dtype=torch.float64)
    (left, top), (right, bottom) = place.points(corners).tolist()
    ends = (place.size[1], place.size[0])
    borders = [left if left > 0 else np.inf, top if top > 0 else np.inf]
    borders += [right if right < ends[0] else np.inf, bottom if bottom < ends[1] else np.inf]
    return torch.tensor(borders, dtype=torch.float64)
