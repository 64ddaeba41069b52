"""Who leads a sweep: one process for a folder, and one for a study, whether that lives in a journal or in a database.

For a folder and a journal there are locks, which the system releases; their files say who leads by which command, and
are touched while it lives. In a database the leader notes who it is, and that it lives. A process of this machine is
looked for; one of another machine counts as dead after GRACE.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from visrun.errors import ConfigError, VisrunError
from visrun.record.run_folder import living, living_holder, this_process
from visrun.record.sweep_files import LEAD
from visrun.sweep.parts import again, naming
from visrun.sweep.plan import Plan
from visrun.sweep.storage import GRACE, NO_LOCKS, is_database, open_storage
from visrun.sweep.study import Queue
from visrun.sweep.worker import beating
from visrun.tracking.uris import without_password

CLAIM = "visrun_leader"  # attribute of a study in a database
SETTLE = 0.5  # seconds after which one who claimed a study in the same moment is seen
JOIN = "hydra.sweeper.worker=true joins it"


@contextmanager
def leading(plan: Plan) -> Iterator[None]:
    """Within: no other process leads a sweep in this folder, or the study of a journal; a lock's file says who does.

    Afterwards it says by which command the sweep goes on.
    """
    places = [plan.folder / LEAD]
    if not is_database(plan.storage):
        places.append(Path(plan.storage).with_name(f".{quote(plan.name, safe='')}{LEAD}"))
    files: list[FileIO] = []
    with ExitStack() as held:
        for place in places:
            file = held.enter_context(place.open("ab", buffering=0))
            if _is_led(file, place):
                raise ConfigError(f"hydra.sweeper.study_name={plan.name}: another process leads this study; {JOIN}")
            files.append(file)
        onward = going_on(plan)
        try:
            _say(files, {**this_process(), **onward})
            with beating(partial(_touch, places)):
                yield
        finally:
            with suppress(VisrunError):  # what ended the sweep is told, and the lock is released
                _say(files, onward)


def _is_led(file: FileIO, place: Path) -> bool:
    """Whether another process has the lock, which is taken otherwise. Where there are no locks its text is asked.

    That tells of this machine's processes alone: beyond it, and of two in the same moment, a study's own guard does.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in NO_LOCKS or living_holder(place) is not None
    return False


def going_on(plan: Plan) -> dict[str, Any]:
    """How a sweep goes on: the command and where it was typed, its words behind ``visrun`` unless they hold a password.

    And the folder and the study's name, which the command may leave out, and how many trials it wants, which nobody
    else says in a folder whose study is in a database.
    """
    command = again(plan)
    shown = without_password(command)
    words = [*plan.command, *naming(plan)] if shown == command else None
    place = {"cwd": str(Path.cwd()), "folder": str(plan.folder), "name": plan.name}
    return {"command": shown, "words": words, **place, "n_trials": plan.n_trials}


def _say(files: Sequence[FileIO], facts: Mapping[str, Any]) -> None:
    for file in files:
        try:
            file.truncate(0)
            file.write(json.dumps(facts).encode())
        except OSError as error:
            raise VisrunError(f"{file.name}: cannot write ({error.strerror})") from error


def _touch(places: Sequence[Path]) -> None:
    for place in places:
        with suppress(OSError):  # a folder that was taken away: who works there finds out
            os.utime(place)


def require_unled(plan: Plan) -> None:
    """Look whether a study in a database has a leader, before anything is written.

    Raises:
        ConfigError: It has.
    """
    try:
        queue = Queue(open_storage(plan.storage), plan.name)
    except KeyError:
        return
    Claim(queue, plan.folder).check()


@contextmanager
def claimed(plan: Plan, queue: Queue) -> Iterator[Claim]:
    """Within: no other process leads the study, if it lives in a database.

    Raises:
        ConfigError: Another one does.
    """
    claim = Claim(queue, plan.folder)
    if not is_database(plan.storage):
        yield claim
        return
    try:
        claim.take()
        with beating(claim.beat):
            yield claim
    finally:
        claim.release()


class Claim:
    """This process' claim to lead a study in a database.

    Args:
        queue: The study.
        folder: Where this process writes the sweep.
    """

    def __init__(self, queue: Queue, folder: Path) -> None:
        self.queue = queue
        self.mine: dict[str, Any] = {**this_process(), "folder": str(folder)}
        self.rival: dict[str, Any] | None = None  # who has taken the study over

    def take(self) -> None:
        """Claim the study; of those who do so in the same moment, the last one has it.

        Raises:
            ConfigError: Another process leads it.
        """
        self.check()
        self._note()
        time.sleep(SETTLE)
        self.check()

    def check(self) -> None:
        """Whether the study is free, or this process'.

        Raises:
            ConfigError: Another process leads it.
        """
        other = self._other()
        if other is not None:
            wait = "" if other["host"] == socket.gethostname() else f"; if that is dead, try again in {GRACE} s"
            raise ConfigError(f"{self._who(other)} leads this study; {JOIN}{wait}")

    def beat(self) -> None:
        """Note that the leader lives, unless another one has taken its place while it was silent."""
        self.rival = self.rival or self._other()
        if self.rival is None:
            self._note()

    def keep(self) -> None:
        """Whether the study is still this process', by its last sign of life.

        Raises:
            VisrunError: Another process has taken it over.
        """
        if self.rival is not None:
            raise VisrunError(f"{self._who(self.rival)} has taken this study over; {JOIN}")

    def release(self) -> None:
        """Leave the study to whoever comes next."""
        with suppress(VisrunError):  # a database that is gone is not what is told here
            if self._is_mine(self._noted()):
                self.queue.study.set_user_attr(CLAIM, {})

    def _other(self) -> dict[str, Any] | None:
        """Another process that leads the study and lives, as far as it is known."""
        noted = self._noted()
        if not noted or self._is_mine(noted):
            return None
        if noted["host"] == socket.gethostname():
            return noted if living(noted) is not None else None
        return noted if time.time() - noted["heard"] < GRACE else None

    def _noted(self) -> dict[str, Any]:
        return dict(self.queue.study.user_attrs.get(CLAIM, {}))

    def _note(self) -> None:
        self.queue.study.set_user_attr(CLAIM, {**self.mine, "heard": time.time()})

    def _is_mine(self, noted: dict[str, Any]) -> bool:
        return self.mine.items() <= noted.items()

    def _who(self, other: dict[str, Any]) -> str:
        place = f"process {other['pid']} on {other['host']} in {other['folder']}"
        return f"hydra.sweeper.study_name={self.queue.name}: {place}"
