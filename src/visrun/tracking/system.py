"""The load of the machine while a run trains, by MLflow's own meters, under the names that its page looks for."""

from __future__ import annotations

import contextlib
from typing import Any

import psutil


class Meters:
    """CPU, memory, disk, network, and the GPU where nvidia-ml-py and one are there; all of the whole machine.

    For one thread: the load of the CPU is that since the thread's last look, the first of which is here.
    """

    def __init__(self) -> None:
        self.monitors: list[Any] = []
        psutil.cpu_percent()

    def read(self) -> dict[str, float]:
        """The values now; mlflow is imported for them."""
        self.monitors = self.monitors or monitors()
        values: dict[str, float] = {}
        for monitor in self.monitors:
            monitor.collect_metrics()
            values.update(monitor.aggregate_metrics())
            monitor.clear_metrics()
        return values


def monitors() -> list[Any]:
    """One for each kind."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    found = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    with contextlib.suppress(Exception):
        found.append(GPUMonitor())
    return found
