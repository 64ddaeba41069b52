"""Folders of config files that cannot be read."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from visrun import cli
from visrun.config.compose import resolve
from visrun.errors import ConfigError


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


@pytest.mark.parametrize(("text", "nested"), [("augment:\n  rotate: 5\n", True), ("rotate: 5\n", False)])
def test_an_option_that_names_its_group_within_it_is_told_with_the_line_that_it_lacks(
    tmp_path: Path, text: str, nested: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "augment").mkdir(parents=True)
    (tmp_path / "conf" / "augment" / "mine.yaml").write_text(text)
    line = "conf/augment/mine.yaml: says augment within augment; begin it with the line '# @package _global_'"
    if nested:
        with pytest.raises(ConfigError) as caught:
            resolve(["augment=mine"])
        assert caught.value.problems == (line,)
    else:
        assert resolve(["augment=mine"]).settings.augment.rotate == 5
