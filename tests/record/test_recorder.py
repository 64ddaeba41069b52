"""What the recorder leaves beside the loop: pictures of a new best, and where the run stands."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from visrun.chance import random_state
from visrun.errors import UserError
from visrun.record import recorder
from visrun.record.recorder import DRAWING_SHARE, FIRST_DRAWING, Outlets, RunRecorder, restore
from visrun.signals import Interrupted
from visrun.step import Ledger
from visrun.tables import TASKS
from visrun.tracking import NoTracker
from visrun.training import Progress

CPU = torch.device("cpu")
ROW = {"loss": 1.0, "accuracy": 0.5, "learning_rate": 0.1}


class Clock:
    """Stands for ``time``: a second an epoch, and what a picture costs."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


def made_of(folder: Any, tracker: Any, screen: Any, step: Any, **options: Any) -> RunRecorder:
    outlets = Outlets(folder, tracker, screen)
    return RunRecorder(
        outlets, step, None, entry=TASKS["classification"], portrait=dict, identity={}, begun={}, **options
    )  # type: ignore[arg-type]


def recording(tmp_path: Path, picture: Any) -> tuple[RunRecorder, list[tuple[str, str]]]:
    kept: list[tuple[str, str]] = []
    network = torch.nn.Linear(1, 1)
    made = made_of(
        SimpleNamespace(append_metrics=lambda row: None),
        SimpleNamespace(epoch=lambda *_: None, artifact=lambda path, folder: kept.append((path.name, folder))),
        SimpleNamespace(end_progress=lambda: None, say=lambda line: None),
        SimpleNamespace(evaluated=network, graph_note="", device=torch.device("cpu")),
        max_epochs=100,
        images_per_step=1,
        picture=picture,
    )
    return made, kept


def test_an_epoch_without_steps_has_no_speed(tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    made, _ = recording(tmp_path, None)
    made.folder.append_metrics = rows.append  # type: ignore[method-assign]
    made.epoch(Progress(epoch=1), dict(ROW), False, seconds=3.0, step_seconds=1.0)
    made.epoch(Progress(epoch=2), dict(ROW), False, seconds=2.0, step_seconds=None)
    assert [row["time/epoch"] for row in rows] == [3.0, 2.0]
    assert [row.get("time/images_per_second") for row in rows] == [1.0, None]


def test_a_pass_is_shown_and_ends_where_the_run_is_to_stop() -> None:
    shown: list[Any] = []
    screen = SimpleNamespace(progress=lambda *told: shown.append(told))
    outlets = Outlets(None, None, screen)  # type: ignore[arg-type]
    outlets.watch("validating", 1, 3)
    outlets.stop.exit_code = 143
    with pytest.raises(Interrupted) as caught:
        outlets.watch("validating", 2, 3)
    assert (shown, caught.value.exit_code) == ([("validating", 1, 3), ("validating", 2, 3)], 143)


@pytest.mark.parametrize("cost", [0.01, 0.5, 3.0])
def test_pictures_keep_to_their_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cost: float) -> None:
    clock = Clock()
    monkeypatch.setattr(recorder, "time", clock)
    began, drawn = clock.now, []

    def picture() -> Path:
        clock.now += cost
        drawn.append(clock.now - began)
        return tmp_path / "predictions.png"

    made, kept = recording(tmp_path, picture)
    for epoch in range(1, 601):
        clock.now += 1
        made.epoch(Progress(epoch=epoch, best=0.5), dict(ROW), True, seconds=1.0, step_seconds=1.0)
        spent = cost * len(drawn)
        assert spent <= DRAWING_SHARE * (clock.now - began) + max(cost - FIRST_DRAWING, 0)
    assert drawn[0] == pytest.approx(FIRST_DRAWING / DRAWING_SHARE, abs=1 + cost)  # none in a run of a few seconds
    assert len(drawn) > 0.8 * min(600, DRAWING_SHARE * 600 / cost) - 1
    assert kept == [("predictions.png", "plots")] * len(drawn)


def test_only_a_new_best_is_drawn_and_nothing_random_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "DRAWING_SHARE", float("inf"))
    calls: list[float] = []

    def picture() -> Path:
        calls.append(float(torch.rand(())))
        return tmp_path / "predictions.png"

    made, _ = recording(tmp_path, picture)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    for improved in (True, False, True):
        made.epoch(Progress(epoch=1, best=0.5), dict(ROW), improved, seconds=1.0, step_seconds=1.0)
    assert len(calls) == 2 and torch.equal(torch.rand(3), expected)


