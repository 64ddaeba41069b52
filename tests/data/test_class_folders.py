"""Class folders as downloads have them: splits under other names, a folder too many, masks among the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from visrun.data import records
from visrun.data.listing import Listing
from visrun.data.readers import folder
from visrun.errors import DataError


def lay(root: Path, places: Sequence[str]) -> None:
    """An image, or an empty file of another suffix, at each place."""
    for place in places:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".jpg", ".png"):
            Image.new("L", (4, 3)).save(path)
        else:
            path.write_text("")


def shown(listing: Listing) -> dict[str, list[str]]:
    """Split -> where each record stands, with its class."""
    return {
        split: [f"{record.where} {listing.classes[record.target]}" for record in rows]
        for split, rows in listing.splits.items()
    }


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        ("seg_train/seg_train", "seg_test/seg_test", True),
        ("training_set", "test_set", True),
        ("train_data", "Test_Data", True),
        ("train/train", "test/test", False),
        ("archive/dataset/train", "archive/dataset/test", False),
    ],
)
def test_folders_that_speak_of_splits_are_splits(tmp_path: Path, train: str, test: str, told: bool) -> None:
    lay(tmp_path, [f"{train}/cat/1.jpg", f"{train}/dog/2.jpg", f"{test}/cat/3.jpg"])
    assert folder.recognise(tmp_path)
    listing = folder.read(tmp_path)
    assert shown(listing) == {
        "train": [f"{train}/cat/1.jpg cat", f"{train}/dog/2.jpg dog"],
        "test": [f"{test}/cat/3.jpg cat"],
    }
    assert listing.warnings == ((f"folders taken for splits: {test} (test), {train} (train)",) if told else ())


def test_what_speaks_of_no_split_beside_those_that_do_is_left_out(tmp_path: Path) -> None:
    lay(tmp_path, ["seg_train/a/1.jpg", "seg_test/a/2.jpg", "seg_pred/seg_pred/3.jpg"])
    listing = folder.read(tmp_path)
    assert shown(listing) == {"train": ["seg_train/a/1.jpg a"], "test": ["seg_test/a/2.jpg a"]}
    assert "folders that are no split are left out: seg_pred" in listing.warnings


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (["train/cat.1.jpg", "test1/2.jpg", "sampleSubmission.csv"], "test1, train"),
        (["cars_train/1.jpg", "cars_test/2.jpg", "cars_meta.mat", "LICENSE.txt"], "cars_test, cars_train"),
    ],
)
def test_splits_without_class_folders_are_refused_by_name(tmp_path: Path, places: list[str], names: str) -> None:
    lay(tmp_path, places)
    with pytest.raises(DataError, match=rf": {names} look like splits, not like classes: expected class folders"):
        records.read(tmp_path, task="classification")
    lay(tmp_path, [places[0].replace(".jpg", ".txt")])  # which another reader may understand
    assert not folder.recognise(tmp_path)


@pytest.mark.parametrize("names", [("train", "bus", "car"), ("test tube", "beaker"), ("bullet train", "tram")])
def test_a_class_may_speak_of_a_split(tmp_path: Path, names: tuple[str, ...]) -> None:
    lay(tmp_path, [f"{name}/{i}.jpg" for name in names for i in "12"])
    assert folder.recognise(tmp_path)
    listing = folder.read(tmp_path)
    assert set(listing.classes) == set(names)
    assert listing.warnings == ()


def test_datasets_in_folders_are_no_classes(tmp_path: Path) -> None:
    lay(tmp_path, [f"{name}/{split}/good/1.png" for name in ("bottle", "cable") for split in ("train", "test")])
    with pytest.raises(DataError, match=r"bottle/ has splits of its own, test, train: .* data\.root=\S+/bottle$"):
        records.read(tmp_path, task="classification")


def test_a_class_with_splits_of_its_own_is_said(tmp_path: Path) -> None:
    lay(tmp_path, ["pets/train/1.jpg", "pets/test/2.jpg", "wild/3.jpg", "zoo/test/4.jpg"])
    listing = folder.read(tmp_path)
    assert listing.classes == ("pets", "wild", "zoo")
    assert listing.warnings == ("pets/ has splits of its own, test, train, and counts as one class",)


@pytest.mark.parametrize(
    ("split", "line"),
    [
        ("test", "test/: test images without labels (class folders) are left out"),
        ("val", "val/: images without labels (class folders) are left out"),
    ],
)
def test_a_split_without_class_folders_is_left_out(tmp_path: Path, split: str, line: str) -> None:
    lay(tmp_path, ["train/cat/1.jpg", "train/dog/2.jpg", f"{split}/3.jpg"])
    listing = folder.read(tmp_path)
    assert shown(listing) == {"train": ["train/cat/1.jpg cat", "train/dog/2.jpg dog"]}
    assert listing.warnings == (line,)


def test_training_images_without_class_folders_are_refused(tmp_path: Path) -> None:
    lay(tmp_path, ["train/1.jpg", "val/cat/2.jpg", "val/dog/3.jpg"])
    with pytest.raises(DataError, match=r"train: images lie right in it, in no class folder: expected train/CLASS/"):
        folder.read(tmp_path)


def test_the_only_folder_of_a_zip_is_passed_through(tmp_path: Path) -> None:
    lay(tmp_path, ["flowers/flowers/rose/1.jpg", "flowers/flowers/tulip/2.jpg", "flowers/README.txt"])
    assert folder.recognise(tmp_path)
    listing = folder.read(tmp_path)
    assert shown(listing) == {"all": ["flowers/flowers/rose/1.jpg rose", "flowers/flowers/tulip/2.jpg tulip"]}
    assert listing.warnings == ("the folders in flowers/flowers/ are the classes",)


@pytest.mark.parametrize("beside", ["labels.json", "flowers.csv", "labels/1.txt", "cover.jpg", "flowers/rose/1.xml"])
def test_the_only_folder_is_a_class_where_labels_may_lie_beside(tmp_path: Path, beside: str) -> None:
    lay(tmp_path, ["flowers/rose/1.jpg", "flowers/tulip/2.jpg", beside])
    assert folder.read(tmp_path).classes == ("flowers",)
    assert folder.recognise(tmp_path) is (beside != "flowers.csv")


@pytest.mark.parametrize(
    ("mask", "kept"),
    [
        ("a/1_mask.png", False),
        ("a/1_MASK_2.png", False),
        ("a/1_masks.png", False),
        ("a/masks/1.png", False),
        ("a/masks_png/1.png", False),
        ("a/Ground Truth/deeper/1.png", False),
        ("a/lung masks/1.png", False),
        ("a/1_mask.jpg", True),  # a picture with a mask, as lossy files are none
        ("a/7_mask.png", True),
        ("a/masks/7.png", True),
    ],
)
def test_masks_are_no_images_of_a_class(tmp_path: Path, mask: str, kept: bool) -> None:
    lay(tmp_path, ["a/1.jpg", "a/2.jpg", "b/3.jpg", mask])
    listing = folder.read(tmp_path)
    assert (f"{mask} a" in shown(listing)["all"]) is kept
    assert sum(map(len, listing.splits.values())) == 3 + kept
    assert listing.warnings == (() if kept else (f"1 mask beside images is left out, such as {mask}",))


@pytest.mark.parametrize(("pairs", "more", "kept"), [(3, 0, False), (2, 0, True), (9, 1, False), (8, 2, True)])
def test_a_mask_beside_each_photograph_is_no_image_of_a_class(
    tmp_path: Path, pairs: int, more: int, kept: bool
) -> None:
    """As the magnetic tiles' are; single pictures may have one name by accident."""
    photographs = [f"a/{i}.jpg" for i in range(pairs + more)]
    lay(tmp_path, [*photographs, *(f"a/{i}.png" for i in range(pairs)), "b/1.jpg"])
    listing = folder.read(tmp_path)
    assert len(listing.splits["all"]) == pairs + more + 1 + pairs * kept
    assert listing.warnings == (() if kept else (f"{pairs} masks beside images are left out, such as a/0.png",))


