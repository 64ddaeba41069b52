"""What the training page costs: bytes, paints, answers, a long list, memory, and how soon Ctrl-C ends it.

python benchmarks/ui.py [--repeats N] [--runs N]

The times of a browser need Chromium and Playwright; without them those lines are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from common import environ, report

from visrun import hyperparameters
from visrun.config import schema

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    parser = argparse.ArgumentParser(description="the training page")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--runs", type=int, default=1000, help="past runs in the list")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        cwd = Path(name)
        with served(cwd) as page:
            page.warm()
            answers(page, given.repeats)
            memory(page)
            browser(page, given.repeats)
            past_runs(cwd, given.runs)
            listed(page, given.runs)
            memory(page, "ui/memory_with_runs")
        report("ui/ctrl_c", ended(cwd), "s", streams=3)


class Page:
    """A running server and a client that talks to it as the page does, over one connection."""

    def __init__(self, process: subprocess.Popen[str], port: int, token: str) -> None:
        self.process, self.port, self.token = process, port, token
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.headers = {
            "Cookie": f"visrun_{port}={token}",
            "Origin": f"http://127.0.0.1:{port}",
            "x-visrun": "1",
            "content-type": "application/json",
        }

    def ask(self, method: str, path: str, content: Any = None) -> tuple[float, Any]:
        """Seconds and the answer."""
        began = time.perf_counter()
        self.connection.request(method, path, None if content is None else json.dumps(content), self.headers)
        answer = json.loads(self.connection.getresponse().read())
        return time.perf_counter() - began, answer

    def warm(self) -> None:
        """Wait until each task has been composed once, as the server does by itself after its start."""
        for task in self.ask("GET", "/api/catalog")[1]["tasks"]:
            self.ask("POST", "/api/view", {"task": task["name"], "model": None, "touched": {}})


@contextlib.contextmanager
def served(cwd: Path) -> Iterator[Page]:
    """A server in ``cwd``."""
    command = [sys.executable, "-m", "visrun", "ui", "--no-browser", "--port", "0"]
    process = subprocess.Popen(command, cwd=cwd, env=environ({}), stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        found = re.search(r":(\d+)/\?token=(\S+)", process.stdout.readline())
        assert found is not None
        try:
            yield Page(process, int(found[1]), found[2])
        finally:
            process.send_signal(signal.SIGINT)


def answers(page: Page, repeats: int) -> None:
    """A change of the form, typed and chosen, as the page asks for it."""
    states = [{"learning_rate": f"0.00{i + 1}", "batch_size": str(8 + i)} for i in range(repeats)]
    states += [{"optimizer": name, "max_epochs": str(9 + i)} for i in range(repeats) for name in ("sgd", "adamw")]
    for touched in ({"optimizer": "sgd"}, {"optimizer": "adamw"}):
        page.ask("POST", "/api/view", {"task": "classification", "model": None, "touched": touched})
    times = [page.ask("POST", "/api/view", {"task": "classification", "touched": touched})[0] for touched in states]
    report("ui/form_change", 1000 * median(times), "ms", repeats=len(times), slowest=round(1000 * max(times), 1))
    first = page.ask("POST", "/api/view", {"task": "classification", "touched": {"scheduler": "poly", "loss": "focal"}})
    report("ui/form_change_composed_first", 1000 * first[0], "ms")


def memory(page: Page, name: str = "ui/memory") -> None:
    """The server's resident memory, and whether torch is in it."""
    process = psutil.Process(page.process.pid)
    maps = Path(f"/proc/{process.pid}/maps")
    torch = "libtorch" in maps.read_text() if maps.exists() else None
    report(name, process.memory_info().rss / 1e6, "MB", torch_loaded=torch)


