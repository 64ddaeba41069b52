"""What a run's or sweep's folder says of the process that writes there: does it live, how did it end, who asked it to.

experiment.json and status.json are the run's own; ``ui.json`` is the page's: the command it started, the process, what
the user asked of it, and the exit code.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from visrun.errors import UserError
from visrun.files import MOST_READ, part_of, read_object, stamp_of, write_atomic
from visrun.numbers import numbers_of
from visrun.record.epochs import Row, read_epochs
from visrun.record.run_folder import living_holder, writer_of
from visrun.record.run_settings import judged, learns, settings_of
from visrun.record.sweep_files import LEAD, REPORT
from visrun.result import ENDINGS
from visrun.run_files import FILE_NAME, LOCK, METRICS, STATUS
from visrun.signals import EXIT_CODES
from visrun.tables import TASKS, TaskEntry

UI = "ui.json"
TELLING = (LOCK, LEAD, UI, FILE_NAME, STATUS)  # the files of a folder that Facts come from
AS_ASKED = (0, *EXIT_CODES.values())  # exit codes of what came to its end, or was asked to stop
# What the user asked for -> exit codes of a process that this ended without a word: it had no handler. None = only its
# parent could have seen the code, and that was a terminal or a server that has ended since.
CUT_OFF = {"stop": (-signal.SIGTERM,), "kill": (-signal.SIGTERM, -signal.SIGKILL, None)}
_writing = threading.Lock()


@dataclass(frozen=True)
class Facts:
    """What the files of a folder hold; {} for one that is missing or broken.

    Args:
        experiment: experiment.json.
        status: status.json.
        ui: ui.json.
        pid: The process of this machine that writes there, or was started to; None where none lives.
        elsewhere: Whether a process of another machine writes there.
    """

    folder: Path
    experiment: dict[str, Any]
    status: dict[str, Any]
    ui: dict[str, Any]
    pid: int | None
    elsewhere: bool = False

    def part(self, name: str) -> dict[str, Any]:
        """A mapping inside experiment.json, such as ``result``."""
        return part_of(self.experiment, name)

    @property
    def task(self) -> str:
        """The name of its task; "" while nothing tells it."""
        return str(self.experiment.get("task") or self.ui.get("task") or "")

    @property
    def model(self) -> str:
        """The name of its model; "" while nothing tells it, and where a sweep tries several."""
        return str(self.part("model").get("name") or self.ui.get("model") or "")

    @property
    def created(self) -> Any:
        """When it began, ISO 8601, as the run or the page noted it; None where neither did."""
        return self.experiment.get("created") or self.ui.get("created")

    @property
    def asked(self) -> dict[str, Any]:
        """What the form said that the page started it from, for a run that came to write no experiment.json."""
        return {} if self.experiment else part_of(part_of(self.ui, "form"), "touched")

    @property
    def root(self) -> str:
        """The folder or table of its data; "" for the demo, and while nothing tells it."""
        root = self.part("data").get("root") or self.asked.get("data.root")
        return root if isinstance(root, str) else ""

    @property
    def dataset(self) -> str:
        """The last name of its root, or ``demo``; "" while nothing tells it."""
        return Path(self.root).name or ("demo" if self.part("data").get("name") == "demo" else "")

    @property
    def entry(self) -> TaskEntry | None:
        """What is known of the task, by the metric that the run monitors."""
        return judged(self.task, self.experiment)

    @property
    def epochs(self) -> float | None:
        """How many epochs it takes at most, one where nothing learns by gradient; None while nothing tells it."""
        return numbers_of(self.part("hyperparameters")).get("max_epochs") if learns(self.experiment) else 1

    @property
    def living(self) -> bool:
        """Whether a process, of this machine or another, is at work."""
        return self.pid is not None or self.elsewhere

    @property
    def stopping(self) -> bool:
        """Whether the living process was asked to stop."""
        asked = self.ui.get("asked") in ("stop", "kill")
        return asked and self.pid is not None and self.ui.get("asked_of") == self.pid

    @property
    def state(self) -> str:
        """starting, running, stopping, one of ``ENDINGS``, or unfinished: its process died without a word."""
        noted = str(self.part("result").get("status", ""))
        if not self.living:
            if noted in ENDINGS:
                return noted
            died = "unfinished" if self.experiment else "finished" if self.exit_code == 0 else "failed"
            return "killed" if self.cut_off else died
        if noted in ENDINGS and not self._begun_again():
            return noted
        if self.stopping:
            return "stopping"
        begins = noted != "running" or self.status.get("state", "starting") == "starting"
        return "starting" if begins or self._told_by_another() else "running"

    def sweep_state(self, *, over: bool) -> str:
        """Of a sweep's folder: running, stopping, ended, or where it is not ``over`` stopped or, by itself, failed."""
        if self.living:
            return "stopping" if self.stopping else "running"
        return "ended" if over else "failed" if self.ended_badly else "stopped"

    def _told_by_another(self) -> bool:
        """Whether status.json is still that of a process before the living one."""
        return self.pid is not None and self.status.get("pid", self.pid) != self.pid

    def _begun_again(self) -> bool:
        """Whether the living process began after the run had ended."""
        began = self.ui.get("started")
        return isinstance(began, (int, float)) and began > (self.folder / FILE_NAME).stat().st_mtime

    def _tellers(self) -> list[dict[str, Any]]:
        """What tells of a process, the later one first."""
        return sorted((self.ui, self.status), key=lambda told: numbers_of(told).get("started", 0.0), reverse=True)

    @property
    def exit_code(self) -> int | None:
        """How the last process ended, negative for a signal: what its starter saw, else what the run said itself."""
        tellers = self._tellers()
        later, earlier = (numbers_of(told).get("pid") for told in tellers)
        if later != earlier and None not in (later, earlier):  # the earlier process has been followed by another one
            del tellers[1]
        codes = [told.get("exit_code") for told in tellers]
        return next((code for code in codes if isinstance(code, int)), None)

    @property
    def ended_badly(self) -> bool:
        """Whether the last process neither came to its end nor was asked to stop."""
        if self.living or self.exit_code is None:
            return False
        return self.exit_code not in AS_ASKED and not self.cut_off

    @property
    def cut_off(self) -> str:
        """Which button of the page ended the last process before it could say so, ``stop`` or ``kill``; else ""."""
        pids = [told["pid"] for told in self._tellers() if told.get("pid") is not None]
        if self.living or not pids or self.ui.get("asked_of") != pids[0]:
            return ""
        codes = ((asked, self.exit_code in codes) for asked, codes in CUT_OFF.items())
        return next((asked for asked, fits in codes if fits and self.ui.get("asked") == asked), "")

    @property
    def why_cut_off(self) -> str:
        """`cut_off` in words for people, "" where nothing was cut off."""
        begun = "it went on" if self.experiment else "it began"
        return {"stop": f"stopped by you before {begun}", "kill": "ended by you at once", "": ""}[self.cut_off]


