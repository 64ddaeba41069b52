"""The process that leads a sweep: makes the study, starts the slots, watches, shows, writes. It imports no torch."""

from __future__ import annotations

import fcntl
import shlex
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from optuna.trial import FrozenTrial, TrialState

from visrun.console import Screen
from visrun.errors import ConfigError, VisrunError
from visrun.signals import Stop, stop_on_signals
from visrun.sweep import pictures, results
from visrun.sweep.display import Sweep, Table
from visrun.sweep.joining import prepare
from visrun.sweep.parent import Parent
from visrun.sweep.plan import Plan
from visrun.sweep.slots import Slot, environments
from visrun.sweep.storage import open_storage
from visrun.sweep.study import Queue, failures, too_many_failed

LOOK = 0.1  # seconds between two looks at the study
PICTURES = 30.0  # seconds between two drawings, at least
MOST_DRAWING = 0.1  # share of the time that drawing may take
USELESS_STARTS = 3  # of a slot, without a trial of its own in between
UNKNOWN = 5.0  # seconds after which a trial nobody signed counts as that of a slot that died

Work = Callable[[threading.Event], None]


def lead(plan: Plan, *, work: Work | None = None) -> int:
    """Run a sweep from its beginning or from where it stopped.

    Args:
        plan: The sweep.
        work: Runs trials in this process until it is told to end; None starts a process for each slot.

    Returns:
        0; 1 where a trial failed; 130 or 143 where the sweep was stopped by Ctrl-C or SIGTERM.

    Raises:
        ConfigError: A study of this name cannot be gone on with, or is being led by another process.
        VisrunError: No slot can be started.
    """
    screen = Screen()
    for line in plan.notices:
        screen.warn(line)
    plan.folder.mkdir(parents=True, exist_ok=True)
    with leading(plan), stop_on_signals() as stop:
        return Controller(plan, screen, stop, work).run()


@contextmanager
def leading(plan: Plan) -> Iterator[None]:
    """Within: no other process leads a sweep in this folder."""
    with (plan.folder / ".lead.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"hydra.sweeper.study_name={plan.name}: another process leads this study; "
                "hydra.sweeper.worker=true joins it"
            ) from None
        yield


