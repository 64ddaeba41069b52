"""Each layout as people really lay it out becomes the same listing; everything else is named."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.build import call, load
from visrun.data import files, records
from visrun.data.files import natural
from visrun.data.listing import Listing, Record
from visrun.data.readers import folder, masks, table
from visrun.errors import DataError
from visrun.tables import READERS, TASKS, learning


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 3), shade).save(path)
    return path


def targets(listing: Listing) -> dict[str, list[tuple[str, object]]]:
    return {name: [(r.image.name, r.target) for r in rows] for name, rows in listing.splits.items()}


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("name", READERS)
def test_every_reader_loads_says_its_layout_and_refuses_an_empty_folder(tmp_path: Path, name: str) -> None:
    entry = READERS[name]
    assert (load(entry.read).__doc__ or "").strip()
    for task in learning(entry.targets):
        assert call(load(entry.recognise), {"task": task}, tmp_path) is False
        with pytest.raises(DataError, match="no "):
            records.read(tmp_path, task=task, reader=name)


# class folders


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("training", "validation", "testing"), ("Train", "valid", "TEST")],
)
def test_class_folders_with_splits(tmp_path: Path, train: str, val: str, test: str) -> None:
    for split in (train, val, test):
        for name in ("class_10", "class_2"):
            picture(tmp_path / split / name / f"{split}.jpg")
    assert folder.recognise(tmp_path)
    listing = folder.read(tmp_path)
    assert listing.classes == ("class_2", "class_10")  # by value, not by letter
    assert targets(listing) == {
        "train": [(f"{train}.jpg", 0), (f"{train}.jpg", 1)],
        "val": [(f"{val}.jpg", 0), (f"{val}.jpg", 1)],
        "test": [(f"{test}.jpg", 0), (f"{test}.jpg", 1)],
    }
    assert listing.splits["val"][0].where == f"{val}/class_2/{val}.jpg"


def test_class_folders_with_splits_may_lie_in_the_only_folder(tmp_path: Path) -> None:
    home = tmp_path / "pets-main"
    for place in ("train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "loose/4.png"):
        picture(home / place)
    assert folder.recognise(tmp_path)
    listing = folder.read(tmp_path)
    assert targets(listing) == {"train": [("1.png", 0), ("2.png", 1)], "val": [("3.png", 0)]}
    assert listing.splits["val"][0].where == "pets-main/val/cat/3.png"
    assert listing.warnings == ("folders that are no split are left out: loose",)
    picture(tmp_path / "more" / "5.png")
    assert folder.read(tmp_path).classes == ("more", "pets-main")


def test_class_folders_without_splits_and_what_is_not_an_image(tmp_path: Path) -> None:
    picture(tmp_path / "a cat (1)" / "x,y=1.PNG")
    picture(tmp_path / "hünd" / "deeper" / "z.jpeg")
    picture(tmp_path / "loose.png")
    picture(tmp_path / ".hidden" / "h.png")
    picture(tmp_path / "__MACOSX" / "m.png")
    picture(tmp_path / "hünd" / "._z.jpg")
    write(tmp_path / "hünd" / "Thumbs.db", "x")
    (tmp_path / "empty").mkdir()
    listing = folder.read(tmp_path)
    assert listing.classes == ("a cat (1)", "hünd")
    assert targets(listing) == {"all": [("x,y=1.PNG", 0), ("z.jpeg", 1)]}
    assert "outside class folders" in listing.warnings[0]


def test_a_class_is_one_however_its_accent_is_stored(tmp_path: Path) -> None:
    for split, form in (("train", "NFC"), ("val", "NFD")):
        picture(tmp_path / split / unicodedata.normalize(form, "Café") / "1.png")
        picture(tmp_path / split / "Tee" / "2.png")
    listing = folder.read(tmp_path)
    assert listing.classes == (unicodedata.normalize("NFC", "Café"), "Tee")
    assert targets(listing) == {"train": [("1.png", 0), ("2.png", 1)], "val": [("1.png", 0), ("2.png", 1)]}
    assert listing.warnings == ()


def test_what_is_no_class_or_no_image_that_is_read_is_said(tmp_path: Path) -> None:
    for place in ("train/a/1.jfif", "train/a/2.JPE", "train/B/3.png", "val/b/4.png"):
        picture(tmp_path / place.replace("jfif", "jpg").replace("JPE", "jpg")).rename(tmp_path / place)
    write(tmp_path / "train" / "heics" / "5.HEIC", "x")
    write(tmp_path / "train" / "a" / "6.heic", "x")
    write(tmp_path / "val" / "a" / "7.avif", "x")
    write(tmp_path / "val" / "a" / "8.nii.gz", "x")
    (tmp_path / "train" / "c").mkdir()
    listing = folder.read(tmp_path)
    assert listing.classes == ("a", "B", "b")
    assert targets(listing) == {"train": [("1.jfif", 0), ("2.JPE", 0), ("3.png", 1)], "val": [("4.png", 2)]}
    assert listing.warnings == (
        "folders without images that can be read are no classes: c, heics",
        "left out, since these files are not read: 2 .heic, 1 .avif, 1 .nii.gz",
    )


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    for name in ("test", "control"):
        picture(tmp_path / name / "a.png")
    assert folder.recognise(tmp_path)
    assert folder.read(tmp_path).classes == ("control", "test")


@pytest.mark.parametrize(
    "paths",
    [
        ["images/a.png", "masks/a.png"],
        ["train/images/a.png", "train/masks/a.png"],
        ["images/train/a.png", "labels/train/a.png"],
        ["train/a.png", "val/a.png"],
        ["train_images/a.png", "test_images/b.png"],
        ["images/a.png"],
    ],
)
def test_folders_of_other_layouts_are_no_classes(tmp_path: Path, paths: list[str]) -> None:
    for path in paths:
        picture(tmp_path / path)
    assert not folder.recognise(tmp_path)


def test_folders_beside_the_splits_are_said(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "a" / "1.png")
    picture(tmp_path / "extra" / "2.png")
    assert folder.read(tmp_path).warnings == ("folders that are no split are left out: extra",)


# tables


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_in_every_dialect(tmp_path: Path, delimiter: str, end: str, encoding: str) -> None:
    picture(tmp_path / "bild ä.png")
    rows = [["image", "label"], ["bild ä.png", "Äpfel"], ["b.png", "10"], ["", ""], ["c.png", "9"]]
    write(tmp_path / "list.csv", end.join(delimiter.join(row) for row in rows), encoding)
    (tmp_path / "linked.csv").symlink_to(tmp_path / "gone.csv")
    listing = table.read(tmp_path, target="label")
    assert listing.classes == ("9", "10", "Äpfel")
    assert targets(listing) == {"all": [("bild ä.png", 2), ("b.png", 1), ("c.png", 0)]}
    assert [r.where for r in listing.splits["all"]] == ["list.csv:2", "list.csv:3", "list.csv:5"]


def test_split_tables_and_image_places(tmp_path: Path) -> None:
    beside = picture(tmp_path / "a.png")
    inner = picture(tmp_path / "images" / "b.png")
    named = picture(tmp_path / "test" / "c.png")
    write(tmp_path / "train.csv", "image,target\na.png,1.5\n")
    write(tmp_path / "valid.csv", "image,target\nb.png,-2e3\n")
    write(tmp_path / "test.csv", "image,target\nc.png,0\nmissing.png,1\n")
    listing = table.read(tmp_path, target="value")
    assert listing.targets == ("target",)
    assert [r.image for rows in listing.splits.values() for r in rows] == [
        beside,
        inner,
        named,
        tmp_path / "missing.png",
    ]
    assert targets(listing)["val"] == [("b.png", (-2000.0,))]


def test_a_table_beside_the_images_of_each_split(tmp_path: Path) -> None:
    images = {}
    for split, other in (("train", "train"), ("valid", "val")):
        images[other] = [picture(tmp_path / split / name) for name in ("a.jpg", "b.jpg")]
        write(tmp_path / split / "_classes.csv", "filename, cat, dog\na.jpg, 1, 0\nb.jpg, 1, 1\n")
    assert table.recognise(tmp_path)
    listing = table.read(tmp_path, target="label")
    assert listing.classes == ("cat", "dog") and listing.multilabel
    assert {split: [row.image for row in rows] for split, rows in listing.splits.items()} == images
    assert [row.where for row in listing.splits["val"]] == ["valid/_classes.csv:2", "valid/_classes.csv:3"]


def test_tables_beside_class_folders_are_none(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "cat" / "a.jpg")
    write(tmp_path / "train" / "list.csv", "filename,label\na.jpg,cat\n")
    assert not table.recognise(tmp_path)


@pytest.mark.parametrize(
    ("cell", "place"),
    [
        ("C:\\data\\set\\sub\\a.JPG", "sub/a.JPG"),
        ("/home/me/set/images/a.jpg", "images/a.jpg"),
        ("a", "train/a.jpg"),
        ("v1.2", "train_images/v1.2.png"),
        ("sub/a", "images/sub/a.JPG"),
        ("a.jpg", "train/a.JPG"),
        ("a.JPG", "deep/down/a.jpg"),
        ("A.jpg", "deep/down/a.jpg"),
    ],
)
def test_images_however_a_table_names_them(tmp_path: Path, cell: str, place: str) -> None:
    path = picture(tmp_path / place)
    write(tmp_path / "train.csv", f"image,target\n{cell},1\n{cell}x,1\n")
    found = [row.image for row in table.read(tmp_path, target="value").splits["train"]]
    assert found == [path, tmp_path / f"{cell}x".replace("\\", "/")]


def test_of_a_tables_images_some_may_have_their_suffix_in_another_case(tmp_path: Path) -> None:
    cells = {"a.jpg": "a.jpg", "b.jpg": "b.JPG", "c.JPEG": "images/c.jpeg", "d.jpg": "d.png"}
    for place in cells.values():
        picture(tmp_path / place)
    picture(tmp_path / "b.png")
    write(tmp_path / "train.csv", "\n".join(["image,target", *(f"{cell},1" for cell in cells)]))
    found = [row.image for row in table.read(tmp_path, target="value").splits["train"]]
    assert found == [*(tmp_path / place for place in [*cells.values()][:3]), tmp_path / "d.jpg"]


@pytest.mark.parametrize("folder", ["", "deep/down"])
def test_the_suffix_in_another_case_is_not_that_of_an_image_that_is_named_itself(tmp_path: Path, folder: str) -> None:
    for name in ("a.jpg", "b.JPG"):
        picture(tmp_path / folder / name)
    write(tmp_path / "train.csv", "image,target\nb.jpg,1\nb.JPG,2\na.JPG,3\na.JPG,4")
    found = [row.image for row in table.read(tmp_path, target="value").splits["train"]]
    there = [tmp_path / folder / name for name in ("b.JPG", "a.jpg", "a.jpg")]
    assert found[1:] == there and not found[0].exists()


def test_several_targets_columns_in_any_order_and_quotes(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", 'x,file,y\n1,"a, b.png",2\n3,c.png,4\n')
    listing = table.read(tmp_path / "t.csv", target="value")
    assert listing.targets == ("x", "y")
    assert targets(listing) == {"all": [("a, b.png", (1.0, 2.0)), ("c.png", (3.0, 4.0))]}


@pytest.mark.parametrize(
    ("header", "row", "unread"),
    [
        (",image,target", "{i},{i}.png,1.5", "one without a name"),
        ("image,id,target", "{i}.png,{j},1.5", "id"),
        ("Unnamed: 0,image,target,comment", "{i},{i}.png,1.5,blurry", "Unnamed: 0, comment"),
        ("image,target,note", "{i}.png,1.5,", "note"),
    ],
)
@pytest.mark.parametrize("name", ["value", "label"])
def test_columns_that_are_no_targets_are_named(tmp_path: Path, header: str, row: str, unread: str, name: str) -> None:
    for split, order in (("train", [4, 2, 9]), ("val", [2, 7])):  # an index is shuffled with its rows
        lines = [row.format(i=i, j=i) for i in order]
        write(tmp_path / f"{split}.csv", "\n".join([header, *lines]))
    listing = table.read(tmp_path, target=name)
    assert listing.targets == (("target",) if name == "value" else ())
    assert {record.target for record in listing.splits["val"]} == {(1.5,) if name == "value" else 0}
    assert listing.warnings == (f"columns not read: {unread}; data.targets=[NAME,...] chooses",)


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("image,id\na.png,1\nb.png,2\n", ("id",)),  # nothing else to learn
        ("image,id,x\na.png,3,1\nb.png,3,2\n", ("id", "x")),  # does not number the rows
        ("image,index,x\na.png,0.5,1\nb.png,0.7,2\n", ("index", "x")),
        ("image,x,y\na.png,1,2\nb.png,3 cm,2\nc.png,4,2\n", ("x", "y")),  # a mistake, not a column of text
    ],
)
def test_columns_that_may_be_targets_stay(tmp_path: Path, text: str, targets: tuple[str, ...]) -> None:
    write(tmp_path / "t.csv", text)
    listing = table.read(tmp_path, target="value")
    assert (listing.targets, listing.warnings) == (targets, ())


def test_columns_are_chosen_by_name(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "image,id,x,species,y\na.png,1,2,cat,3\nb.png,2,4,dog,5\n")
    listing = table.read(tmp_path, target="value", targets=["y", "id"])
    assert (listing.targets, listing.warnings) == (("y", "id"), ())
    assert targets(listing) == {"all": [("a.png", (3.0, 1.0)), ("b.png", (5.0, 2.0))]}
    listing = table.read(tmp_path, target="label", targets=["species"])
    assert (listing.classes, listing.warnings) == (("cat", "dog"), ())
    with pytest.raises(DataError, match=r"data.targets: no column 'specie' in t.csv \(did you mean species\?\)"):
        table.read(tmp_path, target="label", targets=["specie"])
    picture(tmp_path / "masks" / "cat" / "a.png")
    with pytest.raises(DataError, match=r"data.targets=\['x'\]: data=folder has no columns to choose"):
        records.read(tmp_path / "masks", task="classification", reader="folder", targets=["x"])


def test_a_single_1_in_every_row_is_one_class(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "image,mel,nev,bcc\na.png,0,1,0\nb.png,1.0,0.0,0.0\n")
    write(tmp_path / "val.csv", "image,mel,nev,bcc\nc.png,0,0,1\n")
    listing = table.read(tmp_path, target="label")
    assert not listing.multilabel
    assert listing.classes == ("mel", "nev", "bcc")
    assert targets(listing) == {"train": [("a.png", 1), ("b.png", 0)], "val": [("c.png", 2)]}
    assert listing.warnings == ("each row has a single 1: one class an image",)
    write(tmp_path / "val.csv", "image,mel,nev,bcc\nc.png,0,0,0\n")
    assert table.read(tmp_path, target="label").multilabel


def test_a_table_without_header(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "a.png,cat\nb.png,dog\n")
    assert targets(table.read(tmp_path, target="label")) == {"all": [("a.png", 0), ("b.png", 1)]}


def test_a_split_column(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "image,label,split\na.png,x,train\nb.png,y,Validation\nc.png,x,later\n")
    listing = table.read(tmp_path, target="label")
    assert targets(listing) == {"train": [("a.png", 0)], "val": [("b.png", 1)]}
    assert [str(p) for p in listing.problems] == ["t.csv:4: split 'later' is none of train, val, test"]


@pytest.mark.parametrize(
    ("text", "classes", "labels"),
    [
        ("image,label\na.png,cat|dog\nb.png,dog\nc.png,\n", ("cat", "dog"), [(0, 1), (1,), ()]),
        ("image,label\na.png,cat;dog\nb.png,cat\n", ("cat", "dog"), [(0, 1), (0,)]),
        ("image;label\na.png;cat|dog\nb.png;cat\n", ("cat", "dog"), [(0, 1), (0,)]),
        ("image,red,round\na.png,1,1\nb.png,0,0\nc.png,0,1\n", ("red", "round"), [(0, 1), (), (1,)]),
    ],
)
def test_multi_label(tmp_path: Path, text: str, classes: tuple[str, ...], labels: list[tuple[int, ...]]) -> None:
    write(tmp_path / "t.csv", text)
    listing = table.read(tmp_path, target="label")
    assert listing.multilabel
    assert listing.classes == classes
    assert [r.target for r in listing.splits["all"]] == labels


def test_a_semicolon_with_a_space_is_part_of_a_name(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "image,label\na.png,cats; dogs\nb.png,birds\n")
    listing = table.read(tmp_path, target="label")
    assert listing.classes == ("birds", "cats; dogs")
    assert not listing.multilabel


@pytest.mark.parametrize(
    ("text", "target", "problem"),
    [
        ("image,target\na.png,nan\n", "value", "t.csv:2: target 'nan' is not finite"),
        ("image,target\na.png,1\nb.png,-inf\n", "value", "t.csv:3: target '-inf' is not finite"),
        (
            "image,target\na.png,3.4e38\nb.png,-3.4028235e38\n",
            "value",
            "t.csv:3: target '-3.4028235e38' is beyond float32, in which networks learn: write another unit",
        ),
        ("image,target\na.png,3 cm\n", "value", "t.csv:2: target '3 cm' is no number"),
        ("image,target\na.png,1_0\n", "value", "t.csv:2: target '1_0' is no number"),
        ("image,label\na.png,\n", "label", "t.csv:2: no label"),
        ("image,label\na.png,0\nb.png,-1\n", "label", "t.csv:3: label '-1' is out of range: class ids start at 0"),
        ("image,label\na.png,0,1\n", "label", "t.csv:2: 3 cells, the header has 2"),
        ("image,a,b\nx.png,1,0\ny.png,1,2\n", "label", "t.csv:3: b '2' is neither 0 nor 1"),
    ],
)
def test_wrong_rows_are_named_with_their_line(tmp_path: Path, text: str, target: str, problem: str) -> None:
    write(tmp_path / "t.csv", text)
    listing = table.read(tmp_path, target=target)
    assert [str(p) for p in listing.problems] == [problem]
    assert sum(map(len, listing.splits.values())) == len(text.splitlines()) - 2


def test_classes_txt_fixes_names_and_range(tmp_path: Path) -> None:
    write(tmp_path / "classes.txt", "dog\ncat\n")
    write(tmp_path / "t.csv", "image,label\na.png,1\nb.png,0\nc.png,2\n")
    listing = table.read(tmp_path, target="label")
    assert targets(listing) == {"all": [("a.png", 1), ("b.png", 0)]}
    told = "t.csv:4: label '2' is out of range: there are 2 classes, counted from 0 (dog, cat)"
    assert told in map(str, listing.problems)
    write(tmp_path / "t.csv", "image,label\na.png,cat\nb.png,bird\n")
    listing = table.read(tmp_path, target="label")
    assert listing.classes == ("dog", "cat")
    assert targets(listing) == {"all": [("a.png", 1)]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty table"),
        (b"image,label\n", "no rows"),
        (b"image\na.png\n", "one column"),
        (b"image,label\na.png,caf\xe9\n", r"t.csv:2: not UTF-8 \(byte 0xe9 at 21\)"),
        (b"image,size,weight\na.png,3,4\n", "which column is the label"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        table.read(tmp_path, target="label")


def test_a_split_of_nothing_but_wrong_rows_stays_a_split(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "image,target\na.png,1\n")
    write(tmp_path / "val.csv", "image,target\nb.png,1,2\n")
    assert targets(table.read(tmp_path, target="value")) == {"train": [("a.png", (1.0,))], "val": []}


def test_tables_of_different_columns(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "image,target\na.png,1\n")
    write(tmp_path / "val.csv", "image,size\na.png,1\n")
    with pytest.raises(DataError, match=r"val.csv: columns image, size, but train.csv has others: give all the same"):
        table.read(tmp_path, target="value")


def test_two_tables_without_split_names_are_not_recognised(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        write(tmp_path / name, "image,target\na.png,1\n")
    assert not table.recognise(tmp_path)


# images and masks


def mask(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([[0, 1, 1, 0]] * 3, np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("image", "target", "split"),
    [
        ("images/a.jpg", "masks/a.png", "all"),
        ("Images/a.jpg", "labels/a.png", "all"),
        ("images/train/a.jpg", "masks/train/a.png", "train"),
        ("valid/images/a.jpg", "valid/masks/a_mask.png", "val"),
        ("images/A.JPG", "masks/A_MASK.PNG", "all"),
        ("images/testing/deep/a.jpg", "masks/test/deep/a_mask.png", "test"),
    ],
)
def test_masks_in_every_nesting(tmp_path: Path, image: str, target: str, split: str) -> None:
    picture(tmp_path / image)
    mask(tmp_path / target)
    assert masks.recognise(tmp_path)
    listing = masks.read(tmp_path)
    assert listing.splits == {split: [Record(tmp_path / image, tmp_path / target, image)]}
    assert (listing.classes, listing.problems, listing.warnings) == ((), (), ())


def test_masks_missing_double_and_left_over(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / "images" / f"{name}.jpg")
    for name in ("a", "b", "b_mask", "z"):
        mask(tmp_path / "masks" / f"{name}.png")
    write(tmp_path / "classes.txt", "\ufeffground\r\nbuilding\r\n\r\n")
    listing = masks.read(tmp_path)
    assert listing.classes == ("ground", "building")
    assert [str(p) for p in listing.problems] == [
        "images/b.jpg: several masks: masks/b.png, masks/b_mask.png: save them as one",
        "images/c.jpg: no mask c.png in masks/",
    ]
    assert listing.warnings == ("1 mask without an image is left out, such as masks/z.png",)


@pytest.mark.parametrize("place", ["images/{}.jpg masks/{}.jpg", "train/images/{}.jpg train/masks/{}_mask.JPEG"])
def test_jpeg_masks_are_refused_for_what_they_are(tmp_path: Path, place: str) -> None:
    image, target = place.split()
    for name in "ab":
        picture(tmp_path / image.format(name))
        picture(tmp_path / target.format(name))
    with pytest.raises(
        DataError,
        match=r"a(_mask)?\.(jpg|JPEG) is a JPEG, which blurs class ids, and once converted, too: export .* as PNG$",
    ) as error:
        records.read(tmp_path, task="segmentation")
    assert "\n" not in str(error.value)
    mask((tmp_path / target.format("a")).with_suffix(".png"))
    listing = masks.read(tmp_path)
    assert [str(p) for p in listing.problems] == [
        f"{image.format('b')}: {target.format('b')} is a JPEG, which blurs class ids, and once converted, too: "
        "export the masks anew as PNG"
    ]


@pytest.mark.parametrize("outlines", ["annotations.json", "train/labels/a.json", "labels/a.txt", "train/labels/a.txt"])
def test_jpeg_masks_beside_outlines_are_no_layout(tmp_path: Path, outlines: str) -> None:
    split = "train/" if outlines.startswith("train") else ""
    picture(tmp_path / f"{split}images" / "a.jpg")
    picture(tmp_path / f"{split}masks" / "a.jpg")
    write(tmp_path / "boxes.json", "{}")
    assert masks.recognise(tmp_path)
    write(tmp_path / outlines, '{"images": [], "annotations": [], "shapes": [], "imagePath": "a.jpg"}')
    assert not masks.recognise(tmp_path)


def test_yolo_labels_are_no_masks(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    write(tmp_path / "labels" / "a.txt", "0 .5 .5 1 1\n")
    assert not masks.recognise(tmp_path)


# recognition


def test_the_message_says_what_was_looked_for_and_found(tmp_path: Path) -> None:
    mask(tmp_path / "masks" / "a.png")
    picture(tmp_path / "images" / "a.png")
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="classification")
    text = str(caught.value)
    assert "\n" not in text
    for part in ("no layout", "data=folder", "data=csv", "images/, masks/", "data=masks for task=segmentation"):
        assert part in text


def test_several_layouts_are_for_the_user_to_choose(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for i in range(3):
            picture(tmp_path / name / f"{i}.png", i + 5 * (name == "b"))
    write(tmp_path / "list.csv", "image,label\na/0.png,x\nb/0.png,y\na/1.png,x\nb/1.png,y\n")
    with pytest.raises(DataError, match="data=folder or data=csv"):
        records.read(tmp_path, task="classification")
    assert records.read(tmp_path, task="classification", reader="csv").classes == ("x", "y")
    assert records.read(tmp_path, task="classification", reader="folder").classes == ("a", "b")


def test_a_misspelt_root_and_a_reader_of_another_task(tmp_path: Path) -> None:
    (tmp_path / "flowers").mkdir()
    with pytest.raises(DataError, match=r"no such file or folder \(did you mean flowers\?\)"):
        records.read(tmp_path / "flowres", task="classification")
    with pytest.raises(
        DataError, match=r"/a,/b: no such file or folder; to vary it in a sweep write data\.root=choice\(/a,/b\)$"
    ):
        records.read(Path("/a,/b"), task="classification")
    with pytest.raises(DataError, match=r"data=masks reads no data for task=regression; one of: auto, csv"):
        records.read(tmp_path, task="regression", reader="masks")


@pytest.mark.parametrize("task", TASKS)
def test_an_empty_folder_is_refused_for_every_task(tmp_path: Path, task: str) -> None:
    with pytest.raises(DataError, match="Found: an empty folder"):
        records.read(tmp_path, task=task)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("VALID", "val"),
        ("train2017", "train"),
        ("test_2007", "test"),
        ("train20", None),
        ("mytest", None),
    ],
)
def test_names_of_splits_may_carry_a_year(name: str, split: str | None) -> None:
    assert files.split_of(name) == split


def test_folders_of_cocos_splits_are_no_classes(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        picture(tmp_path / split / "a.png")
    assert not folder.recognise(tmp_path)


def test_natural_order() -> None:
    names = ["b", "10", "a10", "a9", "A1", "2", "007", "7"]
    assert sorted(names, key=files.natural) == ["2", "007", "7", "10", "A1", "a9", "a10", "b"]


def test_names_of_which_one_begins_the_other_have_an_order():
    names = ["cat2", "cat10", "cat", "dog", "1", "Cat"]
    assert sorted(names, key=natural) == ["1", "Cat", "cat", "cat2", "cat10", "dog"]
