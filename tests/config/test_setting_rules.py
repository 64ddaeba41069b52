"""The rules between settings and the tables."""

import inspect
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, get_args

import pytest

from visrun import explain
from visrun.build import load
from visrun.config import setting_rules
from visrun.config.checks import unread_warnings
from visrun.config.compose import check_sweep, look, resolve
from visrun.config.fields import flatten, validate
from visrun.config.lines import texts
from visrun.config.setting_rules import (
    READ_WHEN,
    SHAPING,
    check_options,
    facts_of,
    is_read,
    warnings,
    why_unread,
)
from visrun.config.settings import Data, LossOptions, OptimizerOptions, Settings, Tracking
from visrun.data import recognise
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters
from visrun.record import tracked
from visrun.record.journal import binding, describe
from visrun.record.run_settings import NOT_COMPARED, settings_of
from visrun.tables import MODELS, OPTIMIZERS, READERS, SCHEDULERS, TASKS, ModelEntry
from visrun.web.composer import Composer
from visrun.web.form import view

UNSHAPEN = {"plugins", "experiment", "recipe"}  # they name files that the run came from


@pytest.fixture(scope="module")
def composer(tmp_path_factory):
    """One in an empty folder: what is composed once stays composed."""
    return Composer(tmp_path_factory.mktemp("work"))


def check(given):
    return texts(setting_rules.check(given))


def settings(**changed):
    found, lines = validate(Settings, changed)
    assert lines == {}
    return found


@pytest.mark.parametrize("task", [name for name, entry in TASKS.items() if entry.build])
def test_every_model_of_a_task_is_accepted_and_no_other(task):
    for name, entry in MODELS.items():
        lines = check(settings(task=task, model={"name": name}))
        assert bool(lines) == (task not in entry.tasks)


def test_a_model_of_another_task_is_one_line_with_the_right_ones():
    (line,) = check(settings(task="segmentation"))
    assert line.startswith("model=resnet18: task=segmentation takes small_unet, lraspp, deeplabv3, ")
    assert line.endswith("; task=classification, regression or anomaly_detection takes resnet18")
    (line,) = check(settings(model={"name": "resnet19"}))
    assert line.startswith("model.name=resnet19 is no model (did you mean resnet18?); a plugin may bring it")


@pytest.mark.parametrize(
    ("told", "models"),
    [
        (
            "model=resnet18: task=counting takes counter; "
            "task=classification, regression or anomaly_detection takes resnet18",
            ("classification", "counting"),
        ),
        (
            "task=counting: no model serves it; a plugin adds one: "
            'MODELS["mine"] = ModelEntry(tasks=("counting",), ...)',
            ("classification",),
        ),
    ],
)
def test_a_task_that_torchvisions_builders_do_not_serve(told, models, monkeypatch):
    """No advice to take one of them."""
    entry = ModelEntry(build="m:counter", tasks=models, parameters=0.1, speed=3, accuracy=1)
    monkeypatch.setitem(MODELS, "counter", entry)
    monkeypatch.setitem(TASKS, "counting", TASKS["regression"])
    assert check(settings(task="counting", data={"name": "auto", "root": "/x"})) == [told]


def test_a_task_without_a_demo_needs_data(monkeypatch):
    monkeypatch.setitem(TASKS, "counting", TASKS["regression"])
    monkeypatch.setitem(MODELS, "resnet18", replace(MODELS["resnet18"], tasks=("counting",)))
    (line,) = check(settings(task="counting"))
    assert line == "data.root=null: task=counting has no demo; it needs the dataset's folder or file"
    (line,) = check(settings(task="counting", data={"name": "demo", "root": "/x"}))
    assert line.startswith("data=demo: task=counting takes auto, csv, coco, ")  # layouts that hold values, or objects


def test_an_unknown_task():
    (line,) = check(settings(task="regresion"))
    assert line.endswith("(did you mean regression?)")


def test_a_run_monitors_a_metric_of_its_task():
    for task, entry in TASKS.items():
        lines = [line for name in entry.metrics for line in check(settings(task=task, run={"monitor": name}))]
        assert [line for line in lines if line.startswith("run.")] == []
    (line,) = check(settings(task="regression", run={"monitor": "mea"}))
    assert line == "run.monitor=mea: task=regression takes mae, rmse or r2 (did you mean mae?)"
    lines = check(settings(task="anomaly_detection", run={"monitor": "threshold"}))
    assert lines[-1].startswith("run.monitor=threshold: task=anomaly_detection takes auroc, average_precision, ")


