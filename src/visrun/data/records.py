"""A folder of images becomes checked records: recognise the layout, read it, look at every file, split.

Example:
    >>> dataset = read(Path("flowers"), task="classification")  # doctest: +SKIP
    >>> print(describe(dataset))  # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from visrun.data import check, choose, files, recognise, splits
from visrun.data.check import Finding, Progress
from visrun.errors import DataError


@dataclass(frozen=True, slots=True)
class Record:
    """One image and what is to be learnt of it.

    Args:
        image: The image file.
        target: ``label``: a class index, or several as a tuple; ``value``: one float per target; ``mask``: the path of
            the mask.
        where: Where it was found, for messages: ``train.csv:12``, or the image's path inside the dataset.
    """

    image: Path
    target: Any
    where: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one record (``where`` as in it), in one line."""

    where: str
    what: str

    def __str__(self) -> str:
        return self.what if self.what.startswith(f"{self.where}:") else f"{self.where}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a reader found, before any image is opened.

    Args:
        splits: Records under ``train``, ``val``, ``test``, or under ``all`` where the layout knows no splits.
        classes: Class names by index; () for values, and for masks whose ids nobody named.
        usual_classes: The names that unnamed ids of this layout have, if these suffice for all ids found.
        targets: Names of the values.
        multilabel: Whether an image can have several labels.
        problems: Rows and files that are no records.
        warnings: What people should know.
    """

    splits: dict[str, list[Record]]
    classes: tuple[str, ...] = ()
    usual_classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    multilabel: bool = False
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset whose every file has been looked at.

    Args:
        root: Its folder (or table).
        layout: Name of the reader.
        splits: ``train``, ``val`` and, where there is one, ``test``.
        classes: Class names by index; () for values.
        targets: Names of the values; () for classes.
        sizes: (width, height) of each upright image.
        skipped: What was left out as unusable, one line each.
        multilabel: Whether a label is a tuple of class indices.
        fingerprint: SHA-256 over relative paths, byte sizes and targets.
        mask_ids: For masks the id in the files of each class (for :func:`visrun.data.images.load_mask`).
        counts: Split -> images per class (labels) or pixels per class (masks); {} for values.
        warnings: What people should know.
    """

    root: Path
    layout: str
    splits: dict[str, tuple[Record, ...]]
    classes: tuple[str, ...]
    targets: tuple[str, ...]
    sizes: dict[Path, tuple[int, int]]
    skipped: tuple[str, ...] = ()
    multilabel: bool = False
    fingerprint: str = ""
    mask_ids: tuple[int, ...] = ()
    counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read(
    root: str | Path,
    *,
    task: str,
    reader: str = "auto",
    classes: Sequence[str] | None = None,
    val_fraction: float = 0.2,
    seed: int = 0,
    on_bad: Literal["error", "skip"] = "error",
    training: bool = True,
    progress: Progress | None = None,
) -> Dataset:
    """Recognise the layout under ``root``, read its records, and check every file.

    Args:
        root: A folder, or one table file.
        task: Its name in ``TASKS``.
        reader: A name in ``READERS``, or ``auto`` to recognise the layout.
        classes: The classes wanted, in the order wanted; records of other classes are left out, and ids of others in
            masks are ignored. None keeps all.
        val_fraction: Share of the training images that becomes ``val`` where the layout brings none.
        seed: Of that choice.
        on_bad: ``error`` refuses unusable records; ``skip`` leaves them out, up to half of all, and lists them.
        training: False to measure a finished model on any dataset of the task: nothing is split (images without a
            split are ``test``), and classes may be missing.
        progress: Called with (done, total) while files are looked at.

    Raises:
        DataError: Naming what is wrong: up to 20 offenders with file and line, and how many more.
    """
    folder = Path(root).expanduser().absolute()
    base = folder.parent if folder.is_file() else folder
    kind, layout, listing = recognise.listing(folder, task=task, reader=reader)
    listing, ids, good, skipped = _checked(
        listing, kind=kind, base=base, classes=classes, on_bad=on_bad, training=training, progress=progress
    )
    fingerprint = _fingerprint(good, base, listing)
    by_class = kind == "label" and not listing.multilabel
    if training:
        good = splits.complete(good, root=base, val_fraction=val_fraction, seed=seed, by_class=by_class)
    else:
        good = {"test": good[splits.ALL]} if splits.ALL in good else splits.ordered(good)
    counts = choose.count(good, kind=kind, num_classes=len(listing.classes), ids=ids)
    choose.require(good, counts, listing, root=folder, training=training)
    return Dataset(
        root=folder,
        layout=layout,
        splits={name: tuple(record for record, _ in rows) for name, rows in good.items()},
        classes=listing.classes,
        targets=listing.targets,
        sizes={record.image: finding.size for rows in good.values() for record, finding in rows},
        skipped=skipped,
        multilabel=listing.multilabel,
        fingerprint=fingerprint,
        mask_ids=ids,
        counts=counts,
        warnings=(*listing.warnings, *choose.warnings(good, counts, listing, root=base, training=training)),
    )


