"""What readers of labelled objects share: folders in pairs, images found by name, lines of text, class names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from visrun.data import files, labelmap
from visrun.data.derive import BACKGROUND
from visrun.data.folder_names import IMAGES
from visrun.data.marks import Marks
from visrun.data.splits import ALL
from visrun.errors import DataError
from visrun.text import are, composed, plural, some

Pair = tuple[str, Path, Path]  # split, folder of images, folder of labels
Size = tuple[int, int]  # (width, height)
BLANK = "taken to show nothing"  # what becomes of images that no label file belongs to


def pairs(root: Path, labels: Sequence[str], images: Sequence[str] = IMAGES) -> list[Pair]:
    """(split, folder of images, folder of labels) in either nesting; the split is ``all`` where there are none.

    A split may have several folders, such as train2014 and train2017.

    Args:
        root: The dataset's folder.
        labels: Names that a folder of labels may have, as `child` takes them; images: likewise.
    """
    return [pair for pair in _expected(root, labels, images) if pair[2].is_dir()]


def labelled_pairs(
    root: Path,
    labels: Sequence[str],
    images: Sequence[str] = IMAGES,
    *,
    holds: Callable[[Path], bool] = Path.is_dir,
) -> tuple[list[Pair], tuple[str, ...]]:
    """The `pairs` that a reader reads, and a warning for each folder of test images without labels, which it does not.

    Args:
        root: The dataset's folder.
        labels: As in `pairs`; images: likewise.
        holds: Whether a folder holds labels.

    Raises:
        DataError: Other images have no labels, while some have; or they lie right in the folder of a split.
    """
    every = _expected(root, labels, images)
    found = [pair for pair in every if holds(pair[2])]
    bare = [pair for pair in every if pair not in found and files.holds_images(pair[1])] if found else []
    warnings = []
    for split, folder, wanted in bare:
        warnings.append(bare_folder(folder, split, root, mend=f"put them into {files.shown(wanted, root)}/"))
    return found, (*warnings, *(_loose(root, images, found[0]) if found else ()))


def bare_folder(folder: Path, split: str, root: Path, *, mend: str) -> str:
    """The warning for a folder of test images without labels.

    Raises:
        DataError: Its images are those of another split; ``mend`` says where labels would be looked for.
    """
    if split != "test":
        raise DataError(f"{folder}: images of {split} without labels: {mend}, or move the images out of {root}")
    return f"{files.shown(folder, root)}/: test images without labels are left out"


def bare_splits(
    places: Iterable[Path], labelled: Container[str], used: Iterable[Path], root: Path, *, mend: str
) -> tuple[str, ...]:
    """A warning for each folder of test images in ``places``, where nothing labels test images.

    Args:
        places: Folders in which those of splits may lie.
        labelled: The splits that have labels.
        used: The images that have labels, of whatever split: a folder that has one of them is looked after.
        root: The dataset's folder; mend: as for `bare_folder`, where ``{split}`` stands for the split.

    Raises:
        DataError: There are images of another split without labels.
    """
    homes = {path for folder in {image.parent for image in used} for path in (folder, *folder.parents)}
    folders = [(split, folder) for place in places for split, folder in by_split(place) if split not in labelled]
    return tuple(
        bare_folder(folder, split, root, mend=mend.format(split=split))
        for split, folder in folders
        if folder not in homes and files.holds_images(folder)
    )


def _loose(root: Path, images: Sequence[str], pattern: Pair) -> list[str]:
    """A warning for each folder of a split with images right in it, where those of others have a folder of their own.

    Raises:
        DataError: It is not of test images.
    """
    warnings = []
    for split, folder in by_split(root):
        if child(folder, images) or not files.holds_images(folder, deep=False):
            continue
        like = " and ".join(f"{files.shown(path, root)}/" for path in pattern[1:])
        if split != "test":
            raise DataError(f"{folder}: images lie right in it: arrange them as {like} are, or move them out of {root}")
        warnings.append(f"{files.shown(folder, root)}/: test images that lie right in it are left out; others: {like}")
    return warnings


def _expected(root: Path, labels: Sequence[str], images: Sequence[str]) -> list[Pair]:
    """Every folder of images with that of its labels, or with the place where that should be."""
    pictures, others = child(root, images), child(root, labels)
    if pictures and others:
        inner = _partners(by_split(pictures), others)
        return inner if any(folder.is_dir() for _, _, folder in inner) else [(ALL, pictures, others)]
    outer = [(split, child(folder, images), child(folder, labels)) for split, folder in by_split(root)]
    usual = next((m.name for _, _, m in outer if m), labels[0])
    return [(split, i, m or i.with_name(usual)) for split, i, m in outer if i]


def _partners(pictures: Sequence[tuple[str, Path]], others: Path) -> list[Pair]:
    """To each folder of images that of its name, else the only one of its split that has no other's name."""
    names, theirs = {folder.name for _, folder in pictures}, by_split(others)
    found = []
    for split, folder in pictures:
        same = others / folder.name
        free = [other for name, other in theirs if name == split and other.name not in names]
        found.append((split, folder, same if same.is_dir() or len(free) != 1 else free[0]))
    return found