def test_data_rules():
    assert check(settings(data={"name": "demo"})) == []
    assert check(settings(data={"name": "folder", "root": "/x"})) == []
    assert check(settings(data={"name": "folder"})) == [
        "data.root=null: data=folder needs the dataset's folder or file"
    ]
    (line,) = check(settings(data={"name": "masks", "root": "/x"}))
    taken = "demo, auto, folder, csv, names, coco, yolo, voc, dota, instances, labelme, cvat, createml, boxes, "
    assert line == f"data=masks: task=classification takes {taken}kitti, mot, icdar, panoptic or rle"
    lines = check(settings(task="regression", data={"classes": ["a"], "class_weights": "balanced"}))
    assert lines == [
        'data.classes=["a"]: task=regression has no classes to choose',
        "data.class_weights=balanced: task=regression has no classes to weigh",
    ]
    lines = check(settings(task="anomaly_detection", data={"classes": ["a"], "class_weights": "balanced"}))
    assert [line.split(": task=anomaly_detection ")[1] for line in lines] == [
        "has no classes to choose",
        "sees as many defective images as good ones while it learns: there is nothing to balance",
    ]


@pytest.mark.parametrize("task", TASKS)
def test_a_task_takes_every_layout_that_can_serve_it(task):
    """Those that reading the data knows, of derived labels as well."""
    for name in READERS:
        lines = check(settings(task=task, data={"name": name, "root": "/x"}))
        assert any(line.startswith(f"data={name}: ") for line in lines) == (name not in recognise.readers(task))


def test_detectors_of_torchvision_do_not_weigh_classes():
    """Ours do."""
    for name in ("fasterrcnn", "fcos", "ssdlite", "dense_resnet18"):
        weighed = settings(task="object_detection", model={"name": name}, data={"class_weights": [1.0, 2.0]})
        told = f"data.class_weights=[1.0, 2.0]: model={name} weighs all classes alike"
        ours = name.startswith("dense_")
        assert [line.split(";")[0] for line in check(weighed)] == ([] if ours else [told])
        assert not check(settings(task="object_detection", model={"name": name}))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["batch_size=1", "augment=strong"],
            ["batch_size=1: nothing is mixed, since for augment.mixup and augment.cutmix a batch"],
        ),
        (
            ["batch_size=1", "data.class_weights=balanced"],
            ["data.class_weights=balanced does nothing with batch_size=1: a batch's loss is divided by its weights"],
        ),
        (["batch_size=1", "data.class_weights=balanced", "loss=bce"], []),
        (["batch_size=2", "data.class_weights=balanced"], []),
        (["batch_size=1", "data.class_weights=balanced", "task=segmentation"], []),
        (["batch_size=1", "augment.mixup=0.2"], ["batch_size=1: nothing is mixed, since for augment.mixup a batch"]),
        (["batch_size=1", "run.accumulate=2", "augment.mixup=0.2"], []),
        (["batch_size=2", "augment.mixup=0.2"], []),
        (["augment.crop_scale=[0.5,2]"], ["augment.crop_scale=[0.5, 2.0]: only data.resize=zoom shows images smaller"]),
        (["augment.crop_scale=[0.5,2]", "task=regression"], ["augment.crop_scale=[0.5, 2.0]: "]),
        (["augment.crop_scale=[0.5,2]", "task=segmentation", "data.resize=letterbox"], ["augment.crop_scale="]),
        (["augment.crop_scale=[0.5,2]", "task=segmentation"], []),
        (["augment.crop_scale=[0.5,1]", "task=regression"], []),
        (["augment.crop_scale=[0.5,2]", "task=anomaly_detection", "model=patchcore"], []),
    ],
)
def test_augmentation_that_does_nothing_is_warned_of(words, told, composer):
    resolved = resolve(words, conf=composer.conf)
    lines = texts(warnings(resolved.hyperparameters, resolved.settings, model=MODELS[resolved.settings.model.name]))
    assert [line.startswith(start) for line, start in zip(lines, told, strict=True)] == [True] * len(told)
    assert set(lines) <= set(texts(resolved.warnings))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("model", [None, *MODELS])
