"""What a run takes of this machine: memory and cores of its processes, and how busy the GPUs are."""

from __future__ import annotations

import math
import subprocess
import threading
import time
from typing import Any

import psutil

GPU_SECONDS = 3.0  # between two looks at the GPUs
FAILED_SECONDS = 30.0  # after one that gave nothing
QUERY = "index,utilization.gpu,memory.used,memory.total"


class Resources:
    """Remembers processes between two looks, since the share of a core is a difference."""

    def __init__(self) -> None:
        self._known: dict[int, psutil.Process] = {}
        self._gpus: list[dict[str, Any]] = []
        self._next_look = 0.0
        self._lock = threading.Lock()

    def of(self, pid: int) -> dict[str, Any]:
        """Bytes and percent of a core that a process and its children take, and all GPUs; {} if it has ended."""
        with self._lock:
            try:
                leader = self._known.setdefault(pid, psutil.Process(pid))
                family = [leader, *(self._known.setdefault(p.pid, p) for p in leader.children(recursive=True))]
                memory, cpu = 0, 0.0
                for process in family:
                    with process.oneshot():
                        memory += process.memory_info().rss
                        cpu += process.cpu_percent()
            except psutil.Error:
                self._known.clear()
                return {}
            return {"memory": memory, "cpu": round(cpu), "gpus": self._gpu_lines()}

    def _gpu_lines(self) -> list[dict[str, Any]]:
        if time.monotonic() < self._next_look:
            return self._gpus
        told, pause = "", GPU_SECONDS
        try:
            command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
            told = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
        except FileNotFoundError:
            pause = math.inf
        except (OSError, subprocess.SubprocessError):  # a driver under load answers late
            pause = FAILED_SECONDS
        self._gpus, self._next_look = gpu_lines(told), time.monotonic() + pause
        return self._gpus


def gpu_lines(text: str) -> list[dict[str, Any]]:
    """What nvidia-smi says of each GPU: its number, load in percent, memory used and whole in MiB; None = not."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 4:
            load, used, total = (int(cell) if cell.isdecimal() else None for cell in cells[1:])
            found.append({"index": cells[0], "load": load, "used": used, "total": total})
    return found
