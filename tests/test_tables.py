"""The tables: every name leads to code, every fact agrees with the code, and looking something up imports no torch."""

import inspect
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic_core import to_jsonable_python

from visrun import hyperparameters
from visrun.build import load, reads
from visrun.classification_metric import ClassificationMetric
from visrun.config import schema, settings
from visrun.data import records
from visrun.data.augment import Augment
from visrun.data.cache import Keep
from visrun.data.derive import DERIVE
from visrun.errors import ConfigError
from visrun.lr import FACTORS
from visrun.tables import (
    MODELS,
    OPTIMIZERS,
    READERS,
    SCHEDULERS,
    TARGETS,
    TASKS,
    model_entry,
    timm_name,
    torchvision_builders,
    zoo,
)
from visrun.tables.losses import LOSS_OPTIONS, loss_options, losses_by_options
from visrun.tables.models import HEAT_TASKS, IMAGE_TASKS, OBJECT_TASKS, PIXEL_TASKS

LOSSES = [(task, name, ref) for task, entry in TASKS.items() for name, ref in entry.losses.items()]
REFS = [
    *[entry.build for entry in TASKS.values()],
    *[entry.spoil for entry in TASKS.values() if entry.spoil],
    *OPTIMIZERS.values(),
    *SCHEDULERS.values(),
    *sorted({str(entry.build) for entry in MODELS.values()}),
    *[ref for entry in READERS.values() for ref in (entry.read, entry.recognise)],
    *sorted({ref for _, _, ref in LOSSES}),
]


@pytest.mark.parametrize("ref", REFS, ids=str)
def test_every_reference_is_a_function_with_a_docstring(ref):
    assert inspect.getdoc(load(ref))


SETTINGS, LEARNING = schema.defaults(), hyperparameters.defaults()
# What reads settings -> their defaults in the schema; a caller from Python that names no weight decay wants none.
DEFAULTS = [
    *[(load(ref), {**LEARNING, **SETTINGS["optimizer_options"], "weight_decay": 0.0}) for ref in OPTIMIZERS.values()],
    *[(read, LEARNING) for read in (*map(load, SCHEDULERS.values()), *FACTORS.values())],
    *[(load(ref), SETTINGS["loss_options"]) for ref in sorted({ref for _, _, ref in LOSSES})],
    *[(load(ref), SETTINGS["model"]) for ref in sorted({entry.build for entry in MODELS.values()})],
    *[(read, SETTINGS["data"]) for read in (records.checked, records.read, Keep)],
    (Augment, SETTINGS["augment"]),
]


@pytest.mark.parametrize(("read", "schema"), DEFAULTS, ids=lambda item: getattr(item, "__qualname__", ""))
def test_a_default_in_a_signature_is_the_schemas(read, schema):
    defaults = {name: parameter.default for name, parameter in inspect.signature(read).parameters.items()}
    given = {name: value for name, value in defaults.items() if name in schema and value is not inspect.Parameter.empty}
    assert to_jsonable_python(given) == {name: schema[name] for name in given}


@pytest.mark.parametrize("ref", sorted({ref for _, _, ref in LOSSES}))
def test_the_table_of_losses_options_agrees_with_the_signatures(ref):
    assert loss_options(ref) == tuple(name for name in reads(load(ref)) if name in settings.LossOptions.model_fields)


def test_every_option_of_losses_is_read_by_a_loss():
    assert set().union(*losses_by_options().values()) == set(settings.LossOptions.model_fields)
    assert {ref for _, _, ref in LOSSES} >= LOSS_OPTIONS.keys()


def test_tasks_are_the_seven():
    assert list(TASKS) == [
        "classification",
        "anomaly_detection",
        "object_detection",
        "oriented_object_detection",
        "instance_segmentation",
        "segmentation",
        "regression",
    ]


@pytest.mark.parametrize(
    ("task", "monitor", "maximize", "default_loss"),
    [
        ("classification", "accuracy", True, "cross_entropy"),
        ("anomaly_detection", "auroc", True, "cross_entropy"),
        ("object_detection", "map", True, "default"),
        ("oriented_object_detection", "map50", True, "default"),
        ("instance_segmentation", "map", True, "default"),
        ("segmentation", "miou", True, "ce_dice"),
        ("regression", "mae", False, "mse"),
    ],
)
def test_task_facts(task, monitor, maximize, default_loss):
    entry = TASKS[task]
    assert (entry.monitor, entry.maximize, next(iter(entry.losses))) == (monitor, maximize, default_loss)


