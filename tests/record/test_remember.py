"""What a run's folder says of its configuration."""

from pathlib import Path

import pytest

from visrun.config.compose import resolve
from visrun.errors import ConfigError
from visrun.record.journal import Journal
from visrun.record.remember import remembered
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
