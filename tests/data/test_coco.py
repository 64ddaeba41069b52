"""COCO's json in every place and form in which people have it."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from visrun.data import records
from visrun.data.agree import agreeing
from visrun.data.outlines import Rle, drawn
from visrun.data.readers import coco, folder
from visrun.errors import DataError

SIZE = (40, 30)
CATEGORIES = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
BOX = [4, 5, 10, 20]


def picture(path: Path, shade: int = 0, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, shade).save(path)
    return path


def annotation(image: int | str, *, id_: int = 1, category: int = 3, **more: Any) -> dict[str, Any]:
    return {"id": id_, "image_id": image, "category_id": category, "bbox": BOX, **more}


def content(names: list[str], annotations: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    images = [{"id": i, "file_name": name, "width": SIZE[0], "height": SIZE[1]} for i, name in enumerate(names)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": CATEGORIES, **more}


def write(path: Path, what: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(what if isinstance(what, str) else json.dumps(what), encoding="utf-8")
    return path


def problems(root: Path, annotations: list[dict[str, Any]], **more: Any) -> list[str]:
    picture(root / "a.jpg")
    write(root / "all.json", content(["a.jpg"], annotations, **more))
    return [str(problem) for problem in coco.read(root).problems]


PLACES = [
    ("train.json", "a.jpg", "train/a.jpg"),
    ("train.json", "train/a.jpg", "images/train/a.jpg"),
    ("train.json", "a.jpg", "a.jpg"),
    ("annotations/INSTANCES_TRAIN2017.JSON", "A.JPG", "images/A.JPG"),
    ("annotations/instances_train2017.json", "a.jpg", "train2017/a.jpg"),
    ("annotations/instances_train2017.json", "a.jpg", "images/train2017/a.jpg"),
    ("annotations/train.json", "sub/a.jpg", "images/sub/a.jpg"),
    ("annotations/coco_train.json", "a.jpg", "JPEGImages/a.jpg"),
    ("train/_annotations.coco.json", "a.jpg", "train/a.jpg"),
    ("train/labels.json", "a.jpg", "train/data/a.jpg"),
    ("train/annotations.json", "a.jpg", "train/images/a.jpg"),
    ("train/Annotations/instances_train.json", "a.jpg", "train/images/a.jpg"),
    ("ANNOTATIONS/train.json", "a.jpg", "train/a.jpg"),
    ("train.json", "C:\\data\\set\\a.jpg", "somewhere/deep/set/a.jpg"),
    ("train.json", "/home/me/set/a.jpg", "set/a.jpg"),
    ("train.json", "a", "images/train/a.jpg"),
]


@pytest.mark.parametrize(("file", "name", "place"), PLACES)
def test_json_and_images_are_found_where_people_keep_them(tmp_path: Path, file: str, name: str, place: str) -> None:
    path = picture(tmp_path / place)
    others = {}
    for other in ("val", "test") if "train" in place else ():
        others[other] = [picture(tmp_path / place.replace("train", other))]
        write(tmp_path / file.replace("train", other), content([name.replace("train", other)], [annotation(0)]))
    write(tmp_path / file, content([name], [annotation(0)]))
    assert coco.recognise(tmp_path)
    assert not folder.recognise(tmp_path) or "somewhere" in place or place.startswith("set")
    listing = coco.read(tmp_path)
    assert {split: [row.image for row in rows] for split, rows in listing.splits.items()} == {
        "train": [path],
        **others,
    }
    assert listing.splits["train"][0].where == f"{file}: image 0"


def test_lvis_names_its_images_by_their_addresses(tmp_path: Path) -> None:
    """Its validation images lie in COCO's train2017 as well."""
    for split, place in (("train", "train2017/000000000009.jpg"), ("val", "train2017/000000000010.jpg")):
        picture(tmp_path / place)
        made = content([place], [annotation(0)])
        made["images"][0].pop("file_name")
        made["images"][0]["coco_url"] = f"http://images.example.org/{place}"
        write(tmp_path / "annotations" / f"lvis_v1_{split}.json", made)
    listing = coco.read(tmp_path)
    found = [row.image.relative_to(tmp_path).as_posix() for rows in listing.splits.values() for row in rows]
    assert found == ["train2017/000000000009.jpg", "train2017/000000000010.jpg"]
    assert (listing.problems, listing.warnings) == ((), ())


