"""What a person sees while a run trains: a live bar on a terminal, one line an epoch everywhere."""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from visrun.errors import VisrunError
from visrun.numbers import number
from visrun.signals import Interrupted, silence
from visrun.text import written_out

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

REFRESH_SECONDS = 0.1
logger = logging.getLogger("visrun")
LOG_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
STAMP = re.compile(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d{3} (?:INFO visrun: )?")  # of such a line
WARNED = "WARNING visrun: "  # where the terminal has "warning: "


def shortened(line: str) -> str:
    """A line of the log with its time of day, and else as the terminal has it; any other line as it is."""
    return STAMP.sub(r"\1 ", line).replace(WARNED, "warning: ", 1)


class LogFile(logging.FileHandler):
    """A log that loses its lines where the disk refuses them, so that the error to tell is the run's own."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name is logging's)
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def logged(file: Path) -> Iterator[None]:
    """Write what the run says, and what libraries warn of, to ``file`` as well.

    Raises:
        VisrunError: It cannot be opened.
    """
    try:
        handler = LogFile(file, encoding="utf-8", errors="backslashreplace")  # file names may be no text
    except OSError as error:
        raise VisrunError(f"{file}: cannot write ({error.strerror})") from error
    handler.setFormatter(logging.Formatter(LOG_LINE))
    root, level = logging.getLogger(), logger.level
    root.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """End as a stop does: nobody reads on, but for stderr, which is told so and by which command the run goes on.

        Rich's SystemExit is what Hydra ends with on wrong input, and it silences the console.
        """
        with suppress(SystemExit):
            super().on_broken_pipe()
        if self.file is sys.stderr:  # nor is that one read
            return
        self.file, self.quiet = sys.stderr, False
        self.print("visrun: nobody reads what is printed any more, so it ends here", markup=False)
        raise Interrupted(1, said=True)


@contextmanager
def _outliving_a_terminal() -> Iterator[None]:
    """Go on where the terminal is gone and nobody was told: a disowned job gets no SIGHUP. The log has every line."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        silence([fd for fd in (1, 2) if stat.S_ISCHR(os.fstat(fd).st_mode)])


def takes_back(console: Console) -> bool:
    """Whether what stands on it can be drawn anew: it is a terminal, and knows more than to print line by line."""
    return console.is_terminal and not console.is_dumb_terminal


class Screen:
    """Prints a run's story. On a terminal the epoch's bar stands below the lines; elsewhere there are lines only."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        file = sys.stderr if stderr else sys.stdout
        self.console = _Console(file=file, quiet=quiet, highlight=False, soft_wrap=True)
        self.live = takes_back(self.console)
        self.bar: Bar | None = None
        self.row: TaskID | None = None
        self.drawn = 0.0

    @_outliving_a_terminal()
    def say(self, text: str, *, style: str = "") -> None:
        """Print ``text`` without markup, and write it to the log."""
        log(logging.INFO, text)
        self.console.print(escape(written_out(text)), style=style or None)

    @_outliving_a_terminal()
    def warn(self, text: str) -> None:
        """Print a warning, and write it to the log as one."""
        log(logging.WARNING, text)
        self.console.print(escape(f"warning: {written_out(text)}"), style="yellow")

    @_outliving_a_terminal()
    def progress(self, title: str, done: int, total: int) -> None:
        """Move the bar of ``title``; drawn at most ten times a second.

        Args:
            total: 0 where nothing is counted; the bar then says what is done.
        """
        count = f"{done}/{total}" if total else ""
        now = time.monotonic()
        if not self.live or (now - self.drawn < REFRESH_SECONDS and 0 < done < total):
            return
        self.drawn = now
        if self.bar is None:
            self.bar = make_bar(self.console)
            self.bar.start()
            self.row = self.bar.add_task(title, total=total or None, count=count)
        assert self.row is not None
        if done < self.bar.tasks[0].completed:  # another count, whose pace is its own
            self.bar.reset(self.row)
            self.bar.tasks[0].total = None
        described = escape(title)
        self.bar.update(self.row, description=described, completed=done, total=total or None, count=count, refresh=True)

    @_outliving_a_terminal()
    def end_progress(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()
            self.bar, self.row = None, None


def log(level: int, text: str) -> None:
    """Write to the log where there is one: without, logging itself would print a warning that is printed already."""
    if logger.hasHandlers():
        logger.log(level, "%s", text)


def log_bug(what: str, error: BaseException) -> None:
    """Write an error of the code's own, with where it was raised, to the log; where there is none, to stderr."""
    logger.error("%s", what, exc_info=error)


class Bugs:
    """Errors of the code's own in what is done again and again: of each kind the first goes to the log."""

    def __init__(self) -> None:
        self.told: set[tuple[str, type[BaseException], str]] = set()

    def log(self, what: str, error: BaseException) -> bool:
        """Do as :func:`log_bug`, unless the same was raised at the same place before; whether it was not."""
        kind = what, type(error), str(traceback.extract_tb(error.__traceback__)[-1:])
        if kind in self.told:
            return False
        self.told.add(kind)
        log_bug(what, error)
        return True


def make_bar(console: Console) -> Bar:
    """A bar that is drawn only when told to: no thread of its own takes time from the training."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    words, count = TextColumn("{task.description}"), TextColumn("{task.fields[count]}")
    columns = (words, BarColumn(bar_width=32), count, TimeRemainingColumn())
    return Progress(*columns, console=console, auto_refresh=False, transient=True)


def epoch_line(
    epoch: int,
    epochs: int,
    row: dict[str, float],
    *,
    monitor: str,
    speed: float | None,
    improved: bool,
    widths: dict[str, int],
) -> str:
    """One epoch in one line: the loss, the monitored metric, the rate, the speed, and a star for a new best.

    Args:
        speed: Images a second, of an epoch with steps.
        widths: Characters that each number has taken so far, which this line goes on with: columns stay in line.
    """

    def told(name: str) -> str:
        text = number(row[name])
        widths[name] = max(widths.get(name, 0), len(text))
        return f"{name} {text:>{widths[name]}}"

    parts = [f"epoch {epoch:>{len(str(epochs))}}/{epochs}"]
    parts += [told(name) for name in ("loss", "val_loss") if name in row]
    if monitor in row:
        parts.append(f"{told(monitor)}{' *' if improved else '  '}")
    if "learning_rate" in row:
        parts.append(f"lr {row['learning_rate']:.2e}")
    if speed is not None:
        parts.append(f"{speed:,.0f} images/s")
    return "  ".join(parts)
