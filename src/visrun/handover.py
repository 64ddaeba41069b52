"""A checked command line handed to Hydra, which makes the folder and the log, and its errors brought back as ours."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from visrun.config.configs import PRIMARY, Conf, open_conf, store_schema
from visrun.config.hydra_errors import in_one_line, refused
from visrun.config.overrides import hydra_words
from visrun.config.search_path import conf_dir
from visrun.config.sweeper import TARGET
from visrun.errors import ConfigError
from visrun.record.outputs import UNNAMED

SWITCHES = ("help", "hydra_help", "resolve", "multirun", "shell_completion")
OPTIONS = ("cfg", "info", "package")


class Ended(BaseException):
    """Carries a run's error past Hydra, which would print the words of the command before it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class UserConfigs(SearchPathPlugin):
    """Puts the user's folders before visrun's own on Hydra's search path, while a command runs."""

    folders: tuple[Path, ...] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in self.folders:
            search_path.prepend(provider="visrun", path=f"file://{folder}", anchor="main")


def hand_over(args: Namespace, words: Sequence[str], job: Any) -> int:
    """Hand over to Hydra; its errors come back as ours."""
    flags = [f"--{name.replace('_', '-')}" for name in SWITCHES if getattr(args, name)]
    flags += [f"--{name}={getattr(args, name)}" for name in OPTIONS if getattr(args, name) is not None]
    store_schema()
    Plugins.instance().register(UserConfigs)
    with _command_line([*flags, *words]):
        try:
            hydra.main(config_path=str(conf_dir()), config_name=PRIMARY)(job)()
        except Ended as ended:
            raise ended.error from None
        except SystemExit as stop:
            return 2 if stop.code == 1 else int(stop.code or 0)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(in_one_line(error, words)) from error
    return 0


@contextmanager
def _command_line(words: Sequence[str]) -> Iterator[None]:
    """Hydra reads sys.argv, and raises its errors instead of printing them with HYDRA_FULL_ERROR."""
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = [argv[0], *words], "1"
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.pop("HYDRA_FULL_ERROR")
        if full is not None:
            os.environ["HYDRA_FULL_ERROR"] = full


class Sweeping(NamedTuple):
    """What Hydra's own settings say of a sweep, typed or in files: its study and its folder, None where they name none,
    whether visrun's sweeper runs it, and whether this is a worker of it."""

    name: str | None
    folder: str | None
    ours: bool
    worker: bool


def sweeping(words: Sequence[str], conf: Conf) -> Sweeping:
    """What Hydra will read of a sweep, for the words of its first job.

    Raises:
        ConfigError: Hydra cannot compose it.
    """
    with _own_settings(words, conf, RunMode.MULTIRUN) as own:
        name, target, worker = (OmegaConf.select(own.sweeper, key) for key in ("study_name", "_target_", "worker"))
        return Sweeping(name and str(name), _folder(own, "sweep"), target == TARGET, bool(worker))


def run_folder(words: Sequence[str], conf: Conf) -> str | None:
    """Where Hydra will write a single run, typed or in files; None where they name no folder, as visrun's own do.

    Raises:
        ConfigError: Hydra cannot compose it.
    """
    if not UserConfigs.folders and not hydra_words(words):  # to compose them takes a tenth of a second
        return None
    with _own_settings(words, conf, RunMode.RUN) as own:
        return _folder(own, "run")


@contextmanager
def _own_settings(words: Sequence[str], conf: Conf, mode: RunMode) -> Iterator[DictConfig]:
    """Hydra's own settings, composed; what it says of them within comes as ours."""
    try:
        yield conf.loader.load_configuration(PRIMARY, list(words), mode).hydra
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(in_one_line(error, words)) from error


def _folder(own: DictConfig, kind: str) -> str | None:
    """``run.dir`` or ``sweep.dir`` of Hydra's own settings; None where it is what visrun ships."""
    shipped = OmegaConf.to_container(own[kind])["dir"] == UNNAMED[kind]  # type: ignore[call-overload, index]
    return None if shipped else OmegaConf.select(own, f"{kind}.dir")


def no_job(_: DictConfig) -> None:
    """What Hydra is given when it only shows something."""


@contextmanager
def all_refused(words: Sequence[str], config_dir: Path | None, mode: RunMode) -> Iterator[None]:
    """Beside what is wrong with the command, say all that is wrong with its words for Hydra's own settings."""
    try:
        yield
    except ConfigError as error:
        try:
            more = refused(hydra_words(words), open_conf(Path.cwd(), config_dir).loader, mode)
        except ConfigError:  # words or files that cannot be read: that is what the first error says
            more = []
        raise ConfigError(list(dict.fromkeys([*error.problems, *more]))) from error
