"""What a detector found in one image: padded for a batch, taken out of it, written down, drawn.

A prediction holds ``boxes`` (B, D, 4) xyxy or (B, D, 5) le90, ``scores`` and ``labels`` (B, D), best first, and for
instances ``masks``; rows without a detection have score 0 and label -1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from visrun.batch import Prediction
from visrun.boxes import nms, points_to_le90, rotated_nms
from visrun.data.objects import BOX, ID, IGNORED, LABEL, LAYERS, MASK_STRIDE, MOST_MASKED, Objects, layered
from visrun.data.placement import Place
from visrun.detection.masks import of_objects
from visrun.detection.restore import HALF, shown
from visrun.detection.tiles import TURNED, UPRIGHT, once

EMPTY = {"labels": -1}  # of rows without a detection; all else is 0 there
RECORDED, DRAWN = 0.05, 0.3  # least score of what is written down and of what is drawn
ONE_PLACE = 0.6  # IoU above which two boxes of a picture are at one place
DIGITS = 2  # of a pixel's coordinates


def padded(found: Sequence[Prediction], most: int) -> Prediction:
    """The best ``most`` detections of each image as one prediction.

    Args:
        found: For each image tensors with the same leading dimension, best first.
    """
    return {
        name: torch.stack([_filled(one[name][:most], most, EMPTY.get(name, 0)) for one in found]) for name in found[0]
    }


def alone(prediction: Prediction, i: int) -> Prediction:
    """Sample ``i`` as a prediction of its own (B = 1), of as many rows as it has detections."""
    there = prediction["labels"][i] >= 0
    return {name: values[i : i + 1, there] for name, values in prediction.items()}


def of_file(prediction: Prediction, i: int, place: Place, restore: Callable[[Tensor, Place], Tensor]) -> Prediction:
    """Sample ``i`` :func:`alone` in the pixels of its file, without boxes that lie in the padding alone."""
    found = alone(prediction, i)
    boxes = restore(found["boxes"][0], place)
    found["boxes"] = boxes.unsqueeze(0)
    there = shown(boxes, place.size)
    return {name: values[:, there] for name, values in found.items()}


def best(prediction: Prediction, i: int, least: float) -> Prediction:
    """Sample ``i``'s detections with at least this score, without the batch's dimension."""
    enough = prediction["scores"][i] >= least
    return {name: values[i, enough] for name, values in prediction.items()}


def drawn(prediction: Prediction, i: int, *, least: float = DRAWN) -> Prediction:
    """Sample ``i``'s detections that a picture shows: those with at least this score, and of several at
    one place the best, whatever their classes.

    A metric asks each class by itself and so wants both guesses where a network wavers; a reader wants one.
    """
    likely = best(prediction, i, least)
    suppress = rotated_nms if likely["boxes"].shape[1] == 5 else nms
    keep = suppress(likely["boxes"], likely["scores"], threshold=ONE_PLACE)
    return {name: values[keep] for name, values in likely.items()}


def merged(parts: Sequence[Prediction], places: Sequence[Place]) -> Prediction:
    """Predictions of the tiles of one image (B = 1), in its pixels, as one, best first; as the metrics merge them (in
    `visrun.detection.tiles.merged`).

    Args:
        parts: One for each tile.
        places: Where the image lies in each of them.
    """
    every = {name: torch.cat([part[name] for part in parts], 1) for name in parts[0]}
    tile = np.repeat(np.arange(len(parts)), [part["scores"].shape[1] for part in parts])
    boxes, scores, labels = (every[name][0].cpu() for name in ("boxes", "scores", "labels"))
    rule = TURNED if boxes.shape[1] == 5 else UPRIGHT
    keep = once(boxes.double(), scores, labels, tile, places.__getitem__, rule)
    return {name: values[:, torch.from_numpy(keep).to(values.device)] for name, values in every.items()}


def recorded(
    prediction: Prediction, i: int, classes: Sequence[str], *, least: float = RECORDED
) -> list[dict[str, Any]]:
    """``label``, ``score`` and ``box`` [left, top, right, bottom] of each detection, for JSON.

    A turned box is [centre x, centre y, width, height, angle in degrees, clockwise as drawn].
    """
    found = best(prediction, i, least)
    boxes = found["boxes"].double()
    if boxes.shape[1] == 5:
        boxes = torch.cat([boxes[:, :4], boxes[:, 4:].rad2deg()], 1)
    rows = zip(found["labels"].tolist(), found["scores"].tolist(), boxes.tolist(), strict=True)
    return [
        {"label": classes[label], "score": round(score, 4), "box": [round(value, DIGITS) for value in box]}
        for label, score, box in rows
    ]


def whole(masks: Tensor) -> Tensor:
    """(n, h, w) uint8 at a quarter of the training image's size -> (n, 4 h, 4 w) bool."""
    if not len(masks):
        return torch.zeros(0, *(MASK_STRIDE * side for side in masks.shape[1:]), dtype=torch.bool)
    return F.interpolate(masks[None].float(), scale_factor=MASK_STRIDE, mode="bilinear")[0] >= HALF


