"""What sweeping costs beside the training: a trial's overhead, and how well two slots are used.

    python benchmarks/sweep.py overhead [--trials 100]
    python benchmarks/sweep.py slots
    python benchmarks/sweep.py gap
    python benchmarks/sweep.py tracking

``overhead`` runs the same search with an objective that returns at once, first under visrun's sweeper and then under
the official Optuna sweeper, each through the whole command line, one trial at a time. ``slots`` runs eight jobs that
take 4 s and 1 s in turn on two slots, under both. The ideal is the work shared evenly: 10 s. ``gap`` is the time from
the end of a trial on the demo's digits to the first training step of the next one. ``tracking`` runs the same three
trials with MLflow and without and compares the seconds from a trial's begin to its end.
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
    return types.SimpleNamespace(value=(values.learning_rate - 0.01) ** 2, seconds=0.0, parameters=0, exit_code=0,
                                 status="finished")

visrun.run = sys.modules["visrun.run"] = types.ModuleType("visrun.run")
visrun.run.execute = execute
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
    sweepers = {"visrun": (), "stock": (*STOCK, "hydra/launcher=joblib")}
    if find_spec("hydra_plugins.hydra_joblib_launcher") is None:
        print("the official sweeper needs hydra-joblib-launcher for this; it is left out", file=sys.stderr)
        del sweepers["stock"]
    for name, sweeper in sweepers.items():
        words = ["max_epochs=range(10,18)", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=8", *sweeper]
        times = sorted(swept(words, seconds=LONG_SHORT)[1])
        found[name] = times[-1] - times[0]
        report(f"sweep/slots/{name}", found[name], "s", ratio=found[name] / 10.0, over="sweep/slots/ideal")


def gap() -> None:
    """Median seconds between two trials of one process; the first pair is left out, where everything is imported."""
    with tempfile.TemporaryDirectory() as name:
        trials = demo(Path(name), "learning_rate=range(0.001,0.007,0.001)", "max_epochs=1", "tracking=none")
        begins = [first_step(Path(trial.user_attrs["folder"])) for trial in trials]
    gaps = [begin - ended(trial) for trial, begin in zip(trials[1:], begins[2:], strict=False)]
    report("sweep/gap", median(gaps), "s", longest=round(max(gaps), 3), trials=len(trials))


def tracking() -> None:
    """A trial's share of wall time that MLflow costs, medians over the trials of two sweeps run in turn."""
    seconds: dict[str, list[float]] = {"none": [], "mlflow": []}
    with tempfile.TemporaryDirectory() as name:
        for round_ in range(3):
            for tracker in seconds:
                words = ("learning_rate=0.001,0.002,0.003", "max_epochs=10", "early_stopping_patience=0")
                trials = demo(Path(name) / f"{tracker}{round_}", *words, f"tracking={tracker}")
                seconds[tracker] += [ended(trial) - trial.datetime_start.timestamp() for trial in trials[1:]]
    plain, tracked = median(seconds["none"]), median(seconds["mlflow"])
    report("sweep/tracking/none", plain, "s a trial")
    report("sweep/tracking/mlflow", tracked, "s a trial", ratio=tracked / plain, over="sweep/tracking/none")


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
