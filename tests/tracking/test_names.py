"""Addresses, names and errors: what may be shown, typed and sent."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import os
import re
import shutil
import sqlite3
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st

from visrun.errors import ConfigError
from visrun.files import read_object
from visrun.tracking import needs, open_tracker, require_address, uris
from visrun.tracking.client import is_temporary
from visrun.tracking.names import (
    look_alikes,
    metric_name,
    one_line,
    parameter_text,
    read_record,
    source_tags,
    write_record,
)
from visrun.tracking.uris import (
    VIEW,
    absolute_uri,
    artifact_location,
    command,
    creation_lock,
    is_local,
    link,
    problem_of,
    sqlite_path,
    without_password,
)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mlflow.db", "sqlite:///{cwd}/mlflow.db"),
        ("runs/my.db", "sqlite:///{cwd}/runs/my.db"),
        ("sqlite:///my.db", "sqlite:///{cwd}/my.db"),
        ("sqlite:////srv/my.db", "sqlite:////srv/my.db"),
        ("/srv/50% (new)?.db", "sqlite:////srv/50%25 (new)%3F.db"),
        ("http://host:5000/", "http://host:5000"),
        ("postgresql://host/db", "postgresql://host/db"),
    ],
)
def test_an_address_means_the_same_from_every_folder(uri, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    once = absolute_uri(uri)
    assert once == expected.format(cwd=tmp_path)
    monkeypatch.chdir("/")
    assert absolute_uri(once) == once


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("mlruns", "takes no folder as a store; give a path that ends in .db"),
        ("/etc/passwd", "takes no folder"),
        ("file:///srv/mlruns", "takes no folder"),
        ("ftp://host/y", "no such kind of store; a path that ends in .db, http://"),
        ("http://me:secret@host:x", "no such port"),
        ("https://host:99999", "no such port"),
        ("http://", "no host"),
        ("sqlite://my.db", "three slashes"),
        ("folder.db", "is a folder"),
    ],
)
def test_an_address_that_can_never_work_is_refused_at_once(uri, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.db").mkdir()
    shown = uri.replace("secret", "***")
    with pytest.raises(ConfigError, match=rf"^tracking\.uri={re.escape(shown)}: .*{re.escape(said)}"):
        open_tracker("mlflow", experiment="e", run_name="r", uri=uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match=rf"^MLFLOW_TRACKING_URI={re.escape(shown)}: "):
        open_tracker("mlflow", experiment="e", run_name="r")
    open_tracker("none", experiment="e", run_name="r", uri=uri)


def test_what_to_do_with_a_folder_of_runs_is_told(tmp_path):
    (tmp_path / "my runs").mkdir()
    for uri in (str(tmp_path / "my runs"), (tmp_path / "my runs").as_uri()):
        assert problem_of(uri).endswith("(mlflow migrate-filestore turns one into a database)")


def database(file, revision, experiments=1):
    """One of MLflow's, as far as its age is seen; the first ones note no revision."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE experiments (name TEXT)")
        connection.executemany("INSERT INTO experiments VALUES (?)", [("Default",)] * experiments)
        if revision is not None:
            connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
            connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        connection.commit()


