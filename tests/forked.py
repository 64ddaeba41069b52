"""``visrun`` in processes that begin with its libraries imported: to import them is most of what a short run takes.

Each is the fork of a process that imports them once for a test worker. Where the beginning itself is tested, as in
tests/test_cli.py, processes are made from nothing; so are all that visrun itself makes, such as the slots of a sweep.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        *("visrun.run", "visrun.launch", "visrun.metrics", "visrun.figures.plots", "visrun.sweep.plugin"),
        *("torch._dynamo", "torchmetrics", "torchvision"),  # two thirds of what a training imports, when it comes to it
    ]
)


class Command:
    """One command, or several one after another, each as its words, in a working folder.

    The methods are called as those of `subprocess.Popen`. What it says on stderr stands among the rest, or is told in
    ``apart``. ``before``, a function of a module, is called in the process first.
    """

    def __init__(
        self,
        *commands: Sequence[str],
        cwd: Path,
        apart: Path | None = None,
        before: Callable[[], object] | None = None,
        **environment: str,
    ) -> None:
        handle, self._said = tempfile.mkstemp(prefix="said-")
        os.close(handle)
        variables = {**os.environ, **environment}
        given = (commands, str(cwd), variables, self._said, str(apart or self._said), before)
        self._process = SERVER.Process(target=_main, args=given)
        self._process.start()

    def poll(self) -> int | None:
        """The exit code, or less than 0 by a signal; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None and self._process.pid:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def ended(self, code: int, timeout: float) -> str:
        """What it said until it ended, with that code."""
        self._process.join(timeout)
        said = Path(self._said).read_text(encoding="utf-8")
        assert self.poll() == code, f"{self.poll()} after {timeout} s\n{said}"
        Path(self._said).unlink()
        return said


def visrun(*words: str, cwd: Path) -> str:
    """What the command said, which does what it is asked."""
    return Command(words, cwd=cwd).ended(0, timeout=600)


def _main(
    commands: Sequence[Sequence[str]],
    cwd: str,
    variables: Mapping[str, str],
    said: str,
    apart: str,
    before: Callable[[], object] | None,
) -> None:
    """Be the process of the commands, and leave with the largest of their exit codes."""
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(variables)
    for number, file in ((1, said), (2, apart)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    if before is not None:
        before()
    from visrun import cli

    codes = []
    for words in commands:
        sys.argv = ["visrun", *words]
        codes.append(cli.main())
    atexit._run_exitfuncs()
    sys.exit(max(codes, default=0))
