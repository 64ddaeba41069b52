"""What a run that is part of a sweep tells it, and hears from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Trial(Protocol):
    """What a run that is part of a sweep tells it.

    ``name`` and ``tags`` are those of its run in the tracker.
    """

    @property
    def name(self) -> str: ...

    @property
    def tags(self) -> Mapping[str, str]: ...

    def begin(self, folder: Path) -> None:
        """The run is written there."""

    def sees(self, images: int) -> None:
        """An epoch has so many training images."""

    def report(self, epoch: int, value: float, loss: float) -> str | None:
        """The monitored metric and the validation loss after an epoch; the answer is why to stop, or None to go on."""

    def end(self, **facts: Any) -> None:
        """How the run went: epochs, seconds, and reason where it ended early."""
