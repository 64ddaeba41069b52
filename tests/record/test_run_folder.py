import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from unittest.mock import Mock

import psutil
import pytest

from visrun.errors import UserError, VisrunError
from visrun.record import run_folder
from visrun.record.run_folder import (
    SILENT,
    RunFolder,
    Writer,
    born,
    living,
    living_holder,
    noted_process,
    read_json,
    this_process,
    writer_of,
)
from visrun.run_files import LOCK, STATUS


def test_rows_come_back_and_nan_is_left_out(tmp_path):
    with RunFolder(tmp_path / "run") as folder:
        folder.append_metrics({"epoch": 1, "loss": 0.5, "auroc": float("nan")})
        folder.append_metrics({"epoch": 2, "loss": 0.25})
        assert folder.read_metrics() == [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]
        folder.keep_metrics(1)
        assert folder.read_metrics() == [{"epoch": 1, "loss": 0.5}]


@pytest.mark.parametrize("gone", [True, False], ids=["a deleted folder", "a full disk"])
def test_an_epoch_that_cannot_be_written_is_one_line(tmp_path, gone):
    with RunFolder(tmp_path / "run") as folder:
        if gone:
            shutil.rmtree(folder.path)
        else:
            folder.metrics.symlink_to("/dev/full")
        with pytest.raises(VisrunError, match=r"^[^\n]*/metrics\.jsonl: cannot write \([^\n]*\)$"):
            folder.append_metrics({"epoch": 1})