def truth(target: Any) -> tuple[Tensor, Tensor]:
    """Boxes (n, 4 or 5) and labels (n,) of a target's (M, C) objects, without the ignored ones."""
    rows = _real(target)
    return rows[:, BOX], rows[:, LABEL].long()


def true_masks(target: Any, layers: Tensor) -> Tensor:
    """(n, h, w) bool of the same objects, from the layers (L, h, w) with their numbers."""
    return of_objects(layers.cpu()[None], _real(target)[None, :, ID])[0]


def target_of(objects: Objects, size: tuple[int, int], *, kind: str, most: int) -> Any:
    """Labelled objects as a batch carries them, but in pixels of the file: rows (M, C), and of instances also layers.

    Args:
        size: (height, width) of the file.
        kind: Of `visrun.tables.TARGETS`, one of objects.
        most: Longer side of the layers (L, h, w), which show the whole file, at most.
    """
    turned = kind == "rotated_boxes"
    rows = _rows(objects, points_to_le90(torch.from_numpy(objects.corners())).numpy() if turned else objects.boxes)
    if kind != "instances":
        return rows
    scale = min(1.0, most / max(size))
    height, width = (max(1, round(side * scale)) for side in size)
    return rows, torch.from_numpy(layered(objects, (height, width), window=(0, 0, size[1], size[0])))


def target_in(objects: Objects, place: Place, size: tuple[int, int]) -> Any:
    """Instances of a file as a batch carries them, but with layers (L, H, W) of all pixels, for pictures.

    Args:
        place: Where the file lies in the training image, of ``size`` (H, W).
    """
    left, top, right, bottom = place.box
    zoom = np.array([right - left, bottom - top]) / place.size[::-1]
    ends = (np.array([[0, 0], size[::-1]]) - (left, top)) / zoom
    (x, y), (x_end, y_end) = ends.clip(0, place.size[::-1]).round().astype(int).tolist()
    there = objects.within((x, y, x_end, y_end))
    corners = (there.boxes.reshape(-1, 2, 2).clip((x, y), (x_end, y_end)) * zoom + (left, top)).reshape(-1, 4)
    spots = np.array([[x, y], [x_end, y_end]]) * zoom + (left, top)
    (begin, above), (end, below) = spots.clip(0, size[::-1]).round().astype(int).tolist()
    layers = np.zeros((LAYERS, *size), np.uint8)
    layers[:, above:below, begin:end] = layered(there, (below - above, end - begin), window=(x, y, x_end, y_end))
    return _rows(there, corners), torch.from_numpy(layers)


def _rows(objects: Objects, shapes: NDArray[np.float64]) -> Tensor:
    """(M, C) a row for each of the objects, whose shapes are (M, 4 or 5)."""
    number = np.arange(1, len(objects) + 1)
    number[MOST_MASKED:] = 0
    return torch.from_numpy(np.column_stack([objects.labels, objects.ignored, number, shapes])).float()


def _real(target: Any) -> Tensor:
    rows = torch.as_tensor(target).cpu().float()
    return rows[(rows[:, LABEL] >= 0) & (rows[:, IGNORED] <= 0)]


def _filled(values: Tensor, most: int, empty: int) -> Tensor:
    rest = values.new_full((most - len(values), *values.shape[1:]), empty)
    return torch.cat([values, rest])
