"""Sweeps over many processes as on many hosts: a real PostgreSQL, Submitit's local executor, a local Ray.

The commands are real ones; what they train is a stand-in that only says that it ran, but for one test.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from visrun.config.sweeper import VisrunSweeperConf
from visrun.sweep import plugin
from visrun.sweep.database import PASSWORD
from visrun.sweep.leadership import CLAIM
from visrun.sweep.plugin import VisrunSweeper, last_words, start_ray
from visrun.sweep.storage import StorageAway, open_storage
from visrun.sweep.study import Queue, counting, create, is_lost
from visrun.sweep.ties import graded
from visrun.sweep.worker import beating

SERVER = os.environ.get("VISRUN_TEST_POSTGRESQL")
SECRET = os.environ.get("VISRUN_TEST_PASSWORD", "")
needs_postgresql = pytest.mark.skipif(
    SERVER is None, reason="VISRUN_TEST_POSTGRESQL names no server; .ci/run starts one where it can"
)

# A plugin that stands in for training, in whatever process imports it. Signs of life come every second here.
FAKE = """
import os, sys, time, types
from pathlib import Path
import visrun
from visrun.sweep import pictures, storage, worker

HERE = Path(__file__).parent
storage.HEARTBEAT = worker.HEARTBEAT = 1
storage.GRACE = 6
pictures.draw = lambda *_, **__: []

def wait_for(found):
    until = time.monotonic() + 60
    while not found():
        assert time.monotonic() < until, "nobody came"
        time.sleep(0.01)

def execute(resolved, folder, *, trial=None):
    assert "torch" not in sys.modules, "imported before the job's words were read"
    number = trial.handle.number
    trial.begin(folder)
    with (HERE / "ran.txt").open("a") as file:
        print(number, os.getpid(), resolved.hyperparameters.learning_rate, file=file)
    (HERE / f"began-{number}").touch()
    if os.environ.get("FAKE_HANGS"):
        time.sleep(120)
    if (HERE / "together").exists() and number == 0:
        wait_for(lambda: (HERE / "began-1").exists() and (HERE / "began-2").exists())
    if (HERE / "kill").exists() and number == 1:
        os.kill(os.getpid(), 9)
    for epoch in (1, 2):
        time.sleep(0.1)
        trial.report(epoch, epoch / 10, 0.5)
    trial.end(epochs=2, seconds=0.2)
    return types.SimpleNamespace(status="finished", value=0.5, best_epoch=2, seconds=0.2, parameters=1, exit_code=0)

module = sys.modules.get("visrun.run") or types.ModuleType("visrun.run")
module.execute = execute
visrun.run = sys.modules["visrun.run"] = module

if os.environ.get("FAKE_TOGETHER"):
    (HERE / f"ready-{os.getpid()}").touch()
    wait_for(lambda: len(list(HERE.glob("ready-*"))) >= int(os.environ["FAKE_TOGETHER"]))
