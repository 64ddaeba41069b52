"""Metrics: hand-derived values, agreement with scikit-learn, batches that do not matter, and what is left undefined."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torchmetrics.functional.classification import multiclass_jaccard_index

from visrun.classification_metric import ClassificationMetric
from visrun.metrics import RegressionMetric, SegmentationMetric


def batch(target: Tensor, valid: list[bool] | None = None) -> Any:
    return SimpleNamespace(target=target, valid=torch.tensor(valid or [True] * len(target)))


def probabilities(n: int, k: int, seed: int = 0) -> Tensor:
    return torch.randn(n, k, generator=torch.Generator().manual_seed(seed)).mul(2).softmax(1)


def names(k: int) -> list[str]:
    return [f"c{i}" for i in range(k)]


def labels(n: int, k: int, seed: int = 1) -> Tensor:
    return torch.randint(k, (n,), generator=torch.Generator().manual_seed(seed))


def test_classification_by_hand() -> None:
    metric = ClassificationMetric(names(2))
    p = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    metric.update({"probabilities": p}, batch(torch.tensor([0, 1, 1, 1])))
    # right: 0, 2, 3. F1 of class 0: 2/3, of class 1: 4/5. Every 1 but one ranks above the only 0: AUROC 3 of 3,
    # since 0.2, 0.6 and 0.7 are above 0.1. ECE: |1 - .9|/4 + |0 - .8|/4 + |1 - .6|/4 + |1 - .7|/4.
    # Precision: 1 of 2 said to be 0, 2 of 2; recall: 1 of 1, 2 of 3.
    single = {
        "f1/c0": 2 / 3,
        "f1/c1": 4 / 5,
        "precision/c0": 1 / 2,
        "precision/c1": 1,
        "recall/c0": 1,
        "recall/c1": 2 / 3,
    }
    means = {"f1": 11 / 15, "precision": 3 / 4, "recall": 5 / 6}
    assert metric.compute() == pytest.approx({"accuracy": 0.75, "auroc": 1.0, "ece": 0.4, **means, **single})
    assert metric.confusion().tolist() == [[1, 0], [1, 2]]


class Largest(TorchDispatchMode):
    """The most elements and bytes that any tensor had which was made."""

    elements = nbytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.elements, self.nbytes = max(self.elements, made.numel()), max(self.nbytes, made.nbytes)
        return made


def test_many_classes_need_no_more_memory_where_results_are_deterministic() -> None:
    n, k = 300, 50
    metric = ClassificationMetric(names(k))
    metric.update({"probabilities": probabilities(n, k)}, batch(labels(n, k)))
    usual = metric.compute()
    torch.use_deterministic_algorithms(True)
    try:
        with Largest() as seen:
            assert metric.compute() == usual
            metric.confusion()
    finally:
        torch.use_deterministic_algorithms(False)
    assert seen.elements <= 2 * n * k


def test_many_classes_need_no_table_that_is_larger_than_the_probabilities() -> None:
    n, k = 300, 50
    metric = ClassificationMetric(names(k))
    metric.update({"probabilities": probabilities(n, k)}, batch(labels(n, k)))
    with Largest() as seen:
        metric.compute()
    assert seen.nbytes <= 4 * n * k


def test_classification_agrees_with_scikit_learn() -> None:
    p, y = probabilities(200, 7), labels(200, 7)
    metric = ClassificationMetric(names(7))
    for part in torch.arange(200).split(33):
        metric.update({"probabilities": p[part]}, batch(y[part]))
    found = metric.compute()
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, p.argmax(1)))
    assert found["top5"] == pytest.approx(sk.top_k_accuracy_score(y, p, k=5))
    agree_by_class(found, y, p.argmax(1))
    exact = p.double() / p.double().sum(1, keepdim=True)
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(y, exact, multi_class="ovr", average="macro"))
    assert found["ece"] == pytest.approx(numpy_ece(p.numpy(), y.numpy()), abs=1e-6)
    assert metric.confusion().tolist() == sk.confusion_matrix(y, p.argmax(1)).tolist()


def agree_by_class(found: dict[str, float], y: Tensor, predicted: Tensor) -> None:
    """Means and values of single classes are scikit-learn's."""
    for key, score in (("f1", sk.f1_score), ("precision", sk.precision_score), ("recall", sk.recall_score)):
        assert found[key] == pytest.approx(score(y, predicted, average="macro"))
        each = [value for name, value in found.items() if name.startswith(f"{key}/")]
        assert each == pytest.approx(score(y, predicted, average=None).tolist())


