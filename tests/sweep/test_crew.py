"""Slots that die, threads that raise, trials whose workers are gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from visrun.errors import VisrunError
from visrun.record.run_folder import living, this_process
from visrun.sweep import crew
from visrun.sweep.crew import Orphans, Slots, Threads, died
from visrun.sweep.slots import Slot, environments
from visrun.sweep.study import Queue, create
from visrun.sweep.trials import signer
from visrun.sweep.worker import sign
from visrun.tracking.names import RECORD, write_record


class Runs:
    """Stands for the sweep's run in the tracker: notes which children were closed."""

    def __init__(self):
        self.ended = []

    def end_run(self, record, status, reason):
        assert record.name == RECORD
        self.ended.append((record.parent.name, status, reason))


class Script(Slot):
    """A slot that runs a script in place of the command."""

    def __init__(self, number, script, log):
        super().__init__(number, [script], {}, log)
        self.starts = 0

    def _popen(self, file):
        self.starts += 1
        return subprocess.Popen([sys.executable, "-c", *self.words], stdout=file, stderr=file)


@pytest.fixture
def queue():
    storage = optuna.storages.InMemoryStorage()
    create(storage, "study", ["maximize"])
    made = Queue(storage, "study")
    made.fill(3)
    return made


def claimed(queue, **facts):
    trial = queue.claim(3)
    queue.note(trial.number, **facts)
    return trial.number


def states(queue):
    return [trial.state.name for trial in queue.every()]


def look_until_over(slots, *, stopping=False):
    until = time.monotonic() + 60
    while slots.is_working(stopping=stopping):
        assert time.monotonic() < until
        time.sleep(0.02)


def slots_of(queue, *scripts, folder, wanted=lambda: True):
    runs, said = Runs(), []
    made = [Script(number, script, folder / f"{number}.log") for number, script in enumerate(scripts)]
    return Slots(made, queue, folder=folder, wanted=wanted, tracker=runs, warn=said.append), runs, said


def test_a_slot_that_never_runs_anything_is_given_up(queue, tmp_path):
    slots, _, said = slots_of(queue, "print('no luck'); raise SystemExit(1)", folder=tmp_path)
    slots.start()
    with pytest.raises(VisrunError, match=r"^slot 0 cannot work: no luck \(see .*0\.log\)$"):
        look_until_over(slots)
    assert slots.slots[0].starts == crew.FRUITLESS_STARTS
    assert said == []


def test_wrong_input_is_not_tried_again(queue, tmp_path):
    slots, _, _ = slots_of(queue, "print('visrun: error: lr is no setting'); raise SystemExit(2)", folder=tmp_path)
    slots.start()
    with pytest.raises(VisrunError, match="slot 0 cannot work: lr is no setting"):
        look_until_over(slots)
    assert slots.slots[0].starts == 1


def test_the_other_slots_go_on(queue, tmp_path):
    slots, _, said = slots_of(queue, "raise SystemExit(2)", "import time; time.sleep(1)", folder=tmp_path)
    slots.start()
    look_until_over(slots)
    assert [line.partition(" (")[0] for line in said] == ["slot 0 cannot work: it printed nothing"]


def test_a_slot_whose_work_is_done_is_not_replaced(queue, tmp_path):
    slots, _, _ = slots_of(queue, "pass", "raise SystemExit(1)", folder=tmp_path, wanted=lambda: False)
    slots.start()
    look_until_over(slots)
    assert [slot.starts for slot in slots.slots] == [1, 1]


def test_a_slot_that_ends_amid_a_trial_is_replaced_whatever_its_exit_code(queue, tmp_path):
    slots, _, _ = slots_of(queue, "import time; time.sleep(1)", folder=tmp_path)
    slots.start()
    (pid,) = slots.pids
    claimed(queue, pid=pid, host=socket.gethostname())
    look_until_over(slots)
    assert queue.every()[0].user_attrs["reason"] == "its process ended with exit code 0"
    assert slots.slots[0].starts == 2


