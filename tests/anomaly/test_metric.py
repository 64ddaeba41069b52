"""The metric over batches: what it names, what it leaves out, what it does not count."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from visrun.anomaly.metric import AnomalyMetric
from visrun.data.placement import Place, Scene
from visrun.data.verdicts import BESIDE, DEFECT, GOOD, MADE, SOMEWHERE, Verdict


def batch(*codes, valid=None, size=(2, 2)):
    """A good plane for GOOD, a defect in the first pixel for DEFECT and MADE, SOMEWHERE all over."""
    planes = []
    for code in codes:
        plane = torch.full(size, {DEFECT: BESIDE, MADE: GOOD}.get(code, code))
        plane[0, 0] = code
        planes.append(plane)
    return SimpleNamespace(target=torch.stack(planes), valid=torch.tensor(valid or [True] * len(codes)))


def test_images_by_hand_and_padding_is_not_counted():
    metric = AnomalyMetric(lambda: 0.85)
    metric.update({"score": torch.tensor([0.9, 0.8])}, batch(SOMEWHERE, GOOD))
    metric.update({"score": torch.tensor([0.7, 0.1, 5.0])}, batch(SOMEWHERE, GOOD, GOOD, valid=[True, True, False]))
    assert metric.compute() == {
        "auroc": 0.75,
        "average_precision": pytest.approx(5 / 6),
        "f1_max": pytest.approx(0.8),
        "threshold": 0.85,
        "f1": pytest.approx(2 / 3),
        "recall": 0.5,
        "false_positive_rate": 0.0,
    }
    scores, defective = metric.scores()
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.1])
    assert defective.tolist() == [1, 0, 1, 0]


def test_while_none_is_chosen_thresholds_are_the_best_of_the_split():
    metric = AnomalyMetric()
    heat = torch.tensor([[[5.0, 1], [1, 1]], [[3, 1], [1, 1]]])
    metric.update({"score": torch.tensor([0.9, 0.3]), "heat": heat}, batch(DEFECT, GOOD))
    found = metric.compute()
    assert (found["threshold"], found["pixel_threshold"]) == (pytest.approx(0.6), pytest.approx(4.0))
    assert "f1" not in found and "pixel_f1" not in found and "recall" not in found


def test_pixels_at_the_chosen_threshold_and_at_the_best():
    metric = AnomalyMetric(pixel_chosen=lambda: 2.0)
    heat = torch.tensor([[[5.0, 1], [1, 1]], [[3, 1], [1, 1]]])
    metric.update({"score": torch.tensor([0.9, 0.3]), "heat": heat}, batch(DEFECT, GOOD))
    found = metric.compute()
    assert (found["pixel_f1_max"], found["pixel_average_precision"], found["pixel_threshold"]) == (1.0, 1.0, 2.0)
    assert found["pixel_f1"] == pytest.approx(2 / 3)


def scene(kind):
    return Scene(0, Place((0.0, 0.0, 2.0, 2.0), (2, 2)), Verdict(kind))


@pytest.mark.parametrize("codes", [(SOMEWHERE, SOMEWHERE, DEFECT, GOOD), (SOMEWHERE, SOMEWHERE, DEFECT)])
def test_recall_of_each_kind_of_defect(codes):
    metric = AnomalyMetric(lambda: 0.5)
    metric.reset([scene(kind) for kind in ("bent", "bent", "cut", "good")])
    shown = batch(*codes)
    shown.index = torch.arange(len(codes))
    metric.update({"score": torch.tensor([0.9, 0.1, 0.7, 0.8])[: len(codes)]}, shown)
    found = metric.compute()
    assert {name: value for name, value in found.items() if "/" in name} == {"recall/bent": 0.5, "recall/cut": 1.0}


def test_of_one_kind_alone_is_said_what_can_be():
    metric, heat = AnomalyMetric(lambda: 0.5), torch.tensor([[[5.0, 1], [1, 1]]])
    metric.update({"score": torch.tensor([0.9]), "heat": heat}, batch(DEFECT))
    found = metric.compute()
    assert (found["f1"], found["recall"], found["pixel_auroc"], found["aupro"]) == (1.0, 1.0, 1.0, 1.0)
    assert not {"auroc", "average_precision", "f1_max", "threshold"} & found.keys()
    metric.reset()
    metric.update({"score": torch.tensor([0.9, 0.1]), "heat": heat.expand(2, 2, 2)}, batch(GOOD, GOOD))
    assert metric.compute() == {"false_positive_rate": 0.5}


def test_made_defects_are_said_in_every_name_and_draw_the_threshold_to_the_good_side():
    metric = AnomalyMetric()
    heat = torch.zeros(2, 2, 2)
    heat[0, 0, 0] = 1.0
    metric.update({"score": torch.tensor([1.0, 0.0]), "heat": heat}, batch(MADE, GOOD))
    found = metric.compute()
    assert all(name.startswith("synthetic_") for name in found)
    assert found["synthetic_auroc"] == found["synthetic_pixel_auroc"] == found["synthetic_aupro"] == 1.0
    assert found["synthetic_threshold"] == pytest.approx(0.1)
    assert found["synthetic_pixel_threshold"] == 0.5


def test_pixels_of_defects_without_a_mask_are_not_counted():
    metric = AnomalyMetric()
    heat = torch.tensor([[[9.0, 0], [0, 0]], [[5, 5], [5, 5]], [[0, 0], [0, 0]]])
    metric.update({"score": torch.tensor([3.0, 2.0, 1.0]), "heat": heat}, batch(DEFECT, SOMEWHERE, GOOD))
    assert metric.compute()["pixel_auroc"] == 1.0
    metric.reset()
    metric.update({"score": torch.tensor([3.0, 1.0]), "heat": heat[1:]}, batch(SOMEWHERE, GOOD))
    assert "pixel_auroc" not in metric.compute() and metric.compute()["auroc"] == 1.0


class OnDevice(torch.Tensor):
    """Stands for a tensor on a GPU, as what is made of it does, until it is copied to the host."""

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_maps_are_kept_on_the_host_and_scores_on_the_device():
    metric, truly = AnomalyMetric(), batch(DEFECT, GOOD)
    truly.target, truly.valid = truly.target.as_subclass(OnDevice), truly.valid.as_subclass(OnDevice)
    prediction = {"score": torch.tensor([1.0, 0.0]), "heat": torch.zeros(2, 2, 2)}
    metric.update({name: values.as_subclass(OnDevice) for name, values in prediction.items()}, truly)
    assert {name for name, values in metric._rows[0].items() if type(values) is torch.Tensor} == {"heat", "marks"}


def test_a_classifiers_other_scores_stand_beside():
    metric = AnomalyMetric()
    scores = {"score": torch.tensor([2.0, 1]), "density": torch.tensor([2.0, 1]), "softmax": torch.tensor([0.1, 0.2])}
    metric.update(scores, batch(SOMEWHERE, GOOD))
    found = metric.compute()
    assert (found["auroc"], found["auroc_density"], found["auroc_softmax"]) == (1.0, 1.0, 0.0)


def test_scores_that_are_no_numbers_say_nothing():
    metric = AnomalyMetric()
    metric.update({"score": torch.tensor([float("nan"), 0.5, 0.1])}, batch(SOMEWHERE, SOMEWHERE, GOOD))
    assert metric.compute() == {}


@pytest.mark.parametrize("codes", [(), (GOOD, GOOD), (SOMEWHERE,)])
def test_with_one_kind_alone_and_no_threshold_nothing_is_said(codes):
    metric = AnomalyMetric()
    if codes:
        metric.update({"score": torch.arange(len(codes)).float()}, batch(*codes))
    assert metric.compute() == {}
    assert [len(part) for part in metric.scores()] == [len(codes)] * 2
    assert np.asarray(metric.scores()[0]).dtype == np.float64


def test_the_error_of_each_image_is_the_share_of_the_others_on_its_wrong_side():
    metric = AnomalyMetric()
    assert metric.by_image() == []
    scores = torch.tensor([0.5, 0.9, 0.1, 0.5, 0.0])
    metric.update({"score": scores}, batch(SOMEWHERE, GOOD, GOOD, GOOD, SOMEWHERE, valid=[True] * 4 + [False]))
    metric.update({"score": torch.tensor([0.3])}, batch(SOMEWHERE))
    found = metric.by_image()
    assert [one["error"] for one in found] == pytest.approx([1.5 / 3, 2 / 2, 0, 1.5 / 2, 2 / 3])
    assert [one["true"] for one in found] == ["defect", "good", "good", "good", "defect"]
    assert found[1]["score"] == pytest.approx(0.9)
    defects = [found[0]["error"], found[4]["error"]]
    assert 1 - sum(defects) / 2 == pytest.approx(metric.compute()["auroc"])


def test_a_threshold_says_what_an_image_is_called_and_how_clearly():
    metric = AnomalyMetric(lambda: 0.5)
    metric.update({"score": torch.tensor([0.5, 0.75, 0.25, 0.625])}, batch(SOMEWHERE, GOOD, GOOD, SOMEWHERE))
    assert [(one["label"], one["margin"]) for one in metric.by_image()] == [
        ("defect", 0.0),
        ("defect", -0.25),
        ("good", 0.25),
        ("defect", 0.125),
    ]


def test_kinds_of_defects_are_named_and_without_others_nothing_is_wrong():
    metric = AnomalyMetric()
    metric.reset([scene("scratch"), scene("hole")])
    rows = batch(SOMEWHERE, SOMEWHERE)
    rows.index = torch.tensor([1, 0])
    metric.update({"score": torch.tensor([0.5, 0.25])}, rows)
    assert metric.by_image() == [
        {"error": 0.0, "true": "hole", "score": 0.5},
        {"error": 0.0, "true": "scratch", "score": 0.25},
    ]
