"""The places decoded images can lie in: how much room each has, and arrays that stay on disk between runs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import torch
from torch import Tensor

from visrun.errors import ConfigError, DataError
from visrun.folders import expanded

Place = Literal["gpu", "ram", "disk", "stream"]
ABOUT = "about.json"
UNFINISHED = ".building-"
CGROUP = Path("/sys/fs/cgroup")


def candidates(cache: str, device: torch.device) -> tuple[Place, ...]:
    """The places that ``data.cache`` may mean on ``device``, best first.

    Raises:
        ConfigError: An unknown place, or the GPU for a run on the CPU.
    """
    if cache == "gpu" and device.type != "cuda":
        raise ConfigError(f"data.cache=gpu: this run trains on {device.type}: use auto, ram, disk or stream")
    known: dict[str, tuple[Place, ...]] = {"gpu": ("gpu",), "ram": ("ram",), "disk": ("disk",), "stream": ("stream",)}
    known["auto"] = ("gpu", "ram", "disk", "stream") if device.type == "cuda" else ("ram", "disk", "stream")
    if cache not in known:
        raise ConfigError(f"data.cache={cache}: must be one of {', '.join(sorted(known))}")
    return known[cache]


def fits(place: Place, need: int, *, cache_gb: float | None, share: float, folder: Path, device: torch.device) -> bool:
    """Whether ``need`` bytes go into ``place``: into ``cache_gb`` (10^9 bytes), or into ``share`` of what is free.
    Nothing more is needed where ``folder`` already holds them."""
    if place == "stream" or (place == "disk" and (folder / ABOUT).exists()):
        return True
    return need <= (room(place, folder, device) * share if cache_gb is None else cache_gb * 1e9)


def room(place: Place, folder: Path, device: torch.device) -> int:
    """Bytes free there now; 0 for a disk that cannot be written."""
    if place == "gpu":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    if place == "ram":
        return min(int(psutil.virtual_memory().available), _container_room())
    existing = next((parent for parent in folder.absolute().parents if parent.exists()), None)
    if existing is None or not os.access(existing, os.W_OK):
        return 0
    return shutil.disk_usage(existing).free


def _container_room() -> int:
    """Bytes a container's limit leaves (cgroup v2), which the machine's own figure does not know of."""
    with contextlib.suppress(OSError, ValueError):
        return int((CGROUP / "memory.max").read_text()) - int((CGROUP / "memory.current").read_text())
    return 1 << 62


def default_dir() -> Path:
    """The user's cache folder for visrun."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "visrun"


def entries(cache_dir: Path | None) -> Path:
    """The folder of a cache that holds one folder per content."""
    return expanded(cache_dir or default_dir()) / "images"


def delete(cache_dir: Path | None) -> int:
    """Delete what `write` made under ``cache_dir``, and nothing else that may lie there; bytes set free."""
    freed = 0
    folder = entries(cache_dir)
    for entry in folder.iterdir() if folder.is_dir() else ():
        if re.fullmatch(r"[0-9a-f]{64}", entry.name) or entry.name.startswith(UNFINISHED):
            freed += sum(file.stat().st_size for file in entry.iterdir())
            shutil.rmtree(entry, ignore_errors=True)
    return freed


def read(folder: Path, shapes: Sequence[tuple[int, ...] | None]) -> tuple[list[Tensor | None], dict[str, Any]] | None:
    """The uint8 arrays of an entry, mapped from disk, and what was noted beside them; None if it is not there."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return [_mapped(folder, i, shape, "c") for i, shape in enumerate(shapes)], about
    except (OSError, ValueError):
        return None


def write(
    folder: Path, shapes: Sequence[tuple[int, ...] | None], make: Callable[[list[Tensor | None]], dict[str, Any]]
) -> None:
    """Create the entry ``folder`` whole or not at all: ``make`` fills arrays of ``shapes`` and returns the note.

    Raises:
        DataError: A disk that is full or cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.parent))
    except OSError as error:
        raise DataError(f"{folder.parent}: the image cache cannot be written there ({error.strerror})") from None
    try:
        arrays = [_mapped(building, i, shape, "w+") for i, shape in enumerate(shapes)]
        (building / ABOUT).write_text(json.dumps(make(arrays)), encoding="utf-8")
        with contextlib.suppress(FileExistsError):  # another run built the same meanwhile
            _rename(building, folder)
    except OSError as error:
        raise DataError(f"{folder}: the image cache cannot be written ({error.strerror}): is the disk full?") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _rename(building: Path, folder: Path) -> None:
    try:
        building.rename(folder)
    except OSError:
        if not (folder / ABOUT).exists():
            raise
        raise FileExistsError(folder) from None


def _mapped(folder: Path, i: int, shape: tuple[int, ...] | None, mode: Literal["c", "w+"]) -> Tensor | None:
    if shape is None:
        return None
    with (folder / f"{i}.u8").open("ab" if mode == "w+" else "rb") as file:
        if mode == "w+":
            os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))  # a full disk says so here, not by a signal later
    return torch.from_numpy(np.memmap(folder / f"{i}.u8", np.uint8, "r+" if mode == "w+" else mode, shape=shape))
