"""The queue of a study: tickets, claims, points, ends; on a journal and on a database."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.config_store import ConfigStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import text

from visrun.config import sweeper
from visrun.sweep.agreement import incompatible
from visrun.sweep.plugin import VisrunSweeper
from visrun.sweep.storage import open_storage, quiet
from visrun.sweep.study import START, Params, Queue, counting, create, is_lost
from visrun.sweep.trials import failures, params_of

MIXED: dict[str, BaseDistribution] = {
    "optimizer": CategoricalDistribution(("adam", "sgd")),
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "momentum": FloatDistribution(0.5, 0.99),
    "batch_size": IntDistribution(8, 64, log=True),
    "weight_decay": FloatDistribution(0.0, 1.0, step=0.25),
    "warmup_epochs": IntDistribution(0, 6, step=2),
}
COLOURS: dict[str, BaseDistribution] = {
    "colour": CategoricalDistribution(("red", "green", "blue")),
    "size": IntDistribution(1, 3),
}
COLOUR_POINTS = [{"colour": colour, "size": size} for colour in ("red", "green", "blue") for size in (1, 2, 3)]
SAMPLERS = ("tpe", "random", "cmaes", "gp", "nsgaii", "nsgaiii", "qmc", "grid", "multivariate_tpe")


def reads(params: Params) -> list[str]:
    """Momentum counts with sgd only."""
    return [name for name in params if name != "momentum" or params.get("optimizer") == "sgd"]


def everything(params: Params) -> list[str]:
    return list(params)


def uncountable() -> None:
    return None


@pytest.fixture(params=["journal", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStorage]:
    if request.param == "journal":
        yield open_storage(str(tmp_path / "study.journal"))
        return
    yield from sqlite(tmp_path)


@cache
def tables() -> bytes:
    """An empty database, whose tables take long to make."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        RDBStorage(f"sqlite:///{folder}/study.db").engine.dispose()
        return Path(folder, "study.db").read_bytes()


def sqlite(folder: Path) -> Iterator[RDBStorage]:
    """A database whose trials are missed after a second."""
    (folder / "study.db").write_bytes(tables())
    with quiet():
        made = RDBStorage(f"sqlite:///{folder}/study.db", heartbeat_interval=1, grace_period=1)
    yield made
    made.engine.dispose()


def silent_for(seconds: float, database: RDBStorage, *trials: int) -> None:
    """The last sign of life of these trials is so much older."""
    past = f"update trial_heartbeats set heartbeat = datetime(heartbeat, '-{seconds} seconds') where trial_id = :trial"
    with database.engine.begin() as connection:
        for trial in trials:
            assert connection.execute(text(past), {"trial": trial}).rowcount == 1


def queue_in(
    storage: BaseStorage, directions: Sequence[str] = ("maximize",), *, sampler: BaseSampler | None = None, **more: Any
) -> Queue:
    create(storage, "study", directions)
    queue = Queue(storage, "study", **more)
    queue.study.sampler = sampler or RandomSampler(seed=3)
    return queue


@pytest.fixture
def queue(storage: BaseStorage) -> Queue:
    return queue_in(storage)


def memory(directions: Sequence[str] = ("maximize",), **more: Any) -> Queue:
    return queue_in(InMemoryStorage(), directions, **more)


def claimed(queue: Queue, n_trials: int = 100) -> FrozenTrial:
    trial = queue.claim(n_trials)
    assert trial is not None
    return trial


def sampled(
    queue: Queue,
    distributions: dict[str, BaseDistribution] = COLOURS,
    active: Callable[[Params], Sequence[str]] = everything,
    others: Callable[[], Sequence[Params] | None] = uncountable,
) -> tuple[FrozenTrial, Params]:
    trial = claimed(queue)
    params = queue.sample(trial, distributions, active, others)
    assert params is not None
    return trial, params


def states(queue: Queue) -> list[str]:
    return [trial.state.name for trial in queue.trials()]


