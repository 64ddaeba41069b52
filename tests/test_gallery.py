"""Pictures of a split: everything that a metric can show, and samples with their truth."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from visrun import gallery
from visrun.data.objects import Objects
from visrun.data.placement import Place, Scene
from visrun.detection.metrics import BoxMetric, MaskMetric, RotatedMetric
from visrun.figures import plots
from visrun.metrics import ClassificationMetric, RegressionMetric, SegmentationMetric

CLASSES = ["cat", "dog"]
PLOTS: dict[str, tuple[Any, list[str]]] = {
    "boxes": (BoxMetric(CLASSES), ["confusion_matrix.png", "confusion_matrix.csv", "precision_recall.png"]),
    "masks": (MaskMetric(CLASSES), ["confusion_matrix.png", "confusion_matrix.csv", "precision_recall.png"]),
    "rotated": (RotatedMetric(CLASSES), ["confusion_matrix.png", "confusion_matrix.csv", "precision_recall.png"]),
    "classification": (ClassificationMetric(CLASSES), ["confusion_matrix.png", "confusion_matrix.csv"]),
    "segmentation": (SegmentationMetric(CLASSES), ["confusion_matrix.png", "confusion_matrix.csv"]),
    "regression": (RegressionMetric(["x"]), ["predicted_against_true.png"]),
}


def drawn(metric: Any, folder: Path, *, multilabel: bool = False) -> list[Path]:
    dataset = SimpleNamespace(classes=CLASSES, targets=["x"], multilabel=multilabel)
    return gallery.of_metric(metric, Mock(), dataset, folder)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PLOTS)
def test_a_metric_shows_what_it_can_even_of_nothing(name: str, tmp_path: Path) -> None:
    metric, expected = PLOTS[name]
    found = drawn(metric, tmp_path)
    assert [path.name for path in found] == expected
    for path in found:
        if path.suffix == ".csv":
            assert path.read_text().startswith("true \\ predicted,cat,dog")
            continue
        with Image.open(path) as picture:
            assert picture.width > 100


def test_several_labels_an_image_have_no_matrix(tmp_path: Path) -> None:
    assert drawn(ClassificationMetric(CLASSES, multilabel=True), tmp_path, multilabel=True) == []


@pytest.mark.parametrize(("size", "names"), [(2, CLASSES), (3, [*CLASSES, "background"])])
def test_what_is_beyond_the_classes_is_background(
    size: int, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(plots, "confusion_matrix", lambda counts, classes, path: told.append(classes))
    metric = SimpleNamespace(confusion=lambda: torch.zeros(size, size))
    drawn(metric, tmp_path)
    assert told == [names]


def test_true_masks_are_drawn_at_the_size_of_the_picture() -> None:
    corners = np.array([[4.0, 4], [25, 4], [25, 17], [4, 17]])
    one = Objects(np.zeros(1, int), np.array([[4.0, 4, 25, 17]]), np.zeros(1, bool), outlines=((corners,),))
    sample = SimpleNamespace(
        images=torch.zeros(1, 3, 32, 48),
        target=torch.full((1, 1, 7), -1.0),
        masks=torch.zeros(1, 2, 8, 12, dtype=torch.int16),
        index=torch.zeros(1, dtype=torch.long),
    )
    scenes = [Scene(0, Place((0.0, 0.0, 48.0, 32.0), (32, 48)), one)]
    loader = Mock(batch_size=1, scenes=scenes, epoch=lambda *_, **__: iter([sample]), device=torch.device("cpu"))
    loader.look.mean, loader.look.std, loader.targets.kind = (0.5,) * 3, (0.5,) * 3, "instances"
    task = Mock()
    gallery.samples(task, Mock(), loader, [0], precision="fp32")
    rows, layers = task.draw.call_args.kwargs["target"]
    assert rows[0].tolist() == [0, 0, 1, 4, 4, 25, 17]
    assert layers.shape == (2, 32, 48) and (layers[0, 4:17, 4:25] == 1).all() and layers.count_nonzero() == 13 * 21


@pytest.mark.parametrize(("count", "of", "found"), [(3, 7, [0, 3, 6]), (4, 2, [0, 1]), (1, 5, [0]), (12, 1, [0])])
def test_samples_are_spread_over_a_split_and_shown_once(count: int, of: int, found: list[int]) -> None:
    assert gallery.spread(count, of=of) == found


def test_samples_come_in_the_order_asked_for_and_each_batch_is_seen_once() -> None:
    looked: list[int] = []

    def epoch(_: int, start: int) -> Any:
        looked.append(start)
        yield SimpleNamespace(images=torch.full((2, 3, 1, 1), float(start)), target=[start] * 2, masks=torch.zeros(0))

    loader = Mock(batch_size=2, epoch=epoch, device=torch.device("cpu"))
    loader.look.mean, loader.look.std, loader.targets.kind = (0.0,) * 3, (1.0,) * 3, "label"
    task = Mock(draw=lambda picture, prediction, i, target: (target, i))
    found = gallery.samples(task, Mock(), loader, [5, 0, 4, 3], precision="fp32")
    assert found == {5: (2, 1), 0: (0, 0), 4: (2, 0), 3: (1, 1)} and [*found] == [5, 0, 4, 3]
    assert looked == [0, 1, 2]
