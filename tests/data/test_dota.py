"""DOTA's label files: headers, corners, classes, difficulty."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from visrun.data import records
from visrun.data.readers import dota
from visrun.errors import DataError

LINE = "10 10 30 10 30 20 10 20 plane 0\n"


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (40, 30), shade).save(path)
    return path


def write(path: Path, text: str = LINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(root: Path, text: str) -> tuple[object, list[str], tuple[str, ...]]:
    picture(root / "images" / "a.png")
    write(root / "labelTxt" / "a.txt", text)
    picture(root / "images" / "b.png")
    write(root / "labelTxt" / "b.txt")
    listing = dota.read(root)
    rows = {row.image.stem: row.target for row in listing.splits["all"]}
    return rows.get("a"), [str(problem) for problem in listing.problems], listing.classes


PLACES = [
    ("images/a.png", "labelTxt/a.txt", "all"),
    ("train/images/a.png", "train/labelTxt/a.txt", "train"),
    ("images/val/a.png", "labelTxt/val/a.txt", "val"),
    ("trainval/images/a.png", "trainval/annfiles/a.txt", "train"),
    ("train/images/part1/a.png", "train/labelTxt-v1.5/DOTA-v1.5_train/a.txt", "train"),
]


@pytest.mark.parametrize(("image", "label", "split"), PLACES)
def test_images_and_labels_are_found_where_people_keep_them(tmp_path: Path, image: str, label: str, split: str) -> None:
    path = picture(tmp_path / image)
    write(tmp_path / label)
    assert dota.recognise(tmp_path)
    listing = dota.read(tmp_path)
    assert {name: [row.image for row in rows] for name, rows in listing.splits.items()} == {split: [path]}
    assert listing.splits[split][0].target.spot(0) == f"{label}:1"


def test_of_several_versions_the_plain_one_or_the_last_counts(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "images" / "a.png")
    for version in ("-v1.0", "-v1.5"):
        write(tmp_path / "train" / f"labelTxt{version}" / "a.txt", LINE.replace("plane", version[1:]))
    assert dota.read(tmp_path).classes == ("v1.5",)
    write(tmp_path / "train" / "labelTxt" / "a.txt")
    assert dota.read(tmp_path).classes == ("plane",)


@pytest.mark.parametrize("folder", ["labelTxt-v1.5", "labelTxt-v1.5/DOTA-v1.5_train"])
def test_upright_boxes_beside_the_turned_ones_are_not_read(tmp_path: Path, folder: str) -> None:
    picture(tmp_path / "train" / "images" / "a.png")
    write(tmp_path / "train" / f"{folder}_hbb" / "a.txt", LINE.replace("plane", "upright"))
    assert dota.read(tmp_path).classes == ("upright",)
    write(tmp_path / "train" / folder / "a.txt")
    assert dota.read(tmp_path).classes == ("plane",)


def test_label_files_of_one_name_belong_to_the_images_at_their_places(tmp_path: Path) -> None:
    for site in ("a", "b", "c"):
        picture(tmp_path / "images" / site / "p.png")
    for site in ("a", "b"):
        write(tmp_path / "labelTxt" / site / "p.txt", LINE.replace("plane", site))
    listing = dota.read(tmp_path)
    assert {row.where: row.target.labels.tolist() for row in listing.splits["all"]} == {
        "images/a/p.png": [0],
        "images/b/p.png": [1],
        "images/c/p.png": [],
    }


def test_an_image_with_several_label_files_of_its_name_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    for folder in ("obb", "old"):
        write(tmp_path / "labelTxt" / folder / "a.txt")
    listing = dota.read(tmp_path)
    assert [str(problem) for problem in listing.problems] == [
        "images/a.png: several label files: labelTxt/obb/a.txt, labelTxt/old/a.txt"
    ]
    assert listing.splits == {"all": []}


def test_images_of_one_name_with_one_label_file_at_the_place_of_none_are_refused(tmp_path: Path) -> None:
    for site in ("a", "b"):
        picture(tmp_path / "images" / site / "p.png")
    picture(tmp_path / "images" / "a" / "q.png")
    for name in "pq":
        write(tmp_path / "labelTxt" / f"{name}.txt")
    listing = dota.read(tmp_path)
    why = "labelTxt/p.txt has the name of several images, at the place of none"
    assert [str(problem) for problem in listing.problems] == [f"images/a/p.png: {why}", f"images/b/p.png: {why}"]
    assert [row.where for row in listing.splits["all"]] == ["images/a/q.png"]


def test_corners_classes_and_difficulty_by_hand(tmp_path: Path) -> None:
    text = (
        "\ufeffimagesource:GoogleEarth\ngsd:0.15\n\n"
        "1 2 5 2.5 5 8 1 8 large-vehicle 1\n1 2 5 2 5 8 1 8 small vehicle 0\n1 2 5 2 5 9 1 9 plane\n"
        "1 2 5 2 5 8 1 7 ship 2\n"
    )
    marks, problems, classes = read(tmp_path, text)
    assert problems == []
    assert classes == ("large-vehicle", "plane", "ship", "small vehicle")
    assert marks.labels.tolist() == [0, 3, 1, 2]
    assert marks.ignored.tolist() == [True, False, False, True]
    assert marks.quads[0].tolist() == [[1, 2], [5, 2.5], [5, 8], [1, 8]]
    assert marks.boxes[0].tolist() == [1, 2, 5, 8]
    assert marks.spots.tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("text", ["", "imagesource:x\ngsd:null\n", "\n\n"])
def test_files_without_objects_show_nothing(tmp_path: Path, text: str) -> None:
    marks, problems, _ = read(tmp_path, text)
    assert (len(marks), problems) == (0, [])


def test_a_missing_file_shows_nothing(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "c.png")
    read(tmp_path, LINE)
    assert [len(row.target) for row in dota.read(tmp_path).splits["all"]] == [1, 1, 0]


def test_not_all_files_may_be_missing(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "images" / "x.png")
    write(tmp_path / "train" / "labelTxt" / "y.txt")
    with pytest.raises(DataError, match=r"no image of train has a label file, such as .*labelTxt/x\.txt"):
        dota.read(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "1 2 3 4 5 6 7 8",
        "1_0 2 3 4 5 6 7 8 plane 0",
        "1 2 3 4 5 6 7 plane 0",
        "1 2 3 4 x 6 7 8 plane 0",
        "1 2 5 2 5 8 1 8 plane -1",
        "1 2 5 2 5 8 1 8 plane 1.0",
        "1 2 5 2 5 8 1 8 plane 3",
        "gsd:0.1",
        "plane",
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    marks, problems, _ = read(tmp_path, LINE + line)
    assert marks is None
    assert problems == [f"labelTxt/a.txt:2: no line of 8 coordinates, a class and a difficulty: {line!r}"]


def test_classes_txt_fixes_names_and_order(tmp_path: Path) -> None:
    write(tmp_path / "classes.txt", "ship\nplane\n")
    marks, problems, classes = read(tmp_path, LINE + LINE.replace("plane", "car"))
    assert (marks, classes) == (None, ("ship", "plane"))
    assert problems == ["labelTxt/a.txt:2: class 'car' is none of 2 classes (ship, plane)"]


def test_a_line_for_the_background_is_no_class(tmp_path: Path) -> None:
    write(tmp_path / "classes.txt", "background\nship\nplane\n")
    marks, _, classes = read(tmp_path, LINE)
    assert (marks.labels.tolist(), classes) == ([1], ("ship", "plane"))


def test_shares_are_refused_with_their_line(tmp_path: Path) -> None:
    for i in range(3):
        picture(tmp_path / "images" / f"{i}.png", i)
        write(tmp_path / "labelTxt" / f"{i}.txt", ".1 .1 .5 .1 .5 .4 .1 .4 plane 0")
    with pytest.raises(DataError, match=r"labelTxt/0\.txt:1: no coordinate of these labels is above 1"):
        records.read(tmp_path, task="oriented_object_detection")
