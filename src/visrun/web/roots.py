"""The folders of this machine that the page may have read: a path from a client is looked at only inside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visrun.config.fields import show
from visrun.config.overrides import PATHS
from visrun.errors import ConfigError
from visrun.folders import expanded

# Settings that load code or say where this machine keeps things: neither a client nor a folder's words set them.
OF_THE_MACHINE = ("plugins", "tracking.uri", "data.cache_dir")


class Roots:
    """The folders and everything below them, links followed.

    Args:
        folders: Absolute or relative to the current folder.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(dict.fromkeys(expanded(folder).resolve() for folder in folders))

    def holds(self, path: Path) -> bool:
        """Whether a file or folder lies inside, wherever links lead."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, NUL
            return False
        return any(real.is_relative_to(folder) for folder in self.folders)

    def require(self, values: Mapping[str, Any]) -> None:
        """Refuse paths that lead outside.

        Args:
            values: Settings, dotted key -> plain value; only paths are looked at.

        Raises:
            ConfigError: One line for each.
        """
        wrong = [key for key in PATHS if values.get(key) and not self.holds(Path(str(values[key])))]
        if wrong:
            raise ConfigError([self.refusal(f"{key}={show(str(values[key]))}") for key in wrong])

    def refusal(self, named: str) -> str:
        """The line for a path that leads outside."""
        inside = " and ".join(map(str, self.folders))
        return f"{named}: outside of what this page may read ({inside}); visrun ui --data DIR adds a folder"
