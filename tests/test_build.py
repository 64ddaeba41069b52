"""A table's reference becomes a function; one of a plugin's that cannot be used is one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from visrun import build
from visrun.errors import ConfigError


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "late_plugin.py"
    sys.modules.pop("late_plugin", None)


@pytest.mark.parametrize(
    ("ref", "text", "told"),
    [
        ("late_plugin:tiny", "", "AttributeError: module 'late_plugin' has no attribute 'tiny'"),
        ("late_plugin:tiny", "\nnan()\n", "NameError: name 'nan' is not defined (late_plugin.py, line 2)"),
        ("no_such_module:tiny", "", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_plugins_reference_that_leads_nowhere_is_one_line(ref: str, text: str, told: str, module: Path) -> None:
    module.write_text(text)
    with pytest.raises(ConfigError) as caught:
        build.load(ref)
    assert caught.value.problems == (f"{ref}: a table names it, and it cannot be imported: {told}",)


def test_our_own_reference_that_leads_nowhere_is_our_fault() -> None:
    with pytest.raises(AttributeError):
        build.load("visrun.build:nowhere")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda images: images, "mine: its function must take 2 arguments by position: images, generator"),
        (lambda images, *, generator: images, "mine: its function must take 2 arguments by position"),
        (lambda images, generator, size: images, "mine: its function asks for size, which nothing gives"),
        (lambda images, generator, mean: images, None),
        (lambda *all: all[0], None),
    ],
)
def test_a_function_that_takes_other_arguments_is_refused(function: object, told: str | None) -> None:
    def require() -> None:
        build.require_filled("mine", function, ["mean"], ("images", "generator"))  # type: ignore[arg-type]

    if told is None:
        require()
    else:
        with pytest.raises(ConfigError, match=told):
            require()
