"""Shared by all tests: no user's cache but one of each test process's own, and a watch over what waits for a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that stands for ``~/.cache``."""
    folder = tmp_path_factory.mktemp("cache")
    former = {name: os.environ.get(name) for name in ("XDG_CACHE_HOME", "TORCH_HOME")}
    os.environ |= {"XDG_CACHE_HOME": str(folder), "TORCH_HOME": str(folder / "torch")}
    yield folder
    for name, value in former.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that are printed name no plugin that another test has imported."""
    monkeypatch.setattr("visrun.config.plugins._imported", {})


@pytest.fixture(autouse=True)
def no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra keeps every option that it was ever given; those of a test's own tables go with the test."""
    groups = ConfigStore.instance().repo
    for name in ("task", "data", "model", "loss"):
        monkeypatch.setitem(groups, name, dict(groups.get(name, {})))


@pytest.fixture
def no_waiting() -> AbstractContextManager[None]:
    """Within: whatever reads a value back, copies one to the device or makes a shape that depends on values is refused.

    On a GPU each of these waits, and none can be recorded in a CUDA graph.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class NoWaiting(TorchDispatchMode):
        FORBIDDEN = (
            *("nonzero", "_local_scalar_dense", "item", "masked_select", "unique", "equal.default", "is_nonzero"),
            *("bincount", "lift_fresh"),
        )

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = str(func)
            assert not any(name.startswith((f"aten.{word}", f"aten._{word}")) for word in self.FORBIDDEN), name
            indices = args[1] if name.startswith(("aten.index.", "aten.index_put")) else ()
            assert not any(index is not None and index.dtype == torch.bool for index in indices), name
            return func(*args, **(kwargs or {}))

    return NoWaiting()
