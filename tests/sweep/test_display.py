import io
import logging
import math
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from rich.cells import cell_len
from rich.console import Console

from visrun.console import Screen, takes_back
from visrun.sweep.display import Table
from visrun.sweep.drawing import Sweep, cut, draw, duration, select, short, time_left, varying
from visrun.sweep.ties import graded
from visrun.sweep.trials import ranking, values_of

optuna.logging.set_verbosity(optuna.logging.ERROR)
C, P, F, R, W = (TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"))
UP, DOWN = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
NOW = datetime(2026, 1, 1, 12)
ONE = Sweep(name="digits", objectives=["accuracy"], directions=[UP], n_trials=4, slots=2, epochs=50)
TWO = Sweep(name="digits", objectives=["accuracy", "seconds"], directions=[UP, DOWN], n_trials=4)


def make(number, state=C, values=None, params=None, curve=None, *, start=0.0, end=None, **attributes):
    """A trial; ``start`` and ``end`` are seconds after NOW."""
    params = params or {}
    spread = {
        name: FloatDistribution(0, 100) if isinstance(value, float) else CategoricalDistribution([value, "other"])
        for name, value in params.items()
    }
    trial = create_trial(
        state=state,
        values=[values] if isinstance(values, float) else values,
        params=params,
        distributions=spread,
        intermediate_values=dict(enumerate(curve or [], 1)),
        user_attrs=attributes,
    )
    trial.number = number
    trial.datetime_start = None if state is W else NOW + timedelta(seconds=start)
    trial.datetime_complete = None if end is None else NOW + timedelta(seconds=end)
    return trial


def drawn(trials, *, sweep=ONE, width=120, height=30, elapsed=65.0):
    """The lines of the picture, without blanks at their ends."""
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, force_terminal=True)
    console.print(draw(sweep, trials, elapsed=elapsed, now=NOW, width=width, height=height))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.fixture
def said(capsys):
    """What was printed since the last call, line by line."""
    return lambda: capsys.readouterr().out.splitlines()


def test_a_table_of_all_states():
    trials = [
        make(0, C, 0.98125, {"optimizer": "sgd", "learning_rate": 0.012345678}, [0.5], end=10),
        make(1, P, 0.41, {"optimizer": "adam", "learning_rate": 1e-5}, [0.3] * 5 + [0.41], end=10),
        make(2, F, None, {"optimizer": "sgd", "learning_rate": 2.0}, [math.nan], end=10, reason="out of [memory]"),
        make(3, R, None, {"optimizer": "adam", "learning_rate": 0.5}, [0.5, 0.6, 0.912], start=-4),
        make(4, W),
    ]
    assert drawn(trials) == [
        "digits  3/4 done  1 running  1 pruned  1 failed  best accuracy 0.9812  1m 05s elapsed  about 6s left",
        "",
        "                            learning",
        "trial  state     optimizer      rate  accuracy      reason",
        "  * 0  complete  sgd         0.01235  0.9812",
        "    1  pruned    adam          1e-05  0.41 @ 6",
        "    2  failed    sgd               2  nan @ 1       out of [memory]",
        "    3  running   adam            0.5  0.912 @ 3/50",
    ]


def test_an_empty_study_has_a_head_alone():
    assert drawn([]) == ["digits  0/4 done  1m 05s elapsed", "", "trial  state  accuracy"]


def test_the_trials_own_number_of_epochs_counts():
    trial = make(0, R, None, {"max_epochs": 8.0}, [0.25])
    trial.params["max_epochs"] = 8
    assert "0.25 @ 1/8" in drawn([trial])[-1]
    unknown = Sweep(name="x", objectives=["miou"], directions=[UP], n_trials=1)
    assert drawn([make(0, R, None, {}, [0.25])], sweep=unknown)[-1].endswith("0.25 @ 1")


