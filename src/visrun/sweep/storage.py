"""Where a study lives: a journal file by default, or any database that Optuna knows.

A password never stands in the URL, which Hydra writes into every job's folder; it comes from the environment.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
import warnings
from collections.abc import Generator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from visrun.errors import ConfigError, VisrunError
from visrun.sweep.database import PASSWORD, STORAGE, Database, StorageAway, reason

BEGIN = b'{"op_code"'  # of a journal's first line
HEARTBEAT = 15  # seconds between two signs of life of a trial in a database
LOCKED = 60  # seconds that SQLite waits for another program's lock before it says so
GRACE = 60  # seconds without one after which a trial counts as lost
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # what a file system without them says


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
    return _database(where) if is_database(where) else _journal(Path(where))


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


def _database(where: str) -> BaseStorage:
    url = checked(where)
    password = os.environ.get(PASSWORD)
    if password and url.host:
        url = url.set(password=password)
    if url.drivername == "postgresql" and find_spec("psycopg2") is None:
        url = url.set(drivername="postgresql+psycopg")
    sqlite = url.get_backend_name() == "sqlite"
    engine: dict[str, Any] = {"connect_args": {"timeout": LOCKED}} if sqlite else {"pool_pre_ping": True}
    try:
        with quiet():
            storage = _tables(url.render_as_string(hide_password=False), engine)
    except ImportError as error:
        raise ConfigError(
            f'{STORAGE}={where}: {error}; pip install "psycopg[binary]" for PostgreSQL, or this database\'s driver'
        ) from None
    except (SQLAlchemyError, RuntimeError) as error:  # the latter where its tables are of another version of Optuna
        raise ConfigError(f"{STORAGE}={where}: cannot be opened ({reason(error)})") from None
    storage.where = where
    return storage


def _tables(url: str, engine: dict[str, Any]) -> Database:
    """A database with Optuna's tables; of several who make them at the same moment, all but one have to try again."""
    for patience in (0.1, 0.2, 0.4, 0.8, 1.6):
        try:
            return Database(url, engine_kwargs=engine, heartbeat_interval=HEARTBEAT, grace_period=GRACE)
        except SQLAlchemyError as error:
            if not isinstance(error, IntegrityError) and "already exists" not in str(error):
                raise
        time.sleep(patience)
    return Database(url, engine_kwargs=engine, heartbeat_interval=HEARTBEAT, grace_period=GRACE)


def checked(where: str) -> URL:
    """The URL of a database.

    Raises:
        ConfigError: It is none, or a password stands in it.
    """
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):  # which may show a password that stands at a wrong place
        raise ConfigError(f"{STORAGE}={where.partition('://')[0]}://...: no path and no URL of a database") from None
    secret = {"password", "passwd"} & url.query.keys()
    if url.password is not None or secret:
        host = url.host and url.host.rpartition("@")[2]  # what stands before is the rest of a password with an @
        shown = url._replace(password=None, host=host).difference_update_query(list(secret)).render_as_string()
        raise ConfigError(f"{STORAGE}: a password in the URL would be written to files; use {shown} and set {PASSWORD}")
    return url


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
