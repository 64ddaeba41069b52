"""What a run's folder says of it: the settings it goes on with, and whether it can."""

import errno
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from visrun import checkpoint, run
from visrun.config import plugins
from visrun.config.compose import resolve
from visrun.console import Screen
from visrun.errors import ConfigError, DataError, Diverged, OutOfMemory, UserError, VisrunError
from visrun.record.journal import Journal, identity
from visrun.record.remember import (
    last_state,
    once_finished,
    remembered,
    repeat_command,
    require_same_data,
    settle_best,
    what_next,
)
from visrun.record.run_folder import RunFolder
from visrun.training import Progress


def test_a_run_goes_on_whatever_plugins_it_was_started_with(tmp_path: Path) -> None:
    resolved = resolve(["seed=3"])
    with RunFolder(tmp_path) as files:
        written = identity(resolved) | {"plugins": "['zoo']"}
        checkpoint.save({"identity": written, "begun": {}}, files.last)
        assert last_state(files, resolved, Screen()) == {"identity": written, "begun": {}}
        with pytest.raises(UserError, match=r"experiment\.json has changed since \(seed: 3 -> 0\)"):
            last_state(files, resolve([]), Screen())


def test_a_run_goes_on_under_a_version_that_has_more_settings(tmp_path: Path) -> None:
    written = {key: text for key, text in identity(resolve([])).items() if key not in ("run.ema", "dropout")}
    with RunFolder(tmp_path) as files:
        checkpoint.save({"identity": written, "begun": {}}, files.last)
        assert last_state(files, resolve(["task=classification", "dropout=0"]), Screen()) is not None
        with pytest.raises(UserError, match=r"changed since \(run\.ema: 0\.0 -> 0\.5\)"):
            last_state(files, resolve(["dropout=0", "run.ema=0.5"]), Screen())


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"data": {"splits": {"train": 3, "val": 2}}}, "val had 2 images, now 1"),
        (
            {"data": {"splits": {"train": 4, "test": 2}}},
            "train had 4 images, now 3, test had 2 images, now 0, val had 0",
        ),
        ({"data": {"splits": {"train": 3, "val": 1}}, "fingerprints": {"val": "a"}}, "other files or labels in val"),
        ({"data": {"splits": {"train": 3, "val": 1}}, "fingerprints": {"val": "b"}}, "other files or labels in train"),
    ],
)
def test_what_has_changed_in_the_data_is_told(tmp_path: Path, result: dict[str, Any], told: str) -> None:
    dataset = Mock(splits={"train": (1, 2, 3), "val": (4,)}, fingerprint="whole", fingerprints={"val": "b"})
    former = {"data": {"fingerprint": "other"}, "result": result}
    with pytest.raises(UserError) as caught:
        require_same_data(former, dataset, tmp_path)
    assert f"since the run began ({told}" in str(caught.value)
    assert str(caught.value).endswith(" trains on from the run's best weights")
    require_same_data({**former, "data": {"fingerprint": "whole"}}, dataset, tmp_path)
    require_same_data(None, dataset, tmp_path)


@pytest.mark.parametrize(
    ("best", "former", "of", "left"),
    [
        (3, 1, 1, 1),  # an error, or a death before last.pt was written
        (None, 1, 1, 1),  # a death while best.pt was written, where there are no hard links
        (1, 1, 1, 1),
        (3, 1, 3, 3),  # last.pt was written, and the former not yet removed
        (1, None, 1, 1),
        (3, None, 0, None),  # nothing was best when last.pt was written
        (3, None, 1, None),
    ],
)
def test_a_run_goes_on_from_the_best_that_its_last_checkpoint_knows(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    best: int | None,
    former: int | None,
    of: int,
    left: int | None,
) -> None:
    progress = Progress(2, 0, 0.5, 1.0, best_epoch=of) if of else Progress(2)
    with RunFolder(tmp_path) as files:
        for file, epoch in ((files.best, best), (files.former, former)):
            if epoch is not None:
                checkpoint.save({"epoch": epoch}, file)
        settle_best(files, progress, Screen())
        kept = {file.name: checkpoint.load(file) for file in files.checkpoints.glob("*.pt")}
        assert kept == ({"best.pt": {"epoch": left}} if left else {})
        assert len(list(files.checkpoints.iterdir())) == 2 * len(kept)
    told = capsys.readouterr()
    gone = "best.pt: the weights of epoch 1 are gone; the best is sought anew" in told.out + told.err
    assert gone == (of == 1 and left is None)
    assert progress == (Progress(2) if left is None else Progress(2, 0, 0.5, 1.0, of))


def test_a_damaged_best_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as files:
        checkpoint.save({"epoch": 1}, files.best)
        files.best.write_bytes(b"")
        with pytest.raises(
            UserError, match=r"/best\.pt: the file is damaged [^\n]*; delete it, or .* repeats the run$"
        ):
            settle_best(files, Progress(epoch=2, best_epoch=1), Screen())


