"""Threads that read files, and how long they are waited for: a hung network drive must not hang a run for ever."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from visrun.data.decoding import Late

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = tuple[Future[Any], Callable[[], Any]]
Progress = Callable[[int, int], None]  # told (done, total)
Stages = Callable[[str, int, int], None]  # told (what is done, done, total), total 0 where nothing is counted
TIMEOUT = 120.0  # seconds for one picture
ENDING = 10.0  # seconds for what is written when the rest is dropped, lest half a file is left


class Threads:
    """``n`` threads that do what is submitted, in order. Unlike ThreadPoolExecutor's they are daemons: a thread that is
    stuck in a read does not keep the process from ending."""

    def __init__(self, n: int) -> None:
        self.queue: SimpleQueue[Work | None] = SimpleQueue()
        self.threads = [threading.Thread(target=self._run, name=f"visrun-data-{i}", daemon=True) for i in range(n)]
        for thread in self.threads:
            thread.start()

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Queue ``work``."""
        future: Future[Result] = Future()
        self.queue.put((future, work))
        return future

    def end(self) -> None:
        """Drop what is queued, and tell the threads to end after what they are doing."""
        with contextlib.suppress(Empty):
            while (queued := self.queue.get_nowait()) is not None:
                queued[0].cancel()
        for _ in self.threads:
            self.queue.put(None)

    def join(self, seconds: float) -> None:
        """Wait for their end, no longer than ``seconds``."""
        until = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while self._next():
            pass

    def _next(self) -> bool:
        """Do what is queued next; whether there will be more. Returning lets go of a picture's memory."""
        queued = self.queue.get()
        if queued is None:
            return False
        future, work = queued
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
        return True


def untold(what: str, done: int, total: int) -> None:
    """`Stages` that nobody hears of."""


def awaited(future: Future[None], path: Path) -> None:
    """Wait until the picture of ``path`` is decoded.

    Raises:
        DataError: A file that cannot be read.
        Late: One that did not come in time.
    """
    try:
        future.result(2 * TIMEOUT)
    except TimeoutError:
        raise late(path) from None


def mapped(
    read: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    path: Callable[[Item], Path],
    progress: Progress | None = None,
) -> list[Result]:
    """What ``read`` says of each item, in order; threads ask it, since reading files is mostly waiting.

    Args:
        read: Reads the file of an item.
        items: As many as there are.
        path: The file of an item, by which one that does not come is named.
        progress: Called with (done, total) about a hundred times.

    Raises:
        Late: A file did not come in time; and whatever ``read`` raises.
    """

    def fill(part: Sequence[Item], into: list[Result]) -> None:
        for item in part:
            into.append(read(item))  # noqa: PERF401 (who waits sees how far it is)

    stride = max(1, len(items) // 100)
    parts = [items[start : start + stride] for start in range(0, len(items), stride)]
    filled: list[list[Result]] = [[] for _ in parts]
    found: list[Result] = []
    pool = Threads(min(32, 4 * (os.cpu_count() or 1), len(parts)))
    try:
        futures = [pool.submit(partial(fill, *pair)) for pair in zip(parts, filled, strict=True)]
        for future, part, results in zip(futures, parts, filled, strict=True):
            _awaited_all(future, part, results, path)
            found += results
            if progress is not None:
                progress(len(found), len(items))
    finally:
        pool.end()
    return found


def in_order(jobs: Iterable[Callable[[], Result]], *, threads: int) -> Generator[Result, None, None]:
    """What each of ``jobs`` returns or raises, in order; threads do them while the next are made, a few at a time.

    What making them raises comes after what was made. Closing it, also by Ctrl-C or an error, drops what has not begun
    and waits for the rest.
    """
    pool = Threads(threads)
    waiting: deque[Future[Result]] = deque()
    try:
        for job in _with_end(jobs):
            waiting.append(pool.submit(job))
            while waiting and (len(waiting) > 2 * threads or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.end()
        pool.join(ENDING)


def _with_end(jobs: Iterable[Callable[[], Result]]) -> Iterator[Callable[[], Result]]:
    """``jobs``, and where no more can be made one that raises why."""
    try:
        yield from jobs
    except Exception as error:
        yield partial(_raise, error)


def _raise(error: Exception) -> Any:
    raise error


def _awaited_all(
    future: Future[None], items: Sequence[Item], done: Sequence[object], path: Callable[[Item], Path]
) -> None:
    """Wait until each of ``items`` has its result in ``done``, which the work of ``future`` fills in order."""
    found = -1
    while not future.done():
        if len(done) == found:
            raise late(path(items[found]))
        found = len(done)
        wait([future], 2 * TIMEOUT)
    future.result()


def late(path: Path) -> Late:
    """The error for a file that did not come in time."""
    return Late(f"{path}: not read in time: is a network drive gone?")
