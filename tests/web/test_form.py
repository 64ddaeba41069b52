"""The form as a pure function: what the page shows is what the command line composes, for any state of the form."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from visrun.config.checks import problems_of
from visrun.config.compose import Resolved, look, resolve
from visrun.config.fields import choices, limits
from visrun.config.lines import texts
from visrun.config.spelling import takes_lists
from visrun.data import demo
from visrun.errors import ConfigError
from visrun.hyperparameters import READ_WHEN, Hyperparameters, unread
from visrun.lr import lr_curve
from visrun.tables import AUGMENTATIONS, MODELS, SETTINGS, TASKS, Setting
from visrun.web import space
from visrun.web.catalog import PARTS, catalog, editable
from visrun.web.composer import Composer
from visrun.web.entered import read, shown
from visrun.web.form import fill, flat_values, view

NAMES = tuple(Hyperparameters.model_fields)
FEW = settings(
    max_examples=35, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
READY = list(TASKS)


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composer]:
    """One for all tests, in an empty folder: what is composed once stays composed."""
    yield Composer(tmp_path_factory.mktemp("work"))


def typed(command: str, composer: Composer) -> Resolved:
    """What the command line makes of a command."""
    return resolve(shlex.split(command)[1:], conf=composer.conf)


def as_value(name: str, text: str) -> Any:
    """The value that a field's text stands for; an empty list is an empty field."""
    return Hyperparameters(**{name: text or []}).model_dump(mode="json")[name]


def entries(name: str) -> st.SearchStrategy[str]:
    """Texts for a field, most of them sound by themselves."""
    info = Hyperparameters.model_fields[name]
    if name == "loss":
        return st.sampled_from(sorted({loss for entry in TASKS.values() for loss in entry.losses}))
    if name == "run.monitor":
        return st.sampled_from(sorted({metric for entry in TASKS.values() for metric in entry.metrics}))
    if name == "milestones":
        ascending = st.lists(st.integers(1, 60), max_size=3, unique=True).map(sorted)
        return ascending.map(lambda values: ",".join(map(str, values)))
    if choices(info):
        return st.sampled_from(choices(info))
    low = limits(info).get("ge", 1)
    if info.annotation is int:
        return st.one_of(st.integers(int(low), 60).map(str), st.sampled_from(["-1", "abc"]))
    return st.one_of(st.sampled_from(["1e-3", "0.5", "0.05"]), st.sampled_from(["1e-", "-0.1", "abc"]))


STATES = st.tuples(
    st.sampled_from(list(TASKS)),
    st.one_of(st.none(), st.sampled_from(list(MODELS))),
    st.fixed_dictionaries({}, optional={name: entries(name) for name in NAMES}),
)


State = tuple[str, str | None, dict[str, str]]


@pytest.mark.slow
@FEW
@given(STATES)
@example(("oriented_object_detection", None, {"max_epochs": "abc", "warmup_epochs": "56"}))
def test_the_page_agrees_with_the_command_line(composer: Composer, state: State) -> None:
    shown = view(*state, composer)
    if not set(shown["errors"]) - {"task"}:
        it_shows_what_is_composed(shown, composer)
    its_errors_are_the_command_lines_words(shown, state, composer)
    a_default_is_what_a_reset_leaves(shown, state, composer)


def it_shows_what_is_composed(shown: dict[str, Any], composer: Composer) -> None:
    fields = shown["fields"]
    run = typed(shown["command"], composer)
    values = run.hyperparameters.model_dump(mode="json")
    assert shown["model"]["name"] == run.settings.model.name
    model = MODELS[shown["model"]["name"]]
    waits, left = unread(values), unread(values, model=model)  # with a usual model, with this one
    for name in NAMES:
        assert fields[name]["shown"] == (name not in waits)
        assert ("why" in fields[name]) == (name in left and name not in waits)
        if name not in left:
            assert as_value(name, fields[name]["text"]) == values[name]
            assert fields[name]["changed"] == (run.sources[name] == "you")
    if "learning_rate" not in left:
        assert shown["curve"] == pytest.approx(lr_curve(values), rel=1e-5)
    assert [line for lines in shown["notices"].values() for line in lines] == texts(run.notices)


