"""The ``visrun`` command: its verbs, and a training run through Hydra, validated before Hydra starts.

    visrun [key=value ...]             train
    visrun -m [key=a,b ...]            train one run for each combination
    visrun check | explain | resume | predict | evaluate | export | compare | repeat | ui ...

Exit codes: 0 done, 1 the run failed, 2 the input is wrong, 130, 143 and 129 stopped by Ctrl-C, SIGTERM and SIGHUP.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from visrun.arguments import USAGE, words_after
from visrun.errors import PATH_FAULTS, ConfigError, DataError, UserError, VisrunError, exit_code, refuse_windows
from visrun.folders import expanded
from visrun.synonyms import is_command, ours


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. Whatever is wrong with the input is one line each on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # as stderr does: file names may be no text
        sys.stdout.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what visrun cannot read of a file it says in a line
    _sleep_soon()
    try:
        refuse_windows()
        words = _asked(words)
        verb = VERBS.get(words[0]) if words else None
        return verb(words[1:]) if verb else _train(words)
    except VisrunError as error:
        return _told(error)
    except KeyboardInterrupt as stopped:
        return exit_code(stopped)
    except BrokenPipeError:  # the reader of our output is gone, as in `visrun explain | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # whichever look at a typed path meets it first
        line = _about_path(error)
        if line is None:
            raise
        return _told(UserError(line))


def _asked(words: list[str]) -> list[str]:
    """The words as visrun has them: ``help`` and ``--help``, of a verb or of all, are flags.

    Raises:
        ConfigError: The first word is another tool's verb.
    """
    first, *others = words or [""]
    if first == "help" or (first in HELP and not any("=" in word or word.startswith("-") for word in others)):
        return [*(word for word in others[:1] if word in VERBS), "--help"]
    named = "" if first.startswith("-") else ours(first)
    if first not in VERBS and is_command(named):
        raise ConfigError(f"{first} is no verb of visrun; write {named}")
    return words


def _sleep_soon() -> None:
    """Let threads of OpenMP that wait for each other turn less long before they sleep, unless the user chose how.

    By libgomp's own number, 300,000, a thread holds the core that another run on the machine needs. PyTorch reads this
    when it is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def _about_path(error: OSError) -> str | None:
    """What is wrong with a path that the user named, or with the folder the user is in; None of any other fault."""
    if error.filename and error.errno in PATH_FAULTS:
        return f"{os.fsdecode(error.filename)}: {PATH_FAULTS[error.errno]}"
    if error.errno == errno.ENOENT and not error.filename:  # os.getcwd names no file
        return "the current folder is no longer there; go to another one (cd) and try again"
    return None


def _told(error: VisrunError) -> int:
    """Print what is wrong; the exit code."""
    if os.environ.get("VISRUN_DEBUG") == "1":
        traceback.print_exc()
    # A DataError lists its offenders, one a line; every other message is one line whatever it quotes.
    problems = error.problems if isinstance(error, ConfigError) else [str(error)]
    for text in problems:
        line = text if isinstance(error, DataError) else " ".join(text.split())
        print(f"visrun: error: {line}", file=sys.stderr)
    return error.exit_code


def _train(words: Sequence[str]) -> int:
    from visrun import launch

    return launch.main(words)


def _explain(words: Sequence[str]) -> int:
    from visrun import explain

    return explain.main(words)


def _check(words: Sequence[str]) -> int:
    given = _plugged(words)
    from visrun.survey import command

    return command.main(given)


def _compare(words: Sequence[str]) -> int:
    given = _plugged(words_after("compare", words))
    from visrun.compare import command

    return command.main(given)


def _repeat(words: Sequence[str]) -> int:
    from visrun import repeat

    return repeat.main(words)


def _resume(words: Sequence[str]) -> int:
    given = _plugged(words_after("resume", words))
    if not given or not all("=" in word for word in given[1:]):
        raise UserError(f"usage: {USAGE['resume']}")
    from visrun import run
    from visrun.record.next_steps import new_run
    from visrun.record.run_files import FILE_NAME
    from visrun.record.run_folder import read_json
    from visrun.record.sweep_files import onward

    path = expanded(given[0])
    folder = path.parent if path.name == FILE_NAME else path
    if folder.is_file():
        raise UserError(f"{folder}: is a file; name a run's folder, the one that holds {FILE_NAME}")
    if command := onward(folder):
        raise UserError(f"{folder}: a sweep; go on with it {command}")
    if given[1:]:
        raise UserError(f"resume changes no setting; {new_run(folder, read_json(folder / FILE_NAME), *given[1:])}")
    return run.resume(folder)


def _predict(words: Sequence[str]) -> int:
    given = _plugged(words_after("predict", words))
    from visrun import predict

    return predict.main(given)


def _evaluate(words: Sequence[str]) -> int:
    given = _plugged(words_after("evaluate", words))
    from visrun import evaluate

    return evaluate.main(given)


def _export(words: Sequence[str]) -> int:
    given = _plugged(words_after("export", words))
    from visrun import export

    return export.main(given)


def _ui(words: Sequence[str]) -> int:
    from visrun.web import server

    return server.main(words)


def _plugged(words: Sequence[str]) -> list[str]:
    """The words without ``plugins=[...]``, once these, which a run's folder does not remember, are imported."""
    from visrun.config import plugins

    return plugins.take(words, cwd=Path.cwd())


HELP = ("help", "-h", "--help")
VERBS: dict[str, Callable[[Sequence[str]], int]] = {
    "check": _check,
    "compare": _compare,
    "evaluate": _evaluate,
    "explain": _explain,
    "export": _export,
    "predict": _predict,
    "repeat": _repeat,
    "resume": _resume,
    "ui": _ui,
}

if __name__ == "__main__":
    sys.exit(main())
