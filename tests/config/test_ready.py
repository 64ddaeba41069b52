"""Ready spaces: every shipped one for every task, and what is said about a wrong file."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tests.opened import shipped
from visrun import hyperparameters
from visrun.config.checks import problems_of
from visrun.config.choices import own_file
from visrun.config.compose import Resolved, check_sweep, resolve
from visrun.config.configs import open_conf
from visrun.config.fields import extra, one_of, show
from visrun.config.ready import expand
from visrun.config.search_path import conf_dir
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters, losses_of
from visrun.sweep.space import Searched, base_of, read_space
from visrun.tables import MODELS, TASKS, ModelEntry, model_entry

SHIPPED = sorted(file.stem for file in (conf_dir() / "sweep").glob("*.yaml"))
SEARCHED = [name for name, info in Hyperparameters.model_fields.items() if extra(info, "search")]
RESNET = model_entry("resnet18")


@cache
def run_of(task: str) -> Resolved:
    """The run of a task with nothing typed."""
    return resolve([f"task={task}"], conf=shipped())


def words_of(name: str, task: str) -> list[str]:
    """The words of a shipped space for a task with nothing typed."""
    run = run_of(task)
    values, model = run.hyperparameters.model_dump(mode="json"), model_entry(run.settings.model.name)
    return expand(own_file("sweep", name, shipped()), task=task, values=values, model=model, name=name)


def expanded(
    content: dict[str, Any], *, task: str = "classification", model: ModelEntry = RESNET, **own: Any
) -> list[str]:
    return expand(content, task=task, values={**hyperparameters.defaults(), **own}, model=model)


def problems(content: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        expanded(content)
    return caught.value.problems


class TestShipped:
    @pytest.mark.parametrize("task", TASKS)
    @pytest.mark.parametrize("name", SHIPPED)
    def test_every_space_is_sound_for_every_task(self, name: str, task: str) -> None:
        base, content = base_of(run_of(task)), own_file("sweep", name, shipped())
        space = read_space(words_of(name, task), base=base)
        listed = [*content["parameters"], *content.get("tasks", {}).get(task, {}).get("add", [])]
        assert list(space.dimensions) == [key for key in listed if key in space.dimensions]
        assert len(space.dimensions) >= 2
        assert space.fixed == space.notices == ()
        assert Searched(space, base).combinations(1) is None  # a learning rate or a weight decay is in each
        for key, dimension in space.dimensions.items():
            low, high = getattr(dimension.distribution, "low", None), getattr(dimension.distribution, "high", None)
            tried = [low, high] if dimension.values is None else dimension.values
            assert [line for value in tried for line in problems_of(key, value)] == []

    @pytest.mark.parametrize("task", list(TASKS))
    @pytest.mark.parametrize("name", SHIPPED)
    def test_both_ends_of_every_parameter_resolve(self, name: str, task: str) -> None:
        base = base_of(run_of(task))
        space = read_space(words_of(name, task), base=base)
        for end in (0, -1):
            params = {
                key: (item.distribution.low, item.distribution.high)[end]  # type: ignore[attr-defined]
                if item.values is None
                else item.values[end]
                for key, item in space.dimensions.items()
            }
            found = resolve([f"task={task}", *Searched(space, base).words(params)], conf=shipped()).hyperparameters
            for key in set(params) & {"learning_rate", "weight_decay", "optimizer", "loss", "batch_size"}:
                assert getattr(found, key) == params[key]

    @pytest.mark.parametrize("name", SHIPPED)
    def test_the_command_line_takes_them_typed(self, name: str, tmp_path: Path) -> None:
        task = "segmentation"
        typed = words_of(name, task)
        sweep = check_sweep([f"task={task}", *typed], open_conf(tmp_path))
        assert read_space(sweep.words).distributions == read_space(typed).distributions

    def test_wide_is_everything_that_has_a_range(self) -> None:
        assert own_file("sweep", "wide", shipped())["parameters"] == SEARCHED

    def test_default_is_these_words(self) -> None:
        assert expanded(own_file("sweep", "default", shipped())) == [
            "optimizer=choice(adam,adamw,sgd)",
            "learning_rate=tag(log, interval(1e-05,0.1))",
            "weight_decay=tag(log, interval(1e-06,0.1))",
            "momentum=interval(0.8,0.98)",
            "scheduler=choice(cosine,step,poly,none)",
        ]

    @pytest.mark.parametrize("name", SHIPPED)
    def test_no_space_sweeps_the_length_of_a_run(self, name: str) -> None:
        content = own_file("sweep", name, shipped())
        assert "max_epochs" not in str(content)
        assert (conf_dir() / f"sweep/{name}.yaml").read_text(encoding="utf-8").startswith("# ")

    def test_a_users_own_file_goes_first_and_a_misspelt_one_is_guessed(self, tmp_path: Path) -> None:
        (tmp_path / "conf/sweep").mkdir(parents=True)
        (tmp_path / "conf/sweep/mine.yaml").write_text(
            "parameters: [batch_size]\nranges: {batch_size: {choices: [1, 2]}}\n"
        )
        conf = open_conf(tmp_path)
        assert expanded(own_file("sweep", "mine", conf)) == ["batch_size=choice(1,2)"]
        with pytest.raises(ConfigError) as caught:
            own_file("sweep", "defalt", conf)
        (line,) = caught.value.problems
        assert line.startswith("sweep=defalt: must be default, mine, ")
        assert line.endswith("(did you mean default?)")


class TestExpand:
    @pytest.mark.parametrize("name", SEARCHED)
    @pytest.mark.parametrize("task", TASKS)
    def test_every_field_with_a_range_becomes_that_range(self, name: str, task: str) -> None:
        search = extra(Hyperparameters.model_fields[name], "search")
        if name == "loss" and len(TASKS[task].losses) == 1:
            return
        (word,) = expanded({"parameters": [name]}, task=task)
        (found,) = read_space([word]).distributions.values()
        if name == "loss":
            assert found == CategoricalDistribution(tuple(TASKS[task].losses))
        elif "choices" in search:
            assert found == CategoricalDistribution(tuple(search["choices"]))
        elif "step" in search:
            assert found == IntDistribution(search["low"], search["high"], step=search["step"])
        else:
            assert found == FloatDistribution(search["low"], search["high"], log=search.get("log", False))

    @pytest.mark.parametrize(
        ("given", "word"),
        [
            ({"learning_rate": {"low": 1e-4}}, "learning_rate=tag(log, interval(0.0001,0.1))"),
            ({"learning_rate": {"high": 0.01, "log": False}}, "learning_rate=interval(1e-05,0.01)"),
            ({"learning_rate": {"choices": [1e-3, 0.01]}}, "learning_rate=choice(0.001,0.01)"),
            ({"learning_rate": {"low": 0.1, "high": 0.5, "step": 0.1}}, "learning_rate=range(0.1,0.55,0.1)"),
            ({"optimizer": {"choices": ["adam", "sgd"]}}, "optimizer=choice(adam,sgd)"),
            ({"step_size": {"low": 1, "high": 10, "step": 4}}, "step_size=range(1,10,4)"),
            ({"warmup_epochs": {"low": 1, "high": 3}}, "warmup_epochs=range(1,4,1)"),
            ({"batch_size": {"low": 8, "high": 64}}, "batch_size=int(interval(8,64))"),
            ({"batch_size": {"low": 8, "high": 64, "log": True}}, "batch_size=tag(log, int(interval(8,64)))"),
            ({"batch_size": {"choices": [1, 256]}}, "batch_size=choice(1,256)"),
            ({"max_epochs": {"choices": [10, 20]}}, "max_epochs=choice(10,20)"),
            ({"milestones": {"choices": [[10, 20], [30]]}}, "milestones=choice([10,20],[30])"),
            ({"data.image_size": {"choices": [None, 64, [64, 96]]}}, "data.image_size=null,64,[64,96]"),
            ({"model": {"choices": ["resnet18", "resnet34"]}}, "model=choice(resnet18,resnet34)"),
            ({"run.ema": {"low": 0.9, "high": 0.999}}, "run.ema=interval(0.9,0.999)"),
            ({"loss": {"choices": ["mse", "focal", "bce"]}}, "loss=choice(focal,bce)"),
        ],
    )
    def test_own_ranges(self, given: dict[str, Any], word: str) -> None:
        assert expanded({"parameters": list(given), "ranges": given}) == [word]
        OverridesParser.create().parse_overrides([word])

    @pytest.mark.parametrize(
        ("low", "high", "step", "values"),
        [
            (0.1, 0.5, 0.1, [0.1, 0.2, 0.3, 0.4, 0.5]),
            (0.1, 0.45, 0.1, [0.1, 0.2, 0.3, 0.4]),
            (0, 0.9, 0.45, [0, 0.45, 0.9]),
        ],
    )
    def test_a_step_reaches_its_upper_end(self, low: float, high: float, step: float, values: list[float]) -> None:
        given = {"dropout": {"low": low, "high": high, "step": step}}
        (word,) = expanded({"parameters": ["dropout"], "ranges": given})
        assert list(read_space([word]).dimensions["dropout"].values or ()) == values

    def test_epochs_stay_below_the_runs_own(self) -> None:
        both = {"parameters": ["warmup_epochs", "step_size", "gamma"]}
        gamma = "gamma=tag(log, interval(0.05,0.5))"
        assert expanded(both, max_epochs=50) == ["warmup_epochs=range(0,6,1)", "step_size=range(5,31,5)", gamma]
        assert expanded(both, max_epochs=13) == ["warmup_epochs=range(0,6,1)", "step_size=range(5,11,5)", gamma]
        assert expanded(both, max_epochs=5) == ["warmup_epochs=range(0,5,1)", gamma]
        assert expanded(both, max_epochs=1) == [gamma]

    @pytest.mark.parametrize(
        ("own", "word"),
        [
            (32, ["batch_size=choice(8,16,32,64,128)"]),
            (8, ["batch_size=choice(8,16,32)"]),
            (128, ["batch_size=choice(32,64,128)"]),
            (2, []),
        ],
    )
    def test_batch_sizes_stay_near_the_runs_own(self, own: int, word: list[str]) -> None:
        momentum = "momentum=interval(0.8,0.98)"
        assert expanded({"parameters": ["batch_size", "momentum"]}, batch_size=own) == [*word, momentum]

    def test_losses_are_those_that_the_model_honours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        entry = ModelEntry(
            build="", tasks=("classification",), parameters=1.0, speed=1, accuracy=1, losses=("focal", "bce", "mse")
        )
        monkeypatch.setitem(MODELS, "proud", entry)
        assert losses_of("classification", entry) == ("focal", "bce")
        assert expanded({"parameters": ["loss"]}, model=entry) == ["loss=choice(focal,bce)"]

    def test_a_task_adds_its_own(self) -> None:
        content = {
            "parameters": ["dropout"],
            "ranges": {"dropout": {"high": 0.3}},
            "tasks": {"segmentation": {"add": ["loss", "dropout"], "ranges": {"dropout": {"high": 0.1}}}},
        }
        assert expanded(content) == ["dropout=interval(0.0,0.3)"]
        assert expanded(content, task="segmentation") == [
            "dropout=interval(0.0,0.1)",
            "loss=choice(ce_dice,cross_entropy,dice,focal)",
        ]

    def test_nothing_left_is_an_error(self) -> None:
        with pytest.raises(ConfigError, match="nothing varies for task=object_detection"):
            expanded({"parameters": []}, task="object_detection")
        with pytest.raises(ConfigError, match="nothing varies for task=instance_segmentation"):
            one_loss = replace(RESNET, losses=("default",))
            expanded({"parameters": ["loss"]}, task="instance_segmentation", model=one_loss)

    def test_what_hydra_would_replace_is_refused_by_its_key(self) -> None:
        content = {"parameters": ["tracking.run_name"], "ranges": {"tracking.run_name": {"choices": ["a", "a${b}"]}}}
        with pytest.raises(ConfigError, match=r"^tracking.run_name=a\$\{b\}"):
            expanded(content)

    def test_what_a_trial_does_not_read_is_no_trial(self) -> None:
        content = {"parameters": ["optimizer", "momentum"], "ranges": {"momentum": {"choices": [0.8, 0.9]}}}
        assert Searched(read_space(expanded(content)), base_of(run_of("classification"))).count() == 4

    def test_optuna_stays_unimported(self) -> None:
        code = "import sys, visrun.config.ready; sys.exit('optuna' in sys.modules or 'torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestProblems:
    @pytest.mark.parametrize(
        ("content", "line"),
        [
            (
                {"parameter": ["dropout"]},
                "parameter is no key: must be parameters, ranges or tasks (did you mean parameters?)",
            ),
            ({"parameters": ["dropout"], "trials": 3}, "trials is no key: must be parameters, ranges or tasks"),
            ({"parameters": "dropout"}, "parameters must be a list of settings, such as [optimizer, learning_rate]"),
            ({"parameters": ["lerning_rate"]}, "lerning_rate is no setting (did you mean learning_rate?)"),
            ({"parameters": ["lr"]}, "lr is no setting (did you mean learning_rate?)"),
            (
                {"parameters": ["max_epochs"]},
                "max_epochs: the schema has no range for it; give ranges.max_epochs, such as {choices: [...]}",
            ),
            (
                {"parameters": ["dropout"], "ranges": [1]},
                "ranges must be a mapping of settings to ranges, such as {dropout: {low: 0, high: 0.5}}",
            ),
            ({"parameters": ["dropout"], "ranges": {"gamma": {"low": 0.1}}}, "ranges.gamma: no parameters name it"),
            (
                {"parameters": ["dropout"], "ranges": {"dropuot": {"low": 0.1}}},
                "dropuot is no setting (did you mean dropout?)",
            ),
            (
                {"tasks": {"segmentaton": {}}},
                f"tasks.segmentaton is no task: must be {one_of(TASKS)} (did you mean segmentation?)",
            ),
            ({"tasks": ["segmentation"]}, "tasks must be a mapping of tasks to what they add"),
            ({"tasks": {"regression": ["loss"]}}, "tasks.regression must be a mapping with add and ranges"),
            (
                {"tasks": {"regression": {"ad": ["loss"]}}},
                "tasks.regression.ad is no key: must be add or ranges (did you mean add?)",
            ),
            ({"tasks": {"regression": {"add": ["los"]}}}, "los is no setting (did you mean loss?)"),
        ],
    )
    def test_files(self, content: dict[str, Any], line: str) -> None:
        assert problems(content) == (f"sweep=FILE: {line}",)

    @pytest.mark.parametrize(
        ("key", "given", "line"),
        [
            (
                "dropout",
                {"hihg": 0.2},
                "ranges.dropout.hihg is no part of a range: "
                "must be low, high, log, step or choices (did you mean high?)",
            ),
            ("dropout", {"high": 2}, "ranges.dropout=2: must be a number from 0 to 0.9"),
            ("dropout", {"high": "much"}, "ranges.dropout.high=much: must be a number"),
            ("dropout", {"high": math.inf}, "ranges.dropout.high=Infinity: must be a number"),
            ("dropout", {"high": 10**400}, f"ranges.dropout.high={show(10**400)}: must be a number"),
            ("step_size", {"step": math.nan}, "ranges.step_size.step=NaN: must be a number"),
            ("model", {"choices": ["resnet18", {"name": "unet"}]}, 'ranges.model: {"name": "unet"} is no name'),
            ("dropout", {"high": True}, "ranges.dropout.high=true: must be a number"),
            ("dropout", {"low": 0.6}, "ranges.dropout: low=0.6: must not be above high=0.5"),
            ("dropout", {"log": True}, "ranges.dropout: low=0.0: must be above 0 where log is true"),
            ("dropout", {"log": "yes"}, "ranges.dropout: log=yes: must be true or false"),
            ("dropout", {"step": 0}, "ranges.dropout: step=0: must be a number > 0"),
            ("gamma", {"log": True, "step": 0.1}, "ranges.gamma: log and step: one of them only"),
            ("step_size", {"step": 0.5}, "ranges.step_size: step=0.5: must be an integer > 0"),
            ("step_size", {"low": 1.5}, "ranges.step_size=1.5: must be an integer >= 1"),
            ("run.ema", {"low": 0.5}, "ranges.run.ema: must have low and high, or choices"),
            ("dropout", {"choices": []}, "ranges.dropout.choices=[]: must be a list of values"),
            ("dropout", {"choices": 0.5}, "ranges.dropout.choices=0.5: must be a list of values"),
            ("dropout", {"choices": [0.1], "log": True}, "ranges.dropout: choices stand alone, without log"),
            ("dropout", {"choices": [0.1, 5]}, "ranges.dropout=5: must be a number from 0 to 0.9"),
            ("optimizer", {"choices": ["adam", "sdg"]}, "ranges.optimizer=sdg: must be adam, adamw or sgd"),
            ("loss", {"choices": ["focal", "mes"]}, "ranges.loss: mes is no loss (did you mean mse?)"),
        ],
    )
    def test_ranges(self, key: str, given: dict[str, Any], line: str) -> None:
        assert problems({"parameters": [key], "ranges": {key: given}}) == (f"sweep=FILE: {line}",)
        own = {"tasks": {"regression": {"add": [key], "ranges": {key: given}}}}
        assert problems(own) == (f"sweep=FILE: {line}",)  # of another task than the run's

    def test_all_are_said_at_once(self) -> None:
        content = {"parameters": ["dropout", "lr", "max_epochs"], "ranges": {"dropout": {"high": 3}}, "task": {}}
        assert len(problems(content)) == 4
