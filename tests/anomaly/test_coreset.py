"""The coreset: far patches first, all where all are wanted; rows drawn evenly."""

from __future__ import annotations

import pytest
import torch

from visrun.anomaly.coreset import coreset, drawn


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_one_of_every_cluster_is_taken():
    centres = 100 * torch.eye(5)
    rows = centres.repeat(20, 1) + torch.rand(100, 5, generator=generator())
    taken = coreset(rows, 5, generator=generator())
    assert sorted((taken % 5).tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [3, 7])
def test_no_row_is_taken_twice_even_among_equal_ones(count):
    taken = coreset(torch.ones(7, 2), count, generator=generator())
    assert len(set(taken.tolist())) == count


def test_all_where_as_many_or_more_are_wanted():
    assert coreset(torch.rand(4, 2), 9, generator=generator()).tolist() == [0, 1, 2, 3]


def test_every_point_is_nearly_as_close_as_the_best_centres_could_be():
    """Greedy selection is within twice the best radius (Gonzalez 1985); for points on a line that is known."""
    rows = torch.arange(101.0)[:, None]
    taken = coreset(rows, 11, generator=generator())
    radius = (rows - rows[taken].T).abs().min(1).values.max()
    assert radius <= 2 * (100 / 11 / 2) + 1


def test_a_few_of_many_rows_are_drawn_evenly(monkeypatch):
    monkeypatch.setattr("visrun.anomaly.coreset.CANDIDATES", 50)
    batches = (torch.arange(start, start + 10.0)[:, None] for start in range(0, 1000, 10))
    rows, seen = drawn(batches, generator=generator())
    kept = rows[:, 0]
    assert len(kept) == 50 and seen == 1000
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert 350 < kept.mean() < 650
