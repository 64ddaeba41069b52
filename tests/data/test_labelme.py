"""LabelMe's json files: where people keep them, every kind of shape, and what is wrong with them."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visrun.data import recognise, records
from visrun.data.outlines import drawn
from visrun.data.readers import coco, labelme
from visrun.errors import DataError

SIZE = (40, 30)
TRIANGLE = [[4, 5], [14, 5], [9, 25]]
CORNERS = [[14, 25], [4, 5]]
QUAD = [[10, 5], [20, 10], [15, 20], [5, 15]]


def picture(path: Path, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size).save(path)
    return path


def shape(label: Any = "cat", points: Any = TRIANGLE, kind: Any = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def content(*shapes: Any, **more: Any) -> dict[str, Any]:
    sides = {"imageWidth": SIZE[0], "imageHeight": SIZE[1]}
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": [*shapes],
        "imagePath": "x.jpg",
        "imageData": None,
        **sides,
        **more,
    }


def write(path: Path, what: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(what if isinstance(what, bytes) else json.dumps(what).encode())
    return path


def found(root: Path) -> dict[str, list[tuple[str, int]]]:
    splits = labelme.read(root).splits
    return {
        s: [(row.image.relative_to(root).as_posix(), len(row.target)) for row in rows] for s, rows in splits.items()
    }


def one(root: Path, *shapes: Any, **more: Any) -> Any:
    """The marks of one image, or what is wrong with it."""
    picture(root / "a.jpg")
    write(root / "a.json", content(*shapes, **more))
    listing = labelme.read(root)
    return listing.splits["all"][0].target if listing.splits["all"] else [str(problem) for problem in listing.problems]


PLACES = [
    ("a.jpg", "a.json", "all"),
    ("images/a.png", "images/a.json", "all"),
    ("images/a.png", "labels/a.json", "all"),
    ("images/sub/a.png", "Annotations/sub/a.json", "all"),
    ("images/a.png", "json/a.JSON", "all"),
    ("images/a.png", "a.json", "all"),
    ("a.jpg", "annotations/a.json", "all"),
    ("photos/a.jpg", "annotations/a.json", "all"),
    ("photos/x.jpg", "annotations/a.json", "all"),  # by its imagePath
    ("train/a.jpg", "train/a.json", "train"),
    ("valid/images/a.jpg", "valid/images/a.json", "val"),
    ("valid/images/a.jpg", "valid/labels/a.json", "val"),
    ("images/validation/a.jpg", "images/validation/a.json", "val"),
    ("images/test/a.jpg", "labels/test/a.json", "test"),
    ("train2017/a.jpg", "annotations/train2017/a.json", "train"),
]


@pytest.mark.parametrize(("image", "file", "split"), PLACES)
def test_jsons_and_images_are_found_where_people_keep_them(tmp_path: Path, image: str, file: str, split: str) -> None:
    picture(tmp_path / image)
    write(tmp_path / file, content(shape()))
    assert recognise.fitting(tmp_path, "object_detection") == ["labelme"]
    assert found(tmp_path) == {split: [(image, 1)]}
    assert labelme.read(tmp_path).warnings == ()


def test_a_json_of_coco_is_none_of_labelme_nor_the_reverse(tmp_path: Path) -> None:
    for root, what in (("coco", {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": []}), ("mine", content())):
        picture(tmp_path / root / "a.jpg")
        write(tmp_path / root / "a.json", what)
    assert (coco.recognise(tmp_path / "coco"), labelme.recognise(tmp_path / "coco")) == (True, False)
    assert (coco.recognise(tmp_path / "mine"), labelme.recognise(tmp_path / "mine")) == (False, True)


def test_the_image_of_its_own_name_goes_before_the_one_that_a_json_names(tmp_path: Path) -> None:
    for name in ("a.jpg", "x.jpg"):
        picture(tmp_path / name)
    write(tmp_path / "a.json", content(shape()))
    assert found(tmp_path) == {"all": [("a.jpg", 1), ("x.jpg", 0)]}


def test_of_two_images_of_one_name_the_json_names_its_own(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png"):
        picture(tmp_path / name)
    write(tmp_path / "a.json", content(shape(), imagePath="C:\\photos\\a.png"))
    assert found(tmp_path) == {"all": [("a.png", 1)]}
    assert labelme.read(tmp_path).warnings == ("1 image without a json that names it is left out, such as a.jpg",)
    write(tmp_path / "a.json", content(shape()))
    assert found(tmp_path) == {"all": [("a.jpg", 1), ("a.png", 1)]}


def test_a_json_of_two_different_pictures_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    Image.new("L", SIZE, 255).save(tmp_path / "a.png")
    write(tmp_path / "a.json", content(shape()))
    listing = labelme.read(tmp_path)
    what = "a.json is also that of {}, another picture: rename or remove one"
    assert [str(p) for p in listing.problems] == [f"a.jpg: {what.format('a.png')}", f"a.png: {what.format('a.jpg')}"]
    assert listing.splits == {"all": []}


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "/{root}/secret.jpg", "..\\secret.jpg", "..", "", None, 3, "a\n\0.jpg"]
)
def test_no_image_is_read_from_outside_the_root(tmp_path: Path, name: Any) -> None:
    picture(tmp_path / "secret.jpg")
    root = tmp_path / "set"
    picture(root / "b.jpg")
    write(root / "b.json", content(shape()))
    path = name.format(root=tmp_path) if isinstance(name, str) else name
    write(root / "a.json", content(shape(), imagePath=path))
    with pytest.raises(DataError) as caught:
        records.read(root, task="object_detection")
    assert str(caught.value).splitlines()[1:-1] == ["  a.json: a.jpg: no such file"]


def test_two_jsons_cannot_have_one_image(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "x.jpg")
    for name in ("a", "b"):
        write(tmp_path / "labels" / f"{name}.json", content(shape()))
    what = "no image of its own: images/x.jpg has the name of several jsons"
    assert list(map(str, labelme.read(tmp_path).problems)) == [f"labels/{name}.json: {what}" for name in ("a", "b")]


def test_images_without_a_json_show_nothing_and_are_counted(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "masks/a"):
        picture(tmp_path / f"{name}.jpg")
    write(tmp_path / "a.json", content(shape()))
    write(tmp_path / "settings.json", {"theme": "dark"})
    assert found(tmp_path) == {"all": [("a.jpg", 1), ("b.jpg", 0), ("c.jpg", 0)]}
    assert labelme.read(tmp_path).warnings == (
        "2 images without a json are taken to show nothing, such as b.jpg",
        "1 image without a json in their folder is left out, such as masks/a.jpg",
        "1 foreign json without an image is left out, such as settings.json",
    )


def test_a_split_without_any_json_is_refused_but_for_test_images(tmp_path: Path) -> None:
    for split in ("train", "test"):
        picture(tmp_path / split / "a.jpg")
    write(tmp_path / "train" / "a.json", content(shape()))
    assert found(tmp_path) == {"train": [("train/a.jpg", 1)]}
    assert labelme.read(tmp_path).warnings == ("test/: test images without labels are left out",)
    picture(tmp_path / "val" / "a.jpg")
    with pytest.raises(DataError, match="images of val without labels: add their jsons"):
        labelme.read(tmp_path)


def test_classes_are_sorted_across_splits(tmp_path: Path) -> None:
    for split, name in (("train", "class_10"), ("val", "class_2")):
        picture(tmp_path / split / "a.jpg")
        write(tmp_path / split / "a.json", content(shape(name), shape(7)))
    listing = labelme.read(tmp_path)
    assert listing.classes == ("7", "class_2", "class_10")
    assert [row.target.labels.tolist() for rows in listing.splits.values() for row in rows] == [[2, 0], [1, 0]]


def png(mask: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_rectangles_are_boxes_whatever_their_corners(tmp_path: Path) -> None:
    every = [[4, 5], [14, 5], [14, 25], [4, 25]]
    marks = one(tmp_path, *(shape(points=p, kind="rectangle") for p in (CORNERS, CORNERS[::-1], every)))
    assert marks.boxes.tolist() == [[4, 5, 14, 25]] * 3
    assert (marks.quads, marks.outlines, marks.size) == (None, None, SIZE)


def test_a_shape_without_a_type_is_a_polygon(tmp_path: Path) -> None:
    marks = one(tmp_path, {"label": "cat", "points": TRIANGLE})
    assert marks.boxes.tolist() == [[4, 5, 14, 25]]
    assert marks.outlines[0][0].tolist() == TRIANGLE


def test_a_circle_reaches_as_far_as_its_radius(tmp_path: Path) -> None:
    marks = one(tmp_path, shape(points=[[20, 15], [23, 11]], kind="circle"))
    assert np.allclose(marks.boxes, [[15, 10, 25, 20]])
    area = drawn(marks.outlines[0], (30, 40)).sum()
    assert abs(area - np.pi * 25) < 4


def test_a_mask_lies_in_its_frame_and_ends_with_the_image(tmp_path: Path) -> None:
    mask = np.zeros((6, 5), bool)
    mask[1:4, 0:4] = mask[5, 4] = True
    marks = one(tmp_path, shape(points=[[37, 8], [41, 13]], kind="mask", mask=png(mask)))
    truth = np.zeros((30, 40), bool)
    truth[9:12, 37:40] = True
    assert (drawn(marks.outlines[0], (30, 40)) == truth).all()
    assert marks.boxes.tolist() == [[37, 9, 40, 12]]


@pytest.mark.parametrize("kind", ["oriented_rectangle", "rotation"])
def test_turned_rectangles_are_turned_boxes_unless_others_have_outlines(tmp_path: Path, kind: str) -> None:
    turned, upright = shape(points=QUAD, kind=kind), shape(points=CORNERS, kind="rectangle")
    marks = one(tmp_path, turned, upright)
    assert marks.quads.tolist() == [QUAD, [[4, 5], [14, 5], [14, 25], [4, 25]]]
    assert (marks.boxes[0].tolist(), marks.outlines) == ([5, 5, 20, 20], None)
    marks = one(tmp_path, turned, upright, shape())
    assert [None if outline is None else outline[0].tolist() for outline in marks.outlines] == [QUAD, None, TRIANGLE]
    assert marks.quads is None


def test_lines_and_points_are_no_objects(tmp_path: Path) -> None:
    kinds = ["point", "line", "linestrip", "point", "points"]
    assert len(one(tmp_path, shape(), *(shape(kind=kind) for kind in kinds))) == 1
    assert labelme.read(tmp_path).warnings == (
        "5 shapes that are no object are left out (2 point, 1 line, 1 linestrip, 1 points)",
    )


def test_labels_that_labelme_gives_no_class_are_none(tmp_path: Path) -> None:
    assert len(one(tmp_path, shape(), shape("__ignore__"), shape("_background_"))) == 1
    listing = labelme.read(tmp_path)
    assert listing.classes == ("cat",)
    told = "2 shapes that are no object are left out (1 __ignore__, 1 _background_)"
    assert listing.warnings == (told,)


@pytest.mark.parametrize("name", ["line", "point", "points", "linestrip"])
def test_a_class_may_be_called_as_a_type_of_shape(tmp_path: Path, name: str) -> None:
    assert len(one(tmp_path, shape(name), shape())) == 2
    assert labelme.read(tmp_path).classes == tuple(sorted(["cat", name]))


def grouped(points: Any, kind: str = "polygon", label: str = "cat", group: Any = 0, **more: Any) -> dict[str, Any]:
    return shape(label, points, kind, group_id=group, **more)


def test_shapes_of_a_label_and_a_group_are_one_object(tmp_path: Path) -> None:
    other = [[20, 5], [30, 5], [25, 25]]
    marks = one(
        tmp_path, grouped(TRIANGLE), shape(), grouped(other), grouped(other, label="dog"), grouped(other, group=1)
    )
    assert marks.boxes.tolist() == [[4, 5, 30, 25], [4, 5, 14, 25], [20, 5, 30, 25], [20, 5, 30, 25]]
    assert [part.tolist() for part in marks.outlines[0]] == [TRIANGLE, other]
    assert marks.spots.tolist() == [1, 2, 4, 5]


def test_parts_of_different_kinds_are_one_object(tmp_path: Path) -> None:
    mask = grouped([[20, 5], [22, 8]], "mask", mask=png(np.ones((4, 3))))
    marks = one(tmp_path, grouped([[4, 5], [8, 5], [8, 9], [4, 9]]), mask)
    assert drawn(marks.outlines[0], (30, 40)).sum() == 4 * 4 + 4 * 3
    assert marks.boxes.tolist() == [[4, 5, 23, 9]]
    marks = one(tmp_path, grouped(TRIANGLE), grouped([[20, 5], [22, 8]], "rectangle"))
    assert (marks.boxes.tolist(), marks.outlines) == ([[4, 5, 22, 25]], None)
    marks = one(tmp_path, grouped(QUAD, "rotation"), grouped(QUAD, "rotation"))
    assert len(marks.outlines[0]) == 2


def test_difficult_shapes_are_ignored_and_make_their_group_so(tmp_path: Path) -> None:
    marks = one(
        tmp_path,
        shape(difficult=True),
        shape(points=QUAD, difficult=False),
        shape(points=QUAD, label="dog", difficult=None),
        grouped(TRIANGLE),
        grouped(QUAD, difficult=1),
    )
    assert marks.ignored.tolist() == [True, False, False, True]


WRONG = [
    (shape(label=None), "label None is no name of a class"),
    (shape(label=" "), "label ' ' is no name of a class"),
    (shape(label=["cat"]), "label ['cat'] is no name of a class"),
    (shape(label="\ud800"), "label '\\ud800' is no name of a class"),
    (shape(points=None), "points None are no list of [x, y]"),
    (shape(points="1,2"), "points '1,2' are no list of [x, y]"),
    (shape(points=[]), "points [] are no list of [x, y]"),
    (shape(points=[["1", "2"]]), "points [['1', '2']] are no list of [x, y]"),
    (shape(points=[[1, 2, 3]]), "points [[1, 2, 3]] are no list of [x, y]"),
    (shape(points=[[True, 2]]), "points [[True, 2]] are no list of [x, y]"),
    (shape(points=[[10**400, 2]]), "a coordinate is no finite number"),
    (shape(kind="rectangle"), "a rectangle of 3 points: it has 2 or 4"),
    (shape(kind="circle"), "a circle of 3 points: it has 2"),
    (shape(kind="rotation"), "a rotation of 3 points: it has 4"),
    (shape(kind=["polygon"]), "shape_type ['polygon'] is none of polygon, rectangle, circle, mask"),
    (shape(kind="cuboid"), "shape_type 'cuboid' is none of polygon, rectangle, circle, mask"),
    (shape(group_id=[1]), "group_id [1] is no number"),
    (shape(difficult="perhaps"), "difficult 'perhaps' is neither true nor false"),
    (shape(points=CORNERS, kind="mask"), "its mask is no PNG in base64"),
    (shape(points=CORNERS, kind="mask", mask=7), "its mask is no PNG in base64"),
    (shape(points=CORNERS, kind="mask", mask="iVBORw0KGgo="), "its mask is no PNG in base64"),
    (shape(points=CORNERS, kind="mask", mask=png(np.ones((4, 3)))), "a mask of 3x4 pixels in a frame of 11x21"),
    (shape(points=[[1, 2], [np.nan, 3]], kind="mask", mask=png(np.ones((4, 3)))), "a coordinate is no finite number"),
    ("cat", "is no object of label and points"),
    (None, "is no object of label and points"),
]


@pytest.mark.parametrize(("item", "what"), WRONG)
def test_a_shape_that_cannot_be_read_is_named(tmp_path: Path, item: Any, what: str) -> None:
    (line,) = one(tmp_path, shape(), item)
    assert line.startswith(f"a.json: shape 2: {what}")
    assert line.isprintable()


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ([[4, 5], [4, 1e9], [9, 9]], "a coordinate is far outside"),
        ([[4, 5], [4, np.inf], [9, 9]], "a coordinate is far"),
    ],
)
def test_a_part_that_cannot_be_drawn_is_named(tmp_path: Path, part: Any, what: str) -> None:
    mask = grouped([[20, 5], [22, 8]], "mask", mask=png(np.ones((4, 3))))
    (line,) = one(tmp_path, grouped(part), mask)
    assert line.startswith(f"a.json: shape 1: {what}")


def test_a_mask_needs_the_size_of_its_image(tmp_path: Path) -> None:
    item = shape(points=[[20, 5], [22, 8]], kind="mask", mask=png(np.ones((4, 3))))
    assert one(tmp_path, item, imageWidth=None) == ["a.json: shape 1: a mask needs imageWidth and imageHeight"]
    assert "in an image of 9999999x30" in one(tmp_path, item, imageWidth=9999999)[0]


BROKEN = [
    (json.dumps(content(shape())).encode()[:60], r"b.json:1: broken JSON \(.*\)"),
    (b'{"shapes": [' + b"[" * 100_000, r"b.json: broken JSON \(RecursionError\)"),
    (json.dumps(content(shape("\xe9")), ensure_ascii=False).encode("latin-1"), r"b.json:1: not UTF-8 \(byte 0xe9 .*"),
    (b"", r"b.json:1: broken JSON \(.*\)"),
    (b"[]", "b.json: no LabelMe json: it has no shapes"),
    (b'{"images": []}', "b.json: no LabelMe json: it has no shapes"),
    (b'{"imagePath": "b.jpg"}', "b.json: it has no shapes"),
    (b'{"shapes": {"label": "cat"}}', "b.json: shapes is no list"),
    (b'{"shapes": null}', "b.json: shapes is no list"),
]


@pytest.mark.parametrize(("raw", "line"), BROKEN)
def test_a_json_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, raw: bytes, line: str) -> None:
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.jpg")
    write(tmp_path / "a.json", content(shape()))
    write(tmp_path / "b.json", raw)
    listing = labelme.read(tmp_path)
    assert [row.image.stem for row in listing.splits["all"]] == ["a"]
    (problem,) = map(str, listing.problems)
    assert re.fullmatch(line, problem)


FOUND = [
    ([shape(points=[[4, 5], [np.nan, 5], [9, 25]])], {}, "a.json: shape 1: a coordinate is no finite number"),
    ([shape(points=[[4, 5], [np.inf, 9]], kind="circle")], {}, "a.json: shape 1: a coordinate is no finite number"),
    (
        [shape(points=[[4, 5], [900, 5], [9, 25]])],
        {},
        "a.json: shape 1: coordinates from 4 to 900 in an image of 40x30",
    ),
    ([shape(points=TRIANGLE[:2])], {}, "a.json: shape 1: an outline of fewer than 3 points"),
    ([shape(points=[[4, 5], [4, 25]], kind="rectangle")], {}, "a.json: shape 1: an object of no size (0x20 pixels)"),
    ([shape(points=[[50, 5], [60, 9]], kind="rectangle")], {}, "a.json: shape 1: wholly outside its image"),
    ([shape()], {"imageWidth": 30, "imageHeight": 40}, "a.json: labels for 30x40 pixels, the image has 40x30"),
]


@pytest.mark.parametrize(("shapes", "more", "what"), FOUND)
def test_every_object_is_checked(tmp_path: Path, shapes: list[Any], more: dict[str, Any], what: str) -> None:
    one(tmp_path, *shapes, **more)
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="object_detection")
    (line,) = str(caught.value).splitlines()[1:-1]
    assert line.startswith(f"  {what}")


@pytest.mark.parametrize("sides", [{}, {"imageWidth": "wide", "imageHeight": [3]}, {"imageWidth": 0}])
def test_an_unknown_size_is_the_images_own(tmp_path: Path, sides: dict[str, Any]) -> None:
    marks = one(tmp_path, shape(), **(sides or {"imageWidth": None, "imageHeight": None}))
    assert (len(marks), marks.size) == (1, None)
