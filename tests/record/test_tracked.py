"""How a run is shown in a tracker."""

from __future__ import annotations

from visrun.config.compose import resolve
from visrun.record import tracked


def test_a_run_in_the_tracker_begins_when_the_run_did(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(tracked, "open_tracker", lambda name, **options: given.update(options))
    tracked.tracker_of(resolve([]), tmp_path, notes={"image_size": [8, 8]}, created="2026-01-01T00:00:10+00:00")
    assert given["began"] == 1767225610


def test_a_runs_name_is_the_model_and_what_was_typed():
    words = ["optimizer=sgd", "task=segmentation", "tracking=none", "run.device=cpu", "data.image_size=64"]
    assert tracked.run_name(resolve(words)) == "small_unet optimizer=sgd data.image_size=64"


def test_only_what_the_run_reads_is_tracked():
    shown = tracked.parameters(resolve(["optimizer=adam"]), {"image_size": [32, 32]})
    assert "momentum" not in shown and "step_size" not in shown
    assert shown["learning_rate"] == 0.001 and shown["data.image_size"] == [32, 32]
    assert shown["augment.hflip"] is False
    assert shown["optimizer_options.betas"] == [0.9, 0.999] and "optimizer_options.nesterov" not in shown