class Controller:
    """One sitting of a sweep."""

    def __init__(self, plan: Plan, screen: Screen, stop: Stop, work: Work | None) -> None:
        self.plan, self.screen, self.stop = plan, screen, stop
        self.slots = [] if work else make_slots(plan)
        self.done = threading.Event()
        self.thread = threading.Thread(target=work, args=(self.done,), name="visrun-slots") if work else None
        self.parent = make_parent(plan)
        self.useless: dict[int, int] = {}
        self.ended = -1
        self.drawer: threading.Thread | None = None
        self.drawn, self.drawing = time.monotonic(), 0.0

    def run(self) -> int:
        """Lead the sweep; see :func:`lead`."""
        plan = self.plan
        self._refuse_old()
        self.screen.say(f"sweep: {plan.folder}")
        self.screen.say(f"stopped or killed, it goes on with: {again(plan)}")
        self.parent.start()
        for slot in self.slots:
            slot.start()  # imports go on while the parent run is made
        status = "failed"
        try:
            prepare(plan, parent=self.parent.wait)
            self.queue = Queue(open_storage(plan.storage), plan.name)
            self._take_back()
            if self.thread:
                self.thread.start()
            self._watch()
            status = "killed" if self.stop.exit_code else "finished"
        except KeyboardInterrupt:
            status = "killed"
        finally:
            self._end_slots()
            self.screen.end_progress()
        return self._close(status)

    def _refuse_old(self) -> None:
        storage = open_storage(self.plan.storage)
        known = [study.study_name for study in storage.get_all_studies()]
        if self.plan.name in known and not self.plan.resume:
            raise ConfigError(
                f"hydra.sweeper.resume=false: there is a study {self.plan.name} already; "
                "choose another hydra.sweeper.study_name"
            )

    def _take_back(self) -> None:
        """Trials that are RUNNING although nobody runs them, since an earlier sitting was killed, are run again."""
        mine = {slot.pid for slot in self.slots}
        for trial in self.queue.every(TrialState.RUNNING):
            facts = trial.user_attrs
            here = facts.get("host", socket.gethostname()) == socket.gethostname()
            if here and facts.get("pid") not in mine and not psutil.pid_exists(int(facts.get("pid", 0)) or -1):
                self.queue.give_back(trial.number)

    def _watch(self) -> None:
        """Look at the study until no slot works any more."""
        table = make_table(self.plan, self.screen, self.queue)
        self.stop.deferred = True
        told = False
        try:
            while self._is_working():
                trials = self.queue.trials()
                table.update(trials)
                self._refresh(trials)
                if self.stop.exit_code is not None and not told:
                    told = True
                    self._pass_on()
                time.sleep(LOOK)
            table.update(self.queue.trials())
        finally:
            table.close()

    def _is_working(self) -> bool:
        if self.thread:
            return self.thread.is_alive()
        for slot in self.slots:
            code = slot.ended()
            if code is not None:
                self._bury(slot, code)
        return any(slot.ended() is None for slot in self.slots)

    def _bury(self, slot: Slot, code: int) -> None:
        """A slot's process ended: settle the trial it ran, and start another where there is still something to do."""
        if slot.number in self.useless and self.useless[slot.number] < 0:
            return
        mine = [trial for trial in self.queue.every(TrialState.RUNNING) if self._ran(slot, trial)]
        for trial in mine:
            if self.stop.exit_code is not None:
                self.queue.give_back(trial.number)
            else:
                self.queue.fail(trial.number, died(code))
            if trial.user_attrs.get("folder"):
                self.parent.end_child(Path(trial.user_attrs["folder"]), "failed", died(code))
        if code == 0 or self.stop.exit_code is not None or not self._wants_more():
            self.useless[slot.number] = -1
            return
        self.useless[slot.number] = 0 if mine else self.useless.get(slot.number, 0) + 1
        if self.useless[slot.number] >= USELESS_STARTS:
            raise VisrunError(f"slot {slot.number} cannot work: {slot.last_words()} (see {slot.log})")
        slot.start()

    def _ran(self, slot: Slot, trial: FrozenTrial) -> bool:
        facts = trial.user_attrs
        if "pid" in facts:
            return bool(facts["pid"] == slot.pid and facts.get("host") == socket.gethostname())
        begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        return facts.get("slot", slot.number) == slot.number and time.time() - begun > UNKNOWN

    def _wants_more(self) -> bool:
        plan, trials = self.plan, self.queue.trials()
        if too_many_failed(trials, n_trials=plan.n_trials, max_failure_rate=plan.max_failure_rate):
            return False
        return any(trial.state in (TrialState.WAITING, TrialState.RUNNING) for trial in trials)

    def _pass_on(self) -> None:
        """Ask everybody who works to stop as this process was asked to."""
        self.done.set()
        number = signal.SIGINT if self.stop.exit_code == 130 else signal.SIGTERM
        for slot in self.slots:
            slot.tell(number)

    def _refresh(self, trials: list[FrozenTrial]) -> None:
        """Bring the files and the parent run up to date where a trial has ended."""
        ended = sum(trial.state.is_finished() for trial in trials)
        if ended == self.ended:
            return
        self.ended = ended
        results.write_results(self.queue.study, trials, self.plan.folder)
        self.parent.update(self.queue.study, trials)
        quiet_for = time.monotonic() - self.drawn
        busy = self.drawer is not None and self.drawer.is_alive()
        if not busy and quiet_for > max(PICTURES, self.drawing / MOST_DRAWING):
            self.drawer = threading.Thread(target=self._draw, args=(trials,), name="visrun-plots", daemon=True)
            self.drawer.start()

    def _draw(self, trials: list[FrozenTrial]) -> None:
        began = time.monotonic()
        self.parent.files(pictures.draw(self.queue.study, trials, self.plan.folder / "plots"), "plots")
        self.drawn = time.monotonic()
        self.drawing = self.drawn - began

    def _end_slots(self) -> None:
        """Leave no process behind."""
        self.done.set()
        for slot in self.slots:
            slot.tell(signal.SIGKILL if self.stop.exit_code is None else signal.SIGTERM)
        for slot in self.slots:
            if slot.process is not None:
                slot.process.wait()
        if self.thread and self.thread.is_alive():
            self.thread.join()

    def _close(self, status: str) -> int:
        """The last files, the parent's end, the closing lines."""
        plan, trials = self.plan, self.queue.trials()
        if self.drawer:
            self.drawer.join()
        missing = results.write_results(self.queue.study, trials, plan.folder)
        self._draw(trials)
        self.parent.update(self.queue.study, trials)
        self.parent.files([plan.folder / results.YAML, plan.folder / results.TABLE])
        warning = self.parent.finish(status)
        for line in [*missing, *([warning] if warning else [])]:
            self.screen.warn(line)
        if status == "killed":
            self.screen.say(f"stopped; go on with: {again(plan)}")
        link = f"{self.parent.link}{f'  after: {self.parent.command}' if self.parent.command else ''}"
        shown = link if self.parent.link else None
        for line in results.closing_lines(self.queue.study, trials, folder=plan.folder, link=shown):
            self.screen.say(line)
        if self.stop.exit_code is not None:
            return self.stop.exit_code
        return 130 if status == "killed" else int(failures(trials) > 0)


