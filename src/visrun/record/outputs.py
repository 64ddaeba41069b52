"""A folder of its own for every run."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from pathlib import Path

from visrun.errors import UserError

RUNS, SWEEPS = "outputs", "multirun"  # below the folder that a command runs in; conf/config.yaml names them, too
_DATED = "${now:%Y-%m-%d}/${now:%H-%M-%S}"
UNNAMED = {"run": f"{RUNS}/{_DATED}_${{task}}", "sweep": f"{SWEEPS}/{_DATED}"}  # its hydra.*.dir: nobody chose one


def new_run_folder(task: str, *, root: Path = Path(RUNS)) -> Path:
    """Make ``root/DATE/TIME_task``; a second run of the same second gets ``_2`` behind it, and so on.

    Raises:
        UserError: ``root`` cannot be written.
    """
    now = datetime.now()
    day = root / f"{now:%Y-%m-%d}"
    for number in count(1):
        folder = day / f"{now:%H-%M-%S}_{task}{'' if number == 1 else f'_{number}'}"
        try:
            day.mkdir(parents=True, exist_ok=True)
            folder.mkdir(parents=True)  # another command may take the day's empty folder away meanwhile
            return folder
        except FileExistsError:
            if not day.is_dir():
                raise UserError(f"{day}: is a file; runs are written into a folder of this name") from None
        except OSError as error:
            raise UserError(f"{day}: cannot make a run's folder here ({error.strerror})") from None
    raise AssertionError("count never ends")
