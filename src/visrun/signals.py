"""Ctrl-C, SIGTERM and a terminal that is closed ask the loop to stop; a second one ends the process at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
LOOK = 0.1  # seconds
AGAIN = 0.5  # seconds: what comes sooner is the same wish, by another way (a wrapper passes Ctrl-C on)
_asked: int | None = None
_scopes = 0  # of stop_on_signals that are open, one within another
SHOW_CURSOR = b"\x1b[?25h\n"  # a progress bar hides it
STOPPING = "stopping: what is under way ends, then all is saved; once more ends it at once"
CLEAR_LINE = b"\r\x1b[2K"


class Interrupted(KeyboardInterrupt):
    """A signal came where nothing has to be saved.

    Args:
        exit_code: What the process should end with.
        said: Whether a person has been told already.
    """

    def __init__(self, exit_code: int, *, said: bool = False) -> None:
        super().__init__(exit_code)
        self.exit_code, self.said = exit_code, said


@dataclass
class Stop:
    """What a signal leaves behind.

    Args:
        exit_code: Read by the loop after every step: what to end with, or None to go on.
        deferred: Whether somebody reads it; if not, the signal raises :class:`Interrupted` where it strikes.
        last: What the second signal prints before it ends the process.
    """

    exit_code: int | None = None
    deferred: bool = False
    last: str = "ended at once"

    def heed(self) -> None:
        """Raise :class:`Interrupted` where a signal has come."""
        if self.exit_code is not None:
            raise Interrupted(self.exit_code)


def asked() -> int | None:
    """What this process should end with, where a signal came within the outermost :func:`stop_on_signals` under way."""
    return _asked


def heed() -> None:
    """Raise :class:`Interrupted` where this process is :func:`asked` to stop."""
    if _asked is not None:
        raise Interrupted(_asked)


def pause(seconds: float) -> None:
    """Sleep, and no longer than until this process is :func:`asked` to stop."""
    until = time.monotonic() + seconds
    while asked() is None and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, LOOK))


@contextmanager
def stop_on_signals(said: str = "") -> Iterator[Stop]:
    """Turn the first signal of EXIT_CODES into ``Stop.exit_code``; restore the former handlers on leaving.

    A second one, later than AGAIN, ends the process. Where nohup has a closed terminal ignored, it stays ignored.
    While the loop runs the handler only sets a flag: saving from inside a handler can deadlock or tear a file. Outside
    the main thread, where Python cannot install handlers, the returned Stop is never set.

    One may lie within another. What a signal raised may have been swallowed, as Python does where it strikes within a
    destructor: the next one within says it again.

    Args:
        said: Printed at once, where the first signal is left to the loop.

    Raises:
        Interrupted: A signal came before, within the one around it.
    """
    global _asked, _scopes
    stop, asked_at, terminals = Stop(), 0.0, [fd for fd in (1, 2) if os.isatty(fd)]

    def ask(number: int, _frame: FrameType | None) -> None:
        global _asked
        nonlocal asked_at
        if number == signal.SIGHUP:
            silence(terminals)
        if stop.exit_code is not None:
            if time.monotonic() - asked_at < AGAIN:
                return
            if sys.stdout.isatty():
                os.write(sys.stdout.fileno(), SHOW_CURSOR)
            say(stop.last)
            os._exit(EXIT_CODES[signal.Signals(number)])
        stop.exit_code, asked_at = EXIT_CODES[signal.Signals(number)], time.monotonic()
        _asked = stop.exit_code
        if not stop.deferred:
            raise Interrupted(stop.exit_code)
        if said:
            say(said)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heed()
    hushed = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    former = {number: signal.signal(number, ask) for number in EXIT_CODES if number != signal.SIGHUP or not hushed}
    _scopes += 1
    try:
        yield stop
    finally:
        _scopes -= 1
        if not _scopes:
            _asked = None
        for number, handler in former.items():
            signal.signal(number, handler)


def say(text: str) -> None:
    """Print a line from within a handler, where a stream may be in the midst of another one; a bar makes way for it."""
    with suppress(OSError):
        os.write(1, (CLEAR_LINE if os.isatty(1) else b"") + text.encode() + b"\n")


def silence(terminals: Sequence[int]) -> None:
    """Lead these descriptors nowhere: what is printed where nobody reads any more would be an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for fd in terminals:
        os.dup2(nowhere, fd)
    os.close(nowhere)
