"""Where a study lives: locks that die with their holders, journals that stay whole."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from unittest.mock import Mock

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from tests.sweep.conftest import refused
from visrun.errors import VisrunError
from visrun.sweep import storage
from visrun.sweep.storage import FileLock, StorageAway, open_storage, quiet

HOLDER = """
import sys, time
from pathlib import Path
from visrun.sweep.storage import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal with one study of one trial."""
    path = tmp_path / "study.journal"
    made = open_storage(str(path))
    made.create_new_trial(made.create_new_study([StudyDirection.MAXIMIZE], "one"))
    return path


def reopened(path: Path) -> JournalStorage:
    """As another process would see it."""
    made = storage._open(str(path), -time.monotonic_ns())
    assert isinstance(made, JournalStorage)
    return made


class TestFileLock:
    def test_one_thread_at_a_time(self, journal: Path) -> None:
        inside, most = [], []

        def enter(lock: FileLock) -> None:
            for _ in range(20):
                lock.acquire()
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()
                lock.release()

        shared = FileLock(journal)
        threads = [threading.Thread(target=enter, args=(lock,)) for lock in (shared, shared, FileLock(journal))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert most == [1] * 60

    def test_it_is_free_when_its_holder_is_killed(self, journal: Path) -> None:
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(journal)], stdout=subprocess.PIPE, text=True)
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        lock = journal.with_name(f"{journal.name}.lock").open("ab")
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.close()
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
        began = time.monotonic()
        reopened(journal).create_new_study([StudyDirection.MAXIMIZE], "two")
        assert time.monotonic() - began < 5

    def test_ctrl_c_while_it_waits_leaves_it_free(self, journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        made, flock = open_storage(str(journal)), fcntl.flock

        def interrupted(*_: object) -> None:
            monkeypatch.setattr(storage.fcntl, "flock", flock)
            raise KeyboardInterrupt

        monkeypatch.setattr(storage.fcntl, "flock", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made.set_study_user_attr(0, "a", 1)
        ended = threading.Event()
        thread = threading.Thread(target=lambda: (made.set_study_user_attr(0, "a", 2), ended.set()), daemon=True)
        thread.start()
        assert ended.wait(5)
        assert made.get_study_user_attrs(0) == {"a": 2}


class TestJournal:
    @pytest.mark.parametrize("reason", storage.NO_LOCKS)
    def test_where_there_are_no_locks_other_places_are_named(
        self, reason: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storage.fcntl, "flock", Mock(side_effect=OSError(reason, os.strerror(reason))))
        told = "cannot be opened, since this file system has no locks; name a file on another one, or a database"
        assert refused(f"{tmp_path}/a.journal") == f"hydra.sweeper.storage={tmp_path}/a.journal: {told}"

    def test_each_is_opened_once_in_a_process(self, journal: Path) -> None:
        assert open_storage(str(journal)) is open_storage(str(journal))

    @pytest.mark.parametrize("torn", ['{"op_code":4,"wor', "{", "x" * 20_000])
    def test_a_torn_last_line_is_cut_off(self, journal: Path, torn: str) -> None:
        whole = journal.read_bytes()
        journal.write_bytes(whole + torn.encode())
        made = reopened(journal)
        assert journal.read_bytes() == whole
        assert len(made.get_all_trials(0)) == 1
        made.create_new_trial(0)
        assert [trial.number for trial in reopened(journal).get_all_trials(0)] == [0, 1]

    def test_a_line_torn_by_another_process_harms_nobody_who_has_it_open(self, journal: Path) -> None:
        one, other = open_storage(str(journal)), reopened(journal)
        with journal.open("ab") as file:
            file.write(b'{"op_code":4,"worker_id":"killed","trial_')
        assert len(one.get_all_trials(0)) == 1  # reading goes on
        one.create_new_trial(0)
        other.create_new_trial(0)
        for seen in (one, other, reopened(journal)):
            assert [trial.number for trial in seen.get_all_trials(0)] == [0, 1, 2]

    @pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 30])
    def test_a_first_line_that_was_torn_is_as_none(self, journal: Path, size: int) -> None:
        journal.write_bytes(journal.read_bytes()[:size])
        made = reopened(journal)
        assert made.get_all_studies() == []
        made.create_new_study([StudyDirection.MINIMIZE], "again")
        assert [study.study_name for study in reopened(journal).get_all_studies()] == ["again"]

    def test_a_database_or_a_text_taken_for_a_journal_is_left_as_it_is(self, tmp_path: Path) -> None:
        for content in (
            b"SQLite format 3\0 and\nmore",
            b"notes\nwithout an end",
            b'{"op_code":99}\n',
            b'{"op_code"}\n\n',
        ):
            path = tmp_path / "file"
            path.write_bytes(content)
            assert "no journal" in refused(str(path))
            assert path.read_bytes() == content

    @pytest.mark.parametrize("size", [0, 30], ids=["emptied", "cut"])
    def test_one_that_is_cut_while_it_is_used_is_named_at_once(self, journal: Path, size: int) -> None:
        made = open_storage(str(journal))
        journal.write_bytes(journal.read_bytes()[:size])
        told = rf"^{journal}: is damaged, or was cut while .* another hydra\.sweeper\.study_name$"
        with pytest.raises(VisrunError, match=told):
            made.get_all_trials(0)
        with pytest.raises(VisrunError, match=told):
            made.create_new_trial(0)

    def test_one_that_is_overwritten_or_deleted_while_it_is_used_is_named(self, journal: Path) -> None:
        made = open_storage(str(journal))
        journal.write_bytes(journal.read_bytes() + b"\0" * 40 + b"\n\n")
        with pytest.raises(VisrunError, match=rf"^{journal}: is damaged, or was cut"):
            made.get_all_trials(0)
        journal.unlink()
        for ask in (made.get_all_trials, made.create_new_trial):
            with pytest.raises(VisrunError, match=rf"^{journal}: is gone; the trials keep their folders; put a copy"):
                ask(0)
        assert not journal.exists()

    def test_what_cannot_be_read_is_not_said_to_be_unwritable(
        self, journal: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = open_storage(str(journal))
        failing = Mock(side_effect=OSError(errno.EIO, "Input/output error"))
        monkeypatch.setattr("optuna.storages.journal.JournalFileBackend.read_logs", failing)
        with pytest.raises(StorageAway, match=rf"^{journal}: cannot read \(Input/output error\)$"):
            made.get_all_trials(0)

    def test_a_folder_that_is_missing_is_one_line(self, tmp_path: Path) -> None:
        assert "No such file or directory" in refused(str(tmp_path / "no" / "study.journal"))
        assert "Is a directory" in refused(str(tmp_path))


class TestQuiet:
    def test_it_hides_what_optuna_says_and_nothing_after(self, capfd: pytest.CaptureFixture[str]) -> None:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            before = list(warnings.filters)
            with quiet(), quiet():
                optuna.samplers.GPSampler()
                optuna.logging.get_logger("optuna.samplers").warning("fallback")
            assert not said
            assert warnings.filters == before
            warnings.warn("mine", UserWarning, stacklevel=1)
            assert len(said) == 1
        assert "fallback" not in capfd.readouterr().err

    def test_threads_leave_the_filters_as_they_were(self) -> None:
        before, errors = list(warnings.filters), []

        def often() -> None:
            try:
                for _ in range(30):
                    with quiet():
                        warnings.warn("hidden", optuna.exceptions.ExperimentalWarning, stacklevel=1)
                        time.sleep(0.0001)
            except Warning as error:  # they are errors in these tests
                errors.append(error)

        threads = [threading.Thread(target=often) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors and warnings.filters == before


def test_a_forked_process_opens_its_own(journal: Path) -> None:
    made = open_storage(str(journal))
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other tests' threads: nothing is run here but the lookup
        child = os.fork()
    if child == 0:
        os.write(write, b"own" if open_storage(str(journal)) is not made else b"same")
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    assert os.read(read, 10) == b"own"
    os.close(read)
    assert made.get_all_trials(0)[0].state is TrialState.RUNNING
