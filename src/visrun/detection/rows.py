"""Detections and labelled objects of a split as flat columns, in the files' pixels.

Legend: N detections or M objects of all images, C numbers a box, D rows an image has room for, B images in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from visrun.batch import Batch
from visrun.data.placement import Place, Scene
from visrun.detection.matching import Bools, Floats, Ints
from visrun.detection.restore import restore_masks, shown
from visrun.detection.runs import Runs, areas, runs_of

Restore = Callable[[Tensor, Place], Tensor]


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections.

    Args:
        scene: (N,) the row of the split that each was found in; image: (N,) the image that this row shows.
        labels: (N,) classes.
        scores: (N,).
        boxes: (N, C) float64 on the CPU.
        masks: N masks, where there are masks.
    """

    scene: Ints
    image: Ints
    labels: Ints
    scores: Floats
    boxes: Tensor
    masks: list[Runs] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, rows: Ints) -> Detections:
        """Those with these numbers, in this order."""
        masks = None if self.masks is None else [self.masks[i] for i in rows.tolist()]
        boxes = self.boxes[torch.from_numpy(rows)]
        return Detections(self.scene[rows], self.image[rows], self.labels[rows], self.scores[rows], boxes, masks)


@dataclass(frozen=True, eq=False)
class Truth:
    """Labelled objects.

    Args:
        image: (M,); labels: (M,) classes; ignored: (M,).
        boxes: (M, C) float64 on the CPU.
        masks: M masks, where there are masks.
        sizes: (height, width) of every image that was looked at, also of those without objects.
    """

    image: Ints
    labels: Ints
    ignored: Bools
    boxes: Tensor
    masks: list[Runs] | None
    sizes: dict[int, tuple[int, int]]

    def __len__(self) -> int:
        return len(self.labels)


class Seen:
    """What a model said of the rows of a split; boxes stay on their device until they are asked for.

    Args:
        scenes: Of all rows of the split.
        masks: Whether predictions and truth have masks. They are brought to the CPU at once and kept as runs.
    """

    def __init__(self, scenes: Sequence[Scene] = (), *, masks: bool = False) -> None:
        self.scenes, self.with_masks = scenes, masks
        self._batches: list[tuple[Tensor, ...]] = []
        self._masks: list[Runs] = []

    def add(self, prediction: dict[str, Tensor], batch: Batch) -> None:
        """Keep ``boxes`` (B, D, C), ``scores`` and ``labels`` (B, D), and ``masks`` (B, D, H / 4, W / 4) if wanted.

        Rows with score 0 or label -1 are empty, images that are not ``batch.valid`` are not counted.
        """
        boxes, scores, labels = (prediction[name].detach() for name in ("boxes", "scores", "labels"))
        self._batches.append((boxes, scores, labels, batch.index, batch.valid))
        if self.with_masks:
            used = _used(scores, labels, batch.valid)
            for i, scene in enumerate(batch.index.tolist()):
                self._masks += restore_masks(prediction["masks"][i][used[i]], self.scenes[scene].place)

    def seen(self) -> list[int]:
        """The rows of the split that were looked at, ascending."""
        rows = [index[valid] for *_, index, valid in self._batches]
        return sorted(set(torch.cat(rows).tolist())) if rows else []

    def found(self, restore: Restore, *, columns: int) -> Detections:
        """The detections that the files show something of, image by image and each image's as the model gave them.

        Args:
            restore: Brings boxes (n, C) of one row back to its file, in whose pixels the detections are then.
            columns: C.
        """
        boxes, scores, labels, scene = self._flat(columns)
        image = np.array([self.scenes[row].image for row in scene.tolist()], np.int64)
        found = Detections(scene, image, labels, scores, boxes, self._masks if self.with_masks else None)
        there = areas(self._masks) > 0 if self.with_masks else np.ones(len(scene), bool)
        for row, begin, end in _spans(scene):
            place = self.scenes[row].place
            boxes[begin:end] = restore(boxes[begin:end], place).double()
            there[begin:end] &= shown(boxes[begin:end], place.size).numpy()
        order = np.argsort(image, kind="stable")
        return found.pick(order[there[order]])

    def _flat(self, columns: int) -> tuple[Tensor, Floats, Ints, Ints]:
        """Boxes (N, C), scores, labels and rows of the split, (N,) each, in the order they came in."""
        whole, real = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64)
        parts = [(real.view(0, columns), real, whole, whole)]
        for batch in self._batches:
            boxes, scores, labels, index, valid = (tensor.cpu() for tensor in batch)
            used = _used(scores, labels, valid)
            scene = index[:, None].expand_as(labels)
            parts.append((boxes[used].double(), scores[used].double(), labels[used].long(), scene[used].long()))
        boxes, scores, labels, scene = (torch.cat(column) for column in zip(*parts, strict=True))
        return boxes, scores.numpy(), labels.numpy(), scene.numpy()

    def truth(self, boxes_of: Callable[[Any], Any], *, columns: int) -> Truth:
        """The objects of every image that was looked at, also those that nothing found.

        Args:
            boxes_of: (n, C) boxes of an image's ``Objects``.
            columns: C.
        """
        firsts = {self.scenes[row].image: self.scenes[row] for row in reversed(self.seen())}
        numbers = sorted(firsts)
        objects = [firsts[number].truth for number in numbers]
        sizes = {number: firsts[number].place.size for number in numbers}
        boxes = np.concatenate([np.zeros((0, columns)), *(np.reshape(boxes_of(one), (-1, columns)) for one in objects)])
        masks: list[Runs] | None = None
        if self.with_masks:
            assert all(one.outlines is not None for one in objects), "labels of instances have outlines"
            pairs = zip(objects, sizes.values(), strict=True)
            masks = [runs_of(outline, size) for one, size in pairs for outline in one.outlines]
        return Truth(
            np.repeat(np.array(numbers, np.int64), [len(one) for one in objects]),
            np.concatenate([np.zeros(0, np.int64), *(one.labels for one in objects)]),
            np.concatenate([np.zeros(0, bool), *(one.ignored for one in objects)]),
            torch.from_numpy(boxes),
            masks,
            sizes,
        )


def ranked(found: Detections) -> Detections:
    """Best score first; equal scores keep their order."""
    return found.pick(np.argsort(-found.scores, kind="stable"))


def best_of(found: Detections, group: Ints, most: int) -> Detections:
    """The ``most`` best of each group (N,), the order kept."""
    order = np.lexsort((-found.scores, group))
    _, begin = np.unique(group[order], return_index=True)
    sizes = np.diff(np.append(begin, len(order)))
    rank = np.arange(len(order)) - np.repeat(begin, sizes)
    return found.pick(np.sort(order[rank < most]))


def of_one_class(found: Detections, truth: Truth) -> tuple[Ints, Ints]:
    """A number for each pair of image and class, (N,) for detections and (M,) for objects."""
    classes = 1 + max([int(part.max()) for part in (found.labels, truth.labels) if len(part)], default=0)
    return found.image * classes + found.labels, truth.image * classes + truth.labels


def _used(scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    return (scores > 0) & (labels >= 0) & valid[:, None]


def _spans(values: Ints) -> list[tuple[int, int, int]]:
    """Each run of equal values: the value, where it begins and where it ends."""
    begin = np.flatnonzero(np.diff(values, prepend=-1))
    ends = np.append(begin, len(values))[1:]
    return [(int(values[first]), int(first), int(last)) for first, last in zip(begin, ends, strict=True)]
