"""Masks are found where tools and published sets put them, and taken for an image's by its name alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import recognise, records
from visrun.data.listing import Record
from visrun.data.readers import masks
from visrun.errors import DataError

IDS = np.array([[0, 1, 2, 1]] * 3, np.uint8)


def photo(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 3), shade).save(path)
    return path


def mask(path: Path, colours: list[tuple[int, int, int]] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(IDS if colours is None else np.array(colours, np.uint8)[IDS]).save(path)
    return path


PLACES = [
    ("img_dir/train/a.png", "ann_dir/train/a.png", "train"),  # mmsegmentation
    ("Original/a.tif", "Ground Truth/a.tif", "all"),  # CVC-ClinicDB
    ("train/image/a.png", "train/label/a.png", "train"),
    ("images/a.jpg", "gt/a_L.png", "all"),
    ("images/a_mask.jpg", "masks/a_mask.png", "all"),
    ("images/a.jpg", "masks/a_Segmentation.png", "all"),
    ("train/a.png", "trainannot/a.png", "train"),  # CamVid, as SegNet has it
    ("val/a.png", "val_labels/a_L.png", "val"),
    ("default/a.png", "defaultannot/a.png", "all"),  # CVAT
    ("train_images/deep/a.png", "train_masks/deep/a.png", "train"),
    ("test/a.jpg", "test_masks/a_mask.gif", "test"),
    ("images/a.jpg", "images_gt/a.png", "all"),
    ("ISIC2018_Task1-2_Training_Input/a.jpg", "ISIC2018_Task1_Training_GroundTruth/a_segmentation.png", "train"),
    ("valid/a_jpg.rf.1f.jpg", "valid/a_jpg.rf.1f_mask.png", "val"),  # Roboflow
    ("images/a.jpg", "annotations/trimaps/a.png", "all"),  # Oxford-IIIT Pet
    ("images/deep/a.jpg", "masks/deep/a.png", "all"),
    ("images/SceneA/a.jpg", "masks/sceneA/a.png", "all"),
    ("train/a.png", "train/Label/a_label.png", "train"),  # DAGM
    ("a.jpg", "masks/a.png", "all"),
    ("train/a_sat.jpg", "train/a_mask.png", "train"),  # DeepGlobe
    ("benign/a (1).png", "benign/a (1)_mask.png", "all"),  # BUSI
    ("a.png", "a_GT.png", "all"),
]


@pytest.mark.parametrize(("image", "target", "split"), PLACES)
def test_masks_are_found_where_they_are_put(tmp_path: Path, image: str, target: str, split: str) -> None:
    photo(tmp_path / image)
    mask(tmp_path / target)
    assert masks.recognise(tmp_path)
    listing = masks.read(tmp_path)
    assert listing.splits == {split: [Record(tmp_path / image, tmp_path / target, image)]}
    assert (listing.classes, listing.problems, listing.warnings) == ((), (), ())


@pytest.mark.parametrize(
    "names",
    [
        "train/a.png train_masks/b.png",
        "train/a.png train_labels/a.txt",
        "cats/a.png dogs_masks/a.png",
        "a.png a_mask.jpg",  # faces in masks, as photographs
        "left/a.png left/b_mask.png",
        "a.png b.png c.png a_mask.png",
        "left/a_l.png left/a.png",
        "train/good/a.png ground_truth/bent/a_mask.png",
    ],
)
def test_other_folders_are_no_masks(tmp_path: Path, names: str) -> None:
    for name in names.split():
        if name.endswith(".txt"):
            (tmp_path / "train_labels").mkdir()
            (tmp_path / name).write_text("0 0.5 0.5 1 1")
        else:
            photo(tmp_path / name)
    assert not masks.recognise(tmp_path)


def test_images_of_one_name_share_a_mask_and_a_whole_name_goes_before_a_mark(tmp_path: Path) -> None:
    images = [photo(tmp_path / "images" / name) for name in ("a.jpg", "a.png", "b.png", "b_mask.png")]
    targets = [mask(tmp_path / "masks" / name) for name in ("a.png", "b.png", "b_mask.png")]
    listing = masks.read(tmp_path)
    found = [(row.image, row.target) for row in listing.splits["all"]]
    assert found == list(zip(images, [targets[0], *targets], strict=True))


@pytest.mark.parametrize(
    ("used", "bare", "line"),
    [
        ("train/a.png train_masks/a.png", "test", "folders whose images have no masks are left out: test"),
        ("train/a.png train_masks/a.png", "train_hq", "folders whose images have no masks are left out: train_hq"),
        ("train/a.png train_masks/a.png", "val", "images of val without masks"),
        ("val_images/a.png val_masks/a.png", "train_images", "images of train without masks"),
        ("train/a.png train/masks/a.png", "val", "images of val without masks"),
        ("train/a.png train/a_mask.png", "valid", "folders whose images have no masks are left out: valid"),
        ("val/a.png val/a_mask.png", "train", "images of train without masks"),
    ],
)
def test_folders_without_masks_are_told(tmp_path: Path, used: str, bare: str, line: str) -> None:
    image, target = used.split()
    photo(tmp_path / image)
    mask(tmp_path / target)
    photo(tmp_path / bare / "b.png")
    if line.startswith("folders"):
        assert masks.read(tmp_path).warnings == (line,)
    else:
        with pytest.raises(DataError, match=f"/{bare}: {line}: add them, or move the images out of"):
            masks.read(tmp_path)


@pytest.mark.parametrize("odd", ["A_0_x", "zz", "m_0"])
def test_one_mask_that_is_named_otherwise_spoils_no_names(tmp_path: Path, odd: str) -> None:
    for i in range(12):
        photo(tmp_path / "images" / f"{i}.png", 20 * i)
        mask(tmp_path / "masks" / (f"m_{i}_y.png" if i else f"{odd}.png"))
    found = {row.image.stem: row.target.stem for row in masks.read(tmp_path).splits["all"]}
    assert found == {str(i): f"m_{i}_y" for i in range(1, 12)}


@pytest.mark.parametrize(("before", "behind"), [("", "_P"), ("mask_of_", ""), ("seg-", ".1")])
@pytest.mark.parametrize("names", [("1", "10", "101", "2"), ("deep/a", "deep/b", "c")])
def test_what_stands_around_all_names_of_masks_is_no_part_of_them(
    tmp_path: Path, before: str, behind: str, names: tuple[str, ...]
) -> None:
    """As CamVid's 0001_P.png is."""
    for name in names:
        photo(tmp_path / "images" / f"{name}.jpg")
        place, _, stem = name.rpartition("/")
        mask(tmp_path / "labels" / place / f"{before}{stem}{behind}.png")
    listing = masks.read(tmp_path)
    found = {row.image.stem: row.target.stem for row in listing.splits["all"]}
    stems = [name.rpartition("/")[2] for name in names]
    assert found == {stem: f"{before}{stem}{behind}" for stem in stems}
    assert (listing.problems, listing.warnings) == ((), ())
    photo(tmp_path / "images" / "other.jpg")
    assert [str(problem) for problem in masks.read(tmp_path).problems] == [
        "images/other.jpg: no mask other.png in labels/"
    ]
    mask(tmp_path / "labels" / "of_another.png")
    assert len(masks.read(tmp_path).problems) == len(names) + 1  # too few to be sure