class TestTickets:
    def test_a_study_is_made_once(self, storage: BaseStorage) -> None:
        assert create(storage, "study", ["maximize", "minimize"])
        assert not create(storage, "study", ["maximize"])
        assert [direction.name for direction in Queue(storage, "study").study.directions] == ["MAXIMIZE", "MINIMIZE"]
        with pytest.raises(KeyError):
            Queue(storage, "another")

    def test_fill_makes_what_is_missing_and_no_more(self, queue: Queue) -> None:
        queue.fill(3)
        queue.fill(3)
        assert states(queue) == ["WAITING"] * 3
        queue.fill(5)
        queue.fill(2)
        assert states(queue) == ["WAITING"] * 5

    def test_points_come_first_and_each_once(self, queue: Queue) -> None:
        points = [{"size": 2}, {"size": 1, "colour": "red"}, {"size": 2}]
        queue.fill(4, points)
        assert [params_of(trial) for trial in queue.trials()] == [points[0], points[1], {}, {}]

    def test_more_points_than_trials_are_cut(self, queue: Queue) -> None:
        queue.fill(2, COLOUR_POINTS)
        assert [params_of(trial) for trial in queue.trials()] == COLOUR_POINTS[:2]
        queue.fill(4, COLOUR_POINTS)
        assert [params_of(trial) for trial in queue.trials()] == COLOUR_POINTS[:4]

    def test_only_points_to_start_with_are_marked_and_stay_so_where_they_were_lost(self, queue: Queue) -> None:
        queue.fill(2, COLOUR_POINTS[:1], start=True)
        queue.fill(3, COLOUR_POINTS[1:2])
        queue.give_back(claimed(queue).number)
        assert [(trial.number, START in trial.user_attrs) for trial in queue.trials()] == [
            (1, False),
            (2, False),
            (3, True),
        ]

    def test_points_that_were_tried_do_not_come_again(self, queue: Queue) -> None:
        start = [{"size": 2}, {"colour": "red", "size": 3, "unread": 1}]
        queue.fill(2, start)
        for _ in start:
            trial, _ = sampled(queue, active=lambda params: [name for name in params if name != "unread"])
            queue.complete(trial.number, [1.0])
        queue.fill(4, start)
        assert [params_of(trial) for trial in queue.trials()[2:]] == [{}, {}]

    def test_points_of_lost_trials_do_not_come_twice(self, queue: Queue) -> None:
        queue.fill(2, COLOUR_POINTS[:2])
        trial, params = sampled(queue)
        queue.give_back(trial.number)
        queue.fill(4, COLOUR_POINTS[:2])
        assert [params_of(trial) for trial in queue.trials()] == [COLOUR_POINTS[1], params, {}, {}]

    def test_some_empty_tickets_are_made_ahead_and_all_points(self, queue: Queue) -> None:
        queue.fill(100, COLOUR_POINTS, ahead=5)
        assert [params_of(trial) for trial in queue.trials()] == [*COLOUR_POINTS, *[{}] * 5]
        queue.fill(16, ahead=5)
        queue.fill(16, ahead=5)
        assert len(queue.trials()) == 16

    def test_tickets_that_two_make_at_once_count_once(self, queue: Queue) -> None:
        """As where one process reads what there is, and another one adds tickets before it does."""
        other = Queue(queue.storage, "study")
        other.every = lambda *_: []  # type: ignore[method-assign]  # what it saw before
        queue.fill(3, COLOUR_POINTS)
        other.fill(5, COLOUR_POINTS)
        assert len(queue.every()) == 8
        assert [params_of(trial) for trial in queue.trials()] == COLOUR_POINTS[:5]
        numbers = []
        while (trial := queue.claim(5)) is not None:
            numbers.append(trial.number)
        assert numbers == [0, 1, 2, 6, 7]

    def test_tickets_are_claimed_in_order_up_to_the_number_wanted(self, queue: Queue) -> None:
        queue.fill(5)
        assert [claimed(queue, 3).number for _ in range(3)] == [0, 1, 2]
        assert queue.claim(3) is None
        assert queue.claim(4) is not None and queue.claim(5) is not None and queue.claim(9) is None

    def test_a_claimed_ticket_runs(self, queue: Queue) -> None:
        queue.fill(1)
        trial = claimed(queue)
        assert trial.state is TrialState.RUNNING and trial.datetime_start is not None
        assert [found.number for found in queue.every(TrialState.RUNNING)] == [0]
        assert queue.every(TrialState.WAITING, TrialState.COMPLETE) == []

    def test_lost_trials_do_not_use_up_the_number_wanted(self, queue: Queue) -> None:
        queue.fill(3)
        for _ in range(4):
            queue.give_back(claimed(queue, 3).number)
        assert len(queue.every()) == 7 and len(queue.trials()) == 3
        assert [claimed(queue, 3).number for _ in range(3)] == [2, 4, 6]
        assert queue.claim(3) is None

    def test_points_to_start_with_and_those_of_lost_trials_come_first(self, queue: Queue) -> None:
        red, grey = {"colour": "red"}, {"colour": "grey"}
        queue.fill(4, [red], start=True)
        queue.give_back(claimed(queue, 5).number)  # the point to start with
        queue.fill(5, [red, grey], start=True)
        assert [params_of(claimed(queue, 5)) for _ in range(2)] == [red, grey]
        for _ in range(2):
            queue.give_back(claimed(queue, 5).number)
        assert queue.every()[-1].user_attrs["again"] == queue.every()[-2].number  # lost twice
        assert [claimed(queue, 5).number for _ in range(3)] == [2, 3, 7]
        assert queue.claim(5) is None

    def test_a_point_to_start_with_that_was_lost_twice_waits_its_turn(self, queue: Queue) -> None:
        queue.fill(3, [{"colour": "red"}], start=True)
        for _ in range(2):
            queue.give_back(claimed(queue, 3).number)
        assert [claimed(queue, 3).number for _ in range(3)] == [1, 2, 4]

    def test_a_ticket_that_somebody_else_queued_counts(self, queue: Queue) -> None:
        queue.study.enqueue_trial({"size": 1})
        queue.fill(2)
        assert [params_of(trial) for trial in queue.trials()] == [{"size": 1}, {}]