def test_five_classes_and_fewer_have_no_top5() -> None:
    for k, expected in ((5, None), (6, 0.5)):
        metric = ClassificationMetric(names(k))
        rising = torch.arange(1.0, k + 1).expand(2, k) / 21  # class 0 is the least likely: the sixth of six
        metric.update({"probabilities": rising}, batch(torch.tensor([0, 1])))
        assert metric.compute().get("top5") == expected


def test_a_class_that_is_neither_shown_nor_predicted_has_no_part_in_the_means() -> None:
    metric = ClassificationMetric(names(4))
    truth, predicted = torch.tensor([0, 0, 1]), torch.tensor([0, 2, 0])  # c1 is only shown, c2 only predicted
    metric.update({"probabilities": torch.eye(4)[predicted]}, batch(truth))
    found = metric.compute()
    keys = ("f1", "precision", "recall")
    single = {f"{key}/c{i}": value for key in keys for i, value in enumerate([0.5, 0.0, 0.0])}
    assert {key: value for key, value in found.items() if "/" in key} == single
    assert [found[key] for key in keys] == pytest.approx([1 / 6] * 3)


def numpy_ece(p: np.ndarray, y: np.ndarray, bins: int = 15) -> float:
    confidence, right = p.max(1), p.argmax(1) == y
    place = np.ceil(confidence * bins)
    total = 0.0
    for here in (place == b for b in np.unique(place)):
        total += abs(right[here].mean() - confidence[here].mean()) * here.sum()
    return float(total / len(y))


def test_a_label_counts_from_a_probability_of_one_half_on() -> None:
    metric = ClassificationMetric(names(2), multilabel=True)
    metric.update({"probabilities": torch.tensor([[0.5, 0.4999], [0.5, 0.1]])}, batch(torch.tensor([[1, 0], [1, 0]])))
    found = metric.compute()
    assert (found["accuracy"], found["f1"]) == (1.0, 1.0)


def test_several_labels_agree_with_scikit_learn() -> None:
    p, y = probabilities(100, 4).clamp(0, 1), torch.rand(100, 4, generator=torch.Generator().manual_seed(2)).round()
    metric = ClassificationMetric(names(4), multilabel=True)
    metric.update({"probabilities": p}, batch(y))
    found = metric.compute()
    assert found["accuracy"] == pytest.approx(((p >= 0.5) == (y > 0)).double().mean().item())
    agree_by_class(found, y, p >= 0.5)
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(y, p, average="macro"))
    assert found["map"] == pytest.approx(sk.average_precision_score(y, p, average="macro"))
    assert 0 < found["ece"] < 1


def test_average_precision_by_hand() -> None:
    metric = ClassificationMetric(names(3), multilabel=True)
    p = torch.tensor([[0.9, 0.5, 0.1], [0.8, 0.5, 0.2], [0.7, 0.4, 0.3], [0.6, 0.3, 0.4]])
    metric.update({"probabilities": p}, batch(torch.tensor([[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]])))
    # c0 is found at ranks 1 and 3: (1/1 + 2/3) / 2; c1 beside one other at rank 2, then at 4: (1/2 + 2/4) / 2; c2 never
    assert metric.compute()["map"] == pytest.approx((5 / 6 + 1 / 2) / 2)


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_average_precision_agrees_with_scikit_learn_among_equals(seed: int, k: int, n: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    p = torch.randint(5, (n, k), generator=generator) / 4  # many are equal
    y = torch.randint(2, (n, k), generator=generator)
    metric = ClassificationMetric(names(k), multilabel=True)
    metric.update({"probabilities": p}, batch(y))
    each = [sk.average_precision_score(y[:, i], p[:, i]) for i in range(k) if y[:, i].any()]
    found = metric.compute()
    assert found["map"] == pytest.approx(np.mean(each)) if each else "map" not in found


def test_of_several_labels_one_that_is_neither_shown_nor_predicted_has_no_part_in_f1() -> None:
    truth = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]])
    metric = ClassificationMetric(names(4), multilabel=True)
    metric.update({"probabilities": truth.float() + torch.tensor([0, 0, 0, 0.9])}, batch(truth))
    found = metric.compute()
    assert [found[key] for key in ("f1", "precision", "recall")] == pytest.approx([2 / 3] * 3)
    assert "f1/c2" not in found and found["recall/c3"] == 0  # the last one is predicted and never true
    metric.reset()
    metric.update({"probabilities": torch.zeros(2, 4)}, batch(torch.zeros(2, 4, dtype=torch.long)))
    assert set(metric.compute()) == {"accuracy", "ece"}  # without positives there is no best threshold, either


