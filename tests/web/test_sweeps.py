"""A sweep as the page shows it, from its folder; and the space that the page edits, as words of a command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from visrun.config.compose import check_sweep
from visrun.config.configs import open_conf
from visrun.config.fields import extra, one_of
from visrun.config.sweeper import PRUNERS
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters
from visrun.record.sweep_files import LEAD
from visrun.sweep.checks import _numbers
from visrun.tables import MODELS, TASKS
from visrun.web import sweeps
from visrun.web.bodies import State, Swept
from visrun.web.composer import Composer
from visrun.web.desk import Desk
from visrun.web.form import Form, fill
from visrun.web.library import Library
from visrun.web.processes import Conflict, Processes
from visrun.web.roots import Roots
from visrun.web.space import offered, planned
from visrun.web.state import Facts
from visrun.web.sweeps import best_of, detail, ending, merged, study_of, told_by_folder

from .test_runs import GONE, ME, row, write

TABLE = """number,state,accuracy,optimizer,learning_rate,momentum,epochs,seconds,reason,folder,best
0,complete,0.9,adam,0.01,,3,5.0,,f,yes
1,pruned,0.4,sgd,0.1,0.8,1,2.0,median pruner,f,
2,failed,,sgd,0.5,0.9,,,NaN,f,
3,running,,adam,0.02,,,,,f,
4,queued,,,,,,,,,
"""
STUDY = {"task": "classification", "monitor": "accuracy", "objectives": ["accuracy"], "n_trials": 5}


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composer]:
    yield Composer(tmp_path_factory.mktemp("work"))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Trials 0 complete, 1 pruned, 2 failed, 3 running and 4 waiting, as a sweep leaves them while it runs."""
    folder = tmp_path / "multirun" / "study"
    folder.mkdir(parents=True)
    (folder / "trials.csv").write_text("\ufeff" + TABLE, encoding="utf-8")
    journal = [
        json.dumps({"op_code": 2, "user_attr": {"visrun": study}}, separators=(",", ":")) for study in ({}, STUDY)
    ]
    (folder / "study.journal").write_text("\n".join(["{}", *journal, '{"op_code":4,"torn']))
    (folder / "plots").mkdir()
    (folder / "plots" / "importance.json").write_text('{"learning_rate": 0.75, "optimizer": 0.25}')
    write(
        folder / "0", result={"status": "finished", "val": {"accuracy": 0.9}}, rows=[row(i, i / 10) for i in (1, 2, 9)]
    )
    words = ("optimizer=adam", "learning_rate=0.02", "max_epochs=3", "warmup_epochs=0")
    write(
        folder / "3",
        result={"status": "running"},
        words=words,
        lock=ME,
        status={"state": "training"},
        rows=[row(1, 0.3)],
    )
    (folder / "best").mkdir()
    return folder


def test_the_trials_are_told_by_the_table_and_by_their_folders(sweep: Path, tmp_path: Path) -> None:
    library = Library(tmp_path)
    told = detail(sweep, library)
    assert (told["task"], told["objectives"], told["wanted"], told["state"]) == (
        "classification",
        ["accuracy"],
        5,
        "stopped",
    )
    assert told["params"] == ["optimizer", "learning_rate", "momentum"]
    trials = told["trials"]
    assert [(trial["number"], trial["state"], trial["value"]) for trial in trials] == [
        (0, "complete", 0.9),
        (1, "pruned", 0.4),
        (2, "failed", None),
        (3, "running", None),
        (4, "queued", None),
    ]
    assert trials[0]["spark"] == [0.1, 0.2, 0.9] and trials[2]["reason"] == "NaN"
    assert trials[3]["params"] == {"optimizer": "adam", "learning_rate": "0.02"}
    assert (trials[3]["epochs"], trials[3]["of"]) == (1, 3)
    assert told["ended"] == 3
    assert list(told["counts"].items()) == [("complete", 1), ("running", 1), ("pruned", 1), ("failed", 1)]
    assert told["best"] == [0] and told["importance"] == {"learning_rate": 0.75, "optimizer": 0.25}
    place = library.find(trials[0]["id"])
    assert place is not None and place.path == sweep / "0" and trials[1]["id"] is None


