"""``visrun repeat``: one configuration with several seeds, or on every fold, and what its metrics come to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from visrun.arguments import verb_parser
from visrun.config.compose import Resolved, resolve
from visrun.config.configs import open_conf
from visrun.config.fields import show
from visrun.config.overrides import SWEEP_DIR, SWEEPING, hydra_value, hydra_words
from visrun.config.settings import Settings
from visrun.console import Screen
from visrun.errors import ConfigError
from visrun.files import write_atomic
from visrun.numbers import MISSING, number
from visrun.record.sweep_files import REPORT
from visrun.repetition import Repetition, finished, hold_out_others, in_order, of_one_dataset, overlap_of, split_of
from visrun.spread import Spread, spread
from visrun.tables import TASKS
from visrun.text import columns
from visrun.tracking import open_tracker
from visrun.tracking.names import RECORD, experiment_of
from visrun.varied import Varied, read_words, sweep_over

RETRY = "hydra.sweeper.retry_failed"
SPLIT_NOTE = "data without a val split: each seed holds out other images of train, and val/ measures that as well"
FOLD_NOTE = "folds share training images: the intervals are wider for it (Nadeau and Bengio, 2003)"


def main(words: Sequence[str]) -> int:
    """Run them all, print what their metrics come to, and return the exit code.

    Raises:
        ConfigError: The words are no valid configuration, or sweep over something else.
        VisrunError: The sweep cannot run.
    """
    parser = verb_parser("repeat")
    parser.add_argument("--config-dir", metavar="DIR", type=Path, help="config files that go before visrun's own")
    given = parser.parse_intermixed_args(words)
    varied, rest = read_words(given.words)
    of_one = [word for word in rest if not word.lstrip("+~").startswith(SWEEPING)]
    conf = open_conf(Path.cwd(), given.config_dir)
    resolved = resolve([*of_one, f"{varied.key}={varied.values[0]}"], conf=conf)
    flags = ["--config-dir", str(given.config_dir)] if given.config_dir else []
    _check_folder(rest)
    worker = hydra_value("hydra.sweeper.worker", rest) == "True"

    from visrun import launch  # Hydra

    folder, made, named = launch.sweep_folder("repeat", hydra_words(rest), resolved, conf)
    with launch.removed_if_empty(folder if made else None):
        again = [] if worker or any(RETRY in word for word in rest) else [f"{RETRY}=true"]
        typed = ["-m", *flags, *rest, *named, *again, *sweep_over(varied)]
        code = launch.main(typed, command=["repeat", *words])
    if code in (0, 1) and not worker:
        conclude(folder, varied, resolved)
    return code


def _check_folder(words: Sequence[str]) -> None:
    """Refuse a folder that Hydra would make up (``${now:...}``), since repeat has to find the runs in it.

    Raises:
        ConfigError: hydra.sweep.dir is no plain path.
    """
    for word in words:
        key, _, folder = word.partition("=")
        if key == SWEEP_DIR and "${" in folder:
            plain = folder.strip("'\"")
            raise ConfigError(f"{key}={show(plain)}: repeat takes a plain path")


def conclude(folder: Path, varied: Varied, resolved: Resolved) -> None:
    """Write repeat.json, print its table, tell the sweep's run in MLflow.

    Args:
        folder: The sweep's.
        varied: Those asked for.
        resolved: The configuration with the first of them.
    """
    screen, settings = Screen(), resolved.settings
    every = finished(folder, varied)
    runs = of_one_dataset(every)
    known = {run.value for run in every}
    if missing := ", ".join(str(value) for value in varied.values if value not in known):
        screen.warn(f"{varied.word} {missing} have no finished run and count for nothing; going on runs them again")
    if others := ", ".join(str(run.value) for run in every if run not in runs):
        screen.warn(
            f"{varied.word} {others} were run before the dataset changed and count for nothing; repeat into another "
            f"folder, {SWEEP_DIR}=DIR, to run all on the same data"
        )
    if not runs:
        return
    monitor = TASKS[settings.task].judged_by(settings.run.monitor).monitor
    found = summary(runs, monitor=monitor, folds=varied.overlap, range_of=TASKS[settings.task].range_of)
    write_atomic(folder / REPORT, (json.dumps(report(found, runs, settings, varied), indent=2) + "\n").encode())
    warning = _track(folder, found, settings)
    if warning:
        screen.warn(warning)
    for line in lines(found, runs, settings, varied):
        print(line)
    print(f"written: {folder / REPORT}")


def summary(
    runs: Sequence[Repetition], *, monitor: str, range_of: Callable[[str], tuple[float, float]], folds: float = 0.0
) -> dict[str, Spread]:
    """The spread of each metric over the runs that have it: val before test, and of each the monitored one first.

    Args:
        runs: One at least.
        monitor: The metric that picks the best epoch.
        range_of: Tells the least and the greatest value of a metric, where intervals end.
        folds: The overlap of the folds of a cross-validation, see `spread`; 0 of seeds, whose own hold-outs overlap.
    """
    keys = in_order((key for run in runs for key in run.metrics), monitor)
    return {
        key: spread(
            [run.metrics[key] for run in runs if key in run.metrics],
            overlap=overlap_of(runs, split_of(key), folds=folds),
            within=range_of(key.partition("/")[2]),
        )
        for key in keys
    }


def report(
    found: Mapping[str, Spread], runs: Sequence[Repetition], settings: Settings, varied: Varied
) -> dict[str, Any]:
    """The content of repeat.json."""
    return {
        "task": settings.task,
        "model": settings.model.name,
        "metrics": {key: asdict(value) for key, value in found.items()},
        "runs": [{varied.name: run.value, "folder": run.folder.name, **run.metrics} for run in runs],
    }


def lines(found: Mapping[str, Spread], runs: Sequence[Repetition], settings: Settings, varied: Varied) -> list[str]:
    """What a person reads: a table of the metrics, without those of single classes or targets."""
    shown = {key: value for key, value in found.items() if key.count("/") == 1}
    table = [("metric", "runs", "mean", "std", "95 % interval")]
    for key, value in shown.items():
        interval = f"{_number(value.low)} to {_number(value.high)}" if value.n > 1 else MISSING
        table.append((key, str(value.n), number(value.mean), _number(value.std), interval))
    values = ", ".join(str(run.value) for run in runs)
    text = [f"task={settings.task} model={settings.model.name}, {varied.word} {values}", *columns(table)]
    if len(runs) < 2:
        text.append(f"one run tells no spread: standard deviation and interval need two {varied.word} or more")
    if len(shown) < len(found):
        text.append(f"{REPORT} holds {len(found) - len(shown)} more, of single classes or targets")
    if varied.word == "folds":
        return [*text, FOLD_NOTE]
    return [*text, SPLIT_NOTE] if hold_out_others(runs) else text


def _number(value: float | None) -> str:
    return MISSING if value is None else number(value)


def _track(folder: Path, found: Mapping[str, Spread], settings: Settings) -> str | None:
    """Add the statistics to the sweep's run; what its store did not take, in one line."""
    if not (folder / RECORD).is_file():
        return None
    values = {
        f"repeat/{key}/{name}": value
        for key, item in found.items()
        for name, value in asdict(item).items()
        if value is not None
    }
    tracker = open_tracker(
        settings.tracking.name,
        uri=settings.tracking.uri,
        experiment=experiment_of(settings.task, settings.tracking.experiment),
        run_name=folder.name,
        record=folder / RECORD,
        names=values,
        kept=f"{REPORT} in the sweep's folder holds every value",
    )
    tracker.start()
    tracker.summary(values)
    tracker.artifact(folder / REPORT)
    return tracker.finish("finished")