class TestClaims:
    def test_by_threads_with_queues_of_their_own_none_twice_none_lost(self, storage: BaseStorage) -> None:
        if isinstance(storage, RDBStorage):
            pytest.skip("SQLite is no storage for many writers")
        create(storage, "study", ["maximize"])
        Queue(storage, "study").fill(60)
        found: list[int] = []

        def claim() -> None:
            queue = Queue(storage, "study")
            while (trial := queue.claim(50)) is not None:
                found.append(trial.number)

        threads = [threading.Thread(target=claim) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(found) == list(range(50))

    def test_one_that_another_was_faster_with_is_passed_over(self, queue: Queue, monkeypatch: Any) -> None:
        queue.fill(3)
        before = queue.every()
        other = Queue(queue.storage, "study")
        first, second = claimed(other), claimed(other)
        other.fail(second.number, "ended already")
        monkeypatch.setattr(queue, "every", lambda *_: before)
        assert first.number == 0 and claimed(queue).number == 2
        assert queue.claim(3) is None

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        n_trials=st.integers(1, 6),
        acts=st.lists(
            st.tuples(
                st.sampled_from(["claim", "claim", "complete", "fail", "lose", "fill", "replace"]), st.integers(0, 5)
            ),
            max_size=40,
        ),
    )
    def test_whatever_happens_all_trials_end_once(self, n_trials: int, acts: list[tuple[str, int]]) -> None:
        queue = memory()
        queue.fill(n_trials, COLOUR_POINTS)
        for act, which in acts:
            running = queue.every(TrialState.RUNNING)
            if act == "claim":
                trial = queue.claim(n_trials)
                if trial is not None:
                    queue.sample(trial, COLOURS, everything, lambda: COLOUR_POINTS)
            elif act == "fill":
                queue.fill(n_trials, COLOUR_POINTS)
            elif act == "replace":
                queue.replace_lost()
            elif running:
                number = running[which % len(running)].number
                if act == "complete":
                    queue.complete(number, [1.0])
                elif act == "fail":
                    queue.fail(number, "because")
                else:  # as a stale one: nobody has put a new ticket yet
                    queue.study.tell(number, state=TrialState.FAIL)
        for trial in queue.every(TrialState.RUNNING):
            queue.give_back(trial.number)
        queue.replace_lost()
        while (trial := queue.claim(n_trials)) is not None:
            queue.sample(trial, COLOURS, everything, lambda: COLOUR_POINTS)
            queue.complete(trial.number, [1.0])
        ended = [trial for trial in queue.trials()[:n_trials] if trial.state.is_finished()]
        assert len(ended) == n_trials
        assert Counter(json.dumps(trial.params) for trial in ended) == Counter(
            map(json.dumps, COLOUR_POINTS[:n_trials])
        )


