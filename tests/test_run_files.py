from __future__ import annotations

import pytest

from visrun.run_files import SECONDS, is_loss, is_metric


@pytest.mark.parametrize("key", ["loss", "val_loss", "loss/boxes"])
def test_losses_are_no_metrics(key: str) -> None:
    assert is_loss(key) and not is_metric(key)


@pytest.mark.parametrize("key", ["epoch", "learning_rate", SECONDS, "time/epoch"])
def test_what_says_when_and_how_is_neither(key: str) -> None:
    assert not is_loss(key) and not is_metric(key)


@pytest.mark.parametrize("key", ["accuracy", "iou/time", "losses", "mae/loss"])
def test_the_others_are_metrics(key: str) -> None:
    assert is_metric(key) and not is_loss(key)
