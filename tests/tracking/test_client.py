"""What using MLflow leaves of a process that has its own use for it."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

import pytest

from visrun.tracking.client import ENVIRONMENT, NOISY, current, make_client, undone
from visrun.tracking.uris import URI


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, "http://mine:5000"])
def test_a_store_is_mlflows_own_only_for_a_while(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    mlflow.set_tracking_uri(None)
    if before is not None:
        monkeypatch.setenv(URI, before)
    usual = mlflow.get_tracking_uri()
    with pytest.raises(ZeroDivisionError), current("http://other:5000"):
        assert mlflow.get_tracking_uri() == os.environ[URI] == "http://other:5000"
        raise ZeroDivisionError
    assert os.environ.get(URI) == before and mlflow.get_tracking_uri() == usual
    assert mlflow.get_tracking_uri() == (before or usual)


def process() -> tuple[Any, ...]:
    levels = [logging.getLogger(name).level for name in NOISY]
    return {name: os.environ.get(name) for name in ENVIRONMENT}, levels, list(warnings.filters)


@pytest.mark.slow
def test_a_run_leaves_the_process_as_it_was(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow  # noqa: F401  sets its loggers up

    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.INFO)
    before = process()
    with undone():
        make_client(f"sqlite:///{tmp_path}/mlflow.db")
        assert [os.environ[f"MLFLOW_HTTP_REQUEST_{name}"] for name in ("TIMEOUT", "MAX_RETRIES")] == ["60", "1"]
        assert process() != before
    assert process() == before
