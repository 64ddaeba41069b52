"""``plugins=[my_package]``: modules of the user's own that add entries to the tables.

# my_package.py, in the working folder or installed
from visrun.tables import MODELS, ModelEntry
MODELS["tiny"] = ModelEntry(build="my_package:tiny", tasks=("classification",), parameters=0.1, speed=3, accuracy=1)

visrun plugins=[my_package] model=tiny
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from visrun.config.entries import entry_problems
from visrun.config.fields import show
from visrun.config.lines import Line
from visrun.errors import ConfigError, foreign
from visrun.tables import AUGMENTATIONS, MODELS, READERS, TASKS

PLUGINS = "plugins"
_imported: dict[str, None] = {}  # in this process, in order
_taken: dict[str, tuple[str, ...]] = {}  # plugin -> the names behind which it has put other code


def take(words: Sequence[str], *, cwd: Path) -> list[str]:
    """Import what words such as ``plugins=[my_package]`` and a ``conf/config.yaml`` in ``cwd`` name.

    Returns:
        The other words.

    Raises:
        ConfigError: As `load`, or a word or file that cannot be read.
    """
    own = [word for word in words if word.startswith(f"{PLUGINS}=")]
    listed = _typed(own, cwd=cwd) if own else []
    if (cwd / "conf" / "config.yaml").is_file():
        listed += _configured(cwd)
    load(listed, cwd=cwd)
    return [word for word in words if word not in own]


def _typed(words: Sequence[str], *, cwd: Path) -> list[object]:
    from visrun.config.overrides import parse  # Hydra: verbs without plugins do without

    read = parse(words, known=(PLUGINS,), cwd=cwd)
    if read.problems:
        raise ConfigError(read.problems)
    value = read.typed[0].value
    return value if isinstance(value, list) else [value]


def _configured(cwd: Path) -> list[object]:
    from visrun.config.configs import PRIMARY, open_conf

    value = open_conf(cwd).read(PRIMARY).get(PLUGINS)
    return value if isinstance(value, list) else []


def load(names: Sequence[object], *, cwd: Path) -> None:
    """Import modules by name; ``cwd`` is searched after everything installed.

    Raises:
        ConfigError: A name that is none, a module that does not import, or a wrong entry of a table.
    """
    problems, first = [], None
    if names and str(cwd) not in sys.path:
        sys.path.append(str(cwd))
    for name in names:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            problems.append(f"plugins={show(name)}: must be the name of a module, such as my_package")
            continue
        if name in _imported and (other := _another(name, cwd)):
            told = f"another module of this name is in use in this process, not {other}: rename one, or start anew"
            problems.append(f"plugins={name}: {told}")
            continue
        before = _code()
        try:
            import_module(name)
            _imported[name] = None
        except (Exception, SystemExit) as error:  # foreign code: whatever it raises stops the run in one line
            problems.append(f"plugins={name}: does not import: {foreign(error)}")
            first = first or error
        after = _code()
        if taken := [key for key, ref in before.items() if after.get(key, ref) != ref]:
            _taken[name] = tuple(taken)
    if problems := [*problems, *(entry_problems() if names else [])]:
        raise ConfigError(problems) from first


def _another(name: str, cwd: Path) -> Path | None:
    """The file in ``cwd`` that a plugin's name means there, where another one has been imported; else None."""
    place, own = cwd.joinpath(*name.split(".")), getattr(sys.modules.get(name), "__file__", None)
    there = next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
    return there if there and own and not there.samefile(own) else None


def _code() -> dict[str, object]:
    """The code behind each name of the tables, whatever else an entry says: ``model=resnet18`` -> its builder."""
    found: dict[str, object] = {f"augment.extra=[{name}]": ref for name, ref in AUGMENTATIONS.items()}
    found |= {f"model={name}": getattr(entry, "build", entry) for name, entry in MODELS.items()}
    found |= {f"data={name}": getattr(entry, "read", entry) for name, entry in READERS.items()}
    for task, entry in TASKS.items():
        found[f"task={task}"] = getattr(entry, "build", entry)
        losses = getattr(entry, "losses", None)
        found |= {f"task={task} loss={name}": ref for name, ref in losses.items()} if isinstance(losses, dict) else {}
    return found


def notices(names: Sequence[str]) -> list[Line]:
    """A line for each plugin that has put code of its own under names that were there before it; one of a run before in
    this process has done so for this one, too."""
    lines = []
    for name, taken in _taken.items():
        before = "" if name in names else " since it was imported, before in this process"
        lines.append(f"plugins={name} brings its own {' and '.join(taken)}, in place of what was there{before}")
    return [Line(line, ("plugins",)) for line in lines]


def command(*words: str) -> str:
    """``visrun WORDS`` for people to type, with the plugins of this process, which no run's folder remembers."""
    named = [f"{PLUGINS}=[{','.join(_imported)}]"] if _imported else []
    return shlex.join(["visrun", *words, *named])