def test_masks_of_objects_beside_images_are_no_images_of_a_class(tmp_path: Path) -> None:
    lay(tmp_path, [f"{name}/{place}.png" for name in "ab" for place in ("images/1", "masks/cell1", "masks/cell2")])
    assert shown(folder.read(tmp_path)) == {"all": ["a/images/1.png a", "b/images/1.png b"]}


@pytest.mark.parametrize(
    "places",
    [
        ["leftImg8bit/train/a/1.png", "gtFine/train/a/1.png"],
        ["Original/1.png", "Ground Truth/1.png"],
        ["street_images/1.jpg", "street_masks/1_mask.png"],
        ["default/1.png", "defaultannot/1.png"],
        ["img_dir/1.jpg", "ann_dir/1.png"],
        ["batch_1/1.jpg", "batch_2/2.jpg", "annotations.json"],
    ],
)
def test_images_and_their_labels_are_no_classes(tmp_path: Path, places: list[str]) -> None:
    lay(tmp_path, places)
    assert not folder.recognise(tmp_path)


def test_faces_with_masks_are_no_masks(tmp_path: Path) -> None:
    lay(tmp_path, [f"{who}/{what}/{i}.png" for who in "ab" for what in ("plain", "with_mask") for i in range(3)])
    listing = folder.read(tmp_path)
    assert (sum(map(len, listing.splits.values())), listing.warnings) == (12, ())


