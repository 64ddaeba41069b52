"""What a person sees of a running sweep: a live table on a terminal, a line for each change of state elsewhere.

    >>> table = Table(screen, Sweep(name="digits", objectives=["accuracy"], directions=study.directions, n_trials=20))
    >>> table.update(study.trials)
    >>> table.close()

The lines go to the log in both cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState
from rich.console import Group
from rich.live import Live

from visrun.console import Screen, logger
from visrun.sweep.drawing import Sweep, draw, duration, short
from visrun.sweep.trials import by_number, counts, epochs_of, leaders, params_of, reason_of, values_of
from visrun.text import plural

REFRESH_SECONDS = 0.25


class Table:
    """Shows the trials of a sweep. No thread draws: a terminal changes on ``update`` only.

    Args:
        screen: Where it is printed; while the table lives, warnings printed through it stand above the table.
        sweep: What stays the same while the sweep runs.
    """

    def __init__(self, screen: Screen, sweep: Sweep) -> None:
        self.screen, self.sweep, self.news = screen, sweep, News(sweep)
        self.on_terminal = screen.live
        self.trials: Sequence[FrozenTrial] = ()
        self.began: datetime | None = None
        self.drawn: datetime | None = None
        self.live: Live | None = None

    def update(self, trials: Sequence[FrozenTrial], *, now: datetime | None = None) -> None:
        """Show the trials that count as they are now; on a terminal drawn at most four times a second.

        Args:
            trials: All of them, in any order.
            now: Local time without a zone, as in Optuna's trials; None asks the clock.
        """
        now = now or datetime.now()
        self.began, self.trials = self.began or now, trials
        for line in self.news.lines(trials):
            if self.on_terminal:
                logger.info("%s", line)
            else:
                self.screen.say(line)
        if self.on_terminal and (self.drawn is None or (now - self.drawn).total_seconds() >= REFRESH_SECONDS):
            self.drawn = now
            if self.live is None:
                self.live = Live(console=self.screen.console, auto_refresh=False, transient=True)
                self.live.start()
            self.live.update(self._picture(now), refresh=True)

    def close(self, *, now: datetime | None = None) -> None:
        """Take the live table away and print it once as it is in the end."""
        if self.live is not None:
            self.live.stop()
            self.live = None
            self.screen.console.print(self._picture(now or datetime.now()))

    def _picture(self, now: datetime) -> Group:
        size = self.screen.console.size
        elapsed = (now - (self.began or now)).total_seconds()
        return draw(self.sweep, self.trials, elapsed=elapsed, now=now, width=size.width, height=size.height)


class News:
    """Tells each change of a trial's state once."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.started: set[int] = set()
        self.anew: set[int] = set()
        self.ended: set[int] | None = None
        self.sampled: dict[int, dict[str, object]] = {}  # what a trial's parameters were the last time
        self.complete: list[FrozenTrial] = []

    def lines(self, trials: Sequence[FrozenTrial]) -> list[str]:
        """What happened since the last call. The first call sums up what had ended before."""
        trials = by_number(trials)
        done = [trial for trial in trials if trial.state.is_finished()]
        if self.ended is None:
            self._remember(done)
            self.anew |= {trial.number for trial in done if "anew" in trial.user_attrs}
            return [*self._before(done), *self._starts(trials)]
        lines = [*self._lost(trials), *self._starts(trials), *self._anew(trials)]
        done = [trial for trial in done if trial.number not in self.ended]
        for trial in sorted(done, key=lambda trial: (trial.datetime_complete or datetime.max, trial.number)):
            self._remember([trial])
            lines.append(self._end(trial))
        return lines

    def _remember(self, done: Sequence[FrozenTrial]) -> None:
        self.ended = (self.ended or set()) | {trial.number for trial in done}
        self.started |= self.ended
        self.complete += [trial for trial in done if trial.state is TrialState.COMPLETE]

    def _before(self, done: Sequence[FrozenTrial]) -> list[str]:
        if not done:
            return []
        best = "".join(f"; best {self._values(trial)} (trial {trial.number})" for trial in self._front()[:1])
        total = max(self.sweep.n_trials, len(done))  # an earlier sitting may have wanted more
        return [f"{len(done)} of {plural(total, 'trial')} done: {counts(done)}{best}"]

    def _front(self) -> list[FrozenTrial]:
        return leaders(self.complete, self.sweep.directions)

    def _starts(self, trials: Sequence[FrozenTrial]) -> list[str]:
        lines = []
        for trial in trials:
            if trial.number not in self.started and self._is_sampled(trial):
                self.started.add(trial.number)
                lines.append(f"trial {trial.number} started: {settings(trial)}".removesuffix(": "))
        return lines

    def _anew(self, trials: Sequence[FrozenTrial]) -> list[str]:
        """Why a trial does not go on where a former attempt was stopped."""
        told = [trial for trial in trials if "anew" in trial.user_attrs and trial.number not in self.anew]
        self.anew |= {trial.number for trial in told}
        return [f"trial {trial.number} starts anew: {trial.user_attrs['anew']}" for trial in told]

    def _is_sampled(self, trial: FrozenTrial) -> bool:
        """Whether a trial has all its parameters: they are written one by one, and only then the run begins."""
        if trial.state is TrialState.WAITING:
            return False
        if trial.state.is_finished() or trial.intermediate_values or "folder" in trial.user_attrs:
            return True
        before, self.sampled[trial.number] = self.sampled.get(trial.number), dict(trial.params)
        return bool(trial.params) and before == trial.params

    def _lost(self, trials: Sequence[FrozenTrial]) -> list[str]:
        """The trials that ran and count no more: they were stopped, or their process died; others take their places."""
        gone = self.started - (self.ended or set()) - {trial.number for trial in trials}
        self.started -= gone
        return [f"trial {number} did not end; its point is queued again" for number in sorted(gone)]

    def _end(self, trial: FrozenTrial) -> str:
        reason = reason_of(trial)
        if trial.state is TrialState.FAIL:
            return f"trial {trial.number} failed: {reason or 'no reason is known'}"
        if trial.state is TrialState.PRUNED:
            epoch, values = epochs_of(trial), self._values(trial)
            at = "" if epoch is None else f" at epoch {epoch}"
            return f"trial {trial.number} pruned{at}{': ' if values else ''}{values}{f' ({reason})' if reason else ''}"
        several = len(self.sweep.directions) > 1
        leads = any(other.number == trial.number for other in self._front())
        mark = "" if not leads else " (on the Pareto front)" if several else " (best so far)"
        return f"trial {trial.number} complete: {self._values(trial)}{mark}{_effort(trial)}" + (
            f"; {reason}" if reason else ""
        )

    def _values(self, trial: FrozenTrial) -> str:
        names = self.sweep.objectives
        pairs = zip(names, values_of(trial, len(names)), strict=True)
        return ", ".join(f"{name} {short(value)}" for name, value in pairs if value is not None)


def settings(trial: FrozenTrial) -> str:
    """``optimizer=sgd learning_rate=0.012``."""
    return " ".join(f"{name}={short(value)}" for name, value in params_of(trial).items())


def _effort(trial: FrozenTrial) -> str:
    """`` after 50 epochs, 12.3 s``, as far as it is known."""
    epochs, seconds = epochs_of(trial), trial.user_attrs.get("seconds")
    if seconds is None and trial.duration is not None:
        seconds = trial.duration.total_seconds()
    known = [] if epochs is None else [plural(epochs, "epoch")]
    known += [] if seconds is None else [f"{seconds:.1f} s" if seconds < 60 else duration(seconds)]
    return f" after {', '.join(known)}" if known else ""
