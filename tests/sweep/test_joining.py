"""Joining a study: making it, going on with it, refusing another one's, and the words of each trial's job."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from visrun.config.compose import Resolved, resolve
from visrun.config.sweeper import VisrunSweeperConf
from visrun.errors import ConfigError, VisrunError
from visrun.machine import SLOT
from visrun.record.journal import identity
from visrun.record.run_folder import noted_process, this_process
from visrun.record.sweep_files import ATTRIBUTE
from visrun.run_files import FILE_NAME
from visrun.sweep import joining
from visrun.sweep.joining import extended, join, prepare, values_of, wait_for_study, words_of
from visrun.sweep.plan import GRID, Plan, make_plan
from visrun.sweep.storage import open_storage
from visrun.sweep.study import START, Queue, create
from visrun.sweep.trial import VARIABLE
from visrun.sweep.trials import params_of
from visrun.sweep.worker import AHEAD

USUAL = vars(VisrunSweeperConf(pruner={"name": "none"}, sampler={"_target_": "optuna.samplers.TPESampler"}))
WORDS = ("optimizer=adam,sgd", "momentum=0.8,0.9", "learning_rate=interval(0.001,0.1)", "data.root='/a b,c'")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SLOT, raising=False)
    (tmp_path / "multirun" / "mine").mkdir(parents=True)
    return tmp_path


@cache
def first(*typed: str) -> Resolved:
    return resolve(typed)


def plan(*words: str, typed: tuple[str, ...] = (), **settings: Any) -> Plan:
    return make_plan(
        {**USUAL, "n_trials": 4, **settings},
        words or WORDS,
        folder=Path("multirun") / "mine",
        command=("-m", *words),
        first=first(*typed),
        resolve=resolve,
        make_sampler=lambda _: RandomSampler(seed=1),
    )


def led(made: Plan, run_id: str | None = None) -> Queue:
    """As the sweep's leader prepares it."""
    prepare(made, parent=lambda: run_id)
    return Queue(open_storage(made.storage), made.name)


def shared(queue: Queue) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = queue.study.user_attrs[ATTRIBUTE]
    return facts


def complete(queue: Queue, count: int) -> None:
    for _ in range(count):
        trial = queue.claim(100)
        assert trial is not None
        queue.complete(trial.number, [1.0])


