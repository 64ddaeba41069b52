"""The processes that run a sweep's trials on this machine: one a slot, each with its share of GPUs and cores."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from visrun.interpreter import python
from visrun.machine import SLOT, cores, gpus

LEADER = "VISRUN_LEADER"  # the process whose death ends a slot's
SIGNAL_ON_DEATH = 1  # PR_SET_PDEATHSIG of Linux' prctl(2)


class Slot:
    """One worker process and the file that holds what it prints.

    Args:
        number: From 0.
        words: The command line behind ``visrun``.
        environment: What sets it apart from this process' own.
        log: Appended to.
    """

    def __init__(self, number: int, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.number, self.words, self.environment, self.log = number, tuple(words), dict(environment), log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, or another one in its place."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as file:
            self.process = self._popen(file)

    def _popen(self, file: IO[bytes]) -> subprocess.Popen[bytes]:
        own = {**os.environ, **self.environment, SLOT: str(self.number), LEADER: str(os.getpid())}
        return subprocess.Popen(
            python("-m", "visrun", *self.words),
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it through its leader, once
        )

    @property
    def pid(self) -> int:
        """Of the latest process."""
        assert self.process is not None
        return self.process.pid

    def ended(self) -> int | None:
        """The exit code, negative for a signal's; None while it runs."""
        assert self.process is not None
        return self.process.poll()

    def tell(self, number: int) -> None:
        """Send a signal, if there is a process and it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self) -> None:
        """Wait until the process has ended."""
        if self.process is not None:
            self.process.wait()

    def last_words(self) -> str:
        """The last line it printed."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"


def die_with_leader() -> None:
    """In a slot's process: end at once when the leader does, however it does. Nothing happens in any other process."""
    leader = os.environ.pop(LEADER, None)
    if leader is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SIGNAL_ON_DEATH, signal.SIGKILL)
    threading.Thread(target=_watch, args=(int(leader),), name="visrun-leader", daemon=True).start()


def _watch(leader: int) -> None:
    while os.getppid() == leader:
        time.sleep(0.5)
    os._exit(1)


def environments(n_jobs: int, device: str = "auto") -> list[dict[str, str]]:
    """What sets each slot apart: one GPU, and its share of the cores where the user has not set one.

    Args:
        n_jobs: The slots.
        device: ``run.device``: ``cuda:N`` gives all slots that GPU, anything else all GPUs in turn.
    """
    chosen = numbered(device)
    devices = gpus() if chosen is None else [chosen]
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(max(1, cores() // n_jobs))}
    return [
        {**threads, **({"CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} if devices else {})}
        for slot in range(n_jobs)
    ]


def numbered(device: str) -> str | None:
    """The GPU that ``cuda:N`` is, as CUDA_VISIBLE_DEVICES names it; None for another device, or where it is unknown.

    A process that is given this GPU alone knows it as ``cuda``.
    """
    name, _, number = device.partition(":")
    devices = gpus() if name == "cuda" and number else []
    return devices[int(number)] if int(number or 0) < len(devices) else None
