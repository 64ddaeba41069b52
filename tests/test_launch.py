"""What one process does around the trials that it runs one after the other."""

from __future__ import annotations

import gc
import sys
from itertools import count

import pytest
import torch

from visrun import launch


@pytest.mark.parametrize(
    ("former", "initialized", "expected"),
    [(0, True, []), (1, True, ["collected", "given back"]), (1, False, ["collected"])],
)
def test_a_trial_begins_without_what_the_former_one_kept_of_the_gpu(former, initialized, expected, monkeypatch):
    done = []
    monkeypatch.setattr(launch, "_begun", count(former))
    monkeypatch.setattr(gc, "collect", lambda: done.append("collected"))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: initialized)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append("given back"))
    launch._clear()
    assert done == expected


def test_a_trial_begins_without_torch(monkeypatch):
    monkeypatch.setattr(launch, "_begun", count(1))
    monkeypatch.delitem(sys.modules, "torch")
    launch._clear()
    assert "torch" not in sys.modules
