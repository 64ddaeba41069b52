"""Samples are chosen alike each time and drawn by what is labelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import records
from visrun.data.describe import LINES
from visrun.data.objects import Objects
from visrun.data.outlines import Rle
from visrun.data.records import Dataset
from visrun.survey.pictures import DRAW, labelled, samples, traced
from visrun.tables import READERS, TARGETS, learning

from .conftest import photo

RED = (255, 0, 0)


def dataset(root: Path, task: str) -> Dataset:
    return records.read(root, task=task, val_fraction=0.2)


def test_every_kind_of_target_is_drawn_and_described() -> None:
    assert set(DRAW) == set(LINES) == set(TARGETS) - {"none"}


@pytest.mark.parametrize("task", learning(READERS["coco"].served))
def test_samples_of_every_task_are_drawn(outlines: Path, task: str) -> None:
    found = records.read(outlines, task=task, training=False)
    chosen = samples(found, 5)
    assert len({row.image for row in chosen}) == 5
    assert [row.image for row in samples(found, 5)] == [row.image for row in chosen]
    for row in chosen:
        assert min(labelled(row, found).size) > 100


def test_samples_show_every_class_and_an_image_without_objects(outlines: Path) -> None:
    found = records.read(outlines, task="object_detection", training=False)
    shown = [set(row.target.labels.tolist()) for row in samples(found, 3)]
    assert {0, 1} <= set.union(*shown)
    assert set() in shown


@pytest.mark.parametrize(
    ("task", "folders"),
    [
        ("classification", {"train/a": 20, "train/b": 2, "val/a": 1, "val/b": 3}),
        ("anomaly_detection", {"train/good": 12, "test/good": 2, "test/bent": 2, "test/cut": 9, "test/cut/deep": 3}),
    ],
)
def test_samples_show_classes_and_kinds_of_defects_in_turn(tmp_path: Path, task: str, folders: dict[str, int]) -> None:
    for k, (folder, count) in enumerate(folders.items()):
        for i in range(count):
            photo(tmp_path / folder / f"{i}.png", 100 * k + i)
    shown = [row.image.parent.relative_to(tmp_path).as_posix() for row in samples(dataset(tmp_path, task), 8)]
    assert (
        shown
        == {
            "classification": ["train/a", "train/b"] * 2 + ["train/a", "val/b"] * 2,
            "anomaly_detection": ["train/good", "test/bent", "test/cut", "test/cut/deep"] * 2,
        }[task]
    )


def objects(**more: object) -> Objects:
    return Objects(np.array([0]), np.array([[2.0, 2, 8, 6]]), np.array([False]), **more)  # type: ignore[arg-type]


def test_what_is_traced_lies_where_it_is_labelled() -> None:
    quad = np.array([[[2.0, 2], [8, 2], [8, 6], [2, 6]]])
    runs = np.zeros((10, 12), bool)
    runs[2:6, 2:8] = True
    ends = np.flatnonzero(np.diff(runs.T.ravel().astype(int), prepend=0, append=0))
    counts = tuple(np.diff(ends, prepend=0, append=120).tolist())
    for several in (
        objects(),
        objects(quads=quad),
        objects(outlines=((quad[0],),)),
        objects(outlines=(Rle(counts, (10, 12)),)),
    ):
        image = Image.new("RGB", (120, 100))
        traced(image, several, [RED], size=(10, 12))
        y, x = np.nonzero(np.asarray(image)[..., 0])
        assert np.abs(np.array([x.min(), y.min(), x.max(), y.max()]) - [20, 20, 80, 60]).max() <= 2
        assert not np.asarray(image)[30:50, 30:70].any()  # the middle is free
