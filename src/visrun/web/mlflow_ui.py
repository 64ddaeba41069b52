"""MLflow's own pages for a run: the server of a local store is started when it is first wanted, and ended with ours."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visrun.errors import ConfigError
from visrun.interpreter import python
from visrun.tracking import require_address
from visrun.tracking.uris import SQLITE, VIEW, absolute_uri, command, link, sqlite_path, without_user
from visrun.web.family import end_family
from visrun.web.roots import Roots

PATIENCE = 180.0  # seconds for its first start, which makes a database's tables
GRACE = 0.3  # seconds between asking and ending
# No jobs; and the server that MLflow starts in its turn looks for no modules in the working folder either, neither as
# Python nor as uvicorn, which is given a place that holds none.
ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONSAFEPATH": "1", "UVICORN_APP_DIR": os.devnull}
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy stands between this machine and itself


class Mlflow:
    """Starts one server for each store.

    Args:
        cwd: Where it runs; relative artifact paths of the store begin there.
        roots: No store outside of them is opened.
    """

    def __init__(self, cwd: Path, roots: Roots) -> None:
        self.cwd, self.roots = cwd, roots
        self._servers: dict[str, Server] = {}
        self._lock = threading.Lock()

    def page(self, uri: str, run_ids: Sequence[str]) -> dict[str, Any]:
        """``state`` starting, ready or failed, and ``url`` of the run's page, or of the comparison of several.

        Raises:
            ConfigError: A store that this page does not open.
        """
        uri = absolute_uri(uri)
        if uri.startswith(("http://", "https://")):
            address = without_user(uri)  # a browser asks for them itself, and urllib takes none there
            return {"state": "ready", "url": _url(address, run_ids, _experiments(address, run_ids))}
        self._require(uri)
        with self._lock:
            server = self._servers.get(uri)
            if server is None or server.has_ended():
                server = self._servers[uri] = Server(uri, self.cwd)
        if not server.is_ready():
            return server.told()
        return {"state": "ready", "url": _url(server.address, run_ids, _experiments(server.address, run_ids))}

    def _require(self, uri: str) -> None:
        if not uri.startswith(SQLITE):
            raise ConfigError(f"tracking.uri: this page starts no server for it; on a terminal: {command(uri)}")
        if not self.roots.holds(sqlite_path(uri)):
            raise ConfigError(self.roots.refusal("tracking.uri"))
        require_address("mlflow", uri)  # MLflow's server would migrate an older one

    def close(self) -> None:
        """End all servers, with every process they have started."""
        with self._lock:
            servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.end()


class Server:
    """One ``mlflow ui`` in a process group of its own."""

    def __init__(self, uri: str, cwd: Path) -> None:
        self.port = _free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.until = time.monotonic() + PATIENCE
        self._ready = False
        words = ["ui", "--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        self.process = subprocess.Popen(
            python("-m", "mlflow", *words),
            cwd=cwd,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.words = words

    def has_ended(self) -> bool:
        """Whether its process is gone."""
        return self.process.poll() is not None

    def is_ready(self) -> bool:
        """Whether it answers."""
        if not self._ready:
            self._ready = _answers(f"{self.address}/health")
        return self._ready

    def told(self) -> dict[str, Any]:
        """Why it is not ready."""
        if self.has_ended() or time.monotonic() > self.until:
            typed = shlex.join(["mlflow", *self.words])
            return {"state": "failed", "reason": f"MLflow's server does not start; try it on a terminal: {typed}"}
        return {"state": "starting"}

    def end(self) -> None:
        """End it, and what it has started."""
        end_family(self.process.pid, grace=GRACE)
        self.process.wait()


def _experiments(address: str, run_ids: Sequence[str]) -> list[str]:
    """The experiments of runs, asked of the server; [] where it does not answer."""
    found = []
    for run_id in run_ids:
        where = f"{address}/api/2.0/mlflow/runs/get?run_id={urllib.parse.quote(run_id, safe='')}"
        try:
            with DIRECT.open(where, timeout=5) as answer:
                found.append(str(json.load(answer)["run"]["info"]["experiment_id"]))
        except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException):
            return []
    return found


def _url(address: str, run_ids: Sequence[str], experiments: Sequence[str]) -> str:
    """The page of one run or of the comparison of several; the start page where their experiments are not known."""
    if not experiments:
        return address
    if len(run_ids) == 1:
        page = link("http://server", experiments[0], run_ids[0]) or ""
        return address + page.removeprefix("http://server")
    asked = {"runs": list(run_ids), "experiments": list(dict.fromkeys(experiments))}
    query = urllib.parse.urlencode({key: json.dumps(ids, separators=(",", ":")) for key, ids in asked.items()})
    return f"{address}/#/compare-runs?{query}&{VIEW.lstrip('?')}"


def _answers(address: str) -> bool:
    try:
        with DIRECT.open(address, timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