@pytest.mark.parametrize(("metric", "shown"), [(0.0, "0"), (1.0, "1"), (0.25, "0.25")])
def test_the_loss_in_a_reported_value_is_not_shown(metric, shown):
    curve = [graded(metric, 0.5, maximize=True)]
    assert drawn([make(0, R, None, {}, curve)])[-1].endswith(f" {shown} @ 1/50")
    assert drawn([make(0, P, None, {}, curve)])[-1].endswith(f" {shown} @ 1")
    assert values_of(make(0, P, None, {}, curve), 1) == values_of(make(0, C, curve), 1) == [metric]
    lines = drawn([make(0, C, curve)])
    assert f"best accuracy {shown}  " in lines[0] and lines[-1].endswith(f"complete  {shown}")


def test_of_several_objectives_the_front_is_marked():
    trials = [make(0, C, [0.5, 9.0]), make(1, C, [0.4, 9.5]), make(2, C, [0.9, 12.0]), make(3, R, None, {}, [0.1])]
    lines = drawn(trials, sweep=TWO)
    assert "Pareto front 2" in lines[0]
    assert [line for line in lines if "*" in line] == [
        "  * 0  complete  0.5       9",
        "  * 2  complete  0.9       12",
    ]
    assert lines[-1] == "    3  running   0.1 @ 1"


def test_values_that_are_not_finite_are_shown_and_never_the_best():
    lines = drawn([make(0, C, math.inf), make(1, R, None, {}, [math.nan]), make(2, R)])
    assert "best" not in lines[0] and not any("*" in line for line in lines)
    assert lines[3:] == ["    0  complete  inf", "    1  running   nan @ 1/50", "    2  running"]


def test_only_what_varies_has_a_column():
    same = [make(0, C, 0.5, {"a": 1.0}), make(1, W)]
    assert varying(same) == ["a"]  # searched over, though it has one value so far
    same[0].distributions["a"] = FloatDistribution(1.0, 1.0)
    assert varying(same) == []
    same[1].system_attrs["fixed_params"] = {"a": 2.0, "b": 3}
    assert varying(same) == ["a"]
    trial = make(0, R)
    trial.params, trial.distributions = {"n": 3}, {"n": IntDistribution(1, 9)}
    assert varying([trial]) == ["n"]
    assert varying([]) == []


def test_long_names_and_values_are_shortened():
    params = {
        "augment.mixup": 0.123456,
        "data.root": "/a/very/long/path/of/photos",
        "model.name": "x",
        "plugin.name": "y",
    }
    lines = drawn([make(0, R, None, params)])
    head = [line.split() for line in lines[2:-1]]
    assert head == [["model", "plugin"], ["trial", "state", "mixup", "root", "name", "name", "accuracy"]]
    assert lines[-1].split() == ["0", "running", "0.1235", "/a/very/long/…", "x", "y"]


def test_what_does_not_fit_is_counted():
    params = {f"parameter{number}": float(number) for number in range(12)}
    trials = [make(number, C, number / 100, params, end=number) for number in range(100)]
    sweep = Sweep(name="digits", objectives=["accuracy"], directions=[UP], n_trials=100)
    lines = drawn(trials, sweep=sweep, width=60, height=20)
    assert len(lines) <= 19 and lines[-1] == "85 more trials, 10 more parameters"


def test_running_the_best_and_the_latest_are_chosen():
    trials = [make(number, C, 1 - number / 100, end=number) for number in range(50)]
    trials += [make(50, R), make(51, R)]
    ranked = ranking(trials, [UP])
    chosen = [trial.number for trial in select(trials, ranked, 10)]
    assert chosen == [0, 1, 2, 3, 4, 47, 48, 49, 50, 51]
    assert [trial.number for trial in select(trials, ranked, 2)] == [0, 50]
    assert select([], [], 5) == []


WORDS = st.text(alphabet="ab_.日本é[]/:\x1b\n", min_size=1, max_size=30)
VALUE = st.one_of(st.floats(), st.integers(), st.none(), st.booleans(), WORDS)
STATE = st.sampled_from([C, P, F, R, W])