def test_a_trial_that_starts_has_not_failed(sweep: Path, tmp_path: Path) -> None:
    (sweep / ".lead.lock").write_text(json.dumps(ME))
    for number in (4, 9):  # 9 was lost when the sweep was stopped: its point has become another trial
        (sweep / str(number)).mkdir()
    told = detail(sweep, Library(tmp_path))
    assert [(trial["number"], trial["state"]) for trial in told["trials"]][3:] == [(3, "running"), (4, "queued")]
    assert (told["ended"], told["counts"]["failed"]) == (3, 1)
    write(sweep / "4", lock=ME)
    assert detail(sweep, Library(tmp_path))["trials"][4]["state"] == "starting"


def test_only_trials_that_run_or_have_changed_are_read_again(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def noted(folder: Path, params: list[str], task: str) -> dict[str, Any]:
        read.append(folder.name)
        return told_by_folder(folder, params, task)

    monkeypatch.setattr(sweeps, "told_by_folder", noted)
    write(sweep / "5", result={"status": "running"}, lock=GONE)
    library, seen = Library(tmp_path), list[list[str]]()

    def look() -> dict[str, Any]:
        read.clear()
        found = detail(sweep, library)
        seen.append(sorted(read))
        return found

    first = look()
    assert look() == first
    write(sweep / "0", rows=[row(1, 0.25)])
    assert look()["trials"][0]["spark"] == [0.25]
    write(sweep / "5", lock=ME)  # it goes on
    assert look()["trials"][5]["state"] == "starting"
    (sweep / "trials.csv").write_text(TABLE.replace("momentum", "dropout"))
    assert look()["params"] == ["optimizer", "learning_rate", "dropout"]
    assert seen == [["0", "3", "5"], ["3"], ["0", "3"], ["3", "5"], ["0", "3", "5"]]


@pytest.mark.parametrize("table", [True, False])
def test_what_a_sweep_stopped_with_had_not_failed_and_is_gone_on_with(table: bool, tmp_path: Path) -> None:
    folder = write(tmp_path / "multirun" / "s", ui={**GONE, "kind": "sweep", "trials": 2, "words": ["-m"]})
    rows = [f"{number},running,,adam,0.1,,,,,f," for number in (0, 1)]
    for number in (0, 1):
        (folder / str(number)).mkdir()
    if table:
        (folder / "trials.csv").write_text("\n".join([TABLE.splitlines()[0], *rows]))
    told = detail(folder, Library(tmp_path))
    assert (told["counts"], told["ended"], told["can_resume"]) == ({"stopped": 2}, 0, True)


def test_a_stopped_trial_whose_point_waits_again_says_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "multirun" / "s", ui={**GONE, "kind": "sweep", "trials": 2, "words": ["-m"]})
    write(folder / "0", result={"status": "killed"})
    rows = ["1,queued,,adam,0.1,,,,,,", "2,queued,,adam,0.2,,,,,,"]  # 2 stands for 0
    (folder / "trials.csv").write_text("\n".join([TABLE.splitlines()[0], *rows]))
    told = [(trial["state"], trial.get("reason")) for trial in detail(folder, Library(tmp_path))["trials"]]
    assert told == [("stopped", "queued again under another number"), ("queued", ""), ("queued", "")]


