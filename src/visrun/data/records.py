"""A folder of images becomes checked records: recognise the layout, read it, look at every file, split.

Example:
    >>> dataset = read(Path("flowers"), task="classification")  # doctest: +SKIP
    >>> print(visrun.data.describe.describe(dataset))  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

from visrun.allocator import uncollected
from visrun.data import check, choose, enough, files, fingerprint, labelled, lookalikes, mask_classes, recognise, splits
from visrun.data.check import Finding
from visrun.data.labelled import Entries, Labelled
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import form_of
from visrun.data.threads import Stages, untold
from visrun.errors import DataError
from visrun.folders import expanded
from visrun.tables import TARGETS
from visrun.tables.words import OnBad
from visrun.text import composed, plural


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset whose every file has been looked at.

    Args:
        root: Its folder (or table).
        layout: Name of the reader.
        splits: ``train``, ``val`` and, where there is one, ``test``.
        kind: What a record's target is; the task's, as `visrun.tables.TaskEntry` has it.
        classes: Class names by index; () for values.
        targets: Names of the values; () for classes.
        sizes: (width, height) of each upright image.
        white: Where images are 16-bit grey, the value of theirs that is white; else None.
        skipped: What was left out as unusable, one line each.
        multilabel: Whether a label is a tuple of class indices.
        fingerprint: SHA-256 over relative paths, byte sizes and targets.
        fingerprints: The same over ``val`` and over ``test`` alone: figures on equal ones are of the same images.
        mask_ids: For masks the id in the files of each class (for :func:`visrun.data.images.mask_of`).
        counts: Split -> images, pixels (masks) or objects per class; {} for values.
        warnings: What people should know.
        own_val: Whether its layout brings a ``val``.
        others: Readers whose layouts the folder fits as well, and which were passed over.
    """

    root: Path
    layout: str
    kind: str = "label"
    splits: dict[str, tuple[Record, ...]]
    classes: tuple[str, ...]
    targets: tuple[str, ...]
    sizes: dict[Path, tuple[int, int]]
    white: int | None = None
    skipped: tuple[str, ...] = ()
    multilabel: bool = False
    fingerprint: str = ""
    fingerprints: dict[str, str] = field(default_factory=dict)
    mask_ids: tuple[int, ...] = ()
    counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    own_val: bool = False
    others: tuple[str, ...] = ()

    @property
    def defects(self) -> dict[str, int]:
        """Of verdicts: the defective images in each split."""
        return {name: counts[1] for name, counts in self.counts.items()} if self.kind == "verdict" else {}


class Choice(TypedDict, total=False):
    """Which records become a dataset, and in which splits; what is not given has the default of `checked`.

    Args:
        classes: The classes wanted, in the order wanted; records of other classes are left out, and ids of others in
            masks are ignored. None keeps all.
        val_fraction: Share of the training images that becomes ``val`` where the layout brings none.
        fold: ``2/5`` makes ``val`` anew: the second of five even parts of train and val together.
        group: A table's column, or a regular expression: what of an image's path says with which others it is held out.
        train_fraction: Share of the training images, after that, which are kept.
        seed: Of these choices.
        defects_aside: Where ``val`` comes off the training images, all defective ones among them go there, for a model
            that learns from good ones alone.
    """

    classes: Sequence[str] | None
    val_fraction: float
    fold: str | None
    group: str | None
    train_fraction: float
    seed: int
    defects_aside: bool


@uncollected()
def read(
    root: str | Path,
    *,
    task: str,
    reader: str = "auto",
    targets: Sequence[str] | None = None,
    on_bad: OnBad = "error",
    training: bool = True,
    progress: Stages = untold,
    **choice: Unpack[Choice],
) -> Dataset:
    """Recognise the layout under ``root``, read its records, and check every file.

    Args:
        root: A folder, or one table file.
        task: Its name in ``TASKS``.
        reader: A name in ``READERS``, or ``auto`` to recognise the layout.
        targets: The columns of a table to learn; None = those that `visrun.data.readers.table.read` takes.
        on_bad: ``error`` refuses unusable records; ``skip`` leaves them out, up to half of all, and lists them.
        training: False to measure a finished model on any dataset of the task: nothing is split (images without a
            split are ``test``), and classes may be missing.
        progress: Called with (what is done, done, total), the files that are looked at about a hundred times.

    Raises:
        DataError: Naming what is wrong: up to 20 offenders with file and line, and how many more.
    """
    folder = expanded(root).absolute()
    progress("reading labels", 0, 0)
    found = recognise.listing(
        folder, task=task, reader=reader, reading=partial(recognise.read, targets=targets, group=choice.get("group"))
    )
    return checked(found, root=folder, on_bad=on_bad, training=training, progress=progress, **choice)


