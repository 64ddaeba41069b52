"""The places decoded images can lie in: how much room each has, and arrays that stay on disk between runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np
import psutil
import torch
from torch import Tensor

from visrun.errors import ConfigError, DataError
from visrun.folders import cache_folder, expanded
from visrun.tables.words import Cache, Tier

ABOUT = "about.json"
UNFINISHED = ".building-"
RETRY = 0.2  # seconds between two looks whether another process has built an entry
ABANDONED = 86_400.0  # seconds without a change after which a build of another machine counts as killed
CGROUP = Path("/sys/fs/cgroup")


def candidates(cache: Cache, device: torch.device) -> tuple[Tier, ...]:
    """The places that ``data.cache`` may mean on ``device``, best first.

    Raises:
        ConfigError: An unknown place, or the GPU for a run on the CPU.
    """
    if cache == "gpu" and device.type != "cuda":
        raise ConfigError(f"data.cache=gpu: this run trains on {device.type}: use auto, ram, disk or stream")
    if cache not in get_args(Cache):
        raise ConfigError(f"data.cache={cache}: must be one of {', '.join(get_args(Cache))}")
    if cache != "auto":
        return (cache,)
    tiers: tuple[Tier, ...] = get_args(Tier)
    return tiers if device.type == "cuda" else tiers[1:]


def fits(
    place: Tier,
    need: int,
    *,
    cache_gb: float | None,
    taken: int,
    share: float,
    folder: Path,
    device: torch.device,
) -> bool:
    """Whether ``need`` bytes go into ``place`` beside the ``taken`` bytes of other sets: together at most ``cache_gb``
    (10^9 bytes), or ``share`` of what would be free without any. Nothing more is needed where ``folder`` already
    holds them."""
    if place == "stream" or (place == "disk" and (folder / ABOUT).exists()):
        return True
    budget = (room(place, folder, device) + taken) * share if cache_gb is None else cache_gb * 1e9
    return taken + need <= budget


def room(place: Tier, folder: Path, device: torch.device) -> int:
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


def entries(cache_dir: Path | None) -> Path:
    """The folder of a cache that holds one folder per content."""
    return expanded(cache_dir or cache_folder()) / "images"


def read(folder: Path, shapes: Sequence[tuple[int, ...] | None]) -> tuple[list[Tensor | None], dict[str, Any]] | None:
    """The uint8 arrays of an entry, mapped from disk, and what was noted beside them; None if it is not there."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return [_mapped(folder, i, shape, "c") for i, shape in enumerate(shapes)], about
    except (OSError, ValueError):
        return None


class NoRoom(DataError):
    """A disk that is full or cannot be written."""


@contextlib.contextmanager
def alone(folder: Path, wait: Callable[[], None]) -> Iterator[None]:
    """One process of this machine at a time for the entry ``folder``; ``wait`` is called again and again meanwhile."""
    lock = folder.with_name(f".{folder.name}.lock")
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # no folder to write in, which is said later, or no locks there
            folder.parent.mkdir(parents=True, exist_ok=True)
            while (file := _locked(lock)) is None:
                wait()
                time.sleep(RETRY)
            held.enter_context(file)
            held.callback(lock.unlink, missing_ok=True)
        yield


def _locked(lock: Path) -> IO[Any] | None:
    """The file, locked; None where another process has it, or took it away before it was got."""
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(lock.open("ab"))
        with contextlib.suppress(BlockingIOError):
            _lock(file)
            if os.fstat(file.fileno()).st_nlink:
                opened.pop_all()
                return file
    return None


def write(
    folder: Path, shapes: Sequence[tuple[int, ...] | None], make: Callable[[list[Tensor | None]], dict[str, Any]]
) -> None:
    """Create the entry ``folder`` whole or not at all, in place of one that cannot be read: ``make`` fills arrays of
    ``shapes`` and returns the note. What builds that were killed left beside it is deleted.

    Raises:
        NoRoom: A disk that is full or cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _tidy(folder.parent)
        building = Path(tempfile.mkdtemp(prefix=_prefix(), dir=folder.parent))
    except OSError as error:
        raise NoRoom(f"{folder.parent}: the image cache cannot be written there ({error.strerror})") from None
    try:
        with (building / "unlocked").open("w", encoding="utf-8") as about:
            with contextlib.suppress(OSError):
                _lock(about)
            Path(about.name).rename(building / ABOUT)
            arrays = [_mapped(building, i, shape, "w+") for i, shape in enumerate(shapes)]
            json.dump(make(arrays), about)
            about.flush()
            _sync(building)
            _rename(building, folder, shapes)
    except OSError as error:
        raise NoRoom(f"{folder}: the image cache cannot be written ({error.strerror}): is the disk full?") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _prefix() -> str:
    """Of the folders that this machine builds in."""
    return f"{UNFINISHED}{socket.gethostname()}@"


def _tidy(parent: Path) -> None:
    for building in parent.glob(f"{UNFINISHED}*"):
        if _killed(building):
            shutil.rmtree(building, ignore_errors=True)


def _killed(building: Path) -> bool:
    """Whether nobody builds there: no process of this machine has the lock, or nothing has changed there for long."""
    try:
        if building.name.startswith(_prefix()):
            with (building / ABOUT).open("r+b") as about:
                _lock(about)
            return True
    except BlockingIOError:
        return False
    except OSError:
        pass  # nothing to lock there, or no locks
    with contextlib.suppress(OSError):
        return time.time() - max(path.stat().st_mtime for path in (building, *building.iterdir())) > ABANDONED
    return False


def _lock(file: IO[Any]) -> None:
    """Raises BlockingIOError where another process has it, OSError where there are no locks (some network drives)."""
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync(building: Path) -> None:
    """Bring all files to the disk, so that an entry is whole after a power cut, too."""
    for path in building.iterdir():
        with path.open("r+b") as file:
            os.fsync(file.fileno())  # on Linux this takes in what was written to its mapping


def _rename(building: Path, folder: Path, shapes: Sequence[tuple[int, ...] | None]) -> None:
    """Give an entry its name, unless another run has built the same meanwhile."""
    try:
        building.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        if read(folder, shapes) is None:
            broken = building.with_name(f"{building.name}-broken")
            folder.rename(broken)
            building.rename(folder)
            shutil.rmtree(broken, ignore_errors=True)


def _mapped(folder: Path, i: int, shape: tuple[int, ...] | None, mode: Literal["c", "w+"]) -> Tensor | None:
    if shape is None:
        return None
    with (folder / f"{i}.u8").open("ab" if mode == "w+" else "rb") as file:
        if mode == "w+":
            size = int(np.prod(shape))
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk says so here, not by a signal later
            else:  # macOS
                file.truncate(size)
    return torch.from_numpy(np.memmap(folder / f"{i}.u8", np.uint8, "r+" if mode == "w+" else mode, shape=shape))
