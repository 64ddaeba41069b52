"""What is held out, and how folds are dealt: shares, what stays together, what stays the same."""

from __future__ import annotations

import time
from collections import Counter
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from visrun.data import stratify
from visrun.data.stratify import given_back


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_held_out_keeps_shares(sizes: list[int], fraction: float, seed: int) -> None:
    groups = [g for g, n in enumerate(sizes) for _ in range(n)]
    names = [f"{g}/{i}" for i, g in enumerate(groups)]
    chosen = stratify.held_out(names, groups, fraction=fraction, seed=seed)
    assert chosen == sorted(set(chosen))
    for group, size in enumerate(sizes):
        held = sum(groups[i] == group for i in chosen)
        assert held == (0 if size == 1 else min(max(1, round(fraction * size)), size - 1))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=30), st.integers(0, 2**32))
def test_equal_images_are_held_out_together(rows: list[tuple[int, int]], seed: int) -> None:
    groups, alike = [group for group, _ in rows], [number for _, number in rows]
    names = [str(i) for i in range(len(rows))]
    chosen = set(stratify.held_out(names, groups, fraction=0.3, seed=seed, alike=alike))
    assert len(chosen) < len(rows)
    first = {number: groups[alike.index(number)] for number in alike}  # the group that decides
    for number, group in first.items():
        if list(first.values()).count(group) > 1:
            same = {i for i in range(len(rows)) if alike[i] == number}
            assert same <= chosen or same.isdisjoint(chosen)
            assert any(first[alike[i]] == group for i in chosen)


def test_one_image_many_times_is_divided() -> None:
    assert len(stratify.held_out("abcde", [0] * 5, fraction=0.4, seed=0, alike=[0] * 5)) == 2


def test_one_image_of_two_labels_is_not_divided() -> None:
    assert stratify.held_out("abcd", [4, 77, 1, 1], fraction=0.5, seed=0, alike=[0, 0, 1, 2]) in ([2], [3])


def test_the_images_held_out_for_a_seed_stay_the_same() -> None:
    names = [f"{group}/{i}.png" for group in "ab" for i in range(6)]
    for alike in None, range(12):
        held = stratify.held_out(names, [name[0] for name in names], fraction=0.3, seed=0, alike=alike)
        assert held == [4, 5, 7, 10]


@given(
    labels=st.lists(st.sets(st.integers(0, 5), max_size=3).map(lambda several: tuple(sorted(several))), min_size=2),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_held_out_of_several_labels_leaves_each_in_training(
    labels: list[tuple[int, ...]], fraction: float, seed: int
) -> None:
    names = [str(i) for i in range(len(labels))]
    chosen = stratify.held_out_of_several(names, labels, fraction=fraction, seed=seed)
    assert chosen == sorted(set(chosen)) and 0 < len(chosen) < len(labels)
    learnt = {label for i, several in enumerate(labels) if i not in chosen for label in several}
    several = [label for label in range(6) if sum(label in own for own in labels) > 1]
    alone = stratify.held_out(names, [0] * len(names), fraction=fraction, seed=seed)
    assert chosen == alone or learnt >= set(several)


@pytest.mark.parametrize("seed", range(10))
def test_held_out_keeps_the_shares_of_several_labels(seed: int) -> None:
    labels = [(0,) * (i % 2) + (1,) * (i % 5 == 0) + (2,) * (i in (5, 15, 25, 34)) for i in range(100)]
    names = [str(i) for i in range(len(labels))]
    chosen = stratify.held_out_of_several(names, labels, fraction=0.25, seed=seed)
    held = [sum(label in labels[i] for i in chosen) for label in range(3)]
    assert held == [round(0.25 * sum(label in several for several in labels)) for label in range(3)]
    assert abs(len(chosen) - 25) <= 3
    assert len({i % 7 for i in chosen}) > 3  # of no order
    alike = [min(i, 90) for i in range(100)]  # the last ten are one image
    together = stratify.held_out_of_several(names, labels, fraction=0.25, seed=seed, alike=alike)
    assert len({i in together for i in range(90, 100)}) == 1


def test_new_images_leave_the_places_of_others() -> None:
    names = [str(i) for i in range(100)]
    before = {names[i] for i in stratify.held_out(names, [0] * 100, fraction=0.2, seed=3)}
    names = ["new", *names]
    after = {names[i] for i in stratify.held_out(names, [0] * 101, fraction=0.2, seed=3)}
    assert len(before ^ after) <= 2


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    count=st.integers(2, 12),
    seed=st.integers(0, 2**32),
)
@example(sizes=[16, 3, 16], count=9, seed=1875)  # two groups of one size, dealt in turns, gave folds of 3 and of 5
def test_folds_have_each_group_as_evenly_as_can_be(sizes: list[int], count: int, seed: int) -> None:
    groups = [g for g, n in enumerate(sizes) for _ in range(n)]
    names = [f"{g}/{i}" for i, g in enumerate(groups)]
    dealt = stratify.dealt(names, groups, count=count, seed=seed)
    for group, size in enumerate(sizes):
        held = Counter(fold for fold, own in zip(dealt, groups, strict=True) if own == group)
        assert {held[fold] for fold in range(count)} <= {size // count, -(-size // count)}
    every = Counter(dealt)
    assert max(every.values()) - min(every[fold] for fold in range(count)) <= 1
    order = sorted(range(len(names)), key=lambda i: names[i], reverse=True)  # the order of the files is nothing
    again = stratify.dealt([names[i] for i in order], [groups[i] for i in order], count=count, seed=seed)
    assert [dealt[i] for i in order] == again


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=30), st.integers(2, 6))
def test_folds_keep_equal_images_together_and_none_is_empty(rows: list[tuple[int, int]], count: int) -> None:
    groups, alike = [group for group, _ in rows], [number for _, number in rows]
    dealt = stratify.dealt([str(i) for i in range(len(rows))], groups, count=count, seed=0, alike=alike)
    places = set(zip(alike, dealt, strict=True))
    assert len(places) == len(set(alike))
    assert len(set(dealt)) == min(count, len(set(alike)))


