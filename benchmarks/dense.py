"""What training a detector costs on a GPU: boxes, turned boxes and masks, visrun's dense detectors and torchvision's.

    python benchmarks/dense.py [--images 512] [--objects 20] [--size 512] [--batch 8] [--epochs 5]
                               [--tasks object_detection ...] [--models dense_resnet50 dense_resnet18]

All run through visrun's own loop, from the same cached images, with the task's augmentation, clipping and optimizer and
an average of the weights; only the network differs. Images/s are those of the epochs after the first, without
evaluation and checkpoints, and of the captured step replayed on one batch. Noise with ellipses of any direction, made
in a temporary folder; weights are random, since learning is not what is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
from common import parts_of, report, speeds
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from visrun.errors import Diverged

# torchvision's own detector for each task; of turned boxes the smallest rectangles around its masks.
BESIDE = {
    "object_detection": "fcos",
    "oriented_object_detection": "maskrcnn",
    "instance_segmentation": "maskrcnn",
}
KINDS = 5
CORNERS = 16  # of an outline
SIDES = (1 / 32, 1 / 8)  # of objects, by the side of the image


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), options)
        for task in options.tasks:
            over = BESIDE[task]
            slow = measure(Path(name), task, over, options)
            for model in options.models:
                measure(Path(name), task, model, options, over=(over, slow))


def arguments() -> Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--objects", type=int, default=20, help="in each image")
    parser.add_argument("--size", type=int, default=512, help="pixels")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=5, help="timed")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tasks", nargs="+", choices=BESIDE, default=list(BESIDE))
    parser.add_argument("--models", nargs="+", default=["dense_resnet50", "dense_resnet18"])
    return parser.parse_args()


def measure(
    folder: Path, task: str, model: str, options: Namespace, *, over: tuple[str, float | None] = ("", None)
) -> float | None:
    """Report one network's images/s, over another's where there are any, and return them; None where its loss is NaN
    or infinite, as random weights may lead to, which stderr is told."""
    made = parts_of(
        [
            *(f"task={task}", f"model={model}", "model.pretrained=false", "tracking=none", "run.ema=0.998"),
            *(f"data.root={folder}", f"data.image_size={options.size}", f"batch_size={options.batch}"),
            *(f"run.device={options.device}", f"max_epochs={options.epochs + 12}"),
        ]
    )
    try:
        found = speeds(made, options.epochs)
    except Diverged as error:
        print(f"dense/{task}/{model}: {error}", file=sys.stderr)
        return None
    facts: dict[str, Any] = {"batch_size": options.batch, "image_size": options.size, "precision": made.precision}
    facts |= {f"step_{name}": round(speed, 1) for name, speed in found.items() if name != "loop"}
    facts |= {"graph": made.step.graph_note or "none: not on CUDA"}
    if over[1] is not None:
        facts |= {"over": f"dense/{task}/{over[0]}", "ratio": found["loop"] / over[1]}
    report(f"dense/{task}/{model}", found["loop"], "images/s", **facts)
    return found["loop"]


def make(folder: Path, options: Namespace) -> None:
    """Images and COCO's json of each split."""
    for split, count in (("train", options.images), ("val", 1)):
        (folder / split).mkdir()
        images, notes = [], []
        for number in range(count):
            rng = np.random.default_rng([number, split == "val"])
            outlines = [ellipse(rng, options.size) for _ in range(options.objects)]
            picture(rng, outlines, options.size).save(folder / split / f"{number:05}.jpg")
            images.append(
                {"id": number, "file_name": f"{number:05}.jpg", "width": options.size, "height": options.size}
            )
            notes += [note(len(notes) + i, number, outline, rng) for i, outline in enumerate(outlines)]
        kinds = [{"id": kind, "name": f"kind {kind}"} for kind in range(KINDS)]
        text = json.dumps({"images": images, "annotations": notes, "categories": kinds})
        (folder / f"{split}.json").write_text(text, encoding="utf-8")


def ellipse(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """The corners (CORNERS, 2) of one of any direction, inside the image."""
    around = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    sides, angle = rng.uniform(*SIDES, 2) * size, rng.uniform(0, np.pi)
    shape = np.stack([np.cos(around), np.sin(around)], 1) / 2 * sides
    cos, sin = np.cos(angle), np.sin(angle)
    return shape @ np.array([[cos, sin], [-sin, cos]]) + rng.uniform(max(SIDES), 1 - max(SIDES), 2) * size


def picture(rng: np.random.Generator, outlines: list[NDArray[np.float64]], size: int) -> Image.Image:
    noise = rng.integers(0, 256, (size // 16, size // 16, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for outline in outlines:
        draw.polygon([(x, y) for x, y in outline.tolist()], fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def note(number: int, image: int, outline: NDArray[np.float64], rng: np.random.Generator) -> dict[str, Any]:
    low, high = outline.min(0), outline.max(0)
    return {
        "id": number,
        "image_id": image,
        "category_id": int(rng.integers(KINDS)),
        "bbox": [*low.round(2).tolist(), *(high - low).round(2).tolist()],
        "segmentation": [outline.round(2).ravel().tolist()],
        "iscrowd": 0,
    }


if __name__ == "__main__":
    main()
