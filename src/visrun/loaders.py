"""From a dataset's splits to batches: cut, decoded, packed, and looked at as the network expects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from visrun.data import boxing, contents, defects, placement
from visrun.data.batches import STILL, Batches, Targets, Vary
from visrun.data.cache import Images, Keep, open_images
from visrun.data.look import Look
from visrun.data.records import Dataset
from visrun.data.targets import target_tensor
from visrun.data.threads import Progress
from visrun.tables import TARGETS


def split_batches(
    dataset: Dataset,
    split: str,
    look: Look,
    keep: Keep,
    vary: Vary = STILL,
    *,
    batch_size: int,
    device: torch.device,
    unmarked: bool = True,
    progress: Progress | None = None,
) -> Batches:
    """The batches of one split. A split that is trained on lacks what only a metric reads.

    Args:
        vary: With ``spoil``, each picture of a split that is not trained on stands there twice, good and spoiled.
        batch_size: At most that of the split's pictures where it is not trained on.
        unmarked: False where the model learns nothing from labelled defects without masks: these are not drawn.
    """
    kind, spoilt, training = dataset.kind, vary.spoil is not None, vary.training
    rows = dataset.splits[split] * (2 if spoilt and not training else 1)
    cuts = [(row, window) for row in rows for window in look.windows(dataset.sizes[row.image])]
    source = contents.describe(
        [row.image for row, _ in cuts],
        look,
        masks=[row.target for row, _ in cuts] if TARGETS[kind].planes else None,
        mask_ids=dataset.mask_ids,
        sizes=dataset.sizes,
        windows=[window for _, window in cuts],
    )
    images = open_images(source, keep, device=device, progress=progress)
    truths = [cuts[i][0].target for i in images.kept]
    told = not training and (TARGETS[kind].objects or kind == "verdict")
    targets = Targets(
        kind,
        packed(dataset, truths, images, kind=kind),
        num_classes=len(dataset.classes),
        scenes=placement.scenes(images, truths, look) if told else (),
        chances=defects.chances(truths, training=training, unmarked=unmarked) if spoilt else None,
    )
    size = batch_size if training else min(batch_size, max(1, len(images)))
    return Batches(images, targets, look, vary, batch_size=size, device=device)


def packed(
    dataset: Dataset, targets: Iterable[Any], images: Images | None, *, kind: str
) -> Tensor | boxing.Table | None:
    """Targets in the form that batches are made from; None for masks, which come with the images.

    Args:
        targets: Of the records, or of the usable pictures in ``images``, which objects are measured in.
    """
    if TARGETS[kind].objects:
        assert images is not None, "objects are packed in pixels of the kept pictures"
        return boxing.table(list(targets), images.windows, images.sizes, wholes=images.wholes, kind=kind)
    if TARGETS[kind].painted:
        return None
    return target_tensor(list(targets), kind=kind, num_classes=len(dataset.classes), multilabel=dataset.multilabel)


def where_kept(images: Images) -> str:
    """``1,257 in RAM (3.9 MB, 0.1 s)``."""
    if images.place == "stream":
        return f"{len(images):,} decoded anew in every epoch"
    how = "found" if images.reused else f"{images.seconds:.1f} s"
    where = {"gpu": "on the GPU", "ram": "in RAM", "disk": "on disk"}[images.place]
    return f"{len(images):,} {where} ({images.nbytes / 1e6:,.1f} MB, {how})"
