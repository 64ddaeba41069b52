"""Regression: one or several numbers an image.

The model learns standardised targets (mean 0, variance 1 over the training split; for a loss that is meant against
outliers median 0 and as wide a middle half as a normal distribution's), so that one learning rate suits a count of
nuclei and a price alike. Losses are in those units; predictions and metrics are in the user's, but for the mean errors
over several targets, which have no unit in common and so count in standard deviations, whatever the loss.

    >>> task = Regression(targets=["count"], values=train_values, loss=mse)
    >>> task.predict(model, images)["value"]  # (B, 1)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from visrun.build import function_of
from visrun.errors import DataError
from visrun.figures.drawing import LEAST, MOST, Line, caption, fitted
from visrun.losses import huber, mae, smooth_l1
from visrun.metrics import RegressionMetric
from visrun.numbers import single
from visrun.tasks.base import Batch, Forward, Loss, Place, Prediction, as_list, named, only, within

STEADY = (mae, huber, smooth_l1)  # meant against outliers, by which mean and deviation would go
NORMAL = 1.349  # standard deviations between the quartiles of a normal distribution


class Regression:
    """Targets are values (B, T) float32 in the user's units.

    Args:
        targets: Names of the T targets.
        values: Targets of the training split (N, T), from which the numbers below follow where they are not given.
        loss: ``(standardised prediction (B, T), standardised target (B, T)) -> scalar``; None to predict only.
        mean: What is 0 of each target, see :func:`standardisation`.
        std: What is 1 of each target.
        unit: Standard deviation of each target, in which mean errors over several count; None = ``std``.

    Raises:
        DataError: A target has the same value in every training row.
    """

    def __init__(
        self,
        *,
        targets: Sequence[str],
        values: Tensor | None = None,
        loss: Loss | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        unit: Sequence[float] | None = None,
    ) -> None:
        self.targets, self.loss = tuple(targets), loss
        self.num_outputs = len(self.targets)
        if mean is None or std is None:
            assert values is not None, "give the training values, or mean and std"
            mean, std = standardisation(values, self.targets)
            unit = std
            if loss is not None and function_of(loss) in STEADY:
                mean, std = standardisation(values, self.targets, steady=True)
        self.mean, self.std = torch.tensor(list(mean)), torch.tensor(list(std))
        self.unit = torch.tensor(list(unit or std)).tolist()

    def losses(self, model: Forward, batch: Batch) -> dict[str, Tensor]:
        """The loss in standardised units, under its own name."""
        output = model(batch.images)
        mean, std = self._statistics(batch.images.device)
        return named(self.loss, output, (batch.target - mean) / std)

    def predict(self, model: Forward, images: Tensor) -> Prediction:
        """``value`` (B, T) float32 in the user's units."""
        with torch.no_grad():
            output = model(images).float()
            mean, std = self._statistics(output.device)
            return {"value": output * std + mean}

    def restore(self, prediction: Prediction, i: int, place: Place) -> Prediction:  # noqa: ARG002
        """Sample ``i`` alone; nothing in it depends on pixels."""
        return only(prediction, i)

    def metric(self) -> RegressionMetric:
        """MAE, RMSE and R2; of several targets each counts in its standard deviations."""
        return RegressionMetric(self.targets, std=self.unit)

    def record(self, prediction: Prediction, i: int) -> dict[str, Any]:
        """``values`` by target name, to the seven digits that float32 has."""
        return {"values": dict(zip(self.targets, map(single, prediction["value"][i].tolist()), strict=True))}

    @within(MOST)
    def draw(self, image: Image.Image, prediction: Prediction, i: int, target: Any = None) -> Image.Image:
        """The image above its values; where the truth is known, with it and the error.

        Args:
            target: The true values (T,), or None.
        """
        lines = []
        truth = [None] * self.num_outputs if target is None else as_list(target)
        for name, value, true in zip(self.targets, prediction["value"][i].tolist(), truth, strict=True):
            lines.append(Line(f"{fitted(name, LEAST / 2)}: {_number(value)}"))
            if true is not None:
                lines += [
                    Line(f"truth: {_number(true)}"),
                    Line(f"error: {'+' * (value >= true)}{_number(value - true)}"),
                ]
        return caption(image, lines)

    def state(self) -> dict[str, Any]:
        """Target names and statistics."""
        numbers = {"mean": self.mean.tolist(), "std": self.std.tolist(), "unit": self.unit}
        return {"targets": list(self.targets), **numbers}

    def _statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        # Moved once and kept: a CUDA graph must not copy from the host.
        self.mean, self.std = self.mean.to(device), self.std.to(device)
        return self.mean, self.std


def _number(value: float) -> str:
    """Four digits; whole, with its thousands apart, where that is short enough to read."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def standardisation(values: Tensor, targets: Sequence[str], *, steady: bool = False) -> tuple[list[float], list[float]]:
    """Mean and standard deviation (over N) of each column of ``values`` (N, T).

    Args:
        steady: Rather the median and the standard deviation of a normal distribution with the same quartiles, which
            outliers do not move; but for columns whose quartiles are the same.

    Raises:
        DataError: A column does not vary, so there is nothing to learn.
    """
    columns = values.double()
    for name, column in zip(targets, columns.T, strict=True):
        if not len(column) or column.min() == column.max():
            value = f" {column[0].item():g}" if len(column) else ""
            raise DataError(f"target {name}: every training image has the same value{value}; there is nothing to learn")
    centre, scale = columns.mean(0).numpy(), columns.std(0, correction=0).numpy()
    if steady:
        low, middle, high = np.quantile(columns.numpy(), [0.25, 0.5, 0.75], axis=0)
        centre, scale = (np.where(high > low, *pair) for pair in ((middle, centre), ((high - low) / NORMAL, scale)))
    return centre.tolist(), scale.tolist()