def its_errors_are_the_command_lines_words(shown: dict[str, Any], state: State, composer: Composer) -> None:
    task, model, touched = state
    kept = {key: text for key, text in touched.items() if key not in shown["dropped"]}
    sent = {
        key: text for key, text in kept.items() if shown["fields"][key]["shown"] and "why" not in shown["fields"][key]
    }
    words = [f"task={task}", *([] if model is None or "model" in shown["dropped"] else [f"model={model}"])]
    words += [f"{key}=[{text}]" if key == "milestones" else f"{key}={text}" for key, text in sent.items()]
    problems = look(words, conf=composer.conf).problems
    told = {line for key, lines in shown["errors"].items() if key != "task" for line in lines}
    assert told == set(texts(problems))


def a_default_is_what_a_reset_leaves(shown: dict[str, Any], state: State, composer: Composer) -> None:
    task, model, touched = state
    for name in [name for name in touched if name not in shown["dropped"]]:
        rest = {key: text for key, text in touched.items() if key != name}
        after = view(task, model, rest, composer)
        if not set(after["errors"]) - {"task"} and "loss" not in after["dropped"]:
            assert shown["fields"][name]["default"] == after["fields"][name]["text"]


@pytest.mark.parametrize("key", ["data.root", "model.weights"])
def test_blanks_around_a_pasted_path_are_none_of_it(key: str, composer: Composer) -> None:
    shown = fill("classification", None, {key: " /my photos\t\n"}, composer)
    assert (shown.entered.values, shown.entered.errors) == ({key: "/my photos"}, {})


@pytest.mark.slow
@FEW
@given(STATES, st.sampled_from(READY), st.one_of(st.none(), st.sampled_from(list(MODELS))))
def test_what_the_user_changed_survives_any_change_of_task_and_model(
    composer: Composer, state: State, task: str, model: str | None
) -> None:
    _, _, touched = state
    shown = view(task, model, touched, composer)
    for name, text in touched.items():
        of_task = {"loss": TASKS[task].losses, "run.monitor": TASKS[task].metrics}
        if text not in of_task.get(name, (text,)):
            assert shown["dropped"][name].startswith(f"{name}={text}: task={task} takes ")
            assert not shown["fields"][name]["changed"]
        else:
            assert (shown["fields"][name]["text"], shown["fields"][name]["changed"]) == (text, True)
    values, _ = flat_values(fill(task, None if "model" in shown["dropped"] else model, {}, composer).resolved)
    for name in NAMES:
        if name not in touched and not {"optimizer", "scheduler", "max_epochs"} & set(touched):
            assert as_value(name, shown["fields"][name]["text"]) == values[name]


# What depends on what


# a fact of a model -> a task, a model without it and one with it
MODELS_WITH = {"drops": ("segmentation", "lraspp", "unet"), "gradient": ("anomaly_detection", "patchcore", "resnet18")}


@pytest.mark.parametrize("name", READ_WHEN)
def test_a_field_is_shown_exactly_when_something_reads_it(name: str, composer: Composer) -> None:
    for key, wanted in READ_WHEN[name].items():
        if key in MODELS_WITH:
            task, without, having = MODELS_WITH[key]
            lacking, read = (view(task, model, {}, composer)["fields"][name] for model in (without, having))
            assert not lacking["shown"] or "why" in lacking
            assert len(READ_WHEN[name]) > 1 or (lacking["shown"] and read["shown"] and "why" not in read)
            continue
        for option in choices(Hyperparameters.model_fields[key]):
            shown = view("classification", None, {key: option, "milestones": "3"}, composer)["fields"][name]["shown"]
            assert shown == (option in wanted)


def test_another_optimizer_repopulates_what_is_not_touched_and_says_so(composer: Composer) -> None:
    before = view("classification", None, {}, composer)["fields"]
    shown = view("classification", None, {"optimizer": "sgd"}, composer)
    assert (before["learning_rate"]["text"], shown["fields"]["learning_rate"]["text"]) == ("0.001", "0.01")
    assert shown["notices"]["optimizer"] == [
        "optimizer=sgd brings its own learning_rate=0.01 and weight_decay=0.0001 "
        "(the optimizer of task=classification is adam)"
    ]
    kept = view("classification", None, {"optimizer": "sgd", "learning_rate": "3e-4"}, composer)
    assert (kept["fields"]["learning_rate"]["text"], kept["fields"]["learning_rate"]["default"]) == ("3e-4", "0.01")


