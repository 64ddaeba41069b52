"""Batches of canvases on the host, made while earlier ones are in use: decoded from files, or copied from an array.

Legend: n pictures, Hc x Wc canvas, L layers of masks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visrun.data import threads
from visrun.data.decoding import GRACE, Helper, Job, Late, Lost, Pixels
from visrun.data.images import Truth
from visrun.data.objects import LAYERS, Objects
from visrun.data.threads import Threads, awaited
from visrun.errors import DataError

Item = TypeVar("Item")
THREADS_ENOUGH = 4  # workers up to which threads alone do (see `decoding`)
HELPERS_PAY = 512  # pictures from which starting helpers pays
AHEAD = 3  # batches prepared while one is in use
MOST_WHOLE = 300_000_000  # pixels of files that lie decoded as a whole while parts are cut from them: some 2 GB


@dataclass(frozen=True)
class Source:
    """The files behind a dataset and what each becomes.

    Args:
        paths: n image files.
        masks: n mask files, the objects or verdicts of n images of which masks are wanted, or None.
        sizes: (n, 2) height and width in the canvas.
        canvas: (Hc, Wc).
        mask_ids: As `visrun.data.images.mask_of` takes them; () = numbers of objects, not classes.
        windows: (n, 4) left, top, right, bottom: the part of the file that each picture is.
        wholes: (n, 2) height and width of the files.
        white: As `visrun.data.look.Look` has it.
    """

    paths: tuple[Path, ...]
    masks: tuple[Truth, ...] | None
    sizes: NDArray[np.int64]
    canvas: tuple[int, int]
    mask_ids: tuple[int, ...]
    windows: NDArray[np.int64]
    wholes: NDArray[np.int64]
    white: int | None = None

    @property
    def layers(self) -> int:
        """L: of class ids there is one layer, of objects two, and none without masks."""
        if not self.masks:
            return 0
        return LAYERS if isinstance(self.masks[0], Objects) and not self.mask_ids else 1

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
        """Of the arrays that hold all of it: pixels (n, Hc, Wc, 3) and masks (n, L, Hc, Wc) or None."""
        n = len(self.paths)
        return (n, *self.canvas, 3), (n, self.layers, *self.canvas) if self.layers else None

    def job(self, i: int) -> Job:
        """What to decode for picture ``i``."""
        mask = None if self.masks is None else self.masks[i]
        size, window, whole = (tuple(array[i].tolist()) for array in (self.sizes, self.windows, self.wholes))
        return Job(self.paths[i], mask, self.mask_ids, size, window, whole, self.white)


Canvases = tuple[Tensor, Tensor | None]  # canvases (B, Hc, Wc, 3) and masks (B, L, Hc, Wc), uint8, on the host


def blank(source: Source, n: int, *, pinned: bool = False) -> Canvases:
    """Room for ``n`` pictures of ``source``; pinned memory is copied to a GPU without waiting."""
    pixels, masks = (
        None if shape is None else torch.empty((n, *shape[1:]), dtype=torch.uint8, pin_memory=pinned)
        for shape in source.shapes
    )
    assert pixels is not None
    return pixels, masks


class Pool:
    """Threads that decode pictures of ``source``, with a helper process each where there are many.

    The tiles of one file are all cut by one thread, which decodes it once for those that follow each other; of such
    threads there are so few that their files fit into memory together.

    Leaving the ``with`` block, also by Ctrl-C or an error, drops what is queued.
    """

    def __init__(self, source: Source, workers: int) -> None:
        self.source = source
        self.threads = Threads(max(1, workers))
        self.cutters: list[Threads] = []  # of one thread each, as they are needed
        self.cutter_of: dict[Path, Threads] = {}
        self.most_cutters = max(1, min(workers, MOST_WHOLE // max(1, int(source.wholes.prod(1).max(initial=1)))))
        self.helped = workers > THREADS_ENOUGH and len(source.paths) >= HELPERS_PAY
        self.helpers: dict[int, Helper] = {}  # by thread
        self.left = False

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.left, every = True, [self.threads, *self.cutters]
        for group in every:
            group.end()
        self._close()
        for group in every:
            group.join(GRACE)
        self._close()  # a thread that had just begun may have started one more

    def _close(self) -> None:
        while self.helpers:
            self.helpers.popitem()[1].close()

    def start(self, rows: NDArray[np.int64], batch: Canvases) -> list[Future[None]]:
        """Start decoding pictures ``rows`` into ``batch``; one future per picture, in order."""
        pixels, masks = (None if part is None else part.numpy() for part in batch)
        assert pixels is not None
        jobs = [self.source.job(int(row)) for row in rows]
        futures: dict[int, Future[None]] = {}
        for i in _by_file(jobs):
            work = partial(self._decode, jobs[i], pixels[i], None if masks is None else masks[i])
            futures[i] = self._threads(jobs[i]).submit(work)
        return [futures[i] for i in range(len(jobs))]

    def _threads(self, job: Job) -> Threads:
        """Those that do a job: of a file of which parts are wanted, always the same one."""
        if not job.cut:
            return self.threads
        if job.image not in self.cutter_of:
            if len(self.cutters) < self.most_cutters:
                self.cutters.append(Threads(1))
            self.cutter_of[job.image] = self.cutters[len(self.cutter_of) % len(self.cutters)]
        return self.cutter_of[job.image]

    def _decode(self, job: Job, pixels: Pixels, mask: Pixels | None) -> None:
        if not self.helped:
            return job.decode(pixels, mask)
        try:
            return self._by_helper(job, pixels, mask)
        except Late:
            raise
        except Lost:  # killed, where memory ran short: which says nothing of the file
            if self.left:
                raise
        return self._by_helper(job, pixels, mask)

    def _by_helper(self, job: Job, pixels: Pixels, mask: Pixels | None) -> None:
        me = threading.get_ident()
        if me not in self.helpers:
            self.helpers[me] = Helper(self.source.canvas, max(1, self.source.layers))
        helper = self.helpers[me]
        try:
            helper.decode(job, pixels, mask, threads.TIMEOUT)
        except Lost:  # the next picture gets a fresh one
            if self.helpers.pop(me, None) is not None:
                helper.close()
            raise


def _by_file(jobs: Sequence[Job]) -> list[int]:
    """The numbers of ``jobs``, those of one file after each other, the file that comes first before others."""
    first: dict[Path, int] = {}
    for i, job in enumerate(jobs):
        first.setdefault(job.image, i)
    return sorted(range(len(jobs)), key=lambda i: first[jobs[i].image])


def pipelined(
    items: Iterable[Item], start: Callable[[Item], list[Future[None]]]
) -> Iterator[tuple[Item, list[Future[None]]]]:
    """Each item with its futures, `AHEAD` items after it was started."""
    waiting: deque[tuple[Item, list[Future[None]]]] = deque()
    for item in items:
        waiting.append((item, start(item)))
        if len(waiting) > AHEAD:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def decoded(
    source: Source, order: Iterable[NDArray[np.int64]], *, workers: int, pinned: bool = False
) -> Iterator[Canvases]:
    """The pictures of each row of ``order``, decoded while earlier batches are in use.

    Raises:
        DataError: A file that cannot be read, or that did not come in time.
    """
    items = ((rows, blank(source, len(rows), pinned=pinned)) for rows in order)
    with Pool(source, workers) as pool:
        for (rows, batch), futures in pipelined(items, lambda item: pool.start(*item)):
            for row, future in zip(rows, futures, strict=True):
                try:
                    awaited(future, source.paths[row])
                except Lost:
                    raise
                except DataError as error:
                    raise DataError(f"{error}: mend it, or leave it out with data.on_bad=skip") from error
            yield batch


def attempted(
    source: Source, order: Iterable[NDArray[np.int64]], *, workers: int
) -> Iterator[tuple[NDArray[np.int64], Canvases, dict[int, str]]]:
    """As `decoded`, with each row of ``order`` (equally long but for the last) and what is wrong with those of its
    pictures that cannot be read. A batch lasts until the next: fresh memory for each costs more than the resizing.

    Raises:
        Late: A file that did not come in time. It is not counted as wrong: a later run may well read it.
    """
    rooms: list[Canvases] = []

    def room(i: int, n: int) -> Canvases:
        if i < AHEAD + 1:
            rooms.append(blank(source, n))
        pixels, masks = rooms[i % (AHEAD + 1)]
        return pixels[:n], None if masks is None else masks[:n]

    items = ((rows, room(i, len(rows))) for i, rows in enumerate(order))
    with Pool(source, workers) as pool:
        for (rows, batch), futures in pipelined(items, lambda item: pool.start(*item)):
            failures = {}
            for row, future in zip(rows, futures, strict=True):
                try:
                    awaited(future, source.paths[row])
                except Late:
                    raise
                except DataError as error:
                    failures[int(row)] = str(error)
            yield rows, batch, failures


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` on ``device``, without waiting for the copy."""
    if device.type != "cuda":
        return tensor.to(device)
    return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)


