"""What a run's settings mean for the way its images are fed."""

from __future__ import annotations

import pytest

from visrun.config.settings import Settings
from visrun.feeding import keep_of


@pytest.mark.parametrize(("slot", "threads", "cores"), [("1", "3", 3), (None, "3", None), ("0", None, None)])
def test_a_slot_decodes_with_its_share_of_the_cores(slot, threads, cores, monkeypatch):
    for name, value in {"VISRUN_SLOT": slot, "OMP_NUM_THREADS": threads}.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    settings = Settings.model_validate({"task": "classification"})
    assert keep_of(settings).cores == cores
