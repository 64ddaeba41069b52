"""What plugins put into the tables, looked at before anything reads it: a slip there is one line, not a traceback."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from visrun.config.fields import NAME, one_of, show
from visrun.config.schema import slip
from visrun.config.settings import ModelOptions
from visrun.near import did_you_mean
from visrun.tables import AUGMENTATIONS, MODELS, READERS, SETTINGS, TARGETS, TASKS, ModelEntry, ReaderEntry, TaskEntry
from visrun.tables.entries import Output
from visrun.tables.own import names_in
from visrun.tables.words import Fit

REF = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"
NO_TEXT = r"null|true|false|inf|nan|[0-9_]+(e[0-9_]+)?"  # as Hydra reads what is typed
DECIDING = ("decide", "take")
FITS = get_args(Fit)
OUTPUTS = get_args(Output)


def entry_problems() -> list[str]:
    """One line for each entry's field that is wrong: the entry, what is wrong, what is allowed."""
    named = [*_tables("MODELS", MODELS, ModelEntry), *_tables("TASKS", TASKS, TaskEntry)]
    named += _tables("READERS", READERS, ReaderEntry)
    augmentations = [line for name, ref in AUGMENTATIONS.items() for line in _ref(f'AUGMENTATIONS["{name}"]', ref)]
    settings = [f"SETTINGS[{show(key)}]: {line}" for key, entry in SETTINGS.items() if (line := slip(key, entry))]
    return [*named, *_names("AUGMENTATIONS", AUGMENTATIONS), *augmentations, *settings]


def _tables(table: str, entries: Mapping[Any, Any], kind: type) -> Iterator[str]:
    yield from _names(table, entries)
    for name, entry in entries.items():
        where = f'{table}["{name}"]'
        if not isinstance(entry, kind):
            yield f"{where}={show(entry)}: must be a {kind.__name__}"
        elif isinstance(entry, TaskEntry):
            yield from _task(where, entry)
        elif isinstance(entry, ModelEntry):
            yield from _ref(f"{where}.build", entry.build)
            yield from _serves(where, entry.tasks)
            known = (*ModelOptions.model_fields, *names_in("model_options"))
            yield from _among(f"{where}.options", entry.options, known)
        elif isinstance(entry, ReaderEntry):
            yield from [*_ref(f"{where}.read", entry.read), *_ref(f"{where}.recognise", entry.recognise)]
            yield from _among(f"{where}.targets", entry.targets, TARGETS)
            yield from _among(f"{where}.derived", entry.derived, TARGETS)


def _task(where: str, entry: TaskEntry) -> Iterator[str]:
    yield from _ref(f"{where}.build", entry.build)
    if lacking := half_deciding(_imported(entry.build)):
        yield f"{where}.build: {lacking}"
    yield from _among(f"{where}.target", (entry.target,), TARGETS)
    yield from _among(f"{where}.fit", (entry.fit,), FITS)
    yield from _among(f"{where}.outputs", entry.outputs, OUTPUTS)
    if not isinstance(entry.metrics, dict) or {type(more) for more in entry.metrics.values()} != {bool}:
        yield f"{where}.metrics={show(entry.metrics)}: must say of one metric at least whether more of it is better"
    if not isinstance(entry.losses, dict) or not entry.losses:
        yield f"{where}.losses={show(entry.losses)}: must name one loss at least, the default first"
        return
    yield from _names(f"{where}.losses", entry.losses)
    for name, loss in entry.losses.items():
        yield from _ref(f'{where}.losses["{name}"]', loss)


def half_deciding(task: Any) -> str:
    """What a task, or its class, lacks of the two that `visrun.tasks.base.Deciding` has; "" where it has both or none.

    Without ``take`` the weights of the best epoch would be measured by thresholds of the last.
    """
    has = [name for name in DECIDING if callable(getattr(task, name, None))]
    if len(has) != 1:
        return ""
    other = DECIDING[1 - DECIDING.index(has[0])]
    return f"its class has {has[0]}(), but no {other}(): thresholds chosen on val need both, see visrun.tasks.base"


def _imported(ref: Any) -> Any:
    """What a ``build`` names, where that is imported already; torch may come with it."""
    module, _, name = ref.partition(":") if isinstance(ref, str) else ("", "", "")
    return getattr(sys.modules.get(module), name, None) if name else ref


def _names(table: str, entries: Collection[Any]) -> Iterator[str]:
    for name in entries:
        if not isinstance(name, str) or re.fullmatch(NAME, name) is None:
            yield f"{table}[{json.dumps(name, default=str)}]: a name is made of letters, digits and _"
        elif re.fullmatch(NO_TEXT, name, re.IGNORECASE):
            yield f"{table}[{json.dumps(name)}]: is no text where it is typed; take a name that does not mean a value"


def _ref(where: str, ref: Any) -> Iterator[str]:
    if not callable(ref) and not (isinstance(ref, str) and re.fullmatch(REF, ref)):
        yield f'{where}={show(ref)}: must be a function, or "module:function"'


def _serves(where: str, tasks: Any) -> Iterator[str]:
    """One of ``tasks`` must be there; the others may be of plugins that are not imported in this run."""
    if not isinstance(tasks, tuple) or not set(tasks) & TASKS.keys():
        near = did_you_mean(str(tasks[0]), TASKS) if isinstance(tasks, tuple) and tasks else ""
        yield f"{where}.tasks={show(tasks)}: must be a tuple of tasks: {', '.join(TASKS)}{near}"


def _among(where: str, given: Collection[str], known: Collection[str]) -> Iterator[str]:
    for name in given:
        if name not in known:
            yield f"{where}={show(name)}: must be {one_of(known)}{did_you_mean(str(name), known)}"
