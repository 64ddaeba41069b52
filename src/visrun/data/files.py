"""Names of files and folders as the readers understand them: image suffixes, split folders, natural order."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from visrun.data.folder_names import LABELS_OF_SETS
from visrun.errors import PATH_FAULTS, DataError, closed
from visrun.near import did_you_mean
from visrun.text import composed, in_a_line, some

# fmt: off
IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm",
})
UNREAD_SUFFIXES = frozenset({
    ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".dcm", ".raw", ".dng", ".nef", ".cr2", ".cr3",
    ".arw", ".exr", ".hdr", ".tga", ".ico", ".npy", ".npz", ".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".czi", ".nd2",
    ".lif", ".svs", ".ndpi",
})  # of images that are not read
# fmt: on
MASK_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".bmp", ".gif"})  # lossless: JPEG would blur class ids
TEXT, XML, JSON = frozenset({".txt"}), frozenset({".xml"}), frozenset({".json"})
HEAD = 65536  # bytes of a label file that are looked at to recognise what it holds
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # as Excel and PowerShell write it
FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_SYSTEM = ("__MACOSX", "lost+found")  # the latter, at the top of a disk, is closed to all but root

SPLITS = ("train", "val", "test")
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "devel": "val",
    "test": "test",
    "testing": "test",
}


def split_of(name: str) -> str | None:
    """``train``, ``val`` or ``test`` for a folder, file stem or cell that names a split (in any case, or with a year as
    in train2017), else None."""
    return _SPLITS.get(re.sub(r"[-_]?(19|20)\d\d$", "", name.strip().lower()))


def natural(text: str) -> tuple[object, ...]:
    """A sort key under which numbers inside names count by value: class_2 stands before class_10."""
    parts = re.split(r"([0-9]+)", text.lower())
    return (*[(int(p), "") if i % 2 else (-1, p) for i, p in enumerate(parts)], (-2, text))


def folded(name: str) -> str:
    """A name as it is compared where upper and lower case count as the same, as on Windows and macOS."""
    return composed(name).casefold()


def home(root: Path) -> Path:
    """A dataset's folder: ``root``; of a label file the one it lies in, or the one above if that is for labels."""
    if not root.is_file():
        return root
    apart = root.parent.name.lower() in LABELS_OF_SETS and not holds_images(root.parent)
    return root.parent.parent if apart else root.parent


def folders(root: Path) -> list[Path]:
    """The visible folders directly inside ``root``, in natural order; [] where it is no folder."""
    if not root.is_dir():
        return []
    with os.scandir(root) as entries:  # knows without asking again what is a file, as a million may be
        found = [
            entry.name
            for entry in entries
            if not entry.is_file(follow_symlinks=False) and _visible(entry.name) and _answers(entry.is_dir)
        ]
    return [root / name for name in sorted(found, key=natural)]


def images(folder: Path, *, deep: bool = True) -> Iterator[Path]:
    """The visible images in ``folder`` (``deep``: and below), in a fixed order."""
    return of_suffix(folder, IMAGE_SUFFIXES, deep=deep)


def of_suffix(folder: Path, suffixes: frozenset[str], *, deep: bool = True) -> Iterator[Path]:
    """Visible files with one of the suffixes (in any case) in ``folder`` (``deep``: and below), in a fixed order."""
    for current, names in _walk(folder, deep=deep):
        for name in sorted((name for name in names if _has_suffix(name, suffixes)), key=natural):
            yield Path(current, name)


def _walk(folder: Path, *, deep: bool) -> Iterator[tuple[str, list[str]]]:
    """``folder`` (``deep``: and the visible folders below) with the names of its files, in a fixed order.

    Links are followed, but none back to a folder that it lies in: that would list the same files again and again.
    One that may not be read is a DataError: its files would be missing without a word.
    """
    above: dict[str, frozenset[tuple[int, int]]] = {}
    for current, inner, names in os.walk(folder, followlinks=True, onerror=_refuse_closed):
        yield current, names
        own = above.pop(current, frozenset()) | {_identity(current)}
        below = {name: os.path.join(current, name) for name in inner if deep and _visible(name)}  # noqa: PTH118 (speed)
        inner[:] = sorted((name for name, path in below.items() if _identity(path) not in own), key=natural)
        above.update((below[name], own) for name in inner)