def test_one_json_is_split_later_and_may_be_the_root(tmp_path: Path) -> None:
    picture(tmp_path / "data" / "a.jpg")
    file = write(tmp_path / "labels.json", content(["a.jpg"], [annotation(0)]))
    for root in (tmp_path, file):
        listing = coco.read(root)
        assert list(listing.splits) == ["all"]
        assert listing.splits["all"][0].image == tmp_path / "data" / "a.jpg"


def test_the_same_name_in_two_splits_is_each_split_s_own(tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(tmp_path / "deep" / split / "a.jpg")
        write(tmp_path / f"{split}.json", content(["a.jpg"], [annotation(0)]))
    listing = coco.read(tmp_path)
    assert [rows[0].image.parent.name for rows in listing.splits.values()] == ["train", "val"]


def test_json_of_other_kinds_is_not_recognised(tmp_path: Path) -> None:
    write(tmp_path / "package.json", {"name": "x", "images": 3})
    write(tmp_path / "experiment.json", {"hyperparameters": {}})
    write(tmp_path / "a.json", {"shapes": [], "imagePath": "a.jpg"})
    write(tmp_path / "notes.json", {"categories": CATEGORIES, "info": {}})  # Label Studio's, beside YOLO's labels
    write(tmp_path / "createml.json", [{"image": "a.jpg", "annotations": []}])
    write(tmp_path / "project-1.json", [{"id": 1, "annotations": [{"result": []}], "images": []}])  # Label Studio's
    write(tmp_path / "datumaro.json", {"categories": {}, "items": [{"annotations": [], "images": []}]})
    write(tmp_path / "texts.json", {"annotations": [], "data": {"images": [], "note": '{"images": ['}})
    (tmp_path / "linked.json").symlink_to(tmp_path / "gone.json")
    assert not coco.recognise(tmp_path)


def test_many_categories_may_stand_before_the_images(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    many = [{"id": i, "name": f"class {i}"} for i in range(3000)]
    write(tmp_path / "all.json", {"categories": many, **content(["a.jpg"], [annotation(0)], categories=many)})
    assert coco.recognise(tmp_path)


def test_cocos_other_files_are_passed_over(tmp_path: Path) -> None:
    picture(tmp_path / "val2017" / "a.jpg")
    for name in ("instances", "person_keypoints", "captions"):
        write(tmp_path / "annotations" / f"{name}_val2017.json", content(["a.jpg"], [annotation(0)]))
    assert list(coco.read(tmp_path).splits) == ["val"]
    write(tmp_path / "annotations" / "instances_val2014.json", content(["a.jpg"], [annotation(0)]))
    with pytest.raises(DataError, match=r"several COCO files for val: choose one with data\.root=.*2014"):
        coco.read(tmp_path)


def test_a_json_without_annotations_is_said_and_left_out(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "train.json", content(["a.jpg"], [annotation(0)]))
    bare = content(["a.jpg"], [])
    del bare["annotations"]
    write(tmp_path / "test.json", bare)
    listing = coco.read(tmp_path)
    assert list(listing.splits) == ["train"]
    assert listing.warnings == ("test.json has no annotations and is left out",)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_whose_json_lists_no_image_is_said_and_left_out(tmp_path: Path, split: str) -> None:
    picture(tmp_path / "train" / "a.jpg")
    write(tmp_path / "train" / "_annotations.coco.json", content(["a.jpg"], [annotation(0)]))
    write(tmp_path / split / "_annotations.coco.json", content([], []))
    listing = coco.read(tmp_path)
    told = f"{split}/_annotations.coco.json lists no images: there is no {split} split"
    assert (list(listing.splits), listing.warnings) == (["train"], (told,))
    picture(tmp_path / split / "b.jpg")
    if split == "test":
        assert coco.read(tmp_path).warnings == (told, "test/: test images without labels are left out")
    else:
        with pytest.raises(DataError, match="images of val without labels"):
            coco.read(tmp_path)


@pytest.mark.parametrize("both", ["instances_trainval.json", "instances_trainval2017.json", "train_val.json"])
def test_trainval_beside_another_split_counts_as_train(tmp_path: Path, both: str) -> None:
    picture(tmp_path / "images" / "a.jpg")
    for name in (both, both.replace("trainval", "test").replace("train_val", "test")):
        write(tmp_path / "annotations" / name, content(["a.jpg"], [annotation(0)]))
    listing = coco.read(tmp_path)
    assert (list(listing.splits), listing.warnings) == (["train", "test"], ())
    write(tmp_path / "annotations" / both.replace("trainval", "train").replace("train_val", "train"), content([], []))
    listing = coco.read(tmp_path)
    assert (list(listing.splits), len(listing.splits["train"])) == (["train", "test"], 0)
    assert listing.warnings == (f"annotations/{both} has no split in its name and is left out",)


def test_a_json_beside_the_one_of_its_split_is_left_out(tmp_path: Path) -> None:
    for name, images in (("train", ["a.jpg", "b.jpg"]), ("train_small", ["a.jpg"]), ("val", ["c.jpg"])):
        for image in images:
            picture(tmp_path / "images" / image)
        write(tmp_path / "annotations" / f"{name}.json", content(images, [annotation(0)]))
    listing = coco.read(tmp_path)
    assert {split: len(rows) for split, rows in listing.splits.items()} == {"train": 2, "val": 1}
    assert listing.warnings == ("annotations/train_small.json lies beside the json of its split and is left out",)


@pytest.mark.parametrize("place", ["images/a.jpg", "train2017/a.jpg"])
def test_a_json_in_its_folder_may_be_the_root(tmp_path: Path, place: str) -> None:
    picture(tmp_path / place)
    file = write(tmp_path / "annotations" / "mine.json", content(["a.jpg"], [annotation(0)]))
    assert [row.image for row in coco.read(file).splits["all"]] == [tmp_path / place]
    picture(file.parent / "a.jpg", 1)
    assert [row.image for row in coco.read(file).splits["all"]] == [file.parent / "a.jpg"]


def test_a_json_in_its_folder_says_the_same_wherever_the_data_lie(tmp_path: Path) -> None:
    prints = []
    for home in (tmp_path / "one", tmp_path / "two"):
        names = [f"{i}.jpg" for i in range(6)]
        for i, name in enumerate(names):
            picture(home / "images" / name, i)
        file = write(home / "annotations" / "mine.json", content(names, [annotation(i, id_=i) for i in range(6)]))
        prints.append(records.read(file, task="object_detection").fingerprints)
    assert prints[0] == prints[1]


def test_trainval_alone_is_split_later(tmp_path: Path) -> None:
    write(tmp_path / "trainval.json", content(["a.jpg"], [annotation(0)]))
    assert list(coco.read(tmp_path).splits) == ["all"]


@pytest.mark.parametrize("place", ["{}", "images/{}2017", "data/{}"])
def test_images_of_a_split_that_no_json_lists(tmp_path: Path, place: str) -> None:
    for split in ("train", "test"):
        picture(tmp_path / place.format(split) / "a.jpg")
    picture(tmp_path / "unlabeled2017" / "a.jpg")
    write(tmp_path / "train.json", content(["a.jpg"], [annotation(0)]))
    listing = coco.read(tmp_path)
    assert listing.warnings == (f"{place.format('test')}/: test images without labels are left out",)
    folder = picture(tmp_path / place.format("val") / "a.jpg").parent
    with pytest.raises(DataError) as caught:
        coco.read(tmp_path)
    assert str(caught.value) == (
        f"{folder}: images of val without labels: add val.json, or move the images out of {tmp_path}"
    )
    assert list(coco.read(tmp_path / "train.json").splits) == ["all"]


def test_images_of_a_split_that_another_json_lists_are_labelled(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "a.jpg")
    picture(tmp_path / "val" / "b.jpg")
    write(tmp_path / "all.json", content(["train/a.jpg", "val/b.jpg"], [annotation(0)]))
    assert coco.read(tmp_path).warnings == ()
    (tmp_path / "all.json").rename(tmp_path / "val.json")
    assert coco.read(tmp_path).warnings == ()


# what is labelled


def test_boxes_categories_with_gaps_crowds_and_images_without_objects(tmp_path: Path) -> None:
    rows = [annotation(0, category=7), annotation(2, id_=5, iscrowd=1), annotation(0, id_=9, bbox=[0, 0, 1.5, 2])]
    write(tmp_path / "all.json", content(["a.jpg", "b.jpg", "c.jpg"], rows))
    listing = coco.read(tmp_path)
    assert listing.classes == ("cat", "dog")
    a, b, c = (row.target for row in listing.splits["all"])
    assert a.labels.tolist() == [1, 0]
    assert a.boxes.tolist() == [[4, 5, 14, 25], [0, 0, 1.5, 2]]
    assert (a.spot(1), a.size, a.outlines) == ("all.json: annotation 9", SIZE, None)
    assert (len(b), c.ignored.tolist()) == (0, [True])


def test_flags_are_taken_as_what_they_say(tmp_path: Path) -> None:
    written = [0, "0", "false", False, None, "", 1, "1", "True", True, 1.0]
    rows = [annotation(0, id_=i, iscrowd=value, bbox=[i, 0, 5, 5]) for i, value in enumerate(written)]
    rows.append(annotation(0, id_=20, ignore="1"))
    write(tmp_path / "all.json", content(["a.jpg"], rows))
    several = coco.read(tmp_path).splits["all"][0].target
    assert several.ignored.tolist() == [False] * 6 + [True] * 6


RUNS = {"counts": [125, 10, 1065], "size": [30, 40]}


def test_crowds_beside_objects_are_ignored_and_said(tmp_path: Path) -> None:
    brush = annotation(0, id_=5, segmentation=RUNS, iscrowd=1)
    write(tmp_path / "train.json", content(["a.jpg"], [annotation(0), brush, annotation(0, id_=6)]))
    write(tmp_path / "val.json", content(["b.jpg"], [brush]))
    listing = coco.read(tmp_path)
    assert [row.target.ignored.tolist() for rows in listing.splits.values() for row in rows] == [
        [False, True, False],
        [True],
    ]
    assert listing.warnings == (
        "2 of 4 objects are crowds (iscrowd=1) and ignored, such as train.json: annotation 5; CVAT writes masks so: "
        "write 0 where it is one object, or export CVAT for images 1.1",
    )


def test_few_crowds_are_ignored_without_a_word(tmp_path: Path) -> None:
    rows = [annotation(0, id_=i, iscrowd=int(not i)) for i in range(20)]
    write(tmp_path / "all.json", content(["a.jpg"], rows))
    listing = coco.read(tmp_path)
    assert listing.warnings == () and listing.splits["all"][0].target.ignored.sum() == 1


@pytest.mark.parametrize(
    ("more", "ignored"), [({"segmentation": RUNS}, False), ({}, True), ({"segmentation": [[1, 2, 9, 2, 9, 8]]}, True)]
)
def test_crowds_in_runs_alone_are_objects(tmp_path: Path, more: dict[str, Any], ignored: bool) -> None:
    write(tmp_path / "train.json", content(["a.jpg"], [annotation(0, iscrowd=1, segmentation=RUNS)]))
    write(tmp_path / "val.json", content(["b.jpg"], [annotation(0, iscrowd=1, **more)]))
    listing = coco.read(tmp_path)
    assert [row.target.ignored.all() for rows in listing.splits.values() for row in rows] == [ignored, ignored]
    assert ("all are taken" in listing.warnings[0]) is not ignored


def test_boxes_that_cvat_has_turned_are_said(tmp_path: Path) -> None:
    upright = [annotation(0, id_=i, attributes=found) for i, found in enumerate(({"rotation": 0.0}, {}, None, "x"))]
    outlined = annotation(0, id_=7, attributes={"rotation": 30.0}, segmentation=[[1, 2, 9, 2, 9, 8]])
    rows = [annotation(0, id_=i, attributes={"rotation": 30.5}, segmentation=[]) for i in (8, 9)]
    write(tmp_path / "all.json", content(["a.jpg"], [*upright, outlined]))
    assert coco.read(tmp_path).warnings == ()
    write(tmp_path / "all.json", content(["a.jpg"], [*upright, outlined, *rows]))
    assert coco.read(tmp_path).warnings == (
        "2 boxes are turned (attributes.rotation) and taken as if they were not, such as all.json: annotation 8; "
        "export CVAT for images 1.1, which has their corners",
    )


def test_what_was_left_out_is_said_where_too_little_is_left(tmp_path: Path) -> None:
    for i in range(8):
        picture(tmp_path / f"{i}.jpg", i)
    rows = [annotation(f"{i}", id_=i) for i in range(8)]
    write(tmp_path / "all.json", content([f"{i}.jpg" for i in range(8)], rows))
    told = r"label some there; 8 unusable entries are left out, such as all\.json: annotation 0: its image_id '0' is"
    with pytest.raises(DataError, match=told) as caught:
        records.read(tmp_path, task="object_detection", on_bad="skip")
    assert len(caught.value.offenders) == 8


def test_ignored_objects_alone_are_nothing_to_learn_from(tmp_path: Path) -> None:
    for i in range(8):
        picture(tmp_path / f"{i}.jpg", i)
    rows = [annotation(i, id_=i, iscrowd=1) for i in range(8)]
    write(tmp_path / "all.json", content([f"{i}.jpg" for i in range(8)], rows))
    with pytest.raises(DataError, match=r"no object to learn from in train \(\d images, \d ignored objects\)"):
        records.read(tmp_path, task="object_detection")


def test_polygons_of_several_parts_and_runs_in_both_forms(tmp_path: Path) -> None:
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[3:9, 4:20] = 1
    packed = coco_mask.encode(np.asfortranarray(mask))
    text = {"counts": packed["counts"].decode(), "size": packed["size"]}
    shapes = [[[1, 2, 9, 2, 9, 8], [20, 20, 30, 20, 30, 29]], text, [5, 5, 9, 5, 9, 9, 5, 9]]
    rows = [annotation(0, id_=i, segmentation=shape) for i, shape in enumerate(shapes)]
    write(tmp_path / "all.json", content(["a.jpg"], rows))
    several = coco.read(tmp_path).splits["all"][0].target
    two, runs, flat = several.outlines
    assert [part.tolist() for part in two] == [[[1, 2], [9, 2], [9, 8]], [[20, 20], [30, 20], [30, 29]]]
    assert np.array_equal(drawn(runs, SIZE[::-1]), mask.astype(bool))
    assert [part.tolist() for part in flat] == [[[5, 5], [9, 5], [9, 9], [5, 9]]]
    rows[1]["segmentation"] = {"counts": list(runs.counts), "size": list(runs.size)}
    write(tmp_path / "all.json", content(["a.jpg"], rows))
    again = coco.read(tmp_path).splits["all"][0].target.outlines[1]
    assert isinstance(again, Rle)
    assert again.counts == runs.counts


def test_a_missing_box_is_taken_from_the_outline(tmp_path: Path) -> None:
    rows = [annotation(0, bbox=None, segmentation=[[1, 2, 9, 2, 9, 8]]), annotation(0, id_=2)]
    write(tmp_path / "all.json", content(["a.jpg"], rows))
    assert coco.read(tmp_path).splits["all"][0].target.boxes.tolist() == [[1, 2, 9, 8], [4, 5, 14, 25]]


def test_categories_agree_by_name_across_files(tmp_path: Path) -> None:
    write(tmp_path / "train.json", content(["a.jpg"], [annotation(0, category=7)]))
    others = [{"id": 0, "name": "dog"}, {"id": 1, "name": "bird"}]
    write(tmp_path / "val.json", content(["a.jpg"], [annotation(0, category=0)], categories=others))
    listing = coco.read(tmp_path)
    assert listing.classes == ("cat", "dog", "bird")
    assert [rows[0].target.labels.tolist() for rows in listing.splits.values()] == [[1], [1]]


@pytest.mark.parametrize(("used", "classes"), [(False, ("cat", "dog")), (True, ("_background_", "cat", "dog"))])
def test_labelmes_background_is_none_unless_it_marks_something(
    tmp_path: Path, used: bool, classes: tuple[str, ...]
) -> None:
    named = [{"id": 0, "name": "_background_", "supercategory": None}, *CATEGORIES]
    marks = [annotation(0, category=7), *([annotation(0, category=0)] if used else [])]
    write(tmp_path / "all.json", content(["a.jpg"], marks, categories=named))
    assert coco.read(tmp_path).classes == classes


def test_a_category_that_only_heads_others_is_none(tmp_path: Path) -> None:
    heads = [{"id": 0, "name": "pets", "supercategory": "none"}]
    below = [{**entry, "supercategory": "pets"} for entry in CATEGORIES]
    write(tmp_path / "all.json", content(["a.jpg"], [annotation(0, category=7)], categories=heads + below))
    listing = coco.read(tmp_path)
    assert listing.classes == ("cat", "dog")
    assert listing.splits["all"][0].target.labels.tolist() == [1]
    assert listing.warnings == ("categories without objects that head others or mean none are left out: pets",)


def test_a_heading_whose_id_is_written_with_a_point_has_its_objects(tmp_path: Path) -> None:
    below = [{**entry, "supercategory": "cat"} for entry in CATEGORIES]
    write(tmp_path / "all.json", content(["a.jpg"], [annotation(0, category=3.0)], categories=below))  # as pandas does
    listing = coco.read(tmp_path)
    assert (listing.classes, listing.problems, listing.warnings) == (("cat", "dog"), (), ())
    assert listing.splits["all"][0].target.labels.tolist() == [0]


# what is wrong


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"category_id": 4}, "its category_id 4 is none of the categories (3, 7)"),
        ({"category_id": None}, "its category_id None is none of the categories (3, 7)"),
        ({"category_id": [3]}, "its category_id [3] is none of the categories (3, 7)"),
        ({"image_id": 99}, "its image_id 99 is none of the images (0)"),
        ({"image_id": "0"}, "its image_id '0' is none of the images (0)"),
        ({"bbox": [1, 2, 3]}, "bbox [1, 2, 3] is not [left, top, width, height]"),
        ({"bbox": ["1", 2, 3, 4]}, "bbox ['1', 2, 3, 4] is not [left, top, width, height]"),
        ({"bbox": [0, 0, 10**400, 1]}, "int too large to convert to float"),
        ({"segmentation": [[0, 0, 10**400, 1, 2, 3]]}, "int too large to convert to float"),
        ({"iscrowd": "maybe"}, "iscrowd 'maybe' is neither 0 nor 1"),
        ({"ignore": 2}, "ignore '2' is neither 0 nor 1"),
        ({"bbox": None}, "neither bbox nor segmentation"),
        ({"bbox": [], "segmentation": []}, "neither bbox nor segmentation"),
        ({"segmentation": [[1, 2, 3, 4, 5]]}, "a polygon of 5 numbers: x and y come in pairs"),
        ({"segmentation": "x"}, "segmentation is neither polygons nor runs (counts and size)"),
        ({"segmentation": {"counts": [1]}}, "runs without counts or without a size of [height, width]"),
        ({"segmentation": {"counts": [1, 2], "size": [3, 2]}}, "runs over 3 pixels, but 3 x 2 are 6"),
        ({"segmentation": {"counts": [7, -1], "size": [3, 2]}}, "runs with a count that is no whole number from 0 on"),
        ({"segmentation": {"counts": "\x7f", "size": [3, 2]}}, "not COCO's compressed runs"),
        ({"segmentation": {"counts": "é", "size": [3, 2]}}, "not COCO's compressed runs"),
        ({"segmentation": {"counts": [10**14], "size": [10**7, 10**7]}}, "runs over 10000000 x 10000000 pixels"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_named(tmp_path: Path, wrong: dict[str, Any], what: str) -> None:
    assert problems(tmp_path, [annotation(0, id_=17) | wrong]) == [f"all.json: annotation 17: {what}"]


def test_ids_that_stand_twice_and_images_without_a_name(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}, {"id": 2}]
    assert problems(tmp_path, [], images=images) == [
        "all.json: image 1: this id stands twice",
        "all.json: image 2: no id or no file_name",
    ]


