"""ICDAR 2015's text in photographs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from visrun.data import recognise, records
from visrun.data.readers import icdar
from visrun.errors import DataError

WORD = "5,4,15,5,15,10,5,9,Genaxis, Theatre"
UNREAD = "20,10,30,10,30,16,20,16,###"


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (40, 30), shade).save(path)
    return path


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\r\n".join(lines), encoding="utf-8-sig")
    return path


PLACES = [
    (
        "ch4_training_images",
        "ch4_training_localization_transcription_gt",
        "ch4_test_images",
        "Challenge4_Test_Task1_GT",
    ),
    ("train_images", "train_gts", "test_images", "test_gts"),
    ("train/images", "train/gt", "test/images", "test/gt"),
    ("training", "training", "test", "test"),
]


@pytest.mark.parametrize("places", PLACES)
def test_words_are_turned_boxes_of_one_class(tmp_path: Path, places: tuple[str, ...]) -> None:
    for shade, (images, texts) in enumerate((places[:2], places[2:])):
        for i in (1, 2):
            picture(tmp_path / images / f"img_{i}.jpg", 90 * shade + i)
        write(tmp_path / texts / "gt_img_1.txt", WORD, UNREAD)
        write(tmp_path / texts / "gt_img_2.txt", "1,1,9,1,9,5,1,5,Latin,###", "2,7,9,7,9,9,2,9,Latin,a,b")
    assert recognise.fitting(tmp_path, "oriented_object_detection") == ["icdar"]
    dataset = records.read(tmp_path, task="oriented_object_detection", training=False)
    assert (dataset.layout, dataset.classes) == ("icdar", ("text",))
    assert {split: [row.image.name for row in rows] for split, rows in dataset.splits.items()} == {
        split: ["img_1.jpg", "img_2.jpg"] for split in ("train", "test")
    }
    first, second = (row.target for row in dataset.splits["train"])
    assert first.quads[0].tolist() == [[5, 4], [15, 5], [15, 10], [5, 9]]
    assert first.ignored.tolist() == [False, True] and second.ignored.tolist() == [True, False]
    boxes = records.read(tmp_path, task="object_detection", training=False).splits["test"][0].target.boxes
    assert boxes.tolist() == [[5, 4, 15, 10], [20, 10, 30, 16]]


def test_one_folder_for_all_and_what_has_no_partner(tmp_path: Path) -> None:
    picture(tmp_path / "img_1.jpg")
    picture(tmp_path / "img_3.jpg")
    write(tmp_path / "gt_img_1.txt", WORD)
    write(tmp_path / "gt_img_2.txt", WORD)
    listing = icdar.read(tmp_path)
    assert [len(row.target) for row in listing.splits["all"]] == [1]
    assert listing.warnings == (
        "1 text without an image is left out, such as gt_img_2.txt",
        "1 image without a text gt_NAME.txt is left out, such as img_3.jpg",
    )


@pytest.mark.parametrize("line", ["38 43 920 215 Tiredness", "1,2,3,4,5,6,7,word", "1,2,3,4,5,6,x,8,word"])
def test_a_line_that_is_none_is_refused(tmp_path: Path, line: str) -> None:
    picture(tmp_path / "img_1.jpg")
    write(tmp_path / "gt_img_1.txt", WORD, line)
    assert icdar.recognise(tmp_path)
    (problem,) = icdar.read(tmp_path).problems
    assert str(problem) == f"gt_img_1.txt:2: no line of 8 coordinates and a text, parted by commas: {line!r}"


def test_other_texts_are_not_taken_for_it(tmp_path: Path) -> None:
    picture(tmp_path / "gt" / "img_1.jpg")
    write(tmp_path / "gt" / "gt_img_1.txt", "38 43 920 215 Tiredness")  # ICDAR 2013
    assert not icdar.recognise(tmp_path)
    write(tmp_path / "gt" / "gt_img_1.txt", WORD.rpartition(",G")[0] + ",")
    assert icdar.recognise(tmp_path)


def test_whose_images_they_are_must_be_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no texts gt_NAME\.txt"):
        icdar.read(tmp_path)
    write(tmp_path / "gts" / "gt_a.txt", WORD)
    with pytest.raises(DataError, match="no folder has an image a: call them alike"):
        icdar.read(tmp_path)
    picture(tmp_path / "x" / "a.bmp")
    assert len(icdar.read(tmp_path).splits["all"]) == 1
    picture(tmp_path / "y" / "a.png")
    with pytest.raises(DataError, match="several folders have an image a: x/, y/: call them alike"):
        icdar.read(tmp_path)
