"""COCO's panoptic json and its PNGs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visrun.data import recognise, records
from visrun.data.images import mask_of
from visrun.data.readers import coco, panoptic
from visrun.errors import DataError

SIZE = (6, 4)
CAT, CROWD, SKY = 7, 3 + 256 * 2 + 65536, 255 * 65536  # ids of segments: red + 256 green + 65536 blue
CATEGORIES = [
    {"id": 1, "name": "cat", "isthing": 1},
    {"id": 3, "name": "dog", "isthing": 1},
    {"id": 187, "name": "sky", "isthing": 0},
]


def page() -> np.ndarray:
    """A cat of 2 x 2 pixels at (1, 1), a crowd of dogs in the last column, sky in the first row, else nothing."""
    ids = np.zeros(SIZE[::-1], np.int64)
    ids[0, :5], ids[1:3, 1:3], ids[:, 5] = SKY, CAT, CROWD
    return ids


def save(path: Path, ids: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack([ids % 256, ids // 256 % 256, ids // 65536], 2).astype(np.uint8)).save(path)


def made(root: Path, folder: str = "annotations/panoptic_{}2017", **change: Any) -> Path:
    for shade, split in enumerate(("train", "val")):
        image = root / f"{split}2017" / "000001.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", SIZE, 90 * shade).save(image)
        save(root / folder.format(split) / "000001.png", page())
        segments = [(CAT, 1, 0), (CROWD, 3, 1), (SKY, 187, 0)]
        content = {
            "images": [{"id": 1, "file_name": "000001.jpg", "width": 6, "height": 4}],
            "annotations": [
                {
                    "image_id": 1,
                    "file_name": "000001.png",
                    "segments_info": [{"id": i, "category_id": c, "iscrowd": crowd} for i, c, crowd in segments],
                }
            ],
            "categories": CATEGORIES,
        }
        path = root / "annotations" / f"panoptic_{split}2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content | change))
    return root


@pytest.mark.parametrize("folder", ["annotations/panoptic_{}2017", "panoptic_{}2017", "annotations"])
def test_things_are_objects_and_crowds_are_ignored(tmp_path: Path, folder: str) -> None:
    made(tmp_path, folder)
    assert panoptic.recognise(tmp_path) and not coco.recognise(tmp_path)
    dataset = records.read(tmp_path, task="instance_segmentation", training=False)
    assert (dataset.layout, dataset.classes) == ("panoptic", ("cat", "dog"))
    assert [*dataset.splits] == ["train", "val"]
    (row,) = dataset.splits["val"]
    assert row.target.labels.tolist() == [0, 1] and row.target.ignored.tolist() == [False, True]
    assert row.target.boxes.tolist() == [[1, 1, 3, 3], [5, 0, 6, 4]]


def test_masks_have_things_and_stuff(tmp_path: Path) -> None:
    dataset = records.read(made(tmp_path), task="segmentation", training=False)
    assert dataset.classes == ("background", "cat", "dog", "sky")
    (row,) = dataset.splits["train"]
    truth = np.zeros(SIZE[::-1], int)
    truth[0, :5], truth[1:3, 1:3], truth[:, 5] = 3, 1, 255
    assert (mask_of(row.target, dataset.mask_ids, SIZE[::-1]) == truth).all()
    chosen = records.read(tmp_path, task="segmentation", classes=["sky", "cat"], training=False)
    (row,) = chosen.splits["train"]
    assert (
        mask_of(row.target, chosen.mask_ids, SIZE[::-1]) == np.choose((truth + 1) % 256 % 5, [255, 255, 1, 255, 0])
    ).all()


def test_other_tasks_follow_from_things(tmp_path: Path) -> None:
    made(tmp_path)
    for task in ("object_detection", "oriented_object_detection", "classification", "regression", "anomaly_detection"):
        assert recognise.listing(tmp_path, task=task).layout == "panoptic"
    assert records.read(tmp_path, task="object_detection", training=False).classes == ("cat", "dog")


def test_cocos_own_instances_beside_it_go_first(tmp_path: Path) -> None:
    made(tmp_path)
    boxed = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "segmentation": [[1, 1, 3, 1, 3, 3]]}
    for split in ("train", "val"):
        content = {"images": [{"id": 1, "file_name": "000001.jpg"}], "categories": CATEGORIES, "annotations": [boxed]}
        content["categories"] = [{"id": 1, "name": "cat"}]
        (tmp_path / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(content))
    found = recognise.listing(tmp_path, task="instance_segmentation")
    assert (found.layout, found.others) == ("coco", ("panoptic",))
    one = records.read(tmp_path, task="instance_segmentation", reader="panoptic", training=False)
    assert one.layout == "panoptic" and [*one.splits] == ["train", "val"]


def test_boxes_of_categories_that_say_isthing_are_cocos(tmp_path: Path) -> None:
    made(tmp_path)
    content = {
        "images": [{"id": 1, "file_name": "000001.jpg"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}],
        "categories": CATEGORIES,
    }
    for split in ("train", "val"):
        (tmp_path / "annotations" / f"panoptic_{split}2017.json").write_text(json.dumps(content))
    assert coco.recognise(tmp_path) and not panoptic.recognise(tmp_path)


def test_one_json_by_its_name(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "train2017" / "000001.jpg").unlink()
    dataset = records.read(tmp_path / "annotations" / "panoptic_val2017.json", task="segmentation", training=False)
    assert (dataset.layout, [row.image.parent.name for row in dataset.splits["test"]]) == ("panoptic", ["val2017"])


def annotation(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"image_id": 1, "file_name": "000001.png", "segments_info": segments}]


WHOLE = [{"id": CAT, "category_id": 1}, {"id": CROWD, "category_id": 3}, {"id": SKY, "category_id": 187}]


@pytest.mark.parametrize(
    ("annotations", "what"),
    [
        (annotation(WHOLE[:2]), f"annotations/panoptic_train2017/000001.png: id {SKY} is no segment's in the json"),
        (annotation([*WHOLE, {"id": 9, "category_id": 1}]), "segment 9: is in no pixel of its PNG"),
        (annotation([*WHOLE[:2], {"id": SKY, "category_id": 2}]), f"segment {SKY}: category_id 2 is no category's"),
        ([], "0 annotations with file_name and segments_info: expected one"),
        ([{"image_id": 1}], "1 annotations with file_name and segments_info: expected one"),
    ],
)
def test_what_is_wrong_is_said_of_its_image(tmp_path: Path, annotations: Any, what: str) -> None:
    made(tmp_path, annotations=annotations)
    listing = panoptic.read(tmp_path)
    assert str(listing.problems[0]) == f"annotations/panoptic_train2017.json: image 1: {what}"


def test_a_png_that_is_not_there_is_named(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "annotations" / "panoptic_val2017" / "000001.png").unlink()
    with pytest.raises(
        DataError, match=r"panoptic_val2017\.json: image 1: .*panoptic_val2017/000001\.png: no such file"
    ):
        records.read(tmp_path, task="segmentation")


@pytest.mark.parametrize("change", [{"images": 3}, {"images": [{"id": 1}]}, {"categories": [{"id": 1}]}])
def test_a_broken_json_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"panoptic_train2017\.json"):
        panoptic.read(made(tmp_path, **{"info": "segments_info", **change}))
