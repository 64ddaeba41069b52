"""Classification: one label an image, or several.

>>> task = Classification(classes=["cat", "dog"], loss=cross_entropy)
>>> task.predict(model, images)["probabilities"]  # (B, 2)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from visrun.build import function_of
from visrun.errors import ConfigError, UserError
from visrun.figures.drawing import BAD, GOOD, MOST, PLAIN, Line, caption
from visrun.losses import bce
from visrun.metrics import PREDICTED, ClassificationMetric
from visrun.tasks.base import (
    Batch,
    Forward,
    Loss,
    Place,
    Prediction,
    as_list,
    name_of,
    named,
    only,
    probability,
    within,
)

SHOWN = 3  # classes in a picture's caption


class Classification:
    """Targets are class indices (B,) int64, or (B, K) shares of classes: mixed images, or several labels as 0 and 1.

    Args:
        classes: Names of the K classes.
        loss: ``(logits (B, K), target) -> scalar``; None for a task that only predicts.
        multilabel: Whether an image can have several labels, or none.
        one_vs_rest: Whether logits answer "this class or not" each, as ``bce`` teaches, rather than compete in a
            softmax; None = as the loss teaches.

    Raises:
        ConfigError: The loss gives one label an image and the data has several.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str],
        loss: Loss | None = None,
        multilabel: bool = False,
        one_vs_rest: bool | None = None,
    ) -> None:
        self.classes, self.loss, self.multilabel = tuple(classes), loss, multilabel
        self.num_outputs = len(self.classes)
        self.threshold = PREDICTED  # of one label of several
        binary = loss is not None and function_of(loss) is bce
        if multilabel and loss is not None and not binary:
            raise ConfigError(f"loss={name_of(loss)}: the images of this dataset have several labels; use loss=bce")
        self.one_vs_rest = binary if one_vs_rest is None else one_vs_rest

    def losses(self, model: Forward, batch: Batch) -> dict[str, Tensor]:
        """The loss under its own name."""
        return named(self.loss, model(batch.images), batch.target)

    def predict(self, model: Forward, images: Tensor) -> Prediction:
        """``probabilities`` (B, K) float32; they add to 1 unless an image can have several labels."""
        with torch.no_grad():
            logits = model(images).float()
            if self.multilabel:
                return {"probabilities": logits.sigmoid()}
            # Softmax of log(sigmoid) is sigmoid / sum(sigmoid), without ever dividing by zero.
            scores = F.logsigmoid(logits) if self.one_vs_rest else logits
            return {"probabilities": scores.softmax(1)}

    def restore(self, prediction: Prediction, i: int, place: Place) -> Prediction:  # noqa: ARG002
        """Sample ``i`` alone; nothing in it depends on pixels."""
        return only(prediction, i)

    def select(self, threshold: float) -> None:
        """Report the labels of an image from this probability on.

        Raises:
            UserError: An image has one label.
        """
        if not self.multilabel:
            raise UserError(f"threshold={threshold:g}: an image of this run has one label, its likeliest: leave it out")
        self.threshold = probability(threshold)

    def metric(self) -> ClassificationMetric:
        """Accuracy, ECE, and F1, precision, recall and AUROC over the classes."""
        return ClassificationMetric(self.classes, multilabel=self.multilabel)

    def record(self, prediction: Prediction, i: int) -> dict[str, Any]:
        """``label`` and its ``probability``, or all predicted ``labels``; ``probabilities`` by class, highest first."""
        ranked = self._ranked(prediction, i)
        probabilities = {self.classes[k]: round(p, 6) for k, p in ranked}
        if self.multilabel:
            return {"labels": [self.classes[k] for k in self._predicted(ranked)], "probabilities": probabilities}
        label, probability = next(iter(probabilities.items()))
        return {"label": label, "probability": probability, "probabilities": probabilities}

    @within(MOST)
    def draw(self, image: Image.Image, prediction: Prediction, i: int, target: Any = None) -> Image.Image:
        """The image above its likeliest classes; where the truth is known, right is green and wrong is red.

        Args:
            target: A class index, the indices of several labels, or a row (K,) of zeros and ones; None = not known.
        """
        ranked = self._ranked(prediction, i)
        truth = None if target is None else self._truth(target)
        predicted = self._predicted(ranked)
        shown = max(SHOWN, len(predicted)) if self.multilabel else SHOWN
        lines = []
        for k, p in ranked[:shown]:
            known = truth is not None and k in predicted
            color = PLAIN if not known else GOOD if k in (truth or ()) else BAD
            lines.append(Line(self.classes[k], color=color, share=p))
        missed = [self.classes[k] for k in truth or () if k not in predicted]
        if missed or (truth == [] and predicted):
            lines.append(Line(f"truth: {', '.join(missed) or 'none'}", color=BAD))
        return caption(image, lines)

    def state(self) -> dict[str, Any]:
        """Class names and how logits become probabilities."""
        return {"classes": list(self.classes), "multilabel": self.multilabel, "one_vs_rest": self.one_vs_rest}

    def _ranked(self, prediction: Prediction, i: int) -> list[tuple[int, float]]:
        row = prediction["probabilities"][i].tolist()
        return sorted(enumerate(row), key=lambda pair: -pair[1])

    def _predicted(self, ranked: list[tuple[int, float]]) -> list[int]:
        return [k for k, p in ranked if p >= self.threshold] if self.multilabel else [ranked[0][0]]

    def _truth(self, target: Any) -> list[int]:
        is_row = isinstance(target, Tensor) and target.ndim == 1 and len(target) == self.num_outputs
        return [k for k, on in enumerate(target.tolist()) if on] if is_row else [int(k) for k in as_list(target)]