@pytest.mark.parametrize("name", ["a\0.jpg", "a" * 5000 + ".jpg", "", ".", "images"])
def test_names_that_no_image_has(tmp_path: Path, name: str) -> None:
    for i in range(3):
        picture(tmp_path / "images" / f"{i}.jpg", i)
    write(tmp_path / "all.json", content([name, "0.jpg", "1.jpg", "2.jpg"], [annotation(1)]))
    with pytest.raises(DataError, match=r"(?s)1 of 4 records cannot be used:\n  all\.json: image 0: "):
        records.read(tmp_path, task="object_detection")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [' + "1" * 5000 + "]}", r"all\.json: broken JSON \(ValueError\)"),
        ('{"images": [\n1, 2,,', r"all\.json:2: broken JSON"),
        ('{"annotations": []}', "no list of images"),
        ('{"images": [3], "annotations": []}', "images is no list of objects: export the file anew"),
        (
            '{"images": [], "annotations": [], "categories": [{"name": "x"}]}',
            "a category without id or name: give it both",
        ),
        ('{"images": []}', "no annotations in it: name the file that has them"),
    ],
)
def test_a_json_that_is_broken_is_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "all.json", text)
    with pytest.raises(DataError, match=message):
        coco.read(tmp_path)


def test_faults_are_listed_with_their_annotation_and_may_be_skipped(tmp_path: Path) -> None:
    names = [f"{i}.jpg" for i in range(10)]
    for i, name in enumerate(names):
        picture(tmp_path / "images" / name, i)
    rows = [annotation(i, id_=i) for i in range(8)]
    rows[2]["bbox"] = [4, 5, 0, 20]
    rows[3]["bbox"] = [float("nan"), 5, 10, 20]
    made = content(names, rows)
    made["images"][5]["width"] = 41
    made["images"][9]["file_name"] = "gone.jpg"
    write(tmp_path / "all.json", made)
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="object_detection")
    assert str(caught.value).splitlines()[1:-1] == [
        "  all.json: annotation 3: a coordinate is no finite number",
        "  all.json: image 5: labels for 41x30 pixels, the image has 40x30",
        "  all.json: image 9: images/gone.jpg: no such file",
        "  all.json: annotation 2: an object of no size (0x20 pixels)",
    ]
    assert "3 of 10 records and 1 of 8 objects cannot be used" in str(caught.value)
    dataset = records.read(tmp_path, task="object_detection", on_bad="skip")
    assert sum(map(len, dataset.splits.values())) == 7
    assert len(dataset.skipped) == 4
    assert sum(map(sum, dataset.counts.values())) == 5


