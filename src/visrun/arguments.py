"""The verbs, their flags and options: a mistake is one line like every other, never a block of usage."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from visrun.build import Ref
from visrun.errors import ConfigError
from visrun.folders import expanded
from visrun.near import did_you_mean
from visrun.synonyms import hint


class Verb(NamedTuple):
    """A verb of the command.

    Args:
        main: The function that gets the words behind it and returns the exit code.
        usage: How it is used, in one line.
        about: What its ``--help`` says.
        flags: Whether that function reads flags and ``plugins=[...]`` itself; else it gets the words without plugins,
            once these, which a run's folder does not remember, are imported.
        trains: Whether it trains, and so has its own answer to a signal.
    """

    main: Ref
    usage: str
    about: str
    flags: bool = False
    trains: bool = False


VERBS = {
    "check": Verb(
        main="visrun.survey.command:main",
        usage="visrun check data.root=PATH [task=T] [data=coco] [data.on_bad=skip] [out=check.png] [--json]",
        about=(
            "Which tasks a folder can serve and as which layout, its counts, sizes and problems, and a sheet of "
            "labelled samples. data.targets=, data.classes=, data.val_fraction=, data.fold=, data.group= and seed= "
            "choose as in a run. Exit code 2 where no run (of the task named) could start on it as it is."
        ),
        flags=True,
    ),
    "compare": Verb(
        main="visrun.compare.command:main",
        usage="visrun compare RUN_OR_TRIAL_OR_SWEEP... [out=compare.html] [pictures=8] [device=cpu]",
        about=(
            "Where runs differ: settings and metrics side by side, and one page with curves and predictions on the "
            "same images (pictures=0: without these). A sweep's folder stands for its best trials; repeats are also "
            "compared pair by pair of their seeds or folds."
        ),
    ),
    "evaluate": Verb(
        main="visrun.evaluate:main",
        usage=(
            "visrun evaluate RUN [data.root=PATH] [split=test] [threshold=0.5] [recall=0.99] [out=DIR] [data=folder] "
            "[device=cpu]"
        ),
        about=(
            "The task's metrics of a run on its own dataset or another one, as one JSON line; classes are matched by "
            "name. The test split counts, else val, else train, unless split= names one. data=demo stands for the "
            "built-in images; how an image is seen is the run's own. threshold= counts as in predict; recall=0.99 "
            "adds the highest threshold that reaches it, for anomaly detection and each class. out=DIR also gets "
            "pictures, the worst images first, and a JSON line for each."
        ),
    ),
    "explain": Verb(
        main="visrun.explain:main",
        usage="visrun explain [--json] [-m] [--config-dir DIR] [KEY ...] [key=value ...]",
        about=(
            "Every setting of a run: its value, where it came from, and whether the run reads it. Of a KEY alone, such "
            "as learning_rate, what it means and takes; -m also shows what a sweep tries."
        ),
        flags=True,
    ),
    "export": Verb(
        main="visrun.export:main",
        usage="visrun export RUN [format=onnx] [out=FILE]",
        about=(
            "A run, or a best.pt alone, as a program for other runtimes: format=onnx, or pt2 for torch.export.load. It "
            "goes from RGB images in [0, 1] to the task's named predictions; what it leaves out, such as how a picture "
            "is fitted to its size and the suppression of doubles, stands in the JSON line that is printed, and in the "
            "file."
        ),
    ),
    "predict": Verb(
        main="visrun.predict:main",
        usage="visrun predict RUN IMAGES... [threshold=0.5] [out=DIR] [pictures=0] [format=dota|coco] [device=cpu]",
        about=(
            "What a run, or a best.pt alone, sees in images: files, folders, or lists of paths (a .txt, or - for "
            "standard input). A JSON line for each, and drawn pictures in out= (else in predictions/ of the run's "
            "folder, of the current one where a best.pt lies in no run). threshold= is the score from which on an "
            "object, one label of several or a defect is reported; threshold=CLASS:0.8 is that of one label, or calls "
            "an image CLASS from there on. pictures=N draws N images. Into out= go also the files that evaluation "
            "servers take: format=dota, or format=coco with ids=FILE, the json that has the ids of images and "
            "categories."
        ),
    ),
    "repeat": Verb(
        main="visrun.repeat:main",
        usage="visrun repeat [experiment=PATH] [seeds=5|folds=5] [key=value ...]",
        about=(
            "The same configuration with seeds 0, 1, 2 ... (seeds=5) or these (seeds=[3,7,11]), or with each of so "
            "many folds of train and val as its val (folds=5): mean, standard deviation and 95 % interval of every "
            "metric. It is a sweep over seed or data.fold, so hydra.sweeper.* words work."
        ),
        flags=True,
        trains=True,
    ),
    "resume": Verb(
        main="visrun.resume:main",
        usage="visrun resume RUN [data.root=PATH] [run.device=cpu ...]",
        about=(
            "Go on with an interrupted run, exactly where it was saved last. data.root names its dataset, if that was "
            "moved; what says where and how it runs and is tracked may change."
        ),
        trains=True,
    ),
    "ui": Verb(
        main="visrun.web.server:main",
        usage="visrun ui [--port N] [--no-browser] [--data DIR]...",
        about=(
            "The same in a browser: a form over every setting, runs and sweeps as they train. It answers this machine "
            "alone, and reads datasets below the current folder, the home folder and each --data DIR."
        ),
        flags=True,
    ),
}
ALSO = {"run.device": "device"}  # what training calls an option of the verbs


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are ``ConfigError``."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line in one line."""
        raise ConfigError(f"{message} (see {self.prog} --help)")


