"""One image of a dataset, small, with its label drawn on it or said beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from visrun.data.ids import IGNORE
from visrun.data.images import load_rgb, mask_of
from visrun.data.listing import Record
from visrun.data.objects import Objects
from visrun.data.opening import header
from visrun.data.records import Dataset
from visrun.data.verdicts import Verdict
from visrun.figures.drawing import class_colors, overlay
from visrun.figures.shapes import colors_of
from visrun.survey.pictures import defects, traced
from visrun.text import some

SIDE = 160  # pixels of the longer side
MOST_NAMES = 4  # classes that a caption names


def drawn(record: Record, dataset: Dataset) -> tuple[Image.Image, str]:
    """The picture and its caption.

    Raises:
        DataError: The image or its mask cannot be decoded.
    """
    width, height = dataset.sizes.get(record.image) or header(record.image)
    image = small(record.image, (width, height), white=dataset.white)
    if dataset.kind == "mask":
        mask = mask_of(record.target, dataset.mask_ids, (height, width))
        return overlay(image, mask, class_colors(dataset.classes), ignored=IGNORE), areas_said(mask, dataset.classes)
    if isinstance(record.target, Objects):
        colors = colors_of(len(dataset.classes))
        traced(image, record.target, [colors[label] for label in record.target.labels], size=(height, width))
        return image, objects_said(record.target, dataset.classes)
    if isinstance(record.target, Verdict):
        return defects(image, record.target, size=(height, width)), record.target.kind
    return image, said(record.target, dataset)


def small(path: Path, size: tuple[int, int], *, white: int | None) -> Image.Image:
    """The image of ``size`` (width, height) with a longer side of ``SIDE`` pixels.

    Tiny ones grow by whole numbers, so that pixels stay square. ``white`` is as `load_rgb` takes it.
    """
    width, height = size
    longer = max(size)
    if longer * 2 <= SIDE:
        times = SIDE // longer
        pixels = load_rgb(path, white=white)
        return Image.fromarray(pixels).resize((width * times, height * times), Image.Resampling.NEAREST)
    shown = (max(1, round(height * SIDE / longer)), max(1, round(width * SIDE / longer)))
    return Image.fromarray(load_rgb(path, size=shown, white=white))


def said(target: Any, dataset: Dataset) -> str:
    """A label or values in words: ``cat``, ``cat, dog``, ``weight 3.2``."""
    if dataset.targets:
        return ", ".join(f"{name} {value:.4g}" for name, value in zip(dataset.targets, target, strict=True))
    indices = target if isinstance(target, tuple) else (target,)
    return some([dataset.classes[index] for index in indices], MOST_NAMES) if indices else "no label"


def areas_said(mask: Any, classes: tuple[str, ...]) -> str:
    """The classes of a mask, the smallest area first: the largest is mostly background."""
    indices, areas = np.unique(mask, return_counts=True)
    return some([classes[index] for index in indices[np.argsort(areas)].tolist() if index < len(classes)], MOST_NAMES)


def objects_said(objects: Objects, classes: tuple[str, ...]) -> str:
    """``2 cat, 1 dog``."""
    labels, counts = np.unique(objects.labels, return_counts=True)
    every = (f"{count} {classes[label]}" for label, count in zip(labels, counts, strict=True))
    return some(every, MOST_NAMES) or "no objects"