def test_images_in_folders_beside_that_of_masks_are_said(tmp_path: Path) -> None:
    photo(tmp_path / "train" / "a.jpg")
    mask(tmp_path / "train" / "masks" / "a.png")
    photo(tmp_path / "train" / "more" / "b.jpg")
    assert masks.read(tmp_path).warnings == ("1 image without a mask is left out, such as train/more/b.jpg",)


def test_several_masks_of_an_image_are_no_images(tmp_path: Path) -> None:
    """As BUSI's are of pictures with two tumours."""
    photo(tmp_path / "benign" / "a.png")
    for name in ("a_mask.png", "a_mask_1.png"):
        mask(tmp_path / "benign" / name)
    told = "benign/a.png: several masks: benign/a_mask.png, benign/a_mask_1.png: save them as one"
    assert [str(problem) for problem in masks.read(tmp_path).problems] == [told]


@pytest.mark.parametrize("inner", [False, True])
def test_an_image_is_good_where_its_mask_marks_nothing_or_where_it_has_none(tmp_path: Path, inner: bool) -> None:
    """As in KolektorSDD2, and in DAGM, which has masks of defects alone."""
    for i, split in enumerate(("train", "train", "train", "test")):
        photo(tmp_path / split / f"{i}.png", 20 * i)
        home = tmp_path / split / "Label" if inner else tmp_path / split
        if not inner or i > 0:
            mask(home / f"{i}_label.png")
    blank = next(tmp_path.rglob("1_label.png"))
    Image.new("L", (4, 3)).save(blank)
    listing = recognise.read(tmp_path, "masks", "anomaly_detection").listing
    kinds = [(row.image.stem, row.target.kind, row.target.marked) for row in listing.splits["train"]]
    first = ("0", "good", False) if inner else ("0", "defect", True)
    assert kinds == [first, ("1", "good", False), ("2", "defect", True)]
    assert listing.classes == ("good", "defect")
    assert listing.warnings == (("1 image without a mask is taken to be good",) if inner else ())


