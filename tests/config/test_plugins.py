"""What ``plugins=`` and a ``conf/config.yaml`` import for the verbs, and the commands that name it again."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from visrun.config import plugins
from visrun.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with the module ``mine`` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine.py").write_text("")
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("word", ["plugins=[mine]", 'plugins=["mine"]', "plugins=[ 'mine' ]", "plugins=mine"])
def test_verbs_read_the_word_as_a_run_does(word: str, folder: Path) -> None:
    assert plugins.take(["RUN", word, "split=val"], cwd=folder) == ["RUN", "split=val"]
    assert "mine" in sys.modules


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["plugins=[mine]", "plugins=[other]"], "plugins is given twice: plugins=[mine] and plugins=[other]; keep one"),
        (["plugins=[a-b]"], "plugins=a-b: must be the name of a module, such as my_package"),
        (["plugins="], 'plugins="": must be the name of a module, such as my_package'),
        (["plugins=[${x}]"], "plugins=[${x}]: ${...} is not taken; write the value itself"),
    ],
)
def test_a_word_that_names_no_module_is_one_line(words: list[str], line: str, folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        plugins.take(words, cwd=folder)
    assert caught.value.problems == (line,)


def test_verbs_import_what_the_folders_own_config_names(folder: Path) -> None:
    (folder / "conf").mkdir()
    (folder / "conf" / "config.yaml").write_text("defaults: [schema, _self_]\nplugins: [mine]\n")
    assert plugins.take(["RUN"], cwd=folder) == ["RUN"]
    assert "mine" in sys.modules


def test_a_command_names_the_plugins_again(folder: Path) -> None:
    assert plugins.command("resume", "a run") == "visrun resume 'a run'"
    plugins.load(["mine", "colorsys"], cwd=folder)
    plugins.load(["mine"], cwd=folder)
    assert plugins.command("resume", "run") == "visrun resume run 'plugins=[mine,colorsys]'"
