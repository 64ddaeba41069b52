"""One pass through a split, and what is told of it."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.test_training import CPU, Data, Line, Mae
from visrun.one_pass import evaluate, told


class Padded(Data):
    """The last batch is filled up with repeats."""

    def epoch(self, epoch, start=0):
        *whole, last = super().epoch(epoch, start)
        return iter([*whole, replace(last, valid=torch.tensor([True, False, False, False]))])


class Paired(Line):
    """Of a model that gives a pair."""

    def losses(self, model, batch):
        return super().losses(lambda images: model(images)[0], batch)

    def predict(self, model, images):
        return {"value": model(images)[0]}


@pytest.mark.parametrize(
    ("benchmark", "task", "sizes"),
    [(False, Line(), [4, 4, 4, 1]), (True, Line(), [4, 4, 4, 4]), (True, Paired(), [4, 4, 4, 4, 1])],
)
def test_padding_is_not_evaluated_but_run_on_where_each_shape_costs_a_search(benchmark, task, sizes, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", benchmark)
    model, seen = nn.Linear(3, 1), []

    class Watched(nn.Module):
        def forward(self, images):
            seen.append(len(images))
            return (model(images), 0) if isinstance(task, Paired) else model(images)

    found = evaluate(task, Watched(), Padded(), Mae(), device=CPU, precision="fp32")
    assert seen == sizes
    kept = [(batch.images[batch.valid], batch.target[batch.valid]) for batch in Padded().epoch(0)]
    errors = torch.cat([model(images) - target for images, target in kept])
    assert found["mae"] == pytest.approx(errors.abs().mean().item(), rel=1e-6)
    assert found["val_loss"] == pytest.approx(errors.square().mean().item(), rel=1e-6)


def test_every_batch_is_told_once_it_is_measured():
    heard, metric = [], Mae()
    evaluate(
        Line(),
        nn.Linear(3, 1),
        Data(),
        metric,
        device=CPU,
        precision="fp32",
        tell=lambda done, total: heard.append((done, total, len(metric.errors))),
    )
    assert heard == [(0, 4, 0), (1, 4, 1), (2, 4, 2), (3, 4, 3), (4, 4, 4)]


def test_who_is_told_may_break_it_off():
    def enough(done, _total):
        if done == 2:
            raise KeyboardInterrupt

    taken = []
    with pytest.raises(KeyboardInterrupt):
        for letter in told("abcd", 4, enough):
            taken.append(letter)  # noqa: PERF402 (a list would be lost)
    assert taken == ["a", "b"]
