"""The schema of hyperparameters: fields, ranges, who reads what, and the rules between fields.

One flat set of fifteen values describes how a run learns. Everything that shows, sweeps, stores or checks them follows
from this module: the fields with their help, unit and search space, the table of what is read when, and :func:`check`.

    >>> Hyperparameters(optimizer="sgd", learning_rate=1e-2).learning_rate
    0.01
    >>> unread(defaults())
    ('momentum', 'step_size', 'gamma', 'milestones', 'poly_power')
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from visrun.config.fields import NAME, Float, Frozen, Int, ascending, field, one_of, show
from visrun.config.lines import Line
from visrun.tables import AUGMENTATIONS, MODELS, TASKS, ModelEntry, asked_by_extras
from visrun.tables.losses import losses_by_options

CHOICES = ("optimizer", "scheduler", "loss")  # fields that are groups of options, whose files bring other fields
OF_OPTIMIZER = ("learning_rate", "weight_decay")  # numbers that hold for one optimizer
Optimizer = Literal["adam", "adamw", "sgd"]
Scheduler = Literal["cosine", "step", "multistep", "poly", "none"]


def _listed(value: object) -> object:
    """A list written as text, ``"[30, 40]"``, as a list; anything else as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text or text.count("[") > 1:  # nested: json would recurse
        raise ValueError("is no list")
    return json.loads(text if text.startswith("[") else f"[{text}]")


Epochs = Annotated[tuple[Annotated[Int, Field(ge=1)], ...], BeforeValidator(_listed), AfterValidator(ascending)]


class Hyperparameters(Frozen):
    """How a run learns. A bool is no number; nothing is NaN or infinite. Numbers may be given as text (``"1e-3"``), to
    please a type checker through ``model_validate``.

    Each value is validated by itself, since files and sweeps hold some of them only; the rules between them, such as a
    warm-up that ends before the run does, are :func:`check`'s.

    Raises:
        pydantic.ValidationError: A key that is no field, or a value that its field does not take; a ValueError.
    """

    optimizer: Optimizer = field(
        "adam", "The rule that turns gradients into steps.", search={"choices": ["adam", "adamw", "sgd"]}
    )
    learning_rate: Float = field(
        0.001, "Size of a step before the schedule lowers it.", gt=0, search={"low": 1e-5, "high": 0.1, "log": True}
    )
    weight_decay: Float = field(
        0.0001,
        "Pull of the weights towards zero, against overfitting: an L2 gradient in adam and sgd, decoupled in adamw.",
        ge=0,
        search={"low": 1e-6, "high": 0.1, "log": True},
    )
    momentum: Float = field(
        0.9, "Share of the last step that the next one keeps.", ge=0, lt=1, search={"low": 0.8, "high": 0.98}
    )
    scheduler: Scheduler = field(
        "cosine",
        "How the learning rate falls over the run.",
        search={"choices": ["cosine", "step", "poly", "none"]},
    )
    warmup_epochs: Int = field(
        0,
        "Epochs in which the learning rate rises from near zero; fewer than max_epochs.",
        unit="epochs",
        ge=0,
        search={"low": 0, "high": 5, "step": 1},
    )
    step_size: Int = field(
        10,
        "Epochs between two drops of the learning rate.",
        unit="epochs",
        ge=1,
        search={"low": 5, "high": 30, "step": 5},
    )
    gamma: Float = field(
        0.1, "Factor of the learning rate at each drop.", gt=0, le=1, search={"low": 0.05, "high": 0.5, "log": True}
    )
    milestones: Epochs = field(
        (),
        "The epochs at which the learning rate drops.",
        unit="epochs",
        allowed="an ascending list of integers >= 1, such as [30,40]",
    )
    poly_power: Float = field(
        0.9, "Power of the polynomial decay; 1 is a straight line.", gt=0, search={"low": 0.5, "high": 2.0}
    )
    batch_size: Int = field(
        32,
        "Images that one step learns from; more need more memory and give fewer steps an epoch.",
        unit="images",
        hint="run.accumulate=N takes N batches a step",
        ge=1,
        le=256,
        search={"choices": [8, 16, 32, 64, 128]},
    )
    max_epochs: Int = field(50, "Passes over the training split at most.", unit="epochs", ge=1, le=1000)
    early_stopping_patience: Int = field(
        10,
        "Epochs with neither a better metric nor a lower validation loss before the run stops; 0 = never.",
        unit="epochs",
        ge=0,
        le=100,
    )
    loss: str = field(
        "cross_entropy",
        "What is minimised; each task has its own list.",
        allowed="the name of a loss",
        min_length=1,
        pattern=NAME,
        search={"choices": "task"},
    )
    dropout: Float = field(
        0.0,
        "Share of features that the head drops while it learns, against overfitting.",
        ge=0,
        le=0.9,
        search={"low": 0.0, "high": 0.5},
    )