def _checked(
    listing: Listing,
    *,
    kind: str,
    base: Path,
    classes: Sequence[str] | None,
    on_bad: str,
    training: bool,
    progress: Progress | None,
) -> tuple[Listing, tuple[int, ...], dict[str, list[splits.Entry]], tuple[str, ...]]:
    """The listing with the wanted classes, their mask ids, the usable records by split, and lines on the others."""
    if kind == "label":
        listing = choose.labels(listing, classes, training=training)
    entries = [(name, record) for name, records in listing.splits.items() for record in records]
    findings = check.examine([record for _, record in entries], root=base, masks=kind == "mask", progress=progress)
    ids: tuple[int, ...] = ()
    if kind == "mask":
        listing, ids, findings = choose.masks(listing, classes, findings, training=training)
    skipped = _settle(listing, entries, findings, base, on_bad)
    good = _group(listing, entries, findings)
    if kind == "mask":
        blank = choose.drop_blank(good, ids)
        listing = replace(listing, warnings=(*listing.warnings, *blank))
    return listing, ids, good, skipped


def describe(dataset: Dataset) -> str:
    """What was found, for people: layout, images per split, and per class (labels), pixel share (masks) or range."""
    total = sum(map(len, dataset.splits.values()))
    kind = f"{len(dataset.classes)} classes" if dataset.classes else f"target {', '.join(dataset.targets)}"
    lines = [f"{dataset.layout}: {total:,} images in {dataset.root}, {kind}{' (multi-label)' * dataset.multilabel}"]
    for name, rows in dataset.splits.items():
        lines.append(f"  {name:<6}{len(rows):>8,} images  {_split_line(dataset, name)}".rstrip())
    if dataset.skipped:
        lines.append(f"  left out: {len(dataset.skipped):,} unusable records")
    return "\n".join(lines)


def _split_line(dataset: Dataset, split: str) -> str:
    if dataset.targets:
        columns = zip(*(record.target for record in dataset.splits[split]), strict=True)
        spans = zip(dataset.targets, columns, strict=True)
        return ", ".join(f"{name} {min(v):.4g} to {max(v):.4g}, mean {sum(v) / len(v):.4g}" for name, v in spans)
    counts = dataset.counts[split]
    if dataset.mask_ids:
        whole = max(1, sum(counts))
        return files.some((f"{n}: {c / whole:.1%}" for n, c in zip(dataset.classes, counts, strict=True)), 20)
    if len(set(counts)) == 1 or len(counts) > 20:
        span = f"{min(counts):,} to {max(counts):,}" if len(set(counts)) > 1 else f"{counts[0]:,}"
        return f"{span} per class"
    return files.some((f"{n}: {c:,}" for n, c in zip(dataset.classes, counts, strict=True)), 20)


def _settle(
    listing: Listing, entries: list[tuple[str, Record]], findings: list[Finding], root: Path, on_bad: str
) -> tuple[str, ...]:
    """Raise for unusable records, or return them as lines where they may be skipped."""
    faults = zip(entries, findings, strict=True)
    problems = [*listing.problems, *(Problem(record.where, f.fault) for (_, record), f in faults if f.fault)]
    total = len(entries) + len(listing.problems)
    if problems and on_bad != "skip":
        raise check.report(problems, root=root, total=total)
    if len(problems) > check.MOST_SKIPPED * total:
        error = check.report(problems, root=root, total=total)
        raise DataError(f"{error}, once at most {check.MOST_SKIPPED:.0%} are concerned")
    return tuple(map(str, problems))


def _group(
    listing: Listing, entries: list[tuple[str, Record]], findings: list[Finding]
) -> dict[str, list[splits.Entry]]:
    good: dict[str, list[splits.Entry]] = {name: [] for name in listing.splits}
    for (name, record), finding in zip(entries, findings, strict=True):
        if not finding.fault:
            good[name].append((record, finding))
    return good


def _fingerprint(good: dict[str, list[splits.Entry]], root: Path, listing: Listing) -> str:
    lines = [f"{listing.classes} {listing.targets}"]
    for name, rows in sorted(good.items()):
        for record, finding in rows:
            target = files.shown(record.target, root) if isinstance(record.target, Path) else record.target
            lines.append(f"{name}\t{files.shown(record.image, root)}\t{finding.length}\t{target}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
