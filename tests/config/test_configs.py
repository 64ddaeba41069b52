"""Folders of config files that cannot be read."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from visrun import cli


@pytest.mark.parametrize(("words", "name"), [(["--config-dir", "mine"], "mine"), ([], "conf")])
def test_a_folder_of_config_files_that_cannot_be_read_is_not_passed_over(
    words: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / name
    folder.mkdir()
    scandir = os.scandir

    def refused(path: Any) -> Any:
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert cli.main([*words, "--cfg", "job"]) == 2
    out, err = capsys.readouterr()
    named = " ".join(words) or str(folder)
    refusal = "cannot be read (Permission denied); ask whom it belongs to, or name another"
    assert (out, err) == ("", f"visrun: error: {named}: {refusal}\n")


@pytest.mark.parametrize("path", ["file", "file/inside"])
def test_a_file_is_no_folder_of_config_files(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert cli.main(["--config-dir", path, "--cfg", "job"]) == 2
    assert (
        capsys.readouterr().err == f"visrun: error: --config-dir {path}: no such folder; name one with config files\n"
    )
