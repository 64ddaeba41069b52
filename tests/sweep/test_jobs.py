"""The configs of a sweep's jobs are Hydra's own to the last key."""

from __future__ import annotations

from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from visrun.config.configs import PRIMARY, open_conf
from visrun.sweep.jobs import JobConfigs

TYPED = ["optimizer=adam,sgd", "learning_rate=interval(1e-4,1e-1)", "max_epochs=3", "hydra.sweeper.n_trials=3"]
TYPED += ["hydra.sweep.dir='multirun/a b'", "+hydra.job.env_set.KEEP=me"]
SWEPT = [
    ["learning_rate=0.01"],
    ["learning_rate=0.02", "optimizer=adam"],
    ["optimizer=sgd", "learning_rate=0.01", "momentum=0.8"],
    ["learning_rate=0.01", "optimizer=sgd"],
    ["model=vit_b_16", "optimizer=adam", "data.root='/photos (1)/a,b'"],
    ["task=segmentation", "+recipe=quick", "milestones=[1,2]"],
    ["+recipe=fine_tune", "optimizer=sgd"],
    ["loss=focal", "hydra.job.name=other"],
    ["scheduler=step", "tracking=none", "augment.mixup=0.1", "model.weights=null", "data.classes=['a','b c']"],
    ["hydra/launcher=basic", "seed=1"],
    ["hydra.sweep.subdir=x", "seed=2"],
    ["learning_rate=1e-05", '+hydra.job.env_set.VISRUN_TRIAL=\'{"storage": "a b", "n": [1, {"k": null}]}\''],
    [],
]


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> ConfigLoaderImpl:
    folder = tmp_path_factory.mktemp("work")
    (folder / "conf" / "augment").mkdir(parents=True)
    text = "# @package _global_\naugment: {name: mine, mixup: 0.25, erase: '${learning_rate}'}\n"
    (folder / "conf" / "augment" / "mine.yaml").write_text(text, encoding="utf-8")
    return open_conf(folder).loader


@pytest.fixture(scope="module")
def master(loader: ConfigLoaderImpl) -> DictConfig:
    return loader.load_configuration(PRIMARY, TYPED, RunMode.MULTIRUN)


@pytest.fixture(scope="module")
def jobs(loader: ConfigLoaderImpl) -> JobConfigs:
    return JobConfigs(loader)


def plain(config: DictConfig) -> Any:
    return OmegaConf.to_container(config, resolve=False)


def same(one: DictConfig, other: DictConfig) -> bool:
    """Values, their types, the order of keys, flags and cached values."""

    def spelt(config: DictConfig) -> str:
        return repr(plain(config))

    flags = all(one._get_flag(name) == other._get_flag(name) for name in ("struct", "readonly"))
    hydra = all(one.hydra._get_flag(name) == other.hydra._get_flag(name) for name in ("struct", "readonly"))
    return spelt(one) == spelt(other) and flags and hydra and OmegaConf.get_cache(one) == OmegaConf.get_cache(other)


@pytest.mark.parametrize(
    "words", [*SWEPT, ["augment=mine", "learning_rate=0.5"]], ids=lambda words: " ".join(words)[:50]
)
def test_they_are_what_hydra_composes(
    words: list[str], loader: ConfigLoaderImpl, jobs: JobConfigs, master: DictConfig
) -> None:
    expected = loader.load_sweep_config(master, list(words))
    for _ in range(2):  # composed, and remembered
        found = jobs.load_sweep_config(master, list(words))
        assert same(found, expected), words
        found.hydra.job.num = 7  # as a launcher does; the next one has its own


def test_interpolations_see_the_jobs_own_values(jobs: JobConfigs, master: DictConfig) -> None:
    rates = [0.5, 0.25]
    configs = [jobs.load_sweep_config(master, ["augment=mine", f"learning_rate={rate}"]) for rate in rates]
    assert [config.augment.erase for config in configs] == rates


def test_values_alone_are_composed_once(loader: ConfigLoaderImpl, master: DictConfig, monkeypatch: Any) -> None:
    jobs, asked = JobConfigs(loader), []
    compose = loader.load_sweep_config
    monkeypatch.setattr(
        loader, "load_sweep_config", lambda master, words: asked.append(words) or compose(master, words)
    )
    for number in range(5):
        jobs.load_sweep_config(master, [f"learning_rate=0.{number + 1}", "optimizer=sgd", f"seed={number}"])
    jobs.load_sweep_config(master, ["seed=1", "optimizer=adam"])
    assert asked == [["optimizer=sgd"], ["optimizer=adam"]]


@pytest.mark.parametrize("words", [["optimizer=nope"], ["learning_rat=1"], ["learning_rate=[1"], ["optimizer@x=sgd"]])
def test_what_hydra_refuses_is_refused(words: list[str], jobs: JobConfigs, master: DictConfig) -> None:
    with pytest.raises(HydraException):
        jobs.load_sweep_config(master, words)


def test_everything_else_is_the_loaders(loader: ConfigLoaderImpl, jobs: JobConfigs) -> None:
    assert jobs.get_search_path() is loader.get_search_path()
    assert jobs.get_group_options("optimizer") == ["adam", "adamw", "sgd"]
    with pytest.raises(AttributeError):
        jobs.no_such_thing  # noqa: B018
