"""What a run that is part of a sweep tells it, and hears from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from visrun.patience import loss_of
from visrun.tables import TaskEntry


class Trial(Protocol):
    """What a run that is part of a sweep tells it.

    ``name`` and ``tags`` are those of its run in the tracker.
    """

    @property
    def name(self) -> str: ...

    @property
    def tags(self) -> Mapping[str, str]: ...

    def formers(self, folder: Path) -> Sequence[Path]:
        """Where attempts at it before this one in ``folder`` were stopped, the latest first."""

    def begins_anew(self, why: str) -> None:
        """What an attempt before it has trained is not gone on with."""

    def begin(self, folder: Path) -> None:
        """The run is written there."""

    def sees(self, images: int) -> None:
        """An epoch has so many training images."""

    def report(self, epoch: int, value: float, loss: float) -> str | None:
        """The monitored metric and the validation loss after an epoch; the answer is why to stop, or None to go on."""

    def end(self, **facts: Any) -> None:
        """How the run went: epochs, seconds, its data's fingerprint, and reason where it ended early."""


def recall(trial: Trial, rows: Iterable[Mapping[str, float]], entry: TaskEntry) -> str | None:
    """Report the epochs of attempts before this one, which were other trials; ``rows`` are lines of metrics.jsonl.

    Returns:
        Why to stop after the last of them: it may have been told so, and died before the sweep knew.
    """
    verdict = None
    for row in rows:
        if (value := row.get(entry.monitored(row))) is not None:
            verdict = trial.report(int(row["epoch"]), value, loss_of(row))
    return verdict
