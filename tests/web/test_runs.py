"""What the page reads of run folders: states, progress, reasons, logs, pictures, the list."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visrun.compare.runs import read_run
from visrun.config.compose import resolve
from visrun.config.configs import open_conf
from visrun.console import Screen, logged
from visrun.errors import UserError, VisrunError
from visrun.record.journal import describe
from visrun.record.run_folder import SILENT, RunFolder, born, noted_process, this_process, writer_of
from visrun.record.sweep_files import JOURNAL, LEAD, REPORT, TABLE
from visrun.run_files import FILE_NAME, LOCK, LOG, METRICS, STATUS
from visrun.web import processes, sweeps
from visrun.web.composer import Composer
from visrun.web.library import Library
from visrun.web.processes import CONSOLE, Conflict, Processes, kill, stop
from visrun.web.roots import Roots
from visrun.web.runs import detail, last_lines, log_lines, pictures, progress
from visrun.web.server import make_desk
from visrun.web.state import UI, Facts, folder_facts, note
from visrun.web.stream import Rows, as_json
from visrun.web.usual import usual_values

ME = this_process()
GONE = {"pid": os.getpid(), "started": 5.0, "born": "long ago"}
FAR, OLD = ({**ME, "host": "far", "silent": seconds} for seconds in (0.0, 2 * SILENT))


def write(
    folder: Path,
    *,
    result: Mapping[str, Any] | None = None,
    words: tuple[str, ...] = (),
    status: Mapping[str, Any] | None = None,
    ui: Mapping[str, Any] | None = None,
    lock: Mapping[str, Any] | None = None,
    rows: list[dict[str, Any]] | None = None,
) -> Path:
    """A run's folder with the files that are given."""
    folder.mkdir(parents=True, exist_ok=True)
    if result is not None:
        content = describe(resolve(words, open_conf(folder)), result=result, created="2026-01-02")
        (folder / FILE_NAME).write_text(json.dumps(content))
    for name, content in ((STATUS, status), (UI, ui), (LOCK, lock)):
        if content is not None:
            (folder / name).write_text(json.dumps(content))
    if isinstance(lock, Mapping) and "silent" in lock:
        spoken = time.time() - lock["silent"]
        os.utime(folder / LOCK, (spoken, spoken))
    if rows is not None:
        (folder / METRICS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def row(epoch: int, accuracy: float, val_loss: float = 1.0, **more: float) -> dict[str, Any]:
    return {"epoch": epoch, "loss": 1.0, "val_loss": val_loss, "accuracy": accuracy, "learning_rate": 0.1, **more}


TRAINING = {"result": {"status": "running"}, "lock": ME, "status": {"state": "training"}}
# the files of a folder -> the state that the page names
STATES: dict[str, tuple[dict[str, Any], str]] = {
    "asked for, not begun": ({"ui": {**ME, "kind": "run"}}, "starting"),
    "asked for, died before it wrote": ({"ui": {**GONE, "kind": "run", "exit_code": 2}}, "failed"),
    "begun": ({"result": {"status": "running"}, "lock": ME, "status": {"state": "starting"}}, "starting"),
    "training": (TRAINING, "running"),
    "of an older version": ({"result": {"status": "running"}, "lock": ME}, "starting"),
    "asked to stop": (
        {**TRAINING, "ui": {**ME, "asked": "stop", "asked_of": os.getpid()}},
        "stopping",
    ),
    "asked to stop, and resumed by another process": (
        {**TRAINING, "ui": {**GONE, "asked": "stop", "asked_of": 1}},
        "running",
    ),
    "asked to stop before it began": (
        {"ui": {**GONE, "asked": "stop", "asked_of": GONE["pid"], "exit_code": -15}},
        "killed",
    ),
    "ended at once, as asked": (
        {"result": {"status": "running"}, "ui": {**GONE, "asked": "kill", "asked_of": GONE["pid"], "exit_code": -9}},
        "killed",
    ),
    "ended by a signal that nobody here asked for": (
        {"result": {"status": "running"}, "ui": {**GONE, "asked": "stop", "asked_of": GONE["pid"], "exit_code": -9}},
        "unfinished",
    ),
    "ended by a signal, when another process had been asked": (
        {"result": {"status": "running"}, "ui": {**GONE, "asked": "kill", "asked_of": 1, "exit_code": -9}},
        "unfinished",
    ),
    "resumed, its status that of the process before": (
        {**TRAINING, "status": {"state": "training", "pid": 1}},
        "starting",
    ),
    "died without a word": ({"result": {"status": "running"}, "lock": GONE}, "unfinished"),
    "its lock is gone": ({"result": {"status": "running"}}, "unfinished"),
    "finished": ({"result": {"status": "finished"}}, "finished"),
    "finished, its process still there": (
        {"result": {"status": "finished"}, "ui": {**GONE, "asked": None}, "lock": ME},
        "finished",
    ),
    "killed": ({"result": {"status": "killed"}, "ui": {**GONE, "asked": "stop"}}, "killed"),
    "pruned": ({"result": {"status": "pruned"}}, "pruned"),
    "failed": ({"result": {"status": "failed", "reason": "x"}}, "failed"),
    "resumed, not there yet": (
        {"result": {"status": "killed"}, "ui": {"started": 4e9}, "lock": ME},
        "starting",
    ),
    "on another machine": (
        {"result": {"status": "running"}, "lock": FAR, "status": {"state": "training", "heartbeat": 4e9}},
        "running",
    ),
    "on another machine, without a word": ({"result": {"status": "running"}, "lock": FAR}, "starting"),
    "lost on another machine": (
        {"result": {"status": "running"}, "lock": OLD, "status": {"state": "training", "heartbeat": 5.0}},
        "unfinished",
    ),
    "left on another machine": (
        {"result": {"status": "running"}, "status": {"state": "training", "host": "far", "heartbeat": 4e9}},
        "unfinished",
    ),
    "broken files": ({"result": {"status": "finished"}, "status": [1], "ui": "x"}, "finished"),
}


@pytest.mark.parametrize("name", STATES)
def test_the_state_follows_from_the_files(name: str, tmp_path: Path) -> None:
    files, state = STATES[name]
    assert folder_facts(write(tmp_path, **files)).state == state
    assert detail(tmp_path)["state"] == state


@pytest.mark.parametrize("name", [name for name in STATES if "machine" in name or STATES[name][0].get("lock")])
def test_whether_a_run_lives_is_answered_alike_everywhere(name: str, tmp_path: Path) -> None:
    folder = write(tmp_path, **{**STATES[name][0], "result": {"status": "running"}})
    lives = writer_of(folder) is not None
    assert lives == (STATES[name][1] not in ("unfinished", "failed"))
    assert folder_facts(folder).living == lives != detail(folder)["can_resume"]
    assert read_run(folder).status == ("running" if lives else "unfinished")
    if lives:
        with pytest.raises(UserError, match="is writing this run"), RunFolder(folder):
            pass
    else:
        with RunFolder(folder):
            pass


@pytest.mark.parametrize(
    ("status", "ui", "code"),
    [
        ({}, {}, None),
        ({"exit_code": 143, "started": 1.0}, {}, 143),
        ({"state": "training", "started": 1.0}, {"exit_code": -9, "started": 1.0}, -9),
        ({"exit_code": 143, "started": 1.0}, {"exit_code": 2, "started": 3.0}, 2),
        ({"exit_code": 0, "started": 3.0}, {"exit_code": 143, "started": 1.0}, 0),
        ({"exit_code": 1, "started": 1.0}, {"exit_code": None, "started": 1.0}, 1),
        ({"state": "training", "started": 3.0, "pid": 7}, {"exit_code": -15, "started": 1.0, "pid": 5}, None),
        ({"exit_code": 143, "started": 1.0, "pid": 5}, {"exit_code": None, "started": 3.0, "pid": 7}, None),
        ({"exit_code": 1, "started": 1.0, "pid": 5}, {"exit_code": None, "started": 1.0, "pid": 5}, 1),
    ],
)
def test_the_exit_code_is_that_of_the_latest_process(status: Any, ui: Any, code: int | None, tmp_path: Path) -> None:
    assert folder_facts(write(tmp_path, status=status, ui=ui)).exit_code == code


@pytest.mark.parametrize("apart", [True, False], ids=["waited for first", "as on macOS before Python 3.13"])
@pytest.mark.parametrize(("code", "program"), [(3, "raise SystemExit(3)"), (-9, "import os; os.kill(os.getpid(), 9)")])
def test_what_was_started_here_lives_until_its_end_is_noted(
    code: int, program: str, apart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen(folder: Path, **facts: Any) -> None:
        assert folder_facts(folder).living == apart and facts == {"into": UI, "exit_code": code}
        note(folder, **facts)
        assert folder_facts(folder).living == apart

    if not apart:
        monkeypatch.delattr(os, "waitid")
    process = subprocess.Popen([sys.executable, "-c", program])
    folder = write(tmp_path, ui={**noted_process(process.pid), "kind": "run"})
    monkeypatch.setattr(processes, "note", seen)
    processes._reap(process, folder)
    assert process.returncode == code
    assert (folder_facts(folder).living, folder_facts(folder).exit_code) == (False, code)


def test_what_ended_while_it_was_asked_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    ended = Facts(tmp_path, {}, {}, {}, process.pid)
    monkeypatch.setattr(processes, "folder_facts", lambda _: ended)
    with pytest.raises(Conflict, match="has just ended"):
        stop(tmp_path)
    kill(tmp_path)


@pytest.mark.parametrize("act", [stop, kill])
def test_whoever_is_asked_to_stop_is_noted(act: Callable[[Path], None], tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        lock = noted_process(process.pid)
        folder = write(tmp_path, **{**TRAINING, "lock": lock})
        act(folder)
        assert json.loads((folder / UI).read_text()) == {"asked": act.__name__, "asked_of": process.pid}
    assert folder_facts(folder).state == "unfinished"


def take_no_note(folder: Path) -> None:
    """As a full disk does: ui.json cannot be written."""
    (folder / f"{UI}.tmp").mkdir()


@pytest.mark.parametrize(("act", "code"), [(stop, -signal.SIGTERM), (kill, -signal.SIGKILL)])
def test_a_folder_that_takes_no_note_keeps_nobody_from_stopping(
    act: Callable[[Path], None], code: int, tmp_path: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        lock = noted_process(process.pid)
        folder = write(tmp_path, **{**TRAINING, "lock": lock})
        take_no_note(folder)
        act(folder)
    assert process.returncode == code


def test_what_cannot_be_noted_is_not_left_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_no_note(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        monkeypatch.setattr(processes.subprocess, "Popen", lambda *_, **__: process)
        with pytest.raises(VisrunError, match=f"{UI}: cannot write"):
            Processes(tmp_path)._start(tmp_path, [])
    assert process.returncode == -signal.SIGKILL


def facts(**experiment: Any) -> Facts:
    values = {"max_epochs": 10, "warmup_epochs": 2, "early_stopping_patience": 4}
    content = {"task": "classification", "hyperparameters": values, "result": {"status": "running"}}
    status = {"state": "training", "epoch": 4, "step": 5, "steps": 20, "step_seconds": 0.5, "images_per_step": 8}
    return Facts(Path(), content | experiment, status, {}, os.getpid())


@pytest.mark.parametrize(
    ("code", "rows", "resumes"), [(2, [], False), (1, [], True), (2, [row(1, 0.5)], True), (143, [], True)]
)
def test_what_was_refused_before_its_first_epoch_is_not_gone_on_with(
    code: int, rows: list[dict[str, Any]], resumes: bool, tmp_path: Path
) -> None:
    status = {"state": "failed", "exit_code": code}
    folder = write(tmp_path, result={"status": "failed"}, status=status, rows=rows)
    told = detail(folder)
    assert (told["exit_code"], told["can_resume"], told["can_edit"]) == (code, resumes, True)


def test_progress_by_hand() -> None:
    rows = [row(1, 0.5, 3.0), row(2, 0.7, 2.0), row(3, 0.6, 2.5)]
    told = progress(facts(), [{**one, "time/epoch": 10.0 + one["epoch"], "time/total": 36.0} for one in rows])
    assert (told["epoch"], told["epochs"], told["share"]) == (3, 10, 0.25)
    assert told["left"] == pytest.approx((10 - 3.25) * 12.0)
    assert told["speed"] == 16.0 and told["seconds"] == 36.0
    assert (told["best"], told["best_epoch"], told["waited"], told["patience"]) == (0.7, 2, 1, 4)


def test_what_learns_nothing_by_gradient_takes_one_epoch_and_waits_for_nothing() -> None:
    told = progress(facts(model={"name": "patchcore"}), [row(1, 0.5)])
    assert (told["epoch"], told["epochs"], told["patience"]) == (1, 1, None)
    told = progress(facts(model={"name": "of a plugin"}), [row(1, 0.5)])
    assert (told["epochs"], told["patience"]) == (10, 4)


def test_the_first_epoch_is_foretold_by_its_steps_and_the_warm_up_does_not_wait() -> None:
    told = progress(Facts(**{**vars(facts()), "status": {**facts().status, "epoch": 1}}), [])
    assert told["left"] == pytest.approx((10 - 0.25) * 20 * 0.5)
    assert (told["best"], told["waited"], told["epoch"]) == (None, 0, 0)
    assert progress(facts(), [row(1, 0.5), row(2, 0.4)])["waited"] == 0


@pytest.mark.parametrize(
    "status", [{}, {"state": "training"}, {"state": "training", "epoch": "x", "step": None, "steps": 0}]
)
def test_a_status_that_tells_little_foretells_nothing(status: dict[str, Any]) -> None:
    told = progress(Facts(**{**vars(facts()), "status": status}), [])
    assert (told["left"], told["share"], told["speed"]) == (None, 0.0, None)


def test_a_regression_is_better_when_it_is_lower(tmp_path: Path) -> None:
    rows = [{"epoch": 1, "mae": 3.0}, {"epoch": 2, "mae": 1.0}, {"epoch": 3, "mae": 2.0}]
    told = detail(write(tmp_path, result={"status": "finished"}, words=("task=regression",), rows=rows))
    assert (told["progress"]["best"], told["progress"]["best_epoch"]) == (1.0, 2)


def test_a_failed_run_says_why_its_code_and_its_last_forty_lines(tmp_path: Path) -> None:
    folder = write(
        tmp_path, result={"status": "failed", "reason": "the loss became NaN", "exit_code": 1}, status={"exit_code": 1}
    )
    (folder / LOG).write_text("".join(f"2026-01-02 03:04:05,678 INFO visrun: line {i}\n" for i in range(100)))
    told = detail(folder)
    assert (told["reason"], told["exit_code"]) == ("the loss became NaN", 1)
    assert len(told["last_lines"]) == 40 and told["last_lines"][-1].endswith("line 99")
    assert log_lines(folder)[-1] == "03:04:05 line 99"


def test_a_log_reads_as_the_console_did(tmp_path: Path) -> None:
    with logged(tmp_path / LOG):
        Screen().say("epoch 1/2")
        Screen().warn("mind this")
    assert [line[len("03:04:05 ") :] for line in log_lines(tmp_path)] == ["epoch 1/2", "warning: mind this"]


def test_a_start_that_was_refused_says_what_the_command_said(tmp_path: Path) -> None:
    folder = write(tmp_path, ui={**GONE, "exit_code": 2, "task": "classification", "model": "resnet18"})
    (folder / CONSOLE).write_text("visrun: a notice\nvisrun: error: data.root=/x: no such folder\n")
    told = detail(folder)
    assert (told["state"], told["reason"], told["exit_code"]) == ("failed", "data.root=/x: no such folder", 2)
    assert told["last_lines"][-1].endswith("no such folder") and not told["can_resume"]


@pytest.mark.parametrize(
    ("status", "code", "badly"),
    [
        ("killed", None, False),
        ("killed", 130, False),
        ("killed", 143, False),
        ("killed", 2, True),
        ("finished", 0, False),
        ("finished", 1, True),
        ("failed", 1, True),
        ("running", None, True),
        ("running", -9, True),
    ],
)
@pytest.mark.parametrize("log", ["", "the last words\n"])
def test_a_run_that_was_stopped_did_not_end_badly(
    status: str, code: int | None, badly: bool, log: str, tmp_path: Path
) -> None:
    folder = write(tmp_path, result={"status": status}, ui={**GONE, "exit_code": code})
    (folder / LOG).write_text(log)
    told = detail(folder)
    assert (told["ended_badly"], told["last_lines"]) == (badly, log.splitlines() if badly else [])
    write(folder, lock=ME)
    assert not detail(folder)["ended_badly"]


def test_a_killed_process_is_named_by_its_signal(tmp_path: Path) -> None:
    told = detail(write(tmp_path, result={"status": "running"}, ui={**GONE, "exit_code": -9}))
    assert (told["state"], told["reason"]) == ("unfinished", "its process was ended by signal 9")


@pytest.mark.parametrize(
    ("asked", "code", "result", "why"),
    [
        ("stop", -15, None, "stopped by you before it began"),
        ("kill", -15, None, "ended by you at once"),
        ("kill", -9, None, "ended by you at once"),
        ("stop", -15, {"status": "running"}, "stopped by you before it went on"),
        ("kill", -9, {"status": "running"}, "ended by you at once"),
        ("kill", None, {"status": "running"}, "ended by you at once"),
    ],
)
def test_what_the_user_ended_before_it_could_say_so_is_no_failure(
    asked: str, code: int, result: dict[str, Any] | None, why: str, tmp_path: Path
) -> None:
    folder = write(tmp_path, result=result, ui={**GONE, "asked": asked, "asked_of": GONE["pid"], "exit_code": code})
    (folder / CONSOLE).write_text("visrun: error: of a start before\n")
    told = detail(folder)
    assert (told["state"], told["reason"], told["ended_badly"], told["last_lines"]) == ("killed", why, False, [])
    assert told["can_resume"] == (result is not None)


@pytest.mark.parametrize(
    ("status", "state", "why"),
    [
        (GONE, "killed", "ended by you at once"),  # the process that was asked to end
        ({"pid": 1, "started": 9.0}, "unfinished", "its process died"),  # one that was begun since, on a terminal
    ],
)
@pytest.mark.parametrize("ui", [{}, GONE])
def test_what_was_begun_on_a_terminal_and_ended_here_is_told_from_what_died(
    status: dict[str, Any], state: str, why: str, ui: dict[str, Any], tmp_path: Path
) -> None:
    asked = {**ui, "asked": "kill", "asked_of": GONE["pid"]}
    told = detail(write(tmp_path, result={"status": "running"}, ui=asked, status={"state": "training", **status}))
    assert (told["state"], told["reason"], told["ended_badly"]) == (state, why, state == "unfinished")


def test_a_resumed_run_does_not_show_how_far_the_process_before_was(tmp_path: Path) -> None:
    status = {"state": "training", "epoch": 2, "step": 5, "steps": 20, "step_seconds": 0.5, "images_per_step": 8}
    folder = write(tmp_path, **{**TRAINING, "status": {**status, "pid": 1}}, rows=[row(1, 0.5)])
    told = detail(folder)["progress"]
    assert (told["phase"], told["share"], told["step"], told["left"]) == ("", 0.0, None, None)
    write(folder, status={**status, "pid": ME["pid"]})
    assert detail(folder)["progress"]["share"] == 0.25


def test_the_lines_of_whoever_spoke_last_are_shown(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text("old\n")
    (tmp_path / CONSOLE).write_text("new\n")
    os.utime(tmp_path / LOG, (1, 1))
    assert last_lines(tmp_path) == ["new"] and last_lines(tmp_path / "nowhere") == []


@pytest.mark.parametrize("name", [LOG, CONSOLE])
def test_a_log_that_is_a_link_is_not_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    folder = write(tmp_path / "run", result={"status": "failed"})
    (folder / name).symlink_to(tmp_path / "secret")
    assert log_lines(folder) == last_lines(folder) == []
    (folder / {LOG: CONSOLE, CONSOLE: LOG}[name]).write_text("own\n")
    os.utime(folder / {LOG: CONSOLE, CONSOLE: LOG}[name], (1, 1))
    assert log_lines(folder) == last_lines(folder) == ["own"]


def test_a_log_holds_nothing_that_could_steer_a_page(tmp_path: Path) -> None:
    (tmp_path / LOG).write_bytes(b"\x1b[31m<img onerror=x>\x07\xff\n" + b"x" * 100_000 + b"\nlast\n")
    lines = log_lines(tmp_path)
    assert lines[-1] == "last" and all(line.isprintable() for line in lines)


def test_pictures_are_the_plain_files_that_the_page_does_not_draw_itself(tmp_path: Path) -> None:
    plots = tmp_path / "plots"
    plots.mkdir()
    for name in ("confusion_matrix.png", "predictions.png", "curves.png", "learning_rate.png", "a b.png", "x.txt"):
        (plots / name).write_bytes(b"x")
    (plots / "linked.png").symlink_to(plots / "x.txt")
    assert [drawn["name"] for drawn in pictures(tmp_path)] == ["predictions.png", "confusion_matrix.png"]
    assert pictures(plots) == []


def test_a_folder_that_may_not_be_read_hides_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, result={"status": "finished"})
    (folder / "plots").mkdir()

    def refuse(self: Path, *_: object, **__: object) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    usual = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda self: refuse(self) if "checkpoints" in str(self) else usual(self))
    told = detail(folder)
    assert (told["state"], told["pictures"], told["can_try"]) == ("finished", [], False)


@pytest.mark.parametrize("content", ['{"task"', "", "[1]", None])
def test_a_run_whose_settings_cannot_be_read_says_so_and_how_it_ended(content: str | None, tmp_path: Path) -> None:
    folder = write(tmp_path, status={"state": "ended", "exit_code": 0}, rows=[row(1, 0.5)])
    if content is None:
        (folder / FILE_NAME).symlink_to("nowhere")
    else:
        (folder / FILE_NAME).write_text(content)
    told = detail(folder)
    assert (told["state"], told["ended_badly"], told["can_resume"]) == ("finished", True, False)
    assert told["reason"].startswith(f"{folder / FILE_NAME}: ")
    write(folder, status={"state": "training"})
    assert (detail(folder)["state"], detail(folder)["reason"]) == ("failed", told["reason"])


def test_the_configuration_shown_is_the_runs_own(tmp_path: Path) -> None:
    words = ("optimizer=sgd", "learning_rate=0.5", "max_epochs=3")
    told = detail(write(tmp_path, result={"status": "finished"}, words=words))
    assert told["settings"]["learning_rate"] == "0.5" and told["sources"]["learning_rate"] == "you"
    assert "step_size" not in told["settings"]


# Files that somebody else wrote

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["task", "hyperparameters", "result", "model", "data", "created", "sources", "state", "epoch", "step", "steps"]
KEYS += ["max_epochs", "val", "test", "status", "pid", "started", "exit_code", "host", "heartbeat", "kind", "asked"]
KEYS += ["epochs", "reason", "step_seconds", "images_per_step", "accuracy", "val_loss", "time/epoch", "optimizer"]
STRANGE = st.dictionaries(st.sampled_from(KEYS), JSON | st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4))
KNOWN = st.fixed_dictionaries({"task": st.sampled_from(["classification", "regression"]), "hyperparameters": STRANGE})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STRANGE | KNOWN, STRANGE, STRANGE, st.lists(STRANGE, max_size=3))
def test_whatever_a_folder_holds_is_shown_or_left_out(
    tmp_path: Path, experiment: Any, status: Any, ui: Any, rows: Any
) -> None:
    folder = write(tmp_path / "outputs" / "x", status=status, ui=ui, rows=rows)
    (folder / FILE_NAME).write_text(json.dumps(experiment))
    told = json.loads(as_json(detail(folder)))
    assert told["state"] in ("starting", "running", "stopping", "finished", "killed", "pruned", "failed", "unfinished")
    library = Library(tmp_path)
    assert len(json.loads(as_json(library.listed()))) == 1
    json.loads(as_json(sweeps.detail(folder, library)))


@pytest.mark.parametrize("name", [FILE_NAME, STATUS, UI, LOCK, LEAD, METRICS, TABLE, JOURNAL, REPORT])
def test_nobody_waits_for_a_pipe_in_a_folder(name: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "outputs" / "x", status={})
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    library, told = Library(tmp_path), list[Any]()

    def look() -> None:
        told.extend(
            (library.listed(), detail(folder), sweeps.detail(folder, library), Rows(folder / METRICS, 0).more())
        )

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(60)
    assert len(told) == 4


# The list


def test_the_list_knows_runs_and_sweeps_and_not_their_trials(tmp_path: Path) -> None:
    rows = [row(1, 0.5), row(2, 0.75)]
    write(tmp_path / "outputs/day/one", result={"status": "running"}, lock=ME, status={"state": "training"}, rows=rows)
    write(tmp_path / "outputs/day/two", result={"status": "finished", "epochs": 9, "val": {"accuracy": 0.25}})
    write(tmp_path / "outputs/day/asked", ui={**GONE, "kind": "run", "task": "regression", "created": "2026-01-01"})
    write(tmp_path / "multirun/study/0", result={"status": "finished"})
    (tmp_path / "multirun/study/multirun.yaml").write_text("")
    write(tmp_path / "multirun/study/best", result={"status": "finished"})
    write(tmp_path / "multirun/day/asked", ui={**ME, "kind": "sweep", "created": "2026-01-03", "task": "segmentation"})
    (tmp_path / "outputs/day/empty").mkdir()
    library = Library(tmp_path)
    told = {line["name"]: line for line in library.listed()}
    assert set(told) == {"day/one", "day/two", "day/asked", "study"} | {"day/asked"}
    kinds = [(line["name"], line["kind"], line["state"]) for line in library.listed() if line["name"] != "study"]
    assert kinds == [
        ("day/asked", "sweep", "running"),
        ("day/one", "run", "running"),
        ("day/two", "run", "finished"),
        ("day/asked", "run", "failed"),
    ]
    assert (told["day/one"]["value"], told["day/one"]["epoch"], told["day/two"]["value"]) == (0.75, 2, 0.25)
    places = {place.path.relative_to(tmp_path).as_posix(): place for place in library.places()}
    assert places["multirun/study/0"].kind == "trial" and "multirun/study/best" not in places
    for place in places.values():
        assert library.find(place.id) == place
    assert library.find("x" * 16) is None and library.find("../..") is None


def test_a_folder_that_is_deleted_while_the_list_is_made_hides_no_other(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / "outputs" / name, status={})
    library = Library(tmp_path)
    places = library.places()
    shutil.rmtree(tmp_path / "outputs" / "one")
    library.places = lambda: places  # type: ignore[method-assign]
    assert [line["name"] for line in library.listed()] == ["two"]


def test_the_living_come_first_in_the_list(tmp_path: Path) -> None:
    for name, created, writer in (("old", 1, ME), ("new", 3, GONE), ("newest", 4, ME), ("older", 2, GONE)):
        write(tmp_path / "outputs" / name, ui={**writer, "kind": "run", "created": f"2026-01-0{created}"})
    assert [line["name"] for line in Library(tmp_path).listed()] == ["newest", "old", "new", "older"]


def test_the_list_tells_what_was_set_in_a_run(tmp_path: Path) -> None:
    library, folder = Library(tmp_path), tmp_path / "outputs" / "a"
    words = ("learning_rate=1e-3", "batch_size=16", "optimizer=sgd", "data.root=/x/my photos", "data.image_size=24")
    words += (
        "seed=3",
        "augment=strong",
        "augment.mosaic=0.5",
        "tracking.run_name=x",
        "model.name=small_resnet",
        "gamma=0.5",
    )
    write(folder, result={"status": "finished", "image_size": [24, 24]}, words=words)
    (line,) = library.listed()
    assert line["changed"] == [
        "optimizer=sgd",
        "learning_rate=0.001",
        "batch_size=16",
        "seed=3",
        "data.image_size=24",
        "augment.name=strong",
    ]
    assert (line["root"], line["dataset"]) == ("/x/my photos", "my photos") and "model.name=x" not in line["changed"]
    content = json.loads((folder / FILE_NAME).read_text())
    sources = dict.fromkeys(content["hyperparameters"], "file")
    strange = {"learning_rate": "/home/" + "x" * 1000, "weight_decay": "a\nb"}
    content |= {"sources": {**sources, "evil": "you"}, "hyperparameters": {**content["hyperparameters"], **strange}}
    (folder / FILE_NAME).write_text(json.dumps(content))
    changed = library.listed()[0]["changed"]
    assert "step_size" not in " ".join(changed)  # the cosine schedule does not read it
    assert changed[0] == "optimizer=sgd" and 'weight_decay="a\\nb"' in changed
    assert max(len(line) for line in changed) == 80


def test_what_a_file_set_is_told_where_it_is_not_usual_and_after_what_was_typed(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, [], port=1, token="x")
    former = write(tmp_path / "outputs" / "a", result={}, words=("optimizer=sgd", "batch_size=16", "max_epochs=3"))
    write(tmp_path / "outputs" / "b", result={}, words=(f"experiment={former}", "seed=1", "weight_decay=0.5"))
    write(tmp_path / "outputs" / "c", result={}, words=(f"experiment={former}", "model=resnet50", "seed=1"))
    told = {line["name"]: line["changed"] for line in desk.library.listed()}
    file = ["optimizer=sgd", "batch_size=16", "max_epochs=3"]
    assert told == {"a": file, "b": ["weight_decay=0.5", "seed=1", *file], "c": ["seed=1", *file]}


@pytest.mark.parametrize(
    "change",
    [
        {"task": "no_such_task"},
        {"task": "classification\nseed=1"},
        {"task": ["classification"]},
        {"model": {"name": "no_such_model"}},
        {"model": {"name": "${oc.env:HOME}"}},
        {"augment": {"name": "no_such_preset"}},
        {"data": {"root": "a\0${b}"}},
    ],
)
def test_of_what_does_not_compose_here_nothing_is_known_to_be_usual(change: dict[str, Any], tmp_path: Path) -> None:
    folder = write(tmp_path / "a", result={})
    content = json.loads((folder / FILE_NAME).read_text())
    assert usual_values(content, Composer(tmp_path))["seed"] == 0
    assert usual_values(content | change, Composer(tmp_path)) == {}


def test_a_run_that_was_refused_is_told_apart_by_what_was_asked(tmp_path: Path) -> None:
    touched = {"learning_rate": 0.1, "data.root": "/x/photos/", "run.device": "cuda:9", "data.classes": ["a", "b"]}
    ui = {**GONE, "kind": "run", "task": "classification", "form": {"task": "classification", "touched": touched}}
    write(tmp_path / "outputs/a", ui=ui)
    write(tmp_path / "outputs/b", ui={**ui, "form": "forged"})
    for name, changed, dataset in (
        ("a", ["learning_rate=0.1", "run.device=cuda:9", 'data.classes=["a", "b"]'], "photos"),
        ("b", [], ""),
    ):
        line = next(line for line in Library(tmp_path).listed() if line["name"] == name)
        assert (line["changed"], line["dataset"]) == (changed, dataset)


def test_the_list_follows_a_run_and_its_death(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "outputs/a", result={"status": "running"}, lock=ME, status={"state": "training"}, rows=[row(1, 0.5)]
    )
    library = Library(tmp_path)
    assert [(line["state"], line["epoch"]) for line in library.listed()] == [("running", 1)]
    write(folder, rows=[row(1, 0.5), row(2, 0.5)])
    assert [(line["state"], line["epoch"]) for line in library.listed()] == [("running", 2)]
    (folder / LOCK).unlink()
    assert [line["state"] for line in library.listed()] == ["unfinished"]


def test_a_sweep_lives_while_its_leader_does(tmp_path: Path) -> None:
    folder = tmp_path / "multirun/s"
    folder.mkdir(parents=True)
    (folder / LEAD).write_text(json.dumps(ME))
    library = Library(tmp_path)
    assert [line["state"] for line in library.listed()] == ["running"]
    (folder / LEAD).write_text(json.dumps(GONE))
    assert [line["state"] for line in library.listed()] == ["stopped"]


@pytest.mark.parametrize(
    ("ended", "wanted", "ui", "repeat", "state"),
    [
        (2, 2, {}, False, "ended"),
        (1, 2, {}, False, "stopped"),
        (1, 2, {"exit_code": 143}, False, "stopped"),
        (1, 2, {"exit_code": 2}, False, "failed"),
        (2, 2, {"exit_code": 1}, False, "ended"),
        (2, 2, {}, True, "stopped"),  # it runs the one that failed again
        (1, None, {}, False, "ended"),
    ],
)
def test_a_sweep_that_lacks_trials_was_stopped(
    ended: int, wanted: int | None, ui: dict[str, Any], repeat: bool, state: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "multirun" / "s", ui={**GONE, "kind": "sweep", **ui})
    words = ["repeat"] if repeat else ["-m"]
    (folder / LEAD).write_text(json.dumps({**GONE, "words": words, **({"n_trials": wanted} if wanted else {})}))
    rows = ["0,failed,,0.1,,,,,", "1,complete,1.0,0.1,,,,,yes"][:ended]
    (folder / "trials.csv").write_text("\n".join(["number,state,mae,seed,epochs,seconds,reason,folder,best", *rows]))
    library = Library(tmp_path)
    assert [line["state"] for line in library.listed()] == [state] == [sweeps.detail(folder, library)["state"]]


def test_a_sweep_that_another_machine_leads_lives_as_long_as_it_is_heard_of(tmp_path: Path) -> None:
    folder = tmp_path / "multirun/s"
    folder.mkdir(parents=True)
    library, now = Library(tmp_path), time.time()
    for ago, state in ((0.0, "running"), (SILENT + 60, "stopped"), (5.0, "running")):
        (folder / LEAD).write_text(
            json.dumps({**FAR, "command": "visrun -m", "words": ["-m"], "cwd": str(tmp_path), "n_trials": 3})
        )
        os.utime(folder / LEAD, (now - ago, now - ago))
        assert [line["state"] for line in library.listed()] == [state]
        told = sweeps.detail(folder, library)
        assert (told["state"], told["can_stop"], told["can_resume"]) == (state, False, state == "stopped")
        assert (told["command"], told["wanted"]) == (f"visrun -m hydra.sweep.dir={folder}", 3)
    with pytest.raises(Conflict, match="stop it there"):
        stop(folder)
    with pytest.raises(Conflict, match="running already"):
        Processes(tmp_path).resume(folder)


@pytest.mark.parametrize(
    ("files", "words", "why"),
    [
        ({"ui": {"words": ["-m", "seed=1"]}}, ["-m", "seed=1"], ""),
        ({"lead": {"words": ["repeat", "seeds=3"], "cwd": "."}}, ["repeat", "seeds=3"], ""),
        ({"lead": {"words": ["repeat", "folds=3"], "cwd": "."}}, ["repeat", "folds=3"], ""),
        ({"ui": {"asked": "stop"}, "lead": {"words": ["-m", "seed=1"], "cwd": "."}}, ["-m", "seed=1"], ""),
        (
            {"lead": {"words": ["-m"], "cwd": "/elsewhere", "command": "visrun -m"}},
            [],
            "go on with it in /elsewhere: visrun -m",
        ),
        ({"lead": {"words": None, "cwd": ".", "command": "visrun -m"}}, [], "go on with it in .: visrun -m"),
        (
            {"lead": {"words": None, "cwd": ".", "command": "visrun -m", "folder": "/before", "name": "mine"}},
            [],
            "multirun/s hydra.sweeper.study_name=mine",
        ),
        ({}, [], "go on with it where it was started: its command is not known here"),
        ({"lead": GONE}, [], "go on with it where it was started: its command is not known here"),
        ({"ui": {"words": ["-m"]}, "lead": {"name": "${x}"}}, [], "its command is not known here"),
        ({"lead": {"command": "visrun -m", "folder": "a\0b"}}, [], "its command is not known here"),
    ],
)
def test_a_sweep_goes_on_by_the_command_that_is_known(
    files: dict[str, Any], words: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "multirun/s"
    folder.mkdir(parents=True)
    (folder / "study.journal").write_text("")
    for name, content in files.items():
        (folder / {"ui": UI, "lead": LEAD}[name]).write_text(json.dumps({**GONE, **content}))
    cwd = Path() if files.get("lead", {}).get("cwd") == "." else tmp_path
    started: list[Any] = []
    monkeypatch.setattr(Processes, "_start", lambda _, *given: started.append(given))
    if why:
        with pytest.raises(Conflict, match=re.escape(why)):
            Processes(cwd).resume(folder)
    else:
        Processes(cwd).resume(folder)
    assert started == ([(folder, [*words, f"hydra.sweep.dir={folder}"])] if words else [])


def test_nothing_goes_on_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write(tmp_path / "outputs/r", result={"status": "killed"})
    sweep = write(tmp_path / "multirun/s", ui={**GONE, "kind": "sweep", "words": ["-m"]})
    monkeypatch.setattr(processes.subprocess, "Popen", lambda *_, **__: pytest.fail("started"))
    for folder in (run, sweep):
        (folder / CONSOLE).symlink_to(tmp_path / "profile")
        with pytest.raises(UserError, match=rf"{CONSOLE}: a link that leads out of {folder}"):
            Processes(tmp_path).resume(folder)
    assert not (tmp_path / "profile").exists()


CODE = [
    "plugins=[evil]",
    "+plugins=[evil]",
    "hydra.sweeper.custom_search_space=os.system",
    "hydra.sweeper.sampler._target_=os.system",
    "hydra.sweeper.sampler={_target_:os.system}",
    "hydra.callbacks.x._target_=os.system",
    "hydra.launcher.setup=[evil]",
    "--config-dir=/tmp/evil",
    "predict",
]


@pytest.mark.parametrize("word", CODE)
def test_what_a_folder_notes_starts_no_code(word: str, tmp_path: Path) -> None:
    (tmp_path / "study.journal").write_text("")
    (tmp_path / UI).write_text(json.dumps({"words": ["-m", word], "command": f"visrun -m {word}"}))
    with pytest.raises(Conflict, match=re.escape(f"go on with it in {tmp_path}: visrun -m {shlex.quote(word)}")):
        Processes(tmp_path).resume(tmp_path)
    onward = processes.going_on(folder_facts(tmp_path), tmp_path, [word], Roots([tmp_path]))
    assert onward.words[:2] == ["-m", word]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder to work in, with data, weights and runs, beside one that the page does not read."""
    for name in ("here/photos", "here/multirun/s", "outside"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "here/link").symlink_to(tmp_path / "outside")
    for name, root in (("mine", tmp_path / "here/photos"), ("theirs", tmp_path / "outside")):
        write(tmp_path / "here/outputs" / name, result={}, words=(f"data.root={root}", "data=folder"))
    return tmp_path / "here"


@pytest.mark.parametrize(
    "word",
    [
        "tracking.uri=http://evil.example",
        "data.cache_dir=x",
        "data.root=/etc",
        "data.root=link",
        "data.root='photos','../outside'",
        "data.root=choice(photos,'/etc')",
        "data.root='photos','photos'",  # the first thousand of a sweep are looked at, and no more
        "data.root=glob(*)",
        "model.weights=../outside/best.pt",
        "experiment=../outside",
        "experiment=outputs/theirs",
        "experiment=outputs/none",
        "hydra.sweeper.storage=postgresql://evil.example/x",
        "hydra.sweeper.params={data.root:/etc}",
        "hydra.sweeper.params.tracking.uri=choice(a,b)",
        "hydra.sweeper.study_name=${oc.env:HOME}",
        "hydra.sweep.subdir=../x",
        "hydra/launcher=../../x",
        "sweep=../x",
        "out=x",
    ],
)
def test_what_a_folder_notes_reaches_nothing_outside(word: str, place: Path) -> None:
    write(place / "multirun/s", ui={**GONE, "kind": "sweep", "words": ["-m", word], "command": "visrun -m seed=1,2"})
    told = sweeps.detail(place / "multirun/s", Library(place))
    assert not told["can_resume"] and told["command"].startswith(f"visrun -m {shlex.quote(word)} ")
    with pytest.raises(Conflict, match=re.escape(told["command"])):
        Processes(place).resume(place / "multirun/s")


def test_a_sweep_goes_on_by_the_command_that_is_shown_and_in_its_own_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(Processes, "_start", lambda _, __, words: started.append(list(words)))
    words = ["repeat", "experiment=outputs/mine", "data.root=photos", "model.weights=null", "sweep=default", "seeds=3"]
    words += ["optimizer=adam,sgd", "tracking=mlflow", "hydra.sweeper.n_jobs=2", "hydra/sweeper/pruner=none"]
    elsewhere = ["hydra.sweep.dir=/tmp/elsewhere", "hydra.sweeper.study_name=../../x"]
    folder = place / "multirun/s"
    write(folder, ui={**GONE, "kind": "sweep", "words": [*words, *elsewhere], "command": "visrun -m seed=1,2"})
    (folder / LEAD).write_text(json.dumps({"name": "s", "folder": "/tmp/elsewhere"}))
    told = sweeps.detail(folder, Library(place))
    Processes(place).resume(folder)
    assert started == [[*words, "hydra.sweeper.study_name=s", f"hydra.sweep.dir={folder}"]]
    assert told["can_resume"] and told["command"] == shlex.join(["visrun", *started[0]])


@pytest.mark.skipif(born(os.getpid()) is None, reason="this system does not say when a process began")
def test_what_was_started_here_lives_though_the_clock_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_reap", lambda *_: None)
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        monkeypatch.setattr(processes.subprocess, "Popen", lambda *_, **__: process)
        Processes(tmp_path)._start(tmp_path, [])
        before = psutil._pslinux.boot_time
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: before() + 3600.0)
        assert folder_facts(tmp_path).pid == process.pid


def test_a_sweep_that_the_page_starts_can_be_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(Processes, "_start", lambda _, folder, words: started.append(list(words)))
    words = ["plugins=[mine]", "task=regression", "learning_rate=interval(1e-4,1e-2)", "hydra.sweeper.n_trials=3"]
    words += ["hydra/sweeper/pruner=none", "hydra.sweeper.n_jobs=2"]
    made = Processes(tmp_path, always=["plugins=[mine]"])
    folder = made.sweep(words, ticket="1", command="visrun -m")
    made.resume(folder)
    assert started[0] == started[1]
    with pytest.raises(Conflict, match="go on with it in"):
        Processes(tmp_path).resume(folder)


@pytest.mark.parametrize("act", [stop, kill])
def test_a_sweep_of_the_command_line_stays_one_when_it_is_stopped_here(
    act: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = write(tmp_path / "multirun/s/0", result={"status": "killed"}).parent
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        (folder / LEAD).write_text(json.dumps(noted_process(process.pid)))
        library = Library(tmp_path)
        assert [(line["kind"], line["state"]) for line in library.listed()] == [("sweep", "running")]
        act(folder)
    assert (folder / UI).is_file()
    assert [(line["kind"], line["state"]) for line in library.listed()] == [("sweep", "ended")]
    assert [place.kind for place in library.places()] == ["sweep", "trial"]


def test_a_folder_is_of_the_kind_that_its_starter_noted(tmp_path: Path) -> None:
    for name, kind in (("a", "run"), ("b", "sweep"), ("c", None)):
        write(tmp_path / "outputs" / name, ui={**GONE, **({"kind": kind} if kind else {})})
    (tmp_path / "outputs/a/study.journal").write_text("")
    assert [place.kind for place in sorted(Library(tmp_path).places(), key=lambda place: place.path)] == [
        "run",
        "sweep",
        "run",
    ]


def test_the_list_shows_how_far_a_sweep_is_and_its_best(tmp_path: Path) -> None:
    folder = write(tmp_path / "multirun/named/0", result={"status": "finished"}).parent
    (folder / "optimization_results.yaml").write_text("name: optuna")
    (folder / "0" / FILE_NAME).write_text(json.dumps({"task": "regression", "created": "2026-01-02T03:04:05+00:00"}))
    head = "number,state,mae,learning_rate,epochs,seconds,reason,folder,best"
    library = Library(tmp_path)

    def shown(*rows: str) -> tuple[Any, ...]:
        (folder / "trials.csv").write_text("\n".join(["\ufeff" + head, *rows]), encoding="utf-8")
        (line,) = library.listed()
        return line["trials"], line["monitor"], line["value"]

    assert [(line["trials"], line["value"]) for line in library.listed()] == [(1, None)]
    assert shown() == (0, "", None)
    assert shown("0,running,,0.1,,,,f,") == (0, "", None)
    assert shown("0,complete,2.5,0.1,9,1,,f,yes", "1,failed,,0.2,,,no,f,", "2,running,,,,,,f,") == (2, "mae", 2.5)
    assert shown("0,complete,2.5,0.1,9,1,,f,", "1,pruned,9,0.2,1,1,,f,", "2,complete,1,,,,,f,yes") == (3, "mae", 1.0)
    assert shown("0,complete,2.5,0.1,9,1,,f,yes", "1,complete,3,0.2,1,1,,f,yes") == (2, "", None)  # a Pareto front
    (line,) = library.listed()
    assert (line["task"], line["created"]) == ("regression", "2026-01-02T03:04:05+00:00")


SPREAD = {"n": 2, "mean": 0.5, "std": 0.25, "low": 0.25, "high": 0.75}


def test_a_repeat_is_told_by_its_mean_and_has_no_best(tmp_path: Path) -> None:
    folder = write(tmp_path / "multirun/day/repeat", ui=None)
    for number in (0, 1):
        words = (f"seed={number}", "data.root=/x/photos")
        write(folder / f"{number}", result={"status": "finished"}, words=words, rows=[row(1, number / 2)])
    (folder / "trials.csv").write_text("number,state,accuracy,seed,best\n0,complete,0.25,0,\n1,complete,0.75,1,yes\n")
    (folder / LEAD).write_text(json.dumps({"words": ["repeat", "seeds=2"], "command": "visrun repeat seeds=2"}))
    library = Library(tmp_path)
    (line,) = library.listed()
    assert (line["repeat"], line["monitor"], line["value"], line["dataset"]) == (True, "", None, "photos")
    assert sweeps.detail(folder, library)["repeat"] == {}
    alone = {**SPREAD, "n": 1, "std": None, "low": None, "high": None}
    metrics = {"val/accuracy": SPREAD, "test/f1": alone, "test/f1/red": SPREAD}
    (folder / REPORT).write_text(json.dumps({"metrics": metrics}))
    (line,) = Library(tmp_path).listed()
    assert (line["repeat"], line["monitor"], line["value"]) == (True, "accuracy", 0.5)
    told = sweeps.detail(folder, library)
    assert told["repeat"] == {"val/accuracy": SPREAD, "test/f1": {"n": 1, "mean": 0.5}}
    assert (told["best"], told["importance"], told["dataset"]) == ([], {}, "photos")


def test_notes_add_up(tmp_path: Path) -> None:
    note(tmp_path, a=1, b=2)
    note(tmp_path, b=3)
    assert json.loads((tmp_path / UI).read_text()) == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("task", "data", "asked"),
    [
        (
            "classification",
            {"multilabel": True},
            "the score from which on a label is reported, where an image may have several; "
            "CLASS:0.8 is the probability from which on an image is called CLASS",
        ),
        ("classification", {}, "CLASS:0.8 is the probability from which on an image is called CLASS"),
        ("object_detection", {}, "the score from which on an object is reported"),
        ("regression", {}, ""),
    ],
)
def test_a_threshold_is_offered_where_what_is_predicted_depends_on_one(
    task: str, data: dict[str, Any], asked: str, tmp_path: Path
) -> None:
    folder = write(tmp_path, result={"status": "finished", "data": data}, words=(f"task={task}",))
    assert detail(folder)["threshold"] == asked
