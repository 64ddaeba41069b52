"""Every kind of broken input is found before the first step, and named by file and line."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import check, images, opening, records, threads
from visrun.data.describe import describe
from visrun.data.listing import Record
from visrun.errors import DataError
from visrun.survey.look import look


def pictures(root: Path, count: int = 6, classes: str = "ab", split: str = "") -> Path:
    shade = sum(1 for _ in root.rglob("*.png"))
    for name in classes:
        for i in range(count):
            path = root / split / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 3), shade).save(path)
            shade += 1
    return root


def test_the_error_lists_twenty_and_counts_the_rest(tmp_path: Path) -> None:
    root = pictures(tmp_path, 30)
    for i in range(23):
        (root / "a" / f"{i}.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        records.read(root, task="classification")
    lines = str(caught.value).splitlines()
    assert "23 of 60 records cannot be used" in lines[0]
    assert lines[1] == "  a/0.png: empty file (0 bytes)"
    assert lines[20] == "  a/19.png: empty file (0 bytes)"
    assert lines[21] == "  ... and 3 more"
    assert "data.on_bad=skip" in lines[-1]


def test_skip_leaves_them_out_and_records_them(tmp_path: Path) -> None:
    root = pictures(tmp_path, 6)
    (root / "a" / "0.png").write_bytes(b"<html>")
    whole = (root / "b" / "3.png").read_bytes()
    (root / "b" / "3.png").write_bytes(whole[:20])
    dataset = records.read(root, task="classification", on_bad="skip")
    assert sum(map(len, dataset.splits.values())) == 10
    assert len(dataset.skipped) == 2
    assert dataset.skipped[0] == "a/0.png: not an image but HTML or XML text"
    assert dataset.skipped[1].startswith("b/3.png: ")
    assert "left out: 2" in describe(dataset)


def test_skip_does_not_hide_a_broken_dataset(tmp_path: Path) -> None:
    root = pictures(tmp_path, 4)
    for path in list(root.rglob("*.png"))[:5]:
        path.write_bytes(b"")
    with pytest.raises(DataError, match="at most 50% are concerned"):
        records.read(root, task="classification", on_bad="skip")


def test_missing_files_of_a_table_carry_their_line(tmp_path: Path) -> None:
    pictures(tmp_path, 2)
    (tmp_path / "t.csv").write_text("image,target\na/0.png,1\na/7.png,2\nb/0.png,nan\nb/1.png,3\n")
    with pytest.raises(DataError) as caught:
        records.read(tmp_path, task="regression")
    lines = str(caught.value).splitlines()
    assert lines[1:3] == ["  t.csv:4: target 'nan' is not finite", "  t.csv:3: a/7.png: no such file"]


def segmentation(root: Path) -> Path:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for i in range(4):
        Image.new("L", (4, 3), i).save(root / "images" / f"{i}.png")
        Image.fromarray(np.array([[0, 1, 1, 255]] * 3, np.uint8)).save(root / "masks" / f"{i}.png")
    (root / "classes.txt").write_text("ground\nroad\n")
    return root


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (np.array([[0, 1, 1, 2]] * 3, np.uint8), "images/2.png: mask id 2 is out of range: there are 2 classes"),
        (np.zeros((4, 4), np.uint8), "masks/2.png: mask of 4x4 pixels, its image has 4x3: save both at one size"),
        (np.tile(np.uint8([0, 9, 0]), (3, 4, 1)), r"masks/2.png: colour mask \(mode RGB\)"),
    ],
)
def test_wrong_masks(tmp_path: Path, mask: np.ndarray, reason: str) -> None:
    root = segmentation(tmp_path / "d")
    Image.fromarray(mask).save(root / "masks" / "2.png")
    with pytest.raises(DataError, match=reason):
        records.read(root, task="segmentation")
    assert sum(map(len, records.read(root, task="segmentation", on_bad="skip").splits.values())) == 3


@pytest.mark.parametrize("named", [True, False])
def test_masks_that_are_all_wrong_are_listed(tmp_path: Path, named: bool) -> None:
    root = segmentation(tmp_path / "d")
    for i in range(4):
        Image.new("L", (4, 2)).save(root / "masks" / f"{i}.png")
    if not named:
        (root / "classes.txt").unlink()
    with pytest.raises(DataError, match="4 of 4 records cannot be used"):
        records.read(root, task="segmentation")


def test_masks_are_looked_at_again_when_the_table_of_their_colours_changes(tmp_path: Path) -> None:
    root, table = segmentation(tmp_path / "d"), tmp_path / "d" / "class_dict.csv"
    (root / "classes.txt").unlink()
    for i in range(4):
        Image.fromarray(np.array([[[9, 0, 0], [9, 0, 0], [9, 0, 0], [0, 9, 0]]] * 3, np.uint8)).save(
            root / "masks" / f"{i}.png"
        )
    table.write_text("name,r,g,b\nroad,9,0,0\ntree,0,9,0\n")
    dataset = records.read(root, task="segmentation", val_fraction=0.5)
    assert (dataset.classes, dataset.counts["train"]) == (("road", "tree"), (18, 6))
    table.write_text("name,r,g,b\ntree,0,9,0\nroad,9,0,0\n")
    os.utime(table, (1, 1))
    dataset = records.read(root, task="segmentation", val_fraction=0.5)
    assert (dataset.classes, dataset.counts["train"]) == (("tree", "road"), (6, 18))
    table.unlink()
    with pytest.raises(DataError, match="colour masks"):
        records.read(root, task="segmentation", val_fraction=0.5)


def test_a_truncated_mask_is_found(tmp_path: Path) -> None:
    root = segmentation(tmp_path / "d")
    noise = np.random.default_rng(0).integers(0, 2, (3, 4), np.uint8)
    Image.fromarray(noise).save(root / "masks" / "1.png")
    whole = (root / "masks" / "1.png").read_bytes()
    (root / "masks" / "1.png").write_bytes(whole[:-25])
    with pytest.raises(DataError, match=r"masks/1.png: broken image"):
        records.read(root, task="segmentation")


def black_and_white(root: Path, names: str, mode: str = "L") -> Path:
    segmentation(root)
    for i in range(4):
        mask = Image.fromarray(np.array([[0, 255, 0, 0]] * 3, np.uint8))
        mask.convert(mode).save(root / "masks" / f"{i}.png")
    (root / "classes.txt").write_text(names)
    return root


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize(
    ("names", "classes"), [("", ("background", "foreground")), ("ground\nroad\n", ("ground", "road"))]
)
def test_where_nothing_but_0_and_255_is_there_white_is_a_class(
    tmp_path: Path, names: str, classes: tuple[str, ...], mode: str
) -> None:
    root = black_and_white(tmp_path / "d", names, mode)
    if not names:
        (root / "classes.txt").unlink()
    dataset = records.read(root, task="segmentation")
    assert (dataset.classes, dataset.mask_ids) == (classes, (0, 255))
    assert dataset.counts == {"train": (27, 9), "val": (9, 3)}
    assert f"the masks are black and white: white (255) is {classes[1]}" in dataset.warnings
    target = dataset.splits["val"][0].target
    assert images.mask_of(target, dataset.mask_ids, (3, 4)).tolist() == [[0, 1, 0, 0]] * 3
    tested = records.read(root, task="segmentation", classes=classes, training=False)  # by a model trained on them
    assert (tested.classes, tested.mask_ids) == (classes, (0, 255))


def test_a_mask_of_0_and_255_beside_more_classes_says_what_255_means(tmp_path: Path) -> None:
    root = black_and_white(tmp_path / "d", "ground\nroad\nhouse\n")
    with pytest.raises(DataError, match=r"a single class, ground.*255 means ignore"):
        records.read(root, task="segmentation")


def test_with_a_third_id_255_is_ignored(tmp_path: Path) -> None:
    root = black_and_white(tmp_path / "d", "ground\nroad\n")
    Image.fromarray(np.array([[0, 1, 0, 0]] * 3, np.uint8)).save(root / "masks" / "0.png")
    assert records.read(root, task="segmentation", training=False).mask_ids == (0, 1)


def test_a_mask_follows_its_turned_image(tmp_path: Path) -> None:
    root = segmentation(tmp_path / "d")
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("L", (3, 4), 9).save(root / "images" / "0.png", exif=exif)  # upright: 4 wide, 3 high
    dataset = records.read(root, task="segmentation")
    assert set(dataset.sizes.values()) == {(4, 3)}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_empty_split_is_named(tmp_path: Path, split: str) -> None:
    for name in ("train", "val", "test"):
        rows = "" if name == split else f"{name}.png,1\n"
        Image.new("L", (4, 3), len(name)).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.csv").write_text("image,target,split\n" + rows)
    with pytest.raises(DataError, match=rf"{split}.csv: no rows"):
        records.read(tmp_path, task="regression")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_left_empty_by_skipping_is_named(tmp_path: Path, split: str) -> None:
    for name in ("train", "val", "test"):
        pictures(tmp_path, 2, split=name)
    for path in (tmp_path / split).rglob("*.png"):
        path.write_bytes(b"")
    advice = "" if split == "train" else f": put images there, or remove {split}"
    left_out = rf"4 unusable entries are left out, such as {split}/a/0\.png: empty file \(0 bytes\)"
    with pytest.raises(DataError, match=rf"the {split} split is empty \(.*\){advice}; {left_out}$"):
        records.read(tmp_path, task="classification", on_bad="skip")


def test_only_a_test_split_cannot_be_trained_on(tmp_path: Path) -> None:
    pictures(tmp_path, 2, split="test")
    with pytest.raises(DataError, match="the train split is empty"):
        records.read(tmp_path, task="classification")


def test_one_image_cannot_be_split(tmp_path: Path) -> None:
    pictures(tmp_path, 1, "a")
    with pytest.raises(DataError, match=r"the val split is empty \(.*\): too few images to .*, or give a val split$"):
        records.read(tmp_path, task="classification")


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path, 4, "a", split="train")
    pictures(tmp_path, 4, "ab", split="val")
    with pytest.raises(DataError, match="a single class, a, in train: at least two are needed: add images of another"):
        records.read(tmp_path, task="classification")


def test_a_class_without_training_images_is_a_warning(tmp_path: Path) -> None:
    pictures(tmp_path, 2, "ab", split="train")
    pictures(tmp_path, 2, "abc", split="val")
    assert records.read(tmp_path, task="classification").warnings == ("no training images of: c",)


def test_copies_across_splits_are_a_warning(tmp_path: Path) -> None:
    pictures(tmp_path, 4, split="train")
    pictures(tmp_path, 2, split="val")
    (tmp_path / "val" / "a" / "0.png").write_bytes((tmp_path / "train" / "b" / "1.png").read_bytes())
    labels, warning = records.read(tmp_path, task="classification").warnings
    assert "one image has different labels, such as train/b/1.png (b) = val/a/0.png (a)" in labels
    assert "one image stands in two splits, such as train/b/1.png (train) = val/a/0.png (val)" in warning


def test_one_picture_in_three_splits_is_one_image(tmp_path: Path) -> None:
    pictures(tmp_path, 4, split="train")
    for split in ("val", "test"):
        pictures(tmp_path, 2, split=split)
        (tmp_path / split / "a" / "0.png").write_bytes((tmp_path / "train" / "a" / "1.png").read_bytes())
    (told,) = [line for line in records.read(tmp_path, task="classification").warnings if "two splits" in line]
    assert told.startswith("one image stands in two splits, such as train/a/1.png (train) = val/a/0.png (val): ")


def test_a_look_at_all_names_more_of_them_than_a_run(tmp_path: Path) -> None:
    pictures(tmp_path, 4, split="train")
    pictures(tmp_path, 2, split="val")
    for name in ("0", "1"):
        copy = (tmp_path / "train" / "b" / f"{name}.png").read_bytes()
        (tmp_path / "val" / "a" / f"{name}.png").write_bytes(copy)
    first, second = (f"train/b/{i}.png (train) = val/a/{i}.png (val)" for i in range(2))
    doubted = [f"train/b/{i}.png (b) = val/a/{i}.png (a)" for i in range(2)]
    labels, warning = records.read(tmp_path, task="classification").warnings
    assert labels == f"2 images have different labels, such as {doubted[0]}: one of them must be wrong"
    assert warning == f"2 images stand in two splits, such as {first}: scores on them look better than they are"
    survey, _ = look(tmp_path, tasks=["classification"], pixels=True)
    labels, warning = survey.services[0].warnings
    assert f"such as {', '.join(doubted)}: " in labels and f"such as {first}, {second}: " in warning


@pytest.mark.parametrize(
    ("task", "rows", "told"),
    [
        ("classification", "image,label a/0.png,x a/1.png,x a/2.png,y a/0.png,y", "a/0.png (x) = a/0.png (y)"),
        ("classification", "image,x,y a/0.png,1,1 a/1.png,0,1 b/0.png,0,0", "a/0.png (x, y) = b/0.png (none)"),
        ("classification", "image,label a/0.png,x a/1.png,x a/2.png,y b/0.png,x", ""),
        ("regression", "image,target a/0.png,1 a/1.png,2 a/0.png,4 b/0.png,1.5", "a/0.png (1) = a/0.png (4)"),
        (
            "regression",
            "image,x,y a/0.png,1,2 a/1.png,2,2 a/2.png,3,1 b/0.png,1,4",
            "a/0.png (1, 2) = b/0.png (1, 4)",
        ),
        ("regression", "image,target a/0.png,1 a/1.png,2 a/2.png,4 b/0.png,1.0", ""),
    ],
)
def test_equal_images_with_different_targets_are_named(tmp_path: Path, task: str, rows: str, told: str) -> None:
    pictures(tmp_path, 3, "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "0.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    (tmp_path / "labels.csv").write_text("\n".join(rows.split()))
    dataset = records.read(tmp_path, task=task, reader="csv")
    found = [line for line in dataset.warnings if "different" in line]
    assert [line.partition("such as ")[2].partition(":")[0] for line in found] == [told] * bool(told)


DOUBTED = "one image has different labels, such as images/0.png = images/1.png: one of them must be wrong"


def two_equal(root: Path) -> Path:
    """Nine pictures in images/, of which the first two are the same."""
    pictures(root, 9, "a")
    images = (root / "a").rename(root / "images")
    (images / "1.png").write_bytes((images / "0.png").read_bytes())
    return images


@pytest.mark.parametrize("same", [True, False])
def test_equal_images_with_different_objects_are_named(tmp_path: Path, same: bool) -> None:
    two_equal(tmp_path)
    (tmp_path / "labels").mkdir()
    for i in range(9):
        left = 0.2 if i == 1 and not same else 0.1
        lines = [f"{i % 2 if i > 1 else 0} {left} .2 .6 .1 .7 .5\n", "1 .1 .6 .2 .6 .2 .9\n"]
        (tmp_path / "labels" / f"{i}.txt").write_text("".join(lines[::-1] if i == 1 else lines))
    for task in ("object_detection", "instance_segmentation", "segmentation"):
        assert (DOUBTED in records.read(tmp_path, task=task).warnings) is not same
    assert DOUBTED not in records.read(tmp_path, task="regression").warnings


@pytest.mark.parametrize("same", [True, False])
def test_equal_images_with_different_masks_are_named(tmp_path: Path, same: bool) -> None:
    images = two_equal(tmp_path)
    (tmp_path / "masks").mkdir()
    with Image.open(images / "0.png") as image:
        size = image.size
    for i in range(9):
        mask = Image.new("L", size)
        mask.putpixel((i % 4, i // 4) if i > 1 or not same else (0, 0), 1)
        mask.save(tmp_path / "masks" / f"{i}.png")
    assert (DOUBTED in records.read(tmp_path, task="segmentation").warnings) is not same


def test_one_path_in_two_splits_and_twice_in_one(tmp_path: Path) -> None:
    pictures(tmp_path, 3, "a")
    (tmp_path / "train.csv").write_text("image,target\na/0.png,1\na/1.png,2\na/1.png,2\n")
    (tmp_path / "val.csv").write_text("image,target\na/0.png,1\na/2.png,2\n")
    twice, across = records.read(tmp_path, task="regression").warnings
    assert twice == "1 image is listed more than once in train, such as a/1.png"
    assert "a/0.png (train) = a/0.png (val)" in across


def test_long_files_that_only_start_alike_are_no_copies(tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(70000)
    entries: dict[str, list[tuple[Record, check.Finding]]] = {}
    for split, last in (("train", b"1"), ("val", b"2"), ("test", b"2")):
        path = tmp_path / f"{split}.bin"
        path.write_bytes(noise + last)
        entries[split] = [(Record(path, 0, split), check.Finding(length=(70001,)))]
    assert check.copies(check.alike(entries)) == [("val", "test", tmp_path / "val.bin", tmp_path / "test.bin")]


def test_progress_reaches_the_total(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    records.read(pictures(tmp_path, 150), task="classification", progress=lambda *told: seen.append(told))
    counted = [told for told in seen if told[2]]
    assert counted[-1] == ("checking files", 300, 300)
    assert len(counted) <= 101


def test_whatever_takes_long_is_told_when_it_begins(tmp_path: Path) -> None:
    polygon = {"label": "cat", "points": [[0, 0], [3, 0], [3, 2]], "shape_type": "polygon"}
    for i in range(4):
        Image.new("L", (4, 3), 60 * i).save(tmp_path / f"{i}.png")
        content = {"shapes": [polygon], "imagePath": f"{i}.png", "imageWidth": 4, "imageHeight": 3}
        (tmp_path / f"{i}.json").write_text(json.dumps(content))
    seen: list[tuple[str, int, int]] = []
    records.read(tmp_path, task="segmentation", progress=lambda *told: seen.append(told))
    stages = ["reading labels", "checking files", "checking labels", "painting masks", "comparing splits"]
    assert list(dict.fromkeys(what for what, *_ in seen)) == stages
    assert ("painting masks", 4, 4) in seen


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch):
    """Called with a file's name and seconds, which reading its header takes from then on."""
    seconds: dict[str, float] = {}
    facts = opening.facts

    def waited(path: Path) -> opening.Facts:
        time.sleep(seconds.get(path.name, 0))
        return facts(path)

    monkeypatch.setattr(opening, "facts", waited)
    return seconds


