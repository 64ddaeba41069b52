"""``visrun explain``: every value, where it came from, whether it is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from visrun import explain
from visrun.config.choices import known
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


def test_the_legend_names_every_source_that_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "data.val_fraction=0.3").splitlines()
    begin = lines[2].index("from")
    shown = {line[begin:].split()[0] for line in lines[3:-2] if line[begin:].strip()} - {"from"}
    legend = lines[-1].removeprefix("from: ").split("; ")
    assert {part.partition(" = ")[0] for part in legend} == shown >= {"you", "option", "task", "schema"}


def test_a_key_alone_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "momentum", "task=segmentation", "optimizer=adam", "data.tile", "loss", "model", "batch_size")
    momentum, tile, loss, model, size = text.rstrip().split("\n\n")
    assert momentum.splitlines() == [
        f"momentum: {Hyperparameters.model_fields['momentum'].description}",
        "  takes  a number >= 0 and < 1",
        "  value  0.9, from schema (the default of all tasks)",
        "  read   only when the model learns by gradient steps and optimizer=sgd; by this run: no",
    ]
    assert "value  null, from schema" in tile and tile.endswith("\n  read   always")
    assert "  takes  ce_dice, cross_entropy, dice or focal\n" in loss and loss.endswith("by this run: yes")
    assert "model.name: " in model and "unet" in model and "resnet18" not in model
    assert "  takes  an integer from 1 to 256, in images\n" in size


def test_every_key_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    keys = sorted(known())
    told = dict(zip(keys, said(capsys, *keys).rstrip().split("\n\n"), strict=True))
    for key, text in told.items():
        first, *rest = text.splitlines()
        assert first.partition(":")[0] in (key, f"{key}.name")
        assert [line.split()[0] for line in rest] == ["takes", "value", "read"], key


def test_unknown_keys_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        explain.main(["lr", "learning_rate", "root", "hydra.run.dir"])
    assert caught.value.problems == (
        "lr is no setting (did you mean learning_rate?)",
        "root is no setting (did you mean data.root?)",
        "hydra.run.dir is no setting, but Hydra's: type hydra.run.dir=VALUE",
    )


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["hydra.foo=1"], ["hydra.foo is no setting"]),
        (["hydra.foo=1", "seed=-1"], ["seed=-1: must be an integer from 0 to 4294967295", "hydra.foo is no setting"]),
        (
            ["-m", "sweep=optimizer", "hydra.sweeper.n_trils=1"],
            ["hydra.sweeper.n_trils is no setting (did you mean hydra.sweeper.n_trials?)"],
        ),
        (["~momentum"], ["~momentum: settings are neither added nor removed; write momentum=value"]),
    ],
)
def test_what_a_run_refuses_is_not_explained(words: list[str], lines: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        explain.main(words)
    assert list(caught.value.problems) == lines


@pytest.mark.parametrize("words", [["seed"], ["-m", "sweep=default"]])
def test_json_is_of_everything_in_one_run(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="leave out KEY and -m"):
        explain.main(["--json", *words])


def test_what_a_sweep_tries_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "-m", "sweep=default", "learning_rate=0.1,0.2", "seed=3").splitlines()
    tried = [line for line in lines if line.startswith("tries ")]
    assert tried[0] == "tries learning_rate=0.1,0.2"
    assert any(line.startswith("tries weight_decay=tag(log, interval(") for line in tried)
    assert not any("seed" in line for line in tried)


def test_what_no_trial_of_a_sweep_reads_is_not_tried_and_what_one_reads_no_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["-m", "optimizer=adam,sgd", "momentum=0.8,0.9", "gamma=0.5", "model=patchcore,resnet18"]
    assert explain.main(words) == 0
    assert capsys.readouterr().err.splitlines() == [
        "visrun: warning: gamma=0.5 is not read: gamma is read only when scheduler=step or multistep",
        "visrun: warning: model=patchcore is left out: no model of task=classification",
    ]
    lines = said(capsys, "-m", "sweep=regularization", "task=object_detection").splitlines()
    assert [line.partition("=")[0] for line in lines if line.startswith("tries ")] == ["tries weight_decay"]


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
