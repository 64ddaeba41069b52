"""From what label files say to what a task learns: the objects of every image checked, chosen and derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from visrun.data import check, choose
from visrun.data.check import Finding
from visrun.data.derive import DERIVE
from visrun.data.listing import Listing, Problem, Record
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
) -> Labelled:
    """Turn the marks of a reader of objects into targets of ``kind``.

    Args:
        listing: What the reader found; entries: its records; findings: of their files.
        kind: Of target.
        form: What the labels are: ``boxes``, ``quads`` or ``outlines``; ``kind`` can be derived from it.
        classes: The classes wanted, or None; for masks they are chosen when all have been painted.
        training: Whether all of them must be there.
    """
    usable = [i for i, finding in enumerate(findings) if not finding.fault]
    derivation = DERIVE[kind]
    vetted = vet(
        [entries[i][1].target for i in usable],
        [findings[i].size for i in usable],
        wheres=[entries[i][1].where for i in usable],
        form=form,
        classes=listing.classes,
        outlined="boxes" not in derivation.forms and form == "outlines",
        boxed=derivation.boxed,
    )
    entries, findings = list(entries), list(findings)
    for number, problem in vetted.lost.items():
        i = usable[number]
        entries[i] = (entries[i][0], replace(entries[i][1], where=problem.where))
        findings[i] = replace(findings[i], fault=problem.what)
    sound = [number for number in range(len(usable)) if number not in vetted.lost]
    objects, names = [vetted.objects[number] for number in sound], listing.classes
    if kind != "mask":
        objects, names = choose.objects(objects, names, classes, training=training)
    derived = derivation.make(objects, names)
    if kind == "mask":
        painted = check.paint([findings[usable[number]] for number in sound], derived.targets)
        for number, finding in zip(sound, painted, strict=True):
            findings[usable[number]] = finding
    without = set()
    for number, target in zip(sound, derived.targets, strict=True):
        i = usable[number]
        entries[i] = (entries[i][0], replace(entries[i][1], target=target))
        if target is None:
            without.add(i)
    return Labelled(
        listing=replace(
            listing,
            classes=derived.classes,
            targets=derived.named,
            multilabel=derived.multilabel,
            warnings=(*listing.warnings, *vetted.notes, *derived.notes),
        ),
        entries=[entry for i, entry in enumerate(entries) if i not in without],
        findings=[finding for i, finding in enumerate(findings) if i not in without],
        problems=tuple(vetted.problems),
        total=vetted.total,
    )
