"""A training command through Hydra: validate, let Hydra make the folder and the log, run.

Hydra gets every choice spelt out, so that it composes what was validated. In a sweep Hydra splits the typed words into
jobs, and each job resolves its own words again.
"""

from __future__ import annotations

import gc
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from itertools import count
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

import visrun
from visrun import preflight
from visrun.allocator import collect
from visrun.arguments import VERBS, Parser
from visrun.config.choices import known
from visrun.config.compose import Resolved, check_sweep, resolve
from visrun.config.configs import Conf, open_conf
from visrun.config.lines import texts
from visrun.config.overrides import RUN_DIR, STUDY, SWEEP_DIR, hydra_value, hydra_words
from visrun.config.search_path import user_folders
from visrun.config.spelling import to_override
from visrun.errors import ConfigError
from visrun.folders import expanded
from visrun.handover import Ended, UserConfigs, all_refused, hand_over, no_job, run_folder, sweeping
from visrun.near import near
from visrun.record.inside import require_inside
from visrun.record.outputs import SWEEPS, new_run_folder
from visrun.signals import Interrupted

INSPECTIONS = ("cfg", "info", "help", "hydra_help", "shell_completion")
REFUSED = {
    "config_name": "put a config.yaml into ./conf or --config-dir",
    "config_path": "use --config-dir",
    "experimental_rerun": "use experiment=PATH/experiment.json",
}


def main(words: Sequence[str], *, command: Sequence[str] | None = None) -> int:
    """Run a command line of flags and ``key=value`` words and return the exit code.

    Args:
        command: What the user typed behind ``visrun``, where it is not ``words``: a sweep's slots and the command that
            continues it begin so.

    Raises:
        ConfigError: The command line is wrong.
        VisrunError: The run failed.
    """
    if "--version" in words:
        print(f"visrun {visrun.__version__}")
        return 0
    args = _arguments(words)
    config_dir = Path(args.config_dir) if args.config_dir else None
    preflight.require_text("the current folder, ", Path.cwd(), "go to another one (cd)")
    UserConfigs.folders = tuple(user_folders(Path.cwd(), config_dir))
    try:
        if args.shell_completion or args.hydra_help:
            _complete_verbs()
            code = hand_over(args, args.overrides, no_job)
            if args.hydra_help:
                print("In visrun:", *map(_refusal, REFUSED), "--version shows visrun's version", sep="\n")
            return code
        many = args.multirun or hydra_value("hydra.mode", args.overrides) == "MULTIRUN"
        with all_refused(args.overrides, config_dir, RunMode.MULTIRUN if many else RunMode.RUN):
            if many:
                return _sweep(args, config_dir, words if command is None else command)
            return _single(args, config_dir)
    finally:
        UserConfigs.folders = ()


def _complete_verbs() -> None:
    """Print the verbs that complete a first word, and take what is no setting out of the line that Hydra completes.

    Hydra reads the line typed so far from the environment, and takes each of its words for a setting.
    """
    command, *words = os.environ.get("COMP_LINE", "").split(" ")
    if not words:
        return
    if len(words) == 1:
        print(*(verb for verb in VERBS if verb.startswith(words[0])))
    settings = [word for word in words[:-1] if "=" in word]
    os.environ["COMP_LINE"] = " ".join([command, *settings, words[-1]])


