"""``visrun check data.root=PATH``: which tasks a folder can serve, what is in it, what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from visrun.arguments import VERBS, options, verb_parser
from visrun.config import plugins
from visrun.config.fields import one_of, show, validate
from visrun.config.setting_rules import SPLITTING
from visrun.config.settings import Settings
from visrun.console import Screen
from visrun.data.cells import names_label
from visrun.data.records import Dataset
from visrun.errors import ConfigError, UserError
from visrun.figures.sheet import FORMATS, arranged
from visrun.files import write_named
from visrun.folders import expanded
from visrun.near import did_you_mean
from visrun.survey.look import Survey, look
from visrun.survey.pictures import labelled, samples
from visrun.survey.text import as_text
from visrun.tables import READERS, TARGETS, TASKS
from visrun.tables.words import OnBad
from visrun.text import written_out

CHOOSING = ("data.targets", "data.classes", *(f"data.{name}" for name in SPLITTING), "seed")  # as a run takes them
DEFAULTS = {"data.root": "", "task": "", "data": "auto", "data.on_bad": "error", "out": "check.png"}
DEFAULTS |= dict.fromkeys(CHOOSING, "")
CORNERS = 4  # of a turned box


def main(words: Sequence[str]) -> int:
    """Print the survey, or with ``--json`` one JSON object; draw a sheet of labelled samples.

    Returns:
        0 where a run could start on the folder as it is, for one task or for the one named; else 2.

    Raises:
        UserError: Words that mean nothing here, or a sheet that cannot be written.
        DataError: There is nothing at ``data.root``.
    """
    parser = verb_parser("check")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_intermixed_args(plugins.take(words, cwd=Path.cwd()))
    asked = _asked(given.words)
    screen = Screen(stderr=True)
    try:
        found, datasets = look(
            asked["data.root"],
            tasks=[asked["task"]] if asked["task"] else None,
            reader=asked["data"],
            on_bad="skip" if asked["data.on_bad"] == "skip" else "error",
            pixels=True,
            progress=screen.progress,
            **_choice(asked),
        )
    finally:
        screen.end_progress()
    told = json.dumps(asdict(found), indent=2, ensure_ascii=False) if given.json else written_out(as_text(found))
    print(told, flush=True)
    best = _best(found, datasets)
    if best:
        out = expanded(asked["out"])
        draw(datasets[best], out)
        if not given.json:
            print(f"\nsheet: {out.absolute()} (labels for task={best})")
    ready = [service.task for service in found.services if service.ready]
    if best in ready and not given.json:
        print(f"train: {plugins.command(*_run(datasets[best], best, asked))}")
    return 0 if ready else 2


def _run(dataset: Dataset, task: str, asked: Mapping[str, str]) -> list[str]:
    """The words of a run that reads what was looked at."""
    words = [f"task={task}", f"data.root={dataset.root}"]
    words += [f"{key}={asked[key]}" for key in ("data", "data.on_bad", *CHOOSING) if asked[key] != DEFAULTS[key]]
    return [*words, "loss=bce"] if dataset.multilabel else words


def _asked(words: Sequence[str]) -> dict[str, str]:
    """The options with their defaults; a word without ``=`` is the folder."""
    given, folders = options("check", words, tuple(DEFAULTS))
    roots = [*folders, *([given["data.root"]] if "data.root" in given else [])]
    if not any(roots):
        raise UserError(f"usage: {VERBS['check'].usage}")
    if len(roots) > 1:
        raise ConfigError(f"data.root is given twice: {show(roots[0])} and {show(roots[1])}; keep one")
    _, wrong = validate(Settings, {"data": {"root": roots[0]}})
    if wrong:
        raise ConfigError(list(wrong.values()))
    asked = DEFAULTS | given | {"data.root": roots[0]}
    for key, known in (("task", [*TASKS, ""]), ("data", ["auto", *READERS]), ("data.on_bad", get_args(OnBad))):
        if asked[key] not in known:
            names = list(filter(None, known))
            hint = did_you_mean(asked[key], names)
            raise ConfigError(f"{key}={show(asked[key])}: must be {one_of(names)}{hint}")
    if Path(asked["out"]).suffix.lower() not in FORMATS:
        raise UserError(f"out={asked['out']}: must end in {one_of(FORMATS)}, such as out=check.png")
    return asked


def _choice(asked: Mapping[str, str]) -> dict[str, Any]:
    """What the words of ``CHOOSING`` choose, as `look` takes it.

    Raises:
        ConfigError: A value that a run would not take either.
    """
    given = {key: asked[key] for key in CHOOSING if asked[key]}
    if not given:
        return {}
    from visrun.config.overrides import value_of  # Hydra: the other words do without

    values = {key.removeprefix("data."): value_of(key, text, cwd=Path.cwd()) for key, text in given.items()}
    seed = {"seed": values.pop("seed")} if "seed" in values else {}
    settings, wrong = validate(Settings, {"data": values, **seed})
    if settings is None:
        raise ConfigError(list(wrong.values()))
    return {**{name: getattr(settings.data, name) for name in values}, "seed": settings.seed}


def _best(found: Survey, datasets: dict[str, Dataset]) -> str:
    """Of the tasks that can be served, those that are ready before others, the one with most to see; or ""."""
    ready = [service.task for service in found.services if service.ready] or list(datasets)
    return min(ready, key=lambda task: _place(datasets[task]), default="")


def _place(dataset: Dataset) -> float:
    """Where a dataset stands among others of one folder.

    A table of values comes before its values read as labels, but not columns of 0 and 1; turned boxes come
    before the same read as outlines; defects in training that no mask marks come after them, since a class may well be
    called ``normal``.
    """
    label, own = (list(TARGETS).index(kind) for kind in ("label", dataset.kind))
    measured = dataset.layout == "csv" and not any(map(names_label, dataset.targets))
    if dataset.kind == "value" and measured and not _are_flags(dataset):
        return label - 0.5
    if dataset.kind == "instances" and _are_quads(dataset):
        return list(TARGETS).index("rotated_boxes") + 0.5
    return label + 0.5 if dataset.defects.get("train") and not _marks_defects(dataset) else own


def _are_flags(dataset: Dataset) -> bool:
    values = {value for records in dataset.splits.values() for record in records for value in record.target}
    return len(dataset.targets) > 1 and values <= {0.0, 1.0}


def _are_quads(dataset: Dataset) -> bool:
    outlines = [
        one for records in dataset.splits.values() for record in records for one in record.target.outlines or ()
    ]
    return all(isinstance(one, tuple) and [*map(len, one)] == [CORNERS] for one in outlines)


def _marks_defects(dataset: Dataset) -> bool:
    return any(record.target.marked for records in dataset.splits.values() for record in records)


def draw(dataset: Dataset, out: Path) -> None:
    """Write a sheet of labelled samples.

    Raises:
        UserError: The picture cannot be written.
    """
    write_named(out, arranged([labelled(record, dataset) for record in samples(dataset)], out.suffix.lower()))