def checked(
    found: recognise.Recognised,
    *,
    root: Path,
    classes: Sequence[str] | None = None,
    val_fraction: float = 0.2,
    fold: str | None = None,
    group: str | None = None,
    train_fraction: float = 1.0,
    seed: int = 0,
    on_bad: OnBad = "error",
    training: bool = True,
    defects_aside: bool = False,
    pixels: bool = False,
    progress: Stages = untold,
) -> Dataset:
    """The dataset of what a reader found under ``root``; arguments and errors are those of `read` and `Choice`.

    ``pixels`` decodes the images as well, see `visrun.data.check.examine`.
    """
    base, kind, typed, group = files.home(root), found.kind, bool(group), group or found.listing.group
    if classes is not None:
        classes = tuple(composed(str(name)) for name in classes)
    listing, ids, good, skipped = _examined(
        found, base=base, classes=classes, on_bad=on_bad, training=training, pixels=pixels, progress=progress
    )
    progress("comparing splits", 0, 0)
    whole, white = fingerprint.of(good, base, listing), check.white(good)
    if training:
        by: dict[str, Any] = {"root": base, "seed": seed, "by_class": TARGETS[kind].by_class}
        cut = (
            partial(splits.complete, val_fraction=val_fraction)
            if fold is None
            else partial(splits.folded, fold=fold, typed=typed)
        )
        good = cut(good, **by, group=group, defects_aside=defects_aside)
        good = splits.thinned(good, **by, fraction=train_fraction)
        if kind == "value" and form_of(found.listing):
            listing, good = choose.counts_that_vary(listing, good)
    else:
        good = {"test": good[splits.ALL]} if splits.ALL in good else splits.ordered(good)
    counts = choose.count(good, kind=kind, num_classes=len(listing.classes), ids=ids)
    torn = splits.torn(good, root=base, group=group if training else None, typed=typed)
    enough.require(good, counts, listing, kind=kind, root=root, training=training, skipped=skipped, layout=found.layout)
    return Dataset(
        root=root,
        layout=found.layout,
        kind=kind,
        splits={name: tuple(record for record, _ in rows) for name, rows in good.items()},
        classes=listing.classes,
        targets=listing.targets,
        sizes={record.image: finding.size for rows in good.values() for record, finding in rows},
        white=white,
        skipped=skipped,
        multilabel=listing.multilabel,
        fingerprint=whole,
        fingerprints=fingerprint.of_splits(good, base, listing),
        mask_ids=ids,
        counts=counts,
        warnings=_warnings(
            found, listing, good, counts, base=base, classes=classes, torn=torn, training=training, pixels=pixels
        ),
        own_val="val" in found.listing.splits,
        others=found.others,
    )


def _examined(
    found: recognise.Recognised,
    *,
    base: Path,
    classes: Sequence[str] | None,
    on_bad: OnBad,
    training: bool,
    pixels: bool,
    progress: Stages,
) -> tuple[Listing, tuple[int, ...], dict[str, list[splits.Entry]], tuple[str, ...]]:
    """The listing with the wanted classes, their mask ids, the usable records by split, and lines on the others."""
    listing, kind, form = found.listing, found.kind, form_of(found.listing)
    if kind == "label" and form is None:
        listing = choose.labels(listing, classes, training=training)
    entries = [(name, record) for name, records in listing.splits.items() for record in records]
    masks = kind == "mask" and form is None
    several = [record for _, record in entries]
    looked = partial(progress, "checking files")
    findings = check.examine(several, root=base, masks=masks, pixels=pixels, progress=looked)
    made = Labelled(listing=listing, entries=entries, findings=findings)
    if form is not None:
        made = labelled.settle(
            listing, entries, findings, kind=kind, form=form, classes=classes, training=training, progress=progress
        )
    ids: tuple[int, ...] = ()
    if kind == "mask":
        listing, ids, findings = mask_classes.settle(
            made.listing, classes, made.findings, painted=form is not None, training=training
        )
        made = replace(made, listing=listing, findings=findings)
    skipped = _settle(made, base, on_bad)
    good = _group(made.listing, made.entries, made.findings)
    if kind == "mask":
        blank = choose.drop_blank(good, ids)
        made = replace(made, listing=replace(made.listing, warnings=(*made.listing.warnings, *blank)))
    return made.listing, ids, good, skipped


def _settle(made: Labelled, root: Path, on_bad: OnBad) -> tuple[str, ...]:
    """Raise for unusable records and objects, or return them as lines where they may be skipped."""
    faults = zip(made.entries, made.findings, strict=True)
    bad = [*made.listing.problems, *(Problem(record.where, f.fault) for (_, record), f in faults if f.fault)]
    shares = [
        (len(bad), len(made.entries) + len(made.listing.problems), "record"),
        (len(made.problems), made.total, "object"),
    ]
    problems = [*bad, *made.problems]
    counted = " and ".join(f"{n} of {plural(total, what)}" for n, total, what in shares if n)
    if problems and on_bad != "skip":
        raise check.report(problems, root=root, counted=counted)
    if any(n > check.MOST_SKIPPED * total for n, total, _ in shares):
        error = check.report(problems, root=root, counted=counted)
        text = f"{error}, once at most {check.MOST_SKIPPED:.0%} are concerned"
        raise DataError(text, offenders=error.offenders)
    return tuple(map(str, problems))


def _group(listing: Listing, entries: Entries, findings: list[Finding]) -> dict[str, list[splits.Entry]]:
    good: dict[str, list[splits.Entry]] = {name: [] for name in listing.splits}
    for (name, record), finding in zip(entries, findings, strict=True):
        if not finding.fault:
            good[name].append((record, finding))
    return good


def _warnings(
    found: recognise.Recognised,
    listing: Listing,
    good: dict[str, list[splits.Entry]],
    counts: choose.Counts,
    *,
    base: Path,
    classes: Sequence[str] | None,
    torn: Sequence[str],
    training: bool,
    pixels: bool,
) -> tuple[str, ...]:
    """What the reader noticed, and what is to be seen of the splits as they are."""
    most = lookalikes.NAMED if pixels else 1
    return (
        *listing.warnings,
        *check.paged(good, base),
        *torn,
        *choose.left_out(found.listing.classes, classes, training=training),
        *choose.warnings(good, counts, listing, kind=found.kind, root=base, training=training, most=most),
        *(lookalikes.warning(good, base) if pixels and found.kind != "verdict" else ()),  # parts look alike by nature
    )