@pytest.mark.parametrize(
    ("stopping", "state", "run"),
    [
        (False, "FAIL", ("7", "failed", "its process was killed by SIGTERM")),
        (True, "FAIL", ("7", "killed", "its process was killed by SIGTERM")),
    ],
)
def test_what_a_dead_slot_ran_is_settled(queue, tmp_path, stopping, state, run):
    slots, runs, _ = slots_of(queue, "import time; time.sleep(600)", folder=tmp_path, wanted=lambda: False)
    slots.start()
    (pid,) = slots.pids
    claimed(queue, pid=pid, host=socket.gethostname(), folder=str(tmp_path / "7"))
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "experiment.json").write_text('{"result": {"status": "running"}}')
    other = claimed(queue, pid=pid, host="elsewhere")
    slots.end(signal.SIGTERM)
    look_until_over(slots, stopping=stopping)
    trials = queue.every()
    assert trials[0].state.name == state
    assert trials[other].state is TrialState.RUNNING
    assert trials[0].user_attrs.get("reason") == (None if stopping else "its process was killed by SIGTERM")
    assert len(queue.trials()) == 3
    assert runs.ended == [run]
    assert json.loads((tmp_path / "7" / "experiment.json").read_text())["result"]["status"] == run[1]


@pytest.mark.parametrize(("sole", "elsewhere"), [(False, "RUNNING"), (True, "FAIL")])
def test_only_what_nobody_runs_is_taken_back(queue, tmp_path, sole, elsewhere):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = socket.gethostname()
    lost = claimed(queue, pid=gone.pid, host=here, folder=str(tmp_path / "7"))
    claimed(queue, **this_process())
    claimed(queue, pid=gone.pid, host="elsewhere", led=True)  # as this machine may have been called then
    runs = Runs()
    Orphans(runs, tmp_path).take_back(queue, sole=sole)
    assert states(queue)[:3] == ["FAIL", "RUNNING", elsewhere]
    assert states(queue)[3:] == ["WAITING"] * (2 if sole else 1)
    assert len(queue.trials()) == 3
    assert lost == 0
    assert runs.ended == [("7", "killed", "the sweep was killed")]


def test_a_run_that_a_killed_sitting_left_open_is_closed_by_the_next(queue, tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    queue.fill(5)
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "experiment.json").write_text('{"result": {"status": "running"}}')
        write_record(tmp_path / str(number) / RECORD, "sqlite:////m.db", f"run{number}", is_open=number != 2)
    (tmp_path / "3" / "run.lock").write_text(json.dumps(this_process()))  # somebody goes on with it by hand
    for number in range(4):
        queue.note(queue.claim(5).number, pid=gone.pid, host=socket.gethostname(), folder=str(tmp_path / str(number)))
    queue.note(queue.claim(5).number, **this_process(), folder=str(tmp_path / "4"))  # it sends its last things
    queue.give_back(0)
    for number in range(1, 5):
        queue.fail(number, "its process died", died=True)
    runs = Runs()
    Orphans(runs, tmp_path).take_back(queue, sole=True)
    assert runs.ended == [("0", "killed", "the sweep was killed"), ("1", "failed", "its process died")]
    told = [json.loads((tmp_path / str(number) / "experiment.json").read_text())["result"] for number in range(4)]
    assert [one["status"] for one in told] == ["killed", "failed", "running", "running"]
    assert len(queue.trials()) == 5


