"""Suppression by fixed point keeps what the greedy loop keeps."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from visrun import boxes
from visrun.boxes.pairing import near_pairs

MODULE = importlib.import_module("visrun.boxes.nms")  # the package has a function of that name


def greedy(overlap: Tensor, scores: Tensor, labels: Any, threshold: float, sources: Any = None) -> list[int]:
    """One box after the other; the reference."""
    kept: list[int] = []
    overlaps = overlap.tolist()
    labels, sources = (None if named is None else named.tolist() for named in (labels, sources))
    for i in scores.argsort(descending=True, stable=True).tolist():
        rivals = [j for j in kept if labels is None or labels[j] == labels[i]]
        rivals = [j for j in rivals if sources is None or sources[j] != sources[i]]
        if all(overlaps[j][i] <= threshold for j in rivals):
            kept.append(i)
    return kept


def random_boxes(count: int, seed: int, spread: float = 150.0) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, a third of them found three times; scores with ties; labels of three classes."""
    g = torch.Generator().manual_seed(seed)
    r = torch.rand(count, 7, generator=g, dtype=torch.float64)
    found = torch.stack([r[:, 0] * spread, r[:, 1] * spread, 5 + 40 * r[:, 2], 5 + 20 * r[:, 3], 7 * r[:, 4] - 3.5], 1)
    found[count // 3 :][: count // 3] = found[: count // 3] + 2 * r[: count // 3, :5] * found.new_tensor(
        [1, 1, 1, 1, 0.1]
    )
    found[-(count // 3) or count :] = found[: count // 3] - r[: count // 3, :5] * found.new_tensor([1, 1, 1, 1, 0.1])
    return found, (r[:, 5] * 50).round() / 50, (r[:, 6] * 3).long()


KINDS: dict[str, tuple[Callable[..., Tensor], Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "upright": (boxes.nms, boxes.le90_to_xyxy, lambda a, b: boxes.iou(a[:, None], b)),
    "rotated": (boxes.rotated_nms, lambda b: b, lambda a, b: boxes.rotated_iou(a[:, None], b)),
    "quads": (boxes.polygon_nms, boxes.le90_to_quads, lambda a, b: boxes.polygon_iou(a[:, None], b)),
}


@pytest.mark.parametrize("classes", [False, True], ids=["one class", "three classes"])
@pytest.mark.parametrize("tiled", [False, True], ids=["one source", "many sources"])
@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("kind", KINDS)
def test_the_set_is_that_of_the_greedy_loop(kind: str, threshold: float, tiled: bool, classes: bool) -> None:
    suppress, convert, overlap = KINDS[kind]
    for seed, count in enumerate((1, 2, 30, 200)):
        given_boxes, scores, labels = random_boxes(count, seed)
        given_boxes = convert(given_boxes)
        named = labels if classes else None
        sources = torch.arange(count) % 7 if tiled else None
        kept = suppress(given_boxes, scores, named, threshold=threshold, sources=sources).tolist()
        assert kept == greedy(overlap(given_boxes, given_boxes), scores, named, threshold, sources)
        assert count < 200 or 0 < len(kept) < count


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60), st.sampled_from([0.0, 0.1, 0.4, 0.7]), st.floats(5, 200))
def test_any_rotated_set(seed: int, count: int, threshold: float, spread: float) -> None:
    given_boxes, scores, labels = random_boxes(count, seed, spread)
    hulls = boxes.le90_to_xyxy(given_boxes)
    apart = boxes.iou(hulls[:, None], hulls) == 0  # where rounding may leave 1e-17
    overlap = boxes.rotated_iou(given_boxes[:, None], given_boxes).masked_fill(apart, 0)
    kept = boxes.rotated_nms(given_boxes, scores, labels, threshold=threshold)
    assert kept.tolist() == greedy(overlap, scores, labels, threshold)


def test_upright_boxes_agree_with_torchvision() -> None:
    given_boxes, _, labels = random_boxes(300, 9)
    given_boxes = boxes.le90_to_xyxy(given_boxes).float()
    scores = torch.randperm(300, generator=torch.Generator().manual_seed(0)) / 300
    for threshold in (0.2, 0.6):
        theirs = torchvision.ops.batched_nms(given_boxes, scores, labels, threshold)
        assert boxes.nms(given_boxes, scores, labels, threshold=threshold).equal(theirs)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(0, 120),
    st.sampled_from([0.0, 0.3, 0.5, 0.6]),
    st.floats(5, 200),
    st.sampled_from([None, 1, 3, 9]),
    st.booleans(),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_upright_boxes_one_by_one_are_those_of_the_fixed_point(
    seed: int, count: int, threshold: float, spread: float, classes: int | None, whole: bool, kind: torch.dtype
) -> None:
    """In this order, too; with equal scores, sides in whole pixels whose overlap may be the threshold, no area."""
    found, scores, _ = random_boxes(count, seed, spread)
    found = boxes.le90_to_xyxy(found).to(kind)
    if whole:
        found = (found / 4).round()
        found[::7, 2:] = found[::7, :2]
    labels = None if classes is None else torch.arange(count) ** 2 % classes
    everywhere = torch.arange(count)  # each from a source of its own, which the loop does not take
    expected = boxes.nms(found, scores.to(kind), labels, threshold=threshold, sources=everywhere)
    assert boxes.nms(found, scores.to(kind), labels, threshold=threshold).equal(expected)


def test_upright_boxes_are_not_compared_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes many times as long on a CPU."""
    found, scores, labels = random_boxes(60, 0)
    found = boxes.le90_to_xyxy(found)
    expected = boxes.nms(found, scores, labels, threshold=0.3, sources=torch.arange(60))
    monkeypatch.setattr(MODULE, "near_pairs", None)
    assert boxes.nms(found, scores, labels, threshold=0.3).equal(expected)


def test_many_classes_of_few_boxes_are_not_gone_through_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found, scores, _ = random_boxes(60, 0)
    found, labels = boxes.le90_to_xyxy(found), torch.arange(60) // 2
    expected = boxes.nms(found, scores, labels, threshold=0.3, sources=torch.arange(60))
    monkeypatch.setattr(MODULE, "_one_by_one", None)
    assert boxes.nms(found, scores, labels, threshold=0.3).equal(expected)


def test_under_autocast_overlaps_keep_float64() -> None:
    close = torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0 + 1e-9, 1.0]], dtype=torch.float64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert boxes.nms(close, torch.tensor([0.9, 0.8]), threshold=0.5).tolist() == [0]


def test_of_torchvision_only_the_library_is_loaded_where_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys, torch; from visrun.boxes import nms\n"
        "print(nms(torch.tensor([[0.0, 0, 2, 2]] * 2), torch.ones(2), threshold=0.5).tolist(), end=' ')\n"
        "print([name for name in ('torchvision', 'torch._dynamo') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[0] []\n"
    monkeypatch.setattr(MODULE.PathFinder, "find_spec", lambda *_: None)
    assert MODULE._loop.__wrapped__() is MODULE._loop()


def test_a_chain_takes_one_round_a_link() -> None:
    """Each suppresses the next, so every second stays: the case that a single pass over all pairs gets wrong."""
    count = 101
    chain = torch.tensor([[6.0 * i, 0.0, 10.0, 10.0, 0.0] for i in range(count)])
    kept = boxes.rotated_nms(chain, torch.arange(count).flip(0).float(), threshold=0.2)
    assert kept.tolist() == list(range(0, count, 2))


def test_of_equal_scores_the_first_is_the_better() -> None:
    same = torch.tensor([[5.0, 5.0, 4.0, 2.0, 0.3]] * 4)
    assert boxes.rotated_nms(same, torch.ones(4), threshold=0.5).tolist() == [0]
    assert boxes.rotated_nms(same, torch.ones(4), torch.tensor([0, 1, 1, 0]), threshold=0.5).tolist() == [0, 1]


@pytest.mark.parametrize(("suppress", "columns"), [(boxes.nms, 4), (boxes.rotated_nms, 5), (boxes.polygon_nms, 8)])
def test_of_nothing(suppress: Callable[..., Tensor], columns: int) -> None:
    kept = suppress(torch.zeros(0, columns), torch.zeros(0), torch.zeros(0, dtype=torch.long), threshold=0.5)
    assert kept.shape == (0,) and kept.dtype == torch.int64


@pytest.mark.parametrize("block", [1, 300, 7 * 120])
@pytest.mark.parametrize("classes", [1, 3, 40])
def test_large_sets_are_compared_in_blocks(block: int, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given_boxes, scores, _ = random_boxes(120, 3)
    labels = torch.arange(120) ** 2 % classes
    whole = boxes.rotated_nms(given_boxes, scores, labels, threshold=0.3)
    monkeypatch.setattr("visrun.boxes.pairing.BLOCK", block)
    monkeypatch.setattr("visrun.boxes.rotated.CHUNK", 100)
    assert boxes.rotated_nms(given_boxes, scores, labels, threshold=0.3).equal(whole)


@pytest.mark.parametrize("block", [1, 50, 10_000])
def test_pairs_of_two_sets_are_those_of_the_same_label_whose_hulls_meet(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels that one of the sets lacks, too; in whatever blocks they are compared."""
    monkeypatch.setattr("visrun.boxes.pairing.BLOCK", block)
    a, b = (boxes.le90_to_xyxy(random_boxes(count, seed, 60.0)[0]) for seed, count in enumerate((40, 25)))
    of_a, of_b = torch.arange(40) % 7, torch.arange(25) % 4 + 2
    hulls = [part for box in (a, b) for part in ((box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]) / 2)]
    first, second = near_pairs(*hulls, labels=(of_a, of_b))
    meet = (boxes.iou(a[:, None], b) > 0) & (of_a[:, None] == of_b)
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [
        tuple(pair) for pair in meet.nonzero().tolist()
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_many_boxes_are_thinned_out_to_the_same_set(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sparse and crowded, of one class and of three: what is kept does not depend on how many pairs are looked at."""
    suppress, convert, overlap = KINDS[kind]
    for seed, spread in enumerate((20.0, 80.0, 300.0)):
        given_boxes, scores, labels = random_boxes(150, seed, spread)
        given_boxes = convert(given_boxes)
        for named in (None, labels):
            expected = greedy(overlap(given_boxes, given_boxes), scores, named, 0.3)
            for most in (0, 100):
                monkeypatch.setattr(MODULE, "AT_ONCE", most)
                kept = suppress(given_boxes, scores, named, threshold=0.3, sources=torch.arange(150))
                assert kept.tolist() == expected


def test_few_overlaps_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of objects that are each found fifty times, one with each that it suppresses."""
    looked: list[int] = []
    overlap = MODULE.rotated_iou_of

    def counted(a: Tensor, b: Tensor, first: Tensor, second: Tensor) -> Tensor:
        looked.append(len(first))
        return overlap(a, b, first, second)

    monkeypatch.setattr(MODULE, "rotated_iou_of", counted)
    objects, times = 20, 50
    centres = torch.arange(objects, dtype=torch.float64)[:, None].expand(-1, times) * 30.0
    noise = torch.rand(objects * times, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    flat = torch.full_like(noise, 20.0)
    found = torch.stack([centres.flatten() + noise, flat, flat + 4, flat - 4, noise], 1)
    kept = boxes.rotated_nms(found, noise, threshold=0.3)
    assert len(kept) == objects
    assert sum(looked) == objects * (times - 1)
