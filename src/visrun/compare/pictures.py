"""Predictions of several runs on the same images, each drawn by its task. This module imports torch."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from visrun import feeding
from visrun.compare.gallery import Cell, Gallery, Sample
from visrun.compare.runs import Run
from visrun.config.setting_rules import SPLITTING
from visrun.config.settings import Settings
from visrun.console import Screen
from visrun.data.files import shown
from visrun.data.images import load_rgb, mask_of
from visrun.data.listing import Record
from visrun.data.records import Dataset
from visrun.detection.results import target_of
from visrun.errors import UserError, VisrunError, first_line
from visrun.numbers import evenly
from visrun.predictor import load
from visrun.record.remember import remembered
from visrun.record.run_folder import RunFolder
from visrun.record.run_settings import text
from visrun.tables import TARGETS, TASKS, model_entry

WIDEST = 720  # pixels of an embedded picture
QUALITY = 85  # of JPEG
WORDS = 160  # letters of a prediction in words


class Unavailable(Exception):
    """There can be no pictures; the message is the reason, for people."""


def gallery(runs: Sequence[Run], *, count: int, device: str, screen: Screen) -> Gallery:
    """Images spread over the test split, or over val where there is no test, as every run predicts them.

    An image that is held out for one run and not for another (another seed, another share of val) is not taken.

    Args:
        count: How many images, at most.
        device: As in :func:`visrun.predictor.load`.
        screen: Shows how far it is.
    """
    try:
        able = [run for run in runs if RunFolder(run.folder).best.exists()]
        data = _same_data(able)
        split, records = held_out(data)
    except Unavailable as reason:
        return Gallery(reasons=(str(reason),))
    records = [records[i] for i in evenly(count, of=len(records))]
    columns, reasons = _columns(runs, able, data[0], records, device, screen)
    samples = [
        Sample(
            name=text(shown(record.image, _base(data[0]))),
            truth=truth(record, data[0], TASKS[runs[0].task].target),
            cells=tuple(column[i] if column else None for column in columns),
        )
        for i, record in enumerate(records)
    ]
    return Gallery(split, tuple(samples) if any(columns) else (), tuple(reasons))


def _columns(
    runs: Sequence[Run], able: Sequence[Run], dataset: Dataset, records: Sequence[Record], device: str, screen: Screen
) -> tuple[list[list[Cell] | None], list[str]]:
    """For each run its cells, or None, and why some have none."""
    columns: list[list[Cell] | None] = []
    without = ", ".join(run.name for run in runs if run not in able)
    reasons = [f"no best checkpoint: {without}"] if without else []
    try:
        for done, run in enumerate(runs):
            screen.progress("predicting", done, len(runs))
            try:
                columns.append(_column(run, dataset, records, device) if run in able else None)
            except (VisrunError, RuntimeError) as error:  # another version's model, or too little memory on the device
                columns.append(None)
                reasons.append(f"{run.name}: {first_line(error)}")
    finally:
        screen.end_progress()
    return columns, reasons


def _same_data(runs: Sequence[Run]) -> list[Dataset]:
    """The dataset behind all runs, once for each way in which they split it.

    Raises:
        Unavailable: The runs have no checkpoint, other data, or data that are no longer there.
    """
    if not runs:
        raise Unavailable("no run has a checkpoint")
    if len({run.fingerprint for run in runs}) > 1:
        raise Unavailable("the runs were trained on different data")
    try:
        settings = [remembered(run.folder).settings for run in runs]
        # A model that learns from good images alone has other splits.
        ways = {(one.seed, *_splitting(one).values(), model_entry(one.model.name).gradient): one for one in settings}
        places = {(one.data.name, one.data.root): one for one in settings}
        problem = ""
        for place in places.values():
            try:
                return [_read(place, way, runs[0].fingerprint) for way in ways.values()]
            except UserError as error:
                problem = problem or first_line(error)
    except UserError as error:
        raise Unavailable(str(error)) from None
    raise Unavailable(f"the data are not there any more as the runs read them: {problem}")


def _read(place: Settings, way: Settings, fingerprint: str | None) -> Dataset:
    """The dataset at one run's place, split as another's."""
    data = place.data.model_copy(update=_splitting(way))
    dataset = feeding.read_dataset(
        place.model_copy(update={"seed": way.seed, "data": data, "model": way.model}), Screen(stderr=True, quiet=True)
    )
    if dataset.fingerprint != fingerprint:
        raise UserError(f"{dataset.root} has changed since")
    return dataset


def _splitting(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings.data, name) for name in SPLITTING}


def held_out(data: Sequence[Dataset]) -> tuple[str, list[Record]]:
    """The split that is looked at, and the records that are in it for every run.

    Raises:
        Unavailable: There are none.
    """
    split = "test" if "test" in data[0].splits else "val"
    others = [{record.image for record in dataset.splits[split]} for dataset in data[1:]]
    records = [record for record in data[0].splits[split] if all(record.image in other for other in others)]
    if not records:
        raise Unavailable(f"no image is in the {split} split of all runs (their seeds, folds or shares of val differ)")
    return split, records


def truth(record: Record, dataset: Dataset, kind: str) -> str:
    """What is true of an image in words; "" where only a picture can show it."""
    if kind == "label":
        labels = record.target if isinstance(record.target, tuple) else (record.target,)
        return text(", ".join(dataset.classes[label] for label in labels) or "none")
    if kind == "value":
        pairs = zip(dataset.targets, record.target, strict=True)
        return text(", ".join(f"{name} {value:.4g}" for name, value in pairs))
    return ""


def _column(run: Run, dataset: Dataset, records: Sequence[Record], device: str) -> list[Cell]:
    predictor = load(run.folder, device=device)
    cells = []
    predictions = predictor.predictions([record.image for record in records])
    for record, prediction in zip(records, predictions, strict=True):
        pixels = load_rgb(record.image, white=predictor.look.white)
        target = _drawable(record, dataset, pixels.shape[:2])
        picture = predictor.task.draw(Image.fromarray(pixels), prediction, 0, target=target)
        words = json.dumps(predictor.task.record(prediction, 0), ensure_ascii=False)
        cells.append(cell(picture, words if len(words) <= WORDS else f"{words[: WORDS - 1]}…"))
    return cells


def _drawable(record: Record, dataset: Dataset, size: tuple[int, int]) -> Any:
    """What is true of an image of ``size`` (height, width), in its pixels and as its task draws it."""
    if TARGETS[dataset.kind].painted:
        return mask_of(record.target, dataset.mask_ids, size)
    if TARGETS[dataset.kind].objects:
        return target_of(record.target, size, kind=dataset.kind, most=WIDEST)
    return record.target


def cell(picture: Image.Image, words: str) -> Cell:
    """``picture`` embedded, as PNG or JPEG, whichever is smaller."""
    small = picture.convert("RGB")
    small.thumbnail((WIDEST, small.height), Image.Resampling.LANCZOS, reducing_gap=None)  # leaves one no wider
    encoded = []
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": QUALITY, "subsampling": 0})):
        buffer = io.BytesIO()
        small.save(buffer, kind, **options)
        encoded.append((len(buffer.getvalue()), kind, buffer.getvalue()))
    _, kind, data = min(encoded)
    address = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return Cell(address, small.width, small.height, text(words))


def _base(dataset: Dataset) -> Path:
    return dataset.root if dataset.root.is_dir() else dataset.root.parent