def test_hidden_changed_values_wait_and_are_not_sent(composer: Composer) -> None:
    touched = {"optimizer": "sgd", "momentum": "0.5"}
    assert "momentum=0.5" in view("classification", None, touched, composer)["command"]
    hidden = view("classification", None, {**touched, "optimizer": "adam"}, composer)
    assert "momentum" not in hidden["command"] and not hidden["fields"]["momentum"]["shown"]
    assert hidden["fields"]["momentum"]["text"] == "0.5" and hidden["warnings"] == {}


def test_a_setting_that_another_leaves_unread_waits(composer: Composer) -> None:
    touched = {
        "data.tile": "256",
        "data.overlap": "64",
        "data.cache": "stream",
        "data.cache_gb": "3",
        "tracking": "none",
    }
    shown = view("object_detection", None, touched, composer)
    assert "data.tile=256 data.overlap=64 data.cache=stream" in shown["command"] and "cache_gb" not in shown["command"]
    fields = shown["fields"]
    assert fields["data.overlap"]["shown"]
    assert not fields["data.cache_gb"]["shown"] and not fields["tracking.experiment"]["shown"]
    assert (fields["data.tile"]["default"], fields["data.cache"]["default"]) == ("", "auto")
    loaded = view("object_detection", None, {"model.weights": "net.pt", "model.pretrained": "false"}, composer)
    assert "pretrained" not in loaded["command"] and not loaded["fields"]["model.pretrained"]["shown"]
    folds = view("object_detection", None, {"data.fold": "1/5", "data.val_fraction": "0.3"}, composer)
    assert "val_fraction" not in folds["command"] and folds["warnings"] == {}
    whole = view("object_detection", None, {"data.overlap": "64"}, composer)
    assert "overlap" not in whole["command"] and whole["warnings"] == {}
    assert (whole["fields"]["data.overlap"]["text"], whole["fields"]["data.overlap"]["shown"]) == ("64", False)


def test_what_is_wrong_in_a_hidden_field_blocks_nothing(composer: Composer) -> None:
    assert view("classification", None, {"momentum": "1e-"}, composer)["errors"] == {}
    assert view("classification", None, {"data.cache": "stream", "data.cache_gb": "x"}, composer)["errors"] == {}
    assert view("classification", None, {"momentum": "1e-", "optimizer": "sgd"}, composer)["errors"] == {
        "momentum": ["momentum=1e-: must be a number >= 0 and < 1"]
    }


@pytest.mark.parametrize("text", ["1e-", "", " ", "0,001", "1e-3 ", "0x1", "-1", "nan", "inf", "1" * 5000])
def test_half_typed_text_is_kept_as_it_is(text: str, composer: Composer) -> None:
    shown = view("classification", None, {"learning_rate": text}, composer)
    assert shown["fields"]["learning_rate"]["text"] == text
    assert ("learning_rate" in shown["errors"]) == (text != "1e-3 ")


def test_what_a_model_without_gradient_does_not_read_is_grey_with_the_reason(composer: Composer) -> None:
    shown = view("anomaly_detection", "patchcore", {"learning_rate": "0.1", "run.ema": "0.9"}, composer)
    assert shown["fields"]["learning_rate"]["why"] == (
        "learning_rate is read only when the model learns by gradient steps"
    )
    assert "why" not in shown["fields"]["batch_size"]
    assert not shown["fields"]["run.ema"]["shown"] and shown["fields"]["model_options.coreset"]["shown"]
    assert "learning_rate" not in shown["command"] and "run.ema" not in shown["command"]
    assert shown["curve"] == "patchcore learns without a learning rate."


