"""The sweeper's settings: the official Optuna sweeper's, and what visrun adds. Imports no Optuna.

visrun -m learning_rate=interval(1e-4,1e-1) hydra.sweeper.n_trials=30 hydra/sweeper/pruner=median
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf, TPESamplerConfig
from omegaconf import MISSING

from visrun.config.fields import show
from visrun.numbers import is_int

NAME = "visrun"
SWEEPER = "hydra.sweeper"
TARGET = "visrun.sweep.plugin.VisrunSweeper"

# Pruner -> its class in optuna.pruners or visrun.sweep.pruners, and the arguments that visrun gives it; the class' own
# defaults elsewhere. A min_resource of None is settled by the run's epochs and warm-up, and by min_images. AUTO is
# settled by the sweep: successive halving for a search, none for a grid.
AUTO, SEARCH = "auto", "successive_halving"
HALVING = ("SuccessiveHalving", {"min_resource": None, "min_images": 1000, "reduction_factor": 4, "looks": 1})
PRUNERS: dict[str, tuple[str, dict[str, Any]]] = {
    AUTO: HALVING,
    "none": ("NopPruner", {}),
    "median": ("MedianPruner", {"n_startup_trials": 5, "n_warmup_steps": 3, "interval_steps": 1}),
    "percentile": ("PercentilePruner", {"percentile": 25.0, "n_startup_trials": 5, "n_warmup_steps": 3}),
    "hyperband": ("HyperbandPruner", {"min_resource": 1, "max_resource": "auto", "reduction_factor": 3}),
    SEARCH: HALVING,
    "patient": ("PatientPruner", {"patience": 5, "min_delta": 0.0, "wrapped": "median"}),
    "wilcoxon": ("WilcoxonPruner", {"p_threshold": 0.1, "n_startup_steps": 2}),
}


@dataclass
class MultivariateTPEConfig(TPESamplerConfig):
    """TPE over all parameters together, those that only some trials have in groups of their own."""

    multivariate: bool = True
    group: bool = True
    constant_liar: bool = True


USUAL_TRIALS = 20  # of a space that is no grid
N_TRIALS, N_JOBS = f"{SWEEPER}.n_trials", f"{SWEEPER}.n_jobs"


@dataclass
class VisrunSweeperConf(OptunaSweeperConf):
    """``hydra.sweeper.*``; the official keys mean what they mean there, unless said otherwise here.

    Args:
        direction: None takes the task's, or one for each of ``objectives``.
        n_trials: How many trials the study has in the end, those of earlier sittings included. None runs every
            combination of a grid once, and 20 trials of any other space.
        n_jobs: Trials at a time, each in a process of its own.
        max_failure_rate: The share of ``n_trials`` whose failing ends the sweep; 1 = it goes on whatever fails.
        pruner: Ends trials that cannot win, by their metric after each epoch; ``auto``: those of a search of ten
            trials or more for one objective, by successive halving, and none of a grid, whole or cut short.
        objectives: What is searched for: the task's metric, ``seconds``, ``parameters``; several give a Pareto front.
        resume: Go on with a study of this name where there is one; false refuses.
        retry_failed: Run the trials of earlier sittings that failed again, at the same points; of the leader alone.
        start_points: Points that are tried first, each a mapping of some or all parameters. None begins a search with
            the values that the run would have without it, as far as the space holds them; [] begins with none. By the
            grid sampler, whole points as many as ``n_trials`` are the whole grid.
        timeout: Seconds, or a text such as 1h30m, after which no trial begins.
        worker: Join a study that another process leads, and work for it.
    """

    _target_: str = TARGET
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "multivariate_tpe"}, {"pruner": AUTO}])
    direction: Any = None
    n_trials: Any = None
    n_jobs: int = 1
    max_failure_rate: float = 1.0
    params: Any = None
    pruner: Any = MISSING
    objectives: Any = None
    resume: bool = True
    retry_failed: bool = False
    start_points: Any = None
    timeout: Any = None
    worker: bool = False


def store() -> None:
    """Make ``hydra/sweeper=visrun``, its sampler and its pruners known to Hydra."""
    config_store = ConfigStore.instance()
    config_store.store(group="hydra/sweeper", name=NAME, node=VisrunSweeperConf, provider="visrun", replace=True)
    config_store.store(
        group="hydra/sweeper/sampler",
        name="multivariate_tpe",
        node=MultivariateTPEConfig,
        provider="visrun",
        replace=True,
    )
    for name, (_, arguments) in PRUNERS.items():
        config_store.store(
            group="hydra/sweeper/pruner", name=name, node={"name": name, **arguments}, provider="visrun", replace=True
        )


def count_problems(n_trials: object, n_jobs: object) -> list[str]:
    """A line for each that counts nothing: no integer, or one below 1; ``n_trials`` may be None."""
    counts = {N_TRIALS: 1 if n_trials is None else n_trials, N_JOBS: n_jobs}
    wrong = {key: value for key, value in counts.items() if not is_int(value) or value < 1}
    return [f"{key}={show(value)}: must be an integer >= 1" for key, value in wrong.items()]