@pytest.mark.parametrize("name", MODELS)
def test_model_facts_are_in_range(name):
    entry = MODELS[name]
    assert set(entry.tasks) <= TASKS.keys()
    assert entry.speed in (1, 2, 3)
    assert entry.accuracy in (1, 2, 3)
    assert entry.image_size is None or entry.image_size % entry.multiple == 0
    assert entry.image_size or not entry.fixed_size
    for loss in entry.losses or ():
        assert any(loss in TASKS[task].losses for task in entry.tasks)


@pytest.mark.parametrize(
    "name", [name for name, entry in MODELS.items() if entry.tasks == IMAGE_TASKS and entry.builder]
)
def test_parameters_agree_with_torchvision(name):
    from torchvision.models import get_model_weights

    weights = get_model_weights(MODELS[name].builder).DEFAULT
    assert MODELS[name].parameters == pytest.approx(weights.meta["num_params"] / 1e6, abs=0.05)


@pytest.mark.parametrize("name", ["small_resnet", "lraspp", "unet"])
def test_parameters_agree_with_the_built_model(name):
    from visrun.models import create

    outputs = 21 if set(PIXEL_TASKS) <= set(MODELS[name].tasks) else 1000
    module = create(name, num_outputs=outputs, image_size=64, pretrained=False).module
    assert sum(p.numel() for p in module.parameters()) / 1e6 == pytest.approx(MODELS[name].parameters, abs=0.05)


def test_the_least_sizes_agree_with_torchvision():
    """Swin and networks of fixed size state the size they were trained at; Swin pads what is smaller."""
    from torchvision.models import get_model_weights

    for name, kind in torchvision_builders().items():
        if kind == "classification" and not name.startswith(("swin_", "vit_", "maxvit_")):
            stated = {side for weights in get_model_weights(name) for side in weights.meta["min_size"]}
            assert model_entry(name).smallest == max(stated), name


@pytest.mark.parametrize(
    ("name", "size", "target", "expected"),
    [
        ("vit_b_16", 96, "label", ""),
        ("vit_b_16", (96, 96), "label", ""),
        ("vit_b_16", 100, "label", "=100: model=vit_b_16 takes square images of a multiple of 16 pixels, such as 96"),
        ("vit_b_16", (64, 128), "label", "square images of a multiple of 16 pixels, such as 96"),
        ("vit_b_16", 8, "label", "such as 16"),
        ("maxvit_t", 256, "label", "square images of a multiple of 224 pixels, such as 224"),
        ("maxvit_t", 448, "label", ""),
        ("alexnet", (32, 99), "label", "takes sides of at least 63 pixels, such as [63,99]"),
        ("alexnet", 63, "label", ""),
        ("swin_t", 8, "label", ""),
        ("small_detector", (97, 130), "boxes", ""),
        ("small_detector", 66, "instances", "takes sides of a multiple of 4 pixels for masks, such as 68"),
        ("maskrcnn", (450, 361), "instances", "multiple of 4 pixels for masks, such as [452,360]"),
        ("maskrcnn", (452, 360), "instances", ""),
    ],
)
def test_a_size_that_a_model_cannot_take_is_told_with_the_nearest(name, size, target, expected):
    problem = model_entry(name).size_problem(name, size, target=target)
    assert problem.endswith(expected) and bool(problem) == bool(expected)


def test_both_limits_of_a_size_are_told():
    entry = replace(MODELS["small_unet"], smallest=30)
    told = "takes sides of a multiple of 4 pixels for masks and of at least 32 pixels, such as [40,32]"
    assert entry.size_problem("x", (40, 10), target="instances").endswith(told)


def test_a_network_of_classes_of_pixels_says_that_it_answers_for_each():
    for name in (*MODELS, "fcn_resnet101", "unet_timm_x", "timm_x", "dense_timm_x", "resnet101"):
        entry = model_entry(name)
        assert entry.pixels == ("segmentation" in entry.tasks), name