def child(folder: Path, names: Sequence[str]) -> Path | None:
    """The folder inside with the first of these names, in lower case and perhaps with ``*``; of several the last."""
    inside = files.folders(folder)
    found = ([c for c in inside if fnmatchcase(c.name.lower(), name)] for name in names)
    return next((several[-1] for several in found if several), None)


def by_split(folder: Path) -> list[tuple[str, Path]]:
    """The folders inside that are named for a split; ``trainval`` counts as train where there is no train."""
    named = [(split, child) for child in files.folders(folder) if (split := files.split_of(child.name))]
    if "train" not in dict(named):
        named += [("train", child) for child in files.folders(folder) if child.name.lower() == "trainval"]
    return named


def label_folders(root: Path, names: Sequence[str]) -> list[tuple[str, Path]]:
    """(split, folder) of each place where label files may lie: ``root`` (``all``), the folders of splits, and those in
    either that have one of the names in lower case."""
    tops = [(ALL, root), *by_split(root)]
    return [
        (split, place)
        for split, top in tops
        for place in (top, *(inside for inside in files.folders(top) if inside.name.lower() in names))
    ]


def label_files(
    root: Path, names: Sequence[str], inside: Callable[[Path], Iterable[Path]], ours: Callable[[Path], bool]
) -> tuple[list[tuple[str, Path]], list[Path]]:
    """(split, file) of each of a layout's label files; where any is of a split, those of none apart. In no folder of a
    split their names tell it.

    Args:
        root: The dataset's folder, or one such file.
        names: Those of folders that may hold label files, as `label_folders` takes them.
        inside: The files of a folder to look at; ours: whether one is a label file of this layout.
    """
    if root.is_file():
        return ([(ALL, root)] if ours(root) else []), []
    places = label_folders(root, names)
    every = [(split, file) for split, folder in places for file in filter(ours, inside(folder))]
    told = [(split_in(file.stem) if split == ALL else split, file) for split, file in every]
    parts = [(split, file) for split, file in told if split != ALL]
    return (parts, [file for split, file in told if split == ALL]) if parts else (told, [])


def split_in(stem: str) -> str:
    """The split that a file's name speaks of, as in instances_train2017; ``all`` for none or several."""
    named = splits_in(stem)
    return named.pop() if len(named) == 1 else ALL


def splits_in(stem: str) -> set[str]:
    """All splits that a file's name speaks of."""
    return {split for word in re.findall(r"[a-z]+", stem.lower()) if (split := files.split_of(word))}


def one_each(root: Path, found: Sequence[tuple[str, Path]], what: str) -> list[tuple[str, Path]]:
    """(split, file) in the order of splits.

    Raises:
        DataError: Several files, of ``what``, are for one split.
    """
    for split, file in found:
        same = [other for name, other in found if name == split]
        if len(same) > 1:
            whose = "" if split == ALL else f" for {split}"
            choice = " or ".join(map(files.naming, same[:3]))
            raise DataError(f"{root}: several {what}{whose}: choose one with {choice} (such as {file.name})")
    order = (*files.SPLITS, ALL)
    return sorted(found, key=lambda item: order.index(item[0]))


