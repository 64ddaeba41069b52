"""The contract between a task and everything that trains, evaluates, shows or stores it.

A task says how a model's output is turned into losses, predictions, numbers and pictures; it holds no model and no
data. It is built from narrow keyword arguments. ``state()`` returns those that predictions need later, as plain types:
``Classification(**task.state())`` predicts as the trained one does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from visrun.batch import Batch, Prediction
from visrun.build import function_of
from visrun.data.placement import Place, Scene
from visrun.errors import ConfigError, UserError

Loss = Callable[[Tensor, Tensor], Tensor | dict[str, Tensor]]  # its options are bound already
WITHIN = "within"  # the attribute of a method that is marked so
Forward = Callable[[Tensor], Any]  # a model: images (B, 3, H, W) to its output


class Metric(Protocol):
    """Numbers over many batches. ``compute`` leaves undefined values out.

    ``reset`` begins anew; of targets that are objects it is told the scenes that ``batch.index`` will name.
    """

    def update(self, prediction: Prediction, batch: Batch) -> None: ...

    def compute(self) -> dict[str, float]: ...

    def reset(self, scenes: Sequence[Scene] = ()) -> None: ...


class Task(Protocol):
    """A computer-vision task.

    ``num_outputs`` is what the model's head must give.
    """

    num_outputs: int

    def losses(self, model: Forward, batch: Batch) -> dict[str, Tensor]:
        """Named parts, scalars with a gradient; their sum is minimised."""
        ...

    def predict(self, model: Forward, images: Tensor) -> Prediction:
        """Predictions for ``images`` (B, 3, H, W), in the user's terms and units, without gradients."""
        ...

    def restore(self, prediction: Prediction, i: int, place: Place) -> Prediction:
        """Sample ``i`` as a prediction of its own (B = 1), in the pixels of its file."""
        ...

    def metric(self) -> Metric:
        """A fresh metric; the metrics of the task's entry in `visrun.tables.TASKS` are among its values."""
        ...

    def record(self, prediction: Prediction, i: int) -> dict[str, Any]:
        """Sample ``i`` of a prediction for JSON."""
        ...

    def draw(self, image: Image.Image, prediction: Prediction, i: int, target: Any = None) -> Image.Image:
        """The picture of sample ``i`` that people look at; with ``target``, the truth beside it.

        Args:
            image: In whose pixels the prediction is, or a smaller one where the method is marked by :func:`within`.
            target: As a batch carries it; with masks the two as a pair.
        """
        ...

    def state(self) -> dict[str, Any]:
        """The arguments that build a task which predicts the same, as plain types."""
        ...


@runtime_checkable
class Merging(Protocol):
    """A task whose images can be cut into tiles."""

    def merge(self, parts: Sequence[Prediction], places: Sequence[Place]) -> Prediction:
        """One prediction of a file (B = 1) from those of its tiles, each restored to the file's pixels.

        Args:
            parts: One for each tile.
            places: Where the file's picture lies in each of them.
        """
        ...


@runtime_checkable
class Mapped(Protocol):
    """A task that says something of every pixel."""

    def maps(self, prediction: Prediction, i: int) -> dict[str, NDArray[np.generic]]:
        """Name -> (H, W) of sample ``i``, in the user's terms and of the size that the prediction has.

        Those of uint8 are pictures, which `visrun predict` writes.
        """
        ...


@runtime_checkable
class Proposing(Protocol):
    """A task that chooses among many proposals, which takes more than tensors of fixed shapes.

    ``same`` is the IoU above which two of one class are one object, ``recorded_from`` the score from which on objects
    are reported.
    """

    same: float
    recorded_from: float

    def propose(self, model: Forward, images: Tensor) -> Prediction:
        """What :meth:`Task.predict` chooses among, best first."""
        ...


@runtime_checkable
class Selecting(Protocol):
    """A task that reports what scores high enough."""

    def select(self, threshold: float) -> None:
        """Report what reaches ``threshold``, in place of the task's own.

        It may also take ``highest``, the greatest score of an anomaly that its model gives.

        Raises:
            UserError: It is no score.
        """
        ...


@runtime_checkable
class SelectingByClass(Protocol):
    """A task that reports what scores high enough, of each class by a threshold of its own."""

    def select_classes(self, thresholds: Mapping[str, float]) -> None:
        """Report what is of these classes from their thresholds on, in place of the task's own.

        Raises:
            UserError: A class that is not known, or what is no score.
        """
        ...


@runtime_checkable
class Deciding(Protocol):
    """A task with thresholds that are chosen on the validation split. One of the two alone is refused."""

    def decide(self, metrics: Mapping[str, float]) -> None:
        """Take over those that ``metrics`` name; others are not known then."""
        ...

    def take(self, state: Mapping[str, Any]) -> None:
        """Take over those of another's ``state()``."""
        ...


Draw = TypeVar("Draw", bound=Callable[..., Image.Image])


def within(side: int) -> Callable[[Draw], Draw]:
    """Mark a :meth:`Task.draw` whose pictures have no longer side than this of the image, and nothing of a prediction
    that counts in its pixels: a larger file need not be decoded whole."""

    def mark(draw: Draw) -> Draw:
        draw.__dict__[WITHIN] = side
        return draw

    return mark


def needed_side(task: Task) -> int | None:
    """The longer side of an image from which on its drawing does not change; None = it counts in the image's pixels."""
    side: int | None = getattr(task.draw, WITHIN, None)
    return side


def probability(threshold: float) -> float:
    """``threshold`` of scores that are probabilities.

    Raises:
        UserError: It is none.
    """
    if not 0 <= threshold <= 1:
        raise UserError(f"threshold={threshold:g}: must be a number from 0 to 1, as the scores are")
    return threshold


def only(prediction: Prediction, i: int) -> Prediction:
    """Sample ``i`` as a prediction of its own (B = 1)."""
    return {name: values[i : i + 1] for name, values in prediction.items()}


def named(loss: Loss | None, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The parts of ``loss``: by their own names, or one part under the function's name.

    Raises:
        ConfigError: It fails on what is no tensor, such as a network gives in training that has auxiliary heads.
    """
    assert loss is not None, "a task that was built to predict has no loss"
    try:
        value = loss(prediction, target)
    except (AttributeError, TypeError) as error:  # what a tuple gives to a loss of tensors
        if isinstance(prediction, Tensor):
            raise
        told = f"the network gives {type(prediction).__name__}, which loss={name_of(loss)} does not take"
        raise ConfigError(f"{told}: let it give one tensor, in training, too") from error
    return value if isinstance(value, dict) else {name_of(loss): value}


def name_of(loss: Loss) -> str:
    """The name of the function behind ``loss``, without the options bound to it."""
    return str(getattr(function_of(loss), "__name__", "loss"))


def as_list(target: Any) -> list[Any]:
    """A target as a plain list, whether it came as a number, a sequence or a tensor."""
    values = target.tolist() if isinstance(target, Tensor) or hasattr(target, "tolist") else target
    return list(values) if isinstance(values, Sequence) else [values]
