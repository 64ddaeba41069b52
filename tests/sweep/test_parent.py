"""A sweep's run and its children in a real SQLite store, and what a dead server costs."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import TrialState, create_trial

from visrun.config.compose import resolve
from visrun.config.sweeper import VisrunSweeperConf
from visrun.sweep.parent import Parent, bests
from visrun.sweep.plan import make_plan
from visrun.sweep.storage import open_storage
from visrun.sweep.study import create
from visrun.sweep.ties import graded
from visrun.sweep.trial import Handle, SweepTrial
from visrun.tracking import open_tracker
from visrun.tracking.client import ENVIRONMENT
from visrun.tracking.names import RECORD

SPACE = {
    "optimizer": CategoricalDistribution(["adam", "sgd"]),
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "momentum": FloatDistribution(0.5, 0.99),
}
SWEPT = ["optimizer=adam,sgd", "learning_rate=tag(log,interval(1e-5,1e-1))", "momentum=interval(0.5,0.99)"]  # SPACE
USUAL = vars(VisrunSweeperConf(pruner={"name": "median"}, sampler={"_target_": "optuna.samplers.TPESampler"}))


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    """The environment as MLflow finds it on a fresh machine; put back afterwards."""
    for name in (*ENVIRONMENT, "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A store with its tables and nothing else: making them takes seconds."""
    path = tmp_path_factory.mktemp("tables") / "my.db"
    tracker = open_tracker("mlflow", experiment="other", run_name="first", uri=str(path))
    tracker.start()
    assert tracker.wait() is not None
    assert tracker.finish("finished") is None
    return path


@pytest.fixture
def database(tables, tmp_path):
    """Such a store for one test."""
    return shutil.copy(tables, tmp_path / "my.db")


def parent_of(folder, *, tracking="mlflow", uri=None, n_trials=4, swept=SWEPT):
    storage = "hydra.sweeper.storage=postgresql://me:secret@host/db"
    return Parent(
        make_plan(
            {**USUAL, "study_name": "digits", "n_trials": n_trials},
            swept,
            folder=folder,
            command=("-m", storage, "hydra.sweep.dir=x"),
            first=resolve([f"tracking={tracking}", *([f"tracking.uri={uri}"] if uri else [])]),
            resolve=resolve,
            make_sampler=lambda _: RandomSampler(),
        )
    )


def made(directions=("maximize",), objectives=("accuracy",)):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name="digits", directions=directions)
    study.set_user_attr("visrun", {"objectives": list(objectives)})
    return study


def trial(values=None, state=TrialState.COMPLETE, **params):
    distributions = {name: SPACE[name] for name in params}
    return create_trial(state=state, values=values, params=params, distributions=distributions)


def client_of(database):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{database}")


def steps(client, run_id, name):
    return [(metric.step, metric.value) for metric in client.get_metric_history(run_id, name)]


