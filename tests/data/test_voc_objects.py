"""Pascal VOC's xml files of boxes, in the places and dialects of VOC, LabelImg and others."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import recognise, records, xmltree
from visrun.data.readers import voc
from visrun.errors import DataError

SIZE = (40, 30)
BOX = (4, 5, 14, 25)
SIDES = ("xmin", "ymin", "xmax", "ymax")


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", SIZE, shade).save(path)
    return path


def item(name: str = "cat", box: tuple[object, ...] = BOX, difficult: str = "<difficult>0</difficult>") -> str:
    sides = "".join(f"<{side}>{value}</{side}>" for side, value in zip(SIDES, box, strict=False))
    return f"<object>\n<name>{name}</name>{difficult}<bndbox>{sides}</bndbox></object>\n"


def turned_item(x: object, y: object, width: object, height: object, angle: object, name: str = "cat") -> str:
    """As roLabelImg writes it."""
    values = zip(("cx", "cy", "w", "h", "angle"), (x, y, width, height, angle), strict=True)
    inside = "".join(f"<{key}>{value}</{key}>" for key, value in values)
    return f"<object>\n<type>robndbox</type><name>{name}</name><robndbox>{inside}</robndbox></object>\n"


def label(path: Path, *items: str, head: str = "", size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    path.write_text(f"<annotation>{head}{sizes}\n{''.join(items)}</annotation>")
    return path


def found(root: Path) -> dict[str, list[str]]:
    splits = voc.read(root, masks=False).splits
    return {split: [row.image.relative_to(root).as_posix() for row in rows] for split, rows in splits.items()}


PLACES = [
    ("JPEGImages/a.jpg", "Annotations/a.xml", "all"),
    ("VOC2012/JPEGImages/a.jpg", "VOC2012/Annotations/a.xml", "all"),
    ("VOCdevkit/VOC2012/JPEGImages/a.jpg", "VOCdevkit/VOC2012/Annotations/a.xml", "all"),
    ("images/a.png", "annotations/a.xml", "all"),
    ("images/train/a.png", "annotations/train/a.xml", "train"),
    ("train/a.jpg", "train/a.xml", "train"),
    ("valid/images/a.jpg", "valid/annotations/a.xml", "val"),
    ("pictures/train/a.jpg", "voc/Annotations/a.xml", "all"),
    ("a.JPG", "a.xml", "all"),
]


@pytest.mark.parametrize(("image", "xml", "split"), PLACES)
def test_xml_and_images_are_found_where_people_keep_them(tmp_path: Path, image: str, xml: str, split: str) -> None:
    picture(tmp_path / image)
    label(tmp_path / xml, item())
    assert voc.recognise(tmp_path, "object_detection")
    assert not voc.recognise(tmp_path, "segmentation")
    assert found(tmp_path) == {split: [image]}


def test_an_xml_file_beside_other_images_is_no_label(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    label(tmp_path / "annotations.xml", item())
    assert not voc.recognise(tmp_path, "object_detection")


@pytest.mark.parametrize("lists", ["ImageSets/Main", "ImageSets"])
def test_lists_say_the_splits(tmp_path: Path, lists: str) -> None:
    for name in "abcd":
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
        label(tmp_path / "Annotations" / f"{name}.xml", item())
    for split, names in (("train", "a\nb\n"), ("val", "c\ngone\n"), ("cat_train", "a  1\nb -1\n")):
        (tmp_path / lists).mkdir(parents=True, exist_ok=True)
        (tmp_path / lists / f"{split}.txt").write_text(names)
    listing = voc.read(tmp_path, masks=False)
    assert found(tmp_path) == {"train": ["JPEGImages/a.jpg", "JPEGImages/b.jpg"], "val": ["JPEGImages/c.jpg"]}
    assert [str(p) for p in listing.problems] == [f"{lists}/val.txt:2: no Annotations/gone.xml"]
    assert listing.warnings == ("1 xml file that no list names is left out",)


def test_a_listed_name_with_spaces_may_stand_in_quotes(tmp_path: Path) -> None:
    for name in ("my pic", '"', "b"):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
        label(tmp_path / "Annotations" / f"{name}.xml", item())
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "default.txt").write_text('"my pic"\n"\nb\n')
    assert found(tmp_path) == {"all": ["JPEGImages/my pic.jpg", 'JPEGImages/".jpg', "JPEGImages/b.jpg"]}


def test_images_elsewhere_are_found_by_what_the_xml_says(tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(tmp_path / "images" / split / "a.jpg")
    head = "<folder>images/val</folder><filename>a.jpg</filename>"
    label(tmp_path / "voc" / "Annotations" / "a.xml", item(), head=head)
    assert found(tmp_path) == {"all": ["images/val/a.jpg"]}
    (row,) = voc.read(tmp_path / "voc", masks=False).splits["all"]
    assert row.image == tmp_path / "images" / "val" / "a.jpg"


def test_boxes_names_difficulty_and_lines(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg")
    items = (item("dog"), item("class_10", (0.5, 0.5, 40, 30)), item("class_2", difficult="<difficult>1</difficult>"))
    label(tmp_path / "Annotations" / "a.xml", *items, item("dog", difficult=""))
    listing = voc.read(tmp_path, masks=False)
    (row,) = listing.splits["all"]
    assert listing.classes == ("class_2", "class_10", "dog")
    assert row.target.labels.tolist() == [2, 1, 0, 2]
    assert row.target.boxes[:2].tolist() == [[4, 5, 14, 25], [0.5, 0.5, 40, 30]]
    assert row.target.ignored.tolist() == [False, False, True, False]
    assert [row.target.spot(i) for i in (0, 1)] == ["Annotations/a.xml:2", "Annotations/a.xml:4"]
    assert row.target.size == SIZE
    (tmp_path / "classes.txt").write_text("background\ndog\nclass_2\n")
    listing = voc.read(tmp_path, masks=False)
    assert listing.classes == ("dog", "class_2")
    assert [str(p) for p in listing.problems] == [
        "Annotations/a.xml:4: class 'class_10' is none of 2 classes (dog, class_2)"
    ]


@pytest.mark.parametrize(
    ("text", "ignored"), [("0", False), ("false", False), ("False", False), ("", False), ("1", True), ("True", True)]
)
def test_difficult_is_taken_as_what_it_says(tmp_path: Path, text: str, ignored: bool) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg")
    label(tmp_path / "Annotations" / "a.xml", item(difficult=f"<difficult>{text}</difficult>"))
    assert voc.read(tmp_path, masks=False).splits["all"][0].target.ignored.tolist() == [ignored]


def test_turned_boxes_of_a_middle_and_an_angle(tmp_path: Path) -> None:
    """A quarter turn swaps the sides; of 30 degrees, clockwise as y points down, the first corner by hand."""
    picture(tmp_path / "JPEGImages" / "a.jpg")
    items = turned_item(20, 15, 10, 4, np.pi / 2), turned_item(20, 15, 10, 4, np.pi / 6, "dog"), item()
    label(tmp_path / "Annotations" / "a.xml", *items)
    listing = voc.read(tmp_path, masks=False)
    target = listing.splits["all"][0].target
    quads = np.array(target.quads)
    assert (listing.classes, target.labels.tolist()) == (("cat", "dog"), [0, 1, 0])
    np.testing.assert_allclose(quads[0], [[22, 10], [22, 20], [18, 20], [18, 10]])
    cos, sin = np.sqrt(3) / 2, 1 / 2
    np.testing.assert_allclose(quads[1, 0], [20 - 5 * cos + 2 * sin, 15 - 5 * sin - 2 * cos])
    np.testing.assert_allclose(quads[2], [[4, 5], [14, 5], [14, 25], [4, 25]])
    np.testing.assert_allclose(target.boxes[0], [18, 10, 22, 20])
    assert voc.recognise(tmp_path, "oriented_object_detection")


def test_the_frame_of_a_turned_box_beside_an_upright_one_is_none(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg")
    label(tmp_path / "Annotations" / "a.xml", item().replace("</object>", "<robndbox><cx></cx></robndbox></object>"))
    (row,) = voc.read(tmp_path, masks=False).splits["all"]
    assert (row.target.quads, row.target.boxes.tolist()) == (None, [[*map(float, BOX)]])


@pytest.mark.parametrize(
    ("angle", "what"),
    [
        ("nonsense", "a robndbox without the numbers cx, cy, w, h, angle, or four corners"),
        ("", "a robndbox without the numbers cx, cy, w, h, angle, or four corners"),
        ("45", "the angle of a robndbox 45 is beyond a full turn: it counts in radians, from -6.28 to 6.28"),
    ],
)
def test_a_wrong_turned_box_is_not_taken_for_the_upright_one_beside_it(tmp_path: Path, angle: str, what: str) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg")
    both = item().replace("</object>", turned_item(20, 15, 10, 4, angle).partition("</name>")[2])
    label(tmp_path / "Annotations" / "a.xml", item(), both)
    assert [str(p) for p in voc.read(tmp_path, masks=False).problems] == [f"Annotations/a.xml:4: {what}"]


def test_an_upright_box_far_outside_counts_where_upright_ones_are_learnt_alone(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg")
    far = item(box=(400, 300, 500, 400)).replace("</object>", turned_item(20, 15, 10, 4, 0.0).partition("</name>")[2])
    label(tmp_path / "Annotations" / "a.xml", far)
    dataset = records.read(tmp_path, task="oriented_object_detection", training=False)
    (row,) = dataset.splits["test"]
    assert (row.target.boxes.tolist(), row.target.corners()[0, 0].tolist()) == ([[15, 13, 25, 17]], [15, 13])
    with pytest.raises(DataError, match=r"coordinates from .* to 500 in an image of 40x30 pixels"):
        records.read(tmp_path, task="object_detection", training=False)


def test_turned_boxes_of_corners_lie_beside_upright_ones(tmp_path: Path) -> None:
    """As DIOR-R has them, whose lists name the files."""
    corners = {"left_top": (5, 4), "right_top": (15, 8), "right_bottom": (13, 12), "left_bottom": (3, 8)}
    inside = "".join(f"<x_{end}>{x}</x_{end}><y_{end}>{y}</y_{end}>" for end, (x, y) in corners.items())
    ship = f"<object><name>ship</name><robndbox>{inside}</robndbox><angle>0</angle></object>"
    for name, split in (("00001", "trainval"), ("00002", "test")):
        picture(tmp_path / f"JPEGImages-{split}" / f"{name}.jpg")
        label(tmp_path / "Annotations" / "Oriented Bounding Boxes" / f"{name}.xml", ship)
        label(tmp_path / "Annotations" / "Horizontal Bounding Boxes" / f"{name}.xml", item("boat"))
        (tmp_path / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (tmp_path / "ImageSets" / "Main" / f"{split}.txt").write_text(name)
    listing = recognise.read(tmp_path, "voc", "oriented_object_detection").listing
    assert (listing.classes, listing.problems) == (("ship",), ())
    assert {split: len(rows) for split, rows in listing.splits.items()} == {"train": 1, "test": 1}
    assert np.array(listing.splits["test"][0].target.quads)[0].tolist() == [
        list(map(float, p)) for p in corners.values()
    ]


def test_vocs_own_files_count_pixels_from_one(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg")
    head = "<source><database>The VOC2007 Database</database></source>"
    label(tmp_path / "Annotations" / "a.xml", item(box=(1, 1, 40, 30)), head=head)
    assert voc.read(tmp_path, masks=False).splits["all"][0].target.boxes.tolist() == [[0, 0, 40, 30]]


def test_an_image_without_objects_and_a_size_of_zero(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg")
    label(tmp_path / "Annotations" / "a.xml", size=(0, 0))
    (row,) = voc.read(tmp_path, masks=False).splits["all"]
    assert (len(row.target), row.target.size) == (0, None)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (item(box=("x", 1, 2, 3)), "an object without a bndbox of four numbers"),
        (item(box=("1_0", 1, 20, 3)), "an object without a bndbox of four numbers"),
        (item(box=(1, 2, 3)), "an object without a bndbox of four numbers"),
        ("<object>\n<name>cat</name></object>", "an object without a bndbox of four numbers"),
        (
            "<object>\n<name>cat</name><robndbox/></object>",
            "a robndbox without the numbers cx, cy, w, h, angle, or four corners",
        ),
        (turned_item(20, 15, 10, 4, "nan"), "the angle of a robndbox is no finite number"),
        (
            turned_item(20, 15, 10, 4, "90"),
            "the angle of a robndbox 90 is beyond a full turn: it counts in radians, from -6.28 to 6.28",
        ),
        (item(name=" "), "an object without a name"),
        (item(difficult="<difficult>2</difficult>"), "difficult '2' is neither 0 nor 1"),
    ],
)
def test_an_object_that_cannot_be_read_is_named_by_its_line(tmp_path: Path, text: str, what: str) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg")
    label(tmp_path / "Annotations" / "a.xml", item(), text)
    assert [str(p) for p in voc.read(tmp_path, masks=False).problems] == [f"Annotations/a.xml:4: {what}"]


def test_another_tools_xml_is_no_image_without_objects(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
    foreign = label(tmp_path / "Annotations" / "a.xml")
    foreign.write_text("<FAIR1M><things><thing/></things></FAIR1M>")
    assert not voc.recognise(tmp_path, "object_detection")
    label(tmp_path / "Annotations" / "b.xml")
    assert voc.recognise(tmp_path, "object_detection")
    listing = voc.read(tmp_path, masks=False)
    told = "Annotations/a.xml:1: not VOC's: its outermost tag is FAIR1M, not annotation"
    assert ([str(problem) for problem in listing.problems], len(listing.splits["all"])) == ([told], 1)
    foreign.write_text(f"<Picture>{item()}</Picture>")
    assert [len(row.target) for row in voc.read(tmp_path, masks=False).splits["all"]] == [1, 0]


@pytest.mark.parametrize(
    "sides",
    [
        "<xmin>x</xmin>",
        "<xmin>0</xmin><ymin>0</ymin><xmax>0</xmax><ymax>0</ymax>",
        "<xmin>nan</xmin><ymin>1</ymin><xmax>2</xmax><ymax>3</ymax>",
    ],
)
def test_of_an_upright_and_a_turned_box_each_task_takes_its_own(tmp_path: Path, sides: str) -> None:
    for shade, name in enumerate("ab"):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg", 90 * shade)
    both = turned_item(20, 15, 10, 4, np.pi / 2).replace(
        "<name>", "<bndbox><xmin>16</xmin><ymin>9</ymin><xmax>24</xmax><ymax>21</ymax></bndbox><name>"
    )
    lost = turned_item(20, 15, 10, 4, np.pi / 2, "dog").replace("<name>", f"<bndbox>{sides}</bndbox><name>")
    label(tmp_path / "Annotations" / "a.xml", both, lost)
    label(tmp_path / "Annotations" / "b.xml", item())
    dataset = records.read(tmp_path, task="object_detection", training=False)
    boxes = [row.target.boxes.round(6).tolist() for row in dataset.splits["test"]]
    assert boxes == [[[16, 9, 24, 21], [18, 10, 22, 20]], [[4, 5, 14, 25]]]
    dataset = records.read(tmp_path, task="oriented_object_detection", training=False)
    low_high = [(row.target.quads.min(1).round(6), row.target.quads.max(1).round(6)) for row in dataset.splits["test"]]
    assert [np.concatenate(pair, 1).tolist() for pair in low_high] == [[[18, 10, 22, 20]] * 2, [[4, 5, 14, 25]]]


def test_several_years_are_for_the_user_to_choose(tmp_path: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        label(tmp_path / year / "Annotations" / "a.xml", item())
    with pytest.raises(DataError, match=r"choose one: data\.root=.*VOC2007 or data\.root=.*VOC2012"):
        voc.read(tmp_path, masks=False)


def test_a_missing_image_and_another_size_are_told(tmp_path: Path) -> None:
    for i in range(6):
        picture(tmp_path / "JPEGImages" / f"{i}.jpg", i)
        label(tmp_path / "Annotations" / f"{i}.xml", item(), size=(30, 40) if i == 3 else SIZE)
    (tmp_path / "JPEGImages" / "5.jpg").unlink()
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="object_detection")
    assert str(caught.value).splitlines()[1:-1] == [
        "  Annotations/3.xml: labels for 30x40 pixels, the image has 40x30 (turned by its EXIF orientation?)",
        "  Annotations/5.xml: JPEGImages/5: no such file",
    ]


@pytest.mark.parametrize("folder", ["images", "train", "train/images"])
@pytest.mark.parametrize("place", ["images/{}", "{}/images", "{}"])
def test_an_image_that_is_missing_in_its_split_is_not_taken_from_another(
    tmp_path: Path, place: str, folder: str
) -> None:
    for split in ("train", "val"):
        for i in range(3):
            if (split, i) != ("val", 2):
                picture(tmp_path / place.format(split) / f"{i}.jpg", i)
            head = f"<folder>{folder}</folder><filename>{i}.jpg</filename>"
            label(tmp_path / place.replace("images", "annotations").format(split) / f"{i}.xml", item(), head=head)
    with pytest.raises(DataError, match=r"(?m)^  .*val/.*2\.xml: .*2\.jpg: no such file$"):
        records.read(tmp_path, task="object_detection")


def test_names_agree_however_they_are_written(tmp_path: Path) -> None:
    image = picture(tmp_path / "JPEGImages" / (unicodedata.normalize("NFD", "é") + ".JPG"))
    label(tmp_path / "Annotations" / (unicodedata.normalize("NFC", "é") + ".XML"), item())
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text(unicodedata.normalize("NFD", "é"), encoding="utf-8")
    listing = voc.read(tmp_path, masks=False)
    assert ([row.image for row in listing.splits["train"]], listing.problems) == ([image], ())


@pytest.mark.parametrize(
    ("image", "xml"), [("{}/a.jpg", "{}/a.xml"), ("{}/images/a.jpg", "{}/annotations/a.xml"), ("images/{}/a.jpg",) * 2]
)
def test_images_of_a_split_without_xml_files(tmp_path: Path, image: str, xml: str) -> None:
    xml = xml.replace("images", "annotations").replace("jpg", "xml")
    for split in ("train", "test"):
        picture(tmp_path / image.format(split))
    label(tmp_path / xml.format("train"), item())
    listing = voc.read(tmp_path, masks=False)
    folder = image.format("test").split("/a.jpg")[0].removesuffix("/images")
    assert listing.warnings == (f"{folder}/: test images without labels are left out",)
    picture(tmp_path / image.format("val"))
    with pytest.raises(DataError, match=r"val: images of val without labels: add their xml files, or move the images"):
        voc.read(tmp_path, masks=False)


@pytest.mark.parametrize(
    ("image", "xml"),
    [
        ("JPEGImages/{}.jpg", "Annotations/{}.xml"),
        ("train/{}.jpg", "train/{}.xml"),
        ("train/images/{}.jpg", "train/annotations/{}.xml"),
        ("images/train/{}.jpg", "annotations/train/{}.xml"),
        ("images/train/{}.jpg", "annotations/{}.xml"),
        ("{}.jpg", "{}.xml"),
    ],
)
def test_images_without_an_xml_file_are_said(tmp_path: Path, image: str, xml: str) -> None:
    for name in "abc":
        picture(tmp_path / image.format(name))
    label(tmp_path / xml.format("a"), item())
    line = f"2 images without an xml file are left out, such as {image.format('b')}"
    assert voc.read(tmp_path, masks=False).warnings == (line,)


def test_an_image_that_its_xml_file_names_otherwise_and_pictures_elsewhere_lack_nothing(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg")
    picture(tmp_path / "SegmentationClass" / "b.png")
    picture(tmp_path / "previews" / "c.jpg")
    label(tmp_path / "Annotations" / "first.xml", item(), head="<filename>a.jpg</filename>")
    assert voc.read(tmp_path, masks=False).warnings == ()


def test_two_xml_files_of_one_name_do_not_share_an_image(tmp_path: Path) -> None:
    for camera in ("cam1", "cam2"):
        label(tmp_path / "Annotations" / camera / "1.xml", item())
    picture(tmp_path / "JPEGImages" / "1.jpg")
    what = "no image of its own: JPEGImages/1.jpg has the name of several xml files"
    listing = voc.read(tmp_path, masks=False)
    assert sorted(map(str, listing.problems)) == [f"Annotations/{camera}/1.xml: {what}" for camera in ("cam1", "cam2")]
    assert listing.splits == {"all": []}
    picture(tmp_path / "JPEGImages" / "cam1" / "1.jpg")
    (tmp_path / "JPEGImages" / "1.jpg").unlink()
    listing = voc.read(tmp_path, masks=False)
    assert [str(p) for p in listing.problems] == [f"Annotations/cam2/1.xml: {what.replace('/1', '/cam1/1')}"]


def test_xml_files_beside_images_in_another_case(tmp_path: Path) -> None:
    label(tmp_path / "img_1.xml", item())
    label(tmp_path / "img_2.xml", item(), head="<filename>img_2.jpg</filename>")
    images = [picture(tmp_path / "IMG_1.JPG"), picture(tmp_path / "img_2.jpg", 1)]
    picture(tmp_path / "IMG_2.jpg", 2)  # beside one of its own name
    assert voc.recognise(tmp_path, "object_detection")
    listing = voc.read(tmp_path, masks=False)
    assert [row.image for row in listing.splits["all"]] == images and not listing.problems


def test_lists_may_split_a_folder_that_is_named_for_a_split(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / "train" / f"{name}.jpg")
        label(tmp_path / "Annotations" / f"{name}.xml", item())
    for split, name in (("train", "a"), ("val", "b")):
        (tmp_path / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (tmp_path / "ImageSets" / "Main" / f"{split}.txt").write_text(name)
    assert found(tmp_path) == {"train": ["train/a.jpg"], "val": ["train/b.jpg"]}


# xml


BOMB = '<!DOCTYPE a [<!ENTITY b "ha">]><a>&b;</a>'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (BOMB, ":1: a document type is not read"),
        (BOMB.encode("utf-16"), ":1: a document type is not read"),
        ("<a>\n<b></a>", ":2: broken XML"),
        ("", ":1: broken XML"),
        ("<a>&nope;</a>", ":1: broken XML"),
        ('<?xml version="1.0" encoding="nonsense"?><a/>', "broken XML"),
        ("<a>" * 40 + "</a>" * 40, ":1: tags are nested too deep"),
    ],
)
def test_xml_that_is_broken_or_dangerous_is_refused(tmp_path: Path, text: str | bytes, what: str) -> None:
    file = tmp_path / "a.xml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=what):
        xmltree.read(file)


def test_tags_by_name_and_path(tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_text("<a>\n<b><c> x </c></b>\n<b/></a>", encoding="utf-8")
    top = xmltree.read(file)
    assert [tag.line for tag in top.all("b")] == [2, 3]
    assert (top.get("b", "c"), top.get("b", "d"), top.get("e", "c")) == ("x", "", "")


def test_subfolders_of_images_and_labels_go_together(tmp_path: Path) -> None:
    for shade, place in enumerate(("day", "night")):
        picture(tmp_path / "JPEGImages" / place / "0.jpg", shade)
        label(tmp_path / "Annotations" / place / "0.xml", item(place), head="<filename>0.jpg</filename>")
    listing = voc.read(tmp_path, masks=False)
    found = {row.image.parent.name: listing.classes[row.target.labels[0]] for row in listing.splits["all"]}
    assert found == {"day": "day", "night": "night"} and not listing.problems