def test_a_class_nobody_has_seen_is_left_out_of_auroc() -> None:
    p, y = probabilities(50, 3), labels(50, 2)
    metric = ClassificationMetric(names(3))
    metric.update({"probabilities": p}, batch(y))
    each = [sk.roc_auc_score(y == k, p[:, k]) for k in (0, 1)]
    assert metric.compute()["auroc"] == pytest.approx(np.mean(each))


def test_undefined_values_are_left_out() -> None:
    metric = ClassificationMetric(names(3))
    metric.update({"probabilities": probabilities(4, 3)}, batch(torch.zeros(4, dtype=torch.long)))
    assert "accuracy" in metric.compute() and "auroc" not in metric.compute()
    regression = RegressionMetric(["x"])
    regression.update({"value": torch.tensor([[3.0]])}, batch(torch.tensor([[1.0]])))
    assert regression.compute() == {"mae": 2.0, "rmse": 2.0}
    flat = RegressionMetric(["x"])
    flat.update({"value": torch.tensor([[0.3], [0.1], [0.2]])}, batch(torch.full((3, 1), 0.1)))
    assert set(flat.compute()) == {"mae", "rmse"}
    segmentation = SegmentationMetric(["a", "b"])
    segmentation.update({"mask": torch.zeros(1, 2, 2)}, batch(torch.full((1, 2, 2), 255)))
    assert segmentation.compute() == {}


def all_metrics() -> list[Any]:
    return [
        ClassificationMetric(names(7)),
        ClassificationMetric(names(7), multilabel=True),
        RegressionMetric(["x", "y"], std=[1.0, 2.0]),
        SegmentationMetric(["a", "b", "c"]),
    ]


def sample(metric: Any, n: int, seed: int) -> tuple[dict[str, Tensor], Tensor]:
    if isinstance(metric, ClassificationMetric):
        truth = labels(n, 7, seed + 1)
        several = torch.nn.functional.one_hot(truth, 7)
        return {"probabilities": probabilities(n, 7, seed)}, several if metric.multilabel else truth
    if isinstance(metric, RegressionMetric):
        generator = torch.Generator().manual_seed(seed)
        return {"value": torch.randn(n, 2, generator=generator)}, torch.randn(n, 2, generator=generator)
    return {"mask": labels(n * 16, 3, seed).view(n, 4, 4)}, labels(n * 16, 3, seed + 1).view(n, 4, 4)


@pytest.mark.parametrize("i", range(4))
def test_nothing_seen_gives_nothing(i: int) -> None:
    metric = all_metrics()[i]
    assert metric.compute() == {}
    prediction, target = sample(metric, 2, 0)
    metric.update(prediction, batch(target, [False, False]))
    assert metric.compute() == {}
    metric.update(prediction, batch(target))
    assert metric.compute()
    metric.reset()
    assert metric.compute() == {}
    if hasattr(metric, "confusion"):
        assert metric.confusion().sum() == 0


@pytest.mark.parametrize("i", range(4))
def test_padding_and_the_cut_into_batches_do_not_matter(i: int) -> None:
    whole, parts = all_metrics()[i], all_metrics()[i]
    prediction, target = sample(whole, 20, 3)
    whole.update(prediction, batch(target))
    for rows in torch.arange(20).split(6):
        padded = torch.cat([rows, rows[:1], rows[:1]])
        some = {key: value[padded] for key, value in prediction.items()}
        parts.update(some, batch(target[padded], [True] * len(rows) + [False, False]))
    assert parts.compute() == pytest.approx(whole.compute())


def test_regression_by_hand() -> None:
    metric = RegressionMetric(["count"])
    metric.update({"value": torch.tensor([[1.0], [2.0], [6.0]])}, batch(torch.tensor([[1.0], [4.0], [4.0]])))
    # errors 0, -2, 2; the mean is 3, the total sum of squares 6, the residual one 8
    assert metric.compute() == pytest.approx({"mae": 4 / 3, "rmse": math.sqrt(8 / 3), "r2": 1 - 8 / 6})


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_regression_agrees_with_scikit_learn(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(40, 2, generator=generator) * scale + 3 * scale
    p = y + torch.randn(40, 2, generator=generator) * scale
    metric = RegressionMetric(["width", "height"])
    metric.update({"value": p}, batch(y))
    found = metric.compute()
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(y, p))
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(y, p))
    assert found["mae/height"] == pytest.approx(sk.mean_absolute_error(y[:, 1], p[:, 1]))
    assert found["rmse/width"] == pytest.approx(sk.root_mean_squared_error(y[:, 0], p[:, 0]))
    assert found["r2"] == pytest.approx(sk.r2_score(y.double(), p.double()))
    assert found["r2/width"] == pytest.approx(sk.r2_score(y[:, 0].double(), p[:, 0].double()))
    assert [pair.shape for pair in metric.pairs()] == [(40, 2), (40, 2)]


