"""Starting and stopping runs: the same command as on a terminal, in a process group of its own.

Training never depends on the server: it goes on when that ends, and a new server finds it by its folder.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from hydra.errors import HydraException

from visrun.config.choices import known
from visrun.config.experiment import load_experiment
from visrun.config.overrides import PATHS, READY, STUDY, SWEEP_DIR, parse
from visrun.config.spelling import to_override
from visrun.errors import ConfigError, VisrunError
from visrun.files import read_object
from visrun.interpreter import python
from visrun.record.inside import require_inside
from visrun.record.journal import now
from visrun.record.outputs import RUNS, SWEEPS, new_run_folder
from visrun.record.run_folder import noted_process
from visrun.record.sweep_files import LEAD, placed
from visrun.varied import VARIED
from visrun.web.family import end_family
from visrun.web.library import kind_of
from visrun.web.roots import OF_THE_MACHINE, Roots
from visrun.web.state import UI, Facts, folder_facts, note

CONSOLE = "console.log"  # what the command prints
SWEEP_VERBS = ("-m", "--multirun", "repeat")  # what a sweep's command begins with
# What no word that a folder notes may set: code, a database, and params, which can hold any of them.
WORDS_CLOSED = (
    *OF_THE_MACHINE,
    *("hydra.sweeper.custom_search_space", "hydra.sweeper.params", "hydra.sweeper.storage"),
)
# What is chosen by a plain name, of the files that Hydra finds.
CHOSEN = ("hydra/launcher", "hydra/sweeper", "hydra/sweeper/pruner", "hydra/sweeper/sampler", READY)
TICKETS = 1000  # starts that are remembered, so that a second click starts nothing


class Conflict(Exception):
    """What is asked does not fit the run's state; one line."""


class Onward(NamedTuple):
    """How a sweep goes on: the words behind ``visrun``, [] where they are not to be started here, as a command ("" =
    it is not known), and the folder where that is typed."""

    words: list[str]
    command: str
    cwd: str


class Processes:
    """Starts commands in ``cwd``; ``always`` are words that a resumed run needs again.

    Args:
        roots: What a command that a folder notes may name; None = ``cwd`` alone.
    """

    def __init__(self, cwd: Path, always: Sequence[str] = (), roots: Roots | None = None) -> None:
        self.cwd, self.always, self.roots = cwd, tuple(always), roots or Roots([cwd])
        self._tickets: dict[str, Path] = {}
        self._lock = threading.Lock()

    def run(self, words: Sequence[str], *, task: str, ticket: str, **facts: Any) -> Path:
        """Start ``visrun WORDS`` and return its folder; the same ``ticket`` starts it once.

        Args:
            facts: Noted beside it, such as ``command``, what a person would type for it.
        """

        def begin() -> Path:
            folder = new_run_folder(task, root=self.cwd / RUNS)
            note(folder, kind="run", task=task, **facts, created=now())
            self._start(folder, [*words, to_override("hydra.run.dir", str(folder))])
            return folder

        return self._once(ticket, begin)

    def sweep(self, words: Sequence[str], *, ticket: str, **facts: Any) -> Path:
        """Start ``visrun -m WORDS`` and return its folder; see :meth:`run`. ``facts`` are noted beside it."""

        def begin() -> Path:
            root = self.cwd / SWEEPS
            folder = new_run_folder("sweep", root=root)
            study = folder.relative_to(root).as_posix()
            whole = ["-m", *words, to_override(STUDY, study), to_override(SWEEP_DIR, str(folder))]
            note(folder, kind="sweep", **facts, words=whole, created=now())
            self._start(folder, whole)
            return folder

        return self._once(ticket, begin)

    def resume(self, folder: Path) -> None:
        """Go on with a run that was stopped or died, or with a sweep.

        Raises:
            Conflict: It runs, it is finished, or the sweep's command does not run from here.
            UserError: A link leads out of its folder.
            VisrunError: Its folder cannot be written.
        """
        with self._lock:
            facts = folder_facts(folder)
            if facts.living:
                raise Conflict("it is running already")
            require_inside(folder)
            if kind_of(folder, {path.name for path in folder.iterdir()}) == "sweep":
                onward = going_on(facts, self.cwd, self.always, self.roots)
                if not onward.command:
                    raise Conflict("go on with it where it was started: its command is not known here")
                if not onward.words:
                    raise Conflict(f"go on with it in {onward.cwd}: {onward.command}")
                self._start(folder, onward.words)
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
        with writing_here(folder, VisrunError), (folder / CONSOLE).open("ab") as console:
            launch(words, cwd=self.cwd, folder=folder, stdout=console)


@contextmanager
def writing_here(folder: Path, kind: type[VisrunError]) -> Iterator[None]:
    """Turn what the system refuses while something is written into ``folder`` into an error of one line."""
    try:
        yield
    except OSError as error:
        raise kind(f"{folder}: cannot write here ({error.strerror or error})") from error