def test_counts_that_are_the_same_in_all_training_images_are_left_out(tmp_path: Path) -> None:
    rows = []
    for i in range(6):
        picture(tmp_path / f"{i}.jpg", i)
        rows += [annotation(i, category=3, bbox=[x, 5, 10, 20]) for x in range(i)] + [annotation(i, category=7)]
    categories = [{"id": id_, "name": name} for id_, name in ((3, "cell"), (5, "never"), (7, "ruler"))]
    write(tmp_path / "all.json", {**content([f"{i}.jpg" for i in range(6)], rows), "categories": categories})
    dataset = records.read(tmp_path, task="regression")
    assert dataset.targets == ("cell",)
    assert sorted(record.target for several in dataset.splits.values() for record in several) == [
        (float(i),) for i in range(6)
    ]
    line = "not counted, since it is the same in all training images: never (0), ruler (1)"
    assert dataset.warnings == (line,)
    measured = records.read(tmp_path, task="regression", training=False)
    assert measured.targets == ("cell", "never", "ruler")
    assert agreeing(measured, targets=dataset.targets).targets == ("cell",)


# images that are missing, and others of their name


def images(root: Path) -> dict[str, list[str]]:
    splits = coco.read(root).splits
    return {split: [row.image.relative_to(root).as_posix() for row in rows] for split, rows in splits.items()}


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("place", ["{}", "images/{}", "images/{}2017"])
def test_an_image_that_is_missing_in_its_split_is_not_taken_from_another(
    tmp_path: Path, place: str, listed: bool
) -> None:
    for split, names in (("train", "0123"), ("val", "013")):
        for i, name in enumerate(names):
            picture(tmp_path / place.format(split) / f"000{name}.jpg", i)
    names = [f"000{i}.jpg" for i in range(4)]
    write(tmp_path / "train.json", content(names if listed else names[:2], [annotation(0)]))
    write(tmp_path / "val.json", content(names, [annotation(2)]))
    with pytest.raises(DataError, match=rf"(?m)^  val\.json: image 2: {place.format('val')}/0002\.jpg: no such file$"):
        records.read(tmp_path, task="object_detection")


