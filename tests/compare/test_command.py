"""``visrun compare`` as it is typed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from visrun import cli


@pytest.fixture
def two(write_run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Two runs as a shell in their folder names them."""
    write_run("a", [0.5], learning_rate=0.1)
    write_run("b", [0.75], learning_rate=0.2)
    monkeypatch.chdir(tmp_path)
    return ["a", "b"]


def test_it_prints_the_differences_and_says_where_the_page_is(two, capsys, tmp_path: Path) -> None:
    assert cli.main(["compare", *two, "pictures=0"]) == 0
    out, err = capsys.readouterr()
    assert "learning_rate  0.1       0.2" in out and "batch_size" not in out
    assert out.splitlines()[-1] == f"page: {tmp_path / 'compare.html'}"
    assert err == ""
    assert "no pictures were asked for" in (tmp_path / "compare.html").read_text(encoding="utf-8")


def test_the_page_goes_where_it_should(two, tmp_path: Path) -> None:
    assert cli.main(["compare", *two, "pictures=0", "out=new/page.html"]) == 0
    assert (tmp_path / "new" / "page.html").is_file() and not (tmp_path / "compare.html").exists()


def test_the_tables_need_no_training_library(two) -> None:
    code = "import sys; from visrun import cli; cli.main(sys.argv[1:]); assert 'torch' not in sys.modules, 'torch'"
    words = [sys.executable, "-c", code, "compare", *two, "pictures=0"]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stderr == ""


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "usage: visrun compare"),
        (["a"], "needs two runs or more"),
        (["a", "missing"], "missing: no such file or folder"),
        (["a", "b", "picture=0"], "picture=0: compare does not read this (did you mean pictures=?)"),
        (["a", "b", "pictures=-1"], "pictures=-1: must be an integer from 0 to 100"),
        (["a", "b", "pictures=²"], "must be an integer"),
        (["a", "b", "device=gpu"], "device=gpu: must be auto, cpu, cuda or cuda:N"),
        (["a", "b", "pictures=0", "out=a"], "out=a: is a folder"),
        (["a", "b", "pictures=0", "out=a/experiment.json/x.html"], "; name another file"),
    ],
)
def test_mistakes_are_one_line(two, capsys, words: list[str], problem: str) -> None:
    assert cli.main(["compare", *words]) == 2
    err = capsys.readouterr().err
    assert problem in err and err.count("\n") == 1


def test_every_wrong_folder_is_named(two, capsys) -> None:
    assert cli.main(["compare", "x", "a", "y"]) == 2
    assert [line.split(": ")[2] for line in capsys.readouterr().err.splitlines()] == ["x", "y"]


def test_a_folder_may_be_called_like_a_setting(two, write_run, capsys) -> None:
    write_run("lr=0.1")
    assert cli.main(["compare", "a", "lr=0.1", "pictures=0"]) == 0
    assert "lr=0.1" in capsys.readouterr().out


def test_a_folder_may_have_a_name_that_is_no_text(two, write_run, tmp_path: Path) -> None:
    write_run("caf\udce9")
    assert cli.main(["compare", "a", "caf\udce9", "pictures=0"]) == 0
    assert r"caf\udce9" in (tmp_path / "compare.html").read_text(encoding="utf-8")


def test_what_was_chosen_of_a_sweep_is_said(two, write_run, capsys, tmp_path: Path) -> None:
    for number in range(11):
        write_run(f"multirun/s/{number}", [number / 20])
    assert cli.main(["compare", "multirun/s", "pictures=0"]) == 0
    assert "the best 10 of 11 trials by accuracy" in capsys.readouterr().out
    assert "the best 10 of 11 trials by accuracy" in (tmp_path / "compare.html").read_text(encoding="utf-8")


def test_repeats_are_paired_on_the_terminal_and_on_the_page(write_repeat, two, capsys, tmp_path: Path) -> None:
    for name, gain in (("r", 0.0), ("s", 0.125)):
        write_repeat(name, {seed: seed / 4 + gain * (1 + seed / 100) for seed in range(3)})
    assert cli.main(["compare", "r", "s", "pictures=0"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("s against r, paired by seeds 0, 1, 2\nmetric ")
    assert shown.count(" better\n") == 2 and "\n\n6 runs of task=classification\n" in shown
    assert "s against r, paired" in (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert cli.main(["compare", "r", "s", "a", "pictures=0"]) == 0
    assert "against" not in capsys.readouterr().out


@pytest.mark.slow
def test_real_runs_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    short = ["max_epochs=1", "tracking=none", "data.image_size=16", "data.train_fraction=0.1", "run.device=cpu"]
    other = ["optimizer=sgd", "seed=1", "hydra.run.dir=second"]
    monkeypatch.chdir(tmp_path)
    assert cli.main([*short, "hydra.run.dir=first"]) == cli.main([*short, *other]) == 0
    capsys.readouterr()
    assert cli.main(["compare", "first", "second", "pictures=3", "device=cpu"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^optimizer +adam +sgd$", out, re.M) and re.search(r"^seed +0 +1$", out, re.M)
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/') == 6 and page.count("truth: <strong>") == 3
    assert "Left out" not in page
    told = [unescape(line) for line in re.findall(r' alt="([^"]+)"', page)]
    labels = [json.loads(line.partition('"label": ')[2].split(",")[0]) for line in told]
    assert len(told) == 6
    assert all(label in list("0123456789") for label in labels)
    assert all(line.startswith(("first: ", "second: ")) for line in told)

    file = tmp_path / "first" / "experiment.json"
    file.write_text(re.sub(r'("fingerprint": ")[0-9a-f]', r"\1x", file.read_text()))
    assert cli.main(["compare", "first", "second"]) == 0
    assert "different data" in capsys.readouterr().out
    assert 'src="data:image/' not in (tmp_path / "compare.html").read_text(encoding="utf-8")


def test_the_terminal_says_whose_pictures_are_missing(two, capsys) -> None:
    assert cli.main(["compare", *two]) == 0
    assert "\npictures: left out: no run has a checkpoint\npage: " in capsys.readouterr().out
