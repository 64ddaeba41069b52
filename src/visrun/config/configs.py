"""What config files hold, which options their folders offer, and Hydra's compose without Hydra's global state.

The lowest layer of every config, ``schema``, is made from the models in :mod:`visrun.hyperparameters` and
:mod:`visrun.config.settings`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path_from_sources
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import ConfigDefault, GroupDefault, InputDefault
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from visrun import hyperparameters
from visrun.config import schema, sweeper
from visrun.config.entries import entry_problems
from visrun.config.fields import flatten
from visrun.config.search_path import conf_dir, user_folders
from visrun.config.yaml_files import MAPPING, file_errors, pass_over_yml
from visrun.errors import ConfigError
from visrun.tables import GENERIC_MODEL, MODELS, READERS, TARGETS, TASKS, TIMM_MODEL, TaskEntry, models_of, named_by

PRIMARY = "config"
SCHEMA = "schema"
ALONE = ("recipe", "sweep")  # folders of files that are read by themselves: Hydra composes nothing of them
# Files that choose options and may hold numbers for them -> those that hold numbers for them with one optimizer.
CHOOSING = {"task": ("task_optimizer",), "data_task": (), "model": ("task_optimizer", "model_optimizer")}


class Layer(NamedTuple):
    """One file of a composed config: its path on the search path (``optimizer/sgd``) and what it holds."""

    path: str
    values: dict[str, Any]


def store_schema() -> None:
    """Give Hydra its way of reading folders, the lowest layer, and an option for every table entry without a file.

    Wrong entries are told where their plugin is loaded (:mod:`visrun.config.entries`); here nothing reads them.
    """
    pass_over_yml()
    store = ConfigStore.instance()
    sweeper.store()
    store.store(SCHEMA, {**hyperparameters.defaults(), **schema.defaults()}, replace=True)
    for group, name, node in () if entry_problems() else _entries():
        if not (conf_dir() / group / f"{name}.yaml").exists():
            store.store(name, node, group=group, package="_global_", replace=True)


def _entries() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name in MODELS:
        yield "model", name, {"model": {"name": name}}
    for name in READERS:
        yield "data", name, {"data": {"name": name}}
    for task, entry in TASKS.items():
        model = next(iter(models_of(task)), None)
        usual = {"model": {"name": model}} if model else {}
        yield "task", task, {"task": task, "loss": next(iter(entry.losses)), **usual}
        for loss in entry.losses:
            yield "loss", loss, {"loss": loss}


def open_conf(cwd: Path, config_dir: Path | None = None) -> Conf:
    """The config files that a command in ``cwd`` sees, those of :func:`user_folders` first."""
    store_schema()
    if not OmegaConf.has_resolver("hydra"):
        setup_globals()
    here = cwd.absolute()
    return Conf(here, [*user_folders(here, config_dir), conf_dir()])


class Conf:
    """The config files of a search path, for commands in ``cwd``; each is read once."""

    def __init__(self, cwd: Path, folders: Sequence[Path]) -> None:
        with file_errors():
            path = create_config_search_path_from_sources([f"file://{folder}" for folder in folders])
            self.loader = ConfigLoaderImpl(path)
        self.cwd, self.folders = cwd, folders
        self._read: dict[str, dict[str, Any]] = {}
        self._built: set[str] = set()  # files that Hydra puts elsewhere than they are written, or builds on others
        self._options: dict[str, list[str]] = {}
        self._defaults: list[InputDefault] = []
        self._layers: dict[tuple[str, ...], list[Layer]] = {}
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    @property
    def own(self) -> Sequence[Path]:
        """The user's folders, which go before visrun's."""
        return self.folders[:-1]

    def options(self, group: str) -> list[str]:
        """The names that ``group=NAME`` takes."""
        if group not in self._options:
            self._options[group] = list(self.loader.get_group_options(group))
        return self._options[group]

    def list_again(self) -> None:
        """Forget what options and settings there are: a plugin may have brought more."""
        for known in (self._options, self._read, self._layers, self._composed):
            known.clear()

    def read(self, path: str) -> dict[str, Any]:
        """What one file holds, such as ``task/segmentation``; nothing where there is no such file."""
        if path not in self._read:
            with file_errors(path):
                loaded = self.loader.repository.load_config(path)
                values = {} if loaded is None else OmegaConf.to_container(loaded.config, resolve=False)
            if not isinstance(values, dict):
                raise ConfigError(f"conf/{path}.yaml: {MAPPING}")
            group = path.partition("/")[0]
            if group in values and loaded.header.get("package") != "_global_" and group in self.default_choices():
                advice = "begin it with the line '# @package _global_'"
                raise ConfigError(f"conf/{path}.yaml: says {group} within {group}; {advice}")
            if group not in ALONE:
                values.pop("hydra", None)
                if loaded and path != group and (loaded.defaults_list or loaded.header.get("package") != "_global_"):
                    self._built.add(path)
            elif loaded is not None and loaded.defaults_list:
                values["defaults"] = loaded.defaults_list
            self._read[path] = {str(key): value for key, value in values.items()}
        return self._read[path]

    def defaults(self) -> list[InputDefault]:
        """The primary config's defaults list.

        Raises:
            ConfigError: A ``conf/config.yaml`` that hides visrun's own and does not build on its schema.
        """
        if not self._defaults:
            with file_errors(PRIMARY):
                loaded = self.loader.repository.load_config(PRIMARY)
            assert loaded is not None and loaded.defaults_list is not None
            if not any(isinstance(item, ConfigDefault) and item.path == SCHEMA for item in loaded.defaults_list):
                raise ConfigError(
                    f"{loaded.path.removeprefix('file://')}/{PRIMARY}.yaml hides visrun's own; begin its defaults list "
                    f"with '- {SCHEMA}', rename it, or work in another folder"
                )
            self._defaults = loaded.defaults_list
        return self._defaults

    def default_choices(self) -> dict[str, str]:
        """Group -> option of the primary config's defaults list."""
        items = [item for item in self.defaults() if isinstance(item, GroupDefault)]
        return {item.group: item.value for item in items if item.group and isinstance(item.value, str)}

    def choices(self, path: str) -> dict[str, str]:
        """Group -> option, as one file chooses; a task's kind of target may do so where its file does not."""
        folder, _, name = path.partition("/")
        entry = TASKS.get(name) if folder == "task" else None
        kind = TARGETS.get(entry.target) if isinstance(entry, TaskEntry) else None
        usual = {"augment": kind.augment} if kind and kind.augment else {}
        return usual | choices_in(flatten(self.read(path)), self.default_choices())

    def raised(self, options: Mapping[str, str]) -> list[Layer]:
        """What files that choose options set beside their choices, as far as it outranks the options' own files.

        Hydra's order puts every option's file above. But a task's (or model's) file outranks the files of the options
        that it chose itself, and not those of options that somebody else chose.
        """
        layers, usual, found = self.layers(options), self.default_choices(), []
        at = {key: place for place, layer in enumerate(layers) for key in flatten(layer.values)}
        for place, layer in enumerate(layers):
            if layer.path.partition("/")[0] not in CHOOSING:
                continue
            own = self.choices(layer.path)
            usual |= own
            beside = flatten(layer.values)
            for key in [key for key in beside if key in own or key.removesuffix(".name") in own or at[key] == place]:
                del beside[key]
            won = {key for key in beside if self._gives_way(layers[at[key]].path, layer.path, options, usual)}
            found.append(Layer(layer.path, {key: value for key, value in beside.items() if key in won}))
        return [layer for layer in found if layer.values]

    def _gives_way(self, path: str, to: str, options: Mapping[str, str], usual: Mapping[str, str]) -> bool:
        """Whether the option's file at ``path`` was chosen by the file ``to`` or one beneath that, which then wins."""
        folder, mine = path.partition("/")[0], to.partition("/")[0]
        if folder not in CHOOSING[mine]:
            return folder in usual and folder not in CHOOSING and options.get(folder) == usual[folder]
        nearer = self._rank(to) < self._rank(path) or not folder.startswith(mine)
        return nearer and options.get("optimizer") == usual.get("optimizer")

    def _rank(self, path: str) -> int:
        """Which folder of the search path a file lies in, the first = 0."""
        found = [place for place, folder in enumerate(self.folders) if (folder / f"{path}.yaml").is_file()]
        return min(found, default=len(self.folders))

    def layers(self, options: Mapping[str, str]) -> list[Layer]:
        """The files that a config with these choices is composed from, low to high."""
        listed = self._listed(options)
        return self._found(options) if listed is None else listed

    def _listed(self, options: Mapping[str, str]) -> list[Layer] | None:
        """The layers as visrun's own defaults list has them; None where only Hydra finds them, for the user has a list
        of their own, files that lie within a package, or some that build on others."""
        paths = []
        for item in self.defaults():
            if isinstance(item, ConfigDefault):
                paths.append(PRIMARY if item.path == "_self_" else str(item.path))
            elif isinstance(item, GroupDefault) and isinstance(item.value, str):
                named = re.sub(r"\$\{(\w+)\}", lambda match: options.get(match[1], ""), item.value)
                paths.append(f"{item.group}/{options.get(item.group or '', named)}")
        layers = [Layer(path, self.read(path)) for path in paths]  # those of Hydra, too: to read one checks it
        own = [layer for layer in layers if not layer.path.startswith("hydra/")]
        plain = self._rank(PRIMARY) == len(self.folders) - 1 and self._built.isdisjoint(layer.path for layer in own)
        return own if plain else None

    def _found(self, options: Mapping[str, str]) -> list[Layer]:
        """The layers as Hydra finds them, which is slow: files within their packages, and those they build on."""
        words = _words(options)
        if words not in self._layers:
            with file_errors():
                found = self.loader.compute_defaults_list(PRIMARY, list(words), RunMode.RUN).defaults
            own = [(path, item.package) for item in found if not (path := str(item.config_path)).startswith("hydra/")]
            self._layers[words] = [
                Layer(path, flatten(self.read(path), prefix=f"{package}." if package else "")) for path, package in own
            ]
        return self._layers[words]

    def compose(self, options: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
        """The composed config as plain values, without Hydra's own node and with what is :meth:`raised`.

        Each set of options is composed once; a sweep's thousand trials differ in their values only.

        Args:
            options: Group -> option.
            values: Dotted key -> what goes over everything.

        Raises:
            ConfigError: Hydra cannot compose.
        """
        words = _words(options)
        with file_errors():
            if words not in self._composed:
                config = self._merged(options)
                for name, value in beneath(self.raised(options)).items():
                    OmegaConf.update(config, name, value, merge=False)
                self._composed[words] = config
            config = self._composed[words].copy()
            for name, value in values.items():
                OmegaConf.update(config, name, value, merge=False)
            plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        assert isinstance(plain, dict)
        return {str(name): value for name, value in plain.items()}

    def _merged(self, options: Mapping[str, str]) -> DictConfig:
        """The layers, each over the one before: what Hydra composes of them, in a sixth of its time."""
        listed = self._listed(options)  # each file by itself, so that an error names it
        if listed is not None:
            merged = OmegaConf.create()
            for layer in listed:
                _merge(merged, layer)
            return merged
        config = self.loader.load_configuration(PRIMARY, list(_words(options)), RunMode.RUN)
        OmegaConf.set_struct(config, False)
        config.pop("hydra")
        return config


def _merge(config: DictConfig, layer: Layer) -> None:
    """Let a layer go over what is there."""
    with file_errors(layer.path):
        try:
            OmegaConf.unsafe_merge(config, OmegaConf.create(layer.values))
        except TypeError as error:  # of two kinds of containers
            wrong = "has a list where a mapping belongs, or a mapping where a list does"
            raise ConfigError(f"conf/{layer.path}.yaml: {wrong}") from error


def _words(options: Mapping[str, str]) -> tuple[str, ...]:
    """Choices in Hydra's grammar, in one order."""
    return tuple(f"{group}={option}" for group, option in sorted(options.items()))


def beneath(raised: Sequence[Layer]) -> dict[str, Any]:
    """What :meth:`Conf.raised` gives as dotted keys: above all options, beneath files and typed values."""
    return {key: value for layer in raised for key, value in layer.values.items()}


def choices_in(flat: Mapping[str, Any], groups: Iterable[str]) -> dict[str, str]:
    """The choices that a file makes: ``optimizer: sgd``, ``model.name: unet`` or, short, ``model: unet``; beside
    ``model: torchvision`` or ``timm`` the name is the builder's."""
    named = {group: flat.get(group, flat.get(f"{group}.name")) for group in groups}
    found = {group: name for group, name in named.items() if isinstance(name, str)}
    if found.get("model") in (GENERIC_MODEL, TIMM_MODEL) and isinstance(name := flat.get("model.name"), str):
        found["model"] = named_by(name, found["model"])
    return found
