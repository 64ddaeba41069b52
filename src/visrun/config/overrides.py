"""The command line's ``key=value`` words: quoted where Hydra's grammar needs it, parsed by Hydra, their keys checked.

Paths and free texts are taken as they stand on the shell: quotes go round them before Hydra's grammar, which knows
parentheses, commas and ``=``, can read anything into them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    IntervalSweep,
    Override,
    OverrideType,
    Quote,
    QuotedString,
    RangeSweep,
    ValueType,
)
from hydra.errors import HydraException

from visrun.arguments import VERBS
from visrun.config import spelling
from visrun.config.checks import problems_of
from visrun.config.fields import show
from visrun.errors import ConfigError
from visrun.folders import expanded
from visrun.near import is_hydra_key, near
from visrun.synonyms import hint
from visrun.tables.own import maybe_brought

PATHS = ("data.cache_dir", "data.root", "experiment", "model.weights")
TEXTS = ("data.group", "tracking.experiment", "tracking.run_name", "tracking.uri")
NAME_LISTS = ("data.classes", "data.targets")
RUN_DIR = "hydra.run.dir"
SWEEP_DIR, STUDY = "hydra.sweep.dir", "hydra.sweeper.study_name"  # a sweep's folder, and its name
HYDRA_PATHS = (RUN_DIR, SWEEP_DIR, "hydra.sweep.subdir")
GROUPS = ("task", "data", "model", "optimizer", "scheduler", "loss", "augment", "tracking")
SWEEPS = ("choice(", "glob(")
READY = "sweep"  # sweep=NAME, a ready space: words of a sweep by one name
SWEEPING = ("hydra.sweep", "hydra/sweep", "hydra.launcher", "hydra/launcher")  # read with -m only
LONG = 1000  # values of a range that are looked at one by one


@dataclass(frozen=True)
class Typed:
    """One ``key=value`` word.

    Args:
        key: The setting, such as ``learning_rate``, ``model`` or ``data.root``.
        line: The word as Hydra reads it, quoted where it needs quotes.
        value: The plain value; of a sweep, its first one.
        values: All values that a sweep enumerates (of an interval, its two ends); () where it is no sweep.
    """

    key: str
    line: str
    value: Any
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Words:
    """A command line's words for visrun's settings, and what is wrong with any of them, one line each."""

    typed: tuple[Typed, ...]
    problems: tuple[str, ...]


def parse(
    words: Sequence[str],
    *,
    known: Collection[str],
    cwd: Path,
    multirun: bool = False,
    options: ConfigLoader | None = None,
) -> Words:
    """Read a command line's words. Nothing is raised: every wrong word adds one line to ``problems``.

    Args:
        words: ``key=value`` words, without flags.
        known: The settings there are, such as ``learning_rate`` and ``data.root``.
        cwd: The shell's folder; relative paths start there.
        multirun: Whether ``optimizer=adam,sgd`` is a sweep; else it is an error.
        options: Lists a group's options for ``model=glob(resnet*)``.
    """
    found: dict[str, Typed] = {}
    problems: list[str] = []
    for word in words:
        try:
            if is_hydra(word):
                item = _read_hydras(word, multirun=multirun)
            else:
                item = _read(word, known=known, cwd=cwd, multirun=multirun, options=options)
            if item.key in found:
                raise ConfigError(f"{item.key} is given twice: {found[item.key].line} and {item.line}; keep one")
            found[item.key] = item
        except ConfigError as error:
            problems.extend(error.problems)
    return Words(tuple(item for item in found.values() if not is_hydra(item.key)), tuple(problems))


def _read_hydras(word: str, *, multirun: bool) -> Typed:
    key, (line,) = word.lstrip("+~").partition("=")[0], hydra_words([word])
    if key.startswith(SWEEPING) and not multirun:
        raise ConfigError(f"{show(word)}: needs -m, as in visrun -m {show(word)}")
    return Typed(key, line, None)


def value_of(key: str, text: str, *, cwd: Path) -> Any:
    """The plain value that the command line reads from ``key=text``, for a setting that there is.

    Raises:
        ConfigError: It reads no single value from it.
    """
    return _read(f"{key}={text}", known=(key,), cwd=cwd, multirun=False, options=None).value


def is_hydra(word: str) -> bool:
    """Whether a word sets one of Hydra's own settings (``hydra.run.dir=...``, ``hydra/launcher=...``)."""
    return is_hydra_key(word.lstrip("+~").partition("=")[0])


