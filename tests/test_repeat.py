"""One configuration with several seeds or folds: what is asked for, what is counted, what is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.forked import Command
from tests.test_repetition import of_seeds, write_trial
from visrun import launch, repeat
from visrun.config.compose import resolve
from visrun.errors import ConfigError
from visrun.repetition import Repetition, finished
from visrun.spread import spread
from visrun.tables import TASKS
from visrun.tables.entries import SHARES

RANGE_OF = TASKS["classification"].range_of
# A training that takes no time: its accuracies follow from the seed, and a seed may fail.
FAKE = """
import json, sys, types
import visrun
import visrun.sweep.pictures as pictures
from visrun.errors import VisrunError

def execute(resolved, folder, *, trial=None):
    seed = resolved.settings.seed
    trial.begin(folder)
    fold = resolved.settings.data.fold
    content = {"seed": seed, "data": {"fold": fold}, "result": {"status": "running"}}
    seed = seed if fold is None else int(fold[0])
    file = folder / "experiment.json"
    if seed == 9 and not (folder.parent / "mended").exists():
        file.write_text(json.dumps(content | {"result": {"status": "failed", "val": {"accuracy": 0.0}}}))
        raise VisrunError("seed 9 is none")
    metrics = {"val": {"f1": 0.5, "accuracy": 0.5 + seed / 10}, "test": {"accuracy": seed / 10, "iou/a": 0.5}}
    file.write_text(json.dumps(content | {"result": {"status": "finished", **metrics}}))
    return types.SimpleNamespace(
        folder=folder, status="finished", value=0.5, best_epoch=1, seconds=1.0, parameters=1, exit_code=0, reason=None
    )

