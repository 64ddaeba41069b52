"""Who leads a sweep: one process for a folder, and one for a study, wherever it writes."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage
from optuna.storages.journal import JournalFileBackend

from visrun.config.compose import resolve
from visrun.config.sweeper import VisrunSweeperConf
from visrun.errors import ConfigError, VisrunError
from visrun.record.run_folder import noted_process, this_process
from visrun.record.sweep_files import LEAD
from visrun.sweep import controller, leadership, worker
from visrun.sweep.controller import lead
from visrun.sweep.leadership import CLAIM, Claim, claimed, leading
from visrun.sweep.parts import again
from visrun.sweep.plan import Plan, make_plan
from visrun.sweep.storage import GRACE, StorageAway, open_storage
from visrun.sweep.study import Queue, create

USUAL = vars(VisrunSweeperConf(pruner={"name": "none"}, sampler={"_target_": "optuna.samplers.TPESampler"}))


def plan(folder: Path, **settings: Any) -> Plan:
    folder.mkdir(exist_ok=True)
    return make_plan(
        {**USUAL, **settings},
        ["seed=1,2"],
        folder=folder,
        command=("-m", "seed=1,2"),
        first=resolve([]),
        resolve=resolve,
        make_sampler=lambda _: RandomSampler(),
    )


@pytest.mark.parametrize("name", ["mine", "my/own"])
def test_a_study_in_a_journal_is_led_once_from_whatever_folder(name: str, tmp_path: Path) -> None:
    here = plan(tmp_path / "a", study_name=name)
    there = plan(tmp_path / "b", study_name=name, storage=here.storage)
    with leading(here):
        with pytest.raises(ConfigError, match=f"study_name={name}: another process leads this study"), leading(there):
            pass
        assert this_process().items() <= json.loads((tmp_path / "a" / LEAD).read_text()).items()
    with leading(there):
        pass


@pytest.mark.parametrize("secret", [[], ["tracking.uri=https://me:secret@far"]])
def test_a_folder_says_who_leads_it_while_it_lives_and_how_it_goes_on(
    secret: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HEARTBEAT", 0.02)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "multirun" / "a"
    folder.mkdir(parents=True)
    made = replace(plan(folder), command=("-m", "seed=1,2", *secret))
    words = ["-m", "seed=1,2", *secret, "hydra.sweeper.study_name=a"]
    onward = {
        "command": " ".join(["visrun", *words]).replace("secret", "***"),
        "cwd": str(Path.cwd()),
        "words": None if secret else words,
        "folder": str(folder),
        "name": "a",
        "n_trials": 2,
    }
    with leading(made):
        assert json.loads((folder / LEAD).read_text()) == {**this_process(), **onward}
        os.utime(folder / LEAD, (5.0, 5.0))
        time.sleep(0.3)
        assert (folder / LEAD).stat().st_mtime > 5.0
    assert json.loads((folder / LEAD).read_text()) == onward


def test_a_signal_that_some_library_swallows_while_the_study_is_opened_still_stops_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(where: str) -> BaseStorage:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return open_storage(where)

    def work(done: threading.Event) -> None:
        done.wait(5.0)

    monkeypatch.setattr(controller, "open_storage", opened)
    made = replace(plan(tmp_path / "a"), first=resolve(["tracking=none"]))
    assert lead(made, work=work) == 130


def test_a_bug_in_the_plots_leaves_its_traceback_in_the_sweeps_log_and_a_line_on_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(controller.pictures, "draw", Mock(side_effect=KeyError("loss")))
    made = replace(plan(tmp_path / "a"), first=resolve(["tracking=none"]))
    lead(made, work=lambda _: None)
    assert "warning: plots: KeyError: 'loss'\n" in capsys.readouterr().out
    log = (made.folder / "visrun.log").read_text()
    assert "Traceback (most recent call last)" in log and "in _draw" in log


@pytest.mark.parametrize("begun", [False, True], ids=["at once", "while it runs"])
def test_a_full_disk_is_told_with_the_journal(begun: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def work(done: threading.Event) -> None:
        monkeypatch.setattr(JournalFileBackend, "append_logs", full)
        queue.fill(9)

    made = replace(plan(tmp_path / "a"), first=resolve(["tracking=none"]))
    open_storage(made.storage)
    if not begun:
        monkeypatch.setattr(JournalFileBackend, "append_logs", full)
    else:
        create(open_storage(made.storage), made.name, ["maximize"])
        queue = Queue(open_storage(made.storage), made.name)
    with pytest.raises(StorageAway) as caught:
        lead(made, work=work)
    assert str(caught.value) == f"{made.storage}: cannot write (No space left on device)"
    assert json.loads((made.folder / LEAD).read_text())["command"] == again(made)


def test_a_full_disk_that_takes_no_word_of_the_leader_frees_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(tmp_path / "a")

    class Full(FileIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda path, *_, **__: Full(path, "ab"))
        with pytest.raises(VisrunError, match=r"\.lead\.lock: cannot write \(No space left"), leading(made):
            pass
    with leading(made):
        pass


def test_studies_that_share_a_journal_are_led_side_by_side_but_not_in_one_folder(tmp_path: Path) -> None:
    storage = str(tmp_path / "all.journal")
    one, two = (plan(tmp_path / name, study_name=name, storage=storage) for name in ("one", "two"))
    three = plan(tmp_path / "one", study_name="three", storage=storage)
    with leading(one), leading(two), pytest.raises(ConfigError), leading(three):
        pass


def other_process() -> dict[str, Any]:
    """A living one of this machine."""
    return noted_process(os.getppid())


def test_where_there_are_no_locks_a_folder_is_led_unless_a_living_process_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack = OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    monkeypatch.setattr(leadership.fcntl, "flock", Mock(side_effect=lack))
    one, two = (plan(tmp_path / "a", study_name=name, storage=f"sqlite:///{tmp_path}/s.db") for name in ("one", "two"))
    (tmp_path / "a" / LEAD).write_text(json.dumps({**other_process(), "started": 0.0, "born": ""}))  # was killed
    with leading(one):
        assert this_process().items() <= json.loads((tmp_path / "a" / LEAD).read_text()).items()
        with pytest.raises(ConfigError, match="study_name=two: another process leads this study"), leading(two):
            pass
    with leading(two):
        pass


def test_a_lock_that_cannot_be_had_for_any_other_reason_counts_as_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = OSError(errno.EACCES, os.strerror(errno.EACCES))  # as some network drives say it
    monkeypatch.setattr(leadership.fcntl, "flock", Mock(side_effect=held))
    with pytest.raises(ConfigError, match="another process leads"), leading(plan(tmp_path / "a")):
        pass


class TestDatabase:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(leadership, "SETTLE", 0.0)
        monkeypatch.setattr(worker, "HEARTBEAT", 0.02)

    @pytest.fixture
    def made(self, tmp_path: Path) -> Plan:
        made = plan(tmp_path / "here", study_name="mine", storage=f"sqlite:///{tmp_path}/studies.db")
        create(open_storage(made.storage), "mine", ["maximize"])
        return made

    @pytest.fixture
    def queue(self, made: Plan) -> Queue:
        return Queue(open_storage(made.storage), "mine")

    @pytest.mark.parametrize(
        ("more", "part"),
        [
            ({}, "hydra.sweeper.worker=true joins it"),
            ({"host": "elsewhere"}, f"hydra.sweeper.worker=true joins it; if that is dead, try again in {GRACE} s"),
        ],
    )
    def test_a_study_that_another_process_leads_is_led_by_no_second(
        self, made: Plan, queue: Queue, more: dict[str, Any], part: str
    ) -> None:
        noted = {**other_process(), "folder": "/there", "heard": time.time(), **more}
        queue.study.set_user_attr(CLAIM, noted)
        with pytest.raises(ConfigError) as caught, claimed(made, queue):
            pass
        who = f"process {noted['pid']} on {noted['host']} in /there"
        assert str(caught.value) == f"hydra.sweeper.study_name=mine: {who} leads this study; {part}"
        made.folder.rmdir()
        with pytest.raises(ConfigError, match="leads this study"):
            lead(made)
        assert queue.study.user_attrs[CLAIM] == noted and not made.folder.exists()

    @pytest.mark.parametrize(
        "more",
        [
            {"started": 0.0, "born": ""},  # its number has another one now
            {"host": "elsewhere", "heard": time.time() - GRACE - 1},
        ],
    )
    def test_a_leader_that_died_leaves_its_study_to_the_next_and_one_that_ends_at_once(
        self, made: Plan, queue: Queue, more: dict[str, Any]
    ) -> None:
        queue.study.set_user_attr(CLAIM, {**other_process(), "folder": "/there", "heard": time.time(), **more})
        with claimed(made, queue) as claim:
            noted = queue.study.user_attrs[CLAIM]
            assert noted == {**this_process(), "folder": str(made.folder), "heard": noted["heard"]}
            time.sleep(0.3)
            assert queue.study.user_attrs[CLAIM]["heard"] > noted["heard"]
            claim.keep()
        assert queue.study.user_attrs[CLAIM] == {}

    def test_of_two_in_the_same_moment_the_last_one_leads(
        self, made: Plan, queue: Queue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        last = Claim(queue, made.folder)
        last.mine |= other_process()
        monkeypatch.setattr(leadership.time, "sleep", lambda _: last._note())
        with pytest.raises(ConfigError, match=f"process {os.getppid()} "), claimed(made, queue):
            pass
        assert queue.study.user_attrs[CLAIM]["pid"] == os.getppid()

    def test_one_that_was_silent_until_another_one_led_leads_no_more(self, made: Plan, queue: Queue) -> None:
        noted = {**other_process(), "host": "elsewhere", "folder": "/there", "heard": time.time() + 60}
        claim = Claim(queue, made.folder)
        claim.take()
        for leader in (noted, {}):  # and stays so when the other one has ended
            queue.study.set_user_attr(CLAIM, leader)
            claim.beat()
            with pytest.raises(VisrunError, match="on elsewhere in /there has taken this study over"):
                claim.keep()
            claim.release()
            assert queue.study.user_attrs[CLAIM] == leader
