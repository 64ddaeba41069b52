"""Class folders in images/ whose splits lists beside it say, as Food-101 and CUB-200 have them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from visrun.data import recognise, records
from visrun.data.readers import folder, image_lists

TASK = "classification"
IMAGES = ("hot dog/1.jpg", "hot dog/2.jpg", "hot dog/3.jpg", "pie/1.jpg", "pie/2.jpg", "pie/3.jpg")
TAKEN = "the folders in images/ are the classes"
FLAGS = "1 1\n2 0\n3 1\n4 1\n5 0\n6 1\n"


def build(root: Path, lists: dict[str, str]) -> Path:
    for shade, name in enumerate(IMAGES):
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 20 * shade).save(root / "images" / name)
    for name, text in lists.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def splits_of(root: Path) -> tuple[dict[str, list[str]], str]:
    """Split -> the images with the names of their classes, and what is said."""
    listing = recognise.listing(root, task=TASK).listing
    found = {
        split: [f"{listing.classes[row.target]}/{row.image.stem}" for row in rows]
        for split, rows in listing.splits.items()
    }
    return found, "; ".join(listing.warnings)


@pytest.mark.parametrize("place", ["", "meta/", "splits/"])
@pytest.mark.parametrize("line", ["{}", "{}.jpg", "images/{}.jpg 7", "{}.jpg,label"])
def test_lists_of_class_folders(tmp_path: Path, place: str, line: str) -> None:
    train, val = ["hot dog/1", "hot dog/3", "pie/2"], ["hot dog/2", "pie/1", "pie/3"]
    lists = {"train": train, "val": val}
    texts = {f"{place}{split}.txt": "\n".join(map(line.format, names)) for split, names in lists.items()}
    told = f"{TAKEN}; splits by {place}train.txt, {place}val.txt"
    assert splits_of(build(tmp_path, texts)) == (lists, told)


def test_the_two_lists_of_cub(tmp_path: Path) -> None:
    numbered = "".join(f"{i} {name}\n" for i, name in enumerate(IMAGES, start=1))
    root = build(tmp_path, {"images.txt": numbered, "train_test_split.txt": FLAGS, "image_class_labels.txt": "1 1\n"})
    wanted = {"train": ["hot dog/1", "hot dog/3", "pie/1", "pie/3"], "test": ["hot dog/2", "pie/2"]}
    assert splits_of(root) == (wanted, f"{TAKEN}; splits by train_test_split.txt")
    assert splits_of(root / "images") == (wanted, "splits by train_test_split.txt")
    dataset = records.read(root, task=TASK)
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 2, "val": 2, "test": 2}


@pytest.mark.parametrize("place", ["meta", "splits"])
def test_the_first_lists_that_can_be_read_count(tmp_path: Path, place: str) -> None:
    root = build(tmp_path, {f"{place}/train.txt": "hot dog/1\n", f"{place}/val.txt": "pie/1\n"})
    wanted = image_lists.entries(root)
    for other in ("Main/train.txt", "images.txt", "train_test_split.txt"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_bytes(b"caf\xe9/1\n")
    assert image_lists.entries(root) == wanted
    assert [line for _, _, line in wanted] == ["hot dog/1", "pie/1"]


@pytest.mark.parametrize("note", ["README.json", "meta/train.json", "parts/parts.txt", "sample_submission.csv"])
def test_other_files_beside_the_lists(tmp_path: Path, note: str) -> None:
    root = build(tmp_path, {"train.txt": "hot dog/1\n", "val.txt": "pie/1\n", note: "{}"})
    assert recognise.listing(root, task=TASK).layout == "folder"


@pytest.mark.parametrize("flags", ["1 1\n7 0\n", "1 1\n2 2\n", "1 1 1\n2 0\n", "1 1\n2 1\n", "\udcff"])
def test_lists_that_are_not_those_of_cub(tmp_path: Path, flags: str) -> None:
    (tmp_path / "images.txt").write_text("1 a/1.jpg\n2 a/2.jpg\n")
    (tmp_path / "train_test_split.txt").write_bytes(flags.encode("utf-8", "surrogateescape"))
    assert image_lists.entries(tmp_path) == []


@pytest.mark.parametrize(
    "lists",
    [
        {"train.txt": "hot dog/1\npie/1\n"},
        {"train.txt": "cats/1\n", "val.txt": "dogs/1\n"},
        {"train.txt": "1\n", "val.txt": "2\n"},
        {"train.txt": "hot dog/1\n", "val.txt": "pie/1\n", "labels/hot dog/1.txt": "0 .5 .5 .1 .1\n"},
        {"train.txt": "hot dog/1\n", "val.txt": "pie/1\n", "images/pie/1.xml": "<annotation/>"},
        {"train.txt": "hot dog/1\n", "val.txt": "pie/1\n", "label/pie/1.txt": "0 .5 .5 .1 .1\n"},
        {"train.txt": "hot dog/1\n", "val.txt": "pie/1\n", "xmls/pie/1.xml": "<annotation/>"},
        {"train.txt": "hot dog/1\n", "val.txt": "pie/1\n", "labelTxt-v1.5/1.txt": ""},
        {"train.txt": "hot dog/1\n", "val.txt": "pie/1\n", "labels.csv": "image,label\nhot dog/1.jpg,a\n"},
        {"train.txt": "hot dog/1\n", "val.txt": "pie/1\n", "instances.json": "{}"},
    ],
)
def test_images_that_no_lists_name_by_their_class_are_left_to_other_readers(
    tmp_path: Path, lists: dict[str, str]
) -> None:
    assert not folder.recognise(build(tmp_path, lists))
