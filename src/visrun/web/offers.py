"""What a path that is being typed may come to: folders and files that exist, a few, inside the roots, and soon.

Folders may be huge, or lie on a network drive that hangs: a thread of its own looks at the disk, is waited for only so
long, and whatever it has found by then is offered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from os import DirEntry, scandir
from pathlib import Path
from time import monotonic
from typing import Any

from visrun.data.files import IMAGE_SUFFIXES, folded, natural
from visrun.folders import expanded
from visrun.text import composed
from visrun.web.roots import Roots

MOST = 50  # offers
FIRST = 12  # of them that are known already
ENOUGH = 2000  # folders, and files, that one is chosen from; where more fit, the text is to be longer
SECONDS = 0.5  # that a folder is read for
STUCK = 4  # threads that may wait for drives
# What is asked for -> suffixes of the files that can be meant; folders always can.
KINDS: dict[str, frozenset[str]] = {
    "data": frozenset({".csv", ".tsv", ".json", ".xml", ".yaml", ".yml"}),
    "weights": frozenset({".pt", ".pth", ".safetensors"}),
    "images": IMAGE_SUFFIXES,
}
ASKED = {"data.root": "data", "model.weights": "weights"}  # setting -> what its field asks for
_threads = threading.BoundedSemaphore(STUCK)


@dataclass
class Offered:
    """What fits: known paths and whether each is a folder, names of folders and files; ``whole``: there is no more."""

    known: dict[str, bool] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    whole: bool = False


def offers(text: str, *, kind: str, roots: Roots, known: Iterable[str] = ()) -> dict[str, Any]:
    """At most ``MOST`` paths in the folder that ``text`` names whose last part holds its last part, in any case.

    Args:
        text: What is typed, relative to the current folder or not; a last ``/`` asks for what is inside.
        kind: Of ``KINDS``.
        known: Paths to be offered before others where they fit.
    """
    text = "~/" if text == "~" else text
    end = text.rfind("/") + 1
    head, wanted, found = text[:end], folded(text[end:]), Offered()
    if _threads.acquire(blocking=False):
        work = (found, head, wanted, KINDS[kind], roots, (path for path in known if _fits(path, text)))
        thread = threading.Thread(target=_find, args=work, name="visrun-offers", daemon=True)
        thread.start()
        thread.join(2 * SECONDS)
    first = {**found.known}
    every = [{"value": path, "name": path, "folder": folder} for path, folder in first.items()]
    for names, folder in ((found.folders, True), (found.files, False)):
        ordered = sorted([*names], key=lambda name: (not folded(name).startswith(wanted), natural(name)))
        fresh = (name for name in ordered if str(expanded(head).absolute() / name) not in first)
        every += [{"value": head + name, "name": name, "folder": folder} for name in fresh]
    return {"offers": every[:MOST], "more": len(every) > MOST or not found.whole}


def _fits(path: str, text: str) -> bool:
    """Whether a whole path goes on from ``text``, or is called so."""
    return composed(path).startswith(composed(text)) or ("/" not in text and folded(text) in folded(Path(path).name))


def _find(found: Offered, head: str, wanted: str, suffixes: frozenset[str], roots: Roots, known: Iterable[str]) -> None:
    """Take in what fits; nothing of a folder outside, which is answered like one that is not there."""
    folder, whole = expanded(head or "."), True
    try:
        if roots.holds(folder):
            with suppress(OSError), scandir(folder) as entries:  # no folder, or not to be read
                whole = _look(entries, found, wanted, suffixes, roots)
        inside = (Path(path) for path in known if roots.holds(Path(path)))
        there = ((str(path), path.is_dir()) for path in inside if path.is_dir() or path.suffix.lower() in suffixes)
        found.known.update(islice(there, FIRST))
        found.whole = whole
    finally:
        _threads.release()


def _look(
    entries: Iterable[DirEntry[str]], found: Offered, wanted: str, suffixes: frozenset[str], roots: Roots
) -> bool:
    """Take in what fits of a folder; whether that is all."""
    until = monotonic() + SECONDS
    for entry in entries:
        if monotonic() > until or len(found.folders) == ENOUGH:
            return False
        name = entry.name
        if wanted not in folded(name) or name.startswith(".") or not name.isprintable():  # no text: is not typed
            continue
        if _is_folder(entry):
            names = found.folders
        elif name[name.rfind(".") :].lower() in suffixes and len(found.files) < ENOUGH:
            names = found.files
        else:
            continue
        if not entry.is_symlink() or roots.holds(Path(entry.path)):
            names.append(name)
    return len(found.files) < ENOUGH


def _is_folder(entry: DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
