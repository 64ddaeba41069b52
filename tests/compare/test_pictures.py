"""Which images are shown, what is said of them, and why there may be none."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from visrun.build import load
from visrun.compare import pictures
from visrun.compare.find import find
from visrun.config.compose import resolve
from visrun.console import Screen
from visrun.data import records
from visrun.data.listing import Record
from visrun.data.objects import Objects, corners_of
from visrun.data.placement import Place
from visrun.data.records import Dataset
from visrun.tables import TASKS


def dataset(**splits: str) -> Dataset:
    """One whose splits hold an image for each letter."""
    rows = {name: tuple(Record(Path(letter), 0, letter) for letter in letters) for name, letters in splits.items()}
    return Dataset(root=Path(), layout="folder", splits=rows, classes=("x", "y"), targets=("w", "h"), sizes={})


def letters(found: tuple[str, list[Record]]) -> tuple[str, str]:
    return found[0], "".join(record.where for record in found[1])


def test_the_test_split_comes_before_val() -> None:
    assert letters(pictures.held_out([dataset(train="a", val="b", test="cd")])) == ("test", "cd")
    assert letters(pictures.held_out([dataset(train="a", val="bc")])) == ("val", "bc")


def test_only_images_that_no_run_was_trained_on() -> None:
    seeds = [dataset(train="ab", val="cdef"), dataset(train="cf", val="abde")]
    assert letters(pictures.held_out(seeds)) == ("val", "de")
    with pytest.raises(pictures.Unavailable, match="no image is in the val split of all runs"):
        pictures.held_out([dataset(train="ab", val="cd"), dataset(train="cd", val="ab")])


@pytest.mark.parametrize(
    ("target", "kind", "words"),
    [
        (1, "label", "y"),
        ((0, 1), "label", "x, y"),
        ((), "label", "none"),
        ((1.5, 20.0), "value", "w 1.5, h 20"),
        (Path("mask.png"), "mask", ""),
    ],
)
def test_the_truth_in_words(target: object, kind: str, words: str) -> None:
    assert pictures.truth(Record(Path("a"), target, "a"), dataset(val="a"), kind) == words


@pytest.mark.parametrize("name", ["object_detection", "oriented_object_detection", "instance_segmentation"])
def test_objects_are_drawn_beside_the_truth(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file whose sides are no multiples of 4; the truth is in the right half, and one object of it is a crowd."""
    Image.new("RGB", (63, 45), (90, 90, 90)).save(tmp_path / "a.png")
    boxes = np.array([[6.0, 5, 40, 30], [41, 20, 63, 45]])
    corners = corners_of(boxes)
    some = Objects(np.array([1, 0]), boxes, np.array([False, True]), corners, tuple((part,) for part in corners))
    task = load(TASKS[name].build)(classes=["x", "y"])
    empty = {"boxes": torch.zeros(1, 1, 5 if name.startswith("oriented") else 4), "scores": torch.zeros(1, 1)}
    empty |= {"labels": torch.full((1, 1), -1), "masks": torch.zeros(1, 1, 16, 16, dtype=torch.uint8)}
    found = task.restore(empty, 0, Place((0, 9, 64, 55), (45, 63)))
    look = SimpleNamespace(white=None)
    model = SimpleNamespace(task=task, look=look, predictions=lambda paths: [found for _ in paths])
    monkeypatch.setattr(pictures, "load", lambda *_, **__: model)

    def picture(objects: Objects) -> Image.Image:
        data = replace(dataset(val="a"), kind=TASKS[name].target)
        (drawn,) = pictures._column(
            SimpleNamespace(folder=tmp_path), data, [Record(tmp_path / "a.png", objects, "a")], "cpu"
        )
        return decoded(drawn.address).convert("RGB")

    plain, shown = picture(some.pick([])), picture(some.pick([0]))
    changed = np.argwhere(np.abs(np.asarray(shown, int)[: plain.height] - np.asarray(plain, int)).max(2) > 40)
    assert len(changed) and changed[:, 1].min() > plain.width / 2
    assert (np.asarray(picture(some)) == np.asarray(shown)).all()  # a crowd is neither to be found nor wrong to find


