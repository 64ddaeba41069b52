"""What follows the last step: the best epoch's weights and thresholds, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from visrun import checkpoint
from visrun.conclusion import hand_over, is_best_in_warmup, take_best
from visrun.errors import UserError
from visrun.models import Built
from visrun.parts import Parts
from visrun.training import Progress


class Deciding:
    """As much of a task as has thresholds."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def decide(self, metrics: Any) -> None: ...

    def take(self, state: Any) -> None:
        self.told.append(state)


@pytest.mark.parametrize("odd", [{}, {"model": None}, {"model": {"other": torch.zeros(1)}}], ids=str)
def test_a_best_checkpoint_of_which_a_part_is_odd_is_one_line(tmp_path: Path, odd: dict[str, Any]) -> None:
    checkpoint.save(odd, tmp_path / "best.pt")
    with pytest.raises(UserError, match=r"^[^\n]*/best\.pt: a part is missing or of another kind \([^\n]*$"):
        take_best(torch.nn.Linear(1, 1), Deciding(), tmp_path / "best.pt")


def test_thresholds_are_those_of_the_best_checkpoint(tmp_path: Path) -> None:
    network, task = torch.nn.Linear(1, 1), Deciding()
    checkpoint.save({"model": network.state_dict(), "task_state": {"threshold": 0.5}}, tmp_path / "best.pt")
    take_best(network, task, tmp_path / "best.pt")
    assert task.told == [{"threshold": 0.5}]


class Dense(torch.nn.Module):
    """A model that measures the density of good images."""

    def settle(self, batches: Any) -> None: ...


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, True),
        ({"best_epoch": 5}, True),
        ({"best_epoch": 6}, False),
        ({"best_epoch": 0, "best": None}, False),  # of an epoch that could not be ranked
        ({"epoch": 5}, False),  # nothing came after the warm-up
        ({"best": 1.0}, False),  # nothing can be better
        ({"best": 1.0, "maximize": False}, True),
        ({"origin": "pretrained X"}, False),
        ({"module": Dense()}, False),
        ({"warmup_epochs": 0}, False),
    ],
    ids=str,
)
def test_a_best_epoch_in_the_warm_up_is_told_where_nothing_explains_it(changed: dict[str, Any], told: bool) -> None:
    usual = {"best_epoch": 2, "epoch": 15, "best": 0.5, "maximize": True, "warmup_epochs": 5}
    given = {**usual, "origin": "random: none", "module": torch.nn.Identity(), **changed}
    progress = Progress(epoch=given["epoch"], best=given["best"], best_epoch=given["best_epoch"])
    built = Built(given["module"], origin=given["origin"])
    rules = {key: given[key] for key in ("maximize", "warmup_epochs")}
    assert is_best_in_warmup(progress, built, **rules) == told


def test_the_tracked_model_says_what_the_task_has_decided() -> None:
    task, tracker = SimpleNamespace(threshold=None), Mock()
    task.state = lambda: {"threshold": task.threshold}
    batches = [SimpleNamespace(images=torch.zeros(3, 3, 4, 4))]
    made = Mock(
        task=task, model_facts={"task": "anomaly_detection"}, loaders={"val": Mock(epoch=lambda _: iter(batches))}
    )
    made.portrait = lambda: Parts.portrait(made)
    task.threshold = 0.5  # as after the best epoch
    hand_over(made, tracker, "val")
    assert tracker.model.call_args.kwargs["metadata"] == {
        "task": "anomaly_detection",
        "task_state": {"threshold": 0.5},
    }
