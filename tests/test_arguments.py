"""Options of the verbs: a word that would change nothing is an error, whichever verb gets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun import cli
from visrun.arguments import options, words_after
from visrun.errors import ConfigError

START = {
    "check": ["data.root=photos"],
    "compare": ["a", "b"],
    "evaluate": ["RUN", "data.root=photos"],
    "export": ["RUN"],
    "predict": ["RUN", "a.jpg"],
}
OTHER = {"check": "out", "compare": "out", "evaluate": "split", "export": "format", "predict": "out"}


@pytest.mark.parametrize("verb", START)
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{key}=a", "{key}=b"], "{key} is given twice: {key}=a and {key}=b; keep one"),
        (["{key}="], "{key}=: give a value, or leave it out"),
        (["batch=3"], "batch=3: {verb} does not read this"),
        (["{key}x=3"], "{key}x=3: {verb} does not read this (did you mean {key}=?)"),
    ],
)
def test_mistakes_are_one_line_each(
    verb: str, words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    facts = {"verb": verb, "key": OTHER[verb]}
    assert cli.main([verb, *START[verb], *(word.format(**facts) for word in words)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"visrun: error: {told.format(**facts)}")


def test_all_mistakes_are_told_at_once(capsys) -> None:
    assert cli.main(["predict", "RUN", "a.jpg", "out=", "batch=3", "device=cpu", "device=cuda"]) == 2
    assert [line.split()[2] for line in capsys.readouterr().err.splitlines()] == ["out=:", "batch=3:", "device"]


@pytest.mark.parametrize("verb", ["compare", "evaluate", "predict"])
def test_a_device_is_named_as_a_run_does_or_short(verb: str, capsys) -> None:
    for key in ("device", "run.device"):
        assert options(verb, [f"{key}=cpu", "a"], ("out", "device")) == ({"device": "cpu"}, ["a"])
    assert cli.main([verb, *START[verb], "run.device=cpu", "device=cuda"]) == 2
    assert capsys.readouterr().err.endswith(" device is given twice: run.device=cpu and device=cuda; keep one\n")


def test_one_folder_is_checked(capsys) -> None:
    for words in (["a", "b"], ["data.root=b", "a"]):
        assert cli.main(["check", *words]) == 2
        assert capsys.readouterr().err.endswith("data.root is given twice: a and b; keep one\n")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("https://host/a.jpg", "https://host/a.jpg: addresses are not read; download it and name the file"),
        ("OUT=a", "OUT=a: predict does not read this (did you mean out=?)"),
        ("source=a", "source=a: predict does not read this; write visrun predict RUN IMAGES"),
        ("tta=true", "tta=true: predict does not read this; there is no test-time augmentation"),
        (
            "imgsz=9",
            "imgsz=9: predict does not read this; it reads out=, device=, and a file of this name as ./imgsz=9",
        ),
        *(
            (f"{key}=9", f"{key}=9: predict does not read this; it reads out=, device=")
            for key in ("data.tile", "model")
        ),
    ],
)
def test_other_tools_words_say_what_to_type(word: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options("predict", ["RUN", word], ("out", "device"))
    assert caught.value.problems == (told,)


def test_paths_may_have_equals_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lr=0.1").mkdir()
    words = ["lr=0.1", "./out=1", "runs/lr=3", "~/a=b", "out=a=b"]
    assert options("compare", words, ("out",)) == ({"out": "a=b"}, words[:-1])


def test_a_file_that_looks_like_a_flag_is_told_how_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-n.jpg").touch()
    with pytest.raises(ConfigError, match=r"^-n\.jpg: begins as a flag does; name the file \./-n\.jpg$"):
        words_after("predict", ["RUN", "-n.jpg"])
    assert words_after("predict", ["RUN", "./-n.jpg"]) == ["RUN", "./-n.jpg"]
    with pytest.raises(ConfigError, match=r"unrecognized arguments: -m\.jpg"):
        words_after("predict", ["RUN", "-m.jpg"])
