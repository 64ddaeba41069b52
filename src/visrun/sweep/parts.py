"""The parts of a sweep, made from its plan."""

from __future__ import annotations

import shlex
from pathlib import Path

from visrun.config.overrides import STUDY, SWEEP_DIR
from visrun.config.spelling import to_override
from visrun.console import Screen
from visrun.errors import ConfigError
from visrun.record.outputs import SWEEPS
from visrun.sweep.agreement import check, make
from visrun.sweep.display import Table
from visrun.sweep.drawing import Sweep
from visrun.sweep.plan import Plan
from visrun.sweep.slots import Slot, environments, numbered
from visrun.sweep.storage import open_storage
from visrun.sweep.study import Queue
from visrun.tracking import forget


def open_study(plan: Plan) -> Queue:
    """The plan's study, made where there is none; a new one's run in MLflow is none that the folder had.

    Raises:
        ConfigError: There is such a study, and it cannot be gone on with, or the folder holds another one's trials.
    """
    storage = open_storage(plan.storage)
    new = make(plan, storage)
    if new:
        forget(plan.folder)
    queue = Queue(storage, plan.name)
    if not new and not plan.resume:
        raise ConfigError(
            f"hydra.sweeper.resume=false: there is a study {plan.name} already; choose another hydra.sweeper.study_name"
        )
    if not new:
        check(plan, queue)
    return queue


def make_slots(plan: Plan) -> list[Slot]:
    """The slots of a plan: the same command as a worker of the same study, on the one GPU that it is given."""
    device = "auto" if "run.device" in plan.space.distributions else plan.first.settings.run.device
    alone = ["run.device=cuda"] if numbered(device) else []
    joining = [
        "hydra.sweeper.worker=true",
        *(one for one in naming(plan) if not one.startswith(SWEEP_DIR)),
        to_override("hydra.sweeper.storage", plan.storage),
        to_override(SWEEP_DIR, str(plan.folder)),
        *alone,
    ]
    replaced = tuple(f"hydra.{key}=" for key in ("sweeper.n_jobs", "sweeper.storage", "sweep.dir"))
    replaced += ("run.device=",) if alone else ()
    own = [typed for typed in plan.command if not typed.startswith(replaced)]
    logs = plan.folder / "slots"
    return [
        Slot(number, [*own, *joining], environment, logs / f"slot-{number}.log")
        for number, environment in enumerate(environments(min(plan.n_jobs, plan.n_trials), device))
    ]


def make_table(plan: Plan, screen: Screen, queue: Queue) -> Table:
    """The live table."""
    values = plan.first.hyperparameters
    sweep = Sweep(
        name=plan.name,
        objectives=plan.objectives,
        directions=queue.study.directions,
        n_trials=plan.n_trials,
        slots=plan.n_jobs,
        epochs=None if "max_epochs" in plan.space.distributions else values.max_epochs,
    )
    return Table(screen, sweep)


def naming(plan: Plan) -> list[str]:
    """What has to be added to the command for it to mean this study, also without the files that named it."""
    typed = {one.lstrip("+").partition("=")[0] for one in plan.command}
    if SWEEP_DIR in typed:  # its last part is the name
        return []
    placed = Path(SWEEPS, plan.name).absolute() != plan.folder
    words = [to_override(SWEEP_DIR, str(plan.folder))] if placed else []
    if STUDY not in typed and not (placed and plan.name == plan.folder.name):
        words.append(to_override(STUDY, plan.name))
    return words


def again(plan: Plan) -> str:
    """The command that goes on with a sweep."""
    return shlex.join(["visrun", *plan.command, *naming(plan)])
