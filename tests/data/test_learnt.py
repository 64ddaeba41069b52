"""Images that a run learnt from, found again."""

import shutil
from pathlib import Path

import pytest

from visrun.data.learnt import MOST, sample, share


def written(folder: Path, count: int, *, first: int = 0, places: tuple[str, ...] = ("cat", "dog")) -> list[Path]:
    """Files whose names repeat in each place, of one size, as uncompressed images of a camera are."""
    files = [folder / places[i % len(places)] / f"{i // len(places)}.png" for i in range(count)]
    for i, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(100_000) + b"%8d" % (first + i))
    return files


@pytest.mark.parametrize("count", [0, 1, MOST - 2, MOST, 3 * MOST])
def test_a_sample_is_the_same_whatever_the_order_and_the_place(tmp_path: Path, count: int) -> None:
    files = written(tmp_path / "a", count)
    noted = sample(files)
    assert len(noted.split()) == min(count, MOST)
    assert noted == sample(reversed(files)) == sample(written(tmp_path / "b", count))
    assert share(noted, files) == float(bool(count))


@pytest.mark.parametrize("count", [40, 1000])
def test_files_are_known_in_another_folder_and_others_of_their_names_are_not(tmp_path: Path, count: int) -> None:
    files = written(tmp_path / "a", count)
    noted = sample(files)
    moved = shutil.copytree(tmp_path / "a", tmp_path / "deep" / "er")
    assert share(noted, [moved / file.relative_to(tmp_path / "a") for file in files]) == 1.0
    assert share(noted, written(tmp_path / "c", count, first=count)) == 0.0
    flat = tmp_path / "flat"
    flat.mkdir()
    for i, file in enumerate(files[: count // 2]):
        shutil.copy(file, flat / f"{file.stem}{'' if i % 2 else 'x'}.png")  # half of them were given other names
    assert 0.3 < share(noted, [*flat.iterdir()]) < 0.7


def test_it_is_the_share_of_what_is_measured(tmp_path: Path) -> None:
    files = written(tmp_path / "a", 100)
    noted = sample(files)
    assert share(noted, files[:10]) == 1.0
    others = written(tmp_path / "b", 30, first=1000)
    assert share(noted, [*files[:10], *others]) == 0.25
    assert share("", files) == share(noted, []) == 0.0


def test_of_many_a_part_is_looked_at(tmp_path: Path) -> None:
    files = written(tmp_path / "a", 2000, places=("",))
    others = written(tmp_path / "b", 2000, first=5000, places=("",))
    noted = sample(files)
    assert share(noted, files[:1000]) == 1.0
    assert 0.35 < share(noted, [*files[:1000], *others[1000:]]) < 0.65


def test_what_is_gone_or_noted_by_a_hand_is_passed_over(tmp_path: Path) -> None:
    files = written(tmp_path, 4)
    noted = sample(files)
    files[0].unlink()
    assert share(noted, files) == 0.75
    assert len(sample(files).split()) == 3
    assert share("seven words that no run has ever written", files) == 0.0
