"""What is made from a sweep's plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.samplers import RandomSampler

from visrun.config.compose import resolve
from visrun.config.sweeper import VisrunSweeperConf
from visrun.errors import ConfigError
from visrun.run_files import FILE_NAME
from visrun.sweep import slots
from visrun.sweep.parts import make_slots, naming, open_study
from visrun.sweep.plan import Plan, make_plan
from visrun.tracking.names import RECORD

NAMED = "hydra.sweeper.study_name=2026-11-30/20-15-00_sweep"
USUAL = vars(VisrunSweeperConf(pruner={"name": "none"}, sampler={"_target_": "optuna.samplers.TPESampler"}))


def plan(folder: Path, *words: str, swept: str = "seed=1,2", **settings: Any) -> Plan:
    return make_plan(
        {**USUAL, **settings},
        [swept],
        folder=folder,
        command=("-m", swept, *words),
        first=resolve(list(words)),
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


def test_a_new_study_in_a_folder_with_trials_is_refused_and_touches_nothing(tmp_path: Path) -> None:
    queue = open_study(plan(tmp_path, study_name="mine"))
    queue.fill(1)
    assert queue.claim(1)
    (tmp_path / RECORD).write_text("{}")
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / FILE_NAME).write_text("{}")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"hydra\.sweeper\.study_name=other would write over"):
            open_study(plan(tmp_path, study_name="other"))
    assert (tmp_path / RECORD).exists()
    open_study(plan(tmp_path, study_name="mine"))


@pytest.mark.parametrize(
    ("device", "told", "gpus"),
    [("cuda:1", "cuda", ["GPU-b", "GPU-b"]), ("cuda", "cuda", ["GPU-a", "GPU-b"]), ("cpu", "cpu", ["GPU-a", "GPU-b"])],
)
def test_every_slot_trains_on_the_gpu_that_the_user_numbered(
    device: str, told: str, gpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "gpus", lambda: ["GPU-a", "GPU-b"])
    made = make_slots(plan(tmp_path, f"run.device={device}", n_jobs=2))
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in made] == gpus
    assert all([word for word in slot.words if "run.device" in word] == [f"run.device={told}"] for slot in made)


def test_swept_devices_are_left_to_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "gpus", lambda: ["GPU-a", "GPU-b"])
    (slot, _) = make_slots(plan(tmp_path, swept="run.device=cuda:0,cpu", n_jobs=2))
    assert [word for word in slot.words if "run.device" in word] == ["run.device=cuda:0,cpu"]


@pytest.mark.parametrize(
    ("place", "typed", "name", "added"),
    [
        ("multirun/2026-11-30/20-15-00_sweep", [], "2026-11-30/20-15-00_sweep", [NAMED]),
        ("multirun/mine", [], "mine", ["hydra.sweeper.study_name=mine"]),
        ("multirun/mine", ["hydra.sweeper.study_name=mine"], "mine", []),
        ("here/mine", ["hydra.sweep.dir=here/mine"], None, []),
        ("here/mine", [], None, ["hydra.sweep.dir=HERE/here/mine"]),
        ("here/x", [], "mine", ["hydra.sweep.dir=HERE/here/x", "hydra.sweeper.study_name=mine"]),
        ("here/x", ["hydra.sweeper.study_name=mine"], "mine", ["hydra.sweep.dir=HERE/here/x"]),
    ],
)
def test_the_command_that_goes_on_names_what_files_and_visrun_named(
    place: str, typed: list[str], name: str | None, added: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = replace(plan(Path(place), study_name=name), command=("-m", "seed=1,2", *typed))
    assert naming(made) == [word.replace("HERE", str(tmp_path)) for word in added]
    (slot,) = make_slots(made)
    keys = [word.partition("=")[0] for word in slot.words]
    assert len(keys) == len(set(keys)) and f"hydra.sweep.dir={tmp_path}/{place}" in slot.words
