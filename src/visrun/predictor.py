"""A finished run put to use: predictions for new images.

>>> predictor = visrun.load("outputs/2026-01-31/12-00-00_classification")
>>> predictor.predict(["photo.jpg"])
[{'label': 'cat', 'probability': 0.98, ...}]
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from visrun import checkpoint, models
from visrun.build import load as load_ref
from visrun.data.batches import Batches, Targets
from visrun.data.cache import Keep, open_images
from visrun.data.contents import describe
from visrun.data.look import Look
from visrun.data.opening import DEEP_GREY, header, misread, unmapped
from visrun.data.outlines import Window
from visrun.data.placement import Place, places
from visrun.data.threads import mapped
from visrun.device import autocast, choose_device, place
from visrun.errors import PLUGIN_HINT, DataError, UserError
from visrun.folders import expanded
from visrun.memory import without_steps
from visrun.one_pass import recall
from visrun.record.run_files import FILE_NAME
from visrun.record.run_folder import RunFolder, part_of, read_json, run_of
from visrun.record.sweep_table import best_trial_of, trial_of
from visrun.tables import TASKS
from visrun.tasks.base import Mapped, Merging, Prediction, Selecting, Task

BATCH = 32
KEPT_BY_PNG = ("1", "L", "LA", "P", "RGB", "RGBA")  # modes of Pillow, but for 16-bit grey, that it takes as they are


class Predictor:
    """A trained model with its own preprocessing and class names.

    Args:
        module: In evaluation mode, on ``device``.
        task: Turns outputs into predictions.
        portrait: What the checkpoint says of both (see ``visrun.parts.portrait``).
        precision: Of the forward pass, "bf16" or "fp32".
    """

    def __init__(
        self, module: nn.Module, task: Task, portrait: dict[str, Any], device: torch.device, precision: str = "fp32"
    ) -> None:
        self.module, self.task, self.device, self.precision = module, task, device, precision
        self.task_name: str = portrait["task"]
        self.model_name: str = portrait["network"]["name"]
        self.look = Look.of(portrait)

    def predict(
        self, images: Sequence[str | Path | Image.Image | np.ndarray], *, maps: bool = False
    ) -> list[dict[str, Any]]:
        """What the model sees in each image, as plain JSON types; with ``maps`` also what it says of every pixel.

        Args:
            images: Files, Pillow images, or uint8 arrays: (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey.
            maps: Adds NumPy arrays (H, W) of the image's own size, upright. Segmentation: ``mask`` uint8, class ids as
                in the dataset's masks, 255 where nothing was seen (0 where a class has the id 255). Anomaly detection
                by a network that looks at pixels: ``heat`` float32, a probability from 0 to 1, or of PatchCore a
                distance from 0 on, and 0 where nothing was seen; ``mask`` uint8, 255 = defect and else 0, where the run
                found the heat from which on a pixel is one.

        Raises:
            UserError: ``maps`` of a task that says nothing of every pixel.
            DataError: A file that cannot be decoded, an array of another kind, or one image that is in no list.
            OutOfMemory: The network does not fit the device with the images.
        """
        task = self.task
        if maps and not isinstance(task, Mapped):
            raise UserError(f"maps=True: task={self.task_name} says nothing of every pixel; leave it out")
        if isinstance(images, (str, bytes, Path, Image.Image)) or (
            isinstance(images, np.ndarray) and images.ndim in (2, 3)
        ):
            raise DataError("one image: predict takes several; put it in a list, as in predict([image])")
        with tempfile.TemporaryDirectory() as folder:
            paths = [_as_file(image, Path(folder) / f"{i}.png") for i, image in enumerate(images)]
            return [
                task.record(found, 0) | (task.maps(found, 0) if maps and isinstance(task, Mapped) else {})
                for found in self.predictions(paths)
            ]

    def predictions(self, paths: Sequence[Path]) -> Iterator[Prediction]:
        """The prediction for each file, a batch of one in the file's own pixels."""
        sizes = mapped(header, paths, path=lambda path: path)
        cuts = [(number, window) for number, size in enumerate(sizes) for window in self.look.windows(size)]
        made = self._pieces([(paths[n], w) for n, w in cuts], dict(zip(paths, sizes, strict=True)))
        pieces = zip((number for number, _ in cuts), made, strict=True)
        for _, parts in groupby(pieces, key=lambda piece: piece[0]):
            several, placed = zip(*(piece for _, piece in parts), strict=True)
            if len(several) > 1:
                assert isinstance(self.task, Merging), "validated: only a task that merges has tiles"
                yield self.task.merge(several, placed)
            else:
                yield several[0]

    def _pieces(
        self, cuts: Sequence[tuple[Path, Window]], sizes: Mapping[Path, tuple[int, int]]
    ) -> Iterator[tuple[Prediction, Place]]:
        """The prediction for each part of a file, a batch of one in the file's own pixels, and where the file lies."""
        if not cuts:
            return
        source = describe([path for path, _ in cuts], self.look, sizes=sizes, windows=[window for _, window in cuts])
        opened = open_images(source, Keep(cache="stream"), device=self.device)
        size = min(BATCH, len(cuts))
        loader = Batches(opened, Targets("none"), self.look, batch_size=size, device=self.device)
        placed = places(opened, self.look)
        for step, batch in enumerate(loader.epoch(0)):
            found = self._seen(batch.images)
            for i, where in enumerate(placed[step * size : (step + 1) * size]):
                yield self.task.restore(found, i, where), where

    def _seen(self, images: Tensor) -> Prediction:
        with without_steps(self.device, "the prediction", "use device=cpu"):
            with torch.no_grad(), autocast(self.device, self.precision):
                output = self.module(images)
            return self.task.predict(partial(recall, output), images)


def load(run: str | Path, *, device: str | torch.device = "auto", threshold: float | str | None = None) -> Predictor:
    """The best checkpoint of a run, ready to predict; torch's random numbers go on as if it had not been loaded.

    Args:
        run: A run's folder or its experiment.json, a sweep's folder, which stands for its best trial, or a best.pt.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, or torch's device.
        threshold: The score from which on something is reported (an object, one label of several, a defect), in place
            of the task's own, as a number or as it is typed; None = that.

    Raises:
        UserError: No finished checkpoint is there, or it is damaged, or written by another version; a threshold that is
            no score.
    """
    if not isinstance(run, (str, Path)):
        raise UserError(f"{type(run).__name__}: no run; give its folder, its experiment.json or a best.pt")
    least = None if threshold is None else _finite(threshold)
    path = named(run)
    file = RunFolder(path).best if path.is_dir() else path
    if not file.exists():
        raise UserError(f"{file}: no such checkpoint; name the folder of a run that has finished an epoch")
    state = checkpoint.load(file)
    if not {"task", "task_state", "network", "model"} <= state.keys():
        raise UserError(f"{file}: not the best.pt of a run; name a run's folder, its experiment.json or its best.pt")
    target = choose_device(str(device))
    with checkpoint.reading(file), torch.random.fork_rng(devices=[]):
        predictor = _predictor(state, file, target)
    if least is not None:
        if not isinstance(predictor.task, Selecting):
            raise UserError(f"threshold={least:g}: task={predictor.task_name} reports all of an image")
        predictor.task.select(least)
    place(predictor.module.eval(), target)
    return predictor


def _finite(threshold: float | str) -> float:
    try:
        found = float(threshold)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise UserError(f"threshold={threshold}: must be a number, the score from which on something is reported")
    return found


def _predictor(state: dict[str, Any], file: Path, target: torch.device) -> Predictor:
    """What ``state``, read from ``file``, describes; its network still on the CPU."""
    if state["task"] not in TASKS:
        raise UserError(f"{file}: task={json.dumps(state['task'])} is not known here{PLUGIN_HINT}")
    network = state["network"]
    built = models.create(
        network["name"],
        num_outputs=network["num_outputs"],
        image_size=tuple(state["image_size"]),
        dropout=network["dropout"],
        pretrained=False,
        target=TASKS[state["task"]].target,
        options=network["options"],
    )
    checkpoint.fill(built.module, state["model"], file=file)
    task: Task = load_ref(TASKS[state["task"]].build)(**state["task_state"])
    return Predictor(built.module, task, state, target, precision_of(file, target))


def named(run: str | Path) -> Path:
    """A run's folder, for which its experiment.json stands or a sweep whose best trial it is; or a checkpoint.

    Raises what :func:`visrun.record.sweep_table.best_trial_of` does.
    """
    path = expanded(run)
    path = path.parent if path.name == FILE_NAME else path
    return trial_of(path) if (path / FILE_NAME).exists() or not path.is_dir() else best_trial_of(path)


def precision_of(file: Path, device: torch.device) -> str:
    """On a GPU that of the run whose checkpoint it is, in which its thresholds were chosen; fp32 elsewhere."""
    run = run_of(file)
    noted = part_of(read_json(run / FILE_NAME), "result") if device.type == "cuda" and run is not None else {}
    return "bf16" if noted.get("precision") == "bf16" else "fp32"


def _as_file(image: str | Path | Image.Image | np.ndarray, spare: Path) -> Path:
    if isinstance(image, (str, Path)):
        return expanded(image)
    picture = image if isinstance(image, Image.Image) else _from_array(image)
    if picture.mode == "F":
        raise DataError("a float image: its range is not known; convert it to uint8")
    if said := misread(picture):
        raise DataError(f"an image of {said}")
    try:
        with unmapped(picture):
            picture = ImageOps.exif_transpose(picture)
        if picture.mode in DEEP_GREY:
            picture = picture.convert("I").convert("I;16")  # by I, else Pillow swaps the bytes of some
        elif picture.mode not in KEPT_BY_PNG:
            picture = picture.convert("RGB")
        picture.save(spare, "PNG", compress_level=1)  # read once: the quickest
    except (OSError, ValueError, SystemError) as error:  # closed, empty, or of a mode that is not converted
        raise DataError(f"an image of mode {picture.mode}, {picture.width}x{picture.height}: {error}") from error
    return spare


def _from_array(image: object) -> Image.Image:
    if not isinstance(image, np.ndarray):
        raise DataError(f"{type(image).__name__}: no image; give a file, a Pillow image or a uint8 array (H, W, 3)")
    if image.dtype != np.uint8 or not image.size or image.ndim < 2 or image.shape[2:] not in ((), (3,), (4,)):
        raise DataError(f"an array of {image.dtype}, shape {image.shape}: must be uint8, (H, W, 3) or (H, W)")
    return Image.fromarray(image)
