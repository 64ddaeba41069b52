"""The words of ``visrun repeat``: which seeds or folds its runs have, the sweep that runs them, their report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visrun.config.checks import problems_of
from visrun.config.fields import show
from visrun.config.kinds import MOST_FOLDS
from visrun.config.sweeper import AUTO
from visrun.config.sweeper import NAME as SWEEPER
from visrun.errors import ConfigError
from visrun.files import part_of
from visrun.numbers import is_int

USUAL, MOST = 5, 1000  # runs
VARIED = {"seeds": "seed", "folds": "data.fold"}  # what is typed -> the setting that it gives each run
REFUSED = ("hydra.sweeper.params", "hydra.sweeper.start_points", "hydra.mode")
CUTTING = ("hydra.sweeper.n_trials", "hydra.sweeper.pruner", "hydra/sweeper/pruner")  # some seeds, or their ends, off


@dataclass(frozen=True)
class Varied:
    """What differs between the runs: ``seeds`` or ``folds``, and these in their order, folds as ``2/5``."""

    word: str
    values: tuple[int | str, ...]

    @property
    def key(self) -> str:
        """The setting."""
        return VARIED[self.word]

    @property
    def name(self) -> str:
        """One of them in a word: seed or fold."""
        return self.key.rpartition(".")[2]

    @property
    def overlap(self) -> float:
        """How many images each run validates on for one that it learns from, where runs share these; see `spread`."""
        return 1 / (len(self.values) - 1) if self.word == "folds" else 0.0

    def of(self, content: Mapping[str, Any]) -> int | str | None:
        """The one of a run whose experiment.json has this ``content``."""
        section, _, name = self.key.rpartition(".")
        value: int | str | None = (part_of(content, section) if section else content).get(name)
        return value


def read_words(words: Sequence[str]) -> tuple[Varied, list[str]]:
    """What varies, and the words of the run.

    Raises:
        ConfigError: ``seeds=`` is no count and no list, ``folds=`` no count, or another word would sweep as well.
    """
    named = [word for word in words if word.partition("=")[0] in VARIED]
    rest = [word for word in words if word not in named]
    if len(named) > 1:
        raise ConfigError(f"{' and '.join(named)}: repeat varies one thing; keep one")
    word, _, text = (named[0] if named else f"seeds={USUAL}").partition("=")
    varied = Varied(word, tuple(_seeds(text) if word == "seeds" else _folds(text)))
    for word in rest:
        key, _, value = word.lstrip("+").partition("=")
        if key == varied.key:
            instead = f"write seeds=[{value}]" if key == "seed" else "leave it out"
            raise ConfigError(f"{key}={value}: repeat gives each run a {varied.name}; {instead}")
        if key == "sweep" or key.startswith(REFUSED) or (key == "hydra/sweeper" and value != SWEEPER):
            raise ConfigError(f"{word}: repeat varies the {varied.name} alone; visrun -m runs sweeps")
        if key.startswith(CUTTING) and value not in ("none", AUTO):
            raise ConfigError(
                f"{word}: repeat runs each {varied.name} to its end, or the mean is of some; leave it out"
            )
    return varied, rest


def _seeds(text: str) -> list[int]:
    """``5`` stands for 0 to 4, ``[3,7,11]`` for these."""
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST:
        return list(range(int(text)))
    listed = re.fullmatch(r"\[\s*\d+\s*(,\s*\d+\s*)*\]", text, re.ASCII)
    seeds = [int(seed) for seed in text[1:-1].split(",")] if listed else []
    if not seeds or len(seeds) > MOST or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds={show(text)}: must be a count from 1 to {MOST}, or different seeds such as [3,7,11]")
    problems = [line for seed in seeds for line in problems_of("seed", seed)]
    if problems:
        raise ConfigError(problems)
    return seeds


def _folds(text: str) -> list[str]:
    """``5`` stands for 1/5 to 5/5."""
    if not (text.isascii() and text.isdecimal() and 2 <= int(text) <= MOST_FOLDS):
        raise ConfigError(f"folds={show(text)}: must be a count from 2 to {MOST_FOLDS}")
    return [f"{number}/{int(text)}" for number in range(1, int(text) + 1)]


def sweep_over(varied: Varied) -> list[str]:
    """The words that have these run and no others.

    Of seeds the space is the numbers up to the greatest: they can be more when the same repeat is gone on with, choices
    cannot.
    """
    if varied.word == "folds":
        return [f"{varied.key}={','.join(map(str, varied.values))}"]
    count, greatest = len(varied.values), max(map(int, varied.values))
    space = f"{varied.key}=interval(0,{greatest})"
    if greatest < count:
        return [space]
    points = ",".join(f"{{{varied.key}:{seed}}}" for seed in varied.values)
    sweeper = [f"hydra.sweeper.n_trials={count}", f"hydra.sweeper.start_points=[{points}]"]
    return [space, "hydra/sweeper/sampler=grid", *sweeper]


def varied_in(report: Mapping[str, Any]) -> Varied | None:
    """The seeds of the runs in a repeat.json, or all folds of its cross-validation; None where it tells of neither."""
    listed = report.get("runs")
    runs = [run for run in listed if isinstance(run, dict)] if isinstance(listed, list) else []
    seeds = [run["seed"] for run in runs if is_int(run.get("seed"))]
    if seeds:
        return Varied("seeds", tuple(dict.fromkeys(seeds)))
    counts = [run["fold"].partition("/")[2] for run in runs if isinstance(run.get("fold"), str)]
    try:
        return Varied("folds", tuple(_folds(counts[0]))) if counts else None
    except ConfigError:
        return None