@given(
    st.lists(st.tuples(STATE, st.dictionaries(WORDS, VALUE, max_size=5), st.floats(), WORDS), max_size=20),
    st.integers(60, 200),
    st.integers(12, 50),
    WORDS,
)
@settings(max_examples=60, deadline=None)
def test_no_line_is_wider_than_the_terminal_and_the_picture_no_higher(facts, width, height, name):
    trials = []
    for number, (state, params, value, reason) in enumerate(facts):
        known = [] if math.isnan(value) else [value, 1.0]
        trial = make(number, state, known if state in (C, P) and known else [0.5, 1.0] if state in (C, P) else None)
        trial.params, trial.intermediate_values = params, {9999: value}
        trial.user_attrs = {"reason": reason}
        trials.append(trial)
    sweep = Sweep(name=name, objectives=["pixel_accuracy", "parameters"], directions=[UP, DOWN], n_trials=9)
    lines = drawn(trials, sweep=sweep, width=width, height=height)
    assert all(cell_len(line) <= width for line in lines)
    assert len(lines) < height
    assert "done" in lines[0]


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_any_number_of_trials_is_drawn(count):
    trials = [make(number, C, [number % 7, number % 5 + 1.0], end=1) for number in range(count)]
    sweep = Sweep(name="digits", objectives=["a", "b"], directions=[UP, DOWN], n_trials=1000)
    assert len(drawn(trials, sweep=sweep, height=24)) < 24


def left(trials, total, slots):
    return time_left(trials, total=total, slots=slots, now=NOW)


def test_the_time_left_is_what_the_slots_need():
    ended = [make(0, C, 0.5, start=-30, end=-20), make(1, P, 0.5, start=-30, end=-10)]  # 10 s and 20 s: mean 15 s
    assert left([], 4, 1) is None and left([make(0, R, start=-9)], 4, 1) is None
    assert left(ended, 2, 1) == 0.0
    assert left(ended, 5, 1) == 45.0
    assert left(ended, 5, 2) == 30.0  # three trials on two slots: two rounds
    running = [*ended, make(2, R, start=-5)]
    assert left(running, 3, 1) == 10.0
    assert left(running, 4, 1) == 25.0  # after the running one
    assert left(running, 4, 2) == 15.0  # beside it
    assert left([*ended, make(2, R, start=-500)], 3, 1) == 0.0
    assert left([make(0, C, 0.5, start=-30, end=-20), make(1, F, start=-10, end=-10)], 4, 0) == 10.0


@given(st.integers(1, 8), st.integers(0, 30), st.integers(0, 8))
@settings(deadline=None)
def test_the_time_left_lies_between_ideal_and_one_trial_more(slots, queued, running):
    trials = [make(0, C, 0.5, start=-8, end=0), *(make(number, R) for number in range(1, 1 + min(running, slots)))]
    rest = queued + len(trials) - 1
    seconds = left(trials, 1 + rest, slots)
    assert seconds == 8 * math.ceil(rest / slots)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(0.98125, "0.9812"), (1.0, "1"), (0.0, "0"), (1e-5, "1e-05"), (0.012345678, "0.01235"), (1234.567, "1234.6")],
        *[(12345.6, "12346"), (11_173_962.0, "1.117e+07"), (1e300, "1e+300"), (9999.99, "10000"), (-0.5, "-0.5")],
        *[(math.nan, "nan"), (-math.inf, "-inf"), (None, "null"), (True, "True"), (512, "512"), (123456, "123456")],
        *[("sgd", "sgd"), ("a\nb\x1b[1m", "a b [1m")],
    ],
)
def test_numbers_are_short(value, text):
    assert short(value) == text


@given(st.text(alphabet="ab日本é ", max_size=20), st.integers(0, 20))
def test_a_cut_text_fits(text, width):
    assert cell_len(cut(text, width)) <= width
    assert cut(text, 40) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (59.4, "59s"), (59.6, "1m 00s"), (3599, "59m 59s"), (3600, "1h 00m"), (90_000, "1d 01h")],
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text


