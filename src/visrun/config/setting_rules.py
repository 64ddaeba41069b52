"""Rules between settings, and between them, the hyperparameters and the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from visrun import hyperparameters
from visrun.config.fields import one_of, show
from visrun.config.lines import Line
from visrun.config.schema import own_keys
from visrun.config.settings import Augment, Data, LossOptions, ModelOptions, Settings, Tracking
from visrun.data import demo
from visrun.errors import PLUGIN_HINT, ConfigError, complaints
from visrun.files import part_of
from visrun.hyperparameters import LEARNS, Condition, Hyperparameters, missing
from visrun.lr import NESTEROV_ALONE
from visrun.near import did_you_mean
from visrun.tables import (
    AUGMENTATIONS,
    SETTINGS,
    TARGETS,
    TASKS,
    ModelEntry,
    asked_by_extras,
    layouts_of,
    model_entry,
    models_of,
)
from visrun.tables.losses import loss_options, require_given
from visrun.tables.models import HEAT_TASKS, IMAGE_TASKS, OBJECT_TASKS

if TYPE_CHECKING:
    from visrun.tables.words import Fit

# Setting -> what must hold for anything to read it; one that is not here is always read. `mixes` are those of the task,
# `options` those of the model, `loss_options` those of the loss; `augment` is the choice of a preset.
READ_WHEN: dict[str, Condition] = {
    **hyperparameters.READ_WHEN,
    "augment": LEARNS,
    **{f"augment.{name}": LEARNS for name in Augment.model_fields},
    **{f"augment.{mix}": {**LEARNS, "mixes": (mix,)} for entry in TASKS.values() for mix in entry.mixes},
    **{f"run.{name}": LEARNS for name in ("graph", "clip", "accumulate", "ema")},
    "model.pretrained": {"model.weights": (False,)},
    "model.freeze": LEARNS,
    "data.val_fraction": {"data.fold": (False,)},
    "data.overlap": {"data.tile": (True,)},
    "data.cache_gb": {"data.cache": ("auto", "gpu", "ram", "disk")},
    "data.cache_dir": {"data.cache": ("auto", "disk")},
    **{f"tracking.{name}": {"tracking.name": ("mlflow",)} for name in Tracking.model_fields if name != "name"},
    **{f"loss_options.{name}": {**LEARNS, "loss_options": (name,)} for name in LossOptions.model_fields},
    "loss_options.beta": {**LEARNS, "loss_options": ("beta",), "losses": (True,)},
    "optimizer_options.betas": {**LEARNS, "optimizer": ("adam", "adamw")},
    "optimizer_options.nesterov": {**LEARNS, "optimizer": ("sgd",)},
    **{f"model_options.{name}": {"options": (name,)} for name in ModelOptions.model_fields},
}
# Section -> what must hold for anything to read a plugin's setting in it. `extras` are those of augment.extra.
OWN_READ_WHEN: dict[str, Callable[[str], Condition]] = {
    "loss_options": lambda name: {**LEARNS, "loss_options": (name,)},
    "model_options": lambda name: {"options": (name,)},
    "augment": lambda name: {**LEARNS, "extras": (name,)},
}
SPLITTING = ("val_fraction", "fold", "group")  # of data: what decides on which side of a split an image is
SELECTING = ("classes", "targets", *SPLITTING, "train_fraction", "on_bad")  # of data
# Sections that shape what a run learns, in the order in which runs are compared.
SHAPING = ("data", "model", "augment", "run", "loss_options", "optimizer_options", "model_options")


def facts_of(values: Mapping[str, Any] | Hyperparameters, settings: Mapping[str, Any] | Settings) -> dict[str, Any]:
    """All that decides what a run reads.

    Args:
        values: All hyperparameters.
        settings: The others, nested; may be incomplete: where what decides is missing, a setting counts as read.
    """
    nested = settings.model_dump() if isinstance(settings, Settings) else settings
    model, data, tracking, augment = (part_of(nested, name) for name in ("model", "data", "tracking", "augment"))
    facts = hyperparameters.facts_of(values, entry_of(str(model.get("name")), str(nested.get("task"))))
    facts |= _facts_of_task(str(nested.get("task")), facts.get("loss"))
    facts |= {f"data.{name}": data[name] is not None for name in ("tile", "fold") if name in data}
    facts |= {"model.weights": model["weights"] is not None} if "weights" in model else {}
    facts |= {"data.cache": data["cache"]} if "cache" in data else {}
    facts |= {"extras": asked_by_extras(augment["extra"])} if isinstance(augment.get("extra"), list | tuple) else {}
    return facts | ({"tracking.name": tracking["name"]} if "name" in tracking else {})


def _facts_of_task(task: str, loss: object) -> dict[str, Any]:
    if task not in TASKS:
        return {}
    entry = TASKS[task]
    asked = loss_options(entry.losses[str(loss)]) if loss in entry.losses else None
    return {"mixes": entry.mixes} | ({} if asked is None else {"loss_options": asked})


def condition_of(key: str) -> Condition:
    """What must hold for anything to read a hyperparameter or dotted setting; {} of one that is always read."""
    section, _, name = key.partition(".")
    return OWN_READ_WHEN[section](name) if key in SETTINGS else READ_WHEN.get(key, {})


def is_read(key: str, facts: Mapping[str, Any]) -> bool:
    """Whether a run with these facts, see :func:`facts_of`, reads a hyperparameter or dotted setting."""
    return not missing(condition_of(key), facts)


def idle(values: Hyperparameters, settings: Settings) -> list[str]:
    """The settings of plugins that a run does not read."""
    facts = facts_of(values, settings)
    return [key for key in own_keys() if not is_read(key, facts)]


def why_unread(key: str, facts: Mapping[str, Any]) -> str:
    """One line that says what reads a setting: ``data.overlap is read only when data.tile is set``; "" where it is."""
    reasons = missing(condition_of(key), facts)
    return f"{key} is read only when {' and '.join(reasons)}" if reasons else ""


def entry_of(name: str, task: str) -> ModelEntry:
    """The facts of a model; of a name that is none, facts that break no rule (its own line says that it is none)."""
    try:
        return model_entry(name)
    except ConfigError:
        return ModelEntry(build="", tasks=(task,), parameters=0.0, speed=1, accuracy=1)


def check(settings: Settings) -> list[Line]:
    """The rules between settings, and between them and the tables: one line for every problem."""
    task = settings.task
    if task not in TASKS:
        return [Line(f"task={show(task)}: must be {one_of(tuple(TASKS))}{did_you_mean(task, TASKS)}", ("task",))]
    return [
        *_data_problems(settings.data, task),
        *_model_problems(settings),
        *_monitor_problems(settings.run.monitor, task),
        *unknown_augmentations(settings.augment.extra),
    ]


def check_options(values: Hyperparameters, settings: Settings, *, model: ModelEntry) -> list[Line]:
    """The rules between hyperparameters and options: one line for every problem."""
    lines = loss_problems(values.loss, settings.task)
    nesterov = settings.optimizer_options.nesterov and model.gradient and values.optimizer == "sgd"
    if nesterov and values.momentum == 0:
        lines.append(Line(NESTEROV_ALONE, ("optimizer_options.nesterov", "momentum", "optimizer", "model.name")))
    return lines


def loss_problems(loss: str, task: str) -> list[Line]:
    """What is wrong with the function of a plugin's loss; that a task has no such loss is told elsewhere."""
    if task not in TASKS or loss not in TASKS[task].losses:
        return []
    return [Line(text, ("loss", "task")) for text in complaints(partial(require_given, loss, task=task))]


