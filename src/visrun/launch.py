"""A training command through Hydra: validate, let Hydra make the folder and the log, run.

Hydra gets every choice spelt out, so that it composes what was validated. In a sweep Hydra splits the typed words into
jobs, and each job resolves its own words again.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import visrun
from visrun.checks import require_training
from visrun.compose import Resolved, check_sweep, resolve
from visrun.configs import PRIMARY, conf_dir, store_schema, user_folders
from visrun.errors import ConfigError
from visrun.outputs import new_run_folder
from visrun.overrides import hydra_words, to_override

INSPECTIONS = ("cfg", "info", "help", "hydra_help", "shell_completion")
SWITCHES = ("help", "hydra_help", "resolve", "multirun", "shell_completion")
OPTIONS = ("cfg", "info", "package")
REFUSED = {
    "config_name": "put a config.yaml into ./conf or --config-dir",
    "config_path": "use --config-dir",
    "experimental_rerun": "use experiment=PATH/experiment.json",
}


class Stopped(KeyboardInterrupt):
    """A job of a sweep was stopped by a signal, and the sweep with it."""

    def __init__(self, exit_code: int) -> None:
        super().__init__()
        self.exit_code = exit_code


class _Ended(BaseException):
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


def main(words: Sequence[str]) -> int:
    """Run a command line of flags and ``key=value`` words and return the exit code.

    Raises:
        ConfigError: The command line is wrong.
        VisrunError: The run failed.
    """
    if "--version" in words:
        print(f"visrun {visrun.__version__}")
        return 0
    args = _arguments(words)
    config_dir = Path(args.config_dir) if args.config_dir else None
    UserConfigs.folders = tuple(user_folders(Path.cwd(), config_dir))
    try:
        if args.shell_completion or args.hydra_help:
            return _hydra(args, args.overrides, _no_job)
        if args.multirun or any(word.replace(" ", "") == "hydra.mode=MULTIRUN" for word in args.overrides):
            return _sweep(args, config_dir)
        return _single(args, config_dir)
    finally:
        UserConfigs.folders = ()


def _arguments(words: Sequence[str]) -> Namespace:
    """Hydra's own flags and the words.

    Raises:
        ConfigError: Flags that exclude one another, or that visrun has another way for.
    """
    parser = get_args_parser()
    parser.prog = "visrun"
    args = parser.parse_intermixed_args(words)
    for name, instead in REFUSED.items():
        if getattr(args, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} is not taken; {instead}")
    modes = [f"--{name.replace('_', '-')}" for name in (*INSPECTIONS, "run", "multirun") if getattr(args, name)]
    if args.shell_completion and not args.overrides:
        raise ConfigError("--shell-completion: name the shell, as in --shell-completion install=bash")
    if len(modes) > 1:
        raise ConfigError(f"{' and '.join(modes)}: one of them only")
    return args


def _single(args: Namespace, config_dir: Path | None) -> int:
    """One run, or a look at its config."""
    resolved = resolve(args.overrides, config_dir=config_dir)
    own = hydra_words(args.overrides)
    say(resolved)
    if any(getattr(args, name) for name in INSPECTIONS):
        return _hydra(args, [*own, *resolved.overrides], _no_job)
    require_training(resolved.settings.task)
    made, codes = _folder("hydra.run.dir", own, resolved.settings.task), [0]

    def job(_: DictConfig) -> float | None:
        from visrun import run

        folder = Path(HydraConfig.get().runtime.output_dir)
        _save_config(resolved, folder)
        try:
            result = run.execute(resolved, folder)
        except Exception as error:
            raise _Ended(error) from error
        codes[0] = result.exit_code
        return result.value

    with _removed_if_empty(made):
        return _hydra(args, [*own, *_dir("hydra.run.dir", made), *resolved.overrides], job) or codes[0]


def _sweep(args: Namespace, config_dir: Path | None) -> int:
    """One run for each combination. A failing job raises, so that Hydra goes on with the others and then says so."""
    sweep = check_sweep(args.overrides, config_dir=config_dir)
    require_training(sweep.first.settings.task)
    own, cwd = hydra_words(args.overrides), Path.cwd()

    def job(_: DictConfig) -> float | None:
        from visrun import run

        mine = HydraConfig.get()
        resolved = resolve([word.removeprefix("+") for word in mine.overrides.task], config_dir=config_dir, cwd=cwd)
        require_training(resolved.settings.task)
        say(resolved)
        folder = Path(mine.runtime.output_dir)
        _save_config(resolved, folder)
        result = run.execute(resolved, folder)
        if result.exit_code:
            raise Stopped(result.exit_code)
        return result.value

    made = _folder("hydra.sweep.dir", own, "sweep", root=Path("multirun"))
    with _removed_if_empty(made):
        try:
            return _hydra(args, [*own, *_dir("hydra.sweep.dir", made), *sweep.words], job)
        except Stopped as stop:
            return stop.exit_code


def say(resolved: Resolved) -> None:
    """What was decided for the user, and what the user probably did not mean, on stderr."""
    for line in resolved.notices:
        print(f"visrun: {line}", file=sys.stderr)
    for line in resolved.warnings:
        print(f"visrun: warning: {line}", file=sys.stderr)


def _hydra(args: Namespace, words: Sequence[str], job: Any) -> int:
    """Hand over to Hydra; its errors come back as ours."""
    flags = [f"--{name.replace('_', '-')}" for name in SWITCHES if getattr(args, name)]
    flags += [f"--{name}={getattr(args, name)}" for name in OPTIONS if getattr(args, name) is not None]
    store_schema()
    Plugins.instance().register(UserConfigs)
    with _command_line([*flags, *words]):
        try:
            hydra.main(config_path=str(conf_dir()), config_name=PRIMARY)(job)()
        except _Ended as ended:
            raise ended.error from None
        except SystemExit as stop:
            return 2 if stop.code == 1 else int(stop.code or 0)
        except (HydraException, OmegaConfBaseException) as error:
            cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
            raise ConfigError(" ".join(f"{error} {cause or ''}".split())) from error
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


def _no_job(_: DictConfig) -> None:
    """What Hydra is given when it only shows something."""


def _folder(key: str, own: Sequence[str], name: str, *, root: Path = Path("outputs")) -> Path | None:
    """A fresh folder, unless the user names one."""
    return None if any(word.startswith(f"{key}=") for word in own) else new_run_folder(name, root=root)


def _dir(key: str, folder: Path | None) -> list[str]:
    return [] if folder is None else [to_override(key, str(folder))]


@contextmanager
def _removed_if_empty(folder: Path | None) -> Iterator[None]:
    """A folder in which Hydra never began leaves no trace."""
    try:
        yield
    finally:
        if folder is not None and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _save_config(resolved: Resolved, folder: Path) -> None:
    """Correct Hydra's record of the config where it differs from what runs."""
    file = folder / str(HydraConfig.get().output_subdir) / "config.yaml"
    content = resolved.settings.model_dump(mode="json") | resolved.hyperparameters.model_dump(mode="json")
    if file.is_file() and OmegaConf.to_container(OmegaConf.load(file)) != content:
        file.write_text(OmegaConf.to_yaml(OmegaConf.create(content)), encoding="utf-8")
