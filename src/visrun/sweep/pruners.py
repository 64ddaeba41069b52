"""Pruners by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from visrun.config.fields import one_of, show
from visrun.config.sweeper import PRUNERS
from visrun.errors import ConfigError
from visrun.numbers import is_int
from visrun.sweep.storage import quiet

PRUNER = "hydra.sweeper.pruner"
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)  # a lost trial's point runs again
FIRST_LOOK = 12  # one in so many of a run's epochs


class SuccessiveHalving(BasePruner):
    """Asynchronous successive halving (Li et al., arXiv 1810.05934, section 3), with an end to its looks.

    At each look a trial goes on where it is in the best share of those that came as far; an equal value that was there
    before counts as better. A cut late in a trial saves little, and what decides which of several good trials ends best
    is then chance: of that, more trials that come to their end have more. So it looks once unless told otherwise.

    Early ranks hold once a trial has seen enough images, which is one epoch of many of them and several of few: after
    some 20 steps not even the averages of batch normalization say much. Later ranks are no better where the metric
    comes near its best early, since equal values then hide who learns fast.

    Args:
        min_resource: The epoch of the first look.
        reduction_factor: One in so many goes on, and so many times as late is the next look.
        looks: How many there are; None: as many as fit into the run.
        min_images: The first look waits until a trial has seen so many training images, at most until what would be the
            second one.
        images: Training images of an epoch; None where they are not known.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        min_resource: int,
        reduction_factor: int,
        looks: int | None = 1,
        min_images: int = 0,
        images: int | None = None,
    ) -> None:
        at_least = {"min_resource": (min_resource, 1), "reduction_factor": (reduction_factor, 2)}
        at_least |= {"min_images": (min_images, 0)} | ({} if looks is None else {"looks": (looks, 1)})
        for name, (value, low) in at_least.items():
            if not is_int(value) or value < low:
                raise ValueError(f"{name}={show(value)}: must be an integer >= {low}")
        enough = math.ceil(min_images / images) if images else 0
        self.first = max(min_resource, min(enough, min_resource * reduction_factor))
        self.factor, self.looks = reduction_factor, looks

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether a trial that has just reported is ended."""
        step = trial.last_step
        if step is None or not self._looks_at(step):
            return False
        sign = 1 if study.direction is StudyDirection.MAXIMIZE else -1
        others = [
            sign * other.intermediate_values[step]
            for other in study.get_trials(deepcopy=False, states=COUNTED)
            if other.number != trial.number and step in other.intermediate_values
        ]
        value = sign * trial.intermediate_values[step]
        ahead = sum(other >= value for other in others)
        return math.isnan(value) or ahead >= max(1, (len(others) + 1) // self.factor)

    def _looks_at(self, step: int) -> bool:
        look, number = self.first, 1
        while look < step:
            look, number = look * self.factor, number + 1
        return look == step and (self.looks is None or number <= self.looks)


OWN = {"SuccessiveHalving": SuccessiveHalving}


def settled(node: Any, *, max_epochs: int, warmup_epochs: int) -> Any:
    """``hydra.sweeper.pruner`` with the epoch of its first look; where that is left open, not before the warm-up ends.

    An epoch that is given stands, however few images it has.
    """
    if not isinstance(node, Mapping):
        return node
    found, inner = dict(node), node.get("wrapped")
    if inner in PRUNERS:
        wrapped = {"name": inner, **PRUNERS[inner][1]}
        found["wrapped"] = settled(wrapped, max_epochs=max_epochs, warmup_epochs=warmup_epochs)
    if node.get("min_resource", 1) in (None, "auto"):
        found["min_resource"] = max(math.ceil(max_epochs / FIRST_LOOK), warmup_epochs)
    elif "min_images" in node:
        found["min_images"] = 0
    return found


def first_look(node: Mapping[str, Any], *, epochs: int) -> str:
    """When successive halving looks at first, which for few training images may be the last epoch or none of them; ""
    of others.

    Args:
        epochs: Of a trial.
    """
    soon, late = make_pruner(node), make_pruner(node, images=1)
    if not isinstance(soon, SuccessiveHalving) or not isinstance(late, SuccessiveHalving):
        return ""
    until = f"to {late.first}, by the number of images"
    if late.first > epochs:
        until = "or later, by the number of images, with few of them never"
    later = f" {until}" if late.first > soon.first else ""
    return f", looks first after epoch {soon.first}{later}"


def make_pruner(node: Mapping[str, Any], *, images: int | None = None) -> BasePruner:
    """The pruner that ``hydra.sweeper.pruner`` describes: its ``name`` and the arguments of Optuna's class.

    Args:
        node: As :func:`settled` gives it.
        images: Training images of an epoch, where they are known.

    Raises:
        ConfigError: An unknown name, or arguments that Optuna refuses.
    """
    if not isinstance(node, Mapping):
        raise ConfigError(
            f"{PRUNER}={show(node)}: choose one with {PRUNER.replace('.', '/')}=NAME, {one_of(list(PRUNERS))}"
        )
    name = node.get("name")
    if name not in PRUNERS:
        raise ConfigError(f"{PRUNER}={show(name)}: must be {one_of(list(PRUNERS))}")
    kind, usual = PRUNERS[name]
    arguments = usual | {key: value for key, value in node.items() if key not in ("name", "_target_")}
    if "wrapped" in arguments:
        inner = arguments.pop("wrapped")
        arguments["wrapped_pruner"] = (
            None
            if inner is None
            else make_pruner(inner if isinstance(inner, Mapping) else {"name": inner}, images=images)
        )
    try:
        with quiet():
            if name == "hyperband":  # which would find what is wrong when a trial reports
                optuna.pruners.SuccessiveHalvingPruner(arguments["min_resource"], arguments["reduction_factor"])
            made: BasePruner = (
                OWN[kind](**arguments, images=images) if kind in OWN else getattr(optuna.pruners, kind)(**arguments)
            )
            return made
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{PRUNER}={name}: {error}") from None
