"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from visrun import files
from visrun.errors import UserError, VisrunError


def test_a_file_is_replaced_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    for data in (b"one", b"", memoryview(b"three")):
        files.write_atomic(tmp_path / "x", data)
        assert (tmp_path / "x").read_bytes() == bytes(data)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_error_while_writing_leaves_the_old_file_and_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"old")
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(VisrunError, match=r"x: cannot write \(No space left"):
        files.write_atomic(tmp_path / "x", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_a_named_file_is_replaced_where_a_link_leads(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there" / "x")
    for data in (b"one", b"two"):
        (tmp_path / "there").mkdir(exist_ok=True)
        files.write_named(link, data)
        assert link.is_symlink() and (tmp_path / "there" / "x").read_bytes() == data
    files.write_named(tmp_path / "new" / "y", b"three")
    assert (tmp_path / "new" / "y").read_bytes() == b"three"


def test_a_named_pipe_takes_what_is_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        files.write_named(pipe, b"data")
        assert reader.communicate(timeout=60)[0] == b"data"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_named_file_that_cannot_be_replaced_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"old")
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match=r"^out=.*x: cannot write \(No space left on device\); name another file$"):
        files.write_named(tmp_path / "x", b"data")
    assert (tmp_path / "x").read_bytes() == b"old"
    with pytest.raises(UserError, match=r"^out=.*: cannot be written \(Is a directory\); name another file$"):
        files.write_named(tmp_path, b"data")


def test_a_named_file_that_may_not_be_written_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def protected(path: Path, mode: str = "r", known: Callable[..., Any] = Path.open) -> Any:
        if path == tmp_path / "x" and mode != "rb":  # root may write into a file of mode 0444
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return known(path, mode)

    (tmp_path / "x").write_bytes(b"old")
    monkeypatch.setattr(Path, "open", protected)
    with pytest.raises(UserError, match=r"^out=.*x: cannot be written \(Permission denied\); name another file$"):
        files.write_named(tmp_path / "x", b"data")
    with (tmp_path / "x").open("rb") as file:
        assert file.read() == b"old"


def test_a_folder_that_cannot_be_synchronised_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def files_alone(descriptor: int, known: Callable[[int], None] = os.fsync) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        known(descriptor)

    monkeypatch.setattr(files.os, "fsync", files_alone)
    files.write_atomic(tmp_path / "x", b"data")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"data"}


def test_an_interruption_passes_and_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        files.write_atomic(tmp_path / "x", b"data")
    assert list(tmp_path.iterdir()) == []


def test_no_link_in_the_place_of_the_temporary_file_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "profile").write_bytes(b"mine")
    (tmp_path / "x.tmp").symlink_to("profile")
    files.write_atomic(tmp_path / "x", b"data")
    assert (tmp_path / "profile").read_bytes() == b"mine" and (tmp_path / "x").read_bytes() == b"data"
    assert not (tmp_path / "x").is_symlink() and not (tmp_path / "x.tmp").exists()


def test_a_folder_that_is_none_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for write in (files.write_atomic, files.update):
        with pytest.raises(VisrunError, match="file/x: cannot write"):
            write(tmp_path / "file" / "x", b"data")
    with pytest.raises(VisrunError, match="none/x: cannot write"):
        files.write_atomic(tmp_path / "none" / "x", b"data")


def test_an_update_makes_the_folder_and_leaves_an_equal_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x"
    files.update(path, b"one")
    before = path.stat().st_ino
    files.update(path, b"one")
    assert path.stat().st_ino == before
    files.update(path, b"two")
    assert path.read_bytes() == b"two" and path.stat().st_ino != before


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1234")
    assert files.read_plain(tmp_path / "file", 4) == b"1234"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with (tmp_path / "holes").open("wb") as file:
        file.truncate(files.MOST_READ + 1)
    for name, most, why in [
        ("file", 3, "larger than 3 bytes"),
        ("holes", files.MOST_READ, "larger than 200,000,000 bytes"),
        ("pipe", 4, "no file, but a folder, pipe or device"),
        ("zero", 4, "no file, but a folder, pipe or device"),
        (".", 4, "no file, but a folder, pipe or device"),
        ("gone", 4, "No such file"),
    ]:
        with pytest.raises(OSError, match=why):
            files.read_plain(tmp_path / name, most)


def test_leftovers_are_those_of_killed_writes_alone(tmp_path: Path) -> None:
    for name in ("last.pt.tmp", ".hidden.tmp", "last.pt", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    files.remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "notes.txt"]


@pytest.mark.parametrize("module", ["files", "record.run_folder", "compare.runs", "repeat"])
def test_what_only_reads_a_run_needs_no_torch(module: str) -> None:
    program = f"import sys, visrun.{module}; assert not {{'torch', 'mlflow', 'optuna'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("text", ["", "[1]", "null", '{"a": 1', "[" * 100_000, '{"a": "\udce9"}'])
def test_a_broken_file_holds_nothing(tmp_path: Path, text: str) -> None:
    assert files.read_object(tmp_path / "missing") == files.read_object(tmp_path) == {}
    (tmp_path / "x").write_bytes(text.encode(errors="surrogateescape"))
    assert files.read_object(tmp_path / "x") == {}
    (tmp_path / "x").write_text('{"a": 1}', encoding="utf-8")
    assert files.read_object(tmp_path / "x") == {"a": 1}


@pytest.mark.parametrize("content", [None, {}, {"result": None}, {"result": [1]}, {"result": "none"}])
def test_a_part_that_is_no_object_counts_as_none(content: dict[str, Any] | None) -> None:
    assert files.part_of(content, "result") == {}
    assert files.part_of({"result": {"status": "killed"}}, "result") == {"status": "killed"}
