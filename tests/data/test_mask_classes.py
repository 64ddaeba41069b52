"""Black and white masks, soft or from JPEG, are told from ids; what may be either is refused."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import images, mask_classes, records
from visrun.errors import DataError
from visrun.text import plural

NEARLY = "the masks are nearly black and white: white (255), and what is nearer to it than to black, is foreground"


def disc(radius: int = 20, size: int = 64) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size] - size / 2
    return np.where(rows**2 + columns**2 < radius**2, 255, 0).astype(np.uint8)


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def shrunk(pixels: np.ndarray, how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((64, 64), how))


def folder(root: Path, masks: list[np.ndarray], suffix: str = ".png", quality: int = 80) -> Path:
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for i, mask in enumerate(masks):
        Image.new("L", mask.shape[1::-1], i).save(root / "images" / f"{i}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i}{suffix}", quality=quality)
    return root


SOFT = {
    "jpeg 30": through_jpeg(disc(), 30),
    "jpeg 75": through_jpeg(disc(), 75),
    "jpeg 95": through_jpeg(disc(), 95),
    "jpeg 100": through_jpeg(disc(300, 800), 100),
    "bilinear": shrunk(disc(120, 300), Image.Resampling.BILINEAR),
    "of 16 shades": shrunk(disc(80, 256), Image.Resampling.BOX),
    "one stray pixel": np.where(np.arange(64 * 64).reshape(64, 64) == 99, 128, disc()).astype(np.uint8),
}


@pytest.mark.parametrize("how", SOFT)
def test_soft_masks_are_black_and_white(tmp_path: Path, how: str) -> None:
    dataset = records.read(folder(tmp_path / "d", [SOFT[how]] * 4), task="segmentation")
    assert (dataset.classes, dataset.mask_ids) == (("background", "foreground"), (0, 255))
    assert dataset.warnings[0] == NEARLY
    white = int((SOFT[how] >= 128).sum())
    assert dataset.counts["val"] == (SOFT[how].size - white, white)
    (row,) = dataset.splits["val"]
    assert np.array_equal(images.load_mask(row.target, ids=dataset.mask_ids), SOFT[how] >= 128)
    assert np.array_equal(images.load_mask(row.target, ids=[255]), np.where(SOFT[how] >= 128, 0, 255))


def test_two_names_are_those_of_black_and_white(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", [SOFT["jpeg 75"]] * 4)
    (root / "classes.txt").write_text("skin\npolyp\n")
    dataset = records.read(root, task="segmentation")
    assert (dataset.classes, dataset.mask_ids) == (("skin", "polyp"), (0, 255))
    (root / "classes.txt").write_text("skin\npolyp\ntool\n")
    with pytest.raises(DataError, match="out of range: there are 3 classes"):
        records.read(root, task="segmentation")


@pytest.mark.parametrize(
    ("ids", "classes"),
    [
        ([0, 1, 2, 255], "012"),
        ([0, 0, 0, 1, 1, 255], "01"),
        ([0, 40, 41, 42, 43, 255], None),  # classes of a large set, of which few are here
        ([*range(151), 254, 255], None),
        ([0, 1, 2, 3, 250, 254, 255], None),
        (range(0, 255, 10), None),  # classes in grey
        ([0, 254], None),
        ([0, 1, 1, 254, 255], None),
        ([0, 0, 0, 0, 1, 255, 255, 255, 255], None),
        ([3, 60, 255], None),
    ],
)
def test_ids_stay_ids(tmp_path: Path, ids: list[int], classes: str | None) -> None:
    mask = np.array([[*ids]] * 3, np.uint8)
    dataset = records.read(folder(tmp_path / "d", [mask] * 3), task="segmentation")
    known = sorted({*ids} - {255})
    assert classes is None or dataset.classes == tuple(f"class_{c}" for c in classes)
    assert dataset.mask_ids == tuple(known)


@pytest.mark.parametrize(
    ("mask", "count"),
    [
        ([[0, 128, 255, 255]], 1),
        ([[0, 85, 170, 255]], 2),
        (shrunk(np.tile(disc(8, 32), (8, 8)), Image.Resampling.BICUBIC), None),
        ([[*range(256)]], 254),
        ([[0, 0, 1, 254, 255, 255]], 2),
        (through_jpeg(np.repeat([[0, 255, 0, 128]], [40, 40, 40, 8], 1).repeat(64, 0).astype(np.uint8), 75), None),
    ],
)
def test_shades_that_may_be_classes_are_refused(tmp_path: Path, mask: list[list[int]], count: int | None) -> None:
    pixels = np.array(mask, np.uint8)
    root = folder(tmp_path / "d", [pixels] * 3)
    found = np.unique(pixels[(pixels > 0) & (pixels < 255)])
    text = f"the masks hold {plural(count or len(found), 'value')} between black (0) and white (255): in place of soft "
    with pytest.raises(DataError) as caught:
        records.read(root, task="segmentation")
    assert str(caught.value).startswith(text)
    chosen = ["class_0", f"class_{found[0]}"]
    assert records.read(root, task="segmentation", classes=chosen).mask_ids == (0, found[0])


@pytest.mark.parametrize(("channels", "quality"), [(1, 30), (1, 80), (3, 80), (1, 98)])
def test_jpegs_are_read_where_they_are_black_and_white(tmp_path: Path, channels: int, quality: int) -> None:
    mask = disc() if channels == 1 else np.repeat(disc()[..., None], 3, 2)
    dataset = records.read(folder(tmp_path / "d", [mask] * 4, ".jpg", quality), task="segmentation")
    assert (dataset.mask_ids, dataset.warnings[0]) == ((0, 255), NEARLY)
    (row,) = dataset.splits["val"]
    wrong = images.load_mask(row.target, ids=dataset.mask_ids) != (disc() > 0)
    assert wrong.mean() < 0.005


@pytest.mark.parametrize(
    "colours", [(0, 128, 255), (0, 1, 2), (0, 0, 0, 255, 255, 255, 128), ((0, 0, 255), (255, 255, 0), (0, 0, 255))]
)
def test_other_jpegs_are_refused(tmp_path: Path, colours: tuple[object, ...]) -> None:
    mask = np.array([[colour] * 64 for colour in colours for _ in range(24)], np.uint8)
    root = folder(tmp_path / "d", [mask] * 4, ".jpg")
    with pytest.raises(DataError) as caught:
        records.read(root, task="segmentation")
    assert str(caught.value) == f"{root}/masks/0.jpg is {mask_classes.BLURRED}"


def cells(*count: int, first: int = 1, pieces: int = 1) -> list[np.ndarray]:
    """A mask for each number of squares, which are numbered; each in so many pieces."""
    masks = []
    for n in count:
        mask = np.zeros((60, 60), np.uint8)
        for i in range(n):
            for piece in range(pieces):
                mask[6 * i : 6 * i + 4, 20 * piece : 20 * piece + 4] = first + i
        masks.append(mask)
    return masks


@pytest.mark.parametrize(
    ("masks", "told"),
    [
        (cells(3, 5, 9, 0), "from 1 to 3 or up to 9 in 3 of 3 masks"),
        (cells(*[3, 5] * 10), "from 1 to 3 or up to 5 in 20 of 20 masks"),
        (cells(1, 2, 2, 1), ""),  # a class inside another, as often
        (cells(4, 4, 4), ""),  # classes that every image shows
        (cells(3, 3, 2, 3), ""),  # or most do
        (cells(3, 5, first=2), ""),
        (cells(3, 5, 4, pieces=2), ""),  # classes are in several places
        ([*cells(3, 5, 9), *cells(3, 4, first=3)], ""),
    ],
)
def test_ids_that_look_like_numbers_of_objects_are_told(tmp_path: Path, masks: list[np.ndarray], told: str) -> None:
    root = folder(tmp_path, masks)
    hint = "each in one place: numbers of objects? then data=instances task=instance_segmentation"
    lines = [f"ids run {told}, {hint}"] if told else []
    assert [line for line in records.read(root, task="segmentation").warnings if "objects" in line] == lines
    (root / "classes.txt").write_text("\n".join(f"c{i}" for i in range(20)))
    assert not [line for line in records.read(root, task="segmentation").warnings if "objects" in line]


@pytest.mark.parametrize(("coloured", "told"), [(4, "one line"), (2, "each file")])
def test_colours_without_ids_are_one_line_that_names_them(tmp_path: Path, coloured: int, told: str) -> None:
    colours = np.zeros((10, 10, 3), np.uint8)
    colours[0, :7], colours[0, 7:] = (128, 0, 0), (0, 128, 255)
    root = folder(tmp_path, [colours] * coloured + [np.eye(10, dtype=np.uint8)] * (4 - coloured))
    with pytest.raises(DataError) as caught:
        records.read(root, task="segmentation")
    line = f"{root}/masks: 4 of 4 are colour masks (0,0,0 90.0%, 128,0,0 7.0%, 0,128,255 3.0%): they need one channel "
    assert str(caught.value).startswith(line) == (told == "one line")
    assert str(caught.value).count("colour mask (mode RGB): needs one channel ") == (0 if told == "one line" else 2)
    (root / "labelmap.txt").write_text("good:0,0,0\nred:128,0,0\nblue:0,128,255\n")
    if coloured == 4:
        assert records.read(root, task="segmentation").classes == ("good", "red", "blue")
