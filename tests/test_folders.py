"""What a leading ``~`` stands for, and where the cache lies."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from visrun.folders import cache_folder, expanded


def test_the_home_folder_and_names_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ben")
    assert expanded("~/x") == expanded(Path("~/x")) == Path("/home/ben/x")
    assert expanded("~no_such_user/x") == Path("~no_such_user/x")
    assert expanded("a/~") == Path("a/~")


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