def test_the_model_stays_where_it_serves_the_new_task_and_goes_back_where_not(composer: Composer) -> None:
    assert view("regression", "resnet18", {}, composer)["model"]["name"] == "resnet18"
    shown = view("segmentation", "resnet18", {}, composer)
    assert shown["model"]["name"] == "small_unet"
    assert shown["dropped"]["model"].startswith("model=resnet18: task=segmentation takes ")
    names = [facts["name"] for facts in shown["model"]["all"]]
    assert names == [name for name, entry in MODELS.items() if "segmentation" in entry.tasks]


@pytest.mark.parametrize(
    ("task", "model", "touched"),
    [
        ("classification", None, {"data.tile": "128", "data.overlap": "130"}),
        ("object_detection", None, {"data.resize": "crop"}),
        ("regression", None, {"data.classes": "cat, dog", "data.class_weights": "balanced"}),
        ("anomaly_detection", None, {"data.class_weights": "balanced"}),
        ("object_detection", "fasterrcnn", {"data.class_weights": "balanced"}),
        ("object_detection", "fasterrcnn", {"loss": "ciou"}),
        ("classification", "small_resnet", {"model.pretrained": "true"}),
        ("segmentation", None, {"run.monitor": "auroc"}),
    ],
)
def test_what_the_task_or_the_model_cannot_have_is_at_its_default(
    task: str, model: str | None, touched: dict[str, str], composer: Composer
) -> None:
    shown, usual = view(task, model, {**touched, "seed": "3"}, composer), view(task, model, {"seed": "3"}, composer)
    assert (shown["errors"], shown["command"]) == ({}, usual["command"])
    assert shown["dropped"].keys() == touched.keys() - {"data.overlap"}  # which waits for tiles
    for key, line in shown["dropped"].items():
        assert line.startswith(f"{key}=") and shown["fields"][key] == usual["fields"][key]


def test_a_size_that_the_model_does_not_take_stays_to_be_corrected(composer: Composer) -> None:
    shown = view("instance_segmentation", None, {"data.image_size": "22"}, composer)
    assert shown["dropped"] == {} and shown["fields"]["data.image_size"]["text"] == "22"
    assert "takes sides of a multiple of" in shown["errors"]["data.image_size"][0]


def test_an_empty_field_has_nothing_that_the_task_could_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(demo.WRITERS, "classification")
    shown = view("classification", None, {"data.root": ""}, Composer(tmp_path))
    assert shown["dropped"] == {} and "has no demo" in shown["errors"]["data.root"][0]


def test_a_builder_without_a_file_is_a_model_too(composer: Composer) -> None:
    shown = view("classification", "resnext50_32x4d", {}, composer)
    assert shown["errors"] == {} and "model=torchvision model.name=resnext50_32x4d" in shown["command"]
    assert typed(shown["command"], composer).settings.model.name == "resnext50_32x4d"


def test_a_datas_root_changes_the_defaults_as_on_the_command_line(composer: Composer) -> None:
    shown = view("classification", None, {"data.root": "~/my photos"}, composer)
    run = typed(shown["command"], composer)
    assert run.settings.data.root == str(Path("~/my photos").expanduser())
    assert run.settings.data.name == "auto" == shown["fields"]["data"]["text"]
    assert shown["model"]["name"] == run.settings.model.name == "resnet18"