Condition = Mapping[str, tuple[str | bool, ...]]
LEARNS: Condition = {"gradient": (True,)}

# Field -> what must hold for anything to read it. `drops` and `gradient` are no fields but facts of the model, as
# `visrun.tables.ModelEntry` has them. `visrun.config.setting_rules.READ_WHEN` goes on with the settings.
READ_WHEN: dict[str, Condition] = {
    "optimizer": LEARNS,
    "learning_rate": LEARNS,
    "weight_decay": LEARNS,
    "momentum": {**LEARNS, "optimizer": ("sgd",)},
    "scheduler": LEARNS,
    "warmup_epochs": LEARNS,
    "step_size": {**LEARNS, "scheduler": ("step",)},
    "gamma": {**LEARNS, "scheduler": ("step", "multistep")},
    "milestones": {**LEARNS, "scheduler": ("multistep",)},
    "poly_power": {**LEARNS, "scheduler": ("poly",)},
    "max_epochs": LEARNS,
    "early_stopping_patience": LEARNS,
    "loss": LEARNS,
    "dropout": {"drops": (True,)},
}
WORDS = {
    ("drops", True): "the model has a head that drops",
    ("gradient", True): "the model learns by gradient steps",
    ("losses", True): "the model takes any loss",
    ("data.tile", True): "data.tile is set",
    ("data.fold", False): "data.fold is not set",
    ("model.weights", False): "model.weights is not set",
}
# Facts that are lists -> the choice that has them, and each of its options' list; a condition wants one of a list.
OWNERS: dict[str, tuple[str, Callable[[], Mapping[str, Collection[str]]]]] = {
    "mixes": ("task", lambda: {name: entry.mixes for name, entry in TASKS.items()}),
    "options": ("model", lambda: {name: entry.options for name, entry in MODELS.items()}),
    "loss_options": ("loss", losses_by_options),
    "extras": ("augment.extra", lambda: {f"[{name}]": asked_by_extras([name]) for name in AUGMENTATIONS}),
}


def defaults() -> dict[str, Any]:
    """The schema's own values, the lowest layer of the precedence, as plain JSON types."""
    return Hyperparameters().model_dump(mode="json")


def facts_of(values: Mapping[str, Any] | Hyperparameters, model: ModelEntry | None = None) -> dict[str, Any]:
    """All that decides what is read: the values, and what is known of the model (None: a usual one)."""
    known: dict[str, Any] = {"drops": True, "gradient": True, "losses": True, "options": ()}
    if model is not None:
        known = {name: getattr(model, name) for name in known} | {"losses": model.losses is None}
    return {**_mapping(values), **known}


def missing(condition: Condition, facts: Mapping[str, Any]) -> list[str]:
    """What of a condition does not hold, in words: ``optimizer=sgd``; what is not known is taken to hold."""
    return [say(key, wanted) for key, wanted in condition.items() if key in facts and not _holds(key, wanted, facts)]


def _holds(key: str, wanted: tuple[str | bool, ...], facts: Mapping[str, Any]) -> bool:
    return any(name in facts[key] for name in wanted) if key in OWNERS else facts[key] in wanted


