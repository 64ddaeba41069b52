"""Labels drawn over their images, by kind of target: what a task is about to learn, for eyes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np
from PIL import Image, ImageDraw

from visrun.anomaly.drawing import outlined
from visrun.data.files import natural
from visrun.data.ids import IGNORE
from visrun.data.images import load_rgb, mask_of
from visrun.data.listing import Record
from visrun.data.objects import Objects
from visrun.data.outlines import Outline, Rle, drawn
from visrun.data.records import Dataset
from visrun.data.verdicts import DEFECT, Verdict
from visrun.figures.drawing import BAD, GOOD, MOST_LINES, PLAIN, Color, Line, caption, classes_over, legend, scaled
from visrun.figures.shapes import colors_of, eroded
from visrun.figures.sheet import LARGEST, SAMPLES

QUIET: Color = (150, 155, 165)  # of what is ignored


def samples(dataset: Dataset, count: int = SAMPLES) -> list[Record]:
    """A few images, the same each time: classes and kinds of defects in turn, one image without objects; those of the
    first split before others."""
    rows = [row for split in dataset.splits.values() for row in sorted(split, key=_mixed)]
    found: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        for what in _shown(row):
            found.setdefault(what, []).append(i)
    blank = [i for i, row in enumerate(rows) if isinstance(row.target, Objects) and not len(row.target)][:1]
    turns = zip_longest(*(found[what] for what in sorted(found, key=natural)), blank)
    order = [i for turn in turns for i in turn if i is not None]
    return [rows[i] for i in list(dict.fromkeys([*order, *range(len(rows))]))[:count]]


def _mixed(record: Record) -> bytes:
    return hashlib.sha256(record.image.name.encode("utf-8", "surrogateescape")).digest()


def _shown(record: Record) -> set[str]:
    """What an image is an example of; of a good one its kind comes before those of defects."""
    if isinstance(record.target, Verdict):
        return {record.target.kind if record.target.defective else ""}
    return set(map(str, _classes(record)))


def _classes(record: Record) -> set[int]:
    if isinstance(record.target, Objects):
        return set(record.target.labels.tolist())
    several = record.target if isinstance(record.target, tuple) else (record.target,)
    return {label for label in several if isinstance(label, int)}


def labelled(record: Record, dataset: Dataset) -> Image.Image:
    """An image with what is labelled in it."""
    image = Image.fromarray(load_rgb(record.image, white=dataset.white))
    return DRAW.get(dataset.kind, _named)(image, record, dataset)


def _named(image: Image.Image, record: Record, dataset: Dataset) -> Image.Image:
    names = [dataset.classes[label] for label in sorted(_classes(record))] or ["no label"]
    return caption(scaled(image, most=LARGEST), [Line(name) for name in names[:MOST_LINES]])


def _valued(image: Image.Image, record: Record, dataset: Dataset) -> Image.Image:
    lines = [Line(f"{name} {value:g}") for name, value in zip(dataset.targets, record.target, strict=True)]
    return caption(scaled(image, most=LARGEST), lines[:MOST_LINES])


def _masked(image: Image.Image, record: Record, dataset: Dataset) -> Image.Image:
    mask = mask_of(record.target, dataset.mask_ids, (image.height, image.width))
    return classes_over(scaled(image, most=LARGEST), mask, dataset.classes, ignored=IGNORE)


def _judged(image: Image.Image, record: Record, dataset: Dataset) -> Image.Image:  # noqa: ARG001
    verdict: Verdict = record.target
    small = defects(scaled(image, most=LARGEST), verdict, size=(image.height, image.width))
    return caption(small, [Line(verdict.kind, color=BAD if verdict.defective else GOOD)])


def defects(image: Image.Image, verdict: Verdict, *, size: tuple[int, int]) -> Image.Image:
    """The file's picture at any scale, its marked defects outlined; ``size`` is (h, w) of the file."""
    return outlined(image, mask_of(verdict, (), size) == DEFECT, BAD) if verdict.marked else image


def _marked(image: Image.Image, record: Record, dataset: Dataset) -> Image.Image:
    objects: Objects = record.target
    colors = colors_of(len(dataset.classes))
    small = scaled(image, most=LARGEST)
    traced(small, objects, [QUIET if i else colors[k] for k, i in _each(objects)], size=(image.height, image.width))
    counts = Counter(k for k, ignored in _each(objects) if not ignored)
    keys = [(f"{dataset.classes[k]} {n}", colors[k]) for k, n in sorted(counts.items())]
    keys += [(f"ignored {objects.num_ignored()}", QUIET)] if objects.ignored.any() else []
    return legend(small, keys or [("no objects", PLAIN)])


def _each(objects: Objects) -> list[tuple[int, bool]]:
    return list(zip(objects.labels.tolist(), objects.ignored.tolist(), strict=True))


def traced(image: Image.Image, objects: Objects, colors: Sequence[Color], *, size: tuple[int, int]) -> None:
    """Draw every object's outline, corners or box, whichever says most, into ``image``.

    Args:
        image: RGB, the file's picture at any scale.
        objects: In pixels of the file.
        colors: Of each object.
        size: (h, w) of the file.
    """
    draw = ImageDraw.Draw(image)
    scale = np.array([image.width / size[1], image.height / size[0]])
    shapes: Sequence[Outline] = objects.outlines or tuple((quad,) for quad in objects.corners())
    for shape, color in zip(shapes, colors, strict=True):
        if isinstance(shape, Rle):
            _edge(image, shape, color, size)
            continue
        for part in shape:
            points = [tuple(point) for point in (part * scale).tolist()]
            draw.line([*points, points[0]], fill=color, width=2, joint="curve")


def _edge(image: Image.Image, runs: Rle, color: Color, size: tuple[int, int]) -> None:
    """Paint the pixels of a mask that have one outside of it beside them."""
    mask = drawn(runs, (image.height, image.width), window=(0, 0, size[1], size[0]))
    image.paste(color, mask=Image.fromarray(mask & ~eroded(mask)))


DRAW: dict[str, Callable[[Image.Image, Record, Dataset], Image.Image]] = {
    "label": _named,
    "value": _valued,
    "mask": _masked,
    "verdict": _judged,
    "boxes": _marked,
    "rotated_boxes": _marked,
    "instances": _marked,
}
