"""Classification: losses, probabilities, records and pictures of single and several labels."""

from __future__ import annotations

import json
import math
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from visrun import losses
from visrun.build import load
from visrun.errors import ConfigError, UserError
from visrun.figures.drawing import Line
from visrun.tables import TASKS
from visrun.tasks import classification
from visrun.tasks.classification import Classification

CLASSES = ("cat", "dog", "cow")
LOSSES = TASKS["classification"].losses
IMAGE = Image.new("RGB", (300, 200), (200, 180, 40))


def batch(target: Tensor) -> Any:
    return SimpleNamespace(images=torch.zeros(len(target), 3, 8, 8), target=target, valid=torch.ones(len(target)) > 0)


def model(logits: list[list[float]]) -> Any:
    return lambda _: torch.tensor(logits)


def test_several_outputs_are_for_a_loss_that_takes_them() -> None:
    def both(prediction: Any, target: Tensor) -> Tensor:
        return sum(losses.cross_entropy(part, target) for part in prediction)

    row, target = torch.zeros(1, 3), torch.tensor([1])
    assert Classification(classes=CLASSES, loss=both).losses(lambda _: (row, row), batch(target))["both"] > 0
    task = Classification(classes=CLASSES, loss=partial(losses.focal, weight=None))
    with pytest.raises(ConfigError, match=r"^the network gives tuple, which loss=focal does not take: let it give one"):
        task.losses(lambda _: (row, row), batch(target))


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_reported_under_its_name(name: str) -> None:
    task = Classification(classes=CLASSES, loss=partial(load(LOSSES[name]), weight=torch.ones(3)))
    parts = task.losses(model([[1.0, 2.0, 3.0]]), batch(torch.tensor([2])))
    assert list(parts) == [name]
    torch.testing.assert_close(parts[name], load(LOSSES[name])(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([2])))


def test_the_head_has_an_output_for_each_class() -> None:
    assert Classification(classes=CLASSES).num_outputs == 3


def test_probabilities_by_hand() -> None:
    logits = model([[0.0, math.log(2.0), math.log(5.0)]])
    softmax = Classification(classes=CLASSES).predict(logits, torch.zeros(1))["probabilities"]
    assert softmax[0].tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    # sigmoids 1/2, 2/3, 5/6 add to 2
    single = Classification(classes=CLASSES, loss=losses.bce).predict(logits, torch.zeros(1))["probabilities"]
    assert single[0].tolist() == pytest.approx([1 / 4, 1 / 3, 5 / 12])
    several = Classification(classes=CLASSES, loss=losses.bce, multilabel=True)
    assert several.predict(logits, torch.zeros(1))["probabilities"][0].tolist() == pytest.approx([1 / 2, 2 / 3, 5 / 6])


@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.bce])
@pytest.mark.parametrize("height", [-1e4, 1e4])
def test_probabilities_are_finite_for_any_logits(loss: Any, height: float) -> None:
    found = Classification(classes=CLASSES, loss=loss).predict(model([[height, height, 0.0]]), torch.zeros(1))
    assert found["probabilities"].sum().item() == pytest.approx(1.0)


def test_predictions_carry_no_gradient_and_are_float32() -> None:
    linear = torch.nn.Linear(2, 3).bfloat16()
    found = Classification(classes=CLASSES).predict(linear, torch.zeros(4, 2).bfloat16())["probabilities"]
    assert found.dtype == torch.float32 and not found.requires_grad


def test_several_labels_need_bce() -> None:
    with pytest.raises(ValueError, match=r"loss=focal: .* several labels; use loss=bce"):
        Classification(classes=CLASSES, loss=partial(losses.focal, gamma=1.0), multilabel=True)
    Classification(classes=CLASSES, loss=partial(losses.bce, weight=None), multilabel=True)


@pytest.mark.parametrize("multilabel", [False, True])
def test_state_builds_a_task_that_predicts_the_same(multilabel: bool) -> None:
    task = Classification(classes=CLASSES, loss=losses.bce, multilabel=multilabel)
    state = task.state()
    again = Classification(**json.loads(json.dumps(state)))
    assert again.state() == state
    logits = model([[0.3, -1.0, 2.0]])
    for key, value in task.predict(logits, torch.zeros(1)).items():
        assert torch.equal(value, again.predict(logits, torch.zeros(1))[key])
    assert task.record(task.predict(logits, torch.zeros(1)), 0) == again.record(
        again.predict(logits, torch.zeros(1)), 0
    )