def verb_parser(verb: str) -> Parser:
    """The flags and words after a verb; ``--help`` prints its usage and ends the process with exit code 0."""
    parser = Parser(f"visrun {verb}", usage=VERBS[verb].usage, description=VERBS[verb].about, allow_abbrev=False)
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    return parser


def words_after(verb: str, words: Sequence[str]) -> list[str]:
    """The words after a verb that takes no flags.

    Raises:
        ConfigError: There is a flag, or a file whose name begins as one does.
    """
    for word in words:
        if word.startswith("-") and word != "-" and Path(word).is_file():
            raise ConfigError(f"{word}: begins as a flag does; name the file ./{word}")
    return list(verb_parser(verb).parse_args(words).words)


def options(verb: str, words: Sequence[str], known: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The ``key=value`` words of a verb, and the others: files and folders, which may have a ``=`` in their names.

    Args:
        known: The keys that the verb reads; the names in ``ALSO`` stand for theirs.

    Raises:
        ConfigError: A key that is none of these, is given twice or has no value.
    """
    from visrun.config.fields import show  # pydantic: --help does without

    found: dict[str, str] = {}
    given: dict[str, str] = {}
    names, problems = [], []
    for word in words:
        key, equals, value = word.partition("=")
        key = ALSO[key] if ALSO.get(key) in known else key
        if not equals and "://" in word:
            problems.append(f"{show(word)}: addresses are not read; download it and name the file")
        elif not equals or (key not in known and ("/" in key or expanded(word).exists())):
            names.append(word)
        elif key not in known:
            problems.append(f"{show(word)}: {verb} does not read this{_instead(key, show(word), known)}")
        elif key in found:
            problems.append(f"{key} is given twice: {show(given[key])} and {show(word)}; keep one")
        elif not value.strip():
            problems.append(f"{key}=: give a value, or leave it out")
        else:
            found[key], given[key] = value, word
    if problems:
        raise ConfigError(problems)
    return found, names


def _instead(key: str, file: str, known: Sequence[str]) -> str:
    """What a verb takes in place of an option that it does not know."""
    told = hint(key)
    if told.startswith(";"):
        return told
    leaf = key.rpartition(".")[2]  # a section that both names have makes no likeness
    alike = [name for name in known if did_you_mean(leaf, [name.rpartition(".")[2]])]
    if near := did_you_mean(key, alike).replace("?", "=?"):
        return near
    from visrun.config.choices import known as settings  # Hydra: words without a mistake do without

    files = "" if key in settings() else f", and a file of this name as ./{file}"
    return f"; it reads {', '.join(f'{name}=' for name in known)}{files}"
