"""``visrun resume RUN [KEY=VALUE ...]``: go on with an interrupted run; a sweep is told how it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visrun import run
from visrun.arguments import VERBS
from visrun.config.choices import known
from visrun.config.fields import one_of
from visrun.errors import ConfigError, UserError
from visrun.folders import expanded
from visrun.record.journal import OF_THE_PLACE
from visrun.record.next_steps import new_run
from visrun.record.run_folder import read_json
from visrun.record.sweep_files import onward
from visrun.run_files import FILE_NAME
from visrun.tracking.uris import absolute_uri

ROOT, STORE = "data.root", "tracking.uri"


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
    return run.resume(folder, _changes(words[1:], folder))


def _changes(words: Sequence[str], folder: Path) -> dict[str, Any]:
    """Dotted key -> value of what is typed beside the run.

    Raises:
        ConfigError: Words that cannot be read.
        UserError: A setting that would change the run's numbers, with the command of a new run that has it.
    """
    if not words:
        return {}
    from visrun.config.overrides import parse  # Hydra: a resume without words does without

    read = parse(words, known=known(), cwd=Path.cwd())
    if read.problems:
        raise ConfigError(read.problems)
    values = {f"{item.key}.name" if item.key == "tracking" else item.key: item.value for item in read.typed}
    if not all(key == ROOT or {key, key.partition(".")[0]} & {*OF_THE_PLACE} for key in values):
        may = one_of([ROOT, *OF_THE_PLACE[:-1], f"{OF_THE_PLACE[-1]}.*"])
        raise UserError(f"resume changes nothing but {may}; {new_run(folder, read_json(folder / FILE_NAME), *words)}")
    if values.get(STORE):  # a relative one would be of the folder where the run began
        values[STORE] = absolute_uri(str(values[STORE]))
    return values
