"""Texts for people: the first few of many, a number of things, one printable line; and names as they are compared."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def some(items: Iterable[Item], most: int = 5, *, shown: Callable[[Item], str] = str) -> str:
    """The first few of ``items`` for a message: ``a, b, c and 7 more``; ``shown`` says how one of them is written."""
    every = list(items)
    rest = len(every) - most
    return ", ".join(map(shown, every[:most])) + (f" and {rest} more" if rest > 0 else "")


def first_lines(lines: Sequence[str], most: int) -> list[str]:
    """The first of many lines, and one on how many more there are."""
    rest = len(lines) - most
    return [*lines[:most], *([f"... and {rest} more"] if rest > 0 else [])]


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, the cells of a column one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def plural(count: int, noun: str) -> str:
    """``1 trial``, ``2,000 trials``, ``0 classes``, ``3 entries``."""
    ending = "s"
    if noun.endswith(("s", "x", "tch")):
        ending = "es"
    elif noun.endswith("ry"):
        noun, ending = (noun, "") if count == 1 else (noun[:-1], "ies")
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{ending}"


def are(count: int) -> str:
    """The verb behind so many: ``1 image is``, ``2 images are``."""
    return "is" if count == 1 else "are"


def does(count: int, verb: str) -> str:
    """Another verb behind so many: ``1 box reaches``, ``2 boxes reach``."""
    return verb if count != 1 else f"{verb}{'es' if verb.endswith(('ch', 's', 'x')) else 's'}"


def printable(text: str) -> str:
    """``text`` with a blank for every character that cannot be printed, line ends among them."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def written_out(text: str) -> str:
    """``text`` with the control characters that a file's name may hold, which a terminal obeys, as ``\\x1b``; line ends
    and tabs stay."""
    return text.translate(CONTROLS)


def in_a_line(name: str) -> str:
    """A file's name as it stands within a line: as :func:`written_out`, line ends and tabs too, as ``\\x0a``."""
    return name if name.isprintable() else written_out(name).replace("\n", "\\x0a").replace("\t", "\\x09")


def one_line(text: str) -> str:
    """``text`` as one printable line, without blanks that say nothing."""
    return " ".join(printable(text).split())


def composed(name: str) -> str:
    """A name as it is compared: macOS writes an accent apart from its letter, others both as one character."""
    return unicodedata.normalize("NFC", name)
