"""Where a study lives: a journal file by default, or any database that Optuna knows.

A password never stands in the URL, which Hydra writes into every job's folder; it comes from the environment.
"""

from __future__ import annotations

import fcntl
import os
import threading
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from visrun.errors import ConfigError

KEY = "hydra.sweeper.storage"
PASSWORD = "VISRUN_STORAGE_PASSWORD"
JOURNAL = "study.journal"
HEARTBEAT = 15  # seconds between two signs of life of a trial in a database
GRACE = 60  # seconds without one after which a trial counts as lost


class FileLock:
    """A lock that the system releases when its holder dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.guard = threading.Lock()
        self.file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self.guard.acquire()
        self.file = self.path.open("ab")
        fcntl.flock(self.file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Let the next one in."""
        assert self.file is not None, "acquired before"
        self.file.close()
        self.file = None
        self.guard.release()


def open_storage(where: str) -> BaseStorage:
    """The storage at a path of a journal file, or at a database's URL without its password.

    Within a process each is opened once, since a journal is read from its beginning.

    Raises:
        ConfigError: A URL that holds a password, or that cannot be reached.
    """
    return _open(where, os.getpid())


@cache
def _open(where: str, _: int) -> BaseStorage:
    if "://" not in where:
        return _journal(Path(where))
    return _database(where)


def _journal(path: Path) -> BaseStorage:
    """A journal; the torn last line of a process that was killed while it wrote is cut off."""
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    lock.acquire()
    try:
        path.touch()
        with path.open("rb+") as file:
            content = file.read()
            if content and not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()
    with quiet():
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))  # type: ignore[arg-type]  # its two methods


def _database(where: str) -> BaseStorage:
    url = checked(where)
    password = os.environ.get(PASSWORD)
    if password:
        url = url.set(password=password)
    if url.drivername == "postgresql" and find_spec("psycopg2") is None:
        url = url.set(drivername="postgresql+psycopg")
    engine = {"pool_pre_ping": True} if not where.startswith("sqlite") else {}
    try:
        with quiet():
            return RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs=engine,
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
            )
    except ImportError as error:
        raise ConfigError(
            f"{KEY}={where}: {error}; install visrun[postgresql] or the driver of this database"
        ) from None
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0].replace(password or "\0", "***")
        raise ConfigError(f"{KEY}={where}: cannot be opened ({reason})") from None


def checked(where: str) -> URL:
    """The URL of a database.

    Raises:
        ConfigError: It is none, or a password stands in it.
    """
    try:
        url = make_url(where)
    except ArgumentError:
        raise ConfigError(f"{KEY}={where.split('@')[-1]}: no path and no URL of a database") from None
    if url.password is not None:
        shown = url.set(password=None).render_as_string()
        raise ConfigError(f"{KEY}: a password in the URL would be written to files; use {shown} and set {PASSWORD}")
    return url


class quiet(warnings.catch_warnings):  # noqa: N801 (used like a function)
    """Within: Optuna does not warn of what it calls experimental."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return entered
