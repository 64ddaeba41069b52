"""Cityscapes: the classes that are evaluated, by either of the two ways in which its masks number them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import images, records
from visrun.data.readers import cityscapes, masks
from visrun.errors import DataError

LABELS = np.array([[7, 8, 33, 1, 0]] * 3, np.uint8)  # road, sidewalk, bicycle, ego vehicle, unlabelled
TRAIN = np.array([[0, 1, 18, 255, 255]] * 3, np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def scene(root: Path, split: str, city: str, *marks: str) -> None:
    for i in range(2):
        name = f"{split}/{city}/{city}_00000{i}_000019"
        shade = sum(map(ord, city)) % 250 + i
        save(root / "leftImg8bit" / f"{name}_leftImg8bit.png", np.full(LABELS.shape, shade, np.uint8))
        for mark in marks:
            pixels = {"labelIds": LABELS, "labelTrainIds": TRAIN, "blank": 0 * LABELS}.get(mark, LABELS)
            file = "labelIds" if mark == "blank" else mark
            save(root / "gtFine" / f"{name}_gtFine_{file}.png", pixels)


@pytest.mark.parametrize(
    ("marks", "ids", "ignored"),
    [
        (("color", "instanceIds", "labelIds"), tuple(cityscapes.LABEL_IDS.values()), "40.0%"),
        (("color", "instanceIds", "labelIds", "labelTrainIds"), tuple(cityscapes.LABEL_IDS.values()), "44.4%"),
        (("labelTrainIds",), tuple(range(19)), "40.0%"),
    ],
)
def test_the_nineteen_classes_are_read(
    tmp_path: Path, marks: tuple[str, ...], ids: tuple[int, ...], ignored: str
) -> None:
    scene(tmp_path, "train", "aachen", *marks)
    scene(tmp_path, "val", "lindau", *marks)
    if len(marks) == 4:
        scene(tmp_path, "test", "bonn", "blank")
    assert masks.recognise(tmp_path)
    dataset = records.read(tmp_path, task="segmentation")
    assert (dataset.mask_ids, len(dataset.classes), list(dataset.splits)) == (ids, 19, ["train", "val"])
    seen = {name: n for name, n in zip(dataset.classes, dataset.counts["val"], strict=True) if n}
    assert seen == {"road": 6, "sidewalk": 6, "bicycle": 6}
    (row, _) = dataset.splits["train"]
    assert images.mask_of(row.target, dataset.mask_ids, LABELS.shape).tolist() == TRAIN.tolist()
    lines = [line for line in dataset.warnings if "without a class" in line]
    assert lines == [f"pixels without a class are ignored: {ignored} of all"] if len(marks) < 4 else len(lines) == 1
    chosen = records.read(tmp_path, task="segmentation", classes=["bicycle", "road"])
    assert chosen.mask_ids == (ids[18], ids[0])


def test_what_lacks_masks_is_told(tmp_path: Path) -> None:
    scene(tmp_path, "train", "aachen", "labelIds")
    scene(tmp_path, "test", "bonn")
    listing = masks.read(tmp_path)
    assert listing.warnings == ("leftImg8bit/test/: test images without labels are left out",)
    (tmp_path / "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png").unlink()
    (problem,) = masks.read(tmp_path).problems
    assert str(problem).endswith("no mask aachen_000001_000019_gtFine_labelIds.png in gtFine/train/")
    scene(tmp_path, "val", "lindau", "color")
    with pytest.raises(DataError, match="images of val without labels: put them into gtFine/val/"):
        masks.read(tmp_path)


def test_colours_alone_are_no_layout(tmp_path: Path) -> None:
    scene(tmp_path, "train", "aachen", "color", "instanceIds")
    assert not masks.recognise(tmp_path)


def test_its_masks_are_no_defects(tmp_path: Path) -> None:
    for place in ("leftImg8bit/train/a/a_1_leftImg8bit.png", "gtFine/train/a/a_1_gtFine_labelIds.png"):
        (tmp_path / place).parent.mkdir(parents=True)
        Image.new("L", (4, 3), 7).save(tmp_path / place)
    with pytest.raises(DataError, match="name what every pixel shows, and no defects"):
        masks.read(tmp_path, target="verdict")
