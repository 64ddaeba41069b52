"""Pascal VOC's folders and labelmap.txt, in the forms that VOC, CVAT and others write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import contents, images, labelmap, records
from visrun.data.listing import Listing
from visrun.data.look import Look
from visrun.data.readers import folder, masks, voc
from visrun.errors import DataError

LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128, 64,128:kerb,lane:\n\nsky:0,0,255::\n"


def save(path: Path, image: Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def palette(*ids: int) -> Image.Image:
    """A palette mask of two equal rows: id 0, then ``ids``."""
    image = Image.fromarray(np.array([[0, *ids]] * 2, np.uint8))
    image.putpalette([value for i in range(256) for value in (255 - i, i, i)])
    return image


def build(home: Path, names: str = "abcdef", ids: tuple[int, ...] = (1, 255), **lists: str) -> Path:
    """A VOC folder of images and palette masks with the given lists of one-letter names."""
    for name in names:
        save(home / "JPEGImages" / f"{name}.jpg", Image.new("RGB", (1 + len(ids), 2)))
        save(home / "SegmentationClass" / f"{name}.png", palette(*ids))
    for name, members in lists.items():
        file = home / "ImageSets" / "Segmentation" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{member}\r\n" for member in members))
    return home


def found(listing: Listing) -> dict[str, str]:
    return {split: "".join(row.image.stem for row in rows) for split, rows in listing.splits.items()}


@pytest.mark.parametrize("inside", ["", "VOC2012", "VOCdevkit/VOC2012"])
def test_the_set_is_found_at_every_depth(tmp_path: Path, inside: str) -> None:
    build(tmp_path / inside, train="ab", val="c", test="d", trainval="abc")
    assert voc.recognise(tmp_path, "segmentation")
    assert not folder.recognise(tmp_path) or inside
    listing = voc.read(tmp_path)
    assert found(listing) == {"train": "ab", "val": "c", "test": "d"}
    row = listing.splits["train"][1]
    assert row.where == "ImageSets/Segmentation/train.txt:2"
    assert row.target == tmp_path / inside / "SegmentationClass" / "b.png"
    assert listing.warnings == ("2 masks that no list of ImageSets/Segmentation names are left out",)


@pytest.mark.parametrize(
    ("lists", "splits"),
    [
        ({}, {"all": "abcdef"}),
        ({"trainval": "abc"}, {"all": "abc"}),
        ({"default": "fed"}, {"all": "fed"}),
        ({"trainval": "abc", "test": "d"}, {"test": "d", "train": "abc"}),
        ({"train": "ab", "trainval": "abc"}, {"train": "ab"}),
        ({"trainval": "abcd", "val": "d"}, {"val": "d", "train": "abcd"}),
        ({"Train": "ab", "Validation": "c", "Test": "d"}, {"train": "ab", "val": "c", "test": "d"}),
        ({"train": "ab", "val": "c", "valid": "de"}, {"train": "ab", "val": "c"}),
        ({"train2007": "ab", "train2012": "c", "trainval": "d"}, {"train": "abc"}),
    ],
)
def test_lists_that_are_missing(tmp_path: Path, lists: dict[str, str], splits: dict[str, str]) -> None:
    assert found(voc.read(build(tmp_path, **lists))) == splits


def test_names_of_lists_may_be_written_large(tmp_path: Path) -> None:
    build(tmp_path, train="ab", val="c")
    lists = tmp_path / "ImageSets" / "Segmentation"
    for file in list(lists.iterdir()):
        file.rename(lists / file.name.upper())
    assert found(voc.read(tmp_path)) == {"train": "ab", "val": "c"}


def test_a_missing_val_is_held_out_by_seed(tmp_path: Path) -> None:
    dataset = records.read(build(tmp_path, train="abcde", test="f"), task="segmentation", val_fraction=0.4)
    assert dataset.layout == "voc"
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 3, "val": 2, "test": 1}


def test_files_that_a_list_names_and_nobody_has(tmp_path: Path) -> None:
    build(tmp_path, train="abx", val="cy")
    (tmp_path / "SegmentationClass" / "b.png").unlink()
    save(tmp_path / "JPEGImages" / "y.png", Image.new("RGB", (3, 2)))
    assert [str(problem) for problem in voc.read(tmp_path).problems] == [
        "ImageSets/Segmentation/train.txt:2: no SegmentationClass/b",
        "ImageSets/Segmentation/train.txt:3: no JPEGImages/x and no SegmentationClass/x",
        "ImageSets/Segmentation/val.txt:2: no SegmentationClass/y",
    ]
    with pytest.raises(DataError, match=r"(?s)3 of 5 records.*train\.txt:3: no JPEGImages/x"):
        records.read(tmp_path, task="segmentation")


def test_several_years_are_for_the_user_to_choose(tmp_path: Path) -> None:
    for year in (2007, 2012):
        build(tmp_path / "VOCdevkit" / f"VOC{year}")
    with pytest.raises(DataError, match=r"several sets, choose one: data\.root=.*VOC2007 or data\.root=.*VOC2012"):
        voc.read(tmp_path)


# class names


def classes(root: Path, **options: object) -> tuple[str, ...]:
    return records.read(root, task="segmentation", **options).classes  # type: ignore[arg-type]


def test_vocs_names_stand_where_the_ids_fit(tmp_path: Path) -> None:
    assert len(voc.VOC_CLASSES) == 21 and voc.VOC_CLASSES[15] == "person"
    assert classes(build(tmp_path / "fits", ids=(15, 20))) == voc.VOC_CLASSES
    assert classes(build(tmp_path / "more", ids=(2, 21)))[-1] == "class_21"
    assert classes(tmp_path / "fits", classes=["person", "background"]) == ("person", "background")


def test_a_finished_models_names_stand_for_ids_that_nobody_names(tmp_path: Path) -> None:
    build(tmp_path, ids=(1, 2))
    own = ["ground", "road", "sky"]
    assert classes(tmp_path, classes=own, training=False) == tuple(own)
    dataset = records.read(tmp_path, task="segmentation", classes=["bicycle", "background"], training=False)
    assert dataset.mask_ids == (2, 0)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("labelmap.txt", LABELMAP),
        ("LABELMAP.TXT", LABELMAP),
        ("classes.txt", "background\nroad\nsky\n"),
        ("Classes.TXT", "background\nroad\nsky\n"),
        ("class_names.txt", "background\nroad\nsky\n"),
    ],
)
def test_names_come_from_the_files_beside_the_folders(tmp_path: Path, file: str, text: str) -> None:
    build(tmp_path, ids=(1, 2))
    (tmp_path / file).write_text(text)
    assert classes(tmp_path) == ("background", "road", "sky")
    (tmp_path / file).rename(tmp_path / "SegmentationClass" / file)  # not their place
    assert classes(tmp_path) == voc.VOC_CLASSES


# colour masks


def colours(*rows: tuple[int, int, int]) -> Image.Image:
    return Image.fromarray(np.array([rows, rows], np.uint8))


def test_colours_become_ids(tmp_path: Path) -> None:
    file = save(
        tmp_path / "SegmentationClass" / "a.png", colours((0, 0, 255), (128, 64, 128), (0, 0, 0), (224, 224, 192))
    )
    with pytest.raises(DataError, match=r"colour mask \(mode RGB\): needs one channel .* or a labelmap\.txt"):
        images.load_mask(file)
    (tmp_path / "labelmap.txt").write_text(LABELMAP)
    assert images.load_mask(file).tolist() == [[2, 1, 0, 255]] * 2
    assert images.load_mask(file, ids=(2, 1)).tolist() == [[0, 1, 255, 255]] * 2
    (tmp_path / "labelmap.txt").write_text("sky:0,0,255\nroad:128,64,128\nrest:0,0,0\nedge:224,224,192\n")
    assert images.load_mask(file).tolist() == [[0, 1, 2, 3]] * 2


def test_colours_mean_the_same_in_every_split(tmp_path: Path) -> None:
    lines = LABELMAP.splitlines(keepends=True)
    for split, text in (("train", LABELMAP), ("val", "".join([lines[0], *reversed(lines[1:])]))):
        for i in range(2):
            save(tmp_path / split / "images" / f"{split}{i}.png", Image.new("RGB", (2, 2), (i, 0, 0)))
            save(tmp_path / split / "masks" / f"{split}{i}.png", colours((128, 64, 128), (0, 0, 255)))
        (tmp_path / split / "labelmap.txt").write_text(text)
    with pytest.raises(
        DataError, match=r"train/labelmap\.txt and .*val/labelmap\.txt: the classes differ: give all the"
    ):
        records.read(tmp_path, task="segmentation")
    (tmp_path / "val" / "labelmap.txt").write_text(LABELMAP)
    assert records.read(tmp_path, task="segmentation").classes[1:] == ("road", "sky")


def test_a_colour_without_a_class_is_named(tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text(LABELMAP)
    file = save(tmp_path / "masks" / "a.png", colours((0, 0, 0), (1, 2, 3)))
    with pytest.raises(DataError, match=r"a\.png: colour 1,2,3 is not in labelmap\.txt: name its class there"):
        images.load_mask(file)


@pytest.mark.parametrize("line", ["road", "road:1,2", "road:300,0,0::", ":1,2,3", "road:red::"])
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "labelmap.txt"
    file.write_text(f"# comment\nbackground:0,0,0\n{line}\n")
    with pytest.raises(DataError, match=r"labelmap\.txt:3: expected name:r,g,b:parts:actions"):
        labelmap.read(file)


@pytest.mark.parametrize("file", ["labelmap.txt", "ImageSets/Segmentation/train.txt"])
def test_lists_and_labelmaps_that_are_not_utf_8_are_named(tmp_path: Path, file: str) -> None:
    build(tmp_path, train="a")
    (tmp_path / file).write_bytes(b"a\n\xe9:1,1,1::\n" if "train" in file else b"a:0,0,0::\n\xe9:1,1,1::\n")
    with pytest.raises(DataError, match=rf"{file}:2: not UTF-8 \(byte 0xe9 at \d+\): save it as UTF-8$"):
        records.read(tmp_path, task="segmentation")


def test_a_class_that_a_labelmap_names_twice_is_refused(tmp_path: Path) -> None:
    build(tmp_path)
    (tmp_path / "labelmap.txt").write_text("a:0,0,0::\nb:1,1,1::\na:2,2,2::\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"labelmap\.txt: class a stands twice"):
        records.read(tmp_path, task="segmentation")


def test_colours_may_be_left_out_for_index_masks(tmp_path: Path) -> None:
    file = tmp_path / "labelmap.txt"
    file.write_text("background:\nroad:::\n")
    assert labelmap.read(file).names == ("background", "road")


@pytest.mark.parametrize("file", ["labelmap.txt", "LABELMAP.TXT"])
def test_images_and_masks_take_colours_too(tmp_path: Path, file: str) -> None:
    for name in "abcde":
        save(tmp_path / "images" / f"{name}.png", Image.new("RGB", (2, 2)))
        save(tmp_path / "masks" / f"{name}.png", colours((0, 0, 0), (128, 64, 128)))
    (tmp_path / file).write_text(LABELMAP)
    assert masks.recognise(tmp_path)
    dataset = records.read(tmp_path, task="segmentation")
    assert dataset.classes == ("background", "road", "sky")
    assert dataset.counts["train"] == (8, 8, 0)


def test_the_cache_knows_that_a_labelmap_changed(tmp_path: Path) -> None:
    image = save(tmp_path / "images" / "a.png", Image.new("RGB", (2, 2)))
    mask = save(tmp_path / "masks" / "a.png", colours((0, 0, 0), (128, 64, 128)))
    (tmp_path / "labelmap.txt").write_text(LABELMAP)
    look = Look(image_size=(2, 2), fit="crop", mean=(0.0,) * 3, std=(1.0,) * 3)
    source = contents.describe([image], look, masks=[mask], mask_ids=(0, 1, 2))
    before = contents.key(source)
    assert contents.key(source) == before
    (tmp_path / "labelmap.txt").write_text(LABELMAP + "more:9,9,9\n")
    assert contents.key(source) != before


# objects as pictures


def objects(home: Path, ids: list[int], classes: list[int], name: str = "a") -> None:
    save(home / "JPEGImages" / f"{name}.jpg", Image.new("RGB", (1 + len(ids), 2)))
    save(home / "SegmentationClass" / f"{name}.png", palette(*classes))
    save(home / "SegmentationObject" / f"{name}.png", palette(*ids))


def test_objects_have_the_class_of_most_of_their_pixels(tmp_path: Path) -> None:
    objects(tmp_path, [1, 1, 1, 255, 2, 2], [15, 15, 8, 255, 8, 255])
    assert voc.recognise(tmp_path, "instance_segmentation")
    listing = voc.read(tmp_path, masks=False, boxes_serve=False)
    (row,) = listing.splits["all"]
    assert [listing.classes[label] for label in row.target.labels] == ["person", "cat"]
    assert row.target.boxes.tolist() == [[1, 0, 4, 2], [5, 0, 7, 2]]
    assert (row.target.spot(1), row.target.size) == ("SegmentationClass/a.png: object 2", (7, 2))
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "annotations.xml").write_text("<annotations/>")  # another tool's
    assert [len(row.target) for row in voc.read(tmp_path, masks=False).splits["all"]] == [2]


@pytest.mark.parametrize(
    "task", ["object_detection", "oriented_object_detection", "instance_segmentation", "regression", "segmentation"]
)
def test_where_there_are_only_pictures_they_serve_all_tasks_of_objects(tmp_path: Path, task: str) -> None:
    for shade, name in enumerate("abcdef"):
        objects(tmp_path, [1, 1, 2][: 2 + shade % 2], [15, 15, 8][: 2 + shade % 2], name)
        save(tmp_path / "JPEGImages" / f"{name}.jpg", Image.new("L", (3 + shade % 2, 2), 40 * shade))
    dataset = records.read(tmp_path, task=task, training=False)
    assert (dataset.layout, len(dataset.splits["test"])) == ("voc", 6)
    if task == "object_detection":
        boxes = [row.target.boxes.tolist() for row in dataset.splits["test"][:2]]
        assert boxes == [[[1, 0, 3, 2]], [[1, 0, 3, 2], [3, 0, 4, 2]]]
        box = "<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>"
        xml = f"<annotation><filename>a.jpg</filename><object><name>cat</name>{box}</object></annotation>"
        (tmp_path / "Annotations").mkdir()
        (tmp_path / "Annotations" / "a.xml").write_text(xml)
        (one,) = records.read(tmp_path, task=task, training=False).splits["test"]  # xml files go first
        assert one.target.boxes.tolist() == [[0, 0, 2, 2]]


@pytest.mark.parametrize("reader", ["auto", "voc"])
@pytest.mark.parametrize("task", ["oriented_object_detection", "instance_segmentation"])
def test_boxes_are_too_little_for_tasks_of_outlines(tmp_path: Path, task: str, reader: str) -> None:
    save(tmp_path / "JPEGImages" / "a.jpg", Image.new("L", (3, 2)))
    box = "<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>"
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(
        f"<annotation><filename>a.jpg</filename><object><name>cat</name>{box}</object></annotation>"
    )
    with pytest.raises(DataError, match=f"data=voc: boxes without corners or outlines, too little for task={task}"):
        records.read(tmp_path, task=task, reader=reader)


def test_objects_without_a_map_or_a_class_are_named(tmp_path: Path) -> None:
    for shade, name in enumerate("abcdef"):
        objects(tmp_path, [1, 2], [1, 255] if name == "b" else [1, 2], name)
        save(tmp_path / "JPEGImages" / f"{name}.jpg", Image.new("L", (3, 2), 40 * shade))
    (tmp_path / "SegmentationObject" / "a.png").unlink()
    (tmp_path / "classes.txt").write_text("thing\nsky\nother\n")
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="instance_segmentation")
    lines = str(caught.value).splitlines()[1:-1]
    assert lines[0].endswith("SegmentationObject/a.png: no such file")
    assert "SegmentationClass/b.png: object 2: class -1 is out of range: there are 3 classes" in lines[1]
    assert not voc.recognise(build(tmp_path / "masks"), "instance_segmentation")
