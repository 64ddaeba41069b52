"""A run tried on images: ``visrun predict`` as a process of its own, its lines and drawings read as they come.

It leaves what it leaves on a terminal, drawings in ``predictions/`` of the run's folder; its lines and what it said lie
beside them, in files of the page's.
"""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from visrun.config.fields import show
from visrun.errors import ERROR, UserError
from visrun.files import read_object
from visrun.folders import expanded
from visrun.numbers import numbers_of
from visrun.record.run_folder import living
from visrun.run_files import PREDICTIONS
from visrun.text import printable, some
from visrun.web import processes
from visrun.web.family import end_family
from visrun.web.processes import Conflict
from visrun.web.roots import Roots
from visrun.web.runs import tail
from visrun.web.state import note

NOTE, LINES, SAID = "ui_predict.json", "ui_predict.jsonl", "ui_predict.log"
SHOWN = 24  # predictions that the page shows
MOST_NAMES = 4  # values that a caption names


@dataclass
class Lines:
    """What has been read of the lines that a process wrote: how many, and the first of them."""

    pid: int
    offset: int = 0
    count: int = 0
    first: list[dict[str, Any]] = field(default_factory=list)


class Tries:
    """Starts ``visrun predict`` in ``cwd`` and tells how it goes; ``always`` are words of every command."""

    def __init__(self, cwd: Path, roots: Roots, always: Sequence[str] = ()) -> None:
        self.cwd, self.roots, self.always = cwd, roots, tuple(always)
        self._lines: dict[Path, Lines] = {}
        self._lock = threading.Lock()

    def start(self, folder: Path, path: str, *, threshold: str = "") -> None:
        """Try the run in ``folder`` on an image, or all in a folder.

        Raises:
            Conflict: It is being tried already.
            UserError: The path leads outside the roots or to nothing, or the run's folder cannot be written.
        """
        path = path.strip()
        images = self.cwd / expanded(path)
        if not path:
            raise UserError("name an image or a folder")
        if not self.roots.holds(images):
            raise UserError(self.roots.refusal(show(path)))
        try:
            images.stat()
        except OSError as error:  # also a name that is too long, or a folder that is closed
            reason = "no such file or folder" if isinstance(error, FileNotFoundError) else error.strerror
            raise UserError(f"{show(path)}: {reason}") from None
        if images.suffix.lower() == ".txt" and images.is_file():  # what it lists may lie anywhere
            raise UserError(
                f"{show(path)}: a list of images is read on the command line only; name an image or a folder"
            )
        options = [f"threshold={threshold.strip()}"] if threshold.strip() else []
        words = ["predict", *self.always, str(folder), str(images), *options]
        typed = ["predict", *self.always, str(folder.relative_to(self.cwd)), str(images), *options]
        facts = {"path": path, "threshold": threshold.strip(), "command": shlex.join(["visrun", *typed])}
        with self._lock:
            if living(read_object(folder / NOTE)) is not None:
                raise Conflict("it predicts already; stop that first")
            with processes.writing_here(folder, UserError), ExitStack() as opened:
                out, err = (opened.enter_context(_fresh(folder / name)) for name in (LINES, SAID))
                note(folder, into=NOTE, **facts, created=datetime.now(UTC).isoformat())
                processes.launch(words, cwd=self.cwd, folder=folder, stdout=out, stderr=err, into=NOTE)

    def stop(self, folder: Path) -> None:
        """End it at once; what has been predicted stays.

        Raises:
            Conflict: Nothing runs.
        """
        pid = living(read_object(folder / NOTE))
        if pid is None:
            raise Conflict("it is not running")
        processes.note_asked(folder, into=NOTE, asked="stop")
        end_family(pid)

    def told(self, folder: Path) -> dict[str, Any]:
        """How far the last try is: ``state`` is none, running, done, stopped, failed or, where nobody saw how it ended,
        ended."""
        runs = living(read_object(folder / NOTE)) is not None
        noted = read_object(folder / NOTE)  # read anew: of what has ended by now it says how
        if not isinstance(noted.get("pid"), int):
            return {"state": "none"}
        code, stopped = noted.get("exit_code"), noted.get("asked") == "stop"
        failed = not stopped and code not in (0, None)
        lines, said = self._read(folder, noted), [] if runs else tail(folder / SAID)
        errors = [line.removeprefix(ERROR) for line in said if line.startswith(ERROR)]
        ended = "ended" if code is None else "failed" if failed else "done"
        state = "running" if runs else "stopped" if stopped else ended
        return {
            "state": state,
            **{key: str(noted.get(key, "")) for key in ("path", "threshold", "command", "created")},
            "exit_code": None if runs else code,
            "errors": errors or (said if failed else []),
            "count": lines.count,
            "folder": str(folder / PREDICTIONS),
            "shown": [
                {"name": one["name"], "said": one["said"], "stamp": _stamp(folder, one["drawing"])}
                for one in lines.first
            ],
        }

    def drawing(self, folder: Path, number: int) -> Path | None:
        """The picture of one of the predictions that are shown."""
        first = self._read(folder, read_object(folder / NOTE)).first
        file = first[number]["drawing"] if 0 <= number < len(first) else None
        return file if _stamp(folder, file) is not None else None

    def _read(self, folder: Path, noted: Mapping[str, Any]) -> Lines:
        """What is there by now; whole lines only."""
        with self._lock:
            known = self._lines.get(folder)
            if known is None or known.pid != noted.get("pid"):
                known = self._lines[folder] = Lines(noted.get("pid", 0))
            file = folder / LINES
            if file.is_symlink() or not file.is_file():
                return known
            with file.open("rb") as stream:
                stream.seek(known.offset)
                for line in stream:
                    if not line.endswith(b"\n"):
                        break
                    known.offset, known.count = known.offset + len(line), known.count + 1
                    if len(known.first) < SHOWN:
                        known.first.append(self._shown(line, folder, str(noted.get("path", ""))))
            return known

    def _shown(self, line: bytes, folder: Path, asked: str) -> dict[str, Any]:
        """A line in words, and its drawing, if both that and the image lie where they may."""
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = {}
        record = record if isinstance(record, dict) else {}
        image, drawing = (Path(str(record.pop(key, ""))) for key in ("image", "drawing"))
        above, place = self.cwd / expanded(asked), folder / PREDICTIONS
        name = image.relative_to(above) if image != above and image.is_relative_to(above) else image.name
        told = {key: value for key, value in record.items() if not _lies_in(place, value)}
        inside = drawing.suffix == ".png" and drawing.parent == place
        return {
            "name": printable(str(name)),
            "said": said(told),
            "drawing": drawing if inside and self.roots.holds(image) else None,
        }


