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
WriteRepeat = Callable[..., Path]


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


@pytest.fixture
def write_repeat(write_run: WriteRun, tmp_path: Path) -> WriteRepeat:
    """``write_repeat("a", {0: 0.5, 1: 0.6})``: a repeat with an accuracy on val and test for each seed or fold."""

    def write(
        name: str,
        values: Mapping[int | str, float | Mapping[str, float]],
        *,
        val: Callable[[Any], str] = lambda _: "val",
        test: Callable[[Any], str] = lambda _: "test",
        data: Callable[[Any], str] = lambda _: "data",
        splits: Mapping[str, int] | None = None,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
        **values_of: Any,
    ) -> Path:
        told = []
        for number, (value, metrics) in enumerate(values.items()):
            fold = isinstance(value, str)
            metrics = metrics if isinstance(metrics, Mapping) else {"accuracy": metrics}
            result = {
                "status": "finished",
                "val": metrics,
                "test": metrics,
                "fingerprints": {"val": val(value), "test": test(value)},
                "data": {"splits": splits or {}},
            }
            given = {**(sections or {}), "data": {**(sections or {}).get("data", {}), "fingerprint": data(value)}}
            given["data"] |= {"fold": value} if fold else {}
            write_run(
                f"{name}/{number}",
                rows=[{"epoch": 1, **metrics}],
                result=result,
                sections=given,
                seed=0 if fold else value,
                **values_of,
            )
            told.append({"fold" if fold else "seed": value, "folder": str(number)})
        (tmp_path / name / "repeat.json").write_text(json.dumps({"runs": told}), encoding="utf-8")
        return tmp_path / name

    return write
