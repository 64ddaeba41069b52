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
from visrun.classification_metric import ClassificationMetric
from visrun.data.objects import Objects
from visrun.data.placement import Place, Scene
from visrun.detection.metrics import BoxMetric, MaskMetric, RotatedMetric
from visrun.figures import plots
from visrun.metrics import RegressionMetric, SegmentationMetric
from visrun.tasks.instance_segmentation import InstanceSegmentation
from visrun.tasks.object_detection import ObjectDetection
from visrun.tasks.oriented_object_detection import OrientedObjectDetection

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
    task = Mock(predict=lambda *_: {})
    gallery.samples(task, Mock(), loader, [0], precision="fp32")
    rows, layers = task.draw.call_args.kwargs["target"]
    assert rows[0].tolist() == [0, 0, 1, 4, 4, 25, 17]
    assert layers.shape == (2, 32, 48) and (layers[0, 4:17, 4:25] == 1).all() and layers.count_nonzero() == 13 * 21


BOXES = [[10.0, 0, 20, 7], [10, 4, 20, 12], [10, 25, 20, 31], [10, 0, 20, 7.5], [10, 6, 20, 9]]
KEPT = {
    "boxes": [1, 4],
    "rotated_boxes": [1, 4],
    "instances": [1],
}  # of the last one no pixel of its mask is in the file


@pytest.mark.parametrize("kind", KEPT)
def test_what_lies_in_the_padding_alone_is_not_drawn(kind: str) -> None:
    box = torch.tensor(BOXES)
    found = {"boxes": box, "scores": torch.full((5,), 0.9), "labels": torch.tensor([0, 0, 0, -1, 0])}
    task: Any = ObjectDetection(classes=CLASSES)
    if kind == "rotated_boxes":
        task = OrientedObjectDetection(classes=CLASSES)
        found["boxes"] = torch.cat([(box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2], torch.zeros(5, 1)], 1)
    if kind == "instances":
        task = InstanceSegmentation(classes=CLASSES)
        found["masks"] = torch.zeros(5, 8, 8, dtype=torch.uint8)
        for mask, (above, below) in zip(found["masks"], [(0, 2), (1, 3), (6, 8), (0, 2), (0, 1)], strict=True):
            mask[above:below, 2:5] = 255
    batch = {name: torch.stack([torch.zeros_like(values), values]) for name, values in found.items()}
    images, none, index = torch.zeros(2, 3, 32, 32), torch.zeros(2, 0, 7), torch.tensor([1, 0])
    sample = SimpleNamespace(images=images, target=none, masks=torch.zeros(0), index=index)
    nothing = Objects(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0, bool), outlines=())
    padded = Scene(0, Place((0.0, 8.0, 32.0, 24.0), (32, 64)), nothing)  # grey above and below
    loader = Mock(batch_size=2, scenes=[padded, None], epoch=lambda *_, **__: iter([sample]))
    loader.device, loader.look.mean, loader.look.std = torch.device("cpu"), (0.5,) * 3, (0.5,) * 3
    loader.targets.kind = kind
    task.predict, task.draw = lambda *_: batch, Mock()
    gallery.samples(task, Mock(), loader, [1], precision="fp32")
    _, drawn, i = task.draw.call_args.args
    assert i == 0 and {*drawn} == {*found}
    for name, values in drawn.items():
        assert torch.equal(values[0], found[name][KEPT[kind]]), name


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
