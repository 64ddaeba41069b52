"""Lists of an image and its class on each line."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from visrun.data import recognise, records
from visrun.data.readers import folder, table

TASK = "classification"
IMAGES = ("a 1.jpg", "b.JPEG", "c.jpg", "d.png")
TRAIN = "a 1.jpg 1\nb.JPEG 0\n"


def build(root: Path, lists: dict[str, str], *, images: str = "photos") -> Path:
    for shade, name in enumerate(IMAGES):
        (root / images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 20 * shade).save(root / images / name)
    for name, text in lists.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return root


def splits_of(root: Path) -> dict[str, dict[str, str]]:
    """Split -> image -> the name of its class."""
    listing = recognise.listing(root, task=TASK).listing
    return {
        split: {row.image.name: listing.classes[row.target] for row in rows} for split, rows in listing.splits.items()
    }


@pytest.mark.parametrize("images", ["", "photos", "images"])
@pytest.mark.parametrize("place", ["", "meta/", "splits/"])
@pytest.mark.parametrize("names", [("train", "val"), ("train_list", "validation")])
def test_numbers_without_names(tmp_path: Path, images: str, place: str, names: tuple[str, str]) -> None:
    train, val = names
    root = build(tmp_path, {f"{place}{train}.txt": TRAIN, f"{place}{val}.txt": "c.jpg 0\nd.png 1\n"}, images=images)
    assert splits_of(root) == {"train": {"a 1.jpg": "1", "b.JPEG": "0"}, "val": {"c.jpg": "0", "d.png": "1"}}
    found = recognise.listing(root, task=TASK)
    assert (found.layout, found.others, found.listing.warnings) == ("csv", (), ())


@pytest.mark.parametrize("named", ["classes.txt", "labels.txt", "meta/classes.txt"])
def test_a_text_names_the_numbers(tmp_path: Path, named: str) -> None:
    root = build(tmp_path, {"meta/train.txt": TRAIN + "photos/c.jpg\t0\nd.png,1\n", named: "dog\ncat\n"})
    assert splits_of(root) == {"train": {"a 1.jpg": "cat", "b.JPEG": "dog", "c.jpg": "dog", "d.png": "cat"}}
    (root / named).write_text("dog\n")
    problems = recognise.listing(root, task=TASK).listing.problems
    assert str(problems[0]) == "meta/train.txt:1: label '1' is out of range: there is 1 class, counted from 0 (dog)"


@pytest.mark.parametrize(
    "text", ["a 1.jpg 1\nb.JPEG 0\n", "photos/a 1.jpg,cat\nphotos/b.JPEG,dog\n", "a 1.jpg\nb.JPEG\n", "1\n0\n1\n"]
)
def test_a_list_of_images_names_no_classes(tmp_path: Path, text: str) -> None:
    root = build(tmp_path, {"meta/train.txt": TRAIN, "meta/labels.txt": text})
    assert splits_of(root) == {"train": {"a 1.jpg": "1", "b.JPEG": "0"}}
    (root / "labels.txt").write_text("dog\ncat\n")
    assert splits_of(root) == {"train": {"a 1.jpg": "cat", "b.JPEG": "dog"}}


def test_folders_of_splits_may_hold_images_of_the_same_names(tmp_path: Path) -> None:
    lists = {"train.txt": TRAIN, "val.txt": "a 1.jpg 0\nb.JPEG 0\n"}
    root = build(build(tmp_path, lists, images="train"), {}, images="val")
    rows = {
        split: [row.image for row in rows] for split, rows in recognise.listing(root, task=TASK).listing.splits.items()
    }
    assert rows == {split: [root / split / name for name in IMAGES[:2]] for split in ("train", "val")}


def test_names_stand_for_themselves(tmp_path: Path) -> None:
    root = build(
        tmp_path, {"train.txt": "photos/a 1.jpg 2.owl\nphotos/b.JPEG n01\n\nphotos/c.jpg 2.owl\nphotos/d.png n01\n"}
    )
    dataset = records.read(root, task=TASK, val_fraction=0.5)
    assert (dataset.classes, dataset.counts) == (("2.owl", "n01"), {"train": (1, 1), "val": (1, 1)})


def test_a_list_of_test_images_without_labels_is_left_out(tmp_path: Path) -> None:
    root = build(tmp_path, {"train.txt": TRAIN + "c.jpg 0\n", "test.txt": "d.png\n"})
    listing = recognise.listing(root, task=TASK).listing
    assert [*listing.splits] == ["train"]
    assert listing.warnings == ("test.txt: test images without labels are left out (no column label)",)


def test_a_line_that_is_none_is_told_by_its_place(tmp_path: Path) -> None:
    lines = "".join(f"{i}.jpg 0\n" for i in range(10_000))  # further down than is looked at
    root = build(tmp_path, {"train.txt": f"{TRAIN}{lines}c.jpg 1 2\n"})
    problems = recognise.listing(root, task=TASK).listing.problems
    assert [str(problem) for problem in problems] == ["train.txt:10003: no line of an image and its class: 'c.jpg 1 2'"]


@pytest.mark.parametrize(
    "lists",
    [
        {"val.txt": TRAIN},
        {"train.txt": "a 1.jpg\nb.JPEG\n"},
        {"train.txt": TRAIN, "val.txt": "c.jpg\n"},
        {"train.txt": TRAIN, "val.txt": ""},
        {"train.txt": "a 1.jpg 10,12,30,40,0\nb.JPEG 1,2,3,4,1\n"},
        {"train.txt": "a 1.jpg 10 12 30 40 0\nb.JPEG 1 2 3 4 1\n"},
        {"train.txt": "photos/a 1.jpg masks/a.png\nphotos/b.JPEG masks/b.png\n"},
        {"train.txt": "a 1.jpg labels/a.txt\nb.JPEG labels/b.txt\n"},
        {"train.txt": "a_1 1\nb 0\n"},
        {"train.txt": "gone.jpg 1\nlost.jpg 0\n"},
        {"train.txt": "a 1.jpg 1\nb.JPEG 1\n"},
        {"train.txt": "one/a 1.jpg 1\ntwo/b.JPEG 0\n"},
        {"train.txt": "a 1.jpg 7\nb.JPEG 8\nc.jpg 12\n"},
        {"train_one.txt": TRAIN, "train_two.txt": TRAIN},
    ],
)
def test_other_lists_are_none(tmp_path: Path, lists: dict[str, str]) -> None:
    assert not table.recognise(build(tmp_path, lists))


def test_class_folders_go_before_lists_of_them(tmp_path: Path) -> None:
    for i, name in enumerate(("cat/1.jpg", "dog/1.jpg", "cat/2.jpg", "dog/2.jpg")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (16, 16), 20 * i).save(tmp_path / name)
    (tmp_path / "train.txt").write_text("cat/1.jpg 0\ndog/1.jpg 1\n")
    (tmp_path / "val.txt").write_text("cat/2.jpg 0\ndog/2.jpg 1\n")
    assert folder.recognise(tmp_path)
    found = recognise.listing(tmp_path, task=TASK)
    assert (found.layout, found.listing.warnings) == ("folder", ("splits by train.txt, val.txt",))
    assert {split: [(row.where, row.target) for row in rows] for split, rows in found.listing.splits.items()} == {
        "train": [("cat/1.jpg", 0), ("dog/1.jpg", 1)],
        "val": [("cat/2.jpg", 0), ("dog/2.jpg", 1)],
    }


@pytest.mark.parametrize("line", ["photos/c.jpg", "# of Monday", "1", "photos/c.jpg 1 2 x"])
@pytest.mark.parametrize("place", ["train.txt", "val.txt"])
def test_a_line_without_a_class_among_many_is_named(tmp_path: Path, line: str, place: str) -> None:
    lists = {"train.txt": TRAIN * 5, "val.txt": "c.jpg 0\nd.png 1\n" * 5}
    root = build(tmp_path, lists | {place: lists[place] + f"\n{line}\n"})
    found = recognise.listing(root, task=TASK)
    assert (found.layout, found.listing.classes) == ("csv", ("0", "1"))
    assert [str(one) for one in found.listing.problems] == [f"{place}:12: no line of an image and its class: {line!r}"]


def test_a_list_of_which_many_lines_have_no_class_is_one_of_images(tmp_path: Path) -> None:
    root = build(tmp_path, {"train.txt": TRAIN + "c.jpg\n", "val.txt": "d.png 1\n"})
    assert not table.recognise(root)
