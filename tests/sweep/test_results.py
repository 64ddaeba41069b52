import csv
import io
import json
import math
import shlex
from pathlib import Path

import optuna
import pandas
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from visrun.config import plugins
from visrun.config.overrides import parse
from visrun.errors import VisrunError
from visrun.sweep import results
from visrun.sweep.results import closing_lines, rows, summary, write_results
from visrun.sweep.ties import graded
from visrun.sweep.trials import best_of, counts, leaders, objectives, pareto, ranking, reason_of

optuna.logging.set_verbosity(optuna.logging.ERROR)
C, P, F, R, W = (TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"))
UP, DOWN = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE


def make_study(*directions, names=None):
    study = optuna.create_study(directions=list(directions) or ["maximize"])
    if names:
        study.set_user_attr("visrun", {"objectives": list(names)})
    return study


def add(study, state=C, values=None, params=None, curve=None, **attributes):
    params = params or {}
    spread = {
        name: FloatDistribution(0, 100) if isinstance(value, float) else CategoricalDistribution([value, "other"])
        for name, value in params.items()
    }
    study.add_trial(
        create_trial(
            state=state,
            values=[values] if isinstance(values, (int, float)) else values,
            params=params,
            distributions=spread,
            intermediate_values=dict(enumerate(curve or [], 1)),
            user_attrs=attributes,
        )
    )
    return study.trials[-1]


def run_folder(folder, number, text="{}"):
    place = folder / str(number)
    place.mkdir(parents=True)
    (place / "experiment.json").write_text(text)
    return str(place)


def test_the_yaml_has_the_official_keys_of_one_objective(tmp_path):
    study = make_study()
    add(study, C, 0.5, {"optimizer": "sgd", "learning_rate": 1e-5})
    add(study, C, 0.75, {"optimizer": "adam", "learning_rate": 0.25})
    write_results(study, study.trials, tmp_path)
    content = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert content == {
        "name": "optuna",
        "best_params": {"optimizer": "adam", "learning_rate": 0.25},
        "best_value": 0.75,
    }
    assert content["best_params"] == study.best_params and content["best_value"] == study.best_value


def test_the_yaml_has_the_official_keys_of_several_objectives(tmp_path):
    study = make_study("maximize", "minimize")
    for values in ([0.5, 10.0], [0.9, 30.0], [0.4, 20.0]):
        add(study, C, values, {"learning_rate": values[0]})
    write_results(study, study.trials, tmp_path)
    assert yaml.safe_load((tmp_path / "optimization_results.yaml").read_text()) == {
        "name": "optuna",
        "solutions": [
            {"params": {"learning_rate": 0.5}, "values": [0.5, 10.0]},
            {"params": {"learning_rate": 0.9}, "values": [0.9, 30.0]},
        ],
    }


def test_of_equal_values_that_with_the_lower_loss_is_the_best_and_no_file_shows_it(tmp_path):
    study = make_study(names=["accuracy"])
    for number, loss in enumerate((0.5, 0.25, 0.75)):
        add(study, C, graded(0.75, loss, maximize=True), {"learning_rate": loss})
        run_folder(tmp_path, number, f'{{"trial": {number}}}')
    write_results(study, study.trials, tmp_path)
    content = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert content == {"name": "optuna", "best_params": {"learning_rate": 0.25}, "best_value": 0.75}
    assert (tmp_path / "best/experiment.json").read_text() == '{"trial": 1}'
    assert [row[:3] for row in rows(study, study.trials, leaders(study.trials, study.directions))[1:]] == [
        [str(i), "complete", "0.75"] for i in range(3)
    ]
    assert closing_lines(study, study.trials, folder=tmp_path)[0] == "best accuracy 0.75, trial 1: learning_rate=0.25"


@pytest.mark.parametrize("value", ["1e-5", "null", "true", "a, b", "läßt: #1", ""])
def test_texts_come_back_from_the_yaml_as_they_were(tmp_path, value):
    study = make_study()
    add(study, C, 1.0, {"data.name": value})
    write_results(study, study.trials, tmp_path)
    read = OmegaConf.to_container(OmegaConf.load(tmp_path / "optimization_results.yaml"))
    assert read["best_params"] == {"data.name": value}


@pytest.mark.parametrize("states", [[], [F], [P], [R, W], [F, P, F]])
@pytest.mark.parametrize("directions", [["maximize"], ["maximize", "minimize"]])
def test_without_a_complete_trial_nothing_is_claimed(tmp_path, states, directions):
    study = make_study(*directions)
    for state in states:
        add(study, state, [0.9] * len(directions) if state is P else None, reason="why")
    assert write_results(study, study.trials, tmp_path / "new" / "folder") == []
    assert (tmp_path / "new/folder/optimization_results.yaml").read_text() == "name: optuna\n"
    assert not (tmp_path / "new/folder/best").exists()
    lines = closing_lines(study, study.trials, folder=tmp_path)
    assert lines[0] == "no trial is complete, so there is no best one"
    assert len((tmp_path / "new/folder/trials.csv").read_text().splitlines()) == 1 + len(states)


def test_the_best_one_is_finite_and_the_lowest_of_equal_ones():
    study = make_study()
    for value in (math.inf, 0.5, 0.8, 0.8, -math.inf):
        add(study, C, value)
    add(study, P, 0.99)
    assert best_of(study.trials, study.directions).number == 2
    assert best_of(list(reversed(study.trials)), study.directions).number == 2
    assert [trial.number for trial in ranking(study.trials, [UP])] == [2, 3, 1]
    assert best_of(study.trials, [DOWN]).number == 1
    assert best_of(study.trials[:1], study.directions) is None


def test_of_several_objectives_the_first_decides_and_the_best_one_is_on_the_front():
    study = make_study("maximize", "minimize")
    for values in ([0.9, 30.0], [0.9, 20.0], [0.5, 1.0], [0.5, 1.0]):
        add(study, C, values)
    assert best_of(study.trials, study.directions).number == 1
    assert [trial.number for trial in pareto(study.trials, study.directions)] == [1, 2, 3]
    assert pareto([], study.directions) == []


def test_trials_with_nan_none_or_too_few_values_are_never_on_the_front():
    study = make_study("maximize", "minimize")
    sound = add(study, C, [0.1, 1.0])
    broken = [add(study, C, [1.0, 0.0]) for _ in range(4)]
    for trial, values in zip(broken, ([math.nan, 0.0], None, [1.0], [1.0, -math.inf]), strict=True):
        trial._values = values
    assert pareto([sound, *broken], study.directions) == [sound]
    assert best_of([*broken, sound], study.directions) == sound


VALUES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=25)


