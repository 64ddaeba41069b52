"""A worker on a real study: what it claims, how each trial ends, when it stops."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.exceptions import TrialPruned
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from visrun.errors import ConfigError
from visrun.record.run_folder import noted_process, this_process
from visrun.signals import Interrupted
from visrun.sweep import worker
from visrun.sweep.storage import StorageAway, open_storage
from visrun.sweep.study import Params, Queue, create, is_lost
from visrun.sweep.worker import Rules, beating, lose_dead, sign, work

SIZES: dict[str, BaseDistribution] = {"size": IntDistribution(1, 1000)}


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    storage = open_storage(str(tmp_path / "study.journal"))
    create(storage, "study", ["maximize"])
    made = Queue(storage, "study")
    made.study.sampler = RandomSampler(seed=0)
    made.fill(5)
    return made


def run(
    queue: Queue,
    launch: Callable[[int, Params], Sequence[float]],
    *,
    n_trials: int = 5,
    max_failure_rate: float = 1.0,
    deadline: float | None = None,
    **more: Any,
) -> list[bool]:
    rules = Rules(n_trials=n_trials, max_failure_rate=max_failure_rate, deadline=deadline)
    return work(queue, SIZES, active=list, others=lambda: None, launch=launch, rules=rules, **more)


def states(queue: Queue) -> list[str]:
    return [trial.state.name for trial in queue.trials()]


def test_it_runs_all_tickets_and_signs_them(queue: Queue) -> None:
    seen = {}
    run(queue, lambda number, params: seen.update({number: params}) or [float(number)], slot=3, led=True)
    trials = queue.trials()
    assert [(trial.state, trial.value, trial.params) for trial in trials] == [
        (TrialState.COMPLETE, float(number), seen[number]) for number in range(5)
    ]
    signed = {**this_process(), "host": socket.gethostname(), "pid": os.getpid(), "slot": 3, "led": True}
    assert [trial.user_attrs for trial in trials] == [{"place": trial.number, **signed} for trial in trials]


def test_whoever_dies_while_it_signs_leaves_no_process(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    trial, names = queue.claim(5), list[str]()
    assert trial is not None
    monkeypatch.setattr(queue, "note", lambda _, **facts: names.extend(facts))
    sign(queue, trial, 3, led=True)
    assert names[-1] == "pid" and {"host", "slot", "led"} < set(names)


def test_one_without_a_leader_makes_the_tickets_that_are_missing(queue: Queue) -> None:
    run(queue, lambda *_: [1.0], n_trials=8)
    assert states(queue) == ["COMPLETE"] * 8


def gone() -> dict[str, Any]:
    """How a process of this machine signed that has died since."""
    with subprocess.Popen(["sleep", "60"]) as process:
        signed = noted_process(process.pid)
        process.kill()
    return signed


@pytest.mark.parametrize("signed", [gone, dict, lambda: {"host": socket.gethostname()}], ids=["all", "not", "in part"])
def test_what_a_dead_process_left_is_run_again_where_nobody_leads(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, signed: Callable[[], dict[str, Any]]
) -> None:
    monkeypatch.setattr(worker, "HEARTBEAT", 0.02)
    monkeypatch.setattr(worker, "REST", 0.01)
    trial = queue.claim(5)
    assert trial is not None
    queue.note(trial.number, **signed())
    run(queue, lambda *_: [1.0])
    assert states(queue) == ["COMPLETE"] * 5
    assert is_lost(queue.every()[trial.number])


def test_what_may_live_is_left_to_run(queue: Queue) -> None:
    for signed in (gone(), gone() | {"host": "elsewhere"}, this_process(), {}):
        trial = queue.claim(5)
        assert trial is not None
        queue.note(trial.number, **signed)
    seen = lose_dead(queue, before=set())
    assert seen == {0, 3}  # seen for the first time: a leader may be about to end them
    assert [trial.state.name for trial in queue.every()[:4]] == ["RUNNING"] * 4
    assert lose_dead(queue, before={0, 1, 2}) == {3}
    assert [trial.state.name for trial in queue.every()[:4]] == ["FAIL", "RUNNING", "RUNNING", "RUNNING"]


def test_one_who_is_led_waits_for_the_tickets_that_are_missing(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "REST", 0.01)
    led = threading.Thread(target=run, args=(queue, lambda *_: [1.0]), kwargs={"n_trials": 8, "led": True})
    led.start()
    until = time.monotonic() + 30
    while states(queue) != ["COMPLETE"] * 5 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    assert states(queue) == ["COMPLETE"] * 5 and led.is_alive()
    queue.fill(8)
    led.join(30)
    assert states(queue) == ["COMPLETE"] * 8 and not led.is_alive()


def test_it_leaves_tickets_beyond_the_number_wanted(queue: Queue) -> None:
    run(queue, lambda *_: [1.0], n_trials=2)
    assert states(queue) == ["COMPLETE"] * 2 + ["WAITING"] * 3
    assert "slot" not in queue.trials()[0].user_attrs


@pytest.mark.parametrize(
    ("raised", "state", "reason"),
    [
        (TrialPruned(), "PRUNED", None),
        (ValueError("two\n  lines"), "FAIL", "ValueError: two lines (test_worker.py, line "),
        (MemoryError(), "FAIL", "MemoryError: (test_worker.py, line "),
        (ConfigError("one", "two"), "FAIL", "one"),
        (AssertionError("x" * 900), "FAIL", "AssertionError: " + "x" * 484),
        (math.nan, "FAIL", "the value is nan"),
        (-math.inf, "FAIL", "the value is -inf"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_whatever_happens_costs_that_trial_alone(queue: Queue, raised: Any, state: str, reason: str | None) -> None:
    def launch(number: int, _: Params) -> list[float]:
        if number == 1 and isinstance(raised, Exception):
            raise raised
        return [raised if number == 1 else 0.5]

    assert run(queue, launch) == [False, state == "FAIL", False, False, False]
    assert states(queue) == ["COMPLETE", state, "COMPLETE", "COMPLETE", "COMPLETE"]
    assert queue.trials()[1].user_attrs.get("reason", "").startswith(reason or "")
    assert ("reason" in queue.trials()[1].user_attrs) == (reason is not None)


@pytest.mark.parametrize("error", [KeyboardInterrupt, Interrupted(143)])
def test_ctrl_c_gives_the_trial_back_and_goes_on(queue: Queue, error: Any) -> None:
    points = []

    def launch(number: int, params: Params) -> list[float]:
        points.append(params)
        if number == 2:
            raise error
        return [1.0]

    with pytest.raises(KeyboardInterrupt):
        run(queue, launch)
    assert states(queue) == ["COMPLETE", "COMPLETE", "WAITING", "WAITING", "WAITING"]
    run(queue, launch)
    assert states(queue) == ["COMPLETE"] * 5
    assert points[3] == points[2]  # the ticket of the same point is the first to be run


def test_failures_end_it_when_they_reach_their_share(queue: Queue) -> None:
    def launch(number: int, _: Params) -> list[float]:
        if number != 1:
            raise ValueError("no")
        return [1.0]

    run(queue, launch, max_failure_rate=0.6)
    assert states(queue) == ["FAIL", "COMPLETE", "FAIL", "FAIL", "WAITING"]
    run(queue, launch, max_failure_rate=0.6)
    assert states(queue)[-1] == "WAITING"


def test_no_trial_begins_after_the_deadline(queue: Queue) -> None:
    run(queue, lambda *_: time.sleep(0.2) or [1.0], deadline=time.time() + 0.1)
    assert states(queue) == ["COMPLETE"] + ["WAITING"] * 4


def test_it_asks_before_each_trial_whether_it_is_stopped(queue: Queue) -> None:
    answers = [False, False, True]
    run(queue, lambda *_: [1.0], stopped=lambda: answers.pop(0))
    assert states(queue) == ["COMPLETE"] * 2 + ["WAITING"] * 3 and answers == []


def test_it_waits_for_those_who_still_run_and_takes_what_they_lose(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "REST", 0.02)
    other = Queue(queue.storage, "study")
    mine = other.claim(5)
    assert mine is not None
    thread = threading.Thread(target=run, args=(queue, lambda *_: [1.0]))
    thread.start()
    time.sleep(0.5)
    assert thread.is_alive()
    other.give_back(mine.number)
    thread.join(10)
    assert not thread.is_alive() and states(queue) == ["COMPLETE"] * 5
    assert is_lost(queue.every()[0]) and queue.trials()[-1].number == 5


def test_a_trial_that_others_gave_up_does_not_end_the_worker(queue: Queue) -> None:
    """As after a computer slept: its trial was lost meanwhile, and is run again by whoever comes first."""

    def launch(number: int, _: Params) -> list[float]:
        if number == 0:
            Queue(queue.storage, "study").give_back(0)
            queue.report(0, 1, 0.5)  # raises: the trial has ended
        return [1.0]

    run(queue, launch)
    assert is_lost(queue.every()[0]) and states(queue) == ["COMPLETE"] * 5


def test_a_study_that_cannot_be_told_ends_the_worker_and_is_no_fault_of_the_trial(queue: Queue) -> None:
    def launch(*_: Any) -> list[float]:
        raise StorageAway("away")

    with pytest.raises(StorageAway, match="away"):
        run(queue, launch)
    assert states(queue) == ["RUNNING", *["WAITING"] * 4]


def test_signs_of_life_go_on_after_one_that_did_not_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "HEARTBEAT", 0.01)
    storage = InMemoryStorage()
    create(storage, "study", ["maximize"])
    queue, beats = Queue(storage, "study"), []

    def beat(number: int) -> None:
        beats.append(number)
        if len(beats) == 1:
            raise StorageAway("the database is busy")

    monkeypatch.setattr(queue, "beat", beat)
    with beating(lambda: queue.beat(7)):
        time.sleep(0.3)
    assert len(beats) > 2 and set(beats) == {7}
    count = len(beats)
    time.sleep(0.1)
    assert len(beats) == count


def test_the_same_point_at_the_same_moment_is_withdrawn_without_a_run(queue: Queue, monkeypatch: Any) -> None:
    answers = [None, {"size": 1}]
    monkeypatch.setattr(queue, "sample", lambda *_: answers.pop(0))
    ran = []

    def launch(number: int, _: Params) -> list[float]:
        ran.append(number)
        return [1.0]

    queue._tell(queue.claim(5).number, TrialState.FAIL)  # type: ignore[union-attr]
    run(queue, launch, n_trials=2, stopped=lambda: not answers)
    assert len(ran) == 1