def _lies_in(folder: Path, value: object) -> bool:
    return isinstance(value, str) and value.startswith(f"{folder}/")


def _fresh(file: Path) -> IO[bytes]:
    """An empty file; a link in a folder of somebody else's is not written through."""
    file.unlink(missing_ok=True)
    return file.open("xb")


def said(record: Mapping[str, Any]) -> str:
    """A prediction in words, whatever its task: ``cat · probability 0.98``, ``weight 3.2``; objects are drawn."""
    numbers, parts = numbers_of(dict(record)), []
    mappings = reversed([*record.values()])  # probabilities stand before the thresholds that they reach
    scores = {name: score for value in mappings for name, score in numbers_of(value).items()}
    for key, value in record.items():
        if isinstance(value, str):
            parts.append(value)
        elif key in numbers:
            parts.append(f"{key} {numbers[key]:.4g}")
        elif isinstance(value, list) and scores:
            chosen = {name: scores[name] for name in value if isinstance(name, str) and name in scores}
            parts.append(_listed(chosen) or f"no {key}")
    return printable(" · ".join(parts) or _listed(scores))


def _listed(scores: Mapping[str, float]) -> str:
    return some([f"{name} {score:.4g}" for name, score in scores.items()], MOST_NAMES)


def _stamp(folder: Path, file: Path | None) -> int | None:
    """What changes when a picture among a run's drawings does; None where there is none, or a link leads elsewhere."""
    try:
        if file is None or file.resolve() != folder.resolve() / PREDICTIONS / file.name:
            return None
        return file.stat().st_mtime_ns // 1_000_000
    except (OSError, RuntimeError, ValueError):  # not there, a loop of links, NUL
        return None
