"""A split without a dataset: scenes, batches and predictions made from plain lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from visrun.data.objects import Objects
from visrun.data.outlines import Polygon
from visrun.data.placement import Place
from visrun.data.tiles import NO_BORDERS, Borders


def place_of(
    size: tuple[int, int] = (100, 100),
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
    borders: Borders = NO_BORDERS,
) -> Place:
    """A file, or a tile of it, whose pixels times 1 / ``scale`` plus ``shift`` are those of the training image."""
    return Place((*shift, shift[0] + size[1] / scale, shift[1] + size[0] / scale), size, borders)


@dataclass(frozen=True)
class Scene:
    image: int
    place: Any
    truth: Objects


Answer = dict[str, Tensor]  # boxes (n, C), scores (n,), labels (n,) and perhaps masks (n, H / 4, W / 4) of one image


def objects(
    boxes: Any,
    labels: Any,
    ignored: Any = None,
    *,
    quads: Any = None,
    outlines: Sequence[tuple[Polygon, ...]] | None = None,
) -> Objects:
    """Objects from lists; boxes may be None where there are corners."""
    labels = np.asarray(labels, np.int64).reshape(-1)
    corners = None if quads is None else np.asarray(quads, np.float64).reshape(-1, 4, 2)
    if boxes is None:
        assert corners is not None
        boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    flags = np.zeros(len(labels), bool) if ignored is None else np.asarray(ignored, bool)
    shaped = np.asarray(boxes, np.float64).reshape(-1, 4)
    return Objects(labels, shaped, flags, corners, None if outlines is None else tuple(outlines))


def answer(boxes: Any, scores: Any, labels: Any, masks: Tensor | None = None, *, columns: int = 4) -> Answer:
    """One image's detections from lists."""
    found = {
        "boxes": torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, columns),
        "scores": torch.as_tensor(scores, dtype=torch.float32).reshape(-1),
        "labels": torch.as_tensor(labels, dtype=torch.int64).reshape(-1),
    }
    return found if masks is None else {**found, "masks": masks}


def padded(answers: Sequence[Answer]) -> Answer:
    """A batch's prediction: sorted by score, filled with empty rows."""
    room = 1 + max(len(one["scores"]) for one in answers)
    columns: dict[str, list[Tensor]] = {name: [] for name in answers[0]}
    for one in answers:
        order = one["scores"].argsort(descending=True, stable=True)
        for name, values in one.items():
            empty = torch.full((room - len(values), *values.shape[1:]), -1 if name == "labels" else 0)
            columns[name].append(torch.cat([values[order], empty.to(values.dtype)]))
    return {name: torch.stack(parts) for name, parts in columns.items()}


def feed(
    metric: Any,
    truths: Sequence[Objects],
    answers: Sequence[Answer],
    *,
    places: Sequence[Any] | None = None,
    images: Sequence[int] | None = None,
    size: tuple[int, int] = (100, 100),
    batch: int = 3,
) -> Any:
    """``metric`` after it has seen everything, a last filler row in each batch; a row is an image unless told."""
    spots = places or [place_of(size=size)] * len(truths)
    numbers = images or range(len(truths))
    metric.reset([Scene(*parts) for parts in zip(numbers, spots, truths, strict=True)])
    for rows in torch.arange(len(truths)).split(batch):
        index = torch.cat([rows, rows[:1]])
        made = SimpleNamespace(
            images=torch.zeros(len(index), 3, *size), index=index, valid=torch.arange(len(index)) < len(rows)
        )
        metric.update(padded([answers[i] for i in index.tolist()]), made)
    return metric


def rotated_to_quads(boxes: np.ndarray) -> np.ndarray:
    """(n, 5) -> (n, 4, 2), in numpy."""
    x, y, w, h, t = boxes.reshape(-1, 5).T
    u = np.stack([-w, w, w, -w], 1) / 2
    v = np.stack([-h, -h, h, h], 1) / 2
    cos, sin = np.cos(t)[:, None], np.sin(t)[:, None]
    return np.stack([x[:, None] + cos * u - sin * v, y[:, None] + sin * u + cos * v], 2)


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """The functions above."""
    functions: list[Callable[..., Any] | type] = [place_of, Scene, objects, answer, padded, feed, rotated_to_quads]
    return SimpleNamespace(**{function.__name__: function for function in functions})
