"""From a run's settings to its dataset and to the batches of every split."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from visrun.build import load, narrow, require_filled
from visrun.config.configured import Configured
from visrun.config.setting_rules import entry_of, fit_of, selection
from visrun.config.settings import Settings
from visrun.console import Screen
from visrun.data import demo, records
from visrun.data.augment import Augment, fitting
from visrun.data.batches import Batches, Extra, Vary, shaped
from visrun.data.cache import Keep
from visrun.data.describe import crowded, describe, uneven, unmarked, vanishing, wild
from visrun.data.faults import Undecodable
from visrun.data.look import Look
from visrun.data.records import Dataset
from visrun.data.size import hides_most
from visrun.data.verdicts import is_defective
from visrun.errors import DataError
from visrun.folders import cache_folder
from visrun.loaders import split_batches, where_kept
from visrun.machine import own_cores
from visrun.models import Built
from visrun.tables import AUGMENTATIONS, TASKS, model_entry
from visrun.tables.own import names_in


def read_dataset(settings: Settings, screen: Screen, *, training: bool = True) -> Dataset:
    """The dataset of a run, checked; prints what was found."""
    data = settings.data
    root = demo.build(settings.task, cache_folder() / "demo") if data.name == "demo" else data.root
    assert root is not None, "validated: only the demo needs no data.root"
    learns = model_entry(settings.model.name).gradient
    try:
        dataset = records.read(
            root,
            task=settings.task,
            reader="auto" if data.name == "demo" else data.name,
            training=training,
            progress=screen.progress,
            **selection(settings),
        )
    finally:
        screen.end_progress()
    told = dataset if training else replace(dataset, white=None)  # a finished model has its own
    screen.say(describe(told, learns=learns))
    for warning in dataset.warnings:
        screen.warn(warning)
    return dataset


def seen_sizes(settings: Settings, dataset: Dataset) -> list[tuple[int, int]]:
    """(width, height) of what the network is trained on: whole images, or their tiles."""
    most = settings.data.tile or sys.maxsize
    sizes = (dataset.sizes[record.image] for record in dataset.splits["train"])
    return [(min(wide, most), min(high, most)) for wide, high in sizes]


def look_of(settings: Settings, built: Built, size: tuple[int, int], white: int | None) -> Look:
    """How the network sees an image; ``white`` is that of the dataset."""
    return Look(
        image_size=size,
        fit=fit_of(settings),
        mean=tuple(built.mean),
        std=tuple(built.std),
        tile=settings.data.tile,
        overlap=settings.data.overlap if settings.data.tile else 0,
        white=white,
    )


def build_loaders(
    resolved: Configured, dataset: Dataset, look: Look, *, device: torch.device, screen: Screen
) -> tuple[dict[str, Batches], dict[str, str]]:
    """Batches of every split, and a line on where each split's images are kept.

    Raises:
        DataError: Images that cannot be decoded, of all splits; and what else :func:`split_batches` raises.
    """
    settings, values = resolved.settings, resolved.hyperparameters
    kind = TASKS[settings.task].target
    own = settings.augment.model_dump(include={*names_in("augment")})
    augment, dropped = fitting(Augment(**settings.augment.model_dump(exclude={"name", "extra", *own})), kind)
    if dropped:
        screen.say(
            f"augment={settings.augment.name}: {', '.join(dropped)} left out, task={settings.task} cannot take it"
        )
    for line in _advice(resolved, dataset, look):
        screen.warn(line)
    loaders, places, broken = {}, {}, list[str]()
    pixels = entry_of(settings.model.name, settings.task).pixels
    offered = {"mean": look.mean, "std": look.std, **own}
    extra = [_extra(name, offered) for name in settings.augment.extra]
    spoil = load(spoils) if (spoils := TASKS[settings.task].spoil) else None
    for split in dataset.splits:
        training = split == "train"
        made_up = training or (split == "val" and not dataset.defects.get("val"))
        vary = Vary(
            training=training,
            seed=settings.seed,
            augment=augment if training else None,
            extra=extra if training else (),
            spoil=spoil if made_up else None,
        )
        try:
            made = split_batches(
                dataset,
                split,
                look,
                keep_of(settings),
                vary,
                batch_size=values.batch_size * (settings.run.accumulate if training else 1),
                device=device,
                unmarked=not pixels,
                progress=partial(screen.progress, f"decoding {split}"),
            )
        except Undecodable as error:
            broken.append(f"{split}: {error}")
            continue
        finally:
            screen.end_progress()
        for line in made.images.bad:
            screen.warn(f"left out: {line}")
        loaders[split], places[split] = made, where_kept(made.images)
    if broken:
        raise DataError("\n".join(broken))
    kept = ", ".join(f"{split} {line}" for split, line in places.items())
    screen.say(f"{'tiles' if settings.data.tile else 'images'}: {kept}")
    return loaders, places


def _advice(resolved: Configured, dataset: Dataset, look: Look) -> list[str]:
    """A line for what cannot be learnt from the data so, and for each default that suits them badly."""
    settings = resolved.settings
    model = settings.model.name
    lines = unmarked(dataset, model) if entry_of(model, settings.task).pixels else []
    lines += [*crowded(dataset, look.windows), *vanishing(dataset, look)]
    lines += wild(dataset) if resolved.hyperparameters.loss == "mse" else []
    if settings.data.class_weights == "none" and settings.run.monitor is None:
        lines += uneven(dataset)
    crops = look.fit == "crop" and settings.data.resize is None
    if crops and hides_most(look.image_size, seen_sizes(settings, dataset)):
        told = "less than half of most images fits into the training image, which shows their middle"
        lines.append(f"{told}: data.resize=letterbox shows all of them")
    return lines


def _extra(name: str, offered: Mapping[str, Any]) -> Extra:
    """An augmentation of the table with what its signature asks for."""
    augment = load(AUGMENTATIONS[name])
    require_filled(f"augment.extra={name}", augment, offered, ("images", "generator"))
    return shaped(name, narrow(augment, offered))


def reference_of(resolved: Configured, dataset: Dataset, look: Look, *, device: torch.device) -> Batches:
    """Batches of the training images that show no defect, neither varied nor spoiled."""
    good = tuple(record for record in dataset.splits["train"] if not is_defective(record.target))
    only, size = replace(dataset, splits={"train": good}), resolved.hyperparameters.batch_size
    return split_batches(only, "train", look, keep_of(resolved.settings), batch_size=size, device=device)


def keep_of(settings: Settings) -> Keep:
    """Where the user wants decoded images kept."""
    data = settings.data
    return Keep(
        cache=data.cache,
        cache_gb=data.cache_gb,
        cache_dir=Path(data.cache_dir) if data.cache_dir else None,
        workers=data.workers,
        cores=own_cores(),
        on_bad=data.on_bad,
    )
