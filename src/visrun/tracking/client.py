"""MLflow's client: that it answers, how long it waits, that it prints nothing, and what its errors mean."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import re
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from visrun.errors import VisrunError
from visrun.tracking.uris import EXPERIMENTS, SQLITE, URI, creation_lock, outdated, sqlite_path, sqlite_uri

# Set only where the user has not: MLflow's own values wait 247 s for a server that is down.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # else it sleeps as long as a server says, were it an hour
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# Where the experiment lies that every store has: MLflow writes it into SQL as it is, and a path may have quotes in it.
ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
NOISY = ("mlflow", "alembic", "urllib3.connectionpool")
# What MLflow imports as well as the training.
SHARED = (
    *("dateutil.tz", "html.parser", "importlib_metadata", "packaging.requirements", "scipy.sparse"),
    "xml.etree.ElementTree",
)


class Answering:
    """MLflow's client: ``progress`` is told of each answer, and the ``seconds`` of the last one are known."""

    def __init__(self, client: Any, progress: Callable[[float | None], None]) -> None:
        self.client, self.progress, self.seconds = client, progress, 0.0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.client, name)

        def answered(*args: Any, **options: Any) -> Any:
            began = time.monotonic()
            answer = call(*args, **options)
            self.seconds = time.monotonic() - began
            self.progress(None)
            return answer

        return answered


@contextlib.contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """Let a variable, such as one of `hush_process`, be ``value`` for a while.

    A tracker's thread may outlive its run: what has been changed meanwhile, as by `undone`, stays.
    """
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if os.environ.get(name) == value:
            _put(name, before)


def _put(name: str, value: str | None) -> None:
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


@contextlib.contextmanager
def current(uri: str) -> Iterator[None]:
    """Let those of MLflow's functions that take no client use the store at ``uri`` for a while, as `environment`."""
    import mlflow

    before = os.environ.get(URI)
    mlflow.set_tracking_uri(uri)  # for this process and those it starts
    try:
        yield
    finally:
        if mlflow.get_tracking_uri() == uri:
            mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # which takes it back
            _put(URI, before)


@contextlib.contextmanager
def undone() -> Iterator[None]:
    """Put back behind a run what :func:`hush_process` and :func:`make_client` change in a process."""
    variables = {name: os.environ.get(name) for name in ENVIRONMENT}
    levels = {name: logging.getLogger(name).level for name in NOISY}
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for name, value in variables.items():
            _put(name, value)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def import_shared() -> None:
    """Import what MLflow imports as well as the training: a package that two threads begin at once may fail in both."""
    for name in SHARED:
        import_module(name)


def make_client(uri: str) -> Any:
    """A client of the store, whose tables are made first where it is a new file.

    Raises:
        OSError, sqlite3.Error: As `creation_lock`; and a database would have to be migrated, which a person does.
    """
    hush_process()
    from mlflow import MlflowClient

    for name in NOISY:  # importing mlflow sets its loggers up
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with creation_lock(uri):
        if uri.startswith(SQLITE) and not sqlite_path(uri).stat().st_size:
            _make_tables(sqlite_path(uri).resolve())  # of a link what it leads to, not the link
        _require_tables(uri)
        return MlflowClient(tracking_uri=uri)


def _require_tables(uri: str) -> None:
    """Refuse a database that holds something and lacks a table: MLflow would migrate it without being asked."""
    from mlflow.store.db.db_types import DATABASE_ENGINES

    if re.split(r"[:+]", uri)[0] not in DATABASE_ENGINES:
        return
    from mlflow.store.db import utils
    from sqlalchemy import inspect, text

    engine = utils.create_sqlalchemy_engine_with_retry(uri)
    try:
        if inspect(engine).has_table("experiments") and not utils._all_tables_exist(engine):
            with engine.connect() as connection:
                if connection.execute(text(EXPERIMENTS)).first() is not None:
                    raise OSError(outdated(uri))
    finally:
        engine.dispose()


def _make_tables(database: Path) -> None:
    """Make a SQLite store whole beside its place: one whose making broke off in place could never be used again."""
    from mlflow import MlflowClient

    for left in database.parent.glob(f"{glob.escape(database.name)}.new-*"):
        left.unlink()
    new = database.with_name(f"{database.name}.new-{time.time_ns()}")  # MLflow remembers the stores it has opened
    with environment(ROOT, (database.parent / "mlruns").as_uri()):
        MlflowClient(tracking_uri=sqlite_uri(new))
    if database.stat().st_size:  # somebody who knows no lock was quicker
        new.unlink()
    else:
        new.replace(database)


def hush_process() -> None:
    """Short waits for a dead server, and no lines of MLflow's over the progress bar; before mlflow is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for module in ("mlflow", "alembic", "sqlalchemy"):
        warnings.filterwarnings("ignore", module=rf"{module}\b")


def is_told(error: BaseException) -> bool:
    """Whether its line says what is wrong: a store, a disk or a network refuses. All else is somebody's bug."""
    known = isinstance(error, (OSError, sqlite3.Error, VisrunError)) or hasattr(error, "get_http_status_code")
    return known or type(error).__module__.startswith("sqlalchemy.")


def is_temporary(error: BaseException) -> bool:
    """Whether the same call may succeed later: no answer, or the server's own trouble, but not a refusal."""
    if "IntegrityError" in str(error):  # another process wrote the same row meanwhile, as of a dataset both read
        return True
    code = getattr(getattr(error, "response", None), "status_code", None)  # of requests' HTTPError
    if code is None and hasattr(error, "get_http_status_code"):  # of MLflow's exceptions
        code = error.get_http_status_code()
    if code is not None:
        return code == 429 or (code >= 500 and code != 501)
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return isinstance(error, OSError) and not isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError))
