"""How much of the step's speed the whole loop keeps, on the CPU.

    python benchmarks/loop.py [--rounds N] [key=value ...]

Rounds of two parts, in turn first and second. A: one epoch through visrun's own loop (shuffle, gather, augment, step,
schedule, ledger; no evaluation, no checkpoint). B: the same step object on one batch that lies in memory, as often. The
default is the demo's classification run. The ratio is the median over the rounds of A's images/s by B's.
"""

from __future__ import annotations

import argparse
from statistics import median, quantiles
from typing import Any

from common import fit, parts_of, report, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="visrun's loop against its step alone")
    parser.add_argument("--rounds", type=int, default=15, help="at least 2")
    options, overrides = parser.parse_known_args()
    made = parts_of(["tracking=none", "run.device=cpu", *overrides])
    rounds = measured(made, options.rounds)
    ratios = [alone / loop for loop, alone in rounds]
    loader = made.loaders["train"]
    facts = {
        "model": made.portrait()["network"]["name"],
        "batch_size": loader.batch_size,
        "image_size": made.notes["image_size"],
        "rounds": len(rounds),
        "overrides": overrides,
    }
    images = len(loader) * loader.batch_size
    alone = images / median(alone for _, alone in rounds)
    report("loop/step_alone", alone, "images/s", **facts)
    low, _, high = quantiles(ratios, n=4)
    report(
        "loop/end_to_end",
        images / median(loop for loop, _ in rounds),
        "images/s",
        ratio=median(ratios),
        over="loop/step_alone",
        ratio_quartiles=[round(low, 4), round(high, 4)],
        **facts,
    )


def measured(made: Any, rounds: int) -> list[tuple[float, float]]:
    """Seconds of the two parts in each round, after one epoch that warms everything up."""
    from visrun.training import Progress

    progress, loader = Progress(), made.loaders["train"]
    batch = next(iter(loader.epoch(0)))
    fit(made, progress, 1)

    def loop() -> float:
        return fit(made, progress, 1)

    def alone() -> float:
        return seconds(lambda: made.step(batch), len(loader), made.step.ledger.peek)

    results = []
    for number in range(rounds):
        if number % 2:
            second = alone()
            results.append((loop(), second))
        else:
            first = loop()
            results.append((first, alone()))
    return results


if __name__ == "__main__":
    main()
