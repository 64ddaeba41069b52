"""What a leading ``~`` stands for, and where the cache lies."""

from __future__ import annotations

import os
import pwd
import tempfile
import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from visrun.folders import cache_folder, expanded


def test_the_home_folder_and_names_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ben")
    assert expanded("~/x") == expanded(Path("~/x")) == Path("/home/ben/x")
    assert expanded("~no_such_user/x") == Path("~no_such_user/x")
    assert expanded("a/~") == Path("a/~")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_path_is_found_however_its_accents_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Literal["NFC", "NFD"]
) -> None:
    here = tmp_path / unicodedata.normalize("NFD", "donn\u00e9es") / unicodedata.normalize("NFD", "\u00e9t\u00e9")
    here.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for typed in (
        "donn\u00e9es/\u00e9t\u00e9",
        f"{tmp_path}/donn\u00e9es/\u00e9t\u00e9",
        "./donn\u00e9es/../donn\u00e9es/\u00e9t\u00e9",
    ):
        found = expanded(unicodedata.normalize(form, typed))
        assert found.is_dir() and found.samefile(here)
    assert expanded("donn\u00e9es/n\u00e9w") == here.parent.relative_to(tmp_path) / "n\u00e9w"


def test_of_two_such_names_the_one_that_is_typed_and_of_none_what_is_typed(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "\u1e9b\u0323") for form in ("NFC", "NFD")]
    for name in names:
        (tmp_path / name).mkdir()
        assert expanded(tmp_path / name) == tmp_path / name
    (tmp_path / "f").write_text("")
    for typed in (
        tmp_path / "\u1e9b\u0307x",
        tmp_path / "f" / "\u00e9",
        tmp_path / ("\u00e9" * 300),
        Path("\udce9"),
        Path("\u00e9/x"),
    ):
        assert expanded(typed) == typed


def test_the_cache_lies_at_home_or_without_one_among_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    assert cache_folder() == Path(os.environ["XDG_CACHE_HOME"], "visrun")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/ben")
    assert cache_folder() == Path("/home/ben/.cache/visrun")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert cache_folder() == Path(tempfile.gettempdir(), f"visrun-{os.getuid()}")
