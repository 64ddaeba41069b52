"""Composed configurations for the form, each made once: the command line's own compose, remembered by its words."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from visrun.config import compose
from visrun.config.compose import Composition
from visrun.config.configs import open_conf
from visrun.config.lines import Line
from visrun.errors import ConfigError
from visrun.tables import READERS, layouts_of
from visrun.web.catalog import FORM_GROUPS

REMEMBERED = 512  # configurations


class Composer:
    """Composes for one folder; used by one thread at a time, whoever holds ``lock``.

    Args:
        cwd: Where commands run: relative paths begin there, and its ``conf/`` is searched.
        always: Words that go before all others, such as ``plugins=[my_package]``.
    """

    def __init__(self, cwd: Path, always: Sequence[str] = ()) -> None:
        self.cwd, self.always, self.lock = cwd, tuple(always), threading.RLock()
        self._open()

    def _open(self) -> None:
        self._stamp = self._stamped()
        self.conf = open_conf(self.cwd)
        self.look = lru_cache(maxsize=REMEMBERED)(self._look)
        usual = self.look(()).resolved  # imports the plugins that a config file names, before the options are listed
        self.plugins = usual.settings.plugins if usual else ()
        self.models = tuple(self.conf.options("model"))
        self.options = {group: tuple(self.conf.options(group)) for group in FORM_GROUPS}

    def refresh(self) -> None:
        """Read the config files again where the user has changed one of his own."""
        if self._stamped() != self._stamp:
            self._open()

    def _stamped(self) -> tuple[tuple[str, int], ...]:
        found = sorted((self.cwd / "conf").rglob("*.yaml"))
        return tuple((str(file), file.stat().st_mtime_ns) for file in found)

    def _look(self, words: tuple[str, ...]) -> Composition:
        try:
            return compose.look((*self.always, *words), self.conf)
        except ConfigError as error:
            return Composition(None, tuple(Line(text) for text in error.problems))

    def layouts(self, task: str) -> tuple[str, ...]:
        """The options of ``data`` that serve a task."""
        others = READERS.keys() - set(layouts_of(task))
        return tuple(name for name in self.options["data"] if name not in others)
