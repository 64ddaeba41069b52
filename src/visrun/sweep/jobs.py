"""The configs of a sweep's jobs: Hydra composes each set of options once, and jobs that differ in values share it.

Composing is the dearest part of a job that does little else, and a sweep's jobs differ in a few numbers.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf


class JobConfigs:
    """Stands in for Hydra's config loader where a launcher asks for the config of a job."""

    def __init__(self, loader: ConfigLoader) -> None:
        assert isinstance(loader, ConfigLoaderImpl)
        self.loader = loader
        self.composed: dict[tuple[str, ...], DictConfig] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """What Hydra's own loader gives for the same words."""
        overrides = OverridesParser.create().parse_overrides(sweep_overrides)
        chosen = tuple(str(item.input_line) for item in overrides if not self._is_value(item))
        if chosen not in self.composed:
            self.composed[chosen] = self.loader.load_sweep_config(master_config, list(chosen))
        config = deepcopy(self.composed[chosen])
        ConfigLoaderImpl._apply_overrides_to_config([item for item in overrides if self._is_value(item)], config)
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        note(config, overrides)
        return config

    def _is_value(self, override: Override) -> bool:
        """Whether an override sets one value, and chooses no option that brings others."""
        return not self.loader.repository.group_exists(override.key_or_group)


def note(config: DictConfig, overrides: list[Override]) -> None:
    """Write the words of a job where Hydra keeps them, in the order given."""
    lines = [str(item.input_line) for item in overrides if not item.is_hydra_override()]
    own = [str(item.input_line) for item in overrides if item.is_hydra_override()]
    kept = [line for line in config.hydra.overrides.hydra if line not in own]
    OmegaConf.update(config, "hydra.overrides.task", lines, merge=False)
    OmegaConf.update(config, "hydra.overrides.hydra", [*kept, *own], merge=False)
