"""Lines for people about settings, which know what they are about: none is taken apart again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple


class Line(NamedTuple):
    """One line about settings.

    Args:
        text: The line itself.
        keys: The dotted settings it is about and those whose values it follows from; the one it is told at comes first.
        kind: "unfit": the task or the model cannot have the first one's value; "unread": nothing of this run reads it.
    """

    text: str
    keys: tuple[str, ...] = ()
    kind: Literal["", "unfit", "unread"] = ""


def distinct(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The first line of each text."""
    found: dict[str, Line] = {}
    for line in lines:
        found.setdefault(line.text, line)
    return tuple(found.values())


def texts(lines: Iterable[Line]) -> list[str]:
    """The lines as they are printed, each once."""
    return [line.text for line in distinct(lines)]


def about_others(lines: Iterable[Line], keys: Collection[str]) -> list[Line]:
    """Of the lines, those that follow from none of these keys' values."""
    return [line for line in lines if not set(line.keys) & set(keys)]
