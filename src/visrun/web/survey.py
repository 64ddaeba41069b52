"""What is in a dataset, for the page: what ``visrun check`` finds, a histogram, thumbnails with their labels drawn.

A process of its own does it (``python -m visrun.web.survey``, a JSON object on stdin, JSON lines on stdout), since it
may open a million files, and whatever strange image lies among them.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visrun.config import plugins
from visrun.config.fields import one_of
from visrun.console import log_bug, logged
from visrun.data import demo, files, recognise
from visrun.data.records import Dataset
from visrun.data.threads import Stages, untold
from visrun.errors import DataError, UserError, VisrunError, first_line
from visrun.folders import cache_folder
from visrun.survey.look import Service, look
from visrun.survey.pictures import samples
from visrun.survey.text import SEVERAL
from visrun.tables import TASKS
from visrun.text import first_lines
from visrun.web.roots import Roots
from visrun.web.thumbnails import drawn

THUMBNAILS = 12
BINS = 12
MOST_BARS = 60  # classes of a histogram
MOST_LINES = 40  # problems that are shown
LOOK_LOG = "look.log"  # in the cache, of looks that ended by an error of the code's own
QUALITY = 82  # of a thumbnail's JPEG


def describe(
    root: Path,
    *,
    task: str,
    layout: str,
    roots: Roots,
    progress: Stages = untold,
    choice: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What ``visrun check`` finds for one task, as plain JSON types.

    Args:
        roots: No image outside of them is drawn, whatever a table or a link names.
        choice: Which images, splits and classes a run would have, see `visrun.config.setting_rules.selection`, and
            whether images are decoded, see `visrun.survey.look.look`.

    Raises:
        UserError: The task cannot be trained on it at all.
    """
    found, datasets = look(root, tasks=[task], reader=layout, progress=progress, **(choice or {}))
    service = found.services[0]
    if task not in datasets:
        raise UserError("\n".join([_refusal(root, task, service.reason), *first_lines(service.problems, MOST_LINES)]))
    dataset = datasets[task]
    widths, heights = zip(*dataset.sizes.values(), strict=True) if dataset.sizes else ((0,), (0,))
    return {
        "layout": service.layout,
        "ready": service.ready,
        "classes": len(service.classes),
        "needs": {"text": SEVERAL, "key": "loss", "value": "bce"} if service.multilabel else None,
        "sizes": {"low": [min(widths), min(heights)], "high": [max(widths), max(heights)]},
        "splits": [{"name": name, "images": split.images} for name, split in service.splits.items()],
        "histogram": histogram(service, dataset),
        "problems": first_lines(service.problems, MOST_LINES),
        "warnings": first_lines(service.warnings, MOST_LINES),
        "thumbnails": thumbnails(dataset, roots=roots),
    }


def _refusal(root: Path, task: str, reason: str) -> str:
    """Why a task cannot be trained on a folder, and which tasks its layout is made for."""
    others = [name for name in TASKS if recognise.fitting(root, name)]
    hint = f"; it looks like data for task={one_of(others)}" if others and task not in others else ""
    return f"data.root={root}: for task={task}: {reason}{hint}"


def histogram(service: Service, dataset: Dataset) -> dict[str, Any]:
    """Bars: what is counted for each class by split, or how often values of the first target fall into each bin."""
    if service.counted:
        names = list(service.classes)[:MOST_BARS]
        bars = {name: [split.counts.get(label, 0) for label in names] for name, split in service.splits.items()}
        return {"what": service.counted, "names": names, "more": len(service.classes) - len(names), "splits": bars}
    values = {name: [float(record.target[0]) for record in rows] for name, rows in dataset.splits.items()}
    low, high = min(map(min, values.values())), max(map(max, values.values()))
    width = (high - low) / BINS or 1.0
    bars = {name: [0] * BINS for name in values}
    for name, listed in values.items():
        for value in listed:
            bars[name][min(int((value - low) / width), BINS - 1)] += 1
    names = [f"{low + i * width:.3g}" for i in range(BINS)]
    return {"what": service.targets[0], "names": names, "more": 0, "splits": bars}


def thumbnails(dataset: Dataset, *, roots: Roots) -> list[dict[str, str]]:
    """A few images as data addresses, each with what its label says."""
    found = []
    for record in samples(dataset, THUMBNAILS):
        if not roots.holds(record.image):
            continue
        try:
            picture, caption = drawn(record, dataset)
        except (DataError, OSError):  # decodes no further than its header
            continue
        page = io.BytesIO()
        picture.save(page, "JPEG", quality=QUALITY)
        address = f"data:image/jpeg;base64,{base64.b64encode(page.getvalue()).decode()}"
        found.append({"name": files.shown(record.image, dataset.root), "label": caption, "src": address})
    return found


def main() -> None:
    """Read what to look at, and tell how it goes on, line by line."""
    asked, out = json.load(sys.stdin), sys.stdout

    def tell(what: str, content: Any) -> None:
        print(json.dumps({what: content}), file=out, flush=True)

    with contextlib.redirect_stdout(sys.stderr):  # what plugins print is no answer
        try:
            plugins.load(asked["plugins"], cwd=Path.cwd())
            tell("result", _found(asked, progress=lambda _, done, total: tell("progress", [done, total])))
        except UserError as error:
            tell("error", str(error).splitlines())
        except Exception as error:
            tell("crash", f"{type(error).__name__}: {first_line(error)}{_noted(error)}")


def _noted(error: Exception) -> str:
    """Where the traceback is to be read, in words; "" where no log can be written."""
    log = cache_folder() / LOOK_LOG
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with logged(log):
            log_bug("the look at the dataset failed", error)
    except (OSError, VisrunError):
        return ""
    return f" (see {log})"


def _found(asked: Mapping[str, Any], *, progress: Stages) -> dict[str, Any]:
    task, root = asked["task"], asked["root"]
    folder = demo.build(task, cache_folder() / "demo") if root is None else Path(root)
    roots = Roots([Path(name) for name in asked["roots"]] + ([folder] if root is None else []))
    layout, choice = asked["layout"], asked["choice"]
    return describe(folder, task=task, layout=layout, roots=roots, progress=progress, choice=choice)


if __name__ == "__main__":
    main()
