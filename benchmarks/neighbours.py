"""What two runs on one machine's processor cost each other, by how long OpenMP's threads spin before they sleep.

    python benchmarks/neighbours.py [--spins 300000,3000] [--rounds 3] [key=value ...]

At a barrier a thread of libgomp, which PyTorch's Linux builds bring, turns in a loop for ``GOMP_SPINCOUNT`` rounds and
then sleeps; 300,000 is libgomp's own number. Each round trains one run alone, then two at the same time, with every
number in turn. The first epoch, in which the processes start, is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import absolute, environ, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spins", default="300000,3000", help="numbers to compare; ratios are to the first, alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("overrides", nargs="*", default=["task=regression", "max_epochs=3"], help="of the runs")
    args = parser.parse_args()
    spins = [int(word) for word in args.spins.split(",")]
    took: dict[tuple[int, int], list[float]] = {}
    for _ in range(args.rounds):
        for together in (1, 2):
            for spin in spins:
                took.setdefault((spin, together), []).append(epoch(args.overrides, spin, together))
                print(f"{spin} spins, {together} at once: {took[spin, together][-1]:.2f} s/epoch", file=sys.stderr)
    alone = statistics.median(took[spins[0], 1])
    for (spin, together), found in took.items():
        value = statistics.median(found)
        facts = {"over": f"neighbours/{spins[0]}/1", "rounds": [round(one, 2) for one in found]}
        report(
            f"neighbours/{spin}/{together}", value, "s/epoch", ratio=value / alone, **facts, overrides=args.overrides
        )


def epoch(overrides: list[str], spin: int, together: int) -> float:
    """Mean seconds of an epoch after the first of as many runs at the same time as ``together`` says."""
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / str(number) for number in range(together)]
        words = [*map(absolute, overrides), "tracking=none", "run.device=cpu"]
        runs = [
            subprocess.Popen(
                [sys.executable, "-m", "visrun", *words, f"hydra.run.dir={folder}"],
                env=environ({"GOMP_SPINCOUNT": str(spin)}),
                stdout=subprocess.DEVNULL,
            )
            for folder in folders
        ]
        codes = [run.wait() for run in runs]
        if any(codes):
            raise SystemExit("a run failed; its message stands above")
        return statistics.mean(seconds for folder in folders for seconds in later_epochs(folder))


def later_epochs(folder: Path) -> list[float]:
    """Seconds of each epoch of a run but the first."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    if not lines:
        raise SystemExit("max_epochs must be at least 2: the first epoch is not counted")
    return [json.loads(line)["time/epoch"] for line in lines]


if __name__ == "__main__":
    main()
