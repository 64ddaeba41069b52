"""A finished run whose process died before MLflow had all of it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from visrun import cli
from visrun.config.compose import resolve
from visrun.record import tracked
from visrun.record.journal import Journal
from visrun.record.run_folder import SILENT, RunFolder, noted_process
from visrun.record.tracker_end import end_killed
from visrun.run_files import LOCK, STATUS
from visrun.tracking import Data, NoTracker
from visrun.tracking.names import RECORD, write_record

ROWS = [{"epoch": 1.0, "accuracy": 0.5, "f1/<30": 0.5, "f1/>30": 0.75}, {"epoch": 2.0, "accuracy": 0.25}]


class Listening(NoTracker):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.epochs: dict[int, Any] = {}
        self.final: dict[str, float] = {}
        self.files: list[tuple[str, str]] = []
        self.ends: list[tuple[str, str | None]] = []

    def epoch(self, epoch: int, metrics: Any) -> None:
        self.epochs[epoch] = dict(metrics)

    def summary(self, values: Any) -> None:
        self.final |= values

    def artifact(self, path: Path, folder: str = "") -> None:
        self.files.append((path.name, folder))

    def finish(self, status: str, reason: str | None = None) -> str | None:
        assert not self.ends
        self.ends.append((status, reason))
        return None


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Listening:
    made = Listening()

    def opened(name: str, **options: Any) -> Listening:
        made.options = {"name": name, **options}
        return made

    monkeypatch.setattr(tracked, "open_tracker", opened)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return made


def finished(folder: Path, *words: str, uri: str, is_open: bool = True) -> Path:
    """A run as its process leaves it that dies right after it has noted the end."""
    with RunFolder(folder) as files:
        journal = Journal(files, resolve(["tracking.experiment=photos", "learning_rate=0.02", *words]))
        journal.fingerprint("f" * 64)
        read = {"root": "/srv/photos", "splits": {"train": 3, "val": 1}, "classes": ["<30", ">30"]}
        journal.note(fingerprints={"val": "v" * 64}, data=read, image_size=[8, 8], device="cpu")
        for row in ROWS:
            files.append_metrics(row)
        for name in ("curves.png", "curves.png.tmp", "matrix.csv"):
            (files.plots / name).touch()
        journal.close("finished", exit_code=0, best_epoch=1, test={"accuracy": 0.125}, reason="no better")
    write_record(folder / RECORD, uri, "abc", is_open=is_open)
    (folder / LOCK).write_text("{}")
    return folder


def test_what_mlflow_lacks_of_a_finished_run_is_sent_from_its_folder(
    tmp_path: Path, tracker: Listening, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlflow.db").touch()
    folder, uri = finished(tmp_path / "run", uri=f"sqlite:///{tmp_path}/mlflow.db"), f"sqlite:///{tmp_path}/mlflow.db"
    before = (folder / "experiment.json").read_bytes()
    assert cli.main(["resume", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "MLflow has not got all of this run" in told and f"{folder}: this run is finished; " in told
    assert tracker.options["uri"] == uri and tracker.options["record"] == folder / RECORD
    assert (tracker.options["run_name"], tracker.options["experiment"]) == ("run", "photos")
    assert {"<30", ">30"} <= tracker.options["names"]
    assert tracker.epochs == {int(row["epoch"]): {k: v for k, v in row.items() if k != "epoch"} for row in ROWS}
    assert tracker.final == {"best/epoch": 1, "best/accuracy": 0.5, "test/accuracy": 0.125}
    assert tracker.files == [
        ("curves.png", "plots"),
        ("matrix.csv", "plots"),
        ("experiment.json", ""),
        ("metrics.jsonl", ""),
    ]
    assert tracker.ends == [("finished", "no better")]
    assert (folder / "experiment.json").read_bytes() == before and not (folder / LOCK).exists()


def test_a_run_that_its_store_never_got_to_know_is_sent_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracker: Listening
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = finished(tmp_path / "run", uri="sqlite:////full/mlflow.db")
    (folder / RECORD).unlink()
    assert cli.main(["resume", str(folder)]) == 0
    assert tracker.options["params"]["learning_rate"] == 0.02 and len(tracker.epochs) == 2
    assert tracker.ends == [("finished", "no better")]


def test_another_store_gets_all_of_a_run_where_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracker: Listening
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").touch()
    folder = finished(tmp_path / "run", uri=f"sqlite:///{tmp_path}/mlflow.db", is_open=False)
    assert cli.main(["resume", str(folder), "tracking.uri=other.db", "tracking.experiment=all"]) == 0
    assert tracker.options["uri"] == f"sqlite:///{tmp_path}/other.db" and tracker.options["experiment"] == "all"
    assert len(tracker.epochs) == 2 and tracker.ends == [("finished", "no better")]


def test_what_a_relative_store_lacks_is_sent_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracker: Listening
) -> None:
    (tmp_path / "my.db").touch()
    (tmp_path / "other").mkdir()
    uri = f"sqlite:///{tmp_path}/my.db"
    folder = finished(tmp_path / "run", "tracking.uri=my.db", uri=uri)
    monkeypatch.chdir(tmp_path / "other")
    assert cli.main(["resume", str(folder)]) == 0
    assert tracker.options["uri"] == uri and tracker.ends == [("finished", "no better")]


def test_parameters_data_and_tags_that_mlflow_lacks_are_sent_as_when_the_run_began(
    tmp_path: Path, tracker: Listening
) -> None:
    (tmp_path / "mlflow.db").touch()
    folder = finished(tmp_path / "run", uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert cli.main(["resume", str(folder)]) == 0
    names = {"classes": ["<30", ">30"]}
    assert tracker.options["params"]["learning_rate"] == 0.02
    assert tracker.options["params"]["data.image_size"] == [8, 8] and "momentum" not in tracker.options["params"]
    assert tracker.options["data"] == [
        Data("photos", f"{'f' * 24}-3", "/srv/photos", "training", {"num_rows": 3, **names}),
        Data("photos", "v" * 64, "/srv/photos", "validation", {"num_rows": 1, **names}),
    ]
    assert {"task": "classification", "device": "cpu", "folder": str(folder)}.items() <= tracker.options["tags"].items()
    assert not {"command", "host"} & set(tracker.options["tags"])  # of the sitting that trained: they stay as they are
    assert tracker.options["later"] == f"visrun resume {folder}"


def test_a_run_that_noted_neither_data_nor_image_size_is_sent_without(tmp_path: Path, tracker: Listening) -> None:
    (tmp_path / "mlflow.db").touch()
    folder = finished(tmp_path / "run", uri=f"sqlite:///{tmp_path}/mlflow.db")
    content = json.loads((folder / "experiment.json").read_text())
    content["result"] = {"status": "finished"}
    (folder / "experiment.json").write_text(json.dumps(content))
    assert cli.main(["resume", str(folder)]) == 0
    assert tracker.options["data"] == [] and "learning_rate" in tracker.options["params"]
    assert tracker.ends == [("finished", None)]


@pytest.mark.parametrize("case", ["complete", "written", "elsewhere", "untracked"])
def test_no_store_is_opened_of_a_run_that_is_complete_being_written_or_elsewhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tracker: Listening,
    capsys: pytest.CaptureFixture[str],
    case: str,
) -> None:
    (tmp_path / "mlflow.db").touch()
    words = ["tracking=none"] if case == "untracked" else []
    folder = finished(tmp_path / "run", *words, uri=f"sqlite:///{tmp_path}/mlflow.db", is_open=case != "complete")
    if case == "elsewhere":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    if case == "untracked":
        (folder / RECORD).unlink()
    if case == "written":
        (folder / LOCK).unlink()
        with RunFolder(folder):
            assert cli.main(["resume", str(folder)]) == 0
    else:
        assert cli.main(["resume", str(folder)]) == 0
    assert not tracker.options
    told = f"MLflow at sqlite:///{tmp_path}/mlflow.db has not got all of this run"
    assert (told in " ".join(capsys.readouterr().out.split())) == (case == "elsewhere")
    if case == "elsewhere":
        assert json.loads((folder / RECORD).read_text())["open"]


def killed(folder: Path, *, silent: float = SILENT + 60, **facts: Any) -> Path:
    """A run whose process was killed: its lock is left, and nothing was heard of it for so many seconds."""
    folder.mkdir(parents=True)
    (folder / LOCK).write_text(json.dumps({**noted_process(os.getpid()), "pid": 2**22 + 1, **facts}))
    (folder / STATUS).write_text("{}")
    then = time.time() - silent
    for name in (LOCK, STATUS):
        os.utime(folder / name, (then, then))
    return folder


def test_runs_whose_processes_were_killed_are_closed_by_the_next_one_beside_them(tmp_path: Path) -> None:
    ended: list[tuple[Any, ...]] = []
    tracker = SimpleNamespace(end_run=lambda *what: ended.append(what))
    day = tmp_path / "outputs" / "2026-01-01"
    dead = killed(day / "dead")
    killed(day / "lives", pid=os.getpid())
    killed(day / "elsewhere", host="another")
    killed(day / "lately", silent=10.0)
    (day / "finished").mkdir()
    end_killed(tmp_path / "outputs" / "2026-01-02" / "mine", tracker)
    assert ended == [(dead / RECORD, "killed", "its process was killed")]
    end_killed(tmp_path / "mine" / "a" / "b", tracker)
    assert len(ended) == 1
