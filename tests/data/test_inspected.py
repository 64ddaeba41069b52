"""Folders of good and defective images: recognised, read, refused."""

from __future__ import annotations

import zlib
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage.measure import label

from visrun.config.compose import resolve
from visrun.data import records
from visrun.data.decoding import Job
from visrun.data.describe import describe
from visrun.data.images import mask_of
from visrun.data.recognise import fitting
from visrun.data.verdicts import BESIDE, DEFECT, GOOD, SOMEWHERE, Verdict
from visrun.errors import DataError
from visrun.feeding import read_dataset

TASK = "anomaly_detection"


def picture(path: Path, *, level: int = 100, size: tuple[int, int] = (12, 8)) -> None:
    """Width 12, height 8; each file its own colours, or two would be the same image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    within = str(path).partition("/test_")[2]  # the test's own folder, whatever the session's number
    noise = np.random.default_rng(zlib.crc32(within.encode())).integers(0, 50, (*size[::-1], 3))
    Image.fromarray((noise + level).astype(np.uint8)).save(path)


def mask(path: Path, *, size: tuple[int, int] = (12, 8), empty: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page = np.zeros(size[::-1], np.uint8)
    page[2:4, 3:6] = 0 if empty else 255
    Image.fromarray(page).save(path)


def mvtec(root: Path, *, good: int = 6, masks: bool = True) -> Path:
    for i in range(good):
        picture(root / "train" / "good" / f"{i}.png")
    for i in range(2):
        picture(root / "test" / "good" / f"{i}.png")
        picture(root / "test" / "bent" / f"{i}.png")
        if masks:
            mask(root / "ground_truth" / "bent" / f"{i}_mask.png")
    return root


def read(root: Path, **options):
    return records.read(root, task=TASK, **options)


def kinds(dataset, split):
    return [record.target.kind for record in dataset.splits[split]]


def test_mvtec(tmp_path):
    dataset = read(mvtec(tmp_path))
    assert dataset.layout == "mvtec"
    assert {name: len(rows) for name, rows in dataset.splits.items()} == {"train": 5, "val": 1, "test": 4}
    assert kinds(dataset, "test").count("bent") == 2
    assert dataset.defects == {"train": 0, "val": 0, "test": 2}
    (bent, *_) = [row for row in dataset.splits["test"] if row.target.defective]
    assert bent.target.masks == (tmp_path / "ground_truth" / "bent" / f"{bent.image.stem}_mask.png",)
    text = describe(dataset)
    assert "mode: self-supervised: only good images in train" in text
    assert "the names of its metrics say so" in text
    assert "good: 2, bent: 2; 2 with a mask" in text.replace("bent: 2, good: 2", "good: 2, bent: 2")


def test_the_folder_above_several_names_them(tmp_path):
    for name in ("bottle", "cable"):
        mvtec(tmp_path / name)
    with pytest.raises(DataError, match=r"in the folders bottle, cable: name one of them, as in data\.root=.*/bottle$"):
        read(tmp_path)


def test_the_folder_above_will_do(tmp_path):
    mvtec(tmp_path / "set" / "bottle")
    assert read(tmp_path / "set").layout == "mvtec"
    (tmp_path / "set" / "other").mkdir()
    with pytest.raises(DataError, match="no layout for task=anomaly_detection"):
        read(tmp_path / "set")


def test_defects_in_train_make_it_supervised_and_keep_their_share_in_val(tmp_path):
    mvtec(tmp_path)
    for i in range(5):
        picture(tmp_path / "train" / "bent" / f"{i}.png")
    dataset = read(tmp_path)
    assert dataset.defects == {"train": 4, "val": 1, "test": 2}
    assert "mode: supervised: 4 labelled defects" in describe(dataset)
    assert not any(row.target.masks for row in dataset.splits["train"])  # the masks are those of test


def test_good_beside_bad(tmp_path):
    for i in range(5):
        picture(tmp_path / "OK" / f"{i}.png")
        picture(tmp_path / "bad" / "bent" / f"{i}.png")
        picture(tmp_path / "bad" / f"x{i}.png")
        mask(tmp_path / "ground_truth" / "bad" / f"x{i}_mask.png")
    dataset = read(tmp_path)
    assert dataset.layout == "good_bad"
    assert set(kinds(dataset, "train")) == {"good", "bad", "bad/bent"}
    masks = {row.target.kind: bool(row.target.masks) for row in dataset.splits["train"]}
    assert masks == {"good": False, "bad": True, "bad/bent": False}
    assert dataset.defects == {"train": 8, "val": 2}


@pytest.mark.parametrize("inside", [".", "good"])
def test_good_images_only(tmp_path, inside):
    for i in range(5):
        picture(tmp_path / inside / f"{i}.png")
    dataset = read(tmp_path)
    assert dataset.layout == "good"
    assert dataset.defects == {"train": 0, "val": 0}


@pytest.mark.parametrize(
    ("image", "beside"),
    [
        ("a.jpg", "a_mask.png"),
        ("a.tif", "a_masks.tif"),
        ("a.tif", "a_seg.tif"),
        ("a_img.tif", "a_masks.tif"),
        ("a_image.png", "a_label.png"),
        ("a_img.png", "a_img_cp_masks.png"),
        ("a_img.png", "a_img_seg.npy"),
    ],
)
@pytest.mark.parametrize("folder", [".", "good", "good/first"])
def test_masks_beside_images_are_no_good_images(tmp_path, folder, image, beside):
    picture(tmp_path / folder / image)
    other = tmp_path / folder / f"b{beside[1:]}"
    mask(other.with_suffix(".png"))
    assert fitting(tmp_path, TASK) == ["good"]
    mask(tmp_path / folder / "mask.png")
    (tmp_path / folder / "mask.png").rename(tmp_path / folder / beside)
    assert fitting(tmp_path, TASK) == ([] if "img" in image else ["masks"])
    names = {row.image.name for rows in read(tmp_path, reader="good").splits.values() for row in rows}
    assert names == {image, other.with_suffix(".png").name}


@pytest.mark.parametrize("top", ["", "train"])
def test_masks_beside_defective_images_are_theirs_and_no_images(tmp_path, top):
    for i in range(5):
        picture(tmp_path / top / "normal" / f"{i}.png")
        mask(tmp_path / top / "normal" / f"{i}_mask.png", empty=True)
        picture(tmp_path / top / "bent" / f"{i}.png")
        mask(tmp_path / top / "bent" / f"{i}_mask.png")
        picture(tmp_path / top / "cut" / f"c{i}_img.jpg")
        mask(tmp_path / top / "cut" / f"c{i}_seg.png")
    picture(tmp_path / top / "cut" / "c0_seg.jpg")  # a photograph
    mask(tmp_path / top / "bent" / "3_mask_1.png")
    with pytest.raises(
        DataError, match=r"cut/c0_seg\.jpg: no mask (train/)?cut/c0_seg_mask\.png, while others of its kind"
    ):
        read(tmp_path)
    (tmp_path / top / "cut" / "c0_seg.jpg").unlink()
    dataset = read(tmp_path)
    found = {
        (row.target.kind, row.image.name): [path.name for path in row.target.masks]
        for rows in dataset.splits.values()
        for row in rows
    }
    assert found == {
        **{("good", f"{i}.png"): [] for i in range(5)},
        **{("bent", f"{i}.png"): [f"{i}_mask.png", "3_mask_1.png"][: 1 + (i == 3)] for i in range(5)},
        **{("cut", f"c{i}_img.jpg"): [f"c{i}_seg.png"] for i in range(5)},
    }
    place = f"{top}/normal/0_mask.png".strip("/")
    assert dataset.warnings == (f"5 masks beside images are left out, such as {place}",)


def test_other_folders_are_not_taken_for_it(tmp_path):
    for i in range(3):
        picture(tmp_path / "coco" / f"{i}.png")
        picture(tmp_path / "classes" / "cat" / f"{i}.png")
        picture(tmp_path / "classes" / "dog" / f"{i}.png")
    (tmp_path / "coco" / "labels.json").write_text("{}")
    assert fitting(tmp_path / "coco", TASK) == []
    assert fitting(tmp_path / "classes", TASK) == []
    (tmp_path / "empty").mkdir()
    assert fitting(tmp_path / "empty", TASK) == []


def test_no_good_image_to_learn_from(tmp_path):
    mvtec(tmp_path, good=0)
    for i in range(4):
        picture(tmp_path / "train" / "bent" / f"{i}.png")
    with pytest.raises(DataError, match="no good image in train: add some"):
        read(tmp_path)


def test_without_train_there_is_nothing_to_learn(tmp_path):
    with pytest.raises(DataError, match="the train split is empty"):
        read(mvtec(tmp_path, good=0))
    assert list(read(tmp_path, training=False).splits) == ["test"]


def test_one_image_is_not_enough_for_two_splits(tmp_path):
    with pytest.raises(DataError, match="the val split is empty"):
        read(mvtec(tmp_path, good=1))


def test_a_mask_that_is_missing_among_others_is_a_problem(tmp_path):
    mvtec(tmp_path)
    (tmp_path / "ground_truth" / "bent" / "1_mask.png").unlink()
    with pytest.raises(DataError, match=r"test/bent/1\.png: no mask ground_truth/bent/1_mask\.png, while others"):
        read(tmp_path)
    dataset = read(tmp_path, on_bad="skip")
    assert dataset.defects["test"] == 1 and len(dataset.skipped) == 1


def test_masks_may_be_missing_altogether(tmp_path):
    dataset = read(mvtec(tmp_path, masks=False))
    assert dataset.defects["test"] == 2
    assert not any(row.target.masks for row in dataset.splits["test"])


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"size": (8, 12)}, "mask of 8x12 pixels, its image has 12x8: save both at one size"),
        ({"empty": True}, "the mask of a defective image marks no pixel: mark the defect"),
    ],
)
def test_a_mask_of_another_size_or_without_a_mark_is_refused(tmp_path, options, what):
    mvtec(tmp_path)
    mask(tmp_path / "ground_truth" / "bent" / "0_mask.png", **options)
    with pytest.raises(DataError, match=what):
        read(tmp_path)


def test_masks_without_an_image_are_said(tmp_path):
    mvtec(tmp_path)
    mask(tmp_path / "ground_truth" / "bent" / "9_mask.png")
    line = "1 mask without an image is left out, such as ground_truth/bent/9_mask.png"
    assert line in read(tmp_path).warnings


def masks_of(dataset):
    return sorted(mask.name for row in dataset.splits["test"] for mask in row.target.masks)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ground_truth", "Ground_Truth"),
        ("ground_truth", "MASKS"),
        ("ground_truth/bent", "ground_truth/Bent"),
        ("test/bent", "test/BENT"),
    ],
)
def test_folders_of_masks_are_found_in_any_case(tmp_path, old, new):
    mvtec(tmp_path)
    before = masks_of(read(tmp_path))
    (tmp_path / old).rename(tmp_path / new)
    dataset = read(tmp_path)
    assert before
    assert (masks_of(dataset), dataset.warnings) == (before, ())


@pytest.mark.parametrize("folder", ["ground_truth", "ground_truth/test", "MASKS", "test/masks"])
@pytest.mark.parametrize("mark", ["", "_mask", "_MASK"])
def test_masks_of_all_kinds_may_lie_together_where_their_names_are_those_of_one_image_each(tmp_path, folder, mark):
    mvtec(tmp_path, masks=False)
    for i in range(2):
        picture(tmp_path / "test" / "cut" / f"c{i}.png")
        picture(tmp_path / "test" / "stained" / f"s{i}.png")
        mask(tmp_path / folder / f"{i}{mark}.png")
        mask(tmp_path / folder / f"c{i}{mark}.png")
    picture(tmp_path / "test" / "good" / "g.png")
    mask(tmp_path / folder / f"g{mark}.png", empty=True)
    dataset = read(tmp_path)
    found = {row.image.stem: row.target.masks for row in dataset.splits["test"] if row.target.kind in ("bent", "cut")}
    assert found == {stem: (tmp_path / folder / f"{stem}{mark}.png",) for stem in ("0", "1", "c0", "c1")}
    assert (len(masks_of(dataset)), dataset.warnings) == (4, ())


def test_of_masks_that_lie_together_none_may_be_missing_among_others_of_its_kind(tmp_path):
    mvtec(tmp_path, masks=False)
    mask(tmp_path / "masks" / "0.png")
    with pytest.raises(DataError, match=r"test/bent/1\.png: no mask masks/1_mask\.png, while others of its kind"):
        read(tmp_path)


@pytest.mark.parametrize("other", ["test/cut/0.png", "train/bent/0.png", "test/bent/0.jpg"])
def test_masks_that_lie_together_and_fit_several_images_are_said(tmp_path, other):
    mvtec(tmp_path, masks=False)
    picture(tmp_path / other)
    for i in range(2):
        mask(tmp_path / "ground_truth" / f"{i}.png")
    dataset = read(tmp_path)
    assert masks_of(dataset) == []
    assert "2 masks without an image are left out, such as ground_truth/0.png" in dataset.warnings


@pytest.mark.parametrize("place", ["ground_truth/crooked/0_mask.png", "ground_truth/bent/deep/0.png"])
def test_masks_that_are_all_elsewhere_are_said(tmp_path, place):
    mvtec(tmp_path, masks=False)
    mask(tmp_path / place)
    dataset = read(tmp_path)
    assert masks_of(dataset) == []
    assert dataset.warnings == (f"1 mask without an image is left out, such as {place}",)


def test_masks_of_a_kind_that_only_train_has_are_its_own_though_others_are_shared(tmp_path):
    mvtec(tmp_path)
    for i in range(6):
        picture(tmp_path / "train" / "bent" / f"{i}.png")
        picture(tmp_path / "train" / "cut" / f"{i}.png")
        mask(tmp_path / "ground_truth" / "cut" / f"{i}_mask.png")
    dataset = read(tmp_path)
    learnt = [row.target for name in ("train", "val") for row in dataset.splits[name] if row.target.defective]
    assert {(verdict.kind, bool(verdict.masks)) for verdict in learnt} == {("bent", False), ("cut", True)}
    assert masks_of(dataset) == ["0_mask.png", "1_mask.png"] and dataset.warnings == ()


def test_blank_masks_of_good_images_are_no_surprise(tmp_path):
    mvtec(tmp_path)
    mask(tmp_path / "ground_truth" / "good" / "0_mask.png", empty=True)
    assert read(tmp_path).warnings == ()


def test_of_pictures_with_depth_the_colours_are_read(tmp_path):
    """As MVTec 3D-AD has them."""
    for place in ("train/good", "test/good", "test/hole"):
        for i in range(5):
            picture(tmp_path / place / "rgb" / f"{i}.png", level=i * 10 + len(place))
            picture(tmp_path / place / "xyz" / f"{i}.tiff", level=i)
            if place.startswith("test"):
                mask(tmp_path / place / "gt" / f"{i}.png", empty="good" in place)
    dataset = read(tmp_path)
    assert dataset.counts == {"train": (4, 0), "val": (1, 0), "test": (5, 5)}
    assert {(row.target.kind, row.target.marked) for row in dataset.splits["test"]} == {("good", False), ("hole", True)}
    assert dataset.warnings == ()


def test_masks_beside_good_and_bad_without_a_folder_for_the_kind_are_said(tmp_path):
    for kind in ("good", "bad"):
        for i in range(6):
            picture(tmp_path / kind / f"{i}.png", level=i * 10)
    for i in range(6):
        mask(tmp_path / "masks" / f"{i}.png")
    assert "6 masks without an image are left out, such as masks/0.png" in read(tmp_path).warnings


def test_a_test_split_of_one_kind_is_said(tmp_path):
    mvtec(tmp_path)
    for path in (tmp_path / "test" / "good").iterdir():
        path.unlink()
    (line,) = [line for line in read(tmp_path).warnings if "test" in line]
    assert line == "no good image in test: how well it is told apart cannot be measured there"


def loco(root: Path, *, sizes: tuple[tuple[int, int], ...] = ((12, 8), (12, 8))) -> Path:
    """As MVTec LOCO AD: one mask file for each of an image's defects, in a folder of the image's name."""
    mvtec(root, masks=False)
    for i in range(2):
        for k, (width, height) in enumerate(sizes):
            page = np.zeros((height, width), np.uint8)
            page[k, : 3 + k] = 100 + k
            path = root / "ground_truth" / "bent" / f"{i}" / f"00{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(page).save(path)
    return root


def test_several_masks_mark_one_image_together(tmp_path):
    dataset = read(loco(tmp_path))
    assert not dataset.warnings
    bent = [row for row in dataset.splits["test"] if row.target.defective]
    assert [[mask.name for mask in row.target.masks] for row in bent] == [["000.png", "001.png"]] * 2
    assert [mask.parent.name for row in bent for mask in row.target.masks[:1]] == [row.image.stem for row in bent]
    plane = mask_of(bent[0].target, (), (8, 12))
    assert (plane == DEFECT).sum() == 3 + 4 and (plane == BESIDE).sum() == 96 - 7
    assert dataset.counts["test"] == (2, 2)


def test_an_image_without_its_folder_of_masks_is_a_problem(tmp_path):
    for path in (loco(tmp_path) / "ground_truth" / "bent" / "1").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"test/bent/1\.png: no mask ground_truth/bent/1_mask\.png, while others"):
        read(tmp_path)


def test_masks_of_one_image_have_one_size(tmp_path):
    with pytest.raises(
        DataError, match=r"bent/0/001\.png: mask of 11x8 pixels, 000\.png beside it has 12x8: save both at one size"
    ):
        read(loco(tmp_path, sizes=((12, 8), (11, 8))))


def test_a_folder_of_images_beside_one_of_masks(tmp_path):
    """As each object of VisA lies on the disk."""
    for i in range(6):
        picture(tmp_path / "Data" / "Images" / "Normal" / f"{i}.JPG")
        picture(tmp_path / "Data" / "Images" / "Anomaly" / f"{i}.JPG")
        mask(tmp_path / "Data" / "Masks" / "Anomaly" / f"{i}.png")
    for root in (tmp_path, tmp_path / "Data"):
        dataset = read(root)
        assert dataset.layout == "good_bad" and not dataset.warnings
        found = [row.target for rows in dataset.splits.values() for row in rows]
        assert sorted(verdict.kind for verdict in found) == ["Anomaly"] * 6 + ["good"] * 6
        assert all(bool(verdict.masks) == verdict.defective for verdict in found)


VISA = "object,split,label,image,mask\n"


def visa(root, rows):
    """Six good and six defective candles, 5.JPG in neither list, beside the table of all objects."""
    for i in range(6):
        picture(root / "candle" / "Data" / "Images" / "Normal" / f"{i}.JPG")
        picture(root / "candle" / "Data" / "Images" / "Anomaly" / f"{i}.JPG")
        mask(root / "candle" / "Data" / "Masks" / "Anomaly" / f"{i}.png")
    (root / "split_csv").mkdir()
    (root / "split_csv" / "1cls.csv").write_text(rows)
    return root / "candle"


def test_the_splits_of_visa(tmp_path):
    rows = [f"candle,train,normal,candle/Data/Images/Normal/{i}.JPG,\n" for i in range(3)]
    rows += [f"candle,test,normal,candle/Data/Images/Normal/{i}.JPG,\n" for i in range(3, 5)]
    rows += [
        f"candle,test,anomaly,candle/Data/Images/Anomaly/{i}.JPG,candle/Data/Masks/Anomaly/{i}.png\n" for i in range(5)
    ]
    rows += ["pcb1,train,normal,pcb1/Data/Images/Normal/5.JPG,\n"]
    candle = visa(tmp_path, VISA + "".join(rows))
    for root in (candle, candle / "Data"):
        dataset = read(root)
        assert dataset.warnings == ("splits by split_csv/1cls.csv; 2 images that they do not name are left out",)
        found = {split: [record.target.defective for record in rows] for split, rows in dataset.splits.items()}
        assert sum(found["train"] + found["val"]) == 0 and len(found["train"] + found["val"]) == 3
        assert sorted(found["test"]) == [False] * 2 + [True] * 5


@pytest.mark.parametrize("rows", ["", "a,b\n1,2\n", f"{VISA}candle,train,normal,,\n", "\udcff", f'{VISA}a,"b'])
def test_a_table_that_is_not_visas(tmp_path, rows):
    candle = visa(tmp_path, "")
    (tmp_path / "split_csv" / "1cls.csv").write_bytes(rows.encode("utf-8", "surrogateescape"))
    dataset = read(candle)
    assert not dataset.warnings and sum(map(len, dataset.splits.values())) == 12


def test_the_planes_of_codes(tmp_path):
    mask(tmp_path / "m.png")
    plane = mask_of(Verdict("bent", (tmp_path / "m.png",)), (), (8, 12))
    assert plane.shape == (8, 12) and (plane == DEFECT).sum() == 6 and (plane == BESIDE).sum() == 90
    assert (mask_of(Verdict("bent"), (), (8, 12)) == SOMEWHERE).all()
    assert (mask_of(Verdict("good"), (), (8, 12)) == GOOD).all()


@pytest.mark.parametrize("wide", [1, 2, 5])
def test_a_thin_defect_stays_in_one_piece_when_it_is_shrunk(tmp_path, wide):
    page = Image.new("L", (256, 200))
    ImageDraw.Draw(page).line((10, 20, 240, 170), fill=255, width=wide)
    page.save(tmp_path / "m.png")
    Image.new("RGB", page.size).save(tmp_path / "i.png")
    pixels, plane = np.zeros((64, 64, 3), np.uint8), np.zeros((1, 64, 64), np.uint8)
    verdict = Verdict("bent", (tmp_path / "m.png",))
    Job(tmp_path / "i.png", verdict, (), (50, 64), (0, 0, 256, 200), (200, 256)).decode(pixels, plane)
    assert set(np.unique(plane[0, :50])) == {DEFECT, BESIDE} and (plane[0, 50:] == 255).all()
    assert label(plane[0] == DEFECT, connectivity=2).max() == 1
    wanted = {(row * 50 // 200, column * 64 // 256) for row, column in np.argwhere(np.asarray(page) > 0)}
    assert set(map(tuple, np.argwhere(plane[0] == DEFECT))) == wanted


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_a_mask_of_any_mode_marks_what_is_not_black(tmp_path, mode):
    page = np.zeros((8, 12), np.uint8)
    page[1, 2] = 255
    image = Image.fromarray(page.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(page).convert(mode)
    image.save(tmp_path / "m.png")
    plane = mask_of(Verdict("bent", (tmp_path / "m.png",)), (), (8, 12))
    assert np.argwhere(plane == DEFECT).tolist() == [[1, 2]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_in_a_mask_marks_nothing(tmp_path, mode):
    page = np.zeros((8, 12), np.uint8)
    page[1, 2] = 255
    if mode == "P":
        image = Image.fromarray(np.where(page, 2, 1).astype(np.uint8)).convert("P")
        image.save(tmp_path / "m.png", transparency=1)
    else:
        image = Image.new(mode[:-1], (12, 8), "white")
        image.putalpha(Image.fromarray(page))
        image.save(tmp_path / "m.png")
    plane = mask_of(Verdict("bent", (tmp_path / "m.png",)), (), (8, 12))
    assert np.argwhere(plane == DEFECT).tolist() == [[1, 2]]


def test_a_jpeg_marks_what_is_nearer_to_white(tmp_path):
    for name in ("train/good", "test/good", "test/bent"):
        picture(tmp_path / name / "0.png")
    page = np.zeros((8, 12), np.uint8)
    page[2:6, 3:9] = 255
    (tmp_path / "ground_truth" / "bent").mkdir(parents=True)
    Image.fromarray(page).save(tmp_path / "ground_truth" / "bent" / "0_mask.jpg", quality=70)
    dataset = read(tmp_path, training=False)
    (bent,) = (record.target for record in dataset.splits["test"] if record.target.defective)
    assert not dataset.warnings and np.array_equal(mask_of(bent, (), (8, 12)) == DEFECT, page > 0)


@pytest.mark.parametrize("layout", ["parts/good", "parts/train/good"])
def test_what_learns_from_good_images_alone_is_measured_on_all_defects(tmp_path, layout):
    good = tmp_path / layout
    for i in range(10):
        picture(good / f"{i}.png")
        picture(good.parent / "bent" / f"{i}.png")
    screen = Mock()
    words = ["task=anomaly_detection", f"data.root={tmp_path / 'parts'}", "model_options.backbone=resnet18"]
    dataset = read_dataset(resolve([*words, "model=patchcore"]).settings, screen)
    assert dataset.counts == {"train": (8, 0), "val": (2, 10)}
    assert "mode: good images of train are remembered\n" in screen.say.call_args[0][0] + "\n"
    learnt = read(tmp_path / "parts")
    assert learnt.counts == {"train": (8, 8), "val": (2, 2)}
    assert "good images of train are remembered, its 8 defective ones are not used" in describe(learnt, learns=False)


@pytest.mark.parametrize("inverted", [False, True])
def test_masks_that_mark_nearly_everything_are_said(tmp_path, inverted):
    for name in ("train/good", "test/good", "test/bent"):
        picture(tmp_path / name / "0.png")
    page = np.full((8, 12), 255 * inverted, np.uint8)
    page[1, 2] = 255 * (not inverted)
    (tmp_path / "ground_truth" / "bent").mkdir(parents=True)
    Image.fromarray(page).save(tmp_path / "ground_truth" / "bent" / "0_mask.png")
    told = [line for line in read(tmp_path, training=False).warnings if "more than half" in line]
    assert bool(told) == inverted


def test_masks_beside_the_images_of_each_kind(tmp_path):
    for i in range(6):
        picture(tmp_path / "good" / "images" / f"{i}.jpg")
        picture(tmp_path / "bad" / "images" / f"{i}.jpg")
        mask(tmp_path / "good" / "masks" / f"{i}.png")
        mask(tmp_path / "bad" / "masks" / f"{i}.png")
    dataset = read(tmp_path)
    found = [row.target for rows in dataset.splits.values() for row in rows]
    assert sorted(verdict.kind for verdict in found) == ["bad"] * 6 + ["good"] * 6
    assert {mask.parent.parent.name for verdict in found for mask in verdict.masks} == {"bad"}
    assert all(bool(verdict.masks) == verdict.defective for verdict in found)


def test_defects_alone_can_be_measured_where_the_layout_is_named(tmp_path):
    for i in range(4):
        picture(tmp_path / "bad" / f"{i}.png", level=i * 10)
    assert fitting(tmp_path, TASK) == []
    dataset = records.read(tmp_path, task=TASK, reader="good_bad", training=False)
    assert dataset.counts == {"test": (0, 4)}
    assert "no good image in test: how well it is told apart cannot be measured there" in dataset.warnings
    with pytest.raises(DataError, match="no good image in train"):
        read(tmp_path, reader="good_bad")
