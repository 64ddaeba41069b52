"""A stopped run that goes on in another folder."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from visrun import checkpoint
from visrun.config.compose import resolve
from visrun.errors import VisrunError
from visrun.record import resuming, taking_over
from visrun.record.journal import describe, identity
from visrun.record.run_folder import RunFolder
from visrun.record.taking_over import gone_on, leave_none_empty, move, taken_over
from visrun.result import Result

WORDS = ["seed=3", "learning_rate=0.01"]


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """What a run left that was stopped after two epochs, with a note and a folder of a person's own."""
    return stopped(tmp_path / "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where it goes on: Hydra has been there."""
    return with_hydra(tmp_path / "5", "new")


def with_hydra(folder: Path, text: str) -> Path:
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(text)
    return folder


def stopped(folder: Path) -> Path:
    resolved = resolve(WORDS)
    with RunFolder(with_hydra(folder, "old")) as files:
        files.write_experiment(describe(resolved, result={"status": "killed"}))
        for epoch in (1, 2):
            files.append_metrics({"epoch": epoch, "accuracy": 0.5})
        checkpoint.save({"identity": identity(resolved)}, files.last)
        checkpoint.save({"epoch": 2}, files.best)
    (folder / "plots" / "a.png").write_bytes(b"a picture")
    (folder / "my notes.txt").write_text("good")
    (folder / "exported").mkdir()
    (folder / "exported" / "model.onnx").write_bytes(b"a program")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_all_that_a_run_left_moves_with_it(former: Path, folder: Path) -> None:
    before = files_of(former)
    taken = taken_over([former], folder, resolve(WORDS), pytest.fail)
    assert taken is not None and taken.folder == former and taken.content["result"] == {"status": "killed"}
    assert files_of(folder) == {**before, ".hydra/config.yaml": b"new"}
    assert not former.exists()


def test_the_latest_that_can_go_on_does(tmp_path: Path, former: Path, folder: Path) -> None:
    early, other, gone = stopped(tmp_path / "2"), stopped(tmp_path / "3"), tmp_path / "4"
    (early / "checkpoints" / "last.pt").unlink()
    (other / "my notes.txt").write_text("the other one")
    assert taken_over([gone, early, other, former], folder, resolve(WORDS), pytest.fail) is not None
    assert (folder / "my notes.txt").read_text() == "the other one"
    assert early.exists() and former.exists() and not other.exists() and not gone.exists()
    assert taken_over([], folder, resolve(WORDS), pytest.fail) is None


@pytest.mark.parametrize(
    ("word", "same"),
    [
        ("learning_rate=0.02", False),
        ("data.image_size=64", False),
        ("data.workers=3", True),
        ("tracking=none", True),
        ("run.device=cpu", True),
    ],
)
def test_settings_that_change_its_numbers_begin_another_run(former: Path, folder: Path, word: str, same: bool) -> None:
    before = files_of(former)
    changed = {word.partition("=")[0]: word for word in [*WORDS, word]}
    told: list[str] = []
    assert (taken_over([former], folder, resolve([*changed.values()]), told.append) is not None) == same
    assert ["its settings have changed since (" in line for line in told] == [True] * (not same)
    if not same:
        assert files_of(former) == before and [*files_of(folder)] == [".hydra/config.yaml"]


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("written", "is writing this run"),
        ("no checkpoint", ""),
        ("no JSON", "experiment.json: not readable as JSON"),
        ("a link leads out", "a link that leads out of"),
        ("checkpoints are there", "Directory not empty"),
    ],
)
def test_what_cannot_be_taken_stays_whole_and_it_is_said_why(
    tmp_path: Path, former: Path, folder: Path, case: str, why: str
) -> None:
    writer = RunFolder(former)
    if case == "written":
        writer.__enter__()
    elif case == "no checkpoint":
        (former / "checkpoints" / "last.pt").unlink()
    elif case == "no JSON":
        (former / "experiment.json").write_text("{")
    elif case == "a link leads out":
        (former / "visrun.log").symlink_to(tmp_path / "elsewhere.log")
    else:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "best.pt").write_bytes(b"another run's")
    before = files_of(former)
    told: list[str] = []
    assert taken_over([former], folder, resolve(WORDS), told.append) is None
    assert files_of(former) == before
    assert [why in line for line in told] == [True] * bool(why)
    writer.__exit__()


