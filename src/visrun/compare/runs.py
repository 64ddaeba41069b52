"""A run to compare, read from its folder without a training library.

Whatever a run's folder holds is taken as it is: a comparison also shows runs that failed, that still train, and that
another version wrote. Only a folder without a readable experiment.json is no run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visrun.errors import PLUGIN_HINT, UserError
from visrun.files import part_of
from visrun.numbers import numbers_of
from visrun.record.epochs import Row, best_row, monitor_of, read_epochs
from visrun.record.run_folder import read_json, writer_of
from visrun.record.run_settings import judged, settings_of, task_of, text
from visrun.run_files import FILE_NAME, METRICS, SECONDS, is_metric
from visrun.tables import TaskEntry

UNSET = "null"  # of a setting that leaves the choice to the run


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run as its folder tells it.

    Args:
        folder: Its absolute path.
        name: Short, and different from the other runs' names.
        task: A name of ``TASKS``.
        entry: What is known of it, by the metric that this run monitors.
        settings: Setting -> value as text, in the schema's order, of everything this run reads.
        rows: The epochs of metrics.jsonl, ascending, undefined values left out.
        best_epoch: The epoch with the best monitored metric; 0 where there is none.
        val: The metrics of that epoch.
        test: The best checkpoint's metrics on the test split; {} where there is none.
        status: finished, pruned, failed, killed, running, or unfinished where no living process writes it.
        reason: Why it ended, where it says so.
        fingerprint: Of the data it was trained on, if it came to read them.
        fingerprints: Of the images in ``val`` and in ``test`` alone.
    """

    folder: Path
    name: str
    task: str
    entry: TaskEntry
    settings: dict[str, str]
    rows: tuple[Row, ...]
    best_epoch: int
    val: dict[str, float]
    test: dict[str, float]
    status: str
    reason: str = ""
    fingerprint: str | None = None
    fingerprints: dict[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether it trained to a good end, so that its value counts."""
        return self.status == "finished"

    @property
    def epochs(self) -> int:
        """Epochs trained and evaluated."""
        return int(self.rows[-1]["epoch"]) if self.rows else 0

    @property
    def seconds(self) -> float | None:
        """Training time up to the last of them."""
        return self.rows[-1].get(SECONDS) if self.rows else None

    @property
    def value(self) -> float | None:
        """The monitored metric of the best epoch."""
        return self.val.get(self.monitor)

    @property
    def val_loss(self) -> float | None:
        """The validation loss of the best epoch."""
        return next((row.get("val_loss") for row in self.rows if row["epoch"] == self.best_epoch), None)

    @property
    def monitor(self) -> str:
        """The monitored metric, as this run names it."""
        return self.entry.monitored(self.val)


def read_run(folder: Path) -> Run:
    """The run in ``folder``.

    Raises:
        UserError: Its experiment.json or metrics.jsonl cannot be read, or tells of no task that is known.
    """
    content = _content(folder / FILE_NAME)
    task = task_of(content)
    entry = judged(task, content) if isinstance(task, str) else None
    if entry is None:
        raise UserError(f"{folder / FILE_NAME}: task={json.dumps(task)} is not known here{PLUGIN_HINT}")
    rows = tuple(map(_printable, read_epochs(folder / METRICS)))
    result = part_of(content, "result")
    best = best_row(rows, monitor_of(rows, entry), maximize=entry.maximize)
    val = {key: value for key, value in (best or {}).items() if is_metric(key)}
    status = text(result.get("status", "unknown"))
    if status == "running" and writer_of(folder) is None:
        status = "unfinished"
    fingerprint = part_of(content, "data").get("fingerprint")
    return Run(
        folder=folder,
        name=folder.name,
        task=task,
        entry=entry,
        settings=settings_of(content),
        rows=rows,
        best_epoch=int(best["epoch"]) if best else 0,
        val=val or _printable(numbers_of(result.get("val"))),
        test=_printable(numbers_of(result.get("test"))) if status == "finished" else {},
        status=status,
        reason=text(result.get("reason", "")),
        fingerprint=fingerprint if isinstance(fingerprint, str) else None,
        fingerprints={key: str(value) for key, value in part_of(result, "fingerprints").items()},
    )


def contenders(runs: Sequence[Run]) -> list[Run]:
    """The runs that may be the best: the finished ones, or all where none is finished."""
    return [run for run in runs if run.finished] or list(runs)


def ranked(runs: Sequence[Run]) -> list[Run]:
    """Of those with a value the runs that may be the best."""
    return contenders([run for run in runs if run.value is not None])


def judging(runs: Sequence[Run]) -> Run:
    """The run by whose metric they are ranked: the first of those that are."""
    return next(iter(ranked(runs)), runs[0])


def same_images(runs: Sequence[Run], split: str) -> bool:
    """Whether the figures on ``split`` of all that have any are of the same images, as far as the runs tell."""
    measured = [run for run in runs if (run.test if split == "test" else run.val)]
    told = [run.fingerprints.get(split) for run in measured]
    if None not in told:
        return len(set(told)) <= 1
    return len({run.fingerprint for run in measured if run.fingerprint}) <= 1


def same_ruler(runs: Sequence[Run], metric: str) -> bool:
    """Whether a metric is measured on pixels of the same size in all runs that have it."""
    measured = [run for run in runs if metric in run.val or metric in run.test]
    return not any(run.entry.is_by_pixel(metric) for run in measured) or len({*map(_ruler, measured)}) <= 1


def _ruler(run: Run) -> tuple[str | None, str]:
    """The size of its training images, and how files meet it."""
    fit = run.settings.get("data.resize", UNSET)
    return run.settings.get("data.image_size"), run.entry.fit if fit == UNSET else fit


def _content(file: Path) -> dict[str, Any]:
    content = read_json(file)
    if not isinstance(content.get("hyperparameters"), dict):
        raise UserError(f'{file}: has no "hyperparameters", so no run wrote it')
    return content


def _printable(numbers: Mapping[str, float]) -> dict[str, float]:
    """Under names for a terminal, since classes may be called anything."""
    return {text(key): value for key, value in numbers.items()}