def test_a_line_knows_the_setting_it_begins_with(task, model, composer):
    """One config for each task and model that breaks all rules at once that it can break."""
    words = [f"task={task}", "data=csv", "data.tile=32", "data.overlap=64", "data.resize=crop", "data.classes=[a]"]
    words += ["data.class_weights=balanced", "data.image_size=1", "run.monitor=x", "augment.extra=[x]", "loss=x"]
    words += ["model.pretrained=true", "scheduler=multistep", "warmup_epochs=50", "optimizer=sgd", "momentum=0"]
    words += ["optimizer_options.nesterov=true", *([] if model is None else [f"model={model}"])]
    found = look(words, conf=composer.conf).problems
    assert len(found) > 3
    for line in found:
        key, told = line.keys[0], line.text.partition("=")[0]
        assert key in (told, f"{told}.name"), line
        assert line.kind == "unfit" or ": task=" not in line.text, line


def test_nesterov_needs_a_momentum():
    nesterov = settings(optimizer_options={"nesterov": True})
    for optimizer, momentum, count in (("sgd", 0.0, 1), ("sgd", 0.9, 0), ("adam", 0.0, 0)):
        values = Hyperparameters(optimizer=optimizer, momentum=momentum)
        lines = texts(check_options(values, nesterov, model=MODELS["resnet18"]))
        assert lines == ["optimizer_options.nesterov=true: needs a momentum above 0, such as momentum=0.9"] * count
    assert not check_options(Hyperparameters(optimizer="sgd", momentum=0.0), settings(), model=MODELS["resnet18"])


def test_a_size_that_the_model_or_the_task_cannot_take_is_told_with_all_else():
    assert check(settings(model={"name": "vit_b_16"}, data={"image_size": [224, 224]})) == []
    (line,) = check(settings(model={"name": "vit_b_16"}, data={"image_size": [224, 160]}))
    assert line.startswith("data.image_size=[224,160]: model=vit_b_16 takes square images")
    masks = settings(
        task="instance_segmentation",
        model={"name": "maskrcnn"},
        data={"image_size": 66, "class_weights": "balanced", "resize": "crop"},
    )
    assert [line.partition("=")[0] for line in check(masks)] == [
        "data.resize",
        "data.class_weights",
        "data.image_size",
    ]


def test_weights_nobody_published_cannot_be_had():
    assert check(settings(model={"name": "small_resnet"})) == []
    (line,) = check(settings(model={"name": "small_resnet", "pretrained": True}))
    assert line == "model.pretrained=true: model=small_resnet has no published weights; it takes auto or false"
    assert check(settings(model={"name": "resnet18", "pretrained": True})) == []


def unread(keys, *, hyperparameters=None, **changed):
    """The lines about those of ``keys`` that a run does not read."""
    facts = facts_of(Hyperparameters(**(hyperparameters or {})), settings(**changed))
    return [line for key in keys if (line := why_unread(key, facts))]


@pytest.mark.parametrize(
    ("key", "model", "line"),
    [
        ("momentum", "resnet18", "momentum is read only when optimizer=sgd"),
        ("gamma", "resnet18", "gamma is read only when scheduler=step or multistep"),
        ("dropout", "small_detector", "dropout is read only when the model has a head that drops"),
        ("loss", "patchcore", "loss is read only when the model learns by gradient steps"),
        ("momentum", "patchcore", "momentum is read only when the model learns by gradient steps and optimizer=sgd"),
    ],
)
def test_hyperparameters_nothing_reads(key, model, line):
    assert unread([key, "batch_size"], model={"name": model}, task=MODELS[model].tasks[0]) == [line]


def test_options_nothing_reads():
    keys = ["loss_options.gamma", "optimizer_options.betas", "optimizer_options.nesterov", "augment.mixup", "data.root"]
    assert unread(keys) == [
        "loss_options.gamma is read only when loss=focal",
        "optimizer_options.nesterov is read only when optimizer=sgd",
    ]
    assert unread(["augment.erase"], task="regression") == [
        "augment.erase is read only when task=classification or segmentation"
    ]
    assert unread(["augment.mixup"], task="segmentation") == [
        "augment.mixup is read only when task=classification or regression"
    ]


@pytest.mark.parametrize(("model", "count"), [("fasterrcnn", 1), ("retinanet", 0)])
def test_a_detector_with_a_loss_of_its_own_reads_no_beta(model, count):
    lines = unread(
        ["loss_options.beta"],
        hyperparameters={"loss": "smooth_l1"},
        task="object_detection",
        model={"name": model},
    )
    assert lines == ["loss_options.beta is read only when the model takes any loss"] * count