def test_an_epoch_without_the_monitored_metric_tells_which_others_a_run_may_monitor(tmp_path: Path) -> None:
    made, _ = recording(tmp_path, lambda: tmp_path)
    warned: list[str] = []
    made.screen.warn, made.entry = warned.append, TASKS["anomaly_detection"]
    lacking = "auroc, which chooses the best epoch, has no value"
    row = {**{key: value for key, value in ROW.items() if key != "accuracy"}, "threshold": 0.5}
    for metrics in ({}, {"synthetic_f1_max": 0.5, "pixel_auroc": 0.5}, {"synthetic_auroc": 0.5}):
        made.epoch(Progress(epoch=1), row | metrics, False, seconds=1.0, step_seconds=1.0)
    assert warned == [lacking, f"{lacking}; run.monitor takes f1_max, pixel_auroc, which have one"]


def telling(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> tuple[RunRecorder, list[dict[str, Any]]]:
    """A recorder of three epochs, and what it says in status.json."""
    monkeypatch.setattr(recorder, "time", clock)
    told: list[dict[str, Any]] = []
    made = made_of(
        SimpleNamespace(tell=lambda state, **facts: told.append(facts)),
        NoTracker(),
        SimpleNamespace(progress=lambda *_: None),
        SimpleNamespace(),
        max_epochs=3,
        images_per_step=8,
    )
    return made, told


def test_status_follows_the_steps_about_once_a_second_and_tells_how_long_one_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    made, told = telling(monkeypatch, clock)
    progress = Progress()
    for step in range(1, 8):
        clock.now += 0.5
        progress.step = step
        made.step(progress, 7, 0.25 if step == 3 else None)
    assert [(facts["epoch"], facts["epochs"], facts["step"], facts["steps"]) for facts in told] == [
        (1, 3, 2, 7),
        (1, 3, 4, 7),
        (1, 3, 6, 7),
        (1, 3, 7, 7),
    ]
    assert [facts["loss"] for facts in told] == [None, 0.25, 0.25, 0.25]
    assert {facts["step_seconds"] for facts in told} == {0.5}


def test_what_the_tracker_refuses_is_said_between_two_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = telling(monkeypatch, Clock())
    said: list[str] = []
    made.tracker = SimpleNamespace(trouble=iter(["refused", None]).__next__)  # type: ignore[assignment]
    made.screen = SimpleNamespace(  # type: ignore[assignment]
        progress=lambda *_: said.append("bar"), end_progress=lambda: said.append("end"), warn=said.append
    )
    for epoch in (0, 1):
        made.step(Progress(epoch=epoch, step=5), 5, None)
    assert said == ["end", "refused", "bar", "bar"]


def test_the_pause_between_two_epochs_counts_as_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    made, told = telling(monkeypatch, clock)
    made.step(Progress(epoch=0, step=5), 5, None)
    clock.now += 60
    made.step(Progress(epoch=1, step=1), 5, None)
    assert "step_seconds" not in told[-1] and told[-1]["epoch"] == 2


@pytest.mark.parametrize(
    ("part", "odd"),
    [
        *product(["model", "optimizer", "scheduler", "step", "random", "progress"], [None, 3, "missing"]),
        ("optimizer", {"state": {}, "param_groups": []}),
        *product(["random"], [{"cpu": torch.zeros(3)}, {"numpy": (3,)}, {"python": (3,)}]),
        *product(["progress"], [{"x": 1}, {"epoch": "2"}, {"epoch": None}]),
    ],
    ids=str,
)
def test_a_last_checkpoint_of_which_a_part_is_missing_or_odd_is_one_line(part: str, odd: Any) -> None:
    network, cpu = torch.nn.Linear(1, 1), CPU
    optimizer = torch.optim.SGD(network.parameters())
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer)
    ledger = Ledger(cpu)
    step: Any = SimpleNamespace(model=network, optimizer=optimizer, load_state_dict=ledger.load_state_dict)
    state = {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "step": ledger.state_dict(),
        "random": random_state(cpu),
        "progress": {"epoch": 2},
    }
    file = Path("last.pt")
    assert restore(state, file, step=step, scheduler=scheduler, device=cpu) == Progress(epoch=2)
    if part == "random" and isinstance(odd, dict):
        odd = {**random_state(cpu), **odd}
    broken = {key: value for key, value in state.items() if key != part} if odd == "missing" else {**state, part: odd}
    with pytest.raises(UserError, match=r"^last\.pt: [^\n]*; go on with the version of visrun, [^\n]*$"):
        restore(broken, file, step=step, scheduler=scheduler, device=cpu)
