"""From a dataset's splits to batches: cut, decoded, packed, and looked at as the network expects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visrun.data import boxing, defects, placement, tiles
from visrun.data.augment import Augment
from visrun.data.batches import PAINTED, Batches, Spoil
from visrun.data.cache import Images, Progress, open_images
from visrun.data.geometry import Fit
from visrun.data.outlines import Window
from visrun.data.records import Dataset
from visrun.data.targets import target_tensor
from visrun.tables import OBJECT_TARGETS


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a network sees a picture.

    Args:
        image_size: (height, width) in pixels.
        fit: How a picture meets that size.
        mean: 3 floats in [0, 1]; with ``std``, what its weights expect.
        tile: Side of the tiles into which larger pictures are cut, or None.
        overlap: Of neighbouring tiles, in pixels.
    """

    image_size: tuple[int, int]
    fit: Fit
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tile: int | None = None
    overlap: int = 0

    def windows(self, size: tuple[int, int]) -> list[Window]:
        """The parts of a picture of ``size`` (width, height) that are looked at."""
        if self.tile is None:
            return [(0, 0, *size)]
        return tiles.windows(size, tile=self.tile, overlap=self.overlap)


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Where decoded pictures are kept, as `visrun.data.cache.open_images` takes it."""

    cache: str = "auto"
    cache_gb: float | None = None
    cache_dir: Path | None = None
    workers: int = -1
    on_bad: str = "error"


def split_batches(
    dataset: Dataset,
    split: str,
    *,
    kind: str,
    look: Look,
    keep: Keep,
    device: torch.device,
    batch_size: int,
    training: bool = False,
    seed: int = 0,
    augment: Augment | None = None,
    extra: Sequence[Callable[..., Tensor]] = (),
    spoil: Spoil | None = None,
    unmarked: bool = True,
    progress: Progress | None = None,
) -> Batches:
    """The batches of one split.

    Args:
        kind: Of its targets.
        training: Shuffled and filled up, and without what only a metric wants to know.
        batch_size: At most that of the split's pictures where it is not trained on.
        spoil: Makes defects; of a split that is not trained on each picture stands there twice, good and spoiled.
        unmarked: Whether something is learnt from labelled defects without masks.
    """
    rows = dataset.splits[split] * (2 if spoil is not None and not training else 1)
    cuts = [(row, window) for row in rows for window in look.windows(dataset.sizes[row.image])]
    images = open_images(
        [row.image for row, _ in cuts],
        masks=[row.target for row, _ in cuts] if kind in (*PAINTED, "instances") else None,
        mask_ids=dataset.mask_ids,
        sizes=dataset.sizes,
        windows=[window for _, window in cuts],
        image_size=look.image_size,
        fit=look.fit,
        cache=keep.cache,
        cache_gb=keep.cache_gb,
        cache_dir=keep.cache_dir,
        device=device,
        workers=keep.workers,
        on_bad=keep.on_bad,
        progress=progress,
    )
    truths = [cuts[i][0].target for i in images.kept]
    seen = kind in OBJECT_TARGETS and not training
    return Batches(
        images,
        packed(dataset, truths, images, kind=kind),
        kind=kind,
        num_classes=len(dataset.classes),
        batch_size=batch_size if training else min(batch_size, max(1, len(images))),
        image_size=look.image_size,
        fit=look.fit,
        augment=augment,
        mean=look.mean,
        std=look.std,
        device=device,
        seed=seed,
        shuffle=training,
        extra=extra,
        scenes=placement.scenes(images, truths, look.image_size, look.fit) if seen else (),
        spoil=spoil,
        chances=None if spoil is None else defects.chances(truths, training=training, unmarked=unmarked),
    )


def packed(dataset: Dataset, targets: Iterable[Any], images: Images | None, *, kind: str) -> Tensor | None:
    """Targets as one tensor, in the form that batches are made from; None for masks, which come with the images.

    Args:
        targets: Of the records, or of the usable pictures in ``images``, which objects are measured in.
    """
    if kind in OBJECT_TARGETS:
        assert images is not None, "objects are packed in pixels of the kept pictures"
        return boxing.table(list(targets), images.windows, images.sizes, kind=kind)
    if kind in PAINTED:
        return None
    return target_tensor(list(targets), kind=kind, num_classes=len(dataset.classes), multilabel=dataset.multilabel)


def where_kept(images: Images) -> str:
    """``1,257 in RAM (3.9 MB, 0.1 s)``."""
    if images.place == "stream":
        return f"{len(images):,} decoded anew in every epoch"
    how = "found" if images.reused else f"{images.seconds:.1f} s"
    where = {"gpu": "on the GPU", "ram": "in RAM", "disk": "on disk"}[images.place]
    return f"{len(images):,} {where} ({images.nbytes / 1e6:,.1f} MB, {how})"
