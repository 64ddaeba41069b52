"""Which epoch is the best, and how long a run has waited for a better one: what ends it early, and what is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping


def loss_of(metrics: Mapping[str, float]) -> float:
    """The validation loss that ranks an epoch: infinite for a model that has none, NaN where it is not finite."""
    loss = metrics.get("val_loss")
    return math.inf if loss is None else loss if math.isfinite(loss) else math.nan


def is_better(
    value: float | None,
    best: float | None,
    *,
    maximize: bool,
    loss: float = math.inf,
    best_loss: float = math.inf,
) -> bool:
    """Whether an epoch is the best so far: by ``value``, and where that equals ``best`` by the lower validation loss.

    A small validation set soon has no finer steps than its loss. Of equals the first stays. An undefined value, None or
    NaN, is never the best, nor is one with a loss of NaN: networks of NaN have an accuracy, too.
    """
    if value is None or math.isnan(value) or math.isnan(loss):
        return False
    if value == best:
        return loss < best_loss
    return best is None or (value > best if maximize else value < best)


def epochs_waited(epoch: int, *, best_epoch: int, lowest_epoch: int, warmup_epochs: int) -> int:
    """Finished epochs in which nothing has improved, those of the warm-up not counted; 0 while it lasts.

    The monitored metric is noisy on a small validation set: one lucky epoch should not end a run whose validation loss
    still falls.

    Args:
        epoch: Finished epochs.
        best_epoch: The one, from 1, with the best monitored metric; 0 = none yet.
        lowest_epoch: The one with the lowest validation loss.
    """
    return max(0, epoch - max(best_epoch, lowest_epoch, warmup_epochs))
