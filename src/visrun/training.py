"""The loop: train an epoch, evaluate, keep the best, log, save, stop. It knows no task, no config and no tracker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from visrun import chance
from visrun.errors import Diverged
from visrun.patience import epochs_waited, is_better, loss_of
from visrun.result import Ending
from visrun.signals import Interrupted, Stop
from visrun.step import Step
from visrun.tables import TaskEntry

Judge = Callable[[int, float, float], str | None]  # asked after an epoch; see `fit`
PEEK_SECONDS = 0.5  # how often the loop waits for the device, to show a loss and to look for NaN


class Loader(Protocol):
    """The batches of an epoch, from any step on, and the files behind one of them."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]: ...

    def files(self, epoch: int, step: int) -> list[Path]: ...


class Scheduler(Protocol):
    """A learning-rate schedule that is advanced after every optimizer step."""

    def step(self) -> None: ...

    def get_last_lr(self) -> list[float]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Recorder(Protocol):
    """What the loop tells the outside. None of the calls changes the run."""

    def step(self, progress: Progress, steps: int, loss: float | None) -> None: ...

    def epoch(
        self, progress: Progress, row: dict[str, float], improved: bool, *, seconds: float, step_seconds: float | None
    ) -> None: ...

    def save(self, progress: Progress, *, final: bool) -> None: ...


@dataclass
class Progress:
    """Where a run stands; with the weights and the optimizer's state, all that a resumed run needs.

    ``epoch`` counts finished epochs, ``step`` the steps done of the epoch under way, which began at ``learning_rate``;
    ``seconds`` is the time spent so far. ``best`` is the monitored metric's best value and ``best_epoch`` the epoch,
    from 1, that reached it (0 = none yet); between epochs of the same value the lower validation loss decides,
    ``best_loss``, since a small validation set soon has no finer steps. ``lowest_loss`` is the lowest validation loss
    so far, reached in ``lowest_epoch``.
    """

    epoch: int = 0
    step: int = 0
    best: float | None = None
    best_loss: float = math.inf
    best_epoch: int = 0
    lowest_loss: float = math.inf
    lowest_epoch: int = 0
    seconds: float = 0.0
    learning_rate: float = 0.0


@dataclass(frozen=True)
class Limits:
    """When the loop ends: epochs, patience in epochs (0 = off, never during warm-up), seconds (None = no limit)."""

    max_epochs: int
    patience: int = 0
    warmup_epochs: int = 0
    max_seconds: float | None = None


class Ended(NamedTuple):
    """How training ended: "finished", "killed" by a stop, or "pruned" by a judge, for the ``reason`` that it gave.

    One that is finished has reached a ``limit``: "epochs", "time" or "patience".
    """

    status: Ending
    reason: str | None = None
    limit: str | None = None


def fit(
    entry: TaskEntry,
    step: Step,
    scheduler: Scheduler,
    train: Loader,
    evaluate_now: Callable[[], dict[str, float]],
    *,
    progress: Progress,
    limits: Limits,
    recorder: Recorder,
    stop: Stop,
    seed: int,
    judge: Judge | None = None,
    verdict: str | None = None,
) -> Ended:
    """Train from where ``progress`` stands until it ends, and save all; not at all where a limit has ended it already.

    Args:
        evaluate_now: Metrics of ``step.evaluated`` on the validation split; ``entry`` names the one that ranks. It may
            raise Interrupted where ``stop`` is set.
        progress: Changed in place.
        judge: Told the epoch, from 1, its monitored value and validation loss; says why to stop, or None to go on.
        verdict: What the judge says of the epochs so far.
        seed: With the epoch's number, seeds what is drawn (dropout, plugins), so that any epoch can be entered afresh.

    Raises:
        Diverged: A loss was NaN or infinite. Nothing of that epoch is saved.
    """
    clock = Clock(progress.seconds, limits.max_seconds)
    if progress.epoch > 0 and progress.step == 0 and (limit := reached(progress, limits, clock)):
        return Ended("finished", limit=limit)
    if verdict:
        return Ended("pruned", verdict)
    while True:
        if progress.step == 0:
            chance.seed(seed * 1_000_003 + progress.epoch)
            step.ledger.reset()
            progress.learning_rate = scheduler.get_last_lr()[0]
        began, entered_at = time.monotonic(), progress.step
        train_epoch(step, scheduler, train, progress=progress, recorder=recorder, stop=stop, clock=clock)
        if progress.step < len(train) and not clock.is_over():
            return broken_off(progress, clock, recorder)
        steps, trained = progress.step - entered_at, time.monotonic() - began
        try:
            metrics = evaluate_now()
        except Interrupted:
            return broken_off(progress, clock, recorder)
        value, loss = metrics.get(entry.monitored(metrics)), loss_of(metrics)
        progress.epoch, progress.step, progress.seconds = progress.epoch + 1, 0, clock.seconds()
        improved = rank(progress, value, loss, maximize=entry.maximize)
        row, step_seconds = learnt(step, progress) | metrics, trained / steps if steps else None
        recorder.epoch(progress, row, improved, seconds=time.monotonic() - began, step_seconds=step_seconds)

        limit = reached(progress, limits, clock)
        progress.seconds = clock.seconds()  # or a run that ends by its time would go on where it is resumed
        verdict = judge(progress.epoch, value, loss) if judge and value is not None else None
        stopped = stop.exit_code is not None
        recorder.save(progress, final=bool(limit or verdict or stopped))
        if limit or verdict or stopped:
            return _ended(limit, verdict)


