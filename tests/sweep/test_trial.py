"""A trial from inside its job."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import TrialPruned
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from visrun.config.sweeper import PRUNERS
from visrun.errors import VisrunError
from visrun.record.sweep_files import ATTRIBUTE
from visrun.sweep.storage import open_storage
from visrun.sweep.study import Queue, create
from visrun.sweep.ties import graded
from visrun.sweep.trial import VARIABLE, Handle, SweepTrial, current
from visrun.sweep.trials import best_of, values_of


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    """A study of six trials; the first five were good, the last one runs."""
    storage = open_storage(str(tmp_path / "study.journal"))
    create(storage, "my study", ["maximize"])
    made = Queue(storage, "my study")
    made.study.set_user_attr(ATTRIBUTE, {"objectives": ["accuracy"]})
    made.fill(6)
    for number in range(6):
        made.claim(6)
        if number < 5:
            for epoch in range(1, 6):
                made.report(number, epoch, 0.8)
            made.complete(number, [0.8])
    return made


def trial_of(queue: Queue, tmp_path: Path, pruner: str = "none", **more: Any) -> SweepTrial:
    node = {"name": pruner, **PRUNERS[pruner][1]}
    return SweepTrial(Handle(str(tmp_path / "study.journal"), "my study", 5, node, **more))


def result(**facts: Any) -> Any:
    usual = {"status": "finished", "value": 0.5, "best_epoch": 2, "seconds": 12.0, "parameters": 1000}
    return SimpleNamespace(**usual | facts)


def test_a_job_finds_its_trial_in_the_environment(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert current() is None
    handle = trial_of(queue, tmp_path, "patient", parent="run-1").handle
    monkeypatch.setenv(VARIABLE, handle.text())
    found = current()
    assert found is not None and found.handle == handle and found.handle.parent == "run-1"
    assert json.loads(handle.text())["number"] == 5


def test_what_its_run_is_called(queue: Queue, tmp_path: Path) -> None:
    trial = trial_of(queue, tmp_path, parent="run-1")
    assert trial.name == "trial-005"
    which = {"mlflow.runName": "trial-005", "optuna.trial_number": "5", "study": "my study"}
    assert trial.tags == {"mlflow.parentRunId": "run-1", **which}
    assert trial_of(queue, tmp_path).tags == which


def test_where_its_former_attempts_were_stopped(queue: Queue, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    assert trial_of(queue, tmp_path).formers(sweep / "5") == []
    for number in (5, 6, 7):  # each stands for the one before
        queue.note(number, folder=f"/where/it/began/{number}")
        if number == 6:  # the sweep was moved
            (sweep / "6").mkdir(parents=True)
            (sweep / "6" / "experiment.json").touch()
        queue.give_back(number)
        assert queue.claim(6).number == number + 1
    found = SweepTrial(Handle(str(tmp_path / "study.journal"), "my study", 8, {"name": "none"})).formers(sweep / "8")
    assert found == [Path("/where/it/began/7"), sweep / "6", Path("/where/it/began/5")]


@pytest.mark.parametrize("died", [False, True])
def test_one_that_failed_is_begun_anew_unless_its_process_died(queue: Queue, tmp_path: Path, died: bool) -> None:
    queue.note(5, folder=str(tmp_path / "5"))
    queue.fail(5, "the loss became NaN", died=died)
    queue.replace_lost(failed=True)
    assert queue.claim(6).number == 6
    trial = SweepTrial(Handle(str(tmp_path / "study.journal"), "my study", 6, {"name": "none"}))
    assert trial.formers(tmp_path / "6") == [tmp_path / "5"] * died


def test_what_is_not_gone_on_with_is_told(queue: Queue, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial_of(queue, tmp_path).begins_anew("last.pt is damaged")
    assert queue.trials()[5].user_attrs["anew"] == "last.pt is damaged"
    assert "warning: this trial starts anew: last.pt is damaged" in capsys.readouterr().out


def test_it_notes_what_the_run_was(queue: Queue, tmp_path: Path) -> None:
    trial = trial_of(queue, tmp_path)
    trial.begin(tmp_path / "5")
    trial.end(epochs=3, seconds=1.5, reason=None)
    noted = queue.trials()[5].user_attrs
    assert noted == {"place": 5, "folder": str(tmp_path / "5"), "epochs": 3, "seconds": 1.5}
    trial.end(reason="no better accuracy since epoch 1")
    assert queue.trials()[5].user_attrs["reason"] == "no better accuracy since epoch 1"


def test_each_epoch_is_reported_and_nothing_is_ended_without_a_pruner(queue: Queue, tmp_path: Path) -> None:
    trial = trial_of(queue, tmp_path)
    assert [trial.report(epoch, 0.5, loss=epoch) for epoch in (1, 2, 3, 4)] == [None] * 4
    noted = queue.trials()[5].intermediate_values
    assert noted == {epoch: graded(0.5, epoch, maximize=True) for epoch in (1, 2, 3, 4)}


def test_a_pruner_gives_a_reason(queue: Queue, tmp_path: Path) -> None:
    trial = trial_of(queue, tmp_path, "median")
    said = [trial.report(epoch, value, 1.0) for epoch, value in ((1, 0.1), (2, 0.12), (3, 0.123456))]
    assert said == [None, None, "median pruner: 0.1235 after epoch 3"]
    assert trial_of(queue, tmp_path, "median").report(4, 0.9, 1.0) is None
    assert queue.trials()[5].state is TrialState.RUNNING  # the worker ends it


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_where_the_metric_says_nothing_the_pruner_hears_the_loss(direction: str, tmp_path: Path) -> None:
    storage, metric = open_storage(str(tmp_path / "study.journal")), {"maximize": 0.0, "minimize": 80.0}[direction]
    create(storage, "my study", [direction])
    queue = Queue(storage, "my study")
    queue.study.set_user_attr(ATTRIBUTE, {"objectives": ["accuracy"]})
    queue.fill(5)
    node = {"name": "successive_halving", **PRUNERS["successive_halving"][1], "min_resource": 1}
    said = []
    for number, loss in enumerate((3.0, 4.0, 2.0, 2.0, 1.0)):
        assert queue.claim(5) is not None
        trial = SweepTrial(Handle(str(tmp_path / "study.journal"), "my study", number, node))
        said.append(trial.report(1, metric, loss) is None)
        queue.complete(number, [metric])
    assert said == [True, False, True, False, True]
    assert [trial.value for trial in queue.trials()] == [metric] * 5


@pytest.mark.parametrize(("images", "look"), [(5000, 1), (700, 2), (300, 4), (10, 4)])
def test_the_pruner_hears_how_many_images_an_epoch_has(images: int, look: int, tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "study.journal"))
    create(storage, "my study", ["maximize"])
    queue = Queue(storage, "my study")
    queue.study.set_user_attr(ATTRIBUTE, {"objectives": ["accuracy"]})
    queue.fill(2)
    node = {"name": "successive_halving", **PRUNERS["successive_halving"][1], "min_resource": 1}
    for number, value in enumerate((0.9, 0.1)):
        assert queue.claim(2) is not None
        trial = SweepTrial(Handle(str(tmp_path / "study.journal"), "my study", number, node))
        trial.sees(images)
        said = [trial.report(epoch, value, 1.0) for epoch in range(1, 6)]
        assert [epoch for epoch, verdict in enumerate(said, start=1) if verdict] == ([look] if number else [])


@pytest.mark.parametrize("objectives", [["parameters"], ["seconds"], ["seconds", "accuracy"]])
def test_a_metric_that_is_not_the_first_objective_is_neither_noted_nor_judged(
    objectives: list[str], queue: Queue, tmp_path: Path
) -> None:
    queue.study.set_user_attr(ATTRIBUTE, {"objectives": objectives})
    trial = trial_of(queue, tmp_path, "median")
    assert [trial.report(epoch, 0.1, 9.0) for epoch in range(1, 6)] == [None] * 5
    assert queue.trials()[5].intermediate_values == {}


def test_a_value_that_is_no_number_is_hopeless(queue: Queue, tmp_path: Path) -> None:
    assert trial_of(queue, tmp_path, "median").report(4, math.nan, math.nan) == "median pruner: nan after epoch 4"


def test_values(queue: Queue, tmp_path: Path) -> None:
    trial = trial_of(queue, tmp_path)
    assert trial.values(result()) == [graded(0.5, math.nan, maximize=True)]
    for epoch, loss in ((1, 0.25), (2, 0.125), (3, 0.0625)):
        trial.report(epoch, 0.5, loss)
    assert trial.values(result()) == [graded(0.5, 0.125, maximize=True)]
    queue.study.set_user_attr(ATTRIBUTE, {"objectives": ["seconds"]})
    assert trial.values(result()) == [12.0]
    queue.study.set_user_attr(ATTRIBUTE, {"objectives": ["parameters", "accuracy", "seconds"]})
    assert trial.values(result(value=0.0)) == [1000.0, 0.0, 12.0]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_sampler_looks_where_equal_metrics_have_low_losses(direction: str, tmp_path: Path) -> None:
    """All metrics are equal; the losses are lowest at x = 0.3."""
    storage = open_storage(str(tmp_path / "study.journal"))
    create(storage, "my study", [direction])
    queue = Queue(storage, "my study")
    queue.study.sampler = TPESampler(seed=0)
    queue.study.set_user_attr(ATTRIBUTE, {"objectives": ["metric"]})
    queue.fill(60)
    space, asked = {"x": FloatDistribution(0.0, 1.0)}, []
    for number in range(60):
        claimed = queue.claim(60)
        assert claimed is not None
        params = queue.sample(claimed, space, list, lambda: None)
        assert params is not None
        asked.append(params["x"])
        trial = SweepTrial(Handle(str(tmp_path / "study.journal"), "my study", number, {"name": "none"}))
        trial.report(1, 0.75, abs(params["x"] - 0.3))
        queue.complete(number, trial.values(result(value=0.75, best_epoch=1)))
    late = [abs(x - 0.3) for x in asked[30:]]
    assert sorted(late)[15] < 0.1  # without the losses 0.13 to 0.42
    best = best_of(queue.trials(), queue.study.directions)
    assert best is not None and abs(best.params["x"] - 0.3) == min(abs(x - 0.3) for x in asked)
    assert values_of(best, 1) == [0.75]


def test_a_pruned_run_has_none(queue: Queue, tmp_path: Path) -> None:
    with pytest.raises(TrialPruned):
        trial_of(queue, tmp_path).values(result(status="pruned"))
    with pytest.raises(VisrunError, match="no value of accuracy"):
        trial_of(queue, tmp_path).values(result(value=None))


def test_losses_of_several_scales_tell_nothing_apart(queue: Queue, tmp_path: Path) -> None:
    trial = trial_of(queue, tmp_path, ties=False)
    trial.report(1, 0.5, 0.25)
    assert queue.every()[5].intermediate_values == {1: 0.5}
    assert trial.values(result(value=0.5, best_epoch=1)) == [0.5]