def test_images_of_a_split_that_are_all_missing_are_not_those_of_another(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / f"{split}.json", content(["a.jpg", "b.jpg"], [annotation(0)]))
    for name in ("a", "b"):
        picture(tmp_path / "train" / f"{name}.jpg")
    assert images(tmp_path) == {"train": ["train/a.jpg", "train/b.jpg"], "val": ["a.jpg", "b.jpg"]}


@pytest.mark.parametrize("named", ["train2017/a.jpg", "C:\\set\\train2017\\a.jpg"])
def test_a_json_may_list_images_of_another_split_s_folder(tmp_path: Path, named: str) -> None:
    picture(tmp_path / "deep" / "train2017" / "a.jpg")
    picture(tmp_path / "deep" / "val2017" / "b.jpg")
    write(tmp_path / "val.json", content([named, "b.jpg"], [annotation(0)]))
    assert images(tmp_path) == {"val": ["deep/train2017/a.jpg", "deep/val2017/b.jpg"]}


def test_several_jsons_may_share_one_folder_although_it_is_named_for_a_split(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / "train" / f"{name}.jpg")
    for split, name in (("train", "a"), ("val", "b")):
        write(tmp_path / f"{split}.json", content([f"{name}.jpg"], [annotation(0)]))
    assert images(tmp_path) == {"train": ["train/a.jpg"], "val": ["train/b.jpg"]}


