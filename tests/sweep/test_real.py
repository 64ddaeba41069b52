"""Sweeps of real trainings on the demo data, with MLflow."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from optuna.trial import TrialState

from tests.sweep.conftest import ended, wait_until

pytestmark = pytest.mark.slow

SPY = """
import functools, json, os
from pathlib import Path
from visrun.build import load
from visrun.tables import OPTIMIZERS

def spy(build):
    @functools.wraps(load(build))
    def made(*given, **options):
        optimizer = load(build)(*given, **options)
        group = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
        number = json.loads(os.environ["VISRUN_TRIAL"])["number"]
        line = json.dumps({"number": number, "kind": type(optimizer).__name__, **group}, default=float)
        with (Path(__file__).parent / "optimizers.jsonl").open("a") as file:
            file.write(line + "\\n")
        return optimizer
    return made

if "VISRUN_SLOT" in os.environ:
    for name in ("adam", "sgd"):
        OPTIMIZERS[name] = spy(OPTIMIZERS[name])
"""
SMALL = ("data.image_size=16", "batch_size=64", "run.device=cpu")
SPACE = (
    "optimizer=adam,sgd",
    "learning_rate=0.05,1e29,1e-9",
    "momentum=0.6,0.9",
    "hydra/sweeper/sampler=grid",  # whose points a pruner may end, also those that come first
    "hydra.sweeper.start_points=[{optimizer:sgd,learning_rate:0.05,momentum:0.9},"
    "{optimizer:sgd,learning_rate:1e29,momentum:0.6},{optimizer:adam,learning_rate:1e-9}]",
    "hydra.sweeper.n_trials=3",
    "hydra.sweeper.max_failure_rate=1",
    "hydra/sweeper/pruner=median",
    "hydra.sweeper.pruner.n_startup_trials=1",
    "hydra.sweeper.pruner.n_warmup_steps=0",
    "hydra.sweeper.study_name=real",
    "max_epochs=2",
    *SMALL,
)


def test_a_finished_a_diverged_and_a_pruned_trial_in_every_record(sweeper):
    mlflow = pytest.importorskip("mlflow")
    (sweeper.folder / "spy.py").write_text(SPY)
    store = sweeper.folder / "runs.db"
    sweeper.usual = ["plugins=[spy]", f"tracking.uri='sqlite:///{store}'"]
    output = sweeper.sweep(*SPACE, code=1)
    trials = sweeper.trials("real")
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "PRUNED"], output
    assert trials[2].user_attrs["reason"].startswith("median pruner: ")

    folders = [sweeper.folder / "multirun" / "real" / str(number) for number in range(3)]
    files = [json.loads((folder / "experiment.json").read_text()) for folder in folders]
    assert [file["result"]["status"] for file in files] == ["finished", "failed", "pruned"]
    assert files[2]["result"]["reason"] == trials[2].user_attrs["reason"]
    assert files[1]["result"]["reason"][:200] == trials[1].user_attrs["reason"][:200]

    client = mlflow.MlflowClient(f"sqlite:///{store}")
    (experiment,) = [each for each in client.search_experiments() if each.name == "visrun/classification"]
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["real", "trial-000", "trial-001", "trial-002"]
    parent, children = runs["real"], [runs[f"trial-00{number}"] for number in range(3)]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert [child.info.status for child in children] == ["FINISHED", "FAILED", "KILLED"]
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["best.trial"] == "0"
    assert parent.data.metrics["best/accuracy"] == pytest.approx(files[0]["result"]["val"]["accuracy"], rel=1e-7)
    kept = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"trials.csv", "optimization_results.yaml"} <= kept

    lines = (sweeper.folder / "optimizers.jsonl").read_text().splitlines()
    built = {line["number"]: line for line in map(json.loads, lines)}
    assert sorted(built) == [0, 1, 2]
    for trial, file, child in zip(trials, files, children, strict=True):
        made = built[trial.number]
        made = {"optimizer": made["kind"].lower(), "learning_rate": made["lr"], "momentum": made.get("momentum")}
        for name, value in trial.params.items():
            assert file["hyperparameters"][name] == value
            assert made[name] == value
            assert type(value)(child.data.params[name]) == value
    assert [sorted(trial.params) for trial in trials] == [
        ["learning_rate", "momentum", "optimizer"],
        ["learning_rate", "momentum", "optimizer"],
        ["learning_rate", "optimizer"],
    ]


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_stopped_training_goes_on_with_its_sweep_or_by_hand(sweeper, by_hand):
    sweeper.usual = ["tracking=none"]
    words = ("seed=1,2", "max_epochs=3", *SMALL, "hydra.sweeper.study_name=mine")
    process = sweeper.start(*words)
    folder = sweeper.folder / "multirun" / "mine" / "0"
    wait_until(lambda: (folder / "metrics.jsonl").is_file() and (folder / "metrics.jsonl").read_text(), "an epoch")
    process.send_signal(signal.SIGINT)
    ended(process, 130)
    assert sweeper.states("mine") == ["WAITING", "WAITING"]
    assert json.loads((folder / "experiment.json").read_text())["result"]["status"] == "killed"
    if by_hand:
        resumed = subprocess.run(
            [sys.executable, "-m", "visrun", "resume", str(folder)],
            cwd=sweeper.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        assert json.loads((folder / "experiment.json").read_text())["result"]["status"] == "finished"
        assert sweeper.states("mine") == ["WAITING", "WAITING"]
    before = (folder / "metrics.jsonl").read_text().splitlines()
    sweeper.sweep(*words)
    assert sweeper.states("mine") == ["COMPLETE", "COMPLETE"]
    assert not folder.exists()
    found = [file.read_text().splitlines() for file in folder.parent.glob("[0-9]*/metrics.jsonl")]
    (after,) = (lines for lines in found if lines[0] == before[0])  # under whichever number
    assert len(after) == 3 and after[: len(before)] == before  # their times, too: no epoch was trained again
    trials = [trial for trial in sweeper.trials("mine") if trial.state is TrialState.COMPLETE]
    assert [sorted(trial.intermediate_values) for trial in trials] == [[1, 2, 3], [1, 2, 3]]