def make_slots(plan: Plan) -> list[Slot]:
    """The slots of a plan: the same command as a worker of the same study."""
    joining = [
        "hydra.sweeper.worker=true",
        f"hydra.sweeper.study_name={plan.name}",
        f"hydra.sweeper.storage='{plan.storage}'",
        f"hydra.sweep.dir={plan.folder}",
    ]
    keys = ("sweeper.n_jobs", "sweeper.study_name", "sweeper.storage", "sweep.dir")
    replaced = tuple(f"hydra.{key}=" for key in keys)
    own = [word for word in plan.command if not word.startswith(replaced)]
    logs = plan.folder / "slots"
    return [
        Slot(number, [*own, *joining], environment, logs / f"slot-{number}.log")
        for number, environment in enumerate(environments(plan.n_jobs))
    ]


def make_parent(plan: Plan) -> Parent:
    """MLflow's run of the sweep."""
    settings = plan.first.settings
    return Parent(
        settings.tracking.name,
        study_name=plan.name,
        folder=plan.folder,
        task=settings.task,
        space=plan.space.distributions,
        facts={
            "sampler": plan.sampler,
            "pruner": plan.pruner["name"],
            "n_trials": plan.n_trials,
            "objectives": list(plan.objectives),
            "directions": list(plan.directions),
        },
        command=again(plan),
        uri=settings.tracking.uri,
        experiment=settings.tracking.experiment,
    )


def make_table(plan: Plan, screen: Screen, queue: Queue) -> Table:
    """The live table."""
    values = plan.first.hyperparameters
    sweep = Sweep(
        name=plan.name,
        objectives=plan.objectives,
        directions=queue.study.directions,
        n_trials=plan.n_trials,
        slots=plan.n_jobs,
        epochs=None if "max_epochs" in plan.space.distributions else values.max_epochs,
    )
    return Table(screen, sweep)


def again(plan: Plan) -> str:
    """The command that goes on with a sweep."""
    named = any(word.startswith("hydra.sweeper.study_name=") for word in plan.command)
    words = [*plan.command, *([] if named else [f"hydra.sweeper.study_name={plan.name}"])]
    return shlex.join(["visrun", *words])


def died(code: int) -> str:
    """What a slot's exit code says."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its process was killed by {name}{hint}"
    return f"its process ended with exit code {code}"
