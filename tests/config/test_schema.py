"""Settings that plugins bring: typed, checked, read and recorded like all others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from visrun.config.choices import known
from visrun.config.compose import check_sweep, resolve
from visrun.config.fields import allowed, leaves
from visrun.config.schema import defaults, schema, slip
from visrun.config.setting_rules import facts_of, why_unread
from visrun.config.settings import LossOptions, Settings
from visrun.errors import ConfigError
from visrun.record.journal import changes, describe, identity
from visrun.record.remember import remembered
from visrun.tables import SETTINGS, Setting

PLUGIN = "plugins=[zoo_plugin]"
POLY = (PLUGIN, "loss=poly")
CALLED = "must be called loss_options.NAME, model_options.NAME or augment.NAME, NAME of small letters, digits and _"


def test_without_plugins_it_is_the_settings() -> None:
    assert not SETTINGS
    assert schema() is Settings


@pytest.mark.usefixtures("zoo")
def test_it_grows_with_a_plugin_and_shrinks_without() -> None:
    resolve([PLUGIN])
    grown = schema()
    assert grown is schema() and grown is not Settings
    assert set(leaves(grown)) - set(leaves(Settings)) == SETTINGS.keys()
    assert SETTINGS.keys() <= known()
    assert defaults()["loss_options"] == {**LossOptions().model_dump(), "epsilon": 1.0, "kind": "soft"}
    assert isinstance(grown(), Settings) and isinstance(grown().loss_options, LossOptions)
    SETTINGS.pop("loss_options.epsilon")
    assert "loss_options.epsilon" not in leaves(schema()) and "loss_options.kind" in leaves(schema())
    SETTINGS.clear()
    assert schema() is Settings


@pytest.mark.usefixtures("zoo")
def test_its_values_are_typed_and_come_from_files(tmp_path: Path) -> None:
    words = [*POLY, "model=counter3", "augment.extra=[invert]"]
    typed = ["loss_options.epsilon=2", "loss_options.kind=hard", "model_options.width=8", "augment.loud=true"]
    found = resolve([*words, *typed])
    options = found.settings.loss_options.model_dump()
    assert (options["epsilon"], options["kind"]) == (2.0, "hard")
    assert found.settings.model_options.model_dump()["width"] == 8
    augment = found.settings.augment.model_dump()
    assert (augment["loud"], augment["inverted"]) == (True, 0.3)
    assert not found.warnings and found.sources["loss_options.epsilon"] == "you"
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    (tmp_path / "conf" / "recipe" / "mine.yaml").write_text("loss: poly\nloss_options: {epsilon: 3}\n")
    assert resolve([PLUGIN, "recipe=mine"]).settings.loss_options.model_dump()["epsilon"] == 3.0


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("loss_options.epsilon=-2", "loss_options.epsilon=-2: must be a number >= -1"),
        ("loss_options.epsilon=nan", "loss_options.epsilon=NaN: must be a number >= -1"),
        ("loss_options.kind=loud", "loss_options.kind=loud: must be soft or hard"),
        ("model_options.width=1.5", "model_options.width=1.5: must be an integer from 1 to 512"),
        ("augment.loud=3", "augment.loud=3: must be true or false"),
        ("loss_options.epsilom=1", "loss_options.epsilom is no setting (did you mean loss_options.epsilon?)"),
    ],
)
def test_a_wrong_value_is_refused_as_of_any_setting(word: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve([*POLY, word])
    assert str(caught.value).startswith(told)
    with pytest.raises(ConfigError, match=r"epsilo|kind|width|loud"):
        check_sweep([*POLY, f"{word},{word.partition('=')[2]}"])


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize(
    ("key", "words", "why"),
    [
        ("loss_options.epsilon", ["loss=poly"], "the model learns by gradient steps and loss=poly"),
        ("model_options.width", ["model=counter3"], "model=counter3"),
        (
            "augment.inverted",
            ["augment.extra=[blur,invert]"],
            "the model learns by gradient steps and augment.extra=[invert]",
        ),
    ],
)
def test_it_is_read_where_something_asks_for_it(key: str, words: list[str], why: str) -> None:
    def told(*typed: str) -> str:
        found = resolve([PLUGIN, *typed])
        return why_unread(key, facts_of(found.hyperparameters, found.settings))

    assert told(*words) == ""
    missing = why.removeprefix("the model learns by gradient steps and ")
    assert told() == told("augment.extra=[blur]") == f"{key} is read only when {missing}"


@pytest.mark.usefixtures("zoo")
def test_it_is_recorded_where_it_is_read(tmp_path: Path) -> None:
    read, idle = resolve([*POLY, "loss_options.epsilon=2"]), resolve([PLUGIN])
    content = describe(read)
    assert content["loss_options"]["epsilon"] == 2.0 and content["sources"]["loss_options.epsilon"] == "you"
    assert "width" not in content["model_options"] and "model_options.width" not in content["sources"]
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(content))
    again = resolve([PLUGIN, f"experiment={file}"])
    assert again.settings.loss_options == read.settings.loss_options and not changes(identity(read), again)
    assert remembered(tmp_path).settings.loss_options == read.settings.loss_options
    noted = identity(idle)
    SETTINGS.clear()
    assert describe(idle)["loss_options"].keys() >= LossOptions.model_fields.keys()
    file.write_text(json.dumps(describe(resolve([]))))
    assert changes(noted, remembered(tmp_path)) == []  # nobody read it
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"loss_options\.epsilon is no setting.*; a plugin may bring it"):
        resolve([f"experiment={file}"])


@pytest.mark.usefixtures("zoo")
def test_what_a_run_without_the_plugin_says_of_it() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(["model_options.breadth=3"])
    assert str(caught.value).startswith("model_options.breadth is no setting")
    assert str(caught.value).endswith("; a plugin may bring it: plugins=[my_package]")


@pytest.mark.parametrize(
    ("setting", "takes"),
    [
        (Setting(1.0, "A."), "a number"),
        (Setting(1, "A.", gt=0), "an integer > 0"),
        (Setting(0.5, "A.", ge=0, lt=1), "a number >= 0 and < 1"),
        (Setting(True, "A."), "true or false"),
        (Setting("x", "A."), "a text"),
        (Setting("x", "A.", choices=["x", "y"]), "x or y"),
    ],
)
def test_what_it_takes_follows_from_its_default(setting: Setting, takes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "loss_options.mine", setting)
    info = leaves(schema())["loss_options.mine"]
    assert slip("loss_options.mine", setting) == "" and allowed(info) == takes and info.description == "A."
    assert defaults()["loss_options"]["mine"] == setting.default


@pytest.mark.parametrize(
    ("key", "setting", "told"),
    [
        ("loss_options.mine", 3, "3 must be a Setting"),
        ("epsilon", Setting(1, "A."), CALLED),
        ("run.mine", Setting(1, "A."), CALLED),
        ("loss_options.", Setting(1, "A."), CALLED),
        (
            "loss_options.a.b",
            Setting(1, "A."),
            CALLED,
        ),
        (("loss_options", "a"), Setting(1, "A."), CALLED),
        ("loss_options.gamma", Setting(1, "A."), "visrun gives this name a meaning of its own; take another"),
        ("loss_options.weight", Setting(1, "A."), "visrun gives this name a meaning of its own; take another"),
        ("augment.name", Setting("a", "A."), "visrun gives this name a meaning of its own; take another"),
        ("augment.copy", Setting(1, "A."), "visrun gives this name a meaning of its own; take another"),
        ("model_options.dropout", Setting(1, "A."), "visrun gives this name a meaning of its own; take another"),
        ("loss_options.mine", Setting([1], "A."), "its default [1] must be a number, a text, or true or false"),  # type: ignore[arg-type]
        ("loss_options.mine", Setting(None, "A."), "its default null must be a number, a text, or true or false"),  # type: ignore[arg-type]
        ("loss_options.mine", Setting(-1, "A.", ge=0), "mine=-1: must be an integer >= 0"),
        ("loss_options.mine", Setting("z", "A.", choices=("x", "y")), "mine=z: must be x or y"),
        ("loss_options.mine", Setting(float("nan"), "A."), "mine=NaN: must be a number"),
    ],
)
def test_a_slip_in_the_table_is_one_line(key: str, setting: object, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert slip(key, setting).startswith(told)
    monkeypatch.setitem(SETTINGS, key, setting)
    assert schema() is Settings  # what is wrong changes nothing before it is told


def test_a_slip_that_was_told_harms_no_later_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("loss_options.gamma", "run.mine", "loss_options.mine"):
        monkeypatch.setitem(SETTINGS, key, Setting([1], "A."))  # type: ignore[arg-type]
    assert describe(resolve(["learning_rate=0.1"]))["loss_options"] == LossOptions().model_dump()
