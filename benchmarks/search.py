"""What a search finds and what it costs: visrun's sweeper with pruning beside the official one without.

    python benchmarks/search.py [--seeds 0,1,2,3,4] [--trials 30] [--pruner successive_halving] [key=value ...]

Both search the same space with as many trials on the same data, from the same sampler's seed; the default is the
demo's classification run with 10 epochs. For each seed: the best validation value and all epochs that were trained. The
last lines hold the medians; the ratio is visrun's epochs by the official sweeper's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median

from common import command, report

SPACE = [
    "optimizer=adam,adamw,sgd",
    "learning_rate=tag(log,interval(1e-5,1e-1))",
    "weight_decay=tag(log,interval(1e-6,1e-1))",
]
USUAL = ["max_epochs=10", "warmup_epochs=1", "early_stopping_patience=0"]


def main() -> None:
    parser = argparse.ArgumentParser(description="search with pruning against search without")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--pruner", default="successive_halving")
    options, words = parser.parse_known_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    sweepers = {
        "stock": [
            "hydra/sweeper=optuna",
            "hydra.sweeper.direction=maximize",
            "hydra.sweeper.n_jobs=1",
            "hydra.sweeper.max_failure_rate=1",
        ],
        "visrun": [f"hydra/sweeper/pruner={options.pruner}"],
    }
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in sweepers}
    for seed in seeds:
        for name, sweeper in sweepers.items():
            own = [*sweeper, f"hydra.sweeper.n_trials={options.trials}", f"hydra.sweeper.sampler.seed={seed}"]
            value, epochs = searched([*SPACE, *own, *(words or USUAL), "tracking=none"])
            found[name].append((value, epochs))
            report(f"search/{name}", value, "best value", epochs=epochs, seed=seed, trials=options.trials)
    values = {name: median(value for value, _ in runs) for name, runs in found.items()}
    epochs = {name: median(count for _, count in runs) for name, runs in found.items()}
    for name in sweepers:
        report(f"search/{name}/median", values[name], "best value", seeds=seeds)
    report("search/epochs/stock", float(epochs["stock"]), "epochs")
    ratio = epochs["visrun"] / epochs["stock"]
    report("search/epochs/visrun", float(epochs["visrun"]), "epochs", ratio=ratio, over="search/epochs/stock")


def searched(words: list[str]) -> tuple[float, int]:
    """The best value that a sweep found, and the epochs that all its trials trained."""
    with tempfile.TemporaryDirectory() as name:
        command("-m", *words, "hydra.sweep.dir=sweep", cwd=Path(name), may_fail=True)
        runs = [
            json.loads(file.read_text(encoding="utf-8")) for file in Path(name).glob("sweep/[0-9]*/experiment.json")
        ]
        rows = [file.read_text(encoding="utf-8").splitlines() for file in Path(name).glob("sweep/[0-9]*/metrics.jsonl")]
    values = [run["result"]["val"]["accuracy"] for run in runs if run["result"]["status"] == "finished"]
    return max(values), sum(map(len, rows))


if __name__ == "__main__":
    main()
