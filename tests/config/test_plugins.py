"""What ``plugins=`` and a ``conf/config.yaml`` import for the verbs, and the commands that name it again."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from visrun.config import plugins
from visrun.config.lines import texts
from visrun.errors import ConfigError
from visrun.tables import AUGMENTATIONS, MODELS, READERS, TASKS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with the module ``mine`` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine.py").write_text("")
    yield tmp_path
    for name in ("mine", "outer"):
        sys.modules.pop(name, None)


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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\n1 / 0\n", "ZeroDivisionError: division by zero (mine.py, line 2)"),
        ("from visrun.tables import ModelEntry\nModelEntry(3)\n", "(mine.py, line 2)"),
        ("import json\n\njson.loads('')\n", "(mine.py, line 3)"),
        ("def f(:\n", "SyntaxError: invalid syntax (mine.py, line 1)"),
    ],
)
def test_an_error_in_a_plugin_names_the_line_of_its_own_and_stays_in_the_traceback(
    text: str, told: str, folder: Path
) -> None:
    (folder / "mine.py").write_text(text)
    (folder / "outer.py").write_text("import mine\n")
    with pytest.raises(ConfigError, match="does not import: ") as caught:
        plugins.load(["outer"], cwd=folder)
    assert str(caught.value).endswith(told)
    assert type(caught.value.__cause__).__name__ in str(caught.value)


def test_a_plugin_that_takes_a_name_is_told_and_one_that_adds_to_an_entry_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = TASKS["classification"].losses
    for table, name in ((MODELS, "resnet18"), (AUGMENTATIONS, "blur"), (READERS, "csv"), (losses, "focal")):
        monkeypatch.setitem(table, name, table[name])  # which puts them back at the end
    (folder / "mine.py").write_text(
        "from dataclasses import replace\nfrom visrun.tables import AUGMENTATIONS, MODELS, READERS, TASKS\n"
        "MODELS['resnet18'] = replace(MODELS['resnet18'], build=print)\nAUGMENTATIONS['blur'] = print\n"
        "READERS['csv'] = replace(READERS['csv'], targets=('label',))\n"
        "TASKS['classification'].losses['focal'] = print\n"
    )
    plugins.load(["mine", "colorsys"], cwd=folder)
    assert texts(plugins.notices(["colorsys", "mine"])) == [
        "plugins=mine brings its own augment.extra=[blur] and model=resnet18 and task=classification loss=focal, "
        "in place of what was there"
    ]


def test_a_command_names_the_plugins_again(folder: Path) -> None:
    assert plugins.command("resume", "a run") == "visrun resume 'a run'"
    plugins.load(["mine", "colorsys"], cwd=folder)
    plugins.load(["mine"], cwd=folder)
    assert plugins.command("resume", "run") == "visrun resume run 'plugins=[mine,colorsys]'"


def test_a_plugin_of_the_same_name_in_another_folder_is_refused(folder: Path) -> None:
    plugins.load(["mine"], cwd=folder)
    plugins.load(["mine"], cwd=folder)
    other = folder / "other"
    other.mkdir()
    plugins.load(["mine"], cwd=other)  # where there is none
    (other / "mine.py").write_text("")
    with pytest.raises(ConfigError) as caught:
        plugins.load(["mine"], cwd=other)
    told = f"plugins=mine: another module of this name is in use in this process, not {other / 'mine.py'}: rename one, "
    assert str(caught.value) == f"{told}or start anew"


def test_what_a_plugin_of_an_earlier_run_has_replaced_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AUGMENTATIONS, "blur", AUGMENTATIONS["blur"])
    (folder / "mine.py").write_text("from visrun.tables import AUGMENTATIONS\nAUGMENTATIONS['blur'] = print\n")
    plugins.load(["mine"], cwd=folder)
    line = "plugins=mine brings its own augment.extra=[blur], in place of what was there"
    assert texts(plugins.notices(["mine"])) == [line]
    assert texts(plugins.notices([])) == [f"{line} since it was imported, before in this process"]
