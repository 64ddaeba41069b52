"""Ctrl-C and SIGTERM ask the loop to stop; a second one ends the process at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


_asked: int | None = None
SHOW_CURSOR = b"\x1b[?25h\n"  # a progress bar hides it


class Interrupted(KeyboardInterrupt):
    """A signal came where nothing has to be saved; ``exit_code`` is what the process should end with."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


@dataclass
class Stop:
    """What a signal leaves behind.

    Args:
        exit_code: Read by the loop after every step: what to end with, or None to go on.
        deferred: Whether somebody reads it; if not, the signal raises :class:`Interrupted` where it strikes.
    """

    exit_code: int | None = None
    deferred: bool = False


def asked() -> int | None:
    """What this process should end with, where a signal has asked it to, though a run may have been about to end."""
    return _asked


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM into ``Stop.exit_code``; restore the former handlers on leaving.

    While the loop runs the handler only sets a flag: saving from inside a handler can deadlock or tear a file. Outside
    the main thread, where Python cannot install handlers, the returned Stop is never set.
    """
    stop = Stop()

    def ask(number: int, _frame: FrameType | None) -> None:
        global _asked
        if stop.exit_code is not None:
            if sys.stdout.isatty():
                os.write(sys.stdout.fileno(), SHOW_CURSOR)
            os._exit(EXIT_CODES[signal.Signals(number)])
        stop.exit_code = _asked = EXIT_CODES[signal.Signals(number)]
        if not stop.deferred:
            raise Interrupted(stop.exit_code)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    former = {number: signal.signal(number, ask) for number in EXIT_CODES}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
