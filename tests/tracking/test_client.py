"""What using MLflow leaves of a process that has its own use for it."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from visrun.tracking import client
from visrun.tracking.client import ENVIRONMENT, NOISY, current, environment, make_client, undone
from visrun.tracking.uris import URI, sqlite_path, sqlite_uri


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, "http://mine:5000"])
def test_a_store_is_mlflows_own_only_for_a_while(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    mlflow.set_tracking_uri(None)
    if before is not None:
        monkeypatch.setenv(URI, before)
    usual = mlflow.get_tracking_uri()
    with pytest.raises(ZeroDivisionError), current("http://other:5000"):
        assert mlflow.get_tracking_uri() == os.environ[URI] == "http://other:5000"
        raise ZeroDivisionError
    assert os.environ.get(URI) == before and mlflow.get_tracking_uri() == usual
    assert mlflow.get_tracking_uri() == (before or usual)


def test_what_is_changed_while_a_variable_is_borrowed_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "4")
    with environment("MLFLOW_HTTP_REQUEST_TIMEOUT", "20"):
        os.environ.pop("MLFLOW_HTTP_REQUEST_TIMEOUT")  # the run has ended, and its thread has not
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


@pytest.mark.slow
def test_a_store_that_is_chosen_while_another_is_used_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv(URI, "http://before:5000")
    with current("http://other:5000"):
        mlflow.set_tracking_uri("http://mine:5000")
    assert mlflow.get_tracking_uri() == os.environ[URI] == "http://mine:5000"
    mlflow.set_tracking_uri(None)


@pytest.mark.slow
def test_a_store_whose_making_broke_off_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow
    from mlflow.store.db import utils

    with undone():
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(utils, "_upgrade_db", Mock(side_effect=ZeroDivisionError))  # after the first tables
            make_client(f"sqlite:///{tmp_path}/a [1].db")
        left = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
        assert left.pop("a [1].db") == 0 and any(name.startswith("a [1].db.new-") for name in left)
        made = make_client(f"sqlite:///{tmp_path}/a [1].db")
        assert isinstance(made, mlflow.MlflowClient) and made.search_experiments()
    assert {file.name for file in tmp_path.iterdir()} == {"a [1].db", "a [1].db.lock"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["it's 5\" wide", "seeds :one"]
)  # what ends a text of SQL, and a parameter of SQLAlchemy's
def test_a_store_is_made_in_a_folder_of_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    with undone():
        assert make_client(sqlite_uri(Path("mlflow.db"))).search_experiments()


@pytest.mark.slow
def test_mlflow_is_never_let_migrate_a_database_that_holds_something(tmp_path: Path) -> None:
    """As one that could not be looked at before, or lies on a server."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with undone():
        make_client(uri).create_experiment("mine")
        with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
            connection.execute("DROP TABLE evaluation_datasets")
            before = list(connection.execute("SELECT name FROM sqlite_master"))
            with pytest.raises(OSError, match=r"^an older MLflow made it; copy it, then: .*db upgrade sqlite:///"):
                make_client(uri)
            assert list(connection.execute("SELECT name FROM sqlite_master")) == before


@pytest.mark.slow
def test_a_link_to_a_store_that_is_to_be_made_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "my.db").symlink_to("disk/real.db")
    with undone():
        make_client(f"sqlite:///{tmp_path}/my.db")
    assert (tmp_path / "my.db").is_symlink() and (tmp_path / "disk" / "real.db").stat().st_size
    assert [file.name for file in (tmp_path / "disk").iterdir()] == ["real.db"]


@pytest.mark.slow
def test_tables_that_somebody_else_made_meanwhile_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    database = tmp_path / "my.db"
    database.touch()

    def make(tracking_uri: str) -> None:
        sqlite_path(tracking_uri).write_text("ours")
        database.write_text("theirs")

    monkeypatch.setattr(mlflow, "MlflowClient", make)
    client._make_tables(database)
    assert database.read_text() == "theirs" and [file.name for file in tmp_path.iterdir()] == ["my.db"]


def process() -> tuple[Any, ...]:
    levels = [logging.getLogger(name).level for name in NOISY]
    return {name: os.environ.get(name) for name in ENVIRONMENT}, levels, list(warnings.filters)


@pytest.mark.slow
def test_a_run_leaves_the_process_as_it_was(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow  # noqa: F401  sets its loggers up

    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.INFO)
    before = process()
    with undone():
        make_client(f"sqlite:///{tmp_path}/mlflow.db")
        assert [os.environ[f"MLFLOW_HTTP_REQUEST_{name}"] for name in ("TIMEOUT", "MAX_RETRIES")] == ["60", "1"]
        assert process() != before
    assert process() == before
