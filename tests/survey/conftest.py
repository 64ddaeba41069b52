"""A small set of outlines, and one without any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SIZE = (48, 32)


def photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def outlines(tmp_path: Path) -> Path:
    """Ten images in COCO's json: in each a cat but in the last, in every second a dog as well; one crowd."""
    root = tmp_path / "my pets"
    entries: list[dict[str, Any]] = []
    for i in range(10):
        photo(root / "images" / f"{i}.png", i)
        for k in range((i < 9) + (i % 2 == 0 and i < 9)):
            corners = [4 + 20 * k, 4, 20 + 20 * k, 4, 20 + 20 * k, 28]
            box = [4 + 20 * k, 4, 16, 24]
            crowd = int(i == 1)
            entries.append({"id": len(entries), "image_id": i, "category_id": k, "bbox": box, "iscrowd": crowd})
            entries[-1]["segmentation"] = [corners]
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": SIZE[0], "height": SIZE[1]} for i in range(10)],
        "annotations": entries,
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    }
    (root / "all.json").write_text(json.dumps(content))
    return root


@pytest.fixture
def class_folders(tmp_path: Path) -> Path:
    """Eight images of two classes."""
    for i in range(8):
        photo(tmp_path / "photos" / "ab"[i % 2] / f"{i}.png", i)
    return tmp_path / "photos"
