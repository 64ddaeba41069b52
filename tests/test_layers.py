"""Config is wide at one seam: what lies below it takes narrow arguments and knows nothing of how they came about."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import visrun

SOURCE = Path(visrun.__file__).parent
BELOW = ("anomaly", "boxes", "data", "detection", "models", "tasks")  # whole packages
MODULES_BELOW = ("augment", "build", "checkpoint", "device", "errors", "losses", "metrics", "optimizers", "schedulers")
MODULES_BELOW += ("lr", "memory", "recorder", "signals", "step", "tables", "training")
FOREIGN = {"hydra", "omegaconf", "mlflow", "optuna", "pydantic"}
ABOVE = {
    "visrun." + name
    for name in (
        *("checks", "choices", "cli", "compose", "configs", "explain", "feeding", "fields"),
        *("hyperparameters", "launch", "overrides", "parts", "plugins", "provenance", "run", "saved", "settings"),
    )
}
FILES = sorted(
    path
    for path in SOURCE.rglob("*.py")
    if path.relative_to(SOURCE).parts[0] in BELOW or (path.parent == SOURCE and path.stem in MODULES_BELOW)
)


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports at run time, wherever in the file; ``from visrun import x`` is ``visrun.x``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_below_the_seam_knows_config(path: Path) -> None:
    found = set(imported(path))
    assert not {name for name in found if name.partition(".")[0] in FOREIGN or name in ABOVE}


def test_the_rule_covers_what_it_says() -> None:
    names = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in FILES}
    assert {"data", "models", "tasks", "losses", "optimizers", "schedulers", "training", "step", "checkpoint"} <= names
    assert {"visrun.settings", "pydantic"} <= set(imported(SOURCE / "checks.py"))
