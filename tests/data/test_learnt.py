"""Images that a run learnt from, found again."""

import shutil
from pathlib import Path

import pytest

from visrun.data.learnt import MOST, sample, share


def written(folder: Path, count: int, *, more: int = 0) -> list[Path]:
    """Files in two folders, each of another content; of one size, as uncompressed images of a camera are."""
    files = [folder / ("cat", "dog")[i % 2] / f"{i // 2}.png" for i in range(count)]
    for i, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(100_000) + b"%8d" % (i + more))
    return files


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (1, 1), (MOST, MOST), (3 * MOST, MOST)])
def test_a_sample_is_the_same_whatever_the_order_and_the_place(tmp_path: Path, count: int, kept: int) -> None:
    files = written(tmp_path / "a", count)
    noted = sample(files)
    assert len(noted) == kept and noted == sample(reversed(files)) == sample(written(tmp_path / "b", count))
    assert all(len(name) == 16 for name in noted)
    assert share(noted, files) == float(bool(count))


def test_files_are_known_in_another_folder_and_others_of_their_names_are_not(tmp_path: Path) -> None:
    files = written(tmp_path / "a", 40)
    noted = sample(files)
    moved = shutil.copytree(tmp_path / "a", tmp_path / "deep" / "er")
    assert share(noted, [moved / file.relative_to(tmp_path / "a") for file in files]) == 1.0
    assert share(noted, files[:10]) == 0.25
    assert share(noted, [*files[:10], *files[:10]]) == 0.25
    assert share(noted, written(tmp_path / "c", 40, more=1000)) == 0.0
    assert share(noted, [tmp_path / "b" / file.name for file in files]) == 0.0  # in a folder of another name
    assert share({}, files) == share(noted, []) == 0.0


def test_what_is_gone_or_noted_by_a_hand_is_passed_over(tmp_path: Path) -> None:
    files = written(tmp_path, 4)
    noted = sample(files)
    files[0].unlink()
    assert share(noted, files) == 0.75
    assert len(sample(files)) == 3
    assert share(dict.fromkeys(noted, 10), files) == 0.0
