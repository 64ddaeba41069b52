"""Sweeps as a user starts them: the real command in processes of its own, with trainings that only say what happened.

The command imports ``fakerun`` (``plugins=[fakerun]``) in its own process and in every slot's; that puts a training in
the place of visrun's which writes what it does to events.jsonl, and does in between what a test's ``body`` says.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from optuna.trial import FrozenTrial

from tests.forked import Command
from visrun.errors import ConfigError
from visrun.sweep.storage import open_storage
from visrun.sweep.study import Queue

PATIENCE = 60.0  # seconds for what takes one or two on a machine with nothing else to do

FAKE = """
import json, os, signal, sys, time, types
from pathlib import Path
import visrun
from visrun.errors import VisrunError
from visrun.signals import stop_on_signals
import visrun.sweep.pictures as pictures

HERE = Path(__file__).parent

def note(what, number, **more):
    line = json.dumps({"what": what, "number": number, "pid": os.getpid(), **more}) + "\\n"
    with (HERE / "events.jsonl").open("a") as file:
        file.write(line)

def seen(what, number):
    file = HERE / "events.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return any(line["what"] == what and line["number"] == number for line in lines)

def wait_for(what, number, seconds=PATIENCE):
    until = time.monotonic() + seconds
    while not seen(what, number):
        assert time.monotonic() < until, f"no {what} of {number}"
        time.sleep(0.02)

def body(number, values, trial):
    return values.learning_rate

BODY

def execute(resolved, folder, *, trial=None):
    number, values = int(folder.name), resolved.hyperparameters
    told = values.model_dump(mode="json")
    facts = {"root": resolved.settings.data.root, "gpu": os.environ.get("CUDA_VISIBLE_DEVICES")}
    with stop_on_signals():
        note("begin", number, values=told, folder=str(folder), **facts)
        (folder / "experiment.json").write_text(json.dumps(told))
        if trial is not None:
            trial.begin(folder)
        made = body(number, values, trial)
    made = made if isinstance(made, dict) else {"value": made}
    note("end", number)
    usual = {"status": "finished", "value": None, "best_epoch": 1, "seconds": 1.0, "parameters": 10, "exit_code": 0}
    result = types.SimpleNamespace(folder=folder, **({**usual, "reason": None} | made))
    if trial is not None:
        trial.end(epochs=1, seconds=result.seconds, reason=result.reason)
    return result

if "VISRUN_PICTURES" not in os.environ:
    pictures.draw = lambda *_, **__: []
visrun.run = sys.modules["visrun.run"] = types.ModuleType("visrun.run")
visrun.run.execute = execute
"""


class Sweeper:
    """A working folder in which sweeps are started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.usual = ["plugins=[fakerun]", "tracking=none"]
        self.processes: list[Command] = []
        folder.mkdir(parents=True, exist_ok=True)
        self.body("")

    def body(self, code: str) -> None:
        """What the trainings do from now on."""
        content = FAKE.replace("BODY", code).replace("PATIENCE", str(PATIENCE))
        (self.folder / "fakerun.py").write_text(content, encoding="utf-8")

    def start(self, *words: str, **environment: str) -> Command:
        """Start ``visrun -m`` with these words."""
        process = Command(["-m", *self.usual, *words], cwd=self.folder, COLUMNS="200", **environment)
        self.processes.append(process)
        return process

    def sweep(self, *words: str, code: int = 0, **environment: str) -> str:
        """Run a sweep to its end; what it printed."""
        return ended(self.start(*words, **environment), code)

    def events(self, what: str = "begin") -> list[dict[str, Any]]:
        """What the trainings wrote down, in order."""
        file = self.folder / "events.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [line for line in lines if line["what"] == what]

    def numbers(self, what: str = "begin") -> list[int]:
        """The numbers of the trainings that wrote it down, in order."""
        return [event["number"] for event in self.events(what)]

    def wait(self, what: str, number: int) -> dict[str, Any]:
        """Wait until a training wrote it down."""
        wait_until(lambda: number in self.numbers(what), f"{what} of {number}")
        return next(event for event in self.events(what) if event["number"] == number)

    def queue(self, name: str) -> Queue:
        """The study of a name."""
        open_storage.__globals__["_open"].cache_clear()
        return Queue(open_storage(str(self.folder / "multirun" / name / "study.journal")), name)

    def trials(self, name: str) -> list[FrozenTrial]:
        """The trials of a study that count."""
        return self.queue(name).trials()

    def states(self, name: str) -> list[str]:
        """Their states."""
        return [trial.state.name for trial in self.trials(name)]

    def close(self) -> None:
        """End what a failed test left running."""
        for process in self.processes:
            process.kill()


def ended(process: Command, code: int) -> str:
    """What a process said, which has to end with an exit code."""
    return process.ended(code, timeout=3 * PATIENCE)


def wait_until(true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"waited in vain for: {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def kill(process: Command) -> str:
    """SIGKILL, and what the process said before."""
    process.kill()
    return ended(process, -signal.SIGKILL)


def refused(where: str) -> str:
    """The one line that says why a study cannot live there."""
    with pytest.raises(ConfigError) as caught:
        open_storage(where)
    (line,) = caught.value.problems
    assert "\n" not in line and line.startswith("hydra.sweeper.storage")
    return line


@pytest.fixture
def sweeper(tmp_path: Path) -> Iterator[Sweeper]:
    """A working folder with a space and a comma in its path."""
    made = Sweeper(tmp_path / "my work, today")
    yield made
    made.close()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
