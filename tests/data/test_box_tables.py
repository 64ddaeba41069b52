"""Tables of boxes: every header and place in which people have them, and what is wrong with them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from PIL import Image

from visrun.data import files, recognise, records, threads
from visrun.data.readers import box_tables, table
from visrun.errors import DataError

SIZE = (40, 30)
TENSORFLOW = "filename,width,height,class,xmin,ymin,xmax,ymax"
ROW = "a.jpg,40,30,cat,4,5,14,25"


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", SIZE).save(path)
    return path


def write(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def found(root: Path) -> dict[str, list[tuple[str, int]]]:
    splits = box_tables.read(root).splits
    return {
        s: [(row.image.relative_to(root).as_posix(), len(row.target)) for row in rows] for s, rows in splits.items()
    }


DIALECTS = [
    (TENSORFLOW, ROW),
    ("image,label,x_min,y_min,x_max,y_max", "a.jpg,cat,4,5,14,25"),
    ("Image Path;Class Name;X1;Y1;X2;Y2", "a.jpg;cat;4;5;14.0;2.5e1"),
    ("image_id\tleft\ttop\tright\tbottom\tcategory", "a\t4\t5\t14\t25\tcat"),
    ("image_id,x,y,w,h,class,width,height", "a,4,5,10,20,cat,40,30"),
    ("path,x,y,width,height,label", "C:\\photos\\a.jpg,4,5,10,20,cat"),
    (
        "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height",
        "cat,4,5,10,20,a.jpg,40,30",
    ),
    ("image,left,top,width,height,label", "a.jpg,4,5,10,20,cat"),
    ("image,x_min,y_min,w,h,label", "a.jpg,4,5,10,20,cat"),
    ("image,x_center,y_center,width,height,label", "a.jpg,9,15,10,20,cat"),
    ("image_id,width,height,bbox,label", 'a,40,30,"[4, 5.0, 10, 20]",cat'),
    ("/home/me/photos/a.jpg,4,5,14,25,cat",),
    ("b.jpg,,,,,", "a.jpg,4,5,14,25,cat"),
    ("a.jpg,4,5,14,25,cat,40,30",),
    ("image,class,bbox_x,bbox_y,bbox_width,bbox_height,width,height", "a.jpg,cat,4,5,10,20,40,30"),
    ("image,class,x_center,y_center,bbox_width,bbox_height,width,height", "a.jpg,cat,9,15,10,20,40,30"),
    ("\ufefffilename,class_id,class,xmin,ymin,xmax,ymax", "a.jpg,3,cat,4,5,14,25"),
]


@pytest.mark.parametrize("lines", DIALECTS)
def test_headers_are_read_as_people_write_them(tmp_path: Path, lines: tuple[str, ...]) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "boxes.csv", *lines)
    assert recognise.fitting(tmp_path, "object_detection") == ["boxes"]
    for task in ("classification", "regression"):
        assert recognise.fitting(tmp_path, task) == ["boxes"]
    listing = box_tables.read(tmp_path)
    (row,) = (row for row in listing.splits["all"] if row.image == tmp_path / "a.jpg")
    assert row.target.boxes.tolist() == [[4, 5, 14, 25]]
    assert (listing.classes, row.target.labels.tolist()) == (("cat",), [0])
    assert row.target.size == (SIZE if "40" in lines[-1] else None)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("filename,class,cx,cy,w,h", "a.jpg,cat,0.25,0.5,0.25,0.75"),
        ("ImageID,LabelName,XMin,XMax,YMin,YMax", "a,cat,0.125,0.375,0.125,0.875"),
    ],
)
def test_coordinates_of_which_none_is_above_1_are_shares(tmp_path: Path, header: str, row: str) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "boxes.csv", header, row)
    listing = box_tables.read(tmp_path)
    target = listing.splits["all"][0].target
    assert (target.relative, target.boxes.tolist()) == (True, [[0.125, 0.125, 0.375, 0.875]])
    assert listing.warnings == ("no coordinate is above 1: they are taken for shares of an image's sides",)
    found = records.read(tmp_path, task="object_detection", training=False)
    ((record,),) = found.splits.values()
    assert record.target.boxes.tolist() == [[5, 3.75, 15, 26.25]]
    write(tmp_path / "boxes.csv", header, row, row.replace("0.125", "1.125").replace("0.5", "1.5"))
    assert not box_tables.read(tmp_path).splits["all"][0].target.relative


@pytest.mark.parametrize("header", ["image,xmin,ymin,xmax,ymax", "image,left,top,right,bottom"])
def test_without_a_class_all_objects_are_of_one(tmp_path: Path, header: str) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "boxes.csv", header, "a.jpg,4,5,14,25")
    assert recognise.fitting(tmp_path, "object_detection") == ["boxes"]
    assert recognise.fitting(tmp_path, "regression") == ["csv", "boxes"]
    assert box_tables.read(tmp_path).classes == ("object",)


NO_BOXES = [
    ("image,x,y", "a.jpg,1,2"),
    ("image,x,y,width,height", "a.jpg,1,2,3,4"),
    ("image,x1,y1,x2,y2", "a.jpg,1,2,3,4"),
    ("image,width,height", "a.jpg,0.3,2.5"),
    ("a.jpg,1,2,3,4",),
    ("a.jpg,1,2,3,4,5",),
]


@pytest.mark.parametrize("lines", NO_BOXES)
def test_tables_of_values_stay_tables_of_values(tmp_path: Path, lines: tuple[str, ...]) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "values.csv", *lines)
    assert recognise.fitting(tmp_path, "regression") == ["csv"]
    assert not box_tables.recognise(tmp_path)
    (row,) = table.read(tmp_path, target="value").splits["all"]
    assert len(row.target) == lines[0].count(",")


@pytest.mark.parametrize("lines", [NO_BOXES[1], NO_BOXES[2], NO_BOXES[5]])
def test_such_tables_are_read_where_the_layout_is_named(tmp_path: Path, lines: tuple[str, ...]) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "values.csv", *lines)
    assert found(tmp_path) == {"all": [("a.jpg", 1)]}


def test_tables_of_labels_are_none_of_boxes(tmp_path: Path) -> None:
    for name, label in (("a", "cat"), ("b", "dog")):
        picture(tmp_path / f"{name}.jpg")
        write(tmp_path / "train.csv", "image,label,width,height", f"a.jpg,{label},40,30")
    assert recognise.fitting(tmp_path, "classification") == ["csv"]
    assert not box_tables.recognise(tmp_path)


PLACES = [
    ("_annotations.csv", "a.jpg", "all"),
    ("labels.TSV", "images/a.jpg", "all"),
    ("annotations/boxes.csv", "photos/a.jpg", "all"),
    ("train.csv", "train/a.jpg", "train"),
    ("train.csv", "train_images/a.jpg", "train"),
    ("valid/_annotations.csv", "valid/a.jpg", "val"),
    ("valid/annotations/boxes.csv", "valid/images/a.jpg", "val"),
    ("Data/boxes.csv", "a.jpg", "all"),
    ("data/test_labels.csv", "images/test/a.jpg", "test"),
]


@pytest.mark.parametrize(("file", "image", "split"), PLACES)
def test_tables_and_images_are_found_where_people_keep_them(tmp_path: Path, file: str, image: str, split: str) -> None:
    picture(tmp_path / image)
    write(tmp_path / file, TENSORFLOW, ROW)
    assert recognise.fitting(tmp_path, "object_detection") == ["boxes"]
    assert found(tmp_path) == {split: [(image, 1)]}


@pytest.mark.parametrize("folder", ["", "annotations/", "labels/"])
def test_a_table_may_be_named_itself(tmp_path: Path, folder: str) -> None:
    for name in ("a", "b"):
        picture(tmp_path / "images" / f"{name}.jpg")
        write(tmp_path / folder / f"{name}.csv", TENSORFLOW, ROW)
    assert recognise.fitting(tmp_path / folder / "b.csv", "object_detection") == ["boxes"]
    (row,) = box_tables.read(tmp_path / folder / "b.csv").splits["all"]
    assert (row.image, row.where) == (tmp_path / "images" / "a.jpg", f"{folder}b.csv:2")
    with pytest.raises(DataError, match=r"several tables of boxes: choose one with data\.root=.*a\.csv or data\.root="):
        box_tables.read(tmp_path)


def test_other_tables_beside_those_of_splits_are_said(tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(tmp_path / split / "a.jpg")
        write(tmp_path / f"{split}.csv", TENSORFLOW, ROW)
    write(tmp_path / "every.csv", TENSORFLOW, ROW)
    write(tmp_path / "classes.csv", "cat,0")
    assert found(tmp_path) == {"train": [("train/a.jpg", 1)], "val": [("val/a.jpg", 1)]}
    assert box_tables.read(tmp_path).warnings == ("every.csv has no split in its name and is left out",)


def test_a_column_may_name_the_split(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / f"{name}.jpg")
    lines = [f"{name}.jpg,{split},cat,4,5,14,25" for name, split in (("a", "train"), ("b", "VALID"), ("c", "later"))]
    write(tmp_path / "boxes.csv", "image,split,class,xmin,ymin,xmax,ymax", *lines)
    assert found(tmp_path) == {"train": [("a.jpg", 1)], "val": [("b.jpg", 1)]}
    (problem,) = box_tables.read(tmp_path).problems
    assert str(problem) == "boxes.csv:4: split 'later' is none of train, val, test"


def test_the_rows_of_an_image_are_its_objects(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        picture(tmp_path / f"{name}.jpg")
    rows = [ROW, "b.jpg,40,30,,,,,", "./a.jpg,40,30,class_2,0,0,9,9", "a.jpg,40,30,class_10,0,0,9,9"]
    write(tmp_path / "boxes.csv", TENSORFLOW, *rows)
    listing = box_tables.read(tmp_path)
    a, b = listing.splits["all"]
    assert (listing.classes, a.target.labels.tolist()) == (("cat", "class_2", "class_10"), [0, 1, 2])
    assert (a.target.spots.tolist(), a.target.spot(1), len(b.target)) == ([2, 4, 5], "boxes.csv:4", 0)
    assert listing.warnings == ("1 image without a row in a table is left out, such as c.jpg",)


@pytest.mark.parametrize("split", ["test", "val"])
def test_a_folder_of_a_split_without_a_table_is_not_passed_over(tmp_path: Path, split: str) -> None:
    for folder in ("train", split):
        picture(tmp_path / folder / "a.jpg")
    write(tmp_path / "train" / "_annotations.csv", TENSORFLOW, ROW)
    if split == "test":
        assert box_tables.read(tmp_path).warnings == ("test/: test images without labels are left out",)
    else:
        with pytest.raises(DataError, match=r"images of val without labels: add val\.csv"):
            box_tables.read(tmp_path)


def test_a_missing_image_is_not_another_of_its_name(tmp_path: Path) -> None:
    for place in ("val/a.jpg", "train/b.jpg"):
        picture(tmp_path / place)
    write(tmp_path / "train.csv", TENSORFLOW, ROW, ROW.replace("a.jpg", "b.jpg"))
    write(tmp_path / "val.csv", TENSORFLOW, ROW)
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="object_detection")
    assert str(caught.value).splitlines()[1:-1] == ["  train.csv:2: train/a.jpg: no such file"]


def test_a_name_that_may_mean_several_images_says_so(tmp_path: Path) -> None:
    for place in ("x/a.jpg", "y/a.jpg", "y/b.jpg"):
        picture(tmp_path / place)
    write(tmp_path / "all.csv", TENSORFLOW, ROW, ROW.replace("a.jpg", "b.jpg"))
    assert found(tmp_path) == {"all": [("y/b.jpg", 1)]}
    told = "several images have this name: x/a.jpg, y/a.jpg: write the folder in front"
    assert [str(problem) for problem in box_tables.read(tmp_path).problems] == [f"all.csv:2: a.jpg: {told}"]


NO_NAME = "a\0.jpg"


def refused(name: str) -> str:
    """What Python says of a name that no file can have, which depends on its version."""
    with pytest.raises(ValueError, match="embedded null") as caught:
        Path(name).stat()
    return str(caught.value)


WRONG = [
    ("a.jpg,40,30,cat,4,5,14", "7 cells, the header has 8"),
    ("a.jpg,40,30,cat,4,5,14,25,9", "9 cells, the header has 8"),
    ("a.jpg,40,30,cat,4,5,14,wide", "no box of four numbers: '4,5,14,wide'"),
    ("a.jpg,40,30,cat,4,5,1_4,25", "no box of four numbers: '4,5,1_4,25'"),
    ("a.jpg,40,30,cat,4,5,,25", "no box of four numbers: '4,5,,25'"),
    ('a.jpg,40,30,cat,4,"5,5",14,25', "no box of four numbers: '4,5,5,14,25': write 5,5 as 5.5"),
    ('a.jpg,40,30,cat,4,"a,b",14,25', "no box of four numbers: '4,a,b,14,25'"),
    ("a.jpg,40,30,,4,5,14,25", "no class"),
    ("a.jpg,30,40,dog,4,5,14,25", "width and height 30x40, in a row above 40x30"),
    (",40,30,cat,4,5,14,25", "no image"),
    ("a.jpg,40,30,cat,nan,5,14,25", "a coordinate is no finite number"),
    ("a.jpg,40,30,cat,4,5,inf,25", "a coordinate is no finite number"),
    ("a.jpg,40,30,cat,4,5,4,25", "an object of no size (0x20 pixels)"),
    ("a.jpg,40,30,cat,50,5,60,25", "wholly outside its image of 40x30 pixels"),
    ("a.jpg,40,30,cat,4,5,1400,25", "coordinates from 4 to 1400 in an image of 40x30 pixels: another unit?"),
    (f"{NO_NAME},40,30,cat,4,5,14,25", f"a\\x00.jpg: broken image ({refused(NO_NAME)})"),
]


@pytest.mark.parametrize(("row", "what"), WRONG)
def test_every_row_is_checked(tmp_path: Path, row: str, what: str) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "boxes.csv", TENSORFLOW, ROW, row)
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="object_detection")
    assert str(caught.value).splitlines()[1:-1] == [f"  boxes.csv:3: {what}"]


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "boxes.csv", TENSORFLOW, ROW.replace("40,30", "30,40"))
    with pytest.raises(DataError, match=r"boxes.csv:2: labels for 30x40 pixels, the image has 40x30"):
        records.read(tmp_path, task="object_detection")


@pytest.mark.parametrize("size", ["wide,", "0,30", "40.5,30", f"{'9' * 5000},30"])
def test_a_size_that_is_none_is_not_compared(tmp_path: Path, size: str) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "boxes.csv", TENSORFLOW, ROW.replace("40,30", size))
    assert box_tables.read(tmp_path).splits["all"][0].target.size is None


BROKEN = [
    (b"", "empty table"),
    (b"\n\n", "empty table"),
    (TENSORFLOW.encode(), "no rows below the header: expected image,class"),
    (b"image,count\na.jpg,3", "no table of boxes: expected image,class"),
    (b"\x89PNG\r\n\x1a\n\0\0", "no table of boxes|one column|not UTF-8"),
    (f"{TENSORFLOW}\n{ROW}\n{ROW}".replace("cat", "caf\xe9").encode("latin-1"), "boxes.csv:2: not UTF-8"),
    (f'{TENSORFLOW}\n"{"x" * 200_000}"'.encode(), "broken table|no table of boxes"),
    (b"x" * 200_000, "broken table|no table of boxes"),
]


@pytest.mark.parametrize(("raw", "what"), BROKEN)
def test_a_table_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, raw: bytes, what: str) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "boxes.csv").write_bytes(raw)
    recognise.fitting(tmp_path, "object_detection")
    with pytest.raises(DataError, match=what) as caught:
        records.read(tmp_path, task="object_detection", reader="boxes")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ids", "classes"), [("1 0", ("cat", "dog")), ("1 2", ("1", "2")), ("0 dog", ("0", "dog")), ("1 1", ("cat", "dog"))]
)
def test_a_list_of_classes_names_ids(tmp_path: Path, ids: str, classes: tuple[str, ...]) -> None:
    """Where all are its."""
    picture(tmp_path / "a.jpg")
    write(tmp_path / "classes.txt", "cat", "dog")
    rows = [f"a.jpg,{id_},4,5,14,25" for id_ in ids.split()]
    write(tmp_path / "boxes.csv", "image,class_id,xmin,ymin,xmax,ymax", *rows)
    listing = box_tables.read(tmp_path)
    named = [classes[i] for i in listing.splits["all"][0].target.labels]
    assert listing.classes == classes
    told = ("ids are named by the list of classes, in which 0 is cat",)
    assert listing.warnings == (told if classes == ("cat", "dog") else ())
    assert named == (["dog", "cat"] if ids == "1 0" else ["dog", "dog"] if ids == "1 1" else ids.split())


def test_names_that_are_numbers_are_no_ids(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "classes.txt", "1", "2", "3")
    write(tmp_path / "boxes.csv", "image,class,xmin,ymin,xmax,ymax", "a.jpg,1,4,5,14,25", "a.jpg,2,4,5,14,25")
    assert box_tables.read(tmp_path).classes == ("1", "2")


def test_a_table_that_never_comes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "boxes.csv", TENSORFLOW, ROW)
    monkeypatch.setattr(threads, "TIMEOUT", 0.2)
    monkeypatch.setattr(files, "content", lambda _: time.sleep(2))
    with pytest.raises(DataError, match=r"boxes\.csv: not read in time"):
        box_tables.read(tmp_path)


def test_a_column_names_the_groups_of_images(tmp_path: Path) -> None:
    """Of an image the first cell that is filled; an image of none stands alone."""
    lines = ["image,class,x1,y1,x2,y2,patient"]
    for i in range(40):
        Image.new("L", SIZE, i).save(tmp_path / f"{i}.png")
        lines += [
            f"{i}.png,cat,4,5,14,2{n},{cell}" for n, cell in enumerate(["", f"p{i % 8}", "p9"][: 1 + 2 * (i < 39)])
        ]
    write(tmp_path / "t.csv", *lines)
    dataset = records.read(tmp_path, task="object_detection", group="patient", val_fraction=0.25)
    train, val = ({record.member for record in dataset.splits[name]} for name in ("train", "val"))
    assert train | val == {"", *(f"p{i}" for i in range(8))} and train & val <= {""} and len(val) >= 2
    assert dataset.warnings == ("data.group=patient: not found in 1 of 40 images, each of which stands alone",)


@pytest.mark.parametrize("column", ["labels", "classes", "name", "object_name", "type", "cls", "class_label"])
def test_the_class_may_be_called_otherwise(tmp_path: Path, column: str) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "boxes.csv", f"image,xmin,ymin,xmax,ymax,{column},iscrowd", "a.jpg,4,5,14,25,cat,0")
    listing = box_tables.read(tmp_path)
    assert listing.classes == ("cat",) and listing.warnings == ("columns not read: iscrowd",)


@pytest.mark.parametrize("first", [0, 1])
def test_of_four_corners_the_box_around_is_taken(tmp_path: Path, first: int) -> None:
    picture(tmp_path / "a.jpg")
    names = ",".join(f"x{i},y{i}" for i in range(first, first + 4))
    write(tmp_path / "boxes.csv", f"image,{names},label", "a.jpg,5,5,25,7,24,15,4,13,cat")
    (row,) = box_tables.read(tmp_path).splits["all"]
    assert row.target.boxes.tolist() == [[4, 5, 25, 15]]


def test_corners_go_before_a_cell_of_sides(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    write(tmp_path / "boxes.csv", "image,bbox,xmin,ymin,xmax,ymax,label", 'a.jpg,"[5, 6, 15, 16]",5,6,15,16,cat')
    listing = box_tables.read(tmp_path)
    assert listing.splits["all"][0].target.boxes.tolist() == [[5, 6, 15, 16]]
    assert listing.warnings == ("columns not read: bbox",)


def test_a_missing_image_is_not_its_mask(tmp_path: Path) -> None:
    for i in range(4):
        picture(tmp_path / "masks" / f"{i}.jpg")
        if i != 2:
            picture(tmp_path / "photos" / f"{i}.jpg")
    write(tmp_path / "boxes.csv", TENSORFLOW, *(ROW.replace("a.jpg", f"{i}.jpg") for i in range(4)))
    paths = {row.where: files.is_file(row.image) for row in box_tables.read(tmp_path).splits["all"]}
    assert [*paths.values()] == [True, True, False, True]
