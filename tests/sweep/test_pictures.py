"""What a study's plots show, when they are left out, and what they cost; drawn for real."""

from __future__ import annotations

import itertools
import json
import logging
import math
import re
import subprocess
import sys
import threading
import time

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from PIL import Image

from visrun.console import Bugs
from visrun.record.sweep_files import IMPORTANCE
from visrun.sweep import panels, pictures
from visrun.sweep.ties import graded
from visrun.sweep.trials import reported
from visrun.sweep.view import first, look

SPACE = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "batch_size": IntDistribution(16, 256, step=16),
    "optimizer": CategoricalDistribution(["adam", "sgd"]),
    "milestones": CategoricalDistribution(["null", "[10,20]", True, 3]),
    "warmup": IntDistribution(0, 10),
    "smoothing": FloatDistribution(0.0, 0.2),
    "momentum": FloatDistribution(0.5, 0.99),
}
ALL = ["history.png", "importance.png", "parallel.png", "slice.png", "contour.png", "intermediate.png", "sweep.html"]


@pytest.fixture(autouse=True)
def nothing_goes_wrong(caplog, capfd):
    """Every plot that is possible is drawn, and nothing is said: neither by us nor by Optuna."""
    caplog.set_level(logging.DEBUG, logger="visrun")
    yield
    assert not [record for record in caplog.records if record.name.startswith("visrun")]
    assert capfd.readouterr() == ("", "")


def made(trials, *, directions=("maximize",), objectives=("accuracy",)):
    storage = optuna.storages.InMemoryStorage()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ways = [optuna.study.StudyDirection[name.upper()] for name in directions]
    name = storage.get_study_name_from_id(storage.create_new_study(ways, "digits <b>"))
    study = optuna.load_study(study_name=name, storage=storage)
    study.set_user_attr("visrun", {"objectives": list(objectives)})
    study.add_trials(trials)
    return study


def trial(value=None, state=TrialState.COMPLETE, curve=(), **params):
    values = [value] if isinstance(value, float) else value
    distributions = {name: SPACE[name] for name in params}
    steps = dict(enumerate(curve, start=1))
    kind = {"params": params, "distributions": distributions, "intermediate_values": steps}
    return create_trial(state=state, values=values, **kind)


def search(count, *, seed=0, pruned=0.3, momentum=True):
    """Trials whose accuracy depends on the learning rate alone, best at 1e-3; momentum only where sgd is."""
    random = np.random.default_rng(seed)
    trials = []
    for i in range(count):
        rate = 10 ** random.uniform(-5, -1)
        params = {
            "learning_rate": rate,
            "dropout": random.uniform(0, 0.5),
            "batch_size": int(random.integers(1, 17)) * 16,
            "optimizer": str(random.choice(["adam", "sgd"])),
            "milestones": SPACE["milestones"].choices[random.integers(4)],
            "warmup": int(random.integers(0, 11)),
            "smoothing": random.uniform(0, 0.2),
        }
        if momentum and params["optimizer"] == "sgd":
            params["momentum"] = random.uniform(0.5, 0.99)
        value = 0.9 - 0.05 * (math.log10(rate) + 3) ** 2
        stopped = random.random() < pruned and i > 1
        curve = [value * (1 - 0.5**epoch) for epoch in range(1, 4 if stopped else 11)]
        trials.append(
            trial(None if stopped else value, TrialState.PRUNED if stopped else TrialState.COMPLETE, curve, **params)
        )
    return trials


def names(paths):
    return [path.name for path in paths]


def test_a_search_gives_every_plot_as_a_file_and_on_one_page(tmp_path):
    study = made([*search(30), trial(state=TrialState.FAIL), trial(state=TrialState.RUNNING, curve=[0.1], dropout=0.1)])
    paths = pictures.draw(study, study.get_trials(), tmp_path / "plots")
    assert names(paths) == ALL
    left = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert left == sorted([*ALL, IMPORTANCE])  # nothing temporary
    shares = json.loads((tmp_path / "plots" / IMPORTANCE).read_text())
    assert shares and sum(shares.values()) == pytest.approx(1.0)
    for path in paths[:-1]:
        with Image.open(path) as picture:
            assert picture.width > 300
            assert picture.height > 150
            assert len(picture.convert("RGB").getcolors(10**6)) > 10