@given(VALUES, st.tuples(st.sampled_from([UP, DOWN]), st.sampled_from([UP, DOWN])), st.randoms())
@settings(max_examples=40, deadline=None)
def test_the_front_is_optunas_whatever_the_order(values, directions, random):
    study = optuna.create_study(directions=directions)
    study.add_trials([create_trial(values=[float(a), float(b)]) for a, b in values])
    trials = study.trials
    random.shuffle(trials)
    assert pareto(trials, directions) == sorted(study.best_trials, key=lambda trial: trial.number)
    best = best_of(trials, directions)
    assert best is None if not values else best in study.best_trials


def test_the_table_tells_every_trial():
    study = make_study("maximize", names=["accuracy"])
    add(study, C, 0.5, {"optimizer": "sgd", "momentum": 0.9}, [0.1, 0.5], seconds=12.25, epochs=2, folder="/runs/0")
    add(study, P, 0.25, {"optimizer": "adam"}, [0.25], reason="worse, than\nmost")
    add(study, F, None, {"optimizer": None}, [math.nan], reason='said "no"')
    add(study, R, None, {"optimizer": "adam"}, [0.125, 0.25, 0.5])
    study.enqueue_trial({"optimizer": "lion"})
    study.enqueue_trial({"optimizer": "adam"}, user_attrs={"again": 3})
    assert rows(study, list(reversed(study.trials)), leaders(study.trials, study.directions)) == [
        ["number", "state", "accuracy", "optimizer", "momentum", "epochs", "seconds", "reason", "folder", "best"],
        ["0", "complete", "0.5", "sgd", "0.9", "2", "12.25", "", "/runs/0", "yes"],
        ["1", "pruned", "0.25", "adam", "", "1", "", "worse, than most", "", ""],
        ["2", "failed", "", "null", "", "1", "", 'said "no"', "", ""],
        ["3", "running", "", "adam", "", "3", "", "", "", ""],
        ["4", "queued", "", "lion", "", "", "", "", "", ""],
        ["5", "queued", "", "adam", "", "", "", "", "3", ""],
    ]