@pytest.mark.parametrize("revision", [None, "451aebb31d03", "0584bdc529eb"])
def test_a_database_of_an_older_mlflow_is_refused_and_not_touched(revision, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    database("my 1?.db", revision)
    before = (tmp_path / "my 1?.db").read_bytes()
    said = r"an older MLflow made it; copy it, then: .*mlflow db upgrade 'sqlite:////.*/my 1%3F\.db'$"
    with pytest.raises(ConfigError, match=rf"^tracking\.uri=my 1\?\.db: {said}"):
        require_address("mlflow", "my 1?.db")
    require_address("none", "my 1?.db")
    assert (tmp_path / "my 1?.db").read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    (tmp_path / "my 1?.db").rename("mlflow.db")
    with pytest.raises(ConfigError, match=r"^tracking\.uri=mlflow\.db: an older MLflow"):
        require_address("mlflow", None)


def test_a_database_of_a_newer_mlflow_or_of_another_program_is_refused_and_not_touched(tmp_path):
    database(tmp_path / "later.db", "ffffffffffff")
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (name TEXT)")
        connection.commit()
    before = [(tmp_path / name).read_bytes() for name in ("later.db", "other.db")]
    for name, told in (("later", "a newer MLflow made it; "), ("other", "another program made it; ")):
        with pytest.raises(ConfigError, match=rf"^tracking\.uri=.*{name}\.db: {told}"):
            require_address("mlflow", str(tmp_path / f"{name}.db"))
    assert [(tmp_path / name).read_bytes() for name in ("later.db", "other.db")] == before


def test_a_database_that_is_new_of_this_mlflow_or_none_is_let_through(tmp_path):
    steps = Path(importlib.util.find_spec("mlflow").origin).parent / "store" / "db_migrations"
    database(tmp_path / "this.db", ScriptDirectory(str(steps)).get_current_head())
    database(tmp_path / "being made.db", "451aebb31d03", experiments=0)
    (tmp_path / "new.db").touch()
    for name in ("this", "being made", "new", "missing"):
        assert problem_of(f"sqlite:///{tmp_path}/{name}.db") is None


def test_a_file_that_is_no_database_or_damaged_or_closed_is_refused_and_not_touched(tmp_path, monkeypatch):
    (tmp_path / "text.db").write_text("no database, though it is a file" * 9)
    database(tmp_path / "cut.db", "ffffffffffff")
    whole = (tmp_path / "cut.db").read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    before = [(tmp_path / name).read_bytes() for name in ("text.db", "cut.db")]
    for name, told in (("text", "no database; name a file"), ("cut", "it is damaged; restore a copy")):
        with pytest.raises(ConfigError, match=rf"^tracking\.uri=.*{name}\.db: {told}"):
            require_address("mlflow", str(tmp_path / f"{name}.db"))
    assert [(tmp_path / name).read_bytes() for name in ("text.db", "cut.db")] == before
    for closed in (tmp_path, tmp_path / "mine.db"):  # root may write whatever the mode says
        (tmp_path / "mine.db").touch()
        monkeypatch.setattr(uris.os, "access", lambda path, _, closed=closed: path != closed)
        for name in ("mine.db", "a/new.db"):
            told = problem_of(f"sqlite:///{tmp_path}/{name}")
            assert (told or "").startswith("it cannot be written; let it") is (closed == tmp_path or name == "mine.db")


def test_what_a_store_needs_beside_mlflow_is_refused_where_it_lacks(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(needs, "find_spec", lambda name: name)
    assert problem_of("databricks") == problem_of("databricks://profile")
    assert problem_of("databricks").startswith("no credentials for it here; set DATABRICKS_HOST and DATABRICKS_TOKEN")
    (tmp_path / ".databrickscfg").touch()
    assert problem_of("databricks") is None
    (tmp_path / ".databrickscfg").unlink()
    monkeypatch.setenv("DATABRICKS_HOST", "https://host")
    assert problem_of("databricks://profile") is None
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^tracking\.uri=databricks: the databricks-sdk is not installed; pip inst"):
        require_address("mlflow", "databricks")
    monkeypatch.setitem(sys.modules, "MySQLdb", None)  # as where it is not installed
    assert problem_of("mysql://me@host/db") == "its driver MySQLdb is not installed; pip install mysqlclient"
    monkeypatch.setitem(sys.modules, "pymysql", None)
    assert problem_of("mysql+pymysql://me@host/db") == "its driver pymysql is not installed; pip install pymysql"
    monkeypatch.setitem(sys.modules, "pymysql", Mock())
    assert problem_of("mysql+pymysql://me@host/db") is None
    assert problem_of("postgresql+strange://host").startswith("no address of a database; give such as")


@pytest.mark.parametrize("uri", ["uc", "uc:http://localhost:8080", "databricks-uc", "databricks-uc://profile"])
def test_a_registry_of_models_is_no_store_of_runs(uri):
    from mlflow.exceptions import MlflowException
    from mlflow.tracking._tracking_service.utils import _get_store

    assert problem_of(uri).startswith("a registry of models, which keeps no runs; give databricks, a server's")
    with pytest.raises(MlflowException, match="Detected Unity Catalog tracking URI"):
        _get_store(uri)


@pytest.mark.parametrize("uri", ["databricks", "databricks://profile", "databricks-uc", "uc"])
def test_what_mlflow_takes_for_an_address_is_no_path(uri):
    assert not uris.is_local(uri) and not uris.is_relative(uri)


def test_addresses_that_may_work_are_let_through(monkeypatch):
    monkeypatch.setattr(uris, "lacking", lambda *_: None)
    for uri in ("http://[::1]:5000/mlflow", "mysql+pymysql://me:a#b@host/db", "databricks", "databricks://profile"):
        assert problem_of(uri) is None
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert problem_of("mlruns") is None


def test_a_sqlite_address_leads_back_to_its_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sqlite_path(absolute_uri("~/a b/50%.db")) == tmp_path / "a b" / "50%.db"


def test_a_store_is_opened_where_there_are_no_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(uris.fcntl, "flock", Mock(side_effect=OSError(errno.ENOSYS, "Function not implemented")))
    with creation_lock(f"sqlite:///{tmp_path}/mlflow.db"):
        assert (tmp_path / "mlflow.db").is_file()


def test_the_default_is_a_file_here_or_what_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracker = open_tracker("mlflow", experiment="e", run_name="r")
    assert tracker.command.endswith(f"ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////srv/team.db")
    tracker = open_tracker("mlflow", experiment="e", run_name="r")
    assert tracker.command.endswith("ui --backend-store-uri sqlite:////srv/team.db")


def test_links_can_be_typed_and_show_no_password():
    assert (command("sqlite:////my runs/m.db") or "").endswith("ui --backend-store-uri 'sqlite:////my runs/m.db'")
    assert command("https://host") is None
    assert link("sqlite:////m.db", "1", "abc") == "http://127.0.0.1:5000/#/experiments/1/runs/abc" + VIEW
    assert link("https://me:secret@host", "3", "abc") == "https://me:***@host/#/experiments/3/runs/abc" + VIEW
    assert link("https://host", None, None) is None
    assert without_password("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"


def test_files_lie_beside_a_local_store():
    assert artifact_location("sqlite:////a b/mlflow.db", "visrun/classification") == (
        "file:///a%20b/mlruns/visrun-classification"
    )
    assert artifact_location("sqlite:////a/mlflow.db", "../..").endswith("/mlruns/experiment")
    assert artifact_location("http://host", "e") is None
    assert [is_local(uri) for uri in ("sqlite:////a.db", "file:/a", "http://host")] == [True, True, False]


@settings(deadline=None)
@given(st.text())
def test_any_class_name_gives_a_name_that_mlflow_takes(text):
    from mlflow.utils.validation import _validate_metric_name

    for spelled in (False, True):
        _validate_metric_name(metric_name(f"iou/{text}", spelled=spelled))
        _validate_metric_name(metric_name(text, spelled=spelled))


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["tree (dead)", "a,b"], ["tree _dead_", "a_b"]),  # nothing like them: as short as can be
        (["<30", "=30", ">30"], ["_less-than sign_30", "_equals sign_30", "_greater-than sign_30"]),
        (["a_b", "a,b", "a", "b"], ["a_b", "a_comma_b", "a", "b"]),
        (["50%", "50\n", "50_", "50_"], ["50_percent sign_", "50_a_", "50_", "50_"]),
        (["x/<30", "x/>30"], ["x/_less-than sign_30", "x/_greater-than sign_30"]),
        ([".", "_"], ["_full stop_", "_"]),
    ],
)
def test_names_that_would_look_alike_are_spelled_whatever_else_is_there(names, shown):
    for some in (names, names[::-1]):
        alike = look_alikes(some)
        assert [metric_name(name, spelled=name in alike) for name in names] == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [([30, 60], "[30, 60]"), (None, "null"), (True, "true"), (1e-05, "1e-05"), ("adam", "adam"), (Path("/a"), '"/a"')],
)
def test_a_parameter_is_one_string(value, text):
    assert parameter_text(value) == text
    assert len(parameter_text("x" * 10_000)) == 6000


