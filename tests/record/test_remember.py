"""What a run's folder says of its configuration."""

from pathlib import Path

import pytest

from visrun.config.compose import resolve
from visrun.errors import ConfigError, UserError
from visrun.record.journal import Journal
from visrun.record.remember import Remembered, changed, remembered, require_data
from visrun.record.run_folder import RunFolder


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


def test_a_dataset_that_is_gone_is_told_with_what_to_do(tmp_path: Path) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.mkdir()
    for words in (["data=demo"], [f"data.root={there}"]):
        require_data(Path("RUN"), resolve(words).settings, onward="")
    settings = resolve([f"data.root={gone}"]).settings
    with pytest.raises(UserError) as caught:
        require_data(Path("RUN"), settings, onward="put it back")
    assert str(caught.value) == f"RUN: its dataset is no longer at {gone}; put it back"


def test_a_dataset_that_lies_elsewhere_by_now(tmp_path: Path) -> None:
    resolved = resolve(["data.root=photos"])
    run = Remembered(resolved.hyperparameters, resolved.settings, resolved.sources)
    assert changed(run, {}) is run
    found = changed(run, {"data.root": str(tmp_path)})
    assert found.settings.data.root == str(tmp_path)
    assert found.settings.data.model_copy(update={"root": run.settings.data.root}) == run.settings.data
    demo = Remembered(resolved.hyperparameters, resolve([]).settings, {})
    with pytest.raises(UserError, match=r"^data\.root=.*: this run is trained on the demo; leave it out$"):
        changed(demo, {"data.root": str(tmp_path)})
