"""Regression: the model learns standardised targets, people see their own units."""

from __future__ import annotations

import json
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from visrun import losses
from visrun.build import load
from visrun.errors import DataError
from visrun.figures.drawing import LEAST, PAD, Line, fitted
from visrun.tables import TASKS
from visrun.tasks import regression
from visrun.tasks.regression import Regression, standardisation

LOSSES = TASKS["regression"].losses
VALUES = torch.tensor([[10.0, 1.0], [20.0, 3.0], [30.0, 5.0], [40.0, 7.0]])  # means 25, 4; std sqrt(125), sqrt(5)


def task(name: str = "mse") -> Regression:
    return Regression(targets=["count", "area"], values=VALUES, loss=load(LOSSES[name]))


def batch(target: Tensor) -> Any:
    return SimpleNamespace(images=torch.zeros(len(target), 3, 8, 8), target=target, valid=torch.ones(len(target)) > 0)


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_of_standardised_values(name: str) -> None:
    output = torch.tensor([[1.0, 0.5]], requires_grad=True)
    trained = task(name)
    parts = trained.losses(lambda _: output, batch((trained.mean + torch.tensor([0.0, -1.0]) * trained.std)[None]))
    assert list(parts) == [name]
    torch.testing.assert_close(parts[name], load(LOSSES[name])(output, torch.tensor([[0.0, -1.0]])))
    parts[name].backward()
    assert output.grad is not None


def test_predictions_are_in_the_users_units() -> None:
    found = task().predict(lambda _: torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.zeros(2))["value"]
    torch.testing.assert_close(found, torch.tensor([[25.0, 4 + 5**0.5], [25 + 2 * 125**0.5, 4.0]]))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_against_outliers_see_targets_by_their_quartiles(name: str) -> None:
    """Of 0, 1, 2, 3 and 1000 the quartiles are 1 and 3, of 0, 0, 0, 0 and 5 they are equal."""
    values = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [1000.0, 5.0]])
    mean, std = values.mean(0), values.std(0, correction=0)
    trained = Regression(targets=["a", "b"], values=values, loss=partial(load(LOSSES[name])))
    steady = name != "mse"
    torch.testing.assert_close(trained.mean, torch.tensor([2.0, 1.0]) if steady else mean)
    torch.testing.assert_close(trained.std, torch.tensor([2 / 1.349, 2.0]) if steady else std)
    again = Regression(**json.loads(json.dumps(trained.state())))
    assert torch.equal(again.mean, trained.mean) and torch.equal(again.std, trained.std)
    for one in (trained, again):  # a mean error over several targets has one unit, whatever the loss
        torch.testing.assert_close(torch.tensor(one.metric().units), std)


def test_a_checkpoint_without_a_unit_has_that_of_its_time() -> None:
    assert Regression(targets=["a", "b"], mean=[0.0, 1.0], std=[2.0, 0.5]).metric().units == (2.0, 0.5)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=20).filter(lambda v: max(v) - min(v) > 1e-3))
@settings(max_examples=50, deadline=None)
def test_what_is_standardised_comes_back(values: list[float]) -> None:
    column = torch.tensor(values).view(-1, 1)
    mean, std = standardisation(column, ["x"])
    standard = (column.double() - mean[0]) / std[0]
    assert standard.mean().item() == pytest.approx(0, abs=1e-6)
    assert standard.square().mean().item() == pytest.approx(1)
    back = Regression(targets=["x"], values=column).predict(lambda _: standard.float(), torch.zeros(1))["value"]
    torch.testing.assert_close(back, column, rtol=1e-4, atol=1e-4 * max(abs(v) for v in values))


@pytest.mark.parametrize("column", [[3.0, 3.0, 3.0], [0.1], []])
def test_a_target_that_does_not_vary_is_refused(column: list[float]) -> None:
    with pytest.raises(DataError, match="target x: every training image has the same value"):
        Regression(targets=["x"], values=torch.tensor(column).view(-1, 1), loss=losses.mse)


def test_state_builds_a_task_that_predicts_the_same() -> None:
    trained = task()
    again = Regression(**json.loads(json.dumps(trained.state())))
    output = torch.tensor([[0.3, -7.0]])
    first, second = (t.predict(lambda _: output, torch.zeros(1))["value"] for t in (trained, again))
    assert torch.equal(first, second) and again.state() == trained.state()


def test_the_metric_is_in_the_users_units_and_its_mean_in_deviations() -> None:
    trained = task()
    assert trained.num_outputs == 2
    metric, samples = trained.metric(), batch(torch.tensor([[27.0, 4.0], [20.0, 5.0]]))
    metric.update(trained.predict(lambda _: torch.zeros(2, 2), samples.images), samples)
    found = metric.compute()
    assert found["mae/count"] == pytest.approx((2 + 5) / 2) and found["mae/area"] == pytest.approx(0.5)
    assert found[TASKS["regression"].monitor] == pytest.approx((3.5 / 125**0.5 + 0.5 / 5**0.5) / 2)
    again = Regression(**trained.state()).metric()
    again.update(trained.predict(lambda _: torch.zeros(2, 2), samples.images), samples)
    assert again.compute() == pytest.approx(found)


def test_records_and_pictures() -> None:
    prediction = {"value": torch.tensor([[12.3, -4.0]])}
    assert task().record(prediction, 0) == {"values": {"count": 12.3, "area": -4.0}}
    image = Image.new("RGB", (300, 200), (200, 180, 40))
    plain, compared = (task().draw(image, prediction, 0, target) for target in (None, torch.tensor([12.0, 4.0])))
    assert plain.getpixel((150, 100)) == (200, 180, 40)
    assert image.height < plain.height < compared.height


@pytest.mark.parametrize(
    ("value", "true", "told"),
    [
        (1275123.0, 927000.0, ["1,275,123", "927,000", "+348,123"]),
        (12.3456, 20.0, ["12.35", "20", "-7.654"]),
        (5e10, 5e10, ["5e+10", "5e+10", "+0"]),
    ],
)
def test_captions_never_cut_a_number(
    value: float, true: float, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    captions: list[list[Line]] = []
    monkeypatch.setattr(regression, "caption", lambda _, lines: captions.append(lines))
    one = Regression(targets=["a target with a name that is long"], mean=[0.0], std=[1.0])
    one.draw(Image.new("RGB", (300, 200)), {"value": torch.tensor([[value]])}, 0, torch.tensor([true]))
    lines = [line.text for line in captions[0]]
    assert [fitted(line, LEAST - 2 * PAD) for line in lines] == lines
    assert [line.partition(": ")[2] for line in lines] == told


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_after_a_first_batch_a_graph_captures_the_loss() -> None:
    trained, output = task(), torch.ones(2, 2, device="cuda")
    samples = batch(torch.ones(2, 2))
    samples.target = samples.target.cuda()
    expected = trained.losses(lambda _: output, samples)["mse"]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = trained.losses(lambda _: output, samples)["mse"]
    graph.replay()
    torch.testing.assert_close(found, expected)
