"""Sweeps from the command to what they leave: once each, in order, whatever dies or is stopped on the way."""

from __future__ import annotations

import csv
import json
import shlex
import signal
import time

import pytest
import yaml

from tests.sweep.conftest import ended, is_alive, kill, wait_until
from visrun.signals import AGAIN

pytestmark = pytest.mark.slow

FOUR = ("seed=1,2,3,4", "hydra.sweeper.study_name=mine")
SEARCH = ("learning_rate=tag(log, interval(1e-5, 1e-1))", "hydra.sweeper.n_trials=4", "hydra.sweeper.study_name=mine")
LEAVING = """
import gc, weakref

gc.disable()  # nothing is freed by chance
models = []

class Model:
    def __init__(self):
        self.parts = [self]

def body(number, values, trial):
    note("left", number, models=sum(model() is not None for model in models), frozen=gc.get_freeze_count())
    model = Model()
    models.append(weakref.ref(model))
    if number in (0, 2):
        raise VisrunError("it broke")
    return 0.1
"""
STUCK = """
def body(number, values, trial):
    if number == 1:
        time.sleep(600)
    return values.learning_rate
"""
LATE = """
import visrun.tracking as tracking

class Late(tracking.NoTracker):
    @property
    def run_id(self):
        return "run-1" if seen("begin", 0) else None

tracking.NoTracker = Late

def body(number, values, trial):
    note("below", number, parent=trial.handle.parent)
    until = time.monotonic() + PATIENCE
    while trial.queue.study.user_attrs["visrun"]["parent"] is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    return values.learning_rate
"""


def last_line(output):
    return output.strip().splitlines()[-1]


def parameters(sweeper):
    return {event["number"]: event["values"]["learning_rate"] for event in sweeper.events()}


def test_a_grid_runs_each_combination_once_and_nothing_the_second_time(sweeper):
    words = ("optimizer=adam,sgd", "scheduler=cosine,poly", "hydra.sweeper.study_name=mine")
    output = sweeper.sweep(*words)
    ran = [(event["values"]["optimizer"], event["values"]["scheduler"]) for event in sweeper.events()]
    assert ran == [("adam", "cosine"), ("adam", "poly"), ("sgd", "cosine"), ("sgd", "poly")]
    folder = sweeper.folder / "multirun" / "mine"
    assert [event["folder"] for event in sweeper.events()] == [str(folder / str(number)) for number in range(4)]
    assert len({event["pid"] for event in sweeper.events()}) == 1
    assert last_line(output) == "4 trials: 4 complete, 0 pruned, 0 failed"
    best = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    assert best["best_value"] == 0.01
    assert json.loads((folder / "best" / "experiment.json").read_text())["optimizer"] == "sgd"
    with (folder / "trials.csv").open(encoding="utf-8-sig") as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["complete"] * 4
    again = sweeper.sweep(*words)
    assert last_line(again) == "4 trials: 4 complete, 0 pruned, 0 failed"
    assert sweeper.numbers() == [0, 1, 2, 3]


def test_a_slot_is_refilled_while_the_other_one_works(sweeper):
    sweeper.body("""
def body(number, values, trial):
    if number in (0, 1):
        wait_for("begin", 1 - number)
    if number == 0:
        for other in range(1, 7):
            wait_for("end", other)
    return values.learning_rate
""")
    sweeper.sweep("seed=1,2,3,4,5,6,7", "hydra.sweeper.n_jobs=2", "hydra.sweeper.study_name=mine")
    assert sorted(sweeper.numbers()) == list(range(7))
    assert sweeper.numbers("end") == [1, 2, 3, 4, 5, 6, 0]
    by_slot = {trial.number: trial.user_attrs["slot"] for trial in sweeper.trials("mine")}
    assert sorted(set(by_slot.values())) == [0, 1]
    assert len({by_slot[number] for number in range(1, 7)}) == 1