def test_a_header_that_never_comes_ends_the_reading(tmp_path: Path, slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "TIMEOUT", 0.2)
    slow["3.png"] = 2.0
    with pytest.raises(DataError, match=r"^[^\n]*/a/3\.png: not read in time: is a network drive gone\?$"):
        records.read(pictures(tmp_path), task="classification", on_bad="skip")


def test_slow_files_are_waited_for_while_they_come(tmp_path: Path, slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "TIMEOUT", 0.5)
    slow |= {f"{i}.png": 0.4 for i in range(4)}
    (folder,) = pictures(tmp_path, 4, "a").iterdir()
    every = [Record(path, 0, path.name) for path in sorted(folder.iterdir())] * 100  # in parts of four
    assert [finding.fault for finding in check.examine(every, root=tmp_path)] == [""] * 400


@pytest.mark.parametrize("hanging", ["_start", "_digest"])
def test_a_comparison_across_splits_that_never_ends_names_the_file(
    tmp_path: Path, hanging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "TIMEOUT", 0.2)
    read = getattr(check, hanging)
    monkeypatch.setattr(check, hanging, lambda path: time.sleep(2 * (path.parent.name == "val")) or read(path))
    entries: dict[str, list[tuple[Record, check.Finding]]] = {}
    for split in ("train", "val"):
        path = tmp_path / split / "a.png"
        path.parent.mkdir()
        path.write_bytes(b"1")
        entries[split] = [(Record(path, 0, split), check.Finding(length=(1,)))]
    with pytest.raises(DataError, match=r"^[^\n]*/val/a\.png: not read in time: is a network drive gone\?$"):
        check.alike(entries)


def test_what_is_found_in_the_largest_usual_sets_is_remembered() -> None:
    """Files are looked at in one order again and again: a memory that holds fewer than all holds none in time."""
    imagenet = 1_281_167
    assert check._found.cache_parameters()["maxsize"] > imagenet
    assert check._thumbnail.cache_parameters()["maxsize"] > imagenet