@pytest.mark.parametrize(
    ("files", "names", "found"),
    [
        (["cam1/1.jpg"], ["cam1/1.jpg", "cam2/1.jpg"], ["images/cam1/1.jpg", "images/cam2/1.jpg"]),
        (["1.jpg"], ["cam1/1.jpg", "cam2/1.jpg"], ["images/cam1/1.jpg", "images/cam2/1.jpg"]),
        (["1.jpg"], ["C:\\x\\cam1\\1.jpg"], ["images/1.jpg"]),
        (["cam1/1.jpg"], ["cam1/1.jpg", "1.jpg"], ["images/cam1/1.jpg", "images/cam1/1.jpg"]),
    ],
)
def test_two_names_do_not_share_a_file_that_fits_one(
    tmp_path: Path, files: list[str], names: list[str], found: list[str]
) -> None:
    for file in files:
        picture(tmp_path / "images" / file)
    picture(tmp_path / "images" / "other.jpg")
    write(tmp_path / "all.json", content(["other.jpg", *names], [annotation(0)]))
    assert images(tmp_path) == {"all": ["images/other.jpg", *found]}


def test_a_name_that_may_mean_several_images_says_so(tmp_path: Path) -> None:
    for place in ("cam1/1", "cam2/1", "cam1/2"):
        picture(tmp_path / "images" / f"{place}.jpg")
    write(tmp_path / "all.json", content(["1.jpg", "2.jpg"], [annotation(0)]))
    assert images(tmp_path) == {"all": ["images/cam1/2.jpg"]}
    (problem,) = coco.read(tmp_path).problems
    told = "several images have this name: images/cam1/1.jpg, images/cam2/1.jpg: write the folder in front"
    assert str(problem) == f"all.json: image 0: 1.jpg: {told}"


