"""One sweep as the page shows it: its trials from trials.csv and their folders, its best, what matters."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from visrun.config import setting_rules
from visrun.config.fields import flatten
from visrun.errors import UserError
from visrun.files import read_object, read_plain
from visrun.hyperparameters import defaults
from visrun.numbers import evenly, numbers_of
from visrun.record.epochs import monitor_of
from visrun.record.run_settings import judged
from visrun.record.sweep_files import ATTRIBUTE, IMPORTANCE, JOURNAL, LEAD
from visrun.record.sweep_table import FACTS, SETTLED, finite_in, table_of
from visrun.result import ENDINGS
from visrun.run_files import FILE_NAME, METRICS, PLOTS
from visrun.text import plural
from visrun.web.library import Library
from visrun.web.processes import going_on
from visrun.web.runs import ends, log_lines, pictures, refusals
from visrun.web.state import TELLING, Facts, folder_facts, is_complete, repeat_of, rows_of

# In a line of a study's journal: what everybody has to know of the study.
NOTED = f'"user_attr":{{"{ATTRIBUTE}":'.encode()
SPARKS = 60  # points of a trial's little curve, at most
COUNTED = ("complete", "running", "pruned", "failed", "stopped")  # states that the page counts, in its order
STATES = {"finished": "complete", "killed": "stopped", "unfinished": "stopped"}  # of a run -> of its trial


def detail(folder: Path, library: Library) -> dict[str, Any]:
    """Everything of a sweep, as plain JSON types."""
    facts, study, lead = folder_facts(folder), study_of(folder), read_object(folder / LEAD)
    head, table = table_of(folder)
    folders = {int(path.name): path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()}
    if table:  # a trial that was lost as it started is in no row
        folders = {n: path for n, path in folders.items() if n in table or (path / FILE_NAME).is_file()}
    first = folder_facts(folders[min(folders)]) if folders else None
    task = str(study.get("task") or facts.ui.get("task") or (first.experiment.get("task") if first else "") or "")
    entry = judged(task, first.experiment if first else {})
    objectives = names_in(study.get("objectives")) or ([entry.monitor] if entry else [])
    params = [name for name in head if name not in (*FACTS, *objectives)] or names_in(facts.ui.get("space"))
    read = partial(_live, params=params, task=task, library=library)
    lives = continued({number: read(folder) for number, folder in folders.items()}, table, living=facts.living)
    trials = []
    for number in sorted({*table, *lives}):
        known = told_by_table(table.get(number, {}), objectives, params)
        live = lives.get(number, {})
        if not facts.living and live.get("state") is None and known.get("state", "running") == "running":
            live["state"] = "stopped"  # it ended with its sweep, as it started
        if live.get("state") == "stopped" and number not in table and number < max(table, default=0):
            live["reason"] = "queued again under another number"
        trials.append({"number": number, "id": None, **merged(known, live)})
    best = [number for number, row in table.items() if row.get("best")]
    if not table:  # Hydra's own sweepers write none
        best = best_of(trials, maximize=entry.maximize if entry else False)
    wanted = study.get("n_trials") or facts.ui.get("trials") or lead.get("n_trials")
    repeat = repeat_of(folder)
    best = [] if repeat is not None else best  # of seeds it is the luckiest
    counts = counted(trials, table)
    ended = sum(counts[state] for state in SETTLED)
    over = is_complete(ended - (counts["failed"] if repeat is not None else 0), wanted)  # a repeat runs those again
    onward = going_on(facts, library.cwd, library.always, library.roots)
    reason, ended_badly = ending(facts, ended=ended, failed=counts["failed"], wanted=wanted)
    refused = ended_badly and facts.exit_code == UserError.exit_code
    return {
        "task": task,
        "folder": str(folder),
        "state": facts.sweep_state(over=over),
        "living": facts.living,
        "created": facts.created,
        "command": onward.command,
        "objectives": objectives,
        "wanted": wanted,
        "ended": ended,
        "counts": {state: counts[state] for state in COUNTED if counts[state]},
        "params": params,
        "trials": trials,
        "best": best,
        "repeat": repeat,
        "dataset": first.dataset if first else "",
        "importance": read_object(folder / PLOTS / IMPORTANCE) if repeat is None else {},
        "pictures": pictures(folder) if repeat is None else [],
        "log": log_lines(folder),
        "reason": reason,
        **ends(facts, badly=ended_badly),
        "can_stop": facts.pid is not None and not facts.stopping,
        "over": over,
        "can_resume": not facts.living and bool(onward.words) and not over and (ended > 0 or not refused),
    }


def counted(trials: Sequence[Mapping[str, Any]], table: Collection[int]) -> Counter[str]:
    """How many trials are in each state; of one that failed and was run again ``table`` has no row any more, though it
    has of later ones."""
    last = max(table, default=0)
    again = {trial["number"] for trial in trials if trial["number"] not in table and trial["number"] < last}
    return Counter(trial["state"] for trial in trials if trial["state"] != "failed" or trial["number"] not in again)


def ending(facts: Facts, *, ended: int, failed: int, wanted: object) -> tuple[str, bool]:
    """Why a sweep ended, "" where nothing went wrong, and whether it ended badly.

    What was refused says what is wrong. Exit code 1 says that a trial failed, or that the sweep itself did; one that
    came to its end did not.
    """
    if not facts.ended_badly:
        return facts.why_cut_off, False
    if facts.exit_code == UserError.exit_code and (wrong := refusals(facts)):
        return "; ".join(wrong), True
    if facts.exit_code != 1 or not failed:
        return "The sweep has failed.", True
    whole = not isinstance(wanted, int) or ended >= wanted
    return f"{failed} of {plural(ended, 'trial')} failed.", failed == ended or not whole


def study_of(folder: Path) -> dict[str, Any]:
    """What a study's journal notes of it: task, objectives, n_trials; {} where the study lives in a database."""
    try:
        content = read_plain(folder / JOURNAL)
    except OSError:
        return {}
    place = content.rfind(NOTED)
    if place < 0:
        return {}
    begin, end = content.rfind(b"\n", 0, place) + 1, content.find(b"\n", place)
    try:
        found = json.loads(content[begin : end if end >= 0 else None])["user_attr"][ATTRIBUTE]
    except (ValueError, LookupError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def names_in(noted: object) -> list[str]:
    """The names that a file lists; [] of what is no list."""
    return [str(name) for name in noted] if isinstance(noted, list) else []


def told_by_table(row: Mapping[str, str], objectives: Sequence[str], params: Sequence[str]) -> dict[str, Any]:
    """A trial as its row of trials.csv tells it; {} without one."""
    if not row:
        return {}
    return {
        "state": row.get("state", ""),
        "value": finite_in(row.get(objectives[0])) if objectives else None,
        "more": {name: finite_in(row.get(name)) for name in objectives[1:]},
        "epochs": finite_in(row.get("epochs")),
        "reason": row.get("reason", ""),
        "params": {name: row[name] for name in params if row.get(name)},
    }


def _live(folder: Path, params: Sequence[str], task: str, library: Library) -> dict[str, Any]:
    """What :func:`told_by_folder` has told, read again only of a trial whose files have changed, and the run's id."""
    read = partial(told_by_folder, folder, params, task)
    known = dict(library.trials.of(folder, (*TELLING, METRICS), read, also=(task, *params)))
    is_run = known.pop("is_run")
    del known["living"]
    return {**known, "id": library.place(folder, "trial").id if is_run else None}


def continued(
    lives: Mapping[int, dict[str, Any]], table: Mapping[int, Mapping[str, str]], *, living: bool
) -> dict[int, dict[str, Any]]:
    """Trials as their folders tell them, a stopped one under the number of the queued trial that goes on with it.

    Args:
        living: Whether the sweep runs: what is queued is then about to go on.
    """
    found = dict(lives)
    for number, row in table.items():
        former = row.get("folder") or ""
        if row.get("state") != "queued" or number in lives or not former.isdecimal() or int(former) in table:
            continue
        if lives.get(int(former), {}).get("state") == "stopped":
            found[number] = {**found.pop(int(former)), **({"state": None} if living else {})}
    return found


def told_by_folder(folder: Path, params: Sequence[str], task: str) -> dict[str, Any]:
    """A trial as its folder tells it, while it runs and afterwards."""
    facts, rows = folder_facts(folder), rows_of(folder)
    entry = judged(task, facts.experiment)
    monitor = monitor_of(rows, entry) if entry else ""
    flat = flatten({**facts.part("hyperparameters"), **{k: v for k, v in facts.experiment.items() if k != "result"}})
    values = {**defaults(), **facts.part("hyperparameters")}
    known = setting_rules.facts_of(values, {**facts.experiment, "task": task})
    read = [name for name in params if setting_rules.is_read(name, known)]
    given = {name: flat[key] for name in read if (key := _setting(name, flat)) is not None}
    curve = [row[monitor] for row in rows if monitor in row]
    return {
        "living": facts.living,
        "is_run": bool(facts.experiment),
        # One that starts has written nothing yet, and may never: the table knows.
        "state": STATES.get(facts.state, facts.state) if facts.experiment or facts.living else None,
        "value": numbers_of(facts.part("result").get("val")).get(monitor) if facts.state in ENDINGS else None,
        "epochs": rows[-1]["epoch"] if rows else None,
        "of": facts.epochs,
        "spark": [curve[i] for i in evenly(SPARKS, of=len(curve))],
        "params": {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()},
    }


def _setting(name: str, flat: Mapping[str, Any]) -> str | None:
    """The key of experiment.json that a parameter of a study is."""
    return next((key for key in (name, f"{name}.name", name.removeprefix("params.")) if key in flat), None)


def merged(known: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Both sources in one: the table says how a trial ended, its folder how it stands."""
    state = known.get("state", "")
    settled = state in SETTLED
    usual: dict[str, Any] = {
        "state": "queued",
        "value": None,
        "more": {},
        "epochs": None,
        "of": None,
        "reason": "",
        "spark": [],
    }
    whole = {**usual, "params": {}, **known, **{key: value for key, value in live.items() if value is not None}}
    if settled:
        whole |= {key: known[key] for key in ("state", "value", "params")}
    return whole


def best_of(trials: Sequence[Mapping[str, Any]], *, maximize: bool) -> list[int]:
    """The number of the complete trial with the best value, of equal ones the first; [] where none is complete."""
    sign = -1 if maximize else 1
    ranked = [
        (sign * trial["value"], trial["number"])
        for trial in trials
        if trial["state"] == "complete" and isinstance(trial["value"], (int, float)) and math.isfinite(trial["value"])
    ]
    return [min(ranked)[1]] if ranked else []
