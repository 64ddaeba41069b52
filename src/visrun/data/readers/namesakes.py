"""The images that share a file's name, and which of them a name with folders in front means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from visrun.data import files
from visrun.data.splits import ALL
from visrun.text import composed


class Meant(NamedTuple):
    """What a name means: its image, if that is sure, and all images that it may mean."""

    path: Path | None
    free: Sequence[Path]


class Namesakes:
    """The images below ``root`` that a name without folders in front may mean.

    There may be as many as there are folders (video_0007/0001.jpg), each asked for by a name of its own. So of a name
    that ends as some of them do only these are looked at, and all others say the same of all.
    """

    def __init__(self, paths: Sequence[Path], root: Path) -> None:
        self.paths, self.root = paths, root
        self._in_folder: dict[str, list[Path]] = {}
        self._anywhere: dict[tuple[str, bool], Meant] = {}
        for path in paths:
            self._in_folder.setdefault(composed(path.parent.name), []).append(path)

    def __len__(self) -> int:
        return len(self.paths)

    def meant(self, parts: Sequence[str], split: str, *, pool: bool) -> Meant:
        """The only image, or the only one that shares most at its end with ``parts``, or lies in the split's folder.

        Args:
            parts: Of the name, see `parts_of`.
            split: Whose it is.
            pool: Whether it may lie in the folder of another split, although the name does not say so.
        """
        near = self._near(parts)
        free = self._free(near, parts, split, pool=pool)
        if free:
            return Meant(self._closest(free, parts, split), free)
        if (split, pool) not in self._anywhere:
            free = self._free(self.paths, (), split, pool=pool)
            self._anywhere[split, pool] = Meant(self._closest(free, (), split), free)
        found = self._anywhere[split, pool]
        free = [path for path in found.free if path not in near] if near else []
        return Meant(self._closest(free, (), split), free) if near else found

    def _near(self, parts: Sequence[str]) -> Sequence[Path]:
        """The images that share more with ``parts`` than the name of the file."""
        several = self._in_folder.get(composed(parts[-2]), ()) if len(parts) > 1 else ()
        return several if several and shared(several[0], parts) > 1 else ()

    def _free(self, found: Sequence[Path], parts: Sequence[str], split: str, *, pool: bool) -> Sequence[Path]:
        return [path for path in found if pool or not strays(path, self.root, parts, split)]

    def _closest(self, free: Sequence[Path], parts: Sequence[str], split: str) -> Path | None:
        if len(free) <= 1:
            return free[0] if free else None
        counts = [shared(path, parts) for path in free]
        most = max(counts)
        best = [path for path, count in zip(free, counts, strict=True) if count == most]
        inside = [path for path in best if split in named_splits(path.relative_to(self.root).parts[:-1])]
        chosen = best if len(best) == 1 else inside
        return chosen[0] if len(chosen) == 1 else None


def parts_of(name: str) -> tuple[str, ...]:
    """The parts of a name as written, the last without its suffix."""
    path = PurePosixPath(name.replace("\\", "/"))
    return (*path.parts[:-1], path.stem) if path.name else ()


def strays(path: Path, root: Path, parts: Sequence[str], split: str) -> bool:
    """Whether a file lies in a folder below ``root`` of another split, which the name's ``parts`` do not say."""
    if split == ALL or not path.is_relative_to(root):
        return False
    unsaid = path.relative_to(root).parts[: -max(1, shared(path, parts))]
    return bool(named := named_splits(unsaid)) and split not in named


def named_splits(folders: Iterable[str]) -> set[str]:
    """The splits for which any of the folders is named."""
    return {split for folder in folders if (split := files.split_of(folder))}


def shared(path: Path, parts: Sequence[str]) -> int:
    """How many parts at its end, the last without suffix, a path shares with a written name."""
    count = 0
    for mine, other in zip(reversed(path.with_suffix("").parts), reversed(parts), strict=False):
        if composed(mine) != composed(other):
            break
        count += 1
    return count
