"""Darknet's data file (obj.data): lists of images and the names of the classes, as CVAT's "YOLO 1.1" has them.

classes = 2
train = data/train.txt
names = data/obj.names
"""

from __future__ import annotations

from pathlib import Path

from visrun.data import files
from visrun.data.readers import yolo_yaml
from visrun.data.readers.yolo_yaml import KEYS, LARGEST, Plan
from visrun.errors import DataError

SUFFIXES = frozenset({".data"})


def find(root: Path) -> Path | None:
    """The data file: ``root`` itself, or the first right in it that says ``names`` and one of the ``KEYS``."""
    candidates = [root] if root.suffix.lower() in SUFFIXES else files.of_suffix(root, SUFFIXES, deep=False)
    return next((file for file in candidates if file.is_file() and _looks_right(file)), None)


def _looks_right(file: Path) -> bool:
    if file.stat().st_size > LARGEST:
        return False
    keys = _settings(file.read_bytes().decode("utf-8", errors="replace")).keys()
    return "names" in keys and bool(keys & KEYS.keys())


def _settings(text: str) -> dict[str, str]:
    parts = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip() for key, mark, value in parts if mark and value.strip()}


def plan(root: Path) -> Plan | None:
    """What the data file says; None where there is none.

    Raises:
        DataError: A text that is not UTF-8, a class that stands twice, or training or validation images that are not
            there.
    """
    file = find(root)
    if file is None:
        return None
    settings = _settings(files.text(file))
    images, warnings = yolo_yaml.split_images(file, None, settings)
    listed = yolo_yaml.resolved(file.parent, None, settings["names"])
    if listed is None:
        raise DataError(f"{file}: names: no file at {settings['names']}")
    return Plan(names=files.names_in(listed), images=images, warnings=tuple(warnings))
