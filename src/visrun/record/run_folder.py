"""What a run leaves on the disk, and who may write there.

experiment.json   the whole configuration, its sources, versions, and the result
metrics.jsonl     one line an epoch: the source of truth of every curve
checkpoints/      best.pt and last.pt; best.former.pt, the best that last.pt knows, where best.pt is a later one
plots/            pictures
run.lock          the process that writes here
status.json       where the run stands, for who watches it from outside
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from visrun.errors import UserError, VisrunError
from visrun.files import read_object, read_plain, remove_leftovers, write_atomic
from visrun.record.epochs import Row, read_epochs
from visrun.run_files import BEST_WEIGHTS, CHECKPOINTS, FILE_NAME, LOCK, MAX_BYTES, METRICS, PLOTS, STATUS

VARIES = 2.0  # seconds by which the system's word on the time of day when a process began may vary
SILENT = 600.0  # seconds without a word after which a process of another machine counts as dead


@dataclass(frozen=True)
class Writer:
    """A living process that writes a run, and its machine; None = this one."""

    pid: int
    host: str | None = None

    def __str__(self) -> str:
        return f"process {self.pid}" + (f" on {self.host}" if self.host is not None else "")


def run_of(path: Path) -> Path | None:
    """The folder of a run that it or a checkpoint of it names; None of a checkpoint that lies in no run."""
    if path.is_dir():
        return path
    above = path.parent.parent
    return above if (above / FILE_NAME).is_file() else None


class RunFolder:
    """The files of one run. Open it with ``with``: two processes never write into the same folder.

    Raises:
        UserError: The folder cannot be written, or a living process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.checkpoints, self.plots = self.path / CHECKPOINTS, self.path / PLOTS
        self.best, self.last = self.checkpoints / BEST_WEIGHTS, self.checkpoints / "last.pt"
        self.former = self.checkpoints / "best.former.pt"
        self.metrics = self.path / METRICS
        self.writer: dict[str, Any] = {}

    def __enter__(self) -> RunFolder:
        try:
            for folder in (self.checkpoints, self.plots):
                folder.mkdir(parents=True, exist_ok=True)
            with locked(self.path):
                self._lock()
        except OSError as error:
            raise UserError(f"{self.path}: cannot write the run here ({error.strerror})") from None
        remove_leftovers(self.path)
        remove_leftovers(self.checkpoints)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what keeps it from being deleted may have ended the run, and is what to tell
            (self.path / LOCK).unlink(missing_ok=True)

    def _lock(self) -> None:
        lock = self.path / LOCK
        self.writer = this_process()
        while True:
            try:
                take(lock, json.dumps(self.writer))
                return
            except FileExistsError:
                writer = writer_of(self.path)
                if writer is not None:
                    hint = f"; if it is dead, delete {lock}" if writer.host is not None else ""
                    told = f"{self.path}: {writer} is writing this run; wait for it or stop it{hint}"
                    raise UserError(told) from None
                lock.unlink(missing_ok=True)

    def tell(self, state: str, **facts: Any) -> None:
        """Replace status.json; what cannot be told is left out, since no run depends on who watches it.

        Args:
            state: ``starting``, ``training``, or how the run ended.
            facts: Plain values, such as ``epoch``, ``step`` and ``exit_code``.
        """
        known = {"state": state, **self.writer, "heartbeat": time.time(), **facts}
        temporary = self.path / f"{STATUS}.tmp"
        with suppress(OSError):  # not flushed to the disk: the next one comes soon
            temporary.write_text(json.dumps(known), encoding="utf-8")
            temporary.replace(self.path / STATUS)

    def write_experiment(self, content: dict[str, Any]) -> None:
        """Replace experiment.json."""
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=str)
        data = (text + "\n").encode(errors="backslashreplace")  # file names may be no text
        write_atomic(self.path / FILE_NAME, data)

    def snapshot(self) -> dict[Path, bytes]:
        """What tells how the run stands, for :meth:`put_back`."""
        told = (self.path / FILE_NAME, self.path / STATUS)
        return {file: file.read_bytes() for file in told if file.is_file()}

    def put_back(self, before: Mapping[Path, bytes]) -> None:
        """Let the run stand where it stood when ``before`` was taken."""
        for file, data in before.items():
            write_atomic(file, data)

    def append_metrics(self, row: dict[str, float]) -> None:
        """Add an epoch's line and see it on the disk.

        Raises:
            VisrunError: It cannot be written.
        """
        line = json.dumps({key: value for key, value in row.items() if value == value})
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise VisrunError(f"{self.metrics}: cannot write ({error.strerror})") from error

    def read_metrics(self) -> list[Row]:
        """The epochs so far."""
        return read_epochs(self.metrics)

    def keep_metrics(self, epochs: int) -> list[Row]:
        """Drop the lines after epoch ``epochs``, which a resumed run writes again; returns the others."""
        kept = [row for row in self.read_metrics() if row["epoch"] <= epochs]
        write_atomic(self.metrics, "".join(json.dumps(row) + "\n" for row in kept).encode())
        return kept


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file such as experiment.json.

    Raises:
        UserError: The file is missing, far too large, unreadable or no JSON object.
    """
    try:
        content = json.loads(read_plain(path, MAX_BYTES).decode())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; name a run's folder, the one that holds {FILE_NAME}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); restore it, or name another run") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no JSON object; restore it, or name another run")
    return content


def this_process() -> dict[str, Any]:
    """What a lock file says of who holds it, see `noted_process`."""
    return noted_process(os.getpid())


def noted_process(pid: int) -> dict[str, Any]:
    """What tells a process of this machine from a later one of its number: when it began, and where.

    ``started`` is the time of day, which a clock that is set moves, and 0 of a process that is gone; ``born`` stands
    still, where the system tells it.
    """
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        started = 0.0
    known: dict[str, Any] = {"pid": pid, "started": started, "host": socket.gethostname()}
    return known if (birth := born(pid)) is None else {**known, "born": birth}


def born(pid: int) -> str | None:
    """When a process began, as the start of its machine and the clock ticks since; None where Linux does not say it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2]  # a name may hold spaces
        return f"{boot} {int(after_name.split()[19])}"
    except (OSError, ValueError, IndexError):
        return None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process of this machine at a time: between judging a lock to be dead and deleting it no other replaces it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system that locks no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def take(lock: Path, text: str) -> None:
    """Make a lock file that nobody sees without its text.

    Raises:
        FileExistsError: It is there.
    """
    mine = lock.with_name(f"{lock.name}.{uuid4().hex}.tmp")
    mine.write_text(text, encoding="utf-8")
    try:
        os.link(mine, lock)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, or one that has cleaned up
        with lock.open("x", encoding="utf-8") as file:
            file.write(text)
    finally:
        mine.unlink(missing_ok=True)


