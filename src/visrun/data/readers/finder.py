"""The images that label files name: found near them, else by their name, and never one that is another's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from visrun.data import files
from visrun.data.folder_names import ALWAYS_MASKS
from visrun.data.readers import common
from visrun.data.readers.common import by_split
from visrun.data.readers.namesakes import Namesakes, named_splits, parts_of, shared, strays
from visrun.data.splits import ALL
from visrun.text import composed, some


class Finder:
    """Finds the images that label files name: in one of the ``near`` folders, else anywhere below ``root``."""

    def __init__(self, root: Path, near: Sequence[Path]) -> None:
        self.root, self.near = root, [folder for folder in dict.fromkeys(near) if folder.is_dir()]
        self._below: dict[str, list[Path]] | None = None
        self._folded: dict[str, list[str]] | None = None
        self._splits: set[str] | None = None
        self._of_name: dict[str, Namesakes] = {}
        self._of_stem: dict[str, Namesakes] = {}

    def named(self, name: str, split: str = ALL, *, pool: bool = False) -> Path | None:
        """The image of a name as label files write it: with folders in front, of this machine or another, or none; the
        suffix may be missing. Where there is none so written, the case of its letters does not count.

        Args:
            name: As written.
            split: Whose it is.
            pool: Whether it may lie in the folder of another split, although the name does not say so.
        """
        for place, folder in enumerate(self.near):
            path = folder / name.replace("\\", "/")
            if files.is_file(path):
                self.near.insert(0, self.near.pop(place))  # the next one is likely there, too
                return path
        return self._named(name).meant(parts_of(name), split, pool=pool).path

    def rivals(self, name: str, split: str = ALL, *, pool: bool = False) -> Sequence[Path]:
        """Of a name for which `named`, which takes the same, finds none: the several images that it may mean."""
        free = self._named(name).meant(parts_of(name), split, pool=pool).free
        return free if len(free) > 1 else []

    def knows(self, name: str) -> bool:
        """Whether an image of this name, as `named` takes it, lies anywhere below ``root``, or several do."""
        return len(self._named(name)) > 0

    def of_stem(self, stem: str, parts: Sequence[str] = (), split: str = ALL, *, pool: bool = False) -> Path | None:
        """The image of a name without suffix; of several the one that shares most of the last ``parts`` of its path.

        Arguments as for `named`; ``parts`` are the folders as written, and the stem.
        """
        if stem not in self._of_stem:
            self._of_stem[stem] = Namesakes(self._alike(stem), self.root)
        return self._of_stem[stem].meant(parts, split, pool=pool).path

    def holds(self, split: str) -> bool:
        """Whether any image below ``root`` lies in a folder that is named for the split."""
        if self._splits is None:
            folders = {path.parent for several in self._stems().values() for path in several}
            self._splits = {held for folder in folders for held in named_splits(folder.relative_to(self.root).parts)}
        return split in self._splits

    def _named(self, name: str) -> Namesakes:
        end = composed(PurePosixPath(name.replace("\\", "/")).name)
        if end not in self._of_name:
            suffix = PurePosixPath(end).suffix.lower()
            bare = suffix not in files.IMAGE_SUFFIXES
            alike = self._alike(end if bare else PurePosixPath(end).stem) if end else []
            same = [path for path in alike if bare or path.suffix.lower() == suffix]
            exact = [path for path in same if composed(path.name) == end]
            self._of_name[end] = Namesakes(exact or same, self.root)
        return self._of_name[end]

    def _alike(self, stem: str) -> list[Path]:
        """The images of a stem; where there are none, of the only one that differs in upper and lower case alone."""
        found = self._stems().get(composed(stem))
        if found is None:
            near = self._respelt().get(files.folded(stem), [])
            found = self._stems()[near[0]] if len(near) == 1 else []
        return found

    def _respelt(self) -> dict[str, list[str]]:
        if self._folded is None:
            self._folded = {}
            for stem in self._stems():
                self._folded.setdefault(files.folded(stem), []).append(stem)
        return self._folded

    def _stems(self) -> dict[str, list[Path]]:
        if self._below is None:
            self._below = {}
            masks: dict[Path, bool] = {}
            for path in files.images(self.root):
                if path.parent not in masks:
                    masks[path.parent] = _of_masks(path.parent, self.root)
                if not masks[path.parent]:
                    self._below.setdefault(composed(path.stem), []).append(path)
        return self._below


def _of_masks(folder: Path, root: Path) -> bool:
    """Whether a folder below ``root``, or one that it lies in, is called as those are that hold masks and no images."""
    return any(part.lower() in ALWAYS_MASKS for part in folder.relative_to(root).parts)


class Places(NamedTuple):
    """Where the images that a label file names lie, or should lie; and of each name that may mean several of the files
    that are there a line."""

    paths: dict[str, Path]
    doubts: dict[str, str]


def placed(wanted: Sequence[tuple[str, Path, Iterable[str]]], base: Path) -> list[Places]:
    """Where the images that each label file names lie, or should lie.

    Args:
        wanted: (split, label file, names as written in it), each split once.
        base: The dataset's folder.
    """
    claims: list[dict[str, Claim | None]] = []
    folders: list[Path] = []
    doubts: list[dict[str, str]] = []
    for split, file, names in wanted:
        find = Finder(base, _near(base, split, file))
        found = {name: _found(find, name, split) for name in dict.fromkeys(names)}
        claims.append({name: _claim(path, name, split) if path else None for name, path in found.items()})
        folders.append(find.near[0])
        missing = [name for name, path in found.items() if path is None]
        doubts.append({name: told for name in missing if (told := _doubt(find, name, split))})
    lost = usurped((claim for several in claims for claim in several.values() if claim), base)
    paths = [
        {
            name: claim.path if claim and claim not in lost else folder / name.replace("\\", "/")
            for name, claim in several.items()
        }
        for several, folder in zip(claims, folders, strict=True)
    ]
    return [*map(Places, paths, doubts)]


def _doubt(find: Finder, name: str, split: str) -> str:
    rivals = find.rivals(name, split, pool=not find.holds(split))
    shown = some(rivals, 3, shown=partial(files.shown, root=find.root))
    return f"{name}: several images have this name: {shown}: write the folder in front" if rivals else ""


def _found(find: Finder, name: str, split: str) -> Path | None:
    """An image; where no folder is its split's, it may lie in another's: one train/ of which each file lists a part."""
    path = find.named(name, split)
    return find.named(name, split, pool=True) if path is None and not find.holds(split) else path


def _near(base: Path, split: str, file: Path) -> list[Path]:
    """Where images lie: the folders of the split, then beside the label file and in the usual folders."""
    own = [
        place
        for top in (base, *usual(base))
        for name, folder in by_split(top)
        if name == split
        for place in (folder, folder / "images", folder / "data")
    ]
    return [*own, file.parent, base, *usual(base)]


def usual(base: Path) -> list[Path]:
    """Folders in which images lie."""
    return [base / "images", base / "data", base / "JPEGImages"]


def bare_splits(root: Path, labelled: Container[str], used: Iterable[Path], *, mend: str) -> tuple[str, ...]:
    """`visrun.data.readers.common.bare_splits` of a dataset whose images lie in the usual folders; () of a label file,
    which says nothing of other images."""
    return () if root.is_file() else common.bare_splits([root, *usual(root)], labelled, used, root, mend=mend)


class Claim(NamedTuple):
    """A record's image: the file found for it, the parts of its name as written (see `parts_of`), its split, and
    whether its suffix is written in another case than the file's."""

    path: Path
    parts: tuple[str, ...]
    split: str
    respelt: bool = False


