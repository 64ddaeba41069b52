"""Optimizers: hand-derived steps, agreement with torch, exact restore, and capture in a CUDA graph."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters
from visrun.optimizers import build_optimizer, load_optimizer
from visrun.schedulers import build_scheduler
from visrun.tables import OPTIMIZERS

CONFIG: dict[str, Any] = {"learning_rate": 0.1, "weight_decay": 0.01, "momentum": 0.8}
REFERENCE = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.01),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01, momentum=0.8),
}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def build(parameters: Any, name: str, **config: Any) -> torch.optim.Optimizer:
    return build_optimizer(parameters, {**CONFIG, "optimizer": name, **config})


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, *, seed: int = 1) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(16, 4, generator=generator).to(next(model.parameters()).device)
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()


def linear(device: str = "cpu") -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(4, 1).to(device)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_agrees_with_torch(name: str) -> None:
    ours, theirs = linear(), linear()
    train(ours, build(ours.parameters(), name), 20)
    train(theirs, REFERENCE[name](theirs.parameters()), 20)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_finds_the_minimum(name: str) -> None:
    model = linear()
    train(model, build(model.parameters(), name, learning_rate=0.03, weight_decay=0.0), 600)
    torch.testing.assert_close(model.weight, torch.ones(1, 4), atol=0.02, rtol=0)


def test_two_steps_of_sgd_by_hand() -> None:
    # v1 = 1, x = 1 - 0.1 = 0.9; v2 = 0.5 * 1 + 1 = 1.5, x = 0.9 - 0.15 = 0.75
    x = torch.tensor([1.0], requires_grad=True)
    optimizer = build([x], "sgd", momentum=0.5, weight_decay=0.0)
    for _ in range(2):
        x.grad = torch.ones(1)
        optimizer.step()
    assert x.item() == pytest.approx(0.75)


def test_weight_decay_is_an_l2_term_in_adam_and_decoupled_in_adamw() -> None:
    # A first step of Adam moves by the rate in the gradient's direction; here the decay is the only gradient.
    for name, expected in {"adam": 2.0 - 0.1, "adamw": 2.0 - 0.1 * 0.01 * 2.0}.items():
        x = torch.tensor([2.0], requires_grad=True)
        x.grad = torch.zeros(1)
        build([x], name).step()
        assert x.item() == pytest.approx(expected, rel=1e-5), name


def test_defaults_are_the_documented_ones() -> None:
    x = [torch.zeros(1, requires_grad=True)]
    group = build_optimizer(x, {"optimizer": "sgd", "learning_rate": 0.1}).param_groups[0]
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.9, False, 0.0)
    assert build_optimizer(x, {"optimizer": "adam", "learning_rate": 0.1}).param_groups[0]["betas"] == (0.9, 0.999)


def test_options_reach_the_optimizer_that_reads_them() -> None:
    x = [torch.zeros(1, requires_grad=True)]
    assert build(x, "adamw", betas=[0.8, 0.99]).param_groups[0]["betas"] == (0.8, 0.99)
    assert build(x, "sgd", nesterov=True).param_groups[0]["nesterov"] is True
    with pytest.raises(ValueError, match="nesterov"):
        build(x, "sgd", nesterov=True, momentum=0.0)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="optimizer=rmsprop: unknown; use one of adam, adamw, sgd"):
        build([torch.zeros(1)], "rmsprop")


def test_a_missing_value_is_named() -> None:
    for config, missing in ({}, "optimizer"), ({"optimizer": "adam"}, "learning_rate"):
        with pytest.raises(ConfigError, match=f"^{missing} is missing: give it a value$"):
            build_optimizer([torch.zeros(1)], config)


def test_a_text_in_a_plain_mapping_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        build([torch.zeros(1)], "sgd", learning_rate="0.1", momentum="high")
    assert caught.value.problems == (
        "learning_rate='0.1': must be a number > 0",
        "momentum='high': must be a number >= 0 and < 1",
    )


@pytest.mark.parametrize("betas", [3, (0.9,), (0.9, 1.0), (-0.1, 0.9), "ab", ("0.9", "0.9"), None])
def test_betas_that_are_no_two_decays_are_named(betas: Any) -> None:
    told = re.escape(f"betas={betas!r}: must be two numbers >= 0 and < 1, such as [0.9, 0.999]")
    with pytest.raises(ConfigError, match=told):
        build([torch.zeros(1)], "adam", betas=betas)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hyperparameters_are_taken_as_they_are(name: str) -> None:
    x = [torch.zeros(1, requires_grad=True)]
    found = build_optimizer(x, Hyperparameters(optimizer=name, **CONFIG))
    assert found.state_dict() == build(x, name).state_dict()


def test_parameters_may_be_a_generator_or_groups() -> None:
    model = linear()
    assert len(build((p for p in model.parameters()), "sgd").param_groups[0]["params"]) == 2
    groups = [{"params": (p for p in [model.weight])}, {"params": [model.bias], "weight_decay": 0.0}]
    optimizer = build(groups, "adam")
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1]
    assert optimizer.param_groups[1]["weight_decay"] == 0.0


@pytest.mark.parametrize("grouped", [False, True])
def test_parameters_may_come_with_their_names(grouped: bool) -> None:
    model = linear()
    named = [{"params": model.named_parameters()}] if grouped else model.named_parameters()
    (group,) = build(named, "adam").param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters()]
    assert group["param_names"] == ["weight", "bias"] and group["fused"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_restored_run_is_bit_identical(name: str) -> None:
    whole = linear()
    optimizer = build(whole.parameters(), name)
    train(whole, optimizer, 5)
    buffer = io.BytesIO()
    torch.save({"model": whole.state_dict(), "optimizer": optimizer.state_dict()}, buffer)
    train(whole, optimizer, 5, seed=2)

    buffer.seek(0)
    saved = torch.load(buffer, weights_only=True)
    resumed = nn.Linear(4, 1)
    resumed.load_state_dict(saved["model"])
    again = build(resumed.parameters(), name)
    load_optimizer(again, saved["optimizer"])
    train(resumed, again, 5, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_restoring_keeps_how_the_optimizer_runs_here(name: str) -> None:
    model = linear()
    optimizer = build(model.parameters(), name)
    train(model, optimizer, 2)
    state = optimizer.state_dict()
    # As a checkpoint of a CUDA run looks, read onto the CPU.
    for group in state["param_groups"]:
        group.update(lr=torch.tensor(0.05), initial_lr=torch.tensor(0.1), capturable=True, fused=False)
    load_optimizer(optimizer, state)
    group = optimizer.param_groups[0]
    assert isinstance(group["lr"], float) and group["lr"] == pytest.approx(0.05)
    assert group["fused"] is True and not group.get("capturable")
    train(model, optimizer, 1)


@needs_cuda
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_graph_follows_the_schedule(name: str) -> None:
    config = {**CONFIG, "optimizer": name, "scheduler": "cosine", "max_epochs": 3, "warmup_epochs": 1}
    weights = []
    for captured in (False, True):
        model = linear("cuda")
        optimizer = build_optimizer(model.parameters(), config)
        scheduler = build_scheduler(optimizer, config, 10)
        step = Captured(model, optimizer) if captured else Eager(model, optimizer)
        for i in range(30):
            step(torch.randn(16, 4, generator=torch.Generator().manual_seed(i)).cuda())
            scheduler.step()
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-5, atol=1e-6)


@needs_cuda
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("way", ["cpu to cuda", "cuda to cpu"])
def test_a_run_may_go_on_on_another_device(name: str, way: str) -> None:
    source, _, target = way.split()
    model = linear(source)
    first = build(model.parameters(), name)
    train(model, first, 3)
    buffer = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": first.state_dict()}, buffer)
    buffer.seek(0)
    saved = torch.load(buffer, map_location="cpu", weights_only=True)
    moved = linear(target)
    moved.load_state_dict(saved["model"])
    second = build(moved.parameters(), name)
    load_optimizer(second, saved["optimizer"])
    train(model, first, 3, seed=2)
    train(moved, second, 3, seed=2)
    torch.testing.assert_close(model.weight.cpu(), moved.weight.cpu(), rtol=1e-4, atol=1e-5)


class Eager:
    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.model, self.optimizer = model, optimizer

    def __call__(self, x: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        (self.model(x) - x.sum(1, keepdim=True)).square().mean().backward()
        self.optimizer.step()


class Captured(Eager):
    """Three eager steps, then the same step replayed from a graph."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        super().__init__(model, optimizer)
        self.steps, self.side, self.graph = 0, torch.cuda.Stream(), torch.cuda.CUDAGraph()

    def __call__(self, x: Tensor) -> None:
        self.steps += 1
        if self.steps <= 3:
            self.side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.side):
                super().__call__(x)
            torch.cuda.current_stream().wait_stream(self.side)
            return
        if self.steps == 4:
            self.x = x.clone()
            with torch.cuda.graph(self.graph, stream=self.side):
                super().__call__(self.x)
        self.x.copy_(x)
        self.graph.replay()
