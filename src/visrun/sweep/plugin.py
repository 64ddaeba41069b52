"""Hydra's sweeper ``visrun``: a thin adapter from Hydra's objects to a study, its workers and its controller."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from zlib import crc32

from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from visrun.config.compose import Resolved
from visrun.config.sweeper import VisrunSweeperConf
from visrun.console import Screen
from visrun.errors import ConfigError, VisrunError
from visrun.machine import own_slot
from visrun.signals import asked, heed, stop_on_signals
from visrun.sweep.jobs import JobConfigs
from visrun.sweep.plan import GRID, Plan, make_plan
from visrun.sweep.slots import die_with_leader
from visrun.sweep.storage import StorageAway
from visrun.text import plural

IN_PROCESS = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
RAY = "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"
SEEDS = 2**32  # numpy's generators take seeds below
MOST_SLOTS = 10_000  # a seed is moved in steps of so many, so that no slot comes upon another one's


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
    """See :class:`visrun.config.sweeper.VisrunSweeperConf` for the settings.

    ``command`` is what runs, ``exit_code`` how the last sweep ended: 0, 1 where a trial failed, 129, 130 or 143 where
    it was stopped.
    """

    command: Command | None = None
    exit_code = 0

    def __init__(self, **settings: Any) -> None:
        self.settings: dict[str, Any] = vars(VisrunSweeperConf()) | {
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
        if config.hydra.launcher._target_ == RAY:
            start_ray(self.launcher)

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
            extend=self._extender(),
        )
        alone = self.config.hydra.launcher._target_ == IN_PROCESS
        try:
            if plan.worker:
                self._work(plan, alone)
            else:
                self._lead(plan, alone)
        except StorageAway as error:
            from visrun.sweep.parts import again

            raise StorageAway(f"{error}; go on with: {again(plan)}") from error

    def _extender(self) -> Callable[[Any], None] | None:
        """The function that ``custom_search_space`` names, for one trial.

        Raises:
            ConfigError: There is no such function.
        """
        path = self.settings["custom_search_space"]
        if path is None:
            return None
        try:
            function = get_method(path)
        except (HydraException, ImportError, ValueError) as error:
            raise ConfigError(f"hydra.sweeper.custom_search_space={path}: {error}") from error
        return partial(function, self.config)

    def _sampler(self, trials: Sequence[FrozenTrial], slot: int = 0) -> BaseSampler:
        """The sampler of one worker; a seed is moved by what sets it apart, or all of them would try the same points.

        Args:
            trials: The study's so far: a slot that began some of them, at a former sitting or before it died, would
                try their points again.
            slot: Which of this process' workers it is.

        Raises:
            ConfigError: Its class refuses the settings.
        """
        node = dict(self.settings["sampler"])
        if node["_target_"] == GRID:  # every point is a ticket, so nothing is left to sample
            return RandomSampler(seed=node["seed"])
        if node.get("seed") is not None:
            begun = sum(trial.user_attrs.get("slot") == (own_slot() or slot) for trial in trials)
            node["seed"] = (node["seed"] + self._apart() + slot + MOST_SLOTS * begun) % SEEDS
        allowed = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")
        try:
            made: BaseSampler = instantiate(node, _execution_whitelist_=allowed)
        except (HydraException, ImportError, TypeError, ValueError) as error:
            raise ConfigError(f"hydra.sweeper.sampler: {error}") from error
        return made

    def _apart(self) -> int:
        """What sets this process apart from the others that work for the study; 0 for the one that leads it."""
        slot = own_slot()
        if slot is not None or not self.settings["worker"]:
            return slot or 0
        return crc32(f"{socket.gethostname()} {os.getpid()}".encode())

    def _lead(self, plan: Plan, alone: bool) -> None:
        """Lead a sweep whose trials run in slots, or through the user's launcher."""
        from visrun.sweep.controller import lead

        errors: list[Exception] = []

        def work(done: threading.Event) -> None:
            try:
                self._threads(plan, done)
            except Exception as error:
                errors.append(error)

        VisrunSweeper.exit_code = lead(plan, work=None if alone else work)
        if errors:
            raise errors[0]

    def _work(self, plan: Plan, alone: bool) -> None:
        """Run trials until the study has all it wants, in this process or through the user's launcher."""
        from visrun.sweep.joining import join

        die_with_leader()
        if alone and plan.n_jobs > 1:
            Screen().warn(
                f"hydra.sweeper.n_jobs={plan.n_jobs}: a worker runs one trial at a time; start several workers"
            )
        if alone:
            with stop_on_signals() as stop:
                stop.deferred = True  # a trial that came to its end is told of; one that begins opens its own
                failed = join(plan, self._launch, slot=own_slot(), stopped=lambda: asked() is not None)
                heed()
        else:
            failed = self._threads(plan, threading.Event())
        if own_slot() is None:  # whose leader tells how the trials ended, and takes a code for a death
            Screen().say(f"worker: {plural(len(failed), 'trial')} run, {sum(failed)} failed")
            VisrunSweeper.exit_code = int(any(failed))

    def _threads(self, plan: Plan, done: threading.Event) -> list[bool]:
        """Run trials through the user's launcher, one at a time from each of ``n_jobs`` threads.

        Returns:
            Of each trial, whether it failed.

        Raises:
            Exception: The first that ended a thread, once all of them have ended.
        """
        from visrun.sweep.joining import join

        def one(slot: int) -> list[bool]:
            own = replace(plan, make_sampler=lambda trials: self._sampler(trials, slot))
            return join(own, self._launch, slot=slot, stopped=done.is_set)

        with ThreadPoolExecutor(plan.n_jobs, thread_name_prefix="visrun-slot") as pool:
            jobs = [pool.submit(one, slot) for slot in range(plan.n_jobs)]
            try:
                wait(jobs)
            except KeyboardInterrupt:  # where this is the main thread: the jobs that run still end, no other begins
                done.set()
                raise
        return [failed for job in jobs for failed in job.result()]

    def _launch(self, number: int, words: Sequence[str]) -> Any:
        """Run one job and return what it returned, or raise what it raised.

        Raises:
            VisrunError: The job died.
        """
        assert self.launcher is not None
        try:
            returned = self.launcher.launch([list(words)], initial_job_idx=number)
        except Exception as error:
            raise VisrunError(f"its job died: {last_words(error)}") from error
        return returned[0].return_value