def test_torchvision_builders_agree_with_torchvision():
    from torchvision import models

    found = torchvision_builders()
    assert {name for name, kind in found.items() if kind == "classification"} == set(models.list_models(module=models))
    assert {name for name, kind in found.items() if kind == "segmentation"} == set(
        models.list_models(module=models.segmentation)
    )
    assert {name for name, kind in found.items() if kind == "detection"} == set(
        models.list_models(module=models.detection)
    )
    assert {entry.builder for entry in MODELS.values() if entry.builder} <= found.keys()


def test_a_torchvision_builder_without_an_entry_has_generic_facts():
    entry = model_entry("resnext50_32x4d")
    assert entry.builder == "resnext50_32x4d"
    assert entry.tasks == IMAGE_TASKS
    assert entry.drops
    assert not entry.fixed_size
    for name in ("vit_h_14", "maxvit_t"):  # also for a task whose usual size they could not take
        fixed = model_entry(name)
        assert fixed.fixed_size and fixed.image_size and fixed.image_size % fixed.multiple == 0
    assert model_entry("fcn_resnet101").tasks == PIXEL_TASKS
    assert model_entry("fcn_resnet101").drops
    assert model_entry("resnet18") is MODELS["resnet18"]
    assert model_entry("dense_regnet_y_400mf").tasks == OBJECT_TASKS
    assert model_entry("dense_regnet_y_400mf").builder == "regnet_y_400mf"


def test_a_network_of_timm_serves_each_task_in_its_own_way():
    assert timm_name("timm_resnet18", "classification") == "timm_resnet18"
    assert timm_name("timm_resnet18", "anomaly_detection") == "timm_resnet18"
    assert timm_name("timm_resnet18", "segmentation") == "unet_timm_resnet18"
    assert timm_name("timm_resnet18", "object_detection") == "dense_timm_resnet18"
    assert timm_name("resnet18", "segmentation") == "resnet18"
    assert timm_name("unet_timm_resnet18", "anomaly_detection") == "unet_timm_resnet18"
    for name, tasks in [("timm_x.y_z", IMAGE_TASKS), ("unet_timm_x", HEAT_TASKS), ("dense_timm_x", OBJECT_TASKS)]:
        assert model_entry(name).tasks == tasks
        assert model_entry(name).builder == name.partition("timm_")[2]
        assert inspect.getdoc(load(model_entry(name).build))
    assert not model_entry("dense_timm_x").drops
    assert model_entry("timm_nest_tiny").square  # which timm builds for no other shape


@pytest.mark.parametrize("name", ["timm_", "timm", "my_timm_x"])
def test_what_is_no_name_of_timms_is_one_line(name):
    with pytest.raises(ConfigError, match=f"model.name={name} is no model.*timm") as caught:
        model_entry(name)
    assert len(caught.value.problems) == 1


def test_the_monitor_says_where_samples_were_made():
    entry = TASKS["anomaly_detection"]
    assert entry.monitored({"auroc": 1.0}) == "auroc"
    assert entry.monitored(["synthetic_auroc"]) == "synthetic_auroc"
    assert entry.monitored(["synthetic_auroc", "auroc"]) == "auroc"
    assert entry.monitored([]) == "auroc"
    assert entry.judged_by("f1_max").monitored(["synthetic_auroc", "synthetic_f1_max"]) == "synthetic_f1_max"


def test_a_run_may_choose_by_another_metric_of_its_task():
    entry = TASKS["regression"]
    chosen = entry.judged_by("r2")
    assert (chosen.monitor, chosen.maximize) == ("r2", True) and chosen.metrics == entry.metrics
    assert chosen.judged_by("rmse").maximize is False
    assert entry.judged_by(None) is entry.judged_by("accuracy") is entry


SQUARES = [(0, 20), (40, 90), (100, 200)]  # left or upper and right or lower edge of what COCO calls small to large


def labels_of(*, right):
    scores = torch.eye(6) * 0.875 + 0.025 - torch.eye(6).roll(-1, 1) * 0.025  # 0.9, and 0 of the class before
    return {"probabilities": scores if right else scores.roll(1, 1)}, {"target": torch.arange(6)}, ()


def values_of(*, right):
    target = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    return {"value": target + (0.1 if right else 1.0)}, {"target": target}, ()


def masks_of(*, right):
    target = torch.tensor([0, 1]).view(2, 1, 1).expand(2, 4, 4)
    return {"mask": target if right else 1 - target}, {"target": target}, ()