def _arguments(words: Sequence[str]) -> Namespace:
    """Hydra's own flags and the words.

    Raises:
        ConfigError: Flags that exclude one another, or that visrun has another way for.
    """
    parser = Parser("visrun", parents=[get_args_parser()], add_help=False, allow_abbrev=False)
    args, unknown = parser.parse_known_intermixed_args(words)
    for word in unknown:
        key = word.lstrip("-").partition("=")[0].replace("-", "_")
        if key in known():
            raise ConfigError(f"{word} is no flag; write {key}=VALUE")
        if told := near(key, known()):
            told = told if told.startswith(";") else f"; settings are written key=value{told}"
            raise ConfigError(f"{word} is no flag{told}")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    for name in REFUSED:
        if getattr(args, name) is not None:
            raise ConfigError(_refusal(name))
    modes = [f"--{name.replace('_', '-')}" for name in (*INSPECTIONS, "run", "multirun") if getattr(args, name)]
    if args.shell_completion and not args.overrides:
        raise ConfigError("--shell-completion: name the shell, as in --shell-completion install=bash")
    if len(modes) > 1:
        raise ConfigError(f"{' and '.join(modes)}: one of them only")
    if args.package is not None and not args.cfg:
        raise ConfigError("--package: with --cfg only, as in --cfg job --package model")
    if args.resolve and not (args.cfg or args.help):
        raise ConfigError("--resolve: with --cfg or --help only, as in --cfg job --resolve")
    return args


def _refusal(name: str) -> str:
    return f"--{name.replace('_', '-')} is not taken; {REFUSED[name]}"


def _single(args: Namespace, config_dir: Path | None) -> int:
    """One run, or a look at its config."""
    conf = open_conf(Path.cwd(), config_dir)
    resolved = resolve(args.overrides, conf=conf)
    own = hydra_words(args.overrides)
    if any(getattr(args, name) for name in INSPECTIONS):
        say(resolved)
        return hand_over(args, [*own, *resolved.overrides], no_job)
    chosen = _chosen(RUN_DIR, own, run_folder([*own, *resolved.overrides], conf))
    if chosen is not None:
        preflight.require_free(chosen)
    preflight.require(resolved.settings)
    say(resolved)
    made, codes = preflight.make(RUN_DIR, chosen) if chosen else new_run_folder(resolved.settings.task), [0]
    named = [] if hydra_value(RUN_DIR, own) else [to_override(RUN_DIR, str(chosen or made))]

    def job(config: DictConfig) -> float | None:
        from visrun import run

        folder = Path(HydraConfig.get().runtime.output_dir)
        _save_config(resolved, folder, recorded=config)
        try:
            result = run.execute(resolved, folder)
        except Exception as error:
            raise Ended(error) from error
        codes[0] = result.exit_code
        return result.value

    with removed_if_empty(made):
        return hand_over(args, [*own, *named, *resolved.overrides], job) or codes[0]


def _sweep(args: Namespace, config_dir: Path | None, command: Sequence[str]) -> int:
    """Many runs. A failing one raises, so that the sweeper goes on with the others and then says so."""
    from visrun.sweep.plugin import Command, VisrunSweeper  # Optuna's import is for sweeps only

    Plugins.instance().register(VisrunSweeper)
    own, conf = hydra_words(args.overrides), open_conf(Path.cwd(), config_dir)
    sweep = check_sweep(args.overrides, conf)
    preflight.require(sweep.first.settings)
    folder, made, named = sweep_folder("sweep", own, sweep.first, conf)
    preflight.require_text("hydra.sweep.dir=", folder, "name another one")
    require_inside(folder)
    find, trial = partial(resolve, conf=conf), partial(_trial, config_dir=config_dir, cwd=conf.cwd)
    VisrunSweeper.command, VisrunSweeper.exit_code = Command(tuple(command), sweep.first, find, conf.loader), 0
    with removed_if_empty(folder if made else None):
        try:
            code = hand_over(args, [*own, *named, *sweep.words], trial)
        except Interrupted as stop:
            return stop.exit_code
        finally:
            VisrunSweeper.command = None
    return code or VisrunSweeper.exit_code


