"""The sheet of what a network learns from: every kind of target with what is true of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.opened import shipped
from visrun import lessons
from visrun.config.compose import resolve
from visrun.console import Screen
from visrun.data.verdicts import BESIDE, DEFECT, GOOD, MADE, SOMEWHERE
from visrun.feeding import build_loaders, look_of, read_dataset
from visrun.figures.drawing import BAD, PLAIN, Line, class_colors
from visrun.figures.drawing import GOOD as GREEN
from visrun.tables import TARGETS

NAMES: Any = SimpleNamespace(classes=("cat", "dog", "owl"), targets=("height", "width"), kind="label")
GREY = Image.new("RGB", (16, 16), (128, 128, 128))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[Line]:
    """The lines of captions."""
    lines: list[Line] = []
    real = lessons.caption
    monkeypatch.setattr(lessons, "caption", lambda image, told: (lines.extend(told), real(image, told))[1])
    return lines


def test_every_kind_of_target_is_drawn() -> None:
    assert lessons.DRAW.keys() == TARGETS.keys() - {"none"}


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (torch.tensor(2), [("owl", None)]),
        (torch.tensor([0.25, 0.75, 0.0]), [("dog", 0.75), ("cat", 0.25)]),
        (torch.tensor([1.0, 0.0, 1.0]), [("cat", None), ("owl", None)]),
        (torch.zeros(3), [("no label", None)]),
    ],
)
def test_labels_stand_below_an_image_with_the_shares_of_mixed_ones(
    target: torch.Tensor, told: list[tuple[str, float | None]], said: list[Line]
) -> None:
    lessons.DRAW["label"](GREY, target, NAMES)
    assert said == [Line(name, share=share) for name, share in told]


def test_values_stand_below_an_image(said: list[Line]) -> None:
    lessons.DRAW["value"](GREY, torch.tensor([3.0, -0.123456]), NAMES)
    assert said == [Line("height 3", color=PLAIN), Line("width -0.1235", color=PLAIN)]


def test_classes_of_pixels_are_tinted_and_what_is_ignored_is_not() -> None:
    mask = torch.full((16, 16), 255)
    mask[:, :8] = 1
    pixels = np.asarray(lessons.DRAW["mask"](GREY, mask, NAMES))
    assert (
        np.abs(pixels[8, 8].astype(int) - class_colors(NAMES.classes)[1]).sum()
        < np.abs(np.array([128] * 3) - class_colors(NAMES.classes)[1]).sum()
    )
    assert pixels[8, pixels.shape[1] - 8].tolist() == [128] * 3


@pytest.mark.parametrize(
    ("code", "told", "color", "lined"),
    [
        (GOOD, "good", GREEN, False),
        (DEFECT, "defect", BAD, True),
        (SOMEWHERE, "defect", BAD, False),
        (MADE, "defect, made for training", BAD, True),
    ],
)
def test_defects_are_outlined_and_told(code: int, told: str, color: Any, lined: bool, said: list[Line]) -> None:
    plane = torch.full((16, 16), code if code in (GOOD, SOMEWHERE) else BESIDE)
    plane[4:12, 4:12] = code
    picture = lessons.DRAW["verdict"](GREY, plane, NAMES)
    assert said == [Line(told, color=color)]
    assert (BAD in {color for _, color in picture.crop((0, 0, 256, 256)).getcolors() or ()}) == lined


@pytest.mark.parametrize("kind", ["boxes", "rotated_boxes", "instances"])
def test_objects_are_drawn_without_the_ignored_ones(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = [8.0, 6.0, 8.0, 4.0, 0.0] if kind == "rotated_boxes" else [4.0, 4.0, 12.0, 8.0]
    rows = torch.tensor([[1.0, 0, 1, *shape], [2.0, 1, 2, *shape], [-1.0, -1, -1, *[-1.0] * len(shape)]])
    layers = torch.zeros(1, 4, 4, dtype=torch.uint8)
    layers[0, 1, 1:3] = 1
    shown: dict[str, Any] = {}
    monkeypatch.setattr(lessons, "beside_truth", lambda image, found, truth, *, classes: shown.update(found) or image)
    names = SimpleNamespace(**{**vars(NAMES), "kind": kind})
    lessons.DRAW[kind](GREY, (rows, layers) if kind == "instances" else rows, names)
    assert shown["labels"].tolist() == [1]
    corners = shown["quads"][0].reshape(4, 2) if kind == "rotated_boxes" else shown["boxes"][0].reshape(2, 2)
    assert (corners.min(0).values.tolist(), corners.max(0).values.tolist()) == ([4, 4], [12, 8])
    if kind == "instances":
        (mask,) = shown["masks"]
        assert mask.shape == (16, 16) and mask[4:8, 4:12].float().mean() > 0.7 and not mask[10:].any()


def test_batches_come_as_if_nothing_had_been_drawn(tmp_path: Path) -> None:
    resolved = resolve(["augment=strong", "batch_size=4", "data.cache=stream", "run.device=cpu"], conf=shipped())
    dataset = read_dataset(resolved.settings, Screen(quiet=True))
    built: Any = SimpleNamespace(mean=(0.5,) * 3, std=(0.2,) * 3, square=False)
    look = look_of(resolved.settings, built, (32, 32), dataset.white)
    loaders, _ = build_loaders(resolved, dataset, look, device=torch.device("cpu"), screen=Screen(quiet=True))
    train = loaders["train"]
    before = next(train.epoch(0))
    with Image.open(lessons.draw(train, dataset, tmp_path)) as sheet:
        assert sheet.size[0] > 4 * 160 or sheet.size[1] > 2 * 160
    after = next(train.epoch(0))
    assert torch.equal(before.images, after.images) and torch.equal(before.target, after.target)
    assert [file.name for file in tmp_path.iterdir()] == [lessons.FILE]
