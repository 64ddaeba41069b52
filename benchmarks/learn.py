"""What the defaults learn from random weights, and how long a run takes from a cold start.

    python benchmarks/learn.py --seeds 0,1,2 task=TASK data.root=PATH [key=value ...]

Each seed is one whole ``visrun`` process with ``model.pretrained=false`` in an empty folder with an empty cache. The
metric is the task's own, on the test split, of the checkpoint that was best on the validation split.
"""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from common import command, report

from visrun.tables import TASKS


def main() -> None:
    parser = argparse.ArgumentParser(description="test metric of the defaults, per seed")
    parser.add_argument("--seeds", default="0,1,2")
    options, words = parser.parse_known_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    untracked = [] if find_spec("mlflow") else ["tracking=none"]
    runs = [trained([*words, "model.pretrained=false", f"seed={seed}", *untracked]) for seed in seeds]
    metric, split = runs[0]["metric"], runs[0]["split"]
    report(
        f"learn/{runs[0]['task']}/median",
        median(run["value"] for run in runs),
        f"{split} {metric}",
        values=[run["value"] for run in runs],
        seeds=seeds,
        seconds=median(run["seconds"] for run in runs),
        command=runs[0]["command"],
    )


def trained(words: Sequence[str]) -> dict[str, Any]:
    """One run, reported."""
    with tempfile.TemporaryDirectory() as name:
        took, _ = command(*words, f"hydra.run.dir={name}/run", cwd=Path(name), fresh=True)
        run = json.loads((Path(name) / "run" / "experiment.json").read_text(encoding="utf-8"))
    task, result = run["task"], run["result"]
    split = "test" if result["test"] else "val"
    metric = TASKS[task].monitor
    found = {
        "task": task,
        "metric": metric,
        "split": split,
        "value": result[split][metric],
        "seconds": round(took, 1),
        "command": shlex.join(["visrun", *words]),
    }
    noted = {key: result[key] for key in ("epochs", "best_epoch", "val", "test")}
    facts = {key: found[key] for key in ("seconds", "command")}
    report(f"learn/{task}", found["value"], f"{split} {metric}", **facts, **noted, seed=run["seed"])
    return found


if __name__ == "__main__":
    main()
