"""What was read of folders, so that only what has changed there is read again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable
from pathlib import Path
from typing import Any

from visrun.files import stamp_of


class Kept:
    """What was made of the files in each folder."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Hashable, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def of(
        self, folder: Path, names: Collection[str], read: Callable[[], dict[str, Any]], also: Hashable = None
    ) -> dict[str, Any]:
        """What ``read`` gives, called again once one of the files is another.

        Args:
            names: The files of the folder that it follows from.
            read: Says by ``living`` whether a process is at work there. While one is it is called each time: a process
                may end without touching a file.
            also: What it follows from besides.
        """
        stamps = (also, *(stamp_of(f"{folder}/{name}") for name in names))
        with self._lock:
            before, known = self._known.get(folder, (None, {}))
        if before != stamps or known["living"]:
            known = read()
            with self._lock:
                self._known[folder] = (stamps, known)
        return known