def taken(array: Tensor, rows: Tensor) -> Tensor:
    """Copies of ``rows``, where ``array`` of bytes lies, eight bytes at a time if they allow it: many of a GPU's
    kernels move one element each."""
    flat = array.flatten(1)
    wide = flat.view(torch.int64) if flat.shape[1] % 8 == 0 else flat
    return wide.index_select(0, rows).view(array.dtype).unflatten(1, array.shape[1:])


def gathered(
    source: Source, stored: Canvases, order: Iterable[NDArray[np.int64]], *, pinned: bool
) -> Iterator[Canvases]:
    """Copies of the rows of ``stored``, the pictures of ``source`` on the host, that each row of ``order`` names, made
    ahead by one thread."""

    def copy(rows: NDArray[np.int64], batch: Canvases) -> None:
        for part, out in zip(stored, batch, strict=True):
            if part is not None and out is not None:
                torch.index_select(part, 0, torch.from_numpy(rows), out=out)

    items = ((rows, blank(source, len(rows), pinned=pinned)) for rows in order)
    with ThreadPoolExecutor(1, thread_name_prefix="visrun-data") as thread:
        try:
            for (_, batch), futures in pipelined(items, lambda item: [thread.submit(copy, *item)]):
                futures[0].result()
                yield batch
        finally:
            thread.shutdown(wait=True, cancel_futures=True)
