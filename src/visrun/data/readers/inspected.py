"""What readers of inspected images share: folders named for what their images show, and masks found by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visrun.data import files
from visrun.data.listing import Listing, Problem, Record
from visrun.data.verdicts import CLASSES, Verdict

MASKS = ("ground_truth", "groundtruth", "masks", "mask")
MARKS = ("_mask", "")  # what a mask's stem carries after its image's
_GOOD = {
    *("good", "ok", "okay", "normal", "defect_free", "no_defect", "no_defects", "non_defective", "nondefective"),
    *("undamaged", "intact", "pass", "passed"),
}


def is_good(name: str) -> bool:
    """Whether a folder of this name holds good images."""
    return name.strip().lower().replace("-", "_").replace(" ", "_") in _GOOD


def kinds(folder: Path) -> list[Path]:
    """The folders inside that hold images of one kind each; masks are none."""
    return [one for one in files.folders(folder) if one.name.lower() not in MASKS and files.holds_images(one)]


@dataclass
class Found:
    """What was read so far."""

    splits: dict[str, list[Record]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unused: int = 0

    def add(self, split: str, folder: Path, *, root: Path, homes: Sequence[Path]) -> None:
        """Read all kinds inside ``folder``; ``homes`` are the folders that may hold masks, the closest first.

        A defective image without a mask is a problem where others of its kind have one.
        """
        for kind in kinds(folder):
            if is_good(kind.name):
                self._put(split, [Record(p, Verdict(CLASSES[0]), files.shown(p, root)) for p in files.images(kind)])
                continue
            for inner in _leaves(kind):
                self._add_defects(split, inner, inner.relative_to(folder), root, homes)

    def _add_defects(self, split: str, kind: Path, name: Path, root: Path, homes: Sequence[Path]) -> None:
        masks = next((home / name for home in homes if (home / name).is_dir()), None)
        by_stem = (
            {} if masks is None else {m.stem: m for m in masks.iterdir() if m.suffix.lower() in files.MASK_SUFFIXES}
        )
        records, used = [], set()
        for image in _direct(kind):
            stem = next((image.stem + mark for mark in MARKS if image.stem + mark in by_stem), None)
            where = files.shown(image, root)
            if by_stem and stem is None:
                assert masks is not None
                wanted = f"{files.shown(masks, root)}/{image.stem}{MARKS[0]}.png"
                self.problems.append(Problem(where, f"no mask {wanted}, while others of its kind have one"))
                continue
            used.add(stem)
            records.append(Record(image, Verdict(name.as_posix(), by_stem[stem] if stem else None), where))
        self.unused += len(by_stem.keys() - used)
        self._put(split, records)

    def _put(self, split: str, records: list[Record]) -> None:
        self.splits.setdefault(split, []).extend(records)

    def listing(self) -> Listing:
        """All of it."""
        lines = (f"{self.unused} masks without an image are left out",) if self.unused else ()
        return Listing(splits=self.splits, classes=CLASSES, problems=tuple(self.problems), warnings=lines)


def _leaves(folder: Path) -> Iterator[Path]:
    """``folder`` and those inside it, as far as images lie directly in them."""
    if files.holds_images(folder, deep=False):
        yield folder
    for inner in files.folders(folder):
        if inner.name.lower() not in MASKS:
            yield from _leaves(inner)


def _direct(folder: Path) -> Iterator[Path]:
    return (path for path in files.images(folder) if path.parent == folder)
