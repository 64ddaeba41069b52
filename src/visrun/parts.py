"""From a resolved configuration to the objects of a run. Below this page nothing sees the configuration any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from visrun import chance, models
from visrun.advice import tell_of_scratch, warn_of_classes, warn_of_few_steps, warn_of_random, warn_of_unread, why_eager
from visrun.build import call, load, narrow, reads
from visrun.config.configured import Configured
from visrun.config.entries import half_deciding
from visrun.config.fields import show
from visrun.config.setting_rules import fit_of
from visrun.config.settings import Settings
from visrun.console import Screen
from visrun.data.batches import Batches, NoSteps
from visrun.data.look import Look
from visrun.data.records import Dataset
from visrun.data.size import training_size
from visrun.data.targets import class_weights
from visrun.device import choose_device, choose_precision, configure, place
from visrun.errors import ConfigError
from visrun.feeding import build_loaders, look_of, reference_of, seen_sizes
from visrun.loaders import packed
from visrun.memory import setting_up
from visrun.models import Built, Settling
from visrun.models.probe import output_problem
from visrun.optimizers import build_optimizer
from visrun.schedulers import build_scheduler
from visrun.step import Step
from visrun.tables import TARGETS, TASKS, TaskEntry, model_entry
from visrun.tables.entries import typed
from visrun.tables.losses import require_given
from visrun.tasks.base import Metric, Task

FEW = 10_000  # parameters from which on they are told in millions


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything that a run trains with.

    ``entry`` says which metric chooses the best epoch. ``model_facts`` is what best.pt says of the model beside its
    weights; ``notes`` are facts that were settled while building (image size, where the weights come from, where images
    are kept) and go into experiment.json. ``lessons`` are the batches of training steps, none for a model that learns
    without; ``reference`` are the good training images as evaluation sees them, where the model measures itself on
    them; ``epochs`` is how many there are at most, ``warmup_epochs`` how many of them warm up.
    """

    dataset: Dataset
    task: Task
    entry: TaskEntry
    metric: Metric
    built: Built
    loaders: dict[str, Batches]
    lessons: Batches | NoSteps
    step: Step
    scheduler: Any
    device: torch.device
    precision: str
    model_facts: dict[str, Any]
    notes: dict[str, Any]
    reference: Batches | None = None
    epochs: int = 1
    warmup_epochs: int = 0

    @property
    def kept(self) -> int:
        """Bytes that the decoded images take on the GPU."""
        return sum(made.images.nbytes for made in self.loaders.values() if made.images.place == "gpu")

    def portrait(self) -> dict[str, Any]:
        """What best.pt says beside the weights, in plain types: all that predictions need, with what the task has
        decided until now, such as thresholds."""
        return {**self.model_facts, "task_state": self.task.state()}


def build(
    resolved: Configured,
    dataset: Dataset,
    screen: Screen,
    *,
    alone: bool = True,
    begun: Mapping[str, Any] | None = None,
) -> Parts:
    """Model, task, data loaders, optimizer and schedule of a run, which stands ``alone`` or is part of a sweep.

    One that goes on, whose weights are loaded later, tells how it has ``begun``: :meth:`visrun.models.Built.begun`.
    Raises OutOfMemory, too.
    """
    device = choose_device(resolved.settings.run.device)
    with setting_up(device):
        settings, values, run = resolved.settings, resolved.hyperparameters, resolved.settings.run
        facts = model_entry(settings.model.name)
        precision = choose_precision(run.precision, device)
        configure(device, deterministic=run.deterministic, static_shapes=facts.static_shapes, exact=not facts.gradient)
        warn_of_unread(resolved, dataset, device, screen)
        size = size_of(settings, dataset)
        chance.seed(settings.seed)
        task = build_task(resolved, dataset, device)
        built = build_network(resolved, task, size, begun)
        where = f"data.image_size={typed(size)}, on {device} in {precision}"
        _introduce(resolved, task, built, screen, where=where, fresh=begun is None)
        look = look_of(settings, built, size, dataset.white)
        loaders, places = build_loaders(resolved, dataset, look, device=device, screen=screen)
        if alone and facts.gradient and built.is_random:
            warn_of_few_steps(resolved, loaders["train"], screen)
            tell_of_scratch(resolved, loaders["train"], screen)
        reference = reference_of(resolved, dataset, look, device=device) if isinstance(built.module, Settling) else None
        lessons = loaders["train"] if facts.gradient else NoSteps()
        place(built.module, device)
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
            entry=TASKS[settings.task].judged_by(run.monitor),
            metric=task.metric(),
            built=built,
            loaders=loaders,
            lessons=lessons,
            step=step,
            scheduler=scheduler,
            device=device,
            precision=precision,
            model_facts=facts_of_model(resolved, task, look),
            notes=notes,
            reference=reference,
            epochs=values.max_epochs if facts.gradient else 1,
            warmup_epochs=values.warmup_epochs,
        )


