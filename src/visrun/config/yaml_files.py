"""Config files as Hydra reads them: which of them count, and its errors as ours, in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from visrun.errors import ConfigError, not_utf8

MAPPING = "must be a mapping of keys to values"


class FileConfigSource(file_config_source.FileConfigSource):
    """A folder of config files. Another tool's .yml in it is passed over, where Hydra's own ends every command."""

    def is_config(self, config_path: str) -> bool:
        return not config_path.endswith(".yml") and super().is_config(config_path)


def pass_over_yml() -> None:
    """Have Hydra read folders by :class:`FileConfigSource`."""
    Plugins.instance()  # registers Hydra's own, once
    SourcesRegistry.instance().types[FileConfigSource.scheme()] = FileConfigSource


def misnamed(group: str, option: Any, folders: Sequence[Path]) -> str | None:
    """What is wrong with the file of an option that there is not, where one of the folders has one."""
    name = f"{str(option).removesuffix('.yml')}.yml"
    there = {file.name for folder in folders for file in (folder / group).glob("*.yml")}
    return f"conf/{group}/{name}: config files end in .yaml; rename it" if name in there else None


@contextmanager
def file_errors(path: str = "") -> Iterator[None]:
    """Hydra's and YAML's errors as ours: one line."""
    where = f"conf/{path}.yaml" if path else "conf"
    try:
        yield
    except ConfigError:
        raise
    except OSError as error:
        if error.errno:  # a file that cannot be read, of which the command line says why
            raise
        raise ConfigError(f"{where}: {MAPPING}") from error  # OmegaConf's of a bare number
    except UnicodeDecodeError as error:
        raise not_utf8(where, error) from error
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
        text = " ".join(str(cause).split()) or type(error).__name__
        raise ConfigError(f"{where}: {text}") from error
