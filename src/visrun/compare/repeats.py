"""Repeats to compare as such: the folders of ``visrun repeat``, each of them one configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visrun.compare.find import short_names
from visrun.compare.runs import Run
from visrun.files import read_object
from visrun.folders import expanded
from visrun.record.sweep_files import REPORT
from visrun.repetition import Repetition, finished, of_one_dataset
from visrun.varied import Varied, varied_in


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """One configuration and its finished runs.

    Args:
        name: Short, and different from the other repeats' names.
        varied: Its seeds, or all folds of its cross-validation.
        runs: One at least.
        example: One of its runs, for what is the same in all of them.
    """

    name: str
    varied: Varied
    runs: tuple[Repetition, ...]
    example: Run


def repeats(given: Sequence[Path], found: Sequence[Run]) -> list[Repeat]:
    """The repeats that folders stand for; [] where they are fewer than two, or one of them is something else.

    Args:
        given: As ``visrun compare`` takes them.
        found: The runs that they stand for.
    """
    folders = list(dict.fromkeys(expanded(path).absolute() for path in given))
    every = [_read(folder, name, found) for folder, name in zip(folders, short_names(folders), strict=True)]
    read = [repeat for repeat in every if repeat]
    return read if len(read) == len(every) > 1 else []


def _read(folder: Path, name: str, found: Sequence[Run]) -> Repeat | None:
    varied = varied_in(read_object(folder / REPORT))
    runs = of_one_dataset(finished(folder, varied)) if varied else []
    example = next((run for run in found if run.folder.parent == folder), None)
    if not (varied and runs and example):
        return None
    return Repeat(name=name, varied=varied, runs=tuple(runs), example=example)