@pytest.mark.parametrize(
    ("touched", "words"),
    [
        ({"data.image_size": "[64,96]"}, "'data.image_size=[64,96]'"),
        ({"data.classes": "[cat, dog]"}, "'data.classes=[cat,dog]'"),
        ({"augment": "strong", "augment.hflip": "false"}, "augment=strong augment.hflip=false"),
        ({"run.max_time": "1h30m"}, "run.max_time=5400.0"),
        ({"tracking.run_name": "a (b), c=d"}, None),
        ({"seed": "7", "tracking": "none"}, "tracking=none seed=7"),
        ({"data.class_weights": "balanced"}, "data.class_weights=balanced"),
        ({"model.pretrained": "false"}, "model.pretrained=false"),
        ({"data.cache_gb": "null"}, "data.cache_gb=null"),
        ({"data.cache_gb": ".5"}, "data.cache_gb=0.5"),
        ({"data.image_size": "64, 96"}, "'data.image_size=[64,96]'"),
        ({"data.image_size": "64"}, "data.image_size=64"),
        ({"data.classes": "cat, dog"}, "'data.classes=[cat,dog]'"),
        ({"data.classes": "cat"}, "'data.classes=[cat]'"),
        ({"data.classes": '["a, b", c]'}, shlex.join(["data.classes=['a, b',c]"])),
        ({"data.classes": "'a, b', c"}, shlex.join(["data.classes=['a, b',c]"])),
        ({"augment.extra": "blur"}, "'augment.extra=[blur]'"),
        ({"augment.extra": ""}, "'augment.extra=[]'"),
        ({"optimizer_options.betas": "0.9, 0.99"}, "'optimizer_options.betas=[0.9,0.99]'"),
        ({"model.weights": "null", "tracking.run_name": "null"}, "model.weights=null tracking.run_name=null"),
        ({"model.weights": "", "tracking.run_name": ""}, "model.weights=null tracking.run_name=null"),
        ({"tracking.run_name": "'null'"}, shlex.join(["tracking.run_name='null'"])),
    ],
    ids=str,
)
def test_settings_beside_the_form_are_words_too(touched: dict[str, Any], words: str | None, composer: Composer) -> None:
    shown = view("classification", None, touched, composer)
    assert shown["errors"] == {} and (words is None or shown["command"] == f"visrun {words}")
    told, _ = flat_values(typed(shown["command"], composer))
    filled, _ = flat_values(fill("classification", None, touched, composer).resolved)
    assert told == filled


@pytest.mark.parametrize("key", [key for key in editable() if "." in key and not problems_of(key, None)])
def test_no_value_is_an_empty_field_that_says_what_it_means(key: str, composer: Composer) -> None:
    field = next(field for part in catalog()["more"] for field in part["fields"] if field["key"] == key)
    shown = view("object_detection", None, {key: None, "data.cache": "ram"}, composer)
    listed = field["control"] == "select"
    assert shown["fields"][key]["text"] == ("null" if listed else "") and bool(field["empty"]) != listed
    assert shown["errors"] == {} and (listed or "null = " not in field["help"])


def test_while_a_field_is_wrong_there_is_no_command(composer: Composer) -> None:
    for touched in ({"batch_size": "abc"}, {"scheduler": "multistep"}):
        shown = view("classification", None, touched, composer)
        assert shown["errors"] and shown["command"] == ""


@pytest.mark.parametrize("key", [*filter(takes_lists, editable())])
def test_a_field_of_lists_takes_its_own_shown_text(key: str, composer: Composer) -> None:
    flat, _ = flat_values(fill("classification", None, {}, composer).resolved)
    assert read({key: shown(flat[key])}, "classification", composer).values == {key: flat[key]}


@pytest.mark.parametrize(
    "names", [["a, b", "c"], ["it's", 'a "b"'], ["[x]", "null", "1"], ["cat (1)", "dog"], [" a", "b"]]
)
def test_class_names_of_any_spelling_are_taken_as_they_are_shown(names: list[str], composer: Composer) -> None:
    assert read({"data.classes": shown(names)}, "classification", composer).values == {"data.classes": names}


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("segmentation", "resnet18"),
        ("classification", "unet"),
        ("segmentation", "mobilenet_v2"),
        ("regression", "resnet19"),
        ("classification", ""),
    ],
)
def test_a_model_that_the_task_cannot_have_is_told_as_on_the_command_line(
    task: str, model: str, composer: Composer
) -> None:
    named = [f"model={model}"] if model in composer.models else ["model=torchvision", f"model.name='{model}'"]
    theirs = look([f"task={task}", *named], conf=composer.conf).problems
    assert view(task, model, {"max_epochs": "7"}, composer)["dropped"] == {"model": theirs[0].text}


def test_a_model_that_no_word_can_hold_is_told(composer: Composer) -> None:
    expected = "model=${oc.env:HOME}: ${...} is not taken; write the value itself"
    assert view("classification", "${oc.env:HOME}", {}, composer)["dropped"] == {"model": expected}


