"""Who leads a sweep: one process for a folder, and one for a journal's study, wherever it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from optuna.samplers import RandomSampler

from visrun.compose import resolve
from visrun.errors import ConfigError
from visrun.run_folder import this_process
from visrun.sweep.config import VisrunSweeperConf
from visrun.sweep.controller import leading
from visrun.sweep.files import LEAD
from visrun.sweep.plan import Plan, make_plan

USUAL = {
    name: field.default
    for name, field in VisrunSweeperConf.__dataclass_fields__.items()
    if name not in ("defaults", "sampler", "pruner", "_target_")
} | {"pruner": {"name": "none"}}


def plan(folder: Path, **settings: Any) -> Plan:
    folder.mkdir(exist_ok=True)
    return make_plan(
        {**USUAL, **settings},
        ["seed=1,2"],
        folder=folder,
        command=("-m", "seed=1,2"),
        first=resolve([]),
        resolve=resolve,
        make_sampler=lambda _: RandomSampler(),
    )


@pytest.mark.parametrize("name", ["mine", "my/own"])
def test_a_study_in_a_journal_is_led_once_from_whatever_folder(name: str, tmp_path: Path) -> None:
    here = plan(tmp_path / "a", study_name=name)
    there = plan(tmp_path / "b", study_name=name, storage=here.storage)
    with leading(here):
        with pytest.raises(ConfigError, match=f"study_name={name}: another process leads this study"), leading(there):
            pass
        assert json.loads((tmp_path / "a" / LEAD).read_text()) == this_process()
    with leading(there):
        pass


def test_studies_that_share_a_journal_are_led_side_by_side_but_not_in_one_folder(tmp_path: Path) -> None:
    storage = str(tmp_path / "all.journal")
    one, two = (plan(tmp_path / name, study_name=name, storage=storage) for name in ("one", "two"))
    three = plan(tmp_path / "one", study_name="three", storage=storage)
    with leading(one), leading(two), pytest.raises(ConfigError), leading(three):
        pass
