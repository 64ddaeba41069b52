"""Whether an exported program answers in its own runtime as PyTorch does."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from importlib.util import find_spec

import torch
from torch import Tensor

from visrun.errors import VisrunError
from visrun.tasks.base import Prediction

CLOSE = 1e-3  # of a value, relative to its size or to 1, that another runtime may differ by
MISSED = 0.01  # share of the values that may differ by more: ties that are decided otherwise


def checked(form: str, data: bytes, images: Tensor, answers: Prediction) -> str:
    """How the file answers to ``images`` in its own runtime, beside PyTorch's ``answers``, for the end of a line.

    Raises:
        VisrunError: It answers something else.
    """
    run = runner(form, data)
    if run is None:
        return "not tried: pip install onnxruntime"
    return f"answers as PyTorch does ({told(differences(answers, run(images)))})"


def runner(form: str, data: bytes) -> Callable[[Tensor], Mapping[str, Tensor]] | None:
    """The program as its own runtime reads it; None where that is not installed."""
    if form == "pt2":
        return torch.export.load(io.BytesIO(data)).module()
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(images: Tensor) -> dict[str, Tensor]:
        return dict(zip(names, map(torch.from_numpy, session.run(names, {"images": images.numpy()})), strict=True))

    return run


def differences(mine: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, bool]]:
    """By how much two programs' outputs of the same names differ.

    Returns:
        Output -> the differences, relative to a value or to 1, and whether it holds whole numbers such as class ids.

    Raises:
        VisrunError: More than a few values differ.
    """
    found, other = {}, in_order(mine, other)
    for name, values in mine.items():
        a, b = values.double(), other[name].double()
        same = (a == b) | (a.isnan() & b.isnan())  # also what is infinite, or no number
        apart = torch.where(same, 0.0, (a - b).abs() / a.abs().clamp(min=1))
        if (apart > CLOSE).double().mean() > MISSED or apart.isnan().any():
            raise VisrunError(f"the exported program gives another {name} than PyTorch; choose another format")
        found[name] = apart, not values.is_floating_point()
    return found


def in_order(mine: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """``other`` with a detector's candidates (B, C, ...) in the order of ``mine``, each beside the nearest: of two
    scores that rounding alone tells apart, either may come first. What has no order stays as it is."""
    if "scores" not in mine or not mine["scores"].numel():
        return other
    size = mine["scores"].shape
    names = [name for name, values in mine.items() if values.shape[:2] == size]
    a, b = (torch.cat([found[name].double()[..., None].flatten(2) for name in names], 2) for found in (mine, other))
    nearest = torch.cdist(a, b, p=torch.inf).min(2).indices
    images = torch.arange(size[0])[:, None]
    return {**other, **{name: other[name][images, nearest] for name in names}}


def told(found: Mapping[str, tuple[Tensor, bool]]) -> str:
    """The differences in words: the largest of what is measured, and of whole numbers how many."""
    measured = [float(apart.amax()) for apart, whole in found.values() if apart.numel() and not whole]
    parts = [f"largest difference {max(measured):.1g}"] if measured else []
    for name, (apart, whole) in found.items():
        if whole and (apart > 0).any():
            parts.append(f"{float((apart > 0).double().mean()):.2g} of {name} differ")
    return ", ".join(parts) or "no difference"
