"""Where visrun keeps what can be made again: one folder per user."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/visrun``, or ``~/.cache/visrun``. Everything in it may be deleted at any time."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "visrun"
