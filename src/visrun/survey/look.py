"""One look at a dataset for all tasks, as plain data: for the terminal, for JSON, for a page.

Example:
    >>> found, _ = look("nuclei")  # doctest: +SKIP
    >>> [service.task for service in found.services if service.ready]  # doctest: +SKIP
    ['object_detection', 'instance_segmentation', ...]
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from visrun import tables
from visrun.allocator import uncollected
from visrun.data import files, foreign, recognise, records
from visrun.data.describe import crowded, describe, sides_of, uneven, wild
from visrun.data.objects import Objects
from visrun.data.outlines import Floats
from visrun.data.recognise import Recognised
from visrun.data.records import Choice, Dataset
from visrun.data.threads import Stages, untold
from visrun.errors import DataError, first_line
from visrun.folders import expanded
from visrun.tables.words import OnBad


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Least, middle and greatest of some numbers."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Split:
    """One split: its images, how often each class occurs in it, and how many images show no object."""

    images: int
    counts: dict[str, int]
    without_objects: int | None = None


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a folder is to one task.

    Args:
        task: The task.
        ready: Whether a run would start on the folder as it is.
        reason: Why not, in one line; "" where it would.
        layout: The reader taken, or None where none recognises the folder; others: those that would fit, too.
        counted: What ``splits`` count for each class: images, pixels or objects; "" for values.
        classes, targets, multilabel: As in `visrun.data.records.Dataset`.
        splits: By name.
        objects: Number of labelled objects; sides: root of the area of their boxes in pixels; per_image: objects.
        summary: The lines that a run prints.
        problems: What cannot be used; warnings: what was repaired or should be known. One line each.
    """

    task: str
    ready: bool
    reason: str = ""
    layout: str | None = None
    others: tuple[str, ...] = ()
    counted: str = ""
    classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    multilabel: bool = False
    splits: dict[str, Split] = field(default_factory=dict)
    objects: int | None = None
    sides: Spread | None = None
    per_image: Spread | None = None
    summary: str = ""
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a folder can be trained on; ``dataclasses.asdict`` makes it JSON.

    Args:
        root: The folder or file.
        services: One for each task that was asked for, in the order of ``TASKS``.
        images: Different images of all services; width and height in pixels; suffixes: how many of each.
    """

    root: str
    services: tuple[Service, ...]
    images: int = 0
    width: Spread | None = None
    height: Spread | None = None
    suffixes: dict[str, int] = field(default_factory=dict)


@uncollected()
def look(
    root: str | Path,
    *,
    tasks: Sequence[str] | None = None,
    reader: str = "auto",
    on_bad: OnBad = "error",
    pixels: bool = False,
    targets: Sequence[str] | None = None,
    progress: Stages = untold,
    **choice: Unpack[Choice],
) -> tuple[Survey, dict[str, Dataset]]:
    """Which tasks ``root`` can serve, as which layout, with its counts and problems; and the dataset of each of them.

    Args:
        root: The dataset's folder or file.
        tasks: Those asked for; None = all.
        reader: A name in ``READERS``, or ``auto``.
        on_bad: With ``skip`` a task is ready although something must be left out.
        pixels: Decode every image as well, which takes long and finds those that are cut short.
        targets, progress: As `visrun.data.records.read` takes them, like each ``choice`` of classes and of splits.

    Raises:
        DataError: There is nothing at ``root``.
    """
    folder = expanded(root).absolute()
    files.require_root(folder)
    services, datasets = [], {}
    once = Once(targets, choice.get("group"))
    for task in tables.TASKS if tasks is None else tasks:
        names = recognise.fitting(folder, task, once.recognises) if reader == "auto" else [reader]
        if not set(names) & recognise.readers(task).keys():
            services.append(Service(task=task, ready=False, reason=_unknown(folder, task, reader)))
            continue
        if choice.get("classes") is not None and not tables.TARGETS[tables.TASKS[task].target].classes:
            services.append(Service(task=task, ready=False, reason="it has no classes that data.classes could choose"))
            continue
        try:
            progress("reading labels", 0, 0)
            found = recognise.listing(folder, task=task, reader=reader, reading=once.read, recognising=once.recognises)
            dataset = records.checked(found, root=folder, on_bad="skip", pixels=pixels, progress=progress, **choice)
        except DataError as error:
            services.append(_refused(folder, task, error, once.poor(folder, names, task)))
            continue
        services.append(_service(task, dataset, on_bad))
        datasets[task] = dataset
    sizes = {path: size for dataset in datasets.values() for path, size in dataset.sizes.items()}
    sides = np.array(list(sizes.values()), np.float64).reshape(-1, 2)
    facts = Survey(
        root=str(folder),
        services=tuple(services),
        images=len(sizes),
        width=spread(sides[:, 0]),
        height=spread(sides[:, 1]),
        suffixes=dict(Counter(path.suffix.lower().removeprefix(".") for path in sizes).most_common()),
    )
    return facts, datasets


class Once:
    """Asks each reader once for all tasks that it says the same to.

    Args:
        targets, group: As `visrun.data.records.read` takes them.
    """

    def __init__(self, targets: Sequence[str] | None = None, group: str | None = None) -> None:
        self.targets, self.group = targets, group
        self.found: dict[tuple[Any, ...], Recognised] = {}
        self.suits: dict[tuple[str, Path, str], bool] = {}

    def read(self, root: Path, name: str, task: str) -> Recognised:
        """As `visrun.data.recognise.read`."""
        key = (name, *recognise.asked(name, task).values())
        if key not in self.found:
            self.found[key] = recognise.read(root, name, task, targets=self.targets, group=self.group)
        return Recognised(kind=tables.TASKS[task].target, layout=name, listing=self.found[key].listing)

    def recognises(self, name: str, root: Path, task: str) -> bool:
        """As `visrun.data.recognise.recognises`."""
        key = (name, root, task if recognise.recognises_by_task(name) else "")
        if key not in self.suits:
            self.suits[key] = recognise.recognises(name, root, task)
        return self.suits[key]

    def poor(self, root: Path, names: Sequence[str], task: str) -> list[Recognised]:
        """What all these readers found, where none of it can serve the task; [] where some could."""
        try:
            found = [self.read(root, name, task) for name in names]
        except DataError:
            return []
        return found if not any(map(recognise.serves, found)) else []


def spread(numbers: Floats) -> Spread | None:
    """Of any numbers; None of none."""
    if not len(numbers):
        return None
    low, median, high = (float(f"{value:.6g}") for value in np.quantile(numbers, [0.0, 0.5, 1.0]))
    return Spread(low=low, median=median, high=high)


def _unknown(root: Path, task: str, reader: str) -> str:
    if reader == "auto" and (line := recognise.imageless(root)):
        return line
    with contextlib.suppress(DataError):  # of a folder inside, which nobody named
        if reader == "auto" and (place := recognise.elsewhere(root, task)):
            return f"no layout for it here, but {place}"
    if reader == "auto" and (line := foreign.told(root, task)):
        return f"no layout for it: {line}"
    known = list(recognise.readers(task))
    return f"no layout for it (looked for {', '.join(known)})" if known else "no layout for it (no reader yet)"


def _refused(root: Path, task: str, error: DataError, poor: Sequence[Recognised]) -> Service:
    """An error's first line is the reason; a list of the first offenders may follow it, and a line of advice."""
    reason = first_line(error)
    for prefix in (f"data.root={root}", *((f"{root.parent}/",) if root.is_file() else (f"{root}/", str(root)))):
        reason = reason.removeprefix(prefix)
    told = recognise.held(poor) if poor else reason.strip(": ")
    return Service(task=task, ready=False, reason=told, problems=error.offenders)