def place(path: Path, folder: Path) -> str:
    """Where a file lies in its folder, without suffix: what an image and its label file or mask share."""
    return composed(files.shown(path, folder).removesuffix(path.suffix))


def respelt(images: Iterable[tuple[str, Path]], others: Iterable[tuple[str, Path]]) -> Iterator[tuple[Path, Path]]:
    """Of images and files that have no partner of their own name (see `place`) those which are one another's, since
    their names differ in upper and lower case alone, and no third's does."""
    those = _by_folded(others)
    theirs = _by_folded(images) if those else {}  # which may be many, where most show nothing
    for name, found in theirs.items():
        if len(found) == 1 == len(those.get(name, ())):
            yield found.pop(), those[name].pop()


def _by_folded(pairs: Iterable[tuple[str, Path]]) -> dict[str, set[Path]]:
    found: dict[str, set[Path]] = defaultdict(set)
    for name, path in pairs:
        found[files.folded(name)].add(path)
    return found


def unmarked(name: str, marks: Iterable[str]) -> str:
    """A name without the first of ``marks`` (in lower case) at its end, in whatever case it stands there."""
    found = (mark for mark in marks if mark and name[-len(mark) :].lower() == mark)
    return name[: -len(mark)] if (mark := next(found, "")) else name


def left_over(
    what: str, rest: Iterable[Path], root: Path, *, lacking: str = "an image", fate: str = "left out"
) -> tuple[str, ...]:
    """A warning of each ``what`` (label file, mask, ...) that has nothing which they belong to, if any; ``fate`` says
    what becomes of them."""
    every = sorted((files.shown(path, root) for path in rest), key=files.natural)
    if not every:
        return ()
    return (f"{plural(len(every), what)} without {lacking} {are(len(every))} {fate}, such as {every[0]}",)


def class_ids(top: Path, *folders: Path) -> tuple[str, ...]:
    """The names that classes.txt or labelmap.txt gives to the ids 0, 1, ... in ``top``, or else in these folders.

    Raises:
        DataError: Two of them name an id otherwise; one that breaks off earlier is no other.
    """
    names = labelmap.class_names(top)
    return names or agreed({folder: labelmap.class_names(folder) for folder in folders})


def agreed(named: Mapping[Path, Sequence[str]]) -> tuple[str, ...]:
    """The longest of the lists of classes that files or folders give, of which all others are beginnings.

    Raises:
        DataError: One is not, so that an id would have two names.
    """
    longest = max(named.values(), key=len, default=())
    most = next((place for place, names in named.items() if names == longest), None)
    for place, names in named.items():
        if [*names] != [*longest[: len(names)]]:
            raise DataError(f"{most} and {place}: the classes differ: give both the same, in one order")
    return tuple(longest)


def class_names(*folders: Path) -> tuple[str, ...]:
    """The names of `class_ids` for labels that are names, which no line of the background shifts: it is left out."""
    return tuple(name for name in class_ids(*folders) if name.lower() != BACKGROUND)


def no_class(name: str, names: Sequence[str]) -> str:
    """What is wrong with an object of a class that the dataset does not name."""
    return f"class {name!r} is none of {plural(len(names), 'class')} ({some(names, 3)})"


def sorted_names(found: set[str]) -> tuple[str, ...]:
    """Class names in natural order, where no file gives them one."""
    return tuple(sorted(found, key=files.natural))


def size_in(width: object, height: object) -> Size | None:
    """(width, height) of an image as a table, JSON or XML tells them; None where they are no whole numbers above 0."""
    found = [re.fullmatch(r"0*([1-9]\d{0,8})(\.0+)?", str(side)) for side in (width, height)]
    sides = [int(side[1]) for side in found if side]
    return (sides[0], sides[1]) if len(sides) == 2 else None


def relabelled(marks: Marks, labels: Sequence[int]) -> Marks:
    """The same objects, their classes known at last."""
    return replace(marks, labels=np.asarray(labels, np.int64))
