"""Classification: one label an image, or several.

>>> task = Classification(classes=["cat", "dog"], loss=cross_entropy)
>>> task.predict(model, images)["probabilities"]  # (B, 2)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from visrun.build import function_of
from visrun.classification_metric import PREDICTED, THRESHOLD, ClassificationMetric, called
from visrun.errors import ConfigError, UserError
from visrun.figures.drawing import BAD, GOOD, MOST, PLAIN, Line, caption
from visrun.losses import bce
from visrun.near import did_you_mean
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
from visrun.text import some

SHOWN = 3  # classes in a picture's caption


class Classification:
    """Targets are class indices (B,) int64, or (B, K) shares of classes: mixed images, or several labels as 0 and 1.

    Args:
        classes: Names of the K classes.
        loss: ``(logits (B, K), target) -> scalar``; None for a task that only predicts.
        multilabel: Whether an image can have several labels, or none.
        one_vs_rest: Whether logits answer "this class or not" each, as ``bce`` teaches, rather than compete in a
            softmax; None = as the loss teaches.
        thresholds: Of several labels, the probability (K,) from which on each is reported, as it was chosen on the
            validation split; None = 0.5 for all.

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
        thresholds: Sequence[float] | None = None,
    ) -> None:
        self.classes, self.loss, self.multilabel = tuple(classes), loss, multilabel
        self.num_outputs = len(self.classes)
        self.thresholds = None if thresholds is None else tuple(thresholds)
        self.asked: tuple[float, ...] | None = None  # in place of these
        self.preferred: tuple[int, float] | None = None  # of one label: a class, and from which probability it is it
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

    def decide(self, metrics: Mapping[str, float]) -> None:
        """Take over the thresholds of several labels; a label without one keeps 0.5."""
        found = [metrics.get(f"{THRESHOLD}/{name}") for name in self.classes]
        known = self.multilabel and any(one is not None for one in found)
        self.thresholds = tuple(PREDICTED if one is None else float(one) for one in found) if known else None

    def take(self, state: Mapping[str, Any]) -> None:
        """Take over the thresholds of another's state."""
        known = state.get("thresholds")
        self.thresholds = None if known is None else tuple(known)

    def select(self, threshold: float) -> None:
        """Report all labels of an image from this probability on.

        Raises:
            UserError: An image has one label.
        """
        if not self.multilabel:
            raise UserError(
                f"threshold={threshold:g}: an image of this run has one label, its likeliest: leave it out, or name "
                f"the class that it is called from there on, as in threshold={self.classes[-1]}:{threshold:g}"
            )
        self.asked = (probability(threshold),) * self.num_outputs

    def select_classes(self, thresholds: Mapping[str, float]) -> None:
        """Report labels from these probabilities on, the others as before; of one label an image, call it the class
        from there on, and below the likeliest of the others.

        Raises:
            UserError: A class that is not known, or of one label several classes.
        """
        for name, value in thresholds.items():
            if name not in self.classes:
                near = did_you_mean(name, self.classes) or f"; it has {some(self.classes)}"
                raise UserError(f"threshold={name}:{value:g}: this run has no class {name}{near}")
            probability(value)
        if self.multilabel:
            own = dict(zip(self.classes, self.reported_from(), strict=True))
            self.asked = tuple({**own, **thresholds}.values())
            return
        if len(thresholds) > 1:
            raise UserError(f"threshold={','.join(thresholds)}: an image of this run has one label; name one class")
        ((name, value),) = thresholds.items()
        self.preferred = (self.classes.index(name), value)

    def reported_from(self) -> tuple[float, ...]:
        """Of several labels, the probability (K,) from which on each is."""
        return self.asked or self.thresholds or (PREDICTED,) * self.num_outputs

    def metric(self) -> ClassificationMetric:
        """Accuracy, ECE, and F1, precision, recall and AUROC over the classes."""
        return ClassificationMetric(
            self.classes,
            multilabel=self.multilabel,
            chosen=lambda: self.thresholds,
            asked=self.asked,
            preferred=self.preferred,
        )

    def record(self, prediction: Prediction, i: int) -> dict[str, Any]:
        """``label`` and its ``probability``, or all predicted ``labels``; ``probabilities`` by class, highest first;
        ``thresholds`` by class where any was chosen or asked for."""
        ranked, predicted = self._ranked(prediction, i), self._predicted(prediction, i)
        probabilities = {self.classes[k]: round(p, 6) for k, p in ranked}
        if self.multilabel:
            found: dict[str, Any] = {"labels": [self.classes[k] for k in predicted], "probabilities": probabilities}
        else:
            label = self.classes[predicted[0]]
            found = {"label": label, "probability": probabilities[label], "probabilities": probabilities}
        own = self._own_thresholds()
        known = {self.classes[k]: float(f"{own[k]:.6g}") for k, _ in ranked if k in own}
        return found | ({"thresholds": known} if known else {})

    @within(MOST)
    def draw(self, image: Image.Image, prediction: Prediction, i: int, target: Any = None) -> Image.Image:
        """The image above its likeliest classes, those that are predicted first, with thresholds that were chosen or
        asked for; where the truth is known, right is green and wrong is red.

        Args:
            target: A class index, the indices of several labels, or a row (K,) of zeros and ones; None = not known.
        """
        truth = None if target is None else self._truth(target)
        predicted = self._predicted(prediction, i)
        ranked = sorted(self._ranked(prediction, i), key=lambda pair: pair[0] not in predicted)
        lines, own = [], self._own_thresholds()
        for k, p in ranked[: max(SHOWN, len(predicted))]:
            known = truth is not None and k in predicted
            color = PLAIN if not known else GOOD if k in (truth or ()) else BAD
            text = f"{self.classes[k]} ≥ {own[k]:.2g}" if k in own else self.classes[k]
            lines.append(Line(text, color=color, share=p))
        missed = [self.classes[k] for k in truth or () if k not in predicted]
        if missed or (truth == [] and predicted):
            lines.append(Line(f"truth: {', '.join(missed) or 'none'}", color=BAD))
        return caption(image, lines)

    def state(self) -> dict[str, Any]:
        """Class names, how logits become probabilities, and from which of these on a label is reported."""
        thresholds = self.asked or self.thresholds
        return {
            "classes": list(self.classes),
            "multilabel": self.multilabel,
            "one_vs_rest": self.one_vs_rest,
            "thresholds": None if thresholds is None else list(thresholds),
        }

    def _own_thresholds(self) -> dict[int, float]:
        """By class those that were chosen or asked for."""
        if not self.multilabel:
            return dict([self.preferred] if self.preferred else [])
        return dict(enumerate(self.asked or self.thresholds or ()))

    def _ranked(self, prediction: Prediction, i: int) -> list[tuple[int, float]]:
        row = prediction["probabilities"][i].tolist()
        return sorted(enumerate(row), key=lambda pair: -pair[1])

    def _predicted(self, prediction: Prediction, i: int) -> list[int]:
        """The predicted classes, the likeliest first."""
        if self.multilabel:
            own = self.reported_from()
            return [k for k, p in self._ranked(prediction, i) if p >= own[k]]
        return called(prediction["probabilities"][i : i + 1], self.preferred).tolist()

    def _truth(self, target: Any) -> list[int]:
        is_row = isinstance(target, Tensor) and target.ndim == 1 and len(target) == self.num_outputs
        return [k for k, on in enumerate(target.tolist()) if on] if is_row else [int(k) for k in as_list(target)]