def test_trials_are_below_the_sweeps_run_as_soon_as_its_store_has_answered(sweeper):
    sweeper.body(LATE)
    sweeper.sweep(*FOUR)
    assert [event["parent"] for event in sweeper.events("below")] == [None, "run-1", "run-1", "run-1"]


def test_slots_take_the_gpus_in_turn(sweeper):
    sweeper.body("""
def body(number, values, trial):
    if number < 3:
        for other in range(3):
            wait_for("begin", other)
    return values.learning_rate
""")
    words = ("seed=1,2,3", "hydra.sweeper.n_jobs=3", "hydra.sweeper.study_name=mine")
    sweeper.sweep(*words, CUDA_VISIBLE_DEVICES="4,7")
    assert sorted(event["gpu"] for event in sweeper.events()) == ["4", "4", "7"]


FAILURES = [
    ("os.kill(os.getpid(), signal.SIGKILL)", "its process was killed by SIGKILL (out of memory?)"),
    ("os._exit(3)", "its process ended with exit code 3"),
    ("raise ZeroDivisionError('a fault\\nand lines')", "ZeroDivisionError: a fault and lines (fakerun.py, line "),
    ("raise VisrunError('the loss is nan in epoch 1')", "the loss is nan in epoch 1"),
    ("return float('nan')", "the value is nan"),
    ("return None", "no value of accuracy: it was undefined after every epoch"),
    ("return float('-inf')", "the value is -inf"),
]


def test_a_trial_that_fails_costs_itself_alone(sweeper):
    cases = "\n".join(
        f"    if number == {number}:\n        {code}" for number, (code, _) in enumerate(FAILURES, start=1)
    )
    sweeper.body(f"def body(number, values, trial):\n{cases}\n    return values.learning_rate")
    seeds = ",".join(str(seed) for seed in range(len(FAILURES) + 2))
    output = sweeper.sweep(f"seed={seeds}", "hydra.sweeper.study_name=mine", "hydra.sweeper.max_failure_rate=1", code=1)
    assert sweeper.states("mine") == ["COMPLETE", *["FAIL"] * len(FAILURES), "COMPLETE"]
    reasons = [trial.user_attrs["reason"] for trial in sweeper.trials("mine")[1:-1]]
    assert all(told.startswith(reason) for told, (_, reason) in zip(reasons, FAILURES, strict=True)), reasons
    assert sweeper.numbers() == list(range(len(FAILURES) + 2))
    assert last_line(output).startswith("7 of 9 trials failed: ")
    assert "Traceback" not in output


