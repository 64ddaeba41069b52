"""Every image decoded once and kept as one array of bytes: on the GPU, in RAM, or on disk, whichever fits.

``auto`` takes the first place whose budget holds the images (the GPU if one trains, RAM, disk), else ``stream``, which
decodes them anew in every epoch. Opened images are shared by all runs of one process; those on disk also by later ones,
under ``$XDG_CACHE_HOME/visrun`` (usually ``~/.cache/visrun``), one folder per content:
SHA-256 over path, byte size and modification time of every file, and the sizes kept.
"""

from __future__ import annotations

import gc
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visrun.data import contents, places, stream
from visrun.data.check import MOST_SHOWN, MOST_SKIPPED
from visrun.data.faults import Undecodable
from visrun.data.stream import Canvases, Source
from visrun.data.threads import Progress
from visrun.device import is_out_of_memory
from visrun.errors import ConfigError, DataError
from visrun.tables.words import Cache, OnBad, Tier
from visrun.text import first_lines, plural

CHUNK = 64
MOST_OPEN = 8  # sets of images that one process keeps for its next run


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Where and how decoded pictures are kept.

    Args:
        cache: auto, gpu, ram, disk or stream.
        cache_gb: Budget in 10^9 bytes for all sets kept open in a place; None = half of what is free.
        cache_dir: Where the disk's arrays lie; None = the user's, `folders.cache_folder`.
        workers: Threads that decode; -1 = one per core but one, at most 16.
        cores: How many cores are meant by that; None = the machine's.
        on_bad: error, or skip to leave out files whose pixels cannot be decoded.
    """

    cache: Cache = "auto"
    cache_gb: float | None = None
    cache_dir: Path | None = None
    workers: int = -1
    cores: int | None = None
    on_bad: OnBad = "error"


@dataclass(frozen=True, eq=False)
class Images:
    """Images that batches are taken from; positions count the usable ones.

    Args:
        source: All n files.
        kept: (N,) the numbers of the usable files, ascending.
        bad: One line for each of the others.
        place: gpu, ram, disk or stream.
        pixels: (n, Hc, Wc, 3) uint8, or None when streaming; masks: (n, L, Hc, Wc) uint8, or None without.
        seconds: What opening took; reused: whether nothing had to be decoded for it.
        workers: Threads that decode.
    """

    source: Source
    kept: NDArray[np.int64]
    bad: tuple[str, ...]
    place: Tier
    pixels: Tensor | None
    masks: Tensor | None
    seconds: float
    reused: bool
    workers: int

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(self.source.paths[i] for i in self.kept)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(N, 2) height and width of each picture, which lies at the top left of its canvas."""
        return self.source.sizes[self.kept]

    @property
    def windows(self) -> NDArray[np.int64]:
        """(N, 4) left, top, right, bottom: the part of its file that each picture is."""
        return self.source.windows[self.kept]

    @property
    def wholes(self) -> NDArray[np.int64]:
        """(N, 2) height and width of the file of each picture."""
        return self.source.wholes[self.kept]

    @property
    def nbytes(self) -> int:
        """Bytes the arrays take where they lie (when streaming: what they would take)."""
        return contents.needed(self.source)

    def batches(self, order: NDArray[np.int64], device: torch.device) -> Iterator[Canvases]:
        """Pixels and masks, on ``device``, of the positions in each row of ``order`` (steps, B)."""
        rows = self.kept[order]
        if self.pixels is not None and self.pixels.device.type == device.type and self.place != "disk":
            return self._resident(stream.sent(torch.from_numpy(rows), device))
        pinned = device.type == "cuda"
        if self.pixels is None:
            made = stream.decoded(self.source, rows, workers=self.workers, pinned=pinned)
        else:
            made = stream.gathered(self.source, (self.pixels, self.masks), rows, pinned=pinned)
        return ((stream.sent(p, device), None if m is None else stream.sent(m, device)) for p, m in made)

    def _resident(self, rows: Tensor) -> Iterator[Canvases]:
        assert self.pixels is not None
        for row in rows:
            yield stream.taken(self.pixels, row), None if self.masks is None else stream.taken(self.masks, row)


