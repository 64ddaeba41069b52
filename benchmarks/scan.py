"""What looking at a dataset costs: 10,000 images with 100,000 boxes in COCO's json, from its folder to checked records.

    python benchmarks/scan.py [--images 10000] [--objects 10] [--rounds 3] [--folder DIR]

No pixel is decoded. The files (64 x 48 pixels, each different) are written once into ``--folder``, or else into a
temporary one that is deleted. Each round is a process of its own, since one process remembers what it found in files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import environ, report
from PIL import Image

SIZE = (64, 48)
SPLITS = {"train": 0.8, "val": 1.0}
SCAN = """
import sys, time
from visrun.data import records
began, busy = time.perf_counter(), time.process_time()
dataset = records.read(sys.argv[1], task=sys.argv[2])
print(time.perf_counter() - began, time.process_time() - busy, sum(map(sum, dataset.counts.values())))
"""


def make(folder: Path, images: int, objects: int) -> None:
    """Images and the json of each split, unless they are there."""
    if (folder / "val.json").exists():
        return
    rng = np.random.default_rng(0)
    begin = 0
    for split, share in SPLITS.items():
        end = round(share * images)
        (folder / split).mkdir(parents=True, exist_ok=True)
        for i in range(begin, end):
            pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize(SIZE).save(folder / split / f"{i:06}.jpg")
        (folder / f"{split}.json").write_text(json.dumps(labels(range(begin, end), objects, rng)), encoding="utf-8")
        begin = end


def labels(images: range, objects: int, rng: np.random.Generator) -> dict[str, list[dict]]:
    """COCO's three lists: boxes anywhere, outlines of 12 corners inside them."""
    size = np.array(SIZE, np.float64)
    low = rng.random((len(images) * objects, 2)) * (size - 12)
    wide = 4 + rng.random((len(low), 2)) * (size - low - 4)
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1) / 2 + 0.5
    corners = (low[:, None] + circle * wide[:, None]).round(2).reshape(len(low), -1).tolist()
    boxes = np.concatenate([low, wide], 1).round(2).tolist()
    kinds = rng.integers(0, 20, len(low)).tolist()
    return {
        "images": [{"id": i, "file_name": f"{i:06}.jpg", "width": SIZE[0], "height": SIZE[1]} for i in images],
        "categories": [{"id": 2 * k + 1, "name": f"kind {k}"} for k in range(20)],
        "annotations": [
            {
                "id": images.start * objects + n,
                "image_id": images.start + n // objects,
                "category_id": 2 * kinds[n] + 1,
                "bbox": boxes[n],
                "segmentation": [corners[n]],
                "iscrowd": 0,
            }
            for n in range(len(boxes))
        ],
    }


def scan(folder: Path, task: str, rounds: int) -> None:
    """The quickest of some rounds, the first of which also fills the system's own cache of files."""
    found = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", SCAN, str(folder), task], env=environ({}), capture_output=True, text=True, check=True
        )
        found.append([float(word) for word in done.stdout.split()])
    took, busy, objects = min(found)
    report(f"scan/{task}", took, "s", processor_seconds=round(busy, 3), rounds=rounds, objects=int(objects))


def main() -> None:
    """Make the files, then scan them for two tasks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--objects", type=int, default=10, help="in each image")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the files here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        began = time.perf_counter()
        make(folder, given.images, given.objects)
        report("scan/make", time.perf_counter() - began, "s", images=given.images)
        for task in ("object_detection", "instance_segmentation"):
            scan(folder, task, given.rounds)


if __name__ == "__main__":
    main()
