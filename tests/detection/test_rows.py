"""Columns of detections: which of them count, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visrun.detection.rows import Detections, best_of, ranked


def found(scores: list[float]) -> Detections:
    count = len(scores)
    zeros = np.zeros(count, np.int64)
    return Detections(zeros, zeros, np.arange(count), np.array(scores, float), torch.zeros(count, 4))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=30), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_the_best_of_each_group_stay_in_their_order(rows: list[tuple[int, int]], most: int) -> None:
    groups, scores = [group for group, _ in rows], [float(score) for _, score in rows]
    kept = best_of(found(scores), np.array(groups, int), most).labels.tolist()
    expected = []
    for group in sorted(set(groups)):
        mine = [i for i, other in enumerate(groups) if other == group]
        expected += sorted(mine, key=lambda i: -scores[i])[:most]  # of equal scores the first
    assert kept == sorted(expected)


@pytest.mark.parametrize("scores", [[], [0.5], [0.1, 0.9, 0.1, 0.9]])
def test_ranks_keep_the_order_of_equal_scores(scores: list[float]) -> None:
    order = ranked(found(scores)).labels.tolist()
    assert order == sorted(range(len(scores)), key=lambda i: -scores[i])