def test_missing_double_and_left_over_masks_are_told(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        photo(tmp_path / "train" / name)
    for name in ("a_mask.png", "a_gt.png", "b_mask.png", "d_seg.png"):
        mask(tmp_path / "train" / name)
    assert [str(p) for p in masks.read(tmp_path).problems] == [
        "train/a.jpg: several masks: train/a_gt.png, train/a_mask.png: save them as one",
        "train/c.jpg: no mask c_mask.png in train/",
    ]
    for folder in ("train_masks", "trainannot"):
        mask(tmp_path / folder / "a.png")
    with pytest.raises(DataError, match="masks of train/ in train_masks, trainannot: move all but one out"):
        masks.read(tmp_path)


COLOURS = [(0, 0, 0), (64, 128, 64), (192, 0, 128)]
TOLD = {
    "class_dict.csv": "name,r,g,b\nvoid,0,0,0\nroad,64,128,64\nsky, 192, 0, 128\n",
    "Class_Dict.csv": 'Name, r, g, b\n"void",0,0,0\nroad,64,128,64\nsky,192,0,128\n',
    "class_dict.CSV": "name;r;g;b\nvoid;0;0;0\nroad; 64;128;64\nsky;192;0;128\n",
    "CLASS_DICT.csv": "name\tr\tg\tb\nvoid\t0\t0\t0\nroad\t64\t128\t64\nsky\t192\t0\t128\n",
    "label_colors.txt": "0 0 0\tvoid\n64 128 64\t\troad\n192 0 128 sky\n",
}


def images_and(root: Path, target: str, colours: list[tuple[int, int, int]] | None) -> None:
    for i in range(4):
        photo(root / "train" / f"{i}.jpg", i)
        mask(root / target.format(i), colours)


@pytest.mark.parametrize("file", TOLD)
def test_colours_have_the_names_that_a_table_gives(tmp_path: Path, file: str) -> None:
    images_and(tmp_path, "train_labels/{}_L.png", COLOURS)
    (tmp_path / file).write_text(TOLD[file])
    dataset = records.read(tmp_path, task="segmentation")
    assert (dataset.classes, dataset.mask_ids) == (("void", "road", "sky"), (0, 1, 2))
    assert dataset.counts == {"train": (9, 18, 9), "val": (3, 6, 3)}
    (tmp_path / file).write_text(TOLD[file].replace("128", "1280"))
    with pytest.raises(DataError, match=rf"{file}:[23]: expected (name,r,g,b|r g b name), found "):
        records.read(tmp_path, task="segmentation")


@pytest.mark.parametrize("file", TOLD)
def test_ids_have_no_names_of_colours(tmp_path: Path, file: str) -> None:
    images_and(tmp_path, "train_labels/{}.png", None)
    (tmp_path / file).write_text(TOLD[file])
    assert records.read(tmp_path, task="segmentation").classes == ("class_0", "class_1", "class_2")


def test_a_table_of_other_columns_names_no_colours(tmp_path: Path) -> None:
    images_and(tmp_path, "train_labels/{}.png", COLOURS)
    (tmp_path / "class_dict.csv").write_text("name,count\nvoid,3\n")
    with pytest.raises(
        DataError, match=r"colour mask.* a class_dict\.csv whose first line is name,r,g,b, or a labelmap"
    ):
        records.read(tmp_path, task="segmentation")


def test_roboflow_names_the_ids(tmp_path: Path) -> None:
    images_and(tmp_path, "train/{}_mask.png", None)
    file = tmp_path / "train" / "_classes.csv"
    file.write_text("Pixel Value, Class\n0, background\n1, cat\n2, big dog, or owl\n")
    assert records.read(tmp_path, task="segmentation").classes == ("background", "cat", "big dog, or owl")
    photo(tmp_path / "valid" / "x.jpg", 9)
    mask(tmp_path / "valid" / "x_mask.png")
    (tmp_path / "valid" / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, dog\n2, cat\n")
    with pytest.raises(
        DataError, match=r"/train/_classes\.csv and .*/valid/_classes\.csv: the classes differ: give all the same"
    ):
        records.read(tmp_path, task="segmentation")
    file.write_text("Pixel Value, Class\n1, background\n2, cat\n")
    with pytest.raises(DataError, match=r"_classes\.csv: expected the pixel values 0, 1, 2, \.\.\. with a class each"):
        records.read(tmp_path, task="segmentation")
    file.write_text("cat,0\ndog,1\n")  # of boxes, from RetinaNet
    (tmp_path / "valid" / "_classes.csv").unlink()
    assert records.read(tmp_path, task="segmentation").classes == ("class_0", "class_1", "class_2")
