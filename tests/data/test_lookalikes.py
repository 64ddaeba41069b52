"""Pictures that two splits share although their files differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visrun.data import check, lookalikes
from visrun.data.listing import Record

SIZE = (160, 120)


def picture(seed: int) -> Image.Image:
    """Soft blots of colour, other ones for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)


def smaller(image: Image.Image) -> Image.Image:
    return image.resize((96, 80), Image.Resampling.BILINEAR)


def entries(folder: Path, images: dict[str, Image.Image], **options: int) -> list[tuple[Record, check.Finding]]:
    folder.mkdir(exist_ok=True)
    for name, image in images.items():
        image.save(folder / name, **options)
    records = [Record(folder / name, 0, name) for name in images]
    return list(zip(records, check.examine(records, root=folder, pixels=True), strict=True))


def found(splits: dict[str, list[tuple[Record, check.Finding]]]) -> list[tuple[str, str, str, str]]:
    return [(a, b, left.name, right.name) for a, b, left, right in lookalikes.across(splits)]


@pytest.mark.parametrize(
    ("name", "options"),
    [("copy.png", {}), ("copy.jpg", {"quality": 30}), ("copy.webp", {"quality": 60}), ("copy.bmp", {})],
)
def test_a_picture_saved_again_is_found(tmp_path: Path, name: str, options: dict[str, int]) -> None:
    train = entries(tmp_path / "train", {f"{i}.png": picture(i) for i in range(5)})
    val = entries(tmp_path / "val", {"new.jpg": picture(7), name: smaller(picture(3))}, **options)
    assert found({"train": train, "val": val}) == [("train", "val", "3.png", name)]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda image: image.crop((40, 30, 160, 120)),
        lambda image: Image.fromarray(255 - np.asarray(image)),
        lambda image: Image.fromarray(np.asarray(image)[..., ::-1].copy()),
        lambda image: Image.new("RGB", image.size, (90, 90, 90)),
    ],
)
def test_another_picture_is_none(tmp_path: Path, change) -> None:
    train = entries(tmp_path / "train", {"a.png": picture(0), "grey.png": Image.new("RGB", SIZE, (90, 90, 91))})
    val = entries(tmp_path / "val", {"b.png": change(picture(0))})
    assert found({"train": train, "val": val}) == []


def test_every_pair_of_splits_is_looked_at(tmp_path: Path) -> None:
    one, two = picture(0), picture(1)
    splits = {
        "train": entries(tmp_path / "train", {"a.png": one}),
        "val": entries(tmp_path / "val", {"b.png": two}),
        "test": entries(tmp_path / "test", {"c.jpg": smaller(two), "d.jpg": smaller(one)}),
    }
    assert found(splits) == [("train", "test", "a.png", "d.jpg"), ("val", "test", "b.png", "c.jpg")]


def test_files_of_equal_length_are_left_to_the_search_for_copies(tmp_path: Path) -> None:
    train, val = (entries(tmp_path / split, {"a.png": picture(0)}) for split in ("train", "val"))
    assert found({"train": train, "val": val}) == []


def test_small_blocks_and_empty_splits_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = entries(tmp_path / "train", {f"{i}.png": picture(i) for i in range(4)})
    val = entries(tmp_path / "val", {f"{i}.jpg": smaller(picture(i)) for i in (2, 9, 0)})
    splits = {"train": train, "val": val, "test": []}
    assert found(splits) == [("train", "val", "2.png", "2.jpg"), ("train", "val", "0.png", "0.jpg")]
    monkeypatch.setattr(lookalikes, "BLOCK", 1)
    lookalikes._across.cache_clear()
    assert found(splits) == [("train", "val", "2.png", "2.jpg"), ("train", "val", "0.png", "0.jpg")]


def test_what_was_found_is_remembered_for_the_same_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = entries(tmp_path / "train", {f"{i}.png": picture(i) for i in range(3)})
    val = entries(tmp_path / "val", {f"{i}.jpg": smaller(picture(i)) for i in (2, 5)})
    pairs = [("train", "val", "2.png", "2.jpg")]
    assert found({"train": train, "val": val}) == pairs
    monkeypatch.setattr(lookalikes, "_candidates", lambda left, right: [])
    assert found({"train": [*train], "val": [*val]}) == pairs
    assert found({"train": train, "val": val[:1]}) == found({"train": train, "test": val}) == []


def test_of_very_many_every_nth_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = entries(tmp_path / "train", {f"{i}.png": picture(i) for i in range(4)})
    val = entries(tmp_path / "val", {f"{i}.jpg": smaller(picture(i)) for i in range(4)})
    monkeypatch.setattr(lookalikes, "MOST_PAIRS", 16)
    assert [right for *_, right in found({"train": train, "val": val})] == ["0.jpg", "2.jpg"]


def test_the_line_counts_and_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = entries(tmp_path / "train", {f"{i}.png": picture(i) for i in range(2)})
    val = entries(tmp_path / "val", {f"{i}.jpg": smaller(picture(i)) for i in range(2)})
    first, second = (f"val/{i}.jpg (val) that of train/{i}.png (train)" for i in range(2))
    end = ": scores on them look better than they are"
    line = f"2 images nearly show the picture of another split, such as {first}, {second}{end}"
    assert lookalikes.warning({"train": train, "val": val}, tmp_path) == [line]
    monkeypatch.setattr(lookalikes, "NAMED", 1)
    line = f"2 images nearly show the picture of another split, such as {first}{end}"
    assert lookalikes.warning({"train": train, "val": val}, tmp_path) == [line]
    line = f"one image nearly shows the picture of another split, such as {first}{end}"
    assert lookalikes.warning({"train": train, "val": val[:1]}, tmp_path) == [line]
    assert lookalikes.warning({"train": train}, tmp_path) == []