def _claim(path: Path, name: str, split: str) -> Claim:
    suffix = PurePosixPath(name.replace("\\", "/")).suffix
    return Claim(path, parts_of(name), split, suffix != path.suffix and suffix.lower() == path.suffix.lower())


def usurped(claims: Iterable[Claim], root: Path) -> set[Claim]:
    """The claims to a file that is another's, since it lies in the other's split or fits the other's name better.

    Where it fits several names alike, and none as a whole, nobody can say whose it is, and it is none's. So an image
    that is missing is not replaced by another of its name.
    """
    by_path: dict[Path, set[Claim]] = defaultdict(set)
    for claim in claims:
        by_path[claim.path].add(claim)
    lost: set[Claim] = set()
    for several in by_path.values():
        fits = {claim: _fit(claim, root) for claim in several} if len(several) > 1 else {}
        closest = max(fits.values(), default=None)
        best = [claim for claim, fit in fits.items() if fit == closest]
        certain = len({claim.parts for claim in best}) <= 1 or fits[best[0]][1]
        lost |= fits.keys() - best if certain else fits.keys()
    return lost


def _fit(claim: Claim, root: Path) -> tuple[bool, bool, int, bool]:
    """Whether the file does not stray, whether it ends as the whole name does, how many parts they share, and whether
    the suffix is as written."""
    count = shared(claim.path, claim.parts)
    whole = count == len(claim.parts)
    near = not strays(claim.path, root, claim.parts, claim.split)
    return near, whole, 0 if whole else count, not claim.respelt