def fit_of(settings: Settings) -> Fit:
    """How an image meets the training size: the user's word, else the task's."""
    return settings.data.resize or TASKS[settings.task].fit


def selection(settings: Settings) -> dict[str, Any]:
    """What decides which images, splits and classes a run has, as `visrun.data.records.read` takes it."""
    learns = entry_of(settings.model.name, settings.task).gradient
    named = {name: getattr(settings.data, name) for name in SELECTING}
    return {**named, "seed": settings.seed, "defects_aside": not learns}


def warnings(values: Hyperparameters, settings: Settings, *, model: ModelEntry) -> list[Line]:
    """A line for each weight or augmentation that does nothing, or less than it says, in this run."""
    if settings.task not in TASKS or not model.gradient:
        return []
    augment, lines = settings.augment, []
    if values.batch_size == 1 and settings.data.class_weights != "none" and _weighed_by_image(values, settings.task):
        told = (
            "a batch's loss is divided by its weights, so with one image they cancel; take a larger batch, or loss=bce"
        )
        text = f"data.class_weights={show(settings.data.class_weights)} does nothing with batch_size=1: {told}"
        lines.append(Line(text, ("data.class_weights", "batch_size", "loss")))
    mixed = [name for name in ("mixup", "cutmix") if getattr(augment, name) and name in TASKS[settings.task].mixes]
    if mixed and values.batch_size * settings.run.accumulate == 1:
        names = " and ".join(f"augment.{name}" for name in mixed)
        text = f"batch_size=1: nothing is mixed, since for {names} a batch needs two images"
        lines.append(Line(text, ("batch_size", "run.accumulate", *(f"augment.{name}" for name in mixed))))
    fit = fit_of(settings)
    if augment.crop_scale[1] > 1 and fit != "zoom":
        text = (
            f"augment.crop_scale={show(augment.crop_scale)}: only data.resize=zoom shows images smaller; "
            f"under {fit} what is above 1 counts as 1"
        )
        lines.append(Line(text, ("augment.crop_scale", "data.resize")))
    return lines


def _weighed_by_image(values: Hyperparameters, task: str) -> bool:
    """Whether the mean of a batch's loss is over its images' weights; bce's is over all classes of each."""
    return TASKS[task].target == "label" and values.loss != "bce"


