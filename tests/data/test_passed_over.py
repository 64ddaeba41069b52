"""Images that are in no split are said, wherever those of splits lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from visrun.data import recognise
from visrun.data.listing import Listing, Record
from visrun.data.passed_over import passed_over

TOLD = "the images in {} are in no split and left out: call a folder train, val or test to use it"


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (40, 30)).save(path)
    return path


def yolo(root: Path, *places: str) -> Path:
    for place in places:
        picture(root / place.format("images") / "a.png")
        label = root / place.format("labels") / "a.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.5 0.5 0.25 0.5\n")
    return root


@pytest.mark.parametrize(
    ("places", "shown"),
    [
        (["train/{}", "val/{}"], ""),
        (["train/{}", "eval/{}"], "eval/"),
        (["{}/train", "{}/holdout", "{}/val_1"], "images/holdout/, images/val_1/"),
        (["train/{}", "masks/{}", "train_labels/{}", "data/{}"], ""),
        (["{}"], ""),
    ],
)
def test_folders_beside_those_of_splits(tmp_path: Path, places: list[str], shown: str) -> None:
    found = recognise.listing(yolo(tmp_path, *places), task="object_detection").listing
    told = [line for line in found.warnings if "in no split" in line]
    assert told == ([TOLD.format(shown)] if shown else [])


def test_class_folders_say_it_themselves(tmp_path: Path) -> None:
    for place in ("train/cat", "train/dog", "eval/cat", "eval/dog"):
        picture(tmp_path / place / "a.png")
    found = recognise.listing(tmp_path, task="classification").listing
    assert not any("in no split" in line for line in found.warnings)


def test_a_folder_without_images_or_of_which_some_are_used_is_none(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    rows = [Record(picture(tmp_path / place / "a.png"), 0, "") for place in ("train", "more")]
    assert passed_over(Listing(splits={"train": rows}, classes=("x",)), tmp_path) == []
    assert passed_over(Listing(splits={"all": rows[:1]}, classes=("x",)), tmp_path) == []
    assert passed_over(Listing(splits={"train": rows[:1]}), tmp_path) == [TOLD.format("more/")]


@pytest.mark.parametrize(("count", "told"), [(3, ["3 images right in images/ are in no split and left out"]), (2, [])])
def test_images_right_beside_the_folders_of_splits(tmp_path: Path, count: int, told: list[str]) -> None:
    yolo(tmp_path, "{}/train", "{}/val")
    for i in range(count):
        picture(tmp_path / "images" / f"{i}.png")
    found = recognise.listing(tmp_path, task="object_detection").listing
    assert [line for line in found.warnings if "in no split" in line] == told


@pytest.mark.parametrize("layout", ["good/{}", "train/good/{}", "train/cat/{}", "images/{}"])
def test_images_of_kinds_that_are_not_read_are_said_in_every_layout(tmp_path: Path, layout: str) -> None:
    for i in range(3):
        picture(tmp_path / layout.format(f"{i}.png"))
    for other in ("bad/9.heic", "bad/8.heic", "7.dng"):
        path = tmp_path / layout.format(other).replace("good/bad", "bad").replace("cat/bad", "bad")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    if layout == "images/{}":
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels" / "0.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    task = {"images/{}": "object_detection", "train/cat/{}": "classification"}.get(layout, "anomaly_detection")
    warnings = recognise.listing(tmp_path, task=task).listing.warnings
    assert "left out, since these files are not read: 2 .heic, 1 .dng" in warnings
