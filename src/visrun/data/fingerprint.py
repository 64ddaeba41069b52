"""What tells one dataset from another: a digest of all its images and labels."""

from __future__ import annotations

import hashlib
from pathlib import Path

from visrun.data import files
from visrun.data.listing import Listing
from visrun.data.splits import Entry


def of_splits(good: dict[str, list[Entry]], root: Path, listing: Listing) -> dict[str, str]:
    """Of each split but train its own."""
    return {name: of({name: rows}, root, listing) for name, rows in good.items() if name != "train"}


def of(good: dict[str, list[Entry]], root: Path, listing: Listing) -> str:
    """SHA-256 over the classes, relative paths, byte sizes and targets of images by split."""
    lines = [f"{listing.classes} {listing.targets}"]
    for name, rows in sorted(good.items()):
        for record, finding in rows:
            target = files.shown(record.target, root) if isinstance(record.target, Path) else record.target
            lines.append(f"{name}\t{files.shown(record.image, root)}\t{finding.length}\t{target}")
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
