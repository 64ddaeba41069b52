"""YOLO's data.yaml: where the images of each split lie, and the names of the classes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import yaml  # type: ignore[import-untyped]

from visrun.data import files
from visrun.errors import DataError

SUFFIXES = {".yaml", ".yml"}
LARGEST = 1_000_000  # bytes; a data.yaml is small
TOP = "names and train, val or test must stand at its top level"
_KEY = r"""(?m)(?:^|[{,])\s*["']?%s["']?\s*:"""  # at the start of a line, or in {...}
_WHOLE = re.compile(r"\d{1,6}")  # an id or a count; int() refuses far longer ones
KEYS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where the images are.

    Args:
        names: Of the classes; () where nothing names them.
        images: Of each split.
        labels: Of folders of images those of their label files, where these are known.
        keypoints: How many numbers describe those of an object; they stand behind its box.
        warnings: What people should know.
    """

    names: tuple[str, ...]
    images: dict[str, list[Path]]
    labels: dict[Path, Path] = field(default_factory=dict)
    keypoints: int = 0
    warnings: tuple[str, ...] = ()


def find(root: Path) -> Path | None:
    """The data.yaml: ``root`` itself, or the first in it with ``names`` and one of the ``KEYS``, read or not."""
    return next(_all(root), None)


def _all(root: Path) -> Iterator[Path]:
    return _yaml(root) if root.is_file() else filter(_looks_right, _yaml(root))


def _yaml(root: Path) -> Iterator[Path]:
    candidates = [root] if root.is_file() else sorted(root.iterdir()) if root.is_dir() else []
    shown = (file for file in candidates if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
    return (file for file in shown if file.is_file() and file.stat().st_size <= LARGEST)


def _looks_right(file: Path) -> bool:
    return {"names"} < _keys(file)


def _keys(file: Path) -> set[str]:
    """Which of names and the ``KEYS`` stand in it."""
    raw = file.read_bytes()
    text = raw.decode("utf-16" if raw.startswith(files.UTF_16) else "utf-8-sig", errors="replace")
    return {key for key in ("names", *KEYS) if re.search(_KEY % key, text)}


def passed_over(root: Path) -> list[str]:
    """Lines on what is called data.yaml, or has ``names``, where `find` finds none: it may be another tool's.

    Raises:
        DataError: A data.yaml with ``names`` is broken.
    """
    lines = []
    for file in _yaml(root):
        meant, keys = file.stem.lower() == "data", _keys(file)
        if meant and "names" in keys:
            _content(file)
        if meant or "names" in keys:
            lines.append(f"{file.name} is not read: {TOP}")
    return lines


def plan(root: Path) -> Plan | None:
    """What the data.yaml says; None where there is none.

    Raises:
        DataError: It is broken or not UTF-8, names a class twice, or training or validation images that are not there;
            or there are several that say different things.
    """
    several = {file: _content(file) for file in _all(root)}
    if not several:
        return None
    (file, content), *others = several.items()
    if any(other != content for _, other in others):
        choice = " or ".join(map(files.naming, several))
        raise DataError(f"{root}: several data.yaml, choose one: {choice}")
    if "names" not in content or not KEYS.keys() & content.keys():
        raise DataError(f"{file}: {TOP}")
    splits, warnings = split_images(file, content.get("path"), content)
    keypoints = _keypoints(file, content.get("kpt_shape"))
    if keypoints:
        warnings.append(f"{file.name} has a kpt_shape: keypoints are left out, the boxes before them are read")
    names = _names(file, content["names"])
    if content.get("nc") not in (None, "", str(len(names))):
        warnings.append(f"{file.name} says nc: {content['nc']} and names {len(names)}: the names count")
    return Plan(names=names, images=splits, keypoints=keypoints, warnings=tuple(warnings))


class _AsWritten(yaml.SafeLoader):
    """Leaves numbers, dates and yes or no the text that they are: all may be names of classes."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as yaml has it)
        first: [(tag, pattern) for tag, pattern in several if tag.endswith((":null", ":merge"))]
        for first, several in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Without ids that stand twice, of which the last would win."""
        seen: set[int] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and _WHOLE.fullmatch(key.value):
                if int(key.value) in seen:
                    raise yaml.MarkedYAMLError(problem=f"id {key.value} stands twice", problem_mark=key.start_mark)
                seen.add(int(key.value))
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _content(file: Path) -> dict[str, Any]:
    raw = file.read_bytes()
    try:
        content = yaml.load(raw if raw.startswith(files.UTF_16) else files.text(file), Loader=_AsWritten)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else f"{file}"
        raise DataError(f"{where}: broken YAML ({getattr(error, 'problem', None) or type(error).__name__})") from None
    return content if isinstance(content, dict) else {}


def _names(file: Path, names: object) -> tuple[str, ...]:
    known = {str(i): name for i, name in enumerate(names)} if isinstance(names, list) else names
    if (
        not isinstance(known, dict)
        or not all(_WHOLE.fullmatch(str(key)) for key in known)
        or not all(isinstance(name, str | int | float) for name in known.values())
    ):
        raise DataError(f"{file}: names is neither a list of names nor a map of ids to names")
    of_id = {int(key): str(name) for key, name in known.items()}
    return files.require_once(file, [of_id.get(i, f"class_{i}") for i in range(max(of_id, default=-1) + 1)])


def _keypoints(file: Path, shape: object) -> int:
    """The numbers of ``kpt_shape: [17, 3]``, or 0 without it."""
    if shape is None:
        return 0
    counts = shape if isinstance(shape, list) else []
    if len(counts) != 2 or not all(isinstance(n, str) and _WHOLE.fullmatch(n) and int(n) > 0 for n in counts):
        raise DataError(f"{file}: kpt_shape is not the number of keypoints and that of their numbers, as [17, 3]")
    return int(counts[0]) * int(counts[1])


def split_images(file: Path, top: object, content: Mapping[str, Any]) -> tuple[dict[str, list[Path]], list[str]]:
    """The images of each split that ``content`` names under one of the ``KEYS``, and lines on what is not there.

    Raises:
        DataError: Training or validation images that are not there, or two different paths that come to one folder.
    """
    _require_apart(file, top, content)
    splits: dict[str, list[Path]] = {}
    warnings = []
    for key, split in KEYS.items():
        value = content.get(key)
        if value in (None, "", []) or split in splits:
            continue
        found = images(file, top, value)
        if found:
            splits[split] = found
        elif split == "test":
            warnings.append(f"{file.name} names test images that are not there: {value}")
        else:
            raise DataError(f"{file}: {key}: no images at {value}{_where(file, top)}")
    return splits, warnings


def _require_apart(file: Path, top: object, content: Mapping[str, Any]) -> None:
    """Of paths that are not there the end alone counts, which two may share: each would be the other's split.

    Raises:
        DataError: Two do.
    """
    meant: dict[Path, dict[tuple[str, ...], str]] = {}  # of a place the paths without . and .., as they are written
    for value in (content[key] for key in KEYS if isinstance(content.get(key), str)):
        if place := resolved(file.parent, top, value):
            plain = tuple(part for part in _parts(value) if part not in (".", ".."))
            meant.setdefault(place, {})[plain] = value
    for place, named in meant.items():
        several = sorted(named.values())
        if len(several) > 1 and not all(_is_there(file, top, value) for value in several):
            both = " and ".join(several)
            raise DataError(f"{file}: {both} are not where it says, and {place} cannot be both: mend these paths")


def _is_there(file: Path, top: object, value: str) -> bool:
    return any(files.exists(place / Path(*_parts(value))) for place in _tops(file.parent, top))


def images(file: Path, top: object, value: object) -> list[Path]:
    """The images of one split: of a folder, of a list in a text file, or of several of these."""
    found: list[Path] = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str):
            raise DataError(f"{file}: where a path is expected stands {type(item).__name__}")
        place = resolved(file.parent, top, item)
        if place is None:
            continue
        if place.is_dir():
            found += files.images(place)
        elif place.suffix.lower() == ".txt":
            found += _listed(place, _tops(file.parent, top))
    return found


def _tops(folder: Path, top: object) -> list[Path]:
    """What paths may be relative to: ``path`` of the yaml, as written or beside it, then the yaml's own folder."""
    return [folder / str(top), folder] if isinstance(top, str) and top else [folder]


def _where(file: Path, top: object) -> str:
    """Where was looked, for messages, where a ``path`` says it beside the yaml."""
    tops = _tops(file.parent, top)
    return f" (path: {top}; looked in {' and '.join(map(str, tops))})" if len(tops) > 1 else ""


def resolved(folder: Path, top: object, value: str) -> Path | None:
    """A path of the yaml here. Many were written on another machine, so at last its end alone counts, or ``path``'s."""
    whole = Path(*_parts(value))
    places = [top_ / whole for top_ in _tops(folder, top)]
    places += [folder / end for end in _ends(value)] + [folder / end / whole for end in _ends(top)]
    return next((_plain(place) for place in places if value and files.exists(place)), None)


def _parts(value: str) -> tuple[str, ...]:
    return Path(value.replace("\\", "/")).parts


def _ends(value: object) -> list[Path]:
    """Of a path as written on any machine what follows each of its folders, the longest first."""
    parts = _parts(value) if isinstance(value, str) else ()
    return [Path(*parts[i:]) for i in range(len(parts)) if parts[i] not in ("..", ".", "/")]


def _plain(place: Path) -> Path:
    """The path without ``..``. Links stay, since labels lie beside a link; but what ``..`` leaves may be one."""
    plain = Path(os.path.abspath(place))  # noqa: PTH100 (Path.resolve follows links)
    return plain if files.exists(plain) and plain.samefile(place) else place.resolve()


def _elsewhere(folder: Path, line: str) -> Path | None:
    """What a list beside it names by a path of another machine, or in data/, which is what Darknet calls its folder."""
    path = PureWindowsPath(line)  # knows / as well
    return resolved(folder, None, line) if path.root or path.parts[:1] == ("data",) else None


def _listed(file: Path, tops: Sequence[Path]) -> list[Path]:
    found = []
    for _, line in files.numbered_lines(file):
        places = [place / line.strip() for place in (*tops, file.parent)]
        here = next((place for place in places if files.is_file(place)), None)
        found.append(here or _elsewhere(file.parent, line.strip()) or places[0])
    return found
