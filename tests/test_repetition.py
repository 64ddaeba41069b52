"""The finished runs of a repeat, as its folder tells them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from visrun.repetition import Repetition, finished, in_order, name_of, of_one_dataset, overlap_of, split_of
from visrun.varied import Varied


def of_seeds(*values: int) -> Varied:
    return Varied("seeds", values)


def write_trial(
    folder: Path, number: int, seed: int, status: str = "finished", fingerprint: str = "", **result: Any
) -> None:
    (folder / str(number)).mkdir(parents=True)
    content = {"seed": seed, "data": {"fingerprint": fingerprint}, "result": {"status": status, **result}}
    (folder / str(number) / "experiment.json").write_text(json.dumps(content))


def test_the_finished_runs_count_and_of_one_seed_the_later(tmp_path: Path) -> None:
    write_trial(tmp_path, 0, seed=1, val={"accuracy": 0.25}, test={"accuracy": 0.5, "f1": float("nan")})
    write_trial(tmp_path, 1, seed=0, status="killed", val={"accuracy": 0.0})
    write_trial(tmp_path, 2, seed=2, val={"accuracy": 0.75})
    write_trial(tmp_path, 10, seed=2, val={"accuracy": 1.0}, test=None)
    write_trial(tmp_path, 3, seed=5)
    (tmp_path / "best").mkdir()
    (tmp_path / "11").mkdir()
    assert finished(tmp_path, of_seeds(0, 1, 2)) == [
        Repetition(1, tmp_path / "0", {"val/accuracy": 0.25, "test/accuracy": 0.5}),
        Repetition(2, tmp_path / "10", {"val/accuracy": 1.0}),
    ]


def test_runs_before_the_dataset_changed_count_for_nothing(tmp_path: Path) -> None:
    for number, (seed, data) in enumerate([(0, "old"), (1, "old"), (2, "new"), (1, "new")]):
        write_trial(tmp_path, number, seed=seed, val={"accuracy": 0.5}, fingerprint=data)
    every = finished(tmp_path, of_seeds(0, 1, 2))
    assert [(run.value, run.data) for run in every] == [(0, "old"), (1, "new"), (2, "new")]
    assert [run.value for run in of_one_dataset(every)] == [1, 2]
    assert of_one_dataset([]) == []


@pytest.mark.parametrize("data", [{}, {"splits": 3}, {"splits": {"val": 3}}, {"splits": {"train": 0, "val": "x"}}])
def test_a_run_that_does_not_say_its_images_shares_none(tmp_path: Path, data: dict[str, object]) -> None:
    write_trial(tmp_path, 0, seed=0, val={"accuracy": 0.5}, data=data)
    assert finished(tmp_path, of_seeds(0))[0].share == 0.0


@pytest.mark.parametrize("result", [None, 3, [], "finished"])
def test_what_is_no_result_is_no_run(tmp_path: Path, result: object) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "experiment.json").write_text(json.dumps({"seed": 0, "result": result}))
    assert finished(tmp_path, of_seeds(0)) == []


def test_a_run_tells_which_images_it_was_measured_on(tmp_path: Path) -> None:
    noted = {"fingerprints": {"val": "v", "test": "t"}, "data": {"splits": {"train": 80, "val": 20}}}
    write_trial(tmp_path, 0, seed=0, fingerprint="d", **noted)
    assert finished(tmp_path, of_seeds(0)) == [
        Repetition(0, tmp_path / "0", {}, "d", {"val": "v", "test": "t"}, share=0.25)
    ]


@pytest.mark.parametrize(
    ("held_out", "folds", "val", "test"),
    [("ab", 0.0, 0.5, 0.0), ("aa", 0.0, 0.0, 0.0), (" b", 0.0, 0.0, 0.0), ("ab", 0.25, 0.25, 0.25)],
)
def test_folds_overlap_everywhere_and_seeds_on_the_images_that_they_hold_out(
    held_out: str, folds: float, val: float, test: float
) -> None:
    runs = [
        Repetition(i, Path(str(i)), {}, images={"val": name.strip()}, share=(1 + i) / 4)
        for i, name in enumerate(held_out)
    ]
    assert [overlap_of(runs, split, folds=folds) for split in ("val", "test")] == [val, test]


def test_a_metrics_name_may_have_parts_of_its_own() -> None:
    assert (split_of("val/iou/road"), name_of("val/iou/road")) == ("val", "iou/road")


def test_val_before_test_and_the_monitored_first() -> None:
    keys = ["test/f1", "test/auroc", "val/f1", "val/synthetic_auroc", "test/f1"]
    assert in_order(keys, "auroc") == ["val/synthetic_auroc", "val/f1", "test/auroc", "test/f1"]
