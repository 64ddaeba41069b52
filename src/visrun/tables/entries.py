"""What an entry of each table says, before the code it names is imported."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from math import lcm
from typing import Literal

from visrun.build import Ref
from visrun.tables.targets import TARGETS
from visrun.tables.words import Fit

Output = Literal["image", "pixel", "score"]
SHARES = (0.0, 1.0)
SYNTHETIC = "synthetic_"  # begins the names of metrics that were measured on made-up samples


@dataclass(frozen=True, kw_only=True)
class TaskEntry:
    """What is known of a task before its code is imported.

    Args:
        build: The task's class.
        metrics: The metrics that can pick the best checkpoint, stop early and feed a sweep, and whether more of each is
            better; the first does so where the run names none.
        others: Metrics that cannot pick the best checkpoint, unless more is better: False = less is better, None = no
            order.
        usual: The least and the greatest value of a metric, be it that of one class; (-inf, inf) = nothing is known.
        ranges: Metric -> the same, where it is another one.
        losses: Loss name -> function; the first is the default.
        fit: How an image meets the training size: ``crop`` fills it, ``letterbox`` keeps everything and pads, ``zoom``
            does so too but lets training look closer.
        image_size: Side of the training image in pixels, where the model names none.
        target: What a record's target is: a name in `visrun.tables.TARGETS`.
        spoil: What makes defects on good images of a batch, for a task that learns from them; see
            `visrun.data.batches.Batches`.
        outputs: What a network may give of B images, K being the task's ``num_outputs``: ``image`` (B, K), ``pixel``
            (B, K, H, W) as large as the image, also as ``out`` of a mapping, or a mapping with a ``score`` of its own.
            A network that gives none of them is refused; () = any will do.
        by_pixel: The metrics that are measured on the pixels of training images, so that one of another size is another
            ruler; of ``iou/road`` it names ``iou``.
        threshold: What happens from the score on that ``visrun predict`` takes as ``threshold=``; "" = it takes none.
        scratch: The recipe that learns more than the task's own values where weights are random and images few; "" =
            none is known.
        class_threshold: What happens from the probability of a class on that it takes as ``threshold=CLASS:0.8``; where
            an image has one label, it takes no other.
    """

    build: Ref
    metrics: dict[str, bool]
    losses: dict[str, Ref]
    fit: Fit
    image_size: int
    target: str
    spoil: Ref | None = None
    outputs: tuple[Output, ...] = ()
    by_pixel: tuple[str, ...] = ()
    threshold: str = ""
    class_threshold: str = ""
    scratch: str = ""
    others: dict[str, bool | None] = field(default_factory=dict)
    usual: tuple[float, float] = (-math.inf, math.inf)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def range_of(self, metric: str) -> tuple[float, float]:
        """The least and the greatest value of a metric, by its name without that of a split.

        >>> TaskEntry(build="", metrics={}, losses={}, fit="crop", image_size=8, target="label", usual=SHARES).range_of(
        ...     "f1/cat"
        ... )
        (0.0, 1.0)
        """
        return self.ranges.get(metric.partition("/")[0].removeprefix(SYNTHETIC), self.usual)

    @property
    def mixes(self) -> tuple[str, ...]:
        """Of mixup, cutmix, erase and mosaic, those that leave the task a true target."""
        return TARGETS[self.target].mixes

    @property
    def monitor(self) -> str:
        """The metric that picks the best checkpoint, stops early and feeds a sweep."""
        return next(iter(self.metrics))

    @property
    def maximize(self) -> bool:
        """Whether more of ``monitor`` is better."""
        return self.metrics[self.monitor]

    def judged_by(self, metric: str | None) -> TaskEntry:
        """The entry with another monitor, one of ``metrics``; None or one that is not among them changes nothing."""
        if metric not in self.metrics:
            return self
        return replace(self, metrics={metric: self.metrics[metric], **self.metrics})

    def monitored(self, metrics: Collection[str]) -> str:
        """The name that the monitor has among ``metrics``: it says so where samples of the split were made."""
        made = f"{SYNTHETIC}{self.monitor}"
        return made if made in metrics and self.monitor not in metrics else self.monitor

    def larger_is_better(self, metric: str) -> bool | None:
        """Whether more of a metric is better, of ``iou/road`` as of ``iou``; None where it has no best."""
        name = _plain(metric)
        return self.metrics.get(name, self.others.get(name, True))

    def is_by_pixel(self, metric: str) -> bool:
        """Whether a metric is one of ``by_pixel``."""
        return _plain(metric) in self.by_pixel


def _plain(metric: str) -> str:
    """A metric's name without the class or target that it is of."""
    return metric.partition("/")[0].removeprefix(SYNTHETIC)


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """What is known of a model before torch is imported.

    Args:
        build: The builder; it gets ``name`` and what else its signature names.
        builder: The name of torchvision's builder behind it, where it has one.
        tasks: The tasks it serves.
        gradient: Whether it learns by gradient steps; else all it learns is measured in one pass.
        drops: Whether it has a head that reads ``dropout``.
        parameters: Millions of parameters with its usual head (1000 classes; segmentation 21); 0 = not known here.
        image_size: Side in pixels it was made for, or None to take the task's.
        fixed_size: Whether it takes square images of one size only, given when it is built.
        pretrained: Whether published weights exist.
        losses: The losses it can honour, its own, or None for all of the task's.
        options: Of the section ``model_options``, those that its builder takes.
        weighs: Whether it can weigh classes.
        static_shapes: Whether a training step has the same shapes whatever the images show, as a CUDA graph needs.
        speed: 1 (slow) to 3 (fast).
        accuracy: 1 (modest) to 3 (high), at its usual image size.
        multiple: Sides of an untold image size are rounded up to a multiple of this many pixels; a model of fixed size
            takes no others.
        smallest: The least side in pixels that it takes.
        square: Whether long images are cropped to a square, unless the user names a size, since it may take no other.
        pixels: Whether it answers for each pixel; of defects it then learns from their masks alone.
    """

    build: Ref
    tasks: tuple[str, ...]
    parameters: float
    speed: int
    accuracy: int
    drops: bool = True
    gradient: bool = True
    builder: str = ""
    image_size: int | None = None
    fixed_size: bool = False
    pretrained: bool = True
    losses: tuple[str, ...] | None = None
    options: tuple[str, ...] = ()
    weighs: bool = True
    static_shapes: bool = True
    multiple: int = 32
    smallest: int = 1
    square: bool = False
    pixels: bool = False

    @property
    def highest_score(self) -> float:
        """The greatest score of an anomaly: probabilities of pixels, learnt by steps, end at 1, distances nowhere."""
        return SHARES[1] if self.pixels and self.gradient else math.inf

    def size_problem(self, name: str, size: int | tuple[int, int], *, target: str) -> str:
        """The line for an image size that it cannot take, with the nearest that it can; "" where it takes it.

        Args:
            name: The model's name.
            size: Side, or height and width, in pixels.
            target: What a record's target is; see :class:`TaskEntry`.
        """
        cell = TARGETS[target].cell
        step = lcm(cell, self.multiple if self.fixed_size else 1)
        sides = (size, size) if isinstance(size, int) else size
        square = (sum(sides) // 2,) * 2 if self.fixed_size else sides
        least = -(-self.smallest // step) * step
        near = tuple(max(least, (side + step // 2) // step * step) for side in square)
        if near == sides:
            return ""
        kind = "square images" if self.fixed_size else "sides"
        limits = [f"of a multiple of {step} pixels{' for masks' if cell > 1 else ''}"] * (step > 1)
        limits += [f"of at least {least} pixels"] * (least > step)
        return (
            f"data.image_size={typed(sides)}: model={name} takes {kind} {' and '.join(limits)}, such as {typed(near)}"
        )


def typed(size: Sequence[int]) -> str:
    """(height, width) of an image as ``data.image_size`` takes it: 224 for a square, else [480,640]."""
    height, width = size
    return str(height) if height == width else f"[{height},{width}]"


@dataclass(frozen=True, kw_only=True)
class ReaderEntry:
    """A dataset layout: ``recognise(root) -> bool`` looks at names only, ``read(root)`` returns the splits' records;
    see `visrun.data.readers`.

    ``targets`` are the kinds of target, of ``TARGETS``, that its labels are made for; ``derived``, for layouts of
    labelled objects, those that follow from them. It serves every task that learns one of these. Of two layouts of
    objects in one folder the one further up here counts.
    """

    read: Ref
    recognise: Ref
    targets: tuple[str, ...]
    derived: tuple[str, ...] = ()

    @property
    def served(self) -> tuple[str, ...]:
        """All kinds of target that it can be asked for."""
        return (*self.targets, *self.derived)