def folder_facts(folder: Path, names: Collection[str] = TELLING) -> Facts:
    """Look into a folder.

    Args:
        names: The files that are there, as far as it is known.
    """
    writers = (writer_of(folder, name) for name in (LOCK, LEAD) if name in names)
    writer = next((writer for writer in writers if writer is not None), None)
    elsewhere = writer is not None and writer.host is not None
    pid = writer.pid if writer is not None and not elsewhere else None
    if pid is None and UI in names:
        pid = living_holder(folder / UI)
    experiment, status, ui = (read_object(folder / name) if name in names else {} for name in (FILE_NAME, STATUS, UI))
    return Facts(folder, experiment, status, ui, pid, elsewhere)


def own_settings(facts: Facts) -> dict[str, str]:
    """What the run reads, as its experiment.json has it; {} where no run of ours wrote that."""
    known = isinstance(facts.experiment.get("hyperparameters"), dict) and str(facts.experiment.get("task")) in TASKS
    try:
        return settings_of(facts.experiment) if known else {}
    except (LookupError, TypeError, ValueError):  # a file that somebody else wrote
        return {}


def is_complete(ended: int, wanted: object) -> bool:
    """Whether a sweep has no trial left to run; one that tells no number is over once any has ended."""
    return ended >= (wanted if isinstance(wanted, int) and wanted else 1)


def repeat_of(folder: Path) -> dict[str, Any] | None:
    """Metric -> its mean, deviation and interval over the runs of a repeat, {} before; None of other sweeps."""
    words, file = read_object(folder / LEAD).get("words"), folder / REPORT
    if not file.is_file() and not (isinstance(words, list) and words[:1] == ["repeat"]):
        return None
    found = part_of(read_object(file), "metrics")
    return {name: numbers_of(spread) for name, spread in found.items() if name.count("/") == 1}  # none of one class


def rows_of(folder: Path) -> list[Row]:
    """The epochs of metrics.jsonl; [] where it cannot be read."""
    file = folder / METRICS
    stamp = stamp_of(file)
    try:
        return list(_rows(file, stamp)) if stamp else []
    except UserError:
        return []


# A run that is followed is asked for four times a second, the trials that run of a sweep that is, every 1.5 seconds; a
# long one has thousands of values.
@lru_cache(maxsize=16)
def _rows(file: Path, _stamp: tuple[int, int]) -> tuple[Row, ...]:
    return tuple(read_epochs(file, MOST_READ))


def note(folder: Path, *, into: str = UI, **facts: Any) -> None:
    """Put facts into ui.json, or another file of the page's."""
    with _writing:
        content = {**read_object(folder / into), **facts}
        write_atomic(folder / into, (json.dumps(content, indent=2) + "\n").encode())