@pytest.mark.parametrize("living", [True, False])
def test_a_stopped_trial_and_the_queued_one_that_goes_on_with_it_are_one(living: bool, tmp_path: Path) -> None:
    folder = write(tmp_path / "multirun" / "s", ui={**GONE, "kind": "sweep", "trials": 4, "words": ["-m"]})
    if living:
        (folder / LEAD).write_text(json.dumps(ME))
    write(folder / "0", result={"status": "killed"}, rows=[row(1, 0.25)])
    write(folder / "1", result={"status": "failed"})
    # 4 stands for 0, 5 for 1, which failed by itself, and 6 for one that left no folder
    rows = [f"{number},queued,,adam,0.1,,,,,{lost}," for number, lost in ((2, ""), (4, "0"), (5, "1"), (6, "3"))]
    (folder / "trials.csv").write_text("\n".join([TABLE.splitlines()[0], *rows]))
    library = Library(tmp_path)
    told = {trial["number"]: trial for trial in detail(folder, library)["trials"]}
    states = {number: trial["state"] for number, trial in told.items()}
    onward = "queued" if living else "stopped"
    assert states == {1: "failed", 2: "queued", 4: onward, 5: "queued", 6: "queued"}
    place = library.find(told[4]["id"])
    assert place is not None and place.path == folder / "0" and told[4]["spark"] == [0.25] and not told[4]["reason"]


def test_a_trial_that_failed_and_is_run_again_counts_no_more(tmp_path: Path) -> None:
    folder = write(tmp_path / "multirun" / "s", ui={**GONE, "kind": "sweep", "trials": 2, "words": ["-m"]})
    write(folder / "0", result={"status": "failed"})
    rows = ["1,complete,0.5,adam,0.1,,3,5.0,,f,", "2,queued,,adam,0.2,,,,,,"]  # 2 stands for 0
    (folder / "trials.csv").write_text("\n".join([TABLE.splitlines()[0], *rows]))
    told = detail(folder, Library(tmp_path))
    assert [trial["state"] for trial in told["trials"]] == ["failed", "complete", "queued"]
    assert (told["counts"], told["ended"], told["can_resume"]) == ({"complete": 1}, 1, True)


