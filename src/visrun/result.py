"""What a run comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

Ending = Literal["finished", "pruned", "killed", "failed"]  # the states of a run that is over
ENDINGS: tuple[Ending, ...] = get_args(Ending)


@dataclass(frozen=True)
class Result:
    """How a run ended.

    ``value`` is the monitored metric of the best epoch (None if there was none), ``val`` that epoch's metrics and
    ``test`` the best checkpoint's on the test split, where there is one. ``status`` is "finished", of a sweep's
    trial also "pruned" or "killed", ``reason`` why it ended before its last epoch; ``parameters`` counts the model's.
    """

    folder: Path
    status: Ending
    value: float | None = None
    best_epoch: int = 0
    seconds: float = 0.0
    val: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    exit_code: int = 0
    parameters: int = 0
    reason: str | None = None
