"""What is made from a sweep's plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from optuna.samplers import RandomSampler

from visrun.compose import resolve
from visrun.sweep.config import VisrunSweeperConf
from visrun.sweep.parts import open_study
from visrun.sweep.plan import Plan, make_plan
from visrun.tracking.names import RECORD

USUAL = {
    name: field.default
    for name, field in VisrunSweeperConf.__dataclass_fields__.items()
    if name not in ("defaults", "sampler", "pruner", "_target_")
} | {"pruner": {"name": "none"}}


def plan(folder: Path, *words: str, **settings: Any) -> Plan:
    return make_plan(
        {**USUAL, **settings},
        ["seed=1,2"],
        folder=folder,
        command=("-m", "seed=1,2", *words),
        first=resolve([]),
        resolve=resolve,
        make_sampler=lambda _: RandomSampler(),
    )


@pytest.mark.parametrize(("name", "kept"), [("mine", True), ("other", False)])
def test_only_a_study_that_is_continued_goes_on_with_the_folders_run_in_mlflow(
    name: str, kept: bool, tmp_path: Path
) -> None:
    open_study(plan(tmp_path, study_name="mine"))
    (tmp_path / RECORD).write_text("{}")
    open_study(plan(tmp_path, study_name=name))
    assert (tmp_path / RECORD).exists() is kept
