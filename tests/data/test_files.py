"""Names of files and folders: what is shown of a path, and where images lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun.data import files


@pytest.mark.parametrize(
    ("path", "root", "shown"),
    [
        ("/d/train/a.png", "/d", "train/a.png"),
        ("/d", "/d", "."),
        ("/data/a.png", "/d", "/data/a.png"),  # a root whose name the path only begins with
        ("/e/a.png", "/d", "/e/a.png"),
        ("d/a.png", "d", "a.png"),
        ("/d/d/a.png", "/d", "d/a.png"),
    ],
)
def test_a_path_is_shown_from_its_root(path: str, root: str, shown: str) -> None:
    assert files.shown(Path(path), Path(root)) == shown


def test_a_folder_holds_images_where_one_can_be_seen(tmp_path: Path) -> None:
    assert not files.holds_images(tmp_path)
    assert not files.holds_images(tmp_path / "missing")
    for name in ("notes.txt", ".hidden.png", "folder.png/notes.txt", ".cache/a.png", "__MACOSX/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert not files.holds_images(tmp_path)
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "deep" / "deeper" / "A.JPG").touch()
    assert files.holds_images(tmp_path)
    assert not files.holds_images(tmp_path, deep=False)
    (tmp_path / "a.tiff").touch()
    assert files.holds_images(tmp_path, deep=False)


def test_images_stand_in_natural_order_and_folders_after_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/1.png", "i10.png", "i2.png", "I3.png", "i2.txt", ".i1.png"):
        (tmp_path / name).touch()
    found = [files.shown(path, tmp_path) for path in files.images(tmp_path)]
    assert found == ["i2.png", "I3.png", "i10.png", "b/1.png"]