@pytest.mark.parametrize("at", range(6))
def test_killed_on_the_way_one_of_the_folders_holds_all_it_takes(
    monkeypatch: pytest.MonkeyPatch, former: Path, folder: Path, tmp_path: Path, at: int
) -> None:
    steps = iter([*[False] * at, True])

    def mortal(name: str, of: object) -> None:
        done = getattr(of, name)

        def act(*given: object) -> object:
            if next(steps, False):
                raise KeyboardInterrupt
            return done(*given)

        monkeypatch.setattr(of, name, act)

    for name, of in (("copy2", taking_over.shutil), ("rename", Path), ("move", taking_over.shutil)):
        mortal(name, of)
    with pytest.raises(KeyboardInterrupt):
        move(former, folder)
    monkeypatch.undo()
    last = with_hydra(tmp_path / "6", "newest")
    assert taken_over([folder, former], last, resolve(WORDS), str) is not None
    found = files_of(last)
    assert json.loads(found["experiment.json"])["seed"] == 3
    assert found["metrics.jsonl"].count(b"\n") == 2
    assert {"checkpoints/last.pt", "checkpoints/best.pt"} <= found.keys()


def test_the_run_of_another_sweep_stays_there(former: Path, tmp_path: Path) -> None:
    before = files_of(former)
    told: list[str] = []
    assert taken_over([former], with_hydra(tmp_path / "copy" / "5", "new"), resolve(WORDS), told.append) is None
    assert told == [f"{former}: lies in another folder than this sweep's trials"]
    assert files_of(former) == before


def test_what_lies_in_the_folder_already_goes_on_there(former: Path) -> None:
    before = files_of(former)
    assert taken_over([former], former.parent / "." / former.name, resolve(WORDS), pytest.fail) is not None
    assert files_of(former) == before


def test_a_trial_whose_former_cannot_be_read_is_no_error(former: Path, folder: Path, tmp_path: Path) -> None:
    (former / "experiment.json").unlink()
    (former / "experiment.json").mkdir()
    with pytest.raises(VisrunError):
        taking_over.read_json(former / "experiment.json")
    assert taken_over([former, tmp_path / "9"], folder, resolve(WORDS), str) is None


def test_what_cannot_go_on_lies_where_it_lay_before_another_begins(former: Path, folder: Path) -> None:
    (former / "mlflow_run.json").write_text('{"run_id": "old"}')
    before, told, seen = files_of(former), [], []

    def begin(former: object = None) -> Result:
        seen.append([*files_of(folder)])
        if former is not None:
            raise resuming.CannotResume("last.pt: damaged", "begin anew")
        return Mock()

    trial = Mock(formers=lambda _: [former], begins_anew=told.append)
    gone_on(trial, folder, resolve(WORDS), begin)
    assert told == ["last.pt: damaged"]
    assert "checkpoints/last.pt" in seen[0] and seen[1] == [".hydra/config.yaml"]
    assert files_of(former) == {name: data for name, data in before.items() if ".hydra" not in name}


