"""From a resolved configuration to the objects of a run. Below this page nothing sees the configuration any more."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visrun import models
from visrun.build import call, load, reads
from visrun.compose import Resolved
from visrun.console import Screen, counter
from visrun.data import demo, records
from visrun.data.augment import Augment, fitting
from visrun.data.batches import Batches, NoSteps
from visrun.data.geometry import Fit
from visrun.data.records import Dataset
from visrun.data.size import training_size
from visrun.data.targets import class_weights
from visrun.device import choose_device, choose_precision, configure
from visrun.folders import cache_folder
from visrun.loaders import Keep, Look, packed, split_batches, where_kept
from visrun.models import Built, Settling
from visrun.optimizers import build_optimizer
from visrun.schedulers import build_scheduler
from visrun.settings import Settings
from visrun.step import Step
from visrun.tables import AUGMENTATIONS, TASKS, model_entry
from visrun.tasks.base import Metric, Task


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything that a run trains with.

    ``portrait`` is what best.pt says of the model beside its weights; ``notes`` are facts that were settled while
    building (image size, where the weights come from, where images are kept) and go into experiment.json.
    ``lessons`` are the batches of training steps, none for a model that learns without; ``reference`` are the good
    training images as evaluation sees them, where the model measures itself on them; ``epochs`` is how many there are
    at most.
    """

    dataset: Dataset
    task: Task
    metric: Metric
    built: Built
    loaders: dict[str, Batches]
    lessons: Batches | NoSteps
    step: Step
    scheduler: Any
    device: torch.device
    precision: str
    portrait: dict[str, Any]
    notes: dict[str, Any]
    reference: Batches | None = None
    epochs: int = 1


def read_dataset(settings: Settings, screen: Screen, *, training: bool = True) -> Dataset:
    """The dataset of a run, checked; prints what was found."""
    data = settings.data
    root = demo.build(settings.task, cache_folder() / "demo") if data.name == "demo" else data.root
    assert root is not None, "validated: only the demo needs no data.root"
    dataset = records.read(
        root,
        task=settings.task,
        reader="auto" if data.name == "demo" else data.name,
        classes=data.classes,
        val_fraction=data.val_fraction,
        seed=settings.seed,
        on_bad=data.on_bad,
        training=training,
        progress=counter(screen, "checking files"),
    )
    screen.end_progress()
    screen.say(records.describe(dataset))
    for warning in dataset.warnings:
        screen.warn(warning)
    return dataset


def build(resolved: Resolved, dataset: Dataset, screen: Screen) -> Parts:
    """Model, task, data loaders, optimizer and schedule of a run."""
    settings, values = resolved.settings, resolved.hyperparameters
    entry, facts = TASKS[settings.task], model_entry(settings.model.name)
    device = choose_device(settings.run.device)
    precision = choose_precision(settings.run.precision, device)
    configure(device, deterministic=settings.run.deterministic)
    size = training_size(
        settings.data.image_size,
        usual=facts.image_size or entry.image_size,
        multiple=facts.multiple,
        fixed=facts.fixed_size,
        whole=fit_of(settings) != "crop",
        sizes=seen_sizes(settings, dataset),
    )
    torch.manual_seed(settings.seed)
    task = build_task(resolved, dataset, device)
    built = models.create(
        settings.model.name,
        num_outputs=task.num_outputs,
        image_size=size,
        dropout=values.dropout,
        pretrained=settings.model.pretrained,
        weights=Path(settings.model.weights) if settings.model.weights else None,
        freeze=settings.model.freeze,
        target=entry.target,
        options=options_of(settings),
    )
    screen.say(f"model: {settings.model.name}, {count_parameters(built):.2f} M parameters, weights {built.origin}")
    look = look_of(settings, built, size)
    loaders, places = build_loaders(resolved, dataset, look, device=device, screen=screen)
    reference = reference_of(resolved, dataset, look, device=device) if isinstance(built.module, Settling) else None
    lessons = loaders["train"] if facts.gradient else NoSteps()
    built.module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    step, scheduler = build_step(resolved, task, built, device, precision, steps_per_epoch=len(lessons))
    notes = {
        "image_size": list(size),
        "weights": built.origin,
        "images": places,
        "device": str(device),
        "precision": precision,
        "skipped": [*dataset.skipped, *(line for loader in loaders.values() for line in loader.images.bad)],
    }
    return Parts(
        dataset=dataset,
        task=task,
        metric=task.metric(),
        built=built,
        loaders=loaders,
        lessons=lessons,
        step=step,
        scheduler=scheduler,
        device=device,
        precision=precision,
        portrait=portrait(resolved, task, look),
        notes=notes,
        reference=reference,
        epochs=values.max_epochs if facts.gradient else 1,
    )


def seen_sizes(settings: Settings, dataset: Dataset) -> list[tuple[int, int]]:
    """(width, height) of what the network is trained on: whole images, or their tiles."""
    most = settings.data.tile or sys.maxsize
    sizes = (dataset.sizes[record.image] for record in dataset.splits["train"])
    return [(min(wide, most), min(high, most)) for wide, high in sizes]


def portrait(resolved: Resolved, task: Task, look: Look) -> dict[str, Any]:
    """What best.pt says beside the weights, in plain types: all that predictions need."""
    settings = resolved.settings
    return {
        "task": settings.task,
        "task_state": task.state(),
        "network": {
            "name": settings.model.name,
            "num_outputs": task.num_outputs,
            "dropout": resolved.hyperparameters.dropout,
            "options": options_of(settings),
        },
        "image_size": list(look.image_size),
        "fit": look.fit,
        "mean": list(look.mean),
        "std": list(look.std),
        "tile": look.tile,
        "overlap": look.overlap,
    }