def verdicts_of(*, right):
    from visrun.data.verdicts import BESIDE, DEFECT, GOOD

    target = torch.full((2, 4, 4), GOOD)
    target[0] = BESIDE
    target[0, 0] = DEFECT
    score = torch.tensor([0.9, 0.1] if right else [0.1, 0.9])
    heat = torch.where(target == DEFECT, 0.9, 0.1) if right else torch.where(target == DEFECT, 0.1, 0.9)
    return {"score": score, "softmax": score, "density": score, "heat": heat}, {"target": target}, ()


def objects_of(*, right, turned=False):
    """Three objects in an image of 256 pixels, found where they are or far from there."""
    from visrun.data.objects import Objects
    from visrun.data.placement import Place, Scene

    boxes = np.array([[low, low, high, high] for low, high in SQUARES], float)
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    labels = np.array([0, 1, 0])
    truth = Objects(labels, boxes, labels > 1, corners, tuple((one.astype(np.float32),) for one in corners))
    found = torch.from_numpy(boxes).float()
    if turned:
        found = torch.cat([(found[:, :2] + found[:, 2:]) / 2, found[:, 2:] - found[:, :2], torch.zeros(3, 1)], 1)
    masks = torch.zeros(3, 64, 64, dtype=torch.uint8)
    for mask, (low, high) in zip(masks, SQUARES, strict=True):
        mask[low // 4 : high // 4, low // 4 : high // 4] = 255
    if not right:
        found, masks = found + torch.tensor([0.0, 50, 0, 0, 0] if turned else [0.0, 50, 0, 50]), masks.roll(12, 1)
    alone = {
        "boxes": found,
        "scores": torch.tensor([0.9, 0.8, 0.7]),
        "labels": torch.from_numpy(labels),
        "masks": masks,
    }
    batch = {"images": torch.zeros(1, 3, 256, 256), "index": torch.tensor([0])}
    scene = Scene(0, Place((0.0, 0.0, 256.0, 256.0), (256, 256)), truth)
    return {name: one[None] for name, one in alone.items()}, batch, [scene]


CLASSES = ["a", "b"]
# task -> metric, what it is fed, and those of its values of which neither more nor less is better
MEASURED = {
    "classification": ("visrun.classification_metric:ClassificationMetric", (list("abcdef"),), labels_of, set()),
    "regression": ("visrun.metrics:RegressionMetric", (CLASSES,), values_of, set()),
    "segmentation": ("visrun.metrics:SegmentationMetric", (CLASSES,), masks_of, set()),
    "anomaly_detection": (
        "visrun.anomaly.metric:AnomalyMetric",
        (lambda: 0.5,),
        verdicts_of,
        {"threshold", "pixel_threshold"},
    ),
    "object_detection": ("visrun.detection.metrics:BoxMetric", (CLASSES,), objects_of, set()),
    "instance_segmentation": ("visrun.detection.metrics:MaskMetric", (CLASSES,), objects_of, set()),
    "oriented_object_detection": (
        "visrun.detection.metrics:RotatedMetric",
        (CLASSES,),
        lambda *, right: objects_of(right=right, turned=True),
        set(),
    ),
}


def measured(task, *, right):
    build, arguments, feed, _ = MEASURED[task]
    metric = load(build)(*arguments)
    prediction, batch, scenes = feed(right=right)
    metric.reset(scenes)
    valid = torch.ones(len(next(iter(prediction.values()))), dtype=torch.bool)
    metric.update(prediction, SimpleNamespace(**batch, valid=valid))
    return metric.compute()


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_is_better_in_the_direction_that_the_table_says(task):
    unranked = MEASURED[task][-1]
    good, bad = measured(task, right=True), measured(task, right=False)
    assert TASKS[task].monitor in good and good.keys() == bad.keys()
    said = {key: TASKS[task].larger_is_better(key) for key in good}
    assert said == {key: None if key in unranked else good[key] > bad[key] for key in good}
    assert all(good[key] != bad[key] for key in good.keys() - unranked)
    of_several_labels = {"map", "f1_max", "threshold"} if task == "classification" else set()
    assert (TASKS[task].metrics.keys() | TASKS[task].others.keys()) - good.keys() == of_several_labels


def measured_of_several_labels(*, right):
    metric = ClassificationMetric("ab", multilabel=True, chosen=lambda: (0.5, 0.5))
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.3, 0.3]])
    target, valid = torch.tensor([[1, 0], [0, 1], [0, 0]]), torch.ones(3, dtype=torch.bool)
    metric.update({"probabilities": scores if right else 1 - scores}, SimpleNamespace(target=target, valid=valid))
    return metric.compute()


