"""Pictures of a new best: within their share of the time, and without leaving a trace in the run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from visrun import recorder
from visrun.recorder import DRAWING_SHARE, FIRST_DRAWING, RunRecorder
from visrun.training import Progress

ROW = {"loss": 1.0, "accuracy": 0.5, "learning_rate": 0.1, "time/step": 1.0, "time/epoch": 1.0}


class Clock:
    """Stands for ``time``: a second an epoch, and what a picture costs."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def recording(tmp_path: Path, picture: Any) -> tuple[RunRecorder, list[tuple[str, str]]]:
    kept: list[tuple[str, str]] = []
    network = torch.nn.Linear(1, 1)
    made = RunRecorder(
        SimpleNamespace(append_metrics=lambda row: None),  # type: ignore[arg-type]
        SimpleNamespace(epoch=lambda *_: None, artifact=lambda path, folder: kept.append((path.name, folder))),  # type: ignore[arg-type]
        SimpleNamespace(end_progress=lambda: None, say=lambda line: None),  # type: ignore[arg-type]
        SimpleNamespace(evaluated=network, graph_note="", device=torch.device("cpu")),  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        max_epochs=100,
        monitor="accuracy",
        images_per_step=1,
        portrait={},
        identity={},
        picture=picture,
    )
    return made, kept


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
        made.epoch(Progress(epoch=epoch, best=0.5), dict(ROW), True)
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
        made.epoch(Progress(epoch=1, best=0.5), dict(ROW), improved)
    assert len(calls) == 2 and torch.equal(torch.rand(3), expected)