class TestSample:
    def test_it_writes_down_what_it_returns(self, queue: Queue) -> None:
        queue.fill(4)
        for _ in range(4):
            trial, params = sampled(queue, MIXED, reads)
            stored = queue.every()[trial.number]
            assert stored.params == params
            assert all(type(stored.params[name]) is type(value) for name, value in params.items())
            assert {name: MIXED[name] for name in params} == stored.distributions
            queue.complete(trial.number, [params["learning_rate"]])

    def test_parameters_that_do_not_count_are_absent(self, queue: Queue) -> None:
        queue.fill(8)
        seen = [sampled(queue, MIXED, reads)[1] for _ in range(8)]
        assert {params["optimizer"] for params in seen} == {"adam", "sgd"}
        assert all(("momentum" in params) == (params["optimizer"] == "sgd") for params in seen)

    def test_a_point_outside_of_a_space_that_became_narrower_is_drawn_anew_there(self, queue: Queue) -> None:
        queue.fill(2, [{"size": 3, "colour": "red"}, {"size": 1, "colour": "blue"}])
        narrow = {"colour": COLOURS["colour"], "size": IntDistribution(1, 2)}
        found = [sampled(queue, narrow)[1] for _ in range(2)]
        assert found[0]["colour"] == "red" and found[0]["size"] in (1, 2)
        assert found[1] == {"size": 1, "colour": "blue"}

    @pytest.mark.parametrize("name", ["tpe", "multivariate_tpe", "cmaes"])
    def test_a_range_that_became_wider_is_searched_whole(self, name: str) -> None:
        queue = memory(sampler=sampler_of(name))
        queue.fill(24)
        narrow, wide = FloatDistribution(0.4, 0.5), FloatDistribution(0.0, 1.0)
        seen = []
        for distribution in [narrow] * 12 + [wide] * 12:
            trial, params = sampled(queue, {"learning_rate": distribution, "momentum": FloatDistribution(0.5, 0.99)})
            queue.complete(trial.number, [-params["learning_rate"]])
            seen.append(params["learning_rate"])
        assert all(0.4 <= value <= 0.5 for value in seen[:12])
        assert min(seen[12:]) < 0.4

    def test_a_ticket_decides_what_it_names(self, queue: Queue) -> None:
        queue.fill(
            3, [{"optimizer": "adam", "momentum": 0.7}, {"learning_rate": 0.02}, {"optimizer": "sgd", "momentum": 0.9}]
        )
        first, second, third = (sampled(queue, MIXED, reads)[1] for _ in range(3))
        assert first["optimizer"] == "adam" and "momentum" not in first
        assert second["learning_rate"] == 0.02
        assert (third["optimizer"], third["momentum"]) == ("sgd", 0.9)

    def test_a_ticket_may_ask_for_a_point_again(self, queue: Queue) -> None:
        queue.fill(1, [COLOUR_POINTS[0]])
        queue.study.enqueue_trial(COLOUR_POINTS[0])
        assert [sampled(queue)[1] for _ in range(2)] == [COLOUR_POINTS[0]] * 2

    @pytest.mark.parametrize("name", SAMPLERS)
    def test_no_sampler_repeats_a_point_until_all_are_tried(self, name: str) -> None:
        queue = memory(sampler=sampler_of(name))
        queue.fill(9)
        seen = []
        for _ in range(9):
            trial, params = sampled(queue, others=lambda: COLOUR_POINTS)
            assert params not in seen
            seen.append(params)
            queue.complete(trial.number, [float(params["size"])])
        queue.fill(10)
        assert sampled(queue, others=lambda: COLOUR_POINTS)[1] in seen

    def test_where_a_branch_is_used_up_and_another_has_no_end_none_of_it_comes_twice(self) -> None:
        """Also where the sampler proposes nothing but that branch, as one that prefers it does."""
        space: dict[str, BaseDistribution] = {
            "optimizer": CategoricalDistribution(("adam", "adamw", "sgd")),
            "momentum": FloatDistribution(0.5, 0.9),
        }
        with quiet():
            stubborn = optuna.samplers.PartialFixedSampler({"optimizer": "adam"}, RandomSampler())
        queue = memory(sampler=stubborn)
        queue.fill(12)
        seen = [sampled(queue, space, reads)[1] for _ in range(12)]
        assert all(seen.count(params) == 1 for params in seen)
        assert {params["optimizer"] for params in seen} == {"adam", "adamw", "sgd"}

    @pytest.mark.parametrize("others", [uncountable, lambda: COLOUR_POINTS])
    def test_a_ticket_that_names_a_part_repeats_no_point(self, others: Callable[[], Sequence[Params] | None]) -> None:
        points = [{"colour": "red", "size": 1}, {"colour": "red"}, {"size": 1}, {"colour": "red"}]
        queue = memory()
        for point in points:
            queue.study.enqueue_trial(point)
        seen = [sampled(queue, others=others)[1] for _ in points]
        assert all(point.items() <= params.items() for point, params in zip(points, seen, strict=True))
        assert all(seen.count(params) == 1 for params in seen)

    def test_a_part_that_has_no_new_point_leaves_its_place_to_another(self) -> None:
        sizes: dict[str, BaseDistribution] = {**COLOURS, "size": IntDistribution(1, 2)}
        points = [point for point in COLOUR_POINTS if point["size"] != 3]
        queue = memory()
        for point in ({"colour": "red", "size": 1}, {"colour": "red", "size": 2}, {"colour": "red"}):
            queue.study.enqueue_trial(point)
        assert [sampled(queue, sizes, others=lambda: points)[1] for _ in range(3)][2]["colour"] != "red"

    def test_a_point_that_waits_or_runs_or_failed_is_tried_too(self, queue: Queue) -> None:
        sizes: dict[str, BaseDistribution] = {"size": IntDistribution(1, 4)}
        points = [{"size": size} for size in (1, 2, 3, 4)]
        queue.fill(4, [{"size": 1}, {"size": 2}])
        failed, _ = sampled(queue, sizes)
        queue.fail(failed.number, "because")
        queue.study.enqueue_trial({"size": 4})
        sampled(queue, sizes)
        assert sampled(queue, sizes, others=lambda: points)[1] == {"size": 3}

    def test_the_point_of_a_lost_trial_is_free_again(self, queue: Queue) -> None:
        sizes: dict[str, BaseDistribution] = {"size": IntDistribution(1, 2)}
        queue.fill(2)
        (trial, params), other = sampled(queue, sizes), claimed(queue)
        queue.give_back(trial.number)
        assert [params_of(found) for found in queue.trials()] == [{}, params]
        free, taken = {"size": 3 - params["size"]}, params
        assert queue.sample(other, sizes, everything, lambda: [{"size": 1}, {"size": 2}]) == free
        assert sampled(queue, sizes)[1] == taken

    @pytest.mark.parametrize("named", [{}, {"size": 2}])
    def test_the_same_point_at_the_same_moment_is_given_back(
        self, named: Params, queue: Queue, monkeypatch: Any
    ) -> None:
        queue.study.enqueue_trial({"size": 2})
        other, params = sampled(queue)
        queue.study.enqueue_trial(named, user_attrs={START: True})
        trial = claimed(queue)
        taken = [[], [params]]
        monkeypatch.setattr(queue, "_taken", lambda number: taken.pop(0))
        with quiet():
            queue.study.sampler = optuna.samplers.PartialFixedSampler(params, RandomSampler())
        assert queue.sample(trial, COLOURS, everything, uncountable) is None
        assert is_lost(queue.every()[trial.number])
        assert [(found.number, found.state.name) for found in queue.trials()] == [
            (other.number, "RUNNING"),
            (2, "WAITING"),
        ]
        assert params_of(queue.trials()[1]) == named and START in queue.trials()[1].user_attrs
        queue.replace_lost()
        assert len(queue.every()) == 3

    def test_a_space_of_nothing_has_one_point(self, queue: Queue) -> None:
        queue.fill(1)
        trial, params = sampled(queue, {}, others=lambda: [{}])
        assert params == {} and queue.complete(trial.number, [1.0]) is None


