"""Shared by all tests: no user's cache but one of each test process's own, and a watch over what waits for a GPU."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

# Test workers share the cores: with all of them each, their threads would spin while they wait for one another.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))


def pytest_collection_finish() -> None:
    """Set aside what is imported by now; else each full collection, and the sources ask for some, looks through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that stands for ``~/.cache``; all test processes have their demos in one place."""
    folder = tmp_path_factory.mktemp("cache")
    demos = tmp_path_factory.getbasetemp().parent / "demo"
    demos.mkdir(exist_ok=True)
    (folder / "visrun").mkdir()
    (folder / "visrun" / "demo").symlink_to(demos)
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
    monkeypatch.setattr("visrun.config.plugins._taken", {})


@pytest.fixture(autouse=True)
def no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra keeps every option that it was ever given; those of a test's own tables go with the test."""
    groups = ConfigStore.instance().repo
    for name in ("task", "data", "model", "loss"):
        monkeypatch.setitem(groups, name, dict(groups.get(name, {})))


# What on a GPU reads a value back, copies one to the device, or makes a shape that depends on values.
WAITS = {
    f"aten::{name}"
    for name in (
        *("_local_scalar_dense", "_unique2", "bincount", "equal", "is_nonzero", "item", "lift_fresh", "masked_select"),
        "nonzero",
    )
}


@contextmanager
def no_waits() -> Iterator[None]:
    """Within, an operation of WAITS is refused: on a GPU each waits, and none can be recorded in a CUDA graph.

    The profiler sees what autograd's own gradients call, too, which a dispatch mode does not.
    """
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as seen:  # without it torch 2.11 warns
        yield
    found = {event.name for event in seen.events() or ()}
    assert found & WAITS == set()


@pytest.fixture
def no_waiting() -> Callable[[], AbstractContextManager[None]]:
    """Gives :func:`no_waits`."""
    return no_waits
