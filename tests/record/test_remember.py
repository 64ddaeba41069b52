"""What a run's folder says of it: the settings it goes on with, and whether it can."""

from pathlib import Path

import pytest

from visrun import checkpoint, run
from visrun.config import plugins
from visrun.config.compose import resolve
from visrun.console import Screen
from visrun.errors import ConfigError, DataError, Diverged, OutOfMemory, UserError, VisrunError
from visrun.record.journal import Journal, identity
from visrun.record.remember import last_state, remembered, repeating, what_next
from visrun.record.run_folder import RunFolder


def test_a_run_goes_on_whatever_plugins_it_was_started_with(tmp_path: Path) -> None:
    resolved = resolve(["seed=3"])
    with RunFolder(tmp_path) as files:
        written = identity(resolved) | {"plugins": "['zoo']"}  # as earlier versions wrote it
        checkpoint.save({"identity": written}, files.last)
        assert last_state(files, resolved, Screen()) == {"identity": written}
        with pytest.raises(UserError, match=r"experiment\.json has changed since \(seed: 3 -> 0\)"):
            last_state(files, resolve([]), Screen())


def test_a_run_goes_on_under_a_version_that_has_more_settings(tmp_path: Path) -> None:
    written = {key: text for key, text in identity(resolve([])).items() if key not in ("run.ema", "dropout")}
    with RunFolder(tmp_path) as files:
        checkpoint.save({"identity": written}, files.last)
        assert last_state(files, resolve(["task=classification", "dropout=0"]), Screen()) is not None
        with pytest.raises(UserError, match=r"changed since \(run\.ema: 0\.0 -> 0\.5\)"):
            last_state(files, resolve(["dropout=0", "run.ema=0.5"]), Screen())


@pytest.mark.parametrize("odd", [None, 3, ["seed"], {3: "0"}], ids=str)
def test_an_identity_of_another_kind_is_one_line(tmp_path: Path, odd: object) -> None:
    with RunFolder(tmp_path) as files:
        checkpoint.save({"identity": odd}, files.last)
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
    assert what_next(RunFolder(tmp_path)) == f"stopped; go on with: visrun resume {tmp_path} 'plugins=[colorsys]'"
    assert repeating(Path("runs")) == "visrun experiment=runs/experiment.json 'plugins=[colorsys]'"


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
        if began:
            checkpoint.save({}, files.last)
        assert what_next(files, error) == f"failed; {onward}{changed}"


def test_a_finished_run_says_how_it_is_repeated_and_trained_for_longer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "experiment.json").write_text('{"result": {"status": "finished"}}')
    assert run.resume(tmp_path) == 0
    told = capsys.readouterr().out
    assert f"visrun experiment={tmp_path}/experiment.json" in told and "repeats it" in told
    assert f"visrun experiment={tmp_path} model.weights={tmp_path} max_epochs=N" in told and "trains on" in told