def test_a_trial_leaves_nothing_to_the_next_one_however_it_ended(sweeper):
    sweeper.body(LEAVING)
    sweeper.sweep("seed=1,2,3,4,5", "hydra.sweeper.study_name=mine", code=1)
    assert sweeper.states("mine") == ["FAIL", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    left = sweeper.events("left")
    assert [event["models"] for event in left] == [0] * 5
    frozen = [event["frozen"] for event in left]
    assert frozen[:2] == [0, 0] and max(frozen) == frozen[2] > 0  # some of it still goes as its last name does


def test_a_killed_sweep_goes_on_where_it_was(sweeper):
    sweeper.body(STUCK)
    first = sweeper.start(*SEARCH)
    running = sweeper.wait("begin", 1)
    kill(first)
    wait_until(lambda: not is_alive(running["pid"]), "the slot's end", seconds=15)
    assert sweeper.states("mine") == ["COMPLETE", "RUNNING", "WAITING", "WAITING"]

    sweeper.body("")
    output = sweeper.sweep(*SEARCH)
    assert sweeper.numbers() == [0, 1, 4, 2, 3]  # 4 stands for 1
    tried = parameters(sweeper)
    assert tried[4] == tried[1]
    assert len(set(tried.values())) == 4
    assert [trial.number for trial in sweeper.trials("mine")] == [0, 2, 3, 4]
    assert last_line(output) == "4 trials: 4 complete, 0 pruned, 0 failed"


def test_a_seeded_search_goes_on_with_new_points(sweeper):
    words = ("learning_rate=interval(1e-5, 1e-1)", "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=1")
    for name, sittings in (("straight", [6]), ("mine", [4, 6])):
        for n_trials in sittings:
            sweeper.sweep(*words, f"hydra.sweeper.study_name={name}", f"hydra.sweeper.n_trials={n_trials}")
    straight, mine = (
        [trial.params["learning_rate"] for trial in sweeper.trials(name)] for name in ("straight", "mine")
    )
    assert mine[:4] == straight[:4]
    assert len({*mine, *straight}) == 8  # a sampler that began anew would come to those of the straight search


def test_an_unnamed_sweep_says_how_it_goes_on(sweeper):
    sweeper.body(STUCK)
    first = sweeper.start(*SEARCH[:2])
    sweeper.wait("begin", 1)
    printed = kill(first)
    (line,) = [line for line in printed.splitlines() if "hydra.sweeper.study_name=" in line]
    words = shlex.split(line[line.index("visrun -m") :])
    sweeper.body("")
    sweeper.sweep(*[word for word in words[2:] if not word.startswith(("plugins", "tracking"))])
    assert sweeper.numbers() == [0, 1, 4, 2, 3]
    assert len(list((sweeper.folder / "multirun").glob("*/*"))) == 1


def test_a_sweep_that_a_file_names_goes_on_under_that_name(sweeper):
    option = sweeper.folder / "conf" / "hydra" / "sweeper" / "mine.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("defaults: [visrun, _self_]\nstudy_name: own\nn_jobs: 2\n")
    for _ in range(2):
        output = sweeper.sweep(FOUR[0], "hydra/sweeper=mine")
        assert last_line(output) == "4 trials: 4 complete, 0 pruned, 0 failed"
    assert sorted(sweeper.numbers()) == [0, 1, 2, 3]
    assert [path.name for path in (sweeper.folder / "multirun").iterdir()] == ["own"]
    sweeper.sweep(FOUR[0], "hydra/sweeper=mine", "hydra.sweeper.worker=true")


STOPPABLE = """
def body(number, values, trial):
    if number != 1:
        return values.learning_rate
    with stop_on_signals() as stop:
        stop.deferred = True
        note("ready", 1)
        while stop.exit_code is None:
            time.sleep(0.02)
        note("saved", 1)
        return {"status": "killed", "exit_code": stop.exit_code}
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_sweep_lets_its_trial_save_and_goes_on_later(sweeper, number, code):
    sweeper.body(STOPPABLE)
    process = sweeper.start(*SEARCH)
    running = sweeper.wait("ready", 1)
    process.send_signal(number)
    output = ended(process, code)
    assert sweeper.numbers("saved") == [1]
    assert not is_alive(running["pid"])
    assert sweeper.states("mine") == ["COMPLETE", "WAITING", "WAITING", "WAITING"]
    assert "stopped; go on with: visrun -m" in output
    assert "failed:" not in output
    sweeper.body("")
    sweeper.sweep(*SEARCH)
    assert parameters(sweeper)[4] == parameters(sweeper)[1]
    assert sweeper.states("mine") == ["COMPLETE"] * 4


ENDING = STOPPABLE.replace('note("saved", 1)', "return values.learning_rate")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_while_a_trial_ends_by_itself_keeps_its_value_and_begins_no_other(sweeper, number, code):
    sweeper.body(ENDING)
    process = sweeper.start(*SEARCH)
    sweeper.wait("ready", 1)
    process.send_signal(number)
    ended(process, code)
    assert sweeper.numbers("end") == sweeper.numbers() == [0, 1]
    assert sweeper.states("mine") == ["COMPLETE", "COMPLETE", "WAITING", "WAITING"]


SWALLOWED = """
from visrun.signals import asked

class Last:
    def __del__(self):  # what a signal raises in here goes no further
        os.kill(os.getppid(), signal.SIGINT)
        until = time.monotonic() + PATIENCE
        while asked() is None and time.monotonic() < until:
            time.sleep(0.02)
        note("told", 1)

def body(number, values, trial):
    if number == 1:
        last = Last()
        last.itself = last  # is freed by the garbage collector, between two trials
    return values.learning_rate
"""


def test_a_stop_between_two_trials_is_never_lost(sweeper):
    sweeper.body(SWALLOWED)
    output = sweeper.sweep(*SEARCH, code=130)
    assert sweeper.numbers("told") == [1]
    assert sweeper.numbers() == [0, 1]
    assert sweeper.states("mine").count("COMPLETE") == 2
    assert "RUNNING" not in sweeper.states("mine")
    assert "stopped; go on with: visrun -m" in output


def test_a_stop_after_the_last_trial_leaves_nothing_to_go_on_with(sweeper):
    sweeper.body(ENDING.replace("number != 1", "number != 3"))
    process = sweeper.start(*SEARCH)
    sweeper.wait("ready", 1)
    process.send_signal(signal.SIGINT)
    output = ended(process, 130)
    assert sweeper.states("mine") == ["COMPLETE"] * 4
    assert "stopped; go on with" not in output and last_line(output) == "4 trials: 4 complete, 0 pruned, 0 failed"


def test_a_long_search_makes_its_tickets_as_it_goes(sweeper):
    sweeper.body("""
from visrun.sweep import controller, joining, worker
controller.AHEAD = joining.AHEAD = worker.AHEAD = 6
""")
    words = ("hydra.sweeper.n_trials=20", "hydra.sweeper.study_name=mine", "hydra.sweeper.n_jobs=2")
    output = sweeper.sweep(*SEARCH[:1], *words)
    assert sorted(sweeper.numbers()) == list(range(20))
    assert last_line(output) == "20 trials: 20 complete, 0 pruned, 0 failed"


def test_a_second_ctrl_c_ends_at_once(sweeper):
    sweeper.body("""
def body(number, values, trial):
    with stop_on_signals() as stop:
        stop.deferred = True
        note("ready", number)
        while stop.exit_code is None:
            time.sleep(0.02)
        note("told", number)
        time.sleep(600)
""")
    process = sweeper.start(*FOUR)
    running = sweeper.wait("ready", 0)
    process.send_signal(signal.SIGINT)
    sweeper.wait("told", 0)
    time.sleep(AGAIN)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    assert last_line(ended(process, 130)).startswith("ended at once; go on with: visrun -m ")
    wait_until(lambda: not is_alive(running["pid"]), "the slot's end", seconds=15)
    assert time.monotonic() - asked < 20  # the trial sleeps for 600
    sweeper.body("")
    sweeper.sweep(*FOUR)
    assert sweeper.states("mine") == ["COMPLETE"] * 4


@pytest.mark.parametrize("delay", [0.2, 2.0])
def test_stopped_before_its_first_trial_or_just_then(sweeper, delay):
    sweeper.body(STUCK.replace("1", "0", 1))
    process = sweeper.start(*FOUR)
    wait_until(lambda: (sweeper.folder / "multirun" / "mine").exists(), "the folder")
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    output = ended(process, 130)
    assert "Traceback" not in output
    assert "RUNNING" not in sweeper.states("mine")


def test_a_pruned_trial_is_no_failure(sweeper):
    sweeper.body("""
def body(number, values, trial):
    for epoch in (1, 2, 3):
        reason = trial.report(epoch, 1.0 - number / 10, 0.5)
        note("epoch", number)
        if reason:
            return {"status": "pruned", "value": 0.5, "reason": reason}
    return 1.0 - number / 10
""")
    words = ("hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=1")
    output = sweeper.sweep(*FOUR, *words, "hydra.sweeper.pruner.n_warmup_steps=2")
    assert sweeper.states("mine") == ["COMPLETE", "PRUNED", "PRUNED", "PRUNED"]
    assert sweeper.numbers("epoch") == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert sweeper.trials("mine")[1].user_attrs["reason"] == "median pruner: 0.9 after epoch 2"
    assert "pruner: median" in output and "trial 1 pruned" in output, output
    assert last_line(output) == "4 trials: 1 complete, 3 pruned, 0 failed"


def test_a_search_is_pruned_unasked_and_a_grid_is_not(sweeper):
    sweeper.body("""
def body(number, values, trial):
    reason = trial.report(5, 1.0 - number / 100, 0.5)  # a tenth of 50 epochs: where the warm-up ends
    return {"status": "pruned", "value": 0.5, "reason": reason} if reason else 1.0 - number / 100
""")
    output = sweeper.sweep("learning_rate=interval(0.001,0.1)", "hydra.sweeper.n_trials=10")
    assert "pruner: successive_halving, looks first after epoch " in output and "1 complete, 9 pruned" in last_line(
        output
    ), output
    output = sweeper.sweep("seed=range(1,11)", "hydra.sweeper.study_name=grid")
    assert "pruner" not in output and last_line(output) == "10 trials: 10 complete, 0 pruned, 0 failed", output


def test_too_many_failures_end_the_sweep(sweeper):
    sweeper.body("""
def body(number, values, trial):
    if number < 2:
        raise VisrunError("out of luck")
    return values.learning_rate
""")
    output = sweeper.sweep(*FOUR, "hydra.sweeper.max_failure_rate=0.5", code=1)
    assert sweeper.numbers() == [0, 1]
    assert "max_failure_rate" in output
    assert last_line(output) == "2 of 2 trials failed: out of luck (trials 0, 1)"


def test_fewer_trials_than_before_leave_no_tickets_in_the_results(sweeper):
    sweeper.body("""
def body(number, values, trial):
    if number == 1:
        raise VisrunError("no luck")
    return values.learning_rate
""")
    words = (SEARCH[0], SEARCH[2])
    sweeper.sweep(*words, "hydra.sweeper.n_trials=6", "hydra.sweeper.max_failure_rate=0.1", code=1)
    output = sweeper.sweep(*words, "hydra.sweeper.n_trials=3", code=1)
    assert last_line(output) == "1 of 3 trials failed: no luck (trial 1)"
    with (sweeper.folder / "multirun" / "mine" / "trials.csv").open(encoding="utf-8-sig") as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["complete", "failed", "complete"]


def test_no_trial_begins_after_the_timeout(sweeper):
    sweeper.body("""
def body(number, values, trial):
    if number == 1:
        real = time.time
        time.time = lambda: real() + 3601
    return values.learning_rate
""")
    output = sweeper.sweep(*FOUR, "hydra.sweeper.timeout=1h")
    assert sweeper.numbers() == [0, 1]
    assert "timeout" in output
    sweeper.body("")
    sweeper.sweep(*FOUR, "hydra.sweeper.timeout=1h")
    assert sweeper.numbers() == [0, 1, 2, 3]


def test_start_points_are_tried_first(sweeper):
    points = "hydra.sweeper.start_points=[{learning_rate:0.03},{learning_rate:0.002}]"
    sweeper.sweep(*SEARCH, points)
    tried = parameters(sweeper)
    assert [tried[0], tried[1]] == [0.03, 0.002]
    assert len(set(tried.values())) == 4


def test_a_function_of_the_users_own_draws_as_many_trials_as_are_wanted(sweeper):
    (sweeper.folder / "spaces.py").write_text(
        "def rate(config, trial):\n    trial.suggest_float('learning_rate', 1e-4, 1e-2, log=True)\n"
    )
    words = ("optimizer=adam,sgd", "hydra.sweeper.custom_search_space=spaces.rate", "hydra.sweeper.n_trials=5")
    for _ in range(2):  # the second one goes on, with nothing left to do
        output = sweeper.sweep(*words, "hydra.sweeper.study_name=mine")
        assert last_line(output) == "5 trials: 5 complete, 0 pruned, 0 failed"
    assert len(set(parameters(sweeper).values())) == len(sweeper.numbers()) == 5


def test_one_process_leads_a_study_and_old_ones_can_be_refused(sweeper):
    sweeper.body(STUCK)
    first = sweeper.start(*FOUR)
    sweeper.wait("begin", 1)
    output = sweeper.sweep(*FOUR, code=2)
    assert output.strip().splitlines() == [
        "visrun: error: hydra.sweeper.study_name=mine: another process leads this study; "
        "hydra.sweeper.worker=true joins it"
    ]
    assert sweeper.states("mine")[1] == "RUNNING"
    kill(first)
    refused = sweeper.sweep(*FOUR, "hydra.sweeper.resume=false", code=2)
    assert refused.strip().splitlines() == [
        "visrun: error: hydra.sweeper.resume=false: there is a study mine already; "
        "choose another hydra.sweeper.study_name"
    ]
    other = sweeper.sweep("seed=1,2,3,4,5", "hydra.sweeper.study_name=mine", code=2)
    assert len(other.strip().splitlines()) == 1
    assert "hydra.sweeper.study_name=mine: this study has other choices for seed" in other


def test_a_slot_that_cannot_start_ends_the_sweep(sweeper):
    sweeper.body("""
if "VISRUN_SLOT" in os.environ:
    raise RuntimeError("no such library")
""")
    output = sweeper.sweep(*FOUR, code=1)
    assert "no such library" in last_line(output)
    assert "slot 0" in last_line(output)
    assert "Traceback" not in output
    assert sweeper.states("mine") == ["WAITING"] * 4


def test_workers_may_come_first(sweeper):
    sweeper.body("""
def body(number, values, trial):
    if number == 2:
        raise VisrunError("no")
    return values.learning_rate
""")
    words = [word.replace("mine", "ours") for word in FOUR]
    worker = sweeper.sweep(*words, "hydra.sweeper.worker=true", code=1)
    assert last_line(worker) == "worker: 4 trials run, 1 failed"
    assert "trial 1: seed=2" in worker.splitlines()
    assert sweeper.states("ours") == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    output = sweeper.sweep(*words, code=1)
    assert sweeper.numbers() == [0, 1, 2, 3]
    assert last_line(output) == "1 of 4 trials failed: no (trial 2)"


def test_a_worker_without_a_study_to_join_begins_none(sweeper):
    output = sweeper.sweep(FOUR[0], "hydra.sweeper.worker=true", code=2)
    told = "visrun: error: hydra.sweeper.worker=true: name the study it joins, hydra.sweeper.study_name=NAME"
    assert last_line(output) == told
    assert not (sweeper.folder / "multirun").exists()


def test_a_worker_joins_and_dies(sweeper):
    sweeper.body("""
def body(number, values, trial):
    if "VISRUN_SLOT" not in os.environ:
        note("joined", number)
        time.sleep(600)
    if number == 0:
        wait_for("killed", -1)
    return values.learning_rate
""")
    leader = sweeper.start(*FOUR)
    sweeper.wait("begin", 0)
    worker = sweeper.start(*FOUR, "hydra.sweeper.worker=true")
    wait_until(lambda: bool(sweeper.events("joined")), "a joined worker's trial")
    kill(worker)
    with (sweeper.folder / "events.jsonl").open("a") as file:
        file.write(json.dumps({"what": "killed", "number": -1}) + "\n")
    output = ended(leader, 1)
    assert sweeper.states("mine") == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert last_line(output).startswith("1 of 4 trials failed: its process died")


@pytest.mark.parametrize("name", ["optuna", "basic"])
def test_the_other_sweepers_work(sweeper, name):
    few = ["hydra.sweeper.n_trials=3"] if name == "optuna" else []
    sweeper.sweep("seed=1,2,3", f"hydra/sweeper={name}", *few)
    assert sweeper.numbers() == [0, 1, 2]


def test_paths_with_blanks_commas_and_quotes(sweeper):
    root = sweeper.folder / "data, it's mine"
    root.mkdir()
    word = "data.root='" + str(root).replace("'", "\\'") + "'"
    output = sweeper.sweep(*FOUR, word)
    assert {event["root"] for event in sweeper.events()} == {str(root)}, output


def test_the_working_folder_as_the_sweeps(sweeper):
    output = sweeper.sweep("seed=1,2", "hydra.sweep.dir=.", "hydra.sweeper.n_jobs=2")
    assert last_line(output) == "2 trials: 2 complete, 0 pruned, 0 failed"


def test_an_odd_folder_of_its_own(sweeper):
    sweeper.sweep("seed=1,2", 'hydra.sweep.dir="a sweep, it\'s mine"')
    assert [event["folder"] for event in sweeper.events()] == [
        str(sweeper.folder / "a sweep, it's mine" / str(number)) for number in range(2)
    ]


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["seed=1,2", "hydra.sweeper.n_trial=3"], ["n_trial"]),
        (["seed=1,2", "hydra.sweeper.n_trials=0"], ["hydra.sweeper.n_trials=0: must be an integer >= 1"]),
        (
            ["seed=1,2", "hydra.sweeper.n_jobs=0", "hydra.sweeper.max_failure_rate=2"],
            [
                "hydra.sweeper.n_jobs=0: must be an integer >= 1",
                "hydra.sweeper.max_failure_rate=2.0: must be between 0 and 1",
            ],
        ),
        (["lr=interval(0,1)"], ["lr is no setting"]),
        (["seed=1,2", "hydra/sweeper/pruner=medan"], ["medan"]),
        (["seed=1,2", "hydra/sweeper/sampler=tp"], ["tp"]),
        (["optimizer=adam,adm"], ["optimizer=adm: must be adam, adamw or sgd"]),
        (["seed=1,2", "hydra.sweeper.start_points=[{sed:1}]"], ["sed"]),
        (["seed=1,2", "hydra.sweeper.objectives=[accurcy]"], ["accurcy"]),
        (["seed=1,2", "hydra.sweeper.direction=up"], ["up"]),
        (["seed=1,2", "hydra.sweeper.study_name=../x"], ["../x"]),
    ],
)
def test_wrong_settings_are_said_and_nothing_is_written(sweeper, words, lines):
    output = sweeper.sweep(*words, code=2).strip().splitlines()
    assert len(output) == len(lines), output
    for line, part in zip(output, lines, strict=True):
        assert line.startswith("visrun: error: ")
        assert part in line
    assert "Traceback" not in "".join(output)
    left = [path.name for path in sweeper.folder.iterdir() if path.name not in ("fakerun.py", "__pycache__")]
    assert left in ([], ["multirun"])
    assert not [path for path in (sweeper.folder / "multirun").rglob("*") if path.is_file()]


def test_several_objectives_give_a_front(sweeper):
    sweeper.body("""
def body(number, values, trial):
    return {"value": [0.9, 0.8, 0.7, 0.95][number], "seconds": [3.0, 2.0, 5.0, 9.0][number]}
""")
    output = sweeper.sweep(*FOUR, "hydra.sweeper.objectives=[accuracy,seconds]")
    folder = sweeper.folder / "multirun" / "mine"
    assert sorted(path.name for path in (folder / "best").iterdir()) == ["0", "1", "3"]
    assert "Pareto front: 3 of 4 trials" in output
    written = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    assert [solution["values"] for solution in written["solutions"]] == [[0.9, 3.0], [0.8, 2.0], [0.95, 9.0]]
