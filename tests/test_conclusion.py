"""What is drawn of a metric: everything that it can show."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from visrun.conclusion import draw_metric
from visrun.detection.metrics import BoxMetric, MaskMetric, RotatedMetric
from visrun.figures import plots
from visrun.metrics import ClassificationMetric, RegressionMetric, SegmentationMetric

CLASSES = ["cat", "dog"]
PLOTS: dict[str, tuple[Any, list[str]]] = {
    "boxes": (BoxMetric(CLASSES), ["confusion_matrix.png", "precision_recall.png"]),
    "masks": (MaskMetric(CLASSES), ["confusion_matrix.png", "precision_recall.png"]),
    "rotated": (RotatedMetric(CLASSES), ["confusion_matrix.png", "precision_recall.png"]),
    "classification": (ClassificationMetric(2), ["confusion_matrix.png"]),
    "segmentation": (SegmentationMetric(CLASSES), ["confusion_matrix.png"]),
    "regression": (RegressionMetric(["x"]), ["predicted_against_true.png"]),
}


def drawn(metric: Any, folder: Path, *, multilabel: bool = False) -> list[Path]:
    dataset = SimpleNamespace(classes=CLASSES, targets=["x"], multilabel=multilabel)
    return draw_metric(SimpleNamespace(metric=metric, dataset=dataset), folder)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PLOTS)
def test_a_metric_shows_what_it_can_even_of_nothing(name: str, tmp_path: Path) -> None:
    metric, expected = PLOTS[name]
    found = drawn(metric, tmp_path)
    assert [path.name for path in found] == expected
    for path in found:
        with Image.open(path) as picture:
            assert picture.width > 100


def test_several_labels_an_image_have_no_matrix(tmp_path: Path) -> None:
    assert drawn(ClassificationMetric(2, multilabel=True), tmp_path, multilabel=True) == []


@pytest.mark.parametrize(("size", "names"), [(2, CLASSES), (3, [*CLASSES, "background"])])
def test_what_is_beyond_the_classes_is_background(
    size: int, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(plots, "confusion_matrix", lambda counts, classes, path: told.append(classes))
    metric = SimpleNamespace(confusion=lambda: torch.zeros(size, size))
    drawn(metric, tmp_path)
    assert told == [names]