def sampler_of(name: str, slot: int = 0) -> BaseSampler:
    """A sampler of the official group, or ours, as the plugin makes it."""
    sweeper.store()
    node = ConfigStore.instance().load(f"hydra/sweeper/sampler/{name}.yaml").node
    settings = OmegaConf.to_container(OmegaConf.structured(node))
    assert isinstance(settings, dict)
    plugin = VisrunSweeper(sampler={**settings, "seed": 5})
    with quiet():
        return plugin._sampler([])


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_searches_a_conditional_space_in_silence(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    queue = queue_in(open_storage(str(tmp_path / "study.journal")), sampler=sampler_of(name))
    queue.fill(14, [{"optimizer": "sgd"}])
    for _ in range(14):
        trial, params = sampled(queue, MIXED, reads)
        assert params == queue.every()[trial.number].params
        assert all(MIXED[key]._contains(MIXED[key].to_internal_repr(value)) for key, value in params.items())
        assert ("momentum" in params) == (params["optimizer"] == "sgd")
        queue.report(trial.number, 1, 0.5)
        if trial.number == 4:
            queue.prune(trial.number)
        elif trial.number == 5:
            queue.fail(trial.number, "because")
        else:
            queue.complete(trial.number, [-abs(math.log10(params["learning_rate"]) + 3)])
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert Counter(states(queue)) == {"COMPLETE": 12, "PRUNED": 1, "FAIL": 1}


@pytest.mark.parametrize("name", ["tpe", "random", "nsgaii", "nsgaiii", "gp", "qmc", "multivariate_tpe"])
def test_several_objectives(name: str) -> None:
    queue = memory(["maximize", "minimize"], sampler=sampler_of(name))
    queue.fill(12)
    for _ in range(12):
        trial, params = sampled(queue, MIXED, reads)
        assert not queue.report(trial.number, 1, 0.5)
        queue.complete(trial.number, [params["weight_decay"], params["batch_size"]])
    assert states(queue) == ["COMPLETE"] * 12 and queue.study.best_trials


class TestEnds:
    def test_complete(self, queue: Queue) -> None:
        queue.fill(1)
        assert queue.complete(claimed(queue).number, [0.75]) is None
        (trial,) = queue.trials()
        assert (trial.state, trial.values) == (TrialState.COMPLETE, [0.75])

    @pytest.mark.parametrize(
        ("values", "reason"), [([math.nan], "the value is nan"), ([math.inf], "inf"), ([0.5, -math.inf], "0.5, -inf")]
    )
    def test_a_value_that_is_no_number_fails_with_a_reason(self, values: list[float], reason: str) -> None:
        queue = memory(["maximize"] * len(values))
        queue.fill(1)
        said = queue.complete(claimed(queue).number, values)
        (trial,) = queue.trials()
        assert said is not None and reason in said
        assert (trial.state, trial.user_attrs["reason"], trial.values) == (TrialState.FAIL, said, None)

    def test_failed_trials_run_again_on_demand_and_then_count_no_more(self, queue: Queue) -> None:
        queue.fill(3, COLOUR_POINTS[:3])
        for reason in ("no room", None, "a bug"):
            trial, _ = sampled(queue)
            queue.fail(trial.number, reason) if reason else queue.complete(trial.number, [1.0])
        for _ in range(2):
            queue.replace_lost(failed=True)
        queue.fill(3, COLOUR_POINTS[:3])
        assert [trial.number for trial in queue.trials()] == [1, 3, 4]
        assert [sampled(queue)[1] for _ in range(2)] == [COLOUR_POINTS[0], COLOUR_POINTS[2]]
        assert queue.claim(3) is None

    def test_a_failed_trial_counts_and_is_not_lost(self, queue: Queue) -> None:
        queue.fill(2)
        queue.fail(claimed(queue).number, "out of memory")
        queue.replace_lost()
        assert states(queue) == ["FAIL", "WAITING"] and failures(queue.trials()) == 1
        assert queue.trials()[0].user_attrs["reason"] == "out of memory"

    def test_a_pruned_trial_keeps_its_last_value(self, queue: Queue) -> None:
        queue.fill(1)
        number = claimed(queue).number
        queue.report(number, 1, 0.5)
        queue.report(number, 2, 0.25)
        queue.prune(number)
        assert (queue.trials()[0].state, queue.trials()[0].value) == (TrialState.PRUNED, 0.25)

    def test_a_lost_trial_comes_back_with_its_point(self, queue: Queue) -> None:
        queue.fill(1)
        trial, params = sampled(queue, MIXED, reads)
        queue.note(trial.number, folder="0", reason="no better accuracy since epoch 3")  # and then its worker is killed
        queue.give_back(trial.number)
        assert [(found.number, params_of(found)) for found in queue.trials()] == [(1, params)]
        assert sampled(queue, MIXED, reads)[1] == params

    def test_one_lost_before_it_had_a_point_comes_back_without(self, queue: Queue) -> None:
        queue.fill(2, [{"colour": "red"}])
        for trial in (claimed(queue), claimed(queue)):
            queue.give_back(trial.number)
        assert [params_of(trial) for trial in queue.trials()] == [{"colour": "red"}, {}]

    def test_a_lost_trial_comes_back_once(self, queue: Queue) -> None:
        queue.fill(2)
        for number in (claimed(queue).number, claimed(queue).number):
            queue.study.tell(number, state=TrialState.FAIL)
        others = [Queue(queue.storage, "study") for _ in range(3)]
        before = queue.every()
        for other in others:  # all of them look before any of them acts
            other.every = lambda *_: before  # type: ignore[method-assign]
        for other in others:
            other.replace_lost()
        queue.replace_lost()
        assert len(queue.every()) == 8 and len(queue.trials()) == 2
        replaced = [claimed(queue, 2).user_attrs["again"] for _ in range(2)]
        assert replaced == [0, 1] and queue.claim(2) is None

    def test_a_trial_that_was_given_up_ends_in_silence(self, queue: Queue) -> None:
        """Its worker was thought to be dead, and is not."""
        queue.fill(1)
        trial, _ = sampled(queue)
        queue.give_back(trial.number)
        assert queue.complete(trial.number, [1.0]) is None
        queue.complete(trial.number, [math.nan])
        queue.prune(trial.number)
        queue.fail(trial.number, "it was gone")
        queue.give_back(trial.number)
        assert is_lost(queue.every()[0]) and states(queue) == ["WAITING"]


class TestStale:
    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[RDBStorage]:
        yield from sqlite(tmp_path)

    def test_a_trial_without_signs_of_life_is_lost_and_one_with_them_is_not(self, database: RDBStorage) -> None:
        queue = queue_in(database)
        queue.fill(3)
        (dead, params), (living, _) = sampled(queue), sampled(queue)
        queue.beat(living.number)
        silent_for(10, database, dead._trial_id)
        queue.lose_stale()
        queue.lose_stale()
        assert [(trial.number, trial.state.name) for trial in queue.every()] == [
            (dead.number, "FAIL"), (living.number, "RUNNING"), (2, "WAITING"), (3, "WAITING"),
        ]  # fmt: skip
        assert params_of(queue.trials()[-1]) == params

    def test_a_worker_that_dies_right_after_its_claim_is_missed(self, database: RDBStorage) -> None:
        queue = queue_in(database)
        queue.fill(1)
        silent_for(10, database, claimed(queue)._trial_id)
        queue.lose_stale()
        assert is_lost(queue.every()[0]) and states(queue) == ["WAITING"]

    def test_a_journal_keeps_no_signs_of_life(self, tmp_path: Path) -> None:
        queue = queue_in(open_storage(str(tmp_path / "study.journal")))
        queue.fill(1)
        queue.beat(claimed(queue).number)
        queue.lose_stale()
        assert states(queue) == ["RUNNING"]


class TestReport:
    def test_every_epoch_is_noted(self, queue: Queue) -> None:
        queue.fill(1)
        number = claimed(queue).number
        assert not any(queue.report(number, epoch, 1 / epoch) for epoch in (1, 2, 4))
        assert queue.trials()[0].intermediate_values == {1: 1.0, 2: 0.5, 4: 0.25}

    def test_median_ends_a_hopeless_trial_only(self, storage: BaseStorage) -> None:
        queue = queue_in(storage, pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=2))
        queue.fill(5)
        for level in (0.5, 0.6, 0.7):
            number = claimed(queue).number
            for epoch in (1, 2, 3):
                assert not queue.report(number, epoch, level + epoch / 100)
            queue.complete(number, [level])
        good, bad = claimed(queue).number, claimed(queue).number
        assert [queue.report(bad, epoch, 0.1) for epoch in (1, 2, 3)] == [False, True, True]
        assert [queue.report(good, epoch, 0.9) for epoch in (1, 2, 3)] == [False] * 3

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_a_value_that_is_no_number_is_noted_too(self, queue: Queue, value: float) -> None:
        queue.fill(1)
        number = claimed(queue).number
        queue.report(number, 1, value)
        (noted,) = Queue(queue.storage, "study").trials()[0].intermediate_values.values()
        assert noted == value or (math.isnan(value) and math.isnan(noted))


