"""Run folders written by hand: what a comparison reads of a run, without training one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from visrun import hyperparameters
from visrun.config import schema

WriteRun = Callable[..., Path]


def accuracies(*values: float) -> list[dict[str, float]]:
    """The rows of a classification run that reached these accuracies, one an epoch of two seconds."""
    return [
        {
            "epoch": i,
            "learning_rate": 0.1 / i,
            "loss": 2 / i,
            "val_loss": 2.1 / i,
            "accuracy": value,
            "time/total": 2 * i,
        }
        for i, value in enumerate(values, start=1)
    ]


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """``write_run("a", [0.5, 0.6], optimizer="sgd")``: a finished run below ``tmp_path``."""

    def write(
        name: str,
        values: Sequence[float] = (0.5,),
        *,
        rows: Sequence[Mapping[str, Any]] | None = None,
        task: str = "classification",
        result: Mapping[str, Any] | None = None,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
        seed: int = 0,
        **values_of: Any,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        content = schema.defaults() | {"task": task, "seed": seed}
        for section in ("plugins", "experiment", "recipe"):
            content.pop(section)
        for section, changed in (sections or {}).items():
            content[section] |= changed
        content |= {
            "hyperparameters": hyperparameters.defaults() | values_of,
            "result": {"status": "finished"} if result is None else dict(result),
        }
        (folder / "experiment.json").write_text(json.dumps(content), encoding="utf-8")
        lines = [json.dumps(row) + "\n" for row in (accuracies(*values) if rows is None else rows)]
        (folder / "metrics.jsonl").write_text("".join(lines), encoding="utf-8")
        return folder

    return write
