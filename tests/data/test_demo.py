"""The demo datasets: the same bytes each time, labels that are exactly right, layouts that the readers know."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from skimage.draw import polygon2mask
from skimage.measure import label
from sklearn.datasets import load_digits

from visrun.data import demo, records
from visrun.data.demo import boxes, defects, scenes, simple
from visrun.errors import DataError
from visrun.folders import cache_folder
from visrun.tables import TASKS

# How many images each demo has.
SIZES = [(simple, "COUNT_IMAGES"), (simple, "MASK_IMAGES"), (boxes, "IMAGES"), (boxes, "TURNED"), (defects, "GOOD")]


@pytest.fixture
def built() -> Path:
    """Where every run of this test process has its demos: each is built once for all tests."""
    return cache_folder() / "demo"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Demos of a tenth of the digits and of the images."""
    shrink(monkeypatch, lambda count: 1 + count // 10)


def shrink(patch: pytest.MonkeyPatch, fewer: Callable[[int], int]) -> None:
    """Let demos be made of a tenth of the digits, and of ``fewer`` images."""
    digits = load_digits()
    few = SimpleNamespace(images=digits.images[::10], target=digits.target[::10])
    patch.setattr("sklearn.datasets.load_digits", lambda: few)
    for module, name in SIZES:
        patch.setattr(module, name, {split: fewer(count) for split, count in getattr(module, name).items()})


@pytest.fixture(scope="module")
def studio() -> scenes.Studio:
    return scenes.studio(seed=(1,))


def digest(root: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        found.update(path.relative_to(root).as_posix().encode())
        found.update(path.read_bytes() if path.is_file() else b"/")
    return found.hexdigest()


def test_every_task_has_a_demo() -> None:
    assert set(demo.WRITERS) == set(TASKS)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("task", TASKS)
def test_two_builds_write_the_same_bytes(tmp_path: Path, task: str) -> None:
    first, second = (demo.build(task, tmp_path / folder) for folder in "ab")
    assert digest(first) == digest(second)
    assert [path.name for path in (tmp_path / "b").iterdir()] == [first.name]  # nothing half-built stays


def test_what_is_there_is_not_built_again(tmp_path: Path) -> None:
    (tmp_path / f"classification-{demo.VERSION}").mkdir()
    assert list(demo.build("classification", tmp_path).iterdir()) == []


def test_a_failed_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(root: Path, _: scenes.Studio) -> None:
        (root / "half").touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(demo.WRITERS, "regression", full)
    with pytest.raises(DataError, match=r"cannot be written there \(No space left on device\); set XDG_CACHE_HOME"):
        demo.build("regression", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "demo"
    with pytest.raises(DataError, match=rf"{folder}: the demo cannot be written there \(Not a directory\)"):
        demo.build("regression", folder)


def test_an_unknown_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one of: classification"):
        demo.build("poetry", tmp_path)


@pytest.mark.usefixtures("small")
def test_two_may_build_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    def write(root: Path, studio: scenes.Studio) -> None:
        monkeypatch.setitem(demo.WRITERS, "classification", simple.classification)
        other = demo.build("classification", tmp_path)  # begins while this one writes, and ends first
        ended.append((other, digest(other)))
        simple.classification(root, studio)

    monkeypatch.setitem(demo.WRITERS, "classification", write)
    first = demo.build("classification", tmp_path)
    assert [(first, digest(first))] == ended
    assert list(tmp_path.iterdir()) == [first]


@pytest.mark.parametrize("task", TASKS)
def test_the_readers_know_the_layout(built: Path, task: str) -> None:
    dataset = records.read(demo.build(task, built), task=task)
    assert tuple(dataset.splits) == ("train", "val", "test")
    assert (dataset.warnings, dataset.skipped) == ((), ())


def test_classification_holds_every_digit_once(built: Path) -> None:
    dataset = records.read(demo.build("classification", built), task="classification")
    assert dataset.classes == tuple("0123456789")
    total = np.sum(list(dataset.counts.values()), axis=0)
    assert total.tolist() == np.bincount(load_digits().target).tolist()
    shares = np.array(dataset.counts["train"]) / total
    assert np.allclose(shares, 0.7, atol=0.01)
    assert set(dataset.sizes.values()) == {(32, 32)}


def test_regression_counts_are_spread(built: Path) -> None:
    dataset = records.read(demo.build("regression", built), task="regression")
    values = np.array([row.target[0] for row in dataset.splits["train"]])
    assert set(values) == set(range(7))
    assert np.bincount(values.astype(int)).min() >= 30


def test_segmentation_masks_show_every_class(built: Path) -> None:
    dataset = records.read(demo.build("segmentation", built), task="segmentation")
    assert dataset.classes == ("background", "round", "straight", "curved")
    shares = np.array(dataset.counts["train"]) / sum(dataset.counts["train"])
    assert 0.7 < shares[0] < 0.95
    assert shares[1:].min() > 0.02
    with Image.open(dataset.splits["train"][0].target) as mask:
        assert mask.mode == "P"


@pytest.mark.parametrize("turn", [0, 180])
def test_digits_lie_inside_and_touch_nothing(studio: scenes.Studio, turn: float) -> None:
    for _ in range(5):
        picture, placed = studio.picture("train", size=96, count=6, height=(14, 40), turn=turn)
        assert picture.shape == (96, 96, 3)
        assert picture.min() >= 0
        assert picture.max() <= 1
        together = np.sum([digit.mask for digit in placed], axis=0)
        assert together.max() == 1
        assert not (together[[0, -1]].any() or together[:, [0, -1]].any())
        assert label(together).max() == len(placed)  # each in one piece, apart from the others


@pytest.mark.parametrize("turn", [0, 45, 180])
def test_the_turned_rectangle_is_tight(studio: scenes.Studio, turn: float) -> None:
    for _ in range(10):
        _, placed = studio.picture("val", size=120, count=2, height=(30, 60), turn=turn)
        for digit in placed:
            corners = digit.corners
            sides = corners[1] - corners[0], corners[3] - corners[0]
            assert abs(np.dot(*sides)) < 1e-6  # a rectangle
            assert sides[0][0] * sides[1][1] - sides[0][1] * sides[1][0] > 0  # clockwise on the screen
            rows, columns = np.nonzero(digit.mask)
            centres = np.stack([columns + 0.5, rows + 0.5], 1) - corners[0]
            inside = np.stack([centres @ side / np.linalg.norm(side) for side in sides], 1)
            lengths = np.array([np.linalg.norm(side) for side in sides])
            # all pixel centres lie inside, and the outermost within a pixel of each side
            assert (inside > -0.3).all()
            assert (inside < lengths + 0.3).all()
            assert (inside.min(0) < 1.3).all()
            assert (inside.max(0) > lengths - 1.3).all()


def test_no_digit_stands_in_two_splits(studio: scenes.Studio) -> None:
    seen = {name: {g.ink.tobytes() for g in glyphs} for name, glyphs in studio.glyphs.items()}
    assert not seen["train"] & seen["val"]
    assert not seen["train"] & seen["test"]
    assert not seen["val"] & seen["test"]
    assert sum(map(len, seen.values())) == 1797


def test_trace_gives_back_the_mask() -> None:
    mask = np.zeros((9, 12), bool)
    mask[2:5, 3:9] = True
    mask[5:8, 6:8] = True
    mask[0, 0] = True
    outlines = boxes.trace(mask)
    assert len(outlines) == 2
    again = np.zeros_like(mask)
    for outline in outlines:
        points = np.array(outline).reshape(-1, 2)[:, ::-1] - 0.5  # to (row, column) of pixel centres
        again |= polygon2mask(mask.shape, points)
    np.testing.assert_array_equal(again, mask)


@pytest.mark.parametrize("task", ["object_detection", "instance_segmentation"])
def test_coco_files_are_whole(built: Path, task: str) -> None:
    root = demo.build(task, built)
    for split in scenes.SPLITS:
        text = json.loads((root / f"{split}.json").read_text())
        assert [c["name"] for c in text["categories"]] == ["round", "straight", "curved"]
        assert {c["id"] for c in text["categories"]} == {a["category_id"] for a in text["annotations"]}
        for image in text["images"]:
            with Image.open(root / split / image["file_name"]) as opened:
                assert opened.size == (image["width"], image["height"])
        for note in text["annotations"]:
            x, y, width, height = note["bbox"]
            assert 0 <= x < x + width <= 160
            assert 0 <= y < y + height <= 160
            assert note["area"] > 0
            if task == "instance_segmentation":
                points = np.concatenate([np.array(outline).reshape(-1, 2) for outline in note["segmentation"]])
                assert np.allclose(points.min(0), [x, y], atol=0.51)
                assert np.allclose(points.max(0), [x + width, y + height], atol=0.51)
        assert (task == "instance_segmentation") == ("segmentation" in text["annotations"][0])


def test_outlines_fill_holes() -> None:
    ring = np.zeros((7, 7), bool)
    ring[1:6, 1:6] = True
    ring[3, 3] = False
    note = boxes._outline(ring, polygons=True)
    assert (note["bbox"], note["area"], len(note["segmentation"])) == ([1, 1, 5, 5], 25, 1)


def test_dota_lines(built: Path) -> None:
    root = demo.build("oriented_object_detection", built)
    names = set()
    for path in (root / "train" / "labelTxt").iterdir():
        assert (root / "train" / "images" / f"{path.stem}.png").is_file()
        for line in path.read_text().splitlines():
            *numbers, name, difficult = line.split()
            assert len(numbers) == 8
            assert all(0 <= float(number) <= 160 for number in numbers)
            assert difficult == "0"
            names.add(name)
    assert names == {"round", "straight", "curved"}


def test_anomalies_differ_from_the_wall_where_the_mask_says(built: Path) -> None:
    root = demo.build("anomaly_detection", built)
    kinds = sorted(path.name for path in (root / "test").iterdir())
    assert kinds == ["good", "patch", "scratch", "stain"]
    assert len(list((root / "train" / "good").iterdir())) == 200
    for kind in kinds[1:]:
        for path in (root / "test" / kind).iterdir():
            with Image.open(root / "ground_truth" / kind / f"{path.stem}_mask.png") as opened:
                mask = np.asarray(opened)
            assert set(np.unique(mask)) == {0, 255}
            assert 0.001 < (mask > 0).mean() < 0.3


def test_a_defect_changes_its_mask_and_nothing_far_from_it(studio: scenes.Studio) -> None:
    from visrun.data.demo import defects

    for spoil in defects.KINDS.values():
        wall = defects._brick(studio)
        spoilt, mask = spoil(studio, wall)
        changed = np.abs(spoilt - wall).max(2) > 0.02
        near = np.zeros_like(mask)
        for dy in range(-3, 4):
            for dx in range(-3, 4):
                near |= np.roll(mask, (dy, dx), (0, 1))
        assert not (changed & ~near).any()
        assert (changed & mask).sum() > 0.8 * mask.sum()
