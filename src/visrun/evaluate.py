"""``visrun evaluate``: the metrics of a finished run on a dataset, and which of its images are the worst."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL import Image

from visrun import drawings, gallery, thresholds
from visrun.allocator import kept_memory
from visrun.arguments import VERBS, options
from visrun.config.compose import Resolved, resolve
from visrun.config.spelling import to_override
from visrun.console import Screen
from visrun.data.batches import Batches
from visrun.data.cache import Keep
from visrun.data.records import Dataset
from visrun.errors import DataError, UserError
from visrun.figures.drawing import LEAST, PAD, Line, caption, fitted
from visrun.figures.sheet import sheet
from visrun.files import write_atomic, writing
from visrun.folders import expanded
from visrun.loaders import split_batches
from visrun.memory import without_steps
from visrun.one_pass import Tell, evaluate
from visrun.origin import Origin, dataset_for
from visrun.predictor import Predictor, load, named
from visrun.record.run_folder import run_of
from visrun.tables import TARGETS
from visrun.tasks.base import Metric, Selecting
from visrun.thresholds import Graded

# What it reads; all else is the run's own.
READS = (
    *("split", "data", "data.root", "data.targets", "data.on_bad", "data.workers", "batch_size", "device", "out"),
    *("threshold", "recall"),
)
WORST = 24  # pictures on the sheet
IMAGES, SHEET, THRESHOLDS = "images.jsonl", "worst.png", "thresholds.csv"


@runtime_checkable
class Itemised(Protocol):
    """A metric that knows of each image that it has seen how large its ``error`` is, and more; in their order."""

    def by_image(self) -> list[dict[str, Any]]: ...


def main(words: Sequence[str]) -> int:
    """``visrun evaluate RUN [data.root=PATH] [key=value ...]``: the task's metrics as one JSON line; into ``out=`` also
    pictures, and a JSON line for each image, the worst first. ``threshold=`` counts as in ``visrun predict``;
    ``recall=`` adds the highest threshold that reaches it.

    Without ``data.root`` or ``data=demo`` of the dataset that the run was trained on. Classes and values are matched by
    name. The test split counts, else val, else train; of data without splits all images, or those that the run held
    out where it was trained on the same data.

    Raises:
        ConfigError: A setting that would change nothing.
        UserError: No run, or no dataset; a threshold or a recall that the task does not take.
    """
    asked, names = options("evaluate", words, READS)
    out, wanted = asked.pop("out", None), asked.pop("split", None)
    if len(names) != 1:
        raise UserError(f"usage: {VERBS['evaluate'].usage}")
    least = thresholds.least_recall(asked.pop("recall")) if "recall" in asked else None
    threshold = asked.pop("threshold", None)
    predictor = load(names[0], device=asked.pop("device", "auto"), threshold=threshold)
    if threshold or least:
        typed = f"threshold={threshold}" if threshold else f"recall={least:g}"
        thresholds.require_graded(predictor.task, typed, name=predictor.task_name)
    screen, origin = Screen(stderr=True), Origin(run_of(named(names[0])))
    resolved = _resolved(predictor, origin, asked)
    settings = origin.grouped(resolved.settings)
    dataset = origin.as_split(predictor, dataset_for(predictor, settings, screen), settings, screen)
    split = chosen(dataset, wanted)
    if split != "train":
        origin.tell_learnt(dataset, split, screen)
    keep = Keep(cache="stream", workers=settings.data.workers, on_bad=settings.data.on_bad)
    size = resolved.hyperparameters.batch_size
    loader = split_batches(dataset, split, predictor.look, keep, batch_size=size, device=predictor.device)
    for line in loader.images.bad:
        screen.warn(f"left out: {line}")
    folder = None if out is None else folder_for(out, named(names[0]), dataset)
    metric = predictor.task.metric()
    with kept_memory(), without_steps(predictor.device, "the evaluation", "use a smaller batch_size, or device=cpu"):
        try:
            found = measured(predictor, loader, metric, tell=partial(screen.progress, f"measuring {split}"))
        finally:
            screen.end_progress()
        reaching = thresholds.at_recall(metric, least, split=split) if least and isinstance(metric, Graded) else []
        added = {"at_recall": reaching} if reaching else {}
        print(json.dumps({"split": split, **found, **added}, ensure_ascii=False), flush=True)
        for row in reaching:
            print(thresholds.told(row), file=sys.stderr)
        if folder is not None:
            show(predictor, loader, metric, dataset, folder)
            print(f"pictures: {folder}", file=sys.stderr)
    return 0


def _resolved(predictor: Predictor, origin: Origin, asked: Mapping[str, str]) -> Resolved:
    """The run's task and model, and the dataset that is asked for, else the run's own."""
    own = [f"task={predictor.task_name}", to_override("model.name", predictor.model_name), "tracking=none"]
    if not ("data.root" in asked or asked.get("data") == "demo"):
        own += origin.words(besides=asked)
    return resolve([*own, *(f"{key}={value}" for key, value in asked.items())])


def folder_for(out: str, run: Path, dataset: Dataset) -> Path:
    """The folder ``out`` for what is shown of a dataset, made.

    Raises:
        UserError: It cannot be written, or lies in the dataset, whose images its pictures would join.
    """
    if dataset.root.is_dir() and expanded(out).resolve().is_relative_to(dataset.root.resolve()):
        raise UserError(
            f"out={out}: lies in the dataset, and its pictures would be read as images; name another folder"
        )
    return drawings.made(drawings.folder_of(run, out))


def chosen(dataset: Dataset, wanted: str | None) -> str:
    """The split that is named, else the first of test, val and train that there is."""
    split = wanted or next(name for name in ("test", "val", "train") if name in dataset.splits)
    if split not in dataset.splits:
        raise DataError(f"split={split}: {dataset.root} has {', '.join(dataset.splits)}; name one of these")
    return split


def measured(predictor: Predictor, loader: Batches, metric: Metric, *, tell: Tell) -> dict[str, Any]:
    """How many images were looked at, and the metrics with six digits."""
    metrics = evaluate(
        predictor.task,
        predictor.module,
        loader,
        metric,
        device=predictor.device,
        precision=predictor.precision,
        with_loss=False,
        tell=tell,
    )
    images = {loader.images.source.paths[row] for row in loader.images.kept}
    return {"images": len(images), **rounded(metrics)}


def rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with six digits of each number, but those of the data within."""
    digits = {name: float(f"{value:.6g}") for name, value in values.items() if isinstance(value, float)}
    return {**values, **digits}