def open_images(
    source: Source, keep: Keep, *, device: torch.device | str = "cpu", progress: Progress | None = None
) -> Images:
    """Decode images to the size that training needs and keep them.

    Args:
        source: The files, see `contents.describe`.
        device: Where the network is.
        progress: Called with (done, total).

    Raises:
        ConfigError: A place by name that is not there or does not fit.
        Undecodable: Files that cannot be decoded, the first 20 of them listed.
        DataError: One that did not come in time.
    """
    begun = time.perf_counter()
    device = torch.device(device)
    folder = places.entries(keep.cache_dir) / contents.key(source)
    memo = (folder, keep.cache, keep.cache_gb, device)
    opened = _OPEN.get(memo)
    if opened is None:
        opened = _placed(source, folder, device, keep, progress)
    if opened.place != "stream":
        _OPEN[memo] = replace(opened, reused=True)
        _OPEN.move_to_end(memo)
    while len(_OPEN) > MOST_OPEN:
        _OPEN.popitem(last=False)
    given = _checked(replace(opened, seconds=time.perf_counter() - begun), keep.on_bad)
    _GIVEN.add(given)
    return given


_OPEN: OrderedDict[tuple[object, ...], Images] = OrderedDict()  # for this process's next run
_GIVEN: WeakSet[Images] = WeakSet()  # what callers hold: one set may have been given to several


def _taken(place: Tier) -> int:
    """Bytes of the sets that this process keeps open in ``place``."""
    sets = {id(images.source): images for images in (*_OPEN.values(), *_GIVEN)}
    return sum(images.nbytes for images in sets.values() if images.place == place)


def _forget_unused() -> None:
    """Let go of the sets that earlier runs of this process left."""
    gc.collect()  # a finished run's objects hold one another
    used = {id(images.source) for images in _GIVEN}
    for memo in [memo for memo, images in _OPEN.items() if id(images.source) not in used]:
        del _OPEN[memo]


def _placed(source: Source, folder: Path, device: torch.device, keep: Keep, progress: Progress | None) -> Images:
    """The images in the first place that takes them: what is free may be another process' before it is taken here."""
    need = contents.needed(source)
    full: list[Tier] = []
    while True:
        place = choose(need, keep, folder=folder, device=device, full=full)
        try:
            return _built(source, place, folder, device, keep, progress)
        except places.NoRoom:
            if keep.cache != "auto":
                raise
        except RuntimeError as error:
            if place not in ("gpu", "ram") or not is_out_of_memory(error):
                raise
            if keep.cache != "auto":
                raise ConfigError(
                    f"data.cache={place}: out of memory for the images' {need / 1e9:.2f} GB: use data.cache=auto"
                ) from None
        full.append(place)


def choose(need: int, keep: Keep, *, folder: Path, device: torch.device, full: Sequence[Tier] = ()) -> Tier:
    """Where ``need`` bytes go beside the sets in use, before which those of earlier runs give way; a place asked for by
    name may fill nine tenths of what is free there, and one that is ``full`` is passed over.

    Raises:
        ConfigError: A place by name that is unknown, not there, or too small.
    """
    wanted = [place for place in places.candidates(keep.cache, device) if place not in full]
    gb = keep.cache_gb

    def first() -> Tier | None:
        share = 0.5 if keep.cache == "auto" else 0.9
        fits = partial(places.fits, need=need, cache_gb=gb, share=share, folder=folder, device=device)
        return next((place for place in wanted if fits(place, taken=_taken(place))), None)

    place = first()
    if place != wanted[0] and _OPEN:
        _forget_unused()
        place = first()
    if place is not None:
        return place
    free = places.room(wanted[0], folder, device) if gb is None else gb * 1e9 - _taken(wanted[0])
    if wanted[0] == "disk" and not places.room("disk", folder, device):
        raise ConfigError(
            f"data.cache=disk: {folder.parent} cannot be written or is full: use data.cache_dir or data.cache=auto"
        )
    raise ConfigError(
        f"data.cache={keep.cache}: the images need {need / 1e9:.2f} GB, {free / 1e9:.2f} GB are "
        f"{'free there' if gb is None else f'left of data.cache_gb={gb:g}'}: use data.cache=auto"
    )


