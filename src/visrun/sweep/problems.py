"""What is wrong with a sweep's settings, collected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from visrun.errors import ConfigError


class Problems:
    """Collects what is wrong, so that all of it is said at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        """One more line."""
        self.lines.append(line)

    def take(self, check: Callable[[], Any]) -> None:
        """The lines of a check that raises."""
        try:
            check()
        except ConfigError as error:
            self.lines.extend(error.problems)

    def stop(self) -> None:
        """Raise what was collected.

        Raises:
            ConfigError: Something was.
        """
        if self.lines:
            raise ConfigError(self.lines)
