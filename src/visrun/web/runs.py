"""One run as the page shows it: where it stands, its own saved configuration, its pictures, its log."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

from visrun import console
from visrun.errors import ERROR, UserError
from visrun.figures import plots
from visrun.files import part_of, read_object
from visrun.numbers import numbers_of
from visrun.patience import epochs_waited
from visrun.record.epochs import Row, best_row, monitor_of
from visrun.record.run_folder import RunFolder, read_json
from visrun.record.run_settings import learns
from visrun.result import ENDINGS
from visrun.run_files import EPOCH_SECONDS, FILE_NAME, LOG, PLOTS, SECONDS, SPEED, is_of_class
from visrun.tables import TaskEntry
from visrun.text import printable
from visrun.tracking.names import RECORD
from visrun.web.processes import CONSOLE
from visrun.web.state import Facts, folder_facts, own_settings, rows_of

TAIL = 40  # lines of a log
TAIL_BYTES = 40_000
RECENT = 5  # epochs whose mean time tells how long the next ones take
ALREADY_DRAWN = ("curves.png", "learning_rate.png", "importance.png")  # the page draws these itself
PICTURE = re.compile(r"[A-Za-z0-9_-]+\.png")

Rows = Sequence[Row]


def detail(folder: Path) -> dict[str, Any]:
    """Everything of a run but its rows and its log, as plain JSON types."""
    facts, rows = folder_facts(folder), rows_of(folder)
    result, state = facts.part("result"), facts.state
    entry = facts.entry
    monitor = monitor_of(rows, entry) if entry else ""
    badly = state in ("failed", "unfinished") or (state == "finished" and not facts.experiment)
    return {
        "task": facts.task,
        "model": facts.model,
        "state": state,
        "living": facts.living,
        "pid": facts.pid,
        "folder": str(folder),
        "dataset": facts.dataset,
        "created": facts.created,
        "monitor": monitor,
        "panels": plots.group(rows, monitor),
        "progress": progress(facts, rows),
        "reason": reason(facts),
        **ends(facts, badly=facts.ended_badly or (not facts.living and badly)),
        "test": {key: value for key, value in numbers_of(result.get("test")).items() if not is_of_class(key)},
        "settings": own_settings(facts),
        "sources": facts.part("sources"),
        "command": facts.ui.get("command"),
        "pictures": pictures(folder),
        "can_stop": facts.pid is not None and state in ("starting", "running"),
        "can_resume": can_resume(facts, rows),
        "can_try": os.path.isfile(RunFolder(folder).best),  # noqa: PTH113 (it may lie where we may not look)
        "threshold": _threshold(entry, result) if entry else "",
        "can_edit": (folder / FILE_NAME).is_file() or "form" in facts.ui,
    }


def can_resume(facts: Facts, rows: Rows) -> bool:
    """Whether there is something to go on with; what was refused before its first epoch would be refused again."""
    refused = facts.exit_code == UserError.exit_code and not rows
    left = facts.state in ("killed", "failed", "unfinished") and not facts.living
    return left and bool(facts.experiment) and not refused


def _threshold(entry: TaskEntry, result: Mapping[str, Any]) -> str:
    """What a threshold is and how it is typed; "" where what is predicted depends on none."""
    by_class = f"CLASS:0.8 is the probability from which on {entry.class_threshold}" if entry.class_threshold else ""
    if by_class and not part_of(result, "data").get("multilabel"):
        return by_class
    whole = f"the score from which on {entry.threshold}" if entry.threshold else ""
    return f"{whole}; {by_class}" if by_class else whole


def ends(facts: Facts, *, badly: bool) -> dict[str, Any]:
    """How the last process of a run or a sweep ended, what can end it now, and whether MLflow has it."""
    return {
        "exit_code": None if facts.living else facts.exit_code,
        "ended_badly": badly,
        "last_lines": last_lines(facts.folder) if badly else [],
        "can_kill": facts.pid is not None,
        "tracked": (facts.folder / RECORD).is_file(),
    }


def progress(facts: Facts, rows: Rows) -> dict[str, Any]:
    """Epoch x of y, seconds left, images a second, the best so far, epochs since anything improved.

    ``left`` is None while nothing tells how long an epoch takes, and where the run does not train; ``patience`` where
    it learns nothing by gradient.
    """
    values, entry = numbers_of(facts.part("hyperparameters")), facts.entry
    training = facts.state == "running" and facts.status.get("state") == "training"
    status = numbers_of(facts.status) if training else {}
    epochs, done, last = facts.epochs, int(rows[-1]["epoch"]) if rows else 0, rows[-1] if rows else {}
    monitor = monitor_of(rows, entry) if entry else ""
    best = best_row(rows, monitor, maximize=entry.maximize) if entry else None
    share = _share(status, done)
    return {
        "epoch": done,
        "epochs": epochs,
        "share": share,
        "step": status.get("step"),
        "steps": status.get("steps"),
        "phase": str(facts.status.get("state", "")) if facts.state == "running" else "",
        "left": _left(status, rows, done + share, epochs) if training else None,
        "speed": _speed(status) or last.get(SPEED),
        "seconds": last.get(SECONDS),
        "best": best[monitor] if best else None,
        "best_epoch": int(best["epoch"]) if best else 0,
        "waited": _waited(rows, best, warmup_epochs=int(values.get("warmup_epochs", 0))),
        "patience": values.get("early_stopping_patience") if learns(facts.experiment) else None,
    }


def _waited(rows: Rows, best: Mapping[str, float] | None, *, warmup_epochs: int) -> int:
    """Epochs in which nothing has improved, as the loop counts them."""
    lowest = best_row(rows, "val_loss", maximize=False)
    return epochs_waited(
        int(rows[-1]["epoch"]) if rows else 0,
        best_epoch=int(best["epoch"]) if best else 0,
        lowest_epoch=int(lowest["epoch"]) if lowest else 0,
        warmup_epochs=warmup_epochs,
    )


def _share(status: Mapping[str, float], done: int) -> float:
    """The part of the epoch under way that is trained."""
    if status.get("epoch") != done + 1 or status.get("steps", 0) < 1:
        return 0.0
    return min(max(status.get("step", 0) / status["steps"], 0.0), 1.0)


def _left(status: Mapping[str, float], rows: Rows, done: float, epochs: float | None) -> float | None:
    """Seconds until the last epoch, if no early stopping comes before."""
    took = [row[EPOCH_SECONDS] for row in rows if EPOCH_SECONDS in row][-RECENT:]
    if not took and {"step_seconds", "steps"} <= status.keys():
        took = [status["step_seconds"] * status["steps"]]
    if not took or epochs is None:
        return None
    return max(0.0, epochs - done) * math.fsum(took) / len(took)


def _speed(status: Mapping[str, float]) -> float | None:
    """Images a second now, where the status tells."""
    seconds = status.get("step_seconds", 0)
    return status["images_per_step"] / seconds if seconds > 0 and "images_per_step" in status else None


def reason(facts: Facts) -> str:
    """Why a run ended as it did, one line; what the command said last where the run came to write nothing."""
    noted = facts.part("result").get("reason")
    if facts.living:
        return ""
    code = facts.exit_code
    if isinstance(noted, str) and facts.state in ENDINGS:
        return noted
    if facts.cut_off:
        return facts.why_cut_off
    if (said := refusals(facts)) and code not in (0, None):
        return said[-1]
    if broken := _broken(facts):
        return broken
    if facts.state == "unfinished":
        return f"its process was ended by signal {-code}" if code is not None and code < 0 else "its process died"
    return ""


def refusals(facts: Facts) -> list[str]:
    """What the command said last was wrong, a line each; earlier commands may have been refused as well."""
    lines = reversed(tail(facts.folder / CONSOLE))
    said = list(
        takewhile(lambda line: line.startswith(ERROR), dropwhile(lambda line: not line.startswith(ERROR), lines))
    )
    return [line.removeprefix(ERROR) for line in reversed(said)]


def _broken(facts: Facts) -> str:
    """Why experiment.json, which the run has written, tells nothing; "" where it does."""
    file = facts.folder / FILE_NAME
    if not facts.experiment and (facts.exit_code == 0 or os.path.lexists(file)):
        try:
            read_json(file)
        except UserError as error:
            return str(error)
    return ""


def pictures(folder: Path) -> list[dict[str, Any]]:
    """The pictures drawn so far, predictions first; ``stamp`` changes when a picture does."""
    place = folder / PLOTS
    if place.is_symlink() or not place.is_dir():
        return []
    try:
        files = [file for file in sorted(place.iterdir()) if PICTURE.fullmatch(file.name) and not file.is_symlink()]
        files = [file for file in files if file.name not in ALREADY_DRAWN]
        files.sort(key=lambda file: not file.name.startswith("predict"))
        return [{"name": file.name, "stamp": file.stat().st_mtime_ns // 1_000_000} for file in files if file.is_file()]
    except OSError:  # a folder that we may not read
        return []


def log_lines(folder: Path) -> list[str]:
    """The last lines of a run's log, each with its time of day; of what the command printed where there is no log."""
    lines = tail(folder / LOG) or tail(folder / CONSOLE)
    return [console.shortened(line) for line in lines]


def last_lines(folder: Path) -> list[str]:
    """The last lines of whichever was written last: a resumed run that is refused says so to its console only."""
    files = sorted((file for file in (folder / LOG, folder / CONSOLE) if _is_plain(file)), key=_age)
    return tail(files[-1]) if files else []


def _is_plain(file: Path) -> bool:
    """Whether it is a file itself: a link in a folder of somebody else's may lead anywhere."""
    return file.is_file() and not file.is_symlink()


def _age(file: Path) -> int:
    return file.stat().st_mtime_ns


def tail(file: Path) -> list[str]:
    """The last lines of a text file, printable; [] where there is none."""
    if not _is_plain(file):
        return []
    try:
        with file.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    lines = text.splitlines()[-TAIL:]
    return [printable(line) for line in lines]


def note_of_tracker(folder: Path) -> dict[str, Any]:
    """``uri`` and ``run_id`` of the run or sweep in MLflow; {} where it has none."""
    found = read_object(folder / RECORD)
    return found if isinstance(found.get("uri"), str) and isinstance(found.get("run_id"), str) else {}
