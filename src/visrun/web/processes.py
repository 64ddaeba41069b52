"""Starting and stopping runs: the same command as on a terminal, in a process group of its own.

Training never depends on the server: it goes on when that ends, and a new server finds it by its folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psutil

from visrun.config.compose import known
from visrun.config.overrides import to_override
from visrun.record.inside import require_inside
from visrun.record.outputs import RUNS, SWEEPS, new_run_folder
from visrun.record.run_folder import born
from visrun.sweep.files import LEAD, moved, placed
from visrun.web.library import kind_of
from visrun.web.state import UI, Facts, facts_of, note, told

CONSOLE = "console.log"  # what the command prints
SWEEPING = ("-m", "--multirun", "repeat")  # what a sweep's command begins with
OWN = ("hydra.sweep.dir", "seeds", "name")  # words of such a command that are no settings
TICKETS = 1000  # starts that are remembered, so that a second click starts nothing


class Conflict(Exception):
    """What is asked does not fit the run's state; one line."""


class Processes:
    """Starts commands in ``cwd``; ``always`` are words that a resumed run needs again."""

    def __init__(self, cwd: Path, always: Sequence[str] = ()) -> None:
        self.cwd, self.always = cwd, tuple(always)
        self._tickets: dict[str, Path] = {}
        self._lock = threading.Lock()

    def run(self, words: Sequence[str], *, task: str, ticket: str, **facts: Any) -> Path:
        """Start ``visrun WORDS`` and return its folder; the same ``ticket`` starts it once.

        Args:
            facts: Noted beside it, such as ``command``, what a person would type for it.
        """

        def begin() -> Path:
            folder = new_run_folder(task, root=self.cwd / RUNS)
            note(folder, kind="run", task=task, **facts, created=_now())
            self._start(folder, [*words, to_override("hydra.run.dir", str(folder))])
            return folder

        return self._once(ticket, begin)

    def sweep(self, words: Sequence[str], *, ticket: str, **facts: Any) -> Path:
        """Start ``visrun -m WORDS`` and return its folder; see :meth:`run`. ``facts`` are noted beside it."""

        def begin() -> Path:
            root = self.cwd / SWEEPS
            folder = new_run_folder("sweep", root=root)
            study = folder.relative_to(root).as_posix()
            named = [to_override("hydra.sweep.dir", str(folder)), to_override("hydra.sweeper.study_name", study)]
            whole = ["-m", *words, *named]
            note(folder, kind="sweep", **facts, words=whole, created=_now())
            self._start(folder, whole)
            return folder

        return self._once(ticket, begin)

    def resume(self, folder: Path) -> None:
        """Go on with a run that was stopped or died, or with a sweep.

        Raises:
            Conflict: It runs, it is finished, or the sweep's command does not run from here.
            UserError: A link leads out of its folder.
        """
        with self._lock:
            facts = facts_of(folder)
            if facts.living:
                raise Conflict("it is running already")
            require_inside(folder)
            if kind_of(folder, {path.name for path in folder.iterdir()}) == "sweep":
                words, why = going_on(facts, self.cwd, self.always)
                if why:
                    raise Conflict(why)
                self._start(folder, words)
            elif facts.state in ("finished", "pruned"):
                raise Conflict(f"it is {facts.state}; there is nothing to go on with")
            else:
                self._start(folder, ["resume", *self.always, str(folder)])

    def _once(self, ticket: str, begin: Callable[[], Path]) -> Path:
        with self._lock:
            if ticket not in self._tickets:
                self._tickets[ticket] = begin()
                for old in list(self._tickets)[:-TICKETS]:
                    del self._tickets[old]
            return self._tickets[ticket]

    def _start(self, folder: Path, words: Sequence[str]) -> None:
        with (folder / CONSOLE).open("ab") as console:
            launch(words, cwd=self.cwd, folder=folder, stdout=console)


