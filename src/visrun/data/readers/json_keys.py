"""What kind of json a file holds, told by the keys at its top in its first bytes: some have millions of lines."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from visrun.data import files
from visrun.errors import DataError

# A string that does not end takes the rest: to look for an end behind each of its quotes takes long.
_TOKENS = re.compile(rb'"([^"\\]*(?:\\.?[^"\\]*)*)(?:"|\Z)(?:\s*:\s*(?=(.)))?|[\[\]{}]', re.DOTALL)
SEGMENTS, THING = b'"segments_info"', b'"isthing"'  # of panoptic annotations, and of categories, not of these alone
OBJECTS = (b'"bbox"', b'"segmentation"')  # of other annotations


class Top(NamedTuple):
    """How a json begins.

    Args:
        several: Whether it is a list, whose first object is the one told of.
        keys: Those of the object, each with the first character of its value: ``[`` of a list.
        whole: Whether these are all, since the file is no longer than what was looked at.
    """

    several: bool
    keys: dict[str, str]
    whole: bool

    def lists(self, *names: str) -> bool:
        """Whether one of these keys holds a list."""
        return any(self.keys.get(name) == "[" for name in names)


def top(file: Path, *names: str) -> Top:
    """How a file begins; no keys where it is no json, cannot be read, or holds none of these ``names``."""
    head = files.head(file)
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    several = start.startswith(b"[")
    likely = any(f'"{name}"'.encode() in head for name in names)  # of thousands of files most are not
    return Top(several, _keys(start, 2 if several else 1) if likely else {}, len(head) < files.HEAD)


def is_panoptic(file: Path) -> bool:
    """Whether a json that lists images is COCO's panoptic one, told by its first or last bytes: what lies between may
    be a million images."""
    ends = files.head(file)
    with contextlib.suppress(OSError), file.open("rb") as opened:
        opened.seek(max(opened.seek(0, os.SEEK_END) - files.HEAD, 0))
        ends += opened.read()
    return SEGMENTS in ends or (THING in ends and not any(word in ends for word in OBJECTS))


def parsed(file: Path, text: str) -> Any:
    """What the content of a json file says.

    Raises:
        DataError: It is broken.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{file}:{error.lineno}: broken JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: broken JSON ({type(error).__name__})") from None


def _keys(text: bytes, depth: int) -> dict[str, str]:
    """The keys of the first object that lies ``depth`` brackets deep."""
    found: dict[str, str] = {}
    within = 0
    for token in _TOKENS.finditer(text):
        mark = token[0]
        if mark in (b"{", b"["):
            within += 1
        elif mark in (b"}", b"]"):
            within -= 1
            if within < depth and (found or within <= 0):
                break
        elif within == depth and token[2]:
            found[token[1].decode("utf-8", "replace")] = token[2].decode("utf-8", "replace")
    return found
