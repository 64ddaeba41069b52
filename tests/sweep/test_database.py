"""A study's database: no password in its URL; one that does not answer is asked again, as long as a stop lets it."""

from __future__ import annotations

import inspect
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from tests.sweep.conftest import refused
from visrun.errors import ConfigError, VisrunError
from visrun.sweep import database, storage
from visrun.sweep.database import PASSWORD, Database, checked
from visrun.sweep.storage import GRACE, HEARTBEAT, StorageAway, open_storage
from visrun.sweep.study import Queue, create

LOCKED = "the database does not answer (database is locked)"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database with one study, which waits little for a lock."""
    monkeypatch.setattr(database, "LOCKED", 0.01)
    monkeypatch.setattr(database, "RETRY", 0.02)
    monkeypatch.setattr(database, "asked", lambda: None)
    opened = open_storage(f"sqlite:///{tmp_path}/study.db")
    assert isinstance(opened, Database)
    create(opened, "study", ["maximize"])
    yield opened
    opened.engine.dispose()


@contextmanager
def locked(made: Database) -> Iterator[None]:
    """Within: another program has the database to itself."""
    other = sqlite3.connect(str(made.engine.url.database), check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


def test_everything_of_optuna_s_that_opens_a_session_is_asked_again() -> None:
    opens = [
        name
        for name, method in inspect.getmembers(RDBStorage, inspect.isfunction)
        if "_create_scoped_session(" in inspect.getsource(method)
    ]
    assert len(opens) > 20
    assert [name for name in opens if getattr(Database, name) is getattr(RDBStorage, name)] == []


def test_sqlite_waits_a_minute_for_a_lock(tmp_path: Path) -> None:
    opened = open_storage(f"sqlite:///{tmp_path}/study.db")
    assert isinstance(opened, Database)
    with opened.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000
    opened.engine.dispose()


def test_what_failed_is_asked_again_and_said_once(made: Database, capsys: pytest.CaptureFixture[str]) -> None:
    answered = threading.Event()

    def write() -> None:
        made.set_study_user_attr(1, "a", 1)
        answered.set()

    with locked(made):
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        assert not answered.wait(0.5)
    assert answered.wait(20)
    thread.join()
    assert made.get_study_user_attrs(1) == {"a": 1}
    told = f"warning: hydra.sweeper.storage={made.where}: {LOCKED}; waiting up to 5 minutes for it\n"
    assert capsys.readouterr().out == told


def test_after_the_limit_a_line_names_the_database_and_nothing_waits_again(
    made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "OUTAGE", 0.3)
    with locked(made):
        with pytest.raises(StorageAway) as caught:
            made.set_study_user_attr(1, "a", 1)
        assert str(caught.value) == f"hydra.sweeper.storage={made.where}: {LOCKED}"
        assert caught.value.exit_code == 1
        monkeypatch.setattr(database.time, "sleep", lambda _: pytest.fail("it waits"))
        with pytest.raises(StorageAway):
            made.set_study_user_attr(1, "a", 1)
    made.set_study_user_attr(1, "a", 2)
    assert made.get_study_user_attrs(1) == {"a": 2}


def test_a_stop_is_not_kept_waiting(
    made: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (database, storage):
        monkeypatch.setattr(module, "asked", lambda: 143)
    with locked(made), pytest.raises(StorageAway) as caught:
        made.set_study_user_attr(1, "a", 1)
    assert caught.value.exit_code == 143
    assert capsys.readouterr().out == ""


def test_what_is_the_statement_s_own_fault_is_said_at_once(made: Database) -> None:
    with pytest.raises(VisrunError, match=r"^hydra\.sweeper\.storage=sqlite:.*not supported[^\n]*$") as caught:
        made.get_study_name_from_id([1])  # type: ignore[arg-type]
    assert not isinstance(caught.value, StorageAway)


def test_an_end_whose_answer_is_lost_is_written_once(made: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[Any] = []

    def write(self: Database, *given: Any, **named: Any) -> bool:
        done = RDBStorage.set_trial_state_values(self, *given, **named)
        if not lost:
            lost.append(given)
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError("gone"))
        return done

    queue = Queue(made, "study")
    queue.fill(1)
    assert queue.claim(1) is not None
    monkeypatch.setattr(Database, "set_trial_state_values", database._patient(write))
    assert queue.complete(0, [0.5]) is None
    assert lost
    assert [(trial.state, trial.value) for trial in queue.every()] == [(TrialState.COMPLETE, 0.5)]


class TestOpen:
    def test_sqlite_keeps_signs_of_life(self, tmp_path: Path) -> None:
        made = open_storage(f"sqlite:///{tmp_path}/study.db")
        assert isinstance(made, RDBStorage)
        assert (made.heartbeat_interval, made.grace_period) == (HEARTBEAT, GRACE)
        assert GRACE >= 3 * HEARTBEAT
        made.engine.dispose()

    @pytest.mark.parametrize(
        ("where", "shown"),
        [
            ("postgresql://me:secret@host:5432/db", "postgresql://me@host:5432/db"),
            ("postgresql://me:secret@rest@host/db", "postgresql://me@host/db"),
            (
                "postgresql+psycopg://me:sec%40ret@host/db?sslmode=require",
                "postgresql+psycopg://me@host/db?sslmode=require",
            ),
            ("mysql+pymysql://me:secret@host/db", "mysql+pymysql://me@host/db"),
            ("mysql://host/db?user=me&password=secret", "mysql://host/db?user=me"),
            ("mysql://host/db?passwd=secret", "mysql://host/db"),
            ("postgresql://:secret@/db", "postgresql://@/db"),
        ],
    )
    def test_a_password_in_the_url_is_refused_and_not_repeated(self, where: str, shown: str) -> None:
        line = refused(where)
        assert "secret" not in line and "sec%40ret" not in line and "rest" not in line
        assert f"use {shown} and set {PASSWORD}" in line
        if shown.startswith("postgresql://me"):
            checked(shown)

    @pytest.mark.parametrize("where", ["postgresql://me:x@host:secret/db", "postgresql://me:secret/db", "://secret"])
    def test_what_is_no_url_is_not_repeated(self, where: str) -> None:
        assert "secret" not in refused(where)

    @pytest.mark.parametrize(
        ("where", "part"),
        [
            ("nonsense://host/db", "sqlalchemy.dialects:nonsense"),
            ("sqlite:////no/such/folder/study.db", "unable to open database file"),
        ],
    )
    def test_what_cannot_be_opened_is_one_line(self, where: str, part: str) -> None:
        assert part in refused(where)

    def test_the_password_of_the_environment_is_in_no_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("psycopg")
        monkeypatch.setenv(PASSWORD, "hunter2")
        asked = []
        monkeypatch.setattr(database, "Database", lambda url, **_: asked.append(url) or RDBStorage(url))
        line = refused("postgresql://hunter2@127.0.0.1:1/db")
        assert asked == ["postgresql+psycopg://hunter2:hunter2@127.0.0.1:1/db"]
        assert "hunter2" not in line.partition("(")[2]

    def test_a_missing_driver_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_driver(*_: object, **__: object) -> None:
            raise ImportError("no module pymysql")

        monkeypatch.setattr(database, "Database", no_driver)
        line = refused("mysql+pymysql://host/db")
        assert 'no module pymysql; pip install "psycopg[binary]" for PostgreSQL, or this database' in line

    def test_tables_of_another_optuna_are_one_line(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/study.db"
        open_storage(url).engine.dispose()  # type: ignore[attr-defined]
        with sqlite3.connect(tmp_path / "study.db") as connection:
            connection.execute("update version_info set schema_version = 1")
            connection.execute("update alembic_version set version_num = 'v0.9.0.a'")
        connection.close()
        with pytest.raises(ConfigError, match="cannot be opened"):
            storage._open(url, -1)
