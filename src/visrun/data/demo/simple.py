"""Demo datasets with one target an image: a class folder, a number, a mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from visrun.data import files
from visrun.data.demo.scenes import CLASS_OF, GROUPS, Studio, save

COUNT_IMAGES = {"train": 400, "val": 100, "test": 100}
MOST_COUNTED = 6
MASK_IMAGES = {"train": 210, "val": 45, "test": 45}
CLASSES = ("background", *GROUPS)
PALETTE = (0, 0, 0, 230, 70, 60, 70, 160, 230, 250, 200, 60)


def classification(root: Path, studio: Studio) -> None:
    """SPLIT/DIGIT/NUMBER.png, 32x32 grey."""
    for split in files.SPLITS:
        for number, glyph in enumerate(studio.glyphs[split]):
            folder = root / split / str(glyph.digit)
            folder.mkdir(parents=True, exist_ok=True)
            small = Image.fromarray(glyph.ink).resize((32, 32), Image.Resampling.BOX)
            save(np.asarray(small), folder / f"{number:04d}.png")


def regression(root: Path, studio: Studio) -> None:
    """images/SPLIT_NUMBER.png of 64x64 and SPLIT.csv with the number of digits in each."""
    (root / "images").mkdir()
    for split, total in COUNT_IMAGES.items():
        lines = ["image,target"]
        for number in range(total):
            count = number % (MOST_COUNTED + 1)
            picture, placed = studio.picture(split, size=64, count=count, height=(11, 15), turn=30)
            name = f"images/{split}_{number:03d}.png"
            save(picture, root / name)
            lines.append(f"{name},{len(placed)}")
        (root / f"{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def segmentation(root: Path, studio: Studio) -> None:
    """SPLIT/images/NUMBER.png of 96x96, SPLIT/masks/NUMBER.png as palette PNG, and classes.txt."""
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8", newline="\n")
    for split, total in MASK_IMAGES.items():
        images, masks = root / split / "images", root / split / "masks"
        images.mkdir(parents=True)
        masks.mkdir()
        for number in range(total):
            count = int(studio.rng.integers(1, 5))
            picture, placed = studio.picture(split, size=96, count=count, height=(32, 48), turn=20)
            ids = np.zeros((96, 96), np.uint8)
            for digit in placed:
                ids[digit.mask] = CLASSES.index(CLASS_OF[digit.digit])
            save(picture, images / f"{number:03d}.png")
            mask = Image.fromarray(ids)
            mask.putpalette(PALETTE)
            mask.save(masks / f"{number:03d}.png")