@pytest.mark.parametrize("place", ["images/{}.jpg", "deep/{}.jpg"])
def test_names_agree_however_their_accents_are_stored(tmp_path: Path, place: str) -> None:
    path = picture(tmp_path / place.format(unicodedata.normalize("NFD", "é")))
    write(tmp_path / "all.json", content([unicodedata.normalize("NFC", "é.jpg")], [annotation(0)]))
    assert [row.image for row in coco.read(tmp_path).splits["all"]] == [path]


def test_two_names_in_two_jsons_do_not_share_a_file_either(tmp_path: Path) -> None:
    for split, name in (("train", "cam1"), ("val", "cam2")):
        write(tmp_path / f"{split}.json", content([f"{name}/1.jpg"], [annotation(0)]))
    picture(tmp_path / "images" / "cam1" / "1.jpg")
    assert images(tmp_path) == {"train": ["images/cam1/1.jpg"], "val": ["cam2/1.jpg"]}


def test_an_image_that_stands_twice_has_the_objects_of_both(tmp_path: Path) -> None:
    names = ["a.jpg", "b.jpg", "a.jpg", "b.jpg"]
    for shade, name in enumerate(names[:2]):
        picture(tmp_path / name, shade)
    other = [20, 5, 10, 20]
    annotations = [annotation(0, id_=1), annotation(2, id_=2, bbox=other, category=7), annotation(3, id_=3)]
    written = content(names, [*annotations, annotation([0], id_=4)])
    written["images"].append({"id": [1], "file_name": "a.jpg"})
    write(tmp_path / "train.json", written)
    found = coco.read(tmp_path)
    assert found.warnings == ("2 entries of train.json name an image again, whose objects are taken together",)
    first, second = found.splits["train"]
    assert (first.image.name, first.target.boxes.tolist()) == ("a.jpg", [[4, 5, 14, 25], [20, 5, 30, 25]])
    assert first.target.labels.tolist() == [0, 1] and first.target.spots.tolist() == [1, 2]
    assert (second.image.name, len(second.target)) == ("b.jpg", 1)
    assert str(found.problems[0]) == "train.json: image [1]: no id or no file_name"


def test_a_category_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    twice = [{"id": 3, "name": "cat"}, {"id": 3, "name": "dog"}]
    write(tmp_path / "train.json", content(["a.jpg"], [annotation(0)], categories=twice))
    with pytest.raises(DataError, match=r"train\.json: category id 3 stands twice: give each category its own$"):
        coco.read(tmp_path)
