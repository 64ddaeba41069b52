"""Which reader a dataset needs: the one that recognises its folder, or the one that the user names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from visrun import build, tables
from visrun.data import files, foreign
from visrun.data.derive import DERIVE
from visrun.data.given import require_listing
from visrun.data.listing import Listing, with_composed
from visrun.data.marks import FORMS, form_of
from visrun.data.passed_over import passed_over, unread_told
from visrun.data.readers.common import split_in
from visrun.data.regroup import regrouped
from visrun.errors import DataError, UserError, closed, first_line
from visrun.text import some

MOST_TRIED = 20  # folders of one that is no dataset


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What a reader found under a dataset's folder.

    Args:
        kind: Of target, the task's.
        layout: Name of the reader.
        listing: What it found.
        others: Readers that recognise the folder as well.
    """

    kind: str
    layout: str
    listing: Listing
    others: tuple[str, ...] = ()


Reading = Callable[[Path, str, str], Recognised]
Recognising = Callable[[str, Path, str], bool]


def read(
    root: Path, name: str, task: str, *, targets: Sequence[str] | None = None, group: str | None = None
) -> Recognised:
    """What the reader ``name`` finds under ``root`` for a task.

    Raises:
        DataError: ``targets`` are columns to learn, and its layout has no columns; and what it raises itself.
    """
    reader = build.load(tables.READERS[name].read)
    if targets is not None and "targets" not in build.reads(reader):
        raise DataError(f"data.targets={list(targets)}: data={name} has no columns to choose; leave it out")
    kind, told = tables.TASKS[task].target, asked(name, task)
    found = build.call(reader, {**told, "targets": targets, "group": group}, root)
    if not build.is_own(tables.READERS[name].read):
        found = require_listing(found, layout=name, kind=kind)
    home = files.home(root)
    listing = regrouped(with_composed(found), home)
    lines: list[str] = []
    if name != "folder":  # whose reader says so itself
        lines = [*passed_over(listing, home), *(unread_told(root) if root.is_dir() else ())]
    return Recognised(kind=kind, layout=name, listing=replace(listing, warnings=(*listing.warnings, *lines)))


def asked(name: str, task: str) -> dict[str, Any]:
    """What the reader ``name`` asks about a task: it says the same to all tasks of which this is the same.

    A reader's signature may name ``target``, the kind of the task's target; or only what matters to it of that:
    ``masks``, whether it is a mask; ``boxed``, whether it holds upright boxes; ``boxes_serve``, whether labels that are
    boxes serve the task; ``only_outlines``, whether none but outlines do.
    """
    kind = tables.TASKS[task].target
    forms = DERIVE[kind].forms if kind in DERIVE else ()
    known = {
        "target": kind,
        "masks": kind == "mask",
        "boxed": kind in DERIVE and DERIVE[kind].boxed,
        "boxes_serve": "boxes" in forms,
        "only_outlines": forms == ("outlines",),
    }
    wanted = build.reads(build.load(tables.READERS[name].read))
    return {fact: value for fact, value in known.items() if fact in wanted}


def recognises(name: str, root: Path, task: str) -> bool:
    """Whether ``root`` is of the layout that the reader ``name`` reads for a task.

    Raises:
        DataError: A folder inside may not be read, or the reader fails at what is there.
    """
    recognise = build.load(tables.READERS[name].recognise)
    build.require_filled(f'READERS["{name}"].recognise', recognise, {"task"}, ("root",))
    try:
        return bool(build.call(recognise, {"task": task}, root))
    except UserError:
        raise
    except PermissionError as error:  # of any folder that may hold a part of the set
        raise closed(error) from error
    except Exception as error:
        line = f"{type(error).__name__}: {first_line(error)}"
        raise DataError(f"data={name}: cannot tell whether {root} is of its layout ({line})") from error


def recognises_by_task(name: str) -> bool:
    """Whether the reader ``name`` recognises a folder for some tasks only: where not, what it says holds for all."""
    return "task" in build.reads(build.load(tables.READERS[name].recognise))


def listing(
    root: Path,
    *,
    task: str,
    reader: str = "auto",
    reading: Reading = read,
    recognising: Recognising = recognises,
) -> Recognised:
    """What the reader that suits ``root`` and ``task`` finds there.

    Where several layouts fit, one that holds the task's own labels goes before one from which they can be derived, and
    among layouts of labelled objects, which are conversions of one another, the first in the table that can serve it.

    Args:
        root: The dataset's folder or file.
        task: Its name in ``TASKS``.
        reader: A name in ``READERS``, or ``auto``.
        reading, recognising: Stand for `read` and `recognises`, so that who asks for several tasks need not look at
            everything for each.

    Raises:
        DataError: For a folder that does not exist, that no reader of the task recognises (saying what was looked for
            and what is there), or that several do that say different things; for a reader that the task has not; for
            labels that cannot serve the task, naming the tasks that they serve.
    """
    files.require_root(root)
    known = readers(task)
    if reader != "auto" and reader not in known:
        raise DataError(f"data={reader} reads no data for task={task}; one of: auto, {', '.join(known)}")
    names = [reader] if reader != "auto" else _recognised(root, task, recognising)
    poor = []
    for name in names:
        found = reading(root, name, task)
        if serves(found) and not (_too_few_classes(found) and name != names[-1]):
            others = tuple(other for other in names if other != name)
            return Recognised(kind=found.kind, layout=name, listing=found.listing, others=others)
        poor.append(found)
    able = dict.fromkeys(other for found in poor for other in _served(found))
    raise DataError(f"data.root={root}: {held(poor)}, too little for task={task}; they serve {', '.join(able)}")


