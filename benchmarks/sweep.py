"""What sweeping costs beside the training: a trial's overhead, the use of two slots, the gap between trials, logging.

    python benchmarks/sweep.py overhead [--trials 100]
    python benchmarks/sweep.py slots
    python benchmarks/sweep.py gap
    python benchmarks/sweep.py tracking

``overhead`` runs the same search with an objective that returns at once, first under visrun's sweeper and then under
the official Optuna sweeper, each through the whole command line, one trial at a time. ``slots`` runs eight jobs that
take 4 s and 1 s in turn on two slots, under both. The ideal is the work shared evenly: 10 s. ``gap`` is the time from
the end of a trial on the demo's digits to the first training step of the next one. ``tracking`` is the share of a
trial's time that logging it to MLflow takes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median
from typing import Any

from common import command, report

# Stands in for training: visrun imports it as a plugin, before anything asks for visrun.run.
OBJECTIVE = """
import os, sys, time, types
import visrun

def execute(resolved, folder, *, trial=None):
    values = resolved.hyperparameters
    with open("{log}", "a") as file:
        file.write(f"{{time.time()}}\\n")
    if trial is not None:
        trial.begin(folder)
        trial.report(1, values.learning_rate, 0.0)
    time.sleep({seconds})
    if trial is not None:
        trial.end(epochs=1, seconds=0.0)
    with open("{log}", "a") as file:
        file.write(f"{{time.time()}}\\n")
    return types.SimpleNamespace(status="finished", value=(values.learning_rate - 0.01) ** 2, best_epoch=1, seconds=0.0,
                                 parameters=0, exit_code=0)

visrun.run = sys.modules["visrun.run"] = types.ModuleType("visrun.run")
visrun.run.execute = execute
"""
# Notes what a tracker takes: the seconds that its callers wait for it, and the processor time of its thread.
TRACKED = """
import json, os, threading, time
from visrun.tracking import worker

run, made_by = threading.Thread.run, worker.MlflowTracker

def note(what, seconds):
    with open("{log}", "a") as file:
        file.write(json.dumps([os.getpid(), what, seconds]) + "\\n")

def timed_run(thread):
    began = time.thread_time()
    run(thread)
    if thread.name == "visrun-mlflow":
        note("busy", time.thread_time() - began)

def tracker(**options):
    made, waited = made_by(**options), []

    def timed(name, method):
        def call(*arguments, **more):
            began = time.perf_counter()
            try:
                return method(*arguments, **more)
            finally:
                waited.append(time.perf_counter() - began)
                if name == "finish":
                    note("waited", sum(waited))
        return call

    for name in ("start", "wait", "epoch", "values", "summary", "artifact", "tags", "model", "finish"):
        setattr(made, name, timed(name, getattr(made, name)))
    return made

