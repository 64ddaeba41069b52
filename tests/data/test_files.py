"""Names of files and folders: what is shown of a path, and where images lie."""

from __future__ import annotations

import errno
import os
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from visrun.data import files, xmltree
from visrun.errors import DataError


@pytest.mark.parametrize(
    ("path", "root", "shown"),
    [
        ("/d/train/a.png", "/d", "train/a.png"),
        ("/d", "/d", "."),
        ("/data/a.png", "/d", "/data/a.png"),  # a root whose name the path only begins with
        ("/e/a.png", "/d", "/e/a.png"),
        ("d/a.png", "d", "a.png"),
        ("/d/d/a.png", "/d", "d/a.png"),
        ("/data/a\nb.png", "/data", "a\\x0ab.png"),
    ],
)
def test_a_path_is_shown_from_its_root(path: str, root: str, shown: str) -> None:
    assert files.shown(Path(path), Path(root)) == shown


@pytest.mark.parametrize(("path", "word"), [("/a/b.json", "data.root=/a/b.json"), ("/a b/c", "'data.root=/a b/c'")])
def test_a_root_to_choose_is_named_as_it_is_typed(path: str, word: str) -> None:
    assert files.naming(Path(path)) == word


def test_a_folder_holds_images_where_one_can_be_seen(tmp_path: Path) -> None:
    assert not files.holds_images(tmp_path)
    assert not files.holds_images(tmp_path / "missing")
    hidden = (".hidden.png", ".cache/a.png", "__MACOSX/a.png", "lost+found/a.png")
    for name in ("notes.txt", "folder.png/notes.txt", *hidden):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert not files.holds_images(tmp_path)
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "deep" / "deeper" / "A.JPG").touch()
    assert files.holds_images(tmp_path)
    assert not files.holds_images(tmp_path, deep=False)
    (tmp_path / "a.tiff").touch()
    assert files.holds_images(tmp_path, deep=False)


def test_a_folder_that_may_not_be_read_is_no_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def scandir(path: str) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    (tmp_path / "a" / "closed").mkdir(parents=True)
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match="a/closed: no permission to look there: give it, or move"):
        list(files.images(tmp_path))
    (tmp_path / "a").rename(tmp_path / ".a")
    assert list(files.images(tmp_path)) == []


def test_images_stand_in_natural_order_and_folders_after_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/1.png", "i10.png", "i2.png", "I3.png", "i2.txt", ".i1.png"):
        (tmp_path / name).touch()
    found = [files.shown(path, tmp_path) for path in files.images(tmp_path)]
    assert found == ["i2.png", "I3.png", "i10.png", "b/1.png"]


def test_links_to_a_folder_above_are_not_followed(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    for name, target in (("a/loop", "."), ("a/up", ".."), ("b/other", "../a")):
        (tmp_path / name).symlink_to(target)
    found = [files.shown(path, tmp_path) for path in islice(files.images(tmp_path), 9)]  # else no end is near
    assert found == ["a/1.png", "b/2.png", "b/other/1.png"]


def test_a_link_to_itself_is_no_folder_and_no_named_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("loop.png", "Classes.txt"):
        (tmp_path / name).symlink_to(name)
    assert files.folders(tmp_path) == [tmp_path / "a"]
    assert files.class_names(tmp_path) == ()


def test_text_that_is_not_utf_8_is_named_by_line_and_byte(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    for mark in (b"", b"\xef\xbb\xbf"):
        file.write_bytes(mark + b"chat\nb\xe9luga\n")
        with pytest.raises(DataError) as caught:
            files.class_names(tmp_path)
        assert str(caught.value) == f"{file}:2: not UTF-8 (byte 0xe9 at {len(mark) + 6}): save it as UTF-8"
    file.write_bytes(b"\xef\xbb\xbfchat\r\n\r\n b\xc3\xa9luga \n")
    assert files.class_names(tmp_path) == ("chat", "béluga")


def test_a_class_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("cat\ndog\ncat\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        files.class_names(tmp_path)
    assert str(caught.value) == f"{file}: class cat stands twice: give each id a name of its own"
    file.write_text("caf\u00e9\ndog\ncafe\u0301\n", encoding="utf-8")
    with pytest.raises(DataError, match="class caf\u00e9 stands twice"):
        files.class_names(tmp_path)


def test_a_root_that_cannot_be_there_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, what in {
        "none": "no such file or folder",
        "file/x": "no such file or folder",
        "a\0b": "no such file or folder",
        "x" * 300: "a name in this path is too long",
        "loop/x": "links that lead in a circle; name another path",
        "https:/host/a.zip": "no such file or folder; addresses are not read; download it and name the folder",
    }.items():
        with pytest.raises(DataError) as caught:
            files.require_root(tmp_path / name)
        assert str(caught.value) == f"data.root={tmp_path / name}: {what}"
    files.require_root(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.xml").symlink_to(tmp_path / "gone.xml")
    (tmp_path / "b.xml").mkdir()
    expected = {
        "a.xml": "no such file (a link to what is not there): mend or remove it",
        "b.xml": "a folder, not a file: rename or remove it",
        "c.xml": "no such file: mend or remove it",
    }
    for name, what in expected.items():
        for read in (files.text, xmltree.read):
            with pytest.raises(DataError) as caught:
                read(tmp_path / name)
            assert str(caught.value) == f"{tmp_path / name}: {what}"


def test_a_file_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables name a million of them."""
    (tmp_path / "a.jpg").touch()
    asked = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda *given, **how: asked.append(given) or stat(*given, **how))
    assert files.is_file(tmp_path / "a.jpg")
    assert len(asked) == 1
    assert not any(map(files.is_file, (tmp_path, tmp_path / "b.jpg", tmp_path / ("b" * 300), Path("a\0b"))))