def test_names_that_are_no_text_come_back(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.write_experiment({"left_out": ["caf\udce9.png", "café.png"]})
        assert read_json(tmp_path / "experiment.json") == {"left_out": ["caf\udce9.png", "café.png"]}


def test_a_line_cut_short_by_a_crash_is_left_out(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.append_metrics({"epoch": 1, "loss": 0.5})
        with folder.metrics.open("a") as file:
            file.write('{"epoch": 2, "lo')
        assert [row["epoch"] for row in folder.read_metrics()] == [1]
        folder.keep_metrics(5)
        assert folder.metrics.read_text().count("\n") == 1


@pytest.mark.parametrize("line", ["null", "3", "[1]", "{}", '{"epoch": null}', '{"epoch": "2"}'])
def test_a_line_that_is_no_epochs_is_left_out(tmp_path, line):
    with RunFolder(tmp_path) as folder:
        folder.append_metrics({"epoch": 1, "loss": 0.5})
        with folder.metrics.open("a") as file:
            file.write(f"{line}\n")
        folder.append_metrics({"epoch": 2, "loss": 0.25})
        assert [row["epoch"] for row in folder.read_metrics()] == [1, 2]
        folder.keep_metrics(1)
        assert [row["epoch"] for row in folder.read_metrics()] == [1]


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path):
    with RunFolder(tmp_path), pytest.raises(UserError, match=str(os.getpid())), RunFolder(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("content", ["", "{}", '{"pid": 1, "started": 5}', "null", '{"pid": "x"}'])
def test_the_lock_of_a_dead_process_is_taken_over(tmp_path, content):
    (tmp_path / LOCK).write_text(content)
    with RunFolder(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


def test_of_two_that_find_a_dead_lock_one_becomes_the_writer(tmp_path, monkeypatch):
    (tmp_path / LOCK).write_text("{}")
    judge, writers, refused, second = run_folder.writer_of, [], [], []

    def enter():
        try:
            writers.append(RunFolder(tmp_path).__enter__())
        except UserError as error:
            refused.append(error)

    def judged(folder):
        verdict = judge(folder)
        if not second:  # the other comes between the first one's verdict and what it does about it
            second.append(threading.Thread(target=enter))
            second[0].start()
            second[0].join(timeout=0.5)
        return verdict

    monkeypatch.setattr(run_folder, "writer_of", judged)
    enter()
    second[0].join()
    assert (len(writers), len(refused)) == (1, 1)


def test_a_lock_that_cannot_be_deleted_hides_no_error(tmp_path, monkeypatch):
    with pytest.raises(VisrunError, match="disk full"), RunFolder(tmp_path):
        monkeypatch.setattr(run_folder.Path, "unlink", Mock(side_effect=OSError(errno.EROFS, "Read-only file system")))
        raise VisrunError("disk full")


def test_leftovers_of_a_killed_write_are_removed(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.pt.tmp").write_bytes(b"half")
    with RunFolder(tmp_path):
        assert not list(tmp_path.rglob("*.tmp"))


def test_a_folder_that_cannot_be_made_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"), RunFolder(tmp_path / "file" / "run"):
        pass


def test_missing_or_broken_experiment_names_the_file(tmp_path):
    with RunFolder(tmp_path) as folder:
        with pytest.raises(UserError, match="no such file"):
            read_json(tmp_path / "experiment.json")
        (tmp_path / "experiment.json").write_text("[1]")
        with pytest.raises(UserError, match="no JSON object; restore it, or name another run"):
            read_json(tmp_path / "experiment.json")
        folder.write_experiment({"task": "classification", "name": "Müller"})
        assert read_json(tmp_path / "experiment.json")["name"] == "Müller"


def test_killed_holder_does_not_block(tmp_path):
    program = (
        "import os, pathlib, signal, sys\n"
        "from visrun.record.run_folder import RunFolder\n"
        "RunFolder(pathlib.Path(sys.argv[1])).__enter__()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=60)
    assert (tmp_path / LOCK).exists()
    with RunFolder(tmp_path):
        pass


def elsewhere(folder, **facts):
    """What a process of another machine has left in ``folder``."""
    folder.mkdir(exist_ok=True)
    (folder / LOCK).write_text(json.dumps({"pid": os.getpid(), "started": 5.0, "host": "far", **facts}))


def test_the_lock_names_the_machine_and_is_never_seen_empty(tmp_path, monkeypatch):
    seen, link = [], os.link

    def watched(source, target):
        link(source, target)
        seen.append(json.loads(target.read_text()))

    monkeypatch.setattr(os, "link", watched)
    with RunFolder(tmp_path):
        assert seen == [json.loads((tmp_path / LOCK).read_text())]
        assert (seen[0]["pid"], seen[0]["host"]) == (os.getpid(), socket.gethostname())
        assert [file.name for file in tmp_path.glob("run.lock*")] == [LOCK]


def test_a_file_system_without_links_is_locked_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    with RunFolder(tmp_path):
        with pytest.raises(UserError, match=str(os.getpid())), RunFolder(tmp_path):
            pass
        assert [file.name for file in tmp_path.glob("run.lock*")] == [LOCK]
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize(("silent", "told"), [(0, None), (2 * SILENT, 1.0)], ids=["a new lock", "a word of late"])
def test_a_process_of_another_machine_is_not_disturbed(tmp_path, silent, told):
    elsewhere(tmp_path)
    now = time.time()
    os.utime(tmp_path / LOCK, (now - silent, now - silent))
    if told is not None:
        (tmp_path / STATUS).write_text(json.dumps({"heartbeat": now - told}))
    with pytest.raises(UserError) as error, RunFolder(tmp_path):
        pass
    assert str(error.value) == (
        f"{tmp_path}: process {os.getpid()} on far is writing this run; wait for it or stop it; if it is dead, "
        f"delete {tmp_path / LOCK}"
    )
    assert json.loads((tmp_path / LOCK).read_text())["host"] == "far"


def test_a_process_here_is_none_of_another_machine(tmp_path):
    elsewhere(tmp_path, started=psutil.Process().create_time())
    assert living_holder(tmp_path / LOCK) is None
    assert writer_of(tmp_path) == Writer(os.getpid(), "far")


@pytest.mark.parametrize("status", [None, "", "[]", json.dumps({"heartbeat": 5.0}), json.dumps({"heartbeat": None})])
def test_a_machine_that_has_been_silent_for_long_holds_nothing(tmp_path, status):
    elsewhere(tmp_path)
    os.utime(tmp_path / LOCK, (5.0, 5.0))
    if status is not None:
        (tmp_path / STATUS).write_text(status)
    with RunFolder(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["host"] == socket.gethostname()


@pytest.mark.parametrize("pid", [1e400, "x", None])
def test_a_lock_that_names_no_process_holds_nothing(tmp_path, pid):
    elsewhere(tmp_path, pid=pid)
    assert writer_of(tmp_path) is None and living_holder(tmp_path / LOCK) is None


def test_a_word_that_is_no_time_is_none(tmp_path):
    elsewhere(tmp_path)
    (tmp_path / STATUS).write_text(json.dumps({"heartbeat": 10**400}))
    assert writer_of(tmp_path) == Writer(os.getpid(), "far")


def test_a_dead_process_of_this_machine_holds_nothing_however_lately_it_spoke(tmp_path):
    elsewhere(tmp_path, host=socket.gethostname())
    (tmp_path / STATUS).write_text(json.dumps({"heartbeat": time.time()}))
    with RunFolder(tmp_path):
        pass


def ended(pid):
    until = time.monotonic() + 60
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.01)


PARENT = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE);"
    "print(child.pid, flush=True); input(); child.stdin.close(); input()"
)


def test_a_process_that_has_ended_unnoticed_holds_nothing(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PARENT], text=True, bufsize=1, **pipes) as parent:
        pid = int(parent.stdout.readline())
        (tmp_path / LOCK).write_text(json.dumps(noted_process(pid)))
        assert living_holder(tmp_path / LOCK) == pid
        parent.stdin.write("end it\n")
        ended(pid)
        assert living_holder(tmp_path / LOCK) is None
        parent.stdin.write("end\n")


def test_a_child_holds_its_folder_until_it_is_known_how_it_ended(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        (tmp_path / LOCK).write_text(json.dumps(noted_process(process.pid)))
        process.stdin.close()
        ended(process.pid)
        assert living_holder(tmp_path / LOCK) == process.pid
        process.wait()
        assert living_holder(tmp_path / LOCK) is None


@pytest.fixture
def stepped(monkeypatch):
    """A clock that is set an hour on while processes run."""
    before = psutil._pslinux.boot_time
    return lambda: monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: before() + 3600.0)


@pytest.mark.skipif(born(os.getpid()) is None, reason="this system does not say when a process began")
class TestClock:
    def test_a_clock_that_is_set_ends_no_writer(self, tmp_path, stepped):
        with RunFolder(tmp_path):
            stepped()
            assert living_holder(tmp_path / LOCK) == os.getpid()
            assert writer_of(tmp_path) == Writer(os.getpid())
            with pytest.raises(UserError, match="is writing this run"), RunFolder(tmp_path):
                pass

    def test_a_process_tells_when_another_one_began(self):
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            assert born(process.pid).split()[0] == born(os.getpid()).split()[0]
            assert int(born(process.pid).split()[1]) > int(born(os.getpid()).split()[1])
            process.stdin.close()
            process.wait()
            assert born(process.pid) is None

    @pytest.mark.parametrize("change", ["ticks", "boot"])
    def test_a_later_process_of_the_same_number_and_second_is_another(self, change):
        me = this_process()
        boot, ticks = me["born"].split()
        other = f"{boot} {int(ticks) - 1}" if change == "ticks" else f"another {ticks}"
        assert living(me) == os.getpid()
        assert living({**me, "born": other}) is None

    @pytest.mark.parametrize("without", ["the record", "the system"])
    def test_the_time_of_day_decides_where_nothing_else_is_known(self, without, monkeypatch):
        me = this_process()
        if without == "the record":  # of an earlier version
            del me["born"]
        else:
            monkeypatch.setattr(run_folder, "born", lambda _: None)
            assert "born" not in this_process()
        assert living(me) == os.getpid()
        assert living({**me, "started": me["started"] - 5.0}) is None


@pytest.mark.parametrize(
    "facts", [{}, {"pid": "x"}, {"pid": 1e400}, {"pid": 10**30}, {"pid": -1}, {"pid": [1]}], ids=str
)
def test_what_describes_no_process_is_none(facts):
    assert living({"started": 5.0, **facts}) is None


def test_status_names_its_writer_and_is_replaced_as_a_whole(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.tell("training", epoch=1, step=3)
        first = json.loads((tmp_path / STATUS).read_text())
        folder.tell("finished", exit_code=0)
        second = json.loads((tmp_path / STATUS).read_text())
    assert (first["state"], first["pid"], first["epoch"], first["step"]) == ("training", os.getpid(), 1, 3)
    assert first.keys() - second.keys() == {"epoch", "step"}
    assert (second["state"], second["exit_code"]) == ("finished", 0)
    assert second["heartbeat"] >= first["heartbeat"] > second["started"]
    assert [file.name for file in tmp_path.glob("status*")] == [STATUS]


def test_a_status_that_cannot_be_written_stops_nothing(tmp_path):
    with RunFolder(tmp_path) as folder:
        (tmp_path / STATUS).mkdir()
        folder.tell("training")
