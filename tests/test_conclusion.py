"""What is drawn of a metric: everything that it can show."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from visrun import checkpoint
from visrun.conclusion import draw_metric, measure, predictions, take_best
from visrun.data.objects import Objects
from visrun.data.placement import Place, Scene
from visrun.detection.metrics import BoxMetric, MaskMetric, RotatedMetric
from visrun.errors import OutOfMemory, UserError
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
    return draw_metric(SimpleNamespace(metric=metric, dataset=dataset), folder)  # type: ignore[arg-type]


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


@pytest.mark.parametrize("odd", [{}, {"model": None}, {"model": {"other": torch.zeros(1)}}], ids=str)
def test_a_best_checkpoint_of_which_a_part_is_odd_is_one_line(tmp_path: Path, odd: dict[str, Any]) -> None:
    checkpoint.save(odd, tmp_path / "best.pt")
    made: Any = SimpleNamespace(step=SimpleNamespace(evaluated=torch.nn.Linear(1, 1)), task=None)
    with pytest.raises(UserError, match=r"^[^\n]*/best\.pt: a part is missing or of another kind \([^\n]*$"):
        take_best(made, tmp_path / "best.pt", rows=[], best_epoch=1)


def test_thresholds_are_those_of_the_best_epoch_or_not_known(tmp_path: Path) -> None:
    network, told = torch.nn.Linear(1, 1), list[Any]()
    checkpoint.save({"model": network.state_dict()}, tmp_path / "best.pt")
    made: Any = SimpleNamespace(step=SimpleNamespace(evaluated=network), task=SimpleNamespace(decide=told.append))
    rows = [{"epoch": 1, "threshold": 0.25}, {"epoch": 2, "threshold": 0.5}]
    for kept in (rows, rows[:1]):
        take_best(made, tmp_path / "best.pt", rows=kept, best_epoch=2)
    assert told == [rows[1], {}]


@pytest.mark.parametrize("graph", [None, object()])
def test_memory_that_runs_out_in_the_evaluation_says_what_a_captured_step_holds(graph: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("visrun.conclusion.evaluate", Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory")))
    step = SimpleNamespace(evaluated=None, graph=graph)
    made: Any = SimpleNamespace(
        device="cuda:0", task=None, step=step, loaders={"val": ()}, metric=object(), precision="fp32"
    )
    with pytest.raises(OutOfMemory, match=r"^out of memory on cuda:0 in the evaluation, not in a training") as caught:
        measure(made, "val")
    assert ("run.graph=false" in str(caught.value)) == (graph is not None)


@pytest.mark.parametrize("k", [100, 101])
def test_of_many_classes_a_run_measures_the_means_alone(k: int, monkeypatch: Any) -> None:
    values = {"map": 0.5, **{f"ap/c{i}": 0.5 for i in range(k)}}
    monkeypatch.setattr("visrun.conclusion.evaluate", lambda *_, **__: values)
    task = SimpleNamespace(state=lambda: {"classes": [f"c{i}" for i in range(k)]})
    step = SimpleNamespace(evaluated=None, graph=None)
    made: Any = SimpleNamespace(
        device="cpu", task=task, step=step, loaders={"val": ()}, metric=object(), precision="fp32"
    )
    assert measure(made, "val") == (values if k == 100 else {"map": 0.5})


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
    loader = Mock(batch_size=1, images=[0], scenes=scenes, epoch=lambda *_, **__: iter([sample]))
    task = Mock()
    made = Mock(task=task, loaders={"val": loader}, device=torch.device("cpu"), precision="fp32")
    made.built.mean, made.built.std, made.dataset.kind = (0.5,) * 3, (0.5,) * 3, "instances"
    predictions(made, "val")
    rows, layers = task.draw.call_args.kwargs["target"]
    assert rows[0].tolist() == [0, 0, 1, 4, 4, 25, 17]
    assert layers.shape == (2, 32, 48) and (layers[0, 4:17, 4:25] == 1).all() and layers.count_nonzero() == 13 * 21