def test_the_page_needs_nothing_from_elsewhere_and_speaks_of_the_metric(tmp_path):
    study = made(search(20))
    page = pictures.draw(study, study.get_trials(), tmp_path)[-1].read_text()
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=", page)
    assert page.count("plotly.js v") == 1  # the script is there, once
    own = re.sub(r"<script>/\*\*.*?</script>", "", page, count=1, flags=re.DOTALL)
    assert len(own) < 2e6
    assert "accuracy" in own
    for general in ("Objective Value", "Intermediate Value", "Plot</", "digits <b>"):
        assert general not in own
    assert "digits &lt;b&gt;" in own
    assert re.findall(r'<h2 id="(\w+)"', own) == [name.partition(".")[0] for name in ALL[:-1]]
    assert re.search(r"trial \d+, pruned", own)


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ([], []),
        ([trial(state=TrialState.WAITING), trial(state=TrialState.RUNNING, dropout=0.1)], []),
        ([trial(state=TrialState.FAIL, dropout=0.1)] * 3, []),
        ([trial(0.5, dropout=0.1)], ["history.png"]),
        ([trial(None, TrialState.PRUNED, [0.1, 0.2], dropout=d) for d in (0.1, 0.2)], ["intermediate.png"]),
        ([trial(float(d), dropout=d) for d in (0.1, 0.2, 0.3)], ["history.png", "slice.png"]),
        ([trial(0.5, dropout=0.1, warmup=3)] * 5, ["history.png"]),
        (
            [trial(0.5, dropout=d, warmup=w) for d, w in ((0.1, 1), (0.2, 2), (0.3, 3), (0.4, 4))],
            ["history.png", "parallel.png", "slice.png"],
        ),
        (
            [trial(float(d), dropout=d, optimizer=o) for d, o in ((0.1, "adam"), (0.2, "sgd"), (0.3, "sgd"))],
            ["history.png", "importance.png", "parallel.png", "slice.png"],
        ),
        (  # one parameter is missing in half of the trials: two of three are in all
            [trial(0.1, optimizer="adam", dropout=0.1), trial(0.2, optimizer="sgd", dropout=0.2, momentum=0.9)] * 3,
            ["history.png", "importance.png", "parallel.png", "slice.png", "contour.png"],
        ),
        (  # no two parameters are in all trials
            [
                trial(0.1, optimizer="adam", dropout=0.1),
                trial(0.2, optimizer="sgd", momentum=0.9),
                trial(0.3, optimizer="adam", dropout=0.3),
            ]
            * 2,
            ["history.png", "parallel.png", "slice.png"],
        ),
        ([trial(math.inf, dropout=d) for d in (0.1, 0.2)], []),
        ([trial(v, dropout=d) for d, v in ((0.1, -math.inf), (0.2, 0.5))], ["history.png"]),
        ([trial(0.5, curve=[math.nan, math.inf], dropout=0.1)], ["history.png"]),
    ],
    ids=[
        "no trials",
        "none ended",
        "all failed",
        "one",
        "all pruned",
        "one parameter",
        "constant parameters",
        "constant values",
        "three trials",
        "conditional",
        "disjoint",
        "all infinite",
        "one finite",
        "curve of NaN",
    ],
)
def test_what_a_study_cannot_give_is_left_out(trials, expected, tmp_path):
    study = made(trials)
    page = ["sweep.html"] if expected else []
    assert names(pictures.draw(study, study.get_trials(), tmp_path)) == expected + page


def test_trials_that_do_not_count_are_not_drawn_and_the_others_keep_their_numbers():
    study = made([trial(v, dropout=d) for v, d in ((0.1, 0.1), (0.9, 0.2), (0.3, 0.3), (0.7, 0.4))])
    counting = [one for one in study.get_trials() if one.number != 1]
    view = look(study, counting)
    assert [(one.number, one.value) for one in view.complete] == [(0, 0.1), (2, 0.3), (3, 0.7)]
    assert view.best().number == 3
    assert pictures.note(view) == "3 complete, 0 pruned, 0 failed; best accuracy 0.7 in trial 3"


def test_what_matters_is_found_and_a_constant_or_conditional_parameter_is_not_ranked():
    trials = [*search(60, pruned=0.0)]
    view = look(made(trials), made(trials).get_trials())
    assert next(iter(view.importance)) == "learning_rate"
    assert view.importance["learning_rate"] > 0.8
    assert sum(view.importance.values()) == pytest.approx(1)
    assert "momentum" not in view.importance
    assert set(view.varied) == set(SPACE)
    assert view.varied[0] == "learning_rate"


