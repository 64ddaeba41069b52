"""Batches of fixed shape in a keyed order: what a step trains on is a function of (seed, epoch, step) alone.

So a run that goes on from any step sees the pixels it would have seen, and a CPU and a GPU get the same parameters.
Per batch the device gets a gather, a sampling, a colour map and one small table; nothing is read back from it.

Example:
    >>> batches = Batches(images, labels, kind="label", num_classes=10, batch_size=32, image_size=(224, 224),
    ...                   fit="crop", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), shuffle=True)  # doctest: +SKIP
    >>> for batch in batches.epoch(0): ...  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visrun.data import augment as augmentation
from visrun.data import boxing, mixing, rendering
from visrun.data.augment import MIX, Augment
from visrun.data.cache import Images
from visrun.data.geometry import Fit
from visrun.data.objects import MASK_STRIDE
from visrun.data.placement import Scene
from visrun.data.stream import sent
from visrun.errors import ConfigError, DataError
from visrun.tables import OBJECT_TARGETS

PLANNED = 32  # steps planned at once: planning one costs as much as planning many

Extra = Callable[[Tensor, np.random.Generator], Tensor]
Spoil = Callable[..., tuple[Tensor, Tensor]]  # as `visrun.data.defects.spoil`
PAINTED = ("mask", "verdict")  # kinds whose target is a plane of ids


@dataclass
class Batch:
    """One step's input, on the training device.

    Args:
        images: (B, 3, H, W), normalised, channels last.
        target: label: (B,) int64, or (B, K) float32 where labels are several or mixed; value: (B, T) float32;
            mask, verdict: (B, H, W) int64 with 255 = ignore; objects: (B, M, C) float32, columns as in
            `visrun.data.objects`; none: (B, 0).
        masks: instances: (B, L, H / 4, W / 4) int16 numbers of objects, 0 = none; all else: (B, 0).
        index: (B,) int64 positions among the usable images.
        valid: (B,) bool, False for the repeats that fill the last batch of an evaluation.
    """

    images: Tensor
    target: Tensor
    masks: Tensor
    index: Tensor
    valid: Tensor


class NoSteps:
    """The batches of a model that learns without steps: none."""

    batch_size = 1
    scenes: tuple[Scene, ...] = ()

    def __len__(self) -> int:
        return 0

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:  # noqa: ARG002
        """Nothing."""
        return iter(())

    def files(self, epoch: int, step: int) -> list[Path]:  # noqa: ARG002
        """None."""
        return []


class Batches:
    """The batches of every epoch.

    With ``shuffle`` (training) each epoch has its own order, and the last batch is filled by going on from the start
    of it, so a set smaller than a batch still gives one full step. Without (evaluation) the order is that of the
    images, and the last batch is filled with repeats that are not ``valid``.

    Args:
        images: Opened images, N of them usable.
        targets: (N,) int64 or (N, K) float32 labels, (N, T) float32 values, for objects what `boxing.table` packs; None
            for masks, which come with the images.
        kind: label, value, mask, verdict, one of `visrun.tables.OBJECT_TARGETS` or none.
        num_classes: K; needed where labels are mixed.
        image_size: (height, width) of the training image, as the images were opened for; so ``fit``.
        augment: None varies nothing.
        mean: 3 floats in [0, 1]; with ``std``, what the network's weights expect.
        extra: Further augmentations, as in :mod:`visrun.data.extras`, in this order.
        scenes: For objects, what is known of each of the N pictures beside its pixels.
        spoil: Makes defects; see `visrun.data.defects.spoil`.
        chances: (N,) the probability with which each picture is spoiled.

    Raises:
        ConfigError: An augmentation that this kind of target cannot take (see `augment.fitting`).
        DataError: No usable image.
    """

    def __init__(
        self,
        images: Images,
        targets: Tensor | None = None,
        *,
        kind: str,
        num_classes: int = 0,
        batch_size: int,
        image_size: tuple[int, int],
        fit: Fit,
        augment: Augment | None = None,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device | str = "cpu",
        seed: int = 0,
        shuffle: bool = False,
        extra: Sequence[Extra] = (),
        scenes: Sequence[Scene] = (),
        spoil: Spoil | None = None,
        chances: NDArray[np.float64] | None = None,
    ) -> None:
        if not len(images):
            raise DataError("no usable image is left in this split")
        assert targets is None or len(targets) == len(images), "one target for each usable image"
        assert kind not in (*PAINTED, "instances") or images.source.masks is not None, (
            "images opened without their masks"
        )
        for name in augmentation.fitting(augment or Augment(), kind)[1]:
            raise ConfigError(f"augment.{name}: a target of kind {kind} cannot take it: set augment.{name}=0")
        self.images, self.kind, self.num_classes = images, kind, num_classes
        self.batch_size, self.image_size, self.fit = batch_size, image_size, fit
        self.augment, self.mean, self.std = augment, tuple(mean), tuple(std)
        self.device, self.seed, self.shuffle = torch.device(device), seed, shuffle
        self.extra, self.scenes = tuple(extra), tuple(scenes)
        self.spoil, self.chances = spoil, chances
        self.pictures = augment.pictures if augment else 1
        self.targets = torch.zeros(len(images), 0) if targets is None else targets
        self.targets = self.targets.to(self.device)
        self._sizes = images.sizes.astype(np.float64)
        self._room, self._held = 0, None
        if kind in OBJECT_TARGETS:
            self._room, self._held = boxing.rows_of_target(self.targets, self.pictures), boxing.held(self.targets)

    def __len__(self) -> int:
        """Steps in an epoch."""
        return -(-len(self.images) // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of ``epoch`` from step ``start`` on."""
        order = self._shown(epoch)
        index = sent(torch.from_numpy(order), self.device)
        valid = sent(torch.from_numpy(self._valid()), self.device)
        flat = order.reshape(len(order), -1)
        for step, (pixels, masks) in enumerate(self.images.batches(flat[start:], self.device), start):
            if step == start or step % PLANNED == 0:
                first = step - step % PLANNED  # always the same groups of steps, wherever the epoch starts
                plan = self._plan(epoch, first, order[first : first + PLANNED])
                table = sent(torch.from_numpy(plan.table), self.device)
            drawn = table[step - first]
            images = rendering.render_images(pixels, plan, drawn, self.image_size)
            for number, augment in enumerate(self.extra, 1):
                images = augment(images, np.random.default_rng([self.seed, epoch, step + 1, number]))
            target, layers = self._targets(index[step], masks, plan, drawn)
            images, target = self._spoiled(epoch, step, order[step, :, 0], images, target)
            images, target = self._mixed(plan.mix[step - first], images, target, rendering.columns(plan, drawn)[:, MIX])
            images = images.to(dtype=torch.float32, memory_format=torch.channels_last)
            yield Batch(images, target, layers, index[step, :, 0], valid[step])

    def indices(self, epoch: int, step: int) -> list[int]:
        """Positions of the images of one step, in order."""
        return [int(i) for i in self._order(epoch)[step]]

    def files(self, epoch: int, step: int) -> list[Path]:
        """The files of one step, for messages."""
        paths = self.images.paths
        return [paths[i] for i in self.indices(epoch, step)]

    def _shown(self, epoch: int) -> NDArray[np.int64]:
        """(steps, B, Q): the pictures of each sample, its own first."""
        order = self._order(epoch)[:, :, None]
        if self.pictures == 1:
            return order
        shape = (*order.shape[:2], self.pictures - 1)
        others = np.random.default_rng([self.seed, epoch, 0, 1]).integers(len(self.images), size=shape)
        return np.concatenate([order, others], 2)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """(steps, B)."""
        n = len(self.images)
        order = np.random.default_rng([self.seed, epoch, 0]).permutation(n) if self.shuffle else np.arange(n)
        return np.resize(order, (len(self), self.batch_size)).astype(np.int64)

    def _valid(self) -> NDArray[np.bool_]:
        first = np.arange(len(self) * self.batch_size) < len(self.images)
        return first.reshape(len(self), -1) | self.shuffle

    def _plan(self, epoch: int, first: int, order: NDArray[np.int64]) -> augmentation.Plan:
        return augmentation.plan(
            [np.random.default_rng([self.seed, epoch, first + i + 1]) for i in range(len(order))],
            self._sizes[order],
            crowded=None if self._held is None else self._held[order].sum(-1) > self._room,
            image_size=self.image_size,
            canvas=self.images.source.canvas,
            fit=self.fit,
            augment=self.augment,
            mean=self.mean,
            std=self.std,
        )

    def _targets(
        self, shown: Tensor, masks: Tensor | None, plan: augmentation.Plan, drawn: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A batch's target and masks; ``shown`` (B, Q) are its pictures."""
        none = torch.zeros(len(shown), 0, device=self.device)
        if self.kind in PAINTED:
            assert masks is not None
            return rendering.render_ids(masks, plan, drawn, self.image_size), none
        rows = self.targets.index_select(0, shown.flatten())
        if self.kind not in OBJECT_TARGETS:
            return rows, none
        target = boxing.render(rows, plan, drawn, self.image_size, most=self._room, kind=self.kind)
        if self.kind != "instances":
            return target, none
        assert masks is not None
        return target, rendering.render_layers(masks, plan, drawn, self.image_size, stride=MASK_STRIDE)

    def _spoiled(
        self, epoch: int, step: int, shown: NDArray[np.int64], images: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.spoil is None or self.chances is None:
            return images, target
        keys = [[epoch, step + 1, len(self.extra)]] if self.shuffle else [[0, 0, int(i)] for i in shown]
        rngs = [np.random.default_rng([self.seed, *key, 1]) for key in keys]
        drawn = np.concatenate([rng.random(len(shown) // len(rngs)) for rng in rngs])
        return self.spoil(images, target, drawn < self.chances[shown], rngs, fixed=not self.shuffle)

    def _mixed(self, mix: str, images: Tensor, target: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        if not mix:
            return images, target
        target = mixing.soft(target, self.num_classes) if self.kind == "label" else target
        return mixing.mix(mix, images, target, numbers, dense=self.kind == "mask")
