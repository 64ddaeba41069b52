"""Which runs and sweeps there are below the folder that commands write to, and what a list shows of each.

Everything is read from the disk, so what the command line started is there too, and a new server knows as much as the
old one. A run's id is made here from its path; a client never names a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visrun.files import read_object
from visrun.numbers import numbers_of
from visrun.record.epochs import best_row, monitor_of
from visrun.record.outputs import RUNS, SWEEPS
from visrun.record.run_settings import text
from visrun.record.sweep_files import JOURNAL, LEAD, REPORT, RESULTS, TABLE
from visrun.record.sweep_table import SETTLED, finite_in, table_of
from visrun.result import ENDINGS
from visrun.run_files import FILE_NAME, METRICS, STATUS
from visrun.web.kept import Kept
from visrun.web.roots import Roots
from visrun.web.state import UI, Facts, folder_facts, is_complete, own_settings, repeat_of, rows_of

PLACES = (RUNS, SWEEPS)
DEPTH = 4  # folders below them that are looked into
RUN_MARKS = {FILE_NAME, STATUS}
SWEEP_MARKS = {"multirun.yaml", RESULTS, JOURNAL, TABLE, LEAD}
TOLD_BY = (FILE_NAME, STATUS, UI, LEAD, METRICS, TABLE, REPORT)  # what a summary follows from
SET_BY = ("you", "file")  # sources of what tells one run from another, the nearer first
NAMED = ("data", "data.name", "data.root", "model.name")  # elsewhere in the line
MOST_CHANGES, LONGEST_CHANGE = 100, 80  # of a run's, and characters of each
Usual = Callable[[Mapping[str, Any]], Mapping[str, Any]]
ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Place:
    """A folder that a command wrote.

    Args:
        id: Its name for clients.
        path: Where it is.
        kind: ``run``, ``trial`` or ``sweep``.
        names: What lies in it.
    """

    id: str
    path: Path
    kind: str
    names: frozenset[str] = frozenset()


class Library:
    """The runs below ``cwd``, the folder where commands run; ``always`` are words that each of them has.

    Args:
        roots: What the page may read; None = ``cwd`` alone.
        usual: Of the content of an experiment.json, key -> what the run would have had of itself, as far as known.

    Its ``trials`` are what sweeps show of them.
    """

    def __init__(
        self,
        cwd: Path,
        always: Sequence[str] = (),
        roots: Roots | None = None,
        usual: Usual = lambda _: {},
    ) -> None:
        self.cwd, self.always, self.roots, self.usual = cwd, tuple(always), roots or Roots([cwd]), usual
        self.trials, self._summaries = Kept(), Kept()
        self._seen: dict[str, Place] = {}

    def places(self) -> list[Place]:
        """All of them; trials come after their sweep."""
        found = [place for name in PLACES for place in self._below(self.cwd / name, DEPTH)]
        self._seen = {place.id: place for place in found}
        return found

    def find(self, name: str) -> Place | None:
        """The place with an id, or None."""
        if not ID.fullmatch(name):
            return None
        seen = self._seen.get(name)
        if seen is None or seen.path.is_symlink() or not seen.path.is_dir():
            self.places()
        return self._seen.get(name)

    def place(self, path: Path, kind: str, names: Collection[str] = ()) -> Place:
        """The place of a folder below ``cwd``."""
        relative = str(path)[len(str(self.cwd)) :]
        name = hashlib.sha256(relative.encode(errors="surrogateescape")).hexdigest()[:16]
        return Place(name, path, kind, frozenset(names))

    def name(self, place: Place) -> str:
        """Its path below the folder that all of its kind are in."""
        return "/".join(place.path.relative_to(self.cwd).parts[1:])

    def _below(self, folder: Path, depth: int, *, in_sweep: bool = False) -> Iterator[Place]:
        try:
            with os.scandir(folder) as entries:
                children = [entry for entry in entries if not entry.is_symlink()]
        except OSError:
            return
        names = {entry.name for entry in children}
        kind = kind_of(folder, names, in_sweep=in_sweep)
        if kind is not None:
            yield self.place(folder, kind, names)
        if depth and kind in (None, "sweep"):
            for entry in children:
                if (kind is None or entry.name.isdecimal()) and entry.is_dir(follow_symlinks=False):
                    yield from self._below(folder / entry.name, depth - 1, in_sweep=kind == "sweep")

    def listed(self) -> list[dict[str, Any]]:
        """A line for each run and sweep, the living and then the latest first; trials stand in their sweeps."""
        lines = []
        for place in self.places():
            if place.kind != "trial":
                with contextlib.suppress(OSError):  # deleted meanwhile
                    lines.append(self.summary(place))
        return sorted(lines, key=lambda line: (line["living"], line["created"]), reverse=True)

    def summary(self, place: Place) -> dict[str, Any]:
        """What a list shows of a place."""

        def read() -> dict[str, Any]:
            facts = folder_facts(place.path, place.names)
            return _of_sweep(facts, place.names) if place.kind == "sweep" else _of_run(facts, self.usual)

        known = self._summaries.of(place.path, [name for name in TOLD_BY if name in place.names], read)
        return {"id": place.id, "kind": place.kind, "name": self.name(place), **known}


def kind_of(folder: Path, names: Collection[str], *, in_sweep: bool = False) -> str | None:
    """What a folder with these files is: a ``run``, a ``trial``, a ``sweep`` or, None, neither."""
    if RUN_MARKS & set(names):
        return "trial" if in_sweep else "run"
    kind = read_object(folder / UI).get("kind") if UI in names else None
    if kind == "sweep" or (kind is None and SWEEP_MARKS & set(names)):
        return "sweep"
    return "run" if UI in names else None


def _of_run(facts: Facts, usual: Usual) -> dict[str, Any]:
    task, entry, state, result = facts.task, facts.entry, facts.state, facts.part("result")
    best, epoch = numbers_of(result.get("val")), result.get("epochs") or 0
    if state not in ENDINGS or "val" not in result:
        rows = rows_of(facts.folder)
        epoch = rows[-1]["epoch"] if rows else 0
        best = (best_row(rows, monitor_of(rows, entry), maximize=entry.maximize) if entry else None) or {}
    monitor = entry.monitored(best) if entry else ""
    return {
        "task": task,
        "model": facts.model,
        "state": state,
        "living": facts.living,
        "monitor": monitor,
        "value": best.get(monitor),
        "epoch": epoch,
        "epochs": facts.epochs,
        "changed": _changed(facts, usual),
        "created": _created(facts),
        "root": facts.root,
        "dataset": facts.dataset,
    }


def _changed(facts: Facts, usual: Usual) -> list[str]:
    """``key=value`` of what the run reads and its user has set, then of what a file has set to another than the usual
    value; model and folder are named elsewhere."""
    sources = facts.part("sources")
    sections = {name: part for name, part in facts.experiment.items() if isinstance(part, dict)}
    given = {f"{name}.{key}": value for name, part in sections.items() for key, value in part.items()}
    given |= {**facts.experiment, **facts.part("hyperparameters")}
    typed, filed = (
        {key: given[key] for key in own_settings(facts) if sources.get(key) == source and key in given}
        for source in SET_BY
    )
    known = usual(facts.experiment) if filed else {}
    asked = facts.asked or {**typed, **{k: v for k, v in filed.items() if k not in known or v != known[k]}}
    told = [f"{key}={text(value)}"[:LONGEST_CHANGE] for key, value in asked.items() if key not in NAMED]
    return told[:MOST_CHANGES]


def _of_sweep(facts: Facts, names: Collection[str]) -> dict[str, Any]:
    whole = {"task", "created"} <= facts.ui.keys()
    begun = [name for name in names if name.isdecimal()]  # Hydra's own sweepers write no table
    trial = Facts(facts.folder, _first_trial(facts.folder, begun), {}, {}, None)
    first = {} if whole else trial.experiment  # of a command line's sweep
    head, table = table_of(facts.folder)
    ended = [row for row in table.values() if row.get("state") in SETTLED]
    wanted = facts.ui.get("trials") or read_object(facts.folder / LEAD).get("n_trials")
    best = [row for row in table.values() if row.get("best")]
    monitor = head[2] if len(best) == 1 and len(head) > 2 else ""  # a Pareto front has no one value
    value = finite_in(best[0].get(monitor)) if monitor else None
    repeat = repeat_of(facts.folder)
    left = sum(row["state"] == "failed" for row in ended) if repeat is not None else 0  # a repeat runs those again
    done = len(ended if head else begun)
    if repeat is not None:  # its best is the luckiest seed
        monitor, value = next(((name.partition("/")[2], one.get("mean")) for name, one in repeat.items()), ("", None))
    return {
        "task": str(facts.ui.get("task") or first.get("task") or ""),
        "model": facts.model,
        "state": facts.sweep_state(over=is_complete(done - left, wanted)),
        "living": facts.living,
        "monitor": monitor,
        "value": value,
        "repeat": repeat is not None,
        "root": trial.root,
        "dataset": trial.dataset,
        "trials": done,
        "wanted": wanted,
        "created": _created(facts, first),
    }


def _first_trial(folder: Path, numbers: Collection[str]) -> dict[str, Any]:
    """What experiment.json of the first trial holds that has one: where trials went on under others, it is not 0."""
    files = (folder / number / FILE_NAME for number in sorted(numbers, key=int))
    return next((content for file in files if (content := read_object(file))), {})


def _created(facts: Facts, first: Mapping[str, Any] | None = None) -> str:
    """ISO 8601; a sweep began with its ``first`` trial, and one that does not tell is as old as its last change."""
    noted = facts.created or (first or {}).get("created")
    if isinstance(noted, str):
        return noted
    return datetime.fromtimestamp(facts.folder.stat().st_mtime, UTC).isoformat(timespec="seconds")
