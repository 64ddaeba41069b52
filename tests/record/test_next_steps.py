"""What a person is told to do next with a run that has ended."""

import errno
from pathlib import Path

import pytest

from visrun import checkpoint, run
from visrun.config import plugins
from visrun.errors import ConfigError, DataError, Diverged, OutOfMemory, UserError, VisrunError
from visrun.record.next_steps import new_run, once_finished, repeat_command, what_next
from visrun.record.run_folder import RunFolder


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
    with RunFolder(tmp_path) as files:
        checkpoint.save({}, files.best)
    (tmp_path / "experiment.json").write_text('{"result": {"status": "finished"}}')
    assert run.resume(tmp_path) == 0
    told = capsys.readouterr().out
    assert f"visrun experiment={tmp_path}/experiment.json" in told and "repeats it" in told
    assert f"visrun experiment={tmp_path} model.weights={tmp_path} max_epochs=N" in told and "trains on" in told


def test_a_run_without_a_best_is_not_trained_on(tmp_path: Path) -> None:
    assert new_run(tmp_path, {}, "seed=1") == f"visrun experiment={tmp_path}/experiment.json seed=1 begins anew"


def test_a_trial_that_was_stopped_is_its_sweeps_to_go_on_with(tmp_path: Path) -> None:
    (tmp_path / "experiment.json").touch()
    for error in (None, KeyboardInterrupt()):
        assert what_next(RunFolder(tmp_path), error, alone=False) == "stopped; its sweep goes on with it"
    failed = VisrunError("no space left")
    assert what_next(RunFolder(tmp_path), failed, alone=False) == what_next(RunFolder(tmp_path), failed)


def finished(folder: Path, **settings: object) -> str:
    with RunFolder(folder) as files:
        checkpoint.save({}, files.best)
    return once_finished(folder, {"result": {"status": "finished"}} | settings)


def test_a_model_that_is_not_trained_is_not_trained_on(tmp_path: Path) -> None:
    told = finished(tmp_path, model={"name": "patchcore"}, hyperparameters={"loss": "cross_entropy"})
    assert told == f"visrun experiment={tmp_path}/experiment.json repeats it"
    told = new_run(tmp_path, {"model": {"name": "patchcore"}}, "seed=1")
    assert told == f"visrun experiment={tmp_path}/experiment.json seed=1 begins anew"


def test_a_finished_run_of_a_plugin_that_is_not_here_says_that_the_commands_need_it(tmp_path: Path) -> None:
    lacking = " (add the plugins=[...] that it was started with)"
    for settings in ({"model": {"name": "tiny"}}, {"hyperparameters": {"loss": "hinge"}}):
        assert finished(tmp_path, **settings).endswith(f"trains on from its best weights{lacking}")
    for settings in ({"model": {"name": "resnet18"}}, {"model": {"name": [1]}}):  # what no run writes is no plugin's
        assert finished(tmp_path, **settings).endswith("trains on from its best weights")