@pytest.mark.parametrize(
    ("words", "states", "over"),
    [
        (["-m", "seed=1,2"], ["complete"], False),
        (["-m", "seed=1,2"], ["complete", "complete"], True),
        (["-m", "seed=1,2"], ["complete", "failed"], True),
        (["repeat", "seeds=2"], ["complete", "failed"], False),  # going on runs that seed again
        (["repeat", "seeds=2"], ["complete", "complete"], True),
    ],
)
def test_a_sweep_is_gone_on_with_while_something_is_left(
    words: list[str], states: list[str], over: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "all its trials have ended; there is nothing to go on with" if over else ""
    started: list[Any] = []
    monkeypatch.setattr(Processes, "_start", lambda _, *given: started.append(given))
    folder = write(tmp_path / "multirun" / "s")
    lead = {**GONE, "kind": "sweep", "words": words, "cwd": str(tmp_path), "n_trials": 2}
    (folder / LEAD).write_text(json.dumps(lead))
    rows = [f"{number},{state},0.5,adam,0.1,,3,5.0,,f," for number, state in enumerate(states)]
    (folder / "trials.csv").write_text("\n".join([TABLE.splitlines()[0], *rows]))
    desk = Desk(tmp_path, Roots([tmp_path]), "cookie", "token")
    (place,) = desk.library.places()
    assert desk.sweep(place)["can_resume"] == (not why)
    with pytest.raises(Conflict, match=why) if why else nullcontext():
        desk.resume(place)
    assert len(started) == (not why)


def test_a_trial_shows_the_parameters_that_it_reads(sweep: Path, tmp_path: Path) -> None:
    words = ("optimizer=adam", "loss=cross_entropy", "augment.hflip=true", "max_epochs=3", "warmup_epochs=0")
    write(sweep / "3", result={"status": "running"}, words=words)
    head = TABLE.splitlines()[0].replace("momentum", "momentum,loss_options.gamma,augment.hflip")
    (sweep / "trials.csv").write_text(head + "\n")
    params = next(trial["params"] for trial in detail(sweep, Library(tmp_path))["trials"] if trial["number"] == 3)
    assert params == {"optimizer": "adam", "learning_rate": "0.001", "augment.hflip": "true"}


def test_a_sweep_that_wrote_nothing_yet_says_what_was_asked_for(tmp_path: Path) -> None:
    ui = {**ME, "kind": "sweep", "task": "regression", "trials": 7, "space": ["dropout"], "words": ["-m"]}
    folder = write(tmp_path / "multirun" / "s", ui=ui)
    told = detail(folder, Library(tmp_path))
    assert (told["state"], told["wanted"], told["params"], told["trials"], told["best"]) == (
        "running",
        7,
        ["dropout"],
        [],
        [],
    )
    assert told["can_stop"] and not told["can_resume"]
    write(folder, ui={**ui, **GONE, "exit_code": 2})
    lines = [f"visrun: error: {text}" for text in ("an old slip", "nothing varies", "seed=x: must be an integer")]
    (folder / "console.log").write_text("\n".join([lines[0], "sweep: here", *lines[1:], "", ""]))
    told = detail(folder, Library(tmp_path))
    assert (told["state"], told["exit_code"], told["can_resume"]) == ("failed", 2, False)
    assert told["reason"] == "nothing varies; seed=x: must be an integer"
    (folder / "trials.csv").write_text(
        "number,state,mae,dropout,epochs,seconds,reason,folder,best\n0,complete,1,0,1,1,,,yes"
    )
    told = detail(folder, Library(tmp_path))  # what is wrong now may be mended: there is something to go on with
    assert (told["reason"], told["can_resume"]) == ("nothing varies; seed=x: must be an integer", True)


@pytest.mark.parametrize(
    ("code", "ended", "failed", "wanted", "told"),
    [
        (None, 1, 1, 2, ("", False)),
        (0, 2, 0, 2, ("", False)),
        (143, 1, 1, 2, ("", False)),
        (1, 2, 1, 2, ("1 of 2 trials failed.", False)),
        (1, 2, 1, None, ("1 of 2 trials failed.", False)),
        (1, 2, 2, 2, ("2 of 2 trials failed.", True)),
        (1, 2, 1, 3, ("1 of 2 trials failed.", True)),
        (1, 1, 0, 2, ("The sweep has failed.", True)),
        (2, 1, 1, 2, ("The sweep has failed.", True)),
        (-9, 2, 1, 2, ("The sweep has failed.", True)),
    ],
)
def test_a_trial_that_failed_is_not_the_sweeps_failure(
    code: int | None, ended: int, failed: int, wanted: int | None, told: tuple[str, bool]
) -> None:
    assert ending(Facts(Path(), {}, {}, {"exit_code": code}, None), ended=ended, failed=failed, wanted=wanted) == told


@pytest.mark.parametrize(
    ("asked", "code", "why"),
    [("stop", -15, "stopped by you before it began"), ("kill", -9, "ended by you at once"), ("stop", 143, "")],
)
def test_a_sweep_that_was_stopped_at_once_has_not_failed(asked: str, code: int, why: str) -> None:
    ui = {**GONE, "asked": asked, "asked_of": GONE["pid"], "exit_code": code}
    assert ending(Facts(Path(), {}, {}, ui, None), ended=0, failed=0, wanted=2) == (why, False)


@pytest.mark.parametrize("content", ["", "{}", '{"user_attr":{"visrun":', '{"user_attr":{"visrun":3}}', "\x00\xff"])
def test_a_journal_that_tells_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / "study.journal").write_text(content, encoding="latin-1")
    assert study_of(tmp_path) == {}
    assert study_of(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("noted", [5, True, 1.5, "x", {"a": 1}, [1.5], [["a"]]], ids=str)
def test_names_that_are_none_keep_no_sweep_from_its_page(noted: Any, sweep: Path, tmp_path: Path) -> None:
    (sweep / "trials.csv").unlink()
    (sweep / "study.journal").write_text('{"user_attr":{"visrun":' + json.dumps({**STUDY, "objectives": noted}) + "}}")
    write(sweep, ui={**GONE, "kind": "sweep", "space": noted})
    told = detail(sweep, Library(tmp_path))
    assert told["params"] == ([str(name) for name in noted] if isinstance(noted, list) else [])
    assert told["objectives"] == (told["params"] or ["accuracy"])


def test_the_best_by_hand() -> None:
    def trial(number: int, value: Any, state: str = "complete") -> dict[str, Any]:
        return {"number": number, "value": value, "state": state}

    trials = [
        trial(0, 0.5),
        trial(1, 0.9, "pruned"),
        trial(2, 0.7),
        trial(3, 0.7),
        trial(4, None),
        trial(5, float("nan")),
    ]
    assert best_of(trials, maximize=True) == [2] and best_of(trials, maximize=False) == [0]
    assert best_of([], maximize=True) == []


def test_the_table_says_which_of_equal_trials_is_the_best(sweep: Path, tmp_path: Path) -> None:
    rows = ["0,complete,0.9,adam,0.01,,3,5.0,,f,", "1,complete,0.9,adam,0.02,,3,5.0,,f,yes"]
    (sweep / "trials.csv").write_text("\n".join([TABLE.splitlines()[0], *rows]))
    assert detail(sweep, Library(tmp_path))["best"] == [1]
    (sweep / "trials.csv").write_text("\n".join([TABLE.splitlines()[0], *(row.removesuffix("yes") for row in rows)]))
    assert detail(sweep, Library(tmp_path))["best"] == []
    (sweep / "trials.csv").unlink()
    assert detail(sweep, Library(tmp_path))["best"] == [0]


def test_every_objective_is_told(sweep: Path, tmp_path: Path) -> None:
    study = {"op_code": 2, "user_attr": {"visrun": {**STUDY, "objectives": ["accuracy", "parameters"]}}}
    (sweep / "study.journal").write_text(json.dumps(study, separators=(",", ":")) + "\n")
    head = "number,state,accuracy,parameters,optimizer,epochs,seconds,reason,folder,best"
    rows = ["0,complete,0.9,4000.0,adam,3,5.0,,f,yes", "1,complete,0.8,1000.0,sgd,3,5.0,,f,yes"]
    rows.append("2,failed,,,sgd,,,NaN,f,")
    (sweep / "trials.csv").write_text("\n".join([head, *rows]))
    told = detail(sweep, Library(tmp_path))
    assert told["best"] == [0, 1] and told["params"] == ["optimizer"]
    expected = [(0.9, {"parameters": 4000.0}), (0.8, {"parameters": 1000.0}), (None, {"parameters": None}), (None, {})]
    assert [(trial["value"], trial["more"]) for trial in told["trials"]] == expected


def test_what_the_table_has_settled_stands() -> None:
    known = {"state": "complete", "value": 0.5, "params": {"a": "1"}}
    assert merged(known, {"state": "running", "value": None, "params": {}, "spark": [1.0]})["state"] == "complete"
    assert merged({"state": "running", "params": {}}, {"state": "stopped", "params": {"a": "2"}})["state"] == "stopped"


# The space


def words_of(form: Form, composer: Composer, ranges: dict[str, Any], **asked: Any) -> tuple[str, ...]:
    return planned(form, Swept(task=form.task, ranges=ranges, **asked), composer)


def test_ranges_are_prefilled_from_the_ready_spaces(composer: Composer) -> None:
    told = offered(fill("classification", None, {}, composer), composer)
    assert set(told["ready"]) == set(composer.conf.options("sweep")) and told["pruners"] == list(PRUNERS)
    assert told["ready"]["default"]["learning_rate"] == {"low": 1e-5, "high": 0.1, "log": True}
    ranged = [name for name, info in Hyperparameters.model_fields.items() if extra(info, "search")]
    assert {*told["fields"]} == {*ranged, "model", "max_epochs", "seed"}
    assert told["fields"]["loss"]["choices"] == ["cross_entropy", "label_smoothing", "focal", "bce"]
    short = offered(fill("classification", None, {"max_epochs": "4", "warmup_epochs": "0"}, composer), composer)
    assert short["fields"]["warmup_epochs"]["high"] == 3
    assert short["fields"]["max_epochs"]["choices"] == [2, 4, 8] and short["fields"]["seed"]["choices"] == [0, 1, 2]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("epochs", ["1", "1000"])
def test_what_has_no_range_in_the_schema_is_filled_in_with_what_a_sweep_takes(
    task: str, epochs: str, composer: Composer
) -> None:
    form = fill(task, None, {"max_epochs": epochs, "warmup_epochs": "0"}, composer)
    fields = offered(form, composer)["fields"]
    models = [name for name, entry in MODELS.items() if task in entry.tasks]
    assert fields["model"]["choices"] == models
    assert fields["max_epochs"]["choices"] == {"1": [1, 2], "1000": [500, 1000]}[epochs]
    ranges = {key: fields[key] for key in ("model", "max_epochs", "seed")}
    words = words_of(form, composer, ranges)
    assert f"model=choice({','.join(models)})" in words


@pytest.mark.parametrize("model", [None, "resnet18", "mobilenet_v2"])  # the last one is two words
def test_models_epochs_and_seeds_vary_as_they_are_typed(model: str | None, composer: Composer) -> None:
    form = fill("classification", model, {"max_epochs": "9", "seed": "5", "dropout": "0.5"}, composer)
    own = {None: [], "resnet18": ["model=resnet18"], "mobilenet_v2": ["model=torchvision", "model.name=mobilenet_v2"]}

    def words(**choices: list[str]) -> tuple[str, ...]:
        ranges = {key: {"choices": listed} for key, listed in choices.items()}
        return words_of(form, composer, ranges)[:-1]

    assert words(seed=["0", "1", "2"]) == (*own[model], "max_epochs=9", "dropout=0.5", "seed=choice(0,1,2)")
    assert words(model=["resnet18", "resnet50"], max_epochs=["5", "10"]) == (
        "dropout=0.5",
        "seed=5",
        "model=choice(resnet18,resnet50)",
        "max_epochs=choice(5,10)",
    )


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("default", "classification"),
        ("wide", "segmentation"),
        ("optimizer", "regression"),
        ("schedule", "classification"),
        ("regularization", "segmentation"),
    ],
)
def test_a_ready_space_as_it_stands_is_the_command_lines(name: str, task: str, composer: Composer) -> None:
    form = fill(task, None, {}, composer)
    ranges = {key: space for key, space in offered(form, composer)["ready"][name].items() if space}
    as_texts = json.loads(json.dumps(ranges))
    words = words_of(form, composer, as_texts, pruner="none")
    mine = check_sweep([word for word in words if not word.startswith("hydra")], open_conf(composer.cwd))
    theirs = check_sweep([f"task={task}", f"sweep={name}"], open_conf(composer.cwd))
    assert {*mine.words} - {f"task={task}"} == {*theirs.words} - {f"task={task}"}


