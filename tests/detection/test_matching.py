"""Assignment without a loop finds what the loops of COCO and Pascal VOC find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visrun.detection import matching
from visrun.detection.matching import Pairs, candidates, first_choice, greedy


def loop_greedy(overlap: np.ndarray, ignored: np.ndarray, least: float) -> list[int]:
    """As evaluateImg of pycocotools: free objects in order, ignored ones last, the later of equal ones."""
    taken: set[int] = set()
    result = []
    order = np.argsort(ignored, kind="stable").tolist()
    for row in overlap:
        best, chosen = least, -1
        for j in order:
            if j in taken and not ignored[j]:
                continue
            if chosen >= 0 and not ignored[chosen] and ignored[j]:
                break
            if row[j] >= best:
                best, chosen = row[j], j
        if chosen >= 0:
            taken.add(chosen)
        result.append(chosen)
    return result


def loop_voc(overlap: np.ndarray, ignored: np.ndarray, least: float) -> list[int]:
    """As voc_eval of DOTA_devkit: the best object only, its first detection."""
    taken: set[int] = set()
    result = []
    for row in overlap:
        best = int(row.argmax()) if len(row) else -1
        if best < 0 or row[best] <= least or (best in taken and not ignored[best]):
            result.append(-1)
            continue
        taken.add(best)
        result.append(best)
    return result


@given(st.integers(0, 100_000), st.integers(0, 12), st.integers(0, 8), st.sampled_from([2, 5, 1000]))
@settings(max_examples=300, deadline=None)
def test_both_rules_agree_with_their_loops(seed: int, n: int, m: int, steps: int) -> None:
    random = np.random.default_rng(seed)
    overlap = np.ceil(random.random((n, m)) * steps) / steps  # few steps: many ties
    overlap[random.random((n, m)) < 0.4] = 0
    ignored = random.random(m) < 0.3
    first, second = np.nonzero(overlap >= 0.5)
    pairs = Pairs(first, second, overlap[first, second])
    assert greedy(pairs, ignored, n).tolist() == loop_greedy(overlap, ignored, 0.5)
    above = pairs.pick(pairs.overlap > 0.5)
    assert first_choice(above, ignored, n).tolist() == loop_voc(overlap, ignored, 0.5)


def test_the_rules_by_hand() -> None:
    # Two detections want object 0 most; the second also reaches object 1.
    pairs = Pairs(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([0.6, 0.9, 0.7]))
    free = np.array([False, False])
    assert greedy(pairs, free, 2).tolist() == [0, 1]
    assert first_choice(pairs, free, 2).tolist() == [0, -1]
    # An ignored object is the last resort, and has room for all.
    assert greedy(pairs, np.array([True, False]), 2).tolist() == [0, 1]
    assert first_choice(pairs, np.array([True, False]), 2).tolist() == [0, 0]


def test_nothing_to_match() -> None:
    none = Pairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    for rule in (greedy, first_choice):
        assert rule(none, np.zeros(0, bool), 0).tolist() == []
        assert rule(none, np.zeros(2, bool), 3).tolist() == [-1, -1, -1]


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_candidates_are_the_pairs_of_a_group_that_overlap_enough(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "BLOCK", block)
    random = np.random.default_rng(3)
    found, truth = random.integers(0, 4, 30), random.integers(1, 6, 20)
    shares = random.random((30, 20))
    pairs = candidates(found, truth, lambda i, j: shares[i, j], least=0.6)
    expected = {(i, j) for i in range(30) for j in range(20) if found[i] == truth[j] and shares[i, j] >= 0.6}
    assert set(zip(pairs.found.tolist(), pairs.truth.tolist(), strict=True)) == expected
    assert len(pairs.found) == len(expected)
    assert pairs.overlap.tolist() == shares[pairs.found, pairs.truth].tolist()


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)])
def test_candidates_of_nothing(n: int, m: int) -> None:
    pairs = candidates(np.zeros(n, int), np.zeros(m, int), lambda i, j: np.ones(len(i)), least=0.5)
    assert [len(column) for column in pairs] == [0, 0, 0]