def test_the_git_tag_is_shown_as_the_version():
    assert source_tags({"git": "abc"})["mlflow.source.git.commit"] == "abc"
    assert "mlflow.source.git.commit" not in source_tags({})


def test_the_record_belongs_to_one_store(tmp_path):
    record = tmp_path / "mlflow.json"
    assert read_record(record, "uri") is None
    write_record(record, "uri", "abc")
    assert read_record(record, "uri") == "abc"
    assert read_record(record, "other") is None
    assert not read_object(record).get("open")
    write_record(record, "uri", "abc", is_open=True)
    assert (read_record(record, "uri"), read_object(record)["open"]) == ("abc", True)
    for broken in ("", "[1]", '{"uri": "uri"}', "[" * 100_000):
        record.write_text(broken)
        assert read_record(record, "uri") is None
    record.unlink()
    os.mkfifo(record)
    assert read_object(record) == {}
    assert read_record(None, "uri") is None


def test_the_record_of_a_copied_folder_is_that_of_the_folder_it_came_from(tmp_path):
    first, copy, moved, link = (tmp_path / name for name in ("first", "copy", "moved", "link"))
    first.mkdir()
    write_record(first / "run.json", "uri", "abc")
    shutil.copytree(first, copy)
    link.symlink_to(first)
    assert [read_record(folder / "run.json", "uri") for folder in (first, copy, link)] == ["abc", None, "abc"]
    first.rename(moved)
    first.mkdir()
    write_record(first / "run.json", "uri", "another")
    assert [read_record(folder / "run.json", "uri") for folder in (first, moved)] == ["another", "abc"]
    write_record(copy / "run.json", "uri", "def")
    assert read_record(copy / "run.json", "uri") == "def"


