"""Batches of fixed shape in a keyed order: what a step trains on is a function of (seed, epoch, step) alone.

So a run that goes on from any step sees the pixels it would have seen, and a CPU and a GPU get the same parameters.
Per batch the device gets a gather, a sampling, a colour map and one small table; nothing is read back from it.

Example:
    >>> targets = Targets("label", labels, num_classes=10)  # doctest: +SKIP
    >>> batches = Batches(images, targets, look, Vary(training=True), batch_size=32)  # doctest: +SKIP
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
from visrun.data.look import Look
from visrun.data.objects import MASK_STRIDE
from visrun.data.placement import Scene
from visrun.data.stream import sent
from visrun.errors import ConfigError, DataError
from visrun.tables import TARGETS

PLANNED = 32  # steps planned at once: planning one costs as much as planning many

Extra = Callable[[Tensor, np.random.Generator], Tensor]
Spoil = Callable[..., tuple[Tensor, Tensor]]  # as `visrun.data.defects.spoil`


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


@dataclass(frozen=True)
class Targets:
    """What is known of N pictures beside their pixels.

    Args:
        kind: A name in `visrun.tables.TARGETS`.
        rows: (N,) int64 or (N, K) float32 labels, (N, T) float32 values, the table of objects; None for masks, which
            come with the images.
        num_classes: K; needed where labels are mixed.
        scenes: Of objects and verdicts, for a metric.
        chances: (N,) the probability with which each picture is spoiled.
    """

    kind: str
    rows: Tensor | boxing.Table | None = None
    num_classes: int = 0
    scenes: Sequence[Scene] = ()
    chances: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Vary:
    """How the batches of one epoch differ from those of another.

    With ``training`` each epoch has its own order, and the last batch is filled by going on from the start of it, so a
    set smaller than a batch still gives one full step. Without (evaluation) the order is that of the images, and the
    last batch is filled with repeats that are not ``valid``.

    Args:
        augment: None varies nothing.
        extra: Further augmentations, as in :mod:`visrun.data.extras`, in this order.
        spoil: Makes defects; see `visrun.data.defects.spoil`.
    """

    training: bool = False
    seed: int = 0
    augment: Augment | None = None
    extra: Sequence[Extra] = ()
    spoil: Spoil | None = None


STILL = Vary()


def shaped(name: str, augment: Extra) -> Extra:
    """A plugin's augmentation, or one line of error where it gives other shapes than it was given.

    Args:
        name: Of its entry in `visrun.tables.AUGMENTATIONS`.
    """

    def checked(images: Tensor, rng: np.random.Generator) -> Tensor:
        varied = augment(images, rng)
        if not isinstance(varied, Tensor) or varied.shape != images.shape:
            given = f"{tuple(varied.shape)}" if isinstance(varied, Tensor) else type(varied).__name__
            raise ConfigError(f"augment.extra={name}: gives {given} for images {tuple(images.shape)}; keep their shape")
        return varied

    return checked


class NoSteps:
    """The batches of a model that learns without steps: none."""

    batch_size = 1

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

    Args:
        images: Opened images, N of them usable.
        targets: Of these N.
        look: What the images were opened for.

    Raises:
        ConfigError: An augmentation that this kind of target cannot take (see `augment.fitting`).
        DataError: No usable image.
    """

    def __init__(
        self,
        images: Images,
        targets: Targets,
        look: Look,
        vary: Vary = STILL,
        *,
        batch_size: int,
        device: torch.device | str = "cpu",
    ) -> None:
        if not len(images):
            raise DataError("no usable image is left in this split: mend or replace its files")
        kind, rows = targets.kind, targets.rows
        assert rows is None or len(rows) == len(images), "one target for each usable image"
        assert not TARGETS[kind].planes or images.source.masks is not None, "images opened without their masks"
        for name in augmentation.fitting(vary.augment or Augment(), kind)[1]:
            raise ConfigError(f"augment.{name}: a target of kind {kind} cannot take it: set augment.{name}=0")
        self.images, self.targets, self.look, self.vary = images, targets, look, vary
        self.batch_size, self.device, self.scenes = batch_size, torch.device(device), targets.scenes
        self.pictures = vary.augment.pictures if vary.augment else 1
        self._rows = (torch.zeros(len(images), 0) if rows is None else rows).to(self.device)
        self._sizes = images.sizes.astype(np.float64)
        self._room, self._held = 0, None
        if isinstance(self._rows, boxing.Table):
            self._room = boxing.rows_of_target(self._rows, self.pictures)
            self._held = self._rows.counts.cpu().numpy()

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
            images = rendering.render_images(pixels, plan, drawn, self.look.image_size)
            for number, augment in enumerate(self.vary.extra, 1):
                images = augment(images, np.random.default_rng([self.vary.seed, epoch, step + 1, number]))
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
        others = np.random.default_rng([self.vary.seed, epoch, 0, 1]).integers(len(self.images), size=shape)
        return np.concatenate([order, others], 2)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """(steps, B)."""
        n = len(self.images)
        order = np.random.default_rng([self.vary.seed, epoch, 0]).permutation(n) if self.vary.training else np.arange(n)
        return np.resize(order, (len(self), self.batch_size)).astype(np.int64)

    def _valid(self) -> NDArray[np.bool_]:
        first = np.arange(len(self) * self.batch_size) < len(self.images)
        return first.reshape(len(self), -1) | self.vary.training

    def _plan(self, epoch: int, first: int, order: NDArray[np.int64]) -> augmentation.Plan:
        return augmentation.plan(
            [np.random.default_rng([self.vary.seed, epoch, first + i + 1]) for i in range(len(order))],
            self._sizes[order],
            crowded=None if self._held is None else self._held[order].sum(-1) > self._room,
            image_size=self.look.image_size,
            canvas=self.images.source.canvas,
            fit=self.look.fit,
            augment=self.vary.augment,
            mean=self.look.mean,
            std=self.look.std,
        )

    def _targets(
        self, shown: Tensor, masks: Tensor | None, plan: augmentation.Plan, drawn: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A batch's target and masks; ``shown`` (B, Q) are its pictures."""
        known, size = TARGETS[self.targets.kind], self.look.image_size
        none = torch.zeros(len(shown), 0, device=self.device)
        if known.painted:
            assert masks is not None
            return rendering.render_ids(masks, plan, drawn, size), none
        if not isinstance(self._rows, boxing.Table):
            return self._rows.index_select(0, shown.flatten()), none
        rows = self._rows.padded(shown.flatten())
        target = boxing.render(rows, plan, drawn, size, most=self._room, kind=self.targets.kind)
        if not known.numbered:
            return target, none
        assert masks is not None
        return target, rendering.render_layers(masks, plan, drawn, size, stride=MASK_STRIDE)

    def _spoiled(
        self, epoch: int, step: int, shown: NDArray[np.int64], images: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        vary, chances = self.vary, self.targets.chances
        if vary.spoil is None or chances is None:
            return images, target
        keys = [[epoch, step + 1, len(vary.extra)]] if vary.training else [[0, 0, int(i)] for i in shown]
        rngs = [np.random.default_rng([vary.seed, *key, 1]) for key in keys]
        drawn = np.concatenate([rng.random(len(shown) // len(rngs)) for rng in rngs])
        return vary.spoil(images, target, drawn < chances[shown], rngs, fixed=not vary.training)

    def _mixed(self, mix: str, images: Tensor, target: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        if not mix:
            return images, target
        target = mixing.soft(target, self.targets.num_classes) if self.targets.kind == "label" else target
        return mixing.mix(mix, images, target, numbers, dense=self.targets.kind == "mask")