def decoded(address: str) -> Image.Image:
    kind, _, data = address.partition(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"data:image/{image.format.lower()}"
    return image


def test_flat_pictures_are_embedded_without_loss_and_photographs_as_jpeg() -> None:
    flat = pictures.cell(Image.new("RGB", (40, 20), (9, 200, 7)), "flat")
    assert decoded(flat.address).convert("RGB").getpixel((3, 3)) == (9, 200, 7)
    assert (flat.width, flat.height, flat.words) == (40, 20, "flat")
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    assert decoded(pictures.cell(Image.fromarray(noise), "noise").address).format == "JPEG"


def test_large_pictures_are_shrunk() -> None:
    cell = pictures.cell(Image.new("L", (2000, 500)), "large")
    assert (cell.width, cell.height) == decoded(cell.address).size == (pictures.WIDEST, 180)


def gallery(*folders: Path) -> pictures.Gallery:
    return pictures.gallery(find(folders)[0], count=4, device="cpu", screen=Screen(stderr=True))


def with_checkpoint(folder: Path) -> Path:
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "best.pt").write_bytes(b"no checkpoint")
    return folder


def test_runs_without_a_checkpoint(write_run) -> None:
    assert gallery(write_run("a"), write_run("b")) == pictures.Gallery(reasons=("no run has a checkpoint",))


def test_runs_of_different_data(write_run) -> None:
    folders = [with_checkpoint(write_run(x, sections={"data": {"fingerprint": x * 64}})) for x in "ab"]
    assert gallery(*folders).reasons == ("the runs were trained on different data",)


def test_data_that_are_gone(write_run, tmp_path: Path) -> None:
    sections = {"data": {"name": "folder", "root": str(tmp_path / "gone"), "fingerprint": "a" * 64}}
    (reason,) = gallery(*(with_checkpoint(write_run(x, sections=sections)) for x in "ab")).reasons
    assert reason.startswith("the data are not there any more as the runs read them: ")
    assert str(tmp_path / "gone") in reason


def test_settings_that_are_none(write_run) -> None:
    folders = [with_checkpoint(write_run(x, sections={"data": {"fingerprint": "a" * 64}})) for x in "ab"]
    file = folders[0] / "experiment.json"
    file.write_text(file.read_text().replace('"batch_size": 32', '"batch_size": "many"'))
    (reason,) = gallery(*folders).reasons
    assert "batch_size" in reason


def test_every_run_has_the_splits_of_its_own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i, kind in enumerate(["good"] * 5 + ["bad"] * 5):
        (tmp_path / kind).mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (9 * i, 0, 0)).save(tmp_path / kind / f"{i}.png")
    monkeypatch.setattr(pictures, "remembered", lambda model: resolve([*words, f"model={model}"]))
    words = ["task=anomaly_detection", f"data.root={tmp_path}"]
    fingerprint = records.read(tmp_path, task="anomaly_detection").fingerprint
    runs: list[Any] = [SimpleNamespace(folder=x, fingerprint=fingerprint) for x in ("small_resnet", "patchcore")]
    assert [found.defects["val"] for found in pictures._same_data(runs)] == [1, 5]


@pytest.mark.parametrize("own", [{"group": "clip."}, {"fold": "2/3"}, {"val_fraction": 0.5}])
def test_every_run_has_what_it_held_out(own: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(12):
        (tmp_path / "xy"[i % 2]).mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (9 * i, 0, 0)).save(tmp_path / "xy"[i % 2] / f"clip{i // 4}_{i}.png")
    words = [f"data.{key}={value}" for key, value in own.items()]
    monkeypatch.setattr(pictures, "remembered", lambda typed: resolve([f"data.root={tmp_path}", *typed]))
    fingerprint = records.read(tmp_path, task="classification").fingerprint
    runs: list[Any] = [SimpleNamespace(folder=typed, fingerprint=fingerprint) for typed in (words, [])]
    expected = [records.read(tmp_path, task="classification", **given).splits for given in (own, {})]
    assert [found.splits for found in pictures._same_data(runs)] == expected
    assert expected[0] != expected[1]


def test_a_run_that_cannot_predict_is_named_and_the_page_lives(write_run, tmp_path: Path) -> None:
    for split in ("train", "val"):
        for label in ("x", "y"):
            (tmp_path / "data" / split / label).mkdir(parents=True)
            pixels = np.full((8, 8, 3), 9 * len(split) + ord(label), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / split / label / "1.png")
    plain = {"data": {"name": "folder", "root": str(tmp_path / "data")}}
    fingerprint = records.read(tmp_path / "data", task="classification").fingerprint
    plain["data"]["fingerprint"] = fingerprint
    shown = gallery(with_checkpoint(write_run("a", sections=plain)), write_run("b", sections=plain))
    assert (shown.split, shown.samples) == ("val", ())
    assert shown.reasons[0] == "no best checkpoint: b"
    assert shown.reasons[1].startswith("a: ") and "not a checkpoint that can be loaded safely" in shown.reasons[1]