def _service(task: str, dataset: Dataset, on_bad: OnBad) -> Service:
    bad = len(dataset.skipped)
    ready = not bad or on_bad == "skip"
    marked = [row.target for rows in dataset.splits.values() for row in rows if isinstance(row.target, Objects)]
    objects = marked if tables.TARGETS[dataset.kind].objects else []
    return Service(
        task=task,
        ready=ready,
        reason="" if ready else f"{bad:,} cannot be used: mend them, or leave them out with data.on_bad=skip",
        layout=dataset.layout,
        others=dataset.others,
        counted=tables.TARGETS[dataset.kind].counted,
        classes=dataset.classes,
        targets=dataset.targets,
        multilabel=dataset.multilabel,
        splits={name: _split(dataset, name) for name in dataset.splits},
        objects=sum(map(len, objects)) if objects else None,
        sides=spread(sides_of(objects)),
        per_image=spread(np.array([len(several) for several in objects], np.float64)),
        summary=describe(replace(dataset, others=())),
        problems=dataset.skipped,
        warnings=(
            *dataset.warnings,
            *crowded(dataset, lambda size: [(0, 0, *size)]),
            *uneven(dataset),
            *wild(dataset),
        ),
    )


def _split(dataset: Dataset, name: str) -> Split:
    rows = dataset.splits[name]
    counts = dict(zip(dataset.classes, dataset.counts.get(name, ()), strict=False))
    found = [len(row.target) for row in rows if isinstance(row.target, Objects)]
    return Split(images=len(rows), counts=counts, without_objects=found.count(0) if found else None)
