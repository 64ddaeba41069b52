"""One image of a dataset, small, with its label drawn on it or said beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from visrun.data.images import IGNORE, load_mask, load_rgb
from visrun.data.objects import Objects, Rle
from visrun.data.objects import drawn as mask_of
from visrun.data.records import Dataset, Record
from visrun.tasks.drawing import overlay, palette

SIDE = 160  # pixels of the longer side
WIDTH = 2  # of a line
MOST_NAMES = 4  # classes that a caption names


def drawn(record: Record, dataset: Dataset, *, kind: str) -> tuple[Image.Image, str]:
    """The picture and its caption.

    Args:
        kind: What the target is, as in :class:`visrun.tables.TaskEntry`.

    Raises:
        DataError: The image or its mask cannot be decoded.
    """
    image = Image.fromarray(load_rgb(record.image, within=(SIDE, SIDE)))
    if kind == "mask":
        mask = load_mask(record.target, ids=dataset.mask_ids)
        indices, areas = np.unique(mask, return_counts=True)
        found = [index for index in indices[np.argsort(areas)].tolist() if index < len(dataset.classes)]
        tinted = overlay(small(image), mask, palette(len(dataset.classes)), ignored=IGNORE)
        return tinted, some([dataset.classes[index] for index in found])
    if isinstance(record.target, Objects):
        size = dataset.sizes.get(record.image, image.size)
        return outlined(small(image), record.target, size), objects_said(record.target, dataset.classes)
    return small(image), said(record.target, dataset)


def small(image: Image.Image) -> Image.Image:
    """``image`` with a longer side of ``SIDE`` pixels; tiny ones grow by whole numbers, so that pixels stay square."""
    longer = max(image.size)
    if longer * 2 <= SIDE:
        times = SIDE // longer
        return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    size = (max(1, round(image.width * SIDE / longer)), max(1, round(image.height * SIDE / longer)))
    return image.resize(size, Image.Resampling.LANCZOS)


def said(target: Any, dataset: Dataset) -> str:
    """A label or values in words: ``cat``, ``cat, dog``, ``weight 3.2``."""
    if dataset.targets:
        return ", ".join(f"{name} {value:.4g}" for name, value in zip(dataset.targets, target, strict=True))
    indices = target if isinstance(target, tuple) else (target,)
    return some([dataset.classes[index] for index in indices]) if indices else "no label"


def objects_said(objects: Objects, classes: tuple[str, ...]) -> str:
    """``2 cat, 1 dog``."""
    labels, counts = np.unique(objects.labels, return_counts=True)
    return some([f"{count} {classes[label]}" for label, count in zip(labels, counts, strict=True)]) or "nothing"


def some(names: list[str]) -> str:
    """The first names, and how many more."""
    rest = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def outlined(image: Image.Image, objects: Objects, size: tuple[int, int]) -> Image.Image:
    """``image`` with the objects of its file drawn: polygons and masks where there are, else boxes.

    Args:
        size: (width, height) of the file, whose pixels the objects are in.
    """
    colors = palette(9)[1:]  # the first is quiet, for backgrounds
    scale = np.array([image.width / size[0], image.height / size[1]])
    draw = ImageDraw.Draw(image)
    for i, (label, corners) in enumerate(zip(objects.labels, objects.corners(), strict=True)):
        color = colors[int(label) % len(colors)]
        outline = objects.outlines[i] if objects.outlines is not None else (corners,)
        if isinstance(outline, Rle):
            mask = mask_of(outline, (image.height, image.width)).astype(np.uint8)
            image.paste(overlay(image, 1 - mask, [color, color], ignored=1))
            continue
        for part in outline:
            points = [tuple(point) for point in (part * scale).tolist()]
            draw.line([*points, points[0]], fill=color, width=WIDTH, joint="curve")
    return image