def hydra_words(words: Iterable[str]) -> list[str]:
    """The words for Hydra's own settings, folders quoted and a leading ``~`` in them expanded.

    Raises:
        ConfigError: A word that Hydra's grammar does not read, whose option is no name or whose folder is none.
    """
    lines = []
    for word in filter(is_hydra, words):
        key, sign, text = word.partition("=")
        if not sign and word[:1] != "~":
            raise ConfigError(f"{show(word)} is no setting{near(word, ())}")
        bare = key in HYDRA_PATHS and text[:1] not in ("'", '"')
        text = str(expanded(text)) if bare and text.startswith("~") else text
        lines.append(f"{key}={QuotedString(text, Quote.single).with_quotes()}" if bare else word)
        value = _parsed(lines[-1]).value()
        if isinstance(value, bool | int | float | dict) and "/" in key:
            raise ConfigError(f"{key}={show(text)}: must be the name of an option")
        if key in HYDRA_PATHS and (not str(value).strip() or (bare and text == "null")):
            raise ConfigError(f"{key}={show(text)}: must be a path")
        if key.lstrip("+") == "hydra.searchpath":
            raise ConfigError(f"{key} is not taken; use --config-dir")
    return lines


def run_dir(words: Iterable[str]) -> Path | None:
    """The folder that ``hydra.run.dir`` among :func:`hydra_words` names; None without, or where Hydra makes it up."""
    folder = hydra_value(RUN_DIR, words)
    return None if folder is None or "${" in folder else Path(folder)


def hydra_value(key: str, words: Iterable[str]) -> str | None:
    """What ``key`` is set to among :func:`hydra_words`, without quotes; None where it is not set, or to null."""
    mine = (word for word in words if word.partition("=")[0].lstrip("+") == key)
    values = (_parsed(word).value() for word in mine)
    return next((str(value) for value in values if value is not None), None)


def _read(word: str, *, known: Collection[str], cwd: Path, multirun: bool, options: ConfigLoader | None) -> Typed:
    if word[:1] in ("+", "~"):
        key = word.lstrip("+~").partition("=")[0]
        advice = f"; write {key}=value" if key in known else f", and {show(key)} is no setting{near(key, known)}"
        raise ConfigError(f"{word}: settings are neither added nor removed{advice}")
    key, sign, text = word.partition("=")
    if not sign:
        if word in VERBS:
            raise ConfigError(f"{word} stands first: visrun {word} ...")
        raise ConfigError(f"{show(word)} is no setting{hint(word) or f'; write key=value{near(word, VERBS)}'}")
    key = key.strip()
    if key == READY and not multirun:
        shows = f"visrun explain -m {READY}={show(text)} shows what it tries"
        raise ConfigError(f"{READY}={show(text)}: needs -m, as in visrun -m {READY}={show(text)}; {shows}")
    if key not in known:
        raise ConfigError(f"{show(key)} is no setting{near(key, known)}{maybe_brought(key)}")
    if "${" in text:
        raise ConfigError(f"{key}={show(text)}: ${{...}} is not taken; write the value itself")
    if text.strip() == "???":
        raise ConfigError(f"{key}=???: give a value")
    line = _quoted(key, text, cwd=cwd, multirun=multirun)
    if line.startswith(f"{key}=extend_list("):
        raise ConfigError(f"{key}={show(text)}: give the whole value")
    try:
        override = _parsed(line, options)
    except ConfigError:  # no value of Hydra's grammar: a text, and the check of the field says what it takes
        override = _parsed(spelling.to_override(key, text))
    assert override.type is OverrideType.CHANGE
    if not override.is_sweep_override():
        return Typed(key, override.input_line or word, override.value())
    if not multirun:
        raise ConfigError(_one_value(key, text, override))
    values = _sweep_values(override)
    if not values:
        raise ConfigError(f"{key}={show(text)}: sweeps over no value")
    return Typed(key, override.input_line or word, values[0], values)


