"""``visrun export``: a finished run as one program for other runtimes, from pixels to the task's named tensors.

A program takes RGB images (B, 3, H, W) float32 in [0, 1] of the run's own size and holds its normalisation, its
network, and all of the task's predictions that work on tensors of fixed shapes. What it does not hold, how a picture is
fitted to that size and the suppression of a detector's doubles, its description names.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from visrun.arguments import VERBS, options
from visrun.config.fields import one_of
from visrun.data.geometry import LONGEST, MARGIN
from visrun.errors import UserError, VisrunError, first_line
from visrun.files import write_atomic, write_named, writing
from visrun.folders import expanded
from visrun.near import did_you_mean
from visrun.predictor import Predictor, load, named
from visrun.record.run_folder import run_of
from visrun.runtimes import checked
from visrun.tables import TARGETS, TASKS, model_entry
from visrun.tasks.base import Forward, Prediction, Proposing

READS = ("format", "out")
NAME = "model"  # of the file where none is named
METADATA = "visrun"  # under which a program's file holds its description
MOST_IMAGES = 256  # of a batch


class Deployed(nn.Module):
    """Everything between pixels and predictions that a runtime without visrun can do.

    Args:
        module: In evaluation mode, on the CPU.
        report: ``report(module, images)`` for normalised images; see :class:`visrun.tasks.base.Task`.
        mean: Of each channel; std: likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, module: nn.Module, report: Callable[[Forward, Tensor], Prediction], mean: Any, std: Any) -> None:
        super().__init__()
        self.module, self.report = module, report
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def forward(self, images: Tensor) -> Prediction:
        """(B, 3, H, W) float32 in [0, 1] to named tensors of leading dimension B."""
        return self.report(self.module, (images - self.mean) / self.std)


def main(words: Sequence[str]) -> int:
    """``visrun export RUN [format=onnx] [out=FILE]``: writes the program and prints its description, a JSON line.

    Raises:
        UserError: No run, no such format, or a file that cannot be written.
        VisrunError: A network that cannot leave PyTorch.
    """
    asked, names = options("export", words, READS)
    if len(names) != 1:
        raise UserError(f"usage: {VERBS['export'].usage}")
    form, out = target(asked.get("format"), asked.get("out"))
    predictor = load(names[0], device="cpu")
    file = out or (run_of(named(names[0])) or Path()) / f"{NAME}.{form}"
    with writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), _quiet():
        deployed = deployable(predictor)
        program, batch = exported(deployed, predictor.look.image_size)
        images = torch.rand(batch or 3, 3, *predictor.look.image_size, generator=torch.Generator().manual_seed(0))
        answers = deployed(images)
        described = description(predictor, answers, batch)
        data = FORMATS[form](program, described)
        answered = checked(form, data, images, answers)
    (write_named if out else write_atomic)(file, data)
    print(json.dumps({"file": str(file), **described}, ensure_ascii=False))
    print(f"{file}: {len(data) / 1e6:.1f} MB, {answered}", file=sys.stderr)
    return 0


def target(form: str | None, out: str | None) -> tuple[str, Path | None]:
    """The format, which a file's suffix may name as well, and that file.

    Raises:
        UserError: A format that is not known, or another than the file's suffix.
    """
    if form is not None and form not in FORMATS:
        raise UserError(f"format={form}: must be {one_of(list(FORMATS))}{did_you_mean(form, FORMATS)}")
    if out is None:
        return form or "onnx", None
    file = expanded(out)
    if file.is_dir():
        raise UserError(f"out={out}: is a folder; name a file in it")
    suffix = file.suffix[1:]
    if suffix not in FORMATS or suffix != (form or suffix):
        known = [f".{form}"] if form else [f".{name}" for name in FORMATS]
        raise UserError(f"out={out}: must be a file that ends in {one_of(known)}")
    return suffix, file


def deployable(predictor: Predictor) -> Deployed:
    """The run's network with what stands before and behind it.

    Raises:
        UserError: A detector whose tensors have no fixed shapes.
    """
    name, task = predictor.model_name, predictor.task
    if not model_entry(name).static_shapes:
        raise UserError(f"model={name}: finds a number of boxes that no program fixes; to export, train another model")
    report = task.propose if isinstance(task, Proposing) else task.predict
    return Deployed(predictor.module, report, predictor.look.mean, predictor.look.std).eval().requires_grad_(False)


