"""Every task that trains, through the real command: train, interrupt, resume, predict, evaluate, repeat."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from visrun.tables import TASKS

TRAINABLE = sorted(TASKS)
SHORT = ["max_epochs=2", "tracking=none", "augment=light", "model.pretrained=false"]
OBJECTS = ["data.image_size=64", "batch_size=64"]
SMALLEST = {
    "object_detection": OBJECTS,
    "oriented_object_detection": OBJECTS,
    "instance_segmentation": OBJECTS,
    "anomaly_detection": ["data.image_size=32", "batch_size=64"],
    "classification": ["data.image_size=16", "batch_size=256"],
    "regression": ["data.image_size=32", "batch_size=128"],
    "segmentation": ["data.image_size=32", "batch_size=32"],
}


def visrun(*words: str, cwd: Path, check: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run the command in ``cwd`` and, unless ``check`` is None, insist on its exit code."""
    command = [sys.executable, "-m", "visrun.cli", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert check is None or done.returncode == check, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def rows(folder: Path) -> list[dict[str, float]]:
    """metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.startswith("time/")} for line in lines]


def experiment(folder: Path) -> dict:
    return json.loads((folder / "experiment.json").read_text())


def demo(task: str) -> Path:
    """The demo's folder, where an earlier run has built it."""
    (root,) = (Path(os.environ["XDG_CACHE_HOME"]) / "visrun" / "demo").glob(f"{task}-*")
    return root


@pytest.fixture(scope="module", params=TRAINABLE)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A finished run of each task."""
    cwd = tmp_path_factory.mktemp(request.param)
    visrun(f"task={request.param}", *SHORT, *SMALLEST[request.param], "hydra.run.dir=run", cwd=cwd)
    return request.param, cwd / "run"


def test_a_run_leaves_everything_it_promises(trained):
    task, folder = trained
    content = experiment(folder)
    assert content["result"]["status"] == "finished"
    assert TASKS[task].monitored(content["result"]["val"]) in content["result"]["val"]
    assert TASKS[task].monitor in content["result"]["test"]
    assert content["result"]["fingerprints"].keys() == {"val", "test"}
    assert content["data"]["fingerprint"] and content["versions"]["torch"] and content["seed"] == 0
    assert [row["epoch"] for row in rows(folder)] == [1, 2]
    assert {"best.pt", "last.pt"} <= {file.name for file in (folder / "checkpoints").iterdir()}
    assert {"curves.png", "learning_rate.png", "predictions.png"} <= {
        file.name for file in (folder / "plots").iterdir()
    }
    assert len(list((folder / "plots").iterdir())) >= 4
    assert (folder / ".hydra" / "config.yaml").is_file() and (folder / "visrun.log").is_file()


GOLDEN = {
    "object_detection": [15.852684, 14.752436],
    "oriented_object_detection": [33.511202, 30.367691],
    "instance_segmentation": [22.381475, 21.176392],
    "anomaly_detection": [0.134146, 0.127898],
    "classification": [2.291248, 2.179681],
    "regression": [1.090167, 0.961996],
    "segmentation": [3.652892, 2.269907],
}


def test_the_training_loss_is_the_one_it_has_always_been(trained):
    """A change that should not move numbers does not; the tolerance is for other makes of CPU."""
    task, folder = trained
    assert [row["loss"] for row in rows(folder)] == pytest.approx(GOLDEN[task], rel=0.01)


def test_predict_writes_json_lines_and_pictures(trained, tmp_path):
    task, folder = trained
    images = [file for file in sorted(demo(task).rglob("*.png")) if not re.search("mask|truth", str(file.parent))][:3]
    done = visrun("predict", str(folder), *map(str, images), f"out={tmp_path / 'seen'}", cwd=tmp_path)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["image"] for line in lines] == [str(image) for image in images]
    assert all(len(line) > 1 for line in lines)
    assert len([file for file in (tmp_path / "seen").iterdir() if not file.stem.endswith("_mask")]) == len(images)


def test_evaluate_agrees_with_the_run(trained):
    task, folder = trained
    done = visrun("evaluate", str(folder), f"data.root={demo(task)}", cwd=folder.parent)
    found, noted = json.loads(done.stdout), experiment(folder)["result"]["test"]
    assert TASKS[task].monitor in noted
    assert {name: found[name] for name in noted} == pytest.approx(noted, rel=1e-3)


def test_a_run_repeats_from_its_file_alone(trained):
    _, folder = trained
    again = folder.parent / "again"
    visrun(f"experiment={folder / 'experiment.json'}", "tracking=none", f"hydra.run.dir={again}", cwd=folder.parent)
    assert rows(again) == rows(folder)
    assert set(experiment(again)["sources"].values()) == {"file"}


def test_a_finished_run_says_so(trained):
    _, folder = trained
    done = visrun("resume", str(folder), cwd=folder.parent)
    assert "finished" in done.stdout
    assert len(rows(folder)) == 2


# What a task's training holds may be lost by a kill; a stop saves it by the same code for each of them.
INTERRUPTED = [(task, signal.SIGKILL) for task in TRAINABLE] + [
    ("classification", signal.SIGINT),
    ("instance_segmentation", signal.SIGINT),
    ("anomaly_detection", signal.SIGTERM),
    ("oriented_object_detection", signal.SIGTERM),
]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "number"), INTERRUPTED)
def test_an_interrupted_run_goes_on_bit_for_bit(straight, task, number, tmp_path):
    folder = tmp_path / "run"
    words = [f"task={task}", *LONG, *SMALLEST[task], f"hydra.run.dir={folder}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "visrun.cli", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for_epochs(folder, process, random.Random(task + str(number)).choice([1, 2, 3]))
    time.sleep(random.Random(str(number)).random() / 4)
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    expected = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert process.returncode in (expected, 0), output
    if process.returncode > 0:
        assert experiment(folder)["result"]["status"] == "killed"
    visrun("resume", str(folder), cwd=tmp_path)
    assert rows(folder) == rows(straight(task))
    assert experiment(folder)["result"]["status"] == "finished"


LONG = [word if not word.startswith("max_epochs") else "max_epochs=5" for word in SHORT] + ["early_stopping_patience=0"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """An uninterrupted run of a task, made when it is first asked for."""

    @cache
    def run(task: str) -> Path:
        folder = tmp_path_factory.mktemp(task) / "run"
        visrun(f"task={task}", *LONG, *SMALLEST[task], f"hydra.run.dir={folder}", cwd=folder.parent)
        return folder

    return run


def wait_for_epochs(folder: Path, process: subprocess.Popen[str], epochs: int) -> None:
    """Until metrics.jsonl has so many lines, or the process has ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        metrics = folder / "metrics.jsonl"
        if metrics.exists() and metrics.read_text().count("\n") >= epochs:
            return
        time.sleep(0.01)