def test_every_metric_of_several_labels_is_better_in_the_direction_that_the_table_says():
    good, bad = measured_of_several_labels(right=True), measured_of_several_labels(right=False)
    said = {key: TASKS["classification"].larger_is_better(key) for key in good}
    assert said == {key: None if key.startswith("threshold/") else good[key] > bad[key] for key in good}
    assert {"map", "f1_max", "f1_tuned/a", "precision_tuned", "recall_tuned"} <= good.keys() == bad.keys()


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_is_explained(task):
    docs = Path(__file__).parents[1] / "docs"
    text = (docs / ("anomaly.md" if task == "anomaly_detection" else "metrics.md")).read_text(encoding="utf-8")
    every = [*measured(task, right=True), *(measured_of_several_labels(right=True) if task == "classification" else ())]
    names = {re.sub("/.*", "/", name) for name in every}
    assert [name for name in names if not re.search(rf"`{name}((?<=/)[A-Z]+)?`", text)] == []


def test_made_samples_and_single_classes_do_not_change_the_direction():
    assert TASKS["anomaly_detection"].larger_is_better("synthetic_threshold") is None
    assert TASKS["anomaly_detection"].larger_is_better("synthetic_auroc") is True
    assert TASKS["regression"].larger_is_better("rmse/width") is False


def test_vision_transformers_have_a_fixed_size_of_whole_patches():
    entry = model_entry("vit_h_14")
    assert entry.fixed_size
    assert entry.multiple == 14


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnext50_32x4", "did you mean resnext50_32x4d?"),
        ("qqq", "known: small_resnet"),
        ("torchvision", "model.name="),
    ],
)
def test_an_unknown_model_is_one_line_with_a_hint(name, hint):
    with pytest.raises(ConfigError, match=f"model.name={name} is no model.*{hint.replace('?', '.')}") as caught:
        model_entry(name)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("name", [name for name, kind in torchvision_builders().items() if kind == "detection"])
def test_of_a_detector_of_torchvision_only_what_can_be_had_is_named(name):
    with pytest.raises(ConfigError) as caught:
        model_entry(name)
    own = [known for known, entry in MODELS.items() if entry.builder == name]
    (line,) = caught.value.problems
    (near,) = re.findall(r"did you mean (\w+)\?", line) or [None]
    assert near == own[0] if own else near is None or model_entry(near)


def test_without_torchvision_only_the_tables_own_models_are_known(monkeypatch):
    torchvision_builders.cache_clear()
    monkeypatch.setattr(zoo, "find_spec", lambda _: None)
    try:
        assert torchvision_builders() == {}
        with pytest.raises(ConfigError):
            model_entry("resnext50_32x4d")
    finally:
        torchvision_builders.cache_clear()


def test_looking_up_imports_nothing_heavy():
    code = (
        "import sys; from visrun import tables; import visrun.config.settings, visrun.config.experiment;"
        "tables.model_entry('resnext50_32x4d');"
        "heavy = {'torch', 'torchvision', 'mlflow', 'hydra', 'omegaconf', 'numpy'} & sys.modules.keys();"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_a_task_learns_is_a_known_kind_of_target():
    assert {entry.target for entry in TASKS.values()} == set(TARGETS) - {"none"}
    assert set(DERIVE) == {name for name, entry in TARGETS.items() if name != "none"}
    assert {target for entry in READERS.values() for target in entry.derived} <= set(DERIVE)


@pytest.mark.parametrize(
    ("task", "metric", "within"),
    [
        ("classification", "f1/cat", (0.0, 1.0)),
        ("classification", "ece", (0.0, 1.0)),
        ("anomaly_detection", "synthetic_auroc", (0.0, 1.0)),
        ("anomaly_detection", "synthetic_threshold", (0.0, math.inf)),
        ("object_detection", "map", (0.0, 1.0)),
        ("segmentation", "iou/road", (0.0, 1.0)),
        ("regression", "mae/width", (0.0, math.inf)),
        ("regression", "r2", (-math.inf, 1.0)),
    ],
)
def test_every_metric_has_its_range(task: str, metric: str, within: tuple[float, float]) -> None:
    assert TASKS[task].range_of(metric) == within