@pytest.mark.slow
def test_a_sweep_is_shown_as_it_goes_and_goes_on_with_the_same_run(tmp_path, database, capfd):
    study, parent = made(), parent_of(tmp_path, uri=database)
    parent.tracker.start()
    run_id = parent.tracker.wait()
    assert run_id == parent.tracker.run_id
    assert len(run_id) == 32
    parent.update(study, study.get_trials())  # nothing has ended: nothing to say
    study.add_trial(trial([0.8], optimizer="sgd", learning_rate=0.1, momentum=0.9))
    study.add_trial(trial(state=TrialState.RUNNING, optimizer="adam", learning_rate=0.01))
    for _ in range(3):
        parent.update(study, study.get_trials())
    (tmp_path / "history.png").write_bytes(b"picture")
    parent.files([tmp_path / "history.png"], "plots")
    assert parent.tracker.finish("killed", "ctrl-c") is None

    client = client_of(database)
    run = client.get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("KILLED", "digits")
    assert client.get_experiment(run.info.experiment_id).name == "visrun/classification"
    names = {"objectives": '["accuracy"]', "directions": '["maximize"]'}
    assert run.data.params == {"task": "classification", **names}
    expected = {
        "visrun.kind": "sweep",
        "task": "classification",
        "study": "digits",
        "sampler": "TPESampler",
        "pruner": "median",
        "n_trials": "4",
        "space": "optimizer: adam, sgd; learning_rate: 1e-05 to 0.1, log; momentum: 0.5 to 0.99",
        "command": "visrun -m hydra.sweeper.storage=postgresql://me:***@host/db hydra.sweep.dir=x",
        "status": "killed",
        "reason": "ctrl-c",
        "best.trial": "0",
        "best.optimizer": "sgd",
        "best.learning_rate": "0.1",
        "best.momentum": "0.9",
        "trials": "1 complete, 0 pruned, 0 failed, 1 running",
    }
    assert expected.items() <= run.data.tags.items()
    assert steps(client, run_id, "best/accuracy") == [(1, 0.8)]
    assert Path(client.download_artifacts(run_id, "plots/history.png")).read_bytes() == b"picture"

    again = parent_of(tmp_path, uri=database, n_trials=6, swept=["learning_rate=interval(1e-4,1e-2)"])
    again.tracker.start()
    assert again.tracker.wait() == run_id
    again.update(study, study.get_trials())  # the store has this already
    study.add_trial(trial(state=TrialState.PRUNED, optimizer="adam", learning_rate=0.02))
    again.update(study, study.get_trials())
    study.add_trial(trial([0.9], optimizer="adam", learning_rate=0.03))
    again.update(study, study.get_trials())
    assert again.tracker.finish("finished") is None
    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "finished")
    assert (run.data.tags["n_trials"], run.data.tags["space"]) == ("6", "learning_rate: 0.0001 to 0.01")
    assert run.data.tags["best.trial"] == "3"
    assert (run.data.tags["best.learning_rate"], run.data.tags["best.momentum"]) == ("0.03", "-")
    assert steps(client, run_id, "best/accuracy") == [(1, 0.8), (2, 0.8), (3, 0.9)]
    assert steps(client, run_id, "trials/pruned") == [(1, 0.0), (2, 1.0), (3, 1.0)]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_children_hang_below_their_parent_and_end_as_they_ended(tmp_path, database):
    parent = parent_of(tmp_path, uri=database)
    parent.tracker.start()
    run_id = parent.tracker.wait()
    journal = str(tmp_path / "study.journal")
    create(open_storage(journal), "digits", ["maximize"])
    ends = {"finished": None, "pruned": "median pruner: 0.3 after epoch 4", "killed": None, "failed": "loss is NaN"}
    for number, (status, reason) in enumerate(ends.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        job = SweepTrial(Handle(journal, "digits", number, {"name": "none"}, run_id))
        child = open_tracker(
            "mlflow",
            experiment="visrun/classification",
            run_name=job.name,
            uri=str(database),
            tags={**job.tags, "model": "small_resnet"},
            record=folder / "mlflow_run.json",
        )
        child.start()
        child.epoch(1, {"accuracy": 0.5})
        assert child.wait() is not None
        if status == "failed":  # its process is killed: it says nothing any more
            parent.tracker.end_run(folder / RECORD, status, reason)
        else:
            assert child.finish(status, reason) is None
    parent.tracker.end_run(tmp_path / "never began" / RECORD, "failed", "killed by signal 9")
    assert parent.tracker.finish("finished") is None

    client = client_of(database)
    experiment = client.get_experiment_by_name("visrun/classification").experiment_id
    children = client.search_runs(
        [experiment], f"tags.mlflow.parentRunId = '{run_id}'", order_by=["tags.mlflow.runName"]
    )
    assert [child.info.run_name for child in children] == ["trial-000", "trial-001", "trial-002", "trial-003"]
    assert [child.info.status for child in children] == ["FINISHED", "KILLED", "KILLED", "FAILED"]
    assert [child.data.tags["status"] for child in children] == list(ends)
    assert [child.data.tags.get("reason") for child in children] == list(ends.values())
    assert [child.data.tags["optuna.trial_number"] for child in children] == ["0", "1", "2", "3"]
    assert {child.data.tags["study"] for child in children} == {"digits"}
    assert len(client.search_runs([experiment])) == 5
    child.finish("finished")


def test_a_dead_server_costs_five_seconds_once(tmp_path):
    study = made()
    study.add_trial(trial([0.8], optimizer="adam", learning_rate=0.1))
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))  # bound and not listening: it refuses
        parent = parent_of(tmp_path, uri=f"http://127.0.0.1:{hole.getsockname()[1]}")
        began = time.monotonic()
        parent.tracker.start()
        parent.update(study, study.get_trials())
        assert time.monotonic() - began < 0.5
        assert parent.tracker.wait() is None
        assert 4.5 < time.monotonic() - began < 6
        began = time.monotonic()
        assert parent.tracker.wait() is None  # the patience is spent
        warning = parent.tracker.finish("finished")
        assert time.monotonic() - began < 1
    assert "did not take the parameters, some values, some tags, the final status" in warning
    assert warning.endswith("(trials.csv in the sweep's folder holds every value)")
    assert parent.tracker.run_id is None


def test_without_a_tracker_there_is_no_run(tmp_path):
    parent = parent_of(tmp_path, tracking="none")
    parent.tracker.start()
    study = made()
    study.add_trial(trial([0.8]))
    parent.update(study, study.get_trials())
    parent.files([tmp_path / "missing.png"])
    tracker = parent.tracker
    tracker.end_run(tmp_path / RECORD, "failed")
    assert (tracker.wait(), tracker.link, tracker.command, tracker.finish("finished")) == (None, None, None, None)
    assert list(tmp_path.iterdir()) == []


def test_each_objective_has_its_own_best():
    study = made(["maximize", "minimize"], ["accuracy", "seconds"])
    assert bests(study, study.get_trials()) == {}
    for values in ([0.9, 30.0], [0.7, 10.0], [0.8, 20.0]):
        study.add_trial(trial(values))
    study.add_trial(trial(state=TrialState.FAIL))
    assert bests(study, study.get_trials()) == {"best/accuracy": 0.9, "best/seconds": 10.0}


def test_the_digits_of_the_loss_are_not_written_down():
    study = made()
    study.add_trial(trial([graded(0.75, 0.5, maximize=True)]))
    assert bests(study, study.get_trials()) == {"best/accuracy": 0.75}
