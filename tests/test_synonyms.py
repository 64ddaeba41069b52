"""Other tools' words: what each stands for exists, and none hides a word of visrun's own."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from visrun import cli, evaluate, predict
from visrun.config.choices import known
from visrun.config.configs import open_conf
from visrun.config.overrides import GROUPS, HYDRA_PATHS, READY
from visrun.config.sweeper import VisrunSweeperConf
from visrun.synonyms import LACKING, OURS, hint, is_command, ours
from visrun.tables import MODELS

HYDRAS = (*HYDRA_PATHS, *(f"hydra.sweeper.{name}" for name in vars(VisrunSweeperConf())))


@pytest.mark.parametrize("named", sorted(set(OURS.values())))
def test_what_another_word_stands_for_exists(named: str, tmp_path: Path) -> None:
    words = shlex.split(named)
    if is_command(named):
        words = words[2:3] if words[1] == "-m" else words[1:2]
    for key, sign, value in (word.partition("=") for word in words):
        if key.startswith("-"):
            assert key in ("--help", "--version", "--cfg")
        elif is_command(named) and not sign:
            assert key in cli.VERBS
        else:
            assert key in known() or key in HYDRAS or key == READY
        if sign and key in (*GROUPS, "recipe", READY):
            assert value in open_conf(tmp_path).options(key)


def test_the_task_before_a_model_is_one_that_it_serves() -> None:
    for named in {named for named in OURS.values() if " model=" in named}:
        task, model = (word.partition("=")[2] for word in named.split())
        assert task in MODELS[model].tasks


def test_no_word_of_visruns_own_is_taken_for_another_tools() -> None:
    assert not known() & {*OURS, *LACKING}
    options = {*cli.VERBS, *predict.READS, *evaluate.READS}
    assert not options & {*LACKING} and not {*OURS} & {*LACKING}
    assert {word for word in OURS if word in options} <= {"resume", "export", "out"}  # also typed as keys


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("YOLO11n.pt", " (did you mean model=dense_resnet18?)"),
        ("yolo11n-obb.pt", " (did you mean task=oriented_object_detection model=dense_resnet18?)"),
        ("yolov8x-pose", "; keypoints are not learnt"),
        ("Work-Dir", " (did you mean hydra.run.dir?)"),
        ("tune", "; write visrun -m sweep=default"),
        ("K-Fold", "; write visrun repeat experiment=RUN folds=5"),
        ("learning_rate", ""),
    ],
)
def test_a_hint_says_what_to_type(word: str, told: str) -> None:
    assert hint(word) == told


def test_the_table_loads_nothing() -> None:
    program = "import sys; before = {*sys.modules}; import visrun.synonyms; print({*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = done.stdout
    assert "'visrun.synonyms'" in loaded and "pydantic" not in loaded and "hydra" not in loaded
    assert ours("") == ""