def readers(task: str) -> dict[str, tables.ReaderEntry]:
    """The readers that can serve a task, those that hold its own labels first."""
    target = tables.TASKS[task].target
    own = {name: entry for name, entry in tables.READERS.items() if target in entry.targets}
    return own | {name: entry for name, entry in tables.READERS.items() if target in entry.derived}


def serves(found: Recognised) -> bool:
    """Whether the task's targets can be had from what was found."""
    form = form_of(found.listing)
    return form is None or form in DERIVE[found.kind].forms


def _too_few_classes(found: Recognised) -> bool:
    """As where a folder of images beside a json looks like the folder of one class."""
    return 0 < len(found.listing.classes) < tables.TARGETS[found.kind].least_classes


def held(poor: Sequence[Recognised]) -> str:
    """What readers found that is too little: ``data=coco and data=yolo: boxes without corners or outlines``."""
    forms = sorted({str(form_of(found.listing)) for found in poor}, key=list(FORMS).index)
    return f"{choices([found.layout for found in poor], 'and')}: {' or '.join(FORMS[form] for form in forms)}"


def _served(found: Recognised) -> list[str]:
    entry, form = tables.READERS[found.layout], form_of(found.listing)
    return tables.learning(target for target in entry.served if form in DERIVE[target].forms)


def fitting(root: Path, task: str, recognising: Recognising = recognises) -> list[str]:
    """The readers of ``task`` that recognise ``root``, those that hold its own labels first."""
    return [name for name in readers(task) if recognising(name, root, task)]


def _recognised(root: Path, task: str, recognising: Recognising) -> list[str]:
    """The readers to try, in this order."""
    names = fitting(root, task, recognising)
    own = [name for name in names if tables.TASKS[task].target in tables.READERS[name].targets]
    if len(own) > 1 and not all(tables.READERS[name].derived for name in own):
        raise DataError(f"data.root={root} fits several layouts: choose one with {choices(own)}")
    if names:
        return names
    if line := imageless(root):
        raise DataError(f"data.root={root}: {line}")
    if place := elsewhere(root, task):
        raise DataError(f"data.root={root}: no layout for task={task} recognised here, but {place}")
    if line := foreign.told(root, task):
        raise DataError(f"data.root={root}: no layout for task={task} recognised: {line}{_other_tasks(root, task)}")
    wanted = "; ".join(f"data={name}: {what_it_reads(name)}" for name in readers(task))
    raise DataError(
        f"data.root={root}: no layout for task={task} recognised. Looked for: {wanted or 'nothing (no reader yet)'}. "
        f"Found: {_contents(root)}{_other_tasks(root, task)}"
    )


def imageless(root: Path) -> str:
    """A line on a folder all of whose images are of kinds that are not read; "" of any other."""
    if files.holds_images(root) or not (counts := files.unread(root)):
        return ""
    found = some(f"{n:,} {suffix}" for suffix, n in counts.most_common())
    return f"no image that can be read, but {found}: convert them to PNG or TIFF, a file for each picture or slice"


def elsewhere(root: Path, task: str) -> str:
    """The folders in ``root`` that are a dataset of the task each, and how to name one, for training if any is; ""
    without any."""
    inside = _datasets(root, task)
    if not inside:
        return ""
    first = next((name for name in inside if split_in(name) == "train"), inside[0])
    return f"in the folders {some(inside, 8)}: name one of them, as in {files.naming(root / first)}"


def _datasets(root: Path, task: str) -> list[str]:
    """The folders inside that are a dataset of the task each; one with images right in it is none."""
    inside = files.folders(root)[:MOST_TRIED] if root.is_dir() else []
    return [folder.name for folder in inside if not files.holds_images(folder, deep=False) and fitting(folder, task)]


def choices(names: Sequence[str], word: str = "or") -> str:
    """``data=coco or data=yolo``."""
    return f" {word} ".join(f"data={name}" for name in names)


def what_it_reads(name: str) -> str:
    """A reader says in the first line of its docstring which layout it reads."""
    text = inspect.getdoc(build.load(tables.READERS[name].read)) or ""
    return text.partition("\n")[0].rstrip(".")


def _contents(root: Path) -> str:
    if root.is_file():
        return f"the file {root.name}"
    inside = [folder.name + "/" for folder in files.folders(root)]
    inside += sorted(child.name for child in root.iterdir() if child.is_file())
    return some(inside, 8) if inside else "an empty folder"


def _other_tasks(root: Path, task: str) -> str:
    serving = tables.layouts_of(task)
    for name, entry in tables.READERS.items():
        for other in tables.learning(entry.targets):
            if name not in serving and recognises(name, root, other):
                return f". It looks like data={name} for task={other}"
    return ""
