"""Every task that trains, through the real command: train, repeat, interrupt, resume, predict, evaluate."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.forked import Command, visrun
from visrun.hyperparameters import Hyperparameters
from visrun.tables import TASKS

pytestmark = pytest.mark.slow

TRAINABLE = sorted(TASKS)
USUAL = ["early_stopping_patience=0", "tracking=none", "augment=light", "model.pretrained=false"]
SHORT = ["max_epochs=3", *USUAL]
OBJECTS = ["data.image_size=64", "batch_size=64"]
SMALLEST = {
    "object_detection": OBJECTS,
    "oriented_object_detection": [*OBJECTS, "learning_rate=0.001"],  # at its own the third epoch hangs on the last bit
    "instance_segmentation": OBJECTS,
    "anomaly_detection": ["data.image_size=32", "batch_size=64"],
    "classification": ["data.image_size=16", "batch_size=256"],
    "regression": ["data.image_size=32", "batch_size=128"],
    "segmentation": ["data.image_size=32", "batch_size=32"],
}


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
    assert [row["epoch"] for row in rows(folder)] == [1, 2, 3]
    assert {"best.pt", "last.pt"} <= {file.name for file in (folder / "checkpoints").iterdir()}
    assert {"curves.png", "learning_rate.png", "predictions.png", "training_images.png"} <= {
        file.name for file in (folder / "plots").iterdir()
    }
    assert len(list((folder / "plots").iterdir())) >= 5
    assert (folder / ".hydra" / "config.yaml").is_file() and (folder / "visrun.log").is_file()


GOLDEN = {
    "object_detection": [31.772713, 29.823013, 28.900339],
    "oriented_object_detection": [67.39417, 66.884745, 63.304993],
    "instance_segmentation": [43.522751, 43.507606, 40.645687],
    "anomaly_detection": [0.134037, 0.126799, 0.160193],
    "classification": [1.827125, 1.010058, 0.790184],
    "regression": [0.884252, 0.345157, 0.313346],
    "segmentation": [3.576902, 1.98467, 1.375125],
}


def test_the_training_loss_is_the_one_it_has_always_been(trained):
    """A change that should not move numbers does not; the tolerance is for other makes of CPU."""
    task, folder = trained
    assert [row["loss"] for row in rows(folder)] == pytest.approx(GOLDEN[task], rel=0.01)


@pytest.fixture(scope="module")
def answers(trained: tuple[str, Path]) -> tuple[list[Path], list[str]]:
    """Three images, and the lines that predict prints of them and evaluate of the run's data; one process does both."""
    task, folder = trained
    images = [file for file in sorted(demo(task).rglob("*.png")) if not re.search("mask|truth", str(file.parent))][:3]
    predict = ["predict", str(folder), *map(str, images), f"out={folder.parent / 'seen'}"]
    evaluate = ["evaluate", str(folder), "out=seen/test"]
    both = Command(predict, evaluate, cwd=folder.parent, apart=folder.parent / "stderr.txt")
    return images, both.ended(0, timeout=600).splitlines()


def test_predict_writes_json_lines_and_pictures(trained, answers):
    _, folder = trained
    images, printed = answers
    lines = [json.loads(line) for line in printed[:3]]
    assert [line["image"] for line in lines] == [str(image) for image in images]
    assert all(len(line) > 1 for line in lines)
    drawn = [file for file in (folder.parent / "seen").glob("*.png") if not file.stem.endswith("_mask")]
    assert len(drawn) == len(images) == 3


def test_evaluate_agrees_with_the_run(trained, answers):
    task, folder = trained
    found, noted = json.loads("\n".join(answers[1][3:])), experiment(folder)["result"]["test"]
    assert TASKS[task].monitor in noted
    assert {name: found[name] for name in noted} == pytest.approx(noted, rel=1e-3)


def test_evaluate_tells_and_shows_the_worst_images_first(trained, answers):
    task, folder = trained
    found, seen = json.loads("\n".join(answers[1][3:])), folder.parent / "seen" / "test"
    lines = [json.loads(line) for line in (seen / "images.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({line["image"] for line in lines}) == len(lines) == found["images"]
    errors = [line["error"] for line in lines]
    assert errors == sorted(errors, reverse=True) and errors[0] > 0
    if task == "classification":
        assert sum(line["true"] == line["label"] for line in lines) / len(lines) == pytest.approx(
            found["accuracy"], rel=1e-5
        )
    if task == "regression":
        assert sum(errors) / len(errors) == pytest.approx(found["mae"], rel=1e-5)
    if task == "segmentation":
        assert 1 - sum(errors) / len(errors) == pytest.approx(found["pixel_accuracy"], rel=1e-5)
    drawn = {file.stem for file in seen.glob("*.png")}
    assert drawn == {"worst", *(file.stem for file in (folder / "plots").iterdir())} - {
        "curves",
        "learning_rate",
        "predictions",
        "training_images",
    }


# What a task's training holds may be lost by a kill; a stop saves it by the same code for each of them.
STOPPED = {
    "classification": signal.SIGINT,
    "instance_segmentation": signal.SIGINT,
    "anomaly_detection": signal.SIGTERM,
    "oriented_object_detection": signal.SIGTERM,
}


def test_a_run_repeats_from_its_file_alone_and_goes_on_bit_for_bit_however_it_is_interrupted(trained, tmp_path):
    task, folder = trained
    again = tmp_path / "again"
    words = [f"experiment={folder / 'experiment.json'}", "tracking=none", f"hydra.run.dir={again}"]
    interrupted(again, *words, epochs=1, number=signal.SIGKILL)
    if task in STOPPED:
        interrupted(again, "resume", str(again), epochs=2, number=STOPPED[task])
        assert experiment(again)["result"]["status"] == "killed"
    assert "resumed after epoch" in visrun("resume", str(again), cwd=tmp_path)
    assert rows(again) == rows(folder)
    assert experiment(again)["result"]["status"] == "finished"
    sources = experiment(again)["sources"]
    assert {sources[name] for name in Hyperparameters.model_fields} == {"file"}


def interrupted(folder: Path, *words: str, epochs: int, number: signal.Signals) -> None:
    """Run the command until it has trained so many epochs, send it the signal, and insist that it ended by that."""
    process = Command(words, cwd=folder.parent)
    wait_for_epochs(folder, process, epochs)
    process.send_signal(number)
    process.ended({signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[number], timeout=120)


def wait_for_epochs(folder: Path, process: Command, epochs: int) -> None:
    """Until metrics.jsonl has so many lines and a first checkpoint is written, or the process has ended."""
    metrics, deadline = folder / "metrics.jsonl", time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        done = metrics.read_text().count("\n") if metrics.exists() else 0
        if done >= epochs and (folder / "checkpoints" / "last.pt").exists():
            return
        time.sleep(0.01)
