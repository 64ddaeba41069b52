"""The server tells the page nothing that nobody reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from visrun.web import runs, space, sweeps
from visrun.web.catalog import catalog
from visrun.web.composer import Composer
from visrun.web.desk import Desk
from visrun.web.form import fill, view
from visrun.web.resources import gpu_lines
from visrun.web.roots import Roots

from .test_runs import row, write

STATIC = Path(runs.__file__).parent / "static"
OF_THE_SERVER = {"pid", "over"}  # which it reads itself
READ = "\n".join(file.read_text(encoding="utf-8") for file in STATIC.glob("*.js"))


def of_a_run(folder: Path) -> list[dict[str, Any]]:
    told = runs.detail(folder / "outputs" / "run")
    return [told, told["progress"]]


def of_a_sweep(folder: Path) -> list[dict[str, Any]]:
    desk = Desk(folder, Roots([folder]), "cookie", "token")
    told = sweeps.detail(folder / "multirun" / "sweep", desk.library)
    return [told, told["trials"][0], *desk.library.listed()]


def of_a_form(folder: Path) -> list[dict[str, Any]]:
    told = view("classification", None, {}, Composer(folder))
    return [told, told["model"], *told["model"]["all"], told["fields"]["dropout"]]


def of_a_space(folder: Path) -> list[dict[str, Any]]:
    composer = Composer(folder)
    return [space.offered(fill("classification", None, {}, composer), composer)]


def of_the_catalogue(_: Path) -> list[dict[str, Any]]:
    told = catalog()
    return [told, told["parts"][0]["fields"][0], told["tasks"][0]]


def of_the_machine(_: Path) -> list[dict[str, Any]]:
    return gpu_lines("0, 87, 1024, 81559")


@pytest.mark.parametrize(
    "answers", [of_a_run, of_a_sweep, of_a_form, of_a_space, of_the_catalogue, of_the_machine], ids=lambda f: f.__name__
)
def test_every_answer_is_read(answers: Callable[[Path], list[dict[str, Any]]], tmp_path: Path) -> None:
    write(tmp_path / "outputs" / "run", result={"status": "finished"}, rows=[row(1, 0.5)])
    write(tmp_path / "multirun" / "sweep" / "0", result={"status": "finished"}, rows=[row(1, 0.5)])
    (tmp_path / "multirun" / "sweep" / "multirun.yaml").touch()
    names = {name for answer in answers(tmp_path) for name in answer} - OF_THE_SERVER
    assert names and not [name for name in names if not re.search(rf"(\.|[{{,] *){name}\b", READ)]
