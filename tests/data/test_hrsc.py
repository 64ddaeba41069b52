"""HRSC2016's xml files of ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import records
from visrun.data.readers import voc
from visrun.errors import DataError

SYSDATA = """<HRSC_Sys><HRSC_Classes>
<HRSC_Class><Class_ID>100000001</Class_ID><Class_EngName>ship</Class_EngName></HRSC_Class>
<HRSC_Class><Class_ID>100000013</Class_ID><Class_EngName>Car carrier([]==[])</Class_EngName></HRSC_Class>
</HRSC_Classes></HRSC_Sys>"""


def ship(class_id: str = "100000013", angle: float | str = np.pi / 6, difficult: int | str = 0, box: str = "12") -> str:
    fields = {"Class_ID": class_id, "truncated": 0, "difficult": difficult}
    fields |= {"box_xmin": box, "box_ymin": 8, "box_xmax": 29, "box_ymax": 23}
    fields |= {"mbox_cx": 20.5, "mbox_cy": 15.25, "mbox_w": 16, "mbox_h": 4, "mbox_ang": angle}
    return f"<HRSC_Object>\n{''.join(f'<{name}>{value}</{name}>' for name, value in fields.items())}</HRSC_Object>\n"


def label(path: Path, *ships: str, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"<Img_FileName>{path.stem}</Img_FileName><Img_FileFmt>bmp</Img_FileFmt>"
    head += f"<Img_SizeWidth>{size[0]}</Img_SizeWidth><Img_SizeHeight>{size[1]}</Img_SizeHeight>"
    objects = f"<HRSC_Objects>{''.join(ships)}</HRSC_Objects>"
    path.write_text(f"<?xml version='1.0'?>\n<HRSC_Image>{head}{objects}</HRSC_Image>", encoding="utf-8")
    return path


def made(root: Path, lists: bool = True) -> Path:
    full = root / "FullDataSet"
    (full / "AllImages").mkdir(parents=True)
    for shade, name in enumerate(("100000001", "100000002", "100000003", "100000004")):
        Image.new("L", (40, 30), 60 * shade).save(full / "AllImages" / f"{name}.bmp")
    label(full / "Annotations" / "100000001.xml", ship(), ship("100000001", -0.5, 1))
    label(full / "Annotations" / "100000002.xml", ship("100000001", 0.0))
    label(full / "Annotations" / "100000003.xml")
    (full / "sysdata.xml").write_text(SYSDATA)
    (root / "ImageSets").mkdir()
    for split, names in (("train", (1,)), ("val", (2,)), ("test", (3,)), ("trainval", (1, 2))):
        if lists:
            (root / "ImageSets" / f"{split}.txt").write_text("".join(f"10000000{i}\n" for i in names))
    return root


@pytest.mark.parametrize("inside", [False, True])
def test_turned_boxes_are_clockwise_radians_and_classes_have_names(tmp_path: Path, inside: bool) -> None:
    made(tmp_path)
    if inside:
        (tmp_path / "ImageSets").rename(tmp_path / "FullDataSet" / "ImageSets")
    root = tmp_path / "FullDataSet" if inside else tmp_path
    assert voc.recognise(root, "oriented_object_detection")
    dataset = records.read(root, task="oriented_object_detection", training=False)
    assert (dataset.layout, dataset.classes) == ("voc", ("Car carrier", "ship"))
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 1, "val": 1, "test": 1}
    (row,) = dataset.splits["train"]
    assert row.target.labels.tolist() == [0, 1] and row.target.ignored.tolist() == [False, True]
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)  # the right end of a level ship goes down: y grows
    along, across = np.array([8 * cos, 8 * sin]), np.array([-2 * sin, 2 * cos])
    middle = np.array([20.5, 15.25])
    corners = middle + np.array([-along - across, along - across, along + across, -along + across])
    away = np.abs(row.target.quads[0][:, None] - corners).max(-1)
    assert away.min(0).max() < 1e-9 and away.min(1).max() < 1e-9


def test_upright_boxes_are_those_written(tmp_path: Path) -> None:
    dataset = records.read(made(tmp_path), task="object_detection", training=False)
    (row,) = dataset.splits["train"]
    assert row.target.boxes.tolist() == [[12, 8, 29, 23]] * 2
    label(tmp_path / "FullDataSet" / "Annotations" / "100000001.xml", ship("100000001", 0.0, box=""))
    (row,) = records.read(tmp_path, task="object_detection", training=False).splits["train"]
    assert row.target.boxes.tolist() == [[12.5, 13.25, 28.5, 17.25]]


def test_without_names_ids_are_classes_and_images_without_xml_are_said(tmp_path: Path) -> None:
    made(tmp_path, lists=False)
    (tmp_path / "FullDataSet" / "sysdata.xml").unlink()
    listing = voc.read(tmp_path, masks=False)
    assert listing.classes == ("100000001", "100000013")
    told = "1 image without an xml file is left out, such as FullDataSet/AllImages/100000004.bmp"
    assert told in listing.warnings


def test_train_and_test_in_folders_of_their_own(tmp_path: Path) -> None:
    for shade, split in enumerate(("Train", "Test")):
        (tmp_path / split / "AllImages").mkdir(parents=True)
        Image.new("L", (40, 30), 90 * shade).save(tmp_path / split / "AllImages" / f"{split}.bmp")
        label(tmp_path / split / "Annotations" / f"{split}.xml", ship())
    dataset = records.read(tmp_path, task="oriented_object_detection", training=False)
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 1, "test": 1}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (ship(angle="x"), "an object without the numbers mbox_cx, mbox_cy, mbox_w, mbox_h, mbox_ang"),
        (ship(angle="nan"), "mbox_ang is no finite number"),
        (ship(angle=-45.0), "mbox_ang -45 is beyond a full turn: it counts in radians, from -6.28 to 6.28"),
        (ship(""), "an object without a Class_ID"),
        (ship(difficult=3), "difficult '3' is neither 0 nor 1"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(tmp_path: Path, text: str, what: str) -> None:
    made(tmp_path)
    label(tmp_path / "FullDataSet" / "Annotations" / "100000002.xml", ship(), text)
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="oriented_object_detection")
    assert f"FullDataSet/Annotations/100000002.xml:4: {what}" in str(caught.value)


def test_names_that_the_signs_alone_tell_apart_stay_whole(tmp_path: Path) -> None:
    made(tmp_path)
    file = tmp_path / "FullDataSet" / "sysdata.xml"
    file.write_text(SYSDATA.replace(">ship<", ">Car carrier(|)<"))
    assert voc.read(tmp_path, masks=False).classes == ("Car carrier([]==[])", "Car carrier(|)")


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("lists", [False, True])
def test_a_missing_image_is_named_where_it_should_lie(tmp_path: Path, inside: bool, lists: bool) -> None:
    made(tmp_path, lists)
    (tmp_path / "FullDataSet" / "AllImages" / "100000002.bmp").unlink()
    with pytest.raises(DataError) as caught:
        records.read(tmp_path / "FullDataSet" if inside else tmp_path, task="oriented_object_detection")
    top = "" if inside else "FullDataSet/"
    line = f"{top}Annotations/100000002.xml: {top}AllImages/100000002.bmp: no such file"
    assert line in map(str.strip, str(caught.value).splitlines())
