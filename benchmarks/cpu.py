"""What a training step costs on a CPU: with freed memory kept by the process, and in bf16.

    python benchmarks/cpu.py [--rounds N] [--steps N] [key=value ...]

Rounds of three parts, one after another, on one batch that lies in memory: the step in float32 while glibc hands large
blocks back to the kernel, as it does by itself; the same while they are kept, as in every run; and that in bf16. The
default is the demo of object_detection by dense_resnet18, 8 images of 320 px. Ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from statistics import median

from common import parts_of, report, seconds

from visrun.allocator import give_back, kept_memory

USUAL = ["task=object_detection", "model=dense_resnet18", "data.image_size=320"]
OVER = {"cpu/step_kept": "cpu/step", "cpu/step_bf16": "cpu/step_kept"}


def main() -> None:
    parser = argparse.ArgumentParser(description="a training step on a CPU")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="of each part in a round")
    options, overrides = parser.parse_known_args()
    words = overrides or USUAL
    (full, images), (half, _) = (ready([*words, f"run.precision={name}"]) for name in ("fp32", "bf16"))
    parts = {
        "cpu/step": (full, nullcontext),
        "cpu/step_kept": (full, kept_memory),
        "cpu/step_bf16": (half, kept_memory),
    }
    took: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(options.rounds):
        for name, (step, memory) in parts.items():
            give_back()
            with memory():
                step()  # takes its memory
                took[name].append(seconds(step, options.steps, lambda: None))
    for name, each in took.items():
        facts = {"batch_size": images, "rounds": options.rounds, "overrides": words}
        if name in OVER:
            pairs = zip(took[OVER[name]], each, strict=True)
            facts |= {"over": OVER[name], "ratio": median(other / own for other, own in pairs)}
        report(name, images * options.steps / median(each), "images/s", **facts)


def ready(words: Sequence[str]) -> tuple[Callable[[], None], int]:
    """A run's step on a batch of its own, and how many images that has."""
    made = parts_of(["tracking=none", "run.device=cpu", "model.pretrained=false", *words])
    loader = made.loaders["train"]
    return partial(made.step, next(iter(loader.epoch(0)))), loader.batch_size


if __name__ == "__main__":
    main()
