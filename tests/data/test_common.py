"""Folders of images and those of their labels, as every reader pairs them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import recognise
from visrun.data.listing import Listing
from visrun.data.marks import Marks
from visrun.data.readers.common import size_in
from visrun.errors import DataError

# The folder of labels, what a label file holds (None: a picture of ids), the task.
LAYOUTS = {
    "yolo": ("labels", "0 .5 .5 .25 .5", "object_detection"),
    "dota": ("labelTxt", "10 10 30 10 30 20 10 20 plane 0", "object_detection"),
    "instances": ("instances", None, "instance_segmentation"),
    "masks": ("masks", None, "segmentation"),
    "labelme": ("labels", '{"shapes": [{"label": "cat", "points": [[1, 2], [9, 2], [5, 8]]}]}', "object_detection"),
}
NESTINGS = ["{kind}/{split}", "{split}/{kind}"]


def photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (40, 30)).save(path)


def label(path: Path, text: str | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        Image.fromarray(np.eye(30, 40, dtype=np.uint8)).save(path.with_suffix(".png"))
    else:
        suffix = ".json" if text.startswith("{") else ".txt"
        path.with_suffix(suffix).write_text(text, encoding="utf-8")


def build(root: Path, layout: str, nesting: str, pairs: dict[str, str]) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """The names of the images of each split and the warnings, once every folder of images has one image.

    Args:
        root: The dataset's folder.
        layout: A key of ``LAYOUTS``.
        nesting: Where the folders lie.
        pairs: Each folder of images with that of its labels; "" where it has none.
    """
    kind, text, task = LAYOUTS[layout]
    for images, labels in pairs.items():
        photo(root / nesting.format(kind="images", split=images) / f"of_{images}.png")
        if labels:
            label(root / nesting.format(kind=kind, split=labels) / f"of_{images}", text)
    listing = recognise.read(root, layout, task).listing
    assert listing.problems == ()
    return {split: [row.image.stem for row in rows] for split, rows in listing.splits.items()}, listing.warnings


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_folders_of_a_split_are_read(tmp_path: Path, layout: str, nesting: str) -> None:
    pairs = {name: name for name in ("train2014", "train2017", "training", "val")}
    found, warnings = build(tmp_path, layout, nesting, pairs)
    assert found == {"train": ["of_train2014", "of_train2017", "of_training"], "val": ["of_val"]}
    assert warnings == ()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_may_lie_in_the_only_other_folder_of_the_split(tmp_path: Path, layout: str) -> None:
    pairs = {"train2014": "train", "train2017": "train", "valid": "val"}
    found, warnings = build(tmp_path, layout, "{kind}/{split}", pairs)
    assert found == {"train": ["of_train2014", "of_train2017"], "val": ["of_valid"]}
    assert warnings == ()


def one_pair(root: Path, layout: str, image: str, other: str) -> Listing:
    """The listing of an image with its label and one other, whose label file is named ``other``."""
    kind, text, task = LAYOUTS[layout]
    for name in ("a", image):
        photo(root / "images" / f"{name}.jpg")
    for name in ("a.txt", other):
        label(root / kind / name, text)
    return recognise.read(root, layout, task).listing


@pytest.mark.parametrize("layout", ["yolo", "dota", "masks"])
def test_labels_without_an_image_are_said(tmp_path: Path, layout: str) -> None:
    listing = one_pair(tmp_path, layout, "img 3", "img_3.txt")
    kind, text, _ = LAYOUTS[layout]
    what, suffix = ("mask", "png") if text is None else ("label file", "txt")
    assert listing.warnings == (f"1 {what} without an image is left out, such as {kind}/img_3.{suffix}",)


@pytest.mark.parametrize("layout", ["yolo", "dota"])
def test_other_texts_among_labels_are_not_taken_for_some(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / LAYOUTS[layout][0]
    for name, text in (("README", "Labels of 2 pictures"), ("classes", "0 1 2 3"), ("empty", ""), ("old", "\xe9 \xe9")):
        label(folder / name, "")
        (folder / f"{name}.txt").write_bytes(text.encode("latin-1"))
    assert one_pair(tmp_path, layout, "b", "b.txt").warnings == ()


@pytest.mark.parametrize("layout", ["yolo", "dota"])
def test_the_suffix_of_a_label_file_may_be_written_large(tmp_path: Path, layout: str) -> None:
    kind, text, task = LAYOUTS[layout]
    photo(tmp_path / "images" / "a.JPG")
    (tmp_path / kind).mkdir()
    (tmp_path / kind / "a.TXT").write_text(str(text), encoding="utf-8")
    found = recognise.listing(tmp_path, task=task)
    assert (found.layout, [len(row.target) for row in found.listing.splits["all"]]) == (layout, [1])


@pytest.mark.parametrize("forms", [("NFD", "NFC"), ("NFC", "NFD")])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_agree_however_their_accents_are_stored(tmp_path: Path, layout: str, forms: tuple[str, str]) -> None:
    image, other = (unicodedata.normalize(form, "é") for form in forms)
    listing = one_pair(tmp_path, layout, image, f"{other}.txt")
    assert (len(listing.splits["all"]), listing.problems, listing.warnings) == (2, (), ())
    assert all(not isinstance(row.target, Marks) or len(row.target) for row in listing.splits["all"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_agree_in_upper_and_lower_case_where_nothing_else_may_be_meant(tmp_path: Path, layout: str) -> None:
    listing = one_pair(tmp_path, layout, "IMG_1", "img_1.txt")
    assert (len(listing.splits["all"]), listing.problems, listing.warnings) == (2, (), ())
    assert all(not isinstance(row.target, Marks) or len(row.target) for row in listing.splits["all"])


@pytest.mark.parametrize("others", [["Img_1"], ["img_1"]])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_label_is_taken_for_no_other_image_by_case(tmp_path: Path, layout: str, others: list[str]) -> None:
    for name in others:
        photo(tmp_path / "images" / f"{name}.jpg")
    listing = one_pair(tmp_path, layout, "IMG_1", "img_1.txt")
    there = [row for row in listing.splits["all"] if row.image.is_file()]
    marked = [row for row in there if not isinstance(row.target, Marks) or len(row.target)]
    assert [row.image.stem for row in marked] == (["a"] if others == ["Img_1"] else ["a", "img_1"])


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("bare", ["train2017", "val"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_without_labels_are_refused_with_their_folder(
    tmp_path: Path, layout: str, bare: str, nesting: str
) -> None:
    with pytest.raises(DataError) as caught:
        build(tmp_path, layout, nesting, {"train2014": "train2014", bare: ""})
    folder = tmp_path / nesting.format(kind="images", split=bare)
    wanted = nesting.format(kind=LAYOUTS[layout][0], split=bare)
    assert str(caught.value) == (
        f"{folder}: images of {bare.removesuffix('2017')} without labels: put them into {wanted}/, "
        f"or move the images out of {tmp_path}"
    )


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_test_images_without_labels_are_left_out(tmp_path: Path, layout: str, nesting: str) -> None:
    found, warnings = build(tmp_path, layout, nesting, {"train": "train", "val": "val", "test": ""})
    assert found == {"train": ["of_train"], "val": ["of_val"]}
    folder = nesting.format(kind="images", split="test")
    assert warnings == (f"{folder}/: test images without labels are left out",)


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_right_in_the_folder_of_a_split_do_not_go_unnoticed(tmp_path: Path, layout: str, nesting: str) -> None:
    like = " and ".join(f"{nesting.format(kind=kind, split='train')}/" for kind in ("images", LAYOUTS[layout][0]))
    photo(tmp_path / "test" / "x.png")
    _, warnings = build(tmp_path, layout, nesting, {"train": "train"})
    assert warnings == (f"test/: test images that lie right in it are left out; others: {like}",)
    photo(tmp_path / "val" / "x.png")
    with pytest.raises(DataError) as caught:
        build(tmp_path, layout, nesting, {"train": "train"})
    assert str(caught.value) == (
        f"{tmp_path / 'val'}: images lie right in it: arrange them as {like} are, or move them out of {tmp_path}"
    )


@pytest.mark.parametrize("side", [640, "640", "640.0", "0640", 640.0])
def test_a_side_of_an_image_in_whole_pixels(side: object) -> None:
    assert size_in(side, 480) == (640, 480)


@pytest.mark.parametrize("side", [None, True, "", "x", 0, -1, 0.5, "1.5", "0.0", [640], "1" * 10, "1_0", "1e3"])
def test_what_is_no_side_of_an_image(side: object) -> None:
    assert size_in(side, 480) is None and size_in(480, side) is None
