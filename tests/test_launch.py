"""Where a sweep writes, and what one process does around the trials that it runs one after the other."""

from __future__ import annotations

import gc
import re
import sys
from itertools import count
from pathlib import Path

import pytest
import torch

from visrun import launch
from visrun.config.compose import resolve
from visrun.config.configs import open_conf
from visrun.config.search_path import conf_dir
from visrun.errors import ConfigError


@pytest.mark.parametrize(
    ("former", "initialized", "expected"),
    [(0, True, []), (1, True, ["collected", "given back"]), (1, False, ["collected"])],
)
def test_a_trial_begins_without_what_the_former_one_kept_of_the_gpu(former, initialized, expected, monkeypatch):
    done = []
    monkeypatch.setattr(launch, "_begun", count(former))
    monkeypatch.setattr(gc, "collect", lambda: done.append("collected"))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: initialized)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append("given back"))
    launch._clear()
    assert done == expected


def test_a_trial_begins_without_torch(monkeypatch):
    monkeypatch.setattr(launch, "_begun", count(1))
    monkeypatch.delitem(sys.modules, "torch")
    launch._clear()
    assert "torch" not in sys.modules


def placed(*own, task="classification", config=None, option=None):
    """``sweep_folder`` in the current folder, its conf/ with these Hydra settings in config.yaml and in an option."""
    group = Path("conf/hydra/sweeper")
    group.mkdir(parents=True)
    if config:
        shipped = (conf_dir() / "config.yaml").read_text()
        old, new = config
        assert old in shipped
        Path("conf/config.yaml").write_text(shipped.replace(old, new, 1))
    if option is not None:
        (group / "mine.yaml").write_text(f"defaults: [visrun, _self_]\n{option}")
    conf = open_conf(Path.cwd())
    return launch.sweep_folder("sweep", own, resolve([f"task={task}"], conf=conf), conf)


NAMED = ("  run:\n", "  sweeper: {study_name: mine}\n  run:\n")
DIR = "    dir: multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}\n"
IN_MINE = ["hydra.sweep.dir=multirun/mine", "hydra.sweeper.study_name=mine"]


@pytest.mark.parametrize(
    ("own", "files", "place", "words"),
    [
        (["hydra.sweeper.study_name=typed"], {}, "multirun/typed", ["hydra.sweep.dir=multirun/typed"]),
        (["hydra.sweep.dir=typed"], {}, "typed", []),
        ([], {"config": NAMED}, "multirun/mine", IN_MINE),
        (["hydra/sweeper=mine"], {"option": "study_name: mine\n"}, "multirun/mine", IN_MINE),
        ([], {"config": (DIR, "    dir: here/mine\n")}, "here/mine", ["hydra.sweep.dir=here/mine"]),
        (
            ["hydra.sweeper.study_name=typed"],
            {"config": (DIR, "    dir: here/${task}\n"), "task": "segmentation"},
            "here/segmentation",
            ["hydra.sweep.dir=here/segmentation"],
        ),
        (["hydra.sweeper.study_name=typed"], {"config": NAMED}, "multirun/typed", ["hydra.sweep.dir=multirun/typed"]),
        (["hydra.sweep.dir=typed"], {"config": NAMED}, "typed", IN_MINE[1:]),
    ],
)
def test_a_sweep_has_the_name_and_the_folder_that_words_and_files_give_it(
    own, files, place, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert placed(*own, **files) == (Path(place), False, words)
    assert not Path("multirun").exists()


@pytest.mark.parametrize(
    ("own", "files"), [([], {}), (["hydra/sweeper=mine"], {"option": "n_trials: 3\n"}), ([], {"config": (DIR, "")})]
)
def test_a_sweep_without_a_name_gets_a_dated_one(own, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, made, words = placed(*own, **files)
    assert made and folder.is_dir() and re.fullmatch(r"multirun/[0-9-]{10}/[0-9-]{8}_sweep", str(folder))
    name = folder.relative_to("multirun")
    assert words == [f"hydra.sweep.dir={folder}", f"hydra.sweeper.study_name={name}"]


def test_the_other_sweepers_get_a_dated_folder_and_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, _, words = placed("hydra/sweeper=basic")
    assert words == [f"hydra.sweep.dir={folder}"]


@pytest.mark.parametrize(
    ("own", "option", "told"),
    [
        ([], "study_name: ${nothing}\n", "nothing"),
        (["hydra.sweeper.worker=true"], "n_trials: 3\n", "name the study it joins, hydra.sweeper.study_name=NAME"),
    ],
)
def test_a_name_that_there_is_not_is_told_in_a_line_and_nothing_is_made(own, option, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=told):
        placed("hydra/sweeper=mine", *own, option=option)
    assert not Path("multirun").exists()
