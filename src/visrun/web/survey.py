"""What is in a dataset, for the page: the reader's own findings, a histogram, thumbnails with their labels drawn.

A process of its own does it (``python -m visrun.web.survey``, a JSON object on stdin, JSON lines on stdout), since it
may open a million files, and whatever strange image lies among them.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from visrun.data import demo, files, records
from visrun.data.records import Dataset, Record
from visrun.errors import DataError, UserError
from visrun.folders import cache_folder
from visrun.tables import TASKS
from visrun.web.roots import Roots
from visrun.web.thumbnails import drawn

THUMBNAILS = 12
BINS = 12
MOST_BARS = 60  # classes of a histogram
MOST_LINES = 40  # problems that are shown
QUALITY = 82  # of a thumbnail's JPEG

Progress = Callable[[int, int], None]


def survey(root: Path, *, task: str, layout: str, progress: Progress | None = None) -> tuple[Dataset, list[str]]:
    """The dataset without what cannot be used, and a line for each thing that is wrong with it.

    Raises:
        UserError: It cannot be read at all.
    """
    found = records.read(root, task=task, reader=layout, on_bad="skip", progress=progress)
    return found, [*found.skipped]


def describe(root: Path, *, task: str, layout: str, roots: Roots, progress: Progress | None = None) -> dict[str, Any]:
    """The survey as plain JSON types.

    Args:
        roots: No image outside of them is drawn, whatever a table or a link names.

    Raises:
        UserError: The dataset cannot be read at all.
    """
    dataset, problems = survey(root, task=task, layout=layout, progress=progress)
    widths, heights = zip(*dataset.sizes.values(), strict=True) if dataset.sizes else ((0,), (0,))
    return {
        "layout": dataset.layout,
        "text": records.describe(dataset).splitlines(),
        "classes": len(dataset.classes),
        "sizes": {"low": [min(widths), min(heights)], "high": [max(widths), max(heights)]},
        "splits": [{"name": name, "images": len(rows)} for name, rows in dataset.splits.items()],
        "histogram": histogram(dataset),
        "problems": shortened(problems),
        "warnings": shortened(list(dataset.warnings)),
        "thumbnails": thumbnails(dataset, kind=TASKS[task].target, roots=roots),
    }


def histogram(dataset: Dataset) -> dict[str, Any]:
    """Bars: images or pixels of each class by split, or how often values of the first target fall into each bin."""
    if dataset.classes and dataset.counts:
        names = list(dataset.classes)[:MOST_BARS]
        what = "pixels" if dataset.mask_ids else "images"
        bars = {name: list(counts)[:MOST_BARS] for name, counts in dataset.counts.items()}
        return {"what": what, "names": names, "more": max(0, len(dataset.classes) - MOST_BARS), "splits": bars}
    if not dataset.targets:
        return {"what": "", "names": [], "more": 0, "splits": {}}
    values = {name: [float(record.target[0]) for record in rows] for name, rows in dataset.splits.items()}
    low, high = min(map(min, values.values())), max(map(max, values.values()))
    width = (high - low) / BINS or 1.0
    names = [f"{low + i * width:.3g}" for i in range(BINS)]
    bars = {name: [0] * BINS for name in values}
    for name, listed in values.items():
        for value in listed:
            bars[name][min(int((value - low) / width), BINS - 1)] += 1
    return {"what": dataset.targets[0], "names": names, "more": 0, "splits": bars}


def thumbnails(dataset: Dataset, *, kind: str, roots: Roots) -> list[dict[str, str]]:
    """Pictures spread over the splits, as data addresses, each with what its label says."""
    found = []
    for split, record in spread(dataset, THUMBNAILS):
        if not roots.holds(record.image):
            continue
        try:
            picture, caption = drawn(record, dataset, kind=kind)
        except (DataError, OSError):  # decodes no further than its header
            continue
        page = io.BytesIO()
        picture.save(page, "JPEG", quality=QUALITY)
        address = f"data:image/jpeg;base64,{base64.b64encode(page.getvalue()).decode()}"
        found.append(
            {"split": split, "name": files.shown(record.image, dataset.root), "label": caption, "src": address}
        )
    return found


def spread(dataset: Dataset, count: int) -> list[tuple[str, Record]]:
    """``count`` records, most of them from train, evenly over each split's order, in which classes lie side by side."""
    picked: list[tuple[str, Record]] = []
    for place, (split, rows) in enumerate(dataset.splits.items()):
        share = count - sum(max(1, count // 6) for _ in list(dataset.splits)[1:]) if place == 0 else max(1, count // 6)
        wanted = min(share, len(rows))
        picked += [(split, rows[i * len(rows) // wanted]) for i in range(wanted)]
    return picked


def shortened(lines: list[str]) -> list[str]:
    """The first lines, and how many more there are."""
    rest = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"... and {rest} more"] if rest > 0 else [])]


def main() -> None:
    """Read what to look at, and tell how it goes on, line by line."""
    asked = json.load(sys.stdin)
    task, root = asked["task"], asked["root"]

    def progress(done: int, total: int) -> None:
        print(json.dumps({"progress": [done, total]}), flush=True)

    try:
        folder = demo.build(task, cache_folder() / "demo") if root is None else Path(root)
        roots = Roots([Path(folder) for folder in asked["roots"]] + ([folder] if root is None else []))
        told = describe(folder, task=task, layout=asked["layout"], roots=roots, progress=progress)
        print(json.dumps({"result": told}), flush=True)
    except UserError as error:
        print(json.dumps({"error": str(error).splitlines()}), flush=True)


if __name__ == "__main__":
    main()