def test_of_a_pruned_search_all_trials_are_compared_after_one_epoch(tmp_path):
    """Of 24 trials four come to their end, all with adam: that the optimizer matters, only the others can say."""
    trials = []
    for i in range(24):
        goes_on, optimizer = i % 6 == 0, "adam" if i % 6 < 3 else "sgd"
        value = 0.6 + 0.01 * i if optimizer == "adam" else 0.1 + 0.001 * i
        params = {"optimizer": optimizer, "dropout": 0.02 * i, "warmup": i % 5}
        state = TrialState.COMPLETE if goes_on else TrialState.PRUNED
        curve = [value - 0.05, value] + [0.9] * (3 if goes_on else 0)
        trials.append(trial(0.9 + 0.001 * i if goes_on else None, state, curve, **params))
    view = look(made(trials), made(trials).get_trials())
    assert view.epoch == 2 and [first(one) for one in view.compared] == pytest.approx(
        [one.intermediate_values[2] for one in trials]
    )
    assert next(iter(view.importance)) == "optimizer" and view.importance["optimizer"] > 0.8
    assert view.spanning == ["dropout", "warmup"] or view.spanning == ["warmup", "dropout"]
    assert view.tried[0] == "optimizer" and "optimizer" not in view.varied
    crosses = [trace for trace in pictures.slice_figure(view).data if trace.marker.symbol == "x"]
    assert [len(trace.x) for trace in crosses] == [20, 20, 20]  # dropout, optimizer, warmup
    assert set(crosses[1].x) == {"'adam'", "'sgd'"}
    assert list(crosses[0].y) == pytest.approx([reported(one) for one in view.pruned])
    study = made(trials)
    assert names(pictures.draw(study, study.get_trials(), tmp_path / "plots")) == ALL
    whole = [one for one in trials if one.state == TrialState.COMPLETE]
    view = look(made(whole), made(whole).get_trials())
    assert view.epoch is None and len(view.compared) == 4 and "optimizer" not in view.importance


def test_the_digits_of_the_loss_are_not_drawn():
    study = made([trial(1.0, curve=[graded(1.0, loss, maximize=True) for loss in (0.4, 0.2)], dropout=0.1)])
    (shown,) = look(study, study.get_trials()).reporting
    assert shown.intermediate_values == {1: 1.0, 2: 1.0}


def test_where_all_are_equal_after_that_epoch_the_ends_are_compared():
    trials = [trial(0.1 * i, curve=[0.0, 0.1 * i], dropout=0.1 * i, warmup=i) for i in range(1, 5)]
    trials.append(trial(state=TrialState.PRUNED, curve=[0.0], dropout=0.05, warmup=7))
    view = look(made(trials), made(trials).get_trials())
    assert view.epoch is None and len(view.compared) == 4 and set(view.importance) == {"dropout", "warmup"}


def test_the_lowest_value_is_the_best_where_the_direction_says_so():
    trials = [trial(v, dropout=d) for v, d in ((0.3, 0.1), (0.1, 0.2), (0.1, 0.3))]
    assert look(made(trials, directions=["minimize"]), made(trials).get_trials()).best().number == 1
    assert look(made(trials), made(trials).get_trials()).best().number == 0


def test_of_equal_values_that_with_the_lower_loss_is_the_best():
    values = [graded(0.75, loss, maximize=True) for loss in (0.5, 0.25, 0.75)]
    study = made([trial(value, dropout=0.1 * i, warmup=i) for i, value in enumerate(values)])
    view = look(study, study.get_trials())
    assert view.best().number == 1
    assert [one.value for one in view.complete] == [0.75] * 3 and view.importance == {}
    assert pictures.note(view).endswith("best accuracy 0.75 in trial 1")


def test_thinning_keeps_the_best_and_both_ends():
    trials = [trial(1.0 if i == 37 else 0.0, dropout=0.1) for i in range(100)]
    view = look(made(trials), made(trials).get_trials())
    kept = [one.number for one in view.thinned(view.complete, 11)]
    assert kept[0] == 0
    assert kept[-1] == 99
    assert 37 in kept
    assert len(kept) == 11
    assert view.thinned(view.complete, 100) == list(view.complete)


def test_places_of_numbers_choices_and_missing_values():
    rates = panels.scale("learning_rate", [trial(0.1, learning_rate=rate) for rate in (1e-4, 1e-3, 1e-2)])
    assert rates.places == pytest.approx([0, 0.5, 1])
    assert rates.labels == ["0.0001", "0.001", "0.01"]
    sizes = panels.scale("batch_size", [trial(0.1, batch_size=size) for size in (16, 48)])
    assert (sizes.ticks, sizes.labels) == ([0, 0.5, 1], ["16", "32", "48"])
    choices = panels.scale("milestones", [trial(0.1, milestones=value) for value in (3, "null", True)])
    assert list(choices.places) == [1, 0, 0.5]
    assert choices.labels == ["null", "True", "3"]
    missing = panels.scale("dropout", [trial(0.1, dropout=0.2), trial(0.1, warmup=1), trial(0.1, dropout=0.4)])
    assert missing.places == pytest.approx([0, math.nan, 1], nan_ok=True)
    assert panels.scale("dropout", [trial(0.1, dropout=0.2)]).places == pytest.approx([0.5])


