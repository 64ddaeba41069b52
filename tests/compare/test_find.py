"""Which runs folders and files stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun.compare.find import MOST_TRIALS, find, short_names
from visrun.errors import ConfigError, UserError


def names(*paths: Path) -> list[str]:
    return [run.name for run in find(paths)[0]]


def test_a_folder_and_its_file_are_the_same_run(write_run) -> None:
    a, b = write_run("a"), write_run("b")
    assert names(a / "experiment.json", b) == ["a", "b"]
    assert names(a, b, a / "experiment.json") == ["a", "b"]


def test_a_sweep_stands_for_its_trials_best_first(write_run, tmp_path: Path) -> None:
    for number, value in enumerate([0.5, 0.9, 0.7]):
        write_run(f"multirun/s/{number}", [value])
    write_run("multirun/s/3", [])
    write_run("multirun/s/best", [0.9])
    (tmp_path / "multirun" / "s" / "plots").mkdir()
    runs, notes = find([tmp_path / "multirun" / "s"])
    assert [run.name for run in runs] == ["s/1", "s/2", "s/0", "s/3"]
    assert notes == []


def test_of_equal_trials_the_one_with_the_lower_loss_comes_first(write_run, tmp_path: Path) -> None:
    for number, loss in enumerate([0.5, 0.3, None, 0.4]):
        known = {} if loss is None else {"val_loss": loss}
        write_run(f"s/{number}", rows=[{"epoch": 1, "accuracy": 0.9, **known}, {"epoch": 2, "accuracy": 0.1}])
    write_run("s/4", rows=[{"epoch": 1, "accuracy": 0.95, "val_loss": 0.6}])
    assert names(tmp_path / "s") == ["s/4", "s/1", "s/3", "s/0", "s/2"]


def test_losses_of_several_scales_order_nothing(write_run, tmp_path: Path) -> None:
    for number, (name, loss) in enumerate([("cross_entropy", 0.8), ("focal", 0.2), ("cross_entropy", 0.7)]):
        write_run(f"s/{number}", rows=[{"epoch": 1, "accuracy": 0.9, "val_loss": loss}], loss=name)
    assert names(tmp_path / "s") == ["s/0", "s/1", "s/2"]


@pytest.mark.parametrize("status", ["failed", "killed", "pruned", "running"])
def test_a_trial_that_did_not_finish_is_no_better_than_those_that_did(write_run, tmp_path: Path, status: str) -> None:
    for number, (value, ended) in enumerate([(0.99, status), (0.5, "finished"), (0.98, status), (0.7, "finished")]):
        write_run(f"s/{number}", [value], result={"status": ended})
    assert names(tmp_path / "s") == ["s/3", "s/1", "s/0", "s/2"]


def sweep_of(write_run, folder: Path, numbers: tuple[int, ...], best: tuple[int, ...], *, moved: bool = False) -> Path:
    """A sweep as it is left on the disk; ``best/`` holds experiment.json alone. Moved, its table names other places."""
    rows = []
    for number in numbers:
        trial = write_run(f"{folder.name}/{number}", [0.5, 0.1 * number], learning_rate=0.1 / (number + 1))
        named = Path("/elsewhere") / str(number) if moved else trial
        rows.append(f"{number},complete,{named},{'yes' if number in best else ''}")
    (folder / "trials.csv").write_text("\n".join(["number,state,folder,best", *rows]), encoding="utf-8-sig")
    for number in best:
        place = folder / "best" if len(best) == 1 else folder / "best" / str(number)
        place.mkdir(parents=True)
        (place / "experiment.json").write_bytes((folder / str(number) / "experiment.json").read_bytes())
    return folder


@pytest.mark.parametrize("moved", [False, True])
def test_best_stands_for_the_trial_it_copies(write_run, tmp_path: Path, moved: bool) -> None:
    sweep, other = sweep_of(write_run, tmp_path / "s", (6, 7, 8), (8,), moved=moved), write_run("other")
    for given in (sweep / "best", sweep / "best" / "experiment.json"):
        runs, _ = find([other, given])
        assert [(run.name, run.epochs, run.value) for run in runs] == [("other", 1, 0.5), ("s/8", 2, 0.8)]
        assert runs[1].folder == sweep / "8"
    assert names(sweep / "7", sweep / "best", sweep / "8") == ["s/7", "s/8"]


def test_a_trial_that_was_stopped_and_begun_anew_is_no_trial_of_its_sweep(write_run, tmp_path: Path) -> None:
    sweep = sweep_of(write_run, tmp_path / "s", (0, 2, 3), best=(3,))
    write_run("s/1", [0.9], result={"status": "killed"})
    write_run("s/4", [0.1], result={"status": "running"})  # it began after the table was written
    assert names(sweep) == ["s/0", "s/2", "s/3", "s/4"]
    assert names(sweep / "1", sweep / "3") == ["s/1", "s/3"]


def test_each_of_a_front_stands_for_its_trial(write_run, tmp_path: Path) -> None:
    sweep = sweep_of(write_run, tmp_path / "s", (6, 7, 8), (6, 8))
    assert names(sweep / "7", sweep / "best" / "6") == ["s/7", "s/6"]
    runs, _ = find([sweep / "best"])
    assert [(run.name, run.epochs) for run in runs] == [("s/8", 2), ("s/6", 2)]


def test_a_trial_elsewhere_is_found_by_the_table(write_run, tmp_path: Path) -> None:
    sweep = sweep_of(write_run, tmp_path / "s", (6,), (6,))
    (sweep / "6").rename(tmp_path / "far")
    table = sweep / "trials.csv"
    table.write_text(table.read_text(encoding="utf-8-sig").replace(str(sweep / "6"), str(tmp_path / "far")))
    assert names(write_run("other"), sweep / "best") == ["other", "far"]


def test_a_run_that_is_named_best_and_a_best_whose_trial_is_gone_stand_for_themselves(
    write_run, tmp_path: Path
) -> None:
    assert names(write_run("other"), write_run("best", [0.9])) == ["other", "best"]
    sweep = sweep_of(write_run, tmp_path / "s", (6,), (6,))
    (sweep / "6").rename(tmp_path / "gone")
    runs, _ = find([tmp_path / "other", sweep / "best"])
    assert [(run.name, run.epochs) for run in runs] == [("other", 1), ("best", 0)]


def test_of_a_large_sweep_the_best_by_the_monitor_and_it_is_said(write_run, tmp_path: Path) -> None:
    for number in range(12):
        write_run(f"s/{number}", rows=[{"epoch": 1, "mae": 100.0 - number}], task="regression", loss="mse")
    runs, notes = find([tmp_path / "s"])
    assert [run.name for run in runs] == [f"s/{number}" for number in range(11, 1, -1)]  # a smaller error is better
    assert notes == [f"{tmp_path / 's'}: the best {MOST_TRIALS} of 12 trials by mae"]


def test_a_trial_that_cannot_be_read_is_left_out_and_named(write_run, tmp_path: Path) -> None:
    for number in range(3):
        write_run(f"s/{number}")
    (tmp_path / "s" / "1" / "experiment.json").write_text("{")
    runs, notes = find([tmp_path / "s"])
    assert [run.name for run in runs] == ["s/0", "s/2"]
    assert len(notes) == 1 and str(tmp_path / "s" / "1" / "experiment.json") in notes[0]


def test_everything_that_is_no_run_is_named_at_once(write_run, tmp_path: Path) -> None:
    good, broken = write_run("good"), write_run("broken")
    (broken / "experiment.json").write_text("{")
    (tmp_path / "empty").mkdir()
    given = [tmp_path / "missing", good, broken, tmp_path / "empty", good / "metrics.jsonl"]
    with pytest.raises(ConfigError) as caught:
        find([*given, tmp_path / "gone" / "experiment.json"])
    wanted = (
        "missing: no such file or folder; name a run's or a sweep's",
        "; restore it, or name another run",
        "neither a run nor a sweep (no experiment.json in it nor in a folder of it); name one",
        "no run's folder, and not its experiment.json; name one of these",
        "experiment.json: no such file or folder; name a run's or a sweep's",
    )
    assert all(part in problem for part, problem in zip(wanted, caught.value.problems, strict=True))


def test_fewer_than_two_runs(write_run) -> None:
    one = write_run("one")
    with pytest.raises(UserError, match="needs two runs or more"):
        find([one])
    with pytest.raises(UserError, match="needs two runs or more"):
        find([one, one / "experiment.json"])
    with pytest.raises(UserError, match=r"needs two runs or more.*none"):
        find([])


def test_runs_of_different_tasks(write_run) -> None:
    with pytest.raises(UserError) as caught:
        find([write_run("a"), write_run("b", task="segmentation", loss="ce_dice")])
    assert "different tasks" in str(caught.value)
    assert "a is task=classification" in str(caught.value) and "b is task=segmentation" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("folders", "short"),
    [
        (["/x/a", "/x/b"], ["a", "b"]),
        (["/x/1/a", "/x/2/a", "/x/2/b"], ["1/a", "2/a", "b"]),
        (["/s/3", "/t/12"], ["s/3", "t/12"]),
        (["/m/s/3", "/n/s/3"], ["m/s/3", "n/s/3"]),
        (["/a", "/b/a"], ["/a", "b/a"]),
        (["/x/a\nb", "/x/ü"], [r'"a\nb"', "ü"]),
    ],
)
def test_names_are_short_and_different(folders: list[str], short: list[str]) -> None:
    assert short_names([Path(folder) for folder in folders]) == short