pictures.draw = lambda *_, **__: []
visrun.run = sys.modules["visrun.run"] = types.ModuleType("visrun.run")
visrun.run.execute = execute
"""


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["optimizer=adam,sgd"], "optimizer=adam,sgd: one value only"),
        (["lr=1"], "did you mean learning_rate"),
        (["hydra.sweep.dir=${now:x}"], "repeat takes a plain path"),
        (["--json"], "unrecognized arguments: --json"),
    ],
)
def test_a_wrong_configuration_leaves_no_folder(
    words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=line):
        repeat.main(words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "place"), [("~/w", "w"), ("it's/w", "it's/w"), (r"'it\'s/w'", "it's/w"), ("'a b'", "a b")]
)
def test_it_concludes_in_the_folder_that_hydra_writes_to(
    text: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch, "main", lambda *_, **__: 0)
    folders: list[Path] = []
    monkeypatch.setattr(repeat, "conclude", lambda folder, *_: folders.append(folder.absolute()))
    assert repeat.main([f"hydra.sweep.dir={text}"]) == 0
    assert folders == [tmp_path / place]


@pytest.mark.parametrize(("words", "again"), [([], True), (["hydra.sweeper.worker=true"], False)])
def test_the_leader_alone_is_told_to_run_again_what_failed(
    words: list[str], again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []
    monkeypatch.setattr(launch, "main", lambda words, **_: asked.extend(words) or 130)
    assert repeat.main(["seeds=2", "hydra.sweeper.study_name=mine", *words]) == 130
    assert ("hydra.sweeper.retry_failed=true" in asked) == again


def test_the_monitored_metric_stands_first_and_each_counts_its_own_runs() -> None:
    runs = [
        Repetition(0, Path("0"), {"val/f1": 0.5, "val/accuracy": 0.5, "test/accuracy": 1.0}),
        Repetition(1, Path("1"), {"val/f1": 0.5, "val/accuracy": 1.0}),
    ]
    found = repeat.summary(runs, monitor="accuracy", range_of=RANGE_OF)
    assert list(found) == ["val/accuracy", "val/f1", "test/accuracy"]
    assert found["val/accuracy"] == spread([0.5, 1.0], within=SHARES) and found["test/accuracy"].n == 1


@pytest.mark.parametrize(("held_out", "overlap"), [("ab", 0.25), ("aa", 0.0)])
def test_seeds_that_hold_out_images_of_their_own_share_the_others(
    tmp_path: Path, held_out: str, overlap: float
) -> None:
    for number, value in enumerate([0.5, 0.75]):
        noted = {"fingerprints": {"val": held_out[number]}, "data": {"splits": {"train": 80, "val": 20, "test": 10}}}
        write_trial(tmp_path, number, seed=number, val={"accuracy": value}, test={"accuracy": value}, **noted)
    found = repeat.summary(finished(tmp_path, of_seeds(0, 1)), monitor="accuracy", range_of=RANGE_OF)
    assert found["val/accuracy"] == spread([0.5, 0.75], overlap=overlap, within=SHARES)
    assert found["test/accuracy"] == spread([0.5, 0.75], within=SHARES)


def told(words: list[str], *metrics: dict[str, float]) -> list[str]:
    runs = [Repetition(i, Path(str(i)), values) for i, values in enumerate(metrics)]
    return repeat.lines(
        repeat.summary(runs, monitor="accuracy", range_of=RANGE_OF),
        runs,
        resolve(words).settings,
        of_seeds(*range(len(runs))),
    )


def test_the_table_names_mean_deviation_and_interval() -> None:
    shown = told([], {"test/accuracy": 0.0}, {"test/accuracy": 0.2})  # s = 0.1414, half width 1.2706: cut
    assert shown[0] == "task=classification model=small_resnet, seeds 0, 1"
    assert [line.split("  ") for line in shown[1:]][1][:1] == ["test/accuracy"]
    assert shown[2].split() == ["test/accuracy", "2", "0.1000", "0.1414", "0.0000", "to", "1.0000"]
    assert len(shown) == 3


def test_one_run_has_no_spread_and_says_so() -> None:
    shown = told([], {"val/accuracy": 0.5})
    assert shown[2].split() == ["val/accuracy", "1", "0.5000", "-", "-"]
    assert shown[3] == "one run tells no spread: standard deviation and interval need two seeds or more"


def test_single_classes_stand_in_the_file() -> None:
    shown = told(["data.root=photos"], {"val/miou": 0.5, "val/iou/a": 0.25}, {"val/miou": 0.5, "val/iou/a": 0.5})
    assert not any("iou/a" in line for line in shown)
    assert shown[-1] == "repeat.json holds 1 more, of single classes or targets"


@pytest.mark.parametrize(("held_out", "is_said"), [("ab", True), ("aa", False), ("", False)])
def test_a_split_by_seed_is_said_where_the_seeds_held_out_other_images(
    tmp_path: Path, held_out: str, is_said: bool
) -> None:
    for number in range(2):
        noted = {"fingerprints": {"val": held_out[number]}} if held_out else {}
        write_trial(tmp_path, number, seed=number, val={"accuracy": 0.5}, **noted)
    runs = finished(tmp_path, of_seeds(0, 1))
    shown = repeat.lines(
        repeat.summary(runs, monitor="accuracy", range_of=RANGE_OF),
        runs,
        resolve(["data.root=photos"]).settings,
        of_seeds(0, 1),
    )
    assert (repeat.SPLIT_NOTE in shown) == is_said


def command(folder: Path, *words: str, code: int = 0) -> tuple[str, str]:
    """What ``visrun repeat`` said on stdout and on stderr until it ended with that code."""
    (folder / "fakerun.py").write_text(FAKE)
    apart = folder / "stderr.txt"
    apart.unlink(missing_ok=True)
    process = Command(["repeat", "plugins=[fakerun]", "tracking=none", *words], cwd=folder, apart=apart)
    return process.ended(code, timeout=120), apart.read_text(encoding="utf-8")


def test_a_repeat_is_a_sweep_that_can_be_gone_on_with(tmp_path: Path) -> None:
    command(tmp_path, "seeds=1", "hydra.sweeper.study_name=again")
    written = json.loads((tmp_path / "multirun" / "again" / "repeat.json").read_text())
    assert [run["seed"] for run in written["runs"]] == [0]
    said, _ = command(tmp_path, "seeds=3", "hydra.sweeper.study_name=again")
    assert "visrun repeat 'plugins=[fakerun]' tracking=none seeds=3 hydra.sweeper.study_name=again" in said
    assert "test/accuracy  3     0.1000  0.1000  0.0000 to 0.3484" in said
    written = json.loads((tmp_path / "multirun" / "again" / "repeat.json").read_text())
    assert written["runs"][2] == {
        "seed": 2,
        "folder": "2",
        "val/f1": 0.5,
        "val/accuracy": 0.7,
        "test/accuracy": 0.2,
        "test/iou/a": 0.5,
    }
    assert written["metrics"]["val/accuracy"]["mean"] == pytest.approx(0.6)
    said, error = command(tmp_path, "seeds=3", "hydra.sweeper.study_name=again", "model=resnet18", code=2)
    assert said == ""
    assert "hydra.sweeper.study_name=again: this study has other settings (model.name: " in error


def test_a_list_of_seeds_can_grow(tmp_path: Path) -> None:
    for seeds in ([7, 3], [3, 20, 11, 7]):
        command(tmp_path, f"seeds={seeds}", "hydra.sweeper.study_name=again")
    folder = tmp_path / "multirun" / "again"
    assert [json.loads((folder / str(k) / "experiment.json").read_text())["seed"] for k in range(4)] == [7, 3, 20, 11]
    assert not (folder / "4").exists()
    assert [run["seed"] for run in json.loads((folder / "repeat.json").read_text())["runs"]] == [3, 20, 11, 7]
    for seeds in ("4", "[3,11,20]"):  # a count, which is a grid over other numbers, and a list
        said, error = command(tmp_path, f"seeds={seeds}", "hydra.sweeper.study_name=again", code=2)
        assert said == ""
        assert "again: this study has seed 7, which is missing from seeds=; add it, or choose another" in error
    _, error = command(tmp_path, "folds=2", "hydra.sweeper.study_name=again", code=2)
    assert "again: trial 0 of this study is none of these combinations" in error


def test_a_seed_that_fails_counts_for_nothing(tmp_path: Path) -> None:
    said, _ = command(tmp_path, "seeds=[1,9,3]", "hydra.sweeper.max_failure_rate=1", code=1)
    assert "seeds 9 have no finished run and count for nothing" in " ".join(said.split())
    [folder] = (tmp_path / "multirun").glob("*/*_repeat")
    written = json.loads((folder / "repeat.json").read_text())
    assert [run["seed"] for run in written["runs"]] == [1, 3]
    assert written["metrics"]["test/accuracy"] == pytest.approx(
        {"n": 2, "mean": 0.2, "std": 0.2 / 2**0.5, "low": 0.0, "high": 1.0}, abs=1e-5
    )


@pytest.mark.parametrize("again", [True, False])
def test_a_seed_that_failed_is_run_again_when_the_repeat_goes_on(tmp_path: Path, again: bool) -> None:
    words = ["seeds=[1,9,3]", "hydra.sweeper.study_name=again"]
    command(tmp_path, *words, code=1)
    folder = tmp_path / "multirun" / "again"
    (folder / "mended").touch()
    command(tmp_path, *words, *([] if again else ["hydra.sweeper.retry_failed=false"]), code=0 if again else 1)
    written = json.loads((folder / "repeat.json").read_text())
    assert [run["seed"] for run in written["runs"]] == ([1, 9, 3] if again else [1, 3])
    assert (folder / "3").is_dir() == again


def test_every_fold_is_run_and_counts_by_its_name(tmp_path: Path) -> None:
    said, _ = command(tmp_path, "folds=3", "seed=5", "hydra.sweeper.study_name=crossed")
    assert "model=small_resnet, folds 1/3, 2/3, 3/3" in said
    folder = tmp_path / "multirun" / "crossed"
    written = json.loads((folder / "repeat.json").read_text())
    assert [(run["fold"], run["test/accuracy"]) for run in written["runs"]] == [
        ("1/3", 0.1),
        ("2/3", 0.2),
        ("3/3", 0.3),
    ]
    assert {json.loads((folder / str(k) / "experiment.json").read_text())["seed"] for k in range(3)} == {5}
    # t(0.975, 2) = 4.3027, and the variance of the mean is (1/3 + 1/2) of 0.1^2
    half = 4.30265 * 0.1 * (1 / 3 + 1 / 2) ** 0.5
    assert written["metrics"]["test/accuracy"] == pytest.approx(
        {"n": 3, "mean": 0.2, "std": 0.1, "low": 0.0, "high": 0.2 + half},
        abs=1e-5,  # cut at 0
    )
    assert said.splitlines()[-2] == repeat.FOLD_NOTE
    _, error = command(tmp_path, "folds=4", "seed=5", "hydra.sweeper.study_name=crossed", code=2)
    assert "this study has other choices for data.fold" in error


def test_the_statistics_stand_in_the_sweeps_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    from visrun.tracking import open_tracker
    from visrun.tracking.names import RECORD

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    folder = tmp_path / "sweep"
    for number, accuracy in enumerate((0.25, 0.75)):
        by_class = {"f1/<30": accuracy, "f1/>30": 1.0}
        write_trial(folder, number, seed=number, test={"accuracy": accuracy, **by_class})
    sweep = open_tracker("mlflow", experiment="visrun/classification", run_name="s", uri=uri, record=folder / RECORD)
    sweep.start()
    run_id = sweep.wait()
    assert sweep.finish("finished") is None
    repeat.conclude(folder, of_seeds(0, 1), resolve([f"tracking.uri={uri}"]))
    run = MlflowClient(uri).get_run(str(run_id))
    assert (run.info.status, run.data.metrics["repeat/test/accuracy/mean"]) == ("FINISHED", 0.5)
    assert run.data.metrics["repeat/test/f1/_less-than sign_30/mean"] == 0.5
    assert run.data.metrics["repeat/test/f1/_greater-than sign_30/mean"] == 1.0
    assert run.data.metrics["repeat/test/accuracy/std"] == pytest.approx(0.125**0.5)
    assert [file.path for file in MlflowClient(uri).list_artifacts(str(run_id))] == ["repeat.json"]
