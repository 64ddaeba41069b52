"""Runs and sweeps started, stopped and resumed through a real server, on a demo whose epochs take a moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from visrun.record.run_folder import living_holder
from visrun.run_files import FOLDERS, LOCK, STATUS
from visrun.web.processes import CONSOLE

from .conftest import Served, finish, photos, serve

pytestmark = pytest.mark.slow
LONG = {"max_epochs": "1000", "early_stopping_patience": "0", "tracking": "none", "warmup_epochs": "0"}
SHORT = {**LONG, "max_epochs": "2"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, demo: dict[str, str]) -> Iterator[Served]:
    started = serve(tmp_path_factory.mktemp("work"), **demo)
    yield started
    for file in started.cwd.rglob(LOCK):
        if (pid := living_holder(file)) is not None:
            psutil.Process(pid).kill()
    finish(started)


def start(served: Served, touched: dict[str, str], *, ticket: str | None = None) -> str:
    state = {"task": "classification", "model": None, "touched": touched, "ticket": ticket or str(uuid.uuid4())}
    answer = served.post("/api/runs", state)
    assert answer.status == 200, answer.body
    return str(answer.json["id"])


def is_at(epoch: int) -> Any:
    return lambda told: told["progress"]["epoch"] >= epoch


def test_a_run_from_its_start_to_its_end(served: Served) -> None:
    ticket = str(uuid.uuid4())
    run = start(served, {**SHORT, "learning_rate": "1e-2"}, ticket=ticket)
    told = served.get(f"/api/runs/{run}")
    assert told["state"] in ("starting", "running") and told["can_stop"]
    assert start(served, SHORT, ticket=ticket) == run  # a second click
    told = served.wait_for(f"/api/runs/{run}", lambda told: not told["living"])
    assert (told["state"], told["exit_code"], told["progress"]["epoch"]) == ("finished", 0, 2)
    assert told["settings"]["learning_rate"] == "0.01" and told["test"]["accuracy"] > 0.3
    assert "learning_rate=0.01" in told["command"] and not (told["can_stop"] or told["can_resume"])
    assert told["pictures"][0]["name"] == "predictions.png"
    assert served.ask("GET", f"/api/runs/{run}/plots/predictions.png").body[:4] == b"\x89PNG"
    assert [line["id"] for line in served.get("/api/runs")["runs"]].count(run) == 1
    form = served.get(f"/api/runs/{run}/form")
    assert form["touched"]["learning_rate"] == 0.01 and form["touched"]["max_epochs"] == 2
    for verb in ("stop", "kill", "resume"):
        assert served.post(f"/api/runs/{run}/{verb}").status == 409


def test_a_run_of_the_command_line_appears_and_can_be_stopped(served: Served, demo: dict[str, str]) -> None:
    words = [f"{key}={value}" for key, value in LONG.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "visrun", *words],
        cwd=served.cwd,
        env={**os.environ, **demo, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    known = {line["id"] for line in served.get("/api/runs")["runs"]}
    listed = served.wait_for("/api/runs", lambda told: {line["id"] for line in told["runs"]} > known)
    (run,) = {line["id"] for line in listed["runs"]} - known
    told = served.wait_for(f"/api/runs/{run}", is_at(1))
    assert told["state"] == "running" and told["command"] is None
    assert served.post(f"/api/runs/{run}/stop").status == 200
    assert process.wait(timeout=60) == 143
    assert served.wait_for(f"/api/runs/{run}", lambda told: not told["living"])["state"] == "killed"


def test_training_outlives_the_server_stops_resumes_and_is_killed(tmp_path: Path, demo: dict[str, str]) -> None:
    first = serve(tmp_path, **demo)
    run = start(first, LONG)
    first.wait_for(f"/api/runs/{run}", is_at(1))
    assert first.end() == 0
    served = serve(tmp_path, **demo)
    try:
        told = served.wait_for(f"/api/runs/{run}", is_at(3))
        assert told["state"] == "running" and told["living"]
        stop_and_resume(served, run)
    finally:
        finish(served)
        finish(first)


def stop_and_resume(served: Served, run: str) -> None:
    assert served.post(f"/api/runs/{run}/stop").status == 200
    again = served.post(f"/api/runs/{run}/stop")  # a second signal would end it without saving
    told = served.wait_for(f"/api/runs/{run}", lambda told: not told["living"])
    assert again.status == 409 or told["state"] == "killed"
    assert (told["state"], told["exit_code"], told["last_lines"]) == ("killed", 143, [])
    folder = Path(told["folder"])
    assert (folder / "checkpoints" / "last.pt").is_file() and told["can_resume"]
    epoch = told["progress"]["epoch"]

    assert served.post(f"/api/runs/{run}/resume").status == 200
    assert served.get(f"/api/runs/{run}")["state"] in ("starting", "running")
    assert served.post(f"/api/runs/{run}/resume").status == 409
    served.wait_for(f"/api/runs/{run}", is_at(epoch + 2))
    pid = json.loads((folder / STATUS).read_text())["pid"]
    assert os.getsid(pid) == pid  # a session of its own: nothing that ends the server ends it
    assert served.post(f"/api/runs/{run}/kill").status == 200
    told = served.wait_for(f"/api/runs/{run}", lambda told: not told["living"] and told["exit_code"] is not None)
    assert (told["state"], told["exit_code"]) == ("killed", -signal.SIGKILL)
    assert (told["reason"], told["last_lines"], told["can_resume"]) == ("ended by you at once", [], True)


def test_a_run_that_is_stopped_as_it_starts_comes_back_into_the_form(served: Served) -> None:
    run = start(served, {**SHORT, "learning_rate": "1e-2"})
    assert served.post(f"/api/runs/{run}/stop").status == 200
    told = served.wait_for(f"/api/runs/{run}", lambda told: not told["living"])
    assert (told["state"], told["ended_badly"], told["can_edit"]) == ("killed", False, True)
    assert told["reason"] == "stopped by you before it began" and not told["can_resume"]
    form = served.get(f"/api/runs/{run}/form")
    assert (form["task"], form["model"], form["touched"]["learning_rate"]) == ("classification", None, 0.01)


def test_a_run_that_fails_says_why(served: Served) -> None:
    root = photos(served.cwd / "broken")
    for file in (root / "train" / "red").iterdir():
        file.write_bytes(b"no picture")
    run = start(served, {**SHORT, "data.root": str(root)})
    told = served.wait_for(f"/api/runs/{run}", lambda told: not told["living"])
    assert (told["state"], told["exit_code"]) == ("failed", 2)
    assert "records cannot be used" in told["reason"] and 0 < len(told["last_lines"]) <= 40
    assert any("on_bad=skip" in line for line in told["last_lines"])


def test_a_folder_that_cannot_be_written_is_said(served: Served) -> None:
    folder = served.cwd / "outputs" / "2020-01-01" / "00-00-00_classification"
    (folder / CONSOLE).mkdir(parents=True)
    (folder / STATUS).write_text(json.dumps({"state": "killed"}))
    run = next(line for line in served.get("/api/runs")["runs"] if line["name"].startswith("2020-01-01"))
    answer = served.post(f"/api/runs/{run['id']}/resume")
    assert (answer.status, answer.json) == (500, {"detail": [f"{folder}: cannot write here (Is a directory)"]})


def test_a_sweep_of_models_is_listed_as_no_single_ones(served: Served) -> None:
    ranges = {"model": {"choices": ["small_resnet", "resnet18"]}, "seed": {"choices": ["1", "2"]}}
    state = {"task": "classification", "touched": SHORT, "ranges": ranges, "trials": 1, "slots": 1}
    sweep = served.post("/api/sweeps", {**state, "ticket": str(uuid.uuid4())}).json["id"]
    told = served.wait_for(f"/api/sweeps/{sweep}", lambda told: not told["living"])
    assert (told["exit_code"], told["params"]) == (0, ["model", "seed"])
    assert told["trials"][0]["params"].keys() == {"model", "seed"}
    (line,) = [line for line in served.get("/api/runs")["runs"] if line["id"] == sweep]
    assert line["model"] == ""


def test_a_sweep_is_a_real_one_stops_goes_on_and_its_trials_return_to_the_form(served: Served) -> None:
    ranges = {"learning_rate": {"low": "1e-3", "high": "1e-1", "log": True}, "optimizer": {"choices": ["adam", "sgd"]}}
    touched = {**LONG, "max_epochs": "15"}
    state = {"task": "classification", "model": None, "touched": touched, "ranges": ranges, "trials": 2, "slots": 1}
    plan = served.post("/api/plan", state).json["command"]
    assert plan.startswith("visrun -m ") and "hydra.sweeper.n_trials=2" in plan
    answer = served.post("/api/sweeps", {**state, "ticket": str(uuid.uuid4())})
    assert answer.status == 200, answer.body
    sweep = answer.json["id"]
    assert served.get(f"/api/sweeps/{sweep}")["state"] == "running"
    served.wait_for(f"/api/sweeps/{sweep}", lambda told: told["trials"] and told["trials"][0]["epochs"])
    assert served.post(f"/api/runs/{sweep}/stop").status == 200
    told = served.wait_for(f"/api/sweeps/{sweep}", lambda told: not told["living"])
    assert told["exit_code"] == 143 and told["can_resume"]
    folder = Path(told["folder"])
    assert [pid for file in folder.rglob(LOCK) if (pid := living_holder(file)) is not None] == []

    assert served.post(f"/api/runs/{sweep}/resume").status == 200
    assert served.get(f"/api/sweeps/{sweep}")["state"] == "running"
    told = served.wait_for(f"/api/sweeps/{sweep}", lambda told: not told["living"])
    assert (told["state"], told["exit_code"], told["wanted"]) == ("ended", 0, 2)
    assert told["command"].startswith(f"{plan} hydra.sweeper.study_name=")
    assert told["command"].endswith(f" hydra.sweep.dir={folder}")
    written = {place.name for place in folder.rglob("*") if place.is_dir()}
    assert {name for name in written if not name.isdecimal()} <= {*FOLDERS}
    ended = [trial for trial in told["trials"] if trial["state"] == "complete"]
    assert len(ended) == 2 and told["best"] in [[trial["number"]] for trial in ended]
    assert told["params"] == ["learning_rate", "optimizer"] and all(trial["spark"] for trial in ended)
    trial = ended[0]
    opened = served.get(f"/api/runs/{trial['id']}")
    assert (opened["kind"], opened["sweep"], opened["state"]) == ("trial", sweep, "finished")
    values = served.get(f"/api/runs/{trial['id']}/form")["touched"]
    assert values["learning_rate"] == pytest.approx(float(trial["params"]["learning_rate"]))
    assert served.post(f"/api/runs/{trial['id']}/stop").status == 404  # its sweep is stopped, not a trial of it
    for verb in ("stop", "resume"):
        assert served.post(f"/api/runs/{sweep}/{verb}").status == 409