def say(key: str, wanted: tuple[str | bool, ...]) -> str:
    """A part of a condition in words."""
    if key in OWNERS:
        choice, lists = OWNERS[key]
        return f"{choice}={one_of([name for name, has in lists().items() if set(wanted) & set(has)])}"
    known = WORDS.get((key, wanted[0])) if isinstance(wanted[0], bool) else None
    return known or f"{key.removesuffix('.name')}={one_of([str(value) for value in wanted])}"


def losses_of(task: str, model: ModelEntry) -> tuple[str, ...]:
    """The losses of a task that a model honours."""
    return tuple(loss for loss in TASKS[task].losses if model.losses is None or loss in model.losses)


def all_losses() -> tuple[str, ...]:
    """The losses of all tasks, each once."""
    return tuple(dict.fromkeys(loss for entry in TASKS.values() for loss in entry.losses))


def unread(values: Mapping[str, Any] | Hyperparameters, *, model: ModelEntry | None = None) -> tuple[str, ...]:
    """The fields that a run of ``model`` with these values does not read, in the schema's order."""
    facts = facts_of(values, model)
    return tuple(name for name, condition in READ_WHEN.items() if missing(condition, facts))


class Findings(NamedTuple):
    """What a check found: problems stop a run, warnings are said."""

    problems: tuple[Line, ...]
    warnings: tuple[Line, ...]


def check(values: Mapping[str, Any] | Hyperparameters, *, task: str, model: ModelEntry) -> Findings:
    """The rules between fields, and between fields and the run's task and model.

    Args:
        values: All fields, each valid by itself.
        task: A name of :data:`visrun.tables.TASKS`; an unknown one has no list of losses to check against.
        model: The facts of the run's model.
    """
    given = _mapping(values)
    problems = [*_schedule_problems(given), *_loss_problems(given["loss"], task, model)]
    return Findings(tuple(problems), tuple(_schedule_warnings(given)))


def _mapping(values: Mapping[str, Any] | Hyperparameters) -> Mapping[str, Any]:
    return values.model_dump() if isinstance(values, Hyperparameters) else values


def _schedule_problems(values: Mapping[str, Any]) -> list[Line]:
    problems = []
    warmup, epochs, milestones = values["warmup_epochs"], values["max_epochs"], values["milestones"]
    if warmup >= epochs:
        told = f"warmup_epochs={warmup}: must be below max_epochs={epochs}"
        problems.append(Line(told, ("warmup_epochs", "max_epochs")))
    if values["scheduler"] == "multistep" and not milestones:
        told = "milestones=[]: scheduler=multistep needs at least one, such as milestones=[30,40]"
        problems.append(Line(told, ("milestones", "scheduler")))
    return problems


def _loss_problems(loss: str, task: str, model: ModelEntry) -> list[Line]:
    if task not in TASKS:
        return []
    of_task = tuple(TASKS[task].losses)
    if loss not in of_task:
        return [Line(f"loss={show(loss)}: task={task} takes {one_of(of_task)}", ("loss", "task"), "unfit")]
    honoured = losses_of(task, model)
    if task in model.tasks and loss not in honoured:  # that a model is another task's is said elsewhere
        told = f"loss={show(loss)}: this model takes {one_of(honoured) if honoured else 'no loss of this task'}"
        return [Line(told, ("loss", "task", "model.name"), "unfit")]
    return []


def _schedule_warnings(values: Mapping[str, Any]) -> list[Line]:
    warnings = []
    warmup, epochs = values["warmup_epochs"], values["max_epochs"]
    milestones = [] if "milestones" in unread(values) else list(values["milestones"])
    drops = {"step": [values["step_size"]], "multistep": milestones}.get(values["scheduler"], [])
    if drops and warmup >= drops[0] and values["gamma"] < 1:
        never = "so the full learning rate is never reached"
        told = f"warmup_epochs={warmup}: the schedule drops first at epoch {drops[0]}, {never}"
        warnings.append(Line(told, ("warmup_epochs", "scheduler", "step_size", "milestones")))
    late = [milestone for milestone in milestones if milestone >= epochs]
    if late:
        told = f"milestones={show(milestones)}: {show(late)} never come, the run ends at max_epochs={epochs}"
        warnings.append(Line(told, ("milestones", "max_epochs")))
    return warnings
