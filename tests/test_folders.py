"""What a leading ``~`` stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun.folders import expanded


def test_the_home_folder_and_names_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ben")
    assert expanded("~/x") == expanded(Path("~/x")) == Path("/home/ben/x")
    assert expanded("~no_such_user/x") == Path("~no_such_user/x")
    assert expanded("a/~") == Path("a/~")
