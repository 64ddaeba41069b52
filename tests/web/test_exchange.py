"""experiment.json in and out of the form: what is saved and loaded again stands for the same run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from visrun.config.compose import resolve
from visrun.config.configs import open_conf
from visrun.config.search_path import conf_dir
from visrun.config.settings import Augment
from visrun.errors import ConfigError
from visrun.record.journal import describe
from visrun.run_files import FILE_NAME
from visrun.tables import MODELS, TASKS
from visrun.web.bodies import State
from visrun.web.composer import Composer
from visrun.web.exchange import checked, loaded, loaded_text, saved, with_recipe
from visrun.web.form import fill, flat_values

LOCAL = ("tracking", "data.cache_dir")  # belong to the machine that wrote the file


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composer]:
    yield Composer(tmp_path_factory.mktemp("work"))


# task, model, touched
STATES: list[tuple[str, str | None, dict[str, Any]]] = [
    ("classification", None, {}),
    ("segmentation", None, {"learning_rate": "1e-3"}),
    ("classification", "vit_b_16", {"optimizer": "sgd", "momentum": "0.5"}),
    ("classification", None, {"optimizer": "sgd", "scheduler": "multistep", "milestones": "10, 20", "gamma": "0.3"}),
    ("regression", "resnext50_32x4d", {"data.root": "/data/x.csv", "data": "csv", "loss": "huber"}),
    ("classification", None, {"data.root": "/data/photos", "augment": "strong", "augment.hflip": "false"}),
    ("classification", None, {"max_epochs": "3"}),
    ("segmentation", "lraspp", {"seed": "7", "run.ema": "0.99", "data.image_size": "[64,96]", "run.max_time": "90"}),
    ("classification", None, {"model.weights": "/runs/a", "model.freeze": "backbone", "data.classes": "[a,b]"}),
    ("classification", None, {"loss": "focal", "loss_options.gamma": "1.5", "dropout": "0.45"}),
]


def told(form: Any) -> dict[str, Any]:
    values, _ = flat_values(form.resolved)
    return {key: value for key, value in values.items() if key not in LOCAL and key.partition(".")[0] not in LOCAL}


@pytest.mark.parametrize("state", STATES, ids=str)
def test_what_is_saved_loads_as_the_same_run(state: tuple[str, str | None, dict[str, Any]], composer: Composer) -> None:
    form = fill(*state, composer)
    text = json.dumps(saved(form))
    again = loaded_text(text, composer)
    assert told(fill(again["task"], again["model"], again["touched"], composer)) == told(form)
    assert again["model"] == state[1]
    assert again["touched"].keys() == state[2].keys()


@pytest.mark.parametrize("task", TASKS)
def test_every_task_comes_back_with_its_own_model_and_with_another(task: str, composer: Composer) -> None:
    for model in [None, *[name for name, entry in MODELS.items() if task in entry.tasks][-1:]]:
        form = fill(task, model, {}, composer)
        again = loaded_text(json.dumps(saved(form)), composer)
        usual = fill(task, None, {}, composer).resolved.settings.model.name
        assert again == {"task": task, "model": None if model == usual else model, "touched": {}}


def write_recipe(folder: Path, text: str) -> None:
    file = folder / "conf" / "recipe" / "mine.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("recipe", sorted(file.stem for file in (conf_dir() / "recipe").glob("*.yaml")))
def test_a_recipe_in_the_form_is_that_of_the_command_line(recipe: str, task: str, composer: Composer) -> None:
    found = with_recipe(recipe, State(task=task), composer)
    assert found.pop("kept") == []
    form, typed = fill(*found.values(), composer), composer.look((f"task={task}", f"recipe={recipe}"))
    assert typed.resolved is not None and found["touched"]
    named = told(typed) | {"recipe": None}
    assert {key: named[key] for key in named if named[key] != told(form)[key] and form.reads(key)} == {}
    assert set(form.problems) == set(typed.problems)


def test_a_recipe_goes_below_what_was_touched(composer: Composer) -> None:
    touched = {"max_epochs": "7", "learning_rate": "x", "warmup_epochs": 5}
    found = with_recipe("quick", State(task="classification", touched=touched), composer)
    whole = {"task": "classification", "model": None, "touched": {"early_stopping_patience": 0, **touched}}
    assert found == {**whole, "kept": ["max_epochs", "warmup_epochs"]}


def test_a_recipe_that_there_is_none_of_is_refused(composer: Composer) -> None:
    with pytest.raises(ConfigError, match="did you mean quick"):
        with_recipe("quikc", State(task="classification"), composer)


@pytest.mark.parametrize(("before", "after"), [("classification", "segmentation"), ("regression", "regression")])
def test_the_task_of_a_recipe_takes_the_place_of_the_default_one(before: str, after: str, tmp_path: Path) -> None:
    write_recipe(tmp_path, "task: segmentation\nmax_epochs: 3\n")
    found = with_recipe("mine", State(task=before), Composer(tmp_path))
    assert found == {"task": after, "model": None, "touched": {"max_epochs": 3}, "kept": []}


def test_a_recipe_with_plugins_that_the_page_has_not_is_refused(tmp_path: Path) -> None:
    write_recipe(tmp_path, "plugins: [no_such_module]\nmax_epochs: 3\n")
    with pytest.raises(ConfigError, match=r"^recipe=mine: names plugins=\[.no_such_module.\]; visrun ui takes them"):
        with_recipe("mine", State(task="classification"), Composer(tmp_path))
    write_recipe(tmp_path, "plugins: [colorsys]\nmax_epochs: 3\n")
    mine = Composer(tmp_path, always=["plugins=[colorsys]"])
    assert with_recipe("mine", State(task="classification"), mine)["touched"] == {"max_epochs": 3}


def test_what_a_run_wrote_comes_into_the_form(composer: Composer, tmp_path: Path) -> None:
    words = ["task=segmentation", "optimizer=adamw", "max_epochs=7", "warmup_epochs=2", "data.root=/x/y"]
    run = resolve(words, open_conf(tmp_path))
    content = describe(run, result={"status": "finished"})
    (tmp_path / FILE_NAME).write_text(json.dumps(content))
    found = loaded(tmp_path / FILE_NAME, composer)
    expected = {"optimizer": "adamw", "max_epochs": 7, "warmup_epochs": 2, "data.root": "/x/y"}
    assert found == {"task": "segmentation", "model": None, "touched": expected}


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "byte order mark"])
def test_hyperparameters_alone_are_a_whole_file(composer: Composer, mark: str) -> None:
    found = loaded_text(mark + '{"hyperparameters": {"learning_rate": 0.5, "momentum": 0.1}}', composer)
    assert found == {"task": "classification", "model": None, "touched": {"learning_rate": 0.5, "momentum": 0.1}}


@pytest.mark.parametrize("state", STATES, ids=str)
def test_what_a_run_was_started_from_comes_back(
    state: tuple[str, str | None, dict[str, Any]], composer: Composer
) -> None:
    form = fill(*state, composer)
    noted = json.loads(
        json.dumps(dict(zip(("task", "model", "touched"), (*state[:2], form.entered.values), strict=True)))
    )
    again = checked(noted, composer)
    assert told(fill(again["task"], again["model"], again["touched"], composer)) == told(form)
    assert (again["model"], again["touched"].keys()) == (state[1], state[2].keys())


@pytest.mark.parametrize(
    "noted",
    [
        None,
        [],
        {"touched": {}},
        {"task": "evil"},
        {"task": "classification", "touched": {"plugins": "os"}},
        {"task": "classification", "touched": {"seed": {"a": 1}}},
        {"task": "classification", "words": ["-m"]},
    ],
    ids=str,
)
def test_a_forged_form_beside_a_run_is_refused(noted: Any, composer: Composer) -> None:
    with pytest.raises(ConfigError):
        checked(noted, composer)


def test_a_form_with_problems_is_not_saved(composer: Composer) -> None:
    for touched in ({"learning_rate": "1e-"}, {"scheduler": "multistep"}, {"warmup_epochs": "50"}):
        with pytest.raises(ConfigError, match=r"learning_rate|milestones|warmup_epochs"):
            saved(fill("classification", None, touched, composer))


def test_a_wrong_value_that_nothing_reads_does_not_keep_a_form_from_being_saved(composer: Composer) -> None:
    content = saved(fill("classification", None, {"scheduler": "cosine", "gamma": "7"}, composer))
    assert content["hyperparameters"]["gamma"] == 0.1


def test_a_refused_file_is_named_as_the_user_knows_it(composer: Composer) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded_text('{"hyperparameters": {"lr": 1}, "x": 2}', composer)
    assert all(line.startswith(f"{FILE_NAME}: ") for line in caught.value.problems)


def test_of_a_preset_that_is_not_here_the_form_takes_the_numbers(composer: Composer) -> None:
    augment = {**Augment().model_dump(mode="json"), "name": "mine", "rotate": 5.0, "brightness": 0.1}
    found = loaded_text(json.dumps({"hyperparameters": {}, "augment": augment}), composer)
    assert found["touched"] == {"augment": "none", "augment.rotate": 5.0, "augment.brightness": 0.1}
