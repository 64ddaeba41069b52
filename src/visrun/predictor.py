"""A finished run put to use: predictions for new images.

>>> predictor = visrun.load("outputs/2026-01-31/12-00-00_classification")
>>> predictor.predict(["photo.jpg"])
[{'label': 'cat', 'probability': 0.98, ...}]
"""

from __future__ import annotations

import json
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

from visrun import checkpoint, models, thresholds
from visrun.build import load as load_ref
from visrun.data.attempts import attempts
from visrun.data.batches import Batches, Targets
from visrun.data.contents import describe
from visrun.data.images import in_16_bits
from visrun.data.look import Look
from visrun.data.opening import DEEP_GREY, header, misread, unmapped
from visrun.data.outlines import Window
from visrun.data.placement import Place, places
from visrun.data.threads import mapped
from visrun.device import autocast, choose_device, is_out_of_memory, place
from visrun.errors import PLUGIN_HINT, DataError, OutOfMemory, UserError
from visrun.files import part_of
from visrun.folders import expanded
from visrun.memory import without_steps
from visrun.one_pass import recall
from visrun.record.run_folder import RunFolder, read_json, run_of
from visrun.record.sweep_table import best_trial_of, trial_of
from visrun.run_files import FILE_NAME
from visrun.tables import TASKS, model_entry
from visrun.tasks.base import Mapped, Merging, Prediction, Task

BATCH = 32  # images at once, where they fit
STREAM = 4096  # files whose headers are read together
KEPT_BY_PNG = ("1", "L", "LA", "P", "RGB", "RGBA")  # modes of Pillow, but for 16-bit grey, that it takes as they are


class Predictor:
    """A trained model with its own preprocessing and class names.

    Args:
        module: In evaluation mode, on ``device``.
        task: Turns outputs into predictions.
        portrait: What the checkpoint says of both (see ``visrun.parts.Parts.portrait``).
        precision: Of the forward pass, "bf16" or "fp32".
    """

    def __init__(
        self, module: nn.Module, task: Task, portrait: dict[str, Any], device: torch.device, precision: str = "fp32"
    ) -> None:
        self.module, self.task, self.device, self.precision = module, task, device, precision
        self.task_name: str = portrait["task"]
        self.model_name: str = portrait["network"]["name"]
        self.look = Look.of(portrait)
        self.batch = BATCH

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
            OutOfMemory: The network does not fit the device with a single image.
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
        """The prediction for each file, a batch of one in the file's own pixels.

        Raises:
            DataError: A file that cannot be decoded, in its turn; and what :meth:`attempts` does.
        """
        for found in self.attempts(paths):
            if isinstance(found, DataError):
                raise found
            yield found

    def attempts(self, paths: Sequence[Path]) -> Iterator[Prediction | DataError]:
        """As :meth:`predictions`; of a file that cannot be decoded what is wrong with it.

        Raises:
            Late: A file did not come in time, so the others on its drive would not, either.
            OutOfMemory: The network does not fit the device with a single image.
        """
        for start in range(0, len(paths), STREAM):
            yield from self._attempts(paths[start : start + STREAM])

    def _attempts(self, paths: Sequence[Path]) -> Iterator[Prediction | DataError]:
        read = mapped(partial(_size, look=self.look), paths, path=lambda path: path)
        sizes = {number: size for number, size in enumerate(read) if not isinstance(size, DataError)}
        cuts = [(number, window) for number, size in sizes.items() for window in self.look.windows(size)]
        made = self._pieces([(paths[n], w) for n, w in cuts], {paths[n]: size for n, size in sizes.items()})
        files = groupby(zip((number for number, _ in cuts), made, strict=True), key=lambda piece: piece[0])
        for size in read:
            yield size if isinstance(size, DataError) else self._whole([piece for _, piece in next(files)[1]])

    def _whole(self, pieces: Sequence[tuple[Prediction | DataError, Place]]) -> Prediction | DataError:
        """What is said of a file by its pieces, or what is wrong with it."""
        parts = [part for part, _ in pieces if not isinstance(part, DataError)]
        if len(parts) < len(pieces) or len(pieces) == 1:
            return next((part for part, _ in pieces if isinstance(part, DataError)), pieces[0][0])
        assert isinstance(self.task, Merging), "validated: only a task that merges has tiles"
        return self.task.merge(parts, [place for _, place in pieces])

    def _pieces(
        self, cuts: Sequence[tuple[Path, Window]], sizes: Mapping[Path, tuple[int, int]]
    ) -> Iterator[tuple[Prediction | DataError, Place]]:
        """For each part of a file the prediction, a batch of one in the file's own pixels, or what is wrong with the
        file, and where the file lies. Where memory runs out, fewer are predicted at once from there on."""
        done = 0
        while done < len(cuts):
            size = min(self.batch, len(cuts) - done)
            end = len(cuts) - (len(cuts) - done) % size  # what does not fill a batch comes in one of its own
            try:
                for piece in self._batched(cuts[done:end], sizes, size):
                    yield piece
                    done += 1
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    told = f"out of memory on {self.device} in the prediction of one image: use device=cpu"
                    raise OutOfMemory(told) from error
                self.batch = size // 2
            if self.batch < size and self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _batched(
        self, cuts: Sequence[tuple[Path, Window]], sizes: Mapping[Path, tuple[int, int]], size: int
    ) -> Iterator[tuple[Prediction | DataError, Place]]:
        """As :meth:`_pieces`, of a multiple of ``size`` parts, so many at once."""
        source = describe([path for path, _ in cuts], self.look, sizes=sizes, windows=[window for _, window in cuts])
        images = attempts(source)
        loader = Batches(images, Targets("none"), self.look, batch_size=size, device=self.device)
        placed = places(images, self.look)
        for step, batch in enumerate(loader.epoch(0)):
            found = self._seen(batch.images)
            for i, number in enumerate(range(step * size, (step + 1) * size)):
                fault, where = images.faults.get(number), placed[number]
                yield self.task.restore(found, i, where) if fault is None else fault, where

    def _seen(self, images: Tensor) -> Prediction:
        with torch.no_grad(), autocast(self.device, self.precision):
            output = self.module(images)
        return self.task.predict(partial(recall, output), images)