def browser(page: Page, repeats: int) -> None:
    """Bytes on the wire, the first paint and the moment when the form can be used, with an empty cache each time."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        print("no Chromium or no Playwright: bytes and paints are not measured", file=sys.stderr)
        return
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=FLAGS)
        visits = [visit(opened, page) for _ in range(repeats)]
        opened.close()
    report("ui/bytes", visits[0]["bytes"] / 1000, "kB", requests=visits[0]["requests"])
    for name in ("first_paint", "usable"):
        times = [float(one[name]) for one in visits]
        report(f"ui/{name}", median(times), "ms", repeats=repeats, fastest=min(times), slowest=max(times))


def visit(opened: Any, page: Page) -> dict[str, float]:
    """One visit of a browser that has never seen the page."""
    context = opened.new_context()
    tab, sizes = context.new_page(), []

    def finished(request: Any) -> None:
        found = request.sizes()
        sizes.append(found["responseBodySize"] + found["responseHeadersSize"])

    tab.on("requestfinished", finished)
    tab.goto(f"http://127.0.0.1:{page.port}/?token={page.token}")
    tab.wait_for_selector("html[data-ready]")
    told = tab.evaluate(
        "({paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime,"
        " usable: performance.getEntriesByName('ready')[0].startTime})"
    )
    tab.wait_for_load_state("networkidle")
    context.close()
    return {
        "bytes": sum(sizes),
        "requests": len(sizes),
        "first_paint": round(told["paint"]),
        "usable": round(told["usable"]),
    }


def past_runs(cwd: Path, count: int) -> None:
    """Folders of finished runs, 50 epochs each, as runs leave them."""
    content = schema.defaults() | {"hyperparameters": hyperparameters.defaults()}
    content |= {"created": "2026-01-01T00:00:00+00:00", "sources": dict.fromkeys(hyperparameters.defaults(), "schema")}
    result = {"status": "finished", "epochs": 50, "best_epoch": 40, "val": {"accuracy": 0.9, "f1": 0.9, "auroc": 0.99}}
    row = {"learning_rate": 0.1, "loss": 0.5, "val_loss": 0.6, "accuracy": 0.9, "f1": 0.9, "time/total": 60.0}
    lines = "".join(json.dumps({"epoch": epoch, **row}) + "\n" for epoch in range(1, 51))
    for number in range(count):
        folder = cwd / "outputs" / f"2026-01-{number % 28 + 1:02}" / f"{number:06}_classification"
        (folder / "plots").mkdir(parents=True)
        (folder / "experiment.json").write_text(json.dumps(content | {"result": result}, indent=2))
        (folder / "metrics.jsonl").write_text(lines)
        (folder / "status.json").write_text(json.dumps({"state": "finished", "pid": 1, "exit_code": 0}))


def listed(page: Page, count: int) -> None:
    """The list of runs: when a server sees it first, and afterwards."""
    first, told = page.ask("GET", "/api/runs")
    assert len(told["runs"]) == min(count, 1000)
    again = [page.ask("GET", "/api/runs")[0] for _ in range(7)]
    report("ui/runs_first", 1000 * first, "ms", runs=count)
    report("ui/runs", 1000 * median(again), "ms", runs=count)


def ended(cwd: Path) -> float:
    """Seconds from Ctrl-C to the end of the server while pages follow a run."""
    folder, me = cwd / "outputs" / "2026-02-01" / "live", psutil.Process()
    folder.mkdir(parents=True)
    content = schema.defaults() | {"hyperparameters": hyperparameters.defaults(), "result": {"status": "running"}}
    content["created"] = "2027-01-01T00:00:00+00:00"
    (folder / "experiment.json").write_text(json.dumps(content))
    (folder / "run.lock").write_text(json.dumps({"pid": me.pid, "started": me.create_time()}))
    with served(cwd) as page:
        run = page.ask("GET", "/api/runs")[1]["runs"][0]["id"]
        streams = [http.client.HTTPConnection("127.0.0.1", page.port) for _ in range(3)]
        for stream in streams:
            stream.request("GET", f"/api/runs/{run}/stream", headers=page.headers)
            stream.getresponse().read(10)
        began = time.perf_counter()
        page.process.send_signal(signal.SIGINT)
        page.process.wait()
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
