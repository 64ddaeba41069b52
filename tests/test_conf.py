"""The shipped config files: every option composes for every task that it serves, with the right values."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from visrun import hyperparameters
from visrun.config import schema
from visrun.config.choices import NAMED, known
from visrun.config.compose import resolve
from visrun.config.configs import Conf, choices_in, open_conf
from visrun.config.fields import flatten
from visrun.config.overrides import GROUPS
from visrun.config.search_path import conf_dir
from visrun.tables import (
    GENERIC_MODEL,
    MODELS,
    OPTIMIZERS,
    READERS,
    SCHEDULERS,
    TASKS,
    TIMM_MODEL,
    model_entry,
    timm_name,
)

FILES = sorted(file for file in conf_dir().rglob("*.yaml") if file.parent.name != "sweep")  # those are spaces
HIDDEN = {"task_optimizer": "task", "model_optimizer": "model", "data_task": "data"}  # folders named by two choices


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Conf:
    return open_conf(tmp_path_factory.mktemp("empty"))


def needs(words: list[str]) -> list[str]:
    """What an option cannot do without."""
    if "scheduler=multistep" in words:
        words = [*words, "milestones=[30,40]"]
    if f"model={GENERIC_MODEL}" in words:
        words = [*words, "model.name=resnext50_32x4d"]
    if f"model={TIMM_MODEL}" in words:
        words = [*words, "model.name=resnet18"]
    if any(word.startswith("data=") and word != "data=demo" for word in words):
        words = [*words, "data.root=/photos"]
    return words


def served(group: str, option: str, task: str) -> bool:
    if group == "loss":
        return option in TASKS[task].losses
    if group == "model":
        name = {GENERIC_MODEL: "resnext50_32x4d", TIMM_MODEL: timm_name("timm_resnet18", task)}.get(option, option)
        return task in model_entry(name).tasks
    if group == "data" and option in READERS:
        return TASKS[task].target in READERS[option].served
    return True


def combinations() -> Iterator[tuple[str, dict[str, str]]]:
    """Each task with each option that serves it, several groups' at a time, as each compose takes a while.

    A loss stands alone, since not every model takes it, and so does a model whose file chooses an optimizer.
    """
    for task in TASKS:
        several: dict[str, list[tuple[str, str]]] = {}
        for group in GROUPS[1:]:
            for file in sorted((conf_dir() / group).glob("*.yaml")):
                if served(group, file.stem, task):
                    several.setdefault("alone" if alone(file) else group, []).append((group, file.stem))
        rows = [*((item,) for item in several.pop("alone")), *zip_longest(*several.values())]
        yield from ((task, dict(filter(None, row))) for row in rows)


def alone(file: Path) -> bool:
    return file.parent.name == "loss" or (file.parent.name == "model" and "optimizer:" in file.read_text("utf-8"))


@pytest.mark.parametrize(("task", "options"), list(combinations()), ids=lambda item: str(item))
def test_every_option_composes_for_every_task_it_serves(task: str, options: dict[str, str], conf: Conf) -> None:
    words = [f"{group}={option}" for group, option in options.items()]
    resolved = resolve(needs([f"task={task}", *words]), conf=conf)
    assert resolved.settings.task == task
    for group, option in options.items():
        assert resolved.choices[group] == option
        if group in NAMED and option not in (GENERIC_MODEL, TIMM_MODEL):
            assert getattr(resolved.settings, group).name == option
        elif group in ("optimizer", "scheduler", "loss"):
            assert getattr(resolved.hyperparameters, group) == option
            assert resolved.sources[group] == "you"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_optimizer_and_scheduler_combine(optimizer: str, scheduler: str, conf: Conf) -> None:
    words = needs([f"optimizer={optimizer}", f"scheduler={scheduler}"])
    values = resolve(words, conf=conf).hyperparameters
    assert (values.optimizer, values.scheduler) == (optimizer, scheduler)
    rates = {"adam": (0.001, 0.0001), "adamw": (0.001, 0.01), "sgd": (0.01, 0.0001)}
    assert (values.learning_rate, values.weight_decay) == rates[optimizer]
    assert values.momentum == 0.9


DETECTION: dict[str, Any] = {
    "optimizer": "sgd",
    "learning_rate": 0.005,
    "weight_decay": 0.0005,
    "momentum": 0.9,
    "scheduler": "step",
    "step_size": 10,
    "gamma": 0.1,
    "batch_size": 8,
    "max_epochs": 50,
    "early_stopping_patience": 15,
    "loss": "default",
    "warmup_epochs": 0,
    "milestones": [],
    "poly_power": 0.9,
    "dropout": 0.0,
}
CLASSES: dict[str, Any] = {
    **DETECTION,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "weight_decay": 0.0001,
    "scheduler": "cosine",
    "warmup_epochs": 5,
    "batch_size": 32,
    "early_stopping_patience": 10,
    "loss": "cross_entropy",
    "dropout": 0.2,
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "classification": CLASSES,
    "anomaly_detection": CLASSES,
    "object_detection": DETECTION,
    "oriented_object_detection": DETECTION,
    "instance_segmentation": DETECTION,
    "segmentation": {
        **DETECTION,
        "learning_rate": 0.01,
        "weight_decay": 0.0001,
        "scheduler": "poly",
        "max_epochs": 60,
        "loss": "ce_dice",
    },
    "regression": {**CLASSES, "warmup_epochs": 0, "loss": "mse"},
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("data", ["demo", "auto"])
def test_a_tasks_defaults_are_exactly_these(task: str, data: str, conf: Conf) -> None:
    words = [f"task={task}", *([] if data == "demo" else ["data.root=/photos"])]
    assert resolve(words, conf=conf).hyperparameters.model_dump(mode="json") == DEFAULTS[task]


def test_the_first_loss_of_the_table_is_the_tasks_default() -> None:
    assert {task: next(iter(entry.losses)) for task, entry in TASKS.items()} == {
        task: values["loss"] for task, values in DEFAULTS.items()
    }


def test_every_table_entry_has_a_file_and_every_file_an_entry() -> None:
    def names(group: str) -> set[str]:
        return {file.stem for file in (conf_dir() / group).glob("*.yaml")}

    assert names("task") == set(TASKS)
    assert names("optimizer") == set(OPTIMIZERS)
    assert names("scheduler") == set(SCHEDULERS)
    assert names("model") == {*MODELS, GENERIC_MODEL, TIMM_MODEL}
    assert names("data") == {*READERS, "demo", "auto"}
    assert names("loss") == {loss for entry in TASKS.values() for loss in entry.losses}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(conf_dir())))
def test_files_hold_known_values_only(file: Path, conf: Conf) -> None:
    text = file.read_text(encoding="utf-8")
    assert "_target_" not in text
    if file.parent == conf_dir():
        return
    group = file.parent.name
    values = flatten(conf.read(f"{group}/{file.stem}"))
    assert set(values) <= known()
    assert (group == "recipe") != text.startswith("# @package _global_\n")
    if group in GROUPS:
        chosen = choices_in(values, GROUPS)
        assert chosen.pop(group) == file.stem
        assert group == "task" or set(chosen) <= ({"optimizer"} if group == "model" else set())


@pytest.mark.parametrize("folder", HIDDEN)
def test_files_named_by_two_choices_name_real_ones(folder: str) -> None:
    second = {"data_task": TASKS}.get(folder, OPTIMIZERS)
    first = {file.stem for file in (conf_dir() / HIDDEN[folder]).glob("*.yaml")}
    pairs = {f"{one}_{other}" for one in first for other in second}
    assert {file.stem for file in (conf_dir() / folder).glob("*.yaml")} <= pairs


@pytest.mark.parametrize("recipe", sorted(file.stem for file in (conf_dir() / "recipe").glob("*.yaml")))
@pytest.mark.parametrize("task", TASKS)
def test_every_recipe_serves_every_task(recipe: str, task: str, conf: Conf) -> None:
    resolved = resolve([f"task={task}", f"recipe={recipe}"], conf=conf)
    wanted = conf.read(f"recipe/{recipe}")
    values = resolved.hyperparameters.model_dump(mode="json")
    numbers = {key: value for key, value in wanted.items() if key in values}
    assert numbers
    assert {key: values[key] for key in numbers} == numbers
    assert {resolved.sources[key] for key in numbers} == {"file"}
    assert resolved.settings.recipe == recipe


def test_the_schema_layer_is_the_models_own_defaults(conf: Conf) -> None:
    assert conf.read("schema") == {**hyperparameters.defaults(), **schema.defaults()}
