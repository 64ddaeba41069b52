"""From a folder to a checked, split dataset."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from visrun.data import records
from visrun.data.describe import describe
from visrun.data.listing import Record
from visrun.errors import DataError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def picture(path: Path, shade: int, size: tuple[int, int] = (4, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, shade).save(path)


def class_folders(root: Path, counts: dict[str, int], split: str = "") -> Path:
    """Images of distinct content: no two splits share one by accident."""
    shade = sum(1 for _ in root.rglob("*.png"))
    for name, count in counts.items():
        for i in range(count):
            picture(root / split / name / f"{i}.png", shade % 256, (4 + shade // 256, 3))
            shade += 1
    return root


def mask_folder(root: Path, masks: dict[str, list[list[int]]], names: str = "") -> Path:
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for shade, (name, rows) in enumerate(masks.items()):
        ids = np.array(rows, np.uint8)
        Image.new("L", ids.shape[::-1], shade).save(root / "images" / f"{name}.png")
        Image.fromarray(ids).save(root / "masks" / f"{name}.png")
    if names:
        (root / "classes.txt").write_text(names)
    return root


def test_names_that_are_no_text_are_split_and_hashed_too(tmp_path: Path) -> None:
    for i in range(8):
        picture(tmp_path / "ab"[i % 2] / f"caf\udce9_{i}.png", i)
    dataset = records.read(tmp_path, task="classification", val_fraction=0.25)
    assert dataset.counts == {"train": (3, 3), "val": (1, 1)}
    assert len(dataset.fingerprint) == 64


def test_one_folder_is_split_stratified_and_by_seed(tmp_path: Path) -> None:
    root = class_folders(tmp_path, {"a": 20, "b": 10, "c": 1, "d": 2})
    dataset = records.read(root, task="classification", val_fraction=0.2, seed=0)
    assert dataset.layout == "folder"
    assert dataset.counts == {"train": (16, 8, 1, 1), "val": (4, 2, 0, 1)}
    assert dataset.classes == ("a", "b", "c", "d")
    assert len(dataset.sizes) == 33
    assert set(dataset.sizes.values()) == {(4, 3)}
    again = records.read(root, task="classification", val_fraction=0.2, seed=0)
    assert again == dataset
    other = records.read(root, task="classification", val_fraction=0.2, seed=1)
    assert other.splits["val"] != dataset.splits["val"]
    assert other.fingerprint == dataset.fingerprint  # the data is the same


def test_a_share_of_train_is_the_same_of_every_class_and_lies_within_a_larger_one(tmp_path: Path) -> None:
    root = class_folders(tmp_path, {"a": 20, "b": 10, "c": 1, "d": 2})
    read = partial(records.read, root, task="classification", val_fraction=0.2)
    whole = read()
    shares = [read(train_fraction=share) for share in (0.01, 0.25, 0.5, 1.0)]
    assert [one.counts["train"] for one in shares] == [(1, 1, 1, 1), (4, 2, 1, 1), (8, 4, 1, 1), (16, 8, 1, 1)]
    assert shares[-1] == whole
    for less, more in itertools.pairwise(shares):
        assert {*less.splits["train"]} < {*more.splits["train"]}
        assert less.splits["val"] == more.splits["val"] and less.fingerprint == more.fingerprint
    assert {*read(train_fraction=0.5, seed=1).splits["train"]} != {*shares[2].splits["train"]}


@pytest.mark.parametrize("several", [False, True])
def test_shares_of_train_lie_within_each_other_with_equal_images_and_several_labels(
    tmp_path: Path, several: bool
) -> None:
    rng, rows = np.random.default_rng(0), []
    for i in range(60):
        picture(tmp_path / f"{i}.png", i // 4 if i % 4 < 3 else 100 + i)
        labels = "|".join(sorted(rng.choice([*"abcde"], rng.integers(1, 4), replace=False)))
        rows.append(f"{i}.png,{labels if several else labels[0]}")
    (tmp_path / "t.csv").write_text("image,label\n" + "\n".join(rows))
    for seed in range(4):
        read = partial(records.read, tmp_path, task="classification", seed=seed)
        shares = [read(train_fraction=share) for share in (0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 1.0)]
        for less, more in itertools.pairwise(shares):
            assert {*less.splits["train"]} < {*more.splits["train"]}
        halves = zip(shares[3].counts["train"], shares[-1].counts["train"], strict=True)
        assert all(abs(half - whole / 2) <= 3 for half, whole in halves)


def test_a_share_of_train_leaves_the_datasets_own_splits(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 8, "b": 8}, "train")
    class_folders(tmp_path, {"a": 4, "b": 2}, "val")
    dataset = records.read(tmp_path, task="classification", train_fraction=0.25)
    assert dataset.counts == {"train": (2, 2), "val": (4, 2)}


def test_val_comes_off_train_where_only_train_and_test_exist(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 8, "b": 8}, "train")
    class_folders(tmp_path, {"a": 2, "b": 2}, "test")
    dataset = records.read(tmp_path, task="classification", val_fraction=0.25)
    assert dataset.counts == {"train": (6, 6), "val": (2, 2), "test": (2, 2)}


def test_val_and_test_have_fingerprints_of_their_own(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 8, "b": 8}, "train")
    class_folders(tmp_path, {"a": 2, "b": 2}, "test")
    first, again, other = (records.read(tmp_path, task="classification", seed=s).fingerprints for s in (0, 0, 1))
    assert first == again and first.keys() == {"val", "test"}
    assert first["test"] == other["test"] and first["val"] != other["val"]
    picture(tmp_path / "test" / "a" / "9.png", 255)
    more = records.read(tmp_path, task="classification").fingerprints
    assert first["val"] == more["val"] and first["test"] != more["test"]


def test_equal_files_go_to_one_side(tmp_path: Path) -> None:
    root = class_folders(tmp_path, {"a": 12, "b": 12})
    for i in range(6):
        (root / "a" / f"{i}.png").write_bytes((root / "b" / f"{i % 3}.png").read_bytes())
    for seed in range(5):
        dataset = records.read(root, task="classification", seed=seed)
        assert not [line for line in dataset.warnings if "two splits" in line]
        assert len(dataset.splits["val"]) >= 3


def test_several_labels_keep_their_shares(tmp_path: Path) -> None:
    for i in range(20):
        picture(tmp_path / f"{i}.png", i)
    rows = [f"{i}.png,{'a|rare' if i < 4 else 'a|b' if i % 2 else 'b'}" for i in range(20)]
    (tmp_path / "t.csv").write_text("image,label\n" + "\n".join(rows))
    for seed in range(6):
        dataset = records.read(tmp_path, task="classification", seed=seed, val_fraction=0.25)
        assert dataset.counts["val"] == (3, 4, 1)
        assert dataset.warnings == ()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([3.5] * 5, "target kg: every training image has the value 3.5; there is nothing to learn"),
        (
            [1e9, 1e9 + 0.25, 1e9 + 0.5, 1e9 + 0.75, 1e9 + 1],
            r"target kg: 1000000000(.\d+)? to 100000000[01](.\d+)? are more than float32 .* subtract an offset",
        ),
        ([1.6e9, 1.601e9, 1.61e9, 1.605e9, 1.59e9], ""),
        ([3.4e38, -3.4e38, 1.0, 2.0, 3.0], ""),
    ],
)
def test_targets_must_vary(tmp_path: Path, values: list[float], told: str) -> None:
    for i in range(5):
        picture(tmp_path / f"{i}.png", i)
    rows = [f"{i}.png,{value!r}" for i, value in enumerate(values)]
    (tmp_path / "t.csv").write_text("image,kg\n" + "\n".join(rows))
    with pytest.raises(DataError, match=told) if told else nullcontext():
        records.read(tmp_path, task="regression")
    assert records.read(tmp_path, task="regression", training=False).counts == {}


def test_a_target_that_does_not_vary_beside_others_can_be_left_out(tmp_path: Path) -> None:
    for i in range(5):
        picture(tmp_path / f"{i}.png", i)
    (tmp_path / "t.csv").write_text("image,kg,m\n" + "\n".join(f"{i}.png,7,{i}" for i in range(5)))
    with pytest.raises(DataError, match=r"target kg: .* nothing to learn, leave it out: 'data\.targets=\[m\]'$"):
        records.read(tmp_path, task="regression")
    (tmp_path / "t.csv").write_text("image,kg,m\n" + "\n".join(f"{i}.png,7,8" for i in range(5)))
    with pytest.raises(
        DataError,
        match=r"target kg: every training image has the value 7; .* nothing to learn: add images with other values$",
    ):
        records.read(tmp_path, task="regression")


def test_classes_that_a_split_lacks_are_named(tmp_path: Path) -> None:
    for split, sizes in (("train", {"a": 3, "b": 2, "c": 1}), ("val", {"b": 1, "a": 1, "d": 1})):
        class_folders(tmp_path, sizes, split)
    dataset = records.read(tmp_path, task="classification")
    assert dataset.warnings[-2:] == ("no training images of: d", "no validation images of: c")


@pytest.mark.parametrize("layout", ["folders", "table", "boxes"])
@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["cat", "Cat", "dog"], ["classes that differ in upper and lower case only: Cat, cat"]),
        (["1", "1.0", "0", "2.5"], ["classes that are the same number: 1, 1.0"]),
        (["1.0.0", "1.0", "nan", "NaN"], ["classes that differ in upper and lower case only: NaN, nan"]),
        (["cat", "dog"], []),
    ],
)
def test_classes_that_may_be_meant_to_be_one_are_named(
    tmp_path: Path, layout: str, names: list[str], told: list[str]
) -> None:
    if layout == "folders":
        class_folders(tmp_path, dict.fromkeys(names, 2))
    header, more = ("image,label", "") if layout == "table" else ("image,class,xmin,ymin,xmax,ymax", ",0,0,2,2")
    rows = [header]
    for i, name in enumerate([*names, *names] if layout != "folders" else []):
        picture(tmp_path / f"{i}.png", i)
        rows.append(f"{i}.png,{name}{more}")
    if rows[1:]:
        (tmp_path / "t.csv").write_text("\n".join(rows))
    dataset = records.read(tmp_path, task="object_detection" if layout == "boxes" else "classification")
    assert [line for line in dataset.warnings if "classes that" in line] == told


def test_a_class_of_one_image_is_learnt_whatever_the_seed(tmp_path: Path) -> None:
    rows = ["image,class,xmin,ymin,xmax,ymax"]
    for i in range(10):
        picture(tmp_path / f"{i}.png", i)
        rows += [f"{i}.png,common,0,0,2,2", *([f"{i}.png,rare,0,0,2,2"] if i == 0 else [])]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    for seed in range(8):
        dataset = records.read(tmp_path, task="object_detection", val_fraction=0.4, seed=seed)
        named = {dataset.classes[label] for row in dataset.splits["train"] for label in row.target.labels}
        assert named == {"common", "rare"} and len(dataset.splits["val"]) in (3, 4)


def test_chosen_classes_in_their_order(tmp_path: Path) -> None:
    root = class_folders(tmp_path, {"a": 3, "b": 4, "c": 5})
    dataset = records.read(root, task="classification", classes=["c", "a"], val_fraction=0.34)
    assert dataset.classes == ("c", "a")
    assert dataset.counts == {"train": (3, 2), "val": (2, 1)}
    for row in dataset.splits["train"]:
        assert dataset.classes[row.target] == row.image.parent.name


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("layout", ["folders", "table"])
def test_accents_of_classes_may_be_stored_in_either_way(
    tmp_path: Path, layout: str, form: Literal["NFC", "NFD"]
) -> None:
    names = [normalize("NFD", "cafe\u0301"), "dog"]
    class_folders(tmp_path / "x", dict.fromkeys(names, 4))
    if layout == "table":
        rows = [f"{name}/{i}.png,{normalize(('NFC', 'NFD')[i % 2], name)}" for name in names for i in range(4)]
        (tmp_path / "x" / "t.csv").write_text("\n".join(["image,label", *rows]), encoding="utf-8")
    root = tmp_path / "x" / "t.csv" if layout == "table" else tmp_path / "x"
    read = partial(records.read, root, task="classification")
    assert read().classes == ("caf\u00e9", "dog")
    chosen = read(classes=["dog", normalize(form, names[0])])
    assert chosen.classes == ("dog", "caf\u00e9")
    measured = read(classes=[normalize(form, names[0]), "dog"], training=False)
    assert measured.counts == {"test": (4, 4)} and not measured.warnings
    with pytest.raises(DataError, match=r"stands twice: keep one$"):
        read(classes=["caf\u00e9", "cafe\u0301"])
    both = read(classes=["caf\u00e9", "cafe\u0301", "dog"], training=False)  # a model that learnt them as two
    assert sum(both.counts["test"][:2]) == 4 and both.counts["test"][2] == 4


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_of_masks_classes_likewise(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    named = mask_folder(tmp_path / "named", {"x": [[0, 1]]}, "cafe\u0301\nsky\n")
    read = partial(records.read, task="segmentation", classes=["sky", normalize(form, "cafe\u0301")], training=False)
    assert read(named).mask_ids == (1, 0) and not read(named).warnings
    plain = mask_folder(tmp_path / "plain", {"x": [[0, 1]]})
    assert read(plain).mask_ids == (0, 1)


@pytest.mark.parametrize(
    ("classes", "message"),
    [(["a", "bb"], "did you mean b"), (["a", "zebra"], "classes here: a, b"), (["a", "a"], "twice"), ([], "no class")],
)
def test_chosen_classes_that_are_refused(tmp_path: Path, classes: list[str], message: str) -> None:
    class_folders(tmp_path, {"a": 2, "b": 2})
    with pytest.raises(DataError, match=message):
        records.read(tmp_path, task="classification", classes=classes)


def test_chosen_classes_of_several_labels(tmp_path: Path) -> None:
    for i in range(5):
        picture(tmp_path / f"{i}.png", i)
    rows = ["0.png,a|b", "1.png,b", "2.png,c", "3.png,", "4.png,c|a"]
    (tmp_path / "t.csv").write_text("image,label\n" + "\n".join(rows))
    dataset = records.read(tmp_path, task="classification", classes=["c", "a"], val_fraction=0.1)
    found = {row.image.name: row.target for rows_ in dataset.splits.values() for row in rows_}
    assert found == {"0.png": (1,), "2.png": (0,), "3.png": (), "4.png": (0, 1)}
    assert dataset.multilabel


def test_mask_classes_ids_and_counts(tmp_path: Path) -> None:
    root = mask_folder(tmp_path / "d", {"x": [[0, 1, 2, 255]], "y": [[2, 2, 2, 2]], "z": [[255, 255, 255, 255]]})
    dataset = records.read(root, task="segmentation", val_fraction=0.5)
    assert dataset.classes == ("class_0", "class_1", "class_2")
    assert dataset.mask_ids == (0, 1, 2)
    assert sorted(dataset.counts.values()) == [(0, 0, 4), (1, 1, 1)]
    assert sum(map(len, dataset.splits.values())) == 2
    assert dataset.warnings[:2] == (
        "mask id 255 means ignore: 41.7% of all pixels are left out",
        "1 image left out: their masks hold no pixel of the classes",
    )


def test_a_split_of_masks_without_a_class_says_so(tmp_path: Path) -> None:
    for name, ids in {"train": [0, 1], "val": [255, 255], "test": [255, 255]}.items():
        mask_folder(tmp_path / "d" / name, {f"{name}{i}": [ids] for i in range(4)})
    with pytest.raises(
        DataError, match=r"no mask of val holds a pixel of the classes: check data.classes and the masks' ids$"
    ):
        records.read(tmp_path / "d", task="segmentation")
    assert records.read(tmp_path / "d", task="segmentation", fold="1/2").counts["val"]
    root = mask_folder(tmp_path / "whole", {f"{i}": [[255, 255]] for i in range(4)}, "a\nb\n")
    with pytest.raises(DataError, match=r"no mask holds a pixel of the classes: check data.classes"):
        records.read(root, task="segmentation")


def test_the_share_of_a_class_of_a_few_pixels_is_not_that_of_none(tmp_path: Path) -> None:
    rows = [[1] + [0] * 2999, [0] * 3000]
    root = mask_folder(tmp_path / "d", {"x": rows, "y": rows}, "rest\ndot\nnone\n")
    assert "rest: 100.0%, dot: <0.1%, none: 0.0%" in describe(records.read(root, task="segmentation"))


def test_ids_without_names_are_classes_where_they_occur(tmp_path: Path) -> None:
    root = mask_folder(tmp_path / "d", {"x": [[7, 26, 26, 128]], "y": [[26, 7, 7, 7]], "z": [[7, 7, 7, 7]]})
    names = ("class_7", "class_26", "class_128")
    dataset = records.read(root, task="segmentation", val_fraction=0.3)
    assert (dataset.classes, dataset.mask_ids) == (names, (7, 26, 128))
    assert [sum(column) for column in zip(*dataset.counts.values(), strict=True)] == [8, 3, 1]
    dataset = records.read(root, task="segmentation", classes=["class_26", "class_7"], val_fraction=0.3)
    assert (dataset.classes, dataset.mask_ids) == (("class_26", "class_7"), (26, 7))
    other = mask_folder(tmp_path / "other", {"x": [[3, 26, 128, 128]]})
    dataset = records.read(other, task="segmentation", classes=names, training=False)
    assert (dataset.classes, dataset.mask_ids) == (names, (-1, 26, 128))
    assert dataset.counts == {"test": (0, 1, 2)}
    assert dataset.warnings == ("left out, since the model does not know it: class_3",)


def test_of_many_classes_those_that_are_there_are_listed(tmp_path: Path) -> None:
    names = "".join(f"{name}\n" for name in "abcdefghijklmnopqrstuvwx")
    root = mask_folder(tmp_path / "d", {"x": [[0, 23, 23, 23]], "y": [[0, 0, 0, 23]]}, names)
    text = describe(records.read(root, task="segmentation"))
    assert "a: 25.0%, x: 75.0%, b: 0.0%" in text


def test_mask_classes_chosen(tmp_path: Path) -> None:
    masks = {"x": [[0, 1, 2, 255]], "y": [[2, 2, 0, 1]], "z": [[1, 1, 1, 1]]}
    root = mask_folder(tmp_path / "d", masks, "sky\nroad\ncar\n")
    dataset = records.read(root, task="segmentation", classes=["car", "sky"], val_fraction=0.5)
    assert (dataset.classes, dataset.mask_ids) == (("car", "sky"), (2, 0))
    total = [sum(column) for column in zip(*dataset.counts.values(), strict=True)]
    assert total == [3, 2]
    assert sum(map(len, dataset.splits.values())) == 2  # z shows neither


def test_evaluation_takes_what_is_there(tmp_path: Path) -> None:
    class_folders(tmp_path, {"b": 3})
    dataset = records.read(tmp_path, task="classification", classes=["a", "b"], training=False)
    assert dataset.counts == {"test": (0, 3)}
    assert {row.target for row in dataset.splits["test"]} == {1}
    with pytest.raises(DataError, match=r"^none of the model's classes \(x, y\) is in the dataset; classes here: b$"):
        records.read(tmp_path, task="classification", classes=["x", "y"], training=False)


def test_evaluation_of_masks_matches_names_or_else_ids(tmp_path: Path) -> None:
    named = mask_folder(tmp_path / "named", {"x": [[0, 1]]}, "road\nsky\n")
    dataset = records.read(named, task="segmentation", classes=["sky", "car", "road"], training=False)
    assert dataset.mask_ids == (1, -1, 0)
    assert dataset.counts == {"test": (1, 0, 1)}
    plain = mask_folder(tmp_path / "plain", {"x": [[0, 1]]})
    dataset = records.read(plain, task="segmentation", classes=["sky", "car", "road"], training=False)
    assert dataset.mask_ids == (0, 1, 2)


def test_the_fingerprint_follows_the_data_not_its_place(tmp_path: Path) -> None:
    one = class_folders(tmp_path / "one", {"a": 3, "b": 3})
    two = class_folders(tmp_path / "somewhere else", {"a": 3, "b": 3})
    first, second = (records.read(root, task="classification") for root in (one, two))
    assert first.fingerprint == second.fingerprint
    assert [r.where for r in first.splits["val"]] == [r.where for r in second.splits["val"]]
    picture(two / "a" / "0.png", 0, (40, 40))
    assert records.read(two, task="classification").fingerprint != first.fingerprint
    (two / "a" / "0.png").rename(two / "b" / "9.png")
    assert records.read(two, task="classification").fingerprint != first.fingerprint


def test_describe_says_what_was_found(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "c", {"cat": 10, "dog": 5})
    text = describe(records.read(root, task="classification"))
    assert text.splitlines()[0] == f"folder: 15 images in {root}, 2 classes"
    assert "train       12 images  cat: 8, dog: 4" in text
    for i in range(4):
        picture(tmp_path / "v" / f"{i}.png", i)
    (tmp_path / "v" / "t.csv").write_text("image,kg\n0.png,1\n1.png,2\n2.png,3\n3.png,4\n")
    text = describe(records.read(tmp_path / "v", task="regression", val_fraction=0.25))
    assert "target kg" in text
    assert "mean" in text
    root = mask_folder(tmp_path / "m", {"x": [[0, 1, 1, 1]], "y": [[0, 1, 1, 1]]}, "ground\nroad\n")
    assert "ground: 25.0%, road: 75.0%" in describe(records.read(root, task="segmentation"))


@pytest.mark.parametrize("name", ["a(1)", "b,c", "d=e", "~f", "g h", "ü"])
def test_any_path_works(tmp_path: Path, name: str) -> None:
    root = class_folders(tmp_path / name, {"a": 2, "b": 2})
    assert records.read(str(root), task="classification").root == root


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path / "d", {"a": 2, "b": 2})
    monkeypatch.chdir(tmp_path)
    dataset = records.read("d", task="classification")
    assert all(row.image.is_absolute() for row in dataset.splits["train"])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real sets are not here")
@pytest.mark.parametrize(
    ("name", "task", "layout", "counts"),
    [
        ("sign_digits", "classification", "folder", (700, 200, 200)),
        ("nuclei_count", "regression", "csv", (280, 70, 70)),
        ("dubai_semantic", "segmentation", "masks", (210, 30, 30)),
    ],
)
def test_real_sets(name: str, task: str, layout: str, counts: tuple[int, ...]) -> None:
    dataset = records.read(SHARED / name, task=task)
    assert dataset.layout == layout
    assert tuple(len(rows) for rows in dataset.splits.values()) == counts
    assert (dataset.warnings, dataset.skipped) == ((), ())
    if task == "segmentation":
        assert dataset.classes == ("building", "land", "road", "vegetation", "water")


def deep(path: Path, *values: int, dtype: type[np.generic] = np.uint16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([values], dtype)).save(path)


@pytest.mark.parametrize(
    ("brightest", "white"), [(0, None), (200, 255), (1000, 1023), (4095, 4095), (4096, 16383), (65535, 65535)]
)
def test_deep_grey_has_one_white_in_all_images(tmp_path: Path, brightest: int, white: int | None) -> None:
    for i in range(8):
        deep(tmp_path / "ab"[i % 2] / f"{i}.png", i, 99, dtype=np.uint16 if white else np.uint8)
    if white:
        deep(tmp_path / "a" / "bright.png", 0, brightest)
    found = records.read(tmp_path, task="classification")
    assert found.white == white
    said = f"16-bit grey: 0 to {white:,} is black to white, in every image" if white else "is black to white"
    assert (said in describe(found)) == bool(white)


def test_less_of_train_has_the_white_of_all(tmp_path: Path) -> None:
    for i in range(20):
        deep(tmp_path / "ab"[i % 2] / f"{i}.png", 99, 4000 if i == 7 else i)
    read = partial(records.read, tmp_path, task="classification", val_fraction=0.1)
    few = [read(train_fraction=0.2, seed=seed) for seed in range(5)]
    lacking = [
        found for found in few if all(row.image.name != "7.png" for rows in found.splits.values() for row in rows)
    ]
    assert lacking
    assert {found.white for found in lacking} == {4095}


def test_of_images_with_several_pages_a_warning_says_that_one_is_read(tmp_path: Path) -> None:
    counts = class_folders(tmp_path, {"a": 4, "b": 4})
    assert not any("pages" in line for line in records.read(counts, task="classification").warnings)
    for name in "xy":
        pages = [Image.new("L", (4, 3), shade + ord(name)) for shade in (0, 60, 90)]
        pages[0].save(tmp_path / "a" / f"{name}.tif", save_all=True, append_images=pages[1:])
    (line,) = (line for line in records.read(tmp_path, task="classification").warnings if "pages" in line)
    assert line.startswith("2 image files have several pages or frames (a/x.tif: 3), of which the first alone is read")


def clips(root: Path, *, frames: int = 5, split: str = "") -> Path:
    """Eight clips of each of two classes."""
    for label, clip, frame in itertools.product("ab", range(8), range(frames)):
        shade = 120 * (label == "b") + 5 * frame + clip
        picture(root / split / label / f"{label}_clip{clip:02}_{frame}.png", shade, (4 + clip, 3 + frame))
    return root


def clip_of(record: Record) -> str:
    return record.image.name[:8]


@pytest.mark.parametrize("group", [r"[ab]_clip\d+", r"([ab])_clip(\d+)", r"(?<=/)._clip..", r"/(?P<clip>.*)_"])
@pytest.mark.parametrize("seed", range(3))
def test_a_group_is_held_out_as_a_whole(tmp_path: Path, group: str, seed: int) -> None:
    dataset = records.read(clips(tmp_path), task="classification", val_fraction=0.25, group=group, seed=seed)
    train, val = ({clip_of(record) for record in dataset.splits[name]} for name in ("train", "val"))
    assert not train & val
    assert dataset.counts == {"train": (30, 30), "val": (10, 10)}
    assert not dataset.warnings
    apart = records.read(tmp_path, task="classification", val_fraction=0.25, seed=seed)
    assert {clip_of(record) for record in apart.splits["train"]} & {clip_of(record) for record in apart.splits["val"]}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_column_of_the_table_names_the_groups_and_is_not_learnt(tmp_path: Path, task: str) -> None:
    """Whose names the files do not tell; an image of none stands alone."""
    lines = ["image,label,patient no" if task == "classification" else "image,size,patient no"]
    for i in range(80):
        picture(tmp_path / f"{i}.png", i, (6 + i % 7, 5 + i % 5))
        lines.append(f"{i}.png,{i % 2},{'' if i > 77 else 100 + i % 20}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    dataset = records.read(tmp_path, task=task, val_fraction=0.25, group="patient no")
    train, val = ({record.member for record in dataset.splits[name]} - {""} for name in ("train", "val"))
    assert len(train) + len(val) == 20 and len(val) >= 4
    assert dataset.targets == (() if task == "classification" else ("size",))
    assert dataset.warnings == ("data.group=patient no: not found in 2 of 80 images, each of which stands alone",)
    other = records.read(tmp_path, task=task, group=r"(\d)\.png", targets=[lines[0].split(",")[1]])
    assert {record.member for records in other.splits.values() for record in records} == {None}


def test_a_column_of_groups_is_learnt_where_somebody_chose_it(tmp_path: Path) -> None:
    for i in range(8):
        picture(tmp_path / f"{i}.png", i, (6 + i, 5))
    (tmp_path / "table.csv").write_text("\n".join(["image,size,patient", *(f"{i}.png,{i},{i // 2}" for i in range(8))]))
    dataset = records.read(tmp_path, task="regression", group="patient", targets=["patient", "size"])
    assert dataset.targets == ("patient", "size")
    assert [record.target[0] for rows in dataset.splits.values() for record in rows if record.member == "3"] == [3, 3]


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_may_lack_the_column_of_groups(tmp_path: Path, split: str) -> None:
    for i in range(12):
        picture(tmp_path / f"{i}.png", i, (6 + i, 5))
    rows = [f"{i}.png,p{i // 2},{'ab'[i % 2]}" for i in range(8)]
    (tmp_path / "train.csv").write_text("\n".join(["image,patient,label", *rows]))
    (tmp_path / f"{split}.csv").write_text(
        "\n".join(["image,label", *(f"{i}.png,{'ab'[i % 2]}" for i in range(8, 12))])
    )
    dataset = records.read(tmp_path, task="classification", group="patient")
    assert dataset.counts[split] == (2, 2) and {record.member for record in dataset.splits[split]} == {""}
    assert dataset.warnings == ("data.group=patient: not found in 4 of 12 images, each of which stands alone",)


def test_a_column_of_groups_that_splits_tear_apart_is_a_warning(tmp_path: Path) -> None:
    lines = ["image,label,split,patient"]
    for i in range(8):
        picture(tmp_path / f"{i}.png", i, (6 + i, 5))
        lines.append(f"{i}.png,{'ab'[i % 2]},{('train', 'train', 'val')[i % 3]},p{i // 2}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    (line,) = records.read(tmp_path, task="classification", group="patient").warnings
    assert line.startswith("2 groups of data.group=patient stand in two splits, such as p1 (train and val): ")


def test_the_only_group_of_a_class_stays_in_training(tmp_path: Path) -> None:
    dataset = records.read(clips(tmp_path), task="classification", group="^a|b_clip..")
    assert dataset.counts == {"train": (40, 35), "val": (0, 5)}
    assert dataset.warnings == ("no validation images of: a",)


def test_images_that_show_no_group_stand_alone_and_are_counted(tmp_path: Path) -> None:
    dataset = records.read(clips(tmp_path), task="classification", group="a_clip..")
    (line,) = (line for line in dataset.warnings if "group" in line)
    assert line == "data.group=a_clip..: not found in 40 of 80 images, each of which stands alone"
    train, val = ({clip_of(record) for record in dataset.splits[name]} for name in ("train", "val"))
    assert all(clip.startswith("b") for clip in train & val)


def test_a_group_that_is_found_nowhere_is_refused(tmp_path: Path) -> None:
    told = r"data\.group=patient: no column of a table, and found in no image's path, such as a/a_clip00_0\.png"
    with pytest.raises(DataError, match=told):
        records.read(clips(tmp_path), task="classification", group="patient")
    table = tmp_path / "t.csv"
    table.write_text("image,label,patient\n" + "".join(f"{x}/{x}_clip00_{i}.png,{x},\n" for x in "ab" for i in (0, 1)))
    with pytest.raises(DataError, match=r"data\.group=patient: no cell of the column is filled"):
        records.read(table, task="classification", group="patient")


def test_groups_are_nothing_to_a_finished_model(tmp_path: Path) -> None:
    read = partial(records.read, clips(tmp_path), task="classification", classes=["a", "b"], training=False)
    assert not read(group="nowhere").warnings


def test_groups_that_a_datasets_own_splits_tear_apart_are_a_warning(tmp_path: Path) -> None:
    clips(tmp_path, split="train")
    assert not records.read(tmp_path, task="classification", group="_clip.._").warnings
    for label in "ab":
        (tmp_path / "val" / label).mkdir(parents=True)
        for frame in range(2):
            file = tmp_path / "train" / label / f"{label}_clip03_{frame}.png"
            file.rename(tmp_path / "val" / label / file.name)
    (line,) = records.read(tmp_path, task="classification", group="._clip..").warnings
    assert line == (
        "2 groups of data.group=._clip.. stand in two splits, such as a_clip03 (train and val): "
        "scores on them look better than they are"
    )


def test_a_group_of_several_labels_is_held_out_as_a_whole(tmp_path: Path) -> None:
    lines = ["image,labels"]
    for clip, frame in itertools.product(range(12), range(4)):
        name = f"{clip:02}_{frame}.png"
        picture(tmp_path / name, clip * 9 + frame, (5 + clip, 4 + frame))
        lines.append(f"{name},{['x', 'y', 'x|y'][clip % 3]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    dataset = records.read(tmp_path, task="classification", group=r"^(\d+)_", val_fraction=0.25)
    assert dataset.multilabel
    train, val = ({record.image.name[:2] for record in dataset.splits[name]} for name in ("train", "val"))
    assert val and not train & val


def folds(root: Path, *, task: str = "classification", count: int = 5, **how: Any) -> list[records.Dataset]:
    """Of a dataset what each fold has, which together hold each image once."""
    found = [records.read(root, task=task, fold=f"{n}/{count}", **how) for n in range(1, count + 1)]
    of_all = {record.image for dataset in found[:1] for name in ("train", "val") for record in dataset.splits[name]}
    held = [record.image for dataset in found for record in dataset.splits["val"]]
    for dataset in found:
        own = [record.image for name in ("train", "val") for record in dataset.splits[name]]
        assert len(own) == len(of_all) and set(own) == of_all
    assert sorted(held) == sorted(of_all)
    return found


def test_every_image_is_val_in_one_fold_and_every_fold_has_the_shares_of_the_classes(tmp_path: Path) -> None:
    found = folds(class_folders(tmp_path, {"a": 20, "b": 10, "c": 5}))
    assert [dataset.counts["val"] for dataset in found] == [(4, 2, 1)] * 5
    assert len({dataset.fingerprint for dataset in found}) == 1
    assert len({dataset.fingerprints["val"] for dataset in found}) == 5
    other = records.read(tmp_path, task="classification", fold="1/5", seed=1)
    assert other.splits["val"] != found[0].splits["val"]


def test_folds_are_of_train_and_val_together_and_leave_test(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("val", 2), ("test", 3)):
        class_folders(tmp_path, {"a": count, "b": count}, split)
    found = folds(tmp_path, count=4)
    assert [dataset.counts for dataset in found] == [{"train": (6, 6), "val": (2, 2), "test": (3, 3)}] * 4


def test_a_group_lies_in_one_fold(tmp_path: Path) -> None:
    for dataset in folds(clips(tmp_path), count=4, group="._clip.."):
        train, val = ({clip_of(record) for record in dataset.splits[name]} for name in ("train", "val"))
        assert len(val) == 4 and not train & val and dataset.counts["val"] == (10, 10)


def test_less_of_train_leaves_the_fold(tmp_path: Path) -> None:
    found = records.read(class_folders(tmp_path, {"a": 20, "b": 10}), task="classification", fold="2/5")
    less = records.read(tmp_path, task="classification", fold="2/5", train_fraction=0.5)
    assert (less.splits["val"], less.counts["train"]) == (found.splits["val"], (8, 4))


def test_more_folds_than_images_are_refused(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 4, "b": 4})
    (tmp_path / "a" / "0.png").write_bytes((tmp_path / "a" / "1.png").read_bytes())
    assert len(folds(tmp_path, count=7)) == 7
    with pytest.raises(DataError, match=r"data\.fold=1/8: there are only 7 different images; take fewer folds"):
        records.read(tmp_path, task="classification", fold="1/8")
    with pytest.raises(DataError, match=r"data\.fold=1/3: there are only 2 groups of data.group=\^.; take fewer folds"):
        records.read(tmp_path, task="classification", fold="1/3", group="^.")


@pytest.mark.parametrize("model_learns_from_all", [True, False])
def test_defects_are_learnt_in_folds_where_the_dataset_has_some_to_learn(
    tmp_path: Path, model_learns_from_all: bool
) -> None:
    for split, good, bad in (("train", 8, 4), ("test", 2, 2)):
        class_folders(tmp_path, {"good": good, "scratch": bad}, split)
    found = folds_of_defects(tmp_path, defects_aside=not model_learns_from_all)
    expected = [(2, 1)] * 4 if model_learns_from_all else [(2, 4)] * 4
    assert [dataset.counts["val"] for dataset in found] == expected


def folds_of_defects(root: Path, **how: Any) -> list[records.Dataset]:
    return [records.read(root, task="anomaly_detection", fold=f"{n}/4", **how) for n in range(1, 5)]


def test_folds_of_good_images_keep_the_datasets_defects_in_val(tmp_path: Path) -> None:
    class_folders(tmp_path, {"good": 6}, "train")
    class_folders(tmp_path, {"good": 2, "scratch": 3}, "val")
    found = folds_of_defects(tmp_path)
    assert [(dataset.counts["train"], dataset.counts["val"]) for dataset in found] == [((6, 0), (2, 3))] * 4
    assert len({dataset.fingerprints["val"] for dataset in found}) == 4
