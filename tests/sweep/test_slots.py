"""Slots: processes with their share of the machine, which die with their leader."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from visrun.sweep import slots
from visrun.sweep.slots import LEADER, Slot, die_with_leader, environments, numbered

CHILD = """
import os, signal, time
from visrun.sweep.slots import LEADER, die_with_leader
die_with_leader()
assert LEADER not in os.environ
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys, time
from visrun.sweep.slots import LEADER
environment = {**os.environ, LEADER: str(os.getpid())}
subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environment, start_new_session=True)
time.sleep(60)
"""


def gone(pid: int, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_slot_dies_with_its_leader(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True) as leader:
        assert leader.stdout is not None
        child = int(leader.stdout.readline())
        assert psutil.pid_exists(child)
        leader.send_signal(number)
        leader.wait()
        assert gone(child)


def test_a_slot_whose_leader_is_dead_already_ends() -> None:
    environment = {**os.environ, LEADER: "999999999"}
    with subprocess.Popen([sys.executable, "-c", CHILD], env=environment, stdout=subprocess.PIPE) as child:
        assert child.wait(20) == 1


def test_in_a_process_without_a_leader_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LEADER, raising=False)
    monkeypatch.setattr(slots.threading, "Thread", lambda **_: pytest.fail("started a thread"))
    die_with_leader()


def test_a_slots_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\necho "$@" "$CUDA_VISIBLE_DEVICES" "$VISRUN_SLOT" "$VISRUN_LEADER"\necho "no memory" >&2\n'
        'case "$*" in *wait*) exec sleep 60;; esac\nexit 3\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    slot = Slot(2, ["-m", "seed=1,2"], {"CUDA_VISIBLE_DEVICES": "1"}, tmp_path / "logs" / "slot-2.log")
    slot.start()
    assert slot.process is not None and slot.process.wait() == 3
    assert slot.ended() == 3 and slot.last_words() == "no memory"
    assert slot.log.read_text().splitlines()[0] == f"-P -m visrun -m seed=1,2 1 2 {os.getpid()}"
    slot.tell(signal.SIGTERM)  # nobody hears it

    former = slot.pid
    slot.words = ("wait",)
    slot.start()
    assert slot.pid != former and slot.ended() is None
    assert os.getsid(slot.pid) == slot.pid  # Ctrl-C of the terminal does not reach it
    until = time.monotonic() + 20
    while slot.log.read_text().count("no memory") < 2 and time.monotonic() < until:  # one log for both
        time.sleep(0.02)
    slot.tell(signal.SIGTERM)
    assert slot.process.wait(10) == -signal.SIGTERM == slot.ended()
    assert slot.log.read_text().count("no memory") == 2


def test_last_words_of_one_who_said_nothing(tmp_path: Path) -> None:
    slot = Slot(0, [], {}, tmp_path / "log")
    slot.log.write_bytes(b"")
    assert slot.last_words() == "it printed nothing"
    slot.log.write_bytes(b"one\n\xff two \n\n")
    assert slot.last_words() == "\ufffd two"


@pytest.mark.parametrize(
    ("devices", "n_jobs", "expected"),
    [
        (["0", "1"], 3, ["0", "1", "0"]),
        (["MIG-a", "MIG-b"], 1, ["MIG-a"]),
        (["7"], 2, ["7", "7"]),
        ([], 2, [None, None]),
    ],
)
def test_gpus_go_round(
    devices: list[str], n_jobs: int, expected: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "gpus", lambda: devices)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(slots, "cores", lambda: 5)
    found = environments(n_jobs)
    assert [one.get("CUDA_VISIBLE_DEVICES") for one in found] == expected
    assert {one["OMP_NUM_THREADS"] for one in found} == {str(5 // n_jobs)}


@pytest.mark.parametrize(
    ("device", "given", "expected"),
    [
        ("cuda:1", "GPU-b", ["GPU-b", "GPU-b"]),
        ("cuda:0", "GPU-a", ["GPU-a", "GPU-a"]),
        ("cuda", None, ["GPU-a", "GPU-b"]),
        ("auto", None, ["GPU-a", "GPU-b"]),
        ("cpu", None, ["GPU-a", "GPU-b"]),
        ("cuda:2", None, ["GPU-a", "GPU-b"]),  # there is no such one, and the check of the device says so
    ],
)
def test_a_gpu_named_by_its_number_is_that_of_every_slot(
    device: str, given: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "gpus", lambda: ["GPU-a", "GPU-b"])
    assert numbered(device) == given
    assert [one["CUDA_VISIBLE_DEVICES"] for one in environments(2, device)] == expected
    monkeypatch.setattr(slots, "gpus", list)
    assert numbered(device) is None and not any("CUDA_VISIBLE_DEVICES" in one for one in environments(2, device))


def test_threads_are_at_least_one_and_the_users_own_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "gpus", list)
    monkeypatch.setattr(slots, "cores", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert environments(8) == [{"OMP_NUM_THREADS": "1"}] * 8
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert environments(2) == [{}, {}]
