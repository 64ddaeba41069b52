"""MLflow's pages: a server for a local store, started once, ended with everything it has started."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from visrun.errors import ConfigError
from visrun.web.mlflow_ui import ENVIRONMENT, Mlflow
from visrun.web.roots import Roots

# A stand-in for `python -m mlflow ui`: it takes a moment, has a child that ignores SIGTERM, and answers like a server.
STAND_IN = """
import http.server, json, signal, subprocess, sys, time, urllib.parse

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        run = urllib.parse.parse_qs(parts.query).get("run_id", [""])[0]
        known = parts.path == "/health" or run.startswith("run")
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"run": {"info": {"experiment_id": "7"}}}).encode())
    def log_message(self, *_): pass

words = sys.argv[1:]
if "broken.db" in " ".join(words):
    sys.exit(1)
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", stubborn])
time.sleep(0.3)
http.server.HTTPServer(("127.0.0.1", int(words[words.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mlflow]:
    (tmp_path / "mlflow.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    pages = Mlflow(tmp_path, Roots([tmp_path]))
    yield pages
    pages.close()


def ready(pages: Mlflow, uri: str, *runs: str) -> str:
    until = time.monotonic() + 60
    while (told := pages.page(uri, runs))["state"] == "starting":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert told["state"] == "ready"
    return str(told["url"])


def test_it_starts_once_and_leads_to_a_run_and_to_a_comparison(mlflow: Mlflow, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert mlflow.page(uri, ["run1"]) == {"state": "starting"}
    url = ready(mlflow, uri, "run1")
    address = url.partition("/#/")[0]
    assert url == f"{address}/#/experiments/7/runs/run1?workflowType=machine_learning"
    compared = ready(mlflow, uri, "run1", "run2")
    page, _, query = compared.partition("?")
    assert page == f"{address}/#/compare-runs"
    asked = urllib.parse.parse_qs(query)
    assert json.loads(asked["runs"][0]) == ["run1", "run2"] and json.loads(asked["experiments"][0]) == ["7"]
    assert ready(mlflow, uri, "other") == address


def test_nothing_of_it_is_left(mlflow: Mlflow, tmp_path: Path) -> None:
    ready(mlflow, f"sqlite:///{tmp_path}/mlflow.db", "run1")
    (server,) = mlflow._servers.values()
    family = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    assert len(family) == 2
    began = time.monotonic()
    mlflow.close()
    assert time.monotonic() - began < 3.0
    assert [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.parametrize("module", ["statistics", "uvicorn"])
def test_the_servers_own_server_takes_no_file_of_the_working_folder_for_a_module(module: str, tmp_path: Path) -> None:
    for name in ("statistics", "application"):
        (tmp_path / f"{name}.py").write_text("open('taken', 'w').close()")
    words = [sys.executable, "-m", module, "application:application"]
    subprocess.run(words, cwd=tmp_path, env={**os.environ, **ENVIRONMENT}, stderr=subprocess.DEVNULL, check=False)
    assert not (tmp_path / "taken").exists()


def test_one_that_does_not_start_says_what_to_type(mlflow: Mlflow, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/broken.db"
    mlflow.page(uri, ["run1"])
    (server,) = mlflow._servers.values()
    server.process.wait(timeout=60)
    told = server.told()
    assert told["state"] == "failed" and f"mlflow ui --backend-store-uri {uri}" in told["reason"]


@pytest.mark.parametrize("uri", ["sqlite:////etc/x.db", "postgresql://host/x", "/srv/mlruns"])
def test_no_store_elsewhere_is_opened(uri: str, mlflow: Mlflow) -> None:
    with pytest.raises(ConfigError, match=r"^tracking\.uri: .*(on a terminal|visrun ui --data DIR)"):
        mlflow.page(uri, ["run1"])
    assert mlflow._servers == {}


def test_a_store_that_mlflow_would_migrate_is_not_served(mlflow: Mlflow, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("CREATE TABLE experiments AS SELECT 'Default' AS name")
    with pytest.raises(ConfigError, match="an older MLflow made it"):
        mlflow.page(f"sqlite:///{tmp_path}/old.db", ["run1"])
    assert mlflow._servers == {}


@pytest.mark.parametrize("user", ["", "me:se:cr@t@", "me@"])
def test_a_server_that_runs_already_is_linked_and_nobodys_password_is_in_the_link(user: str, mlflow: Mlflow) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"run": {"info": {"experiment_id": "3"}}}).encode())

        def log_message(self, *_: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    told = mlflow.page(address.replace("://", f"://{user}"), ["run1"])
    server.shutdown()
    thread.join()
    server.server_close()
    assert told["url"] == f"{address}/#/experiments/3/runs/run1?workflowType=machine_learning"


def test_a_server_that_cannot_be_asked_is_linked_by_its_address(mlflow: Mlflow) -> None:
    address = "http://me:secret@127.0.0.1:no_port"
    assert mlflow.page(address, ["run1"]) == {"state": "ready", "url": "http://127.0.0.1:no_port"}
