"""Config files that are opened once in a test worker, as that takes most of what it takes to compose a run."""

from __future__ import annotations

from functools import cache

from visrun.config.configs import Conf, open_conf
from visrun.config.search_path import conf_dir


@cache
def shipped() -> Conf:
    """The config files that a folder without any of its own sees; for tests with neither options
    nor relative paths of their own."""
    return open_conf(conf_dir())
