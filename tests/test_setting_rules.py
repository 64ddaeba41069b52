"""The rules between settings and the tables."""

import inspect

import pytest

from visrun.build import load
from visrun.data import recognise
from visrun.fields import validate
from visrun.hyperparameters import Hyperparameters
from visrun.setting_rules import OPTION_READ_WHEN, check, check_options, option_warnings, setting_warnings
from visrun.settings import Settings
from visrun.tables import MODELS, OPTIMIZERS, READERS, TASKS


def settings(**changed):
    found, lines = validate(Settings, changed)
    assert lines == []
    return found


@pytest.mark.parametrize("task", [name for name, entry in TASKS.items() if entry.build])
def test_every_model_of_a_task_is_accepted_and_no_other(task):
    for name, entry in MODELS.items():
        lines = check(settings(task=task, model={"name": name}))
        assert bool(lines) == (task not in entry.tasks)


def test_a_model_of_another_task_is_one_line_with_the_right_ones():
    (line,) = check(settings(task="segmentation"))
    assert line.startswith("model=resnet18: task=segmentation takes small_unet, lraspp, deeplabv3, ")
    (line,) = check(settings(model={"name": "resnet19"}))
    assert line == "model.name=resnet19 is no model (did you mean resnet18?)"


def test_an_unknown_task():
    (line,) = check(settings(task="regresion"))
    assert line.endswith("(did you mean regression?)")


def test_data_rules():
    assert check(settings(data={"name": "demo"})) == []
    assert check(settings(data={"name": "folder", "root": "/x"})) == []
    assert check(settings(data={"name": "folder"})) == [
        "data.root=null: data=folder needs the dataset's folder or file"
    ]
    (line,) = check(settings(data={"name": "masks", "root": "/x"}))
    assert line == "data=masks: task=classification takes demo, auto, folder, csv, coco, yolo, voc, dota or instances"
    lines = check(settings(task="regression", data={"classes": ["a"], "class_weights": "balanced"}))
    assert lines == [
        'data.classes=["a"]: task=regression has no classes to choose',
        "data.class_weights=balanced: task=regression has no classes to choose",
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


def test_nesterov_needs_a_momentum():
    nesterov = settings(optimizer_options={"nesterov": True})
    for optimizer, momentum, count in (("sgd", 0.0, 1), ("sgd", 0.9, 0), ("adam", 0.0, 0)):
        values = Hyperparameters(optimizer=optimizer, momentum=momentum)
        lines = check_options(values, nesterov, model=MODELS["resnet18"])
        assert lines == ["optimizer_options.nesterov=true: needs a momentum above 0, such as momentum=0.9"] * count
    assert not check_options(Hyperparameters(optimizer="sgd", momentum=0.0), settings(), model=MODELS["resnet18"])


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


def test_a_detector_with_a_loss_of_its_own_reads_no_beta():
    values, key = Hyperparameters(loss="smooth_l1"), "loss_options.beta"
    for name, lines in (("fasterrcnn", [f"{key} is read only when the model takes any loss"]), ("retinanet", [])):
        assert option_warnings([key], values, task="object_detection", model=MODELS[name]) == lines


def test_settings_that_another_leaves_unread():
    typed = {"tracking.run_name": "x", "tracking.uri": None, "data.cache_gb": 2.0, "data.cache_dir": "c"}
    assert not setting_warnings(typed | {"data.overlap": 8}, settings(data={"tile": 64}))
    off = settings(tracking={"name": "none"}, data={"cache": "stream"})
    assert setting_warnings(typed | {"data.overlap": 8}, off) == [
        "tracking.run_name is read only when tracking=mlflow",
        "data.cache_gb is read only when data.cache=auto, gpu, ram or disk",
        "data.cache_dir is read only when data.cache=auto or disk",
        "data.overlap is read only when data.tile is set",
    ]
    ram = settings(data={"cache": "ram"})
    assert setting_warnings(typed, ram) == ["data.cache_dir is read only when data.cache=auto or disk"]


def test_what_patchcore_does_not_read():
    keys, patchcore = ["run.ema", "augment.hflip", "loss_options.gamma", "model_options.coreset"], MODELS["patchcore"]
    values = Hyperparameters(loss="focal")
    learns = "is read only when the model learns by gradient steps"
    assert option_warnings(keys, values, task="anomaly_detection", model=patchcore) == [
        f"{key} {learns}" for key in keys[:3]
    ]
    assert option_warnings(keys, values, task="anomaly_detection", model=MODELS["resnet18"]) == [
        "model_options.coreset is read only when model=patchcore"
    ]


def test_the_options_of_patchcore_are_those_its_builder_takes():
    taken = set(inspect.signature(load(MODELS["patchcore"].build)).parameters)
    assert set(Settings.model_fields["model_options"].annotation.model_fields) <= taken


def test_the_table_of_options_names_settings_and_choices():
    losses = {name for entry in TASKS.values() for name in entry.losses}
    for key, conditions in OPTION_READ_WHEN.items():
        section, _, name = key.partition(".")
        assert name in Settings.model_fields[section].annotation.model_fields
        for choice, wanted in conditions.items():
            known = {"loss": losses, "optimizer": set(OPTIMIZERS), "gradient": {True, False}, "losses": {True, False}}
            assert set(wanted) <= known[choice]


def test_the_table_of_options_agrees_with_the_signatures():
    for section, choice, table in [
        ("optimizer_options", "optimizer", OPTIMIZERS),
        ("loss_options", "loss", {name: ref for entry in TASKS.values() for name, ref in entry.losses.items()}),
    ]:
        for name in Settings.model_fields[section].annotation.model_fields:
            readers = {option for option, ref in table.items() if name in inspect.signature(load(ref)).parameters}
            assert readers == set(OPTION_READ_WHEN[f"{section}.{name}"][choice])