def _refuse_closed(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise closed(error)


def _identity(folder: str) -> tuple[int, int]:
    """Of a folder under whatever name."""
    state = os.stat(folder)  # noqa: PTH116 (a million names)
    return state.st_dev, state.st_ino


def named(folder: Path, name: str) -> Path | None:
    """The file of a name (in lower case) in ``folder``, in any case: the one so written before others; None without."""
    if is_file(folder / name):
        return folder / name
    try:
        return _spelt(folder, name, folder.stat().st_mtime_ns)
    except OSError:  # no folder, or none that can be read
        return None


@lru_cache(maxsize=64)
def _spelt(folder: Path, name: str, _changed: int) -> Path | None:
    with os.scandir(folder) as entries:
        found = sorted(entry.name for entry in entries if entry.name.lower() == name and _answers(entry.is_file))
    return folder / found[0] if found else None


def holds_images(folder: Path, *, deep: bool = True) -> bool:
    """Whether at least one image lies in ``folder`` (``deep``: or below it)."""
    return holds(folder, IMAGE_SUFFIXES, deep=deep)


def holds(folder: Path, suffixes: frozenset[str], *, deep: bool = True) -> bool:
    """Whether at least one file with one of the suffixes lies in ``folder`` (``deep``: or below it)."""
    return any(_has_suffix(name, suffixes) for _, names in _walk(folder, deep=deep) for name in names)


def unread(folder: Path) -> Counter[str]:
    """How many images of each kind that is not read lie in ``folder`` and below, by suffix."""
    names = (name.lower() for _, names in _walk(folder, deep=True) for name in names if _visible(name))
    suffixes = (".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix for name in names)
    return Counter(suffix for suffix in suffixes if suffix in UNREAD_SUFFIXES)


def exists(path: Path) -> bool:
    """Whether there is a file or folder; False too for names that none can have."""
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def is_file(path: Path) -> bool:
    """Whether there is a file; False too for names that none can have."""
    return os.path.isfile(path)  # noqa: PTH113 (asks once, and takes no name amiss)


def shown(path: Path, root: Path) -> str:
    """``path`` as people know it: relative to the dataset's root where it lies inside, with forward slashes,
    and in one line whatever its name holds."""
    text, top = str(path), str(root)  # of a million files, relative_to takes long
    return "." if text == top else in_a_line(text.removeprefix(top + os.sep).replace(os.sep, "/"))


def naming(root: Path) -> str:
    """``data.root=PATH`` as it is typed in a shell."""
    return shlex.quote(f"data.root={root}")


def require_root(root: Path) -> None:
    """Refuse a dataset that is not there.

    Raises:
        DataError: No such folder or file; with a hint where one beside it has nearly this name or it may be several;
            or nobody can tell, as inside a folder that is closed.
    """
    try:
        root.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a NUL in it
        near = folders(root.parent) if root.parent.is_dir() else []
        hint = did_you_mean(root.name, [folder.name for folder in near])
        if {"http:", "https:"} & {*root.parts}:
            hint = "; addresses are not read; download it and name the folder"
        several = f"; to vary it in a sweep write data.root=choice({root})" if "," in str(root) else ""
        raise DataError(f"data.root={root}: no such file or folder{hint}{several}") from None
    except OSError as error:  # a name that is too long, or a folder above that is closed
        raise DataError(f"data.root={root}: {PATH_FAULTS.get(error.errno or 0, error.strerror)}") from None


def flag(text: str) -> bool | None:
    """What a flag in labels says, in the ways that tools write it; None where it says nothing known."""
    return FLAGS.get(text.strip().lower())


def content(file: Path) -> bytes:
    """All bytes of a file.

    Raises:
        DataError: It cannot be read, such as a broken link, or a folder of that name.
    """
    try:
        return file.read_bytes()
    except FileNotFoundError:
        link = " (a link to what is not there)" if file.is_symlink() else ""
        raise DataError(f"{file}: no such file{link}: mend or remove it") from None
    except IsADirectoryError:
        raise DataError(f"{file}: a folder, not a file: rename or remove it") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None


def head(file: Path) -> bytes:
    """The first bytes of a file, to recognise what it holds, of UTF-16 those that UTF-8 had; none of one that cannot be
    read."""
    with contextlib.suppress(OSError), file.open("rb") as opened:
        raw = opened.read(HEAD)
        return raw.decode("utf-16", "replace").encode() if raw.startswith(UTF_16) else raw
    return b""


def text(file: Path) -> str:
    """The text of a file, without a byte-order mark.

    Raises:
        DataError: It cannot be read; ``file:line`` of what is not UTF-8.
    """
    raw = content(file)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + 3 * raw.startswith(codecs.BOM_UTF8)
        line = raw.count(b"\n", 0, start) + 1
        raise DataError(f"{file}:{line}: not UTF-8 (byte 0x{raw[start]:02x} at {start}): save it as UTF-8") from None


def numbered_lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text that hold something, with their numbers from 1; raises as `text` does."""
    return ((number, line) for number, line in enumerate(text(file).splitlines(), start=1) if line.strip())


def class_names(folder: Path) -> tuple[str, ...]:
    """The names in ``classes.txt`` or ``class_names.txt``, one a line in the order of their ids; () where neither is.

    Raises:
        DataError: It is not UTF-8, or a name stands twice.
    """
    file = named(folder, "classes.txt") or named(folder, "class_names.txt")
    if file is None:
        return ()
    return names_in(file)


def names_in(file: Path) -> tuple[str, ...]:
    """The names of classes of a text, one a line; see `require_once`."""
    return require_once(file, [line.strip() for _, line in numbered_lines(file)])


def require_once(file: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes, `composed`; refused where two are one: scores and ``data.classes`` could not tell them apart.

    Raises:
        DataError: Naming the file and the first that stands twice.
    """
    found = tuple(map(composed, names))
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice:
        raise DataError(f"{file}: class {some(twice)} stands twice: give each id a name of its own")
    return found


def _answers(kind: Callable[[], bool]) -> bool:
    """``is_dir`` or ``is_file`` of an entry: False for a link to itself, at which both raise."""
    try:
        return kind()
    except OSError:
        return False


def _visible(name: str) -> bool:
    return not name.startswith(".") and name not in _SYSTEM


def _has_suffix(name: str, suffixes: frozenset[str]) -> bool:
    return _visible(name) and os.path.splitext(name)[1].lower() in suffixes  # noqa: PTH122 (a million names)
