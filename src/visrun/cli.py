"""The ``visrun`` command: its verbs, and a training run through Hydra, validated before Hydra starts.

    visrun [key=value ...]             train
    visrun -m [key=a,b ...]            train one run for each combination
    visrun VERB ...                    one of visrun.arguments.VERBS

Exit codes: 0 done, 1 the run failed, 2 the input is wrong, 130, 143 and 129 stopped by Ctrl-C, SIGTERM and SIGHUP.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from visrun.arguments import VERBS, words_after
from visrun.build import load
from visrun.errors import (
    ERROR,
    PATH_FAULTS,
    STOPPED,
    ConfigError,
    DataError,
    UserError,
    VisrunError,
    complaints,
    exit_code,
    no_way_out,
    refuse_windows,
)
from visrun.synonyms import is_command, ours
from visrun.text import written_out

ANSWER = {"check", "compare", "evaluate", "explain", "export", "predict"}  # verbs whose result is what they print
HELP = ("help", "-h", "--help")


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
        code = _run(words[0], words[1:]) if words and words[0] in VERBS else _train(words)
        print(end="", flush=True)  # here, where a full disk behind it is told
        return code
    except VisrunError as error:
        return _told(error)
    except KeyboardInterrupt as stopped:
        if not getattr(stopped, "said", False):
            print(STOPPED, file=sys.stderr)
        return exit_code(stopped)
    except BrokenPipeError:  # the reader of our output is gone, as in `visrun explain | head`
        _say_no_more()
        return 1
    except OSError as error:  # whichever look at a typed path meets it first
        if error.errno == errno.ENOSPC and not error.filename:
            _say_no_more()
            return _told(VisrunError("no space left on the disk; make room and try again"))
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
        settings = [word for word in others if "=" in word and not word.startswith("-")]
        trains = named.split()[1] not in VERBS
        raise ConfigError([f"{first} is no verb of visrun; write {named}", *(_wrong(settings) if trains else ())])
    return words


def _wrong(words: Sequence[str]) -> Sequence[str]:
    """What is wrong with the settings of a run, a line each."""
    from visrun.config.compose import resolve

    return complaints(partial(resolve, words))


def _sleep_soon() -> None:
    """Let threads of OpenMP that wait for each other turn less long before they sleep, unless the user chose how.

    By libgomp's own number, 300,000, a thread holds the core that another run on the machine needs. PyTorch reads this
    when it is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def _say_no_more() -> None:
    """Let what is still to be printed go nowhere, lest Python fails at it once more as it ends."""
    from visrun.signals import silence

    silence([sys.stdout.fileno()])


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
        print(f"{ERROR}{written_out(line)}", file=sys.stderr)
    return error.exit_code


def _train(words: Sequence[str]) -> int:
    from visrun import launch

    return launch.main(words)


def _run(name: str, words: Sequence[str]) -> int:
    """Run a verb; the module of its function is imported only then."""
    verb = VERBS[name]
    if sys.stdout is None and name in ANSWER:
        raise VisrunError(f"standard output is closed, so that what {name} prints is lost: redirect it into a file")
    if not verb.flags:
        from visrun.config import plugins

        words = plugins.take(words_after(name, words), cwd=Path.cwd())
    from visrun.signals import stop_on_signals  # some of which Windows lacks: it is refused before

    leaves = nullcontext() if verb.flags else no_way_out()  # --help leaves by the same door
    with leaves, nullcontext() if verb.trains else stop_on_signals():  # however it ends, the cursor is back
        return load(verb.main)(words)


if __name__ == "__main__":
    sys.exit(main())
