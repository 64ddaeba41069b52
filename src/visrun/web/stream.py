"""A run as server-sent events: what is known of it, its epochs from the beginning, its log, until its process ends.

An epoch's event has its place in metrics.jsonl as id; a browser that comes back names the last one it has seen.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from visrun.journal import finite
from visrun.run_folder import METRICS
from visrun.web.resources import Resources
from visrun.web.runs import log_lines
from visrun.web.state import numbers_of

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
    """Events ``run``, ``rows``, ``log`` and, last, ``end``.

    Args:
        position: Bytes of metrics.jsonl that the reader has.
        detail: What is known of the run, see :func:`visrun.web.runs.detail`.
        closing: Whether the server ends; streams end first, or it would wait for them.
    """
    reader, last, silent = Rows(folder / METRICS, position), dict[str, Any](), 0
    while not closing():
        found = await asyncio.to_thread(detail)
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
    """Reads the lines of metrics.jsonl as they are written.

    Args:
        position: Where to begin, in bytes.
    """

    def __init__(self, file: Path, position: int) -> None:
        self.file, self.position, self.begun = file, position, False

    def more(self) -> tuple[bool, list[dict[str, float]]]:
        """Whether the reader has to forget what it has, and the new rows; half a line waits until it is whole."""
        try:
            size = self.file.stat().st_size
        except OSError:
            size = 0
        afresh = size < self.position or (not self.begun and self.position == 0)
        self.begun = True
        if size < self.position:  # a resumed run has dropped the epochs after its last checkpoint
            self.position = 0
        if size == self.position:
            return afresh, []
        with self.file.open("rb") as stream:
            stream.seek(self.position)
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        self.position += len(whole)
        rows = map(_row, whole.splitlines())
        return afresh, [row for row in rows if row.get("epoch", 0) >= 1]


def _row(line: bytes) -> dict[str, float]:
    try:
        return numbers_of(json.loads(line))
    except (ValueError, RecursionError):
        return {}


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
