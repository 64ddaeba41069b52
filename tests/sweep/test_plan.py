"""A sweep's settings become a plan, or all that is wrong with them is said at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from hydra_plugins.hydra_optuna_sweeper.config import Direction
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from tests.opened import shipped
from visrun.config.compose import Resolved, resolve
from visrun.config.sweeper import PRUNERS, VisrunSweeperConf
from visrun.errors import ConfigError
from visrun.sweep.plan import GRID, Plan, make_plan
from visrun.sweep.points import MOST_UNASKED, USUAL_TRIALS

USUAL = vars(VisrunSweeperConf(pruner={"name": "none"}, sampler={"_target_": "optuna.samplers.TPESampler"}))
OBJECTS = ["task=object_detection", "model=dense_resnet18"]
RATE = "learning_rate=interval(0.001,0.1)"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "multirun" / "mine"


@cache
def first(*typed: str) -> Resolved:
    return resolve(typed, conf=shipped())


def plan(
    *words: str,
    typed: Sequence[str] = (),
    folder: Path = Path("multirun") / "mine",
    extend: Callable[[Any], None] | None = None,
    **settings: Any,
) -> Plan:
    """The plan of these swept words and ``hydra.sweeper.*`` settings, for a run of the words in ``typed``."""
    return make_plan(
        {**USUAL, **settings},
        [*typed, *words],
        folder=folder,
        command=("-m", *words),
        first=first(*typed),
        resolve=partial(resolve, conf=shipped()),
        make_sampler=lambda _: RandomSampler(),
        extend=extend,
    )


def problems(*words: str, **settings: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        plan(*words, **settings)
    assert all("\n" not in line and line.startswith("hydra.sweeper.") for line in caught.value.problems)
    return caught.value.problems


class TestTrials:
    def test_a_grid_is_run_whole(self) -> None:
        made = plan("optimizer=adam,sgd", "scheduler=cosine,poly")
        assert (made.n_trials, made.sampler, made.notices) == (4, "every combination once", ())
        assert made.points == (
            {"optimizer": "adam", "scheduler": "cosine"}, {"optimizer": "adam", "scheduler": "poly"},
            {"optimizer": "sgd", "scheduler": "cosine"}, {"optimizer": "sgd", "scheduler": "poly"},
        )  # fmt: skip

    def test_what_a_trial_does_not_read_makes_no_further_trial(self) -> None:
        made = plan("optimizer=adam,sgd", "momentum=0.8,0.9")
        assert made.points == (
            {"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.8}, {"optimizer": "sgd", "momentum": 0.9},
        )  # fmt: skip

    def test_anything_else_is_searched_with_the_usual_number(self) -> None:
        made = plan(RATE, "optimizer=adam,sgd")
        assert (made.n_trials, len(made.points), made.sampler, made.notices) == (USUAL_TRIALS, 1, "TPESampler", ())
        assert plan(RATE, n_trials=7).n_trials == 7

    def test_a_grid_that_is_longer_than_wanted_is_searched_and_said(self) -> None:
        made = plan("seed=range(0,10)", n_trials=4)
        assert (made.n_trials, made.points, made.sampler) == (4, ({"seed": 0},), "TPESampler")
        assert made.notices == ("hydra.sweeper.n_trials=4: of the 10 combinations 4 are tried, by a search",)

    def test_by_the_grid_sampler_its_first_combinations_are_run_and_said(self) -> None:
        made = plan("seed=range(0,10)", n_trials=4, sampler={"_target_": GRID})
        assert (made.n_trials, made.sampler) == (4, "GridSampler")
        assert made.points == tuple({"seed": seed} for seed in range(4))
        assert made.notices == ("hydra.sweeper.n_trials=4: the first 4 of the grid's 10 combinations are run",)

    @pytest.mark.parametrize("sampler", [GRID, "optuna.samplers.TPESampler"])
    def test_more_trials_than_combinations_are_not_run(self, sampler: str) -> None:
        made = plan("seed=range(0,3)", n_trials=9, sampler={"_target_": sampler})
        assert (made.n_trials, len(made.points), made.sampler) == (3, 3, "every combination once")
        assert "only 3 combinations" in made.notices[0]

    @pytest.mark.parametrize("wanted", [None, 5])
    def test_exactly_as_many_are_no_news(self, wanted: int | None) -> None:
        made = plan("seed=range(0,5)", n_trials=wanted)
        assert (made.n_trials, len(made.points), made.notices) == (5, 5, ())

    def test_a_very_large_grid_is_run_only_where_it_is_asked_for(self) -> None:
        made = plan(f"seed=range(0,{MOST_UNASKED + 1})")
        assert (made.n_trials, made.points) == (USUAL_TRIALS, ({"seed": 0},))
        (line,) = made.notices
        assert f"{MOST_UNASKED + 1} combinations, too many" in line
        grid = plan(f"seed=range(0,{MOST_UNASKED + 1})", sampler={"_target_": GRID})
        assert len(grid.points) == USUAL_TRIALS and len(grid.notices) == 2
        assert len(plan(f"seed=range(0,{MOST_UNASKED})").points) == MOST_UNASKED

    @pytest.mark.parametrize(
        ("word", "values"),
        [
            ("batch_size=int(interval(8,10))", [8, 9, 10]),
            ("batch_size=interval(8,10)", [8, 9, 10]),
            ("batch_size=range(8,15,3)", [8, 11, 14]),
            ("batch_size=range(8,14,3)", [8, 11]),
            ("dropout=range(0.1,0.35,0.1)", [0.1, 0.2, 0.3]),
        ],
    )
    def test_a_range_has_both_its_ends(self, word: str, values: list[float]) -> None:
        made = plan(word, sampler={"_target_": GRID})
        name = word.partition("=")[0]
        assert [point[name] for point in made.points] == values
        distribution = made.space.distributions[name]
        assert isinstance(distribution, (IntDistribution, FloatDistribution))
        assert (distribution.low, distribution.high) == (values[0], values[-1])

    def test_a_grid_needs_steps(self) -> None:
        (line,) = problems(RATE, sampler={"_target_": GRID})
        assert "no steps" in line

    @pytest.mark.parametrize("words", [("optimizer=adam,sgd",), ("max_epochs=3",), ()])
    @pytest.mark.parametrize("wanted", [None, 5])
    def test_what_draws_more_parameters_is_searched(self, wanted: int | None, words: tuple[str, ...]) -> None:
        made = plan(*words, n_trials=wanted, extend=lambda _: None)
        assert (made.n_trials, made.sampler, made.notices) == (wanted or USUAL_TRIALS, "TPESampler", ())
        start = [{"optimizer": "sgd"}] if words == ("optimizer=adam,sgd",) else []
        assert plan(*words, n_trials=wanted, extend=lambda _: None, start_points=start).points == tuple(start)

    def test_the_grid_sampler_runs_its_grid_once_whatever_else_is_drawn(self) -> None:
        made = plan("optimizer=adam,sgd", extend=lambda _: None, sampler={"_target_": GRID})
        assert made.points == ({"optimizer": "adam"}, {"optimizer": "sgd"})

    def test_nothing_that_varies_is_one_run(self) -> None:
        made = plan("max_epochs=3")
        assert (made.n_trials, made.points) == (1, ({},))
        assert made.space.fixed == ("max_epochs=3",)


class TestStartPoints:
    def test_they_come_first(self) -> None:
        start = [{"optimizer": "sgd", "learning_rate": 0.01}, {"learning_rate": 0.1}]
        assert plan(RATE, "optimizer=adam,sgd", start_points=start).points == tuple(start)

    def test_many_of_them_are_no_grid(self) -> None:
        start = [{"learning_rate": 0.01 + number / 1000} for number in range(3)]
        assert plan(RATE, n_trials=3, start_points=start).sampler == "TPESampler"

    def test_values_are_as_trials_hold_them(self) -> None:
        words = (
            "weight_decay=interval(0,1)",
            "batch_size=interval(8,16)",
            "milestones=[1],[1,2]",
            "model.weights=null,a",
        )
        start = [{"weight_decay": 1, "batch_size": 8.0, "milestones": [1, 2], "model.weights": None}]
        (point,) = plan(*words, start_points=start).points
        assert repr(point) == repr(
            {"weight_decay": 1.0, "batch_size": 8, "milestones": "[1,2]", "model.weights": "null"}
        )

    @pytest.mark.parametrize(
        ("words", "typed", "point"),
        [
            ((RATE, "optimizer=sgd,adam"), (), {"learning_rate": 0.001, "optimizer": "adam"}),
            ((RATE, "optimizer=sgd,adam", "momentum=0.8,0.9"), (), {"learning_rate": 0.001, "optimizer": "adam"}),
            (("optimizer=sgd,adamw", "learning_rate=interval(0.1,1)", "run.ema=0,0.99"), (), {"run.ema": 0}),
            ((RATE, "data.image_size=32,64"), ("data.image_size=64",), {"learning_rate": 0.001}),
            ((RATE, "momentum=0.8,0.9"), ("optimizer=sgd",), {"learning_rate": 0.01, "momentum": 0.9}),
            ((RATE, "batch_size=range(8,40,8)"), ("task=segmentation",), {"learning_rate": 0.01, "batch_size": 8}),
        ],
    )
    def test_unless_given_the_run_without_the_sweep_is_the_first(
        self, words: tuple[str, ...], typed: tuple[str, ...], point: dict[str, Any]
    ) -> None:
        assert plan(*words, typed=typed, n_trials=5).points == (point,)
        assert plan(*words, typed=typed, n_trials=5, start_points=[]).points == ()

    def test_a_space_that_holds_no_own_value_starts_anywhere(self) -> None:
        assert plan("learning_rate=interval(0.1,1)").points == ()

    def test_nor_does_one_that_is_no_run_without_the_sweep(self) -> None:
        assert plan("warmup_epochs=60", "max_epochs=70,80", RATE).points == ()  # max_epochs is 50 without it

    def test_a_whole_grid_keeps_its_order(self) -> None:
        assert [point["optimizer"] for point in plan("optimizer=sgd,adam").points] == ["sgd", "adam"]

    @pytest.mark.parametrize(
        ("start", "seeds"),
        [
            ([{"seed": 3}], [(3, "adam"), (1, "adam"), (1, "sgd")]),
            ([{"optimizer": "sgd"}], [(1, "sgd"), (1, "adam"), (2, "adam")]),
            ([{"optimizer": "sgd"}, {"optimizer": "sgd"}], [(1, "sgd"), (2, "sgd"), (1, "adam")]),
            ([{"seed": 2, "optimizer": "sgd"}] * 2, [(2, "sgd"), (1, "adam"), (1, "sgd")]),
            ([{"seed": 3, "momentum": 0.9, "optimizer": "adam"}], [(3, "adam"), (1, "adam"), (1, "sgd")]),
            ([{}], [(1, "adam"), (1, "sgd"), (2, "adam")]),
        ],
    )
    def test_of_a_grid_they_pick_the_first_combinations(self, start: list[Any], seeds: list[tuple[int, str]]) -> None:
        words = ("seed=1,2,3", "optimizer=adam,sgd", "momentum=0.9,0.9")
        made = plan(*words, n_trials=3, sampler={"_target_": GRID}, start_points=start)
        assert [(point["seed"], point["optimizer"]) for point in made.points] == seeds

    def test_of_a_grid_they_pick_a_combination_that_reads_all_of_them(self) -> None:
        words = ("optimizer=adam,sgd", "momentum=0.8,0.9")
        made = plan(*words, start_points=[{"momentum": 0.9}])
        assert made.points == (
            {"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.8}
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("start", "points"),
        [
            ([{"seed": 7}, {"seed": 3}], [{"seed": 7, "optimizer": "adam"}, {"seed": 3, "optimizer": "adam"}]),
            ([{"seed": 7, "momentum": 0.8}] * 2 + [{"seed": 3}], [{"seed": n, "optimizer": "adam"} for n in (7, 3)]),
            ([{"seed": 7}, {"optimizer": "sgd", "momentum": 0.8}], None),  # any seed
            ([{"seed": 7}, {"seed": 3, "optimizer": "sgd"}], None),  # any momentum
            ([{"seed": 7}, {"seed": 3}, {"seed": 5}], None),
            ([{"seed": 7}] * 2, None),
        ],
    )
    def test_of_a_grid_whole_ones_as_many_as_are_wanted_are_all(
        self, start: list[Any], points: list[Any] | None
    ) -> None:
        words = ("seed=range(0,1000000000)", "optimizer=adam,sgd", "momentum=0.8,0.9")
        start = [{"optimizer": "adam", **point} for point in start]
        made = plan(*words, n_trials=2, sampler={"_target_": GRID}, start_points=start)
        assert made.sampler == ("GridSampler" if points is None else "every combination once")
        assert points is None or [*made.points] == points

    @pytest.mark.parametrize(
        ("start", "parts"),
        [
            (
                [{"learning_rate": 0.2}],
                ["start_points[0]", "learning_rate=0.2 is outside of its range, 0.001 to 0.1"],
            ),
            ([{"learning_rate": "0.01"}], ["learning_rate=0.01 must be a number"]),
            ([{"learning_rate": True}], ["learning_rate=true must be a number"]),
            ([{"learning_rate": float("nan")}], ["learning_rate=NaN"]),
            ([{}, {"batch_size": 8.5}], ["start_points[1]", "batch_size=8.5"]),
            ([{"optimizer": "adamw"}], ["optimizer=adamw is none of its choices adam, sgd"]),
            ([{"optimizer": {"a": 1}}], ["optimizer"]),
            ([{"learning_rat": 0.01}], ["learning_rat does not vary", "did you mean learning_rate"]),
            (["optimizer=sgd"], ["must be a mapping"]),
            (7, ["start_points[0]=7", "must be a mapping"]),
        ],
    )
    def test_what_does_not_fit_is_one_line(self, start: Any, parts: list[str]) -> None:
        (line,) = problems(RATE, "optimizer=adam,sgd", "batch_size=interval(8,16)", start_points=start)
        assert all(part in line for part in parts), line


class TestObjectives:
    @pytest.mark.parametrize(
        ("task", "settings", "objectives", "directions"),
        [
            ("classification", {}, ("accuracy",), ("maximize",)),
            ("regression", {}, ("mae",), ("minimize",)),
            ("segmentation", {}, ("miou",), ("maximize",)),
            ("classification", {"objectives": "seconds"}, ("seconds",), ("minimize",)),
            (
                "classification", {"objectives": ["accuracy", "parameters"]},
                ("accuracy", "parameters"), ("maximize", "minimize"),
            ),
            ("classification run.monitor=ece", {}, ("ece",), ("minimize",)),
            ("regression run.monitor=r2", {"objectives": "r2"}, ("r2",), ("maximize",)),
            ("classification", {"direction": "minimize"}, ("accuracy",), ("minimize",)),
            ("classification", {"direction": Direction.minimize}, ("accuracy",), ("minimize",)),
            (
                "classification",
                {"objectives": ["seconds", "accuracy"], "direction": ["maximize", Direction.minimize]},
                ("seconds", "accuracy"), ("maximize", "minimize"),
            ),
        ],
    )  # fmt: skip
    def test_they_and_their_directions(self, task: str, settings: Any, objectives: Any, directions: Any) -> None:
        made = plan(RATE, typed=f"task={task}".split(), **settings)
        assert (made.objectives, made.directions) == (objectives, directions)

    @pytest.mark.parametrize(
        ("settings", "part"),
        [
            ({"objectives": ["acuracy"]}, "did you mean accuracy"),
            ({"objectives": 5}, "objectives=5"),
            ({"objectives": ["f1"]}, "gives accuracy, seconds or parameters; run.monitor=f1 changes that"),
            ({"objectives": ["accuracy", "accuracy"]}, "named twice"),
            ({"direction": "up"}, "direction=up: must be maximize or minimize"),
            ({"direction": 5}, "direction=5"),
            ({"direction": ["maximize", "minimize"]}, "there are 1 objectives"),
            ({"objectives": ["accuracy", "seconds"], "direction": "maximize"}, "there are 2 objectives"),
        ],
    )
    def test_what_is_wrong_is_one_line(self, settings: Any, part: str) -> None:
        (line,) = problems(RATE, **settings)
        assert part in line

    def test_trials_that_monitor_different_metrics_are_not_compared(self) -> None:
        (line,) = problems("run.monitor=accuracy,f1")
        assert line.endswith("trials of run.monitor=accuracy,f1 choose by different metrics; give it one value")
        assert plan("run.monitor=choice(f1)", typed=["run.monitor=f1"]).objectives == ("f1",)
        assert plan("run.monitor=accuracy,f1", objectives=["seconds"]).objectives == ("seconds",)

    @pytest.mark.parametrize("named", [None, ["accuracy"], ["seconds", "accuracy"]])
    def test_tasks_with_different_metrics_are_not_compared(self, named: Any) -> None:
        (line,) = problems("task=classification,regression,segmentation", objectives=named)
        assert line.startswith("hydra.sweeper.objectives: trials of task=classification,regression,segmentation have")
        assert "(classification accuracy, regression mae, segmentation miou)" in line
        assert line.endswith("or choose seconds or parameters")

    @pytest.mark.parametrize(
        ("word", "named"),
        [
            ("task=classification,regression", "seconds"),
            ("task=object_detection,oriented_detection", None),
            ("task=classification", None),
        ],
    )
    def test_tasks_are_compared_by_what_they_share(self, word: str, named: Any) -> None:
        assert plan(word, "seed=1,2", objectives=named).n_trials >= 2

    @pytest.mark.parametrize(
        ("named", "why"), [(["accuracy", "seconds"], "several objectives"), (["seconds"], "the objective is seconds")]
    )
    def test_where_nothing_is_pruned_that_is_said(self, named: list[str], why: str) -> None:
        made = plan(RATE, objectives=named, pruner={"name": "median"})
        assert made.notices[0].endswith(f"no trial is pruned where {why}" if "the" in why else f"there are {why}")
        assert plan(RATE, objectives=["accuracy", "seconds"], pruner={"name": "none"}).notices == ()


class TestWarnings:
    @pytest.mark.parametrize(
        ("words", "first_words", "warned"),
        [
            (["optimizer=adam,sgd", "momentum=0.8,0.9"], ["optimizer=adam", "momentum=0.8"], []),
            (["optimizer=adam,sgd", "momentum=0.8"], ["optimizer=adam", "momentum=0.8"], []),
            (["optimizer=adam,adamw", "momentum=0.8"], ["optimizer=adam", "momentum=0.8"], ["momentum"]),
            (["momentum=0.8,0.9"], ["momentum=0.8"], ["momentum"]),
            (["data.tile=null,512", "data.overlap=64"], [*OBJECTS, "data.tile=null", "data.overlap=64"], []),
            (["data.overlap=64,128"], [*OBJECTS, "data.overlap=64"], ["data.overlap"]),
        ],
    )
    def test_what_no_trial_reads_is_said_and_what_another_one_reads_is_not(
        self, words: list[str], first_words: list[str], warned: list[str]
    ) -> None:
        lines = plan(*words, typed=first_words).warnings
        assert [line.split()[0].partition("=")[0] for line in lines] == warned

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (
                ["task=segmentation", "data.image_size=64,96"],
                ["data.image_size varies: miou is measured on the pixels"],
            ),
            (["task=segmentation", "learning_rate=0.1,0.2"], []),
            (["task=object_detection", "data.image_size=64,96"], []),
        ],
    )
    def test_a_size_by_which_a_metric_is_measured_is_said(self, words: list[str], told: list[str]) -> None:
        lines = plan(*words, typed=[word.partition(",")[0] for word in words]).warnings
        assert [line.partition(" of training")[0] for line in lines] == told

    def test_where_nothing_varies_that_is_said(self) -> None:
        ready = plan("momentum=interval(0.8,0.98)")  # as sweep=NAME brings it: the first job has no value of it
        assert ready.warnings == ("nothing varies: momentum is read only when optimizer=sgd",)
        assert plan("momentum=interval(0.8,0.98)", "dropout=0.1,0.2").warnings == ()


UNASKED = {"name": "auto", **PRUNERS["auto"][1]}


class TestUnasked:
    @pytest.mark.parametrize("typed", [{}, {"n_trials": 10}])
    def test_a_search_is_pruned(self, typed: dict[str, Any]) -> None:
        made = plan(RATE, pruner=UNASKED, **typed)
        assert made.pruner == plan(RATE, pruner={**UNASKED, "name": "successive_halving"}).pruner
        assert made.notices == ()

    @pytest.mark.parametrize(
        ("word", "look"),
        [
            ("max_epochs=24,60", 5),
            ("max_epochs=interval(12,36)", 3),
            ("warmup_epochs=range(0,9,4)", 8),
            ("warmup_epochs=7,0", 7),
            ("weight_decay=0,0.1", 2),
        ],
    )
    def test_no_trial_is_judged_within_its_warm_up(self, word: str, look: int) -> None:
        pruner = {"name": "successive_halving", "min_resource": "auto"}
        made = plan(RATE, word, typed=["max_epochs=24", "warmup_epochs=0"], pruner=pruner)
        assert made.pruner["min_resource"] == look

    @pytest.mark.parametrize(
        ("words", "settings"),
        [
            ([RATE], {"n_trials": 9}),
            ([RATE], {"objectives": ["accuracy", "seconds"]}),
            ([RATE], {"objectives": ["parameters"]}),
            (["seed=range(1,30)"], {}),
            (["optimizer=adam,sgd", "scheduler=cosine,poly"], {"n_trials": 20}),
            (["seed=range(1,30)"], {"n_trials": 12, "sampler": {"_target_": GRID}}),
        ],
    )
    def test_few_trials_several_objectives_and_grids_are_not(self, words: list[str], settings: dict[str, Any]) -> None:
        made = plan(*words, pruner=UNASKED, **settings)
        assert made.pruner == {"name": "none"}


class TestSettings:
    def test_the_usual(self, folder: Path) -> None:
        made = plan(RATE)
        assert (made.name, made.folder, made.storage) == ("mine", folder, str(folder / "study.journal"))
        assert (made.n_jobs, made.max_failure_rate, made.timeout, made.pruner) == (1, 1.0, None, {"name": "none"})
        assert (made.resume, made.worker, made.command) == (True, False, ("-m", RATE))

    @pytest.mark.parametrize(
        ("timeout", "seconds"), [(90, 90.0), ("90", "90"), ("1h30m", 5400.0), (0.5, 0.5), ("2d", 172800.0)]
    )
    def test_timeouts(self, timeout: Any, seconds: Any) -> None:
        if isinstance(seconds, float):
            assert plan(RATE, timeout=timeout).timeout == seconds
        else:
            assert "timeout=90" in problems(RATE, timeout=timeout)[0]

    @pytest.mark.parametrize("name", ["a", "my-study_2.b", "team/2026-01-02/x"])
    def test_names(self, name: str) -> None:
        assert plan(RATE, study_name=name).name == name

    @pytest.mark.parametrize(("given", "name"), [("multirun/..", "here"), (".", "here"), ("..", "above"), ("a/", "a")])
    def test_a_folders_name_is_the_studys_whatever_way_leads_there(
        self, given: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "above" / "here").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "above" / "here")
        made = plan(RATE, folder=Path(given))
        assert (made.name, made.folder.name) == (name, name)
        assert plan(RATE, folder=made.folder).name == name  # as the slots are told it

    def test_params_of_a_file_are_under_the_typed_words(self) -> None:
        made = plan("batch_size=8,16", params={"batch_size": "32,64", "optimizer": "adam,sgd", "max_epochs": 3})
        assert [point["batch_size"] for point in made.points] == [8, 16] * 2
        assert made.space.fixed == ("max_epochs=3",)

    @pytest.mark.parametrize(
        ("settings", "part"),
        [
            ({"n_trials": 0}, "n_trials=0"),
            ({"n_trials": "many"}, "n_trials=many"),
            ({"n_trials": True}, "n_trials=true"),
            ({"n_trials": 2.5}, "n_trials=2.5"),
            ({"n_jobs": 0}, "n_jobs=0"),
            ({"n_jobs": None}, "n_jobs=null"),
            ({"max_failure_rate": 1.5}, "max_failure_rate=1.5"),
            ({"max_failure_rate": None}, "max_failure_rate=null"),
            ({"max_failure_rate": "half"}, "max_failure_rate=half"),
            ({"timeout": 0}, "timeout=0"),
            ({"timeout": "soon"}, "timeout=soon"),
            ({"timeout": True}, "timeout=true"),
            ({"study_name": "a b"}, "study_name=a b"),
            ({"study_name": "../up"}, "study_name=../up"),
            ({"study_name": "/abs"}, "study_name=/abs"),
            ({"study_name": ""}, "study_name="),
            ({"pruner": {"name": "mediann"}}, "pruner=mediann"),
            ({"pruner": "median"}, "hydra/sweeper/pruner=NAME"),
            ({"storage": "postgresql://me:secret@host/db"}, "a password in the URL"),
            ({"params": {"learnin_rate": "1,2"}}, "did you mean learning_rate"),
        ],
    )
    def test_each_wrong_one_is_one_line(self, settings: Any, part: str) -> None:
        (line,) = problems(RATE, **settings)
        assert part in line and "secret" not in line

    def test_everything_wrong_is_said_at_once(self) -> None:
        lines = problems(
            RATE, n_trials=0, n_jobs=-1, max_failure_rate=2, timeout="x", study_name="!", pruner={"name": "no"},
            storage="x://a:b@c/d", objectives=["speed"], direction="up",
            start_points=[{"momentum": 1}], params={"foo": 1},
        )  # fmt: skip
        keys = [line.removeprefix("hydra.sweeper.").partition("=")[0].partition(":")[0] for line in lines]
        assert sorted(keys) == sorted(
            ["n_trials", "n_jobs", "max_failure_rate", "timeout", "study_name", "pruner", "storage", "objectives",
             "direction", "start_points[0]", "params"]
        )  # fmt: skip
