"""How the weights of an epoch are measured on one split."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
import torch

from visrun.data.batches import Batch
from visrun.errors import OutOfMemory
from visrun.tasks.classification import Classification
from visrun.validation import measure, settle, validate, without_many


def test_a_model_settles_as_it_is_evaluated() -> None:
    """In train mode layers that drop something would have a part in what it measures."""

    class Settling(torch.nn.Dropout):
        def settle(self, batches: Any) -> None:
            self.seen = [self(images) for images in batches]

    model, images, rest = Settling(), torch.ones(4, 8), torch.empty(4, 0)
    batch = Batch(images, rest, rest, index=torch.arange(4), valid=torch.tensor([True, True, True, False]))
    settle(model.train(), [batch], device=torch.device("cpu"), precision="fp32")
    (seen,) = model.seen
    assert torch.equal(seen, images[:3])


@pytest.mark.parametrize(("size", "of", "parts"), [(8, 4, 32), (64, 4, 10), (64, 1, 2), (2, 1, 32)])
def test_batch_norm_is_measured_in_the_parts_of_a_step(size: int, of: int, parts: int, monkeypatch: Any) -> None:
    """More at once need not fit where a step does, and are not what the layers see in training."""
    norm, seen, heard = torch.nn.BatchNorm2d(3), list[int](), list[tuple[str, int, int]]()
    norm.register_forward_hook(lambda _module, given, _: seen.append(len(given[0])))
    monkeypatch.setattr("visrun.validation.measure", lambda *_, **__: {"accuracy": 0.5})
    rest, steps = torch.empty(size, 0), 128 // size if of == 1 else 99
    batch = Batch(torch.ones(size, 3, 2, 2), rest, rest, index=torch.arange(size), valid=torch.ones(size))
    made: Any = SimpleNamespace(
        epochs=9,
        device=torch.device("cpu"),
        precision="fp32",
        reference=None,
        task=SimpleNamespace(state=dict),
        lessons=MagicMock(epoch=lambda _: iter([batch] * steps), batch_size=size, __len__=lambda _: steps),
        step=SimpleNamespace(evaluated=norm, accumulate=of, graph=None),
    )
    assert validate(made, 2, lambda *told: heard.append(told)) == {"accuracy": 0.5}
    assert seen == [size // of] * parts
    assert heard[0] == ("epoch 3/9: measuring BatchNorm", 0, parts)
    assert len(heard) >= parts


@pytest.mark.parametrize("graph", [None, object()])
def test_memory_that_runs_out_in_the_evaluation_says_what_a_captured_step_holds(graph: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("visrun.validation.evaluate", Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory")))
    step = SimpleNamespace(evaluated=None, graph=graph)
    made: Any = SimpleNamespace(
        device="cuda:0", task=None, step=step, loaders={"val": ()}, metric=object(), precision="fp32"
    )
    with pytest.raises(OutOfMemory, match=r"^out of memory on cuda:0 in the evaluation, not in a training") as caught:
        measure(made, "val", tell=Mock())
    assert ("run.graph=false" in str(caught.value)) == (graph is not None)


@pytest.mark.parametrize("k", [100, 101])
def test_of_many_classes_a_run_measures_the_means_alone(k: int, monkeypatch: Any) -> None:
    values = {"map": 0.5, **{f"ap/c{i}": 0.5 for i in range(k)}}
    monkeypatch.setattr("visrun.validation.evaluate", lambda *_, **__: values)
    task = SimpleNamespace(state=lambda: {"classes": [f"c{i}" for i in range(k)]})
    step = SimpleNamespace(evaluated=None, graph=None)
    made: Any = SimpleNamespace(
        device="cpu", task=task, step=step, loaders={"val": ()}, metric=object(), precision="fp32"
    )
    assert without_many(made, measure(made, "val", tell=Mock())) == (values if k == 100 else {"map": 0.5})


def test_of_many_classes_each_has_its_threshold(monkeypatch: Any) -> None:
    classes = [f"c{i}" for i in range(101)]
    values = {"map": 0.5, **{f"threshold/{name}": 0.25 for name in classes}}
    monkeypatch.setattr("visrun.validation.measure", lambda *_, **__: values)
    monkeypatch.setattr("visrun.validation._parts", lambda *_: (iter(()), 0))
    task = Classification(classes=classes, multilabel=True)
    step = SimpleNamespace(evaluated=torch.nn.Identity(), graph=None)
    made: Any = SimpleNamespace(
        epochs=1, device=torch.device("cpu"), precision="fp32", reference=None, task=task, step=step
    )
    assert validate(made, 0, Mock()) == {"map": 0.5}
    assert task.state()["thresholds"] == [0.25] * 101


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
    monkeypatch.setattr("visrun.validation.evaluate", lambda *_, **__: {"val_loss": loss, "accuracy": 0.5})
    made: Any = SimpleNamespace(
        dataset=SimpleNamespace(counts=counts),
        device="cpu",
        task=SimpleNamespace(state=dict),
        step=SimpleNamespace(evaluated=None, graph=None),
        loaders={"val": ()},
        metric=object(),
        precision="fp32",
    )
    assert measure(made, "val", tell=Mock()) == ({"val_loss": loss} if told else {}) | {"accuracy": 0.5}
