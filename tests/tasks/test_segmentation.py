"""Segmentation: parts of the loss, auxiliary heads, masks, records and pictures."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from visrun import losses
from visrun.build import load
from visrun.errors import ConfigError
from visrun.figures.drawing import PANEL, overlay
from visrun.tables import TASKS
from visrun.tasks.segmentation import AUX_WEIGHT, Segmentation

CLASSES = ("background", "road", "car")
LOSSES = TASKS["segmentation"].losses


def logits(seed: int = 0) -> Tensor:
    return torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(seed))


def batch() -> Any:
    target = torch.randint(3, (2, 4, 6), generator=torch.Generator().manual_seed(1))
    target[:, 0] = 255
    return SimpleNamespace(images=torch.zeros(2, 3, 4, 6), target=target, valid=torch.ones(2) > 0)


def test_the_head_has_an_output_for_each_class() -> None:
    assert Segmentation(classes=CLASSES).num_outputs == 3


@pytest.mark.parametrize("name", LOSSES)
def test_parts_of_the_loss(name: str) -> None:
    loss = load(LOSSES[name])
    task, x, samples = Segmentation(classes=CLASSES, loss=partial(loss, weight=torch.ones(3))), logits(), batch()
    value = loss(x, samples.target)
    expected = value if isinstance(value, dict) else {loss.__name__: value}
    for output in (x, {"out": x}):
        parts = task.losses(lambda _, output=output: output, samples)
        assert list(parts) == list(expected)
        for part, tensor in expected.items():
            torch.testing.assert_close(parts[part], tensor)


def test_an_auxiliary_head_adds_half_of_its_own_loss() -> None:
    samples, task = batch(), Segmentation(classes=CLASSES, loss=losses.ce_dice)
    parts = task.losses(lambda _: {"out": logits(0), "aux": logits(5)}, samples)
    assert list(parts) == ["ce", "dice", "aux"]
    aux = sum(losses.ce_dice(logits(5), samples.target).values())
    torch.testing.assert_close(parts["aux"], AUX_WEIGHT * aux)


@pytest.mark.parametrize(
    "output",
    [(logits(), logits(3)), {"logits": logits()}, {"out": (logits(),)}],
    ids=["tuple", "no out", "out of many"],
)
def test_a_network_that_gives_no_logits_is_told_what_to_give(output: Any) -> None:
    task = Segmentation(classes=CLASSES, loss=losses.ce_dice)
    with pytest.raises(ConfigError, match=rf"the network gives {type(output).__name__}: let it give one tensor"):
        task.losses(lambda _: output, batch())
    with pytest.raises(ConfigError, match="let it give one tensor"):
        task.predict(lambda _: output, torch.zeros(2))


def test_masks_are_the_likeliest_classes() -> None:
    task = Segmentation(classes=CLASSES)
    for output in (logits(), {"out": logits(), "aux": logits(3)}):
        mask = task.predict(lambda _, output=output: output, torch.zeros(2))["mask"]
        assert mask.dtype == torch.uint8 and mask.tolist() == logits().argmax(1).tolist()


def test_the_metric_holds_the_monitored_value() -> None:
    task, samples = Segmentation(classes=CLASSES), batch()
    metric = task.metric()
    metric.update({"mask": samples.target}, samples)
    assert metric.compute() == pytest.approx(
        {"miou": 1.0, "dice": 1.0, "pixel_accuracy": 1.0, **{f"iou/{name}": 1.0 for name in CLASSES}}
    )
    assert TASKS["segmentation"].monitor in metric.compute()


def test_records_give_areas() -> None:
    mask = torch.tensor([[[0, 0, 0, 2]]])
    assert Segmentation(classes=CLASSES).record({"mask": mask}, 0) == {"area": {"background": 0.75, "car": 0.25}}


def test_a_mask_goes_back_to_the_pixels_of_its_file() -> None:
    class Left:
        """A picture twice as wide as what the model saw of it."""

        def back(self, mask: Tensor) -> Tensor:
            return torch.cat([mask, torch.full_like(mask, 255)], 1)

    task, mask = Segmentation(classes=CLASSES), torch.tensor([[[0, 0]], [[1, 2]]], dtype=torch.uint8)
    found = task.restore({"mask": mask}, 1, Left())
    assert found["mask"].tolist() == [[[1, 2, 255, 255]]]
    assert task.record(found, 0) == {"area": {"road": 0.5, "car": 0.5}}


@pytest.mark.parametrize(
    ("ids", "written"), [(None, [0, 1, 2, 255]), ((7, 26, 128), [7, 26, 128, 255]), ((0, 255, 3), [0, 255, 3, 0])]
)
def test_maps_have_the_ids_of_the_dataset(ids: tuple[int, ...] | None, written: list[int]) -> None:
    mask = torch.tensor([[[0, 1, 2, 255]]], dtype=torch.uint8)
    found = Segmentation(classes=CLASSES, ids=ids).maps({"mask": mask}, 0)["mask"]
    assert found.tolist() == [written]
    assert found.dtype == np.uint8


def test_state_builds_the_task() -> None:
    state = Segmentation(classes=CLASSES, ids=(7, 0, 26), loss=losses.dice).state()
    assert Segmentation(**state).state() == state == {"classes": list(CLASSES), "ids": [7, 0, 26]}
    assert Segmentation(classes=CLASSES).ids == (0, 1, 2)


@pytest.mark.parametrize("kind", ["tensor", "array", "image"])
def test_pictures_show_the_classes_where_they_are(kind: str) -> None:
    image = Image.new("RGB", (320, 160), (255, 255, 255))
    predicted = torch.zeros(1, 4, 8, dtype=torch.uint8)
    predicted[0, :, 4:] = 1
    truth: Any = np.full((160, 320), 255, np.uint8)
    truth[80:] = 2
    truth = {"tensor": torch.tensor(truth), "array": truth, "image": Image.fromarray(truth)}[kind]
    task = Segmentation(classes=CLASSES)
    assert task.draw(image, {"mask": predicted}, 0).width < task.draw(image, {"mask": predicted}, 0, truth).width
    page = np.asarray(task.draw(image, {"mask": predicted}, 0, truth), int)[22:182]
    shown, forecast, true = page[:, :320], page[:, 328:648], page[:, 656:976]
    assert (shown == 255).all()
    assert len(np.unique(forecast[:, :160].reshape(-1, 3), axis=0)) == 1
    assert (forecast[0, 0] != forecast[0, 319]).any()
    assert (true[:80] == 255).all() and (true[80:] == true[159, 0]).all() and (true[159, 0] != 255).any()


def test_classes_of_a_large_image_are_drawn_in_the_pixels_of_the_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = list[tuple[int, int]]()

    def spied(image: Image.Image, *given: Any, **options: Any) -> Image.Image:
        drawn.append(image.size)
        return overlay(image, *given, **options)

    monkeypatch.setattr("visrun.tasks.segmentation.overlay", spied)
    mask = torch.zeros(1, 900, 1200, dtype=torch.uint8)
    mask[:, 450:] = 1
    page = Segmentation(classes=CLASSES).draw(Image.new("RGB", (1200, 900)), {"mask": mask}, 0, mask[0])
    assert drawn == [(PANEL, PANEL * 3 // 4)] * 2
    below = np.asarray(page)[22 : 22 + PANEL * 3 // 4, PANEL + 8 : 2 * PANEL + 8]
    assert (below[:192] == below[0, 0]).all() and (below[192:] == below[-1, 0]).all() and (below[0] != below[-1]).any()
