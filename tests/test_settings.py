"""Settings: ranges, times, and the rules between them and the tables."""

import inspect

import pytest

from visrun.build import load
from visrun.fields import extra, validate
from visrun.hyperparameters import Hyperparameters
from visrun.settings import (
    OPTION_READ_WHEN,
    Augment,
    Data,
    LossOptions,
    Model,
    OptimizerOptions,
    Run,
    Settings,
    Tracking,
    check,
    defaults,
    duration,
    option_warnings,
)
from visrun.tables import MODELS, OPTIMIZERS, TASKS

SECTIONS = [Data, Augment, Model, Run, Tracking, LossOptions, OptimizerOptions]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("45m", 2700),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1d2h3m4s", 93784),
        (" 2H ", 7200),
        (1.5, 1.5),
        (7, 7),
    ],
)
def test_times(text, seconds):
    assert Run(max_time=text).max_time == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "1h30", "30m1h", "-5m", "h", "1.5h", "nan", True, -1, [], "1e400"])
def test_wrong_times(text):
    assert "run.max_time=" in validate(Settings, {"run": {"max_time": text}})[1][0]


def test_duration_leaves_what_it_cannot_read():
    assert duration("soon") == "soon"
    assert duration(None) is None


@pytest.mark.parametrize(
    ("section", "name", "good", "bad"),
    [
        (Data, "image_size", [None, 64, "64", [48, 64]], [0, 7, 5000, [64], [64, 64, 64], True, "big", 64.5]),
        (Data, "classes", [None, ["a"], [0, 1], ["ä b", "_x_"]], [[], ["a", "a"], [0, "0"], [""], [True], "a", [1.5]]),
        (Data, "val_fraction", [0.01, 0.99], [0, 1, -1, True, "nan"]),
        (Data, "class_weights", ["none", "balanced", [1, 0.5]], ["equal", [], [-1, 1], [True], None, ["nan"]]),
        (Data, "workers", [-1, 0, 16], [-2, 257, True, 1.5]),
        (Data, "cache", ["auto", "gpu", "ram", "disk", "stream"], ["none", None, True]),
        (Data, "cache_gb", [None, 0.5], [0, -1, "inf"]),
        (Data, "root", [None, "/a b/(c),=~ö"], ["", "a\0b", 3, True]),
        (Data, "name", ["demo", "my_reader"], ["", "os.system", "../x", None, "a\n"]),
        (Data, "resize", [None, "crop", "letterbox", "zoom"], ["stretch", True]),
        (Augment, "crop_scale", [[0.1, 1], [1, 1], [0.5, 4]], [[0, 1], [1, 0.5], [0.5], [0.5, 4.1], 0.5, ["nan", 1]]),
        (Augment, "rotate", [0, 180], [-1, 181]),
        (Augment, "hue", [0, 0.5], [0.6]),
        (Augment, "erase", [0, 1], [1.1, True]),
        (Augment, "hflip", [True, False, "true"], ["perhaps", 2, None]),
        (Model, "pretrained", ["auto", True, False, "false"], ["maybe", None, 7]),
        (Model, "freeze", ["none", "backbone"], [0, True, "all"]),
        (Model, "name", ["resnet18"], ["torch.load", "a/b", "", "a\n"]),
        (
            Run,
            "device",
            ["auto", "cpu", "cuda", "cuda:0", "cuda:12"],
            ["gpu", "cuda:", "cuda:-1", "CPU", None, "cpu\n"],
        ),
        (Run, "precision", ["auto", "fp32", "bf16"], ["fp16", 32]),
        (Run, "graph", ["auto", True, False], ["maybe", None]),
        (Run, "clip", [0, 10], [-1, "inf"]),
        (Run, "accumulate", [1, 1024], [0, True, 1.5]),
        (Run, "ema", [0, 0.9999], [1, -0.1]),
        (Tracking, "name", ["mlflow", "none"], ["wandb", None]),
        (LossOptions, "smoothing", [0, 0.5], [1, -0.1]),
        (LossOptions, "alpha", [None, 0, 1], [1.1, True]),
        (LossOptions, "delta", [0.1], [0]),
        (OptimizerOptions, "betas", [[0, 0.999], [0.9, 0.99]], [[0.9, 1], [0.9], 0.9, ["nan", 0]]),
        (Settings, "seed", [0, 2**32 - 1, "7"], [-1, 2**32, True, 1.5, None]),
        (Settings, "plugins", [[], ["my_package"], ["a.b_c"]], [["a-b"], ["a/b"], "a", [""], ["a..b"], ["a\n"]]),
    ],
)
def test_ranges(section, name, good, bad):
    for value in good:
        assert validate(section, {name: value})[1] == [], value
    for value in bad:
        (line,) = validate(section, {name: value})[1]
        assert line.startswith(f"{name}="), line
        assert ": must be " in line
        assert "a valid value" not in line
        assert "\n" not in line