def exported(deployed: Deployed, size: tuple[int, int]) -> tuple[ExportedProgram, int | None]:
    """The traced program, and how many images it takes at once: None is any number, which not every network can.

    Args:
        size: (height, width) of the images.

    Raises:
        VisrunError: It cannot be traced at all.
    """
    several = {0: torch.export.Dim("batch", max=MOST_IMAGES)}
    try:
        return torch.export.export(deployed, (torch.rand(2, 3, *size),), dynamic_shapes=(several,)), None
    except Exception:  # whatever the network's own code and the tracer say
        try:
            return torch.export.export(deployed, (torch.rand(1, 3, *size),)), 1
        except Exception as error:
            raise VisrunError(
                f"this network cannot be exported ({first_line(error, most=200)}); choose another model"
            ) from error


def description(predictor: Predictor, answers: Prediction, batch: int | None) -> dict[str, Any]:
    """What a reader of the program must know, as plain JSON types.

    Args:
        predictor: Of the run.
        answers: Of its program, to any images.
        batch: How many images it takes; None = any number.
    """
    look, first = predictor.look, batch or "batch"
    outputs = {
        name: {"shape": [first, *values.shape[1:]], "dtype": str(values.dtype).removeprefix("torch.")}
        for name, values in answers.items()
    }
    found: dict[str, Any] = {
        "task": predictor.task_name,
        "model": predictor.model_name,
        "images": {"shape": [first, 3, *look.image_size], "dtype": "float32", "range": [0, 1], "channels": "RGB"},
        "fit": look.fit,
        "resize": {"margin": MARGIN[look.fit], "longest": LONGEST, "filter": "bilinear, antialiased, never larger"},
        "place": {"filter": "bilinear", "begin": "centred, rounded down to a pixel of the image"},
        "border": list(look.mean),  # exactly, since a picture ends where all channels are 0
        "outputs": outputs,
        "state": predictor.task.state(),
    }
    if look.white is not None:
        found |= {"white": look.white}
    if look.tile is not None:
        found |= {"tile": look.tile, "overlap": look.overlap}
    if isinstance(predictor.task, Proposing):
        found["suppress"] = {"iou": predictor.task.same, "classes": "apart"}
        most = TARGETS[TASKS[predictor.task_name].target].most
        found["report"] = {"most": most, "score": predictor.task.recorded_from}
    return found


def as_pt2(program: ExportedProgram, described: Mapping[str, Any]) -> bytes:
    """The bytes of a file for ``torch.export.load``."""
    stream = io.BytesIO()
    torch.export.save(program, stream, extra_files={METADATA: json.dumps(described, ensure_ascii=False)})
    return stream.getvalue()


def as_onnx(program: ExportedProgram, described: Mapping[str, Any]) -> bytes:
    """The bytes of an ONNX file, whose inputs and outputs have their names.

    Raises:
        UserError: A package that it needs is not installed.
        VisrunError: ONNX lacks a part of the network.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise UserError(f"format=onnx: pip install {' '.join(missing)}; or choose format=pt2, which does without")
    try:
        with redirect_stdout(io.StringIO()):  # where onnxscript counts what it has rewritten
            written = torch.onnx.export(program, verbose=False)
    except Exception as error:
        inner: BaseException = error
        while inner.__cause__ is not None:  # the outer ones say at which step, and not what
            inner = inner.__cause__
        raise VisrunError(
            f"this network cannot be written as ONNX ({first_line(inner, most=200)}); try format=pt2"
        ) from error
    assert written is not None, "no file was named"
    _name(written.model.graph, list(described["outputs"]))
    written.model.metadata_props[METADATA] = json.dumps(described, ensure_ascii=False)
    return bytes(written.model_proto.SerializeToString())


FORMATS: dict[str, Callable[[ExportedProgram, Mapping[str, Any]], bytes]] = {"onnx": as_onnx, "pt2": as_pt2}


def _name(graph: Any, outputs: Sequence[str]) -> None:
    """Give a graph's input and outputs their names, which no value inside may have, and its batch one as well."""
    for node in graph.all_nodes():
        for value in node.outputs:
            if value.name in (*outputs, "images"):
                value.name = f"{value.name}_inside"
    for value, name in zip((*graph.inputs, *graph.outputs), ("images", *outputs), strict=True):
        value.name = name
        if not isinstance(value.shape[0], int):
            value.shape[0] = "batch"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the tracer and the converter tell their developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