def test_in_a_moved_sweep_the_runs_that_moved_with_it_are_closed(queue, tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    files = [tmp_path / sweep / "0" / "experiment.json" for sweep in ("old", "moved")]  # the old place has another one
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_text('{"result": {"status": "running"}}')
    claimed(queue, pid=gone.pid, host=socket.gethostname(), folder=str(files[0].parent))
    runs = Runs()
    Orphans(runs, tmp_path / "moved").take_back(queue, sole=True)
    assert [json.loads(file.read_text())["result"]["status"] for file in files] == ["running", "killed"]
    assert runs.ended == [("0", "killed", "the sweep was killed")]


def test_a_dead_worker_that_had_joined_costs_its_trial(queue, tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = socket.gethostname()
    claimed(queue, pid=gone.pid, host=here, folder=str(tmp_path / "7"))
    claimed(queue, pid=gone.pid, host=here)
    runs = Runs()
    orphans = Orphans(runs, tmp_path)
    orphans.look(queue, watched={gone.pid})
    assert states(queue) == ["RUNNING", "RUNNING", "WAITING"]
    orphans.look(queue, watched=set())
    assert states(queue) == ["FAIL", "FAIL", "WAITING"]
    assert [trial.user_attrs["reason"] for trial in queue.every()[:2]] == ["its process died"] * 2
    assert runs.ended == [("7", "failed", "its process died")]


@pytest.mark.parametrize("facts", [(), ("pid", "started"), ("host", "started")])
def test_a_trial_that_nobody_signs_to_the_end_comes_back(queue, tmp_path, monkeypatch, facts):
    claimed(queue, **{name: this_process()[name] for name in facts})
    orphans = Orphans(Runs(), tmp_path)
    orphans.look(queue, watched=set())
    assert states(queue) == ["RUNNING", "WAITING", "WAITING"]
    monkeypatch.setattr(crew, "UNSIGNED", 0.01)
    time.sleep(0.02)
    orphans.look(queue, watched=set())
    assert states(queue) == ["FAIL", "WAITING", "WAITING", "WAITING"]
    assert len(queue.trials()) == 3


def test_a_later_process_of_the_same_number_runs_nothing(queue, tmp_path):
    trial = queue.claim(3)
    sign(queue, trial, None)
    facts = queue.every()[trial.number].user_attrs
    assert signer(queue.every()[trial.number]) == os.getpid()
    assert living(facts) == os.getpid()
    earlier = {"started": facts["started"] - 5.0, "born": "as that of a container that was begun anew at once"}
    assert living({**facts, **earlier}) is None
    queue.note(trial.number, **earlier)
    Orphans(Runs(), tmp_path).take_back(queue, sole=False)
    assert states(queue) == ["FAIL", "WAITING", "WAITING", "WAITING"]


@pytest.mark.skipif("born" not in this_process(), reason="this system does not say when a process began")
def test_a_clock_that_is_set_costs_no_trial_of_a_living_worker(queue, tmp_path, monkeypatch):
    sign(queue, queue.claim(3), None)
    before = psutil._pslinux.boot_time
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: before() + 3600.0)
    orphans = Orphans(Runs(), tmp_path)
    orphans.look(queue, watched=set())
    orphans.take_back(queue, sole=True)
    assert states(queue) == ["RUNNING", "WAITING", "WAITING"]


def test_threads_work_until_told_or_until_they_raise():
    def work(done):
        assert done.wait(60)

    threads = Threads(work)
    threads.start()
    assert threads.is_working(stopping=False)
    threads.tell(signal.SIGINT)
    threads.end(signal.SIGINT)
    assert not threads.is_working(stopping=False)

    def broken(done):
        raise KeyboardInterrupt

    threads = Threads(broken)
    with pytest.raises(KeyboardInterrupt):
        while threads.is_working(stopping=False):
            time.sleep(0.01)
    assert not threads.is_working(stopping=True)


def test_threads_that_never_began_end_at_once():
    threads = Threads(lambda done: None)
    threads.start()
    threads.end(signal.SIGTERM)
    assert not threads.thread.is_alive()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "its process ended with exit code 1"),
        (-15, "its process was killed by SIGTERM"),
        (-9, "its process was killed by SIGKILL (out of memory?)"),
        (-40, "its process was killed by signal 40"),
    ],
)
def test_exit_codes_in_words(code, text):
    assert died(code) == text


def test_slots_share_gpus_and_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("visrun.sweep.slots.cores", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-ab")
    assert environments(3) == [
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "2"},
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "GPU-ab"},
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "2"},
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert environments(1) == [{"OMP_NUM_THREADS": "8"}]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert environments(20) == [{}] * 20
