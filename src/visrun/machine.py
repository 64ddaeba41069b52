"""This machine's cores and GPUs, what they are called, and the share that a sweep's slot has; asks no torch."""

from __future__ import annotations

import os
import subprocess

SLOT = "VISRUN_SLOT"
DEVICE = r"auto|cpu|cuda(:[0-9]{1,3})?"  # run.device, and in words
DEVICES = "auto, cpu, cuda or cuda:N, such as cuda:0"


def own_slot() -> int | None:
    """The slot that this process is, if it is one."""
    text = os.environ.get(SLOT)
    return None if text is None else int(text)


def own_cores() -> int | None:
    """How many cores this process may use, if it is a slot: what its leader or the user says."""
    share = os.environ.get("OMP_NUM_THREADS", "")
    return int(share) if own_slot() is not None and share.isdecimal() else None


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them, found without CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() and name.strip() != "-1"]
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return [str(number) for number in range(count)]
