"""Which ids of masks are classes: those that have names, those that occur, or black and white."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from visrun.data import choose, labelmap
from visrun.data.check import Finding
from visrun.data.ids import ABSENT, IGNORE, NUMBERED
from visrun.data.images import WHITE_FROM, load_mask
from visrun.errors import DataError
from visrun.text import are, plural, some

if TYPE_CHECKING:
    from visrun.data.listing import Listing

BLACK_AND_WHITE = ("background", "foreground")
LOSSY = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})  # suffixes of masks that may be blurred
BLURRED = "a JPEG, which blurs class ids, and once converted, too: export the masks anew as PNG"
NEAR = 50  # values that are nearly black, or as many that are nearly white
VALUES = 3  # such values, beside black and white themselves, from which on they are shades and no ids
SOFT = 0.5  # pixels between, at most so many of those of the smaller end: edges
STRAY = 0.01  # pixels that count for nothing, likewise
NUMBERING = 0.9  # share of masks whose ids run from 1 on without a gap, and of ids that are one piece: objects' numbers
FEWEST = 3  # objects that the fullest of such masks shows
LOOKED_AT = 8  # masks whose pieces, or colours, are counted
MOST_COLOURS = 8  # that a line names
WIDTH = 16  # values that hold most of what is between, where that is a class of its own in grey


def settle(
    listing: Listing, classes: Sequence[str] | None, findings: list[Finding], *, painted: bool, training: bool
) -> tuple[Listing, tuple[int, ...], list[Finding]]:
    """Class names, the id of each class in the files, and the findings with ids out of range as faults.

    Where nobody names them, the ids have the layout's usual names, or else each that occurs is a class: class_7 and
    class_11. 255 is no class but "ignore", unless the masks are black and white, perhaps with soft edges: white is then
    the class of id 255, and each pixel what it is nearer to, see `visrun.data.images.chosen_ids`.

    Args:
        painted: Whether they were made from outlines and are no files.

    Raises:
        DataError: Masks are JPEGs and not black and white; or their values may be ids as well as shades; or most are in
            colours that stand for no ids.
    """
    _refuse_colours(listing, findings)
    seen = sum((f.pixels for f in findings if f.pixels is not None), np.zeros(256, dtype=np.int64))
    files_alone = not painted and not listing.usual_classes
    lossy = None if painted else _jpeg(listing)
    white = files_alone and len(listing.classes) in (0, 2) and _black_and_white(seen, lossy=lossy is not None)
    if lossy and not white:
        raise DataError(f"{lossy} is {BLURRED}")
    if files_alone and not white and not listing.classes and classes is None:
        _refuse_shades(seen)
    known = _named(listing, white) or _unnamed(listing, classes, seen, white=white, training=training)
    if not listing.ids:
        findings = [_nearest(finding) if white else _in_range(finding, {*known.values()}) for finding in findings]
    wanted = tuple(known) if classes is None else choose.wanted_of(classes, tuple(known), training=training)
    ids = tuple(known.get(name, ABSENT) for name in wanted)  # ABSENT: a finished model's class
    told = [*choose.left_out(tuple(known), classes, training=training)] if not listing.classes else []
    if white:
        told.append(_told(seen, next(name for name, id_ in known.items() if id_ == IGNORE)))
    elif files_alone and not listing.classes and seen[IGNORE]:
        told.append(f"mask id 255 means ignore: {seen[IGNORE] / seen.sum():.1%} of all pixels are left out")
    if files_alone and not white and not listing.classes and classes is None:
        told += _objects_numbered(listing, findings)
    if listing.ids and (other := seen.sum() - seen[[*listing.ids]].sum()):
        told.append(f"pixels without a class are ignored: {other / seen.sum():.1%} of all")
    return replace(listing, classes=wanted, warnings=(*listing.warnings, *told)), ids, findings


def _black_and_white(seen: np.ndarray, *, lossy: bool) -> bool:
    """Whether masks hold, in pixels of each value (256,), black and white, and between them no more than edges."""
    smaller, between = min(seen[:NEAR].sum(), seen[-NEAR:].sum()), seen[NEAR:-NEAR]
    if lossy or _shaded(seen):
        peak = np.convolve(between, np.ones(WIDTH)).max()
        edges = between.sum() <= SOFT * smaller and 2 * peak <= between.sum()
        return bool(smaller and (edges or between.sum() <= STRAY * smaller))
    return _two_peaks(seen) and bool(seen[1:IGNORE].sum() <= STRAY * min(seen[0], seen[IGNORE]))


def _shaded(seen: np.ndarray) -> bool:
    """Whether values are shades of black and white: ids begin at 0, and do not go on up to 254."""
    return bool(min(np.count_nonzero(seen[1:NEAR]), np.count_nonzero(seen[-NEAR:-1])) >= VALUES)


def _two_peaks(seen: np.ndarray) -> bool:
    """Whether 0 and 255 occur, and near them nothing, or at both no more than what a JPEG of high quality brings."""
    black, white = seen[:NEAR], seen[: -NEAR - 1 : -1]  # each from its end on
    bare = [not end[1:].any() for end in (black, white)]
    blurred = [end[1:VALUES].any() and not end[VALUES:].any() and 2 * end[1:].sum() <= end[0] for end in (black, white)]
    return bool(black[0] and white[0] and (all(bare) or all(blurred)))


def _refuse_colours(listing: Listing, findings: Sequence[Finding]) -> None:
    """One line in place of one for each mask, with the colours to be named."""
    targets = [record.target for records in listing.splits.values() for record in records]
    coloured = [path for path, f in zip(targets, findings, strict=True) if f.fault.endswith(labelmap.NEEDED)]
    if 2 * len(coloured) > len(findings):
        shares = labelmap.colours(coloured[:LOOKED_AT])
        told = some((f"{colour} {share:.1%}" for colour, share in shares), MOST_COLOURS)
        where = f"{coloured[0].parent}: {len(coloured):,} of {len(findings):,} are colour masks"
        raise DataError(f"{where} ({told}): they need {labelmap.NEEDED}")


def _refuse_shades(seen: np.ndarray) -> None:
    if not seen[IGNORE] or not (_shaded(seen) or _two_peaks(seen)):
        return
    found = [f"class_{value}" for value in np.flatnonzero(seen[:IGNORE])]
    raise DataError(
        f"the masks hold {plural(len(found) - 1, 'value')} between black (0) and white (255): in place of soft edges "
        "write 0 and 255, in place of grey classes ids 0, 1, 2, ...; or name these, and 255 counts for none: "
        f"data.classes=[{some(found, 3)}]"
    )


def _jpeg(listing: Listing) -> Path | None:
    """The first mask that is a JPEG, if any."""
    targets = (record.target for records in listing.splits.values() for record in records)
    return next((path for path in targets if isinstance(path, Path) and path.suffix.lower() in LOSSY), None)


def _objects_numbered(listing: Listing, findings: Sequence[Finding]) -> list[str]:
    """A line where ids look like numbers of objects: in each mask they run from 1 on, as far as it shows objects, each
    is in one place, and most masks show fewer than the fullest, where of classes most may show all."""
    targets = [record.target for records in listing.splits.values() for record in records]
    pairs = [(path, f.pixels[1:IGNORE]) for path, f in zip(targets, findings, strict=True) if f.pixels is not None]
    shown = [(path, np.flatnonzero(pixels)) for path, pixels in pairs if pixels.any()]
    full = [(path, len(ids)) for path, ids in shown if ids[-1] + 1 == len(ids)]
    counts = [n for _, n in full]
    most = max(counts, default=0)
    if len(full) < NUMBERING * len(shown) or most < FEWEST or 2 * counts.count(most) > len(counts):
        return []
    from skimage.measure import label

    sample = full[:: max(1, len(full) // LOOKED_AT)][:LOOKED_AT]
    pieces = sum(int(label(load_mask(path) % IGNORE, background=0, connectivity=2).max()) for path, _ in sample)
    if NUMBERING * pieces > sum(n for _, n in sample):
        return []
    span = f"from 1 to {min(counts)} or up to {most}"
    return [f"ids run {span} in {len(full):,} of {len(shown):,} masks, each in one place: {NUMBERED}"]


def _nearest(finding: Finding) -> Finding:
    """With each pixel counted as what it is nearer to, black or white."""
    if finding.pixels is None:
        return finding
    pixels = np.zeros_like(finding.pixels)
    pixels[0], pixels[IGNORE] = finding.pixels[:WHITE_FROM].sum(), finding.pixels[WHITE_FROM:].sum()
    return replace(finding, pixels=pixels)


def _told(seen: np.ndarray, name: str) -> str:
    if seen[1:IGNORE].any():
        return f"the masks are nearly black and white: white (255), and what is nearer to it than to black, is {name}"
    return f"the masks are black and white: white (255) is {name}"


def _named(listing: Listing, white: bool) -> dict[str, int]:
    """The id of each class, where the dataset names them."""
    if listing.ids:
        return dict(zip(listing.classes, listing.ids, strict=True))
    return _numbered(listing.classes, white)


def _numbered(names: Sequence[str], white: bool) -> dict[str, int]:
    """Names of the ids 0, 1, ...; of two classes in black and white the second is white."""
    return dict(zip(names, (0, IGNORE) if white and len(names) == 2 else range(len(names)), strict=True))


def _unnamed(
    listing: Listing, classes: Sequence[str] | None, seen: np.ndarray, *, white: bool, training: bool
) -> dict[str, int]:
    """The id of each class, where the dataset names none."""
    found = np.flatnonzero(seen[:IGNORE]).tolist()
    usual = listing.usual_classes
    if max(found, default=-1) < len(usual) and (classes is None or not set(usual).isdisjoint(map(str, classes))):
        return _numbered(usual, white)
    own = _numbered(BLACK_AND_WHITE, white) if white else {f"class_{i}": i for i in found}
    if training or classes is None or (not white and not own.keys().isdisjoint(map(str, classes))):
        return own
    return _numbered([*map(str, classes)], white)  # the ids stand for a finished model's classes by number


def _in_range(finding: Finding, known: set[int]) -> Finding:
    strange = set() if finding.pixels is None else {*np.flatnonzero(finding.pixels[:IGNORE]).tolist()} - known
    if not strange:
        return finding
    fault = (
        f"mask id {min(strange)} is out of range: there {are(len(known))} {plural(len(known), 'class')} (255 = ignore)"
    )
    return replace(finding, fault=fault)
