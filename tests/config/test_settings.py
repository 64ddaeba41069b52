"""Settings: ranges and times."""

import pytest

from visrun.config.fields import extra, leaves, validate
from visrun.config.schema import defaults
from visrun.config.settings import (
    Augment,
    Data,
    LossOptions,
    Model,
    OptimizerOptions,
    Run,
    Settings,
    Tracking,
)


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
    assert "run.max_time=" in validate(Settings, {"run": {"max_time": text}})[1]["run.max_time"]


@pytest.mark.parametrize(
    ("section", "name", "good", "bad"),
    [
        (Data, "image_size", [None, 64, "64", [48, 64]], [0, 7, 5000, [64], [64, 64, 64], True, "big", 64.5]),
        (Data, "classes", [None, ["a"], [0, 1], ["ä b", "_x_"]], [[], ["a", "a"], [0, "0"], [""], [True], "a", [1.5]]),
        (Data, "val_fraction", [0.01, 0.99], [0, 1, -1, True, "nan"]),
        (
            Data,
            "fold",
            [None, "1/2", "5/5", "1000/1000"],
            ["0/5", "6/5", "1/1", "1/1001", "2", 2, "1/5\n", "²/5", "-1/5", 0.4],
        ),
        (Data, "group", [None, r"clip(\d+)", "(?<=p)[0-9]+", " "], ["", "clip(", "*", 3, True]),
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
        (Model, "name", ["resnet18", "vit_tiny.augreg"], ["a/b", "../x", "", ".x", "a\n"]),
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
        assert validate(section, {name: value})[1] == {}, value
    for value in bad:
        (line,) = validate(section, {name: value})[1].values()
        assert line.startswith(f"{name}="), line
        assert ": must be " in line
        assert "a valid value" not in line
        assert "\n" not in line


def test_every_setting_explains_itself():
    for name, info in leaves(Settings).items():
        assert info.description, name
        assert info.description.endswith("."), name
        assert extra(info, "allowed") is not None, name
        assert "null" not in info.description, name
        assert info.default is None or not extra(info, "empty"), name


def test_class_names_that_look_like_numbers_are_names():
    assert Data(classes=[1, "b", 0]).classes == ("1", "b", "0")


def test_defaults_are_plain_and_valid():
    plain = defaults()
    assert Settings(**plain) == Settings()
    assert plain["augment"]["crop_scale"] == [1.0, 1.0]
    assert set(plain) == set(Settings.model_fields)
