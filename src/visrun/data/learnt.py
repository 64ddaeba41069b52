"""Whether images are those that a run learnt from, wherever they lie by now: by names and sizes of some of them."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

MOST = 64


def sample(images: Iterable[Path]) -> dict[str, int]:
    """Of up to MOST images, chosen by their names, what each name stands for and the bytes of the file.

    A name is that of the file in its folder; of equal ones one counts. What is gone is left out.
    """
    named = {_digest(image): image for image in images}
    found = {}
    for digest in heapq.nsmallest(MOST, named):
        with suppress(OSError):
            found[digest] = named[digest].stat().st_size
    return found


def share(noted: Mapping[str, object], images: Iterable[Path]) -> float:
    """The share of a `sample` that is among ``images``, from 0 to 1; 0 of an empty one."""
    found = set()
    for image in images:
        if (digest := _digest(image)) in noted:
            with suppress(OSError):
                found |= {digest} if image.stat().st_size == noted[digest] else set()
    return len(found) / len(noted) if noted else 0.0


def _digest(image: Path) -> str:
    name = "/".join(image.parts[-2:]).encode("utf-8", "surrogateescape")
    return hashlib.sha256(name).hexdigest()[:16]
