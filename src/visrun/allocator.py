"""Memory that steps free and ask for again, kept by the process instead of going back to the kernel each time.

glibc hands blocks of 32 MiB and more straight back, and the kernel clears every page of them when it is next written
to: on a CPU that is a tenth of a detector's training step. Other C libraries keep their own ways.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT = 1 << 30  # bytes: blocks as large as this still come from the kernel; datasets are
ALL = (1 << 31) - 1  # bytes free at the heap's end that stay there: as many as mallopt takes
AFTERWARDS = 32 << 20, 64 << 20  # what glibc itself raises both to, at most, in a process that frees large blocks
OWN_WORDS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES")


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep what is freed in here; a user who has told glibc otherwise by its environment variables is obeyed."""
    libc = _glibc()
    if libc is None or any(word in os.environ for word in OWN_WORDS):
        yield
        return
    _set(libc, KEPT, ALL)
    try:
        yield
    finally:
        _set(libc, *AFTERWARDS)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the search for garbage that holds itself, while millions of objects are made that all stay: each search
    goes through most of them, which together takes longer than to make them."""
    if not gc.isenabled():  # by whoever calls, or another thread
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def give_back() -> None:
    """Give what is free to the kernel."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def collect() -> None:
    """Free what nobody holds any more, and give what is free to the kernel and, of a GPU's, to other processes.

    An error that was caught holds a model in a cycle, which the collector alone frees.
    """
    gc.collect()
    give_back()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _set(libc: ctypes.CDLL, mmap: int, trim: int) -> None:
    libc.mallopt(MMAP_THRESHOLD, mmap)
    libc.mallopt(TRIM_THRESHOLD, trim)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
