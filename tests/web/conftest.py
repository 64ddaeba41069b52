"""The page's server as a real process, and what a client needs to talk to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from visrun.data.demo import VERSION

PATIENCE = 300.0  # seconds for what takes few on a machine with nothing else to do
COLOURS = {"blue": (30, 60, 200), "red": (200, 40, 30)}


@dataclass
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """A running server: its process, its address, its token."""

    process: subprocess.Popen[str]
    cwd: Path
    port: int
    token: str
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def usual(self) -> dict[str, str]:
        """The headers that the page itself sends."""
        return {
            "Host": f"127.0.0.1:{self.port}",
            "Cookie": f"visrun_{self.port}={self.token}",
            "Origin": f"http://127.0.0.1:{self.port}",
            "x-visrun": "1",
            "Content-Type": "application/json",
        }

    def ask(
        self, method: str, path: str, content: Any = None, *, headers: Mapping[str, str | None] | None = None
    ) -> Answer:
        """A request as the page sends it; a header that is None is left out."""
        given = {name: value for name, value in {**self.usual, **(headers or {})}.items() if value is not None}
        body = content if isinstance(content, bytes) or content is None else json.dumps(content).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        found = Answer(answer.status, dict(answer.getheaders()), answer.read())
        connection.close()
        return found

    def post(self, path: str, content: Any = None) -> Answer:
        return self.ask("POST", path, {} if content is None else content)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def wait_for(self, path: str, found: Callable[[Any], bool], *, seconds: float = PATIENCE) -> Any:
        """What ``path`` gives once ``found`` says that this is it."""
        until = time.monotonic() + seconds
        while True:
            told = self.get(path)
            if found(told):
                return told
            assert time.monotonic() < until, told
            time.sleep(0.1)

    def end(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)


def serve(cwd: Path, *words: str, **environment: str) -> Served:
    """Start ``visrun ui`` in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-m", "visrun", "ui", "--no-browser", "--port", "0", *words],
        cwd=cwd,
        env={**os.environ, "MLFLOW_TRACKING_URI": "", "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", line)
    assert found, line + process.stderr.read()
    return Served(process, cwd, int(found[1]), found[2])


def finish(served: Served) -> None:
    """End a server and whatever it has started."""
    family = psutil.Process(served.process.pid).children(recursive=True) if served.process.poll() is None else []
    if served.process.poll() is None:
        served.end()
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    for stream in (served.process.stdout, served.process.stderr):
        if stream is not None:
            stream.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the demo's digits are two classes of tiny pictures: an epoch takes a moment."""
    cache = tmp_path_factory.mktemp("cache")
    photos(cache / "visrun" / "demo" / f"classification-{VERSION}")
    return {"XDG_CACHE_HOME": str(cache)}


def photos(root: Path, *, counts: Mapping[str, int] | None = None) -> Path:
    """A class folder of noisy pictures of two colours."""
    noise = np.random.default_rng(0)
    for split, count in (counts or {"train": 16, "val": 8, "test": 8}).items():
        for name, colour in COLOURS.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(np.array(colour) + noise.normal(0, 60, (16, 16, 3)), 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, demo: dict[str, str]) -> Iterator[Served]:
    """One server for a module's tests, in a folder of its own."""
    started = serve(tmp_path_factory.mktemp("work"), **demo)
    yield started
    finish(started)