class TestLimits:
    @pytest.mark.parametrize(
        ("changed", "wrong"),
        [
            ({"colour": CategoricalDistribution(("red", "green"))}, ["colour"]),
            ({"colour": CategoricalDistribution(("green", "red", "blue"))}, ["colour"]),
            ({"size": FloatDistribution(1, 3)}, ["size"]),
            ({"size": IntDistribution(1, 30)}, []),
            ({"size": IntDistribution(1, 3, log=True)}, ["size"]),
            ({"other": IntDistribution(1, 3)}, []),
            (COLOURS, []),
        ],
    )
    def test_incompatible(self, changed: dict[str, BaseDistribution], wrong: list[str]) -> None:
        queue = memory()
        queue.fill(1)
        sampled(queue)
        assert incompatible(queue.every(), changed) == wrong
        assert incompatible([], changed) == []


def test_a_study_that_exists_is_made_once_in_its_journal(tmp_path: Path) -> None:
    """A record that is in vain raises in whoever reads it next, also where a signal came before its writer did."""
    journal = tmp_path / "study.journal"
    storage = open_storage(str(journal))
    assert create(storage, "mine", ["minimize"]) and not create(storage, "mine", ["minimize"])
    assert len(journal.read_text().splitlines()) == 1


def test_counting_takes_the_first_of_a_place() -> None:
    def trial(number: int, state: TrialState = TrialState.WAITING, **attributes: Any) -> FrozenTrial:
        made = create_trial(state=state, value=1.0 if state is TrialState.COMPLETE else None, user_attrs=attributes)
        made.number = number
        return made

    trials = [
        trial(0, TrialState.COMPLETE, place=0),
        trial(1, TrialState.FAIL, place=1),
        trial(2, place=2),
        trial(3, place=2),
        trial(4, place=1),
        trial(5, TrialState.FAIL, again=1),
        trial(6, again=1),
        trial(7, TrialState.FAIL, again=5, failed=True),
        trial(8),
        trial(9),
    ]
    assert [found.number for found in counting(trials)] == [0, 2, 7, 8, 9]
    assert counting([]) == []


