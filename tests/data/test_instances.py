"""Pictures of objects' numbers become outlines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from visrun.data import images, records
from visrun.data.outlines import drawn
from visrun.data.readers import instances, masks
from visrun.errors import DataError

IDS = np.array([[0, 0, 7, 7], [0, 300, 7, 0], [300, 300, 0, 0]])


def save(path: Path, ids: np.ndarray, mode: str = "I;16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(ids.astype(np.uint16 if mode == "I;16" else np.uint8))
    if mode == "P":
        picture.putpalette([value for i in range(256) for value in (i, 255 - i, i)])
    picture.save(path)
    return path


def photo(path: Path, shade: int = 0, size: tuple[int, int] = (4, 3)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, shade).save(path)
    return path


PLACES = [
    ("PNGImages/a.png", "PedMasks/a_mask.png", "all"),
    ("images/a.jpg", "instances/a.png", "all"),
    ("train/images/a.jpg", "train/instances/a.png", "train"),
    ("images/val/a.jpg", "instance_maps/val/a.png", "val"),
    ("images/train/a.jpg", "instances/train/a_instanceIds.png", "train"),
]


@pytest.mark.parametrize(("image", "ids", "split"), PLACES)
def test_images_and_maps_are_found_where_people_keep_them(tmp_path: Path, image: str, ids: str, split: str) -> None:
    path = photo(tmp_path / image)
    save(tmp_path / ids, IDS)
    assert instances.recognise(tmp_path)
    listing = instances.read(tmp_path)
    assert {name: [row.image for row in rows] for name, rows in listing.splits.items()} == {split: [path]}
    assert listing.classes == ("object",)


def test_masks_hold_numbers_only_where_that_is_said(tmp_path: Path) -> None:
    for i in range(4):
        photo(tmp_path / "images" / f"{i}.png", i)
        save(tmp_path / "masks" / f"{i}.png", IDS % 200)
    assert not instances.recognise(tmp_path)
    assert masks.recognise(tmp_path)
    dataset = records.read(tmp_path, task="instance_segmentation", reader="instances")
    assert dataset.counts == {"train": (6,), "val": (2,)}


def test_objects_by_hand(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.png")
    save(tmp_path / "instances" / "a.png", IDS)
    (row,) = instances.read(tmp_path).splits["all"]
    marks = row.target
    assert marks.spots.tolist() == [7, 300]
    assert marks.boxes.tolist() == [[2, 0, 4, 2], [0, 1, 2, 3]]
    assert marks.labels.tolist() == [0, 0]
    for number, outline in zip((7, 300), marks.outlines, strict=True):
        assert np.array_equal(drawn(outline, (3, 4)), number == IDS)
    assert (marks.spot(1), marks.size) == ("instances/a.png: object 300", (4, 3))


@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4)))
def test_every_number_becomes_the_runs_of_its_pixels(ids: np.ndarray) -> None:
    numbers, outlines = instances.split_ids(ids)
    assert numbers.tolist() == sorted(set(ids.ravel().tolist()) - {0})
    for number, outline in zip(numbers, outlines, strict=True):
        assert sum(outline.counts) == ids.size
        assert np.array_equal(drawn(outline, ids.shape), ids == number)


@pytest.mark.parametrize(("mode", "border"), [("L", [7, 255]), ("P", [7])])
def test_255_is_an_object_but_in_palette_images_the_border(tmp_path: Path, mode: str, border: list[int]) -> None:
    photo(tmp_path / "images" / "a.png")
    save(tmp_path / "instances" / "a.png", np.where(IDS == 300, 255, IDS), mode)
    assert instances.read(tmp_path).splits["all"][0].target.spots.tolist() == border


def test_colours_are_objects_too(tmp_path: Path) -> None:
    colours = np.zeros((3, 4, 3), np.uint8)
    colours[0, 2:] = (1, 2, 3)
    colours[2, :2] = (255, 0, 0)
    path = tmp_path / "a.png"
    Image.fromarray(colours).save(path)
    ids = images.load_ids(path)
    assert sorted(set(ids.ravel().tolist())) == [0, 255, 1 + 2 * 256 + 3 * 65536]


def test_several_classes_are_thousands(tmp_path: Path) -> None:
    for i in range(3):
        photo(tmp_path / "images" / f"{i}.png", i)
    save(tmp_path / "instances" / "0.png", np.array([[1, 2, 1001, 0]] * 3))
    save(tmp_path / "instances" / "1.png", np.array([[0, 2005, 0, 0]] * 3))
    save(tmp_path / "instances" / "2.png", np.zeros((3, 4)))
    (tmp_path / "classes.txt").write_text("cell\ndebris\n")
    rows = instances.read(tmp_path).splits["all"]
    assert [row.target.labels.tolist() for row in rows] == [[0, 0, 1], [2], []]
    with pytest.raises(DataError, match=r"instances/1\.png: object 2005: class 2 is out of range: there are 2 classes"):
        records.read(tmp_path, task="object_detection")


@pytest.mark.parametrize(
    ("names", "numbers", "classes", "labels"),
    [
        ("background\ncell\ndebris\n", [1001, 1002, 2001], ("cell", "debris"), [0, 0, 1]),
        ("background\ncell\n", [1001, 1002], ("cell",), [0, 0]),
        ("background\ncell\n", [1, 2], ("cell",), [0, 0]),
        ("background\n", [1, 2], ("object",), [0, 0]),
        ("cell\nbackground\ndebris\n", [1, 2, 2001], ("cell", "debris"), [0, 0, 1]),
    ],
)
def test_a_line_for_the_background_is_a_number_and_no_object(
    tmp_path: Path, names: str, numbers: list[int], classes: tuple[str, ...], labels: list[int]
) -> None:
    photo(tmp_path / "images" / "a.png", size=(len(numbers), 3))
    save(tmp_path / "instances" / "a.png", np.array([numbers] * 3))
    (tmp_path / "classes.txt").write_text(names)
    listing = instances.read(tmp_path)
    assert (listing.classes, listing.splits["all"][0].target.labels.tolist()) == (classes, labels)


def test_a_map_that_is_missing_broken_or_of_another_size_is_named(tmp_path: Path) -> None:
    for i in range(4):
        photo(tmp_path / "images" / f"{i}.png", i)
    save(tmp_path / "instances" / "0.png", IDS)
    save(tmp_path / "instances" / "1.png", IDS.T)
    (tmp_path / "instances" / "2.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="instance_segmentation")
    assert str(caught.value).splitlines()[1:-1] == [
        "  images/3.png: no map 3.png in instances/",
        "  instances/2.png: empty file (0 bytes)",
        "  images/1.png: labels for 3x4 pixels, the image has 4x3 (turned by its EXIF orientation?)",
    ]


def test_of_two_maps_of_one_image_nobody_can_say_which_is_meant(tmp_path: Path) -> None:
    for i in range(3):
        photo(tmp_path / "images" / f"{i}.png", i)
    for name in ("0.png", "0_mask.png", "1.png", "1.tif", "2_leftImg8bit.png"):
        save(tmp_path / "instances" / name, IDS)
    listing = instances.read(tmp_path)
    assert [str(problem) for problem in listing.problems] == [
        "images/0.png: several maps: instances/0.png, instances/0_mask.png",
        "images/1.png: several maps: instances/1.png, instances/1.tif",
        "images/2.png: no map 2.png in instances/",
    ]


def test_a_map_lacks_the_mark_that_its_images_name_carries(tmp_path: Path) -> None:
    path = photo(tmp_path / "images" / "a_leftImg8bit.png")
    save(tmp_path / "instances" / "a_instanceIds.png", IDS)
    assert [row.image for row in instances.read(tmp_path).splits["all"]] == [path]
