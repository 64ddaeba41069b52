"""Folders of config files that cannot be read."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hydra.types import RunMode

from visrun import cli
from visrun.config.compose import resolve
from visrun.config.configs import PRIMARY, Conf, open_conf
from visrun.config.overrides import GROUPS
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


def hydras_files(conf: Conf, options: dict[str, str]) -> list[str]:
    """The files that Hydra composes, without those of its own node."""
    words = [f"{group}={option}" for group, option in options.items()]
    found = conf.loader.compute_defaults_list(PRIMARY, words, RunMode.RUN).defaults
    return [path for item in found if not (path := str(item.config_path)).startswith("hydra/")]


@pytest.mark.parametrize("group", GROUPS)
def test_the_files_of_a_config_are_found_as_hydra_finds_them(
    group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = open_conf(tmp_path)
    usual = {name: option for name, option in conf.default_choices().items() if name in GROUPS}
    several = [{**usual, group: option} for option in conf.options(group)][:: 1 if group == "task" else 8]
    expected = [hydras_files(conf, options) for options in several]
    monkeypatch.setattr(conf.loader, "compute_defaults_list", None)  # which takes long, and is not asked
    layers = [conf.layers(options) for options in several]  # with those that there need not be
    found = [[layer.path for layer in one if layer.values or layer.path == PRIMARY] for one in layers]
    assert found == expected


@pytest.mark.parametrize("place", ["  - _self_\n", "", None], ids=["last", "unsaid", "first"])
def test_the_files_of_a_users_own_primary_config_are_found_as_hydra_finds_them(
    place: str | None, tmp_path: Path
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text("defaults: [optimizer/sgd]\nseed: 3\n")
    text = "  - schema\n  - mine\n  - task: regression\n  - override hydra/job_logging: none\n"
    text = f"  - _self_\n{text}" if place is None else f"{text}{place}"
    (tmp_path / "conf" / "config.yaml").write_text(f"defaults:\n{text}batch_size: 4\n")
    conf = open_conf(tmp_path)
    found = [layer.path for layer in conf.layers({"task": "regression"})]
    assert found == hydras_files(conf, {"task": "regression"}) and {"mine", "optimizer/sgd", PRIMARY} <= {*found}
