"""The process that leads a sweep: makes the study, starts the slots, watches, shows, writes. It imports no torch."""

from __future__ import annotations

import signal
import threading
import time

from optuna.trial import FrozenTrial, TrialState

from visrun import preflight
from visrun.config.lines import texts
from visrun.config.overrides import SWEEP_DIR
from visrun.console import Bugs, Screen, logged
from visrun.errors import first_line
from visrun.record.sweep_files import ATTRIBUTE, RESULTS, TABLE
from visrun.run_files import LOG, PLOTS
from visrun.signals import Stop, stop_on_signals
from visrun.sweep import pictures, results
from visrun.sweep.agreement import noted
from visrun.sweep.crew import Crew, Orphans, Slots, Threads, Work
from visrun.sweep.joining import prepare
from visrun.sweep.leadership import Claim, claimed, leading, require_unled
from visrun.sweep.parent import Parent
from visrun.sweep.parts import again, make_slots, make_table, open_study
from visrun.sweep.plan import Plan
from visrun.sweep.pruners import first_look
from visrun.sweep.storage import is_database, open_storage
from visrun.sweep.study import Queue, without_idle
from visrun.sweep.trials import failures, too_many_failed
from visrun.sweep.worker import AHEAD

LOOK = 0.1  # seconds between two looks at the study, at least
LOOK_SHARE = 5  # and so many times what a look takes: a database with a thousand tickets takes long to read
PICTURES = 30.0  # seconds between two drawings, at least
MOST_DRAWING = 0.1  # share of the time that drawing may take


def lead(plan: Plan, *, work: Work | None = None) -> int:
    """Run a sweep from its beginning or from where it stopped.

    Args:
        plan: The sweep.
        work: Runs trials in this process until it is told to end; None starts a process for each slot.

    Returns:
        0; 1 where a trial failed; 129, 130 or 143 where a signal stopped it.

    Raises:
        ConfigError: A study of this name cannot be gone on with, or is being led by another process; or the folder
            cannot be written.
        StorageAway: The study can be neither read nor written for now.
        VisrunError: No slot can work, or the study's journal is gone or damaged.
    """
    screen = Screen()
    with stop_on_signals() as stop:  # from the beginning: one that a library swallows is remembered
        if is_database(plan.storage):
            require_unled(plan)  # what is wrong with a database is said before anything is written
        preflight.make(SWEEP_DIR, plan.folder)
        open_storage(plan.storage)  # and with a journal before its lock is taken, which lies beside it
        with leading(plan):
            queue = open_study(plan)
            with claimed(plan, queue) as claim, logged(plan.folder / LOG):
                return Controller(plan, queue, claim, screen=screen, stop=stop, work=work).run()