def _size(path: Path, look: Look) -> tuple[int, int] | DataError:
    """Width and height of a file, or what is wrong with its header."""
    try:
        return look.visible(header(path), path)
    except DataError as error:
        return error


def load(
    run: str | Path,
    *,
    device: str | torch.device = "auto",
    threshold: float | str | Mapping[str, float] | None = None,
) -> Predictor:
    """The best checkpoint of a run, ready to predict; torch's random numbers go on as if it had not been loaded.

    Args:
        run: A run's folder or its experiment.json, a sweep's folder, which stands for its best trial, or a best.pt.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, or torch's device.
        threshold: The score from which on something is reported (an object, one label of several, a defect), in place
            of the task's own, as a number or as it is typed; of a classifier also by class, ``{"cat": 0.8}``: the
            probability from which on a label is, or an image of one label is called so. None = the task's own.

    Raises:
        UserError: No finished checkpoint is there, or it is damaged, or written by another version; a threshold that is
            no score.
        OutOfMemory: The network has no room on the device, which others may have filled.
    """
    if not isinstance(run, (str, Path)):
        raise UserError(f"{type(run).__name__}: no run; give its folder, its experiment.json or a best.pt")
    if threshold is not None:
        thresholds.asked_for(threshold)  # what is no number is told at once
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
    if threshold is not None:
        asked = thresholds.asked_for(threshold, classes=predictor.task.state().get("classes", ()))
        highest = model_entry(state["network"]["name"]).highest_score
        thresholds.select(predictor.task, asked, name=predictor.task_name, highest=highest)
    with without_steps(target, "placing the network", "see nvidia-smi for what else is there, or use device=cpu"):
        place(predictor.module.eval(), target)
    return predictor


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
            picture = in_16_bits(picture)
        elif picture.mode not in KEPT_BY_PNG:
            picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
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
