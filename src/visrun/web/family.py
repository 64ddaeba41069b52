"""Ending a process of this machine together with all that it has started."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import psutil


def end_family(pid: int, *, grace: float | None = None) -> None:
    """End a process and every one it has started, at once; with ``grace`` they are asked to end so many seconds before.

    Of those that were asked none lives on return, unless the system lets it hang longer than that.
    """
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return
    if grace is not None:
        _tell(family, signal.SIGTERM)
        _, family = psutil.wait_procs(family, timeout=grace)
    _tell(family, signal.SIGKILL)
    if grace is not None:
        psutil.wait_procs(family, timeout=grace)


def _tell(family: Sequence[psutil.Process], number: int) -> None:
    for process in family:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue
