"""Where a study lives: a journal file by default, or any database that Optuna knows."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import warnings
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from visrun.errors import ConfigError, VisrunError
from visrun.signals import asked

STORAGE = "hydra.sweeper.storage"
BEGIN = b'{"op_code"'  # of a journal's first line
HEARTBEAT = 15  # seconds between two signs of life of a trial in a database
GRACE = 60  # seconds without one after which a trial counts as lost
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # what a file system without them says


class StorageAway(VisrunError):
    """A study's storage does not answer or cannot be written: the sweep goes on once it does."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.exit_code = asked() or 1  # a stop is not kept waiting, and stays one


def is_database(storage: str) -> bool:
    """Whether a study lives in a database, named by its URL, rather than in a journal."""
    return "://" in storage


class FileLock:
    """A journal's lock: the system releases it when its holder dies, however it dies.

    Whoever takes it finds the journal whole: the torn last line of one who was killed while writing is cut off.

    Args:
        journal: The journal's file; the lock is a file beside it.
    """

    def __init__(self, journal: Path) -> None:
        self.journal, self.path = journal, journal.with_name(f"{journal.name}.lock")
        self.guard = threading.Lock()
        self.file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self.guard.acquire()
        try:
            self.file = self.path.open("ab")
            fcntl.flock(self.file, fcntl.LOCK_EX)
            cut_torn_line(self.journal)
        except BaseException:  # Ctrl-C while it waits, too
            if self.file is not None:
                self.file.close()
                self.file = None
            self.guard.release()
            raise
        return True

    def release(self) -> None:
        """Let the next one in."""
        assert self.file is not None, "acquired before"
        self.file.close()
        self.file = None
        self.guard.release()


class Journal(JournalFileBackend):
    """A journal whose file is named by what is wrong with it, such as a full disk."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        try:
            super().append_logs(logs)
        except (OSError, ValueError) as error:
            raise self._lost(error, "write") from error

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        try:
            if Path(self._file_path).stat().st_size < self._log_number_offset.get(log_number_from, 0):
                raise ValueError("shorter than what was read of it")
            yield from super().read_logs(log_number_from)
        except (OSError, ValueError) as error:
            raise self._lost(error, "read") from error

    def _lost(self, error: OSError | ValueError, what: str) -> VisrunError:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            return StorageAway(f"{self._file_path}: cannot {what} ({error.strerror})")
        fault = "is gone" if isinstance(error, OSError) else "is damaged, or was cut while the sweep ran"
        advice = "put a copy of it back, or begin a new study under another hydra.sweeper.study_name"
        return VisrunError(f"{self._file_path}: {fault}; the trials keep their folders; {advice}")


def open_storage(where: str) -> BaseStorage:
    """The storage at a path of a journal file, or at a database's URL without its password.

    Within a process each is opened once, since a journal is read from its beginning.

    Raises:
        ConfigError: A URL that holds a password, or that cannot be reached.
    """
    return _open(where, os.getpid())


@cache
def _open(where: str, _: int) -> BaseStorage:
    if not is_database(where):
        return _journal(Path(where))
    from visrun.sweep.database import open_database  # and with it sqlalchemy, which takes as long as optuna itself

    return open_database(where)


def _journal(path: Path) -> BaseStorage:
    lock = FileLock(path)
    try:
        path.touch()
        lock.acquire()  # which looks at the file
        lock.release()
        with quiet():
            return JournalStorage(Journal(str(path), lock_obj=lock))  # type: ignore[arg-type]  # its two methods
    except OSError as error:
        why = f" ({error.strerror})"
        if error.errno in NO_LOCKS:
            why = ", since this file system has no locks; name a file on another one, or a database"
        raise ConfigError(f"{STORAGE}={path}: cannot be opened{why}") from None
    except (VisrunError, ValueError, LookupError, TypeError, AssertionError):  # of the one who reads it
        raise ConfigError(f"{STORAGE}={path}: is no journal of a study; choose another path") from None


def cut_torn_line(journal: Path) -> None:
    """Shorten a journal to its last whole line; for who holds its lock.

    Raises:
        ValueError: The file is something else, and is left alone.
    """
    with journal.open("rb+") as file:
        begin = file.read(len(BEGIN))
        if begin != BEGIN[: len(begin)]:
            raise ValueError("no journal")
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        if file.read(1) not in (b"", b"\n"):
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


_silence = threading.RLock()  # Python's list of warning filters is one for all threads


class quiet(warnings.catch_warnings):  # noqa: N801 (used like a function)
    """Within: Optuna warns of nothing; what it calls experimental, conditional spaces and NaN are meant."""

    def __enter__(self) -> Any:
        _silence.acquire()
        entered = super().__enter__()
        for kind in (optuna.exceptions.ExperimentalWarning, UserWarning, RuntimeWarning):
            warnings.simplefilter("ignore", kind)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return entered

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        _silence.release()
