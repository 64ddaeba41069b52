"""The training device and everything that depends on it: precision, determinism, what memory errors look like."""

from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from visrun.errors import ConfigError
from visrun.machine import DEVICE, DEVICES

# How it is said that memory ran out where it is no OutOfMemoryError: the host's, the driver's, a library's. The last is
# PyTorch's where no kernel of cuDNN gets its workspace; it swallows what each of them ran into.
OUT_OF_MEMORY = (
    *("can't allocate memory", "CUDA error: out of memory"),
    *("STATUS_ALLOC_FAILED", "ALLOCATION_FAILED", "unable to find an engine"),
)


def choose_device(name: str) -> torch.device:
    """``auto`` takes the first CUDA device, else the CPU.

    Raises:
        ConfigError: Another kind of device, or a CUDA device that is not there.
    """
    if not re.fullmatch(DEVICE, name):
        raise ConfigError(f"run.device={name}: must be {DEVICES}")
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"run.device={name}: no CUDA device is available here; use run.device=cpu or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"run.device={name}: this machine has {torch.cuda.device_count()} CUDA device(s), from cuda:0"
        )
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def choose_precision(name: str, device: torch.device) -> str:
    """``auto`` is bf16 where the GPU itself has it and fp32 elsewhere; returns "bf16" or "fp32"."""
    if name != "auto":
        return name
    if device.type != "cuda":
        return "fp32"
    with torch.cuda.device(device):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def has_amx(device: torch.device) -> bool:
    """Whether it is a CPU that multiplies matrices of bf16 itself; others take longer for them than for float32."""
    asked: Any = getattr(torch.cpu, "_is_amx_tile_supported", None)  # private: a torch without it may not use AMX
    return device.type == "cpu" and asked is not None and bool(asked())


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context of a forward pass in ``precision``."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """A context in which autocast changes nothing."""
    known = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else nullcontext()


def configure(device: torch.device, *, deterministic: bool, static_shapes: bool = True, exact: bool = False) -> None:
    """Set the process-wide switches of training.

    Args:
        deterministic: Kernels that give the same every time, not the quickest.
        static_shapes: Steps repeat their shapes; else the search for the quickest kernel would begin again and again.
        exact: Matrix products in full float32, not in TF32; of distances in a memory of patches, for one.
    """
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    if device.type != "cuda":
        return
    torch.cuda.set_device(device)
    torch.backends.cudnn.benchmark = static_shapes and not deterministic
    torch.backends.cudnn.deterministic = deterministic
    torch.set_float32_matmul_precision("highest" if deterministic or exact else "high")
    if deterministic:
        # cuBLAS reads this when its first handle is made (CUDA documentation, "Results reproducibility").
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def place(module: nn.Module, device: torch.device) -> None:
    """Bring ``module`` to ``device``, channels last as images are there."""
    to: Any = module.to  # the stubs of torch before 2.15 know no memory_format
    to(device, memory_format=torch.channels_last)


def free_generator(device: torch.device) -> None:
    """Take the random numbers of a CUDA device out of a graph whose capture broke off, their state kept.

    PyTorch before 2.13 leaves the generator as if it were still captured, and refuses the next draw.
    """
    generator = torch.cuda.default_generators[device.index or 0]
    generator.graphsafe_set_state(generator.clone_state())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory ran out, on the GPU or on the host."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)
