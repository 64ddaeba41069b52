"""Who runs a sweep's trials, as its controller sees them: processes of this machine, or threads that use a launcher."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from optuna.trial import FrozenTrial, TrialState

from visrun.errors import ERROR, UserError, VisrunError
from visrun.files import read_object
from visrun.record.journal import close_dead
from visrun.record.run_folder import writer_of
from visrun.record.sweep_table import place_of
from visrun.result import Ending
from visrun.sweep.slots import Slot
from visrun.sweep.study import Queue
from visrun.sweep.trials import has_died, is_signed, reason_of, signer
from visrun.tracking import Tracker
from visrun.tracking.names import RECORD, is_open

FRUITLESS_STARTS = 3  # of a slot one after another without a trial, after which it is given up
UNSIGNED = 10.0  # seconds after which whoever claimed a trial and did not sign it must have died

Work = Callable[[threading.Event], None]


class Crew(Protocol):
    """What a controller asks of those who run the trials."""

    def start(self) -> None:
        """Get ready; called before the study has its tickets."""

    def is_working(self, *, stopping: bool) -> bool:
        """Look after everybody; whether any of them still works.

        Args:
            stopping: The sweep was asked to stop, so that nobody who ends is replaced.

        Raises:
            VisrunError: Nobody can work, and there is work left.
        """

    @property
    def pids(self) -> set[int]:
        """The processes whose ends it notices by itself."""

    def tell(self, number: int, /) -> None:
        """Pass a signal on."""

    def end(self, number: int, /) -> None:
        """Leave nobody behind: end them by a signal and wait."""


class Threads:
    """Threads of this process that run trials through a launcher of Hydra's.

    Args:
        work: Runs trials until its event is set.
    """

    def __init__(self, work: Work) -> None:
        self.work, self.done = work, threading.Event()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="visrun-slots", daemon=True)

    def _run(self) -> None:
        try:
            self.work(self.done)
        except BaseException as error:  # raised in the controller's thread
            self.error = error

    def start(self) -> None:
        """Nothing takes long to get ready: the first look starts the thread."""

    def is_working(self, *, stopping: bool) -> bool:
        if self.thread.ident is None:
            self.thread.start()
        if self.thread.is_alive():
            return True
        if self.error is not None and not stopping:
            raise self.error
        return False

    @property
    def pids(self) -> set[int]:
        return {os.getpid()}

    def tell(self, _number: int, /) -> None:
        """Jobs that run are let end: the launcher has them."""
        self.done.set()

    def end(self, _number: int, /) -> None:
        self.done.set()
        if self.thread.is_alive():
            self.thread.join()


class Slots:
    """One process for each slot, with another one in its place where it dies.

    Args:
        slots: Not started yet.
        queue: The study that they work for.
        folder: The sweep's.
        wanted: Whether it has more to run.
        tracker: Closes the run of a trial whose process died.
        warn: Says what is wrong with a slot while others go on.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        queue: Queue,
        *,
        folder: Path,
        wanted: Callable[[], bool],
        tracker: Tracker,
        warn: Callable[[str], None],
    ) -> None:
        self.slots, self.queue, self.folder = tuple(slots), queue, folder
        self.wanted, self.tracker, self.warn = wanted, tracker, warn
        self.active = list(slots)
        self.fruitless = dict.fromkeys(slots, 0)

    def start(self) -> None:
        for slot in self.slots:
            slot.start()

    def is_working(self, *, stopping: bool) -> bool:
        for slot in list(self.active):
            code = slot.ended()
            if code is None:
                continue
            ran = self._settle(slot, code, stopping)
            if (code == 0 and not ran) or stopping or not self.wanted():
                self.active.remove(slot)
            else:
                self._replace(slot, code, ran)
        return bool(self.active)

    def _settle(self, slot: Slot, code: int, stopping: bool) -> bool:
        """End what a process that died ran; whether it ran a trial."""
        mine = [trial for trial in self.queue.every(TrialState.RUNNING) if signer(trial) == slot.pid]
        for trial in mine:
            if stopping:
                self.queue.give_back(trial.number)
            else:
                self.queue.fail(trial.number, died(code), died=True)
            end_run(self.tracker, self.folder, trial, "killed" if stopping else "failed", died(code))
        return bool(mine)

    def _replace(self, slot: Slot, code: int, ran: bool) -> None:
        """Start a process in the place of one that died, unless it would not get further than that one."""
        self.fruitless[slot] = 0 if ran else self.fruitless[slot] + 1
        if self.fruitless[slot] < FRUITLESS_STARTS and code != UserError.exit_code:
            slot.start()
            return
        self.active.remove(slot)
        line = f"slot {slot.number} cannot work: {slot.last_words().removeprefix(ERROR)} (see {slot.log})"
        if not self.active:
            raise VisrunError(line)
        self.warn(line)

    @property
    def pids(self) -> set[int]:
        return {slot.pid for slot in self.slots}

    def tell(self, number: int, /) -> None:
        for slot in self.slots:
            slot.tell(number)

    def end(self, number: int, /) -> None:
        self.tell(number)
        for slot in self.slots:
            slot.wait()


