"""A run tried on images: what is started, what is told of it as it goes, and what is never shown."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from visrun.build import load
from visrun.errors import UserError
from visrun.tables import TASKS
from visrun.web import processes
from visrun.web.processes import Conflict
from visrun.web.roots import Roots
from visrun.web.state import note
from visrun.web.tries import LINES, NOTE, SAID, SHOWN, Tries, said


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """A folder with a run and images, beside a folder that nobody may read."""
    cwd = tmp_path / "work"
    for name in ("outputs/run/predictions", "photos/a", "../outside"):
        (cwd / name).mkdir(parents=True)
    for name in ("photos/a/1.png", "outputs/run/predictions/1.png", "../outside/1.png"):
        Image.new("RGB", (4, 4)).save(cwd / name)
    (cwd / "photos" / "list.TXT").write_text("../outside/1.png\n")
    (cwd / "link").symlink_to(tmp_path / "outside")
    return cwd


def tries(cwd: Path) -> tuple[Tries, Path]:
    return Tries(cwd, Roots([cwd]), ("plugins=[x]",)), cwd / "outputs" / "run"


def command(cwd: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """What runs in place of Python."""
    file = cwd / "command"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(file))


def ended(one: Tries, run: Path) -> dict[str, Any]:
    while (told := one.told(run))["state"] == "running":
        time.sleep(0.02)
    return told


def test_the_command_is_the_terminals_and_what_it_says_is_told(cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, run = tries(cwd)
    assert one.told(run) == {"state": "none"}
    (run / LINES).symlink_to(cwd / "photos" / "list.TXT")
    record = {"image": f"{cwd}/photos/a/1.png", "label": "cat", "drawing": f"{run}/predictions/1.png"}
    words = """echo "$@" > words; echo "$RECORD"; echo 'visrun: error: a.png: is broken' >&2; echo x >&2; exit 2"""
    monkeypatch.setenv("RECORD", json.dumps(record))
    command(cwd, monkeypatch, words)
    one.start(run, " photos ", threshold=" 0.5")
    told = ended(one, run)
    expected = f"predict plugins=[x] {run} {cwd}/photos threshold=0.5"
    assert (cwd / "words").read_text() == f"-P -m visrun {expected}\n"
    assert told["command"] == f"visrun predict 'plugins=[x]' outputs/run {cwd}/photos threshold=0.5"
    assert (told["state"], told["exit_code"], told["errors"]) == ("failed", 2, ["a.png: is broken"])
    assert (told["count"], told["folder"], told["path"]) == (1, f"{run}/predictions", "photos")
    assert [(shown["name"], shown["said"]) for shown in told["shown"]] == [("a/1.png", "cat")]
    assert one.drawing(run, 0) == run / "predictions" / "1.png"
    assert (cwd / "photos" / "list.TXT").read_text() == "../outside/1.png\n"  # the link was not written through
    assert Tries(cwd, Roots([cwd])).told(run) == told  # a new server knows as much


@pytest.mark.parametrize(
    ("script", "state", "errors"),
    [("exit 0", "done", []), ("echo odd >&2; exit 1", "failed", ["odd"]), ("kill -9 $$", "failed", [])],
)
def test_the_last_words_are_told_where_none_is_an_error(
    script: str, state: str, errors: list[str], cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, run = tries(cwd)
    command(cwd, monkeypatch, script)
    one.start(run, "photos")
    told = ended(one, run)
    assert (told["state"], told["errors"], told["count"]) == (state, errors, 0)


def test_one_at_a_time_and_it_can_be_stopped(cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, run = tries(cwd)
    with pytest.raises(Conflict, match="not running"):
        one.stop(run)
    command(cwd, monkeypatch, "echo '{}'; sleep 600 & wait")
    one.start(run, "photos")
    with pytest.raises(Conflict, match="stop that first"):
        one.start(run, "photos")
    one.stop(run)
    told = ended(one, run)
    assert (told["state"], told["errors"]) == ("stopped", [])


@pytest.mark.parametrize(
    ("content", "state"),
    [
        ('{"pid": 1, "started": 5.0}', "ended"),  # its server was gone when it ended
        ('{"pid": 1, "started": 5.0, "asked": "stop"}', "stopped"),
        ('{"pid": 1e400, "started": 5.0}', "none"),
        (9999 * "[", "none"),
    ],
)
def test_a_note_without_an_end_or_of_no_process_says_no_more_than_is_known(content: str, state: str, cwd: Path) -> None:
    one, run = tries(cwd)
    (run / NOTE).write_text(content)
    assert one.told(run)["state"] == state
    with pytest.raises(Conflict, match="not running"):
        one.stop(run)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../outside", "outside of what this page may read"),
        ("/etc", "outside of what this page may read"),
        ("/nowhere", "outside of what this page may read"),
        ("link/1.png", "outside of what this page may read"),
        ("photos\0", "outside of what this page may read"),
        ("gone", "gone: no such file or folder"),
        ("x" * 300, "File name too long"),
        ("photos/list.TXT", "list of images"),
        ("-", "no such file or folder"),
        ("  ", "name an image or a folder"),
    ],
)
def test_nothing_else_is_read(path: str, reason: str, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, run = tries(cwd)
    monkeypatch.setattr(processes, "launch", lambda *_, **__: pytest.fail("started"))
    with pytest.raises(UserError, match=reason):
        one.start(run, path)
    assert one.told(run) == {"state": "none"}


def test_no_forged_line_shows_a_file_of_elsewhere(cwd: Path) -> None:
    one, run = tries(cwd)
    (run / "predictions" / "leak.png").symlink_to(cwd.parent / "outside" / "1.png")
    image, drawing = f"{cwd}/photos/a/1.png", f"{run}/predictions/1.png"
    lines = [
        {"image": image, "drawing": drawing},
        {"image": f"{cwd}/link/1.png", "drawing": drawing},  # as a folder with a link brings it
        {"image": image, "drawing": f"{cwd.parent}/outside/1.png"},
        {"image": image, "drawing": f"{run}/predictions/../../../photos/a/1.png"},
        {"image": image, "drawing": f"{run}/predictions/leak.png"},
        {"image": image, "drawing": f"{run}/predictions/gone.png"},
        {"image": image, "drawing": f"{run}/{NOTE}"},
        {"image": [1], "drawing": {}},
        {"image": image, "drawing": f"{run}/predictions/\0.png"},
        [1],
    ]
    note(run, into=NOTE, pid=1, started=5.0, exit_code=0, path="photos/a/1.png")
    (run / LINES).write_text(
        "".join(f"{json.dumps(line)}\n" for line in lines) + "no json\n" + 9999 * "[" + '\n{"image": "half'
    )
    told = one.told(run)
    assert (told["state"], told["count"]) == ("done", 12)
    assert [i for i, shown in enumerate(told["shown"]) if shown["stamp"]] == [0]
    assert [i for i in range(-1, 20) if one.drawing(run, i)] == [0]
    assert told["shown"][0]["name"] == "1.png"
    (run / "predictions" / "1.png").unlink()  # and a link takes its place
    (run / "predictions" / "1.png").symlink_to(cwd.parent / "outside" / "1.png")
    assert one.drawing(run, 0) is None and one.told(run)["shown"][0]["stamp"] is None
    with (run / LINES).open("a") as file:
        file.write('"}\n' + SHOWN * "{}\n")
    told = one.told(run)
    assert (told["count"], len(told["shown"])) == (13 + SHOWN, SHOWN)
    (run / LINES).unlink()
    (run / LINES).symlink_to(cwd / "photos" / "list.TXT")
    (run / SAID).symlink_to(cwd / "photos" / "list.TXT")
    note(run, into=NOTE, pid=2, exit_code=1)
    assert (one.told(run)["count"], one.told(run)["errors"]) == (0, [])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (
            {"label": "cat", "probability": 0.98768, "probabilities": {"cat": 0.98768, "dog": 0.01}},
            "cat · probability 0.9877",
        ),
        ({"labels": ["cat", "dog"], "probabilities": {"dog": 0.75, "cat": 0.5, "cow": 0.1}}, "cat 0.5, dog 0.75"),
        ({"labels": [], "probabilities": {"dog": 0.25}}, "no labels"),
        ({"labels": ["cat"], "probabilities": {"cat": 0.25}, "thresholds": {"cat": 0.125}}, "cat 0.25"),
        ({"label": "defect", "score": 3.5, "threshold": 2.0}, "defect · score 3.5 · threshold 2"),
        ({"objects": [{"label": "cat", "score": 0.9}]}, ""),
        ({"labels": [[1], "x"], "probabilities": {"dog": 0.25}}, "no labels"),
        ({"values": {"weight": 3.25, "age": -1.0}}, "weight 3.25, age -1"),
        ({"area": dict.fromkeys("abcde", 0.2)}, "a 0.2, b 0.2, c 0.2, d 0.2 and 1 more"),
        ({"label": "a\nb", "x": None, "y": float("nan"), "z": True}, "a b"),
        ({}, ""),
    ],
    ids=str,
)
def test_a_prediction_in_words(record: dict[str, Any], words: str) -> None:
    assert said(record) == words


@pytest.mark.parametrize("task", TASKS)
def test_a_threshold_is_asked_for_where_the_task_takes_one(task: str) -> None:
    assert bool(TASKS[task].threshold) == hasattr(load(TASKS[task].build), "select")
    assert bool(TASKS[task].class_threshold) == hasattr(load(TASKS[task].build), "select_classes")
