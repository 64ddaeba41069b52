"""Splits that the folders of images say, or lists beside them, where the labels name none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from visrun.data import records
from visrun.data.listing import Listing, Record
from visrun.data.regroup import UNREAD, regrouped

FOLDERS = "splits by the images' folders: "
IN_MAIN = "splits by Main/train.txt, Main/test.txt"
NOT_READ = "train.txt, val.txt list images and are not read: not each image stands in exactly one"


def splits_of(
    home: Path, images: list[str], classes: tuple[str, ...] = ("cat", "dog"), targets: Sequence[Any] = (0, 0, 0)
) -> tuple[dict[str, str], str]:
    """Split -> the names of its images, and what is said."""
    rows = [Record(home / image, target, image) for image, target in zip(images, targets, strict=False)]
    listing = regrouped(Listing(splits={"all": rows}, classes=classes), home)
    found = {split: "".join(row.image.stem for row in several) for split, several in listing.splits.items()}
    return found, "; ".join(listing.warnings)


@pytest.mark.parametrize(
    ("images", "splits", "told"),
    [
        (
            ["test/t.png", "train/a.png", "valid/v.png"],
            {"train": "a", "val": "v", "test": "t"},
            f"{FOLDERS}1 in train, 1 in val, 1 in test",
        ),
        (
            ["images/train2017/a.png", "images/Testing/t.png"],
            {"train": "a", "test": "t"},
            f"{FOLDERS}1 in train, 1 in test",
        ),
        (
            ["a.png", "deep/b.png", "test/t.png"],
            {"train": "ab", "test": "t"},
            f"{FOLDERS}1 in test; 2 in no folder of a split count as train",
        ),
        (
            ["b.png", "train/a.png", "val/v.png"],
            {"train": "ab", "val": "v"},
            f"{FOLDERS}1 in train, 1 in val; 1 in no folder of a split count as train",
        ),
        (["test/train/a.png", "test/test/t.png"], {"train": "a", "test": "t"}, f"{FOLDERS}1 in train, 1 in test"),
        (["test_images/t.png", "train_images/a.png"], {"train": "a", "test": "t"}, f"{FOLDERS}1 in train, 1 in test"),
        (["JPEG-test/t.png", "JPEG-trainval/a.png"], {"train": "a", "test": "t"}, f"{FOLDERS}1 in train, 1 in test"),
        (["train/test_rig/a.png", "val/test_rig/v.png"], {"train": "a", "val": "v"}, f"{FOLDERS}1 in train, 1 in val"),
        (["test_images/a.png", "train_images/b.png", "photos/c.png"], {"all": "abc"}, ""),
        (["test_images/a.png", "val_images/b.png"], {"all": "ab"}, ""),
        (["train/a.png", "train/b.png"], {"all": "ab"}, ""),
        (["train/a.png", "b.png"], {"all": "ab"}, ""),
        (["a.png", "test_images/b.png"], {"all": "ab"}, ""),
        (
            ["test/a.png", "test/b.png"],
            {"all": "ab"},
            "all images lie in folders of test, none is left for train: folders do not count",
        ),
        (
            ["test/a.png", "val/b.png"],
            {"all": "ab"},
            "all images lie in folders of val and test, none is left for train: folders do not count",
        ),
    ],
)
def test_folders_of_images(tmp_path: Path, images: list[str], splits: dict[str, str], told: str) -> None:
    found, said = splits_of(tmp_path, images)
    assert (found, list(found), said) == (splits, list(splits), told)


def test_the_folder_of_a_class_is_not_that_of_a_split(tmp_path: Path) -> None:
    images = ["valid/a.png", "invalid/b.png"]
    assert splits_of(tmp_path, images, ("valid", "invalid"), [0, 1]) == ({"all": "ab"}, "")
    assert splits_of(tmp_path, images, ("valid", "invalid"), [1, 1])[0] == {"train": "b", "val": "a"}
    assert splits_of(tmp_path, images, ("valid", "invalid"), [(0,), ()])[0] == {"train": "b", "val": "a"}


def test_folders_above_the_data_say_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "test" / "photos"
    assert splits_of(outside, ["a.png", "b.png"]) == ({"all": "ab"}, "")
    absolute = [str(outside / image) for image in ("train/a.png", "val/b.png")]
    assert splits_of(tmp_path / "tables", absolute)[0] == {"train": "a", "val": "b"}
    assert splits_of(tmp_path / "tables", [str(outside / "a.png"), "b.png"]) == ({"all": "ab"}, "")


@pytest.mark.parametrize(
    ("lists", "splits", "told"),
    [
        (
            {"train": "images/a.png xmls/a.xml\n./images/b.png xmls/b.xml\n", "valid": "images/my c.png\n"},
            {"train": "ab", "val": "my c"},
            "splits by train.txt, valid.txt",
        ),
        (
            {"trainval": "a 1 1 1\n/other/machine/b.png\n", "test": '"my c"\n'},
            {"train": "ab", "test": "my c"},
            "splits by trainval.txt, test.txt",
        ),
        ({"Main/train": "a\nb\n", "Main/test": "my c\n"}, {"train": "ab", "test": "my c"}, IN_MAIN),
        (
            {"train": "a\nb\ngone\n", "val": "my c\n"},
            {"train": "ab", "val": "my c"},
            "splits by train.txt, val.txt; 1 of their lines name no labelled image",
        ),
        (
            {"train": "a\n", "val": "my c\n"},
            {"train": "a", "val": "my c"},
            "splits by train.txt, val.txt; 1 image that they do not name is left out",
        ),
        (
            {"train": "a\ngone\n", "val": "my c\n"},
            {"all": "abmy c"},
            NOT_READ,
        ),
        ({"train": "a\nb\n", "val": "my c\nb\n"}, {"all": "abmy c"}, NOT_READ),
        ({"train": "gone\n", "val": "a\nb\nmy c\n"}, {"all": "abmy c"}, NOT_READ),
        ({"train": "a\nb\nmy c\n", "val": "gone\n"}, {"all": "abmy c"}, NOT_READ),
        ({"train": "a\nb\nmy c\n"}, {"all": "abmy c"}, ""),
        ({"val": "a\nb\n", "test": "my c\n"}, {"all": "abmy c"}, ""),
        ({"train": "some words\n", "test": "0 0.5 0.5 1 1\n"}, {"all": "abmy c"}, ""),
        ({"train": "\udcff", "val": "a"}, {"all": "abmy c"}, ""),
    ],
)
def test_lists_beside_the_images(tmp_path: Path, lists: dict[str, str], splits: dict[str, str], told: str) -> None:
    (tmp_path / "Main").mkdir()
    for stem, text in lists.items():
        (tmp_path / f"{stem}.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert splits_of(tmp_path, ["images/a.png", "images/b.png", "images/my c.png"]) == (splits, told)


@pytest.mark.parametrize("line", ["my c.png 3", "images/my c.png,3", "C:\\old\\my c.png\t3"])
def test_a_name_with_a_space_is_not_that_of_its_first_word(tmp_path: Path, line: str) -> None:
    (tmp_path / "train.txt").write_text(f"{line}\nmy.png 3\n")
    (tmp_path / "test.txt").write_text("a.png images/my.png 1\n")
    wanted = ({"train": "mymy c", "test": "a"}, "splits by train.txt, test.txt")
    assert splits_of(tmp_path, ["images/a.png", "images/my.png", "images/my c.png"]) == wanted


@pytest.mark.parametrize("place", ["", "meta/"])
def test_lists_may_lie_beside_the_folder_of_images(tmp_path: Path, place: str) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / f"{place}train.txt").write_text("cat/1\ndog/1\n")
    (tmp_path / f"{place}test.txt").write_text("cat/2\n")
    images = ["cat/1.png", "cat/2.png", "dog/1.png"]
    told = f"splits by {place}train.txt, {place}test.txt"
    assert splits_of(tmp_path / "images", images) == ({"train": "11", "test": "2"}, told)
    assert splits_of(tmp_path / "photos", images) == ({"all": "121"}, "")


@pytest.mark.parametrize(
    ("val", "splits", "told"),
    [
        ("a\nt\n", {"train": "b", "val": "at"}, "splits by train.txt, val.txt"),
        ("a\n", {"train": "ab", "test": "t"}, f"{FOLDERS}2 in train, 1 in test; {UNREAD}"),
        ("b\n", {"train": "ab", "test": "t"}, f"{FOLDERS}2 in train, 1 in test; {NOT_READ}"),
    ],
)
def test_lists_of_all_images_come_before_folders(tmp_path: Path, val: str, splits: dict[str, str], told: str) -> None:
    (tmp_path / "train.txt").write_text("b\n")
    (tmp_path / "val.txt").write_text(val)
    assert splits_of(tmp_path, ["train/a.png", "train/b.png", "test/t.png"]) == (splits, told)


def test_a_name_that_stands_in_two_folders_is_found_by_them(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("one/a.png\n")
    (tmp_path / "test.txt").write_text("two/a.png\n")
    rows = [Record(tmp_path / folder / "a.png", 0, folder) for folder in ("two", "one")]
    found = regrouped(Listing(splits={"all": rows}, classes=("cat",)), tmp_path).splits
    assert {split: [row.where for row in several] for split, several in found.items()} == {
        "train": ["one"],
        "test": ["two"],
    }
    (tmp_path / "test.txt").write_text("a.png\n")
    assert list(regrouped(Listing(splits={"all": rows}, classes=("cat",)), tmp_path).splits) == ["all"]


@pytest.mark.parametrize("root", [".", "labels.csv"])
def test_a_run_does_not_learn_from_the_folder_of_test(tmp_path: Path, root: str) -> None:
    names = [f"{'test' if i > 7 else 'train'}/{i}.png" for i in range(12)]
    for i, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (16, 16), 20 * i).save(tmp_path / name)
    rows = [f"{name},{'ab'[i % 2]}" for i, name in enumerate(names)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,label", *rows]))
    dataset = records.read(tmp_path / root, task="classification")
    assert {split: len(several) for split, several in dataset.splits.items()} == {"train": 6, "val": 2, "test": 4}
    assert {row.image.parent.name for row in dataset.splits["test"]} == {"test"}
    assert dataset.warnings == (f"{FOLDERS}8 in train, 4 in test",)
