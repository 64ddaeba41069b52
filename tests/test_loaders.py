"""Batches of objects from files: boxes, masks and scenes agree with the pixels, whole and in tiles."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.ops import masks_to_boxes

from tests.emptied import nothing
from visrun import boxes
from visrun.data.augment import Augment
from visrun.data.batches import Vary
from visrun.data.cache import Keep
from visrun.data.listing import Record
from visrun.data.look import Look
from visrun.data.objects import BOX, ID, IGNORED, LABEL, Objects, corners_of
from visrun.data.records import Dataset, read
from visrun.loaders import packed, split_batches, where_kept

CPU = torch.device("cpu")
RAM = Keep(cache="ram")
SIZES = [(96, 64), (64, 64), (80, 40), (96, 64)]  # width, height


def listed(*rows: tuple[float, float, float, float]) -> Objects:
    array = np.array(rows, float).reshape(-1, 4)
    quads = corners_of(array)
    labels = np.arange(len(array)) % 2
    return Objects(labels, array, np.zeros(len(array), bool), quads, tuple((quad,) for quad in quads))


TRUTHS = [
    listed((8, 8, 40, 32), (56, 20, 88, 60)),
    listed((4, 24, 60, 56)),
    nothing(quads=True, outlines=True),
    listed((0, 0, 30, 30), (40, 8, 60, 50), (64, 30, 96, 64)),
]


def bounds(masks: Tensor) -> Tensor:
    """(N, 4) xyxy around the squares of each mask's pixels."""
    return masks_to_boxes(masks) + torch.tensor([0, 0, 1, 1])


def painted(folder: Path, name: str, size: tuple[int, int], objects: Objects) -> Path:
    """Object k is of level 255 - 40 k on black."""
    page = np.zeros((size[1], size[0], 3), np.uint8)
    for k, (left, top, right, bottom) in enumerate(objects.boxes.astype(int).tolist()):
        page[top:bottom, left:right] = 255 - 40 * k
    Image.fromarray(page).save(folder / name)
    return folder / name


def dataset(folder: Path, sizes=SIZES, truths=TRUTHS) -> Dataset:
    paths = [
        painted(folder, f"{i}.png", size, objects) for i, (size, objects) in enumerate(zip(sizes, truths, strict=True))
    ]
    rows = tuple(Record(path, truth, path.name) for path, truth in zip(paths, truths, strict=True))
    known = dict(zip(paths, sizes, strict=True))
    return Dataset(
        root=folder, layout="x", splits={"train": rows, "val": rows}, classes=("a", "b"), targets=(), sizes=known
    )


def look(size=(64, 96), **more) -> Look:
    return Look(image_size=size, fit="zoom", mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255), **more)


def batches(folder: Path, kind: str, *, split="val", seen=None, **more):
    known = replace(seen or dataset(folder), kind=kind)
    return split_batches(known, split, more.pop("look", look()), RAM, Vary(**more), batch_size=4, device=CPU)


@pytest.mark.parametrize("kind", ["boxes", "rotated_boxes", "instances"])
def test_evaluation_shows_each_object_where_its_pixels_are(tmp_path, kind):
    (batch,) = batches(tmp_path, kind).epoch(0)
    assert batch.target.shape == (4, 3, 8 if kind == "rotated_boxes" else 7)
    assert batch.target[2, :, LABEL].tolist() == [-1] * 3
    for image, rows in zip(batch.images, batch.target, strict=True):
        for k, row in enumerate(rows[rows[:, LABEL] >= 0]):
            level = (image[0].round() == 255 - 40 * k)[None]
            box = boxes.le90_to_xyxy(row[None, BOX]) if kind == "rotated_boxes" else row[None, BOX]
            torch.testing.assert_close(bounds(level), box, atol=0.51, rtol=0)


def test_masks_go_with_their_objects(tmp_path):
    (batch,) = batches(tmp_path, "instances").epoch(0)
    assert batch.masks.shape == (4, 2, 16, 24) and batch.masks.dtype == torch.int16
    for rows, layers in zip(batch.target, batch.masks, strict=True):
        for row in rows[rows[:, LABEL] >= 0]:
            box = bounds((layers == int(row[ID])).any(0)[None])[0] * 4
            torch.testing.assert_close(box, row[BOX], atol=4, rtol=0)


