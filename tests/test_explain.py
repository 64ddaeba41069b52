"""``visrun explain``: every value, where it came from, whether it is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from visrun import explain
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert explain.main(words) == 0
    return capsys.readouterr().out


def test_json_has_every_hyperparameter_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, "--json", "optimizer=sgd", "scheduler=poly", "model=resnet18"))
    names = {"task", "model", "hyperparameters", "sources", "unread", "settings", "setting_sources"}
    assert set(found) == names
    assert set(found["settings"]) == set(found["setting_sources"])
    assert (found["task"], found["model"]) == ("classification", "resnet18")
    assert list(found["hyperparameters"]) == list(found["sources"]) == list(Hyperparameters.model_fields)
    assert (found["hyperparameters"]["learning_rate"], found["sources"]["learning_rate"]) == (0.01, "option")
    assert (found["sources"]["optimizer"], found["sources"]["max_epochs"]) == ("you", "task")
    assert found["unread"] == ["step_size", "gamma", "milestones"]


def test_flags_and_words_mix(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(said(capsys, "task=segmentation", "--json", "seed=1", "data.root=."))["model"] == "lraspp"


@pytest.mark.parametrize("task", ["object_detection", "anomaly_detection", "regression"])
def test_every_task_is_explained(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(said(capsys, "--json", f"task={task}"))["task"] == task


def test_text_has_a_line_for_each_and_says_who_would_read_it(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "max_epochs=2", "optimizer=adamw").splitlines()
    rows = {line.split()[0]: line.split(maxsplit=3) for line in lines if line.split()[:1]}
    assert rows["momentum"] == ["momentum", "0.9", "schema", "no: momentum is read only when optimizer=sgd"]
    assert rows["max_epochs"] == ["max_epochs", "2", "you", "yes"]
    assert rows["weight_decay"] == ["weight_decay", "0.01", "option", "yes"]
    assert set(Hyperparameters.model_fields) <= set(rows)
    assert "task=classification data=demo model=small_resnet optimizer=adamw" in lines[0]
    assert lines[-1] == "warmup_epochs=5 does not fit into max_epochs=2: lowered to 0"


def test_warnings_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.main(["--json", "momentum=0.5"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["hyperparameters"]["momentum"] == 0.5
    assert err == "visrun: warning: momentum=0.5 is not read: momentum is read only when optimizer=sgd\n"


def test_a_users_folder_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine" / "recipe").mkdir(parents=True)
    (tmp_path / "mine" / "recipe" / "own.yaml").write_text("batch_size: 3\n")
    found = json.loads(said(capsys, "--json", "--config-dir", "mine", "recipe=own"))
    assert (found["hyperparameters"]["batch_size"], found["sources"]["batch_size"]) == (3, "file")


def test_wrong_words_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean learning_rate"):
        explain.main(["learning_rte=1"])