@pytest.mark.parametrize(
    "names",
    [("mask_images", "no_mask_images"), ("mask", "no_mask"), ("with_mask", "without_mask"), ("part_1", "part_2")],
)
def test_a_class_may_speak_of_masks_or_parts(tmp_path: Path, names: tuple[str, str]) -> None:
    lay(tmp_path, [f"{name}/1.png" for name in names])
    assert folder.recognise(tmp_path)
    assert folder.read(tmp_path).classes == names


@pytest.mark.parametrize("masks", ["ground_truth", "Mask_images"])
def test_a_folder_of_masks_beside_classes_is_left_out(tmp_path: Path, masks: str) -> None:
    lay(tmp_path, ["good/1.png", "bad/2.png", f"{masks}/bad/2.png"])
    listing = folder.read(tmp_path)
    assert shown(listing) == {"all": ["bad/2.png bad", "good/1.png good"]}
    assert listing.warnings == (f"folders of masks are no classes: {masks}",)


@pytest.mark.parametrize("split", ["", "stage1_train/", "train/"])
def test_a_folder_for_each_image_is_no_class(tmp_path: Path, split: str) -> None:
    lay(tmp_path, [f"{split}{i}/images/{i}.png" for i in range(5)])
    if split:
        lay(tmp_path, [f"{split.replace('train', 'test')}5/images/5.png"])
    folders = 6 if split else 5
    with pytest.raises(
        DataError, match=rf"{folders} of {folders} folders hold a single image, such as 0/: a class needs several"
    ):
        folder.read(tmp_path)


def test_a_test_split_alone_may_have_an_image_of_each_class(tmp_path: Path) -> None:
    lay(tmp_path, [f"test/{i}/{i}.png" for i in range(5)])
    assert len(folder.read(tmp_path).splits["test"]) == 5


@pytest.mark.parametrize("label", ["tag 1/0.json", "tag 1/0.xml", "tag 1/deep/2.txt", "tag 1/other.json"])
def test_files_named_as_the_image_beside_them_are_told(tmp_path: Path, label: str) -> None:
    lay(tmp_path, ["tag 1/0.png", "tag 1/1.png", "tag 1/deep/2.png", "tag 2/0.png", "tag 2/1.png"])
    (tmp_path / label).write_text("0 0.5 0.5 0.2 0.2\n")
    told = (
        f"1 file named as an image beside is not read, such as {label}: if they label objects, put images and "
        "labels into one folder, or into train/ and val/"
    )
    assert folder.read(tmp_path).warnings == ((told,) if "other" not in label else ())
