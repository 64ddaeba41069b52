"""Whether the validation losses of several runs, or of a sweep's trials, say which of them is better."""

from __future__ import annotations

from collections.abc import Iterable

from visrun.tables import TARGETS, TASKS

# Settings, and sections of them, by which a loss of 1 is good in one run and bad in another; and, of a loss whose parts
# are the model's and which counts what it finds in a batch, others.
SCALES = {"experiment", "recipe", "task", "loss", "loss_options", "data.class_weights"}
SCALES_OF_PARTS = {"model", "model.name", "batch_size"}


def on_one_scale(varied: Iterable[str], *, task: str) -> bool:
    """Whether the losses of runs say which is better, where these settings vary among them."""
    of_parts = TARGETS[TASKS[task].target].objects or TASKS[task].spoil is not None
    scales = SCALES | (SCALES_OF_PARTS if of_parts else set())
    return not any({key, key.partition(".")[0]} & scales for key in varied)