def launch(
    words: Sequence[str], *, cwd: Path, folder: Path, stdout: IO[bytes], stderr: IO[bytes] | None = None, into: str = UI
) -> None:
    """Start ``visrun WORDS`` and note its process, and how it ends, in ``into`` of a folder.

    Args:
        stderr: Where errors go; None = as ``stdout``.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "visrun.cli", *words],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT if stderr is None else stderr,
        start_new_session=True,
    )
    when = {"started": began(process.pid), "born": born(process.pid)}
    note(folder, into=into, pid=process.pid, **when, asked=None, exit_code=None)
    threading.Thread(target=_reap, args=(process, folder, into), name="visrun-reaper", daemon=True).start()


def going_on(facts: Facts, cwd: Path, always: Collection[str]) -> tuple[list[str], str]:
    """The words behind ``visrun`` that go on with a sweep in ``cwd``, or why there are none.

    They are those that this page started it with, or what its leader noted on the command line. The folder may have
    come from somebody else, so none of them may name code, unless it is one of ``always``.
    """
    lead = told(facts.folder / LEAD)
    words = facts.ui.get("words", lead.get("words") if lead.get("cwd") == str(cwd) else None)
    if isinstance(words, list) and all(str(word) in always or names_no_code(str(word)) for word in words):
        return [*map(str, words), *moved(lead, facts.folder)], ""
    command = facts.ui.get("command") or lead.get("command")
    if command:
        return [], f"go on with it in {lead.get('cwd', cwd)}: {placed(str(command), lead, facts.folder)}"
    return [], "go on with it where it was started: its command is not known here"


def names_no_code(word: str) -> bool:
    """Whether a word of a sweep's command is a setting, or one of Hydra's that makes it import nothing."""
    key, sign, _ = word.partition("=")
    if not sign:
        return key in SWEEPING
    plain = (
        key.startswith(("hydra.sweeper.", "hydra/sweeper", "hydra/launcher"))
        and key != "hydra.sweeper.custom_search_space"
    )
    return "_target_" not in word and (plain or key in {*known(), *OWN} - {"plugins"})


def stop(folder: Path) -> None:
    """Ask a run to finish its step, save and end, or a sweep to have its trials do so.

    Raises:
        Conflict: Nothing runs there, or it has been asked already: a second signal would end it without saving.
    """
    facts = _running(folder)
    if facts.stopping:
        raise Conflict("it is stopping already; Stop now ends it without waiting")
    assert facts.pid is not None
    note(folder, asked="stop", asked_of=facts.pid)
    try:
        os.kill(facts.pid, signal.SIGTERM)
    except ProcessLookupError:
        raise Conflict("it has just ended") from None


def kill(folder: Path) -> None:
    """End a run or sweep at once, with every process it has started.

    Raises:
        Conflict: Nothing runs there.
    """
    facts = _running(folder)
    assert facts.pid is not None
    note(folder, asked="kill", asked_of=facts.pid)
    end(facts.pid)


def end(pid: int) -> None:
    """End a process at once, with every one it has started."""
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def began(pid: int) -> float:
    """When a process began, as run.lock notes it; 0 where it has ended."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def _running(folder: Path) -> Facts:
    facts = facts_of(folder)
    if facts.pid is None:
        raise Conflict("it is not running" if not facts.living else "it runs on another machine; stop it there")
    return facts


def _reap(process: subprocess.Popen[bytes], folder: Path, into: str = UI) -> None:
    """Note how a process that was started here ends, if another one has not taken its place.

    Before it is asked for, and so while it still counts as living: whoever finds it ended finds its exit code, too.
    """
    exit_code = _end_of(process)
    try:
        if folder.is_dir() and told(folder / into).get("pid") == process.pid:
            note(folder, into=into, exit_code=exit_code)
    finally:
        process.wait()


def _end_of(process: subprocess.Popen[bytes]) -> int:
    """Its exit code once it has ended; it has not been asked for yet, where the system can wait without doing so."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return process.wait()
    seen = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert seen is not None
    return seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