@pytest.mark.parametrize("kind", ["boxes", "rotated_boxes", "instances"])
@pytest.mark.parametrize("mosaic", [0.0, 0.7])
def test_training_goes_on_from_any_step_bit_for_bit(tmp_path, kind, mosaic):
    how = Augment(crop_scale=(0.5, 2.0), hflip=True, brightness=0.2, mosaic=mosaic)
    known = dataset(tmp_path, SIZES * 3, TRUTHS * 3)

    def made():
        return batches(tmp_path, kind, split="train", seen=known, augment=how, training=True)

    full = list(made().epoch(2))
    assert len(full) == 3
    for start in range(3):
        for one, other in zip(full[start:], made().epoch(2, start=start), strict=True):
            assert all(torch.equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    assert len({tuple(batch.target.shape) for batch in full}) == 1


def test_scenes_lead_back_to_the_file(tmp_path):
    made = batches(tmp_path, "boxes")
    (batch,) = made.epoch(0)
    for rows, scene in zip(batch.target, made.scenes, strict=True):
        found = rows[rows[:, LABEL] >= 0][:, BOX]
        corners = scene.place.points(found.reshape(-1, 2, 2)).reshape(-1, 4)
        torch.testing.assert_close(corners.double(), torch.from_numpy(scene.truth.boxes), atol=1e-3, rtol=0)
    assert [scene.place.scale for scene in made.scenes] == pytest.approx([1, 1, 80 / 96, 1])
    assert [scene.image for scene in made.scenes] == [0, 1, 2, 3]
    assert batches(tmp_path, "boxes", split="train", training=True).scenes == ()


def test_tiles_share_their_image_and_map_back(tmp_path):
    size, truth = (200, 100), listed((10, 10, 50, 40), (90, 30, 130, 70), (150, 60, 190, 95))
    known = dataset(tmp_path, [size], [truth])
    made = batches(tmp_path, "boxes", seen=known, look=look((96, 96), tile=96, overlap=32))
    assert [scene.image for scene in made.scenes] == [0] * 6
    assert len(made.images) == 6 and made.images.windows[:3].tolist() == [
        [0, 0, 96, 96],
        [52, 0, 148, 96],
        [104, 0, 200, 96],
    ]
    whole: set[int] = set()
    for batch in made.epoch(0):
        for i, rows in zip(batch.index[batch.valid].tolist(), batch.target[batch.valid], strict=True):
            place = made.scenes[i].place
            assert place.size == (100, 200)
            for row in rows[(rows[:, LABEL] >= 0) & (rows[:, IGNORED] == 0)]:
                left, top, right, bottom = place.points(row[BOX].reshape(2, 2)).flatten().tolist()
                fits = np.abs(truth.boxes - (left, top, right, bottom)).max(1) < 0.01
                whole |= set(np.flatnonzero(fits).tolist())
    assert whole == {0, 1, 2}  # each is wholly seen in at least one tile


def test_tiles_hold_the_pixels_of_their_part(tmp_path):
    known = dataset(tmp_path, [(200, 100)], [listed((90, 30, 130, 70))])
    made = batches(tmp_path, "instances", seen=known, look=look((96, 96), tile=96, overlap=32))
    for batch in made.epoch(0):
        for image, rows, layers in zip(batch.images, batch.target, batch.masks, strict=True):
            lit = (image[0].round() == 255)[None]
            there = rows[rows[:, LABEL] >= 0]
            assert bool(lit.any()) == bool(len(there)) == bool((layers > 0).any())
            if len(there):
                torch.testing.assert_close(bounds(lit), there[:, BOX], atol=0.51, rtol=0)


def test_maps_return_to_the_file_and_are_empty_where_nothing_was_seen(tmp_path):
    known = dataset(tmp_path, [(200, 100)], [listed((90, 30, 130, 70))])
    made = batches(tmp_path, "instances", seen=known, look=look((96, 96), tile=96, overlap=32))
    place = made.scenes[1].place  # from x = 52 to 148
    back = place.back_maps(torch.ones(2, 96, 96))
    assert back.shape == (2, 100, 200)
    assert back[:, :96, 52:148].min() == 1 and not back[:, :, :52].any() and not back[:, :, 148:].any()


def test_objects_are_packed_in_pixels_of_kept_pictures(tmp_path):
    with pytest.raises(AssertionError, match="kept pictures"):
        packed(dataset(tmp_path), [TRUTHS[0]], None, kind="boxes")
    assert where_kept(batches(tmp_path, "boxes").images).startswith("4 in RAM (0.1 MB, ")


def test_a_metric_is_told_the_verdict_of_every_picture(tmp_path):
    for number, kind in enumerate(("good", "cut", "bent")):
        (tmp_path / "test" / kind).mkdir(parents=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "test" / kind / "0.png")
    found = read(tmp_path, task="anomaly_detection", training=False)
    look = Look(image_size=(8, 8), fit="letterbox", mean=(0.5,) * 3, std=(0.5,) * 3)
    loader = split_batches(found, "test", look, RAM, batch_size=2, device=CPU)
    assert [scene.truth.kind for scene in loader.scenes] == ["bent", "cut", "good"]
