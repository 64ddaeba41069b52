"""Semantic segmentation: one class a pixel.

>>> task = Segmentation(classes=["background", "road"], loss=ce_dice)
>>> task.predict(model, images)["mask"]  # (B, H, W)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from visrun.data.ids import IGNORE
from visrun.errors import ConfigError
from visrun.figures.drawing import PANEL, class_colors, legend, overlay, scaled, side_by_side
from visrun.metrics import SegmentationMetric
from visrun.tasks.base import Batch, Forward, Loss, Place, Prediction, named, only, within

AUX_WEIGHT = 0.5  # of an auxiliary head's loss, as in torchvision's training of these models (references/segmentation)


class Segmentation:
    """Targets are class indices (B, H, W) int64, 255 = ignored.

    A model gives logits (B, K, H, W), or a dict of them: ``out`` and, while training, ``aux`` (arXiv 1612.01105).

    Args:
        classes: Names of the K classes.
        ids: The id of each class in the dataset's masks, which those that are written have as well; None = 0, 1, ...
        loss: ``(logits (B, K, H, W), target) -> scalar or named scalars``; None for a task that only predicts.
    """

    def __init__(self, *, classes: Sequence[str], ids: Sequence[int] | None = None, loss: Loss | None = None) -> None:
        self.classes, self.loss = tuple(classes), loss
        self.ids = tuple(range(len(self.classes)) if ids is None else ids)
        self.num_outputs = len(self.classes)

    def losses(self, model: Forward, batch: Batch) -> dict[str, Tensor]:
        """The loss's parts and, where the model has an auxiliary head, ``aux``: half of their sum there."""
        output = model(batch.images)
        parts = named(self.loss, _logits(output), batch.target)
        if isinstance(output, Tensor) or "aux" not in output:
            return parts
        aux = torch.stack(list(named(self.loss, output["aux"], batch.target).values())).sum()
        return {**parts, "aux": AUX_WEIGHT * aux}

    def predict(self, model: Forward, images: Tensor) -> Prediction:
        """``mask`` (B, H, W) uint8: the likeliest class of every pixel."""
        with torch.no_grad():
            return {"mask": _logits(model(images)).argmax(1).to(torch.uint8)}

    def restore(self, prediction: Prediction, i: int, place: Place) -> Prediction:
        """Sample ``i`` alone, its mask in the pixels of the file; 255 where the model saw nothing of it."""
        alone = only(prediction, i)
        return {**alone, "mask": place.back(alone["mask"][0]).unsqueeze(0)}

    def metric(self) -> SegmentationMetric:
        """Mean and per-class IoU, Dice and pixel accuracy, in the pixels that the network saw."""
        return SegmentationMetric(self.classes)

    def record(self, prediction: Prediction, i: int) -> dict[str, Any]:
        """``area``: the share that each class found has of all pixels with a class, largest first."""
        counts = torch.bincount(prediction["mask"][i].flatten().cpu(), minlength=self.num_outputs)
        share = counts[: self.num_outputs]
        share = share.double() / max(int(share.sum()), 1)
        found = sorted(enumerate(share.tolist()), key=lambda pair: -pair[1])
        return {"area": {self.classes[k]: round(part, 6) for k, part in found if part > 0}}

    def maps(self, prediction: Prediction, i: int) -> dict[str, NDArray[np.uint8]]:
        """``mask`` (H, W): the id of each pixel's class in the dataset's masks; 255 where nothing was seen, which is 0
        where a class has the id 255."""
        table = np.arange(IGNORE + 1, dtype=np.uint8)
        table[: len(self.ids)] = self.ids
        table[IGNORE] = 0 if IGNORE in self.ids else IGNORE
        return {"mask": table[_array(prediction["mask"][i])]}

    @within(PANEL)
    def draw(self, image: Image.Image, prediction: Prediction, i: int, target: Any = None) -> Image.Image:
        """The image with its classes in colour and their legend; where the truth is known, it stands beside.

        Args:
            image: What the mask describes: both show the same region, whatever their sizes.
            target: The true mask, (h, w) classes with 255 = ignored, as a tensor, array or image; None = not known.
        """
        masks = {"prediction": _array(prediction["mask"][i])}
        if target is not None:
            masks["truth"] = _array(target)
        colors = class_colors(self.classes)
        small = scaled(image, most=PANEL)  # first: a file may have a hundred times the panel's pixels
        panels = {name: overlay(small, mask, colors, ignored=IGNORE) for name, mask in masks.items()}
        present = sorted({int(k) for mask in masks.values() for k in np.unique(mask)} & set(range(self.num_outputs)))
        keys = [(self.classes[k], colors[k]) for k in present]
        return legend(side_by_side({"image": small, **panels}), keys)

    def state(self) -> dict[str, Any]:
        """Class names, and their ids in masks."""
        return {"classes": list(self.classes), "ids": list(self.ids)}


def _logits(output: Any) -> Tensor:
    """(B, K, H, W) of what a network gives.

    Raises:
        ConfigError: It is in neither of the two forms.
    """
    logits = output.get("out") if isinstance(output, Mapping) else output
    if not isinstance(logits, Tensor):
        told = f"the network gives {type(output).__name__}"
        raise ConfigError(f"{told}: let it give one tensor (B, K, H, W), or a dict with it as 'out'")
    return logits


def _array(mask: Any) -> np.ndarray:
    return np.asarray(mask.cpu() if isinstance(mask, Tensor) else mask)
