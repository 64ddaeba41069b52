"""A study's database, which may be away for a while: what it did not answer is asked again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from visrun.console import Screen
from visrun.errors import VisrunError, first_line
from visrun.signals import asked

STORAGE = "hydra.sweeper.storage"
PASSWORD = "VISRUN_STORAGE_PASSWORD"
OUTAGE = 300  # seconds that a database may be away before a process gives up
RETRY = 1.0  # seconds between two tries meanwhile


class StorageAway(VisrunError):
    """A study's storage does not answer or cannot be written: the sweep goes on once it does."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.exit_code = asked() or 1  # a stop is not kept waiting, and stays one


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
