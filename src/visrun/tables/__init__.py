"""The tables: the single place where a name on the command line maps to code and to the facts known without that code.

A reference is ``"module:attribute"``, resolved by :func:`visrun.build.load` only when it is used, so that importing the
tables costs nothing; a plugin may put a callable in its place. Adding a task, model, loss or reader is one entry here
(or, from a plugin, one assignment: ``visrun.tables.MODELS["mine"] = ModelEntry(...)``) and one file in ``conf/``.
"""

from __future__ import annotations

from collections.abc import Iterable

from visrun.build import Ref, is_own
from visrun.tables.entries import ModelEntry, ReaderEntry, TaskEntry
from visrun.tables.models import GENERIC_MODEL, MODELS, TIMM, TIMM_MODEL, model_entry, models_of, named_by, timm_name
from visrun.tables.own import SETTINGS, Setting, asked_by
from visrun.tables.readers import READERS
from visrun.tables.targets import TARGETS, TargetEntry
from visrun.tables.tasks import TASKS
from visrun.tables.zoo import torchvision_builders

__all__ = [
    "AUGMENTATIONS",
    "GENERIC_MODEL",
    "MODELS",
    "OPTIMIZERS",
    "READERS",
    "SCHEDULERS",
    "SETTINGS",
    "TARGETS",
    "TASKS",
    "TIMM",
    "TIMM_MODEL",
    "ModelEntry",
    "ReaderEntry",
    "Setting",
    "TargetEntry",
    "TaskEntry",
    "asked_by_extras",
    "layouts_of",
    "learning",
    "model_entry",
    "models_of",
    "named_by",
    "timm_name",
    "torchvision_builders",
]

OPTIMIZERS: dict[str, Ref] = {
    "adam": "visrun.optimizers:adam",
    "adamw": "visrun.optimizers:adamw",
    "sgd": "visrun.optimizers:sgd",
}

SCHEDULERS: dict[str, Ref] = {
    "cosine": "visrun.schedulers:cosine",
    "step": "visrun.schedulers:step",
    "multistep": "visrun.schedulers:multistep",
    "poly": "visrun.schedulers:poly",
    "none": "visrun.schedulers:none",
}

# Batch -> batch, picked by augment.extra; what moves pixels or mixes images is part of the augment section itself.
AUGMENTATIONS: dict[str, Ref] = {
    "blur": "visrun.data.extras:blur",
    "grayscale": "visrun.data.extras:grayscale",
    "noise": "visrun.data.extras:noise",
}


def asked_by_extras(names: Iterable[str]) -> tuple[str, ...]:
    """What augmentations of plugins ask for by name, their settings among it."""
    refs = (AUGMENTATIONS[name] for name in names if isinstance(name, str) and name in AUGMENTATIONS)
    return tuple(asked for ref in refs if not is_own(ref) for asked in asked_by(ref) or ())


def layouts_of(task: str) -> list[str]:
    """The names of ``READERS`` that can serve a task."""
    return [name for name, entry in READERS.items() if TASKS[task].target in entry.served]


def learning(targets: Iterable[str]) -> list[str]:
    """The tasks that learn these kinds of target, in the order of the kinds."""
    return [name for target in targets for name, entry in TASKS.items() if entry.target == target]


def finding(layout: str) -> str:
    """The task that finds the objects whose classes a layout's labels of images are; "" where they are its own."""
    entry = READERS[layout]
    return learning(entry.targets)[0] if entry.derived else ""
