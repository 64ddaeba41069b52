"""Anomaly detection: good or defective, learnt from good images and from defects that are labelled or made.

>>> task = AnomalyDetection(loss=cross_entropy)
>>> task.predict(model, images)["score"]  # (B,) higher for what looks more defective
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from visrun.anomaly import drawing, truth
from visrun.anomaly.metric import AnomalyMetric
from visrun.data.ids import IGNORE
from visrun.data.rendering import seen
from visrun.data.verdicts import CLASSES
from visrun.errors import UserError
from visrun.figures.drawing import PANEL
from visrun.tables.entries import SYNTHETIC
from visrun.tasks.base import Batch, Forward, Loss, Place, Prediction, named, only, within

LOOKS = 0.5  # weight of a classifier's softmax beside its distance, by which good images differ some tenths
TOP = 0.005  # share of a picture's pixels, the hottest, whose mean scores the image


class AnomalyDetection:
    """Targets are planes of codes (B, H, W) int64, see `visrun.data.verdicts`.

    Three families of models, told apart by what they answer: logits of images (B, 2), with the ``deviation`` of their
    features where the model measures it; logits of pixels (B, 2, H, W); or a ``score`` (B,) and a heat map of their
    own, which have no losses. Where there is a deviation, it and the softmax make up the score, since some defects look
    like made ones and others only like no good image.

    Args:
        loss: ``(logits, target) -> scalar``; None for a task that only predicts.
        threshold: The score from which on an image is called defective; None = not known yet.
        pixel_threshold: The heat from which on a pixel is.
    """

    num_outputs = len(CLASSES)

    def __init__(
        self,
        *,
        loss: Loss | None = None,
        threshold: float | None = None,
        pixel_threshold: float | None = None,
    ) -> None:
        self.loss, self.threshold, self.pixel_threshold = loss, threshold, pixel_threshold

    def losses(self, model: Forward, batch: Batch) -> dict[str, Tensor]:
        """The loss under its own name; {} of a model that has none."""
        output = model(batch.images)
        if isinstance(output, dict) and "score" in output:
            return {}
        logits = output if isinstance(output, Tensor) else output["out"]
        dense = logits.ndim == 4
        return named(self.loss, logits, truth.pixels(batch.target) if dense else truth.defective(batch.target).long())

    def predict(self, model: Forward, images: Tensor) -> Prediction:
        """``score`` (B,) and, as far as the model tells, ``heat`` (B, H, W), ``softmax`` and ``density`` (B,)."""
        with torch.no_grad():
            output = model(images)
        if isinstance(output, dict) and "score" in output:
            return {"score": output["score"].float(), "heat": output["out"].float()}
        logits = (output if isinstance(output, Tensor) else output["out"]).float()
        likely = logits.softmax(1)[:, 1]
        if logits.ndim == 4:
            return {"score": _hottest(likely, seen(images)), "heat": likely}
        if isinstance(output, dict) and "deviation" in output:
            distance = output["deviation"].float()
            return {"score": distance + LOOKS * likely, "softmax": likely, "density": distance}
        return {"score": likely}

    def restore(self, prediction: Prediction, i: int, place: Place) -> Prediction:
        """Sample ``i`` alone, its heat in the pixels of the file; with a threshold also ``mask``, 255 = defect."""
        alone = only(prediction, i)
        if "heat" not in alone:
            return alone
        heat = place.back_maps(alone["heat"])
        if self.pixel_threshold is None:
            return {**alone, "heat": heat}
        return {**alone, "heat": heat, "mask": (heat >= self.pixel_threshold).to(torch.uint8) * 255}

    def metric(self) -> AnomalyMetric:
        """AUROC, average precision and F1 of images and of pixels, AUPRO, and recall of each kind of defect."""
        return AnomalyMetric(lambda: self.threshold, lambda: self.pixel_threshold)

    def decide(self, metrics: Mapping[str, float]) -> None:
        """Take over the thresholds that were best on the validation split; what is not among them is not known."""
        for name in ("threshold", "pixel_threshold"):
            value = metrics.get(name, metrics.get(f"{SYNTHETIC}{name}"))
            setattr(self, name, None if value is None else float(value))

    def take(self, state: Mapping[str, Any]) -> None:
        """Take over the thresholds of another's state."""
        self.threshold, self.pixel_threshold = state["threshold"], state["pixel_threshold"]

    def select(self, threshold: float, *, highest: float = math.inf) -> None:
        """Call images defective from this score on, which is a probability or a distance.

        Args:
            threshold: The score; highest: the greatest that the model gives.

        Raises:
            UserError: It is below 0 or above ``highest``, where no score is.
        """
        if not 0 <= threshold <= highest:
            limits = ">= 0" if highest == math.inf else f"from 0 to {highest:g}"
            raise UserError(f"threshold={threshold:g}: must be a number {limits}, as the scores are")
        self.threshold = threshold

    def record(self, prediction: Prediction, i: int) -> dict[str, Any]:
        """``label``, ``score`` and ``threshold``; ``softmax`` where the score is another; with a heat map ``area``: the
        share of the pixels above their threshold."""
        score = float(prediction["score"][i])
        found: dict[str, Any] = {"score": float(f"{score:.6g}")}
        if self.threshold is not None:
            label = CLASSES[int(score >= self.threshold)]
            found = {"label": label, **found, "threshold": float(f"{self.threshold:.6g}")}
        if "softmax" in prediction:
            found["softmax"] = float(f"{float(prediction['softmax'][i]):.6g}")
        if "heat" in prediction and self.pixel_threshold is not None:
            above = (prediction["heat"][i] >= self.pixel_threshold).double().mean()
            found["area"] = round(float(above), 6)
        return found

    def maps(self, prediction: Prediction, i: int) -> dict[str, NDArray[np.generic]]:
        """What a restored prediction has: ``heat`` (H, W) float32, 0 where nothing was seen, and ``mask`` (H, W) uint8,
        255 = defect."""
        return {name: prediction[name][i].cpu().numpy() for name in ("heat", "mask") if name in prediction}

    @within(PANEL)
    def draw(self, image: Image.Image, prediction: Prediction, i: int, target: Any = None) -> Image.Image:
        """The image, its heat map over it with a line around what is above the threshold, and the score; where the
        truth is known, right is green and wrong is red, and a mask stands beside.

        Args:
            image: What the heat map describes.
            target: The plane of codes (h, w), or None.
        """
        heat = prediction["heat"][i].cpu().numpy() if "heat" in prediction else None
        known = None if target is None else torch.as_tensor(target)
        if heat is not None and known is not None:
            heat = np.where(known.cpu().numpy() == IGNORE, 0, heat)  # beyond the picture it says nothing
        return drawing.picture(
            image,
            heat,
            score=float(prediction["score"][i]),
            threshold=self.threshold,
            pixel_threshold=self.pixel_threshold,
            defective=None if known is None else bool(truth.defective(known[None])[0]),
            marks=None if known is None else truth.pixels(known).cpu().numpy() == 1,
        )

    def state(self) -> dict[str, Any]:
        """The thresholds."""
        return {"threshold": self.threshold, "pixel_threshold": self.pixel_threshold}


def _hottest(heat: Tensor, shown: Tensor) -> Tensor:
    """(B,) the mean of the hottest TOP of the pixels of (B, H, W) that are shown."""
    counts = (TOP * shown.flatten(1).sum(1)).round().clamp_min(1)
    top = heat.where(shown, 0.0).flatten(1).topk(max(1, round(TOP * heat[0].numel())), dim=1).values
    counted = torch.arange(top.shape[1], device=top.device) < counts[:, None]
    return (top * counted).sum(1) / counts