def test_a_wrong_value_of_what_varies_keeps_no_sweep_from_starting(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Roots([tmp_path]), "cookie", "token")
    state = State(task="classification", touched={"learning_rate": "abc", "batch_size": "16"})
    with pytest.raises(ConfigError, match="learning_rate=abc"):
        desk.checked(state, varied=["batch_size"])
    assert desk.checked(state, varied=["learning_rate"]).sent == {"batch_size": 16}


def test_a_plan_is_a_command_that_a_person_could_type(composer: Composer) -> None:
    form = fill("classification", "resnet18", {"max_epochs": "5", "optimizer": "sgd", "warmup_epochs": "0"}, composer)
    ranges = {
        "learning_rate": {"low": "1e-4", "high": "1e-1", "log": True},
        "optimizer": {"choices": ["adam", "sgd"]},
        "batch_size": {"choices": ["16", "32"]},
        "dropout": {"low": 0, "high": 0.5, "step": ".1"},
    }
    assert words_of(form, composer, ranges, trials=12, pruner="median", slots=2) == (
        "model=resnet18",
        "warmup_epochs=0",
        "max_epochs=5",
        "learning_rate=tag(log, interval(0.0001,0.1))",
        "optimizer=choice(adam,sgd)",
        "batch_size=choice(16,32)",
        "dropout=range(0.0,0.55,0.1)",
        "hydra.sweeper.n_trials=12",
        "hydra/sweeper/pruner=median",
        "hydra.sweeper.n_jobs=2",
    )


