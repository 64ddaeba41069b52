"""Demo datasets with several objects an image: COCO boxes and polygons, DOTA rectangles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from skimage.measure import find_contours
from skimage.segmentation import flood

from visrun.data.demo.scenes import CLASS_OF, GROUPS, Mask, Placed, Studio, save

IMAGES = {"train": 210, "val": 45, "test": 45}
TURNED = IMAGES | {"train": 160}  # a step takes longer: a default run should end within minutes on two CPU cores
SIZE = 160


def coco_boxes(root: Path, studio: Studio) -> None:
    """SPLIT/NUMBER.png and SPLIT.json in COCO's format, a box for each digit."""
    _coco(root, studio, polygons=False)


def coco_polygons(root: Path, studio: Studio) -> None:
    """SPLIT/NUMBER.png and SPLIT.json in COCO's format, polygons and a box for each digit; holes belong to it."""
    _coco(root, studio, polygons=True)


def dota(root: Path, studio: Studio) -> None:
    """SPLIT/images/NUMBER.png and SPLIT/labelTxt/NUMBER.txt: x1 y1 ... x4 y4 class difficult."""
    for split, total in TURNED.items():
        images, texts = root / split / "images", root / split / "labelTxt"
        images.mkdir(parents=True)
        texts.mkdir()
        for number in range(total):
            picture, placed = _scene(studio, split, turn=180)
            save(picture, images / f"{number:03d}.png")
            lines = [_dota_line(digit) for digit in placed]
            (texts / f"{number:03d}.txt").write_text("".join(lines), encoding="utf-8", newline="\n")


def _dota_line(digit: Placed) -> str:
    return " ".join(f"{value:.2f}" for value in digit.corners.ravel()) + f" {CLASS_OF[digit.digit]} 0\n"


def _scene(studio: Studio, split: str, *, turn: float) -> tuple[Any, list[Placed]]:
    count = int(studio.rng.integers(1, 7))
    return studio.picture(split, size=SIZE, count=count, height=(24, 52), turn=turn)


def _coco(root: Path, studio: Studio, *, polygons: bool) -> None:
    categories = [{"id": i, "name": name} for i, name in enumerate(GROUPS, 1)]
    ids = {category["name"]: category["id"] for category in categories}
    for split, total in IMAGES.items():
        (root / split).mkdir()
        images: list[dict[str, Any]] = []
        notes: list[dict[str, Any]] = []
        for number in range(total):
            picture, placed = _scene(studio, split, turn=15)
            name = f"{number:03d}.png"
            save(picture, root / split / name)
            images.append({"id": number + 1, "file_name": name, "width": SIZE, "height": SIZE})
            for digit in placed:
                note = {"id": len(notes) + 1, "image_id": number + 1, "category_id": ids[CLASS_OF[digit.digit]]}
                notes.append(note | {"iscrowd": 0} | _outline(digit.mask, polygons))
        text = json.dumps({"images": images, "annotations": notes, "categories": categories})
        (root / f"{split}.json").write_text(text, encoding="utf-8", newline="\n")


def _outline(mask: Mask, polygons: bool) -> dict[str, Any]:
    """COCO's bbox [x, y, width, height] and area in pixels, and, if asked for, the polygons of the filled mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    box = [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
    if not polygons:
        return {"bbox": box, "area": box[2] * box[3]}
    filled = ~flood(np.pad(mask, 1), (0, 0), connectivity=1)[1:-1, 1:-1]  # all that the outside does not reach
    return {"bbox": box, "area": int(filled.sum()), "segmentation": trace(filled)}


def trace(filled: Mask) -> list[list[float]]:
    """The outlines of a mask without holes as flat lists x1, y1, x2, y2, ...; exactly its pixel centres lie inside."""
    padded = np.pad(filled, 1).astype(np.float64)
    outlines = []
    for contour in find_contours(padded, 0.5):  # closed: (row, column) of pixel centres in the padded mask
        points = contour[:-1, ::-1] - 0.5
        before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
        bends = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
        outlines.append([round(float(value), 1) for value in points[bends].ravel()])
    return outlines
