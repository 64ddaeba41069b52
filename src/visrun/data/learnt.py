"""Whether images are those that a run learnt from, wherever they lie by now: by names and contents of some of them."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

MOST = 128  # images that are noted
TAIL = 1 << 16  # bytes at a file's end that are looked at, where images of one kind differ
BEYOND = "~"  # after every digest


def sample(images: Iterable[Path]) -> str:
    """Some MOST images, as ``NAME=CONTENT`` with a space between two: what stands for the file's name and its content.

    They are those whose names' digests are the smallest, and so the same of any set that has them. What cannot be read
    is left out.
    """
    named = _by_name(images)
    found: list[str] = []
    for name in sorted(named):
        contents = {content for image in named[name][:MOST] if (content := _content(image))}
        found += sorted(f"{name}={content}" for content in contents)
        if len(found) >= MOST:
            break
    return " ".join(found)


def share(noted: str, images: Iterable[Path]) -> float:
    """The share of ``images``, from 0 to 1, that are those of which ``noted`` is the `sample`, by some of them."""
    known = defaultdict(set)
    for pair in noted.split():
        name, _, content = pair.partition("=")
        known[name].add(content)
    limit = max(known, default="") if len(noted.split()) >= MOST else BEYOND
    looked = [(name, image) for name, of_name in _by_name(images).items() if name <= limit for image in of_name]
    found = sum(_is_known(image, known[name]) for name, image in looked if name in known)
    return found / len(looked) if looked else 0.0


def _by_name(images: Iterable[Path]) -> dict[str, list[Path]]:
    named = defaultdict(list)
    for image in images:
        named[_digest(image.name.encode("utf-8", "surrogateescape"))].append(image)
    return named


def _is_known(image: Path, contents: set[str]) -> bool:
    try:
        size = f"{image.stat().st_size}-"
    except OSError:
        return False
    return any(content.startswith(size) for content in contents) and _content(image) in contents


def _content(image: Path) -> str:
    """Its bytes and a digest of the last of them; "" of what cannot be read."""
    try:
        with image.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            return f"{size}-{_digest(file.read())}"
    except OSError:
        return ""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
