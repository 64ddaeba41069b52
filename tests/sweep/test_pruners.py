"""Pruners by name: each is built, judges, and says what is wrong with its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from visrun.config.sweeper import PRUNERS
from visrun.errors import ConfigError
from visrun.sweep.pruners import first_look, make_pruner, settled
from visrun.sweep.storage import open_storage
from visrun.sweep.study import Queue, create

EPOCHS = 9


def node(name: str, **more: Any) -> dict[str, Any]:
    """As Hydra gives it, for trials of EPOCHS."""
    found: dict[str, Any] = settled({"name": name, **PRUNERS[name][1], **more}, max_epochs=EPOCHS, warmup_epochs=0)
    return found


def ended_at(
    where: Path, pruner: dict[str, Any], level: float, *, best: float = 0.8, study: str = "study"
) -> int | None:
    """The epoch at which a trial with this slowly falling curve is ended, after six good ones."""
    storage = open_storage(str(where / "study.journal"))
    create(storage, study, ["maximize"])
    Queue(storage, study).fill(7)
    for number in range(7):
        queue = Queue(storage, study, pruner=make_pruner(pruner))  # as in a job: a pruner for each trial
        trial = queue.claim(7)
        assert trial is not None
        value = level if number == 6 else best + number / 100
        epoch = next(
            (epoch for epoch in range(1, EPOCHS + 1) if queue.report(number, epoch, value - epoch / 1000)), None
        )
        if number == 6:
            return epoch
        if epoch:
            queue.prune(number)
        else:
            queue.complete(number, [value])
    return None


@pytest.mark.parametrize("name", PRUNERS)
def test_each_is_optunas_class(name: str) -> None:
    assert type(make_pruner(node(name))).__name__ == PRUNERS[name][0]


@pytest.mark.parametrize("name", PRUNERS)
def test_each_judges_in_silence_and_spares_the_best(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if name == "successive_halving":
        pytest.skip("ends all but the best of a rung, by its rule")
    assert ended_at(tmp_path, node(name), 0.95) is None
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


@pytest.mark.parametrize("name", ["median", "percentile", "hyperband", "successive_halving", "patient", "wilcoxon"])
def test_each_ends_a_hopeless_trial(name: str, tmp_path: Path) -> None:
    # hyperband gives each trial, by its number and the study's name, a bracket; some are patient
    names = [f"study{number}" for number in range(6 if name == "hyperband" else 1)]
    found = [ended_at(tmp_path, node(name), 0.1, study=study) for study in names]
    assert any(epoch is not None and epoch < EPOCHS for epoch in found), found


@pytest.mark.parametrize(
    ("epochs", "warmup", "look"),
    [
        (12, 1, 1),
        (12, 0, 1),
        (12, 3, 3),
        (50, 5, 5),
        (50, 0, 5),
        (60, 0, 5),
        (61, 0, 6),
        (5, 0, 1),
        (1, 0, 1),
        (9, 8, 8),
    ],
)
def test_successive_halving_looks_first_at_a_twelfth_and_after_the_warm_up(epochs: int, warmup: int, look: int) -> None:
    given = {"name": "successive_halving", "min_resource": None, "reduction_factor": 4}
    found = settled(given, max_epochs=epochs, warmup_epochs=warmup)
    assert found == {**given, "min_resource": look}
    assert settled({**given, "min_resource": "auto"}, max_epochs=epochs, warmup_epochs=warmup) == found
    inner = settled({"name": "patient", "wrapped": "successive_halving"}, max_epochs=epochs, warmup_epochs=warmup)
    assert inner["wrapped"]["min_resource"] == look
    assert isinstance(make_pruner(inner), optuna.pruners.PatientPruner)


def test_when_successive_halving_looks_is_told() -> None:
    halving, said = node("successive_halving"), ", looks first after epoch 1"
    assert first_look(halving, epochs=4) == f"{said} to 4, by the number of images"
    assert first_look(halving, epochs=3) == f"{said} or later, by the number of images, with few of them never"
    assert first_look(node("successive_halving", min_resource=3), epochs=9) == ", looks first after epoch 3"
    assert first_look(node("median"), epochs=9) == first_look({"name": "none"}, epochs=9) == ""


def test_a_first_look_that_is_given_stands() -> None:
    given = {"name": "successive_halving", "min_resource": 4, "reduction_factor": 2}
    assert settled(given, max_epochs=50, warmup_epochs=5) == given
    assert settled("median", max_epochs=50, warmup_epochs=5) == "median"

    usual = {"name": "successive_halving", **PRUNERS["successive_halving"][1]}
    assert settled({**usual, "min_resource": 4}, max_epochs=50, warmup_epochs=5) == {
        **usual,
        "min_resource": 4,
        "min_images": 0,
    }


@pytest.mark.parametrize(
    ("images", "look"),
    [(None, 2), (100_000, 2), (500, 2), (499, 3), (200, 5), (111, 8), (1, 8)],  # never after what would be the second
)
def test_successive_halving_waits_for_a_thousand_images(images: int | None, look: int, tmp_path: Path) -> None:
    usual = {"name": "successive_halving", **PRUNERS["successive_halving"][1]}
    storage = open_storage(str(tmp_path / "study.journal"))
    create(storage, "study", ["maximize"])
    queue = Queue(storage, "study", pruner=make_pruner(settled(usual, max_epochs=24, warmup_epochs=1), images=images))
    queue.fill(2)
    for trial in range(2):
        assert queue.claim(2) is not None
        cut = next((epoch for epoch in range(1, 10) if queue.report(trial, epoch, 0.5 - trial / 10)), None)
        queue.complete(trial, [0.5])
        assert cut == (look if trial else None)
    inner = settled({"name": "patient", "wrapped": "successive_halving"}, max_epochs=24, warmup_epochs=1)
    assert make_pruner(inner, images=images)._wrapped_pruner.first == look  # type: ignore[attr-defined]


@pytest.mark.parametrize(("looks", "ended"), [(1, None), (2, 4), (None, 4)])
def test_successive_halving_stops_to_look(looks: int | None, ended: int | None, tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "study.journal"))
    create(storage, "study", ["maximize"])
    Queue(storage, "study").fill(4)
    pruner = {"name": "successive_halving", "min_resource": 2, "reduction_factor": 2, "looks": looks}
    curves = [[0.5] * 6, [0.6] * 3 + [0.9] * 3, [0.7] * 6]  # the last is ahead at epoch 2 and behind at epoch 4
    for number, curve in enumerate(curves):
        queue = Queue(storage, "study", pruner=make_pruner(pruner))
        assert queue.claim(4) is not None
        cut = next((epoch for epoch, value in enumerate(curve, start=1) if queue.report(number, epoch, value)), None)
        queue.complete(number, curve[-1:])
        assert cut == (ended if number == 2 else None)


@pytest.mark.parametrize(
    ("direction", "values", "goes_on"),
    [
        ("maximize", [0.5, 0.6, 0.6, 0.5, 0.7], [True, True, False, False, True]),  # the best of up to 7 goes on
        ("maximize", [0.5] * 7 + [0.4, 0.6], [True, *[False] * 7, True]),
        ("maximize", [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.85], [True, *[False] * 6, True]),  # the best 2 of 8
        ("minimize", [3.0, 4.0, 2.0, 2.0], [True, False, True, False]),
        ("maximize", [float("-inf"), -1.0, float("-inf")], [True, True, False]),
    ],
)
def test_successive_halving_goes_on_with_the_best_share_so_far(
    direction: str, values: list[float], goes_on: list[bool], tmp_path: Path
) -> None:
    storage = open_storage(str(tmp_path / "study.journal"))
    create(storage, "study", [direction])
    queue = Queue(storage, "study", pruner=make_pruner(node("successive_halving", min_resource=1)))
    queue.fill(len(values))
    for number, value in enumerate(values):
        assert queue.claim(len(values)) is not None
        assert queue.report(number, 1, value) is not goes_on[number]
        queue.prune(number)


def test_successive_halving_does_not_compare_a_trial_with_its_lost_self(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "study.journal"))
    create(storage, "study", ["maximize"])
    queue = Queue(storage, "study", pruner=make_pruner(node("successive_halving", min_resource=1)))
    queue.fill(2)
    assert queue.claim(2) is not None and not queue.report(0, 1, 0.5)
    queue.give_back(0)
    again = queue.claim(2)
    assert again is not None and not queue.report(again.number, 1, 0.5)


@pytest.mark.parametrize("name", ["median", "successive_halving"])
def test_a_point_to_start_with_is_not_ended(name: str, tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "study.journal"))
    create(storage, "study", ["maximize"])
    eager = {"median": {"n_startup_trials": 1, "n_warmup_steps": 0}, "successive_halving": {"min_resource": 1}}
    queue = Queue(storage, "study", pruner=make_pruner(node(name, **eager[name])))
    queue.fill(4, [{"size": 1}, {"size": 2}], start=True)
    ended = {}
    for number, value in ((2, 0.9), (0, 0.1), (1, 0.2), (3, 0.1)):  # as slots beside one another would report
        while queue.every()[number].state.name == "WAITING":
            queue.claim(4)
        ended[number] = queue.report(number, 1, value)
        queue.complete(number, [value])
    assert ended == {2: False, 0: False, 1: False, 3: True}


def test_none_never_ends_one(tmp_path: Path) -> None:
    assert ended_at(tmp_path, node("none"), -1e9) is None


def test_median_waits_for_its_warm_up_and_for_enough_trials(tmp_path: Path) -> None:
    assert ended_at(tmp_path, node("median"), 0.1, study="a") == 3
    assert ended_at(tmp_path, node("median", n_warmup_steps=5), 0.1, study="b") == 5
    assert ended_at(tmp_path, node("median", n_startup_trials=7), 0.1, study="c") is None


def test_a_longer_trial_than_the_best_is_judged_in_silence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    storage = open_storage(str(tmp_path / "study.journal"))
    create(storage, "study", ["maximize"])
    queue = Queue(storage, "study", pruner=make_pruner(node("wilcoxon")))
    queue.fill(2)
    for number, epochs in enumerate((3, 6)):
        assert queue.claim(2) is not None
        for epoch in range(1, epochs + 1):
            queue.report(number, epoch, 0.9 - number / 10)
        queue.complete(number, [0.9])
    assert capfd.readouterr().err == ""


def test_patient_alone_or_round_another() -> None:
    assert isinstance(make_pruner(node("patient"))._wrapped_pruner, optuna.pruners.MedianPruner)  # type: ignore[attr-defined]
    assert make_pruner(node("patient", wrapped=None))._wrapped_pruner is None  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"must be .*median"):
        make_pruner(node("patient", wrapped="medium"))


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"name": "mediann"}, ["hydra.sweeper.pruner=mediann", "median", "wilcoxon"]),
        ({}, ["hydra.sweeper.pruner=null"]),
        ("median", ["hydra.sweeper.pruner=median", "hydra/sweeper/pruner=NAME"]),
        (node("median", n_startup_trials=-1), ["hydra.sweeper.pruner=median", "negative"]),
        (node("percentile", percentile=101.0), ["percentile", "0 and 100"]),
        (node("hyperband", min_resource=0), ["hyperband", "min_resource"]),
        (node("successive_halving", min_images=-1), ["successive_halving", "min_images=-1", "integer >= 0"]),
        (node("successive_halving", reduction_factor=1), ["successive_halving", "reduction_factor"]),
        (node("successive_halving", reduction_factor="x"), ["successive_halving"]),
        (node("successive_halving", looks=0), ["successive_halving", "looks=0", "integer >= 1"]),
        (node("median", patience=3), ["median", "patience"]),
    ],
)
def test_what_is_wrong_is_one_line(given: Any, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        make_pruner(given)
    (line,) = caught.value.problems
    assert "\n" not in line and all(part in line for part in parts), line