def test_a_sample_can_stand_alone() -> None:
    task, prediction = Classification(classes=CLASSES), {"probabilities": torch.eye(3)}
    assert task.restore(prediction, 1, None)["probabilities"].tolist() == [[0.0, 1.0, 0.0]]
    assert task.record(task.restore(prediction, 1, None), 0) == task.record(prediction, 1)


def test_a_threshold_chooses_the_labels_of_an_image_that_can_have_several() -> None:
    prediction = {"probabilities": torch.tensor([[0.7, 0.2, 0.6]])}
    task = Classification(classes=CLASSES, multilabel=True)
    labels = []
    for threshold in (0.1, 0.2, 0.65, 1.0):
        task.select(threshold)
        labels.append(task.record(prediction, 0)["labels"])
    assert [len(one) for one in labels] == [3, 3, 1, 0]
    with pytest.raises(UserError, match=r"^threshold=2: must be a number from 0 to 1"):
        task.select(2)


def test_thresholds_that_validation_chose_are_reported_from() -> None:
    prediction = {"probabilities": torch.tensor([[0.7, 0.2, 0.6]])}
    task = Classification(classes=CLASSES, multilabel=True)
    assert "thresholds" not in task.record(prediction, 0)  # as before any was chosen
    task.decide({"threshold/dog": 0.125, "threshold/cow": 0.65, "f1": 1.0})
    assert task.state()["thresholds"] == [0.5, 0.125, 0.65]
    found = Classification(**task.state()).record(prediction, 0)
    assert found["labels"] == ["cat", "dog"]
    assert found["thresholds"] == {"cat": 0.5, "cow": 0.65, "dog": 0.125}
    other = Classification(classes=CLASSES, multilabel=True)
    other.take(task.state())
    assert other.reported_from() == (0.5, 0.125, 0.65)
    other.select_classes({"cow": 0.6})
    assert other.reported_from() == (0.5, 0.125, 0.6)
    task.select(0.5)
    assert task.record(prediction, 0)["labels"] == ["cat", "cow"]
    task.decide({})
    assert task.thresholds is None
    single = Classification(classes=CLASSES)
    single.decide({"threshold/dog": 0.125})
    assert single.state()["thresholds"] is None
    single.take({})  # of a checkpoint that was written before there were any
    assert single.thresholds is None


def test_of_one_label_a_threshold_is_that_of_a_class() -> None:
    prediction = {"probabilities": torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]])}
    task = Classification(classes=CLASSES)
    task.select_classes({"dog": 0.2})
    assert task.record(prediction, 0) == {
        "label": "dog",
        "probability": 0.2,
        "probabilities": {"cat": 0.7, "dog": 0.2, "cow": 0.1},
        "thresholds": {"dog": 0.2},
    }
    task.select_classes({"dog": 0.75})
    assert [task.record(prediction, i)["label"] for i in range(2)] == ["cat", "cat"]
    assert task.metric().preferred == (1, 0.75)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (0.5, r"^threshold=0\.5: an image of this run has one label, .*, as in threshold=cow:0\.5$"),
        ({"dgo": 0.5}, r"^threshold=dgo:0\.5: this run has no class dgo \(did you mean dog\?\)$"),
        ({"x": 0.5}, r"^threshold=x:0\.5: this run has no class x; it has cat, dog, cow$"),
        ({"dog": 1.5}, r"^threshold=1\.5: must be a number from 0 to 1"),
        ({"dog": 0.5, "cat": 0.5}, r"^threshold=dog,cat: an image of this run has one label; name one class$"),
    ],
    ids=str,
)
def test_a_threshold_that_does_not_fit_is_a_line(asked: Any, told: str) -> None:
    task = Classification(classes=CLASSES)
    with pytest.raises(UserError, match=told):
        task.select_classes(asked) if isinstance(asked, dict) else task.select(asked)


