"""What follows the last step: the best epoch's weights and thresholds, and how they are measured."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from visrun import checkpoint
from visrun.conclusion import is_best_in_warmup, measure, settle, take_best
from visrun.errors import OutOfMemory, UserError
from visrun.models import Built
from visrun.training import Progress


@pytest.mark.parametrize("odd", [{}, {"model": None}, {"model": {"other": torch.zeros(1)}}], ids=str)
def test_a_best_checkpoint_of_which_a_part_is_odd_is_one_line(tmp_path: Path, odd: dict[str, Any]) -> None:
    checkpoint.save(odd, tmp_path / "best.pt")
    made: Any = SimpleNamespace(step=SimpleNamespace(evaluated=torch.nn.Linear(1, 1)), task=None)
    with pytest.raises(UserError, match=r"^[^\n]*/best\.pt: a part is missing or of another kind \([^\n]*$"):
        take_best(made, tmp_path / "best.pt", rows=[], best_epoch=1)


def test_thresholds_are_those_of_the_best_epoch_or_not_known(tmp_path: Path) -> None:
    network, told = torch.nn.Linear(1, 1), list[Any]()
    checkpoint.save({"model": network.state_dict()}, tmp_path / "best.pt")
    made: Any = SimpleNamespace(step=SimpleNamespace(evaluated=network), task=SimpleNamespace(decide=told.append))
    rows = [{"epoch": 1, "threshold": 0.25}, {"epoch": 2, "threshold": 0.5}]
    for kept in (rows, rows[:1]):
        take_best(made, tmp_path / "best.pt", rows=kept, best_epoch=2)
    assert told == [rows[1], {}]


def test_a_model_settles_as_it_is_evaluated() -> None:
    """In train mode layers that drop something would have a part in what it measures."""

    class Settling(torch.nn.Dropout):
        def settle(self, batches: Any) -> None:
            self.seen = [self(images) for images in batches]

    model, images = Settling(), torch.ones(4, 8)
    batch = SimpleNamespace(images=images, valid=torch.tensor([True, True, True, False]))
    reference = SimpleNamespace(epoch=lambda _: [batch])
    made: Any = SimpleNamespace(
        step=SimpleNamespace(evaluated=model.train()),
        reference=reference,
        device=torch.device("cpu"),
        precision="fp32",
    )
    settle(made)
    (seen,) = model.seen
    assert torch.equal(seen, images[:3])


@pytest.mark.parametrize("graph", [None, object()])
def test_memory_that_runs_out_in_the_evaluation_says_what_a_captured_step_holds(graph: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("visrun.conclusion.evaluate", Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory")))
    step = SimpleNamespace(evaluated=None, graph=graph)
    made: Any = SimpleNamespace(
        device="cuda:0", task=None, step=step, loaders={"val": ()}, metric=object(), precision="fp32"
    )
    with pytest.raises(OutOfMemory, match=r"^out of memory on cuda:0 in the evaluation, not in a training") as caught:
        measure(made, "val")
    assert ("run.graph=false" in str(caught.value)) == (graph is not None)


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
        ({"evaluated": Dense()}, False),
        ({"warmup_epochs": 0}, False),
    ],
    ids=str,
)
def test_a_best_epoch_in_the_warm_up_is_told_where_nothing_explains_it(changed: dict[str, Any], told: bool) -> None:
    usual = {"best_epoch": 2, "epoch": 15, "best": 0.5, "maximize": True, "origin": "random: none", "evaluated": None}
    given = {**usual, "warmup_epochs": 5, **changed}
    progress = Progress(epoch=given["epoch"], best=given["best"], best_epoch=given["best_epoch"])
    made: Any = SimpleNamespace(
        built=Built(torch.nn.Identity(), origin=given["origin"]),
        step=SimpleNamespace(evaluated=given["evaluated"]),
        entry=SimpleNamespace(maximize=given["maximize"]),
        warmup_epochs=given["warmup_epochs"],
    )
    assert is_best_in_warmup(made, progress) == told


@pytest.mark.parametrize("k", [100, 101])
def test_of_many_classes_a_run_measures_the_means_alone(k: int, monkeypatch: Any) -> None:
    values = {"map": 0.5, **{f"ap/c{i}": 0.5 for i in range(k)}}
    monkeypatch.setattr("visrun.conclusion.evaluate", lambda *_, **__: values)
    task = SimpleNamespace(state=lambda: {"classes": [f"c{i}" for i in range(k)]})
    step = SimpleNamespace(evaluated=None, graph=None)
    made: Any = SimpleNamespace(
        device="cpu", task=task, step=step, loaders={"val": ()}, metric=object(), precision="fp32"
    )
    assert measure(made, "val") == (values if k == 100 else {"map": 0.5})


@pytest.mark.parametrize(
    ("counts", "loss", "told"),
    [
        ({"train": (12, 0, 12, 0), "val": (0, 4, 0, 4)}, 0.0, False),  # their weights are 0 where classes are balanced
        ({"train": (12, 0, 12, 0), "val": (0, 4, 0, 4)}, 0.25, True),
        ({"train": (12, 0, 12, 0), "val": (1, 4, 0, 4)}, 0.0, True),
        ({}, 0.0, True),  # values, which have no classes
    ],
)
def test_a_loss_in_which_nothing_weighs_is_none(counts: Any, loss: float, told: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr("visrun.conclusion.evaluate", lambda *_, **__: {"val_loss": loss, "accuracy": 0.5})
    made: Any = SimpleNamespace(
        dataset=SimpleNamespace(counts=counts),
        device="cpu",
        task=SimpleNamespace(state=dict),
        step=SimpleNamespace(evaluated=None, graph=None),
        loaders={"val": ()},
        metric=object(),
        precision="fp32",
    )
    assert measure(made, "val") == ({"val_loss": loss} if told else {}) | {"accuracy": 0.5}
