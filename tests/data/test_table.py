"""Tables as competitions and tools have them: further columns, images elsewhere, tests without labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from visrun.data import records
from visrun.data.readers import table
from visrun.errors import DataError


def lay(root: Path, places: Sequence[str]) -> None:
    for place in places:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 3)).save(path)


def images(root: Path, **settings: object) -> dict[str, list[str]]:
    listing = table.read(root, target="label", **settings)
    return {
        split: [record.image.relative_to(root).as_posix() for record in rows] for split, rows in listing.splits.items()
    }


# test tables without labels


@pytest.mark.parametrize(
    ("train", "test", "lacking"),
    [("id_code,diagnosis\na,0\nb,1\n", "id_code\nc\n", "diagnosis"), ("Id,eyes,y\na,0,5\n", "Id,eyes\nc,1\n", "y")],
)
@pytest.mark.parametrize("target", ["label", "value"])
def test_a_test_table_without_the_target_is_left_out(
    tmp_path: Path, train: str, test: str, lacking: str, target: str
) -> None:
    (tmp_path / "train.csv").write_text(train)
    (tmp_path / "test.csv").write_text(test)
    settings = {"targets": [lacking]} if target == "label" else {}
    listing = table.read(tmp_path, target=target, **settings)
    assert list(listing.splits) == ["train"]
    assert listing.warnings == (f"test.csv: test images without labels are left out (no column {lacking})",)


@pytest.mark.parametrize("name", ["val.csv", "train.csv"])
def test_other_tables_need_their_labels(tmp_path: Path, name: str) -> None:
    for each in ("train.csv", "val.csv", "test.csv"):
        (tmp_path / each).write_text("id\na\n" if each == name else "id,label\na,0\n")
    with pytest.raises(DataError, match=rf"{name}: one column"):
        table.read(tmp_path, target="label")


@pytest.mark.parametrize(
    ("target", "text", "settings"),
    [
        ("value", "image,x,x\na,1,2\nb,2,3\n", {}),
        ("value", "image,x,x\na,1,2\nb,2,3\n", {"targets": ["x"]}),
        ("label", "image,x,y,x\na,1,0,0\nb,0,1,1\n", {}),
        ("label", "image,x,x\na,cat,1\nb,dog,2\n", {"targets": ["x"]}),
    ],
)
def test_columns_that_are_learnt_have_names_of_their_own(
    tmp_path: Path, target: str, text: str, settings: dict[str, list[str]]
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=r"t\.csv: several columns are called 'x': give each a name of its own"):
        table.read(tmp_path, target=target, **settings)


def test_columns_that_are_not_learnt_may_be_called_alike(tmp_path: Path) -> None:
    lay(tmp_path, ["a.png", "b.png"])
    (tmp_path / "t.csv").write_text("image,label,note,note\na,cat,1,2\nb,dog,2,3\n")
    assert table.read(tmp_path, target="label").classes == ("cat", "dog")


@pytest.mark.parametrize("cell", ["['cat', 'dog']", '["cat"]', "[ 'cat' ]", "[]", "[1, 0, 1]", "[1.5]", "[0 1]"])
def test_a_list_of_pythons_is_no_label(tmp_path: Path, cell: str) -> None:
    lay(tmp_path, ["a.png", "b.png"])
    quoted = cell.replace('"', '""')
    (tmp_path / "t.csv").write_text(f'image,label\na,"{quoted}"\nb,dog\n')
    (problem,) = table.read(tmp_path, target="label").problems
    assert str(problem) == f"t.csv:2: label {cell!r} is a Python list: part labels by |, as cat|dog"


def test_a_class_may_be_called_in_brackets(tmp_path: Path) -> None:
    lay(tmp_path, ["a.png", "b.png"])
    (tmp_path / "t.csv").write_text("image,label\na,[UNK]\nb,dog\n")
    assert {*table.read(tmp_path, target="label").classes} == {"[UNK]", "dog"}


@pytest.mark.parametrize("name", ["sample_submission.csv", "sampleSubmission.csv", "gender_submission.csv"])
def test_a_sample_submission_is_no_table_of_labels(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("id,label\nz,0\n")
    assert not table.recognise(tmp_path)
    (tmp_path / "labels.csv").write_text("id,label\na.png,0\nb.png,1\n")
    assert table.recognise(tmp_path)
    assert images(tmp_path) == {"all": ["a.png", "b.png"]}


def test_a_table_of_another_name_beside_a_test_table_without_labels(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,label\na,0\nb,1\n")
    (tmp_path / "test.csv").write_text("id\nc\n")
    assert images(tmp_path) == {"train": ["a", "b"]}
    for names in ("id,label", "image,label"):  # labels.csv may be about something else
        (tmp_path / "test.csv").write_text(f"{names}\nc,0\n")
        assert images(tmp_path) == {"test": ["c"]}


@pytest.mark.parametrize("place", ["", "train/"])
def test_a_table_that_names_no_image_is_none_of_labels(tmp_path: Path, place: str) -> None:
    lay(tmp_path, [f"{place}cat.1.png", f"{place}dog.1.png"])
    file = tmp_path / place / "class_names.csv"
    file.write_text("id,name\n0,cat\n1,dog\n")
    assert not table.recognise(tmp_path)
    assert table.recognise(file)
    lay(tmp_path, ["deep/1.png", "deeper/1.png"])
    assert table.recognise(tmp_path)


# where images lie


@pytest.mark.parametrize(
    "places",
    [
        ["train/train/a.jpg", "train/train/b.jpg"],
        ["set_part_1/a.jpg", "set_part_2/b.jpg"],
        ["train/a.jpg", "train/b.jpg", "test/a.jpg"],  # whose names begin anew
        ["Pictures/deep/a.jpg", "Pictures/deep/b.jpg"],
    ],
)
@pytest.mark.parametrize("written", ["a b", "a.jpg b.jpg", "/data/upload/1/a.jpg /data/upload/1/b.jpg"])
def test_images_that_lie_elsewhere_are_found_by_name(tmp_path: Path, places: list[str], written: str) -> None:
    lay(tmp_path, places)
    first, second = written.split()
    (tmp_path / "labels.csv").write_text(f"id,breed\n{first},cat\n{second},dog\n")
    assert images(tmp_path)["all"] == places[:2]


@pytest.mark.parametrize(
    "places",
    [
        ["images/a.jpg", "old/b.jpg"],  # the others lie where they should
        ["a/masks/b.png"],
        ["val/b.jpg", "train/a.jpg"],  # of another split
    ],
)
def test_a_missing_image_is_no_other_of_its_name(tmp_path: Path, places: list[str]) -> None:
    lay(tmp_path, places)
    (tmp_path / "train.csv").write_text("image,label\na,cat\nb,dog\n")
    assert images(tmp_path)["train"][1] == "b"


def test_a_name_that_may_mean_several_images_says_so(tmp_path: Path) -> None:
    lay(tmp_path, ["x/a.jpg", "y/a.jpg", "x/b.jpg"])
    (tmp_path / "labels.csv").write_text("image,label\na.jpg,cat\nb,dog\nfar/x/a.jpg,dog\na.jpg,\n")
    listing = table.read(tmp_path, target="label")
    assert [row.image.relative_to(tmp_path).as_posix() for row in listing.splits["all"]] == ["x/b.jpg", "x/a.jpg"]
    told = "labels.csv:2: a.jpg: several images have this name: x/a.jpg, y/a.jpg: write the folder in front"
    assert [str(problem) for problem in listing.problems] == [told, "labels.csv:5: no label"]


@pytest.mark.parametrize(
    ("names", "row", "column"),
    [
        ("lesion_id,image_id,label", "L{i},{i}a,{c}", "image_id"),
        ("class id,filepaths,label", "{c},{i}a.jpg,{c}", "filepaths"),
        ("label,photograph", "{c},{i}a.jpg", "photograph"),
        ("label,id", "{c},{i}a", "id"),
        ("name,image_id,label", "{i}a,77,{c}", "name"),  # the first, since its cells are images
        ("image_id,file_name,label", "77,{i}a.jpg,{c}", "file_name"),
    ],
)
def test_the_column_of_images_may_stand_anywhere(tmp_path: Path, names: str, row: str, column: str) -> None:
    lay(tmp_path, ["images/0a.jpg", "images/1a.jpg"])
    (tmp_path / "labels.csv").write_text("\n".join([names, *(row.format(i=i, c="cd"[i]) for i in range(2))]))
    assert images(tmp_path) == {"all": ["images/0a.jpg", "images/1a.jpg"]}
    assert column not in "".join(table.read(tmp_path, target="label").warnings)


def test_a_number_in_another_column_is_no_image(tmp_path: Path) -> None:
    lay(tmp_path, ["images/1.jpg"])
    (tmp_path / "labels.csv").write_text("name,label\nx,1\ny,2\n")
    assert images(tmp_path) == {"all": ["x", "y"]}


@pytest.mark.parametrize("folder", ["annotations", "labels"])
def test_a_table_in_a_folder_of_labels_may_be_the_root(tmp_path: Path, folder: str) -> None:
    lay(tmp_path, ["images/a.jpg", "images/b.jpg"])
    file = tmp_path / folder / "mine.csv"
    file.parent.mkdir()
    file.write_text("image,label\na.jpg,cat\nb.jpg,dog\n")
    rows = table.read(file, target="label").splits["all"]
    assert [(row.image.parent, row.where) for row in rows] == [
        (tmp_path / "images", f"{folder}/mine.csv:{line}") for line in (2, 3)
    ]


# splits and labels


def test_a_column_of_splits_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "birds.csv").write_text("image,label,data set\na.png,x,train\nb.png,y,valid\n")
    assert images(tmp_path) == {"train": ["a.png"], "val": ["b.png"]}
    told = table.read(tmp_path, target="label").warnings
    assert told == ("the column 'data set' says which split an image is of",)
    (tmp_path / "birds.csv").write_text("image,label,data set\na.png,x,train\nb.png,y,2\n")
    assert images(tmp_path) == {"all": ["a.png", "b.png"]}


def test_the_label_may_be_an_id_or_a_choice(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Path,Width,ClassId\na.png,30,4\nb.png,30,7\n")
    assert table.read(tmp_path, target="label").classes == ("4", "7")


def test_flags_of_minus_one(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image_id,Bald,Male\na.png,-1,1\nb.png,1,1\nc.png,-1,-1\n")
    listing = table.read(tmp_path, target="label")
    assert [record.target for record in listing.splits["all"]] == [(1,), (0, 1), ()]
    assert listing.warnings == ("-1 in the columns of labels means no",)
    listing = table.read(tmp_path, target="label", targets=["Male"])
    assert not listing.problems and {*listing.classes} == {"-1", "1"}


@pytest.mark.parametrize(
    ("rows", "targets", "told"),
    [
        (["1,", ",1", "1,1", ","], [(0,), (1,), (0, 1), ()], "4 of 8 cells in the columns of labels are blank"),
        ([",0", "1,1.0", "true,"], [(), (0, 1), (0,)], "2 of 6 cells in the columns of labels are blank"),
    ],
)
def test_blank_flags_mean_no_whatever_the_first_row_says(
    tmp_path: Path, rows: list[str], targets: list[tuple[int, ...]], told: str
) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["image,cat,dog", *(f"{i}.png,{row}" for i, row in enumerate(rows))]))
    listing = table.read(tmp_path, target="label")
    assert [record.target for record in listing.splits["all"]] == targets
    assert listing.warnings == (f"{told}, which means no",)


@pytest.mark.parametrize("rows", [["1,0", "0,-1"], [",1", "-1,1"], ["1.0,-1.0", "0.0,1.0"]])
def test_flags_of_minus_one_beside_others_are_refused_in_one_line(tmp_path: Path, rows: list[str]) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["image,cat,dog", *(f"{i}.png,{row}" for i, row in enumerate(rows))]))
    told = r"t\.csv:\d: '(cat|dog)' is -1, as 1 of 4 cells .*: write 0 for no and 1 for yes, or take such rows out"
    with pytest.raises(DataError, match=told):
        table.read(tmp_path, target="label")


def test_flags_beside_other_columns_are_named_and_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,sex,age,Edema,class\na.png,f,30,,1\nb.png,m,41,1,1\nc.png,m,9,0,0\n")
    assert table.read(tmp_path, target="label").classes == ("0", "1")
    listing = table.read(tmp_path, target="label", targets=["Edema", "class"])
    assert [record.target for record in listing.splits["all"]] == [(1,), (0, 1), ()]
    with pytest.raises(DataError, match=r"data.targets=\['class', 'age'\]: .* 'age' does not: write 1 for yes"):
        table.read(tmp_path, target="label", targets=["class", "age"])
    (tmp_path / "t.csv").write_text("image,sex,age,Edema,x\na.png,f,30,,1\nb.png,m,41,1,1\nc.png,m,9,0,0\n")
    with pytest.raises(DataError, match=r"found: sex, age, Edema, x; of 0 and 1 are Edema, x\)"):
        table.read(tmp_path, target="label")


def test_a_column_without_any_cell_is_no_flag_unless_it_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,present,note\na.png,1,\nb.png,0,\n")
    listing = table.read(tmp_path, target="label")
    assert (listing.classes, listing.multilabel) == (("0", "1"), False)
    assert listing.warnings == ("columns not read: note; data.targets=[NAME,...] chooses",)
    listing = table.read(tmp_path, target="label", targets=["present", "note"])
    assert (listing.classes, listing.multilabel) == (("present", "note"), True)
    (tmp_path / "t.csv").write_text("image,present,note\na.png,,\nb.png,,\n")
    with pytest.raises(DataError, match=r"data\.targets=\['present', 'note'\]: no row holds a value there"):
        table.read(tmp_path, target="label", targets=["present", "note"])


@pytest.mark.parametrize("target", ["label", "value"])
def test_a_mark_at_the_end_of_each_line_makes_no_column(tmp_path: Path, target: str) -> None:
    (tmp_path / "t.csv").write_text("file,x,\na.png,1,\nb.png,2\nc.png,1,,0\n")
    listing = table.read(tmp_path, target=target)
    assert [record.image.name for record in listing.splits["all"]] == ["a.png", "b.png"]
    assert listing.warnings == ()
    assert [str(problem) for problem in listing.problems] == ["t.csv:4: 3 cells, the header has 2"]


@pytest.mark.parametrize("name", ["dev", "Devel"])
def test_dev_is_val(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.csv").write_text(f"image,label,split\na.png,x,train\nb.png,y,{name}\n")
    assert images(tmp_path) == {"train": ["a.png"], "val": ["b.png"]}


@pytest.mark.parametrize("boxed", [False, True])
def test_a_split_of_unknown_name_is_refused_as_a_whole(tmp_path: Path, boxed: bool) -> None:
    header, cells = ("image,split,label", "x") if not boxed else ("image,split,class,xmin,ymin,xmax,ymax", "x,0,0,2,2")
    splits = ["train", "train", "holdout", "holdout", "", "", "", "odd"]
    lay(tmp_path, [f"{i}.png" for i in range(len(splits))])
    rows = [f"{i}.png,{split},{cells}" for i, split in enumerate(splits)]
    (tmp_path / "t.csv").write_text("\n".join([header, *rows]))
    task = "object_detection" if boxed else "classification"
    with pytest.raises(DataError, match=r"t\.csv: column split: '' \(3 rows\), 'holdout' \(2 rows\): none of train"):
        records.read(tmp_path, task=task, on_bad="skip")


@pytest.mark.parametrize(
    ("mark", "cells", "values"),
    [
        (";", ["1,500", "2", "-0,25", "1,5E-3"], [1.5, 2.0, -0.25, 0.0015]),
        ("\t", ["1,50", "1,250"], [1.5, 1.25]),
        ("\t", ["0,250", "0,500"], [0.25, 0.5]),
    ],
)
def test_decimal_commas_are_read_and_said(tmp_path: Path, mark: str, cells: list[str], values: list[float]) -> None:
    rows = [mark.join(("image", "n", "size")), *(mark.join((f"{i}.png", "7", cell)) for i, cell in enumerate(cells))]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    listing = table.read(tmp_path, target="value")
    assert [record.target for record in listing.splits["all"]] == [(7.0, value) for value in values]
    assert listing.warnings == ("commas in numbers are taken for decimal points, as 1,5 is 1.5, in: size",)


@pytest.mark.parametrize(
    ("mark", "cells"),
    [
        (",", ['"1,5"', '"2,5"']),
        (";", ["1.000,5", "2.000,5"]),
        ("\t", ["1,500", "2,500"]),  # thousands?
        (",", ["10 kg", "12 kg", ""]),
    ],
)
def test_a_column_without_any_number_is_refused_in_one_line(tmp_path: Path, mark: str, cells: list[str]) -> None:
    rows = [mark.join(("image", "size")), *(mark.join((f"{i}.png", cell)) for i, cell in enumerate(cells))]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    told = f"column 'size': none of 2 cells is a number, such as {cells[0].strip(chr(34))!r}: write bare numbers"
    with pytest.raises(DataError, match=re.escape(told)):
        table.read(tmp_path, target="value")


@pytest.mark.parametrize(
    ("cells", "classes", "named"),
    [
        (["cat", "dog", "owl", "cat, dog", "dog,owl"], ("cat", "dog", "owl"), "commas"),
        (["scab", "rust", "old", "scab rust", "rust  old"], ("old", "rust", "scab"), "spaces"),
        (["0 3", "1", "12", "0"], ("0", "1", "3", "12"), "spaces"),
    ],
)
def test_several_labels_in_a_cell_by_commas_or_spaces(
    tmp_path: Path, cells: list[str], classes: tuple[str, ...], named: str
) -> None:
    (tmp_path / "t.csv").write_text("image,labels\n" + "\n".join(f'{i}.png,"{cell}"' for i, cell in enumerate(cells)))
    listing = table.read(tmp_path, target="label")
    assert listing.multilabel and listing.classes == classes
    found = [" ".join(classes[label] for label in record.target) for record in listing.splits["all"]]
    assert found == [" ".join(sorted(cell.replace(",", " ").split(), key=classes.index)) for cell in cells]
    assert [line for line in listing.warnings if f"parted by {named}" in line]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["Washington, DC", "Paris, TX", "Rome"], False),
        (["race car", "car", "bus"], False),
        (["fire truck", "fire", "truck"], True),  # one such name may be one
        (["scab rust spot", "rust spot", "scab", "rust"], True),  # spot never stands alone
        (["3,5", "3", "5", "4"], True),
        (["1 2 3 4", "5 6 7 8"], False),  # an outline
        (["New York", "New Jersey"], False),
    ],
)
def test_names_with_spaces_and_commas_stay_whole(tmp_path: Path, cells: list[str], told: bool) -> None:
    (tmp_path / "t.csv").write_text("image,label\n" + "\n".join(f'{i}.png,"{cell}"' for i, cell in enumerate(cells)))
    listing = table.read(tmp_path, target="label")
    assert not listing.multilabel and {*listing.classes} == {*cells}
    assert ["is one class: part several labels in a cell by |" in line for line in listing.warnings] == [True] * told


def test_classes_txt_says_which_names_are_whole(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,label\na.png,cat dog\nb.png,sea lion\nc.png,cat\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\nsea lion\n")
    listing = table.read(tmp_path, target="label")
    assert [record.target for record in listing.splits["all"]] == [(0, 1), (2,), (0,)]


def test_names_in_classes_txt_and_labels_may_store_accents_in_two_ways(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,label\na.png,cafe\u0301|dog\nb.png,caf\u00e9\n", encoding="utf-8")
    for name in ("caf\u00e9", "cafe\u0301"):
        (tmp_path / "classes.txt").write_text(f"dog\n{name}\n", encoding="utf-8")
        listing = table.read(tmp_path, target="label")
        assert not listing.problems and [record.target for record in listing.splits["all"]] == [(0, 1), (1,)]


def test_a_table_beside_the_only_folder_of_images_is_read(tmp_path: Path) -> None:
    for i in range(6):
        lay(tmp_path, [f"photos/{i}.png"])
        Image.new("L", (4, 3), i).save(tmp_path / "photos" / f"{i}.png")
    rows = [f"/home/me/photos/{i}.png,{'cd'[i % 2]}" for i in range(6)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    assert records.read(tmp_path, task="classification").layout == "csv"


@pytest.mark.parametrize("cell", ['"cat', 'cat,"a note'])
@pytest.mark.parametrize("boxed", [False, True])
def test_a_quote_that_is_left_open_is_named_by_its_line(tmp_path: Path, cell: str, boxed: bool) -> None:
    rows = [f"{i}.png,{'1,1,9,9,' if boxed else ''}{cell if i == 3 else 'dog,'}" for i in range(9)]
    for i in range(9):
        Image.new("L", (16, 16), 20 * i).save(tmp_path / f"{i}.png")
    header = f"image,{'xmin,ymin,xmax,ymax,' if boxed else ''}label,note"
    (tmp_path / "t.csv").write_text("\n".join([header, *rows]))
    with pytest.raises(DataError, match=r'/t\.csv:5: a cell begins with a quote \("\) that does not end it: close or'):
        records.read(tmp_path, task="object_detection" if boxed else "classification")


def test_quotes_that_are_closed_hold_several_lines_and_may_have_blanks_behind_them(tmp_path: Path) -> None:
    lay(tmp_path, ["a.png", "b.png", "c.png"])
    notes = ['"two\nlines of ""a"" note"', '"one"  ', '6"']
    images = ['"a.png"', '"b.png" ', "c.png"]
    rows = [f"{image}, {label},{note}\n" for image, label, note in zip(images, "xyx", notes, strict=True)]
    (tmp_path / "t.csv").write_text("image,label,note\n" + "".join(rows))
    listing = table.read(tmp_path, target="label")
    assert [record.image.name for record in listing.splits["all"]] == ["a.png", "b.png", "c.png"]
    assert listing.classes == ("x", "y")


@pytest.mark.parametrize(
    ("first", "mark"), [("sep=;\r\n", ";"), ('"sep=;"\n', ";"), ("sep=,\n", ","), ("sep=\t\n", "\t")]
)
def test_the_line_by_which_excel_knows_the_mark_is_no_row(tmp_path: Path, first: str, mark: str) -> None:
    rows = [["image", "label"], ["a.png", "x"], ["b.png"]]
    (tmp_path / "t.csv").write_text(first + "".join(mark.join(row) + "\r\n" for row in rows), newline="")
    listing = table.read(tmp_path, target="label")
    assert [record.target for record in listing.splits["all"]] == [0]
    assert listing.classes == ("x",)
    assert [problem.where for problem in listing.problems] == ["t.csv:4"]
