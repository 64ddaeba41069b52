"""What can go wrong, as one tree. Every message is one line: the key or file, what is wrong, what to do.

VisrunError            exit code 1: the run failed
├── Diverged           the loss became NaN or infinite
├── OutOfMemory        the batch does not fit the device
└── UserError          exit code 2: the input is wrong
    ├── ConfigError    a setting; carries all problems found, one line each
    └── DataError      a file or folder of the dataset
"""

from __future__ import annotations

import errno
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PATH_FAULTS = {  # what may be wrong with a path that the user named
    errno.ENAMETOOLONG: "a name in this path is too long",
    errno.EACCES: "permission denied; ask whom it belongs to, or name another path",
    errno.ELOOP: "links that lead in a circle; name another path",
    errno.EROFS: "the file system is read-only; name another path",
    errno.ENOSPC: "no space left on the disk; make room, or name another path",
    errno.ENOTDIR: "a file stands where a folder should be; name another path",
}
ERROR = "visrun: error: "  # begins the line on stderr that says why a process ends; others read it there
STOPPED = "visrun: stopped"  # on stderr, where a signal ends a process and nobody else has said so
# Ends a line about a name that no table has.
PLUGIN_HINT = "; a plugin may bring it: plugins=[my_package]"


class VisrunError(Exception):
    """A run that cannot go on; the message is one line for people."""

    exit_code = 1


def exit_code(error: BaseException) -> int:
    """What the process ends with where this error ends it."""
    usual = 130 if isinstance(error, KeyboardInterrupt) else 1
    return int(getattr(error, "exit_code", usual))


def first_line(error: BaseException, *, most: int | None = None) -> str:
    """The first line of what an error says, or its kind where it says nothing; cut to ``most`` characters."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    line = lines[0].rstrip()
    return line if most is None or len(line) <= most else f"{line[: most - 3]}..."


def foreign(error: BaseException) -> str:
    """What the code of a plugin raised, and where in it: ``TypeError: bad operand (my_package.py, line 7)``.

    The line is the innermost of the user's own files, else that of an installed package.
    """
    told = " ".join(f"{type(error).__name__}: {error}".split())
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    ours, installed = Path(__file__).parent, [Path(path) for path in sysconfig.get_paths().values()]
    theirs = [frame for frame in frames if not Path(frame.filename).is_relative_to(ours)]
    own = [frame for frame in theirs if not any(Path(frame.filename).is_relative_to(path) for path in installed)]
    theirs = own or [frame for frame in theirs if Path(frame.filename).parent.name != "importlib"]
    if isinstance(error, SyntaxError) or not theirs:  # that names its file and line itself
        return told
    return f"{told} ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})"


@contextmanager
def no_way_out() -> Iterator[None]:
    """Within: a plugin's ``sys.exit()`` is an error like any other, or the process would end as if all were well.

    Raises:
        VisrunError: Foreign code wants to end the process.
    """
    try:
        yield
    except SystemExit as error:
        raise VisrunError(foreign(error)) from error


class Diverged(VisrunError):
    """The loss became NaN or infinite."""


class OutOfMemory(VisrunError):
    """A training step does not fit the device's memory."""


class UserError(VisrunError, ValueError):
    """Input that visrun refuses before anything is written.

    Args:
        reason: What is wrong, and where.
        onward: What a person can do, where the two are told apart; the message has it behind a semicolon.
    """

    exit_code = 2

    def __init__(self, reason: str = "", onward: str = "") -> None:
        super().__init__("; ".join(filter(None, (reason, onward))))
        self.reason, self.onward = reason, onward


class ConfigError(UserError):
    """One or more wrong settings, all found in one pass.

    Args:
        problems: One line each, naming the key, the value and what is allowed.
    """

    def __init__(self, *problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = tuple(
            line for item in problems for line in ([item] if isinstance(item, str) else item)
        )
        super().__init__("\n".join(self.problems))


class DataError(UserError):
    """A dataset that cannot be trained on as it is.

    Args:
        message: For people; of many offenders it lists the first.
        offenders: All of them, one line each, where there are several.
    """

    def __init__(self, message: str = "", *, offenders: Sequence[str] = ()) -> None:
        self.offenders = tuple(offenders)
        super().__init__(message)


def complaints(check: Callable[[], object]) -> tuple[str, ...]:
    """What a check that raises finds wrong; () where it finds nothing."""
    try:
        check()
    except ConfigError as error:
        return error.problems
    return ()


def refuse_windows() -> None:
    """Say so on Windows, which has neither the locks nor the signals that runs need.

    Raises:
        UserError: This is Windows.
    """
    if sys.platform == "win32":
        raise UserError("visrun runs on Linux; on Windows, install and start it in WSL 2")


def closed(error: PermissionError) -> DataError:
    """What is said where a folder may not be read, whatever was looked for there."""
    return DataError(f"{error.filename}: no permission to look there: give it, or move the folder away")


def not_utf8(where: object, error: UnicodeDecodeError) -> ConfigError:
    """What is said of a file of settings in another encoding."""
    return ConfigError(f"{where}: not UTF-8 at byte {error.start}; save it as UTF-8")
