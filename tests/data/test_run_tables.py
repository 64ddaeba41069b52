"""Tables of runs: Airbus's ships, Severstal's steel, clouds; and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import foreign, recognise, records
from visrun.data.images import mask_of
from visrun.data.outlines import Rle, drawn
from visrun.data.readers import box_tables, run_columns, run_tables, table
from visrun.errors import DataError

SIZE = (6, 4)  # width, height
SQUARE = "6 2 10 2"  # from 1 down columns of 4: pixels 5, 6 and 9, 10 from 0 on, x from 1 to 2, y from 1 to 2
TASKS = ("instance_segmentation", "segmentation", "object_detection", "oriented_object_detection", "classification")


def picture(path: Path, shade: int = 0, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, shade).save(path)
    return path


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def airbus(root: Path) -> Path:
    rows = [f"a.jpg,{SQUARE}", "a.jpg,24 1", "b.jpg,", "c.jpg,1 1", "d.jpg,"]
    for shade, name in enumerate("abcd"):
        picture(root / "train_v2" / f"{name}.jpg", 40 * shade)
    picture(root / "test_v2" / "t.jpg", 200)
    write(root / "sample_submission_v2.csv", "ImageId,EncodedPixels", "t.jpg,1 2")
    write(root / "train_ship_segmentations_v2.csv", "ImageId,EncodedPixels", *rows)
    return root


def test_ships(tmp_path: Path) -> None:
    assert run_tables.recognise(airbus(tmp_path))
    assert not table.recognise(tmp_path) and not box_tables.recognise(tmp_path)
    dataset = records.read(tmp_path, task="instance_segmentation", training=False)
    assert (dataset.layout, dataset.classes) == ("rle", ("object",))
    rows = {row.image.stem: row.target for row in dataset.splits["train"]}
    assert {name: len(objects) for name, objects in rows.items()} == {"a": 2, "b": 0, "c": 1, "d": 0}
    square = np.zeros((4, 6), bool)
    square[1:3, 1:3] = True
    assert (drawn(rows["a"].outlines[0], (4, 6)) == square).all()
    assert rows["a"].boxes.tolist() == [[1, 1, 3, 3], [5, 3, 6, 4]] and rows["c"].boxes.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_that_outlines_serve_is_served(tmp_path: Path, task: str) -> None:
    found = recognise.listing(airbus(tmp_path), task=task)
    assert found.layout == "rle" and recognise.serves(found)


def test_ships_as_masks_turned_boxes_verdicts_and_counts(tmp_path: Path) -> None:
    airbus(tmp_path)
    masks = records.read(tmp_path, task="segmentation", training=False)
    (row,) = (row for row in masks.splits["train"] if row.image.stem == "a")
    assert masks.classes == ("background", "object")
    assert mask_of(row.target, masks.mask_ids, (4, 6)).sum() == 5
    turned = records.read(tmp_path, task="oriented_object_detection", training=False)
    (row,) = (row for row in turned.splits["train"] if row.image.stem == "a")
    assert sorted(map(tuple, row.target.quads[0].round(6).tolist())) == [(1, 1), (1, 3), (3, 1), (3, 3)]
    found = records.read(tmp_path, task="anomaly_detection", training=False)
    assert {row.image.stem: row.target.defective for row in found.splits["train"]} == {
        "a": True,
        "b": False,
        "c": True,
        "d": False,
    }
    values = records.read(tmp_path, task="regression", training=False)
    assert {row.image.stem: row.target for row in values.splits["train"]} == {
        "a": (2,),
        "b": (0,),
        "c": (1,),
        "d": (0,),
    }


STEEL = [
    ["ImageId,ClassId,EncodedPixels", f"a.jpg,3,{SQUARE}", "a.jpg,1,24 1", "b.jpg,4,1 1"],
    [
        "ImageId_ClassId,EncodedPixels",
        *(f"a.jpg_{k},{runs}" for k, runs in zip("1234", ("24 1", "", SQUARE, ""), strict=True)),
        *(f"b.jpg_{k},{runs}" for k, runs in zip("1234", ("", "", "", "1 1"), strict=True)),
        *(f"c.jpg_{k}," for k in "1234"),
    ],
    ["Image_Label;EncodedPixels", f"a_3;{SQUARE}", "a_1;24 1", "b_4;1 1", "c_1;-1"],
    [
        "\ufeffImageId, EncodedPixels,Height,Width,ClassId",
        f"a.jpg,{SQUARE},4,6,3",
        "a.jpg,24 1,4,6,1",
        "b.jpg,1 1,4,6,4",
    ],
]


@pytest.mark.parametrize("lines", STEEL)
def test_classes_in_a_column_or_behind_the_name(tmp_path: Path, lines: list[str]) -> None:
    for shade, name in enumerate("abc"):
        picture(tmp_path / "train_images" / f"{name}.jpg", 50 * shade)
    picture(tmp_path / "test_images" / "t.jpg", 250)
    write(tmp_path / "train.csv", *lines)
    dataset = records.read(tmp_path, task="instance_segmentation", training=False)
    assert (dataset.layout, dataset.classes) == ("rle", ("1", "3", "4"))
    found = {row.image.stem: row.target for row in dataset.splits["train"]}
    assert {name: sorted(objects.labels.tolist()) for name, objects in found.items()} == {
        "a": [0, 1],
        "b": [2],
        "c": [],
    }
    told = "1 image without a row, such as train_images/c.jpg, show nothing: no row is without runs"
    assert (told in dataset.warnings) == (lines in (STEEL[0], STEEL[3]))


def test_where_rows_may_be_without_runs_images_without_a_row_are_left_out(tmp_path: Path) -> None:
    airbus(tmp_path)
    picture(tmp_path / "train_v2" / "e.jpg", 240)
    listing = run_tables.read(tmp_path)
    assert [row.image.stem for row in listing.splits["train"]] == ["a", "b", "c", "d"]
    assert listing.warnings == ("1 image without a row in a table is left out, such as train_v2/e.jpg",)


def test_images_beside_those_of_two_splits_are_of_neither(tmp_path: Path) -> None:
    for shade, name in enumerate("abc"):
        picture(tmp_path / "images" / f"{name}.jpg", 50 * shade)
    for split, name in (("train", "a"), ("val", "b")):
        write(tmp_path / f"{split}.csv", "ImageId,EncodedPixels", f"{name}.jpg,1 1")
    listing = run_tables.read(tmp_path)
    assert {s: [row.image.stem for row in rows] for s, rows in listing.splits.items()} == {"train": ["a"], "val": ["b"]}
    told = "1 image without a row, beside those of several splits, is left out, such as images/c.jpg"
    assert told in listing.warnings


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("1 2 3", "runs of 3 numbers: each is a first pixel and a length"),
        ("1 2,5 3", "runs that are no whole numbers parted by spaces: '1 2,5 3'"),
        ("1 x", "runs that are no whole numbers parted by spaces: '1 x'"),
        ("0 2", "runs with a number out of range: pixels count from 1: '0 2'"),
        ("2 -2", "runs with a number out of range: pixels count from 1: '2 -2'"),
        ("1 99999999999999999999", "runs that are no whole numbers parted by spaces: '1 99999999999999999999'"),
        ("5 4 3 2 1 5", "runs that overlap: each begins at a pixel of the image, not so far behind the one before it"),
        ("24 2", "runs up to pixel 25, its image of 6x4 has 24"),
    ],
)
def test_wrong_runs_are_refused_by_their_line(tmp_path: Path, cell: str, what: str) -> None:
    airbus(tmp_path)
    path = tmp_path / "train_ship_segmentations_v2.csv"
    path.write_text(path.read_text().replace("c.jpg,1 1", f'c.jpg,"{cell}"'))
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="instance_segmentation")
    assert f"train_ship_segmentations_v2.csv:5: {what}" in str(caught.value)
    dataset = records.read(tmp_path, task="instance_segmentation", on_bad="skip", training=False)
    assert {row.image.stem for row in dataset.splits["train"]} == {"a", "b", "d"}


def test_a_table_with_the_size_of_another_image_is_refused(tmp_path: Path) -> None:
    for shade, name in enumerate("ab"):
        picture(tmp_path / "images" / f"{name}.png", 90 * shade)
    write(tmp_path / "t.csv", "ImageId,EncodedPixels,Height,Width", "a,1 1,6,4", "b,1 1,4,6", "b,3 1,4,6")
    with pytest.raises(DataError, match="labels for 4x6 pixels, the image has 6x4"):
        records.read(tmp_path, task="segmentation")
    write(tmp_path / "t.csv", "ImageId,EncodedPixels,Height,Width", "a,1 1,4,6", "b,1 1,4,6", "b,3 1,4,7")
    with pytest.raises(DataError, match=r"t\.csv:4: width and height 7x4, in a row above 6x4"):
        records.read(tmp_path, task="segmentation")


def test_runs_are_ordered_and_empty_ones_are_none() -> None:
    assert run_columns.runs_in("9 2 1 3 6 0").tolist() == [[0, 3], [8, 2]]
    assert run_columns.runs_in("1 2 3 2").tolist() == [[0, 2], [2, 2]]  # one behind the other


@pytest.mark.parametrize("header", ["img,rle_mask", "id,rle", "ImageId,mask", "EncodedPixels"])
def test_runs_that_may_be_counted_along_rows_are_no_such_table(tmp_path: Path, header: str) -> None:
    picture(tmp_path / "images" / "a.jpg")
    write(tmp_path / "train.csv", header, "a.jpg,1 1" if "," in header else "1 1")
    assert not run_tables.recognise(tmp_path)
    if "rle" in header:
        column = header.partition(",")[2]
        line = f"train.csv is a table of run lengths (column {column}), which is not read: {run_columns.RENAME}"
        assert foreign.told(tmp_path, "segmentation") == line
    with pytest.raises(DataError) as caught:
        run_tables.read(tmp_path)
    columns = header.replace(",", ", ")
    assert str(caught.value).endswith(f" train.csv has the columns {columns}: {run_columns.RENAME}")


@pytest.mark.parametrize("header", ["ImageId,EncodedPixel", "image_id,encoded_pixel"])
def test_the_column_may_be_in_the_singular(tmp_path: Path, header: str) -> None:
    airbus(tmp_path)
    file = tmp_path / "train_ship_segmentations_v2.csv"
    file.write_text(file.read_text().replace("ImageId,EncodedPixels", header))
    dataset = records.read(tmp_path, task="instance_segmentation", training=False)
    assert sorted(len(row.target) for row in dataset.splits["train"]) == [0, 0, 1, 2]


def test_a_table_of_runs_whose_images_column_is_unknown_names_that_of_the_runs(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "tile;EncodedPixels", "a.jpg;1 1")
    told = foreign.told(tmp_path, "segmentation")
    assert told.startswith("train.csv is a table of run lengths (column EncodedPixels), which is not read: ")


def test_splits_and_groups_in_columns(tmp_path: Path) -> None:
    for shade, name in enumerate("abc"):
        picture(tmp_path / "images" / f"{name}.png", 80 * shade)
    rows = ("a.png,1 1,train,x", "b.png,1 1,val,y", "c.png,,train,x")
    write(tmp_path / "t.csv", "ImageId,EncodedPixels,split,site", *rows)
    listing = run_tables.read(tmp_path, group="site")
    assert {s: [(r.image.stem, r.member) for r in several] for s, several in listing.splits.items()} == {
        "train": [("a", "x"), ("c", "x")],
        "val": [("b", "y")],
    }


def test_runs_of_many_sizes_have_the_boxes_of_their_pixels(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    lines = ["ImageId,EncodedPixels"]
    masks = {}
    for i in range(30):
        size = tuple(rng.integers(1, 12, 2).tolist())
        picture(tmp_path / "images" / f"{i}.png", i, size)
        mask = rng.random(size[::-1]) < 0.3
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.T.ravel().astype(int), [0]])))
        begin, end = edges[::2], edges[1::2]
        lines.append(f"{i}.png," + " ".join(f"{a + 1} {b - a}" for a, b in zip(begin, end, strict=True)))
        masks[str(i)] = mask
    write(tmp_path / "t.csv", *lines)
    dataset = records.read(tmp_path, task="instance_segmentation", training=False)
    for row in dataset.splits["test"]:
        mask = masks[row.image.stem]
        assert len(row.target) == mask.any()
        for box, outline in zip(row.target.boxes, row.target.outlines, strict=True):
            assert isinstance(outline, Rle) and (drawn(outline, mask.shape) == mask).all()
            y, x = np.nonzero(mask)
            assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
