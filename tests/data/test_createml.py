"""CreateML's json: where people keep it, its boxes, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from visrun.data import recognise, records
from visrun.data.readers import createml
from visrun.errors import DataError

SIZE = (40, 30)
SIDES = {"x": 9, "y": 15, "width": 10, "height": 20}


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", SIZE, shade).save(path)
    return path


def annotation(label: Any = "cat", **sides: Any) -> dict[str, Any]:
    return {"label": label, "coordinates": SIDES | sides}


def entry(name: Any, *annotations: Any) -> dict[str, Any]:
    return {"image": name, "annotations": [*annotations]}


def write(path: Path, *entries: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*entries]), encoding="utf-8")
    return path


PLACES = [
    ("train/a.jpg", "train/_annotations.createml.json", "train"),
    ("images/a.jpg", "annotations.json", "all"),
    ("images/a.jpg", "labels/a.json", "all"),
    ("train/images/a.jpg", "train/labels/a.json", "train"),
    ("images/train/a.jpg", "annotations/train.JSON", "train"),
]


@pytest.mark.parametrize(("place", "file", "split"), PLACES)
def test_json_and_images_are_found_where_people_keep_them(tmp_path: Path, place: str, file: str, split: str) -> None:
    path = picture(tmp_path / place)
    json_ = write(tmp_path / file, entry("a.jpg", annotation("dog"), annotation()))
    assert recognise.fitting(tmp_path, "object_detection")[-1:] == ["createml"]
    listing = createml.read(tmp_path)
    assert (listing.classes, listing.warnings, listing.problems) == (("cat", "dog"), (), ())
    (row,) = listing.splits[split]
    assert (row.image, row.where) == (path, f"{file}: image 1")
    assert (row.target.labels.tolist(), row.target.boxes.tolist()) == ([1, 0], [[4, 5, 14, 25]] * 2)
    assert row.target.spot(1) == f"{file}: image 1: annotation 2"
    assert [row.image for row in createml.read(json_).splits["all"]] == [path]


def test_several_jsons_of_a_folder_are_read_together(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / "images" / f"{name}.jpg")
        write(tmp_path / "labels" / f"{name}.json", entry(f"{name}.jpg", *([annotation()] if name == "a" else [])))
    write(tmp_path / "labels" / "c.json", entry("a.jpg", annotation()))
    listing = createml.read(tmp_path)
    assert [(row.image.name, len(row.target)) for row in listing.splits["all"]] == [("a.jpg", 1), ("b.jpg", 0)]
    assert [str(problem) for problem in listing.problems] == ["labels/c.json: image 1: a.jpg stands twice"]


def test_an_image_that_stands_twice_in_one_json_is_said(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "all.json", entry("a.jpg", annotation()), entry("a.jpg"))
    listing = createml.read(tmp_path)
    assert [len(row.target) for row in listing.splits["all"]] == [1]
    assert [str(problem) for problem in listing.problems] == ["all.json: image 2: a.jpg stands twice"]


def test_images_of_a_split_that_no_json_lists(tmp_path: Path) -> None:
    for split in ("train", "test"):
        picture(tmp_path / split / "a.jpg")
    write(tmp_path / "train" / "_annotations.createml.json", entry("a.jpg", annotation()))
    assert createml.read(tmp_path).warnings == ("test/: test images without labels are left out",)
    picture(tmp_path / "val" / "a.jpg")
    with pytest.raises(DataError, match="images of val without labels: export their annotations"):
        createml.read(tmp_path)


def test_a_name_that_may_mean_several_images_says_so(tmp_path: Path) -> None:
    for place in ("x/a.jpg", "y/a.jpg", "y/b.jpg"):
        picture(tmp_path / place)
    write(tmp_path / "all.json", entry("a.jpg", annotation()), entry("b.jpg", annotation()))
    listing = createml.read(tmp_path)
    assert [row.image for row in listing.splits["all"]] == [tmp_path / "y" / "b.jpg"]
    told = "several images have this name: x/a.jpg, y/a.jpg: write the folder in front"
    assert [problem.what for problem in listing.problems] == [f"a.jpg: {told}"]


def test_jsons_named_for_no_split_beside_those_of_splits_are_said(tmp_path: Path) -> None:
    for stem in ("train", "val", "a", "b"):
        picture(tmp_path / f"{stem}.jpg")
        write(tmp_path / f"{stem}.json", entry(f"{stem}.jpg", annotation()))
    listing = createml.read(tmp_path)
    assert [*listing.splits] == ["train", "val"]
    assert listing.warnings == ("2 jsons without a split in their name are left out, such as a.json",)


@pytest.mark.parametrize(
    "content",
    [{"image": "a.jpg", "annotations": []}, [{"annotations": [], "data": {}}], [{"image": 3, "annotations": []}], []],
)
def test_json_of_other_kinds_is_not_recognised(tmp_path: Path, content: Any) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert not createml.recognise(tmp_path)
    with pytest.raises(DataError, match="no CreateML json"):
        createml.read(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (entry("b.jpg", annotation(x=float("nan"))), "1: a coordinate is no finite number"),
        (entry("b.jpg", annotation(x=10**400)), "annotation 1 of b.jpg: a coordinate is no finite number"),
        (entry("b.jpg", annotation(width=0)), "1: an object of no size (0x20 pixels)"),
        (entry("b.jpg", annotation(x=60)), "1: wholly outside its image of 40x30 pixels"),
        (
            entry("b.jpg", annotation(x="9")),
            "annotation 1 of b.jpg: its coordinates are not the numbers x, y, width, he",
        ),
        (entry("b.jpg", annotation(), {"label": "cat"}), "annotation 2 of b.jpg: its coordinates are not the numbers"),
        (entry("b.jpg", annotation(None)), "annotation 1 of b.jpg: no label"),
        (entry("b.jpg", "cat"), "annotation 1 of b.jpg: no label"),
        (entry("b.jpg", annotation("emu")), "class 'emu' is none of 1 class (cat)"),
        (entry(None), "no object of image and annotations"),
        ("b.jpg", "no object of image and annotations"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, wrong: Any, what: str) -> None:
    for i, name in enumerate("acdefb"):
        picture(tmp_path / f"{name}.jpg", i)
    (tmp_path / "classes.txt").write_text("cat\n")
    write(tmp_path / "all.json", *(entry(f"{name}.jpg", annotation()) for name in "acdef"), wrong)
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="object_detection")
    (told,) = caught.value.offenders
    assert told.startswith("all.json: image 6: ") and what in told


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[{"image": "a.jpg",\n"annotations": [}', r"all\.json:2: broken JSON"),
        ('[{"image": "a.jpg", "annotations": [' + "1" * 5000 + "]}]", r"all\.json: broken JSON \(ValueError\)"),
    ],
)
def test_a_json_that_is_broken_is_named(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "all.json").write_text(text)
    with pytest.raises(DataError, match=what):
        createml.read(tmp_path)