def launch(
    words: Sequence[str], *, cwd: Path, folder: Path, stdout: IO[bytes], stderr: IO[bytes] | None = None, into: str = UI
) -> None:
    """Start ``visrun WORDS`` and note its process, and how it ends, in ``into`` of a folder.

    Args:
        stderr: Where errors go; None = as ``stdout``.

    Raises:
        VisrunError: It cannot be noted, and is ended.
    """
    process = subprocess.Popen(
        python("-m", "visrun", *words),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT if stderr is None else stderr,
        start_new_session=True,
    )
    try:
        note(folder, into=into, **noted_process(process.pid), asked=None, exit_code=None)
    except VisrunError:  # nobody could stop what has only begun to load
        process.kill()
        process.wait()
        raise
    threading.Thread(target=_reap, args=(process, folder, into), name="visrun-reaper", daemon=True).start()


def going_on(facts: Facts, cwd: Path, always: Collection[str], roots: Roots) -> Onward:
    """How a sweep goes on, in its folder, whatever its words say of that.

    They are those that this page started it with, or what its leader noted on the command line in ``cwd``. The folder
    may have come from somebody else, so each of them is one of ``always`` or :func:`stays_inside`.
    """
    lead = read_object(facts.folder / LEAD)
    words = facts.ui.get("words", lead.get("words") if lead.get("cwd") == str(cwd) else None)
    try:
        if not isinstance(words, list) or not words:
            command = lead.get("command")
            return Onward([], placed(str(command), lead, facts.folder) if command else "", str(lead.get("cwd", cwd)))
        own = [to_override(STUDY, str(lead["name"]))] if "name" in lead else []
        own.append(to_override(SWEEP_DIR, str(facts.folder.absolute())))
    except (ConfigError, ValueError):  # a name that no word can hold, such as ${x}, or a folder that no path can
        return Onward([], "", str(cwd))
    keys = [one.partition("=")[0] for one in own]
    kept = [one for one in map(str, words) if one.partition("=")[0] not in keys]
    safe = all(one in always or stays_inside(one, cwd, roots) for one in kept)
    return Onward([*kept, *own] if safe else [], shlex.join(["visrun", *kept, *own]), str(cwd))


def stays_inside(typed: str, cwd: Path, roots: Roots) -> bool:
    """Whether a word of a sweep's command loads no code, and reaches nothing outside of what the page may read."""
    key, sign, text = typed.partition("=")
    if not sign:
        return key in SWEEP_VERBS
    if "_target_" in typed or "${" in typed or any(f"{key}.".startswith(f"{closed}.") for closed in WORDS_CLOSED):
        return False
    if key in CHOSEN:
        return re.fullmatch(r"[\w-]+", text) is not None
    if key in PATHS:
        return _names_inside(typed, cwd, roots)
    return key.startswith("hydra.sweeper.") or key in {*known(), *VARIED}


def _names_inside(typed: str, cwd: Path, roots: Roots) -> bool:
    """Whether a word names one path, which lies inside, as do those that it names itself where it is an experiment."""
    try:
        found = parse([typed], known=PATHS, cwd=cwd, multirun=True)
        for item in found.typed:
            roots.require({item.key: item.value})
            if item.key == "experiment" and item.value:
                roots.require(load_experiment(str(item.value)).values)
    except (ConfigError, HydraException):  # the latter of a glob, which has no options here
        return False
    return not found.problems and not any(item.values for item in found.typed)


def stop(folder: Path) -> None:
    """Ask a run to finish its step, save and end, or a sweep to have its trials do so.

    Raises:
        Conflict: Nothing runs there, or it has been asked already: a second signal would end it without saving.
    """
    facts = _running(folder)
    if facts.stopping:
        raise Conflict("it is stopping already; Stop now ends it without waiting")
    assert facts.pid is not None
    note_asked(folder, asked="stop", asked_of=facts.pid)
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
    note_asked(folder, asked="kill", asked_of=facts.pid)
    end_family(facts.pid)


def note_asked(folder: Path, *, into: str = UI, **facts: Any) -> None:
    """Note what a process is asked for; a folder that cannot be written keeps nobody from ending it."""
    with suppress(VisrunError):
        note(folder, into=into, **facts)


def _running(folder: Path) -> Facts:
    facts = folder_facts(folder)
    if facts.pid is None:
        raise Conflict("it is not running" if not facts.living else "it runs on another machine; stop it there")
    return facts


def _reap(process: subprocess.Popen[bytes], folder: Path, into: str = UI) -> None:
    """Note how a process that was started here ends, if another one has not taken its place.

    Before it is asked for, and so while it still counts as living: whoever finds it ended finds its exit code, too.
    """
    exit_code = _end_of(process)
    try:
        if folder.is_dir() and read_object(folder / into).get("pid") == process.pid:
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