def living(facts: Mapping[str, Any]) -> int | None:
    """The process of this machine that :func:`this_process` described, if it lives, and no later one of its number.

    A process that has ended and that its parent has not asked for yet keeps its number, and writes nothing any more. A
    child of this very process lives until it has been asked for: only then it is known how it ended.
    """
    try:
        if "host" in facts and facts["host"] != socket.gethostname():
            return None
        process = psutil.Process(int(facts["pid"]))
        birth = born(process.pid) if "born" in facts else None
        near = abs(process.create_time() - float(facts["started"])) < VARIES
        same = near if birth is None else facts["born"] == birth
        ended = process.status() == psutil.STATUS_ZOMBIE and process.ppid() != os.getpid()
        return process.pid if same and not ended else None
    except (ValueError, OverflowError, KeyError, TypeError, psutil.Error):
        return None


def living_holder(lock: Path) -> int | None:
    """The process that a lock file names, if it is :func:`living`."""
    return living(read_object(lock))


def has_died(folder: Path) -> bool:
    """Whether the process that run.lock names was one of this machine, is gone, and has been silent for SILENT seconds:
    a machine of the same name, such as a container, may hide a process that lives."""
    lock = folder / LOCK
    content = read_object(lock)
    if content.get("host") != socket.gethostname() or "born" not in content or living(content) is not None:
        return False
    heard = [file.stat().st_mtime for file in (lock, folder / STATUS) if file.is_file()]
    return time.time() - max(heard, default=math.inf) > SILENT


def writer_of(folder: Path, name: str = LOCK) -> Writer | None:
    """The living process that writes a run, as run.lock names it, or the lock ``name``; None where nobody does.

    A process of another machine cannot be seen here: it lives unless nothing was heard of it for SILENT seconds. What
    is heard of it is the lock itself, then status.json beside it. A container that is started again is often another
    machine by name: its own lock of before blocks it that long.
    """
    lock, strange = folder / name, (UserError, OSError, ValueError, OverflowError, KeyError, TypeError)
    try:
        content = read_json(lock)
        pid = living(content)
        if pid is not None:
            return Writer(pid)
        writer, heard = Writer(int(content["pid"]), str(content["host"])), lock.stat().st_mtime
        if writer.host == socket.gethostname():
            return None
        with suppress(*strange):
            heard = max(heard, float(read_json(folder / STATUS)["heartbeat"]))
        return writer if time.time() - heard < SILENT else None
    except strange:
        return None
