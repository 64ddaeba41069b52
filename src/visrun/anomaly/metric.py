"""Metrics of anomaly detection: how well scores tell defective images apart, and heat maps the defects in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from visrun.anomaly import truth
from visrun.anomaly.curves import Floats, Pixels, counts, f1_at, sampled
from visrun.data.placement import Scene
from visrun.tables.entries import SYNTHETIC

Prediction = dict[str, Tensor]
NEARER = 0.25  # made defects are bolder than real ones, so the threshold lies nearer to the good images
OTHERS = ("softmax", "density")  # scores of an image classifier beside the one that counts


class AnomalyMetric:
    """Of images: ``auroc``, ``average_precision``, ``f1_max`` with its ``threshold``, and ``f1`` at the threshold that
    was chosen on the validation split; an image classifier's other scores as ``auroc_softmax``, ``auroc_density``.

    Where there are heat maps and masks: ``pixel_auroc``, ``aupro``, and the ``pixel_threshold`` of the best F1.
    Where defects were made all names begin with ``synthetic_``. What is undefined is left out.

    Args:
        chosen: Gives that threshold, None while there is none.
    """

    def __init__(self, chosen: Callable[[], float | None] = lambda: None) -> None:
        self.chosen = chosen
        self.reset()

    def reset(self, scenes: Sequence[Scene] = ()) -> None:  # noqa: ARG002
        """Forget all samples."""
        self._rows: list[tuple[Prediction, Tensor, Tensor]] = []

    def update(self, prediction: Prediction, batch: Any) -> None:
        """Add ``score`` (B,) and, as far as they are there, ``heat`` (B, H, W) and other scores (B,);
        ``batch.target`` is (B, H, W) codes."""
        kept = {name: values.detach().float() for name, values in prediction.items()}
        self._rows.append((kept, batch.target, batch.valid))

    def compute(self) -> dict[str, float]:
        """The values, without those that are undefined."""
        if not self._rows:
            return {}
        defective, made = self._of_images(truth.defective), self._of_images(truth.made)
        found = counts(self._all("score"), defective)
        f1, threshold = found.best_f1(place=NEARER if made.any() else 0.5)
        values = {
            "auroc": found.auroc(),
            "average_precision": found.average_precision(),
            "f1_max": f1,
            "threshold": threshold,
        }
        chosen = self.chosen()
        if chosen is not None:
            values["f1"] = f1_at(self._all("score"), defective, chosen)
        values |= {f"auroc_{name}": counts(self._all(name), defective).auroc() for name in OTHERS if self._has(name)}
        values |= self._of_pixels() if self._has("heat") else {}
        if not defective.any() or defective.all():
            values = {name: value for name, value in values.items() if name == "f1" and defective.any()}
        prefix = SYNTHETIC if made.any() else ""
        return {f"{prefix}{name}": value for name, value in values.items() if math.isfinite(value)}

    def scores(self) -> tuple[Floats, Floats]:
        """(N,) the score of every image, and 1 for a defective one, 0 for a good one."""
        if not self._rows:
            return np.zeros(0), np.zeros(0)
        return self._all("score"), self._of_images(truth.defective).astype(np.float64)

    def _has(self, name: str) -> bool:
        return name in self._rows[0][0]

    def _all(self, name: str) -> Floats:
        values = torch.cat([prediction[name][valid] for prediction, _, valid in self._rows])
        return np.asarray(values.double().cpu())

    def _of_images(self, says: Callable[[Tensor], Tensor]) -> Any:
        return np.asarray(torch.cat([says(target)[valid] for _, target, valid in self._rows]).cpu())

    def _of_pixels(self) -> dict[str, float]:
        heat, marks = [], []
        for prediction, target, valid in self._rows:
            known = valid & truth.placed(target)
            heat += list(np.asarray(prediction["heat"][known].cpu()))
            marks += list(np.asarray(truth.pixels(target[known]).cpu()))
        if not any((mark == 1).any() for mark in marks):
            return {}
        pixels = Pixels(sampled(heat))
        for one, mark in zip(heat, marks, strict=True):
            pixels.add(one, mark)
        found = pixels.counts()
        return {
            "pixel_auroc": found.auroc(),
            "aupro": pixels.aupro(),
            "pixel_threshold": found.best_f1()[1],
        }
