"""Which reader a dataset needs: the one that recognises its folder, or the one that the user names."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from visrun import build, tables
from visrun.data import files
from visrun.errors import DataError

if TYPE_CHECKING:
    from visrun.data.records import Listing


def listing(root: Path, *, task: str, reader: str = "auto") -> tuple[str, str, Listing]:
    """The target kind of ``task``, the name of the reader, and what it found under ``root``.

    Raises:
        DataError: For a folder that does not exist, that no reader of the task recognises (saying what was looked for
            and what is there), or that several do; for a reader that the task has not.
    """
    require_root(root)
    known = {name: entry for name, entry in tables.READERS.items() if task in entry.tasks}
    if reader != "auto" and reader not in known:
        raise DataError(f"data={reader} reads no data for task={task}; one of: auto, {', '.join(known)}")
    name = reader if reader != "auto" else _recognised(root, task, known)
    kind = tables.TASKS[task].target
    found: Listing = build.call(build.load(known[name].read), {"target": kind}, root)
    return kind, name, found


def require_root(root: Path) -> None:
    """Refuse a dataset that is not there.

    Raises:
        DataError: No such folder or file; with a suggestion where one beside it has nearly this name.
    """
    if not root.exists():
        near = files.folders(root.parent) if root.parent.is_dir() else []
        close = get_close_matches(root.name, [folder.name for folder in near], n=1)
        raise DataError(f"data.root={root}: no such folder" + (f"; did you mean {close[0]}?" if close else ""))


def _recognised(root: Path, task: str, known: dict[str, tables.ReaderEntry]) -> str:
    names = [name for name, entry in known.items() if build.load(entry.recognise)(root, task)]
    if len(names) == 1:
        return names[0]
    if names:
        forms = " or ".join(f"data={name}" for name in names)
        raise DataError(f"data.root={root} fits several layouts: choose one with {forms}")
    wanted = "; ".join(f"data={name}: {_first_line(entry)}" for name, entry in known.items())
    raise DataError(
        f"data.root={root}: no layout for task={task} recognised. Looked for: {wanted or 'nothing (no reader yet)'}. "
        f"Found: {_contents(root)}{_other_tasks(root, task)}"
    )


def _first_line(entry: tables.ReaderEntry) -> str:
    """A reader says in the first line of its docstring which layout it reads."""
    text = inspect.getdoc(build.load(entry.read)) or ""
    return text.partition("\n")[0].rstrip(".")


def _contents(root: Path) -> str:
    if root.is_file():
        return f"the file {root.name}"
    inside = [folder.name + "/" for folder in files.folders(root)]
    inside += sorted(child.name for child in root.iterdir() if child.is_file())
    return files.some(inside, 8) if inside else "an empty folder"


def _other_tasks(root: Path, task: str) -> str:
    for name, entry in tables.READERS.items():
        for other in entry.tasks:
            if task not in entry.tasks and build.load(entry.recognise)(root, other):
                return f". It looks like data={name} for task={other}"
    return ""
