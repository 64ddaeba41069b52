"""Classes out of the names of images."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from visrun.data import recognise, records
from visrun.data.readers import file_names
from visrun.errors import DataError


def photo(path: Path, shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), shade).save(path)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat.0", "cat"),
        ("american_pit_bull_terrier_12", "american_pit_bull_terrier"),
        ("Abyssinian (3)", "Abyssinian"),
        ("0007-rose", "rose"),
        ("2_tulip_15", "tulip"),
        ("scratch_3_12", "scratch"),
        ("B-52 7", "B"),
        ("8", None),
        ("8_9", None),
        ("katze_ä1", "katze_ä"),
        ("cat", "cat"),
        ("_", None),
        ("scan_1700000000000000000_12345678_x", "scan_1700000000000000000_12345678_x"),
        (
            "rose_12345678_1234567890123456_1234567890123456789_n",
            "rose_12345678_1234567890123456_1234567890123456789_n",
        ),
    ],
)
def test_the_class_is_what_stands_beside_the_number(name: str, label: str | None) -> None:
    assert file_names.class_of(Path(f"{name}.jpg")) == label


@pytest.mark.parametrize("top", ["", "images/"])
@pytest.mark.parametrize("test", ["test", "test1"])
def test_dogs_and_cats(tmp_path: Path, top: str, test: str) -> None:
    for i in range(6):
        for name in ("cat", "dog"):
            photo(tmp_path / top / "train" / f"{name}.{i}.jpg", 20 * i + (name == "dog"))
    photo(tmp_path / top / test / "1.jpg", 255)
    dataset = records.read(tmp_path, task="classification", reader="names")
    assert (dataset.classes, dataset.counts) == (("cat", "dog"), {"train": (5, 5), "val": (1, 1)})
    told = "whose names say no class" if test == "test" else "in no split and left out"
    assert any(told in line for line in dataset.warnings) and len(dataset.warnings) == 1
    assert "names" not in recognise.fitting(tmp_path, "classification")
    if not top and test == "test1":
        with pytest.raises(DataError, match=r"as cat\.0\.jpg: data=names$"):
            records.read(tmp_path, task="classification")


def test_one_folder_of_all_and_a_name_that_is_a_number(tmp_path: Path) -> None:
    for i in range(4):
        photo(tmp_path / f"beagle_{i}.jpg", i)
        photo(tmp_path / f"{i}_pug.jpg", 9 + i)
    photo(tmp_path / "17.jpg", 99)
    listing = file_names.read(tmp_path)
    assert (listing.classes, len(listing.splits["all"])) == (("beagle", "pug"), 8)
    assert [str(problem) for problem in listing.problems] == ["17.jpg: its name says no class: it is a number alone"]
    assert file_names.may_say(tmp_path)


def test_where_all_names_are_numbers_nothing_is_said(tmp_path: Path) -> None:
    for i in range(4):
        photo(tmp_path / f"IMG_{i}.jpg", i)
    assert not file_names.may_say(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images named for their class, as cat\.0\.jpg"):
        file_names.read(tmp_path / "empty")
