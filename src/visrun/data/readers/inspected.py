"""What readers of inspected images share: folders named for what their images show, and masks found by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import IMAGES, MASKS_OF_DEFECTS
from visrun.data.listing import Listing, Problem, Record
from visrun.data.readers import common, mask_names
from visrun.data.verdicts import CLASSES, Verdict, is_good
from visrun.text import are, composed, plural

MARKS = ("_mask", "")  # what a mask's stem carries after its image's
BESIDE = ("_cp_masks", *mask_names.BESIDE)  # likewise, of a mask that lies beside its image; the first is Cellpose's
IMAGE_MARKS = ("_img", *mask_names.IMAGE_MARKS)  # what an image's stem carries that its mask's lacks
PIXELS, FLAGS = "rgb", "gt"  # MVTec 3D-AD's folders in that of a kind, beside xyz/ (Bergmann et al., VISAPP 2022)
MASK_STEM = re.compile(rf"(.+?)(?:{'|'.join(BESIDE)})(?:_?[0-9]+)?", re.IGNORECASE)


def mask_folders(*folders: Path) -> list[Path]:
    """The folders of masks right in these, in the order of ``MASKS_OF_DEFECTS``, their names in any case."""
    return [
        path
        for folder in folders
        for name in MASKS_OF_DEFECTS
        for path in files.folders(folder)
        if path.name.lower() == name
    ]


def inside(folder: Path, name: Path) -> Path | None:
    """The folder of a relative path, in any case: the one so written before others; None where there is none."""
    found: Path | None = folder
    for part in name.parts:
        alike = [path for path in files.folders(found) if _same(path.name, part)] if found else []
        found = next((path for path in alike if path.name == part), next(iter(alike), None))
    return found


def _same(name: str, other: str) -> bool:
    return composed(name).lower() == composed(other).lower()


def flat(homes: Iterable[Path], images: Iterable[Path]) -> dict[Path, dict[str, tuple[Path, ...]]]:
    """Of the folders with masks right in them, none of which has the name of several of the ``images``, these masks by
    stem."""
    named = Counter(composed(image.stem) + mark for image in images for mark in MARKS)
    held = ((home, _masks(home, ())) for home in homes)
    return {home: masks for home, masks in held if masks and all(named[stem] <= 1 for stem in masks)}


def kinds(folder: Path) -> list[Path]:
    """The folders inside that hold images of one kind each; masks are none."""
    return [
        one for one in files.folders(folder) if one.name.lower() not in MASKS_OF_DEFECTS and files.holds_images(one)
    ]


def parted(paths: Iterable[Path]) -> tuple[list[Path], dict[Path, tuple[Path, ...]]]:
    """The images among files, and the masks that lie beside them, by image."""
    every = [(path, composed(path.stem)) for path in paths]
    owners = {(path.parent, common.unmarked(stem, IMAGE_MARKS)): path for path, stem in every}
    owners |= {(path.parent, stem): path for path, stem in every}
    images, masks = [], dict[Path, tuple[Path, ...]]()
    for path, stem in every:
        marked = MASK_STEM.fullmatch(stem) if path.suffix.lower() in files.MASK_SUFFIXES else None
        if marked and (owner := owners.get((path.parent, marked[1]))):
            masks[owner] = (*masks.get(owner, ()), path)
        else:
            images.append(path)
    return images, masks


def left_out(masks: Sequence[Path], root: Path) -> tuple[str, ...]:
    """A line on masks beside images that are not used, if any."""
    shown = files.shown(masks[0], root) if masks else ""
    return (f"{plural(len(masks), 'mask')} beside images {are(len(masks))} left out, such as {shown}",) if masks else ()


@dataclass
class Found:
    """What was read so far.

    Args:
        flat: The masks by stem of folders in which those of several kinds lie together.
        beside: The masks beside images that are not used.
    """

    flat: Mapping[Path, dict[str, tuple[Path, ...]]] = field(default_factory=dict)
    splits: dict[str, list[Record]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    used: set[Path] = field(default_factory=set)
    homes: set[Path] = field(default_factory=set)
    beside: list[Path] = field(default_factory=list)

    def add(
        self,
        split: str,
        folder: Path,
        *,
        root: Path,
        homes: Sequence[Path],
        shared: Sequence[Path] = (),
        taken: Collection[str] = (),
    ) -> None:
        """Read all kinds inside ``folder``.

        A defective image without a mask is a problem where others of its kind have one.

        Args:
            homes: The folders that may hold masks, the closest first.
            shared: Further ones, for kinds that are not ``taken`` by another split.
        """
        self.homes.update(homes, shared)
        for kind in kinds(folder):
            own = [*homes, *(() if kind.name in taken else shared)]
            if is_good(kind.name):
                images, beside = parted(path for leaf in _leaves(kind) for path in files.images(leaf, deep=False))
                self.beside += chain.from_iterable(beside.values())
                self._put(split, [Record(p, Verdict(CLASSES[0]), files.shown(p, root)) for p in images])
                self.used.update(*self._lying_flat(own, images)[1].values())  # blank ones
                continue
            for inner in _leaves(kind):
                self._add_defects(split, inner, inner.relative_to(folder), root, own)

    def _add_defects(self, split: str, kind: Path, name: Path, root: Path, homes: Sequence[Path]) -> None:
        masks = next((found for home in homes if (found := inside(home, name))), None)
        images, beside = parted(files.images(kind, deep=False))
        by_stem = _masks(masks, {composed(image.stem) for image in images}) if masks else {}
        if not by_stem and kind.name.lower() in (*IMAGES, PIXELS):  # beside their masks, in the folder of the kind
            masks, name = next(iter(mask_folders(kind.parent)), inside(kind.parent, Path(FLAGS))), name.parent
            by_stem = _masks(masks, {composed(image.stem) for image in images}) if masks else {}
        if not by_stem:
            masks, by_stem = self._lying_flat(homes, images)
        if not by_stem:
            masks, by_stem = kind, {composed(image.stem) + MARKS[0]: own for image, own in beside.items()}
        else:
            self.beside += chain.from_iterable(beside.values())
        records = []
        for image in images:
            stems = (composed(image.stem) + mark for mark in MARKS)
            own = next((by_stem[stem] for stem in stems if stem in by_stem), ())
            where = files.shown(image, root)
            if by_stem and not own:
                assert masks is not None
                wanted = f"{files.shown(masks, root)}/{image.stem}{MARKS[0]}.png"
                self.problems.append(Problem(where, f"no mask {wanted}, while others of its kind have one"))
                continue
            self.used.update(own)
            records.append(Record(image, Verdict(name.as_posix(), own), where))
        self._put(split, records)

    def _lying_flat(
        self, homes: Sequence[Path], images: Sequence[Path]
    ) -> tuple[Path | None, dict[str, tuple[Path, ...]]]:
        """The first folder of masks of several kinds with some of these images, and these masks by stem."""
        stems = {composed(image.stem) + mark for image in images for mark in MARKS}
        for home in homes:
            own = {stem: found for stem, found in self.flat.get(home, {}).items() if stem in stems}
            if own:
                return home, own
        return None, {}

    def _put(self, split: str, records: list[Record]) -> None:
        self.splits.setdefault(split, []).extend(records)

    def listing(self, root: Path) -> Listing:
        """All of it; masks that no defective image has are said."""
        every = {mask for home in self.homes for mask in files.images(home)} - self.used
        rest = (mask for mask in every if not any(map(is_good, mask.relative_to(root).parts[:-1])))
        lines = common.left_over("mask", rest, root)
        return Listing(
            splits=self.splits,
            classes=CLASSES,
            problems=tuple(self.problems),
            warnings=(*lines, *left_out(self.beside, root)),
        )


def _masks(folder: Path, images: Collection[str]) -> dict[str, tuple[Path, ...]]:
    """The masks in ``folder`` by stem: a file each, or a folder named like one of the ``images``, with all of its."""
    own = (inner for inner in files.folders(folder) if composed(inner.name) in images)
    several = {composed(inner.name): tuple(files.images(inner, deep=False)) for inner in own}
    single = {_stem(mask): (mask,) for mask in files.images(folder, deep=False)}
    return {stem: found for stem, found in {**several, **single}.items() if found}


def _stem(mask: Path) -> str:
    """What a mask's name is compared by: its mark in lower case."""
    stem = composed(mask.stem)
    bare = common.unmarked(stem, MARKS)
    return bare + stem[len(bare) :].lower()


def _leaves(folder: Path) -> Iterator[Path]:
    """``folder`` and those inside it, as far as images lie directly in them; of one with rgb/, that alone."""
    if (pixels := inside(folder, Path(PIXELS))) is not None and not files.holds_images(folder, deep=False):
        yield pixels
        return
    if files.holds_images(folder, deep=False):
        yield folder
    for inner in files.folders(folder):
        if inner.name.lower() not in MASKS_OF_DEFECTS:
            yield from _leaves(inner)