def _built(
    source: Source, place: Tier, folder: Path, device: torch.device, keep: Keep, progress: Progress | None
) -> Images:
    """The images decoded into ``place``, or found there."""
    cores = keep.cores or os.cpu_count() or 1
    workers = keep.workers if keep.workers > 0 else max(1, min(16, cores - 1))
    fill = partial(_fill, source, workers=workers + 1, progress=progress)  # nothing else runs yet
    arrays: list[Tensor | None] = [None, None]
    bad: dict[int, str] = {}
    reused = False
    if place == "disk":
        found = places.read(folder, source.shapes)
        reused = found is not None
        if found is None:
            found = _written(source, folder, fill, progress)
        if found is None:
            raise DataError(f"{folder}: the image cache cannot be read back: delete this folder, or use data.cache=ram")
        arrays, bad = found[0], {int(i): why for i, why in found[1]["bad"].items()}
    elif place != "stream":
        where = device if place == "gpu" else torch.device("cpu")
        arrays = [None if s is None else torch.empty(s, dtype=torch.uint8, device=where) for s in source.shapes]
        bad = fill(arrays)
    elif keep.on_bad == "skip":
        bad = fill([None, None])  # which can be used must be known before the first epoch
    kept = np.array([i for i in range(len(source.paths)) if i not in bad], np.int64)
    lines = tuple(bad[i] for i in sorted(bad))
    return Images(source, kept, lines, place, arrays[0], arrays[1], 0.0, reused, workers)


def _written(
    source: Source, folder: Path, fill: Callable[[list[Tensor | None]], dict[int, str]], progress: Progress | None
) -> tuple[list[Tensor | None], dict[str, Any]] | None:
    """The entry on disk, decoded here or by another run that has begun with it; None where it cannot be read back."""

    def wait() -> None:
        if progress is not None:
            progress(0, len(source.paths))

    with places.alone(folder, wait):
        if (found := places.read(folder, source.shapes)) is None:
            places.write(folder, source.shapes, lambda arrays: {"bad": fill(arrays)})
    return found or places.read(folder, source.shapes)


def _fill(source: Source, arrays: list[Tensor | None], *, workers: int, progress: Progress | None) -> dict[int, str]:
    """Decode every file into ``arrays`` (pixels, masks; on any device; None = nowhere); what is wrong with which."""
    n = len(source.paths)
    bad: dict[int, str] = {}
    order = [np.arange(i, min(i + CHUNK, n)) for i in range(0, n, CHUNK)]
    for rows, batch, failures in stream.attempted(source, order, workers=workers):
        bad |= failures
        for whole, part in zip(arrays, batch, strict=True):
            if whole is not None and part is not None:
                whole[rows[0] : rows[-1] + 1].copy_(part)
        if progress is not None:
            progress(int(rows[-1]) + 1, n)
    return bad


def _checked(opened: Images, on_bad: OnBad) -> Images:
    """``opened``, unless bad files forbid it."""
    bad, n = opened.bad, len(opened.source.paths)
    if not bad or (on_bad == "skip" and len(bad) <= MOST_SKIPPED * n):
        return opened
    head = f"{len(bad)} of {plural(n, 'image')} cannot be decoded:"
    advice = "leave them out with data.on_bad=skip" if on_bad != "skip" else "look at the dataset: too many to skip"
    raise Undecodable(
        "\n".join([head, *(f"  {line}" for line in first_lines(bad, MOST_SHOWN)), f"Mend them, or {advice}"])
    )