def test_settings_that_another_leaves_unread():
    keys = ["tracking.run_name", "data.cache_gb", "data.cache_dir", "data.overlap"]
    assert unread(keys, data={"tile": 64}) == []
    assert unread(keys, tracking={"name": "none"}, data={"cache": "stream"}) == [
        "tracking.run_name is read only when tracking=mlflow",
        "data.cache_gb is read only when data.cache=auto, gpu, ram or disk",
        "data.cache_dir is read only when data.cache=auto or disk",
        "data.overlap is read only when data.tile is set",
    ]
    assert unread(["data.val_fraction"], data={"fold": "2/5"}) == [
        "data.val_fraction is read only when data.fold is not set"
    ]
    assert unread(["model.pretrained"]) == []
    assert unread(["model.pretrained"], model={"weights": "net.pt"}) == [
        "model.pretrained is read only when model.weights is not set"
    ]
    assert unread(keys, data={"cache": "ram", "tile": 64}) == [
        "data.cache_dir is read only when data.cache=auto or disk"
    ]


def test_what_a_model_without_gradient_steps_does_not_read():
    keys = ["run.ema", "augment.hflip", "loss_options.gamma", "model_options.coreset"]
    run = {"hyperparameters": {"loss": "focal"}, "task": "anomaly_detection"}
    learns = "is read only when the model learns by gradient steps"
    assert unread(keys, **run, model={"name": "patchcore"}) == [f"{key} {learns}" for key in keys[:3]]
    assert unread(["augment.mixup"], **run, model={"name": "patchcore"}) == [
        f"augment.mixup {learns} and task=classification or regression"
    ]
    assert unread(keys, **run, model={"name": "resnet18"}) == [
        "model_options.coreset is read only when model=patchcore"
    ]


def test_a_model_reads_the_options_that_its_entry_names(monkeypatch):
    """Whether it learns by gradient steps says nothing about them, and all models that read one are named."""
    facts = {"build": "", "tasks": ("anomaly_detection",), "parameters": 0.0, "speed": 1, "accuracy": 1}
    monkeypatch.setitem(MODELS, "without", ModelEntry(**facts, gradient=False))
    monkeypatch.setitem(MODELS, "with", ModelEntry(**facts, options=("coreset",)))
    keys = ["model_options.coreset", "model_options.strides"]
    assert unread(keys, model={"name": "without"}) == [
        "model_options.coreset is read only when model=patchcore or with",
        "model_options.strides is read only when model=patchcore",
    ]
    assert unread(keys, model={"name": "with"}) == ["model_options.strides is read only when model=patchcore"]


def test_of_settings_that_are_not_known_nothing_is_unread():
    facts = facts_of(Hyperparameters(optimizer="sgd"), {"task": "strange", "data": 3, "model": {"name": "of_a_plugin"}})
    assert not [
        key for key in READ_WHEN if key.startswith(("data.", "tracking.", "augment.")) and why_unread(key, facts)
    ]


def test_the_options_of_a_model_are_those_its_builder_takes():
    for entry in MODELS.values():
        assert set(entry.options) <= set(inspect.signature(load(entry.build)).parameters)
    every = {name for entry in MODELS.values() for name in entry.options}
    assert every == set(Settings.model_fields["model_options"].annotation.model_fields)


def test_the_table_names_settings_and_choices():
    flags = {key: {True, False} for key in ("gradient", "drops", "losses", "data.tile", "data.fold", "model.weights")}
    known = flags | {
        "loss_options": set(LossOptions.model_fields),
        "optimizer": set(OPTIMIZERS),
        "scheduler": set(SCHEDULERS),
        "mixes": {name for entry in TASKS.values() for name in entry.mixes},
        "options": {name for entry in MODELS.values() for name in entry.options},
        "data.cache": set(get_args(Data.model_fields["cache"].annotation)),
        "tracking.name": set(get_args(Tracking.model_fields["name"].annotation)),
    }
    for key, conditions in READ_WHEN.items():
        section, _, name = key.partition(".")
        if key not in Hyperparameters.model_fields and key != "augment":
            assert name in Settings.model_fields[section].annotation.model_fields
        for choice, wanted in conditions.items():
            assert set(wanted) <= known[choice]


def test_the_table_of_optimizers_options_agrees_with_the_signatures():
    for name in OptimizerOptions.model_fields:
        readers = {option for option, ref in OPTIMIZERS.items() if name in inspect.signature(load(ref)).parameters}
        assert readers == set(READ_WHEN[f"optimizer_options.{name}"]["optimizer"])


def sharp(prediction, target, *, gamma=1.0, weight=None):
    """A plugin's loss, which reads one setting of the section."""