@pytest.mark.parametrize(
    ("ranges", "line"),
    [
        ({}, "tick at least one field to vary"),
        ({"learning_rate": {"low": "1e-", "high": 1}}, "ranges.learning_rate.low=1e-: must be a number"),
        ({"learning_rate": {"low": 1, "high": 0.1}}, "ranges.learning_rate: low=1: must not be above high=0.1"),
        ({"learning_rate": {"low": 0, "high": 1, "log": True}}, "low=0: must be above 0 where log is true"),
        ({"batch_size": {"choices": [16, 300]}}, "ranges.batch_size=300: must be an integer from 1 to 256"),
        ({"batch_size": {"choices": []}}, "must be a list of values"),
        ({"milestones": {"low": 1, "high": 2}}, "milestones"),
        ({"seed": {"choices": ["1", "x"]}}, "ranges.seed=x: must be an integer from 0 to 4294967295"),
        ({"max_epochs": {"choices": [5, 5000]}}, "ranges.max_epochs=5000: must be an integer from 1 to 1000"),
        ({"model": {"choices": ["resnet18", "resnet19"]}}, "(did you mean resnet18?)"),
        ({"model": {"choices": ["resnet18", "mobilenet_v2"]}}, "is model=torchvision model.name=mobilenet_v2"),
        ({"model": {"choices": ["resnet18"]}}, "model: this range leaves no two values to try"),
        ({"loss": {"choices": ["mse", "mae"]}}, "loss: this range leaves no two values to try"),
        ({"batch_size": {"choices": ["16"]}}, "batch_size: this range leaves no two values to try"),
        ({"learning_rate": {"low": 0.1, "high": 0.1}}, "learning_rate: this range leaves no two values to try"),
    ],
    ids=str,
)
def test_a_wrong_range_is_said(ranges: dict[str, Any], line: str, composer: Composer) -> None:
    with pytest.raises(ConfigError) as caught:
        words_of(fill("classification", None, {}, composer), composer, ranges)
    assert line in " ".join(caught.value.problems)


