"""``plugins=[my_package]``: modules of the user's own that add entries to the tables.

# my_package.py, in the working folder or installed
from visrun.tables import MODELS, ModelEntry
MODELS["tiny"] = ModelEntry(build="my_package:tiny", tasks=("classification",), parameters=0.1, speed=3, accuracy=1)

visrun plugins=[my_package] model=tiny
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from visrun.config.entries import entry_problems
from visrun.config.fields import show
from visrun.errors import ConfigError


def take(words: Sequence[str], *, cwd: Path) -> list[str]:
    """Import what words such as ``plugins=[my_package]`` name, and return the other words.

    Raises:
        ConfigError: As `load`.
    """
    named = [word.partition("=")[2] for word in words if word.startswith("plugins=")]
    load([name.strip() for text in named for name in text.strip("[]").split(",") if name.strip()], cwd=cwd)
    return [word for word in words if not word.startswith("plugins=")]


def load(names: Sequence[object], *, cwd: Path) -> None:
    """Import modules by name; ``cwd`` is searched after everything installed.

    Raises:
        ConfigError: A name that is none, a module that does not import, or a wrong entry of a table.
    """
    problems = []
    if names and str(cwd) not in sys.path:
        sys.path.append(str(cwd))
    for name in names:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            problems.append(f"plugins={show(name)}: must be the name of a module, such as my_package")
            continue
        try:
            import_module(name)
        except (Exception, SystemExit) as error:  # foreign code: whatever it raises stops the run in one line
            told = " ".join(f"{type(error).__name__}: {error}".split())
            problems.append(f"plugins={name}: does not import: {told}")
    if problems := [*problems, *(entry_problems() if names else [])]:
        raise ConfigError(problems)
