"""``visrun check data.root=PATH``: which tasks a folder can serve, what is in it, what is wrong with it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path

from PIL import Image

from visrun.arguments import USAGE, verb_parser
from visrun.console import Screen, counter
from visrun.data.records import Dataset
from visrun.errors import ConfigError, UserError
from visrun.fields import show
from visrun.folders import expanded
from visrun.sheet import sheet
from visrun.survey.look import Survey, look
from visrun.survey.pictures import labelled, samples
from visrun.survey.text import as_text
from visrun.tables import READERS, TASKS

DEFAULTS = {"data.root": "", "task": "", "data": "auto", "data.on_bad": "error", "out": "check.png"}
LABELLED = {"label", "labels", "class"}  # what a table calls a column of class names
# Kinds of target, the most to see first.
RICHEST = ("instances", "rotated_boxes", "mask", "boxes", "verdict", "label", "value")


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
    given = parser.parse_intermixed_args(words)
    options = _options(given.words)
    screen = Screen(stderr=True)
    found, datasets = look(
        options["data.root"],
        tasks=[options["task"]] if options["task"] else None,
        reader=options["data"],
        on_bad="skip" if options["data.on_bad"] == "skip" else "error",
        progress=counter(screen, "checking files"),
    )
    screen.end_progress()
    print(json.dumps(asdict(found), indent=2, ensure_ascii=False) if given.json else as_text(found), flush=True)
    best = _best(found, datasets)
    if best:
        out = expanded(options["out"])
        draw(datasets[best], out)
        if not given.json:
            print(f"\nsheet: {out.absolute()} (labels for task={best})")
    ready = [service.task for service in found.services if service.ready]
    if best in ready and not given.json:
        print(f"train: {shlex.join(['visrun', f'task={best}', f'data.root={found.root}'])}")
    return 0 if ready else 2


def _options(words: Sequence[str]) -> dict[str, str]:
    """The options with their defaults; a word without ``=`` is the folder."""
    options = dict(DEFAULTS)
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in DEFAULTS:
            options[key] = value
        elif expanded(word).exists() or not equals:
            options["data.root"] = word
        else:
            close = get_close_matches(key, DEFAULTS, n=1)
            hint = f"did you mean {close[0]}=?" if close else f"check takes {', '.join(f'{k}=' for k in DEFAULTS)}"
            raise ConfigError(f"{show(word)}: {hint}")
    if not options["data.root"]:
        raise UserError(f"usage: {USAGE['check']}")
    for key, known in (("task", [*TASKS, ""]), ("data", ["auto", *READERS]), ("data.on_bad", ["error", "skip"])):
        if options[key] not in known:
            close = get_close_matches(options[key], known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(filter(None, known))}"
            raise ConfigError(f"{key}={show(options[key])}: {hint}")
    if Path(options["out"]).suffix.lower() not in Image.registered_extensions():
        raise UserError(f"out={options['out']}: name a picture, such as out=check.png")
    return options


def _best(found: Survey, datasets: dict[str, Dataset]) -> str:
    """Of the tasks that can be served, those that are ready before others, the one with most to see; or ""."""
    ready = [service.task for service in found.services if service.ready] or list(datasets)
    known = [task for task in ready if datasets[task].kind in RICHEST]
    return min(known, key=lambda task: _place(datasets[task]), default="")


def _place(dataset: Dataset) -> float:
    """Where a dataset stands among others of one folder; a table of values comes before its values read as labels."""
    measured = dataset.layout == "csv" and not LABELLED & {name.lower() for name in dataset.targets}
    return RICHEST.index("label") - 0.5 if dataset.kind == "value" and measured else RICHEST.index(dataset.kind)


def draw(dataset: Dataset, out: Path) -> None:
    """Write a sheet of labelled samples.

    Raises:
        UserError: The picture cannot be written.
    """
    pictures = [labelled(record, dataset) for record in samples(dataset)]
    try:
        sheet(pictures, out)
    except OSError as error:
        raise UserError(f"out={out}: cannot be written ({error.strerror})") from None
