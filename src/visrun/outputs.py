"""A folder of its own for every run."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from pathlib import Path

from visrun.errors import UserError


def new_run_folder(task: str, *, root: Path = Path("outputs")) -> Path:
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
            folder.mkdir()
            return folder
        except FileExistsError:
            if not day.is_dir():
                raise UserError(f"{day}: is a file; runs are written into a folder of this name") from None
        except FileNotFoundError:
            continue  # another command ended in an error and took the day's empty folder away
        except OSError as error:
            raise UserError(f"{day}: cannot make a run's folder here ({error.strerror})") from None
    raise AssertionError("count never ends")