@pytest.mark.parametrize("ref", [sharp, f"{__name__}:sharp"])
def test_the_loss_of_a_plugin_reads_the_options_that_its_function_names(monkeypatch, ref):
    monkeypatch.setitem(TASKS["classification"].losses, "sharp", ref)
    keys = ["loss_options.gamma", "loss_options.alpha"]
    run = {"hyperparameters": {"loss": "sharp"}}
    assert unread(keys, **run) == ["loss_options.alpha is read only when loss=focal"]
    assert unread(keys[:1]) == ["loss_options.gamma is read only when loss=focal or sharp"]
    monkeypatch.setitem(TASKS["classification"].losses, "focal", sharp)  # in place of the package's own
    assert unread(keys, hyperparameters={"loss": "focal"}) == ["loss_options.alpha is read only when loss=focal"]


def test_what_an_unknown_loss_reads_is_taken_to_be_read(monkeypatch):
    monkeypatch.setitem(TASKS["classification"].losses, "lost", "no_such_plugin:lost")
    for loss in ("lost", "of_a_plugin_that_is_away"):
        assert unread(["loss_options.gamma", "loss_options.delta"], hyperparameters={"loss": loss}) == []


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["data.cache=stream", "data.cache_gb=3", "tracking=none", "tracking.experiment=x"],
        ["task=segmentation", "optimizer=sgd", "scheduler=poly", "loss=focal"],
        ["task=object_detection", "model=fasterrcnn", "loss=smooth_l1", "data.tile=256", "data.cache=ram"],
        ["task=anomaly_detection", "model=patchcore"],
    ],
    ids=" ".join,
)
def test_all_doors_agree_on_what_a_run_reads(words, composer, monkeypatch):
    monkeypatch.chdir(composer.cwd)
    run = resolve(words, conf=composer.conf)
    values, given = run.hyperparameters, run.settings
    every = {*Hyperparameters.model_fields, *flatten(given.model_dump())}
    unread = {key for key in every if not is_read(key, facts_of(values, given))}

    lines = unread_warnings(dict.fromkeys(every, 1), values, given)
    assert {line.keys[0] for line in lines} == unread
    assert {line.text.partition(" ")[0].partition("=")[0] for line in lines} == unread
    assert {line.split()[0] for line in explain.as_text(run).splitlines() if " is read only when " in line} == unread
    assert set(explain.as_json(run)["unread"]) == unread & set(Hyperparameters.model_fields)

    shaping = {key for key in every if "." not in key or key.partition(".")[0] in SHAPING}
    binds = {*binding(dict.fromkeys(shaping, ""))}
    assert unread & binds == binds - set(tracked.parameters(run, {"image_size": [8, 8]}))
    compared = {*settings_of(describe(run)), *NOT_COMPARED, *UNSHAPEN, "task"}
    assert unread & shaping - {*NOT_COMPARED} == shaping - compared

    touched = dict(word.split("=") for word in words if not word.startswith(("task=", "model=")))
    fields = view(given.task, given.model.name, touched, composer)["fields"]
    assert unread & set(fields) == {
        key for key in every & set(fields) if not fields[key]["shown"] or "why" in fields[key]
    }


def plain(prediction: Any, target: Any, *, gamma: float, weight: Any = None) -> Any:
    raise AssertionError


def greedy(prediction: Any, target: Any, gamma: float, scale: float, *, bound: float) -> Any:
    raise AssertionError


def narrow(prediction: Any) -> Any:
    raise AssertionError


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (plain, []),
        (greedy, ["loss=mine: its function asks for scale, bound, which nothing gives; give a default"]),
        (narrow, ["loss=mine: its function must take 2 arguments by position: prediction, target"]),
        ("no_such_module:loss", ["no_such_module:loss: a table names it, and it cannot be imported: ModuleNotFound"]),
    ],
)
def test_a_plugins_loss_that_cannot_be_called_is_refused_before_anything_is_read(
    loss: Any, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS["classification"].losses, "mine", loss)
    problems = texts(setting_rules.loss_problems("mine", "classification"))
    assert [line.startswith(start) for line, start in zip(problems, told, strict=True)] == [True] * len(told)
    for words, sweep in ((["loss=mine"], resolve), (["loss=cross_entropy,mine"], check_sweep)):
        with pytest.raises(ConfigError) if told else nullcontext() as error:
            sweep(words)
        if error is not None:
            assert [*error.value.problems] == problems
    assert setting_rules.loss_problems("mine", "regression") == setting_rules.loss_problems("mine", "none") == []
