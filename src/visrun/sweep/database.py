"""A study's database, which may be away for a while: what it did not answer is asked again.

A password never stands in its URL, which Hydra writes into every job's folder; it comes from the environment.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from visrun.console import Screen
from visrun.errors import ConfigError, VisrunError, first_line
from visrun.signals import asked
from visrun.sweep.storage import GRACE, HEARTBEAT, STORAGE, StorageAway, quiet

PASSWORD = "VISRUN_STORAGE_PASSWORD"
OUTAGE = 300  # seconds that a database may be away before a process gives up
RETRY = 1.0  # seconds between two tries meanwhile
LOCKED = 60  # seconds that SQLite waits for another program's lock before it says so


def reason(error: BaseException) -> str:
    """What a database says, without the password."""
    return first_line(error).replace(os.environ.get(PASSWORD) or "\0", "***")


class Database(RDBStorage):
    """A database that may be away for a while: whatever it did not answer is asked again, for up to OUTAGE seconds.

    Everything that Optuna asks may be repeated, where only the answer was lost, too: most writes set a value; of two
    equal tickets one counts; a claim that nobody knows of is lost, and comes back as a ticket.
    """

    where = STORAGE  # the URL that the user named

    def __init__(self, url: str, **options: Any) -> None:
        self.own = threading.local()  # since when this thread has had no answer
        self.told = False  # whether that was said
        super().__init__(url, **options)

    def answered(self) -> None:
        """What was asked is done."""
        self.own.since, self.told = None, False

    def wait(self, error: StorageInternalError | SQLAlchemyError) -> None:
        """Wait before what failed is tried again.

        Raises:
            StorageAway: The database has been away for too long, or this process was asked to stop.
            VisrunError: It answered that what was asked is wrong.
        """
        fault = _outage(error)
        if fault is None:
            raise VisrunError(f"{STORAGE}={self.where}: {reason(error.__cause__ or error)}") from error
        since = getattr(self.own, "since", None) or time.monotonic()
        self.own.since = since
        line = f"{STORAGE}={self.where}: the database does not answer ({reason(fault.orig or fault)})"
        if asked() is not None or time.monotonic() - since > OUTAGE:
            raise StorageAway(line) from error
        if not self.told:
            self.told = True
            Screen().warn(f"{line}; waiting up to {OUTAGE // 60} minutes for it")
        time.sleep(RETRY)


def _outage(error: BaseException | None) -> DBAPIError | None:
    """The driver's error where the database or the way to it failed; None where the statement itself is wrong."""
    while error is not None and not isinstance(error, OperationalError):
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            break
        error = error.__cause__ or error.__context__
    return error


def _patient(ask: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(ask)
    def repeated(self: Database, *given: Any, **named: Any) -> Any:
        while True:
            try:
                answer = ask(self, *given, **named)
            except (StorageInternalError, SQLAlchemyError) as error:
                self.wait(error)
            else:
                self.answered()
                return answer

    return repeated


# All of Optuna's methods that open a session; one that another version lacks is not missed.
for _name in (
    *("create_new_study", "delete_study", "get_all_studies", "get_study_id_from_name", "get_study_name_from_id"),
    *("get_study_directions", "get_study_user_attrs", "get_study_system_attrs", "set_study_user_attr"),
    *("set_study_system_attr", "_create_new_trial", "get_trial", "_get_trials", "_get_best_trial_id"),
    *("get_trial_id_from_study_id_trial_number", "get_trial_param", "get_trial_user_attrs", "get_trial_system_attrs"),
    *("_set_trial_param", "set_trial_state_values", "set_trial_intermediate_value", "set_trial_user_attr"),
    *("set_trial_system_attr", "record_heartbeat", "_get_stale_trial_ids"),
):
    if hasattr(RDBStorage, _name):
        setattr(Database, _name, _patient(getattr(RDBStorage, _name)))


def open_database(where: str) -> BaseStorage:
    """See :func:`visrun.sweep.storage.open_storage`."""
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