def options_of(settings: Settings) -> dict[str, Any]:
    """The options of a model that reads them; {} of others."""
    return {} if model_entry(settings.model.name).gradient else settings.model_options.model_dump(mode="json")


def fit_of(settings: Settings) -> Fit:
    """How an image meets the training size: the user's word, else the task's."""
    return settings.data.resize or TASKS[settings.task].fit


def build_task(resolved: Resolved, dataset: Dataset, device: torch.device) -> Task:
    """The task object with its loss, class names and target statistics."""
    settings, values = resolved.settings, resolved.hyperparameters
    entry = TASKS[settings.task]
    weights: Tensor | None = None
    if dataset.classes and entry.target != "verdict":
        weights = class_weights(settings.data.class_weights, dataset.counts["train"], dataset.classes)
    options = {**settings.loss_options.model_dump(), "weight": None if weights is None else weights.to(device)}
    everyone = [row.target for row in dataset.splits["train"]]
    offered = {
        "classes": dataset.classes,
        "multilabel": dataset.multilabel,
        "targets": dataset.targets,
        "values": packed(dataset, everyone, None, kind=entry.target) if dataset.targets else None,
        "class_weight": options["weight"],
        "synthetic": not dataset.defects.get("val"),
        "loss": narrow(load(entry.losses[values.loss]), options),
    }
    task: Task = call(load(entry.build), offered)
    return task


def narrow(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    """``function`` with, of ``options``, those that its signature names."""
    return partial(function, **{name: value for name, value in options.items() if name in reads(function)})


def build_loaders(
    resolved: Resolved, dataset: Dataset, look: Look, *, device: torch.device, screen: Screen
) -> tuple[dict[str, Batches], dict[str, str]]:
    """Batches of every split, and a line on where each split's images are kept."""
    settings, values = resolved.settings, resolved.hyperparameters
    kind = TASKS[settings.task].target
    augment, dropped = fitting(Augment(**settings.augment.model_dump(exclude={"name", "extra"})), kind)
    if dropped:
        screen.say(
            f"augment={settings.augment.name}: {', '.join(dropped)} left out, task={settings.task} cannot take it"
        )
    loaders, places = {}, {}
    spoil = load(spoils) if (spoils := TASKS[settings.task].spoil) else None
    for split in dataset.splits:
        training = split == "train"
        made_up = training or (split == "val" and not dataset.defects.get("val"))
        made = split_batches(
            dataset,
            split,
            kind=kind,
            look=look,
            keep=keep_of(settings),
            device=device,
            batch_size=values.batch_size * (settings.run.accumulate if training else 1),
            training=training,
            seed=settings.seed,
            augment=augment if training else None,
            extra=[load(AUGMENTATIONS[name]) for name in settings.augment.extra] if training else (),
            spoil=spoil if made_up else None,
            progress=counter(screen, f"decoding {split}"),
        )
        screen.end_progress()
        for line in made.images.bad:
            screen.warn(f"left out: {line}")
        loaders[split], places[split] = made, where_kept(made.images)
    screen.say("images: " + ", ".join(f"{split} {line}" for split, line in places.items()))
    return loaders, places


def reference_of(resolved: Resolved, dataset: Dataset, look: Look, *, device: torch.device) -> Batches:
    """Batches of the good training images, neither varied nor spoiled."""
    good = tuple(record for record in dataset.splits["train"] if not record.target.defective)
    return split_batches(
        replace(dataset, splits={"train": good}),
        "train",
        kind=dataset.kind,
        look=look,
        keep=keep_of(resolved.settings),
        device=device,
        batch_size=resolved.hyperparameters.batch_size,
    )


def keep_of(settings: Settings) -> Keep:
    """Where the user wants decoded images kept."""
    data = settings.data
    return Keep(
        cache=data.cache,
        cache_gb=data.cache_gb,
        cache_dir=Path(data.cache_dir) if data.cache_dir else None,
        workers=data.workers,
        on_bad=data.on_bad,
    )


def look_of(settings: Settings, built: Built, size: tuple[int, int]) -> Look:
    """How the network sees an image."""
    return Look(
        image_size=size,
        fit=fit_of(settings),
        mean=tuple(built.mean),
        std=tuple(built.std),
        tile=settings.data.tile,
        overlap=settings.data.overlap if settings.data.tile else 0,
    )


def build_step(
    resolved: Resolved, task: Task, built: Built, device: torch.device, precision: str, *, steps_per_epoch: int
) -> tuple[Step, Any]:
    """The optimizer step and the learning-rate schedule."""
    settings, run = resolved.settings, resolved.settings.run
    config = {**resolved.hyperparameters.model_dump(), **settings.optimizer_options.model_dump()}
    learning = [p for p in built.module.parameters() if p.requires_grad]
    learning = learning or [torch.nn.Parameter(torch.zeros(0, device=device))]  # a model that learns without steps
    optimizer = build_optimizer(learning, config)
    step = Step(
        task,
        built.module,
        optimizer,
        device=device,
        precision=precision,
        clip=run.clip,
        accumulate=run.accumulate,
        ema=run.ema if any(p.requires_grad for p in built.module.parameters()) else 0.0,
        graph=run.graph is not False,
    )
    return step, build_scheduler(optimizer, config, steps_per_epoch=max(1, steps_per_epoch))


def count_parameters(built: Built) -> float:
    """Millions of parameters."""
    return sum(p.numel() for p in built.module.parameters()) / 1e6
