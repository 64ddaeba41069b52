"""Hydra's sweeper ``visrun``: a thin adapter from Hydra's objects to a study, its workers and its controller."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.samplers import BaseSampler, RandomSampler

from visrun.compose import Resolved
from visrun.sweep.config import VisrunSweeperConf
from visrun.sweep.jobs import JobConfigs
from visrun.sweep.plan import GRID, Plan, make_plan
from visrun.sweep.slots import die_with_leader, own_slot

IN_PROCESS = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


@dataclass(frozen=True)
class Command:
    """The command that runs, set by the entry point: Hydra hands a sweeper no more than a config.

    Args:
        words: The whole command line behind ``visrun``.
        first: The sweep's first job.
        resolve: Words -> the run they stand for.
        options: Lists a group's options for ``model=glob(resnet*)``.
    """

    words: tuple[str, ...]
    first: Resolved
    resolve: Callable[[Sequence[str]], Resolved]
    options: ConfigLoader


class VisrunSweeper(Sweeper):
    """See :class:`visrun.sweep.config.VisrunSweeperConf` for the settings.

    ``command`` is what runs, ``exit_code`` how the last sweep ended: 0, 1 where a trial failed, 130 or 143 where it was
    stopped.
    """

    command: Command | None = None
    exit_code = 0

    def __init__(self, **settings: Any) -> None:
        self.settings = dict.fromkeys(VisrunSweeperConf.__dataclass_fields__) | {
            name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for name, value in settings.items()
        }
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Make the launcher; one that runs jobs in this process gets their configs from the cache."""
        self.config = config
        silence(config)
        if config.hydra.launcher._target_ == IN_PROCESS:
            hydra_context = replace(hydra_context, config_loader=JobConfigs(hydra_context.config_loader))
        self.launcher = Plugins.instance().instantiate_launcher(
            config=config, hydra_context=hydra_context, task_function=task_function
        )

    def sweep(self, arguments: list[str]) -> None:
        """Lead a sweep, or work for one."""
        assert self.config is not None and self.launcher is not None and self.command is not None
        plan = make_plan(
            self.settings,
            arguments,
            folder=Path(str(self.config.hydra.sweep.dir)),
            command=self.command.words,
            first=self.command.first,
            resolve=self.command.resolve,
            options=self.command.options,
            make_sampler=self._sampler,
        )
        alone = self.config.hydra.launcher._target_ == IN_PROCESS
        if plan.worker:
            self._work(plan)
        else:
            from visrun.sweep.controller import lead

            threads = None if alone else lambda done: self._threads(plan, done)
            VisrunSweeper.exit_code = lead(plan, work=threads)

    def _sampler(self) -> BaseSampler:
        """The sampler of one worker; a seed is moved by the worker's slot, or all of them would try the same points."""
        node = dict(self.settings["sampler"])
        if node["_target_"] == GRID:  # every point is a ticket, so nothing is left to sample
            return RandomSampler(seed=node["seed"])
        if node.get("seed") is not None:
            node["seed"] += own_slot() or 0
        allowed = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")
        made: BaseSampler = instantiate(node, _execution_whitelist_=allowed)
        return made

    def _work(self, plan: Plan) -> None:
        """Run trials in this process until the study has all it wants."""
        from visrun.sweep.joining import join

        die_with_leader()
        join(plan, self._launch, slot=own_slot())

    def _threads(self, plan: Plan, done: threading.Event) -> None:
        """Run trials through the user's launcher, one at a time from each of ``n_jobs`` threads."""
        from visrun.sweep.joining import join

        with ThreadPoolExecutor(plan.n_jobs) as pool:
            jobs = [
                pool.submit(join, plan, self._launch, slot=slot, stopped=done.is_set) for slot in range(plan.n_jobs)
            ]
            for job in jobs:
                job.result()

    def _launch(self, number: int, words: Sequence[str]) -> Any:
        """Run one job and return what it returned, or raise what it raised."""
        assert self.launcher is not None
        returned = self.launcher.launch([list(words)], initial_job_idx=number)
        return returned[0].return_value


def silence(config: DictConfig) -> None:
    """Keep what Hydra logs off the screen, which belongs to the sweep's table and to the trials' own lines."""
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.hydra_logging = {"version": 1, "root": {"level": "WARNING"}, "disable_existing_loggers": False}
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if type(handler) is logging.StreamHandler]:
        root.removeHandler(handler)