def test_every_setting_explains_itself():
    for section in SECTIONS:
        for name, info in section.model_fields.items():
            assert info.description, name
            assert info.description.endswith("."), name
            assert extra(info, "allowed") is not None


def test_class_names_that_look_like_numbers_are_names():
    assert Data(classes=[1, "b", 0]).classes == ("1", "b", "0")


def test_defaults_are_plain_and_valid():
    plain = defaults()
    assert Settings(**plain) == Settings()
    assert plain["augment"]["crop_scale"] == [1.0, 1.0]
    assert set(plain) == set(Settings.model_fields)


def settings(**changed):
    found, lines = validate(Settings, changed)
    assert lines == []
    return found


@pytest.mark.parametrize("task", ["classification", "regression", "segmentation"])
def test_every_model_of_a_task_is_accepted_and_no_other(task):
    for name, entry in MODELS.items():
        lines = check(settings(task=task, model={"name": name}))
        assert bool(lines) == (task not in entry.tasks)


def test_a_model_of_another_task_is_one_line_with_the_right_ones():
    (line,) = check(settings(task="segmentation"))
    assert line.startswith("model=resnet18: task=segmentation takes small_unet, lraspp, deeplabv3, ")
    (line,) = check(settings(model={"name": "resnet19"}))
    assert line == "model.name=resnet19 is no model: did you mean resnet18?"


def test_a_task_to_come_and_an_unknown_one():
    (line,) = check(settings(task="object_detection"))
    assert line == "task=object_detection: it cannot be trained yet; classification, segmentation or regression can"
    (line,) = check(settings(task="regresion"))
    assert line.endswith("(did you mean regression?)")


def test_data_rules():
    assert check(settings(data={"name": "demo"})) == []
    assert check(settings(data={"name": "folder", "root": "/x"})) == []
    assert check(settings(data={"name": "folder"})) == [
        "data.root=null: data=folder needs the dataset's folder or file"
    ]
    (line,) = check(settings(data={"name": "masks", "root": "/x"}))
    assert line == "data=masks: task=classification takes demo, auto, folder or csv"
    lines = check(settings(task="regression", data={"classes": ["a"], "class_weights": "balanced"}))
    assert lines == [
        'data.classes=["a"]: task=regression has no classes',
        "data.class_weights=balanced: task=regression has no classes",
    ]


def test_a_fixed_size_model_takes_squares():
    assert check(settings(model={"name": "vit_b_16"}, data={"image_size": [224, 224]})) == []
    (line,) = check(settings(model={"name": "vit_b_16"}, data={"image_size": [224, 160]}))
    assert line.startswith("data.image_size=[224, 160]: model=vit_b_16 takes square images")


def test_weights_nobody_published_cannot_be_had():
    assert check(settings(model={"name": "small_resnet"})) == []
    (line,) = check(settings(model={"name": "small_resnet", "pretrained": True}))
    assert line == "model.pretrained=true: model=small_resnet has no published weights; it takes auto or false"
    assert check(settings(model={"name": "resnet18", "pretrained": True})) == []


def test_options_nothing_reads():
    values = Hyperparameters()
    keys = ["loss_options.gamma", "optimizer_options.betas", "optimizer_options.nesterov", "augment.mixup", "data.root"]
    assert option_warnings(keys, values, task="classification") == [
        "loss_options.gamma is read only when loss=focal",
        "optimizer_options.nesterov is read only when optimizer=sgd",
    ]
    assert option_warnings(["augment.erase"], values, task="regression") == [
        "augment.erase is read only when task=classification or segmentation"
    ]
    assert option_warnings(["augment.mixup"], values, task="segmentation") == [
        "augment.mixup is read only when task=classification or regression"
    ]


def test_the_table_of_options_names_settings_and_choices():
    losses = {name for entry in TASKS.values() for name in entry.losses}
    for key, conditions in OPTION_READ_WHEN.items():
        section, _, name = key.partition(".")
        assert name in Settings.model_fields[section].annotation.model_fields
        for choice, wanted in conditions.items():
            assert set(wanted) <= (losses if choice == "loss" else set(OPTIMIZERS))


def test_the_table_of_options_agrees_with_the_signatures():
    for section, choice, table in [
        ("optimizer_options", "optimizer", OPTIMIZERS),
        ("loss_options", "loss", {name: ref for entry in TASKS.values() for name, ref in entry.losses.items() if ref}),
    ]:
        for name in Settings.model_fields[section].annotation.model_fields:
            readers = {option for option, ref in table.items() if name in inspect.signature(load(ref)).parameters}
            assert readers == set(OPTION_READ_WHEN[f"{section}.{name}"][choice])