"""
NAME = "hydra.sweeper.study_name=search"
SEARCH = ["-m", "plugins=[fake]", "tracking=none", "learning_rate=interval(1e-4,1e-1)", NAME]
LAUNCHERS = {
    "submitit_local": ("submitit", []),
    "ray": ("ray", ["+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false"]),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with the stand-in."""
    (tmp_path / "fake.py").write_text(FAKE)
    return tmp_path


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database of the test's own, which nobody has opened yet; its password is in the environment."""
    import psycopg

    monkeypatch.setenv(PASSWORD, SECRET)
    name = f"test_{uuid4().hex}"
    url = f"{(SERVER or '').rpartition('/')[0]}/{name}"
    with psycopg.connect(SERVER, password=SECRET, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield url
        open_storage(url).engine.dispose()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def start(*words: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "visrun", *words],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*children: subprocess.Popen[str]) -> list[str]:
    """What the processes printed, once all have ended."""
    try:
        return [child.communicate(timeout=240)[0] for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()
            child.stdout.close()  # type: ignore[union-attr]


def worker(url: str, n_trials: int, *, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    joining = ["hydra.sweeper.worker=true", f"hydra.sweeper.storage={url}", f"hydra.sweeper.n_trials={n_trials}"]
    return start(*SEARCH, *joining, cwd=cwd, **environment)


def trials(storage: str) -> list[FrozenTrial]:
    return Queue(open_storage(storage), "search").every()


def ran(folder: Path) -> dict[int, tuple[int, float]]:
    """Number -> process and learning rate of the trials that began; each began once."""
    lines = [line.split() for line in (folder / "ran.txt").read_text().splitlines()]
    numbers = Counter(int(number) for number, *_ in lines)
    assert set(numbers.values()) == {1}
    return {int(number): (int(pid), float(rate)) for number, pid, rate in lines}


def until(found: Any) -> None:
    limit = time.monotonic() + 120
    while not found():
        assert time.monotonic() < limit, "never happened"
        time.sleep(0.05)


@needs_postgresql
@pytest.mark.slow
def test_of_three_workers_one_is_killed_and_its_trial_is_run_by_another(folder: Path, database: str) -> None:
    victim = worker(database, 8, cwd=folder, FAKE_HANGS="1")
    until((folder / "ran.txt").exists)
    others = [worker(database, 8, cwd=folder) for _ in range(2)]
    until(lambda: len((folder / "ran.txt").read_text().splitlines()) > 2)
    victim.send_signal(signal.SIGKILL)
    texts = finish(victim, *others)
    assert [child.returncode for child in others] == [0, 0], texts

    found = trials(database)
    counted = counting(found)  # both of the others may have made a ticket for the lost trial at the same moment
    (lost,) = [trial for trial in found if is_lost(trial)]
    (again,) = [trial for trial in counted if trial.user_attrs.get("again") == lost.number]
    assert lost.number == 0
    assert again.params == lost.params
    assert [trial.state for trial in counted] == [TrialState.COMPLETE] * 8
    began = ran(folder)
    assert began[lost.number][0] == victim.pid
    assert {trial.number: trial.params["learning_rate"] for trial in [lost, *counted]} == {
        number: pytest.approx(rate) for number, (_, rate) in began.items()
    }


@needs_postgresql
@pytest.mark.slow
def test_workers_that_make_the_study_at_the_same_moment_run_its_trials_once(folder: Path, database: str) -> None:
    children = [worker(database, 6, cwd=folder, FAKE_TOGETHER="3") for _ in range(3)]
    texts = finish(*children)
    assert [child.returncode for child in children] == [0, 0, 0], texts
    assert [trial.state for trial in trials(database)] == [TrialState.COMPLETE] * 6
    assert ran(folder).keys() == set(range(6))


@needs_postgresql
@pytest.mark.slow
def test_the_password_is_written_nowhere(tmp_path: Path, database: str) -> None:
    quick = ["max_epochs=1", "data.image_size=16", "data.train_fraction=0.1", "learning_rate=0.01,0.02"]
    child = start("-m", *quick, NAME, f"hydra.sweeper.storage={database}", cwd=tmp_path)
    (text,) = finish(child)
    assert child.returncode == 0, text
    assert [trial.state for trial in trials(database)] == [TrialState.COMPLETE] * 2

    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    contents = {str(file.relative_to(tmp_path)): file.read_bytes() for file in files}
    assert {"mlflow.db", "multirun/search/0/experiment.json", "multirun/search/slots/slot-0.log"} <= contents.keys()
    assert [name for name, content in contents.items() if SECRET.encode() in content] == []
    assert SECRET not in text
    for known in ("multirun/search/0/.hydra/hydra.yaml", "mlflow.db"):  # where it would stand, if it stood in the URL
        assert database.encode() in contents[known]


@pytest.mark.slow
def test_a_study_in_a_database_has_one_leader_until_that_dies(folder: Path) -> None:
    url = f"sqlite:///{folder / 'studies.db'}"
    places = [folder / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
        (place / "fake.py").write_text(FAKE)
    words = [*SEARCH, f"hydra.sweeper.storage={url}", "hydra.sweeper.n_trials=2"]
    one = start(*words, cwd=places[0], FAKE_HANGS="1")
    until((places[0] / "ran.txt").exists)
    two = start(*words, cwd=places[1])
    (text,) = finish(two)
    assert two.returncode == 2, text
    assert f"process {one.pid} on " in text and f"in {places[0] / 'multirun/search'} leads this study; " in text
    assert not (places[1] / "multirun").exists()

    one.kill()
    finish(one)
    three = start(*words, cwd=places[1])
    (text,) = finish(three)
    assert three.returncode == 0, text
    assert [trial.state for trial in counting(trials(url))] == [TrialState.COMPLETE] * 2


def claim(queue: Queue, leader: dict[str, Any]) -> None:
    queue.study.set_user_attr(CLAIM, {**leader, "heard": time.time()})


@pytest.mark.slow
def test_a_leader_ends_where_another_one_has_taken_its_study_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visrun.sweep.worker.HEARTBEAT", 0.2)  # the other one's, which notes itself again and again
    url = f"sqlite:///{folder / 'studies.db'}"
    child = start(*SEARCH, f"hydra.sweeper.storage={url}", cwd=folder, FAKE_HANGS="1")
    until((folder / "ran.txt").exists)
    elsewhere = {"pid": 7, "started": 0.0, "host": "elsewhere", "folder": "/there"}
    with beating(partial(claim, Queue(open_storage(url), "search"), elsewhere)):
        (text,) = finish(child)
    assert child.returncode == 1, text
    assert "study_name=search: process 7 on elsewhere in /there has taken this study over" in text


@needs_postgresql
def test_connections_that_are_cut_in_the_middle_of_a_statement_cost_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import psycopg

    monkeypatch.setattr("visrun.sweep.database.RETRY", 0.05)
    monkeypatch.setattr("visrun.sweep.database.asked", lambda: None)
    create(open_storage(database), "search", ["maximize"])
    queue, ended = Queue(open_storage(database), "search"), threading.Event()
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND state <> 'idle'"

    def disturb() -> None:
        with psycopg.connect(SERVER, password=SECRET, autocommit=True) as connection:
            while not ended.wait(0.02):
                connection.execute(cut, [database.rpartition("/")[2]])

    thread = threading.Thread(target=disturb, daemon=True)
    thread.start()
    for number in range(60):
        queue.study.set_user_attr("count", number)
        assert queue.study.user_attrs["count"] == number
        assert queue.every() == []
    ended.set()
    thread.join()
    assert "the database does not answer (" in capsys.readouterr().out


def test_a_study_that_is_away_is_told_with_the_command_to_go_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise StorageAway("disk full")

    place = Path("multirun", "mine").absolute()
    made = SimpleNamespace(worker=False, command=("-m", "seed=1,2"), name="mine", folder=place)
    monkeypatch.setattr(plugin, "make_plan", lambda *_, **__: made)
    monkeypatch.setattr(VisrunSweeper, "_lead", away)
    monkeypatch.setattr(VisrunSweeper, "command", SimpleNamespace(words=(), first=None, resolve=None, options=None))
    sweeper = VisrunSweeper()
    sweeper.config = OmegaConf.create({"hydra": {"sweep": {"dir": "x"}, "launcher": {"_target_": "x"}}})
    sweeper.launcher = SimpleNamespace()  # type: ignore[assignment]
    with pytest.raises(
        StorageAway, match=r"^disk full; go on with: visrun -m seed=1,2 hydra\.sweeper\.study_name=mine$"
    ):
        sweeper.sweep([])


def test_a_password_in_the_url_is_refused(folder: Path) -> None:
    child = start(*SEARCH, "hydra.sweeper.storage=postgresql://me:geheim@127.0.0.1:9/optuna", cwd=folder)
    (text,) = finish(child)
    assert child.returncode == 2
    assert text.startswith("visrun: error: hydra.sweeper.storage: a password in the URL would be written to files")
    assert "geheim" not in text
    assert [file.name for file in folder.iterdir() if file.name != "__pycache__"] == ["fake.py"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_runs_jobs_side_by_side_and_one_that_dies_costs_its_trial(launcher: str, folder: Path) -> None:
    package, words = LAUNCHERS[launcher]
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    (folder / "together").touch()
    (folder / "kill").touch()
    sweep = [f"hydra/launcher={launcher}", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=3"]
    child = start(*SEARCH, *sweep, *words, cwd=folder)
    (text,) = finish(child)
    assert child.returncode == 1, text
    assert "3 trials: 2 complete, 0 pruned, 1 failed" in text

    found = trials(str(folder / "multirun/search/study.journal"))
    assert [trial.number for trial in found if trial.state is TrialState.COMPLETE] == [0, 2]
    assert found[1].state is TrialState.FAIL
    assert found[1].user_attrs["reason"].startswith("its job died: ")
    assert len(found[1].user_attrs["reason"]) < 300
    began = ran(folder)
    assert began.keys() == {0, 1, 2}
    assert child.pid not in {pid for pid, _ in began.values()}
    assert [trial.params["learning_rate"] for trial in found] == pytest.approx([began[k][1] for k in range(3)])
    reports = {epoch: graded(epoch / 10, 0.5, maximize=True) for epoch in (1, 2)}
    assert [dict(trial.intermediate_values) for trial in found if trial.number != 1] == [reports] * 2


@pytest.mark.slow
@pytest.mark.skipif(find_spec("submitit") is None, reason="submitit is not installed")
def test_what_ends_every_thread_of_a_launcher_is_said(folder: Path) -> None:
    wrong = ["hydra/sweeper/sampler=random", "+hydra.sweeper.sampler.nonsense=1"]
    child = start(*SEARCH, "hydra/launcher=submitit_local", "hydra.sweeper.n_jobs=2", *wrong, cwd=folder)
    (text,) = finish(child)
    assert child.returncode == 2, text
    (line,) = [line for line in text.splitlines() if line.startswith("visrun: error: ")]
    assert "nonsense" in line
    assert not (folder / "ran.txt").exists()


def test_what_a_sweeper_file_of_ones_own_leaves_out_is_as_in_the_schema() -> None:
    assert VisrunSweeper(n_jobs=3).settings == vars(VisrunSweeperConf(n_jobs=3))


def first_point(slot: int, begun: Sequence[int] = (), **settings: Any) -> float:
    """What the sampler of a slot proposes first, where these slots began a trial each before."""
    trials = [create_trial(state=TrialState.RUNNING, user_attrs={"slot": number}) for number in begun]
    node = {"_target_": "optuna.samplers.RandomSampler", "seed": 5}
    sampler = VisrunSweeper(sampler=node, **settings)._sampler(trials, slot)
    study = optuna.create_study(sampler=sampler)
    return study.ask({"x": FloatDistribution(0, 1)}).params["x"]


def test_a_seeded_sampler_proposes_other_points_in_every_slot_and_on_every_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = first_point(0, worker=False)
    assert alone == first_point(0, worker=False)
    elsewhere = []
    for name in ("node-1", "node-2"):
        monkeypatch.setattr(plugin.socket, "gethostname", lambda name=name: name)
        elsewhere.append(first_point(0, worker=True))
    assert len({alone, first_point(1, worker=False), *elsewhere}) == 4


def test_a_seeded_sampler_goes_on_with_other_points_where_its_slot_has_begun_trials() -> None:
    fresh = [first_point(slot, worker=False) for slot in (0, 1)]
    assert fresh == [first_point(0, [1, 1], worker=False), first_point(1, [0], worker=False)]
    later = [first_point(slot, [0] * count + [1] * count, worker=False) for slot in (0, 1) for count in (1, 2)]
    assert len({*fresh, *later}) == 6


def test_ray_is_started_once_with_what_the_user_set(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=lambda **given: started.append(given)))
    launcher = SimpleNamespace(
        ray_cfg=OmegaConf.create({"init": {"address": "auto", "log_to_driver": True}, "remote": {"num_gpus": 1}})
    )
    start_ray(launcher)
    assert started == [{"address": "auto", "log_to_driver": True, "logging_level": "WARNING"}]
    assert launcher.ray_cfg.init == started[0]
    assert launcher.ray_cfg.remote == {"num_gpus": 1, "max_retries": 0}


LINE = "-" * 22
REPORT = f"Job 1 (task: 0) with path x\nhas no output (state: FINISHED)\nlook\n{LINE}\nlog"
TRACE = f"Job failed during processing with trace:\n{LINE}\nTraceback (most\n  File\nKeyError: 1\n\n{LINE}\nSee log"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "RuntimeError"),
        ("one line", "one line"),
        (REPORT, "Job 1 (task: 0) with path x has no output (state: FINISHED)"),
        (TRACE, "KeyError: 1"),
    ],
)
def test_what_a_dead_job_left_is_one_line(text: str, said: str) -> None:
    assert last_words(RuntimeError(text)) == said
