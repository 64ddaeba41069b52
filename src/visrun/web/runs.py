"""One run as the page shows it: where it stands, its own saved configuration, its pictures, its log."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visrun import plots
from visrun.compare.runs import best_row, settings_of
from visrun.experiment import FILE_NAME
from visrun.patience import epochs_waited
from visrun.tables import TASKS
from visrun.tracking.names import RECORD
from visrun.web.processes import CONSOLE
from visrun.web.state import ENDED, Facts, facts_of, rows_of, told

LOG = "visrun.log"
TAIL = 40  # lines of a log
TAIL_BYTES = 40_000
RECENT = 5  # epochs whose mean time tells how long the next ones take
ALREADY_DRAWN = ("curves.png", "learning_rate.png", "importance.png")  # the page draws these itself
PICTURE = re.compile(r"[A-Za-z0-9_-]+\.png")
STAMP = re.compile(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d{3} (?:INFO visrun: )?")

Rows = Sequence[Mapping[str, Any]]


def detail(folder: Path) -> dict[str, Any]:
    """Everything of a run but its rows and its log, as plain JSON types."""
    facts, rows = facts_of(folder), rows_of(folder)
    result, state = facts.part("result"), facts.state
    task = str(facts.experiment.get("task") or facts.ui.get("task") or "")
    monitor = TASKS[task].monitor if task in TASKS else ""
    ended_badly = state in ("failed", "unfinished") or facts.exit_code not in (None, 0, 130, 143)
    return {
        "task": task,
        "model": str(facts.part("model").get("name") or facts.ui.get("model") or ""),
        "state": state,
        "living": facts.living,
        "pid": facts.pid,
        "folder": str(folder),
        "created": facts.experiment.get("created") or facts.ui.get("created"),
        "monitor": monitor,
        "maximize": task in TASKS and TASKS[task].maximize,
        "panels": plots.group(rows, monitor),
        "progress": progress(facts, rows),
        "reason": reason(facts),
        "exit_code": None if facts.living else facts.exit_code,
        "last_lines": last_lines(folder) if ended_badly and not facts.living else [],
        "test": {key: value for key, value in (result.get("test") or {}).items() if "/" not in key},
        "settings": settings_of(facts.experiment) if facts.experiment else {},
        "sources": facts.part("sources"),
        "command": facts.ui.get("command"),
        "pictures": pictures(folder),
        "tracked": (folder / RECORD).is_file(),
        "can_stop": facts.pid is not None and state in ("starting", "running"),
        "can_kill": facts.pid is not None,
        "can_resume": not facts.living and state in ("killed", "failed", "unfinished") and bool(facts.experiment),
        "can_edit": (folder / FILE_NAME).is_file(),
    }


def progress(facts: Facts, rows: Rows) -> dict[str, Any]:
    """Epoch x of y, seconds left, images a second, the best so far, epochs since anything improved.

    ``left`` is None while nothing tells how long an epoch takes, and where the run does not train.
    """
    values, status = facts.part("hyperparameters"), facts.status
    task = TASKS.get(str(facts.experiment.get("task")))
    epochs, done = values.get("max_epochs"), int(rows[-1]["epoch"]) if rows else 0
    best = best_row(list(map(dict, rows)), task.monitor, maximize=task.maximize) if task else None
    known = [row for row in rows if isinstance(row.get("val_loss"), (int, float))]
    lowest = min(known, key=lambda row: (row["val_loss"], row["epoch"]), default=None)
    waited = epochs_waited(
        done,
        best_epoch=int(best["epoch"]) if best else 0,
        lowest_epoch=int(lowest["epoch"]) if lowest else 0,
        warmup_epochs=int(values.get("warmup_epochs") or 0),
    )
    training = facts.state == "running" and status.get("state") == "training"
    share = _share(status, done) if training else 0.0
    return {
        "epoch": done,
        "epochs": epochs,
        "share": share,
        "step": status.get("step") if training else None,
        "steps": status.get("steps") if training else None,
        "phase": str(status.get("state", "")) if facts.state == "running" else "",
        "left": _left(status, rows, done + share, epochs) if training else None,
        "speed": _speed(status, rows) if training else (rows[-1].get("time/images_per_second") if rows else None),
        "seconds": rows[-1].get("time/total") if rows else None,
        "best": best[task.monitor] if best and task else None,
        "best_epoch": int(best["epoch"]) if best else 0,
        "waited": waited,
        "patience": values.get("early_stopping_patience"),
        "loss": status.get("loss") if training else (rows[-1].get("loss") if rows else None),
    }


def _share(status: Mapping[str, Any], done: int) -> float:
    """The part of the epoch under way that is trained."""
    step, steps = status.get("step"), status.get("steps")
    if status.get("epoch") != done + 1 or not isinstance(step, int) or not isinstance(steps, int) or steps < 1:
        return 0.0
    return min(step / steps, 1.0)


def _left(status: Mapping[str, Any], rows: Rows, done: float, epochs: object) -> float | None:
    """Seconds until the last epoch, if no early stopping comes before."""
    if not isinstance(epochs, int):
        return None
    took = [row["time/epoch"] for row in rows if isinstance(row.get("time/epoch"), (int, float))][-RECENT:]
    step, steps = status.get("step_seconds"), status.get("steps")
    if not took and isinstance(step, (int, float)) and isinstance(steps, int):
        took = [step * steps]
    return max(0.0, epochs - done) * math.fsum(took) / len(took) if took else None


def _speed(status: Mapping[str, Any], rows: Rows) -> float | None:
    """Images a second, now or in the last epoch."""
    seconds, images = status.get("step_seconds"), status.get("images_per_step")
    if isinstance(seconds, (int, float)) and isinstance(images, int) and seconds > 0:
        return images / seconds
    return rows[-1].get("time/images_per_second") if rows else None


def reason(facts: Facts) -> str:
    """Why a run ended as it did, one line; what the command said last where the run came to write nothing."""
    noted = facts.part("result").get("reason")
    if facts.living:
        return ""
    code = facts.exit_code
    if isinstance(noted, str) and facts.state in ENDED:
        return noted
    said = [line for line in tail(facts.folder / CONSOLE) if line.startswith("visrun: error: ")]
    if said and code not in (0, None):
        return said[-1].removeprefix("visrun: error: ")
    if facts.state == "unfinished":
        return f"its process was ended by signal {-code}" if code is not None and code < 0 else "its process died"
    return ""


def pictures(folder: Path) -> list[dict[str, Any]]:
    """The pictures drawn so far, predictions first; ``stamp`` changes when a picture does."""
    place = folder / "plots"
    if place.is_symlink() or not place.is_dir():
        return []
    files = [file for file in sorted(place.iterdir()) if PICTURE.fullmatch(file.name) and not file.is_symlink()]
    files = [file for file in files if file.name not in ALREADY_DRAWN]
    files.sort(key=lambda file: not file.name.startswith("predict"))
    return [{"name": file.name, "stamp": file.stat().st_mtime_ns // 1_000_000} for file in files if file.is_file()]


def log_lines(folder: Path, count: int = TAIL) -> list[str]:
    """The last lines of a run's log, each with its time of day; of what the command printed where there is no log."""
    lines = tail(folder / LOG, count) or tail(folder / CONSOLE, count)
    return [STAMP.sub(r"\1 ", line) for line in lines]


def last_lines(folder: Path) -> list[str]:
    """The last lines of whichever was written last: a resumed run that is refused says so to its console only."""
    files = sorted((folder / name for name in (LOG, CONSOLE) if (folder / name).is_file()), key=_age)
    return tail(files[-1]) if files else []


def _age(file: Path) -> int:
    return file.stat().st_mtime_ns


def tail(file: Path, count: int = TAIL) -> list[str]:
    """The last lines of a text file, printable; [] where there is none."""
    try:
        with file.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    lines = text.splitlines()[-count:]
    return ["".join(letter if letter.isprintable() else " " for letter in line) for line in lines]


def note_of_tracker(folder: Path) -> dict[str, Any]:
    """``uri`` and ``run_id`` of the run or sweep in MLflow; {} where it has none."""
    found = told(folder / RECORD)
    return found if isinstance(found.get("uri"), str) and isinstance(found.get("run_id"), str) else {}
