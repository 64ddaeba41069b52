"""From what label files say to what a task learns: the objects of every image checked, chosen and derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from visrun.data import check, choose
from visrun.data.check import Finding
from visrun.data.derive import DERIVE
from visrun.data.listing import Listing, Problem, Record
from visrun.data.threads import Stages
from visrun.data.vet import vet

Entries = list[tuple[str, Record]]


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Records with the task's targets.

    Args:
        listing: With the task's classes or targets; its records are in ``entries``.
        entries: (split, record) of the images that have a target or are faulty.
        findings: Of these.
        problems: Objects that cannot be used, whose images can.
        total: Objects labelled.
    """

    listing: Listing
    entries: Entries
    findings: list[Finding]
    problems: tuple[Problem, ...] = ()
    total: int = 0


def settle(
    listing: Listing,
    entries: Entries,
    findings: list[Finding],
    *,
    kind: str,
    form: str,
    classes: Sequence[str] | None,
    training: bool,
    progress: Stages,
) -> Labelled:
    """Turn the marks of a reader of objects into targets of ``kind``.

    Args:
        listing: What the reader found; entries: its records; findings: of their files.
        kind: Of target.
        form: What the labels are: ``boxes``, ``quads`` or ``outlines``; ``kind`` can be derived from it.
        classes: The classes wanted, or None; for masks they are chosen when all have been painted.
        training: Whether all of them must be there.
        progress: Told how far it is.
    """
    progress("checking labels", 0, 0)
    derivation = DERIVE[kind]
    usable = [i for i, finding in enumerate(findings) if not finding.fault]
    vetted = vet(
        [entries[i][1].target for i in usable],
        [findings[i].size for i in usable],
        wheres=[entries[i][1].where for i in usable],
        form=form,
        classes=listing.classes,
        outlined="boxes" not in derivation.forms and form == "outlines",
        boxed=derivation.boxed,
    )
    lost = {usable[number]: problem for number, problem in vetted.lost.items()}
    sound = [i for i in usable if i not in lost]
    objects, names = [o for i, o in zip(usable, vetted.objects, strict=True) if i not in lost], listing.classes
    if kind != "mask":
        objects, names = choose.objects(objects, names, classes, training=training)
    derived = derivation.make(objects, names)
    made = dict(zip(sound, derived.targets, strict=True))
    found = dict(enumerate(findings)) | {i: replace(findings[i], fault=problem.what) for i, problem in lost.items()}
    if kind == "mask":
        pictures = [(entries[i][1], findings[i]) for i in sound]
        painted = check.paint(pictures, derived.targets, progress=partial(progress, "painting masks"))
        found |= zip(sound, painted, strict=True)
    kept = [i for i in range(len(entries)) if made.get(i, True) is not None]
    return Labelled(
        listing=replace(
            listing,
            classes=derived.classes,
            targets=derived.named,
            multilabel=derived.multilabel,
            warnings=(*listing.warnings, *vetted.notes, *derived.notes),
        ),
        entries=[_changed(entries[i], target=made.get(i), problem=lost.get(i)) for i in kept],
        findings=[found[i] for i in kept],
        problems=tuple(vetted.problems),
        total=vetted.total,
    )


def _changed(entry: tuple[str, Record], *, target: Any, problem: Problem | None) -> tuple[str, Record]:
    """The record with its target, or of a lost image with the place of what is wrong."""
    split, record = entry
    where = record.where if problem is None else problem.where
    return split, replace(record, target=target, where=where)
