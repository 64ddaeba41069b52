"""The three tasks of objects: they agree with their table, learn, report, go back to files, write and draw."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from faster_coco_eval import mask as coco
from PIL import Image
from torch import Tensor

from visrun.batch import truth
from visrun.build import load
from visrun.data.placement import Place
from visrun.detection.runs import areas, of_rows
from visrun.errors import UserError
from visrun.models.dense import small_detector
from visrun.tables import TASKS
from visrun.tasks.base import Merging, Selecting

NAMES = ("object_detection", "oriented_object_detection", "instance_segmentation")
CLASSES = ("cat", "dog")
SIDE = 64
PLACE = Place(box=(0.0, 8.0, 64.0, 56.0), size=(96, 128))  # a letterbox: two pixels of the file for one


def task_of(name: str, **words: Any) -> Any:
    return load(TASKS[name].build)(classes=CLASSES, **words)  # type: ignore[arg-type]


def batch(name: str) -> Any:
    """Of two images, one with a dog."""
    box = [32.0, 32.0, 30.0, 16.0, 0.4] if name == "oriented_object_detection" else [10.0, 12.0, 40.0, 36.0]
    target = torch.full((2, 3, 3 + len(box)), -1.0)
    target[0, 0] = torch.tensor([1.0, 0.0, 1.0, *box])
    masks = torch.zeros(2, 0)
    if name == "instance_segmentation":
        masks = torch.zeros(2, 2, SIDE // 4, SIDE // 4, dtype=torch.int16)
        masks[0, 0, 3:9, 3:10] = 1
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(2, dtype=torch.bool)
    return SimpleNamespace(images=images, target=target, masks=masks, index=torch.arange(2), valid=valid)


def prediction(name: str) -> dict[str, Tensor]:
    """Of one image: a dog, sure; a cat, hardly; and an empty row."""
    boxes = [[16.0, 20, 48, 40], [0.0, 8, 8, 16], [0.0] * 4]
    if name == "oriented_object_detection":
        boxes = [[32.0, 30, 32, 20, 0.5], [4.0, 12, 8, 8, 0.0], [0.0] * 5]
    made = {
        "boxes": torch.tensor([boxes]),
        "scores": torch.tensor([[0.9, 0.1, 0.0]]),
        "labels": torch.tensor([[1, 0, -1]]),
    }
    if name == "instance_segmentation":
        masks = torch.zeros(1, 3, SIDE // 4, SIDE // 4, dtype=torch.uint8)
        masks[0, 0, 5:10, 4:12], masks[0, 1, 2:4, :2] = 255, 255
        made["masks"] = masks
    return made


@pytest.fixture(scope="module")
def networks() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    return {name: small_detector(num_outputs=2, target=TASKS[name].target).module for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_head_has_an_output_for_each_class_and_tiles_can_be_merged(name: str) -> None:
    task = task_of(name)
    assert task.num_outputs == 2 and isinstance(task, Merging)
    assert type(task)(**task.state()).state() == task.state() == {"classes": list(CLASSES)}


@pytest.mark.parametrize("name", NAMES)
def test_parts_of_the_loss(name: str, networks: dict[str, torch.nn.Module]) -> None:
    loss = load(next(iter(TASKS[name].losses.values())))
    parts = task_of(name, loss=loss).losses(networks[name].train(), batch(name))
    more = {"instance_segmentation": ["mask"], "oriented_object_detection": ["coarse"]}
    assert list(parts) == ["class", "box", *more.get(name, [])]
    heavy = task_of(name, loss=loss, class_weight=torch.tensor([1.0, 5.0])).losses(networks[name], batch(name))
    assert heavy["box"] > 2 * parts["box"]


@pytest.mark.parametrize("name", NAMES)
def test_predictions_and_their_metric(name: str, networks: dict[str, torch.nn.Module]) -> None:
    from visrun.data.objects import Objects
    from visrun.data.placement import Scene

    task, samples = task_of(name), batch(name)
    found = task.predict(networks[name].eval(), samples.images)
    assert not any(values.requires_grad for values in found.values())
    assert (found["scores"].diff(dim=1) <= 0).all()
    corners = np.array([[[20.0, 24], [80, 24], [80, 72], [20, 72]]])
    truth = Objects(
        np.array([1]),
        np.array([[20.0, 24, 80, 72]]),
        np.array([False]),
        quads=corners if name.startswith("oriented") else None,
        outlines=((corners[0],),) if name.startswith("instance") else None,
    )
    nothing = truth.pick(np.zeros(1, bool))
    metric = task.metric()
    metric.reset([Scene(0, PLACE, truth), Scene(1, PLACE, nothing)])
    metric.update(found, samples)
    assert 0 <= metric.compute()[TASKS[name].monitor] <= 1


@pytest.mark.parametrize("name", NAMES)
def test_predictions_go_back_to_their_file(name: str) -> None:
    task = task_of(name)
    one = task.restore(prediction(name), 0, PLACE)
    assert one["labels"].tolist() == [[1, 0]]
    box = one["boxes"][0, 0].tolist()
    if name == "oriented_object_detection":
        assert box == pytest.approx([64.0, 44.0, 64.0, 40.0, 0.5])
    else:
        assert box == pytest.approx([32.0, 24.0, 96.0, 64.0])
    if name == "instance_segmentation":
        mask, other = (coco.decode(runs) for runs in of_rows(one["runs"][0]))
        assert mask.shape == (96, 128)
        assert mask[28:60, 36:92].mean() > 0.95 and mask.sum() < 1.2 * 64 * 40
        assert other[:16, :16].mean() > 0.8 and other.sum() < 1.3 * 16 * 16


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_in_the_padding_alone_is_neither_written_nor_measured(name: str) -> None:
    from visrun.data.objects import Objects
    from visrun.data.placement import Scene

    found = prediction(name)
    inside, beyond = [10.0, 2, 30, 14], [10.0, 57, 30, 63]  # what is beyond lies below the picture, which ends at 56
    if name == "oriented_object_detection":
        inside, beyond = [20.0, 4, 12, 10, 0.5], [20.0, 61, 12, 4, 0.5]
    found["boxes"][0] = torch.tensor([inside, beyond, inside])
    found["scores"], found["labels"] = torch.tensor([[0.9, 0.8, 0.7]]), torch.zeros(1, 3, dtype=torch.long)
    if name == "instance_segmentation":
        found["masks"][:] = 0
        found["masks"][0, :2, 2:4, 3:7] = 255  # the last has a box in the picture, but no mask
    task = task_of(name)
    written = task.record(task.restore(found, 0, PLACE), 0)["objects"]
    kept = [0.9] if name == "instance_segmentation" else [0.9, 0.7]
    assert [one["score"] for one in written] == pytest.approx(kept)
    metric = task.metric()
    metric.reset([Scene(0, PLACE, Objects(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0, bool), outlines=()))])
    metric.update(found, SimpleNamespace(index=torch.zeros(1, dtype=torch.long), valid=torch.ones(1, dtype=torch.bool)))
    assert metric.matched().found.scores.tolist() == pytest.approx(kept)


def test_masks_too_faint_for_a_record_are_not_drawn() -> None:
    found = prediction("instance_segmentation")
    found["masks"][0, 1], found["scores"][0, 1] = 255, 0.04
    one = task_of("instance_segmentation").restore(found, 0, PLACE)
    assert areas(of_rows(one["runs"][0])).tolist() == [pytest.approx(64 * 40, rel=0.1), 0]
    assert one["labels"].tolist() == [[1, 0]]  # a part in another tile may lie in it


@pytest.mark.parametrize("name", NAMES)
def test_a_threshold_chooses_what_is_written_and_drawn(name: str) -> None:
    task = task_of(name)
    assert isinstance(task, Selecting)
    white = Image.new("RGB", (128, 96), "white")
    counts, seen = [], []
    for threshold in (0.0, 0.1, 0.11, 0.95):
        task.select(threshold)
        found = task.restore(prediction(name), 0, PLACE)
        counts.append(len(task.record(found, 0)["objects"]))
        seen.append(int((np.asarray(task.draw(white, found, 0)) != 255).sum()))
    assert counts == [2, 2, 1, 0]
    assert seen[0] == seen[1] > seen[2] > seen[3]
    for wrong in (-0.1, 1.01):
        with pytest.raises(UserError, match=rf"^threshold={wrong:g}: must be a number from 0 to 1"):
            task.select(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_records(name: str) -> None:
    task = task_of(name)
    objects = task.record(task.restore(prediction(name), 0, PLACE), 0)["objects"]
    json.dumps(objects)
    assert [(one["label"], one["score"]) for one in objects] == [("dog", 0.9), ("cat", 0.1)]
    assert ("mask" in objects[0]) == (name == "instance_segmentation")
    assert "mask" not in task.record(prediction(name), 0)["objects"][0]
    assert task.record({key: values[:, :0] for key, values in prediction(name).items()}, 0) == {"objects": []}


@pytest.mark.parametrize("name", NAMES)
def test_tiles_are_merged(name: str) -> None:
    task = task_of(name)
    part = task.restore(prediction(name), 0, PLACE)
    assert task.merge([part, part], [PLACE, PLACE])["scores"].tolist() == part["scores"].tolist()


def test_masks_of_tiles_are_those_of_their_objects() -> None:
    """Two tiles of a file of 64 x 160 pixels; the second begins at 96, and its mask needs more runs."""
    places = [Place((0, 0, 160, 64), (64, 160)), Place((-96, 0, 64, 64), (64, 160))]
    task, parts = task_of("instance_segmentation"), []
    for i, place in enumerate(places):
        found = prediction("instance_segmentation")
        found["masks"][0, 0, 6 + i : 10 : 1 + i, 4:12] = 0
        parts.append(task.restore(found, 0, place))
    page = task.merge(parts, places)
    masks = of_rows(page["runs"][0])
    assert {runs["counts"] for runs in masks} == {runs["counts"] for part in parts for runs in of_rows(part["runs"][0])}
    assert len(masks) == 4 and all(runs["size"] == [64, 160] for runs in masks)
    assert all("counts" in one["mask"] for one in task.record(page, 0)["objects"])


@pytest.mark.parametrize("name", NAMES)
def test_pictures(name: str) -> None:
    task, image = task_of(name), Image.new("RGB", (SIDE, SIDE), (120, 120, 120))
    alone = task.draw(image, prediction(name), 0)
    beside = task.draw(image, prediction(name), 0, target=truth(batch(name), 0))
    assert beside.width > alone.height
    empty = {key: values[:, :0] for key, values in prediction(name).items()}
    plain = np.asarray(task.draw(image, empty, 0))
    assert (np.asarray(alone)[: plain.shape[0], : plain.shape[1]] != plain[: alone.height]).any()
    file = Image.new("RGB", (128, 96))
    assert task.draw(file, task.restore(prediction(name), 0, PLACE), 0).size[0] >= 128
    task.draw(image, prediction(name), 0, target=truth(batch(name), 1))
