"""A folder for each image, with a mask for each of its objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import records
from visrun.data.outlines import drawn
from visrun.data.readers import instances, masks
from visrun.errors import DataError

SIZE = (12, 10)
BOXES = [[1, 2, 4, 5], [6, 3, 12, 10]]


def image(root: Path, name: str, *boxes: list[int], shade: int = 0, top: str = "stage1_train") -> Path:
    path = root / top / name / "images" / f"{name}.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", SIZE, (shade, shade, shade)).save(path)
    if top != "stage1_test":
        (root / top / name / "masks").mkdir()
    for i, (left, upper, right, lower) in enumerate(boxes):
        mask = np.zeros(SIZE[::-1], np.uint8)
        mask[upper:lower, left:right] = 255
        Image.fromarray(mask).save(root / top / name / "masks" / f"m{i}.png")
    return path


@pytest.mark.parametrize("top", ["stage1_train", "train", ""])
def test_every_mask_is_an_object(tmp_path: Path, top: str) -> None:
    image(tmp_path, "1f", *BOXES, top=top)
    image(tmp_path, "2e", BOXES[0], shade=1, top=top)
    image(tmp_path, "3d", shade=2, top=top)
    assert instances.recognise(tmp_path)
    assert not masks.recognise(tmp_path)
    listing = instances.read(tmp_path)
    assert (listing.classes, list(listing.splits)) == (("object",), ["train" if top else "all"])
    (rows,) = listing.splits.values()
    assert [row.target.boxes.tolist() for row in rows] == [BOXES, BOXES[:1], []]
    for outline, (left, upper, right, lower) in zip(rows[0].target.outlines, BOXES, strict=True):
        page = drawn(outline, SIZE[::-1])
        assert page[upper:lower, left:right].all()
        assert page.sum() == (lower - upper) * (right - left)
    dataset = records.read(tmp_path, task="segmentation", training=False)
    areas = [sum((right - left) * (lower - upper) for left, upper, right, lower in some) for some in (BOXES, BOXES[:1])]
    assert list(dataset.counts.values()) == [(3 * 120 - sum(areas), sum(areas))]
    (tmp_path / "classes.txt").write_text("nucleus\n")
    assert instances.read(tmp_path).classes == ("nucleus",)
    (tmp_path / "classes.txt").write_text("nucleus\ncell\n")
    listing = instances.read(tmp_path)
    told = "the 2 class names are not used: masks of single objects do not say their class"
    assert (listing.classes, listing.warnings) == (("object",), (told,))


def test_images_without_masks_are_told(tmp_path: Path) -> None:
    image(tmp_path, "1f", *BOXES)
    image(tmp_path, "9a", shade=9, top="stage1_test")
    assert instances.read(tmp_path).warnings == ("stage1_test/: test images without labels are left out",)
    image(tmp_path, "8b", shade=8, top="val")
    with pytest.raises(DataError, match=r"images of val without labels: put them into val/\*/masks/"):
        instances.read(tmp_path)


def test_what_is_wrong_with_a_folder_is_told(tmp_path: Path) -> None:
    for shade, name in enumerate(("1f", "2e", "3d", "4c", "5b")):
        image(tmp_path, name, *BOXES, shade=shade)
    top = tmp_path / "stage1_train"
    Image.new("L", SIZE).save(top / "2e" / "masks" / "m0.png")
    Image.new("L", SIZE[::-1], 255).save(top / "3d" / "masks" / "m1.png")
    (top / "4c" / "masks" / "m0.png").write_bytes(b"")
    for name in ("2e", "3d", "4c", "5b"):
        for mask in (top / name / "masks").iterdir():
            mask.rename(mask.with_name(f"{name}_{mask.name}"))
    problems = [str(problem) for problem in instances.read(tmp_path).problems]
    assert problems == [
        "stage1_train/2e/images/2e.png: stage1_train/2e/masks/2e_m0.png: no pixel is white: remove it",
        "stage1_train/3d/images/3d.png: stage1_train/3d/masks/3d_m1.png: of another size than others: "
        "save all at one size",
        "stage1_train/4c/images/4c.png: stage1_train/4c/masks/4c_m0.png: empty file (0 bytes)",
    ]
    Image.new("L", SIZE).save(top / "5b" / "images" / "other.png")
    with pytest.raises(DataError, match="5b: expected one image in images/ and its objects in masks/"):
        records.read(tmp_path, task="instance_segmentation", reader="instances")


@pytest.mark.parametrize("several", [1, 2])
def test_folders_of_one_mask_each_or_of_several_images_are_none(tmp_path: Path, several: int) -> None:
    for name in ("tile 1", "tile 2"):
        for i in range(several):
            for folder in ("images", "masks"):
                (tmp_path / name / folder).mkdir(parents=True, exist_ok=True)
                Image.new("L", SIZE, 255).save(tmp_path / name / folder / f"{i}.png")
    assert not instances.recognise(tmp_path)