def size_of(settings: Settings, dataset: Dataset) -> tuple[int, int]:
    """(height, width) of the images that are trained on."""
    facts = model_entry(settings.model.name)
    return training_size(
        settings.data.image_size,
        usual=facts.image_size or TASKS[settings.task].image_size,
        multiple=facts.multiple,
        smallest=facts.smallest,
        fixed=facts.fixed_size,
        square=facts.square,
        whole=fit_of(settings) != "crop",
        sizes=seen_sizes(settings, dataset),
    )


def build_network(
    resolved: Configured, task: Task, size: tuple[int, int], begun: Mapping[str, Any] | None = None
) -> Built:
    """The network with the weights that it begins with; where it has ``begun`` already, with random ones.

    Raises:
        ConfigError: Its output is none that the task takes; and as :func:`visrun.models.create`.
    """
    settings, fresh = resolved.settings, begun is None
    built = models.create(
        settings.model.name,
        num_outputs=task.num_outputs,
        image_size=size,
        dropout=resolved.hyperparameters.dropout,
        pretrained=fresh and settings.model.pretrained,
        weights=Path(settings.model.weights) if fresh and settings.model.weights else None,
        freeze=settings.model.freeze,
        begun=begun,
        target=TASKS[settings.task].target,
        options=options_of(settings),
    )
    outputs = TASKS[settings.task].outputs
    if outputs and (
        problem := output_problem(built.module, outputs=outputs, num_outputs=task.num_outputs, image_size=size)
    ):
        raise ConfigError(f"model={settings.model.name}: {problem}, which task={settings.task} needs")
    return built


def _introduce(resolved: Configured, task: Task, built: Built, screen: Screen, *, where: str, fresh: bool) -> None:
    """Say which network a run has and ``where``, and what is doubtful about it, its weights only of a ``fresh`` one."""
    settings, count = resolved.settings, count_parameters(built.module)
    size = f"{count / 1e6:.2f} M" if count >= FEW else f"{count:,}"
    screen.say(f"model: {settings.model.name}, {size} parameters, weights {built.origin}; {where}")
    if fresh:
        warn_of_random(resolved, built, screen)
    warn_of_classes(settings, built.classes, task.state().get("classes") or (), screen)


def facts_of_model(resolved: Configured, task: Task, look: Look) -> dict[str, Any]:
    """What stays of :meth:`Parts.portrait` while a run trains."""
    settings = resolved.settings
    return {
        "task": settings.task,
        "network": {
            "name": settings.model.name,
            "num_outputs": task.num_outputs,
            "dropout": resolved.hyperparameters.dropout,
            "options": options_of(settings),
        },
        **look.plain(),
    }


def options_of(settings: Settings) -> dict[str, Any]:
    """The options that the model reads."""
    options = settings.model_options.model_dump(mode="json")
    return {name: options[name] for name in model_entry(settings.model.name).options}


def build_task(resolved: Configured, dataset: Dataset, device: torch.device) -> Task:
    """The task object with its loss, class names and target statistics.

    Raises:
        ConfigError: Classes are to be weighed, and neither the loss nor the task does so; a plugin's loss asks for what
            nothing gives, or has parameters; its task has half of what thresholds need.
    """
    settings, values = resolved.settings, resolved.hyperparameters
    entry = TASKS[settings.task]
    loss, build = load(entry.losses[values.loss]), load(entry.build)
    if isinstance(loss, nn.Module) and any(p.requires_grad for p in loss.parameters()):
        raise ConfigError(f"loss={values.loss}: has parameters, which nothing would train: let the model have them")
    weights: Tensor | None = None
    if TARGETS[entry.target].classes:
        weights = class_weights(settings.data.class_weights, dataset.counts["train"], dataset.classes)
    if weights is not None and "weight" not in reads(loss) and "class_weight" not in reads(build):
        wanted = show(settings.data.class_weights)
        raise ConfigError(f"data.class_weights={wanted}: loss={values.loss} weighs all classes alike; take none")
    options = {**settings.loss_options.model_dump(), "weight": None if weights is None else weights.to(device)}
    require_given(values.loss, task=settings.task)
    everyone = [row.target for row in dataset.splits["train"]]
    offered = {
        "classes": dataset.classes,
        "ids": dataset.mask_ids,
        "multilabel": dataset.multilabel,
        "targets": dataset.targets,
        "values": packed(dataset, everyone, None, kind=entry.target) if dataset.targets else None,
        "class_weight": options["weight"],
        "loss": narrow(loss, options),
    }
    task: Task = call(build, offered)
    if lacking := half_deciding(task):
        raise ConfigError(f"task={settings.task}: {lacking}")
    return task


def build_step(
    resolved: Configured, task: Task, built: Built, device: torch.device, precision: str, *, steps_per_epoch: int
) -> tuple[Step, Any]:
    """The optimizer step and the learning-rate schedule."""
    settings, run = resolved.settings, resolved.settings.run
    refused = why_eager(settings)
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
        graph=run.graph is not False and not refused,
        refused=refused,
    )
    return step, build_scheduler(optimizer, config, steps_per_epoch=max(1, steps_per_epoch))


def count_parameters(module: nn.Module) -> int:
    """How many numbers a network has that training can change; frozen ones count too."""
    return sum(parameter.numel() for parameter in module.parameters())