def show(predictor: Predictor, loader: Batches, metric: Metric, dataset: Dataset, folder: Path) -> None:
    """Write into ``folder`` what the metric can show of the images that it has seen, the worst of them first.

    Raises:
        UserError: It cannot be written, or a picture would replace an image of the dataset.
    """
    paths, task = loader.images.paths, predictor.task
    drawings.protect(paths, folder=folder, names=[SHEET, *gallery.PICTURES])
    with writing(folder):
        gallery.of_metric(metric, task, dataset, folder)
        if isinstance(metric, gallery.Ranking) and isinstance(task, Selecting) and (best := metric.curves()[1]):
            task.select(best[0])  # from which on detections count as false, and so are drawn
        if isinstance(metric, Graded):
            write_atomic(folder / THRESHOLDS, thresholds.table(metric))
        if isinstance(metric, Itemised):
            found = by_error(loader, metric.by_image())
            lines = [{"image": str(paths[rows[0]]), **rounded(facts)} for rows, facts in found]
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            (folder / IMAGES).write_text(text, encoding="utf-8", errors="backslashreplace")  # names may be no text
            errors = {fullest(loader, rows): facts["error"] for rows, facts in found[:WORST]}
            sheet(worst(predictor, loader, errors, dataset.root), folder / SHEET)


def by_error(loader: Batches, facts: Sequence[dict[str, Any]]) -> list[tuple[list[int], dict[str, Any]]]:
    """What is known of each image, the largest error first and of equal ones the smallest ``margin``, with the pictures
    that are of it: its tiles, or one.

    Args:
        facts: Of each image, in the order of the split.
    """
    pictures: dict[int, list[int]] = {}
    for row in range(len(loader.images)):
        number = loader.scenes[row].image if TARGETS[loader.targets.kind].objects else row
        pictures.setdefault(number, []).append(row)
    return sorted(
        zip(pictures.values(), facts, strict=True), key=lambda pair: (-pair[1]["error"], pair[1].get("margin", 0))
    )


def fullest(loader: Batches, rows: Sequence[int]) -> int:
    """Of an image's pictures the one that shows the most of its objects."""
    if len(rows) == 1:
        return rows[0]
    windows = loader.images.windows
    return max(rows, key=lambda row: len(loader.scenes[row].truth.within(windows[row])))


def worst(predictor: Predictor, loader: Batches, errors: Mapping[int, float], root: Path) -> list[Image.Image]:
    """The pictures of ``errors``, which has them by their number, with what was said and what is true; below each its
    file's name, or where names repeat its path in the dataset's ``root``."""
    found = gallery.samples(predictor.task, predictor.module, loader, [*errors], precision=predictor.precision)
    paths = loader.images.paths
    repeat = len({path.name for path in paths}) < len({*paths})
    names = {row: below(paths[row], root) if repeat else paths[row].name for row in errors}
    lines = {row: (names[row], f"error {error:.3g}") for row, error in errors.items()}
    return [caption(picture, [Line(text) for text in lines[row]]) for row, picture in found.items()]


def below(path: Path, root: Path) -> str:
    """Where a file lies in ``root``, without as many of its first folders as are too much for a caption."""
    there = path.relative_to(root) if path.is_relative_to(root) else path
    texts = [there.as_posix(), *(Path("…", *there.parts[first:]).as_posix() for first in range(1, len(there.parts)))]
    return next((text for text in texts if fitted(text, LEAST - 2 * PAD) == " ".join(text.split())), path.name)