class Controller:
    """One sitting of a sweep."""

    def __init__(
        self, plan: Plan, queue: Queue, claim: Claim, *, screen: Screen, stop: Stop, work: Work | None
    ) -> None:
        self.plan, self.queue, self.claim = plan, queue, claim
        self.screen, self.stop = screen, stop
        self.parent = Parent(plan)
        self.parent_id: str | None = None
        self.crew: Crew = Threads(work) if work else self._slots()
        self.orphans = Orphans(self.parent.tracker, plan.folder)
        self.ended = -1
        self.drawer: threading.Thread | None = None
        self.drawn, self.drawing, self.bugs = time.monotonic(), 0.0, Bugs()

    def _slots(self) -> Slots:
        slots, folder, tracker = make_slots(self.plan), self.plan.folder, self.parent.tracker
        return Slots(slots, self.queue, folder=folder, wanted=self._wants_more, tracker=tracker, warn=self.screen.warn)

    def run(self) -> int:
        """Lead the sweep; see :func:`lead`."""
        for line in (*texts(self.plan.first.notices), *self.plan.warnings, *self.plan.notices):
            self.screen.warn(line)
        self.screen.say(f"sweep: {self.plan.folder}")
        if (pruner := self.plan.pruner["name"]) != "none":
            looks = first_look(self.plan.pruner, epochs=self.plan.first.hyperparameters.max_epochs)
            self.screen.say(f"pruner: {pruner}{looks}; hydra/sweeper/pruner=none lets every trial come to its end")
        self.stop.last = f"ended at once; go on with: {again(self.plan)}"
        self.screen.say(f"stopped or killed, it goes on with: {again(self.plan)}")
        self.parent.tracker.start()
        try:
            self._work()
        except KeyboardInterrupt as error:
            self.screen.end_progress()
            self.stop.exit_code = getattr(error, "exit_code", 130)
        except BaseException as error:
            self.screen.end_progress()
            self.parent.tracker.finish("failed", first_line(error))
            raise
        return self._close()

    def _work(self) -> None:
        """Have all trials run, and leave no process behind."""
        try:
            self.orphans.take_back(self.queue, sole=not is_database(self.plan.storage))
            self.crew.start()  # imports go on while the parent run is made
            prepare(self.plan, parent=self._parent_run)
            self._watch()
        finally:
            self.crew.end(signal.SIGKILL if self.stop.exit_code is None else signal.SIGTERM)

    def _parent_run(self) -> str | None:
        """MLflow's id of the sweep's run, waited for. Trials run from here on, so that a signal no longer just ends."""
        self.parent_id = self.parent.tracker.wait()
        self.stop.deferred = True
        return self.parent_id

    def _adopt(self) -> None:
        """Put trials below the sweep's run from now on, where its store answered after the first had begun."""
        run_id = self.parent.tracker.run_id
        if self.parent_id is None and run_id is not None:
            self.queue.study.set_user_attr(ATTRIBUTE, noted(self.queue) | {"parent": run_id})
            self.parent_id = run_id

    def _watch(self) -> None:
        """Look at the study until nobody works any more."""
        table = make_table(self.plan, self.screen, self.queue)
        told = False
        try:
            while self._is_working():
                began = time.monotonic()
                self.claim.keep()
                self._adopt()
                trials = self._trials()
                table.update(trials)
                self._refresh(trials)
                self._top_up(trials)
                if self.stop.exit_code is not None and not told:
                    told = True
                    self._pass_on()
                time.sleep(max(LOOK, LOOK_SHARE * (time.monotonic() - began)))
            table.update(self._trials())
        finally:
            table.close()

    def _trials(self) -> list[FrozenTrial]:
        return without_idle(self.queue.trials(), self.plan.n_trials)

    def _top_up(self, trials: list[FrozenTrial]) -> None:
        """Keep tickets ahead of those who work."""
        waiting = sum(trial.state is TrialState.WAITING for trial in trials)
        if len(trials) < self.plan.n_trials and waiting < AHEAD // 2:
            self.queue.fill(self.plan.n_trials, ahead=AHEAD)

    def _pass_on(self) -> None:
        """Ask everybody who works to stop as this process was asked to."""
        self.screen.console.show_cursor(True)  # which the table hides, and a second signal would leave hidden
        self.screen.say("stopping: what runs saves its state and ends; Ctrl-C again ends it at once")
        self.crew.tell(signal.SIGINT if self.stop.exit_code == 130 else signal.SIGTERM)

    def _is_working(self) -> bool:
        working = self.crew.is_working(stopping=self.stop.exit_code is not None)
        self.orphans.look(self.queue, watched=self.crew.pids)
        return working

    def _wants_more(self) -> bool:
        trials = self._trials()
        unended = any(trial.state in (TrialState.WAITING, TrialState.RUNNING) for trial in trials)
        left = unended or len(trials) < self.plan.n_trials
        return left and not self._failed_too_often(trials)

    def _failed_too_often(self, trials: list[FrozenTrial]) -> bool:
        plan = self.plan
        return too_many_failed(trials, n_trials=plan.n_trials, max_failure_rate=plan.max_failure_rate)

    def _why_early(self, trials: list[FrozenTrial]) -> str | None:
        """What ended the sweep before its last trial; None where nothing did but a person."""
        plan, ended = self.plan, sum(trial.state.is_finished() for trial in trials)
        if self.stop.exit_code is not None or ended >= plan.n_trials:
            return None
        if self._failed_too_often(trials):
            cause = f"hydra.sweeper.max_failure_rate={plan.max_failure_rate:g} is reached"
        elif plan.timeout is not None:
            cause = "hydra.sweeper.timeout is over; the same command goes on"
        else:
            return None
        return f"ended after {ended} of {plan.n_trials} trials: {cause}"

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
        try:
            drawn = pictures.draw(self.queue.study, trials, self.plan.folder / PLOTS, self.bugs)
            self.parent.files(drawn, PLOTS)
        except Exception as error:  # whatever Optuna makes of a study, its results are told
            if self.bugs.log("the plots were not drawn", error):
                self.screen.warn(f"plots: {type(error).__name__}: {first_line(error)}")
        self.drawn = time.monotonic()
        self.drawing = self.drawn - began

    def _close(self) -> int:
        """The last files, the parent's end, the closing lines."""
        plan, trials = self.plan, self._trials()
        stopped = self.stop.exit_code is not None
        if self.drawer:
            self.drawer.join()
        missing = results.write_results(self.queue.study, trials, plan.folder)
        self.parent.update(self.queue.study, trials)
        self.parent.files([plan.folder / RESULTS, plan.folder / TABLE])
        left = stopped and self._wants_more()
        if not left:
            self._draw(trials)
        warning = self.parent.tracker.finish("killed" if stopped else "finished")
        early = self._why_early(trials)
        for line in [*missing, early, results.of_other_data(trials), warning]:
            if line:
                self.screen.warn(line)
        if left:
            self.screen.say(f"stopped; go on with: {again(plan)}")
        tracker = self.parent.tracker
        link = f"{tracker.link}{f'  after: {tracker.command}' if tracker.command else ''}"
        shown = link if tracker.link else None
        for line in results.closing_lines(self.queue.study, trials, folder=plan.folder, link=shown):
            self.screen.say(line)
        return int(failures(trials) > 0) if self.stop.exit_code is None else self.stop.exit_code
