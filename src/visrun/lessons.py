"""What a network is about to learn from, as a picture: its first images, varied as they are, with their labels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from visrun.anomaly import truth as verdicts
from visrun.anomaly.drawing import outlined
from visrun.batch import truth
from visrun.boxes import le90_to_quads
from visrun.data.batches import Batches
from visrun.data.ids import IGNORE
from visrun.data.records import Dataset
from visrun.data.verdicts import CLASSES
from visrun.detection.results import true_masks, whole
from visrun.detection.results import truth as objects_of
from visrun.figures.drawing import BAD, GOOD, MOST_LINES, Line, caption, classes_over, scaled
from visrun.figures.shapes import beside_truth
from visrun.figures.sheet import LARGEST, SAMPLES, sheet
from visrun.gallery import denormalise

FILE = "training_images.png"


def draw(train: Batches, dataset: Dataset, folder: Path) -> Path:
    """Write the sheet of the first images of the first step into ``folder``; batches come as if it had not been."""
    batch = next(train.epoch(0))
    pictures = denormalise(batch.images[:SAMPLES], train.look.mean, train.look.std)
    drawn = [DRAW[dataset.kind](picture, truth(batch, i), dataset) for i, picture in enumerate(pictures)]
    sheet(drawn, folder / FILE)
    return folder / FILE


def _classes(image: Image.Image, target: Tensor, dataset: Dataset) -> Image.Image:
    """A class index, or a row (K,) of shares: several labels, or those of mixed images."""
    shares = {int(target): 1.0} if target.ndim == 0 else {k: p for k, p in enumerate(target.tolist()) if p > 0}
    ranked = islice(sorted(shares.items(), key=lambda pair: -pair[1]), MOST_LINES)
    lines = [Line(dataset.classes[k], share=p if p < 1 else None) for k, p in ranked]
    return caption(image, lines or [Line("no label")])


def _values(image: Image.Image, target: Tensor, dataset: Dataset) -> Image.Image:
    named = zip(dataset.targets, target.tolist(), strict=True)
    return caption(image, [Line(f"{name} {value:.4g}") for name, value in islice(named, MOST_LINES)])


def _mask(image: Image.Image, target: Tensor, dataset: Dataset) -> Image.Image:
    return classes_over(scaled(image, most=LARGEST), target.cpu().numpy(), dataset.classes, ignored=IGNORE)


def _verdict(image: Image.Image, target: Tensor, _: Dataset) -> Image.Image:
    marked = (verdicts.pixels(target) == 1).cpu().numpy()
    bad, made = bool(verdicts.defective(target[None])), bool(verdicts.made(target[None]))
    small = scaled(image, most=LARGEST)
    told = f"{CLASSES[bad]}{', made for training' if made else ''}"
    return caption(outlined(small, marked, BAD) if marked.any() else small, [Line(told, color=BAD if bad else GOOD)])


def _objects(image: Image.Image, target: Any, dataset: Dataset) -> Image.Image:
    rows, layers = target if dataset.kind == "instances" else (target, None)
    boxes, labels = objects_of(rows)
    shapes: dict[str, Any] = {"boxes": boxes} if dataset.kind != "rotated_boxes" else {"quads": le90_to_quads(boxes)}
    shapes |= {} if layers is None else {"masks": whole(255 * true_masks(rows, layers).byte())}
    return beside_truth(image, {"labels": labels, **shapes}, None, classes=dataset.classes)


DRAW: dict[str, Callable[[Image.Image, Any, Dataset], Image.Image]] = {
    "label": _classes,
    "value": _values,
    "mask": _mask,
    "verdict": _verdict,
    "boxes": _objects,
    "rotated_boxes": _objects,
    "instances": _objects,
}
