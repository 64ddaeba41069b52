"""Rules between settings, and between them, the hyperparameters and the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from visrun.errors import NESTEROV_ALONE, ConfigError, did_you_mean
from visrun.fields import one_of, show
from visrun.hyperparameters import LEARNS, Condition, Hyperparameters, facts_of, missing
from visrun.settings import Augment, Data, ModelOptions, Settings, Tracking
from visrun.tables import AUGMENTATIONS, MODELS, OBJECT_TARGETS, READERS, TASKS, ModelEntry, model_entry

# Option -> what must hold for anything to read it, as in hyperparameters.READ_WHEN.
OPTION_READ_WHEN: dict[str, Condition] = {
    "loss_options.smoothing": {**LEARNS, "loss": ("label_smoothing",)},
    "loss_options.gamma": {**LEARNS, "loss": ("focal",)},
    "loss_options.alpha": {**LEARNS, "loss": ("focal",)},
    "loss_options.dice_weight": {**LEARNS, "loss": ("ce_dice",)},
    "loss_options.delta": {**LEARNS, "loss": ("huber",)},
    "loss_options.beta": {**LEARNS, "loss": ("smooth_l1",), "losses": (True,)},
    "optimizer_options.betas": {**LEARNS, "optimizer": ("adam", "adamw")},
    "optimizer_options.nesterov": {**LEARNS, "optimizer": ("sgd",)},
    **{f"augment.{name}": LEARNS for name in Augment.model_fields},
    **{f"run.{name}": LEARNS for name in ("graph", "clip", "accumulate", "ema")},
    "model.freeze": LEARNS,
    **{f"model_options.{name}": {"gradient": (False,)} for name in ModelOptions.model_fields},
}
# Options that only those tasks read whose targets can be mixed so.
MIXES = {f"augment.{mix}" for entry in TASKS.values() for mix in entry.mixes}

# Setting -> the one that decides whether anything reads it, and what that must be.
SETTING_READ_WHEN = {
    **{f"tracking.{name}": ("tracking", ("mlflow",)) for name in Tracking.model_fields if name != "name"},
    "data.cache_gb": ("data.cache", ("auto", "gpu", "ram", "disk")),
    "data.cache_dir": ("data.cache", ("auto", "disk")),
}


def setting_warnings(typed: Mapping[str, Any], settings: Settings) -> list[str]:
    """One line for each value of ``typed`` (dotted settings) that nothing reads because of another setting."""
    found = {"tracking": settings.tracking.name, "data.cache": settings.data.cache}
    lines = [
        f"{key} is read only when {decider}={one_of(wanted)}"
        for key, (decider, wanted) in SETTING_READ_WHEN.items()
        if typed.get(key) is not None and found[decider] not in wanted
    ]
    if settings.data.tile is None and typed.get("data.overlap") is not None:
        lines.append("data.overlap is read only when data.tile is set")
    return lines


def option_warnings(
    keys: Iterable[str], values: Mapping[str, Any] | Hyperparameters, *, task: str, model: ModelEntry | None = None
) -> list[str]:
    """One line for each of ``keys`` that is an option which a run of ``task`` with these hyperparameters does not read.

    Args:
        keys: Dotted settings, such as those the user typed; others than options are passed over.
        values: All hyperparameters.
        task: A name of :data:`visrun.tables.TASKS`.
        model: The facts of the run's model; None = one that learns by steps.
    """
    facts = facts_of(values, model)
    lines = []
    for key in keys:
        lines += [f"{key} is read only when {reason}" for reason in missing(OPTION_READ_WHEN.get(key, {}), facts)]
        if key in MIXES:
            takers = [name for name, entry in TASKS.items() if key.removeprefix("augment.") in entry.mixes]
            lines += [f"{key} is read only when task={one_of(takers)}"] if task not in takers else []
    return lines


def check(settings: Settings) -> list[str]:
    """The rules between settings, and between them and the tables: one line for every problem."""
    task = settings.task
    if task not in TASKS:
        return [f"task={show(task)}: must be {one_of(tuple(TASKS))}{did_you_mean(task, TASKS)}"]
    return [*_data_problems(settings.data, task), *_model_problems(settings), *_augment_problems(settings.augment)]


def check_options(values: Hyperparameters, settings: Settings, *, model: ModelEntry) -> list[str]:
    """The rules between hyperparameters and options: one line for every problem."""
    nesterov = settings.optimizer_options.nesterov and model.gradient and values.optimizer == "sgd"
    if nesterov and values.momentum == 0:
        return [NESTEROV_ALONE]
    return []


def _augment_problems(augment: Augment) -> list[str]:
    return [
        f"augment.extra={show(name)}: must be {one_of(tuple(AUGMENTATIONS))}{did_you_mean(name, AUGMENTATIONS)}"
        for name in augment.extra
        if name not in AUGMENTATIONS
    ]


def _data_problems(data: Data, task: str) -> list[str]:
    problems = []
    names = ["demo", "auto", *(name for name, entry in READERS.items() if task in entry.served)]
    if data.name not in names:
        problems.append(f"data={show(data.name)}: task={task} takes {one_of(names)}{did_you_mean(data.name, names)}")
    if data.name != "demo" and data.root is None:
        problems.append(f"data.root=null: data={data.name} needs the dataset's folder or file")
    if TASKS[task].target in OBJECT_TARGETS:
        if data.resize == "crop":
            problems.append(f"data.resize=crop: objects would be cut away; task={task} takes letterbox or zoom")
    elif data.tile is not None:
        problems.append(f"data.tile={data.tile}: task={task} takes whole images; {one_of(_of_objects())} take tiles")
    if data.tile is not None and data.overlap >= data.tile:
        problems.append(f"data.overlap={data.overlap}: must be below data.tile={data.tile}")
    if TASKS[task].target in ("value", "verdict"):
        typed = [key for key in ("classes", "class_weights") if getattr(data, key) not in (None, "none")]
        problems += [f"data.{key}={show(getattr(data, key))}: task={task} has no classes to choose" for key in typed]
    return problems


def _of_objects() -> list[str]:
    return [name for name, entry in TASKS.items() if entry.target in OBJECT_TARGETS]


def _model_problems(settings: Settings) -> list[str]:
    name, size = settings.model.name, settings.data.image_size
    try:
        entry = model_entry(name)
    except ConfigError as error:
        return list(error.problems)
    if settings.task not in entry.tasks:
        serving = [other for other, facts in MODELS.items() if settings.task in facts.tasks]
        return [f"model={name}: task={settings.task} takes {one_of(serving)}, or model=torchvision model.name=X"]
    if settings.model.pretrained is True and not entry.pretrained:
        return [f"model.pretrained=true: model={name} has no published weights; it takes auto or false"]
    if not entry.weighs and settings.data.class_weights != "none":
        told = f"data.class_weights={show(settings.data.class_weights)}: model={name} weighs all classes alike"
        return [f"{told}; take none, or one of our own detectors, such as model=dense_resnet18"]
    if entry.fixed_size and isinstance(size, tuple) and size[0] != size[1]:
        return [f"data.image_size={show(list(size))}: model={name} takes square images, such as {size[0]}"]
    return []