WORKER = """
import json, sys
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from visrun.sweep.storage import open_storage, quiet
from visrun.sweep.study import Queue, create
from visrun.sweep.worker import Rules, work

distributions = {"colour": CategoricalDistribution(("red", "green", "blue")), "size": IntDistribution(1, 40)}

where, ran, total = sys.argv[1], sys.argv[2], int(sys.argv[3])
storage = open_storage(where)
create(storage, "study", ["maximize"])
queue = Queue(storage, "study")
queue.study.sampler = RandomSampler(seed=1)  # the same one: they try the same points
queue.fill(total)  # all of them at once
print("ready", flush=True)
sys.stdin.readline()

def launch(number, params):
    with open(ran, "a") as file:
        file.write(json.dumps([number, params]) + "\\n")
    if number % 10 == 9:
        raise ValueError("unlucky")
    return [float(params["size"])]

points = [{"colour": colour, "size": size} for colour in ("red", "green", "blue") for size in range(1, 41)]
work(queue, distributions, active=list, others=lambda: points, launch=launch,
     rules=Rules(n_trials=total, max_failure_rate=1.0))
"""


@pytest.mark.slow
def test_four_processes_run_a_hundred_trials_none_twice_none_lost(tmp_path: Path) -> None:
    where, ran, total = str(tmp_path / "study.journal"), tmp_path / "ran", 100
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, where, str(ran), str(total)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        assert worker.stdin is not None
    for worker in workers:
        worker.stdin.write("go\n")  # type: ignore[union-attr]
        worker.stdin.flush()  # type: ignore[union-attr]
    for worker in workers:
        worker.communicate(timeout=120)
        assert worker.returncode == 0
    queue = Queue(open_storage(where), "study")
    trials = queue.trials()[:total]
    lines = [json.loads(line) for line in ran.read_text().splitlines()]
    assert sorted(number for number, _ in lines) == [trial.number for trial in trials]
    assert dict(map(tuple, ((number, json.dumps(params, sort_keys=True)) for number, params in lines))) == {
        trial.number: json.dumps(trial.params, sort_keys=True) for trial in trials
    }
    assert len({json.dumps(params, sort_keys=True) for _, params in lines}) == total
    assert all((trial.state is TrialState.FAIL) == (trial.number % 10 == 9) for trial in trials)
    assert len({trial.user_attrs["pid"] for trial in trials}) == 4