def start_ray(launcher: Any) -> None:
    """Start or join Ray from the main thread: its launcher would from every slot's at once, and all but one would fail.

    A task that died is not tried again by Ray itself, since its trial is settled by then, and what tasks print stays in
    their logs.
    """
    settings = {"log_to_driver": False, "logging_level": "WARNING"} | plain(launcher.ray_cfg.init)
    remote = {"max_retries": 0} | plain(launcher.ray_cfg.remote)
    import_module("ray").init(**settings)
    launcher.ray_cfg = OmegaConf.create({"init": settings, "remote": remote})


def plain(config: DictConfig) -> dict[str, Any]:
    """A node's values."""
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def last_words(error: Exception) -> str:
    """Why a job gave nothing back, in a line, of what its launcher says in many.

    A traceback from the job says it in its last line, a report on the job in its first two.
    """
    head, *parts = re.split(r"\n-{9,}\n", str(error).strip())
    lines = head.splitlines() or [type(error).__name__]
    if parts and parts[0].startswith("Traceback"):
        return parts[0].strip().splitlines()[-1]
    return " ".join(line.strip() for line in lines[:2])


def silence(config: DictConfig) -> None:
    """Keep what Hydra logs off the screen, which belongs to the sweep's table and to the trials' own lines."""
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.hydra_logging = {"version": 1, "root": {"level": "WARNING"}, "disable_existing_loggers": False}
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if type(handler) is logging.StreamHandler]:
        root.removeHandler(handler)