def test_a_range_that_the_form_empties_is_said_beside_one_that_varies(composer: Composer) -> None:
    form = fill("classification", None, {"max_epochs": "3", "warmup_epochs": "0"}, composer)
    ranges = {"dropout": {"low": 0, "high": 0.5}, "warmup_epochs": {"low": 2, "high": 8}}
    with pytest.raises(ConfigError) as caught:
        words_of(form, composer, ranges)
    assert caught.value.problems == ("warmup_epochs: this range leaves no two values to try",)


@pytest.mark.parametrize("number", [0, -1, "1.5", "1e3", "abc", ""])
def test_wrong_numbers_are_said_as_the_sweep_would_say_them(number: int | str, composer: Composer) -> None:
    form, ranges = fill("classification", None, {}, composer), {"dropout": {"low": 0, "high": 0.5}}
    with pytest.raises(ConfigError) as caught:
        words_of(form, composer, ranges, trials=number, pruner="x", slots=number)
    *numbers, pruner = caught.value.problems
    theirs: list[str] = []
    _numbers({"n_trials": number, "n_jobs": number, "max_failure_rate": 1.0, "timeout": None}, theirs)
    assert numbers == theirs
    assert pruner == f"hydra/sweeper/pruner=x: must be {one_of(sorted(PRUNERS))}"


def test_without_a_number_of_trials_a_sweep_has_what_its_space_asks_for(composer: Composer) -> None:
    form, ranges = fill("classification", None, {}, composer), {"dropout": {"choices": [0, 0.5]}}
    assert words_of(form, composer, ranges, trials=None) == ("dropout=choice(0,0.5)",)


def test_a_sweep_is_as_large_as_on_the_command_line(composer: Composer) -> None:
    form, ranges = fill("classification", None, {}, composer), {"dropout": {"low": 0, "high": 0.5}}
    words = words_of(form, composer, ranges, trials=10**6, slots=1000)
    assert {"hydra.sweeper.n_trials=1000000", "hydra.sweeper.n_jobs=1000"} <= {*words}
