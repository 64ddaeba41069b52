"""CVAT's own xml: where people keep it, every kind of shape, subsets, and what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visrun.data import recognise, records
from visrun.data.outlines import drawn
from visrun.data.readers import cvat
from visrun.errors import DataError

SIZE = (40, 30)
BOX = '<box label="cat" xtl="4" ytl="5" xbr="14" ybr="25"/>'
POLYGON = '<polygon label="cat" points="4,5;14,5;9,25"/>'
LABELS = ("cat", "any"), ("dog", "rectangle"), ("joints", "skeleton"), ("sunny", "tag")


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", SIZE, shade).save(path)
    return path


def image(name: str, *shapes: str, more: str = f'width="{SIZE[0]}" height="{SIZE[1]}"') -> str:
    return "\n".join([f'<image id="0" name="{name}" {more}>', *shapes, "</image>"])


def write(path: Path, *images: str, owner: str = "task", told: str = "") -> Path:
    labels = "".join(f"<label><name>{name}</name><type>{kind}</type></label>" for name, kind in LABELS)
    part = "<label><name>knee</name><type>points</type><parent>joints</parent></label>"
    meta = f"<meta><{owner}>{told}<labels>{labels}{part}</labels></{owner}></meta>"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(['<?xml version="1.0"?><!-- <x> -->', f"<annotations>{meta}", *images, "</annotations>"]))
    return path


def one(root: Path, *shapes: str, **more: Any) -> Any:
    """The marks of one image, or what is wrong with it."""
    picture(root / "a.jpg")
    write(root / "annotations.xml", image("a.jpg", *shapes, **more))
    listing = cvat.read(root)
    return listing.splits["all"][0].target if listing.splits["all"] else [str(problem) for problem in listing.problems]


PLACES = [
    ("images/a.jpg", "annotations.xml", "all"),
    ("a.jpg", "annotations/annotations.xml", "all"),
    ("train/a.jpg", "train/annotations.xml", "train"),
    ("train/images/a.jpg", "train/annotations.xml", "train"),
    ("train/images/a.jpg", "train/Annotations/default.xml", "train"),
    ("images/train/a.jpg", "annotations/Train.XML", "train"),
]


@pytest.mark.parametrize(("place", "xml", "split"), PLACES)
@pytest.mark.parametrize("name", ["a.jpg", "far/away/a.jpg", "a"])
def test_xml_and_images_are_found_where_people_keep_them(
    tmp_path: Path, place: str, xml: str, split: str, name: str
) -> None:
    path = picture(tmp_path / place)
    file = write(tmp_path / xml, image(name, BOX))
    assert recognise.fitting(tmp_path, "object_detection")[-1:] == ["cvat"]
    listing = cvat.read(tmp_path)
    assert (listing.classes, listing.warnings, listing.problems) == (("cat", "dog"), (), ())
    (row,) = listing.splits[split]
    assert (row.image, row.where) == (path, f"{xml}:3")
    assert (row.target.spot(0), row.target.size) == (f"{xml}:4", SIZE)
    assert [row.image for row in cvat.read(file).splits["all"]] == [path]


def test_xml_of_other_kinds_is_not_recognised(tmp_path: Path) -> None:
    write(tmp_path / "video.xml", '<track id="0" label="cat">\n<box frame="0"/></track>')
    (tmp_path / "voc.xml").write_text("<annotation><object/></annotation>")
    (tmp_path / "linked.xml").symlink_to(tmp_path / "gone.xml")
    assert not cvat.recognise(tmp_path)
    for i in range(cvat.MOST):  # as many as images
        write(tmp_path / f"{i}.xml", image("a.jpg"))
    assert not cvat.recognise(tmp_path)
    with pytest.raises(DataError, match=r"no xml of CVAT's images: expected annotations\.xml"):
        cvat.read(tmp_path)


@pytest.mark.parametrize(("owner", "told"), [("task", "<subset>{}</subset>"), ("project", ""), ("job", "")])
def test_subsets_are_splits(tmp_path: Path, owner: str, told: str) -> None:
    subsets = ("Train", "Train") if told else ("Train", "Validation")
    for subset in subsets:
        picture(tmp_path / "images" / subset / "a.jpg")
    rows = [image("a.jpg", BOX, more="" if told else f'subset="{subset}"') for subset in subsets]
    rows += [] if told else [image("b.jpg", BOX, more='subset="night"'), image("c.jpg", BOX)]
    write(tmp_path / "annotations.xml", *rows, owner=owner, told=told.format("Train"))
    listing = cvat.read(tmp_path)
    found = {split: [row.image.parent.name for row in several] for split, several in listing.splits.items()}
    assert found == ({"train": ["Train"] * 2} if told else {"train": ["Train"], "val": ["Validation"]})
    left = ["1 image of the subset 'night', which is no split, is left out", "1 image of no subset is left out"]
    assert [*listing.warnings] == ([] if told else left)


def test_subsets_of_other_names_are_split_later(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "default" / "a.jpg")
    write(tmp_path / "annotations.xml", image("a.jpg", BOX, more='subset="default"'))
    assert list(cvat.read(tmp_path).splits) == ["all"]


def test_images_of_a_split_that_no_file_lists(tmp_path: Path) -> None:
    for split in ("train", "test"):
        picture(tmp_path / split / "a.jpg")
    write(tmp_path / "train" / "annotations.xml", image("a.jpg", BOX))
    assert cvat.read(tmp_path).warnings == ("test/: test images without labels are left out",)
    picture(tmp_path / "val" / "a.jpg")
    with pytest.raises(DataError, match="images of val without labels: export their annotations"):
        cvat.read(tmp_path)


def test_a_name_that_may_mean_several_images_says_so(tmp_path: Path) -> None:
    for place in ("x/a.jpg", "y/a.jpg", "y/b.jpg"):
        picture(tmp_path / place)
    write(tmp_path / "annotations.xml", image("a.jpg"), image("b.jpg"))
    listing = cvat.read(tmp_path)
    assert [row.image for row in listing.splits["all"]] == [tmp_path / "y" / "b.jpg"]
    told = "several images have this name: x/a.jpg, y/a.jpg: write the folder in front"
    assert [problem.what for problem in listing.problems] == [f"a.jpg: {told}"]


def test_a_file_named_for_no_split_beside_those_of_splits_is_said(tmp_path: Path) -> None:
    for stem in ("train", "val", "annotations"):
        picture(tmp_path / f"{stem}.jpg")
        write(tmp_path / f"{stem}.xml", image(f"{stem}.jpg", BOX))
    listing = cvat.read(tmp_path)
    assert [*listing.splits] == ["train", "val"]
    assert listing.warnings == ("1 xml file without a split in their name is left out, such as annotations.xml",)


# what is labelled


def test_tags_alone_are_labels_of_whole_images(tmp_path: Path) -> None:
    tagged = [image(f"{name}.jpg", '<tag label="sunny"/>') for name in "ab"]
    write(tmp_path / "annotations.xml", *tagged)
    with pytest.raises(DataError, match=r": 2 tags, which label whole images, and no object: export it as ImageNet"):
        cvat.read(tmp_path)


def test_boxes_and_what_is_no_object(tmp_path: Path) -> None:
    others = '<points label="cat" points="1,2"/>', '<polyline label="cat" points="1,2;3,4"/>', '<tag label="sunny"/>'
    marks = one(tmp_path, BOX, *others, BOX.replace("cat", "dog"))
    assert (marks.boxes.tolist(), marks.labels.tolist()) == ([[4, 5, 14, 25]] * 2, [0, 1])
    assert (marks.quads, marks.outlines) == (None, None)
    told = "3 shapes that are no object are left out (1 points, 1 polyline, 1 tag)"
    assert cvat.read(tmp_path).warnings == (told,)


def test_a_box_is_turned_clockwise_around_its_middle(tmp_path: Path) -> None:
    marks = one(tmp_path, BOX.replace("/>", ' rotation="90"/>'), BOX)
    assert np.allclose(marks.quads[0], [[19, 10], [19, 20], [-1, 20], [-1, 10]])
    assert np.allclose(marks.boxes, [[-1, 10, 19, 20], [4, 5, 14, 25]])
    turned = one(tmp_path, BOX.replace("/>", ' rotation="30"/>')).quads[0]
    assert np.allclose(turned[0], [9 - 5 * np.cos(np.pi / 6) + 5, 15 - 2.5 - 10 * np.cos(np.pi / 6)])


def test_polygons_ellipses_and_masks_are_outlines(tmp_path: Path) -> None:
    marks = one(
        tmp_path,
        POLYGON,
        '<ellipse label="cat" cx="20" cy="15" rx="8" ry="4" rotation="90"/>',
        '<mask label="dog" rle="1, 2, 2, 1" left="38" top="3" width="3" height="2"/>',
        BOX.replace("/>", ' rotation="90"/>'),
    )
    assert marks.outlines[0][0].tolist() == [[4, 5], [14, 5], [9, 25]]
    assert np.allclose(marks.boxes[1], [16, 7, 24, 23])
    assert np.argwhere(drawn(marks.outlines[2], SIZE[::-1])).tolist() == [[3, 39]]  # the rest lies beyond the image
    assert np.allclose(marks.outlines[3][0][0], [19, 10])


def test_outlines_of_one_group_and_label_are_one_object(tmp_path: Path) -> None:
    grouped = POLYGON.replace("/>", ' group_id="1"/>')
    mask = '<mask label="cat" rle="0, 4" left="30" top="3" width="2" height="2" group_id="2"/>'
    shapes = [grouped, mask, BOX.replace("/>", ' group_id="1"/>'), grouped.replace('"4,5', '"20,5')]
    marks = one(tmp_path, *shapes, grouped.replace("cat", "dog"), POLYGON.replace("/>", ' group_id="2"/>'))
    parts = [len(outline) if isinstance(outline, tuple) else outline for outline in marks.outlines]
    assert (parts[0], parts[2:]) == (2, [None, 1])
    assert marks.boxes[0].tolist() == [4, 5, 20, 25]
    assert drawn(marks.outlines[1], SIZE[::-1])[3:5, 30:32].all()


def test_shapes_without_a_group_are_objects_of_their_own_though_one_line_holds_them_all(tmp_path: Path) -> None:
    marks = one(tmp_path, BOX + POLYGON + POLYGON.replace('"4,5', '"20,5'))
    assert [outline if outline is None else len(outline) for outline in marks.outlines] == [None, 1, 1]


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        ('<box label="cat" xtl="4" ytl="5" xbr="14"/>', "box without the numbers xtl, ytl, xbr, ybr"),
        (BOX.replace("14", "x"), "box without the numbers xtl, ytl, xbr, ybr"),
        (BOX.replace("14", "1_4"), "box without the numbers xtl, ytl, xbr, ybr"),
        ('<polygon label="cat" points="1,2;3,4;5,1_6"/>', "points '1,2;3,4;5,1_6' are not x,y;x,y"),
        (BOX.replace("/>", ' rotation="x"/>'), "box without the number rotation"),
        (BOX.replace("/>", ' rotation="inf"/>'), "rotation is no finite number"),
        (BOX.replace("cat", " "), "box without a label"),
        (BOX.replace("cat", "emu"), "class 'emu' is none of 2 classes (cat, dog)"),
        ('<polygon label="cat" points="1,2;3"/>', "points '1,2;3' are not x,y;x,y"),
        ('<polygon label="cat"/>', "points '' are not x,y;x,y"),
        ('<ellipse label="cat" cx="3" cy="4" rx="2"/>', "ellipse without the numbers cx, cy, rx, ry"),
        ('<cuboid label="cat" xtl1="1"/>', "cuboid is not read: box, polygon, ellipse and mask are"),
        (
            '<mask label="cat" rle="1, 2" left="1" top="1"/>',
            "mask without the whole numbers rle, left, top, width, hei",
        ),
        ('<mask label="cat" rle="1, 2" left="1" top="1" width="2" height="2"/>', "runs over 3 pixels, but 2 x 2 are 4"),
        (
            '<mask label="cat" rle="1" left="1" top="1" width="99999" height="99999"/>',
            "a mask of 99999x99999 pixels in an image of 40x30",
        ),
    ],
)
def test_a_shape_that_cannot_be_read_is_named_by_its_line(tmp_path: Path, shape: str, what: str) -> None:
    (told,) = one(tmp_path, BOX, shape)
    assert told.startswith(f"annotations.xml:5: {what}")


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        (BOX.replace("14", "nan"), "a coordinate is no finite number"),
        ('<ellipse label="cat" cx="inf" cy="4" rx="2" ry="3"/>', "a coordinate is no finite number"),
        (BOX.replace("14", "4"), "an object of no size (0x20 pixels)"),
        (BOX.replace('"4"', '"44"').replace("14", "54"), "wholly outside its image of 40x30 pixels"),
        (BOX.replace("14", "1400"), "coordinates from 4 to 1400 in an image of 40x30 pixels: another unit?"),
        ('<polygon label="cat" points="1,2;30,20"/>', "an outline of fewer than 3 points"),
    ],
)
def test_every_object_is_checked(tmp_path: Path, shape: str, what: str) -> None:
    names = [f"{i}.jpg" for i in range(6)]
    for i, name in enumerate(names):
        picture(tmp_path / name, i)
    write(tmp_path / "annotations.xml", *(image(name, BOX, shape if name == "3.jpg" else BOX) for name in names))
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="object_detection")
    assert caught.value.offenders == (f"annotations.xml:17: {what}",)


def test_images_without_a_name_or_of_another_size(tmp_path: Path) -> None:
    for i in range(4):
        picture(tmp_path / f"{i}.jpg", i)
    rows = [image(f"{i}.jpg", BOX) for i in range(3)]
    write(tmp_path / "annotations.xml", *rows, image("", BOX), image("3.jpg", BOX, more='width="30" height="40"'))
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="object_detection")
    assert caught.value.offenders == (
        "annotations.xml:12: an image without a name",
        "annotations.xml:15: labels for 30x40 pixels, the image has 40x30 (turned by its EXIF orientation?)",
    )


def test_a_class_of_an_object_that_cannot_be_put_together_is_still_one(tmp_path: Path) -> None:
    mask = '<mask label="dog" rle="0, 4" left="30" top="3" width="2" height="2" group_id="1"/>'
    far = '<polygon label="dog" points="4,5;4,1000000000;9,9" group_id="1"/>'
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.jpg")
    file = write(tmp_path / "annotations.xml", image("a.jpg", BOX), image("b.jpg", mask, far))
    file.write_text(re.sub("<meta>.*</meta>", "", file.read_text()))  # which lists the classes
    listing = cvat.read(tmp_path)
    assert listing.classes == ("cat", "dog")
    assert [problem.what for problem in listing.problems] == ["a coordinate is far outside, or no finite number"]