class Orphans:
    """Ends the trials of workers that joined on this machine and died, and of any that died before it could sign.

    Args:
        tracker: Closes their runs.
        folder: The sweep's.
    """

    def __init__(self, tracker: Tracker, folder: Path) -> None:
        self.tracker, self.folder = tracker, folder
        self.unsigned: dict[int, float] = {}

    def take_back(self, queue: Queue, *, sole: bool) -> None:
        """Put back what earlier sittings left RUNNING, for a sweep that begins, and close the runs that they left open.

        Args:
            sole: Whether nobody else can lead the study now: who was led then is gone, whatever the machine is called.
        """
        for trial in queue.every():
            running = trial.state is TrialState.RUNNING
            # A sitting that was killed may have ended a trial, and not yet its run.
            if not running and not (trial.state is TrialState.FAIL and self._is_open(trial)):
                continue
            left = signer(trial) is None and sole and trial.user_attrs.get("led", False)
            if not (left or has_died(trial)):
                continue
            if running:
                queue.give_back(trial.number)
            status: Ending = "failed" if trial.user_attrs.get("failed") else "killed"
            end_run(self.tracker, self.folder, trial, status, reason_of(trial) or "the sweep was killed")

    def _is_open(self, trial: FrozenTrial) -> bool:
        """Whether a trial that has ended has a run that may not be closed, and that nobody goes on with."""
        named = trial.user_attrs.get("folder")
        place = place_of(self.folder, trial.number, named)
        return named is not None and is_open(read_object(place / RECORD)) and writer_of(place) is None

    def look(self, queue: Queue, *, watched: set[int]) -> None:
        """Fail what a dead worker ran; those of the processes ``watched`` are somebody else's task."""
        running = queue.every(TrialState.RUNNING)
        now = time.monotonic()
        self.unsigned = {
            trial.number: self.unsigned.get(trial.number, now) for trial in running if not is_signed(trial)
        }
        for trial in running:
            if now - self.unsigned.get(trial.number, now) > UNSIGNED:
                queue.give_back(trial.number)
            elif signer(trial) not in watched and has_died(trial):
                if all(other.number != trial.number for other in queue.every(TrialState.RUNNING)):
                    continue  # it was ended by its process, which then left
                queue.fail(trial.number, "its process died", died=True)
                end_run(self.tracker, self.folder, trial, "failed", "its process died")


def end_run(tracker: Tracker, sweep: Path, trial: FrozenTrial, status: Ending, reason: str) -> None:
    """Close the run of a trial whose process died, if it had begun one, in its folder and in MLflow."""
    if named := trial.user_attrs.get("folder"):
        place = place_of(sweep, trial.number, named)
        close_dead(place, status, reason)
        tracker.end_run(place / RECORD, status, reason)


def died(code: int) -> str:
    """What a process' exit code says."""
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its process was killed by {name}{hint}"
    return f"its process ended with exit code {code}"