def _trial(config: DictConfig, *, config_dir: Path | None, cwd: Path) -> float | list[float] | None:
    """One job of a sweep, in whatever process its launcher runs it."""
    from visrun.sweep import trial

    _clear()
    mine = HydraConfig.get()
    words = [word.removeprefix("+") for word in mine.overrides.task]
    resolved = resolve(words, _conf(cwd, config_dir))
    say(resolved)
    from visrun import run  # torch, which takes a job's own process seconds, comes after what may refuse the job

    folder, current = Path(mine.runtime.output_dir), trial.current()
    _save_config(resolved, folder, recorded=config)
    result = run.execute(resolved, folder, trial=current)
    _set_aside()
    if result.exit_code:
        raise Interrupted(result.exit_code)
    return result.value if current is None else current.values(result)


_begun = count()  # numbers the trials of this process


def _clear() -> None:
    """Free what the process' former trial left, however it ended: what was kept for later goes to the other slots."""
    if next(_begun):
        collect()


@cache  # once in a process
def _set_aside() -> None:
    """Spare the garbage collector what every trial uses: to look through it takes long, even amid an epoch."""
    gc.collect()
    gc.freeze()


@cache
def _conf(cwd: Path, config_dir: Path | None) -> Conf:
    """The config files of a sweep, read once by each process: all its trials are composed from the same."""
    return open_conf(cwd, config_dir)


def sweep_folder(kind: str, own: Sequence[str], first: Resolved, conf: Conf) -> tuple[Path, bool, list[str]]:
    """Where a sweep writes, whether the folder was made for it, and the words that say so where the user's do not.

    Args:
        kind: Ends the name of a folder that is made, for a sweep that has no name.
        own: The user's words to Hydra, see :func:`visrun.config.overrides.hydra_words`.
        first: The sweep's first job.

    Raises:
        ConfigError: Hydra's settings cannot be composed, or say that a worker is to join a study without a name.
    """
    name, folder, ours, worker = sweeping([*own, *first.overrides], conf)
    typed = [key for key in (SWEEP_DIR, STUDY) if hydra_value(key, own)]
    chosen = _chosen(SWEEP_DIR, own, folder)
    made = not name and not chosen
    if made and worker:  # it would begin a study of its own, which nobody else finds
        raise ConfigError(f"hydra.sweeper.worker=true: name the study it joins, {STUDY}=NAME")
    place = chosen or (Path(SWEEPS, name) if name else new_run_folder(kind, root=Path(SWEEPS)))
    if made and ours:
        name = str(place.relative_to(SWEEPS))
    found = {SWEEP_DIR: str(place), STUDY: name}
    return place, made, [to_override(key, value) for key, value in found.items() if value and key not in typed]


def _chosen(key: str, own: Sequence[str], folder: str | None) -> Path | None:
    """The folder that was typed, in which ``~`` is replaced already, or that a file names; None where neither is."""
    if not folder:
        return None
    return Path(folder) if hydra_value(key, own) else expanded(folder)


def say(resolved: Resolved) -> None:
    """What was decided for the user, and what the user probably did not mean, on stderr."""
    for line in texts(resolved.notices):
        print(f"visrun: {line}", file=sys.stderr)
    for line in texts(resolved.warnings):
        print(f"visrun: warning: {line}", file=sys.stderr)


@contextmanager
def removed_if_empty(folder: Path | None) -> Iterator[None]:
    """Remove ``folder`` in the end, and that of its day above it, where they are empty: Hydra never began."""
    try:
        yield
    finally:
        for empty in () if folder is None else (folder, folder.parent):
            with suppress(OSError):  # not empty, or never made
                empty.rmdir()


def _save_config(resolved: Resolved, folder: Path, *, recorded: DictConfig) -> None:
    """Correct Hydra's record of the config where it differs from what runs."""
    file = folder / str(HydraConfig.get().output_subdir) / "config.yaml"
    content = resolved.settings.model_dump(mode="json") | resolved.hyperparameters.model_dump(mode="json")
    if file.is_file() and OmegaConf.to_container(recorded) != content:
        file.write_text(OmegaConf.to_yaml(OmegaConf.create(content)), encoding="utf-8")
