"""XML read without what makes it dangerous: a document type, and so entities, is refused. Knows every tag's line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from visrun.data import files
from visrun.errors import DataError

LARGEST = 10_000_000  # bytes; a label file is small
DEEPEST = 20  # tags inside one another
_TAG, _COMMENT = re.compile(rb"<([A-Za-z_][\w.-]*)"), re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)


@dataclass
class Tag:
    """An element: its name, the line it starts in, its own text, the elements inside, its attributes."""

    name: str
    line: int
    text: str = ""
    inside: list[Tag] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)

    def all(self, name: str) -> list[Tag]:
        """The elements of this name directly inside."""
        return [tag for tag in self.inside if tag.name == name]

    def get(self, *path: str) -> str:
        """The text of the first element of this name inside, and so on down the path; "" where there is none."""
        tag: Tag | None = self
        for name in path:
            tag = next(iter(tag.all(name)), None) if tag else None
        return tag.text.strip() if tag else ""


def outermost(head: bytes) -> str:
    """The name of the outermost element of a file that begins so; "" where none begins, or it is not UTF-8's."""
    found = _TAG.search(_COMMENT.sub(b"", head))
    return found[1].decode("utf-8", "replace") if found else ""


def read(path: Path, *, largest: int = LARGEST) -> Tag:
    """The outermost element of a file.

    Raises:
        DataError: ``path:line`` of XML that is broken, nested deeper than ``DEEPEST``, or has a document type; a file
            above ``largest`` bytes, or that cannot be read.
    """
    raw = files.content(path)
    if len(raw) > largest:
        raise DataError(f"{path}: {len(raw):,} bytes are too many for a label file")
    top = Tag("", 0)
    open_tags = [top]
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(open_tags) > DEEPEST:
            raise DataError(f"{path}:{parser.CurrentLineNumber}: tags are nested too deep")
        tag = Tag(name, parser.CurrentLineNumber, attributes=attributes)
        open_tags[-1].inside.append(tag)
        open_tags.append(tag)

    def end(_: str) -> None:
        open_tags.pop()

    def text(data: str) -> None:
        if data.strip() or not open_tags[-1].inside:  # blanks between many elements would add up
            open_tags[-1].text += data

    def doctype(*_: object) -> None:
        raise DataError(f"{path}:{parser.CurrentLineNumber}: a document type is not read (it could expand without end)")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, doctype
    parser.buffer_text = True
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, UnicodeDecodeError, ValueError, LookupError) as error:
        line = getattr(error, "lineno", 1)
        raise DataError(f"{path}:{line}: broken XML ({error})") from None
    return top.inside[0]
