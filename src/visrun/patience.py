"""How long a run has waited for something to improve: what ends it early, and what is shown while it trains."""

from __future__ import annotations


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
