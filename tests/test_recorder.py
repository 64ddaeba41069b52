"""What the recorder says in status.json while an epoch is under way."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from visrun import recorder
from visrun.recorder import RunRecorder
from visrun.run_folder import RunFolder
from visrun.training import Progress


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when a test says so."""
    now = SimpleNamespace(monotonic=lambda: now.seconds, seconds=100.0)
    monkeypatch.setattr(recorder, "time", now)
    return now


def test_status_follows_the_steps_about_once_a_second_and_tells_how_long_one_takes(tmp_path, clock):
    told = []
    with RunFolder(tmp_path) as folder:
        folder.tell = lambda state, **facts: told.append(facts)
        screen = SimpleNamespace(progress=lambda *_: None)
        told_by = RunRecorder(
            folder, None, screen, None, None, max_epochs=3, monitor="x", images_per_step=8, portrait={}, identity={}
        )
        progress = Progress()
        for step in range(1, 8):
            clock.seconds += 0.5
            progress.step = step
            told_by.step(progress, 7, 0.25 if step == 3 else None)
    assert [(facts["epoch"], facts["epochs"], facts["step"], facts["steps"]) for facts in told] == [
        (1, 3, 2, 7),
        (1, 3, 4, 7),
        (1, 3, 6, 7),
        (1, 3, 7, 7),
    ]
    assert [facts["loss"] for facts in told] == [None, 0.25, 0.25, 0.25]
    assert {facts["step_seconds"] for facts in told} == {0.5}
    assert json.dumps(told)


def test_the_pause_between_two_epochs_counts_as_no_step(tmp_path, clock):
    told = []
    with RunFolder(tmp_path) as folder:
        folder.tell = lambda state, **facts: told.append(facts)
        screen = SimpleNamespace(progress=lambda *_: None)
        told_by = RunRecorder(
            folder, None, screen, None, None, max_epochs=3, monitor="x", images_per_step=8, portrait={}, identity={}
        )
        told_by.step(Progress(epoch=0, step=5), 5, None)
        clock.seconds += 60
        told_by.step(Progress(epoch=1, step=1), 5, None)
    assert "step_seconds" not in told[-1] and told[-1]["epoch"] == 2
