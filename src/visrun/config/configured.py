"""A run's configuration as far as the run itself takes it, composed from words or read back from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from visrun.config.settings import Settings
from visrun.hyperparameters import Hyperparameters


class Configured(Protocol):
    """How a run learns, everything else, and where each value, by its dotted key, came from."""

    @property
    def hyperparameters(self) -> Hyperparameters: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def sources(self) -> Mapping[str, str]: ...