def test_what_is_reported_is_drawn_before_what_is_likelier() -> None:
    task = Classification(classes=["a", "b", "c", "d"], multilabel=True, thresholds=[0.9, 0.9, 0.9, 0.1])
    with patch("visrun.tasks.classification.caption") as drawn:
        task.draw(Image.new("RGB", (8, 8)), {"probabilities": torch.tensor([[0.8, 0.7, 0.6, 0.2]])}, 0)
    assert [line.text for line in drawn.call_args.args[1]] == ["d ≥ 0.1", "a ≥ 0.9", "b ≥ 0.9"]


def test_records() -> None:
    prediction = {"probabilities": torch.tensor([[0.2, 0.7, 0.1], [0.6, 0.1, 0.5]])}
    assert Classification(classes=CLASSES).record(prediction, 0) == {
        "label": "dog",
        "probability": 0.7,
        "probabilities": {"dog": 0.7, "cat": 0.2, "cow": 0.1},
    }
    several = Classification(classes=CLASSES, multilabel=True)
    assert several.record(prediction, 1)["labels"] == ["cat", "cow"]
    assert json.dumps(several.record({"probabilities": torch.zeros(1, 3)}, 0)["labels"]) == "[]"


def test_the_metric_holds_the_monitored_value() -> None:
    task = Classification(classes=CLASSES)
    metric, samples = task.metric(), batch(torch.tensor([0, 1, 2]))
    metric.update(task.predict(model([[9.0, 0, 0], [0, 9.0, 0], [9.0, 0, 0]]), samples.images), samples)
    assert metric.compute()[TASKS["classification"].monitor] == pytest.approx(2 / 3)
    assert [metric.compute()[f"recall/{name}"] for name in CLASSES] == [1.0, 1.0, 0.0]


def colors(picture: Image.Image) -> set[str]:
    """Which of green and red the caption below the image shows."""
    pixels = np.asarray(picture, int)[IMAGE.height + 10 :].reshape(-1, 3)
    r, g, b = pixels.T
    return {
        name for name, found in {"green": (g > r + 50) & (g > b), "red": (r > g + 50) & (r > b)}.items() if found.any()
    }


@pytest.mark.parametrize(
    ("target", "expected"), [(None, set()), (1, {"green"}), (0, {"red"}), (torch.tensor(1), {"green"}), ((2,), {"red"})]
)
def test_right_is_green_and_wrong_is_red(target: Any, expected: set[str]) -> None:
    prediction = {"probabilities": torch.tensor([[0.2, 0.7, 0.1]])}
    picture = Classification(classes=CLASSES).draw(
        IMAGE.resize((300, 300)).crop((0, 0, 300, 200)), prediction, 0, target
    )
    assert picture.width == IMAGE.width and picture.height > IMAGE.height
    assert colors(picture) == expected
    assert picture.getpixel((150, 100)) == (200, 180, 40)


@pytest.mark.parametrize("target", [[0, 2], torch.tensor([1.0, 0.0, 1.0])])
def test_several_labels_are_coloured_one_by_one(target: Any) -> None:
    several = Classification(classes=CLASSES, multilabel=True)
    assert colors(several.draw(IMAGE, {"probabilities": torch.tensor([[0.9, 0.1, 0.8]])}, 0, target)) == {"green"}
    assert colors(several.draw(IMAGE, {"probabilities": torch.tensor([[0.9, 0.8, 0.1]])}, 0, target)) == {
        "green",
        "red",
    }
    assert colors(several.draw(IMAGE, {"probabilities": torch.zeros(1, 3)}, 0, target)) == {"red"}
    assert colors(several.draw(IMAGE, {"probabilities": torch.zeros(1, 3)}, 0, [])) == set()


@pytest.mark.parametrize(
    ("probabilities", "true", "told"),
    [([0.9, 0.1, 0.1], [], ["truth: none"]), ([0.1, 0.1, 0.1], [], []), ([0.9, 0.1, 0.8], [0, 1], ["truth: dog"])],
)
def test_labels_that_were_missed_or_are_none_are_told(
    probabilities: list[float], true: list[int], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    captions: list[list[Line]] = []
    monkeypatch.setattr(classification, "caption", lambda _, lines: captions.append(lines))
    several = Classification(classes=CLASSES, multilabel=True)
    several.draw(IMAGE, {"probabilities": torch.tensor([probabilities])}, 0, true)
    assert [line.text for line in captions[0] if line.share is None] == told
