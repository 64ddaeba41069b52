"""``visrun resume RUN [data.root=PATH]``: go on with an interrupted run; a sweep is told how it goes on."""

from __future__ import annotations

from collections.abc import Sequence

from visrun import run
from visrun.arguments import VERBS
from visrun.errors import UserError
from visrun.folders import expanded
from visrun.record.next_steps import new_run
from visrun.record.run_folder import read_json
from visrun.record.sweep_files import onward
from visrun.run_files import FILE_NAME

ROOT = "data.root="  # where the dataset lies by now


def main(words: Sequence[str]) -> int:
    """Go on with the run that the words name, and return its exit code.

    Raises:
        UserError: They name no run that can go on, or more than a run.
        VisrunError: The run failed.
    """
    if not words or not all("=" in word for word in words[1:]):
        raise UserError(f"usage: {VERBS['resume'].usage}")
    path = expanded(words[0])
    folder = path.parent if path.name == FILE_NAME else path
    if folder.is_file():
        raise UserError(f"{folder}: is a file; name a run's folder, the one that holds {FILE_NAME}")
    if command := onward(folder):
        raise UserError(f"{folder}: a sweep; go on with it {command}")
    root = words[1].removeprefix(ROOT) if len(words) == 2 and words[1].startswith(ROOT) else None
    if words[1:] and not root:
        more = f"resume changes no setting but {ROOT}PATH"
        raise UserError(f"{more}; {new_run(folder, read_json(folder / FILE_NAME), *words[1:])}")
    return run.resume(folder, root=expanded(root).absolute() if root else None)