def test_a_patient_of_most_images_has_a_fold_for_itself() -> None:
    alike = [0] * 100 + [1 + i // 10 for i in range(40)]
    dealt = stratify.dealt([str(i) for i in range(140)], [0] * 140, count=5, seed=0, alike=alike)
    assert sorted(Counter(dealt).values()) == [10, 10, 10, 10, 100]


@pytest.mark.parametrize("seed", range(10))
def test_folds_have_the_shares_of_several_labels(seed: int) -> None:
    labels = [(0,) * (i % 2) + (1,) * (i % 5 == 0) + (2,) * (i in (5, 15, 25, 34)) for i in range(100)]
    dealt = stratify.dealt([str(i) for i in range(100)], labels, count=4, seed=seed)
    for fold in range(4):
        held = [sum(label in labels[i] for i in range(100) if dealt[i] == fold) for label in range(3)]
        assert abs(held[0] - 12.5) <= 2 and held[1] == 5 and held[2] == 1
        assert abs(dealt.count(fold) - 25) <= 2


def test_the_folds_of_a_seed_stay_the_same() -> None:
    names = [f"{group}/{i}.png" for group in "ab" for i in range(6)]
    assert stratify.dealt(names, [name[0] for name in names], count=3, seed=0) == [0, 2, 2, 1, 1, 0, 2, 1, 1, 0, 0, 2]


@pytest.mark.parametrize(
    ("chosen", "classes", "alike", "left"),
    [
        ([0, 3], [{0}, {1}, {1}, {1}], None, [3]),  # the only image of class 0
        ([0, 1, 3], [{0}, {0}, {1}, {1}], None, [1, 3]),  # both of its two
        ([0, 1, 2, 3], [{0}, {0}, {0}, {1}, {1}], [0, 0, 2, 3, 4], [0, 1, 3]),  # of two and of one equal image the one
        ([0, 1], [{0, 1}, {2}, {0, 1, 2}], None, [0, 1]),  # all are in the third
        ([0, 1], [{0}, {0}, set()], None, [1]),
        ([0], [{0}, {1}], None, [0]),  # something is held out in any case
        ([1], [set(), set()], None, [1]),
        ([], [{0}], None, []),
        ([0, 2], [], None, [0, 2]),  # nothing is known of classes
    ],
)
def test_a_class_that_would_be_held_out_whole_is_learnt(
    chosen: list[int], classes: list[set[int]], alike: list[int] | None, left: list[int]
) -> None:
    assert given_back(chosen, classes, alike=alike or range(9)) == left


def test_of_a_large_set_that_is_told_soon() -> None:
    images, classes = 40_000, 1000
    began = time.process_time()
    left = given_back(range(images // 2), [{i % classes} for i in range(images)], alike=range(images))
    assert left == [*range(images // 2)]
    assert time.process_time() - began < 5  # each image is looked at a few times: with each other one it takes minutes


@given(st.lists(st.sets(st.integers(0, 6), max_size=3), min_size=2, max_size=30), st.randoms(use_true_random=False))
def test_after_that_all_classes_are_learnt_where_more_than_one_image_is_held_out(
    classes: list[set[int]], random: Random
) -> None:
    chosen = sorted(random.sample(range(len(classes)), random.randint(1, len(classes) - 1)))
    left = given_back(chosen, classes, alike=range(len(classes)))
    learnt = set().union(*(own for i, own in enumerate(classes) if i not in left))
    assert set(left) <= set(chosen) and left
    assert len(left) == 1 or learnt == set().union(*classes)