def test_columns_of_one_name_are_kept_apart():
    study = make_study("maximize", "minimize", names=["accuracy", "seconds"])
    add(study, C, [0.5, 7.5], {"epochs": 30.0, "state": "x"}, epochs=12)
    add(study, F, None, {"epochs": 10.0}, seconds=1.5, reason="r")
    head, first, second = rows(study, study.trials, leaders(study.trials, study.directions))
    assert head == [
        "number",
        "state",
        "accuracy",
        "seconds",
        "params.epochs",
        "params.state",
        "epochs",
        "reason",
        "folder",
        "best",
    ]
    assert first == ["0", "complete", "0.5", "7.5", "30.0", "x", "12", "", "", "yes"]
    assert second == ["1", "failed", "", "1.5", "10.0", "", "", "r", "", ""]


def test_the_file_opens_in_pandas_and_excel(tmp_path):
    study = make_study(names=["accuracy"])
    add(study, C, 0.1 + 0.2, {"data.root": '/a,b/"Größe" 数字', "learning_rate": 1e-5}, reason="läuft; gut, ja")
    add(study, C, math.inf)
    write_results(study, study.trials, tmp_path)
    raw = (tmp_path / "trials.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")  # Excel reads UTF-8 only with the mark
    table = pandas.read_csv(tmp_path / "trials.csv")
    assert table["number"].tolist() == [0, 1]
    assert table["accuracy"].tolist() == pytest.approx([0.1 + 0.2, math.inf])
    assert table["data.root"][0] == '/a,b/"Größe" 数字'
    assert table["learning_rate"][0] == pytest.approx(1e-5)
    assert table["reason"][0] == "läuft; gut, ja"


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back_from_the_table(tmp_path, texts):
    study = make_study()
    for text in texts:
        add(study, C, 1.0, {"text": text}, reason=text)
    write_results(study, study.trials, tmp_path)
    stream = io.StringIO((tmp_path / "trials.csv").read_bytes().decode("utf-8-sig"), newline="")
    read = list(csv.DictReader(stream))
    assert [row["text"] for row in read] == texts
    assert all(row["reason"].isprintable() for row in read)


def test_best_follows_the_best_trial(tmp_path):
    study = make_study()
    add(study, C, 0.5, folder=run_folder(tmp_path, 0, "first"))
    assert write_results(study, study.trials, tmp_path) == []
    assert (tmp_path / "best/experiment.json").read_text() == "first"
    (tmp_path / "best/notes.txt").write_text("mine")
    add(study, C, 0.75, folder=run_folder(tmp_path, 1, "second"))
    write_results(study, study.trials, tmp_path)
    assert (tmp_path / "best/experiment.json").read_text() == "second"
    assert (tmp_path / "best/notes.txt").read_text() == "mine"
    assert not list(tmp_path.rglob("*.tmp"))


def test_best_of_several_objectives_is_the_front_and_nothing_else(tmp_path):
    study = make_study("maximize", "minimize")
    for number, values in enumerate(([0.5, 10.0], [0.9, 30.0])):
        add(study, C, values, folder=run_folder(tmp_path, number, f"run {number}"))
    write_results(study, study.trials, tmp_path)
    assert {file.parent.name: file.read_text() for file in tmp_path.glob("best/*/*")} == {"0": "run 0", "1": "run 1"}
    add(study, C, [0.6, 9.0], folder=run_folder(tmp_path, 2, "run 2"))
    write_results(study, study.trials, tmp_path)
    assert {file.parent.name: file.read_text() for file in tmp_path.glob("best/*/*")} == {"1": "run 1", "2": "run 2"}
    assert not (tmp_path / "best/0").exists()


def test_a_best_trial_without_a_file_is_said_and_no_other_ones_file_stands_for_it(tmp_path):
    study = make_study()
    add(study, C, 0.5, folder=run_folder(tmp_path, 0))
    write_results(study, study.trials, tmp_path)
    add(study, C, 0.75, folder=str(tmp_path / "nowhere"))
    assert write_results(study, study.trials, tmp_path) == [
        f"trial 1 left no experiment.json to copy to {tmp_path / 'best'}"
    ]
    assert not (tmp_path / "best/experiment.json").exists()
    assert not any("rerun" in line for line in closing_lines(study, study.trials, folder=tmp_path))