@pytest.mark.parametrize(
    "word", ["augment=strng", "data=/photos", "data=yolov8", "tracking=wandb", f"data={'x' * 300}"]
)
def test_what_is_no_option_is_told_as_on_the_command_line(word: str, composer: Composer) -> None:
    key, _, entry = word.partition("=")
    theirs = look(["task=segmentation", f"{key}='{entry}'"], conf=composer.conf).problems
    assert view("segmentation", None, {key: entry}, composer)["errors"] == {key: texts(theirs)}


# What is refused


@pytest.mark.parametrize(
    "key",
    [
        "hydra.run.dir",
        "_target_",
        "optimizer._target_",
        "+momentum",
        "lr",
        "plugins",
        "experiment",
        "recipe",
        "task",
        "data.cache_dir",
        "tracking.uri",
        "model.name",
        "",
        "learning_rate=1 plugins",
        "${oc.env:HOME}",
    ],
)
def test_a_key_that_is_none_of_the_form_is_refused(key: str, composer: Composer) -> None:
    with pytest.raises(ConfigError, match="is no setting of the form"):
        view("classification", None, {key: "x"}, composer)


@pytest.mark.parametrize("key", sorted({*editable()} - {"data", "augment", "tracking"}))
def test_no_text_with_an_interpolation_becomes_a_word(key: str, composer: Composer) -> None:
    for text in ("${oc.env:HOME}", "a${now:%Y}", "[${oc.env:HOME}]"):
        shown = view("classification", None, {"optimizer": "sgd", "scheduler": "multistep", key: text}, composer)
        assert "${" not in shown["command"] and "HOME" not in shown["command"]
        assert key in shown["errors"] or not shown["fields"][key]["shown"]


@pytest.mark.parametrize("text", ["choice(1,2)", "1 learning_rate=2", "1\nmomentum=3", "glob(*)", "int(3)", "tag(a,1)"])
def test_the_commands_grammar_means_nothing_in_a_field(text: str, composer: Composer) -> None:
    shown = view("classification", None, {"learning_rate": text, "tracking.run_name": text}, composer)
    assert list(shown["errors"]) == ["learning_rate"]
    shown = view("classification", None, {"tracking.run_name": text}, composer)
    assert typed(shown["command"], composer).settings.tracking.run_name == text


@pytest.mark.parametrize("text", ["[" * 2000 + "]" * 2000, "(" * 4000, "???"])
@pytest.mark.parametrize("key", ["seed", "data.image_size"])
def test_a_text_that_no_grammar_reads_is_wrong_and_no_more(key: str, text: str, composer: Composer) -> None:
    assert list(view("classification", None, {key: text}, composer)["errors"]) == [key]


@pytest.mark.parametrize("task", ["", "x", "../x", "${task}", "segmentatio"])
def test_an_unknown_task_is_refused_as_on_the_command_line(task: str, composer: Composer) -> None:
    with pytest.raises(ConfigError) as refused:
        view(task, None, {}, composer)
    if "$" not in task:  # which is no value there
        assert refused.value.problems == tuple(texts(look([f"task='{task}'"], conf=composer.conf).problems))


# Soft warnings


@pytest.mark.parametrize(
    ("touched", "key", "line"),
    [
        ({"batch_size": "12"}, "batch_size", "batch_size=12: powers of 2 are recommended, such as 8 or 16"),
        ({"batch_size": "200"}, "batch_size", "batch_size=200: powers of 2 are recommended, such as 128"),
        (
            {"warmup_epochs": "25", "max_epochs": "50"},
            "warmup_epochs",
            "warmup_epochs=25: half of the run's 50 or more",
        ),
        ({"learning_rate": "0.05"}, "learning_rate", "learning_rate=0.05: far above what suits adam, about 0.001"),
        (
            {"learning_rate": "1e-4", "optimizer": "sgd"},
            "learning_rate",
            "learning_rate=0.0001: far below what suits sgd, about 0.01",
        ),
    ],
    ids=str,
)
def test_unlikely_values_are_warned_of(touched: dict[str, str], key: str, line: str, composer: Composer) -> None:
    shown = view("classification", None, touched, composer)
    assert shown["errors"] == {} and shown["warnings"][key] == [line]


@pytest.mark.parametrize("task", READY)
def test_no_default_is_warned_of(task: str, composer: Composer) -> None:
    shown = view(task, None, {}, composer)
    assert (shown["warnings"], shown["errors"], shown["notices"]) == ({}, {}, {})