def test_of_several_targets_each_counts_in_its_own_spread() -> None:
    metric = RegressionMetric(["angle", "price"], std=[0.25, 1e4])
    truth = torch.tensor([[0.0, 1e4], [1.0, 3e4]])
    metric.update({"value": truth + torch.tensor([[0.0, 1e3], [0.5, -3e3]])}, batch(truth))
    # errors of the angle 0, 0.5, in its deviations 0, 2; of the price 1000, 3000, in its deviations 0.1, 0.3
    found = metric.compute()
    assert found["mae"] == pytest.approx((1.0 + 0.2) / 2)
    assert found["rmse"] == pytest.approx((math.sqrt(2.0) + math.sqrt(0.05)) / 2)
    assert [found[f"mae/{name}"] for name in metric.targets] == pytest.approx([0.25, 2e3])
    assert [found[f"rmse/{name}"] for name in metric.targets] == pytest.approx([math.sqrt(1 / 8), math.sqrt(5e6)])


@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_of_several_targets_no_unit_has_a_say_in_the_mean(seed: int, factor: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth, predicted = torch.randn(2, 9, 2, generator=generator).double()
    means = []
    for unit in (torch.tensor([1.0, 1.0]).double(), torch.tensor([1.0, factor]).double()):
        metric = RegressionMetric(["a", "b"], std=(unit * torch.tensor([0.5, 2.0])).tolist())
        metric.update({"value": predicted * unit}, batch(truth * unit))
        found = metric.compute()
        means.append({key: found[key] for key in ("mae", "rmse", "r2")})
    assert means[0] == pytest.approx(means[1])


def test_a_single_target_keeps_its_unit() -> None:
    metric = RegressionMetric(["price"], std=[1e4])
    metric.update({"value": torch.tensor([[5.0]])}, batch(torch.tensor([[2.0]])))
    assert metric.compute() == {"mae": 3.0, "rmse": 3.0}


def test_segmentation_by_hand() -> None:
    metric = SegmentationMetric(["sky", "road", "car", "cow"])
    truth = torch.tensor([[[0, 0, 1], [1, 255, 0]]])
    predicted = torch.tensor([[[0, 1, 1], [2, 0, 0]]])
    metric.update({"mask": predicted}, batch(truth))
    # sky: 2 of 3; road: 1 of 3; car is only predicted: 0 of 1; cow is nowhere
    expected = {"iou/sky": 2 / 3, "iou/road": 1 / 3, "iou/car": 0.0, "miou": 1 / 3, "pixel_accuracy": 3 / 5}
    assert metric.compute() == pytest.approx({**expected, "dice": (4 / 5 + 2 / 4 + 0) / 3})
    assert metric.confusion().tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


@given(st.integers(0, 10_000), st.integers(2, 6), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_segmentation_agrees_with_torchmetrics(seed: int, k: int, ignored: float) -> None:
    truth, predicted = labels(72, k, seed).view(2, 6, 6), labels(72, k, seed + 1).view(2, 6, 6)
    truth[torch.rand(truth.shape, generator=torch.Generator().manual_seed(seed)) < ignored] = 255
    metric = SegmentationMetric([str(i) for i in range(k)])
    metric.update({"mask": predicted.to(torch.uint8)}, batch(truth))
    found = metric.compute()
    keep = truth != 255
    if not keep.any():
        assert found == {}
        return
    each = multiclass_jaccard_index(predicted, truth, k, average="none", ignore_index=255)
    seen = sorted(set(truth[keep].tolist()) | set(predicted[keep].tolist()))
    assert found["miou"] == pytest.approx(each[seen].mean().item())
    assert {name for name in found if name.startswith("iou/")} == {f"iou/{i}" for i in seen}
    assert found["dice"] == pytest.approx(np.mean([sk.f1_score(truth[keep] == i, predicted[keep] == i) for i in seen]))
    assert found["pixel_accuracy"] == pytest.approx((truth == predicted)[keep].double().mean().item())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("i", range(4))
@pytest.mark.parametrize("deterministic", [False, True])
def test_on_cuda_updates_do_not_wait_and_values_are_the_same(
    i: int, deterministic: bool, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: torch.use_deterministic_algorithms(False))
    torch.use_deterministic_algorithms(deterministic)
    host, device = all_metrics()[i], all_metrics()[i]
    prediction, target = sample(host, 20, 3)
    host.update(prediction, batch(target))
    moved = batch(target)
    moved.target, moved.valid = moved.target.cuda(), moved.valid.cuda()
    prediction = {key: value.cuda() for key, value in prediction.items()}
    torch.cuda.set_sync_debug_mode("error")
    try:
        device.update(prediction, moved)
        device.update(prediction, moved)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    device.reset()
    device.update(prediction, moved)
    assert device.compute() == pytest.approx(host.compute(), rel=1e-5)


def test_the_error_of_each_image_is_what_its_class_lacks() -> None:
    metric = ClassificationMetric(names(2))
    assert metric.by_image() == []
    metric.update(
        {"probabilities": torch.tensor([[0.75, 0.25], [0.5, 0.5]])}, batch(torch.tensor([1, 0]), [True, False])
    )
    metric.update({"probabilities": torch.tensor([[0.0, 1.0]])}, batch(torch.tensor([1])))
    assert metric.by_image() == [
        {"error": 0.75, "true": "c1", "label": "c0"},
        {"error": 0.0, "true": "c1", "label": "c1"},
    ]


@pytest.mark.parametrize("multilabel", [False, True])
def test_what_each_probability_gives_as_the_threshold_of_its_class(multilabel: bool) -> None:
    metric = ClassificationMetric(names(2), multilabel=multilabel)
    assert metric.counts() == {}
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0]]) if multilabel else torch.tensor([0, 1])
    metric.update({"probabilities": torch.tensor([[0.75, 0.25], [0.25, 0.75]])}, batch(target))
    both = {"recall": 1.0, "f1": 1.0, "precision": 1.0, "false_positive_rate": 0.0}
    all_ = {"recall": 1.0, "f1": pytest.approx(2 / 3), "precision": 0.5, "false_positive_rate": 1.0}
    points = [{"threshold": threshold} | gives for threshold, gives in ((0.75, both), (0.25, all_))]
    assert {name: counts.points() for name, counts in metric.counts().items()} == {"c0": points, "c1": points}