threading.Thread.run = timed_run
worker.MlflowTracker = tracker
"""
LONG_SHORT = "4.0 if values.max_epochs % 2 else 1.0"
STOCK = ("hydra/sweeper=optuna", "hydra.sweeper.storage='sqlite:///stock.db'", "hydra.sweeper.direction=minimize")


def main() -> None:
    parser = argparse.ArgumentParser(description="what sweeping costs")
    parser.add_argument("what", choices=["overhead", "slots", "gap", "tracking"])
    parser.add_argument("--trials", type=int, default=100)
    options = parser.parse_args()
    if options.what == "overhead":
        overhead(options.trials)
    else:
        {"slots": slots, "gap": gap, "tracking": tracking}[options.what]()


def overhead(trials: int) -> None:
    """Milliseconds from the end of one objective to the begin of the next one, mean over all trials."""
    space = ["learning_rate=tag(log,interval(1e-5,1e-1))", "optimizer=adam,adamw,sgd", "weight_decay=interval(0,0.1)"]
    found = {}
    for name, sweeper in (("visrun", ()), ("stock", STOCK)):
        times = swept([*space, f"hydra.sweeper.n_trials={trials}", "hydra.sweeper.n_jobs=1", *sweeper], seconds="0")[1]
        found[name] = 1000 * mean(begin - end for end, begin in zip(times[1::2], times[2::2], strict=False))
    report("sweep/overhead/stock", found["stock"], "ms a trial", trials=trials)
    ratio = found["visrun"] / found["stock"]
    report("sweep/overhead", found["visrun"], "ms a trial", ratio=ratio, over="sweep/overhead/stock", trials=trials)


def slots() -> None:
    """Seconds from the first objective's begin to the last one's end."""
    found = {}
    report("sweep/slots/ideal", 10.0, "s")
    sweepers = {"visrun": (), "stock": (*STOCK, "hydra/sweeper/sampler=grid", "hydra/launcher=joblib")}
    if find_spec("hydra_plugins.hydra_joblib_launcher") is None:
        print("the official sweeper needs hydra-joblib-launcher for this; it is left out", file=sys.stderr)
        del sweepers["stock"]
    for name, sweeper in sweepers.items():
        words = ["max_epochs=range(10,18)", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=8", *sweeper]
        times = sorted(swept(words, seconds=LONG_SHORT)[1])
        found[name] = times[-1] - times[0]
        report(f"sweep/slots/{name}", found[name], "s", ratio=found[name] / 10.0, over="sweep/slots/ideal")


def gap() -> None:
    """Median seconds from the end of a trial to the first step of the next one in the same process."""
    with tempfile.TemporaryDirectory() as name:
        trials = demo(Path(name), "learning_rate=range(0.001,0.007,0.001)", "max_epochs=1", "tracking=none")
        begins = [first_step(Path(trial.user_attrs["folder"])) for trial in trials]
    gaps = [begin - ended(trial) for trial, begin in zip(trials, begins[1:], strict=False)]
    facts = {"first": round(gaps[0], 3), "longest": round(max(gaps), 3), "trials": len(trials)}
    report("sweep/gap", median(gaps), "s", **facts)


def tracking() -> None:
    """The most that logging to MLflow can add to a trial, as a share of its wall time, median over a sweep's trials.

    Two runs of one trial differ by more than that, so what logging takes is measured where it is spent: the seconds
    that the trial waits for the tracker, and the processor time of the tracker's own thread, as if nothing else could
    run meanwhile. The first trial is left out, where MLflow is imported.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "logged"
        (folder / "logged_seconds.py").write_text(TRACKED.format(log=log), encoding="utf-8")
        space = "learning_rate=0.001,0.002,0.003,0.004,0.005"
        trials = demo(folder, space, "max_epochs=10", "early_stopping_patience=0", "plugins=[logged_seconds]")
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    mine = {trial.user_attrs["pid"] for trial in trials}
    waited, busy = (
        [seconds for pid, what, seconds in lines if pid in mine and what == kind] for kind in ("waited", "busy")
    )
    took = [ended(trial) - trial.datetime_start.timestamp() for trial in trials]
    shares = [100 * (a + b) / seconds for a, b, seconds in zip(waited, busy, took, strict=True)]
    facts = {"waited": round(median(waited[1:]), 3), "busy": round(median(busy[1:]), 3)}
    report("sweep/tracking", median(shares[1:]), "% of a trial", trial=round(median(took[1:]), 2), **facts)


def demo(folder: Path, *words: str) -> list[Any]:
    """The trials of a real sweep over the demo's digits."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    folder.mkdir(exist_ok=True)
    command("-m", *words, "hydra.sweeper.study_name=demo", cwd=folder)
    storage = JournalStorage(JournalFileBackend(str(folder / "multirun" / "demo" / "study.journal")))
    return optuna.load_study(study_name="demo", storage=storage).trials


def ended(trial: Any) -> float:
    """When a trial ended, in seconds since 1970."""
    return float(trial.datetime_complete.timestamp())


def first_step(folder: Path) -> float:
    """When a run of one epoch began to train: its line was written then, and says how long it had trained."""
    file = folder / "metrics.jsonl"
    return file.stat().st_mtime - float(json.loads(file.read_text(encoding="utf-8"))["time/total"])


def swept(words: list[str], *, seconds: str) -> tuple[float, list[float]]:
    """Run a sweep in an empty folder: its seconds, and when its objectives began and ended."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "times"
        (folder / "objective.py").write_text(OBJECTIVE.format(log=log, seconds=seconds), encoding="utf-8")
        took, _ = command("-m", "plugins=[objective]", "tracking=none", *words, cwd=folder)
        return took, [float(line) for line in log.read_text().splitlines()]


if __name__ == "__main__":
    main()
