"""Folders of the user: where visrun keeps what can be made again, and what a leading ``~`` stands for."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from visrun.text import composed


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/visrun``, or ``~/.cache/visrun``. Everything in it may be deleted at any time.

    Without a home folder it is one of the user's own among the temporary files.
    """
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches, "visrun")
    home = home_folder()
    return home / ".cache" / "visrun" if home else Path(tempfile.gettempdir(), f"visrun-{os.getuid()}")


def home_folder() -> Path | None:
    """The user's home folder; in a container there may be none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def expanded(path: str | Path) -> Path:
    """A path with a leading ``~`` as the home folder; ``~name`` of nobody here is a name like any other.

    Where there is nothing so written, accents may be stored there in the other way, as macOS does and its zips do.
    """
    written = Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser raises on an unknown ~name)
    if str(written).isascii():
        return written
    with suppress(OSError):  # a name that is too long, or a folder that cannot be read
        return _there(written)
    return written


def _there(path: Path) -> Path:
    if path.exists() or path == path.parent:
        return path
    folder = _there(path.parent)
    inside = folder.iterdir() if folder.is_dir() else ()
    same = [place for place in inside if composed(place.name) == composed(path.name)]
    return same[0] if len(same) == 1 else folder / path.name