def unknown_augmentations(names: Iterable[str]) -> list[Line]:
    """A line for each of ``augment.extra`` that no table has."""
    known = one_of(tuple(AUGMENTATIONS))
    lines = [
        f"augment.extra={show(name)}: must be {known}{did_you_mean(name, AUGMENTATIONS) or PLUGIN_HINT}"
        for name in names
        if name not in AUGMENTATIONS
    ]
    return [Line(line, ("augment.extra",)) for line in lines]


def _data_problems(data: Data, task: str) -> list[Line]:
    entry = TASKS[task]
    problems = _source_problems(data, task)
    if TARGETS[entry.target].objects:
        if data.resize == "crop":
            told = f"data.resize=crop: task={task} takes letterbox or zoom, since crop would cut objects away"
            problems.append(_unfit(told, "data.resize"))
        if data.tile is not None and data.overlap >= data.tile:
            told = f"data.overlap={data.overlap}: must be below data.tile={data.tile}"
            problems.append(Line(told, ("data.overlap", "data.tile")))
    elif data.tile is not None:
        told = f"data.tile={data.tile}: task={task} takes whole images; {one_of(_of_objects())} take tiles"
        problems.append(_unfit(told, "data.tile"))
    if not TARGETS[entry.target].classes:
        lacks = {"classes": "has no classes to choose", "class_weights": _weighs_nothing(task)}
        given = {key: value for key in lacks if (value := getattr(data, key)) not in (None, "none")}
        problems += [
            _unfit(f"data.{key}={show(value)}: task={task} {lacks[key]}", f"data.{key}") for key, value in given.items()
        ]
    return problems


def _source_problems(data: Data, task: str) -> list[Line]:
    """What is wrong with where the images come from."""
    problems, demos = [], task in demo.WRITERS
    names = [*["demo"] * demos, "auto", *layouts_of(task)]
    if data.name == "demo" and data.root is None and not demos:
        told = f"data.root=null: task={task} has no demo; it needs the dataset's folder or file"
        problems.append(Line(told, ("data.root", "data.name", "task")))
    elif data.name not in names:
        told = f"data={show(data.name)}: task={task} takes {one_of(names)}{did_you_mean(data.name, names)}"
        problems.append(_unfit(told, "data.name"))
    if data.name != "demo" and data.root is None:
        told = f"data.root=null: data={data.name} needs the dataset's folder or file"
        problems.append(Line(told, ("data.root", "data.name")))
    return problems


def _unfit(text: str, key: str, *others: str) -> Line:
    """The line for a value that the task cannot have, or the model where it is among the ``others``."""
    return Line(text, (key, "task", *others), "unfit")


def _monitor_problems(name: str | None, task: str) -> list[Line]:
    known = tuple(TASKS[task].metrics)
    if name is None or name in known:
        return []
    told = f"run.monitor={show(name)}: task={task} takes {one_of(known)}{did_you_mean(name, known)}"
    return [_unfit(told, "run.monitor")]


def _weighs_nothing(task: str) -> str:
    balanced = "sees as many defective images as good ones while it learns: there is nothing to balance"
    return "has no classes to weigh" if TASKS[task].spoil is None else balanced


def _of_objects() -> list[str]:
    return [name for name, entry in TASKS.items() if TARGETS[entry.target].objects]


def _takes(name: str, entry: ModelEntry, task: str) -> Line:
    """The line for a model that a task does not take."""
    serving = models_of(task)
    if not serving:
        mine = f'a plugin adds one: MODELS["mine"] = ModelEntry(tasks=("{task}",), ...)'
        return Line(f"task={task}: no model serves it; {mine}", ("task", "model.name"))
    known = task in IMAGE_TASKS + HEAT_TASKS + OBJECT_TASKS
    builders = ", or model.name=X of model=torchvision or timm" if known else ""
    told = f"model={name}: task={task} takes {one_of(serving)}{builders}; task={one_of(entry.tasks)} takes {name}"
    return _unfit(told, "model.name")


def _model_problems(settings: Settings) -> list[Line]:
    name, size = settings.model.name, settings.data.image_size
    try:
        entry = model_entry(name)
    except ConfigError as error:
        return [Line(line, ("model.name",)) for line in error.problems]
    if settings.task not in entry.tasks:
        return [_takes(name, entry, settings.task)]
    problems = []
    if settings.model.pretrained is True and not entry.pretrained:
        told = f"model.pretrained=true: model={name} has no published weights; it takes auto or false"
        problems.append(_unfit(told, "model.pretrained", "model.name"))
    if not entry.weighs and settings.data.class_weights != "none":
        told = f"data.class_weights={show(settings.data.class_weights)}: model={name} weighs all classes alike"
        ways = "take none, or one of our own detectors, such as model=dense_resnet18"
        problems.append(_unfit(f"{told}; {ways}", "data.class_weights", "model.name"))
    told = "" if size is None else entry.size_problem(name, size, target=TASKS[settings.task].target)
    return [*problems, *([_unfit(told, "data.image_size", "model.name")] if told else [])]
