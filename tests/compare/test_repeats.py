"""Which folders are repeats, and what is read of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun.compare.find import find
from visrun.compare.repeats import Repeat, repeats
from visrun.varied import Varied


def read(*folders: Path) -> list[Repeat]:
    return repeats(folders, find(folders)[0])


def test_two_repeats(write_repeat) -> None:
    a, b = write_repeat("a", {3: 0.5, 1: 0.75}), write_repeat("b", {"1/3": 0.5, "2/3": 0.75})
    first, other = read(a, b)
    assert (first.name, other.name) == ("a", "b")
    assert (first.varied, other.varied) == (Varied("seeds", (3, 1)), Varied("folds", ("1/3", "2/3", "3/3")))
    assert [(run.value, run.metrics["val/accuracy"]) for run in first.runs] == [(3, 0.5), (1, 0.75)]
    assert [run.value for run in other.runs] == ["1/3", "2/3"]
    assert first.example.folder.parent == a and first.example.task == "classification"


def test_one_repeat_or_one_among_runs_is_none(write_repeat, write_run, tmp_path: Path) -> None:
    a, run = write_repeat("a", {0: 0.5, 1: 0.75}), write_run("run")
    assert read(a) == read(a, a) == read(a, run) == read(a, a / "0") == []
    write_run("sweep/0")
    assert read(a, tmp_path / "sweep") == []


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"runs": 3}', '{"runs": [{"seed": 5}]}', '{"runs": [{"fold": 5}]}']
)
def test_a_report_that_tells_of_no_run_makes_no_repeat(write_repeat, content: str) -> None:
    a, b = write_repeat("a", {0: 0.5}), write_repeat("b", {0: 0.5})
    assert len(read(a, b)) == 2
    (b / "repeat.json").write_text(content)
    assert read(a, b) == []


def test_runs_before_the_dataset_changed_count_for_nothing(write_repeat) -> None:
    a = write_repeat("a", {0: 0.5, 1: 0.75, 2: 0.5}, data=lambda seed: "new" if seed else "old")
    assert [run.value for run in read(a, write_repeat("b", {0: 0.5}))[0].runs] == [1, 2]


def test_all_runs_of_a_repeat_count_where_the_ten_best_stand_beside_one_another(write_repeat) -> None:
    a, b = (write_repeat(name, {seed: seed / 20 for seed in range(15)}) for name in "ab")
    assert [len(repeat.runs) for repeat in read(a, b)] == [15, 15]
