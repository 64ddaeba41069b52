"""The numbers of a confusion matrix, in a file."""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from visrun.figures import matrix


def test_rows_are_true_and_columns_predicted(tmp_path: Path) -> None:
    matrix.as_csv(torch.tensor([[3, 1], [0, 30_000]]), ["a, b", 'Käfer "2"'], tmp_path / "plots" / "matrix.csv")
    with (tmp_path / "plots" / "matrix.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["true \\ predicted", "a, b", 'Käfer "2"'],
            ["a, b", "3", "1"],
            ['Käfer "2"', "0", "30000"],
        ]


def test_names_that_are_no_text_are_escaped(tmp_path: Path) -> None:
    matrix.as_csv([[1]], ["caf\udce9"], tmp_path / "matrix.csv")
    assert (tmp_path / "matrix.csv").read_text() == "true \\ predicted,caf\\udce9\ncaf\\udce9,1\n"
