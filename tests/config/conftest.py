"""A folder with a plugin that brings a model, a loss, a reader, an augmentation and an eighth task."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from visrun.tables import AUGMENTATIONS, MODELS, READERS, SETTINGS, TASKS

ZOO = """
from visrun.tables import AUGMENTATIONS, MODELS, READERS, SETTINGS, TASKS, ModelEntry, ReaderEntry, Setting, TaskEntry

SERVED = ("classification", "counting")
TASKS["counting"] = TaskEntry(build="zoo_plugin:Counting", metrics={"mae": False}, fit="letterbox",
                              losses={"poisson": "zoo_plugin:poisson"}, image_size=64, target="value")
TASKS["classification"].losses["poly"] = "zoo_plugin:poly"
MODELS["counter"] = ModelEntry(build="zoo_plugin:counter", tasks=SERVED, parameters=0.1, speed=3, accuracy=1)
MODELS["counter2"] = ModelEntry(build="zoo_plugin:counter", tasks=SERVED, parameters=0.1, speed=3, accuracy=1)
READERS["labels"] = ReaderEntry(read="zoo_plugin:read", recognise="zoo_plugin:recognise", targets=("label", "value"))
MODELS["counter3"] = ModelEntry(
    build="zoo_plugin:counter", tasks=SERVED, parameters=0.1, speed=3, accuracy=1, options=("width",)
)
AUGMENTATIONS["invert"] = "zoo_plugin:invert"
SETTINGS["loss_options.epsilon"] = Setting(1.0, "PolyLoss: weight of its first term.", ge=-1)
SETTINGS["loss_options.kind"] = Setting("soft", "PolyLoss: which one.", choices=("soft", "hard"))
SETTINGS["model_options.width"] = Setting(32, "Counter: its channels.", ge=1, le=512, unit="channels")
SETTINGS["augment.inverted"] = Setting(0.3, "Invert: share of the images.", ge=0, le=1)
SETTINGS["augment.loud"] = Setting(False, "Invert: as a flag.")


def poisson(prediction, target):
    raise AssertionError


def poly(prediction, target, weight, epsilon, kind):
    raise AssertionError


def invert(images, generator, *, inverted, loud):
    raise AssertionError
"""


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file ``zoo_plugin.py`` in the working folder; what is imported from it is forgotten afterwards."""
    file = tmp_path / "zoo_plugin.py"
    file.write_text(ZOO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    store, tables = ConfigStore.instance(), (AUGMENTATIONS, MODELS, READERS, SETTINGS, TASKS)
    options = {group: dict(store.repo.get(group, {})) for group in ("data", "loss", "model", "task")}
    entries = [dict(table) for table in tables]
    losses = {task: dict(entry.losses) for task, entry in TASKS.items()}
    yield file
    sys.modules.pop("zoo_plugin", None)
    store.repo.update(options)
    for table, before in zip(tables, entries, strict=True):
        table.clear()
        table.update(before)  # type: ignore[arg-type]
    for task, before_losses in losses.items():
        TASKS[task].losses.clear()
        TASKS[task].losses.update(before_losses)
