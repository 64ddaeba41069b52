"""A folder with a plugin that brings a model, a loss, a reader, an augmentation and an eighth task."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from visrun.tables import AUGMENTATIONS, MODELS, READERS, TASKS

ZOO = """
from visrun.tables import AUGMENTATIONS, MODELS, READERS, TASKS, ModelEntry, ReaderEntry, TaskEntry

SERVED = ("classification", "counting")
TASKS["counting"] = TaskEntry(build="zoo_plugin:Counting", metrics={"mae": False}, fit="letterbox",
                              losses={"poisson": "zoo_plugin:poisson"}, image_size=64, target="value")
TASKS["classification"].losses["poly"] = "zoo_plugin:poly"
MODELS["counter"] = ModelEntry(build="zoo_plugin:counter", tasks=SERVED, parameters=0.1, speed=3, accuracy=1)
MODELS["counter2"] = ModelEntry(build="zoo_plugin:counter", tasks=SERVED, parameters=0.1, speed=3, accuracy=1)
READERS["labels"] = ReaderEntry(read="zoo_plugin:read", recognise="zoo_plugin:recognise", targets=("label", "value"))
AUGMENTATIONS["invert"] = "zoo_plugin:invert"


def poisson(prediction, target):
    raise AssertionError


def poly(prediction, target, weight):
    raise AssertionError
"""


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file ``zoo_plugin.py`` in the working folder; what is imported from it is forgotten afterwards."""
    file = tmp_path / "zoo_plugin.py"
    file.write_text(ZOO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    store, tables = ConfigStore.instance(), (AUGMENTATIONS, MODELS, READERS, TASKS)
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
