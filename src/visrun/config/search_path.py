"""Where config files lie: in ``--config-dir``, in a ``conf/`` of the working folder and in visrun's own; first wins."""

from __future__ import annotations

import os
from pathlib import Path

from visrun.errors import ConfigError


def conf_dir() -> Path:
    """The folder of visrun's own config files: in the installed package, else at the top of the repository."""
    package = Path(__file__).parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parents[1] / "conf"


def user_folders(cwd: Path, config_dir: Path | None = None) -> list[Path]:
    """The folders that go before visrun's own on the search path.

    Raises:
        ConfigError: ``config_dir`` is no folder, or one of them cannot be read.
    """
    found = []
    if config_dir is not None:
        found.append(_readable((cwd / config_dir).absolute(), f"--config-dir {config_dir}"))
    here = cwd / "conf"
    if here.is_dir() and here.resolve() not in {conf_dir().resolve(), *(folder.resolve() for folder in found)}:
        found.append(_readable(here, str(here)))
    return found


def _readable(folder: Path, named: str) -> Path:
    """``folder``, which Hydra would pass over in silence where it cannot be read."""
    try:
        with os.scandir(folder):
            return folder
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(f"{named}: no such folder; name one with config files") from None
    except OSError as error:
        advice = "ask whom it belongs to, or name another"
        raise ConfigError(f"{named}: cannot be read ({error.strerror}); {advice}") from None
