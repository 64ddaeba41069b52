"""A run as server-sent events: what is known of it, its epochs from the beginning, its log, until its process ends.

An epoch's event has its place in metrics.jsonl as id; a browser that comes back names the last one it has seen.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from visrun.files import read_plain
from visrun.record.epochs import Row, epochs_in
from visrun.record.journal import finite
from visrun.run_files import METRICS
from visrun.web.resources import Resources
from visrun.web.runs import log_lines

LOOK = 0.25  # seconds between two looks
PING = 40  # looks without news after which the connection is tried


async def events(
    folder: Path,
    *,
    position: int,
    detail: Callable[[], dict[str, Any]],
    resources: Resources,
    closing: Callable[[], bool],
) -> AsyncIterator[str]:
    """Events ``run``, ``rows``, ``log`` and, last, ``end``, or ``gone`` where the folder is there no more.

    Args:
        position: Bytes of metrics.jsonl that the reader has.
        detail: What is known of the run, see :func:`visrun.web.runs.detail`.
        closing: Whether the server ends; streams end first, or it would wait for them.
    """
    reader, last, silent = Rows(folder / METRICS, position), dict[str, Any](), 0
    while not closing():
        found = await asyncio.to_thread(detail)
        if not folder.is_dir():  # which reads like one that is empty
            yield event("gone", {})
            return
        news = await asyncio.to_thread(_news, folder, found, reader, last, resources)
        for line in news:
            yield line
        if not found["living"]:
            yield event("end", {})
            return
        silent = 0 if news else silent + 1
        if silent >= PING:
            silent = 0
            yield ": ping\n\n"
        await asyncio.sleep(LOOK)


def _news(folder: Path, found: dict[str, Any], reader: Rows, last: dict[str, Any], resources: Resources) -> list[str]:
    """What has changed since the last look."""
    lines = []
    afresh, rows = reader.more()
    if afresh or rows:
        lines.append(event("rows", {"afresh": afresh, "rows": rows}, reader.position))
    use = resources.of(found["pid"]) if found["pid"] else {}
    told = {"run": found, "log": log_lines(folder), "use": use}
    for name, content in told.items():
        if last.get(name) != content:
            last[name] = content
            lines.append(event(name, content))
    return lines


class Rows:
    """Reads the epochs of metrics.jsonl as they are written.

    Args:
        position: Where to begin, in bytes.
    """

    def __init__(self, file: Path, position: int) -> None:
        self.file, self.position = file, position
        self.told: list[Row] | None = None  # what the reader has; None = not looked yet

    def more(self) -> tuple[bool, list[Row]]:
        """Whether the reader has to forget what it has, and the new rows; half a line waits until it is whole.

        What it has is forgotten when it is not what the file begins with: a resumed run drops the epochs after its last
        checkpoint, or writes them again.
        """
        try:
            if self.told is not None and self.file.stat().st_size == self.position:
                return False, []
            content = read_plain(self.file)
            rows = epochs_in(content)
            told = epochs_in(content[: self.position]) if self.told is None else self.told
        except (OSError, ValueError):
            content, rows, told = b"", [], self.told or []
        cut = len(content) < self.position
        afresh = cut or rows[: len(told)] != told or (self.told is None and self.position == 0)
        self.position, self.told = len(content), rows
        return afresh, rows if afresh else rows[len(told) :]


def event(name: str, content: Any, number: int | None = None) -> str:
    """One event; JSON has no line breaks."""
    place = "" if number is None else f"id: {number}\n"
    return f"{place}event: {name}\ndata: {as_json(content)}\n\n"


def as_json(content: Any) -> str:
    """JSON that a browser reads: what is not finite, in a file that somebody else wrote, is left out."""
    try:
        return json.dumps(content, allow_nan=False)
    except ValueError:
        return json.dumps(finite(content), allow_nan=False)