def test_where_it_cannot_be_moved_back_nothing_begins_upon_it(
    former: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(former: object = None) -> Result:
        assert former is not None
        monkeypatch.setattr(taking_over.shutil, "copy2", Mock(side_effect=OSError(28, "No space left on device")))
        raise resuming.CannotResume("last.pt: damaged", "begin anew")

    with pytest.raises(VisrunError, match=r"what trial 1 has trained cannot be moved back \(.*No space left"):
        gone_on(Mock(formers=lambda _: [former]), folder, resolve(WORDS), begin)
    assert (folder / "checkpoints" / "last.pt").exists()


def killed_at_once(folder: Path) -> Path:
    with RunFolder(with_hydra(folder, "old")) as files:
        files.write_experiment(describe(resolve(WORDS), result={"status": "killed"}))
        files.tell("killed")
    (folder / "visrun.log").write_text("run: here")
    return folder


def test_a_run_that_was_killed_before_it_had_anything_is_taken_away(former: Path, folder: Path, tmp_path: Path) -> None:
    empty, noted, epoch = (killed_at_once(tmp_path / name) for name in "678")
    (noted / "my notes.txt").write_text("good")
    RunFolder(epoch).append_metrics({"epoch": 1, "loss": 0.5})
    elsewhere, live = killed_at_once(tmp_path / "copy" / "6"), killed_at_once(tmp_path / "9")
    mine, tracker = killed_at_once(tmp_path / "10"), Mock()
    kept = [noted, epoch, former, elsewhere, mine, live]
    before = {path: files_of(path) for path in kept}
    with RunFolder(live):
        leave_none_empty([empty, *kept, tmp_path / "gone"], mine, tracker)
    assert not empty.exists()
    assert {path: files_of(path) for path in kept} == before
    tracker.drop_run.assert_called_once_with(empty / "mlflow_run.json")


@pytest.mark.parametrize(
    "name", ["plots/mine.png", "plots/mine/notes.txt", "checkpoints/mine.onnx", "checkpoints/best.pt"]
)
def test_a_file_within_its_folders_keeps_an_empty_run(tmp_path: Path, name: str) -> None:
    former, tracker = killed_at_once(tmp_path / "6"), Mock()
    (former / name).parent.mkdir(exist_ok=True)
    (former / name).write_bytes(b"mine")
    before = files_of(former)
    leave_none_empty([former], tmp_path / "7", tracker)
    assert files_of(former) == before
    tracker.drop_run.assert_not_called()


@pytest.mark.parametrize(
    "name", ["experiment.json.0.tmp", "status.json.tmp", "checkpoints/last.pt.0.tmp", "checkpoints/last.pt.sha256"]
)
def test_what_a_broken_off_write_left_keeps_none(tmp_path: Path, name: str) -> None:
    former = killed_at_once(tmp_path / "6")
    (former / name).write_bytes(b"half")
    leave_none_empty([former], tmp_path / "7", Mock())
    assert not former.exists()


def test_a_trial_that_was_killed_before_its_run_began_is_taken_away(tmp_path: Path) -> None:
    begun, noted, strange = with_hydra(tmp_path / "6", "old"), with_hydra(tmp_path / "7", "old"), tmp_path / "8"
    (noted / "my notes.txt").write_text("good")
    strange.mkdir()
    leave_none_empty([begun, noted, strange], tmp_path / "9", Mock())
    assert not begun.exists()
    assert files_of(noted).keys() == {".hydra/config.yaml", "my notes.txt"}
    assert strange.is_dir()


def test_a_run_that_has_trained_when_its_lock_is_free_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    former, lock = killed_at_once(tmp_path / "6"), RunFolder._lock

    def late(files: RunFolder) -> None:
        files.append_metrics({"epoch": 1, "loss": 0.5})  # by who goes on with it by hand, a moment before
        lock(files)

    monkeypatch.setattr(RunFolder, "_lock", late)
    leave_none_empty([former], tmp_path / "7", Mock())
    assert RunFolder(former).read_metrics() == [{"epoch": 1, "loss": 0.5}]


def test_a_link_that_leads_out_keeps_an_empty_run_and_what_it_leads_to(tmp_path: Path) -> None:
    former, elsewhere = killed_at_once(tmp_path / "6"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.tmp").write_text("mine")
    (former / "plots").rmdir()
    (former / "plots").symlink_to(elsewhere)
    leave_none_empty([former], tmp_path / "7", Mock())
    assert former.exists() and (elsewhere / "a.tmp").exists()