class TestPrepare:
    def test_the_first_makes_the_study_its_tickets_and_notes_what_all_have_to_know(self, folder: Path) -> None:
        before = time.time()
        made = plan(start_points=[{"optimizer": "sgd"}], direction="minimize")
        prepare(made, parent=lambda: "run-1")
        queue = Queue(open_storage(made.storage), "mine")
        assert [params_of(trial) for trial in queue.trials()] == [{"optimizer": "sgd"}, {}, {}, {}]
        facts = dict(shared(queue))
        assert before <= facts.pop("began") <= time.time()
        assert facts.pop("fixed") == {
            key: text
            for key, text in identity(first()).items()
            if key not in ("optimizer", "momentum", "learning_rate")
        }
        assert facts == {
            "task": "classification", "monitor": "accuracy", "objectives": ["accuracy"], "n_trials": 4,
            "folder": str(folder / "multirun" / "mine"), "parent": "run-1", "leader": this_process(), "led": True,
        }  # fmt: skip
        assert [direction.name for direction in queue.study.directions] == ["MINIMIZE"]

    def test_the_points_of_a_search_are_to_start_with_and_those_of_a_grid_are_all(self) -> None:
        assert [START in trial.user_attrs for trial in led(plan(start_points=[{"optimizer": "sgd"}])).trials()] == [
            True, False, False, False,
        ]  # fmt: skip
        grid = led(plan("seed=1,2,3", n_trials=None, study_name="grid", start_points=[{"seed": 2}]))
        assert not any(START in trial.user_attrs for trial in grid.trials())
        some = led(plan("seed=1,2,3", n_trials=2, study_name="some", sampler={"_target_": GRID}))
        assert not any(START in trial.user_attrs for trial in some.trials())

    def test_the_study_is_there_before_the_parent_run(self) -> None:
        made, seen = plan(), []

        def wait() -> None:
            seen.extend(study.study_name for study in open_storage(made.storage).get_all_studies())

        prepare(made, parent=wait)
        assert seen == ["mine"]

    def test_again_changes_nothing_but_what_is_missing(self) -> None:
        queue = led(plan(), "run-1")
        complete(queue, 2)
        prepare(plan(), parent=lambda: "run-1")
        assert [trial.state.name for trial in queue.trials()] == ["COMPLETE"] * 2 + ["WAITING"] * 2
        led(plan(n_trials=6), "run-1")
        assert len(queue.trials()) == 6 and shared(queue)["n_trials"] == 6

    def test_a_leader_that_was_killed_while_it_made_tickets(self) -> None:
        made = plan("seed=1,2,3,4")
        with pytest.raises(KeyboardInterrupt):
            prepare(made, parent=lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        assert ATTRIBUTE not in Queue(open_storage(made.storage), "mine").study.user_attrs
        queue = led(made)
        assert [params_of(trial)["seed"] for trial in queue.trials()] == [1, 2, 3, 4]

    def test_lost_trials_come_back(self) -> None:
        queue = led(plan("seed=1,2,3,4"))
        trial = queue.claim(4)
        assert trial is not None
        queue.study.tell(trial.number, state=TrialState.FAIL)  # and the one who did it was killed
        led(plan("seed=1,2,3,4"))
        assert sorted(params_of(trial)["seed"] for trial in queue.trials()) == [1, 2, 3, 4]

    def test_of_workers_alone_the_first_makes_the_tickets(self) -> None:
        made = plan("seed=1,2,3,4", worker=True)
        prepare(made, parent=None)
        prepare(made, parent=None)
        queue = Queue(open_storage(made.storage), "mine")
        assert len(queue.every()) == 4 and shared(queue)["parent"] is None
        led(plan("seed=1,2,3,4"), "run-1")  # and a leader that comes later takes over
        assert len(queue.every()) == 4 and shared(queue)["parent"] == "run-1"

    def test_a_worker_that_was_first_leaves_the_word_to_a_leader_who_came_meanwhile(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill, made = Queue.fill, plan("seed=1,2,3,4")

        def slowly(self: Queue, *given: Any, **more: Any) -> None:
            fill(self, *given, **more)
            monkeypatch.setattr(Queue, "fill", fill)
            led(made, "run-1")

        monkeypatch.setattr(Queue, "fill", slowly)
        prepare(made, parent=None)
        queue = Queue(open_storage(made.storage), "mine")
        assert shared(queue)["parent"] == "run-1"

    def test_a_leader_of_a_very_long_search_makes_some_of_its_tickets(self) -> None:
        assert (
            len(led(plan("learning_rate=interval(0.001,0.1)", n_trials=100_000)).trials()) == 1 + AHEAD
        )  # and its own

    def test_many_at_once_make_one_study(self) -> None:
        made = plan("seed=1,2,3,4", "momentum=0.1,0.2", "optimizer=sgd", n_trials=None)
        threads = [threading.Thread(target=prepare, args=(made,), kwargs={"parent": lambda: None}) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        queue = Queue(open_storage(made.storage), "mine")
        tickets = [params_of(trial) for trial in queue.trials()]
        assert sorted(map(str, tickets)) == sorted(map(str, made.points))  # whoever was faster, each once

    @pytest.mark.parametrize(
        ("first", "second", "part"),
        [
            ({}, {"direction": "minimize"}, "the directions maximize"),
            ({}, {"objectives": ["accuracy", "seconds"]}, "the directions maximize"),
            ({"objectives": ["seconds"]}, {"objectives": ["parameters"]}, 'objectives=["seconds"]'),
            ({}, {"typed": ("task=segmentation",)}, "task=classification"),
            ({"words": ("optimizer=adam,sgd",)}, {"words": ("optimizer=adam,adamw",)}, "other choices for optimizer"),
            ({"words": ("batch_size=8,16",)}, {"words": ("batch_size=range(8,20)",)}, "other choices for batch_size"),
            (
                {"words": ("seed=0,1",), "n_trials": None},
                {"words": ("seed=0,1", "optimizer=adam,sgd"), "n_trials": None},
                "trial 0 of this study is none of these combinations",
            ),
            (
                {"words": ("seed=0,1", "optimizer=adam,sgd"), "n_trials": None},
                {"words": ("seed=0,1",), "n_trials": None},
                "trial 0 of this study is none of these combinations",
            ),
            (
                {"words": ("seed=0",), "n_trials": None},
                {"words": ("seed=range(0,5)",), "n_trials": None},
                "trial 0 of this study is none of these combinations",
            ),
            (
                {"words": ("seed=range(0,2)",), "n_trials": None, "typed": ("model=resnet18",)},
                {"words": ("seed=range(0,2)",), "n_trials": None, "typed": ("model=resnet50",)},
                "other settings (model.name: 'resnet18' -> 'resnet50')",
            ),
        ],
    )  # fmt: skip
    def test_another_study_of_the_same_name_is_refused_in_one_line(
        self, first: dict[str, Any], second: dict[str, Any], part: str
    ) -> None:
        def of(options: dict[str, Any]) -> Plan:
            more = dict(options)
            return plan(*more.pop("words", ("learning_rate=interval(0.001,0.1)",)), **more)

        join(of(first), lambda number, words: [1.0] * len(of(first).objectives), slot=None) if led(of(first)) else None
        for parent in (None, lambda: None):
            with pytest.raises(ConfigError) as caught:
                prepare(of(second), parent=parent)
            (line,) = caught.value.problems
            assert line.startswith("hydra.sweeper.study_name=mine: ") and part in line
            assert "choose another study_name" in line

    def test_a_wider_range_goes_on(self) -> None:
        queue = led(plan("learning_rate=interval(0.001,0.1)"))
        join(plan("learning_rate=interval(0.001,0.1)"), lambda *_: 1.0)
        led(plan("learning_rate=interval(0.0001,0.5)", n_trials=6))
        assert len(queue.trials()) == 6

    def test_a_grid_goes_on_where_what_changed_changes_no_numbers_or_stands_in_its_points(self) -> None:
        words = ("max_epochs=range(4,8)", "seed=range(0,2)")  # 4 epochs lower the warm-up
        led(plan("max_epochs=range(7,8)", "seed=range(0,1)", n_trials=None, typed=("max_epochs=7",)))
        queue = led(plan(*words, n_trials=None, typed=("max_epochs=4", "data.workers=1", "seed=7", "tracking=none")))
        assert len(queue.trials()) == 8

    def test_a_study_that_noted_no_settings_goes_on(self) -> None:
        made = plan("seed=range(0,2)", n_trials=None)
        queue = led(made)
        queue.study.set_user_attr(ATTRIBUTE, {key: value for key, value in shared(queue).items() if key != "fixed"})
        prepare(plan("seed=range(0,2)", n_trials=None, typed=("model=resnet18",)), parent=lambda: None)

    def test_a_search_says_which_settings_changed(self, capsys: pytest.CaptureFixture[str]) -> None:
        led(plan())
        led(plan())
        assert "earlier trials" not in capsys.readouterr().out
        led(plan(typed=("batch_size=16",)))
        said = " ".join(capsys.readouterr().out.split())
        assert "study_name=mine: earlier trials have other settings (batch_size: 32 -> 16)" in said

    def test_other_hosts_may_have_their_data_elsewhere(self) -> None:
        words = {"n_trials": None, "typed": ("data=folder", "data.root=/here")}
        led(plan("seed=range(0,2)", **words))
        moved = {**words, "typed": ("data=folder", "data.root=/there")}
        prepare(plan("seed=range(0,2)", worker=True, **moved), parent=None)
        with pytest.raises(ConfigError, match=r"data\.root: '/here' -> '/there'"):
            prepare(plan("seed=range(0,2)", **moved), parent=None)

    @pytest.mark.parametrize("parent", [None, lambda: None])
    def test_a_new_study_writes_over_no_trials_of_another_one(self, parent: Any, folder: Path) -> None:
        kept = folder / "multirun" / "mine" / "3" / FILE_NAME
        kept.parent.mkdir()
        kept.write_text("{}")
        for _ in range(2):  # it is not made, so that the second time is no other
            with pytest.raises(ConfigError, match=r"trial 3 of another study is here.* choose another "):
                prepare(plan(), parent=parent)
        assert kept.read_text() == "{}"

    @pytest.mark.parametrize("parent", [None, lambda: None])
    def test_one_that_goes_on_elsewhere_writes_over_no_trials_of_another_one(self, parent: Any, folder: Path) -> None:
        made = plan(storage=str(folder / "all.journal"))
        complete(led(made), 2)
        for number in (0, 1):  # have run; what is here may be this study's
            kept = folder / "multirun" / "mine" / str(number) / FILE_NAME
            kept.parent.mkdir()
            kept.write_text("{}")
        prepare(made, parent=parent)
        kept.parent.rename(kept.parent.with_name("3"))  # waits in this study
        with pytest.raises(ConfigError, match=r"trial 3 of another study is here.* choose another "):
            prepare(made, parent=parent)

    def test_a_folder_beside_its_trials_is_no_trial(self, folder: Path) -> None:
        other = folder / "multirun" / "mine" / "12-30-00_classification" / FILE_NAME
        other.parent.mkdir()
        other.write_text("{}")
        prepare(plan(), parent=None)


class TestWorkersAlone:
    """A study that nobody leads."""

    def ran(self, made: Plan) -> list[int]:
        numbers: list[int] = []

        def launch(number: int, _: list[str]) -> float:
            numbers.append(number)
            return 0.5

        join(made, launch)
        return numbers

    @pytest.mark.parametrize("words", [("learning_rate=interval(0.001,0.1)",), ("seed=range(0,3)",)])
    def test_more_trials_go_on(self, words: tuple[str, ...]) -> None:
        grid = words[0].startswith("seed")
        assert len(self.ran(plan(*words, worker=True, n_trials=None if grid else 3))) == 3
        more = ("seed=range(0,5)",) if grid else words
        assert self.ran(plan(*more, worker=True, n_trials=None if grid else 5)) == [3, 4]
        assert self.ran(plan(*more, worker=True, n_trials=None if grid else 5)) == []

    def test_a_time_that_is_over_begins_anew_where_nobody_works(self) -> None:
        made = plan(worker=True, timeout=3600)
        prepare(made, parent=None)
        queue = Queue(open_storage(made.storage), "mine")
        queue.study.set_user_attr(ATTRIBUTE, dict(shared(queue)) | {"began": time.time() - 4000})
        trial = queue.claim(4)
        assert trial is not None
        assert self.ran(made) == []
        queue.complete(trial.number, [0.5])
        assert self.ran(made) == [1, 2, 3]

    def test_the_leaders_word_counts_and_is_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        led(plan(n_trials=2))
        assert len(self.ran(plan(worker=True, n_trials=5))) == 2
        said = " ".join(capsys.readouterr().out.split())
        assert "hydra.sweeper.n_trials=5: who leads the study wants 2; the same command without" in said
        assert "retry_failed" not in said

    def test_a_worker_runs_no_failed_trials_again_and_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        queue = led(plan(n_trials=2))
        trial = queue.claim(2)
        assert trial is not None
        queue.fail(trial.number, "no luck")
        assert self.ran(plan(worker=True, n_trials=2, retry_failed=True)) == [1]
        said = " ".join(capsys.readouterr().out.split())
        assert "hydra.sweeper.retry_failed=true: a worker runs no failed trials again; the same command without" in said


NOBODY = {"pid": -1, "started": 0.0}


def parent_process() -> dict[str, Any]:
    return noted_process(os.getppid())


class TestWait:
    @pytest.fixture(autouse=True)
    def short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(joining, "PATIENCE", 0.4)
        monkeypatch.setattr(joining, "PAUSE", 0.02)

    def test_a_study_that_nobody_finishes_making_is_an_error(self) -> None:
        from visrun.sweep.study import create

        made = plan(worker=True)
        create(open_storage(made.storage), "mine", ["maximize"])
        with pytest.raises(VisrunError, match="study mine: nobody made its tickets"):
            wait_for_study(made)

    def noted_by(self, leader: Any) -> Plan:
        queue = led(plan())
        queue.study.set_user_attr(ATTRIBUTE, dict(shared(queue)) | {"leader": leader})
        return plan()

    def test_a_slot_waits_for_its_own_leader(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What an earlier sitting noted may say that all is done already."""
        monkeypatch.setenv(SLOT, "0")
        made = plan(worker=True)
        earlier = parent_process() | {
            "started": time.time() - 1e5,
            "born": "",
        }  # of the same number, in a container begun anew
        for other in (NOBODY, earlier, os.getppid()):
            self.noted_by(other)
            with pytest.raises(VisrunError):
                wait_for_study(made)
        leader = parent_process()
        self.noted_by(leader)
        assert wait_for_study(made)["leader"] == leader

    def test_so_does_a_thread_of_the_leader(self) -> None:
        self.noted_by(NOBODY)
        with pytest.raises(VisrunError):
            wait_for_study(plan())
        self.noted_by(this_process())
        assert wait_for_study(plan())["leader"] == this_process()

    def test_a_worker_of_another_host_takes_what_is_there(self) -> None:
        self.noted_by(NOBODY)
        assert wait_for_study(plan(worker=True))["n_trials"] == 4


class TestJoin:
    def test_it_runs_the_trials_with_their_words(self) -> None:
        made, seen = plan(), {}
        queue = led(made, "run-1")

        def launch(number: int, words: list[str]) -> float:
            seen[number] = words
            return 0.5

        join(made, launch, slot=1)
        for trial in queue.trials():
            *words, handle = seen[trial.number]
            values = {word.partition("=")[0]: word.partition("=")[2] for word in words}
            assert values.pop("data.root") == "'/a b,c'"
            assert values == {name: str(value) for name, value in trial.params.items()}
            assert ("momentum" in values) == (values["optimizer"] == "sgd")
            (override,) = OverridesParser.create().parse_overrides([handle])
            assert override.key_or_group == f"hydra.job.env_set.{VARIABLE}" and override.is_add()
            assert json.loads(override.value()) == {
                "storage": made.storage, "study": "mine", "number": trial.number, "pruner": {"name": "none"},
                "parent": "run-1", "ties": True,
            }  # fmt: skip
            assert trial.user_attrs["slot"] == 1

    def test_the_leaders_run_is_the_parent_even_where_the_leader_came_late(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made, parents = plan(worker=True), []

        def launch(number: int, words: list[str]) -> float:
            parents.append(json.loads(OverridesParser.create().parse_overrides(words)[-1].value())["parent"])
            if number == 0:
                led(plan(), "run-1")
            return 0.5

        assert join(made, launch) == [False] * 4
        assert parents == [None, "run-1", "run-1", "run-1"]
        assert [line.split()[:2] for line in capsys.readouterr().out.splitlines() if line.startswith("trial ")] == [
            ["trial", f"{number}:"] for number in range(4)
        ]

    def test_the_whole_time_is_counted_from_the_leaders_beginning(self) -> None:
        made = plan(timeout=3600)
        queue = led(made)
        queue.study.set_user_attr(ATTRIBUTE, dict(shared(queue)) | {"began": time.time() - 4000})
        join(made, lambda *_: pytest.fail("began a trial"))
        assert [trial.state.name for trial in queue.trials()] == ["WAITING"] * 4

    @pytest.mark.parametrize("returned", [None, "0.5", [0.5, 1.0], [], {"accuracy": 1}])
    def test_what_is_no_value_fails_the_trial(self, returned: Any) -> None:
        made = plan(max_failure_rate=1.0)
        queue = led(made)
        join(made, lambda *_: returned)
        reasons = {trial.user_attrs["reason"] for trial in queue.trials()}
        assert reasons == {f"no value of accuracy: the run gave {returned!r}"}

    def test_values(self) -> None:
        two = plan(objectives=["accuracy", "seconds"])
        assert values_of(plan(), 1) == [1.0] and values_of(two, (1, 2.5)) == [1.0, 2.5]


def test_a_storage_with_quotes_and_braces_reaches_the_job(folder: Path) -> None:
    odd = folder / 'it\'s {a} $b "c" \\d'
    odd.mkdir()
    made = plan(storage=str(odd / "my study"))
    (override,) = OverridesParser.create().parse_overrides(words_of(made, 3, {}, parent=None)[-1:])
    assert json.loads(override.value())["storage"] == str(odd / "my study")


def test_a_function_of_the_users_own_draws_more_parameters(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "own.journal"))
    create(storage, "own", ["maximize"])
    queue = Queue(storage, "own")
    queue.study.sampler = RandomSampler(seed=0)
    queue.fill(1)
    trial = queue.claim(1)
    assert trial is not None
    space = {"learning_rate": FloatDistribution(0.1, 0.2)}
    sampled = queue.sample(trial, space, list, lambda: None)
    drawn = extended(queue, trial.number, lambda mine: mine.suggest_int("batch_size", 8, 8))
    assert drawn == {"batch_size": 8}
    assert queue.trials()[0].params == {**(sampled or {}), "batch_size": 8}