def test_off_a_terminal_each_change_is_a_line_and_nothing_is_repeated(said):
    table = Table(Screen(), ONE)
    sgd = {"optimizer": "sgd", "learning_rate": 0.012}
    table.update([make(0, W), make(1, W)], now=NOW)
    assert said() == []
    table.update([make(0, R, None, sgd, folder="/0"), make(1, W)], now=NOW)
    table.update([make(0, R, None, sgd, [0.5], folder="/0"), make(1, W)], now=NOW)
    assert said() == ["trial 0 started: optimizer=sgd learning_rate=0.012"]
    first = make(0, C, 0.98125, sgd, [0.5], end=9, epochs=50, seconds=12.34)
    table.update([first, make(1, P, 0.41, {}, [0.3, 0.41], end=10)], now=NOW)
    assert said() == [
        "trial 1 started",
        "trial 0 complete: accuracy 0.9812 (best so far) after 50 epochs, 12.3 s",
        "trial 1 pruned at epoch 2: accuracy 0.41",
    ]
    for _ in range(3):
        table.update([first, make(1, P, 0.41, {}, [0.3, 0.41], end=10)], now=NOW)
    table.close()
    table.close()
    assert said() == []


def test_ends_are_told_in_the_order_in_which_they_came(said):
    table = Table(Screen(), ONE)
    table.update([make(number, R, folder="x") for number in range(4)], now=NOW)
    said()
    ends = [
        make(0, C, 0.5, end=30, epochs=1, reason="stopped early: no better for 10 epochs"),
        make(1, C, 0.7, end=10, epochs=2, seconds=75.0),
        make(2, C, 0.7, end=20),
        make(3, F, end=25, reason="the loss became NaN"),
    ]
    table.update(ends, now=NOW)
    assert said() == [
        "trial 1 complete: accuracy 0.7 (best so far) after 2 epochs, 1m 15s",
        "trial 2 complete: accuracy 0.7 after 20.0 s",
        "trial 3 failed: the loss became NaN",
        "trial 0 complete: accuracy 0.5 after 1 epoch, 30.0 s; stopped early: no better for 10 epochs",
    ]


@pytest.mark.parametrize(("wanted", "of"), [(4, 4), (1, 2)], ids=["more to come", "fewer than there are"])
def test_a_continued_sweep_sums_up_what_had_ended(said, wanted, of):
    table = Table(Screen(), replace(ONE, n_trials=wanted))
    trials = [make(0, C, 0.5, end=1), make(1, F, end=1, reason="r"), make(2, R, folder="x")]
    table.update(trials, now=NOW)
    assert said() == [
        f"2 of {of} trials done: 1 complete, 0 pruned, 1 failed; best accuracy 0.5 (trial 0)",
        "trial 2 started",
    ]
    table.update([*trials[:2], make(2, C, 0.4, end=2)], now=NOW)
    assert said() == ["trial 2 complete: accuracy 0.4 after 2.0 s"]


def test_a_trial_has_started_once_all_its_parameters_are_known(said):
    table = Table(Screen(), ONE)
    for params in ({}, {}, {"a": 1.0}, {"a": 1.0, "b": 2.0}):
        table.update([make(0, R, None, params)], now=NOW)
        assert said() == []
    table.update([make(0, R, None, {"a": 1.0, "b": 2.0})], now=NOW)
    assert said() == ["trial 0 started: a=1 b=2"]


def test_a_lost_trial_is_told_once(said):
    table = Table(Screen(), ONE)
    table.update([make(0, R, folder="x")], now=NOW)
    table.update([make(1, W)], now=NOW)
    table.update([make(1, R, folder="x")], now=NOW)
    assert said() == ["trial 0 started", "trial 0 did not end; its point is queued again", "trial 1 started"]


