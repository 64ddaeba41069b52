"""Schedules: the torch-free curve, what the optimizer gets and torch's classes stepped per epoch are the same."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler as torch_schedules

from visrun.config.checks import problems_of
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters
from visrun.lr import NUMBERS, WARMUP_START, check_numbers, lr_at, lr_curve, warmup_factor
from visrun.optimizers import build_optimizer, load_optimizer
from visrun.schedulers import InPlaceScheduler, build_scheduler
from visrun.tables import SCHEDULERS

CONFIG: dict[str, Any] = {
    "learning_rate": 0.1,
    "max_epochs": 12,
    "warmup_epochs": 0,
    "step_size": 5,
    "gamma": 0.3,
    "milestones": [4, 9],
    "poly_power": 0.9,
}
REFERENCE = {
    "cosine": lambda o, c: torch_schedules.CosineAnnealingLR(o, c["max_epochs"]),
    "step": lambda o, c: torch_schedules.StepLR(o, c["step_size"], c["gamma"]),
    "multistep": lambda o, c: torch_schedules.MultiStepLR(o, c["milestones"], c["gamma"]),
    "poly": lambda o, c: torch_schedules.PolynomialLR(o, c["max_epochs"], c["poly_power"]),
    "none": lambda o, _: torch_schedules.LambdaLR(o, lambda _: 1.0),
}
cases = pytest.mark.parametrize("name", SCHEDULERS)
steps_an_epoch = pytest.mark.parametrize("steps", [1, 7])


def sgd(rate: Any = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)


def rates(optimizer: torch.optim.Optimizer, scheduler: Any, steps: int) -> list[float]:
    """The learning rate before each of ``steps`` steps, and after the last."""
    found = [float(optimizer.param_groups[0]["lr"])]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        found.append(float(optimizer.param_groups[0]["lr"]))
    return found


def played(config: dict[str, Any], steps: int = 1, rate: Any = None) -> list[float]:
    optimizer = sgd(config["learning_rate"] if rate is None else rate)
    scheduler = build_scheduler(optimizer, config, steps)
    return rates(optimizer, scheduler, config["max_epochs"] * steps)


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    max_epochs = draw(st.integers(1, 40))
    return {
        "scheduler": draw(st.sampled_from(list(SCHEDULERS))),
        "learning_rate": draw(st.floats(1e-6, 10.0)),
        "max_epochs": max_epochs,
        "warmup_epochs": draw(st.integers(0, max_epochs - 1)),
        "step_size": draw(st.integers(1, 45)),
        "gamma": draw(st.floats(0.01, 1.0)),
        "milestones": sorted(draw(st.sets(st.integers(1, 60), max_size=5))),
        "poly_power": draw(st.floats(0.1, 4.0)),
    }


@cases
@steps_an_epoch
@pytest.mark.parametrize("warmup", [0, 1, 5])
def test_the_curve_is_what_the_optimizer_gets(name: str, steps: int, warmup: int) -> None:
    config = {**CONFIG, "scheduler": name, "warmup_epochs": warmup}
    assert lr_curve(config) == pytest.approx(played(config, steps)[:-1:steps], abs=1e-9)


@given(configs(), st.sampled_from([1, 2, 7]))
@settings(max_examples=80, deadline=None)
def test_the_curve_is_what_the_optimizer_gets_for_any_values(config: dict[str, Any], steps: int) -> None:
    height = config["learning_rate"]
    found = played(config, steps)
    assert lr_curve(config) == pytest.approx(found[:-1:steps], abs=1e-9 * height)
    assert all(0.0 <= rate <= height * (1 + 1e-9) for rate in found)
    between = [lr_at(i / steps, config) for i in range(len(found))]
    if config["scheduler"] in ("cosine", "poly", "none"):  # the others round i / steps at a drop
        assert between == pytest.approx(found, abs=1e-9 * height)


@cases
@steps_an_epoch
def test_without_warmup_it_equals_torch_at_every_epoch(name: str, steps: int) -> None:
    config = {**CONFIG, "scheduler": name}
    optimizer = sgd()
    expected = rates(optimizer, REFERENCE[name](optimizer, config), config["max_epochs"])
    assert played(config, steps)[::steps] == pytest.approx(expected, abs=1e-9)


@cases
@steps_an_epoch
def test_warmup_ramps_to_the_schedules_own_value_and_the_schedule_goes_on(name: str, steps: int) -> None:
    plain = played({**CONFIG, "scheduler": name}, steps)
    warm = played({**CONFIG, "scheduler": name, "warmup_epochs": 3}, steps)
    assert warm[0] == pytest.approx(WARMUP_START * plain[0])
    assert warm[3 * steps :] == pytest.approx(plain[3 * steps :], abs=1e-9)
    assert all(a < b for a, b in pairwise(warm[: 3 * steps + 1]))


@steps_an_epoch
@pytest.mark.parametrize("warmup", [0, 4])
def test_cosine_and_poly_end_at_zero(steps: int, warmup: int) -> None:
    for name in ("cosine", "poly"):
        assert played({**CONFIG, "scheduler": name, "warmup_epochs": warmup}, steps)[-1] == pytest.approx(0, abs=1e-12)


def test_hand_derived_values() -> None:
    config = {**CONFIG, "learning_rate": 1.0, "max_epochs": 4, "step_size": 2, "gamma": 0.1, "milestones": [1, 3]}
    expected = {
        "cosine": [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2],
        "step": [1.0, 1.0, 0.1, 0.1],
        "multistep": [1.0, 0.1, 0.1, 0.01],
        "poly": [1.0, 0.75**0.9, 0.5**0.9, 0.25**0.9],
        "none": [1.0, 1.0, 1.0, 1.0],
    }
    assert set(expected) == set(SCHEDULERS)
    for name, values in expected.items():
        assert lr_curve({**config, "scheduler": name}) == pytest.approx(values), name
    assert [warmup_factor(e, 2) for e in (0, 1, 2, 3)] == pytest.approx([0.001, 0.5005, 1, 1])


def test_steps_change_only_between_epochs() -> None:
    found = played({**CONFIG, "scheduler": "step", "step_size": 2}, 7)
    drops = [i for i, (a, b) in enumerate(pairwise(found), start=1) if a != b]
    assert drops == [14, 28, 42, 56, 70, 84]


def test_absent_values_are_the_documented_ones() -> None:
    bare = {"learning_rate": 1.0, "max_epochs": 21}
    assert lr_curve({**bare, "scheduler": "step"})[9:21:10] == pytest.approx([1.0, 0.1])
    assert lr_curve({**bare, "scheduler": "multistep"}) == [1.0] * 21
    assert lr_curve({**bare, "scheduler": "poly"})[7] == pytest.approx((2 / 3) ** 0.9)
    for name in SCHEDULERS:
        assert played({**bare, "scheduler": name})[:-1] == pytest.approx(lr_curve({**bare, "scheduler": name}))


@cases
@steps_an_epoch
@pytest.mark.parametrize("warmup", [0, 5])
@pytest.mark.parametrize("before", [False, True], ids=["from a number", "from a tensor"])
@pytest.mark.parametrize("after", [False, True], ids=["to a number", "to a tensor"])
def test_a_restored_schedule_goes_on_also_where_rates_are_of_the_other_kind(
    name: str, steps: int, warmup: int, before: bool, after: bool
) -> None:
    config = {**CONFIG, "scheduler": name, "warmup_epochs": warmup}
    at = 4 * steps + steps // 2
    optimizer = sgd(torch.tensor(0.1) if before else 0.1)
    scheduler = build_scheduler(optimizer, config, steps)
    rates(optimizer, scheduler, at)
    buffer = io.BytesIO()
    torch.save([optimizer.state_dict(), scheduler.state_dict()], buffer)

    buffer.seek(0)
    saved_optimizer, saved_scheduler = torch.load(buffer, weights_only=True)
    again = sgd(torch.tensor(0.1) if after else 0.1)
    resumed = build_scheduler(again, config, steps)
    load_optimizer(again, saved_optimizer)
    resumed.load_state_dict(saved_scheduler)
    expected = rates(optimizer, scheduler, 12 * steps - at)
    exactly = expected if before == after else pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert rates(again, resumed, 12 * steps - at) == exactly


@cases
@pytest.mark.parametrize("warmup", [0, 2])
def test_a_tensor_rate_is_changed_in_place_without_piling_up_rounding(name: str, warmup: int) -> None:
    config = {**CONFIG, "scheduler": name, "warmup_epochs": warmup, "max_epochs": 40}
    rate = torch.tensor(0.1)
    optimizer = sgd(rate)
    scheduler = build_scheduler(optimizer, config, 100)
    assert isinstance(scheduler, InPlaceScheduler)
    found = rates(optimizer, scheduler, 4000)
    assert optimizer.param_groups[0]["lr"] is rate
    assert scheduler.get_last_lr() == [pytest.approx(found[-1])]
    assert found == pytest.approx(played(config, 100), rel=2e-7, abs=1e-12)


@pytest.mark.parametrize("asked", [1e-3, 1e-5, 0.3])
def test_the_rate_that_is_noted_is_the_one_that_was_asked_for(asked: float) -> None:
    """A float32 tensor holds 0.0010000000474974513 for 0.001."""
    config = {**CONFIG, "scheduler": "none", "learning_rate": asked}
    scheduler = build_scheduler(sgd(torch.tensor(asked)), config)
    scheduler.step()
    assert scheduler.get_last_lr() == [asked]
    assert build_scheduler(sgd(torch.tensor(0.125)), config).get_last_lr() == [0.125]  # another one


def test_every_group_keeps_its_own_height() -> None:
    groups = [{"params": [torch.zeros(1)], "lr": torch.tensor(1.0)}, {"params": [torch.zeros(1)], "lr": 0.5}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    rates(optimizer, build_scheduler(optimizer, {**CONFIG, "scheduler": "poly", "poly_power": 1.0}), 6)
    assert [float(group["lr"]) for group in optimizer.param_groups] == pytest.approx([0.5, 0.25])


def test_wrong_names_and_steps_are_refused() -> None:
    wrong = {**CONFIG, "scheduler": "plateau"}
    with pytest.raises(ValueError, match="scheduler=plateau: unknown; use one of cosine, step, multistep, poly, none"):
        build_scheduler(sgd(), wrong)
    with pytest.raises(ValueError, match="scheduler=plateau"):
        lr_curve(wrong)
    with pytest.raises(ValueError, match=r"warmup_epochs=10+: must be an integer >= 0"):
        lr_curve({**CONFIG, "scheduler": "none", "warmup_epochs": 10**400})  # no float holds it
    with pytest.raises(ValueError, match="steps_per_epoch=0"):
        build_scheduler(sgd(), {**CONFIG, "scheduler": "none"}, 0)


@cases
def test_hyperparameters_are_taken_as_they_are(name: str) -> None:
    found = Hyperparameters(**{**CONFIG, "scheduler": name, "milestones": "4,9", "warmup_epochs": 2})
    assert lr_curve(found) == lr_curve({**CONFIG, "scheduler": name, "warmup_epochs": 2})
    optimizer = sgd()
    assert rates(optimizer, build_scheduler(optimizer, found), 11) == pytest.approx(lr_curve(found))


@pytest.mark.parametrize("milestones", ["2,3", 2, [2.5], ["2"], None, [-1], [0, 4]])
def test_milestones_that_are_no_integers_are_refused(milestones: Any) -> None:
    config = {**CONFIG, "scheduler": "multistep", "milestones": milestones}
    for build in (lr_curve, lambda values: build_scheduler(sgd(), values)):
        with pytest.raises(ConfigError, match=r"^milestones=.*: must be a list of integers >= 1, such as \[30, 40\]$"):
            build(config)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"step_size": 0}, "step_size=0: must be an integer >= 1"),
        ({"gamma": "0.1"}, "gamma='0.1': must be a number > 0 and <= 1"),
        ({"max_epochs": "12"}, "max_epochs='12': must be an integer >= 1"),
        ({"max_epochs": 2.5}, r"max_epochs=2\.5: must be an integer >= 1"),
        ({"max_epochs": -3}, "max_epochs=-3: must be an integer >= 1"),
        ({"warmup_epochs": 0.5}, r"warmup_epochs=0\.5: must be an integer >= 0"),
        ({"learning_rate": math.nan}, "learning_rate=nan: must be a number > 0"),
    ],
)
def test_numbers_that_are_none_are_named(value: dict[str, Any], told: str) -> None:
    for build in (lr_curve, lambda values: build_scheduler(sgd(), values)):
        with pytest.raises(ConfigError, match=f"^{told}$"):
            build({**CONFIG, "scheduler": "step", **value})


@pytest.mark.parametrize(
    ("given", "missing"),
    [([], "scheduler"), (["scheduler"], "max_epochs"), (["scheduler", "max_epochs"], "learning_rate")],
)
def test_a_missing_value_is_named(given: list[str], missing: str) -> None:
    config = {key: {**CONFIG, "scheduler": "cosine"}[key] for key in given}
    with pytest.raises(ConfigError, match=rf"(?m)^{missing} is missing: give it a value$"):
        lr_curve(config)
    if missing != "learning_rate":  # which the optimizer has
        with pytest.raises(ConfigError, match=rf"^{missing} is missing: give it a value$"):
            build_scheduler(sgd(), config)
    build_scheduler(sgd(), {"scheduler": "step"})  # reads no max_epochs


EDGES = (-1, -1e-9, 0, 1e-9, 0.5, 0.999, 1, 1.5, 7, math.inf, math.nan, True, None)


@pytest.mark.parametrize("name", NUMBERS)
def test_the_ranges_of_plain_mappings_are_the_schemas(name: str) -> None:
    for value in EDGES:
        try:
            check_numbers({name: value})
            taken = True
        except ConfigError:
            taken = False
        assert taken == (not problems_of(name, value)), value


@pytest.mark.parametrize("config", [None, 3, [("scheduler", "none")], "cosine"])
def test_what_is_no_mapping_is_told(config: Any) -> None:
    for build in (lr_curve, lambda values: build_scheduler(sgd(), values), lambda values: build_optimizer([], values)):
        with pytest.raises(ConfigError, match=f"^{type(config).__name__}: must be a mapping of settings to values"):
            build(config)


@pytest.mark.parametrize("name", [["cosine"], None])
def test_a_name_that_is_no_text_is_unknown(name: Any) -> None:
    for build in (lr_curve, lambda values: build_scheduler(sgd(), values)):
        with pytest.raises(ConfigError, match=r"^scheduler=.*: unknown; use one of cosine, "):
            build({**CONFIG, "scheduler": name})
    with pytest.raises(ConfigError, match=r"^optimizer=.*: unknown; use one of adam, "):
        build_optimizer([], {**CONFIG, "optimizer": name})


def test_the_curve_needs_no_torch() -> None:
    code = (
        "import sys; from visrun.lr import lr_curve; "
        "lr_curve({'scheduler': 'cosine', 'learning_rate': 1, 'max_epochs': 3}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