@pytest.mark.parametrize("odd", [None, 3, ["seed"], {3: "0"}], ids=str)
def test_an_identity_of_another_kind_is_one_line(tmp_path: Path, odd: object) -> None:
    with RunFolder(tmp_path) as files:
        checkpoint.save({"identity": odd, "begun": {}}, files.last)
        with pytest.raises(UserError, match=r"^[^\n]*/last\.pt: a part is missing or of another kind \([^\n]*$"):
            last_state(files, resolve([]), Screen())


def test_what_only_a_plugin_knows_is_refused_in_a_line_each(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as files:
        journal = Journal(files, resolve([]))
        journal.content |= {"task": "counting", "model": {"name": "tiny"}, "augment": {"extra": ["invert"]}}
        journal.content["hyperparameters"]["loss"] = "poisson"
        journal.write()
    with pytest.raises(ConfigError) as caught:
        remembered(tmp_path)
    keys = [line.removeprefix(f"{tmp_path}/experiment.json: ").partition("=")[0] for line in caught.value.problems]
    assert keys == ["task", "loss", "augment.extra", "model.name"]
    assert all("a plugin may bring it" in line for line in caught.value.problems)


def test_the_command_that_repeats_a_run_names_its_plugins(tmp_path: Path) -> None:
    plugins.load(["colorsys"], cwd=tmp_path)
    (tmp_path / "experiment.json").touch()
    assert what_next(RunFolder(tmp_path)) == f"stopped; go on with: visrun resume {tmp_path} 'plugins=[colorsys]'"
    assert repeat_command(Path("runs")) == "visrun experiment=runs/experiment.json 'plugins=[colorsys]'"


@pytest.mark.parametrize(
    ("error", "began", "mended"),
    [
        (VisrunError("disk full"), True, True),
        (VisrunError("disk full"), False, True),
        (DataError("a.png: cannot be read"), True, True),
        (DataError("the val split is empty"), False, False),
        (Diverged("NaN"), True, False),
        (OutOfMemory("batch_size=4"), True, False),
        (ConfigError("loss=focal: needs classes"), False, False),
        (UserError("data: the dataset has changed"), True, False),
    ],
    ids=lambda value: value if isinstance(value, bool) else type(value).__name__,
)
def test_what_can_be_mended_does_not_cost_the_epochs_so_far(
    tmp_path: Path, error: VisrunError, began: bool, mended: bool
) -> None:
    changed = f"the same with a change: visrun experiment={tmp_path}/experiment.json KEY=VALUE"
    onward = f"go on with: visrun resume {tmp_path}; " if mended else ""
    with RunFolder(tmp_path) as files:
        (tmp_path / "experiment.json").touch()
        if began:
            checkpoint.save({}, files.last)
        assert what_next(files, error) == f"failed; {onward}{changed}"


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), ValueError("a fault"), VisrunError("no such folder")])
def test_a_run_whose_folder_was_deleted_names_no_command_that_needs_it(
    tmp_path: Path, error: BaseException | None
) -> None:
    word = "failed" if isinstance(error, Exception) else "stopped"
    file = tmp_path / "run" / "experiment.json"
    assert what_next(RunFolder(tmp_path / "run"), error) == (
        f"{word}; {file} is gone, without which the run cannot go on"
    )


def test_a_run_on_a_drive_that_does_not_answer_can_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(_: Path) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "stat", stale)
    assert what_next(RunFolder(tmp_path)) == f"stopped; go on with: visrun resume {tmp_path}"


def test_a_finished_run_says_how_it_is_repeated_and_trained_for_longer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "experiment.json").write_text('{"result": {"status": "finished"}}')
    assert run.resume(tmp_path) == 0
    told = capsys.readouterr().out
    assert f"visrun experiment={tmp_path}/experiment.json" in told and "repeats it" in told
    assert f"visrun experiment={tmp_path} model.weights={tmp_path} max_epochs=N" in told and "trains on" in told


def finished(folder: Path, **settings: object) -> str:
    return once_finished(folder, {"result": {"status": "finished"}} | settings)


def test_a_model_that_is_not_trained_is_not_trained_on(tmp_path: Path) -> None:
    told = finished(tmp_path, model={"name": "patchcore"}, hyperparameters={"loss": "cross_entropy"})
    assert told == f"visrun experiment={tmp_path}/experiment.json repeats it"


def test_a_finished_run_of_a_plugin_that_is_not_here_says_that_the_commands_need_it(tmp_path: Path) -> None:
    lacking = " (add the plugins=[...] that it was started with)"
    for settings in ({"model": {"name": "tiny"}}, {"hyperparameters": {"loss": "hinge"}}):
        assert finished(tmp_path, **settings).endswith(f"trains on from its best weights{lacking}")
    for settings in ({"model": {"name": "resnet18"}}, {"model": {"name": [1]}}):  # what no run writes is no plugin's
        assert finished(tmp_path, **settings).endswith("trains on from its best weights")