def test_a_trial_that_begins_anew_is_told_once_with_the_reason(said):
    table = Table(Screen(), ONE)
    table.update([make(0, W)], now=NOW)
    running = make(0, R, folder="x", anew="last.pt is damaged")
    for told in (["trial 0 started", "trial 0 starts anew: last.pt is damaged"], []):
        table.update([running], now=NOW)
        assert said() == told


def test_ends_without_facts_and_on_the_front(said):
    table = Table(Screen(), TWO)
    table.update([], now=NOW)
    ends = [make(0, C, [0.5, 9.0], end=1), make(1, C, [0.4, 8.0], end=2), make(2, C, [0.3, 8.5], end=3)]
    table.update([*ends, make(3, P, None), make(4, F)], now=NOW)
    lines = [line for line in said() if "started" not in line]
    assert lines == [
        "trial 0 complete: accuracy 0.5, seconds 9 (on the Pareto front) after 1.0 s",
        "trial 1 complete: accuracy 0.4, seconds 8 (on the Pareto front) after 2.0 s",
        "trial 2 complete: accuracy 0.3, seconds 8.5 after 3.0 s",
        "trial 3 pruned",
        "trial 4 failed: no reason is known",
    ]


class Terminal(Screen):
    """A screen that takes a text file for a terminal."""

    def __init__(self):
        super().__init__()
        self.console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system=None)
        self.live = takes_back(self.console)


def test_a_terminal_is_drawn_four_times_a_second_and_the_lines_go_to_the_log(caplog):
    caplog.set_level(logging.INFO, "visrun")
    screen = Terminal()
    table = Table(screen, ONE)
    pictures = 0
    for tenth in range(21):  # two seconds
        before = screen.console.file.tell()
        table.update([make(0, R, None, {}, [0.5], folder="x")], now=NOW + timedelta(seconds=tenth / 10))
        pictures += screen.console.file.tell() > before
    table.update([make(0, C, 0.75, end=2)], now=NOW + timedelta(seconds=2.05))
    assert pictures == 7  # at 0.0, 0.3, ... 1.8 s
    table.close(now=NOW + timedelta(seconds=2.1))
    table.close()
    assert [record.getMessage() for record in caplog.records] == [
        "trial 0 started",
        "trial 0 complete: accuracy 0.75 (best so far) after 2.0 s",
    ]
    final = screen.console.file.getvalue().rpartition("\x1b[2K")[2]
    assert final.count("0.75") == 2 and "1/4 done" in final


def test_a_dumb_terminal_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    screen = Terminal()
    table = Table(screen, ONE)
    table.update([make(0, R, folder="x")], now=NOW)
    table.close()
    assert screen.console.file.getvalue() == "trial 0 started\n"


def test_a_real_terminal_shows_the_last_table_once_with_warnings_above():
    program = (
        "import optuna\n"
        "from optuna.trial import TrialState, create_trial\n"
        "from visrun.console import Screen\n"
        "from visrun.sweep.display import Table\n"
        "from visrun.sweep.drawing import Sweep\n"
        "up = [optuna.study.StudyDirection.MAXIMIZE]\n"
        "screen = Screen()\n"
        "table = Table(screen, Sweep(name='digits', objectives=['accuracy'], directions=up, n_trials=1))\n"
        "table.update([create_trial(state=TrialState.RUNNING, intermediate_values={1: 0.125})])\n"
        "screen.warn('a slot is idle')\n"
        "table.update([create_trial(value=0.625)])\n"
        "table.close()\n"
        "screen.say('the end')\n"
    )
    mine, theirs = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    subprocess.run([sys.executable, "-c", program], stdout=theirs, env=environment, timeout=60, check=True)
    os.close(theirs)
    seen = os.read(mine, 65536).decode()
    os.close(mine)
    assert "0.125 @ 1" in seen and "warning: a slot is idle" in seen
    final = seen.rpartition("\x1b[2K")[2]
    assert final.count("complete") == 1 and "1/1 done" in final and "0.125" not in final
    assert final.rstrip().endswith("the end")
