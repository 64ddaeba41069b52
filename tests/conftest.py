"""Shared by all tests: no user's cache, and for each test process one of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


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
