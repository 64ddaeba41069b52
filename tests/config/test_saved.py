"""What a saved file brings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from visrun.config.compose import Resolved, resolve
from visrun.config.configs import open_conf
from visrun.config.lines import texts
from visrun.config.settings import Augment
from visrun.errors import ConfigError


@pytest.fixture(autouse=True)
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of recipes in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    return tmp_path / "conf" / "recipe"


def test_a_key_that_is_none_is_told_with_its_file(recipes: Path) -> None:
    (recipes / "mine.yaml").write_text("optimzer: sgd\n")
    with pytest.raises(ConfigError) as caught:
        resolve(["recipe=mine"])
    line = "optimzer is no setting of a saved file (did you mean optimizer?); it stands in recipe=mine"
    assert caught.value.problems == (line,)


def test_a_key_that_stands_in_a_recipe_twice_is_refused(recipes: Path) -> None:
    (recipes / "mine.yaml").write_text("augment: {name: light, rotate: 5}\naugment.rotate: 7\n")
    with pytest.raises(ConfigError) as caught:
        resolve(["recipe=mine"])
    assert caught.value.problems == (
        "recipe=mine: augment.rotate is given twice, with a dot and in a section; keep one",
    )


BEFORE = "experiment=before.json"  # of a run with everything that another choice makes void


def over_a_run(recipe: str, *several: list[str]) -> list[Resolved]:
    """What typed words make of a run's settings; ``recipe=mine`` among them is the text's."""
    Path("conf/recipe/mine.yaml").write_text(recipe, encoding="utf-8")
    conf = open_conf(Path.cwd())
    light = resolve(["augment=light"], conf=conf).settings.augment.model_dump(mode="json")
    values = {"optimizer": "adam", "learning_rate": 0.5, "weight_decay": 0.25, "momentum": 0.5}
    data = {"name": "csv", "root": "/old", "classes": ["a"]}
    sections = {"augment": light, "data": data, "model": {"name": "resnet50", "weights": "/old.pt"}}
    Path("before.json").write_text(json.dumps({"hyperparameters": values, **sections}), encoding="utf-8")
    return [resolve([BEFORE, *typed], conf=conf) for typed in several]


@pytest.mark.parametrize("word", ["optimizer=sgd", "augment=strong", "model=resnet18", "data=demo", "augment=light"])
def test_a_choice_of_a_recipe_over_an_experiment_is_as_a_typed_one(word: str) -> None:
    group, _, name = word.partition("=")
    typed, named = over_a_run(f"{group}: {name}\n", [word], ["recipe=mine"])
    assert named.hyperparameters == typed.hyperparameters
    assert named.settings == typed.settings.model_copy(update={"recipe": "mine"})
    assert named.notices == typed.notices


def test_what_the_recipe_sets_beside_its_choice_counts() -> None:
    text = "optimizer: sgd\nlearning_rate: 0.05\naugment: strong\naugment.rotate: 7\n"
    (found,) = over_a_run(text, ["recipe=mine"])
    assert (found.hyperparameters.learning_rate, found.sources["learning_rate"]) == (0.05, "file")
    assert (found.hyperparameters.weight_decay, found.sources["weight_decay"]) == (0.0001, "option")
    assert (found.settings.augment.rotate, found.sources["augment.rotate"]) == (7, "file")
    assert (found.settings.augment.mixup, found.sources["augment.mixup"]) == (0.2, "option")
    assert found.notices[0].text == "optimizer=sgd is not the experiment's: the experiment's weight_decay is left out"


@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 0.5), ("adamw", 0.001), ("sgd", 0.05)])
def test_what_is_typed_over_both_files_decides_which_numbers_fit(optimizer: str, rate: float) -> None:
    (found,) = over_a_run("optimizer: sgd\nlearning_rate: 0.05\n", ["recipe=mine", f"optimizer={optimizer}"])
    assert found.hyperparameters.learning_rate == rate
    both = {line.partition(" ")[0] for line in texts(found.notices) if line.endswith("left out")}
    assert both == {f"optimizer={optimizer}"}


@pytest.mark.parametrize(("option", "name"), [("torchvision", "resnext50_32x4d"), ("timm", "resnetv2_50")])
def test_a_model_of_a_library_is_named_in_a_recipe_as_it_is_typed(recipes: Path, option: str, name: str) -> None:
    (recipes / "mine.yaml").write_text(f"model.name: {name}\nmodel: {option}\n")
    conf = open_conf(Path.cwd())
    typed = resolve([f"model={option}", f"model.name={name}"], conf=conf)
    assert resolve(["recipe=mine"], conf=conf).settings.model == typed.settings.model


MINE = {"name": "mine", "rotate": 5.0, "hflip": True}  # of a folder that is not here


@pytest.fixture
def foreign(recipes: Path) -> Path:
    """An experiment.json whose augmentation is a preset of somebody else's."""
    augment = Augment().model_dump(mode="json") | MINE
    (recipes / "a.yaml").write_text("augment: flips\n")
    Path("foreign.json").write_text(json.dumps({"hyperparameters": {}, "augment": augment}), encoding="utf-8")
    return Path("foreign.json")


def test_of_a_preset_that_is_not_here_the_numbers_are_taken(foreign: Path) -> None:
    found = resolve([f"experiment={foreign}", "augment.hue=0.1"])
    assert found.settings.augment == Augment(name="none", rotate=5.0, hflip=True, hue=0.1)
    told = "augment=mine is no option here: its numbers are taken from the experiment, as of augment=none"
    assert texts(found.notices) == [told]


@pytest.mark.parametrize("word", ["augment=none", "augment=flips", "augment.name=flips", "recipe=a"])
def test_another_choice_takes_its_place(foreign: Path, word: str) -> None:
    found, usual = (resolve([*named, word]) for named in ([f"experiment={foreign}"], []))
    assert found.settings.augment == usual.settings.augment
    assert found.notices == usual.notices


def test_a_preset_without_its_numbers_is_refused(foreign: Path) -> None:
    foreign.write_text(json.dumps({"hyperparameters": {}, "augment": MINE}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^augment=mine: must be default, flips, light, none or strong"):
        resolve([f"experiment={foreign}"])
