"""From files to canvases on the host, by a pool of threads: Pillow decodes and resizes without holding Python's lock.

Threads rather than worker processes: nothing is copied between processes, none can die or outlive a Ctrl-C, and on 16
cores they reach about the rate of 16 DataLoader workers. A canvas holds one picture at its top left, shrunk once
(antialiased, aspect kept, never enlarged), its right and bottom edges repeated so that sampling at the border is clean.

Legend: n pictures, Hc x Wc canvas.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from visrun.data.images import IGNORE, load_mask, load_rgb
from visrun.errors import DataError

Pixels = NDArray[np.uint8]
Job = TypeVar("Job")
TIMEOUT = 120.0  # seconds without one picture: a hung network drive must not hang a run for ever
AHEAD = 3  # batches prepared while one is in use


@dataclass(frozen=True)
class Source:
    """The files behind a dataset and what each becomes.

    Args:
        paths: n image files.
        masks: n mask files, or None.
        sizes: (n, 2) height and width in the canvas.
        canvas: (Hc, Wc).
        mask_ids: As `visrun.data.images.load_mask` takes them.
    """

    paths: tuple[Path, ...]
    masks: tuple[Path, ...] | None
    sizes: NDArray[np.int64]
    canvas: tuple[int, int]
    mask_ids: tuple[int, ...] = ()

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
        """Of the arrays that hold all of it: pixels (n, Hc, Wc, 3) and masks (n, Hc, Wc) or None."""
        n = len(self.paths)
        return (n, *self.canvas, 3), None if self.masks is None else (n, *self.canvas)

    def decode(self, i: int, pixels: Pixels, mask: Pixels | None) -> None:
        """Fill one canvas (Hc, Wc, 3) and one mask canvas (Hc, Wc), 255 beyond the picture.

        Raises:
            DataError: A file that cannot be read.
        """
        h, w = (int(side) for side in self.sizes[i])
        image = load_rgb(self.paths[i], within=(h, w))
        if image.shape[:2] != (h, w):
            image = np.asarray(Image.fromarray(image).resize((w, h), Image.Resampling.BILINEAR))
        pixels[:h, :w] = image
        pixels[:h, w:] = pixels[:h, w - 1 : w]
        pixels[h:] = pixels[h - 1 : h]
        if self.masks is None or mask is None:
            return
        ids = load_mask(self.masks[i], ids=self.mask_ids)
        if ids.shape != (h, w):
            ids = np.asarray(Image.fromarray(ids).resize((w, h), Image.Resampling.NEAREST))
        mask[:] = IGNORE
        mask[:h, :w] = ids


Batch = tuple[Tensor, Tensor | None]  # canvases (B, Hc, Wc, 3) and masks (B, Hc, Wc), uint8, on the host


def blank(source: Source, n: int, *, pinned: bool = False) -> Batch:
    """Room for ``n`` pictures of ``source``; pinned memory is copied to a GPU without waiting."""
    pixels = torch.empty((n, *source.canvas, 3), dtype=torch.uint8, pin_memory=pinned)
    masks = torch.empty((n, *source.canvas), dtype=torch.uint8, pin_memory=pinned) if source.masks is not None else None
    return pixels, masks


def decode(threads: ThreadPoolExecutor, source: Source, rows: NDArray[np.int64], batch: Batch) -> list[Future[None]]:
    """Start decoding pictures ``rows`` into ``batch``; one future per picture, in order."""
    pixels, masks = (None if part is None else part.numpy() for part in batch)
    assert pixels is not None
    return [
        threads.submit(source.decode, int(row), pixels[i], None if masks is None else masks[i])
        for i, row in enumerate(rows)
    ]


def pipelined(
    jobs: Iterable[Job],
    start: Callable[[ThreadPoolExecutor, Job], list[Future[None]]],
    *,
    workers: int,
    ahead: int = AHEAD,
) -> Iterator[tuple[Job, list[Future[None]]]]:
    """Each job with its futures, started ``ahead`` jobs before it is handed out.

    Leaving early, also by Ctrl-C or an error, drops what is queued.
    """
    waiting: deque[tuple[Job, list[Future[None]]]] = deque()
    threads = ThreadPoolExecutor(max(1, workers), thread_name_prefix="visrun-data")
    try:
        for job in jobs:
            waiting.append((job, start(threads, job)))
            if len(waiting) > ahead:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def decoded(
    source: Source, order: Iterable[NDArray[np.int64]], *, workers: int, pinned: bool = False
) -> Iterator[Batch]:
    """The pictures of each row of ``order``, decoded while earlier batches are in use.

    Raises:
        DataError: A file that cannot be read, or that did not come within two minutes.
    """
    jobs = ((rows, blank(source, len(rows), pinned=pinned)) for rows in order)
    for (rows, batch), futures in pipelined(jobs, lambda threads, job: decode(threads, source, *job), workers=workers):
        for row, future in zip(rows, futures, strict=True):
            try:
                future.result(TIMEOUT)
            except TimeoutError:
                path = source.paths[int(row)]
                raise DataError(f"{path}: not read within {TIMEOUT:.0f} s: is a network drive gone?") from None
        yield batch


def attempted(
    source: Source, order: Iterable[NDArray[np.int64]], *, workers: int
) -> Iterator[tuple[NDArray[np.int64], Batch, dict[int, str]]]:
    """As `decoded`, with each row of ``order`` and what is wrong with those of its pictures that cannot be read."""
    jobs = ((rows, blank(source, len(rows))) for rows in order)
    for (rows, batch), futures in pipelined(jobs, lambda threads, job: decode(threads, source, *job), workers=workers):
        failures = {}
        for row, future in zip(rows, futures, strict=True):
            try:
                future.result()
            except DataError as error:
                failures[int(row)] = str(error)
        yield rows, batch, failures


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` on ``device``, without waiting for the copy."""
    if device.type != "cuda":
        return tensor.to(device)
    return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)


def gathered(stored: Batch, order: Iterable[NDArray[np.int64]], *, pinned: bool) -> Iterator[Batch]:
    """Copies of the rows of ``stored`` (on the host) that each row of ``order`` names, made ahead by one thread."""

    def room(n: int) -> Batch:
        pixels, masks = (
            None if part is None else torch.empty((n, *part.shape[1:]), dtype=part.dtype, pin_memory=pinned)
            for part in stored
        )
        assert pixels is not None
        return pixels, masks

    def copy(rows: NDArray[np.int64], batch: Batch) -> None:
        for part, out in zip(stored, batch, strict=True):
            if part is not None and out is not None:
                torch.index_select(part, 0, torch.from_numpy(rows), out=out)

    jobs = ((rows, room(len(rows))) for rows in order)
    for (_, batch), futures in pipelined(jobs, lambda threads, job: [threads.submit(copy, *job)], workers=1):
        futures[0].result()
        yield batch
