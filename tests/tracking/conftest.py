"""Shared by the trackers' tests."""

from __future__ import annotations

import sys
import time

import pytest

from visrun.tracking.client import ENVIRONMENT


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    """The environment as MLflow finds it on a fresh machine; put back afterwards."""
    for name in (*ENVIRONMENT, "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    yield
    if mlflow := sys.modules.get("mlflow"):
        mlflow.set_tracking_uri(None)  # which is a variable of the process, too


@pytest.fixture
def wait_until():
    """Wait for a condition; fail after a while."""

    def wait(condition, seconds=20.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.01)

    return wait