def _one_value(key: str, text: str, override: Override) -> str:
    if key == "run.device":
        spread = "-m and hydra.sweeper.n_jobs=2 spread those of a sweep"
        return f"{key}={show(text)}: one run trains on one GPU, such as {key}=cuda:0; {spread}"
    line = f"{key}={show(text)}: one value only; visrun -m runs each"
    listed = override.value_type is ValueType.SIMPLE_CHOICE_SWEEP and not problems_of(key, _sweep_values(override))
    return f"{line}, and a list is written {key}=[{text}]" if listed else line


def _sweep_values(override: Override) -> tuple[Any, ...]:
    """What a sweep runs over; of an interval its two ends, of a very long range the first values and its end."""
    if override.value_type is ValueType.INTERVAL_SWEEP:
        sweep = override.value()
        assert isinstance(sweep, IntervalSweep)
        return tuple(int(end) if end == int(end) else end for end in (sweep.start, sweep.end) if end is not None)
    values = [Override._convert_value(value) for value in islice(override.sweep_iterator(), LONG)]
    sweep = override.value()
    last = [sweep.stop] if isinstance(sweep, RangeSweep) and len(values) == LONG else []
    return (*values, *last)


def _parsed(line: str, options: ConfigLoader | None = None) -> Override:
    try:
        return OverridesParser.create(config_loader=options).parse_overrides([line])[0]
    except (HydraException, RecursionError, ValueError):  # brackets without end, an integer of thousands of digits
        key, _, text = line.partition("=")
        raise ConfigError(f"{key}={show(text)}: not readable; put quotes that reach visrun round the value") from None


def _quoted(key: str, text: str, *, cwd: Path, multirun: bool) -> str:
    """``key=text`` with quotes round a path, a free text or the names of a list, unless they are there already."""
    text = text if key in PATHS + TEXTS else text.strip()
    line = f"{key}={text}"
    if key in NAME_LISTS and text[:1] == "[" and text[-1:] == "]" and not set(text) & {"'", '"'}:
        lists = [names.split(",") for names in re.split(r"\]\s*,\s*\[", text[1:-1])]  # several are a sweep's
        found = [[name.strip() for name in names if name.strip()] for names in lists]
        return f"{key}=" + ",".join(spelling.text(names, key) for names in found)
    if key not in PATHS + TEXTS or text.lower() == "null" or (multirun and text.startswith(SWEEPS)):
        return line
    if text[:1] in ("'", '"') and text[-1:] == text[:1]:
        try:
            override = _parsed(line)
        except ConfigError:
            override = None
        if override is not None and override.is_sweep_override():
            return line
        text = text if override is None else str(override.value())
    return spelling.to_override(key, placed(key, text, cwd))


def placed(key: str, value: Any, cwd: Path) -> Any:
    """A setting's value; a path that starts at the shell's folder or at ``~`` is made absolute."""
    return absolute(value, cwd) if isinstance(value, str) and _is_path(key, value) else value


def _is_path(key: str, text: str) -> bool:
    return bool(text) and (key in PATHS or (key == "tracking.uri" and text.startswith(("~", "./", "../"))))


def absolute(text: str, cwd: Path) -> str:
    """A path from the shell's folder, with a leading ``~`` as the home folder; ``..`` leads where the disk says."""
    path = cwd / expanded(text)
    climbs = ".." in path.parts and "\0" not in text  # no path has that one, and the schema says so
    return os.path.realpath(path) if climbs else str(path)
