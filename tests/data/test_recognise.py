"""Which reader a folder is given to."""

from __future__ import annotations

import errno
import inspect
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from visrun import build
from visrun.data import recognise
from visrun.errors import ConfigError, DataError
from visrun.tables import READERS


def broken(root: Path, task: str) -> NoReturn:
    raise KeyError(task)


def closed(root: Path) -> NoReturn:
    raise PermissionError(errno.EACCES, "Permission denied", str(root / "b" / "JPEGImages"))


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").touch()
    monkeypatch.setitem(READERS, "mine", replace(READERS["folder"], recognise=closed))
    with pytest.raises(DataError) as caught:
        recognise.listing(tmp_path, task="classification")
    told = "no permission to look there: give it, or move the folder away"
    assert str(caught.value) == f"{tmp_path}/b/JPEGImages: {told}"


@pytest.mark.parametrize("task", ["classification", "segmentation"])  # the reader's own, and one that is tried
def test_a_plugins_reader_that_breaks_on_a_folder_is_one_line_that_names_it(
    tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").touch()
    monkeypatch.setitem(READERS, "mine", replace(READERS["folder"], recognise=broken))
    with pytest.raises(DataError) as caught:
        recognise.listing(tmp_path, task=task)
    line = f"data=mine: cannot tell whether {tmp_path} is of its layout (KeyError: 'classification')"
    assert str(caught.value) == line


def test_a_plugins_reader_that_asks_for_what_nothing_gives_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, "mine", replace(READERS["folder"], recognise=lambda root, kind: bool(root and kind)))
    with pytest.raises(ConfigError, match=r'^READERS\["mine"\]\.recognise: its function asks for kind, '):
        recognise.fitting(tmp_path, "classification")


@pytest.mark.parametrize("name", READERS)
def test_what_a_reader_reads_is_one_whole_line(name: str) -> None:
    text = inspect.getdoc(build.load(READERS[name].read))
    assert text is not None and text.splitlines()[1:2] in ([], [""])
    assert text.startswith(recognise.what_it_reads(name))