# The catalogue


def test_the_form_has_every_hyperparameter_once() -> None:
    assert sorted(name for keys in PARTS.values() for name in keys) == sorted(NAMES)


def test_controls_follow_from_the_schema() -> None:
    listed = [field for part in (*catalog()["parts"], *catalog()["more"]) for field in part["fields"]]
    told = {field["key"]: field for field in listed}
    assert set(told) == set(editable())
    kinds = {key: told[key]["control"] for key in ("optimizer", "learning_rate", "milestones", "dropout", "loss")}
    assert kinds == {
        "optimizer": "select",
        "learning_rate": "number",
        "milestones": "list",
        "dropout": "slider",
        "loss": "select",
    }
    assert (told["dropout"]["low"], told["dropout"]["high"]) == (0.0, 0.9)
    assert told["optimizer"]["choices"] == ["adam", "adamw", "sgd"]
    assert told["model.pretrained"]["choices"] == ["auto", "true", "false"]
    assert told["batch_size"]["help"].endswith(" Powers of 2 are recommended.")
    assert told["warmup_epochs"]["unit"] == "epochs" and told["batch_size"]["takes"] == "an integer from 1 to 256"
    assert {name["name"] for name in catalog()["tasks"]} == set(TASKS)


def test_a_plugins_words_go_before_all_others(tmp_path: Path) -> None:
    composer = Composer(tmp_path, ["plugins=[colorsys]"])
    assert view("classification", None, {"seed": "1"}, composer)["command"] == "visrun 'plugins=[colorsys]' seed=1"
    assert typed("visrun 'plugins=[colorsys]' seed=1", composer).settings.plugins == ("colorsys",)


def test_a_plugins_settings_are_fields_that_show_where_something_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AUGMENTATIONS, "mine", lambda images, rng, share: images)
    monkeypatch.setitem(SETTINGS, "augment.share", Setting(0.5, "Mine.", ge=0, le=1))
    composer = Composer(tmp_path)
    (told,) = [field for part in catalog()["more"] for field in part["fields"] if field["key"] == "augment.share"]
    assert (told["control"], told["help"], told["takes"]) == ("number", "Mine.", "a number from 0 to 1")
    touched = {"augment.share": "0.25", "augment.extra": "blur"}
    hidden = view("classification", None, touched, composer)
    assert not hidden["fields"]["augment.share"]["shown"] and "share" not in hidden["command"]
    shown = view("classification", None, {**touched, "augment.extra": "blur, mine"}, composer)
    assert shown["fields"]["augment.share"]["shown"] and "augment.share=0.25" in shown["command"]
    wrong = view("classification", None, {"augment.extra": "mine", "augment.share": "2"}, composer)
    assert wrong["errors"] == {"augment.share": ["augment.share=2: must be a number from 0 to 1"]}


def test_a_config_of_the_users_own_is_read_and_read_again_when_it_changes(tmp_path: Path) -> None:
    composer = Composer(tmp_path)
    assert view("classification", None, {"optimizer": "sgd"}, composer)["fields"]["learning_rate"]["text"] == "0.01"
    file = tmp_path / "conf" / "optimizer" / "sgd.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("# @package _global_\noptimizer: sgd\nlearning_rate: 0.5\n")
    field = view("classification", None, {"optimizer": "sgd"}, composer)["fields"]["learning_rate"]
    assert (field["text"], field["source"]) == ("0.5", "option")
    (tmp_path / "conf" / "task").mkdir()
    (tmp_path / "conf" / "task" / "classification.yaml").write_text("optimizer: [")
    with pytest.raises(ConfigError, match=r"conf/task/classification\.yaml"):
        view("classification", None, {}, composer)


@pytest.mark.parametrize(
    ("task", "unread"), [("classification", False), ("segmentation", False), ("object_detection", True)]
)
def test_what_no_model_of_the_task_reads_is_told_apart_from_what_some_do(
    task: str, unread: bool, composer: Composer
) -> None:
    offer = space.offered(fill(task, None, {}, composer), composer)
    assert ("dropout" in offer["unread"]) is unread and "learning_rate" not in offer["unread"]