def test_a_moved_sweep_finds_its_runs(tmp_path):
    study = make_study()
    add(study, C, 0.5, folder="/was/once/here/0")
    run_folder(tmp_path, 0, "moved")
    assert write_results(study, study.trials, tmp_path) == []
    assert (tmp_path / "best/experiment.json").read_text() == "moved"


def test_a_moved_sweep_takes_nothing_from_the_one_that_lies_in_its_old_place(tmp_path):
    study = make_study()
    add(study, C, 0.5, folder=run_folder(tmp_path / "was" / "here", 0, "another sweep's"))
    run_folder(tmp_path / "moved", 0, "mine")
    write_results(study, study.trials, tmp_path / "moved")
    assert (tmp_path / "moved/best/experiment.json").read_text() == "mine"


def test_files_that_stay_the_same_are_not_written_again(tmp_path):
    study = make_study()
    add(study, C, 0.5, folder=run_folder(tmp_path, 0))
    write_results(study, study.trials, tmp_path)
    files = [tmp_path / "optimization_results.yaml", tmp_path / "trials.csv", tmp_path / "best/experiment.json"]
    before = [file.stat().st_ino for file in files]
    write_results(study, study.trials, tmp_path)
    assert [file.stat().st_ino for file in files] == before


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VisrunError, match="cannot write") as caught:
        write_results(make_study(), [], tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_the_end_of_a_sweep_in_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my sweep, 2"
    study = make_study(names=["accuracy"])
    add(study, C, 0.98125, {"optimizer": "sgd", "momentum": None}, folder=run_folder(folder, 0))
    add(study, P, 0.5)
    write_results(study, study.trials, folder)
    assert closing_lines(study, study.trials, folder=folder, link="http://host/#/1") == [
        "best accuracy 0.9812, trial 0: optimizer=sgd momentum=null",
        "rerun it: visrun 'experiment=my sweep, 2/best/experiment.json'",
        "MLflow: http://host/#/1",
        "2 trials: 1 complete, 1 pruned, 0 failed",
    ]


def test_the_command_of_the_closing_lines_names_plugins_and_the_file_for_visrun(tmp_path):
    plugins.load(["colorsys"], cwd=tmp_path)
    folder = tmp_path / "it's (a) $weird, näme"
    study = make_study()
    add(study, C, 1.0, folder=run_folder(folder, 0, json.dumps({"seed": 1})))
    write_results(study, study.trials, folder)
    line = next(line for line in closing_lines(study, study.trials, folder=folder) if "rerun" in line)
    program, word, plugin = shlex.split(line.removeprefix("rerun it: "))
    typed = parse([word], known=["experiment"], cwd=Path.cwd()).typed[0]
    assert (program, plugin) == ("visrun", "plugins=[colorsys]")
    assert typed.value == str(folder / "best/experiment.json")


def test_the_best_of_trials_that_differ_by_chance_is_told_as_such(tmp_path):
    study = make_study()
    for seed, value in ((0, 0.5), (1, 0.75)):
        add(study, C, value, {"seed": seed}, folder=run_folder(tmp_path, seed))
    assert closing_lines(study, study.trials, folder=tmp_path) == ["2 trials: 2 complete, 0 pruned, 0 failed"]
    add(study, C, 0.25, {"seed": 0, "optimizer": "sgd"}, folder=run_folder(tmp_path, 2))
    lines = closing_lines(study, study.trials, folder=tmp_path)
    assert lines[0].startswith("best value 0.75, trial 1: seed=1")
    assert "trials differ in seed, too: the best one is also a lucky one" in lines


def test_trials_before_the_dataset_changed_are_told():
    study = make_study()
    add(study, C, 0.5)  # of an earlier visrun
    assert results.of_other_data(study.trials) is None
    for root, data in (("a", "1"), ("a", "1"), ("other", "3")):
        add(study, C, 0.5, {"data.root": root}, data=data)
    assert results.of_other_data(study.trials) is None
    add(study, P, params={"data.root": "a"}, data="2")
    assert results.of_other_data(study.trials) == (
        "trials 1, 2 ended before the dataset changed: values of other data do not compare; sweep into another folder"
    )


def test_a_front_is_listed_and_a_long_one_cut(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = make_study("maximize", "minimize", names=["accuracy", "seconds"])
    for number in range(13):
        add(study, C, [number / 100, float(number)], {"lr": float(number)}, folder=run_folder(tmp_path, number))
    write_results(study, study.trials, tmp_path)
    lines = closing_lines(study, study.trials, folder=tmp_path)
    assert lines[:3] == [
        "Pareto front: 13 of 13 trials",
        "trial 0: accuracy 0, seconds 0: lr=0.0",
        "rerun it: visrun experiment=best/0/experiment.json",
    ]
    assert lines[-2:] == [
        f"3 more in {tmp_path / 'optimization_results.yaml'}",
        "13 trials: 13 complete, 0 pruned, 0 failed",
    ]


def test_values_of_several_objectives_are_read_without_the_noise_of_single_precision(tmp_path):
    study = make_study("maximize", "minimize", names=["accuracy", "parameters"])
    add(study, C, [0.8500000238418579, 307618.0], {"lr": 0.1})
    add(study, C, [0.8999999761581421, 11_173_962.0], {"lr": 0.2})
    add(study, C, [1 / 3, 6.5], {"lr": 0.3})
    front = leaders(study.trials, study.directions)
    values = [[0.85, 307618.0], [0.9, 11_173_962.0], [0.3333333, 6.5]]
    assert [found["values"] for found in summary(study, front)["solutions"]] == values
    table = rows(study, study.trials, front)
    assert [row[2:4] for row in table[1:]] == [["0.85", "307618"], ["0.9", "11173962"], ["0.3333333", "6.5"]]
    assert closing_lines(study, study.trials, folder=tmp_path)[1:4] == [
        "trial 0: accuracy 0.85, parameters 307618: lr=0.1",
        "trial 1: accuracy 0.9, parameters 11173962: lr=0.2",
        "trial 2: accuracy 0.3333, parameters 6.5: lr=0.3",
    ]


def test_failures_are_grouped_and_the_last_line():
    study = make_study()
    add(study, C, 0.5)
    for epoch in (3, 12):
        add(study, F, reason=f"the loss became NaN in epoch {epoch}, at learning_rate={epoch / 7}: see /run/22/a1.png")
    add(study, F, reason="killed (signal 9)")
    add(study, F)
    add(study, R)
    lines = closing_lines(study, study.trials, folder=Path("nowhere"))
    assert lines[-2] == "6 trials: 1 complete, 0 pruned, 4 failed, 1 running"
    assert lines[-1] == (
        "4 of 5 trials failed: the loss became NaN in epoch …, at learning_rate=…: see /run/22/a1.png (trials 1, 2); "
        "killed (signal 9) (trial 3); no reason is known (trial 4)"
    )


def test_many_reasons_stay_one_readable_line():
    study = make_study()
    for letter in "abcdefg":
        add(study, F, reason=f"{letter}\n{'x' * 300}")
    for _ in range(9):
        add(study, F, reason="disk full")
    last = closing_lines(study, study.trials, folder=Path("nowhere"))[-1]
    assert last.startswith("16 of 16 trials failed: disk full (trials 7, 8, 9, 10, 11, 12 and 3 more); a xxx")
    assert last.endswith("; 3 other reasons, see trials.csv") and "\n" not in last and len(last) < 1100


def test_an_empty_study_ends_too(tmp_path):
    study = make_study()
    assert closing_lines(study, [], folder=tmp_path) == ["no trial is complete, so there is no best one", "0 trials"]


def test_a_thousand_trials_are_written(tmp_path):
    study = make_study("maximize", "minimize")
    study.add_trials([create_trial(values=[float(number % 37), float(number % 41)]) for number in range(1000)])
    problems = write_results(study, study.trials, tmp_path)
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 1001
    assert len(problems) == len(study.best_trials)


def test_names_of_objectives():
    assert objectives(make_study()) == ["value"]
    assert objectives(make_study("maximize", "minimize")) == ["value_0", "value_1"]
    assert objectives(make_study(names=["miou"])) == ["miou"]
    assert objectives(make_study("maximize", "minimize", names=["miou"])) == ["value_0", "value_1"]
    study = make_study()
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["loss"])
    assert objectives(study) == ["loss"]


def test_counts_and_reasons_are_plain():
    study = make_study()
    assert counts([]) == "0 complete, 0 pruned, 0 failed"
    study.enqueue_trial({})
    trial = add(study, F, reason="\x1b[31mred\tand  blank\n")
    assert counts(study.trials) == "0 complete, 0 pruned, 1 failed, 1 queued"
    assert reason_of(trial) == "[31mred and blank"
