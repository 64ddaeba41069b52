"""What is said of a run whose weights or steps hardly suit what it is to learn, or do not, or are not the quickest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from visrun.config.configured import Configured
from visrun.config.fields import show
from visrun.config.setting_rules import facts_of, is_read
from visrun.config.settings import Settings
from visrun.console import Screen
from visrun.data.batches import Batches
from visrun.data.records import Dataset
from visrun.device import has_amx
from visrun.errors import ConfigError
from visrun.models import Built
from visrun.tables import TASKS, model_entry
from visrun.tables.entries import typed
from visrun.text import plural

ENOUGH_STEPS = 300  # below which networks from random weights were seen to stay near chance
SMALLER = (128, 64, 32, 16, 8, 4)  # batch sizes to advise; BatchNorm learns little from fewer images
MOST_OF_FEW = 2000  # images; with 111 to 205 the recipes for random weights were measured
FINE_TUNE = "fine_tune"  # the recipe whose learning rate is one for pretrained weights


def warn_of_unread(resolved: Configured, dataset: Dataset, device: torch.device, screen: Screen) -> None:
    """Say which typed values this dataset or this device leaves unread; the rules between settings know neither."""
    data, run, why = resolved.settings.data, resolved.settings.run, {}
    if dataset.own_val:
        told = "the dataset has a val split of its own; data.fold=1/5 makes another"
        why["data.val_fraction"] = f"data.val_fraction={show(data.val_fraction)} is not read: {told}"
    if run.graph is True and device.type != "cuda":
        why["run.graph"] = (
            f"run.graph=true is not read: there are CUDA graphs on a GPU alone, and this run is on {device}"
        )
    facts = facts_of(resolved.hyperparameters, resolved.settings)
    for key, line in why.items():
        if resolved.sources.get(key) == "you" and is_read(key, facts):
            screen.warn(line)


def warn_of_random(resolved: Configured, built: Built, screen: Screen) -> None:
    """Say where features stay those of random weights, or are trained in steps that only suit others."""
    settings, facts = resolved.settings, model_entry(resolved.settings.model.name)
    if not built.is_random:
        return
    remedy = "give model.weights=FILE, or model.pretrained=true where they can be had"
    if not facts.gradient:
        what = f"model={settings.model.name} compares features of random weights, which say little of an image"
    elif settings.model.freeze == "backbone":
        what = "model.freeze=backbone freezes random weights, on which a head learns next to nothing"
    elif settings.recipe == FINE_TUNE and resolved.sources["learning_rate"] == "file":
        rate = show(resolved.hyperparameters.learning_rate)
        what = f"recipe={FINE_TUNE}: its learning_rate={rate} is meant for pretrained weights, and these are random"
        remedy += ", or leave the recipe out"
    elif built.missed:
        what = (
            f"model.pretrained=auto: no weights were to be had, so model={settings.model.name} starts from random ones"
        )
        remedy = "model.weights=FILE gives it others, and model.pretrained=false says that these are meant"
    else:
        return
    screen.warn(f"{what}; {remedy}")


def warn_of_classes(settings: Settings, former: Sequence[str], classes: Sequence[str], screen: Screen) -> None:
    """Say where a last layer that fits by its size begins with other classes."""
    if len(former) != len(classes):  # a new layer
        return
    for number, (before, now) in enumerate(zip(former, classes, strict=True), start=1):
        if before != now:
            screen.warn(
                f"model.weights={settings.model.weights}: its classes are taken by their places, and others are there: "
                f"number {number} was {before} and is {now} here"
            )
            return


def warn_of_few_steps(resolved: Configured, train: Batches, screen: Screen) -> None:
    """Say that steps are few to learn from random weights, and what helps, unless the user chose how long it lasts."""
    settings, values = resolved.settings, resolved.hyperparameters
    epochs, accumulate, images = values.max_epochs, settings.run.accumulate, len(train.images)
    chosen = resolved.sources.get("max_epochs") not in ("task", "schema") or settings.recipe or settings.run.max_time
    if len(train) * epochs >= ENOUGH_STEPS or chosen or settings.data.name == "demo":
        return
    steps = {size: -(-images // (size * accumulate)) * epochs for size in SMALLER if size < values.batch_size}
    remedies = [f"batch_size={size} ({many} steps)" for size, many in steps.items() if many >= ENOUGH_STEPS][:1]
    remedies += [f"max_epochs={-(-ENOUGH_STEPS // len(train))}"]
    remedies += ["early_stopping_patience=0"] * (values.early_stopping_patience > 0)
    remedies += ["model.pretrained=true"] * model_entry(settings.model.name).pretrained
    screen.warn(
        f"{plural(images, 'training image')} give {plural(len(train), 'step')} an epoch and {len(train) * epochs} in "
        f"all, which are few to learn from random weights: try {', '.join(remedies)} or model.weights=FILE"
    )


def tell_of_scratch(resolved: Configured, train: Batches, screen: Screen) -> None:
    """Name the task's recipe for random weights and few images, unless the user chose one or how steps are taken."""
    settings = resolved.settings
    recipe, own = TASKS[settings.task].scratch, {resolved.sources.get(key) for key in ("optimizer", "learning_rate")}
    measured = model_entry(settings.model.name).static_shapes and len(train.images) <= MOST_OF_FEW
    if recipe and measured and not (settings.recipe or own & {"you", "file"} or settings.data.name == "demo"):
        screen.say(
            f"weights are random and images few: recipe={recipe} learns more from them than the task's own values do"
        )


def tell_of_bf16(settings: Settings, module: nn.Module, device: torch.device, screen: Screen) -> None:
    """Say that a CPU which multiplies bf16 itself would be quicker; by ``auto`` all CPUs give much the same figures."""
    if settings.run.precision == "auto" and has_amx(device) and not _has_depthwise(module):
        screen.say("this CPU multiplies bf16 itself: run.precision=bf16 makes a step up to twice as quick")


def _has_depthwise(module: nn.Module) -> bool:
    """Whether there are convolutions of single channels, as in MobileNet: they are no products of matrices."""
    convolutions = (part for part in module.modules() if isinstance(part, nn.Conv2d))
    return any(part.groups == part.in_channels > 1 for part in convolutions)


def why_eager(settings: Settings) -> str:
    """Why ``run.graph=auto`` tries no CUDA graph; "" where it does, and for a model without steps."""
    run, facts = settings.run, model_entry(settings.model.name)
    if run.graph != "auto" or not facts.gradient:
        return ""
    if not facts.static_shapes:
        return f"the shapes within a step of model={settings.model.name} follow from the images"
    return "run.deterministic=true" if run.deterministic else ""


def one_value(settings: Settings, size: Sequence[int]) -> ConfigError:
    """The line for batches of one image in a network that ends in a map of one pixel, of which BatchNorm has no spread.

    Args:
        size: (height, width) of the training images.
    """
    return ConfigError(
        f"batch_size=1: BatchNorm in model={settings.model.name} has one value a channel at "
        f"data.image_size={typed(size)}; take batch_size=2 or more (run.accumulate does not help), or another model; "
        "mostly a larger image helps, too"
    )
