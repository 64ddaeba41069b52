"""Folders of the user: where visrun keeps what can be made again, and what a leading ``~`` stands for."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/visrun``, or ``~/.cache/visrun``. Everything in it may be deleted at any time."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "visrun"


def expanded(path: str | Path) -> Path:
    """A path with a leading ``~`` as the home folder; ``~name`` of nobody here is a name like any other."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser raises on an unknown ~name)