def test_of_several_labels_the_error_of_an_image_is_their_mean() -> None:
    metric = ClassificationMetric(names(2), multilabel=True)
    metric.update({"probabilities": torch.tensor([[0.75, 0.5], [0.25, 0.0]])}, batch(torch.tensor([[1.0, 0], [0, 0]])))
    assert metric.by_image() == [
        {"error": 0.375, "true": ["c0"], "labels": ["c0", "c1"]},
        {"error": 0.125, "true": [], "labels": []},
    ]


def test_the_error_of_each_image_has_its_targets_unit_or_deviations() -> None:
    one, two = RegressionMetric(["m"], std=[9.0]), RegressionMetric(["m", "kg"], std=[2.0, 0.5])
    for metric in (one, two):
        assert metric.by_image() == []
        rows = torch.tensor([[3.0, 1.0], [0, 0]])[:, : len(metric.targets)]
        metric.update({"value": rows}, batch(torch.zeros_like(rows), [True, False]))
    assert one.by_image() == [{"error": 3.0, "true": {"m": 0.0}, "values": {"m": 3.0}}]
    (found,) = two.by_image()
    assert found == {"error": 1.75, "true": {"m": 0.0, "kg": 0.0}, "values": {"m": 3.0, "kg": 1.0}}


def test_true_values_are_those_of_the_table_and_predicted_ones_those_of_predict() -> None:
    metric = RegressionMetric(["m", "kg"])
    metric.update({"value": torch.tensor([[-13959743.0, 1 / 3]])}, batch(torch.tensor([[-14817678.0, 0.1]])))
    (found,) = metric.by_image()
    assert found["true"] == {"m": -14817678.0, "kg": 0.1}
    assert found["values"] == {"m": -13959740.0, "kg": 0.3333333}


def test_the_error_of_each_image_is_its_share_of_wrong_pixels() -> None:
    metric = SegmentationMetric(names(2))
    assert metric.by_image() == []
    truth = torch.tensor([[[0, 1], [1, 255]], [[0, 0], [0, 0]], [[255, 255], [255, 255]]])
    said = torch.tensor([[[0, 0], [1, 1]], [[1, 1], [1, 1]], [[1, 1], [1, 1]]], dtype=torch.uint8)
    metric.update({"mask": said}, batch(truth, [True, False, True]))
    assert metric.by_image() == [{"error": pytest.approx(1 / 3)}, {"error": 0.0}]
    metric.reset()
    assert metric.by_image() == []