def _ended(limit: str | None, verdict: str | None) -> Ended:
    """At a limit, by a verdict, or else by a stop."""
    if limit:
        return Ended("finished", limit=limit)
    return Ended("pruned", verdict) if verdict else Ended("killed")


def broken_off(progress: Progress, clock: Clock, recorder: Recorder) -> Ended:
    """Save a run that is stopped within an epoch; where it goes on, it takes the steps that are left and evaluates."""
    progress.seconds = clock.seconds()
    if progress.step:  # without steps it begins the epoch anew
        recorder.save(progress, final=True)
    return Ended("killed")


def train_epoch(
    step: Step, scheduler: Scheduler, train: Loader, *, progress: Progress, recorder: Recorder, stop: Stop, clock: Clock
) -> None:
    """Run the epoch's remaining steps; leave early, between two steps, on ``stop`` or when time is over."""
    step.model.train()
    peek_at, rates = time.monotonic() + PEEK_SECONDS, list[float]()
    for batch in train.epoch(progress.epoch, start=progress.step):
        rates.append(scheduler.get_last_lr()[0])
        step(batch)
        scheduler.step()
        progress.step += 1
        loss = None
        if time.monotonic() >= peek_at:
            loss, rates = check_finite(step, train, progress, rates), []
            peek_at = time.monotonic() + PEEK_SECONDS
        recorder.step(progress, len(train), loss)
        if stop.exit_code is not None or clock.is_over():
            break
    check_finite(step, train, progress, rates)


class Clock:
    """Seconds of a run over all its sittings, against a limit or none."""

    def __init__(self, spent: float, limit: float | None) -> None:
        self.began, self.limit = time.monotonic() - spent, limit

    def seconds(self) -> float:
        """Seconds trained so far."""
        return time.monotonic() - self.began

    def is_over(self) -> bool:
        """Whether the limit has passed."""
        return self.limit is not None and self.seconds() > self.limit


def check_finite(step: Step, train: Loader, progress: Progress, rates: Sequence[float]) -> float:
    """The latest loss; ``rates`` are the learning rates of the steps since the last look.

    Raises:
        Diverged: A loss of this epoch was not finite; names the step, the losses, the learning rate and the files.
    """
    loss, bad = step.ledger.peek()
    if bad is not None:
        files = ", ".join(str(file) for file in train.files(progress.epoch, bad)[:8])
        raise Diverged(
            f"the loss became NaN or infinite in epoch {progress.epoch + 1}, step {bad + 1} of {len(train)}, at "
            f"learning_rate={rates[bad - progress.step]:.3g}: lower it, add warmup_epochs, or see the files {files}"
        )
    return loss


def learnt(step: Step, progress: Progress) -> dict[str, float]:
    """Learning rate, ``loss`` and, where it has several parts, each as ``loss/PART``; {} of an epoch without steps."""
    means = step.ledger.means()
    if "loss" not in means:
        return {}
    parts = {f"loss/{name}": value for name, value in means.items() if name != "loss"}
    return {"learning_rate": progress.learning_rate, "loss": means["loss"], **(parts if len(parts) > 1 else {})}


def rank(progress: Progress, value: float | None, loss: float, *, maximize: bool) -> bool:
    """Enter the values of the epoch that has ended; whether it is the best so far."""
    best = is_better(value, progress.best, maximize=maximize, loss=loss, best_loss=progress.best_loss)
    if best:
        progress.best, progress.best_loss, progress.best_epoch = value, loss, progress.epoch
    if loss < progress.lowest_loss:
        progress.lowest_loss, progress.lowest_epoch = loss, progress.epoch
    return best


def reached(progress: Progress, limits: Limits, clock: Clock) -> str | None:
    """The limit, see :class:`Ended`, that makes the epoch that has ended the last one; None where it is not."""
    if progress.epoch >= limits.max_epochs:
        return "epochs"
    if clock.is_over():
        return "time"
    return "patience" if is_patience_over(progress, limits) else None


def is_patience_over(progress: Progress, limits: Limits) -> bool:
    """Whether nothing has improved for ``patience`` epochs."""
    waited = epochs_waited(
        progress.epoch,
        best_epoch=progress.best_epoch,
        lowest_epoch=progress.lowest_epoch,
        warmup_epochs=limits.warmup_epochs,
    )
    return limits.patience > 0 and waited >= limits.patience


def why_early(limit: str | None, progress: Progress, monitor: str) -> str | None:
    """How ``limit`` ended a run before its last epoch; None where it did not."""
    if limit == "time":
        return "run.max_time is over"
    if limit == "patience":
        since = max(progress.best_epoch, progress.lowest_epoch)
        return f"no better {monitor} and no lower validation loss since epoch {since}"
    return None