def test_a_contour_goes_through_its_points_and_stays_between_them():
    x, y, values = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0, 5.0])
    surface = panels.interpolated(x, y, values)
    assert surface.shape == (panels.GRID, panels.GRID)
    corners = surface[0, 0], surface[0, -1], surface[-1, 0], surface[-1, -1]  # rows run along y
    assert corners == pytest.approx(values, abs=0.01)
    assert surface[24, 24] == pytest.approx(2.75, abs=0.1)
    assert surface.min() >= 1
    assert surface.max() <= 5


@pytest.mark.parametrize("count", [2, 3])
def test_several_objectives_have_a_pareto_front(count, tmp_path):
    values = [(0.9, 100.0, 5.0), (0.8, 50.0, 5.0), (0.7, 90.0, 6.0), (0.6, 10.0, 1.0)]
    parameters = [(0.1, 1), (0.2, 3), (0.3, 5), (0.4, 2)]
    trials = [trial(list(v[:count]), dropout=d, warmup=w) for v, (d, w) in zip(values, parameters, strict=True)]
    study = made(
        trials,
        directions=["maximize", "minimize", "minimize"][:count],
        objectives=["accuracy", "seconds", "parameters"][:count],
    )
    paths = pictures.draw(study, study.get_trials(), tmp_path)
    assert names(paths) == [*ALL[:5], "pareto.png", "sweep.html"]
    page = paths[-1].read_text()
    assert "seconds" in page[-40_000:]
    assert look(study, study.get_trials()).best().number == 0


@pytest.mark.slow
def test_threads_may_draw_at_once(tmp_path):
    study = made(search(12))
    trials, found = study.get_trials(), {}

    def work(i):
        found[i] = names(pictures.draw(study, trials, tmp_path / str(i)))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [ALL] * 2


def test_a_plot_that_fails_costs_itself_alone(tmp_path, monkeypatch, caplog):
    def broken(*_):
        raise ValueError("no")

    plots = {**pictures.PLOTS, "slice": pictures.PLOTS["slice"]._replace(png=broken, figure=broken)}
    monkeypatch.setattr(pictures, "PLOTS", plots)
    study = made(search(12))
    assert names(pictures.draw(study, study.get_trials(), tmp_path)) == [name for name in ALL if name != "slice.png"]
    said = [record for record in caplog.records if record.name.startswith("visrun")]
    assert [record.levelno for record in said] == [logging.ERROR] * 2
    caplog.clear()


def test_a_plot_that_fails_at_every_drawing_is_logged_once(tmp_path, monkeypatch, caplog):
    def broken(*_):
        raise ValueError(f"no {next(tries)}")

    def broken_otherwise(*_):
        raise KeyError("no")

    tries, bugs, study = itertools.count(), Bugs(), made(search(12))
    for raising in (broken, broken, broken_otherwise):
        plots = {"slice": pictures.PLOTS["slice"]._replace(png=raising, figure=raising)}
        monkeypatch.setattr(pictures, "PLOTS", plots)
        pictures.draw(study, study.get_trials(), tmp_path, bugs)
    said = [type(record.exc_info[1]) for record in caplog.records if record.name.startswith("visrun")]
    assert said == [ValueError, ValueError, KeyError, KeyError]
    caplog.clear()


def test_without_plotly_the_files_remain(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    study = made(search(12))
    assert names(pictures.draw(study, study.get_trials(), tmp_path)) == ALL[:-1]


def test_drawing_imports_neither_torch_nor_mlflow(tmp_path):
    script = (
        "import sys, optuna; from pathlib import Path; from visrun.sweep.pictures import draw\n"
        "assert not {'plotly', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "optuna.logging.set_verbosity(optuna.logging.WARNING)\n"
        "for second in (0, 9):\n"
        "    study = optuna.create_study()\n"
        "    study.optimize(lambda t: t.suggest_float('a', 0, 1) + t.suggest_int('b', 0, second), n_trials=8)\n"
        "    print(len(draw(study, study.trials, Path(sys.argv[1]))), 'sklearn' in sys.modules)\n"
        "assert not {'torch', 'mlflow'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script, tmp_path], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("3 False\n6 True\n", "")  # one parameter has no share to be found


@pytest.mark.slow
def test_a_thousand_trials_with_eight_parameters_take_seconds(tmp_path):
    study = made(search(1000, pruned=0.1))
    trials = study.get_trials()
    began = time.monotonic()
    paths = pictures.draw(study, trials, tmp_path)
    assert time.monotonic() - began < 40  # measured: 8 s
    assert names(paths) == ALL
    assert paths[-1].stat().st_size < 12e6
