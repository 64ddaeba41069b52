"""The moving average: its formula, buffers, and networks that cannot be copied."""

import pytest
import torch
from torch import nn

from visrun.average import Average
from visrun.errors import ConfigError


def test_the_average_follows_its_formula_and_copies_buffers():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = Average(model, 0.9)
    kept = model[0].weight.detach().clone()
    for step in range(1, 4):
        with torch.no_grad():
            model[0].weight.add_(1.0)
            model[1].running_mean.add_(1.0)
        average.advance()
        average.update()
        weight = 1 - min(0.9, (1 + step) / (10 + step))
        kept = kept + weight * (model[0].weight.detach() - kept)
    assert torch.allclose(average.module[0].weight, kept, atol=1e-6)
    assert torch.equal(average.module[1].running_mean, model[1].running_mean)
    assert not any(p.requires_grad for p in average.module.parameters())


def test_a_network_that_cannot_be_copied_has_no_average():
    model = nn.Linear(2, 2)
    model.normed = model.weight / model.weight.norm()
    with pytest.raises(
        ConfigError, match=r"^run\.ema=0\.9: .*: take torch\.nn\.utils\.parametrizations\.weight_norm, or"
    ):
        Average(model, 0.9)


def test_the_average_follows_buffers_that_a_step_makes_anew():
    model = nn.BatchNorm1d(2)
    average = Average(model, 0.9)
    model.running_mean = model.running_mean + 3.0
    average.advance()
    average.update()
    assert average.module.running_mean.tolist() == [3.0, 3.0]