@pytest.mark.parametrize("user", ["me:secret@", "secret@", "me:sec@ret@"])
def test_the_record_holds_nobodys_password(tmp_path, user):
    record, uri = tmp_path / "mlflow.json", f"https://{user}host/path"
    write_record(record, uri, "abc")
    assert json.loads(record.read_text()) == {"uri": "https://host/path", "run_id": "abc", "folder": str(tmp_path)}
    assert read_record(record, uri) == read_record(record, "https://host/path") == "abc"
    assert read_record(record, f"https://{user}other/path") is None


def test_a_database_that_is_damaged_on_the_way_is_told_with_what_to_do():
    sqlite = "(sqlite3.DatabaseError) database disk image is malformed\n[SQL: SELECT 1]"
    assert one_line(RuntimeError(sqlite)).startswith("the database is damaged; restore a copy of it, or name another")
    error = sqlite3.OperationalError("attempt to write a readonly database")
    assert one_line(error).startswith("the database is read-only; let it and its folder be written, or")


def test_errors_become_one_line_and_know_whether_to_try_again():
    from mlflow.exceptions import MlflowException, RestException

    lost = MlflowException("API request to http://h/api failed with timeout exception Read timed out.\nmore")
    assert (one_line(lost), is_temporary(lost)) == ("it does not answer", True)
    assert len(one_line(ValueError("x" * 999))) == 200
    full = OSError(errno.ENOSPC, "No space left on device", "/tmp/model.pt2", None, f"/data/{'x' * 250}/model.pt2")
    assert one_line(full) == f"No space left on device: /data/{'x' * 250}/model.pt2"
    refused = RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "bad"})
    busy = RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"})
    raced = MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id, datasets.name")
    lasting, passing = (refused, FileNotFoundError(), KeyError()), (busy, raced, ConnectionError())
    assert [is_temporary(error) for error in (*lasting, *passing)] == [False] * 3 + [True] * 3


POOL = "API request to http://h/api failed with exception HTTPSConnectionPool(host='h', port=443): Max retries exceeded"
BODY = "API request to endpoint /api failed with error code 405 != 200. Response body: '"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{POOL} (Caused by ResponseError('too many 502 error responses'))", "it answers with error 502"),
        (
            f"{POOL} (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] "
            "certificate verify failed: Hostname mismatch (_ssl.c:1006)')))",
            "its certificate is not trusted, Hostname mismatch",  # whichever others are trusted
        ),
        *(
            (
                f"{POOL} (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] "
                f"certificate verify failed: {reason} (_ssl.c:1006)')))",
                f"its certificate is not trusted, {reason}; REQUESTS_CA_BUNDLE names a file of those to trust",
            )
            for reason in ("self-signed certificate", "unable to get local issuer certificate")
        ),
        (
            f"{POOL} (Caused by SSLError(SSLError(1, '[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1)')))",
            "no TLS with it, WRONG_VERSION_NUMBER",
        ),
        (f"{POOL} (Caused by NewConnectionError('[Errno 111] Connection refused'))", "it does not answer"),
        ("API request to http://h failed with exception Exceeded 30 redirects.", "Exceeded 30 redirects"),
        (
            "API request to http://h failed with exception Invalid leading whitespace, reserved character(s), or "
            "return character(s) in header value: 'Bearer secret\\n'",
            "MLFLOW_TRACKING_TOKEN holds what no header takes",
        ),
        (
            "API request to endpoint was successful but the response body was not in a valid JSON format. "
            "Response body: '\n<!DOCTYPE html>\n<title>Sign in</title>'",
            "it answers with an HTML page, which a login or a proxy gives",
        ),
        (f"{BODY}<html>", "it answers with error 405 and an HTML page, which a login or a proxy gives"),
        (
            "413 Client Error: Request Entity Too Large for url: http://h/api. Response text: <html>\n<head>",
            "it answers with error 413 and an HTML page, which a login or a proxy gives",
        ),
        (f"{BODY}no", f"{BODY}no"),
        *((f"{BODY.replace('405', '503')}{page}'", "it answers with error 503") for page in ("<html>", "no", "")),
        ("502 Server Error: Bad Gateway for url: http://h/api. Response text: <html>\n", "it answers with error 502"),
        ("(a) is one of (b)\nmore", "(a) is one of (b)"),
    ],
)
def test_what_others_wrap_in_many_words_is_said_in_a_few(text, line):
    assert one_line(Exception(text)) == line


@pytest.mark.parametrize("details", [[], ["raised as a result of Query-invoked autoflush; consider using a block"]])
def test_what_a_database_says_goes_without_the_advice_to_programmers(details):
    from sqlalchemy.exc import OperationalError

    error = OperationalError("INSERT INTO a", {}, sqlite3.OperationalError("database or disk is full"))
    for detail in details:
        error.add_detail(detail)
    assert one_line(error) == "database or disk is full"
